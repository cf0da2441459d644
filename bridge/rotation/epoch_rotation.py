"""Rotation of the linkage epoch: every identity in the vaults is encoded anew, and no partner sends a file again.

The epoch is turned first, under the lock that deliveries are sealed under: from then on every delivery carries
the new epoch, and every identity that was sealed in the old one is in a vault. Then the vaults are read, one after
the other, and what they hold leaves as packages of link keys. A package's name is made of what it holds, so that
a rotation that was stopped anywhere finds what it has done and goes on. The manifest comes last.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bridge.deliveries.ledger import reading
from bridge.link_keys.encoding import encode_link_keys
from bridge.pseudonymise.deliveries import ADULT_DAYS, NEVER_BORN
from bridge.rotation.epochs import current_epoch
from bridge.vault.vault import open_vault
from bridge.zone import CouncilZone
from exchange.epoch_packages import (
    EPOCH_KIND,
    EPOCH_SCHEMA,
    EPOCHS_FOLDER,
    IDENTITY_DELIVERY_FIELDS,
    MANIFEST,
    MANIFEST_SCHEMA,
    epoch_name,
    manifest_name,
)
from exchange.epoch_turn import file_digest
from exchange.sealed import SEALED_SUFFIX, PackageLabel, Part, seal, seal_into, trusted_public_key
from exchange.transport import OUTBOX, Exchange
from governance.agreements import require_agreement
from governance.retention import RetentionRule
from stores.encrypted import writer_lock
from stores.files import written_atomically
from stores.home import Home
from stores.key_rotation import make_current, prepare_version
from stores.keys import KeyProvider, PinnedKeys, key_id, zone_keys

LINKAGE_ROOT = "linkage"
BATCH_ROWS = 125_000
"""Small enough that two workers have something to do soon, large enough that a name is seldom hashed again."""
NAME_DIGITS = 12
FEEDS_SEALED = "select distinct feed from deliveries where state = 'sealed'"
KINDS = "select feed, delivery_id, kind from deliveries"


@dataclass(frozen=True)
class EpochRotation:
    """What a rotation did: counts only. `resumed` if it took up one that had been stopped."""

    epoch: int
    resumed: bool
    partners: int
    identities: int
    past_due: int
    packages: int
    packages_reused: int


@dataclass(frozen=True)
class RotationState:
    """Which epoch the last rotation turned to, and whether its manifest is out."""

    epoch: int
    finished: bool


def rotation_state(zone: CouncilZone) -> RotationState | None:
    """Return how far the last rotation of the linkage epoch came; None before the first."""
    path = _state_file(zone.home)
    if not path.is_file():
        return None
    document = json.loads(path.read_text(encoding="utf-8"))
    return RotationState(document["epoch"], document["finished"])


def rotate_epoch(
    zone: CouncilZone, night: date, link_key_rule: RetentionRule | None = None, *, workers: int = 1
) -> EpochRotation:
    """Turn the linkage epoch and send every identity's link keys in the new one; take up a rotation that was
    stopped.

    Identities that `link_key_rule` says are past due on `night` are left out: the analytics zone has let go of
    them. Raises, before anything is written, `AgreementError` if a feed that has delivered has no live agreement
    on `night`, `KeyUnavailableError` or `StoreUnreadableError` if a key is missing or wrong. `workers` is the
    number of processes that encode.
    """
    receiver = trusted_public_key(zone.home, "council", "analytics")
    agreements = _agreements(zone, night)
    partners = _partners_with_vaults(zone)
    for name in ("linkage", "exchange", "storage"):
        zone.keys.root(name)
    for partner in partners:
        with open_vault(zone, partner):
            pass
    state = rotation_state(zone)
    resumed = state is not None and not state.finished
    epoch = state.epoch if state is not None and resumed else current_epoch(zone) + 1
    _turn(zone, epoch, night)
    kinds = _delivery_kinds(zone)
    sent: list[_Sent] = []
    identities = past_due = 0
    with _sealing(zone, epoch, night, receiver, workers) as sealing:
        for partner in partners:
            with open_vault(zone, partner) as vault:
                for batch in vault.identity_batches(rows=BATCH_ROWS):
                    kept = _not_past_due(batch, link_key_rule, night)
                    past_due += batch.num_rows - kept.num_rows
                    identities += kept.num_rows
                    for feed, table, rows in _by_table(kept):
                        named = _with_kind(rows, feed, kinds)
                        sealing.add(
                            _Parcel(feed, table, agreements[feed], zone.contracts[feed].version, named)
                        )
        sent = sealing.finish()
    _write_manifest(zone, epoch, night, receiver, sent)
    _remove_all_but(zone.home, {manifest_name(epoch), *(each.file_name for each in sent)})
    _save_state(zone.home, RotationState(epoch, finished=True))
    return EpochRotation(
        epoch=epoch,
        resumed=resumed,
        partners=len(partners),
        identities=identities,
        past_due=past_due,
        packages=len(sent),
        packages_reused=sum(each.reused for each in sent),
    )


@dataclass(frozen=True)
class _Parcel:
    """Identities of one contract table that leave in one package."""

    feed: str
    table: str
    agreement: str
    contract_version: str
    arrivals: pa.Table


@dataclass(frozen=True)
class _Sent:
    """One package of the manifest, and whether an earlier, stopped rotation had sealed it."""

    file_name: str
    feed: str
    table_name: str
    row_count: int
    sha256: str
    reused: bool


@dataclass(frozen=True)
class _Recipe:
    """What encoding and sealing need besides the identities; small, so that it goes to every worker.

    `there`: the epoch packages that an earlier rotation sealed.
    """

    home: Home
    epoch: int
    night: date
    receiver: bytes
    there: frozenset[str]


def _turn(zone: CouncilZone, epoch: int, night: date) -> None:
    """Make the new epoch's key current. Killed anywhere, it is simply done again."""
    prepare_version(zone.keys, LINKAGE_ROOT, epoch)
    with writer_lock(zone.home.deliveries_db):
        if current_epoch(zone) < epoch:
            _save_state(zone.home, RotationState(epoch, finished=False))
            make_current(zone.keys, LINKAGE_ROOT, epoch, night)


