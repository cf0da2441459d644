"""From records and their versions to partners' files: schedule, full and changes, text, bytes, landing
folders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.contracts import FeedContract, Table
from stores.home import Home
from synthetic.dates import OPEN, Days, add_months, day_number, day_of
from synthetic.streams import stream

FULL, CHANGES = "full", "changes"
WEEKLY, MONTH_START, MONTH_END = "weekly", "month_start", "month_end"
_LATE_SHARE, _LATE_DAYS = 0.02, 8  # assumed: the partner forgets, and the file comes after the next one


@dataclass(frozen=True)
class Delivery:
    """One delivery of a feed: the day of the extract, the day it reached the council, full or changes."""

    extracted: int
    received: int
    kind: str


@dataclass(frozen=True)
class TableRecords:
    """A feed table's records in all their versions.

    `columns` hold the text of each version by the file's column name; `record` numbers its record (files are
    in that order); `known_on` is the day from which the partner's system shows the version; `dropped_on` the
    day from which full files no longer hold it. `person`, `household` and `key` have one position per record
    (`key` parts joined with "|").
    """

    columns: Mapping[str, np.ndarray]
    record: np.ndarray
    known_on: Days
    dropped_on: Days
    key: np.ndarray
    person: np.ndarray | None = None
    household: np.ndarray | None = None


@dataclass(frozen=True)
class WrittenFeed:
    """What a feed wrote: counts, and for each table which records have been delivered."""

    deliveries: int
    files: int
    rows: int
    bytes: int
    delivered: Mapping[str, np.ndarray]


def schedule(
    contract: FeedContract,
    rhythm: str,
    first_month: date,
    months: int,
    night: date,
    seed: int,
    *,
    always_full: bool,
) -> list[Delivery]:
    """Return the feed's deliveries received by `night`, in order of extract. The first, and the first of each
    April, are full.
    """
    end = add_months(first_month, months)
    if rhythm == WEEKLY:
        monday = first_month + timedelta(days=-first_month.weekday() % 7)
        extracts = [monday + timedelta(days=7 * week) for week in range((end - monday).days // 7 + 1)]
        extracts = [day for day in extracts if day < end]
    elif rhythm == MONTH_START:
        extracts = [add_months(first_month, month) for month in range(months + 1)]
    else:
        extracts = [add_months(first_month, month + 1) - timedelta(days=1) for month in range(months)]
    shuffled = stream(seed, f"late deliveries of {contract.feed}").permutation(len(extracts))
    late = set(shuffled[: round(_LATE_SHARE * len(extracts))].tolist())
    deliveries = []
    april_seen = {extracts[0].year} if extracts and extracts[0].month == 4 else set()
    for number, day in enumerate(extracts):
        first_of_april = day.month == 4 and day.year not in april_seen
        if first_of_april:
            april_seen.add(day.year)
        full = always_full or number == 0 or first_of_april
        delay = contract.latency_days + (_LATE_DAYS if number in late and number else 0)
        deliveries.append(Delivery(day_number(day), day_number(day) + delay, FULL if full else CHANGES))
    return [delivery for delivery in deliveries if day_of(delivery.received) <= night]


def write_feed(
    home: Home, contract: FeedContract, tables: Mapping[str, TableRecords], deliveries: list[Delivery]
) -> WrittenFeed:
    """Write every table of every delivery into the feed's inbox. A file that is there already with the same
    bytes is left alone.

    Raises `KeyError` if a table lacks a column of its contract.
    """
    files = rows = size = 0
    delivered = {}
    for table in contract.tables:
        records = tables[table.name]
        lines = (
            _xml_lines(table, records.columns)
            if contract.format == "xml"
            else _csv_lines(contract, table, records.columns)
        )
        selections, delivered[table.name] = _selections(records, deliveries)
        for delivery, selected in zip(deliveries, selections, strict=True):
            body = _bytes(contract, table, lines, selected)
            folder = home.feed_inbox(contract.feed) / f"received={day_of(delivery.received)}"
            _write(folder / _file_name(table, delivery), body)
            files, rows, size = files + 1, rows + len(selected), size + len(body)
    return WrittenFeed(len(deliveries), files, rows, size, delivered)


def _selections(records: TableRecords, deliveries: list[Delivery]) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the versions that each delivery holds, in record order, and which records any delivery held."""
    extracts = np.array([delivery.extracted for delivery in deliveries], dtype=np.int64)
    slot = np.searchsorted(extracts, records.known_on, side="left")
    order = np.lexsort((records.known_on, slot, records.record))
    order = order[slot[order] < len(deliveries)]
    record, slot = records.record[order], slot[order]
    # Of several versions between two deliveries only the last is ever seen.
    last = np.append((record[1:] != record[:-1]) | (slot[1:] != slot[:-1]), True)[: len(order)]
    order, record, slot = order[last], record[last], slot[last]
    next_slot = np.append(np.where(record[1:] == record[:-1], slot[1:], len(deliveries)), len(deliveries))[
        : len(order)
    ]
    by_slot = order[np.argsort(slot, kind="stable")]
    bounds = np.searchsorted(np.sort(slot), np.arange(len(deliveries) + 1))
    dropped = records.dropped_on[order]
    selections = []
    seen = np.zeros(len(records.key), dtype=bool)
    for number, delivery in enumerate(deliveries):
        if delivery.kind == FULL:
            chosen = order[(slot <= number) & (next_slot > number) & (dropped > delivery.extracted)]
        else:
            chosen = by_slot[bounds[number] : bounds[number + 1]]
        selections.append(chosen)
        seen[records.record[chosen]] = True
    return selections, seen


