"""XML by the paths of the contract: row elements become rows, whatever is below or above them columns.

One file may hold several tables: it is read once. No entities, no DTD, no network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bridge.files.file_text import utf8_pieces, utf8_text
from bridge.files.hostile_files import FirstLook, RefusedFileError
from bridge.files.parsed_file import ParsedFile, missing_in_all, text_schema, unheld_columns
from bridge.files.poisoned_rows import without_poisoned_rows
from bridge.files.problems import Problem
from bridge.files.xml_columns import (
    JOINER,
    Document,
    Integers,
    XmlError,
    attribute,
    check_well_formed,
    read_texts,
    take_apart,
)
from bridge.files.xml_columns import Path as ElementPath
from governance.contracts import PARENT_STEP, FeedContract, Table

SEPARATOR = "/"
ATTRIBUTE = "@"


def parse_xml(
    path: Path, contract: FeedContract, tables: Sequence[Table], _look: FirstLook
) -> dict[str, ParsedFile]:
    """Read an XML file. The rows of each table are its `row_element`, wherever they stand (not inside each other).

    A column's path goes down from the row (`Applicant/Surname`), up (`../ChildIdentifiers/UPN`), or to an
    attribute (`Applicant/@id`). An element that is repeated is joined with ";". Raises `RefusedFileError`.
    """
    # By the contract's encoding, whatever the file says of itself: that is what the first look checked.
    encoding = tables[0].format.encoding
    try:
        check_well_formed(utf8_pieces(path, encoding))
        document = take_apart(utf8_text(path, encoding))
    except XmlError as error:
        raise RefusedFileError(_broken_xml(path, tables[0], error)) from None
    layouts = [_Layout.of(document, table) for table in tables]
    known = {place for layout in layouts for place in layout.places}
    return {
        layout.table.name: _table(path.name, contract, document, layout, known, layouts) for layout in layouts
    }


@dataclass(frozen=True)
class _Place:
    """Where a column is: how many elements up from the row, then the path down, then an attribute if any."""

    up: int
    down: ElementPath
    attribute: str | None

    @classmethod
    def read(cls, physical_name: str) -> _Place:
        up = 0
        while physical_name.startswith(PARENT_STEP):
            up, physical_name = up + 1, physical_name.removeprefix(PARENT_STEP)
        steps = physical_name.split(SEPARATOR)
        name = steps.pop().removeprefix(ATTRIBUTE) if steps[-1].startswith(ATTRIBUTE) else None
        return cls(up, tuple(steps), name)

    def below(self, row: ElementPath) -> ElementPath:
        """Return the path from the root for a row element at path `row`."""
        return (*(row[: -self.up] if self.up else row), *self.down)


@dataclass(frozen=True)
class _Layout:
    """The rows of one table in a document, and where its columns are. `places` are paths from the root."""

    table: Table
    rows: Integers
    row_paths: tuple[ElementPath, ...]
    columns: Mapping[str, _Place]
    places: frozenset[ElementPath]

    @classmethod
    def of(cls, document: Document, table: Table) -> _Layout:
        # The outermost row elements: one inside another is no row of its own.
        row_paths = tuple(
            path
            for path in document.names
            if path[-1] == table.row_element and table.row_element not in path[:-1]
        )
        columns = {column.name: _Place.read(column.physical_name) for column in table.columns}
        places = frozenset(place.below(row) for place in columns.values() for row in row_paths)
        return cls(table, document.of_paths(row_paths), row_paths, columns, places)


def _table(
    name: str,
    contract: FeedContract,
    document: Document,
    layout: _Layout,
    known: set[ElementPath],
    layouts: Sequence[_Layout],
) -> ParsedFile:
    table, count = layout.table, len(layout.rows)
    columns = {column: _column(document, layout, place) for column, place in layout.columns.items()}
    held = {column for column, texts in columns.items() if texts.null_count < count}
    if count:
        missing_in_all(name, table, held, str(table.row_element))
    numbers = pa.array(np.arange(1, count + 1), pa.int64())
    rows, poisoned = without_poisoned_rows(pa.table([numbers, *columns.values()], schema=text_schema(table)))
    unknown = sorted(set(_unknown(document, layout, known, layouts)))
    remarks = [_dropped(name, contract, table, unknown)] if unknown else []
    return ParsedFile(
        table.name,
        name,
        rows,
        tuple(poisoned),
        tuple(remarks),
        new_columns=len(unknown),
        absent_columns=unheld_columns(table, held) if count else (),
    )


def _column(document: Document, layout: _Layout, place: _Place) -> pa.Array:
    """Return the text of one column for each row; null where the row has no such element."""
    found = document.of_paths([place.below(row) for row in layout.row_paths if len(row) > place.up])
    texts = (
        read_texts(document.texts.take(pa.array(found)))
        if place.attribute is None
        else attribute(document.tags.take(pa.array(found)), place.attribute)
    )
    # A column belongs to the row that shares its ancestor: the row itself, or `up` elements above it.
    level = document.depths[found] - len(place.down)
    owners = document.ancestors(found, level)
    anchors = document.ancestors(layout.rows, document.depths[layout.rows] - place.up)
    texts, owners = _joined(texts, owners)
    if not len(owners):
        return pa.nulls(len(anchors), pa.string())
    position = np.minimum(np.searchsorted(owners, anchors), len(owners) - 1)
    has = owners[position] == anchors
    return texts.take(pa.array(position, mask=~has)).cast(pa.string())


def _joined(texts: pa.Array, owners: Integers) -> tuple[pa.Array, Integers]:
    """Join the texts that share an owner. Returns one text for each owner, and the owners in order."""
    if (owners[1:] > owners[:-1]).all():
        return texts, owners
    order = np.argsort(owners, kind="stable")
    owners, texts = owners[order], texts.take(pa.array(order))
    distinct, first = np.unique(owners, return_index=True)
    if len(distinct) == len(owners):
        return texts, owners
    several = pa.LargeListArray.from_arrays(pa.array([*first.tolist(), len(owners)], pa.int64()), texts)
    return pc.binary_join(several, pa.scalar(JOINER, texts.type)), distinct


def _unknown(
    document: Document, layout: _Layout, known: set[ElementPath], layouts: Sequence[_Layout]
) -> Iterator[str]:
    """Yield the places below the rows that hold text and that no table of the file reads."""
    inner = {
        other_row
        for other in layouts
        for other_row in other.row_paths
        if other is not layout and other_row not in layout.row_paths
    }
    for code, path in enumerate(document.names):
        for row in layout.row_paths:
            if len(path) <= len(row) or path[: len(row)] != row or path in known:
                continue
            if any(path[: len(other)] == other for other in inner if len(other) > len(row)):
                continue
            if document.texts.take(pa.array(document.groups[code])).null_count == 0:
                yield SEPARATOR.join(path[len(row) :])


def _broken_xml(path: Path, table: Table, error: XmlError) -> Problem:
    # The parser's own words may repeat the text it stumbled over.
    if error.offset is None:
        return Problem(
            path.name,
            f"XML that is not read: {error.reason}",
            "Have the export checked: no honest file is written so.",
            table=table.name,
        )
    rows = _whole_rows(path, table, error.offset)
    return Problem(
        path.name,
        f"not well-formed XML: it breaks off or goes wrong at line {error.line}, after {rows} whole "
        f"{table.row_element} elements",
        "Send the whole file again; if it was whole, have the export checked.",
        table=table.name,
        rows=(rows + 1,),
        row_count=1,
    )


def _whole_rows(path: Path, table: Table, end: int) -> int:
    """Count the row elements that end before byte `end`."""
    closing = f"</{table.row_element}>".encode()
    rows, start, tail = 0, 0, b""
    for piece in utf8_pieces(path, table.format.encoding):
        rows += (tail + piece[: max(0, end - start)]).count(closing)
        start += len(piece)
        if start >= end:
            break
        tail = piece[1 - len(closing) :]
    return rows


def _dropped(name: str, contract: FeedContract, table: Table, places: Sequence[str]) -> Problem:
    return Problem(
        name,
        f"element {', '.join(places)} is not in the contract and was dropped",
        f"Leave it out of the export, or describe it in {contract.path.name}.",
        table=table.name,
    )
