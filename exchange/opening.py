"""Opening sealed deliveries in the analytics zone: payload to the warehouse, link keys to the linkage store.

The two stores cannot commit together, so the order makes a stop harmless: the warehouse commits first and
knows which deliveries it holds; the linkage store commits last and marks the packages opened. A package met
again after a stop adds no payload row twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from exchange.link_key_schema import LINK_KEY_SCHEMA
from exchange.sealed import (
    SEALED_SUFFIX,
    OpenedPackage,
    PackageLabel,
    SealedPackageError,
    open_sealed,
    read_public_key,
)
from governance.contracts import FeedContract, Table
from stores.analytics import AnalyticsZone

SQL_TYPES = {
    pa.string(): "varchar",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.date32(): "date",
    pa.bool_(): "boolean",
    pa.int32(): "integer",
    pa.uint64(): "ubigint",
}

DELIVERY_FIELDS = (
    pa.field("delivery_id", pa.string()),
    pa.field("delivery_date", pa.date32()),
    pa.field("received_date", pa.date32()),
    pa.field("kind", pa.string()),
)
"""What every payload row carries about the delivery that brought it."""

LINK_KEY_FIELDS = (
    *LINK_KEY_SCHEMA,
    pa.field("feed", pa.string()),
    pa.field("table_name", pa.string()),
    *DELIVERY_FIELDS,
)

DELIVERY_LEDGER = """
create table if not exists records.deliveries (
    feed varchar, delivery_id varchar, delivery_date date, received_date date, kind varchar, row_count bigint,
    contract_version varchar, primary key (feed, delivery_id)
)
"""

OPENED_LEDGER = """
create table if not exists opened_packages (
    feed varchar, delivery_id varchar, epoch integer, row_count bigint, primary key (feed, delivery_id)
)
"""

PREPARED_FEEDS = "create table if not exists prepared_feeds (feed varchar primary key, shape varchar)"

NEWEST_LINK_KEYS = """
create or replace temp table newest_link_keys as
from arrived_link_keys
qualify row_number() over (
    partition by record_ref order by epoch desc, delivery_date desc, received_date desc, delivery_id desc
) = 1
"""

# An older delivery that arrives late must not put back an older identity.
FORGET_OUTDATED_LINK_KEYS = """
delete from link_keys using newest_link_keys as arrived
where link_keys.record_ref = arrived.record_ref
    and (link_keys.epoch, link_keys.delivery_date, link_keys.received_date, link_keys.delivery_id)
        < (arrived.epoch, arrived.delivery_date, arrived.received_date, arrived.delivery_id)
