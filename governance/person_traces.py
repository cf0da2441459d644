"""People who are nobody any more: when the last record of a person goes, so does every row that names them.

The sweep takes away link keys, and with them edges and `people` rows, by record reference. What is left names people
only: how sure linkage was of them, the history of merges and splits, and the warehouse's copies.
"""

from __future__ import annotations

import duckdb

LIVING = """
create or replace temp table living as
with recursive living as (
    select distinct person_id from people
    union
    select history.from_person_id
    from person_history as history
    inner join living on history.to_person_id = living.person_id
    where history.change = 'merged'
)

from living
"""
"""Everybody, and whoever was merged into them."""

# An event stays while both its people are somebody: themselves, or whoever they were merged into since.
FORGET_HISTORY = """
delete from person_history
where from_person_id not in (from living) or to_person_id not in (from living)
"""

FORGET_QUALITY = "delete from person_quality where person_id not in (select person_id from people)"

COPIES = {
    ("records", "people"): "record_ref not in (select record_ref from {people})",
    ("records", "person_quality"): "person_id not in (select person_id from {people})",
    ("staging", "stg_people"): "record_ref not in (select record_ref from {people})",
    ("staging", "stg_person_quality"): "person_id not in (select person_id from {people})",
}
"""Tables of the warehouse that linkage fills, and staging's copies of them, with who must go from each."""


def forget_history(connection: duckdb.DuckDBPyConnection) -> int:
    """Delete from the current store's `person_history` what names somebody who is nobody; return how many events."""
    connection.execute(LIVING)
    return _deleted(connection, FORGET_HISTORY)


def forget_nobody(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Delete from the current linkage store what names people without a record; return rows by table."""
    there = _tables(connection)
    if ("main", "people") not in there:
        return {}
    gone = {}
    if ("main", "person_quality") in there:
        gone["main.person_quality"] = _deleted(connection, FORGET_QUALITY)
    if ("main", "person_history") in there:
        gone["main.person_history"] = forget_history(connection)
    return {table: count for table, count in gone.items() if count}


def forget_copies(connection: duckdb.DuckDBPyConnection, people: str) -> dict[str, int]:
    """Delete from the current warehouse whoever is not in the linkage store's table `people`; return rows by table."""
    gone = {
        f"{schema}.{table}": _deleted(
            connection, f"delete from {schema}.{table} where {condition.format(people=people)}"
        )
        for (schema, table), condition in COPIES.items()
        if (schema, table) in _tables(connection)
    }
    return {table: count for table, count in gone.items() if count}


def _tables(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    return set(
        connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = current_database()"
        ).fetchall()
    )


def _deleted(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0
