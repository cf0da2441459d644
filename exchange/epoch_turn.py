"""Turning the linkage epoch in the analytics zone: all old link keys go and all new ones come, in one move.

A fresh linkage store is written beside the old one: everything but the link keys is copied, the new ones come
from the epoch's packages and from deliveries of the new epoch that were held back. Then it takes the old store's
place. Stopped before that, nothing has happened; afterwards no byte of an old link key is left in the store.

No join breaks, since record references and person ids are not made with the epoch's keys. Where the same
identities stand behind the new link keys, the people resolved from the old ones stay as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from exchange.epoch_packages import (
    EPOCH_KIND,
    EPOCH_SCHEMA,
    EPOCHS_FOLDER,
    MANIFEST,
    MANIFEST_NAME,
    MANIFEST_SCHEMA,
    manifest_name,
)
from exchange.link_key_schema import FIRST_EPOCH
from exchange.sealed import OpenedPackage, SealedPackageError
from exchange.transport import OUTBOX, Exchange
from governance.contracts import FeedContract
from stores.analytics import LINKAGE_STORE, AnalyticsZone
from stores.checkpoints import put_in_place, remove_store
from stores.encrypted import (
    STORE,
    attach,
    borrowed_connection,
    storage_key,
    writer_lock,
)
from stores.rewriting import write_back_log
from stores.row_hash import rows_hash

ASIDE_SUFFIX = ".turning"

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

TABLES = """
select schema_name, table_name from duckdb_tables() where database_name = ? and not temporary order by all
"""

IDENTITIES = f"""
select count(*), {rows_hash("record_ref, feed, table_name, delivery_id, delivery_date, received_date")}
from {{database}}.link_keys
"""

OF_OLD_LINK_KEYS = frozenset({"link_keys", "held_link_keys", "linkage_epoch", "linked_records"})
"""Tables that a turn does not carry over: what they hold is or was made from the old epoch's link keys. Without
`linked_records`, the next night that has something to link links from nothing."""

LINK_KEYS_NOT_COMPARED = frozenset(
    {"epoch", "key_id", "table_name", "delivery_id", "delivery_date", "received_date", "kind"}
)
"""Columns of `link_keys` that linkage does not read."""

OpenPackage = Callable[[Path], OpenedPackage]


@dataclass(frozen=True)
class TurnReport:
    """What a turn did: the epoch turned to, link keys before and after, and whether people stay as they are."""

    epoch: int
    link_keys_before: int
    link_keys_after: int
    same_identities: bool


def linkage_epoch(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the epoch of the link keys in the attached linkage store."""
    if not _has_table(connection, STORE, "linkage_epoch"):
        return FIRST_EPOCH
    row = connection.execute(f"select max(epoch) from {STORE}.linkage_epoch").fetchone()
    return int(row[0]) if row and row[0] is not None else FIRST_EPOCH


def add_link_keys(connection: duckdb.DuckDBPyConnection, arrived: pa.Table) -> None:
    """Put link keys that arrived into `link_keys`: the newest of each record stays."""
    connection.register("arrived_link_keys", arrived)
    connection.execute(NEWEST_LINK_KEYS)
    connection.execute(FORGET_OUTDATED_LINK_KEYS)
    connection.execute(ADD_LINK_KEYS)
    connection.execute("drop table newest_link_keys")
    connection.unregister("arrived_link_keys")


def link_keys_digest(connection: duckdb.DuckDBPyConnection, database: str = STORE) -> str:
    """Return a digest of what linkage reads of `link_keys`: equal link keys give equal people."""
    columns = [
        name
        for (name,) in connection.execute(
            "select column_name from duckdb_columns() where database_name = ? and table_name = 'link_keys'",
            [database],
        ).fetchall()
        if name not in LINK_KEYS_NOT_COMPARED
    ]
    listed = ", ".join(f'"{name}"' for name in sorted(columns))
    row = connection.execute(
        f"select count(*) || '-' || coalesce({rows_hash(listed)}, 0) from {database}.link_keys"
    ).fetchone()
    assert row is not None  # noqa: S101  an aggregate without groups always has one row
    return str(row[0])


def waiting_epoch(zone: AnalyticsZone, current: int) -> int | None:
    """Return the newest epoch after `current` whose manifest is in the outbox; None if there is none."""
    manifests = map(MANIFEST_NAME.match, Exchange.of(zone.home).names(OUTBOX, EPOCHS_FOLDER))
    epochs = [int(manifest["epoch"]) for manifest in manifests if manifest]
    return max((epoch for epoch in epochs if epoch > current), default=None)


def turn_epoch(
    zone: AnalyticsZone, epoch: int, contracts: Mapping[str, FeedContract], open_package: OpenPackage
) -> TurnReport | None:
    """Take the linkage store to `epoch`; None if another process has done so meanwhile.

    `open_package` opens a sealed package's file. Raises `SealedPackageError` if the manifest or a package it lists
    is missing, damaged, or not what a contract agreed; then nothing has changed.
    """
    exchange = Exchange.of(zone.home)
    manifest = _manifest(exchange, epoch, open_package)
    path = zone.home.linkage_db
    aside = path.with_name(path.name + ASIDE_SUFFIX)
    with writer_lock(path):
        write_back_log(path, storage_key(zone.keys, LINKAGE_STORE))
        remove_store(aside)
        with borrowed_connection() as connection:
            attach(connection, path, storage_key(zone.keys, LINKAGE_STORE), STORE, read_only=True)
            if linkage_epoch(connection) >= epoch:
                return None
            key = storage_key(zone.keys, LINKAGE_STORE, zone.keys.current("storage"))
            attach(connection, aside, key, "fresh", read_only=False)
            report = _fill(connection, exchange, epoch, manifest, contracts, open_package)
        put_in_place(aside, path)
    return report


