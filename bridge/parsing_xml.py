"""XML read row element by row element: no entities, no DTD, no network, never the whole tree in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from lxml import etree

from bridge.hostile_files import MAXIMUM_FIELD_CHARACTERS, FirstLook, RefusedFileError
from bridge.parsed_file import ParsedFile, UnreadableRow, text_schema
from bridge.parsing_csv import LENGTH_RULE
from bridge.problems import Problem
from governance.contracts import FeedContract, Table


def parse_xml(path: Path, contract: FeedContract, table: Table, _look: FirstLook) -> ParsedFile:
    """Read an XML file whose rows are `table.row_element`, each column a path below it.

    Raises `RefusedFileError`.
    """
    places = {column.physical_name: column.name for column in table.columns}
    columns: dict[str, list[str | None]] = {column.name: [] for column in table.columns}
    numbers: list[int] = []
    unreadable: list[UnreadableRow] = []
    unknown: set[str] = set()
    seen: set[str] = set()
    rows = 0
    try:
        for fields in _row_elements(path, table):
            rows += 1
            seen |= set(fields)
            unknown |= set(fields) - set(places)
            known = {places[place]: text for place, text in fields.items() if place in places}
            if any(len(text) > MAXIMUM_FIELD_CHARACTERS for text in known.values()):
                shortened = {name: text[:MAXIMUM_FIELD_CHARACTERS] for name, text in known.items()}
                unreadable.append(UnreadableRow(rows, *LENGTH_RULE, shortened))
                continue
            numbers.append(rows)
            for name, texts in columns.items():
                texts.append(known.get(name))
    except etree.XMLSyntaxError as error:
        raise RefusedFileError(_broken_xml(path.name, table, rows, error)) from None
    if rows:
        _refuse_missing_columns(path.name, table, seen)
    remarks = [_dropped(path.name, contract, table, sorted(unknown))] if unknown else []
    arrays = [pa.array(numbers, pa.int64()), *(pa.array(texts, pa.string()) for texts in columns.values())]
    return ParsedFile(
        table.name, path.name, pa.table(arrays, schema=text_schema(table)), tuple(unreadable), tuple(remarks)
    )


def _row_elements(path: Path, table: Table) -> Iterator[dict[str, str]]:
    """Yield each row element as text by path below it (`Applicant/Surname`), and forget it."""
    events = etree.iterparse(
        str(path),
        events=("start", "end"),
        # The contract's, whatever the file says of itself: that is what the first look checked.
        encoding=table.format.encoding.removesuffix("-sig"),
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    inside = 0
    for event, element in events:
        if etree.QName(element).localname != table.row_element:
            continue
        inside += 1 if event == "start" else -1
        if event == "end" and inside == 0:
            yield _fields(element)
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]


def _fields(row: etree._Element) -> dict[str, str]:
    fields: dict[str, str] = {}
    waiting = [(child, "") for child in reversed(row)]
    while waiting:
        element, above = waiting.pop()
        place = f"{above}{etree.QName(element).localname}"
        if len(element):
            waiting += [(child, f"{place}/") for child in reversed(element)]
        else:
            fields.setdefault(place, element.text or "")
    return fields


def _broken_xml(name: str, table: Table, rows: int, error: etree.XMLSyntaxError) -> Problem:
    # The parser's own words may repeat the text it stumbled over.
    return Problem(
        name,
        f"not well-formed XML: it breaks off or goes wrong at line {error.lineno or 1}, after {rows} whole "
        f"{table.row_element} elements",
        "Send the whole file again; if it was whole, have the export checked.",
        table=table.name,
        rows=(rows + 1,),
        row_count=1,
    )


def _refuse_missing_columns(name: str, table: Table, seen: set[str]) -> None:
    """Refuse a file in which no row has a required column. (XML leaves out what is empty.)"""
    missing = [column for column in table.columns if column.required and column.physical_name not in seen]
    if missing:
        names = ", ".join(column.name for column in missing)
        places = ", ".join(column.physical_name for column in missing)
        raise RefusedFileError(
            Problem(
                name,
                f"column {names} is missing: no {table.row_element} has {places}",
                f"Add {places} to the export.",
                table=table.name,
                column=missing[0].name if len(missing) == 1 else None,
            )
        )


def _dropped(name: str, contract: FeedContract, table: Table, places: list[str]) -> Problem:
    return Problem(
        name,
        f"element {', '.join(places)} is not in the contract and was dropped",
        f"Leave it out of the export, or describe it in {contract.path.name}.",
        table=table.name,
    )
