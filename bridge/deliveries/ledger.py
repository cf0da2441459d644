"""The ledger: which deliveries there are, what became of each, and of which files they were made.

A delivery is `registered` → `checked` → `sealed`, or `refused`, or a `duplicate` of one that came before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from bridge.zone import CouncilZone
from stores.encrypted import attached

STORE = "deliveries"
REGISTERED, CHECKED, SEALED, REFUSED, DUPLICATE = "registered", "checked", "sealed", "refused", "duplicate"
WAITING_STATES = (REGISTERED, CHECKED)

_SCHEMA = Path(__file__).with_name("ledger.sql")
_COLUMNS = (
    "feed, delivery_id, delivery_date, received_date, kind, content_mac, files, state, "
    "rows_in, rows_quarantined, rows_sealed, message, registered_on"
)


@dataclass(frozen=True)
class DeliveryFile:
    """One part of a delivery: the file that holds one of the contract's tables. `path` is relative to the inbox."""

    table: str
    path: str
    bytes: int
    content_mac: str

    @property
    def name(self) -> str:
        return Path(self.path).name


@dataclass(frozen=True)
class Delivery:
    """One delivery as the ledger has it. Row counts are None until the delivery has come so far."""

    feed: str
    delivery_id: str
    delivery_date: date
    received_date: date
    kind: str
    content_mac: str
    files: tuple[DeliveryFile, ...]
    state: str
    rows_in: int | None
    rows_quarantined: int | None
    rows_sealed: int | None
    message: str | None
    registered_on: date

    @property
    def paths(self) -> tuple[str, ...]:
        """The files in the inbox, each once: one file may hold several tables."""
        return tuple(dict.fromkeys(file.path for file in self.files))

    @property
    def bytes(self) -> int:
        return sum({file.path: file.bytes for file in self.files}.values())


@dataclass(frozen=True)
class InboxFile:
    """One file in the inbox whose name fits a contract, as last seen. `content_mac` is empty until read.

    `table` is the first of the contract's tables that are read from it.
    """

    path: str
    bytes: int
    mtime_ns: int
    received_date: date
    feed: str
    table: str
    delivery_date: date
    kind: str
    content_mac: str = ""


ANY_TABLE = "select 1 from duckdb_tables() where table_name = 'deliveries'"


@contextmanager
def writing(zone: CouncilZone) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield the ledger's connection inside one transaction, committed when the block ends well."""
    with attached(zone.home.deliveries_db, zone.storage_key(STORE)) as connection:
        connection.execute("begin")
        try:
            connection.execute(_SCHEMA.read_text(encoding="utf-8"))
            yield connection
        except BaseException:
            connection.execute("rollback")
            raise
        connection.execute("commit")


@contextmanager
def reading(zone: CouncilZone) -> Iterator[duckdb.DuckDBPyConnection | None]:
    """Yield a read-only connection to the ledger, or None while there is no ledger yet."""
    if not zone.home.deliveries_db.is_file():
        zone.storage_key(STORE)  # Without its key nothing may start, not even an empty look.
        yield None
        return
    with attached(zone.home.deliveries_db, zone.storage_key(STORE), read_only=True) as connection:
        # A run that was killed before its first commit leaves a store without a table.
        yield connection if connection.execute(ANY_TABLE).fetchone() else None


def deliveries(zone: CouncilZone, feed: str | None = None, state: str | None = None) -> list[Delivery]:
    """Return the deliveries of `feed` (or all) in `state` (or any), by feed, then as they were received."""
    with reading(zone) as connection:
        return [] if connection is None else read_deliveries(connection, feed, state)


def read_deliveries(
    connection: duckdb.DuckDBPyConnection, feed: str | None = None, state: str | None = None
) -> list[Delivery]:
    """`deliveries` on a connection that is already open."""
    rows = connection.execute(
        f"select {_COLUMNS} from deliveries where feed = coalesce(?, feed) and state = coalesce(?, state) "
        "order by feed, received_date, delivery_date, delivery_id",
        [feed, state],
    ).fetchall()
    return [_delivery(row) for row in rows]


def insert_deliveries(connection: duckdb.DuckDBPyConnection, fresh: Iterable[Delivery]) -> None:
    """Add deliveries; one that is there already is left as it is."""
    rows = [
        {**vars(delivery), "files": json.dumps([asdict(file) for file in delivery.files])}
        for delivery in fresh
    ]
    _insert(
        connection,
        f"insert into deliveries ({_COLUMNS}) select {_COLUMNS} from fresh on conflict do nothing",
        rows,
    )


def known_files(zone: CouncilZone) -> dict[str, InboxFile]:
    """Return the inbox's files as last seen, by path."""
    with reading(zone) as connection:
        return {} if connection is None else read_known_files(connection)


def read_known_files(connection: duckdb.DuckDBPyConnection) -> dict[str, InboxFile]:
    """`known_files` on a connection that is already open."""
    rows = connection.execute(
        "select path, bytes, mtime_ns, received_date, feed, table_name, delivery_date, kind, content_mac "
        "from inbox_files"
    ).fetchall()
    return {row[0]: InboxFile(*row) for row in rows}


def remember_files(connection: duckdb.DuckDBPyConnection, files: Iterable[InboxFile]) -> None:
    """Write down files as seen now, in place of what was known of the same paths."""
    rows = [vars(file) for file in files]
    _insert(
        connection,
        "insert or replace into inbox_files select path, bytes, mtime_ns, received_date, feed, "
        '"table", delivery_date, kind, content_mac from fresh',
        rows,
    )


def _insert(connection: duckdb.DuckDBPyConnection, statement: str, rows: Sequence[Mapping[str, Any]]) -> None:
    # In one statement over an Arrow table: row by row, DuckDB takes milliseconds for each.
    if rows:
        connection.register("fresh", pa.Table.from_pylist(list(rows)))
        connection.execute(statement)
        connection.unregister("fresh")


def _delivery(row: tuple[Any, ...]) -> Delivery:
    named = dict(zip(_COLUMNS.split(", "), row, strict=True))
    named["files"] = tuple(DeliveryFile(**file) for file in json.loads(named["files"]))
    return Delivery(**named)
