"""The vault: who a `record_ref` is, and was, kept by the council alone: two encrypted stores per partner.

`<partner>.duckdb` holds identities, each encrypted (AES-256-GCM) under a data key that encrypts nothing else.
`<partner>.keys.duckdb` holds those data keys, wrapped by the partner's key (`bridge.vault.key_wrap`), a keyed digest of
each identity (BLAKE2b, RFC 7693) that tells whether a delivery brings anything new, and the tombstones. Erasing a
subject destroys the keys and digests of all its identities. They stand apart so that a backup of the identities,
put back later, no longer opens for whoever was erased since; a later delivery cannot bring the subject back.

A record's history is a set: every identity it ever had, with the first and the last delivery that said so; the
one said last is the current one. So neither order nor repetition of deliveries changes what a vault says.

The two stores cannot commit together. Keys commit first: a stop in between leaves keys that nothing uses, and the
next delivery makes new ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.pseudonymise.identities import IDENTITY_COLUMNS
from bridge.vault import migration
from bridge.vault.arrivals import ARRIVAL_SCHEMA
from bridge.vault.identity_texts import LAYOUT, SEPARATOR, identity_columns, identity_texts
from bridge.vault.key_wrap import DATA_KEY_BYTES, WRAPPED_BYTES, unwrap_keys, wrap_keys
from bridge.vault.keys import VaultError, matrix, open_keys, rewrap, rows_of_bytes
from bridge.zone import CouncilZone
from stores.encrypted import STORE, attach, attached, storage_key, writer_lock
from stores.rewriting import rewrite

VAULT_VERSION = "2"
NONCE_BYTES = 12
DIGEST_BYTES = 16
ROWS_AT_ONCE = 200_000  # bounds what one slice of a large batch takes in memory

KEYS_STORE = "vault_keys"
VAULT_TABLES = Path(__file__).with_name("vault.sql")
KEY_TABLES = Path(__file__).with_name("keys.sql")

DELIVERY_COLUMNS = ("feed", "table_name", "delivery_date", "received_date", "delivery_id")

ADD_DELIVERIES = """
insert into deliveries
select (select coalesce(max(delivery_no), 0) from deliveries) + row_number() over (order by all_new), all_new.*
from (select distinct feed, table_name, delivery_date, received_date, delivery_id from arrivals) as all_new
anti join deliveries using (feed, table_name, delivery_date, received_date, delivery_id)
"""

# Where a delivery stands in time among all of the vault's.
PLACE_DELIVERIES = """
create or replace temp table placed as
select *, row_number() over (order by delivery_date, received_date, delivery_id, feed, table_name) as place
from deliveries
"""

# Where each record comes once, nothing is to be grouped; grouping long texts takes longer than all else but AES.
SINGLE_IDENTITIES = """
select arrivals.record_ref, arrivals.identity, placed.place as first_place, placed.place as last_place
from arrivals
join placed using (feed, table_name, delivery_date, received_date, delivery_id)
anti join vault_keys.tombstones using (record_ref)
"""

DISTINCT_IDENTITIES = """
select arrivals.record_ref, arrivals.identity, min(placed.place) as first_place, max(placed.place) as last_place
from arrivals
join placed using (feed, table_name, delivery_date, received_date, delivery_id)
anti join vault_keys.tombstones using (record_ref)
group by arrivals.record_ref, arrivals.identity
"""

# A key without its identity is what a stop between the two commits leaves.
MEET_HELD = """
create or replace temp table met as
select digested.number, data_keys.version, digested.first_place, digested.last_place
from digested join vault_keys.data_keys using (digest) semi join identities using (version)
"""

MOVE_FIRST = """
update identities set first_delivery = moved.delivery_no
from (
    select met.version, earlier.delivery_no
    from met
    join identities as held using (version)
    join placed as since on held.first_delivery = since.delivery_no
    join placed as earlier on met.first_place = earlier.place
    where earlier.place < since.place
) as moved
where identities.version = moved.version
"""

MOVE_LAST = """
update identities set last_delivery = moved.delivery_no
from (
    select met.version, later.delivery_no
    from met
    join identities as held using (version)
    join placed as until on held.last_delivery = until.delivery_no
    join placed as later on met.last_place = later.place
    where later.place > until.place
) as moved
where identities.version = moved.version
"""

ADD_IDENTITIES = """
insert into identities
select version, record_ref, first_delivery, last_delivery, layout, nonce, identity
from kept
"""

CURRENT_VERSIONS = """
select arg_max(identities.version, placed.place) as version
from identities join placed on identities.last_delivery = placed.delivery_no
group by identities.record_ref
order by version
"""

STORED_ROWS = """
select
    identities.version, identities.record_ref, deliveries.feed, deliveries.table_name, deliveries.delivery_date,
    deliveries.received_date, deliveries.delivery_id, first_one.delivery_id as first_delivery_id,
    identities.layout, identities.nonce, identities.identity, data_keys.wrapped_key