def _fill(
    connection: duckdb.DuckDBPyConnection,
    exchange: Exchange,
    epoch: int,
    manifest: Sequence[Mapping[str, object]],
    contracts: Mapping[str, FeedContract],
    open_package: OpenPackage,
) -> TurnReport:
    connection.execute(f"copy from database {STORE} to fresh (schema)")
    held = _has_table(connection, STORE, "held_link_keys")
    for schema, table in connection.execute(TABLES, [STORE]).fetchall():
        if table not in OF_OLD_LINK_KEYS:
            connection.execute(f'insert into fresh."{schema}"."{table}" from {STORE}."{schema}"."{table}"')
    connection.execute("use fresh")
    for listed in manifest:
        _add_package(connection, exchange, epoch, listed, contracts, open_package)
    if held:
        query = f"from {STORE}.held_link_keys where epoch = {epoch}"
        add_link_keys(connection, connection.execute(query).to_arrow_table())
        connection.execute(f"insert into held_link_keys from {STORE}.held_link_keys where epoch > {epoch}")
    connection.execute("create table if not exists linkage_epoch (epoch integer)")
    connection.execute("insert into linkage_epoch values (?)", [epoch])
    before, after = (
        connection.execute(IDENTITIES.format(database=database)).fetchone() or ()
        for database in (STORE, "fresh")
    )
    same = before == after
    if same:
        _keep_people(connection)
    return TurnReport(epoch=epoch, link_keys_before=before[0], link_keys_after=after[0], same_identities=same)


def _keep_people(connection: duckdb.DuckDBPyConnection) -> None:
    """Say in the fresh store that its people were resolved from its link keys, if they were from the old ones."""
    if not _has_table(connection, STORE, "people_state"):
        return
    connection.execute(
        "update people_state set digest = replace(digest, ?, ?) where starts_with(digest, ?)",
        [
            before := link_keys_digest(connection, STORE) + "-",
            link_keys_digest(connection, "fresh") + "-",
            before,
        ],
    )


def _manifest(exchange: Exchange, epoch: int, open_package: OpenPackage) -> Sequence[Mapping[str, object]]:
    with exchange.reading(OUTBOX, f"{EPOCHS_FOLDER}/{manifest_name(epoch)}") as path:
        package = open_package(path)
    label, rows = package.label, package.part("link_keys", MANIFEST)
    if (label.kind, label.feed, label.epoch) != (EPOCH_KIND, EPOCHS_FOLDER, epoch) or rows is None:
        raise SealedPackageError("it is not the manifest of this epoch")
    if not rows.schema.equals(MANIFEST_SCHEMA):
        raise SealedPackageError("the manifest has other columns than it should")
    listed: list[Mapping[str, object]] = rows.to_pylist()
    return listed


def _add_package(
    connection: duckdb.DuckDBPyConnection,
    exchange: Exchange,
    epoch: int,
    listed: Mapping[str, object],
    contracts: Mapping[str, FeedContract],
    open_package: OpenPackage,
) -> None:
    name = str(listed["file_name"])
    try:
        with exchange.reading(OUTBOX, f"{EPOCHS_FOLDER}/{name}") as path:
            if file_digest(path) != listed["sha256"]:
                raise SealedPackageError(f"{name} is not the one that the manifest lists")
            package = open_package(path)
    except FileNotFoundError:
        raise SealedPackageError(f"{name} is missing, which the manifest lists") from None
    connection.register("arrived", _checked_rows(package, name, epoch, listed, contracts))
    connection.execute("insert into link_keys by name from arrived")
    connection.unregister("arrived")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _checked_rows(
    package: OpenedPackage,
    name: str,
    epoch: int,
    listed: Mapping[str, object],
    contracts: Mapping[str, FeedContract],
) -> pa.Table:
    label = package.label
    contract = contracts.get(label.feed)
    if contract is None or label.feed != listed["feed"] or label.agreement != contract.agreement:
        raise SealedPackageError(f"{name} is of a feed or an agreement that no contract names")
    named = {table.name for table in contract.tables if table.holds_people}
    if len(package.parts) != 1 or package.parts[0].kind != "link_keys" or package.parts[0].table not in named:
        raise SealedPackageError(f"{name} holds other than the link keys of one table of people")
    part = package.parts[0]
    if (label.kind, label.epoch, part.table) != (EPOCH_KIND, epoch, listed["table_name"]):
        raise SealedPackageError(f"{name} is of another epoch or table than the manifest says")
    if part.rows.num_rows != listed["row_count"] or not part.rows.schema.equals(EPOCH_SCHEMA):
        raise SealedPackageError(f"{name} has other rows or columns than it should")
    return part.rows.append_column("feed", pa.repeat(label.feed, part.rows.num_rows)).append_column(
        "table_name", pa.repeat(part.table, part.rows.num_rows)
    )


def _has_table(connection: duckdb.DuckDBPyConnection, database: str, table: str) -> bool:
    return bool(
        _count(
            connection,
            "select count(*) from duckdb_tables() where database_name = ? and table_name = ?",
            [database, table],
        )
    )


def _count(connection: duckdb.DuckDBPyConnection, query: str, values: Sequence[object] = ()) -> int:
    row = connection.execute(query, list(values)).fetchone()
    return int(row[0]) if row else 0
