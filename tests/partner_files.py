"""Small files made from the contracts themselves: whatever feed there is, a file that keeps its contract.

Every text holds "canary", so that a value in a message shows.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any
from xml.sax.saxutils import escape

from governance.contracts import PARENT_STEP, Column, FeedContract, Table

ROWS = 12
FIRST_DAY = date(2024, 1, 1)
Row = dict[str, str]


@dataclass(frozen=True)
class PartnerFile:
    """The content of one file before it is written: rows of text by table, each by column name."""

    contract: FeedContract
    tables: tuple[Table, ...]
    rows: Mapping[str, tuple[Row, ...]]

    @property
    def table(self) -> Table:
        return self.tables[0]

    @property
    def format(self) -> str:
        return self.table.format.format

    def with_row(self, position: int, **changes: str) -> PartnerFile:
        """Change a row of the first table."""
        rows = list(self.rows[self.table.name])
        rows[position] = rows[position] | changes
        return self.with_rows(rows)

    def with_rows(self, rows: Sequence[Row]) -> PartnerFile:
        return replace(self, rows={**self.rows, self.table.name: tuple(rows)})

    def text(self) -> str:
        match self.format:
            case "csv":
                return _csv(self)
            case "fixed_width":
                return "".join(line + "\n" for line in fixed_width_lines(self))
            case "jsonl":
                return "".join(line + "\n" for line in json_lines(self))
            case _:
                return _xml(self)

    def written(self) -> bytes:
        return self.text().encode(self.table.format.encoding)


def partner_files(contract: FeedContract) -> list[PartnerFile]:
    """Return a good file of each of the feed's files."""
    patterns = dict.fromkeys(table.file_pattern for table in contract.tables)
    shared = [
        tuple(table for table in contract.tables if table.file_pattern == pattern) for pattern in patterns
    ]
    return [
        PartnerFile(
            contract,
            tables,
            {table.name: tuple(_row(table, number) for number in range(ROWS)) for table in tables},
        )
        for tables in (sorted(tables, key=_steps_up) for tables in shared)
        for tables in (tuple(tables),)
    ]


def _steps_up(table: Table) -> int:
    return max(column.physical_name.count(PARENT_STEP) for column in table.columns)


def _row(table: Table, number: int) -> Row:
    later = _later(table)
    return {column.name: _value(table, column, number, later.get(column.name, 0)) for column in table.columns}


def _later(table: Table) -> dict[str, int]:
    """Return how many steps each column must lie above others, by the contract's pair rules."""
    pairs = [
        (rule.arguments["column_A"], rule.arguments["column_B"])
        for rule in table.quality
        if rule.expectation == "expect_column_pair_values_a_to_be_greater_than_b"
    ]
    steps: dict[str, int] = {}
    for _ in pairs:
        for above, below in pairs:
            steps[above] = max(steps.get(above, 0), steps.get(below, 0) + 1)
    return steps


def _value(table: Table, column: Column, number: int, steps: int) -> str:
    if column.codes:
        return column.codes[number % len(column.codes)]
    if column.pattern:
        luck = random.Random(f"{column.physical_name.split('/')[-1]} {number}")  # noqa: S311
        return _matching(column.pattern, luck)
    match column.type:
        case "date":
            day = FIRST_DAY + timedelta(days=40 * number + steps)
            return day.strftime(table.format.date_formats[0])
        case "integer":
            low, high = column.minimum, column.maximum
            middle = (
                int(low + number % (high - low + 1)) if low is not None and high is not None else 100 + number
            )
            return str(middle)
        case "number":
            low, high = column.minimum or 0, column.maximum or 1000
            return f"{low + (high - low) / 2 + steps:.2f}"
        case "boolean":
            return "true"
        case _:
            text = f"canary {number} {column.name}"
            return text[: column.width] if column.width else text


def _matching(pattern: str, luck: random.Random) -> str:
    return "".join(_pieces(_parser.parse(pattern), luck))


