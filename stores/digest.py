"""Logical digests: what a store says, whatever the order, the file layout or the number of the version it
says it in.

Two stores with equal digests hold the same rows. A table's digest is SHA-256 over its column names and the
sorted SHA-256 of its rows, so neither row order nor column order matters; floating-point numbers count to
six decimals, since parallel sums may differ in the last bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from stores.analytics import AnalyticsZone
from stores.encrypted import STORE
from stores.publishing import MARTS_STORE, audiences, published_marts

COUNTED_DECIMALS = 6

LINKAGE_TABLES = frozenset({"link_keys", "edges", "people", "opened_packages"})
"""Tables of the linkage store that say something; the history of merges also says when they were noticed."""

WAREHOUSE_SCHEMAS = frozenset({"records", "marts", "risk"})
"""What arrived and what came of it. The steps between are made from the first and seen in the second."""


FILE_COLUMNS = frozenset({"sha256"})
"""Says how a model's file was laid out: two files of one version, fitted to the same rows, may differ in bytes."""


@dataclass(frozen=True)
class LogicalDigest:
    """Digest per table within store, per store, and of all: 64 hexadecimal digits each."""

    tables: Mapping[str, Mapping[str, str]]

    @property
    def stores(self) -> dict[str, str]:
        return {store: combined(tables) for store, tables in sorted(self.tables.items())}

    @property
    def total(self) -> str:
        return combined(self.stores)

    def joined(self, other: LogicalDigest) -> LogicalDigest:
        """The digest of both: of the council's stores and of the analytics stores, say."""
        return LogicalDigest({**self.tables, **other.tables})


def analytics_digest(zone: AnalyticsZone) -> LogicalDigest:
    """Return the digest of the linkage store, the warehouse and every audience's current marts; absent ones
    are left out.

    Raises `StoreUnreadableError` on a wrong key or a damaged store.
    """
    found: dict[str, Mapping[str, str]] = {}
    if zone.home.linkage_db.is_file():
        with zone.linkage(read_only=True) as linkage:
            tables = [table for table in base_tables(linkage) if table[1] in LINKAGE_TABLES]
            found["linkage"] = tables_digest(linkage, tables)
    if zone.home.warehouse_db.is_file():
        with zone.warehouse(read_only=True) as warehouse:
            tables = [table for table in base_tables(warehouse) if table[0] in WAREHOUSE_SCHEMAS]
            found["warehouse"] = tables_digest(warehouse, tables)
    for audience in audiences(zone):
        with published_marts(zone, audience) as marts:
            found[MARTS_STORE.format(audience=audience)] = tables_digest(marts, base_tables(marts))
    return LogicalDigest(found)


def base_tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return (schema, table) of every table of the attached store; views say nothing of their own."""
    return connection.execute(
        "select schema_name, table_name from duckdb_tables() "
        "where database_name = ? and not temporary order by all",
        [STORE],
    ).fetchall()


def tables_digest(connection: duckdb.DuckDBPyConnection, tables: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the digest of each table, by `schema.table`. A table without rows counts as absent."""
    digests = {
        f"{schema}.{table}": table_digest(connection, schema, table, FILE_COLUMNS) for schema, table in tables
    }
    return {name: digest for name, digest in digests.items() if digest is not None}


def table_digest(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str, without: Collection[str] = ()
) -> str | None:
    """Return the digest of one table, leaving out the columns `without`; None if it holds no row."""
    columns = connection.execute(
        "select column_name, data_type from duckdb_columns() "
        "where database_name = ? and schema_name = ? and table_name = ? order by column_name",
        [STORE, schema, table],
    ).fetchall()
    counted = [(name, kind) for name, kind in columns if name not in without]
    return query_digest(connection, f'from {STORE}."{schema}"."{table}"', counted)


def query_digest(
    connection: duckdb.DuckDBPyConnection, relation: str, columns: Sequence[tuple[str, str]]
) -> str | None:
    """Return the digest of what `relation` (a `from` clause) yields in `columns` (name and SQL type), or
    None."""
    cells = ", ".join(_counted(name, kind) for name, kind in columns)
    row = connection.execute(
        f"select count(*), sha256(string_agg(row_digest, '' order by row_digest)) "
        f"from (select sha256(row({cells})::varchar) as row_digest {relation})"
    ).fetchone()
    if row is None or not row[0]:
        return None
    return combined({"columns": ",".join(name for name, _ in columns), "rows": row[1]})


def lines_digest(lines: Iterable[str]) -> str | None:
    """Return the digest of a bag of lines, whatever their order; None if there are none."""
    digests = sorted(hashlib.sha256(line.encode()).hexdigest() for line in lines)
    return hashlib.sha256("".join(digests).encode()).hexdigest() if digests else None


def combined(digests: Mapping[str, str]) -> str:
    """Return one digest of named digests."""
    text = "\n".join(f"{name}={digest}" for name, digest in sorted(digests.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _counted(name: str, kind: str) -> str:
    if kind in {"DOUBLE", "FLOAT"}:
        # Adding zero turns a rounded -0.0 into 0.0.
        return f'round("{name}", {COUNTED_DECIMALS}) + 0.0'
    if kind == "BLOB":
        return f'hex("{name}")'
    return f'"{name}"'