def _agreements(zone: CouncilZone, night: date) -> Mapping[str, str]:
    """Return the agreement that each feed's link keys leave under."""
    with reading(zone) as ledger:
        sealed = set() if ledger is None else {feed for (feed,) in ledger.execute(FEEDS_SEALED).fetchall()}
    live = {}
    for feed, contract in zone.contracts.items():
        if contract.holds_people and feed in sealed:
            require_agreement(contract, night)
        live[feed] = contract.agreement
    return live


def _partners_with_vaults(zone: CouncilZone) -> list[str]:
    partners = sorted({contract.partner for contract in zone.contracts.values()})
    return [partner for partner in partners if zone.home.vault_db(partner).is_file()]


def _delivery_kinds(zone: CouncilZone) -> Mapping[str, pa.Table]:
    """Return delivery_id and kind of every delivery, by feed."""
    with reading(zone) as ledger:
        if ledger is None:
            return {}
        kinds = ledger.execute(KINDS).to_arrow_table()
    return {feed: kinds.filter(pc.equal(kinds["feed"], feed)) for feed in kinds["feed"].unique().to_pylist()}


def _with_kind(rows: pa.Table, feed: str, kinds: Mapping[str, pa.Table]) -> pa.Table:
    known = kinds.get(feed)
    if known is None:
        return rows.append_column("kind", pa.repeat(pa.scalar("full"), rows.num_rows))
    place = pc.index_in(rows["delivery_id"], value_set=known["delivery_id"].combine_chunks())
    return rows.append_column("kind", pc.fill_null(known["kind"].combine_chunks().take(place), "full"))


def _not_past_due(batch: pa.Table, rule: RetentionRule | None, night: date) -> pa.Table:
    if rule is None:
        return batch
    days = batch["delivery_date"].unique()
    kept = pa.array([day for day in days.to_pylist() if not rule.is_expired(day, night)], pa.date32())
    return batch if len(kept) == len(days) else batch.filter(pc.is_in(batch["delivery_date"], value_set=kept))


def _by_table(batch: pa.Table) -> Iterator[tuple[str, str, pa.Table]]:
    groups = batch.select(["feed", "table_name"]).group_by(["feed", "table_name"]).aggregate([])
    for group in sorted(groups.to_pylist(), key=lambda group: (group["feed"], group["table_name"])):
        feed, table = group["feed"], group["table_name"]
        chosen = pc.and_(pc.equal(batch["feed"], feed), pc.equal(batch["table_name"], table))
        yield feed, table, batch.filter(chosen).combine_chunks()


class _Sealing:
    """Encodes and seals parcels, here or in worker processes; never more at once than there are workers, plus
    one that waits."""

    def __init__(
        self, recipe: _Recipe, keys: KeyProvider, pool: ProcessPoolExecutor | None, workers: int
    ) -> None:
        self._recipe, self._keys, self._pool, self._workers = recipe, keys, pool, workers
        self._sent: list[_Sent] = []
        self._running: set[Future[_Sent]] = set()

    def add(self, parcel: _Parcel) -> None:
        if self._pool is None:
            self._sent.append(_sealed(self._recipe, self._keys, parcel))
            return
        if len(self._running) > self._workers:
            self._collect(wait(self._running, return_when=FIRST_COMPLETED).done)
        self._running.add(self._pool.submit(_sealed_by_worker, self._recipe, parcel))

    def finish(self) -> list[_Sent]:
        self._collect(wait(self._running).done)
        return sorted(self._sent, key=lambda each: each.file_name)

    def _collect(self, done: set[Future[_Sent]]) -> None:
        self._sent += [future.result() for future in done]
        self._running -= done


