"""Taking the identities off: checked rows become link keys, a minimised payload and a vault row, sealed to
leave.

Everything here can be repeated: references and tokens are keyed functions of what the partner sent. So a
run that is stopped anywhere is simply run again. The order is vault, packages, ledger: checked rows go only
after the package that replaces them is on disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from bridge.address_quality import homes_by_delivery, homes_of_delivery, keep_homes
from bridge.addresses import MatchedAddresses, is_gazetteer, matched_addresses, refresh_gazetteer
from bridge.link_keys.encoding import encode_link_keys
from bridge.pseudonymise.derived import derived_rows
from bridge.pseudonymise.identities import (
    address_text,
    identities,
    property_references,
    record_references,
)
from bridge.rotation.epochs import current_epoch
from bridge.vault.arrivals import arrivals
from bridge.vault.vault import open_vault
from bridge.zone import CouncilZone
from exchange.sealed import SEALED_SUFFIX, PackageLabel, Part, seal_into, trusted_public_key
from exchange.transport import OUTBOX, Exchange
from governance.address_levels import GIVEN, NO_ADDRESS
from governance.agreements import require_agreement
from governance.contracts import Column, FeedContract, Identifier, Leaves, Table
from stores.encrypted import attached, storage_key
from stores.keys import derive_key, key_id

SIV_KEY_BYTES = 64

ADULT_DAYS = round(18 * 365.25)
NEVER_BORN = -(2**31)

CHECKED_DELIVERIES = """
select delivery_id, delivery_date, received_date, kind
from deliveries
where feed = ? and state = 'checked' and delivery_id in (select unnest(?))
order by delivery_date, received_date, delivery_id
"""

MARK_SEALED = """
update deliveries set state = 'sealed', rows_sealed = sealed_rows.row_count
from sealed_rows
where deliveries.feed = ? and deliveries.delivery_id = sealed_rows.delivery_id and deliveries.state =
'checked'
"""


@dataclass(frozen=True)
class PseudonymiseReport:
    """What one call sealed: counts only."""

    feed: str
    deliveries: int
    rows: int
    link_key_rows: int
    identities_kept: int
    packages: tuple[str, ...]


@dataclass(frozen=True)
class _Delivery:
    delivery_id: str
    delivery_date: date
    received_date: date
    kind: str


@dataclass(frozen=True)
class _Pseudonymised:
    """One table of a batch: rows in order of delivery, with the offsets where each delivery's rows begin."""

    table: Table
    payload: pa.Table
    link_keys: pa.Table | None
    arrivals: pa.Table | None
    offsets: Mapping[str, tuple[int, int]]
    homes: Mapping[str, Mapping[str, int]]
    """Rows by delivery and by how their home was found; empty for tables without addresses."""


def pseudonymise_deliveries(
    zone: CouncilZone, feed: str, delivery_ids: Sequence[str], night: date, *, epoch: int | None = None
) -> PseudonymiseReport:
    """Seal every delivery among `delivery_ids` whose rows are checked; the others are left as they are.

    Raises `AgreementError` if no live agreement covers what the feed lets out on `night`, and
    `KeyUnavailableError` if a key is missing; then nothing has left and nothing is written.
    """
    contract = zone.contracts[feed]
    agreement = require_agreement(contract, night, contract.path.parent.parent).agreement
    receiver = trusted_public_key(zone.home, "council", "analytics")
    for root in ("pseudonym", "linkage", "exchange"):
        zone.keys.root(root)
    with attached(zone.home.deliveries_db, storage_key(zone.keys, "deliveries")) as ledger:
        batch = [
            _Delivery(*row)
            for row in ledger.execute(CHECKED_DELIVERIES, [feed, list(delivery_ids)]).fetchall()
        ]
        if not batch:
            return PseudonymiseReport(feed, 0, 0, 0, 0, ())
        # Asked under the ledger's lock: a rotation turns the epoch under it.
        epoch = current_epoch(zone) if epoch is None else epoch
        refresh_gazetteer(zone, ledger)
        matched = matched_addresses(zone, ledger)
        tables = [
            _pseudonymised(zone, ledger, contract, table, batch, matched, epoch) for table in contract.tables
        ]
        tables += [_derived(zone, ledger, contract, table, batch) for table in contract.derived_tables]
        kept = _keep_identities(zone, contract, tables)
        packages = tuple(
            _write_package(zone, contract, agreement, epoch, delivery, tables, receiver) for delivery in batch
        )
        _finish(ledger, contract, batch, tables)
    return PseudonymiseReport(
        feed=feed,
        deliveries=len(batch),
        rows=sum(table.payload.num_rows for table in tables if table.table.derived_from is None),
        link_key_rows=sum(table.link_keys.num_rows for table in tables if table.link_keys is not None),
        identities_kept=kept,
        packages=packages,
    )


