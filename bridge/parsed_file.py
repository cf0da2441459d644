"""What any parser makes of one file: text columns by their contract names, unreadable rows, and remarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from bridge.problems import Problem
from governance.contracts import Table

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
    """One file as text. `rows` has `row_number` (int64, 1-based data row) and a string per column."""

    table: str
    name: str
    rows: pa.Table
    unreadable: tuple[UnreadableRow, ...]
    remarks: tuple[Problem, ...]

    @property
    def row_count(self) -> int:
        return self.rows.num_rows + len(self.unreadable)


def text_schema(table: Table) -> pa.Schema:
    """The schema of `ParsedFile.rows`."""
    return pa.schema([(ROW_NUMBER, pa.int64()), *((column.name, pa.string()) for column in table.columns)])