from identities
semi join wanted using (version)
join deliveries on identities.last_delivery = deliveries.delivery_no
join deliveries as first_one on identities.first_delivery = first_one.delivery_no
left join vault_keys.data_keys using (version)
where identities.version between ? and ?
order by identities.version
"""

COUNTS = """
select
    (select count(distinct record_ref) from identities anti join vault_keys.tombstones using (record_ref)),
    (select count(*) from identities anti join vault_keys.tombstones using (record_ref)),
    (select count(*) from vault_keys.tombstones),
    (select count(*) from identities semi join vault_keys.tombstones using (record_ref)),
    (select count(*) from vault_keys.data_keys anti join identities using (version)),
    (select count(*) from vault_keys.data_keys semi join vault_keys.tombstones using (record_ref))
"""


@dataclass(frozen=True)
class VaultStatus:
    """What a vault holds, counted without opening an identity.

    `shredded` are rows of erased subjects that a restored backup brought back, or a stop left: none has a key.
    `unused_keys` were left by a stop while keeping; `keys_of_erased` must be none.
    """

    partner: str
    subjects: int
    identities: int
    erased: int
    shredded: int
    unused_keys: int
    keys_of_erased: int


@dataclass(frozen=True)
class VaultReport:
    """Counts of one check of a partner's vault. `subjects` counts the erased as well."""

    subjects: int
    erased: int
    unreadable: int


@dataclass(frozen=True)
class PastIdentity:
    """One identity that a record had or has, with the first and the last delivery that said so."""

    first_delivery_id: str
    last_delivery_id: str
    identity: Mapping[str, Any]


