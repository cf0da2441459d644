"""Opening sealed deliveries in the analytics zone: payload to the warehouse, link keys to the linkage store.

The two stores cannot commit together, so the order makes a stop harmless: the warehouse commits first and
knows which deliveries it holds; the linkage store commits last and marks the packages opened. A package met
again after a stop adds no payload row twice.

Link keys of two epochs never meet. Those of a later epoch than the linkage store's are held back until the epoch
turns (`exchange.epoch_turn`); those of an earlier one are dropped, since the rotation brought the same identities
in the new epoch. A package of an earlier epoch goes from the outbox once it is opened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from exchange.acceptance import check_accepted
from exchange.epoch_packages import EPOCH_NAME, EPOCHS_FOLDER, manifest_name
from exchange.epoch_turn import add_link_keys, linkage_epoch, turn_epoch, waiting_epoch
from exchange.link_key_schema import FIRST_EPOCH, LINK_KEY_SCHEMA
from exchange.sealed import (
    SEALED_SUFFIX,
    OpenedPackage,
    PackageLabel,
    SealedPackageError,
    open_sealed,
    trusted_public_key,
)
from exchange.transport import OUTBOX, Exchange
from governance.address_levels import HOME_LEVELS
from governance.contracts import FeedContract, Table, read_contracts
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

DELIVERY_COUNTS = tuple(pa.field(f"homes_{level}", pa.int64()) for level in HOME_LEVELS)
"""Of `records.deliveries`: rows of people by how their home was found; null where a package does not tell."""

PERSON_QUALITY = """
create table if not exists records.person_quality (
    person_id varchar, records bigint, identities bigint, feeds bigint, links bigint, density double,
    weakest_link double, confidence double, refused_links bigint
)
"""
"""How sure linkage is of each person; linkage fills it as it does `records.people`."""

OPENED_LEDGER = """
create table if not exists opened_packages (
    feed varchar, delivery_id varchar, epoch integer, row_count bigint, primary key (feed, delivery_id)
)
"""

PREPARED_FEEDS = "create table if not exists prepared_feeds (feed varchar primary key, shape varchar)"


@dataclass(frozen=True)
class RefusedPackage:
    """A package that was not opened, and why; the reason holds no value."""

    file_name: str
    reason: str


@dataclass(frozen=True)
class OpeningReport:
    """What one call opened: counts per feed table, and what it refused.

    `held_back`, `outdated`: link keys of a later epoch that wait for it, and of an earlier one that were dropped.
    `turned_to_epoch`: the epoch, where this call turned it.
    """

    feed: str
    packages: int
    payload_rows: dict[str, int]
    link_key_rows: int
    refused: tuple[RefusedPackage, ...] = field(default=())
    held_back: int = 0
    outdated: int = 0
    turned_to_epoch: int | None = None

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
    packages: list[OpenedPackage] = []
    refused: list[RefusedPackage] = []
    turned = _turn_if_due(zone, state.epoch, refused)
    _remove_epochs(zone, turned or state.epoch)
    opened = state.opened.get(feed.feed, {})
    there = _package_names(zone, feed)
    _remove(zone, feed, _of_earlier_epochs(there, opened, turned or state.epoch))
    waiting = [name for name in there if name.removesuffix(SEALED_SUFFIX) not in opened]
    if waiting:
        sender = trusted_public_key(zone.home, "analytics", "council")
        zone.keys.root("exchange")
        exchange = Exchange.of(zone.home)
        for name in waiting:
            try:
                with exchange.reading(OUTBOX, f"{feed.feed}/{name}") as path:
                    package = open_sealed(path, zone.keys, sender)
                check_accepted(package, feed, name.removesuffix(SEALED_SUFFIX))
                packages.append(package)
            except SealedPackageError as error:
                refused.append(RefusedPackage(name, str(error)))
    if not packages:
        nothing = {table.name: 0 for table in feed.payload_tables}
        return OpeningReport(feed.feed, 0, nothing, 0, tuple(refused), turned_to_epoch=turned)
    payload_rows = _store_payload(zone, feed, packages)
    stored = _store_link_keys(zone, feed, packages)
    just_opened = {package.label.delivery_id: package.label.epoch for package in packages}
    _remove(zone, feed, _of_earlier_epochs(there, just_opened, stored.epoch))
    return OpeningReport(
        feed=feed.feed,
        packages=len(packages),
        payload_rows=payload_rows,
        link_key_rows=stored.kept,
        refused=tuple(refused),
        held_back=stored.held_back,
        outdated=stored.outdated,
        turned_to_epoch=turned,
    )


def _turn_if_due(zone: AnalyticsZone, current: int, refused: list[RefusedPackage]) -> int | None:
    """Turn the linkage epoch if the council has rotated it and all packages are there; return the new one."""
    epoch = waiting_epoch(zone, current)
    if epoch is None:
        return None
    sender = trusted_public_key(zone.home, "analytics", "council")
    try:
        turned = turn_epoch(
            zone, epoch, read_contracts(), lambda package: open_sealed(package, zone.keys, sender)
        )
    except SealedPackageError as error:
        refused.append(RefusedPackage(manifest_name(epoch), str(error)))
        return None
    return turned.epoch if turned else None


def _remove_epochs(zone: AnalyticsZone, epoch: int) -> None:
    """Take the packages of epochs that are turned, and of those before, from the outbox: nobody needs them again."""
    exchange = Exchange.of(zone.home)
    for name in exchange.names(OUTBOX, EPOCHS_FOLDER):
        named = EPOCH_NAME.match(name)
        if named and int(named["epoch"]) <= epoch:
            exchange.remove(OUTBOX, f"{EPOCHS_FOLDER}/{name}")


def _package_names(zone: AnalyticsZone, feed: FeedContract) -> list[str]:
    names = Exchange.of(zone.home).names(OUTBOX, feed.feed)
    return [name for name in names if name.endswith(SEALED_SUFFIX)]


def _of_earlier_epochs(names: Iterable[str], opened: Mapping[str, int], epoch: int) -> list[str]:
    """Return which packages were opened and hold link keys of an epoch before `epoch`."""
    return [name for name in names if opened.get(name.removesuffix(SEALED_SUFFIX), epoch) < epoch]


def _remove(zone: AnalyticsZone, feed: FeedContract, names: Iterable[str]) -> None:
    exchange = Exchange.of(zone.home)
    for name in names:
        exchange.remove(OUTBOX, f"{feed.feed}/{name}")


def opened_packages(zone: AnalyticsZone) -> Mapping[str, Mapping[str, int]]:
    """Return the deliveries whose packages have been opened, by feed, each with the epoch it was sealed in."""
    return _linkage_state(zone).opened


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
        _ensure_table(warehouse, "records.deliveries", DELIVERY_COUNTS)
        warehouse.execute("create table if not exists records.people (record_ref varchar, person_id varchar)")
        warehouse.execute(PERSON_QUALITY)
        for feed in missing:
            for table in feed.payload_tables:
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
    """What the linkage store knows of feeds: the shape their tables were made in, the packages opened, and the
    epoch."""

    prepared: Mapping[str, str]
    opened: Mapping[str, Mapping[str, int]]
    epoch: int = FIRST_EPOCH


def _linkage_state(zone: AnalyticsZone) -> _LinkageState:
    if not (zone.home.linkage_db.is_file() and zone.home.warehouse_db.is_file()):
        return _LinkageState({}, {})
    with zone.linkage(read_only=True) as linkage:
        names = {row[0] for row in linkage.execute("select table_name from duckdb_tables()").fetchall()}
        if "prepared_feeds" not in names:
            return _LinkageState({}, {})
        prepared = dict(linkage.execute("select feed, shape from prepared_feeds").fetchall())
        opened = linkage.execute(
            "select feed, map(list(delivery_id), list(epoch)) from opened_packages group by feed"
        ).fetchall()
        epoch = linkage_epoch(linkage)
    return _LinkageState(prepared, dict(opened), epoch)


def _shape(feed: FeedContract) -> str:
    """Return a digest of the tables and columns that `feed` needs in the warehouse."""
    described = [
        (table.qualified_name, [(column.name, str(column.type)) for column in _payload_fields(table)])
        for table in feed.payload_tables
    ]
    link_keys = [(column.name, str(column.type)) for column in LINK_KEY_FIELDS]
    counts = [column.name for column in DELIVERY_COUNTS]
    return hashlib.sha256(json.dumps([described, link_keys, counts]).encode()).hexdigest()


def _ensure_table(connection: duckdb.DuckDBPyConnection, name: str, fields: Sequence[pa.Field]) -> None:
    columns = ", ".join(
        f'"{column.name}" {_sql_type(column.type)}{_stored(column.type)}' for column in fields
    )
    connection.execute(f"create table if not exists {name} ({columns})")
    for column in fields:
        # A contract that lets out one more column than before widens its table; older rows hold null there.
        connection.execute(
            f'alter table {name} add column if not exists "{column.name}" {_sql_type(column.type)}'
        )


def _sql_type(kind: pa.DataType) -> str:
    return "blob" if pa.types.is_fixed_size_binary(kind) else SQL_TYPES[kind]


def _stored(kind: pa.DataType) -> str:
    """Filters and tokens look random: trying to compress them takes four times as long as writing them down."""
    keyed = pa.types.is_fixed_size_binary(kind) or pa.types.is_uint64(kind)
    return " using compression uncompressed" if keyed else ""


def _payload_fields(table: Table) -> tuple[pa.Field, ...]:
    return (*table.payload_schema, *DELIVERY_FIELDS)


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
        counts = {table.name: 0 for table in feed.payload_tables}
        warehouse.execute("begin")
        for table in feed.payload_tables:
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
            delivered = {
                "feed": label.feed,
                "delivery_id": label.delivery_id,
                "delivery_date": label.delivery_date,
                "received_date": label.received_date,
                "kind": label.kind,
                "row_count": row_count,
                "contract_version": label.contract_version,
            }
            delivered |= {
                f"homes_{level}": label.homes.get(level, 0) if label.homes else None for level in HOME_LEVELS
            }
            warehouse.execute(
                f"insert into records.deliveries ({', '.join(delivered)}) "
                f"values ({', '.join('?' * len(delivered))})",
                list(delivered.values()),
            )
        warehouse.execute("commit")
    return counts


@dataclass(frozen=True)
class _StoredLinkKeys:
    """How many link keys were kept, held back for a later epoch, and dropped; and the epoch that decided it."""

    epoch: int
    kept: int
    held_back: int
    outdated: int


def _store_link_keys(
    zone: AnalyticsZone, feed: FeedContract, packages: Sequence[OpenedPackage]
) -> _StoredLinkKeys:
    with zone.linkage() as linkage:
        epoch = linkage_epoch(linkage)
        current, later, earlier = (
            _arrived_link_keys(feed, [package for package in packages if chosen(package.label.epoch)])
            for chosen in (epoch.__eq__, epoch.__lt__, epoch.__gt__)
        )
        if later is not None:
            _ensure_table(linkage, "held_link_keys", LINK_KEY_FIELDS)
        linkage.execute("begin")
        if current is not None:
            add_link_keys(linkage, current)
        if later is not None:
            linkage.register("arrived_link_keys", later)
            linkage.execute("insert into held_link_keys by name from arrived_link_keys")
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
    kept, held_back, outdated = (0 if rows is None else rows.num_rows for rows in (current, later, earlier))
    return _StoredLinkKeys(epoch, kept, held_back, outdated)


def _arrived_link_keys(feed: FeedContract, packages: Sequence[OpenedPackage]) -> pa.Table | None:
    parts = [
        _with_delivery(part.rows, package.label)
        .append_column("feed", pa.repeat(feed.feed, part.rows.num_rows))
        .append_column("table_name", pa.repeat(part.table, part.rows.num_rows))
        for package in packages
        for part in package.parts
        if part.kind == "link_keys"
    ]
    return pa.concat_tables(parts, promote_options="default") if parts else None


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