def _pseudonymised(
    zone: CouncilZone,
    ledger: duckdb.DuckDBPyConnection,
    contract: FeedContract,
    table: Table,
    batch: Sequence[_Delivery],
    matched: MatchedAddresses,
    epoch: int,
) -> _Pseudonymised:
    rows = _checked_rows(ledger, table, batch)
    rows, levels = _with_matched_uprns(table, rows, matched)
    references = record_references(table, rows, zone.keys, contract.agreement)
    link_keys: pa.Table | None = None
    arrived: pa.Table | None = None
    if table.holds_people:
        forwarding = matched.uprns(
            address_text(table, rows, Identifier.FORWARDING_ADDRESS),
            address_text(table, rows, Identifier.FORWARDING_POSTCODE),
            rows.num_rows,
        )
        people = identities(table, rows, references, forwarding)
        minors = _minors(people, rows, batch)
        link_keys = encode_link_keys(people, zone.keys, epoch, feed=contract.feed, minors=minors)
        arrived = arrivals(ledger, table, rows, people, _dates(batch))
    return _Pseudonymised(
        table=table,
        payload=_payload(zone, contract, table, rows, references),
        link_keys=link_keys,
        arrivals=arrived,
        offsets=_offsets(rows["delivery_id"], batch),
        homes={} if levels is None or is_gazetteer(table) else homes_by_delivery(rows["delivery_id"], levels),
    )


def _derived(
    zone: CouncilZone,
    ledger: duckdb.DuckDBPyConnection,
    contract: FeedContract,
    table: Table,
    batch: Sequence[_Delivery],
) -> _Pseudonymised:
    """Make a table that is in no file. Each row keeps the reference of the row that it is made from."""
    source = contract.table(table.derived_from or "")
    rows = _checked_rows(ledger, source, batch)
    references = record_references(source, rows, zone.keys, contract.agreement)
    made, parents = derived_rows(table, rows)
    return _Pseudonymised(
        table=table,
        payload=_payload(zone, contract, table, made, references.take(pa.array(parents))),
        link_keys=None,
        arrivals=None,
        offsets=_offsets(made["delivery_id"], batch),
        homes={},
    )


def _minors(people: pa.Table, rows: pa.Table, batch: Sequence[_Delivery]) -> npt.NDArray[np.bool_]:
    """Return which records are of children at the date of their delivery; no date of birth, no child."""
    born = pc.fill_null(people["date_of_birth"].cast(pa.int32()), NEVER_BORN).to_numpy()
    ids = pa.array([delivery.delivery_id for delivery in batch], pa.string())
    days = np.array([delivery.delivery_date for delivery in batch], dtype="datetime64[D]").astype(np.int64)
    return days[pc.index_in(rows["delivery_id"], value_set=ids).to_numpy()] - born < ADULT_DAYS


def _checked_rows(ledger: duckdb.DuckDBPyConnection, table: Table, batch: Sequence[_Delivery]) -> pa.Table:
    ledger.register(
        "batch", pa.table({"delivery_id": [d.delivery_id for d in batch], "place": list(range(len(batch)))})
    )
    rows = ledger.execute(
        f"select checked.* from checked_{table.qualified_name} as checked join batch using (delivery_id) "
        "order by batch.place, checked.row_number"
    ).fetch_arrow_table()
    ledger.unregister("batch")
    return rows.combine_chunks()


def _with_matched_uprns(
    table: Table, rows: pa.Table, matched: MatchedAddresses
) -> tuple[pa.Table, pa.Array | pa.ChunkedArray | None]:
    """Fill the UPRN from address matching where the partner gave none; return how each row's home was found as
    well, None for a table without addresses."""
    columns = table.with_identifier(Identifier.UPRN)
    if len(columns) != 1 or not table.with_identifier(Identifier.ADDRESS):
        return rows, None
    name = columns[0].name
    missing = pc.is_null(rows[name])
    if not pc.any(missing).as_py():
        return rows, pa.repeat(GIVEN, rows.num_rows)
    found = matched.matches(
        address_text(table, rows, Identifier.ADDRESS),
        address_text(table, rows, Identifier.POSTCODE),
        rows.num_rows,
        wanted=missing,
    )
    levels = pc.if_else(missing, pc.fill_null(found["level"], NO_ADDRESS), GIVEN)
    filled = pc.coalesce(rows[name], found["uprn"])
    return rows.set_column(rows.column_names.index(name), name, filled), levels


