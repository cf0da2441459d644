"""The warehouse's `risk` schema: what models write."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import duckdb

SQL_FOLDER = Path(__file__).with_name("sql")


def make_risk_tables(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Make the tables of the `risk` schema that are not there yet."""
    warehouse.execute(read_sql("risk_tables"))


@cache
def read_sql(name: str) -> str:
    """Return the text of `sql/<name>.sql`."""
    return (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