@dataclass(frozen=True)
class Vault:
    """One partner's open vault. Made by `open_vault`; used while its block lasts."""

    partner: str
    wrapping_key: bytes
    digest_key: bytes
    connection: duckdb.DuckDBPyConnection

    def keep(self, arrivals: pa.Table) -> int:
        """Keep every identity in `arrivals` (columns of `ARRIVAL_SCHEMA`) that is not held; return how many were
        new.

        One row per record and delivery. An identity met again only moves the first or last delivery that said
        it. Subjects that were erased stay erased. Stopped anywhere, it is simply called again.
        """
        return sum(
            self._keep(arrivals.slice(start, ROWS_AT_ONCE))
            for start in range(0, arrivals.num_rows, ROWS_AT_ONCE)
        )

    def identity(self, record_ref: str) -> Mapping[str, Any]:
        """Return the current identity behind `record_ref`: `key`, a mapping of the partner's own key columns, and
        every identifier that is held.

        Raises `VaultError` if it is unknown, erased or unreadable.
        """
        return self.history(record_ref)[-1].identity

    def history(self, record_ref: str) -> tuple[PastIdentity, ...]:
        """Return every identity that `record_ref` had, the current one last. Raises `VaultError` as `identity`
        does."""
        if self.is_erased(record_ref):
            raise VaultError(f"{self.partner}: this subject was erased; the identity cannot be brought back.")
        self.connection.execute(PLACE_DELIVERIES)
        versions = self._numbers(
            "select version from identities join placed on last_delivery = delivery_no "
            "where record_ref = ? order by place",
            [record_ref],
        )
        if not len(versions):
            raise VaultError(f"{self.partner}: the vault holds no such record reference.")
        rows = self._stored(versions)
        order = pc.index_in(pa.array(versions), value_set=rows["version"].combine_chunks())
        rows = rows.take(order)
        known = identity_columns(pa.array(self._texts(rows), pa.string())).to_pylist()
        return tuple(
            PastIdentity(first, last, _mapping(fields))
            for first, last, fields in zip(
                rows["first_delivery_id"].to_pylist(), rows["delivery_id"].to_pylist(), known, strict=True
            )
        )

    def identity_batches(self, rows: int = 100_000) -> Iterator[pa.Table]:
        """Yield the current identity of every subject that is not erased, as tables of `ARRIVAL_SCHEMA` of at most
        `rows` rows, each with the last delivery that said it.

        Raises `VaultError` at an identity that cannot be read.
        """
        self.connection.execute(PLACE_DELIVERIES)
        versions = self._numbers(CURRENT_VERSIONS)
        for stored in self._batches(versions, rows):
            known = identity_columns(pa.array(self._texts(stored), pa.string()))
            columns = {
                name: (stored if name in stored.column_names else known)[name]
                for name in ARRIVAL_SCHEMA.names
            }
            yield pa.table(columns, schema=ARRIVAL_SCHEMA)

    def identities(self) -> Iterator[Mapping[str, Any]]:
        """Yield the current identity of every subject that is not erased, as `identity` gives it."""
        for batch in self.identity_batches():
            fields = batch.select(["partner_key", *IDENTITY_COLUMNS])
            yield from map(_mapping, fields.to_pylist())

    def contents(self) -> Iterator[tuple[str, str | None]]:
        """Yield every record reference with its current identity as one text (None once erased)."""
        for batch in self.identity_batches():
            texts = identity_texts(batch).to_pylist()
            yield from zip(batch["record_ref"].to_pylist(), texts, strict=True)
        for (record_ref,) in self.connection.execute("from vault_keys.tombstones").fetchall():
            yield record_ref, None

    def history_lines(self) -> Iterator[str]:
        """Yield a line for every identity that is or was held and for every tombstone, for the logical digest."""
        for stored in self._batches(self._all_versions()):
            said = (stored[name] for name in ("record_ref", "first_delivery_id", "delivery_id"))
            texts = pa.chunked_array([pa.array(self._texts(stored), pa.string())])
            yield from pc.binary_join_element_wise(*said, texts, SEPARATOR).to_pylist()
        for (record_ref,) in self.connection.execute("from vault_keys.tombstones").fetchall():
            yield f"{record_ref}{SEPARATOR}erased"

    def erase(self, record_ref: str) -> bool:
        """Destroy every data key, digest and identity of `record_ref`, leaving a tombstone; False if it was not
        held.

        The bytes leave the files when the stores are next rewritten: `shred` does both.
        """
        held = self.connection.execute(
            "select 1 from identities anti join vault_keys.tombstones using (record_ref) where record_ref = ?",
            [record_ref],
        ).fetchone()
        self.connection.execute("begin")
        if held:
            self.connection.execute("insert into vault_keys.tombstones values (?)", [record_ref])
        self.connection.execute(
            "delete from vault_keys.data_keys where record_ref in (from vault_keys.tombstones)"
        )
        self.connection.execute("commit")
        self.connection.execute("delete from identities where record_ref in (from vault_keys.tombstones)")
        return held is not None

    def rewrap(self, old_key: bytes, new_key: bytes) -> int:
        """Wrap every data key, now under the partner key `old_key`, under `new_key`: `vault_keys.rewrap`."""
        self.connection.execute(f"use {KEYS_STORE}")
        try:
            return rewrap(self.connection, self.partner, old_key, new_key)
        finally:
            self.connection.execute(f"use {STORE}")

    def verify(self) -> VaultReport:
        """Decrypt every identity that is held, of now and before, and count those that cannot be read.

        A tombstone that still has a data key counts as unreadable: it is no tombstone.
        """
        status = self.status()
        unreadable = status.keys_of_erased
        for stored in self._batches(self._all_versions()):
            unreadable += sum(text is None for text in self._decrypted(stored))
        return VaultReport(status.subjects + status.erased, status.erased, unreadable)

    def status(self) -> VaultStatus:
        """Count what the vault holds, without opening an identity."""
        counts = self.connection.execute(COUNTS).fetchone()
        return VaultStatus(self.partner, *(counts or (0,) * 6))

    def _keep(self, arrivals: pa.Table) -> int:
        rows = self._distinct(arrivals)
        texts = rows["identity"].cast(pa.binary()).to_pylist()
        met = self._met(rows)
        if len(met):
            new = np.ones(rows.num_rows, dtype=bool)
            new[met] = False
            places = np.flatnonzero(new)
            rows, texts = rows.take(places), [texts[place] for place in places]
        kept = self._encrypted(rows, texts)
        self.connection.register("kept", kept)
        if kept.num_rows:
            self.connection.execute(
                "insert into vault_keys.data_keys select version, record_ref, digest, wrapped_key from kept"
            )
        self.connection.execute("begin")
        if kept.num_rows:
            self.connection.execute(ADD_IDENTITIES)
        if len(met):
            self.connection.execute(MOVE_FIRST)
            self.connection.execute(MOVE_LAST)
        self.connection.execute("commit")
        self.connection.unregister("kept")
        return kept.num_rows

    def _distinct(self, arrivals: pa.Table) -> pa.Table:
        """Return each identity of each record once: `record_ref`, `identity`, `first_place`, `last_place`,
        `digest`."""
        named = {name: arrivals[name] for name in ("record_ref", *DELIVERY_COLUMNS)}
        self.connection.register("arrivals", pa.table({**named, "identity": identity_texts(arrivals)}))
        self.connection.execute(ADD_DELIVERIES)
        self.connection.execute(PLACE_DELIVERIES)
        once = pc.count_distinct(arrivals["record_ref"]).as_py() == arrivals.num_rows
        found = self.connection.execute(SINGLE_IDENTITIES if once else DISTINCT_IDENTITIES)
        rows = found.fetch_arrow_table().combine_chunks()
        self.connection.unregister("arrivals")
        messages = pc.binary_join_element_wise(rows["record_ref"], rows["identity"], SEPARATOR)
        return rows.append_column("digest", self._digests(messages.cast(pa.binary()).to_pylist()))

    def _digests(self, messages: Sequence[bytes]) -> pa.Array:
        keyed = blake2b(digest_size=DIGEST_BYTES, key=self.digest_key).copy
        digests = []
        for message in messages:
            digest = keyed()
            digest.update(message)
            digests.append(digest.digest())
        return pa.array(digests, pa.binary())

    def _met(self, rows: pa.Table) -> npt.NDArray[np.int64]:
        """Return which of `rows` are identities that are held already."""
        numbered = rows.drop_columns(["record_ref", "identity"])
        numbered = numbered.append_column("number", pa.array(np.arange(rows.num_rows)))
        self.connection.register("digested", numbered)
        self.connection.execute(MEET_HELD)
        self.connection.unregister("digested")
        return self._numbers("select number from met")

    def _encrypted(self, rows: pa.Table, texts: Sequence[bytes]) -> pa.Table:
        """Encrypt each of `texts` under a data key of its own; return what the two stores keep of it."""
        count = len(texts)
        versions = pa.array(np.arange(count, dtype=np.int64) + self._next_version())
        keys, nonces = os.urandom(count * DATA_KEY_BYTES), os.urandom(count * NONCE_BYTES)
        data_keys = np.frombuffer(keys, np.uint8).reshape(count, DATA_KEY_BYTES)
        encrypted = list(
            map(
                AESGCM.encrypt,
                map(AESGCM, _cut(keys, DATA_KEY_BYTES)),
                _cut(nonces, NONCE_BYTES),
                texts,
                self._bound(rows["record_ref"], versions),
            )
        )
        return pa.table(
            {
                "version": versions,
                "record_ref": rows["record_ref"],
                "first_delivery": self._delivery_at(rows["first_place"]),
                "last_delivery": self._delivery_at(rows["last_place"]),
                "digest": rows["digest"],
                "wrapped_key": rows_of_bytes(wrap_keys(self.wrapping_key, data_keys)),
                "layout": pa.repeat(pa.scalar(LAYOUT, pa.uint8()), count),
                "nonce": pa.FixedSizeBinaryArray.from_buffers(
                    pa.binary(NONCE_BYTES), count, [None, pa.py_buffer(nonces)]
                ),
                "identity": pa.array(encrypted, pa.binary()),
            }
        )

    def _delivery_at(self, places: pa.ChunkedArray) -> pa.Array:
        numbers = self._numbers("select delivery_no from placed order by place")
        return pa.array(numbers[places.to_numpy() - 1], pa.int32())

    def _texts(self, stored: pa.Table) -> list[bytes]:
        texts = self._decrypted(stored)
        if any(text is None for text in texts):
            raise VaultError(f"{self.partner}: an identity is damaged, or was kept under another key.")
        return texts  # type: ignore[return-value]

    def _decrypted(self, stored: pa.Table) -> list[bytes | None]:
        """Return the text of every stored row; None for one that has no key or does not open."""
        wrapped = pc.fill_null(stored["wrapped_key"], bytes(WRAPPED_BYTES))
        fits = pc.equal(pc.binary_length(wrapped), WRAPPED_BYTES)
        wrapped = pc.if_else(fits, wrapped, bytes(WRAPPED_BYTES))
        # A key that does not unwrap becomes zeros, and the identity then fails its own authentication.
        data_keys, intact = unwrap_keys(self.wrapping_key, matrix(wrapped, WRAPPED_BYTES))
        columns = (
            _cut(data_keys.tobytes(), DATA_KEY_BYTES),
            stored["nonce"].to_pylist(),
            stored["identity"].to_pylist(),
            self._bound(stored["record_ref"], stored["version"]),
        )
        if intact.all():
            try:
                return [AESGCM(key).decrypt(*sealed) for key, *sealed in zip(*columns, strict=True)]
            except (InvalidTag, ValueError):
                pass
        return [_opened(*row) for row in zip(*columns, strict=True)]

    def _bound(self, record_refs: pa.ChunkedArray, versions: pa.Array | pa.ChunkedArray) -> list[bytes]:
        """Return the associated data of rows: a ciphertext moved to another row or partner does not open."""
        scope = SEPARATOR.join(("vault", VAULT_VERSION, self.partner, f"layout {LAYOUT}"))
        refs = record_refs.combine_chunks() if isinstance(record_refs, pa.ChunkedArray) else record_refs
        numbers = versions.combine_chunks() if isinstance(versions, pa.ChunkedArray) else versions
        bound = pc.binary_join_element_wise(scope, refs, numbers.cast(pa.string()), SEPARATOR)
        return bound.cast(pa.binary()).to_pylist()

    def _stored(self, versions: npt.NDArray[np.int64]) -> pa.Table:
        """Return the stored rows of `versions`, in order of version, with their wrapped keys where there are any."""
        self.connection.register("wanted", pa.table({"version": versions}))
        span = [int(versions.min()), int(versions.max())]
        stored = self.connection.execute(STORED_ROWS, span).fetch_arrow_table()
        self.connection.unregister("wanted")
        return stored.combine_chunks()

    def _batches(self, versions: npt.NDArray[np.int64], rows: int = 100_000) -> Iterator[pa.Table]:
        for start in range(0, len(versions), rows):
            yield self._stored(versions[start : start + rows])

    def _all_versions(self) -> npt.NDArray[np.int64]:
        """Return the versions of all identities of subjects that are not erased."""
        return self._numbers(
            "select version from identities anti join vault_keys.tombstones using (record_ref) order by version"
        )

    def _numbers(self, sql: str, values: Sequence[object] = ()) -> npt.NDArray[np.int64]:
        """Return the one column of whole numbers that `sql` selects."""
        found = self.connection.execute(sql, list(values)).fetch_arrow_table()
        return found.column(0).to_numpy().astype(np.int64, copy=False)

    def _next_version(self) -> int:
        # Of both stores: one of them may be an older backup, and no number may name two keys.
        row = self.connection.execute(
            "select greatest((select coalesce(max(version), 0) from identities), "
            "(select coalesce(max(version), 0) from vault_keys.data_keys)) + 1"
        ).fetchone()
        return row[0] if row else 1

    def feed_of(self, record_ref: str) -> str | None:
        """Return the feed that a record came by, or None if the vault does not hold it."""
        found = self.connection.execute(
            "select feed from identities join deliveries on last_delivery = delivery_no "
            "where record_ref = ? limit 1",
            [record_ref],
        ).fetchone()
        return found[0] if found else None

    def is_erased(self, record_ref: str) -> bool:
        """Return whether the vault has a tombstone for a record."""
        found = self.connection.execute(
            "select 1 from vault_keys.tombstones where record_ref = ?", [record_ref]
        ).fetchone()
        return found is not None