def _payload(
    zone: CouncilZone, contract: FeedContract, table: Table, rows: pa.Table, references: pa.Array
) -> pa.Table:
    schema = table.payload_schema
    columns: list[pa.Array | pa.ChunkedArray] = [references]
    columns += [_leaving(zone, contract, column, rows[column.name]) for column in table.payload_columns]
    fitted = [column.cast(field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.table(fitted, schema=schema).combine_chunks()


def _leaving(
    zone: CouncilZone, contract: FeedContract, column: Column, values: pa.ChunkedArray
) -> pa.ChunkedArray:
    match column.leaves:
        case Leaves.YEAR:
            return pc.year(values)
        case Leaves.PROPERTY:
            return property_references(values, zone.keys, contract.agreement)
        case Leaves.REFERENCE:
            return reversible_references(values, zone, contract)
        case _:
            return values


def reversible_references(values: pa.ChunkedArray, zone: CouncilZone, contract: FeedContract) -> pa.Array:
    """Return a partner's own references encrypted with AES-SIV (RFC 5297), hexadecimal; null stays null.

    The same reference in two tables of a feed stays the same; in another feed or agreement it does not.
    """
    cipher = AESSIV(
        derive_key(zone.keys.root("pseudonym"), "reference", contract.agreement, length=SIV_KEY_BYTES)
    )
    scope = [f"{contract.agreement}|{contract.feed}".encode()]
    distinct = values.combine_chunks().cast(pa.string()).dictionary_encode()
    encrypted = [cipher.encrypt(value.encode(), scope).hex() for value in distinct.dictionary.to_pylist()]
    return pa.array(encrypted, pa.string()).take(distinct.indices)


def original_reference(reference: str, zone: CouncilZone, contract: FeedContract) -> str:
    """Return the partner's own reference behind an encrypted one. Raises
    `cryptography.exceptions.InvalidTag`."""
    cipher = AESSIV(
        derive_key(zone.keys.root("pseudonym"), "reference", contract.agreement, length=SIV_KEY_BYTES)
    )
    return cipher.decrypt(
        bytes.fromhex(reference), [f"{contract.agreement}|{contract.feed}".encode()]
    ).decode()


def _dates(batch: Sequence[_Delivery]) -> pa.Table:
    return pa.table(
        {
            "delivery_id": pa.array([delivery.delivery_id for delivery in batch], pa.string()),
            "delivery_date": pa.array([delivery.delivery_date for delivery in batch], pa.date32()),
            "received_date": pa.array([delivery.received_date for delivery in batch], pa.date32()),
        }
    )


def _keep_identities(zone: CouncilZone, contract: FeedContract, tables: Sequence[_Pseudonymised]) -> int:
    arrived = [table.arrivals for table in tables if table.arrivals is not None]
    if not arrived:
        return 0
    with open_vault(zone, contract.partner) as vault:
        return sum(vault.keep(rows) for rows in arrived)


def _write_package(
    zone: CouncilZone,
    contract: FeedContract,
    agreement: str,
    epoch: int,
    delivery: _Delivery,
    tables: Sequence[_Pseudonymised],
    receiver: bytes,
) -> str:
    label = PackageLabel(
        feed=contract.feed,
        delivery_id=delivery.delivery_id,
        delivery_date=delivery.delivery_date,
        received_date=delivery.received_date,
        kind=delivery.kind,
        agreement=agreement,
        contract_version=contract.version,
        epoch=epoch,
        key_ids={root: key_id(zone.keys.root(root)) for root in ("linkage", "pseudonym")},
        homes=homes_of_delivery([table.homes for table in tables], delivery.delivery_id),
    )
    parts: list[Part] = []
    for table in tables:
        start, length = table.offsets[delivery.delivery_id]
        parts.append(Part("payload", table.table.name, table.payload.slice(start, length)))
        if table.link_keys is not None:
            parts.append(Part("link_keys", table.table.name, table.link_keys.slice(start, length)))
    name = f"{delivery.delivery_id}{SEALED_SUFFIX}"
    with (
        Exchange.of(zone.home).writing(OUTBOX, f"{contract.feed}/{name}") as path,
        path.open("wb") as package,
    ):
        seal_into(package, label, parts, zone.keys, receiver)
    return name


def _finish(
    ledger: duckdb.DuckDBPyConnection,
    contract: FeedContract,
    batch: Sequence[_Delivery],
    tables: Sequence[_Pseudonymised],
) -> None:
    """Mark the batch sealed and let go of its checked rows, in one transaction."""
    ids = [delivery.delivery_id for delivery in batch]
    sent = [table for table in tables if table.table.derived_from is None]
    counts = [sum(table.offsets[delivery_id][1] for table in sent) for delivery_id in ids]
    keep_homes(
        ledger,
        contract.feed,
        {each: homes_of_delivery([table.homes for table in tables], each) for each in ids},
    )
    ledger.register("sealed_rows", pa.table({"delivery_id": ids, "row_count": counts}))
    ledger.execute("begin")
    for table in contract.tables:
        checked = f"checked_{table.qualified_name}"
        ledger.execute(f"delete from {checked} where delivery_id in (select delivery_id from sealed_rows)")
    ledger.execute(MARK_SEALED, [contract.feed])
    ledger.execute("commit")
    ledger.unregister("sealed_rows")


def _offsets(delivery_ids: pa.ChunkedArray, batch: Sequence[_Delivery]) -> dict[str, tuple[int, int]]:
    """Return where each delivery's rows begin and how many they are; rows are in the batch's order."""
    counted = {item["values"]: item["counts"] for item in pc.value_counts(delivery_ids).to_pylist()}
    offsets, start = {}, 0
    for delivery in batch:
        length = counted.get(delivery.delivery_id, 0)
        offsets[delivery.delivery_id] = (start, length)
        start += length
    return offsets
