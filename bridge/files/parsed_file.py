"""What any parser makes of one file: text columns by their contract names, unreadable rows, and remarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import pyarrow as pa

from bridge.files.hostile_files import RefusedFileError
from bridge.files.problems import Problem
from governance.contracts import Column, Identifier, Table

ROW_NUMBER = "row_number"


@dataclass(frozen=True)
class UnreadableRow:
    """A row that has no columns to put its fields into. `raw` is the row as sent: for quarantine only."""

    row_number: int
    rule: str
    remedy: str
    raw: Mapping[str, str | None]


@dataclass(frozen=True)
class ParsedFile:
    """One table of a file as text. `rows` has `row_number` (int64, 1-based data row) and a string per column.

    `new_columns` counts what the file has and the contract does not; `absent_columns` are the optional ones that
    it came without.
    """

    table: str
    name: str
    rows: pa.Table
    unreadable: tuple[UnreadableRow, ...]
    remarks: tuple[Problem, ...]
    new_columns: int = 0
    absent_columns: tuple[str, ...] = ()

    @property
    def row_count(self) -> int:
        return self.rows.num_rows + len(self.unreadable)


def text_schema(table: Table) -> pa.Schema:
    """The schema of `ParsedFile.rows`."""
    return pa.schema([(ROW_NUMBER, pa.int64()), *((column.name, pa.string()) for column in table.columns)])


def missing_in_all(name: str, table: Table, held: AbstractSet[str], row: str) -> None:
    """Refuse a file in which no row has a required column; `held` are the columns that some row has.

    For formats that may leave out what is empty: XML and JSON. Raises `RefusedFileError`.
    """
    missing = [column for column in table.columns if column.required and column.name not in held]
    if missing:
        names = ", ".join(column.name for column in missing)
        places = ", ".join(column.physical_name for column in missing)
        raise RefusedFileError(
            Problem(
                name,
                f"column {names} is missing: no {row} has {places}",
                f"Add {places} to the export.",
                table=table.name,
                column=missing[0].name if len(missing) == 1 else None,
            )
        )


def unheld_columns(table: Table, held: AbstractSet[str]) -> tuple[str, ...]:
    """Return the optional columns that a file came without, and that nothing else fills."""
    return tuple(column.name for column in table.columns if _may_warn(column) and column.name not in held)


def _may_warn(column: Column) -> bool:
    # A UPRN that a partner need not send is filled by address matching.
    return column.optional_column and column.identifier is not Identifier.UPRN


def absent_remarks(name: str, table: Table, absent: Sequence[str]) -> list[Problem]:
    """Say which optional columns a file came without."""
    return [
        Problem(
            name,
            f"column {column} is missing; it is optional, so every row is taken without it",
            "Ask the partner whether it was left out on purpose.",
            table=table.name,
            column=column,
        )
        for column in absent
    ]
