"""What the partners' records lack: identifiers that are empty, and people whom the electoral register does not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import duckdb

from evaluation.county.calibration import figure_of, sums_of
from evaluation.county.figures import Figure, Unit, Wanted, estimate
from governance.contracts import FeedContract, Identifier, Table

GROUP = "missing"
ADULT_YEARS = 18
"""Numbers come before the sixteenth birthday, but benefits and landlords ask dependants for none."""
SCHOOL_YEARS = (5, 16)

_TOLD = {
    Identifier.DATE_OF_BIRTH: "date of birth",
    Identifier.NINO: "National Insurance number",
    Identifier.NHS_NUMBER: "NHS number",
    Identifier.UPN: "unique pupil number",
    Identifier.UPRN: "UPRN",
    Identifier.POSTCODE: "postcode",
    Identifier.PHONE: "phone number",
}


def missing_identifiers(
    connection: duckdb.DuckDBPyConnection,
    contracts: Mapping[str, FeedContract],
    loaded: list[str],
    wanted: Mapping[str, tuple[Wanted, str]],
    households: int,
) -> Iterator[Figure]:
    """Count, for each feed, the records of people that lack an identifier which the file has a column for.

    National Insurance numbers are asked of adults only, pupil numbers of children of school age only: on the day
    of the record, by the true date of birth.
    """
    for contract in contracts.values():
        for table in contract.tables:
            if table.qualified_name in loaded and table.holds_people:
                yield from _of_table(connection, table, wanted, households)


def _of_table(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    wanted: Mapping[str, tuple[Wanted, str]],
    households: int,
) -> Iterator[Figure]:
    for column in table.columns:
        if column.identifier not in _TOLD or column.optional_column:
            continue
        # A person's entry is repeated on all records made from it: they are drawn together.
        sums = sums_of(
            connection,
            f"""
            select record.person_id as cluster, cast(file."{column.name}" is null as int) as y, 1 as n
            from files."{table.qualified_name}" as file
            inner join truth.records as record
                on record.feed = $feed and record."table" = $table and record.key = file._key
            inner join truth.persons as person on record.person_id = person.person_id
            where {_asked_of(column.identifier)}
            """,
            {"feed": table.feed, "table": table.name},
        )
        target, about = wanted.get(f"missing.{table.feed}.{column.identifier}", (None, ""))
        if not sums.n and target is None:
            continue
        yield figure_of(
            f"missing.{table.feed}.{column.identifier}"
            if target
            else f"missing.{table.feed}.{table.name}.{column.identifier}",
            GROUP,
            f"{table.feed.replace('_', ' ')}, {table.name.replace('_', ' ')}: no {_TOLD[column.identifier]}",
            Unit.SHARE,
            estimate(sums, Unit.SHARE),
            target,
            households,
            about,
        )


def _asked_of(identifier: Identifier) -> str:
    age = "date_diff('day', person.date_of_birth, file._recorded_on) / 365.25"
    if identifier is Identifier.NINO:
        return f"{age} >= {ADULT_YEARS}"
    if identifier is Identifier.UPN:
        return f"{age} between {SCHOOL_YEARS[0]} and {SCHOOL_YEARS[1]}"
    return "true"
