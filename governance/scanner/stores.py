"""The decoded cells of every kind of store: DuckDB (encrypted or not), SQLite, Parquet and Arrow files, packages."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from governance.scanner.searching import CELLS_AT_ONCE, Search
from stores.encrypted import STORE, attached

SQLITE_MAGIC = b"SQLite format 3\0"
DUCKDB_MAGIC, DUCKDB_MAGIC_AT, DUCKDB_FLAGS_AT = b"DUCK", 8, 20
DUCKDB_ENCRYPTED = 1
PARQUET_MAGIC, ARROW_MAGIC = b"PAR1", b"ARROW1"
PACKAGE_SUFFIX, PACKAGE_MAGIC = ".sealed", b"DSTPSEAL"

COLUMNS = """
select schema_name, table_name, column_name, data_type
from duckdb_columns() join duckdb_tables() using (database_name, schema_name, table_name)
where database_name = ?
order by all
"""


class PackageReader(Protocol):
    """Opens sealed packages; the scanner itself knows nothing of how they are sealed."""

    def tables(self, path: Path) -> Iterator[tuple[str, pa.Table]]:
        """Yield (part, rows) of the package at `path`. Raises `ValueError` if it cannot be opened."""
        ...

    def plant(self, path: Path, rows: pa.Table) -> None:
        """Write a package of `rows` at `path`, sealed as the pipeline seals them."""
        ...


@dataclass(frozen=True)
class KeyedStore:
    """An encrypted DuckDB store: where it lies, its key, and the columns ("table.column") or tables that hold
    identities on purpose."""

    path: Path
    key: str
    on_purpose: Collection[str] = ()


def search_duckdb(search: Search, store: KeyedStore, file: str) -> None:
    """Search every cell of a DuckDB store, what waits in its write-ahead log with them.

    Raises `StoreUnreadableError` or `duckdb.Error`.
    """
    with _opened(store) as connection:
        columns = connection.execute(COLUMNS, [STORE]).fetchall()
        for schema, table, column, kind in columns:
            if {table, f"{table}.{column}"} & set(store.on_purpose):
                continue
            text = f'to_json("{column}")::varchar' if kind.endswith("]") or "(" in kind else f'"{column}"'
            text = f"{text}::varchar" if kind in ("JSON", "UUID", "HUGEINT", "UHUGEINT") else text
            cells = connection.execute(f'select distinct {text} as cell from {STORE}."{schema}"."{table}"')
            for batch in cells.fetch_record_batch(CELLS_AT_ONCE):
                search.column(pa.chunked_array([batch.column(0)]), file, f"{schema}.{table}.{column}")


@contextmanager
def _opened(store: KeyedStore) -> Iterator[duckdb.DuckDBPyConnection]:
    with store.path.open("rb") as handle:
        plain = is_plain_duckdb(handle.read(DUCKDB_FLAGS_AT + 1))
    if plain:
        with duckdb.connect(":memory:") as connection:
            path = str(store.path).replace("'", "''")
            connection.execute(f"attach '{path}' as {STORE} (read_only)")
            yield connection
    else:
        with attached(store.path, store.key, read_only=True) as connection:
            yield connection


def is_plain_duckdb(start: bytes) -> bool:
    """True if `start` begins a DuckDB file that anybody can read."""
    return _is_duckdb(start) and not start[DUCKDB_FLAGS_AT] & DUCKDB_ENCRYPTED


def is_encrypted(start: bytes) -> bool:
    """True if what follows the first bytes of the file is ciphertext: a sealed package, or an encrypted store."""
    return start.startswith(PACKAGE_MAGIC) or (_is_duckdb(start) and not is_plain_duckdb(start))


def _is_duckdb(start: bytes) -> bool:
    return len(start) > DUCKDB_FLAGS_AT and start[DUCKDB_MAGIC_AT:].startswith(DUCKDB_MAGIC)


def search_sqlite(search: Search, path: Path, file: str) -> None:
    """Search every text and blob of every table. Raises `sqlite3.Error`."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.text_factory = lambda text: text.decode(errors="replace")
    try:
        tables = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (table,) in tables:
            result = connection.execute(f'select * from "{table}"')
            while rows := result.fetchmany(CELLS_AT_ONCE):
                cells = [cell for row in rows for cell in row if isinstance(cell, (str, bytes))]
                search.tally.cells += len(cells)
                search.cells(cells, file, table)
    finally:
        connection.close()


def search_parquet(search: Search, path: Path, file: str) -> None:
    """Search every cell of a Parquet file. Raises `pyarrow.ArrowException`."""
    with pq.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches(batch_size=CELLS_AT_ONCE):
            search_table(search, pa.Table.from_batches([batch]), file, "")


def search_arrow(search: Search, path: Path, file: str) -> None:
    """Search every cell of an Arrow (Feather) file. Raises `pyarrow.ArrowException`."""
    with pa.memory_map(str(path)) as source:
        search_table(search, pa.ipc.open_file(source).read_all(), file, "")


def search_package(search: Search, path: Path, file: str, reader: PackageReader) -> None:
    """Search every cell of a sealed package, opened. Raises `ValueError`."""
    for part, rows in reader.tables(path):
        search_table(search, rows, file, part)
    search.tally.packages_opened += 1


def search_table(search: Search, rows: pa.Table, file: str, place: str) -> None:
    """Search every cell of `rows`, column by column."""
    for name in rows.column_names:
        search.column(rows.column(name), file, f"{place}.{name}" if place else name)
