"""CSV in a partner's dialect, read in columns. A row with the wrong number of fields is set aside."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from bridge.files.file_text import utf8_text
from bridge.files.hostile_files import (
    MAXIMUM_FIELD_CHARACTERS,
    MAXIMUM_LINE_BYTES,
    FirstLook,
    RefusedFileError,
)
from bridge.files.parsed_file import ParsedFile, UnreadableRow, absent_remarks, text_schema, unheld_columns
from bridge.files.poisoned_rows import without_poisoned_rows
from bridge.files.problems import Problem
from governance.contracts import FeedContract, Table

# Delimiters that exports use; only to say which one a file seems to have.
USUAL_DELIMITERS = {",": "a comma", ";": "a semicolon", "|": "a bar", "\t": "a tab"}


def parse_csv(
    path: Path, contract: FeedContract, tables: Sequence[Table], look: FirstLook
) -> dict[str, ParsedFile]:
    """Read a CSV file of one table, with a header. Raises `RefusedFileError`."""
    (table,) = tables
    text = utf8_text(path, table.format.encoding).lstrip(b"\r\n")
    header, body = _header(text, path.name, contract, table)
    positions, remarks = _positions(header, path.name, contract, table)
    rows, unreadable = _rows(body, len(header), positions, path.name, table)
    if look.has_nul or look.longest_line > MAXIMUM_FIELD_CHARACTERS:
        rows, poisoned = without_poisoned_rows(rows)
        unreadable = sorted([*unreadable, *poisoned], key=lambda row: row.row_number)
    absent = unheld_columns(table, set(positions))
    remarks += absent_remarks(path.name, table, absent)
    parsed = ParsedFile(
        table.name,
        path.name,
        rows,
        tuple(unreadable),
        tuple(remarks),
        new_columns=len(set(range(len(header))) - set(positions.values())),
        absent_columns=absent,
    )
    return {table.name: parsed}


def _header(text: bytes, name: str, contract: FeedContract, table: Table) -> tuple[list[str], bytes]:
    """Split the header off: its fields, and the bytes after it."""
    line, _, body = text.partition(b"\n") if b"\n" in text else text.partition(b"\r")
    fields = next(csv.reader(io.StringIO(line.decode().rstrip("\r")), delimiter=table.format.delimiter), [])
    if len(fields) == 1 and len(table.columns) > 1:
        agreed = _spoken(table.format.delimiter)
        for delimiter, spoken in USUAL_DELIMITERS.items():
            if (
                delimiter != table.format.delimiter
                and line.count(delimiter.encode()) >= len(table.columns) // 2
            ):
                raise RefusedFileError(
                    Problem(
                        name,
                        f"fields are separated by {agreed}; this file seems to use {spoken}",
                        f"Export it with {agreed}, or change `delimiter` in {contract.path.name}.",
                        table=table.name,
                    )
                )
    return fields, body


def _spoken(delimiter: str) -> str:
    return USUAL_DELIMITERS.get(delimiter, repr(delimiter))


def _positions(
    header: Sequence[str], name: str, contract: FeedContract, table: Table
) -> tuple[dict[str, int], list[Problem]]:
    """Find each contract column in the header; an optional one may be absent, and is then empty in every row.

    Raises `RefusedFileError` if a column that must be there is not.
    """
    expected = {column.physical_name: column for column in table.columns}
    if not set(header) & set(expected) and not any(_near(field, list(expected)) for field in header):
        raise RefusedFileError(
            Problem(
                name,
                f"the first row names no column of {contract.feed}.{table.name}: it is no header",
                f"Send the header {table.format.delimiter.join(expected)} first.",
                table=table.name,
            )
        )
    remarks: list[Problem] = []
    missing = [column for column in table.columns if column.physical_name not in header]
    extra = [position for position, field in enumerate(header) if field not in expected]
    must = [column for column in missing if not column.optional_column]
    if must:
        raise RefusedFileError(_missing_columns(name, table, [c.physical_name for c in must], header, extra))
    twice = sorted({field for field in header if field in expected and header.count(field) > 1})
    if twice:
        raise RefusedFileError(
            Problem(
                name, f"the header has {', '.join(twice)} twice", "Leave one of them out.", table=table.name
            )
        )
    if extra:
        places = ", ".join(str(position + 1) for position in extra)
        remarks.append(
            Problem(
                name,
                f"column number {places} is not in the contract and was dropped",
                f"Leave it out of the export, or describe it in {contract.path.name}.",
                table=table.name,
            )
        )
    found = {
        column.name: header.index(column.physical_name) for column in table.columns if column not in missing
    }
    return found, remarks


def _missing_columns(
    name: str, table: Table, missing: Sequence[str], header: Sequence[str], extra: Sequence[int]
) -> Problem:
    # What stands in the header is not repeated: where a header is missing, it is somebody's record.
    likenesses = [
        f"column number {position + 1} is nearly {near}: name it exactly so"
        for position in extra
        if (near := _near(header[position], missing))
    ]
    remedy = "; ".join(likenesses) if likenesses else f"add {', '.join(missing)} to the export"
    return Problem(
        name,
        f"column {', '.join(missing)} is missing",
        f"{remedy[0].upper()}{remedy[1:]}.",
        table=table.name,
        column=missing[0] if len(missing) == 1 else None,
    )


def _near(field: str, names: Sequence[str]) -> str | None:
    """Return the column name that a header field was probably meant to be."""
    simple = {_simplified(name): name for name in names}
    close = difflib.get_close_matches(_simplified(field), list(simple), n=1, cutoff=0.85)
    return simple[close[0]] if close else None


def _simplified(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _rows(
    body: bytes, width: int, positions: dict[str, int], name: str, table: Table
) -> tuple[pa.Table, list[UnreadableRow]]:
    schema = text_schema(table)
    if not body.strip(b"\r\n"):
        return schema.empty_table(), []
    broken: list[UnreadableRow] = []

    def set_aside(row: pacsv.InvalidRow) -> str:
        broken.append(
            UnreadableRow(
                row.number or 0,
                f"a row has {row.expected_columns} fields like the header; this one has {row.actual_columns}",
                "Look for a missing or unquoted separator or line break in the record.",
                {"line": row.text},
            )
        )
        return "skip"

    labels = [str(position) for position in range(width)]
    try:
        read = pacsv.read_csv(
            io.BytesIO(body),
            # Without threads a set-aside row knows its number.
            read_options=pacsv.ReadOptions(
                column_names=labels, use_threads=False, block_size=2 * MAXIMUM_LINE_BYTES
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=table.format.delimiter, newlines_in_values=True, invalid_row_handler=set_aside
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(labels, pa.string()),
                strings_can_be_null=False,
                include_columns=[str(position) for position in positions.values()],
            ),
        )
    except pa.ArrowInvalid:
        _refuse_unreadable(name, table)
    columns = {column: read.column(str(position)) for column, position in positions.items()}
    numbers = _row_numbers(read.num_rows, [row.row_number for row in broken])
    arrays = [pa.chunked_array([numbers], pa.int64())]
    arrays += [
        columns.get(column.name, pa.chunked_array([pa.nulls(read.num_rows, pa.string())]))
        for column in table.columns
    ]
    return pa.table(arrays, schema=schema), broken


def _refuse_unreadable(name: str, table: Table) -> NoReturn:
    # The parser's own words would repeat the row.
    raise RefusedFileError(
        Problem(
            name,
            "the rows cannot be told apart: a quotation mark is opened and never closed",
            "Double the quotation marks inside fields, and close each field that has one.",
            table=table.name,
        )
    ) from None


def _row_numbers(read: int, broken: Sequence[int]) -> pa.Array:
    """Number the rows that were read, leaving out the numbers of the broken ones."""
    numbers = pa.array(range(1, read + len(broken) + 1), pa.int64())
    if not broken:
        return numbers
    return numbers.filter(pc.invert(pc.is_in(numbers, value_set=pa.array(broken, pa.int64()))))