def _csv_lines(contract: FeedContract, table: Table, columns: Mapping[str, np.ndarray]) -> pa.Array:
    """Render every version as one CSV line with its line end."""
    end = _line_end(contract)
    parts = []
    for column in table.columns:
        if column.optional_column and column.physical_name not in columns:
            continue
        text = pa.array(columns[column.physical_name], type=pa.string())
        if pc.any(pc.match_substring(text, contract.delimiter)).as_py():
            quoted = pc.binary_join_element_wise('"', text, '"', "")
            text = pc.if_else(pc.match_substring(text, contract.delimiter), quoted, text)
        parts.append(text)
    joined = pc.binary_join_element_wise(*parts, contract.delimiter)
    return pc.binary_join_element_wise(joined, end, "")


def _xml_lines(table: Table, columns: Mapping[str, np.ndarray]) -> pa.Array:
    """Render every version as one XML element; an empty value leaves its element out, but for the postcode
    (no fixed abode).
    """
    rows = len(next(iter(columns.values())))
    pieces: list[pa.Array | str] = [pa.array([f"  <{table.row_element}>\n"] * rows)]
    group: str | None = None
    for column in table.columns:
        if column.optional_column and column.physical_name not in columns:
            continue
        *parents, element = column.physical_name.split("/")
        parent = parents[0] if parents else None
        indent = "      " if parent else "    "
        opening = ""
        if parent != group:
            opening = (f"    </{group}>\n" if group else "") + (f"    <{parent}>\n" if parent else "")
            group = parent
        text = pa.array(columns[column.physical_name], type=pa.string())
        for letter, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = pc.replace_substring(text, letter, entity)
        full = pc.binary_join_element_wise(f"{opening}{indent}<{element}>", text, f"</{element}>\n", "")
        empty = f"{opening}{indent}<{element}/>\n" if element == "Postcode" else opening
        pieces.append(pc.if_else(pc.equal(text, ""), empty, full))
    closing = (f"    </{group}>\n" if group else "") + f"  </{table.row_element}>\n"
    return pc.binary_join_element_wise(*pieces, closing, "")


def _bytes(contract: FeedContract, table: Table, lines: pa.Array, selected: np.ndarray) -> bytes:
    chosen = lines.take(pa.array(selected))
    # The lines lie one after another in the array's data: no need to join them again.
    offsets = (
        np.frombuffer(chosen.buffers()[1], dtype=np.int32, count=len(chosen) + 1) if len(chosen) else [0, 0]
    )
    text = chosen.buffers()[2].to_pybytes()[offsets[0] : offsets[-1]] if len(chosen) else b""
    if contract.format == "xml":
        root = "".join(word.capitalize() for word in contract.feed.split("_"))
        head = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>\n'
        return head.encode() + text + f"</{root}>\n".encode()
    names = [c.physical_name for c in table.columns if not c.optional_column]
    header = contract.delimiter.join(names) + _line_end(contract)
    if contract.encoding in ("utf-8", "utf-8-sig"):
        return header.encode(contract.encoding) + text
    return header.encode(contract.encoding) + text.decode().encode(contract.encoding)


def _line_end(contract: FeedContract) -> str:
    """Windows systems (cp1252) end lines with CR LF."""
    return "\r\n" if contract.encoding == "cp1252" else "\n"


def _file_name(table: Table, delivery: Delivery) -> str:
    """Fill the groups of the contract's file pattern. Raises `ValueError` if the result does not match the
    pattern.
    """
    pattern = table.file_pattern.pattern
    name = pattern.replace(r"(?P<delivery_date>\d{8})", f"{day_of(delivery.extracted):%Y%m%d}")
    name = name.replace("(?P<kind>full|changes)", delivery.kind).replace("\\.", ".")
    if not table.file_pattern.fullmatch(name):
        raise ValueError(f"{table.qualified_name}: cannot make a file name for the pattern {pattern}")
    return name


def _write(path: Path, body: bytes) -> None:
    if path.exists() and path.stat().st_size == len(body) and path.read_bytes() == body:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)


def never_dropped(count: int) -> Days:
    """`dropped_on` for records that stay in full files for good."""
    return np.full(count, OPEN, dtype=np.int32)
