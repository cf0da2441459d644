"""Fixed width text: no header, a record a line, each column at its characters.

A line of another length is set aside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bridge.files.file_text import Lines, lines_of, utf8_text
from bridge.files.hostile_files import MAXIMUM_FIELD_CHARACTERS, FirstLook
from bridge.files.parsed_file import ParsedFile, UnreadableRow, text_schema
from bridge.files.poisoned_rows import without_poisoned_rows
from governance.contracts import Column, FeedContract, Table


def parse_fixed_width(
    path: Path, _contract: FeedContract, tables: Sequence[Table], look: FirstLook
) -> dict[str, ParsedFile]:
    """Read a fixed width file of one table; row numbers are line numbers. Empty is all blanks."""
    (table,) = tables
    lines = lines_of(utf8_text(path, table.format.encoding))
    width = record_width(table)
    lengths = pc.utf8_length(lines.texts)
    unreadable = [
        *_set_aside(lines, pc.less(lengths, width), f"a line has {width} characters; this one has fewer"),
        *_set_aside(lines, pc.greater(lengths, width), f"a line has {width} characters; this one has more"),
    ]
    fits = pc.equal(lengths, width)
    whole = Lines(lines.numbers.filter(fits), lines.texts.filter(fits), lines.all_ascii)
    rows = pa.table(
        [whole.numbers, *(_characters(whole, column) for column in table.columns)], schema=text_schema(table)
    )
    if look.has_nul:
        rows, poisoned = without_poisoned_rows(rows)
        unreadable += poisoned
    unreadable.sort(key=lambda row: row.row_number)
    return {table.name: ParsedFile(table.name, path.name, rows, tuple(unreadable), ())}


def record_width(table: Table) -> int:
    """Return how many characters each line has: up to the end of the last column."""
    return max((column.start or 1) - 1 + (column.width or 0) for column in table.columns)


def _characters(lines: Lines, column: Column) -> pa.Array:
    first = (column.start or 1) - 1
    last = first + (column.width or 0)
    if lines.all_ascii:
        # Bytes are characters, and need not be counted from the beginning of each line.
        return pc.binary_slice(lines.texts.cast(pa.large_binary()), first, last).cast(pa.string())
    return pc.utf8_slice_codeunits(lines.texts, first, last).cast(pa.string())


def _set_aside(lines: Lines, mask: pa.Array, rule: str) -> list[UnreadableRow]:
    remedy = "Pad each column with blanks to its width, and look for a line break inside the record."
    numbers, texts = lines.numbers.filter(mask).to_pylist(), lines.texts.filter(mask).to_pylist()
    return [
        UnreadableRow(number, rule, remedy, _raw(text)) for number, text in zip(numbers, texts, strict=True)
    ]


def _raw(text: str) -> Mapping[str, str]:
    return {"line": text[:MAXIMUM_FIELD_CHARACTERS]}
