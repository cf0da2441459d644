"""A profile of each delivery: how many rows, how many without a value, which of the contract's codes how often.

Counts by column and by the contract's own codes alone. A value that the contract does not list is counted and
never kept: a name that slipped into a column of codes must not be told on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from bridge.files.parsed_file import ParsedFile
from expectations.validation import BrokenRule
from governance.contracts import Table

PROFILES = "delivery_profiles"


@dataclass(frozen=True)
class TableProfile:
    """One table of one delivery, before anything was set aside. Counts are by column, broken rules by name."""

    delivery_id: str
    table: str
    rows: int
    broken_rows: int
    new_columns: int
    absent_columns: tuple[str, ...]
    empty: Mapping[str, int]
    codes: Mapping[str, Mapping[str, int]]
    unknown_codes: Mapping[str, int]
    broken_rules: Mapping[str, int]
    broken_delivery_rules: tuple[str, ...]


def profiles_of(
    table: Table,
    typed: pa.Table,
    parsed: Mapping[str, ParsedFile],
    broken_rows: Mapping[str, int],
    broken: Sequence[BrokenRule],
) -> list[TableProfile]:
    """Return the profile of every delivery in `typed`, whose rows stand together by delivery.

    `broken` are the rules that rows or deliveries broke.
    """
    found, start = [], 0
    for delivery_id, part in parsed.items():
        rows = typed.slice(start, part.rows.num_rows)
        start += part.rows.num_rows
        codes = {
            column.name: _known_codes(rows, column.name, column.codes)
            for column in table.columns
            if column.codes
        }
        found.append(
            TableProfile(
                delivery_id=delivery_id,
                table=table.name,
                rows=part.row_count,
                broken_rows=broken_rows.get(delivery_id, 0),
                new_columns=part.new_columns,
                absent_columns=part.absent_columns,
                empty={column.name: rows[column.name].null_count for column in table.columns},
                codes=codes,
                unknown_codes={
                    name: rows.num_rows - rows[name].null_count - sum(counted.values())
                    for name, counted in codes.items()
                },
                broken_rules={
                    rule.rule.name: count
                    for rule in broken
                    if (count := _between(rule.positions, start - part.rows.num_rows, start))
                },
                broken_delivery_rules=tuple(
                    rule.rule.name for rule in broken if delivery_id in rule.delivery_ids
                ),
            )
        )
    return found


def _between(positions: Sequence[int], first: int, last: int) -> int:
    return sum(1 for position in positions if first <= position < last)


def _known_codes(rows: pa.Table, name: str, codes: Sequence[str]) -> dict[str, int]:
    counted = pc.value_counts(rows[name].cast(pa.string()).combine_chunks()).to_pylist()
    counts = {pair["values"]: pair["counts"] for pair in counted}
    return {code: counts.get(code, 0) for code in codes}


def write_profiles(
    connection: duckdb.DuckDBPyConnection,
    feed: str,
    delivery_ids: Sequence[str],
    profiles: Sequence[TableProfile],
) -> None:
    """Replace the profiles of `delivery_ids` in the ledger."""
    connection.execute(
        f"delete from {PROFILES} where feed = ? and delivery_id in (select unnest(?))",
        [feed, list(delivery_ids)],
    )
    if profiles:
        rows = [
            [feed, profile.delivery_id, profile.table, json.dumps(asdict(profile), ensure_ascii=False)]
            for profile in profiles
        ]
        names = ("feed", "delivery_id", "table_name", "profile")
        connection.register(
            "fresh", pa.table([list(values) for values in zip(*rows, strict=True)], names=names)
        )
        connection.execute(f"insert into {PROFILES} by name select * from fresh")
        connection.unregister("fresh")


def read_profiles(connection: duckdb.DuckDBPyConnection, feed: str) -> list[TableProfile]:
    """Return the profiles of `feed`, by delivery and table; none where the ledger is older than profiles."""
    there = connection.execute(
        "select count(*) from duckdb_tables() where table_name = ?", [PROFILES]
    ).fetchall()
    if not there[0][0]:
        return []
    rows = connection.execute(
        f"select profile from {PROFILES} where feed = ? order by delivery_id, table_name", [feed]
    ).fetchall()
    return [_profile(json.loads(row[0])) for row in rows]


def _profile(fields: dict[str, Any]) -> TableProfile:
    tuples = {name: tuple(fields[name]) for name in ("absent_columns", "broken_delivery_rules")}
    return TableProfile(**{**fields, **tuples})