"""

ADD_LINK_KEYS = """
insert into link_keys by name
from newest_link_keys anti join link_keys using (record_ref)
"""


@dataclass(frozen=True)
class RefusedPackage:
    """A package that was not opened, and why; the reason holds no value."""

    file_name: str
    reason: str


@dataclass(frozen=True)
class OpeningReport:
    """What one call opened: counts per feed table, and what it refused."""

    feed: str
    packages: int
    payload_rows: dict[str, int]
    link_key_rows: int
    refused: tuple[RefusedPackage, ...] = field(default=())

    @property
    def rows(self) -> int:
        return sum(self.payload_rows.values())


def open_packages(zone: AnalyticsZone, feed: FeedContract) -> OpeningReport:
    """Open every package of `feed` in the outbox that has not been opened yet, each once.

    A package that is damaged, not for this zone, from another sender, or holding columns that the contract
    does not let out is refused whole and listed in the report; it is tried again the next time. The others
    go on. Raises `KeyUnavailableError` before anything is written if a key is missing.
    """
    state = _linkage_state(zone)
    if state.prepared.get(feed.feed) != _shape(feed):
        ensure_stores(zone, [feed])
    waiting = _unopened(zone, feed, state.opened.get(feed.feed, frozenset()))
    packages: list[OpenedPackage] = []
    refused: list[RefusedPackage] = []
    if waiting:
        sender = read_public_key(zone.home, "council")
        zone.keys.root("exchange")
        for path in waiting:
            try:
                package = open_sealed(path.read_bytes(), zone.keys, sender)
                _check_against_contract(package, feed, path)
                packages.append(package)
            except SealedPackageError as error:
                refused.append(RefusedPackage(path.name, str(error)))
    if not packages:
        return OpeningReport(feed.feed, 0, {table.name: 0 for table in feed.tables}, 0, tuple(refused))
    payload_rows = _store_payload(zone, feed, packages)
    link_key_rows = _store_link_keys(zone, feed, packages)
    return OpeningReport(feed.feed, len(packages), payload_rows, link_key_rows, tuple(refused))


def ensure_stores(zone: AnalyticsZone, feeds: Iterable[FeedContract]) -> None:
    """Make the warehouse's `records` tables and the linkage store's tables, as the contracts say, where
    missing."""
    known = _linkage_state(zone).prepared
    missing = [feed for feed in feeds if known.get(feed.feed) != _shape(feed)]
    if not missing:
        return
    with zone.warehouse() as warehouse:
        warehouse.execute("create schema if not exists records")
        warehouse.execute(DELIVERY_LEDGER)
        warehouse.execute("create table if not exists records.people (record_ref varchar, person_id varchar)")
        for feed in missing:
            for table in feed.tables:
                _ensure_table(warehouse, f"records.{table.qualified_name}", _payload_fields(table))
    with zone.linkage() as linkage:
        linkage.execute(OPENED_LEDGER)
        linkage.execute(PREPARED_FEEDS)
        _ensure_table(linkage, "link_keys", LINK_KEY_FIELDS)
        linkage.executemany(
            "insert or replace into prepared_feeds values (?, ?)",
            [[feed.feed, _shape(feed)] for feed in missing],
        )


@dataclass(frozen=True)
class _LinkageState:
    """What the linkage store knows of feeds: the shape their tables were made in, and the packages opened."""

    prepared: Mapping[str, str]
    opened: Mapping[str, frozenset[str]]


def _linkage_state(zone: AnalyticsZone) -> _LinkageState:
    if not (zone.home.linkage_db.is_file() and zone.home.warehouse_db.is_file()):
        return _LinkageState({}, {})
    with zone.linkage(read_only=True) as linkage:
        names = {row[0] for row in linkage.execute("select table_name from duckdb_tables()").fetchall()}
        if "prepared_feeds" not in names:
            return _LinkageState({}, {})
        prepared = dict(linkage.execute("select feed, shape from prepared_feeds").fetchall())
        opened = linkage.execute(
            "select feed, list(delivery_id) from opened_packages group by feed"
        ).fetchall()
    return _LinkageState(prepared, {feed: frozenset(delivery_ids) for feed, delivery_ids in opened})


def _shape(feed: FeedContract) -> str:
    """Return a digest of the tables and columns that `feed` needs in the warehouse."""
    described = [
        (table.qualified_name, [(column.name, str(column.type)) for column in _payload_fields(table)])
        for table in feed.tables
    ]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def _ensure_table(connection: duckdb.DuckDBPyConnection, name: str, fields: Sequence[pa.Field]) -> None:
    columns = ", ".join(f'"{column.name}" {_sql_type(column.type)}' for column in fields)
    connection.execute(f"create table if not exists {name} ({columns})")
    for column in fields:
        # A contract that lets out one more column than before widens its table; older rows hold null there.
        connection.execute(
            f'alter table {name} add column if not exists "{column.name}" {_sql_type(column.type)}'
        )


def _sql_type(kind: pa.DataType) -> str:
    return "blob" if pa.types.is_fixed_size_binary(kind) else SQL_TYPES[kind]


def _payload_fields(table: Table) -> tuple[pa.Field, ...]:
    return (*table.payload_schema, *DELIVERY_FIELDS)


def _unopened(zone: AnalyticsZone, feed: FeedContract, opened: frozenset[str]) -> list[Path]:
    folder = zone.home.outbox / feed.feed
    paths = sorted(folder.glob(f"*{SEALED_SUFFIX}")) if folder.is_dir() else []
    return [path for path in paths if path.name.removesuffix(SEALED_SUFFIX) not in opened]


def _check_against_contract(package: OpenedPackage, feed: FeedContract, path: Path) -> None:
    label = package.label
    if label.feed != feed.feed or label.delivery_id != path.name.removesuffix(SEALED_SUFFIX):
        raise SealedPackageError("it holds another delivery than its name says")
    if label.agreement != feed.agreement:
        raise SealedPackageError(f"it was sent under agreement {label.agreement}, not {feed.agreement}")
    tables = {table.name: table for table in feed.tables}
    for part in package.parts:
        table = tables.get(part.table)
        if table is None:
            raise SealedPackageError(f"the contract has no table {part.table}")
        agreed = LINK_KEY_SCHEMA if part.kind == "link_keys" else table.payload_schema
        for column in part.rows.schema:
            if column.name not in agreed.names or agreed.field(column.name).type != column.type:
                raise SealedPackageError(
                    f"{part.kind}.{part.table} holds {column.name}, which was not agreed"
                )
        if "record_ref" not in part.rows.column_names:
            raise SealedPackageError(f"{part.kind}.{part.table} holds no record_ref")
        if part.kind == "link_keys" and not table.holds_people:
            raise SealedPackageError(f"{part.table} names no people, yet it holds link keys")


def _store_payload(
    zone: AnalyticsZone, feed: FeedContract, packages: Sequence[OpenedPackage]
) -> dict[str, int]:
    with zone.warehouse() as warehouse:
        held = {
            delivery_id
            for (delivery_id,) in warehouse.execute(
                "select delivery_id from records.deliveries where feed = ?", [feed.feed]
            ).fetchall()
        }
        arriving = [package for package in packages if package.label.delivery_id not in held]
        counts = {table.name: 0 for table in feed.tables}
        warehouse.execute("begin")
        for table in feed.tables:
            parts = [
                _with_delivery(rows, package.label)
                for package in arriving
                if (rows := package.part("payload", table.name)) is not None
            ]
            if parts:
                counts[table.name] = _insert(warehouse, f"records.{table.qualified_name}", parts)
        for package in arriving:
            label = package.label
            row_count = sum(part.rows.num_rows for part in package.parts if part.kind == "payload")
            warehouse.execute(
                "insert into records.deliveries values (?, ?, ?, ?, ?, ?, ?)",
                [
                    label.feed,
                    label.delivery_id,
                    label.delivery_date,
                    label.received_date,
                    label.kind,
                    row_count,
                    label.contract_version,
                ],
            )
        warehouse.execute("commit")
    return counts


def _store_link_keys(zone: AnalyticsZone, feed: FeedContract, packages: Sequence[OpenedPackage]) -> int:
    parts = [
        _with_delivery(part.rows, package.label)
        .append_column("feed", pa.repeat(feed.feed, part.rows.num_rows))
        .append_column("table_name", pa.repeat(part.table, part.rows.num_rows))
        for package in packages
        for part in package.parts
        if part.kind == "link_keys"
    ]
    with zone.linkage() as linkage:
        linkage.execute("begin")
        if parts:
            linkage.register("arrived_link_keys", pa.concat_tables(parts, promote_options="default"))
            linkage.execute(NEWEST_LINK_KEYS)
            linkage.execute(FORGET_OUTDATED_LINK_KEYS)
            linkage.execute(ADD_LINK_KEYS)
            linkage.execute("drop table newest_link_keys")
            linkage.unregister("arrived_link_keys")
        linkage.executemany(
            "insert into opened_packages values (?, ?, ?, ?)",
            [
                [
                    package.label.feed,
                    package.label.delivery_id,
                    package.label.epoch,
                    sum(part.rows.num_rows for part in package.parts if part.kind == "payload"),
                ]
                for package in packages
            ],
        )
        linkage.execute("commit")
    return sum(part.num_rows for part in parts)


def _with_delivery(rows: pa.Table, label: PackageLabel) -> pa.Table:
    values = (label.delivery_id, label.delivery_date, label.received_date, label.kind)
    for column, value in zip(DELIVERY_FIELDS, values, strict=True):
        rows = rows.append_column(column, pa.repeat(pa.scalar(value, column.type), rows.num_rows))
    return rows


def _insert(connection: duckdb.DuckDBPyConnection, table: str, parts: Sequence[pa.Table]) -> int:
    arrived = pa.concat_tables(parts, promote_options="default")
    connection.register("arrived_rows", arrived)
    connection.execute(f"insert into {table} by name select * from arrived_rows")
    connection.unregister("arrived_rows")
    return arrived.num_rows