@contextmanager
def open_vault(zone: CouncilZone, partner: str) -> Iterator[Vault]:
    """Open `partner`'s vault for writing, making it where missing; the writers' locks are held until the block
    ends. A vault of layout 1 is brought to this layout first.

    Raises `KeyUnavailableError` if the storage root cannot be had, `StoreUnreadableError` on a wrong key.
    """
    with _opened_vault(zone, partner) as vault:
        migrated = migration.is_old(vault.connection)
        if migrated:
            migration.migrate(vault.connection, partner, vault.wrapping_key, vault.keep)
        else:
            yield vault
    if migrated:
        _rewrite(zone, partner)
        with _opened_vault(zone, partner) as vault:
            yield vault


@contextmanager
def _opened_vault(zone: CouncilZone, partner: str) -> Iterator[Vault]:
    store_key, keys_key = _store_keys(zone, partner)
    keys_path = zone.home.vault_keys_db(partner)
    with attached(zone.home.vault_db(partner), store_key) as connection, writer_lock(keys_path):
        attach(connection, keys_path, keys_key, KEYS_STORE, read_only=False)
        connection.execute(f"use {KEYS_STORE}")
        connection.execute(KEY_TABLES.read_text(encoding="utf-8"))
        wrapping_key, digest_key = open_keys(zone.keys, partner, connection)
        connection.execute(f"use {STORE}")
        connection.execute(VAULT_TABLES.read_text(encoding="utf-8"))
        yield Vault(partner, wrapping_key, digest_key, connection)


