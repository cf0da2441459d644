"""JSON lines: an object a line, read in columns by DuckDB. A line that is no object is set aside by its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bridge.files.file_text import lines_of, utf8_text
from bridge.files.hostile_files import MAXIMUM_FIELD_CHARACTERS, FirstLook, RefusedFileError
from bridge.files.parsed_file import ParsedFile, UnreadableRow, missing_in_all, text_schema, unheld_columns
from bridge.files.poisoned_rows import without_poisoned_rows
from bridge.files.problems import Problem
from governance.contracts import FeedContract, Table

QUERY = Path(__file__).with_name("json_lines.sql")
TYPES_QUERY = Path(__file__).with_name("json_types.sql")
SEPARATOR = "/"

NO_OBJECT = (
    "a line holds one whole JSON object; this one does not",
    "Send each record as one object in one line, and look for a line break inside the record.",
)
SEVERAL_VALUES = (
    "a field holds one value; this row has a list or an object in one",
    "Send one value, or describe what is inside the object by a path in the contract.",
)
REPEATED_NAME = (
    "a name stands once in an object; in this row one stands twice",
    "Leave one of the two out: nobody can know which is meant.",
)


@dataclass(frozen=True)
class _Layout:
    """Where the contract's columns are: their paths, and the objects on the way to them ("" is the line's own)."""

    columns: tuple[tuple[str, ...], ...]
    objects: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, table: Table) -> _Layout:
        columns = tuple(tuple(column.physical_name.split(SEPARATOR)) for column in table.columns)
        objects = {path[:depth] for path in columns for depth in range(len(path))}
        return cls(columns, tuple(sorted(objects)))

    def names_in(self, place: tuple[str, ...]) -> set[str]:
        """Return the names that the contract knows in the object at `place`."""
        depth = len(place)
        return {path[depth] for path in self.columns if len(path) > depth and path[:depth] == place}


def parse_jsonl(
    path: Path, contract: FeedContract, tables: Sequence[Table], _look: FirstLook
) -> dict[str, ParsedFile]:
    """Read a JSON lines file of one table; row numbers are line numbers. Null and absent are null.

    Raises `RefusedFileError` if no line has a required column, or the file is no JSON lines at all.
    """
    (table,) = tables
    layout = _Layout.of(table)
    lines = lines_of(utf8_text(path, table.format.encoding))
    found = _read(pa.table({"row_number": lines.numbers, "line": lines.texts.cast(pa.string())}), layout)
    _refuse_other_json(found, path.name, table)
    unreadable: list[UnreadableRow] = []
    kept = found
    for reason, mask_of in (
        (NO_OBJECT, _no_object),
        (REPEATED_NAME, _repeats_a_name),
        (SEVERAL_VALUES, _holds_several),
    ):
        mask = mask_of(kept, layout)
        unreadable += [
            UnreadableRow(row["row_number"], *reason, {"line": row["line"][:MAXIMUM_FIELD_CHARACTERS]})
            for row in kept.select(["row_number", "line"]).filter(mask).to_pylist()
        ]
        kept = kept.filter(pc.invert(mask)).combine_chunks()
    rows, poisoned = without_poisoned_rows(_columns(kept, table))
    unreadable = sorted([*unreadable, *poisoned], key=lambda row: row.row_number)
    held = {
        column.name
        for column, place in zip(table.columns, layout.columns, strict=True)
        if rows[column.name].null_count < rows.num_rows or _is_named(kept, layout, place)
    }
    if kept.num_rows:
        missing_in_all(path.name, table, held, "line")
    remarks = _unknown_names(kept, layout, path.name, contract, table)
    return {
        table.name: ParsedFile(
            table.name,
            path.name,
            rows,
            tuple(unreadable),
            tuple(remarks),
            new_columns=len(remarks),
            absent_columns=unheld_columns(table, held) if kept.num_rows else (),
        )
    }


def _read(lines: pa.Table, layout: _Layout) -> pa.Table:
    objects = [_pointer(place) for place in layout.objects]
    return _asked(QUERY, lines, {"objects": objects, "values": _pointers(layout)})


def _asked(query: Path, lines: pa.Table, parameters: Mapping[str, Sequence[str]]) -> pa.Table:
    # No temporary folder: what does not fit in memory must not spill to disk in the clear.
    connection = duckdb.connect(":memory:", config={"temp_directory": "", "threads": 2})
    try:
        connection.execute("set enable_progress_bar = false")
        connection.register("lines", lines)
        return (
            connection.execute(query.read_text(encoding="utf-8"), parameters)
            .to_arrow_table()
            .combine_chunks()
        )
    finally:
        connection.close()


def _no_object(found: pa.Table, _layout: _Layout) -> pa.Array:
    return pc.invert(found["is_object"])


def _repeats_a_name(found: pa.Table, layout: _Layout) -> pa.Array:
    """Find the rows in which an object has the same name twice."""
    repeats = np.zeros(found.num_rows, dtype=np.bool_)
    for place in layout.objects:
        names, rows = _names(found, layout, place)
        encoded = names.dictionary_encode()
        pairs = rows * max(1, len(encoded.dictionary)) + np.asarray(encoded.indices, dtype=np.int64)
        ordered = np.argsort(pairs, kind="stable")
        twice = ordered[1:][np.diff(pairs[ordered]) == 0]
        repeats[rows[twice]] = True
    return pa.array(repeats)


def _holds_several(found: pa.Table, layout: _Layout) -> pa.Array:
    """Find the rows with a list or an object where a value is due. Few texts look like one; those are asked again."""
    wide = len(layout.columns)
    texts = _whole(found["texts"]).flatten()
    alike = (
        np.asarray(pc.fill_null(pc.match_substring_regex(texts, r"^[\[{]"), False))
        .reshape(-1, wide)
        .any(axis=1)
    )
    several = np.zeros(found.num_rows, dtype=np.bool_)
    if alike.any():
        asked = _asked(
            TYPES_QUERY, found.filter(pa.array(alike)).select(["line"]), {"values": _pointers(layout)}
        )
        several[alike] = np.asarray(asked.column(0))
    return pa.array(several)


def _pointers(layout: _Layout) -> list[str]:
    return [_pointer(place) for place in layout.columns]


def _pointer(place: Sequence[str]) -> str:
    """Write a path as DuckDB reads it: `$."person"."forename"`."""
    quoted = (name.replace('"', '\\"') for name in place)
    return "$" + "".join(f'."{name}"' for name in quoted)


def _columns(found: pa.Table, table: Table) -> pa.Table:
    """Spread the list of texts of each row, one for each column, into columns."""
    wide = len(table.columns)
    texts = _whole(found["texts"]).flatten()
    places = np.arange(0, found.num_rows * wide, wide)
    arrays = [texts.take(pa.array(places + position)).cast(pa.string()) for position in range(wide)]
    return pa.table([found["row_number"], *arrays], schema=text_schema(table))


def _names(
    found: pa.Table, layout: _Layout, place: tuple[str, ...]
) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Return the names in the object at `place` over all rows, and the position of the row that each is from."""
    wide = len(layout.objects)
    lists = _whole(found["names"]).flatten()
    mine = lists.take(pa.array(np.arange(0, found.num_rows * wide, wide) + layout.objects.index(place)))
    return mine.flatten(), np.asarray(pc.list_parent_indices(mine), dtype=np.int64)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _is_named(found: pa.Table, layout: _Layout, place: tuple[str, ...]) -> bool:
    names, _ = _names(found, layout, place[:-1])
    return bool(pc.any(pc.equal(names, place[-1])).as_py())