@contextmanager
def _sealing(zone: CouncilZone, epoch: int, night: date, receiver: bytes, workers: int) -> Iterator[_Sealing]:
    there = frozenset(Exchange.of(zone.home).names(OUTBOX, EPOCHS_FOLDER))
    recipe = _Recipe(zone.home, epoch, night, receiver, there)
    if workers <= 1:
        yield _Sealing(recipe, zone.keys, None, 1)
        return
    # Not forked: DuckDB's threads do not survive a fork.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield _Sealing(recipe, zone.keys, pool, workers)


def _sealed_by_worker(recipe: _Recipe, parcel: _Parcel) -> _Sent:
    return _sealed(recipe, zone_keys("council", recipe.home.council_keys), parcel)


def _sealed(recipe: _Recipe, keys: KeyProvider, parcel: _Parcel) -> _Sent:
    """Write one package, unless it is there already: its name says what it holds."""
    delivery_id = (
        f"{epoch_name(recipe.epoch)}-{parcel.feed}-{parcel.table}-{_content_digest(parcel.arrivals)}"
    )
    file_name = f"{delivery_id}{SEALED_SUFFIX}"
    exchange = Exchange.of(recipe.home)
    reused = file_name in recipe.there
    if reused:
        with exchange.reading(OUTBOX, f"{EPOCHS_FOLDER}/{file_name}") as path:
            digest = file_digest(path)
    else:
        label = PackageLabel(
            feed=parcel.feed,
            delivery_id=delivery_id,
            delivery_date=recipe.night,
            received_date=recipe.night,
            kind=EPOCH_KIND,
            agreement=parcel.agreement,
            contract_version=parcel.contract_version,
            epoch=recipe.epoch,
            key_ids={LINKAGE_ROOT: key_id(keys.root(LINKAGE_ROOT, recipe.epoch))},
        )
        parts = (Part("link_keys", parcel.table, _link_keys(recipe, keys, parcel)),)
        with exchange.writing(OUTBOX, f"{EPOCHS_FOLDER}/{file_name}") as path:
            with path.open("wb") as package:
                seal_into(package, label, parts, keys, recipe.receiver)
            digest = file_digest(path)
    return _Sent(file_name, parcel.feed, parcel.table, parcel.arrivals.num_rows, digest, reused)


def _link_keys(recipe: _Recipe, keys: KeyProvider, parcel: _Parcel) -> pa.Table:
    pinned = PinnedKeys(keys, {LINKAGE_ROOT: recipe.epoch})
    arrivals = parcel.arrivals
    rows = encode_link_keys(arrivals, pinned, recipe.epoch, feed=parcel.feed, minors=_minors(arrivals))
    for column in IDENTITY_DELIVERY_FIELDS:
        rows = rows.append_column(column, arrivals[column.name].cast(column.type))
    return rows.cast(EPOCH_SCHEMA)


def _minors(arrivals: pa.Table) -> npt.NDArray[np.bool_]:
    """Return which identities were a child's at the date of the delivery that brought them."""
    born = pc.fill_null(arrivals["date_of_birth"].cast(pa.int32()), NEVER_BORN).to_numpy()
    return arrivals["delivery_date"].cast(pa.int32()).to_numpy().astype(np.int64) - born < ADULT_DAYS


def _content_digest(arrivals: pa.Table) -> str:
    """Name the identities of a parcel by what does not change while they do not: record and delivery."""
    digest = hashlib.sha256()
    for name in ("record_ref", "delivery_id"):
        digest.update("\n".join(arrivals[name].to_pylist()).encode() + b"\0")
    return digest.hexdigest()[:NAME_DIGITS]


def _write_manifest(
    zone: CouncilZone, epoch: int, night: date, receiver: bytes, sent: Sequence[_Sent]
) -> None:
    listed = pa.Table.from_pylist(
        [{name: getattr(each, name) for name in MANIFEST_SCHEMA.names} for each in sent],
        schema=MANIFEST_SCHEMA,
    )
    label = PackageLabel(
        feed=EPOCHS_FOLDER,
        delivery_id=f"{epoch_name(epoch)}-{MANIFEST}",
        delivery_date=night,
        received_date=night,
        kind=EPOCH_KIND,
        agreement="",
        contract_version="",
        epoch=epoch,
    )
    with Exchange.of(zone.home).writing(OUTBOX, f"{EPOCHS_FOLDER}/{manifest_name(epoch)}") as path:
        path.write_bytes(seal(label, (Part("link_keys", MANIFEST, listed),), zone.keys, receiver))


def _remove_all_but(home: Home, named: set[str]) -> None:
    """Take away older epochs, and what an earlier, stopped rotation sealed and this one did not need."""
    exchange = Exchange.of(home)
    for name in exchange.names(OUTBOX, EPOCHS_FOLDER):
        if name not in named:
            exchange.remove(OUTBOX, f"{EPOCHS_FOLDER}/{name}")


def _state_file(home: Home) -> Path:
    return home.council / "rotation.json"


def _save_state(home: Home, state: RotationState) -> None:
    with written_atomically(_state_file(home)) as aside:
        aside.write_text(json.dumps({"epoch": state.epoch, "finished": state.finished}), encoding="utf-8")
