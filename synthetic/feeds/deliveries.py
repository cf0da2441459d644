"""From records and their versions to partners' files: schedule, full and changes, text, bytes, landing
folders.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from governance.contracts import FeedContract, Table
from stores.home import Home
from synthetic.dates import OPEN, Days, add_months, day_number, day_of
from synthetic.feeds.rendering import foot_of, head_of, lines_of
from synthetic.streams import stream

FULL, CHANGES = "full", "changes"
WEEKLY, MONTH_START, MONTH_END = "weekly", "month_start", "month_end"
TERMLY, YEARLY = "termly", "yearly"
_CENSUS_THURSDAY = {1: 3, 5: 3, 10: 1}
"""School census days: the third Thursday of January and May, the first of October."""
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

    `columns` hold the text of each version by the file's column name (NumPy or Arrow, plain or dictionary);
    `record` numbers its record (files are in that order); `known_on` is the day from which the partner's
    system shows the version; `dropped_on` the day from which full files no longer hold it. `person`,
    `household` and `key` have one position per record (`key` parts joined with "|"). `labels`, if any, become
    `truth/<feed>_labels.parquet`; where they have a column `key`, only those of delivered records.
    `errors`, one per record, are the bits of `synthetic.errors.ERRORS` that its registration and address bear.
    """

    columns: Mapping[str, Any]
    record: np.ndarray
    known_on: Days
    dropped_on: Days
    key: np.ndarray
    person: np.ndarray | None = None
    household: np.ndarray | None = None
    labels: pa.Table | None = None
    errors: np.ndarray | None = None


Document = Callable[[FeedContract, Mapping[str, TableRecords], Mapping[str, np.ndarray], Delivery], bytes]
"""Writes the one file of several tables: contract, records by table, the versions that this delivery holds of
each, delivery.
"""


TRACE_DAYS, CASE_DAYS = 548, 3 * 365
"""How long a trace of trouble counts as a precursor: 18 months, an earlier case 3 years."""

Traces = tuple[np.ndarray, Days, Days]
"""Household, day known and last day that counts, of traces of trouble: what a feed's `precursors` returns."""