def _unknown_names(
    found: pa.Table, layout: _Layout, name: str, contract: FeedContract, table: Table
) -> list[Problem]:
    """Report names that the contract does not have by their place: the words themselves might be a value."""
    remarks = []
    for place in layout.objects:
        names, rows = _names(found, layout, place)
        unknown = pc.invert(pc.is_in(names, value_set=pa.array(sorted(layout.names_in(place)), pa.string())))
        positions = np.flatnonzero(np.asarray(unknown))
        for word in pc.unique(names.take(pa.array(positions))).to_pylist():
            first = int(np.flatnonzero(np.asarray(pc.equal(names, word)))[0])
            number = found["row_number"][int(rows[first])].as_py()
            in_object = f" of {SEPARATOR.join(place)}" if place else ""
            nth = first - int(np.searchsorted(rows, rows[first])) + 1
            remarks.append(
                Problem(
                    name,
                    f"name number {nth}{in_object} in this row is not in the contract and was dropped",
                    f"Leave it out of the export, or describe it in {contract.path.name}.",
                    table=table.name,
                    rows=(number,),
                    row_count=1,
                )
            )
    return remarks


def _refuse_other_json(found: pa.Table, name: str, table: Table) -> None:
    """Refuse a file in which no line is an object: it is another kind of JSON, or none."""
    if found.num_rows and not pc.any(found["is_object"]).as_py():
        raise RefusedFileError(
            Problem(
                name,
                "not JSON lines: no line holds a whole JSON object",
                "Export each record as one object in one line, without a list around them.",
                table=table.name,
            )
        )