def shred(zone: CouncilZone, partner: str, record_refs: Sequence[str]) -> int:
    """Erase `record_refs` from `partner`'s vault and rewrite both stores, so that the bytes go as well; return
    how many were held."""
    with open_vault(zone, partner) as vault:
        erased = sum(vault.erase(record_ref) for record_ref in record_refs)
    _rewrite(zone, partner)
    return erased


def _rewrite(zone: CouncilZone, partner: str) -> None:
    """Rewrite both stores, keys first: deleted bytes stay in a file until then."""
    store_key, keys_key = _store_keys(zone, partner)
    rewrite(zone.home.vault_keys_db(partner), keys_key)
    rewrite(zone.home.vault_db(partner), store_key)


def _store_keys(zone: CouncilZone, partner: str) -> tuple[str, str]:
    return storage_key(zone.keys, f"vault/{partner}"), storage_key(zone.keys, f"vault/{partner}.keys")


def _mapping(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    known = {name: value for name, value in fields.items() if value is not None and name != "partner_key"}
    return {"key": json.loads(fields["partner_key"]), **known}


def _opened(key: bytes, nonce: bytes, content: bytes, bound: bytes) -> bytes | None:
    try:
        return AESGCM(key).decrypt(nonce, content, bound)
    except (InvalidTag, ValueError):
        return None


def _cut(joined: bytes, size: int) -> list[bytes]:
    return [joined[start : start + size] for start in range(0, len(joined), size)]