@dataclass(frozen=True)
class WrittenFeed:
    """What a feed wrote: counts, and for each table which records (of the last block) have been delivered."""

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
    April, are full. Raises `ValueError` for an unknown rhythm.
    """
    extracts = _extracts(rhythm, first_month, months)
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


def _extracts(rhythm: str, first_month: date, months: int) -> list[date]:
    """The days of a rhythm's extracts, from `first_month` and before its end."""
    end = add_months(first_month, months)
    starts = [add_months(first_month, month) for month in range(months + 1)]
    match rhythm:
        case "weekly":
            monday = first_month + timedelta(days=-first_month.weekday() % 7)
            weeks = [monday + timedelta(days=7 * week) for week in range((end - monday).days // 7 + 1)]
            return [day for day in weeks if day < end]
        case "month_start":
            return starts
        case "month_end":
            return [start - timedelta(days=1) for start in starts[1:]]
        case "termly":
            return [
                _thursday(day, _CENSUS_THURSDAY[day.month])
                for day in starts[:-1]
                if day.month in _CENSUS_THURSDAY
            ]
        case "yearly":
            # The edition in force when the sharing begins, then the one of each April.
            return [day for day in starts[:-1] if day == first_month or day.month == 4]
    raise ValueError(f"{rhythm}: not a rhythm of deliveries")


def _thursday(first: date, number: int) -> date:
    return first + timedelta(days=(3 - first.weekday()) % 7 + 7 * (number - 1))


def write_feed(
    home: Home,
    contract: FeedContract,
    tables: Mapping[str, TableRecords],
    deliveries: list[Delivery],
    document: Document | None = None,
) -> WrittenFeed:
    """Write every file of every delivery into the feed's inbox, all records at once."""
    files = FeedFiles(home, contract, deliveries)
    delivered = files.append(tables, document)
    return files.finish(delivered)


class FeedFiles:
    """A feed's files in the making, block of records by block of records. The inbox sees whole files alone."""

    def __init__(self, home: Home, contract: FeedContract, deliveries: list[Delivery]) -> None:
        self.contract, self.deliveries = contract, deliveries
        self.inbox = home.feed_inbox(contract.feed)
        self.writing = writing_folder(home) / contract.feed
        self.rows = 0
        self._feet: dict[Path, bytes] = {}
        shutil.rmtree(self.writing, ignore_errors=True)
        self.writing.mkdir(parents=True)

    def append(
        self, tables: Mapping[str, TableRecords], document: Document | None = None
    ) -> dict[str, np.ndarray]:
        """Add records to every file that holds them; return which of them any delivery held, by table.

        Tables of one file are written by `document`, which must be given all records at once. Raises `KeyError`
        if a table lacks a column of its contract, `ValueError` if several tables share a file and there is no
        `document`.
        """
        selections, delivered = {}, {}
        for table in self.contract.tables:
            selections[table.name], delivered[table.name] = _selections(tables[table.name], self.deliveries)
            self.rows += sum(len(selected) for selected in selections[table.name])
        for shared in _files_of(self.contract):
            if len(shared) == 1:
                self._append_lines(shared[0], tables[shared[0].name], selections[shared[0].name])
            else:
                self._write_documents(shared, tables, selections, document)
        return delivered

    def finish(self, delivered: Mapping[str, np.ndarray] | None = None) -> WrittenFeed:
        """Put the files into the inbox. A file that is there already with the same bytes is left alone."""
        size = 0
        for part, foot in self._feet.items():
            if foot:
                with part.open("ab") as file:
                    file.write(foot)
            size += part.stat().st_size
            path = self.inbox / part.parent.name / part.name
            if path.exists() and filecmp.cmp(part, path, shallow=False):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)
        self.inbox.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.writing)
        return WrittenFeed(len(self.deliveries), len(self._feet), self.rows, size, delivered or {})

    def _append_lines(self, table: Table, records: TableRecords, selections: list[np.ndarray]) -> None:
        lines = lines_of(table, records.columns)
        head = head_of(table, records.columns, self.contract.feed)
        for delivery, selected in zip(self.deliveries, selections, strict=True):
            part = self._part(table, delivery)
            new = part not in self._feet
            if new:
                self._feet[part] = foot_of(table, self.contract.feed)
            if new or len(selected):
                body = _encoded(lines.take(pa.array(selected)), table.format.encoding)
                with part.open("ab") as file:
                    file.write(head + body if new else body)

    def _write_documents(
        self,
        shared: list[Table],
        tables: Mapping[str, TableRecords],
        selections: Mapping[str, list[np.ndarray]],
        document: Document | None,
    ) -> None:
        if document is None:
            names = ", ".join(table.name for table in shared)
            raise ValueError(
                f"{self.contract.feed}: tables {names} share a file; the feed's module needs `document`"
            )
        of = {table.name: tables[table.name] for table in shared}
        for number, delivery in enumerate(self.deliveries):
            part = self._part(shared[0], delivery)
            if part in self._feet:
                raise ValueError(f"{self.contract.feed}: a document is written once, with all its records")
            part.write_bytes(
                document(self.contract, of, {name: selections[name][number] for name in of}, delivery)
            )
            self._feet[part] = b""

    def _part(self, table: Table, delivery: Delivery) -> Path:
        folder = self.writing / f"received={day_of(delivery.received)}"
        folder.mkdir(exist_ok=True)
        return folder / _file_name(table, delivery)


def writing_folder(home: Home) -> Path:
    """Where files wait until they are whole; gone when the county is there."""
    return home.truth / "writing"


def _files_of(contract: FeedContract) -> list[list[Table]]:
    """The contract's tables, those of one file together."""
    shared: dict[str, list[Table]] = {}
    for table in contract.tables:
        shared.setdefault(table.file_pattern.pattern, []).append(table)
    return list(shared.values())


def _encoded(lines: pa.Array, encoding: str) -> bytes:
    """The lines one after another, as bytes of `encoding`."""
    if not len(lines):
        return b""
    # The lines lie one after another in the array's data: no need to join them again.
    offsets = np.frombuffer(lines.buffers()[1], dtype=np.int32, count=lines.offset + len(lines) + 1)
    text = lines.buffers()[2].to_pybytes()[offsets[lines.offset] : offsets[-1]]
    return text if encoding in ("utf-8", "utf-8-sig") else text.decode().encode(encoding)


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


def traces(household: np.ndarray | None, known_on: Days, days: int) -> Traces:
    """Traces that count for `days` from the day they are known. Raises `ValueError` without households."""
    if household is None:
        raise ValueError("traces need the household of each record")
    until = np.minimum(known_on.astype(np.int64) + days, OPEN)
    return household, known_on, until.astype(np.int32)


def never_dropped(count: int) -> Days:
    """`dropped_on` for records that stay in full files for good."""
    return np.full(count, OPEN, dtype=np.int32)