def _pieces(parsed: Any, luck: random.Random) -> list[str]:
    """Write a text that a regular expression takes: what the contracts' patterns are made of."""
    pieces: list[str] = []
    for kind, held in parsed:
        if kind is _constants.LITERAL:
            pieces.append(chr(held))
        elif kind is _constants.IN:
            pieces.append(luck.choice(_characters(held)))
        elif kind is _constants.ANY:
            pieces.append("a")
        elif kind is _constants.BRANCH:
            pieces += _pieces(luck.choice(held[1]), luck)
        elif kind is _constants.SUBPATTERN:
            pieces += _pieces(held[3], luck)
        elif kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            fewest, most, inner = held
            # As long as may be, within reason: a reference of one character is soon another's too.
            for _ in range(min(int(most), 12) if int(most) > 1 else int(fewest)):
                pieces += _pieces(inner, luck)
        elif kind is not _constants.AT:
            raise ValueError(f"no text can be made for {kind} in a pattern: add it to _pieces")
    return pieces


def _characters(held: Any) -> list[str]:
    found: list[str] = []
    for kind, what in held:
        if kind is _constants.LITERAL:
            found.append(chr(what))
        elif kind is _constants.RANGE:
            found += [chr(code) for code in range(what[0], what[1] + 1)]
        elif kind is _constants.CATEGORY:
            found += list("0123456789")
    return found


def _csv(file: PartnerFile) -> str:
    delimiter = file.table.format.delimiter
    header = [_quoted(column.physical_name, delimiter) for column in file.table.columns]
    lines = [
        header,
        *(
            [_quoted(row[c.name], delimiter) for c in file.table.columns]
            for row in file.rows[file.table.name]
        ),
    ]
    return "".join(delimiter.join(fields) + "\n" for fields in lines)


def _quoted(text: str, delimiter: str) -> str:
    return f'"{text}"' if delimiter in text else text


def fixed_width_lines(file: PartnerFile) -> list[str]:
    """Return the lines, padded; a text that is too long makes its line too long."""
    columns = sorted(file.table.columns, key=lambda column: column.start or 0)
    lines = []
    for row in file.rows[file.table.name]:
        line = ""
        for column in columns:
            line = line.ljust((column.start or 1) - 1) + row[column.name].ljust(column.width or 0)
        lines.append(line)
    return lines


def json_lines(file: PartnerFile) -> list[str]:
    lines = []
    for row in file.rows[file.table.name]:
        record: dict[str, Any] = {}
        for column in file.table.columns:
            if column.name not in row:
                continue
            *above, last = column.physical_name.split("/")
            inside = record
            for step in above:
                inside = inside.setdefault(step, {})
            inside[last] = row[column.name]
        lines.append(json.dumps(record, ensure_ascii=False))
    return lines


def _xml(file: PartnerFile) -> str:
    """Nest the tables of the file: one row of each inside the row of the one before, as their paths say."""
    body = "\n".join(_element(file, 0, number) for number in range(len(file.rows[file.table.name])))
    return f'<?xml version="1.0" encoding="{file.table.format.encoding}"?>\n<Message>\n{body}\n</Message>\n'


def _element(file: PartnerFile, depth: int, number: int) -> str:
    table = file.tables[depth]
    row = file.rows[table.name][number % len(file.rows[table.name])]
    inner: dict[str, Any] = {}
    for column in table.columns:
        if not column.physical_name.startswith(PARENT_STEP) and column.name in row:
            *above, last = column.physical_name.split("/")
            inside = inner
            for step in above:
                inside = inside.setdefault(step, {})
            inside[last] = row[column.name]
    nested = _element(file, depth + 1, number) if depth + 1 < len(file.tables) else ""
    return f"<{table.row_element}>{_written(inner)}{nested}</{table.row_element}>"


def _written(inside: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_written(held) if isinstance(held, Mapping) else escape(held)}</{name}>"
        for name, held in inside.items()
    )


def name_of(table: Table, day: date) -> str:
    """Write a file name that the table's pattern takes."""
    text = re.sub(r"\(\?P<delivery_date>.*?\)", f"{day:%Y%m%d}", table.file_pattern.pattern)
    return re.sub(r"\(\?P<kind>(\w+).*?\)", r"\1", text).replace("\\", "")
