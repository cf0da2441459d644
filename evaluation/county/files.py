"""What the partners' systems show, read from their files alone: the newest full delivery of each table and the
changes after it; and what each feed has sent, counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bridge.files.hostile_files import RefusedFileError
from bridge.files.parsed_file import ROW_NUMBER
from bridge.files.parsing import parse_file
from bridge.files.typed_columns import typed_columns
from expectations.rules import DELIVERY_ID
from governance.contracts import CSV, XML, Column, FeedContract, Table, delivery_date_of
from stores.home import Home

KEY, DELIVERED_ON, RECORDED_ON = "_key", "_delivered_on", "_recorded_on"
"""The record's natural key as text of the file, its parts joined with "|"; the file's own date; and the day on which
the record begins: its first date that must be there, else the file's own.
"""

FULL = "full"
_RECEIVED = re.compile(r"received=(\d{4}-\d{2}-\d{2})")


@dataclass(frozen=True)
class PartnerFile:
    """One file in the inbox. `received` is None where the folder does not say."""

    path: Path
    extracted: date
    kind: str
    received: date | None


@dataclass(frozen=True)
class FeedInventory:
    """What one feed has sent. Cadence and lag are medians in days; `tables` are those of its contract."""

    feed: str
    partner: str
    formats: tuple[str, ...]
    encodings: tuple[str, ...]
    tables: tuple[str, ...]
    deliveries: int
    full_deliveries: int
    files: int
    rows: int
    bytes: int
    cadence_days: float
    agreed_cadence_days: int
    lag_days: float
    longest_lag_days: int
    agreed_lag_days: int


def partner_files(home: Home, table: Table) -> list[PartnerFile]:
    """Return the table's files in the inbox, oldest extract first."""
    found = []
    for path in sorted(home.feed_inbox(table.feed).rglob("*")):
        match = table.file_pattern.fullmatch(path.name)
        if match and path.is_file():
            folder = _RECEIVED.fullmatch(path.parent.name)
            received = date.fromisoformat(folder[1]) if folder else None
            found.append(PartnerFile(path, delivery_date_of(match["delivery_date"]), match["kind"], received))
    return sorted(found, key=lambda file: (file.extracted, file.path.name))


def current_files(files: list[PartnerFile]) -> list[PartnerFile]:
    """Return the newest full file and the changes after it: together they are what the partner's system shows."""
    full = [place for place, file in enumerate(files) if file.kind == FULL]
    return files[full[-1] :] if full else files


def current_rows(contract: FeedContract, table: Table, files: list[PartnerFile]) -> pa.Table | None:
    """Return the newest row of each record, typed, with `KEY`, `DELIVERED_ON` and `RECORDED_ON`; `None` without files.

    Rows that no parser can read are left out, and so are values that are not of their type (null): the night
    would quarantine them. Raises nothing for a broken file; it is left out as well.
    """
    texts = [_texts(contract, table, file) for file in current_files(files)]
    read = [text for text in texts if text is not None]
    if not read:
        return None
    together = pa.concat_tables(read)
    # The newest delivery wins: of each key the last row, in order of delivery.
    key = together[KEY].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    last = np.full(int(key.max(initial=-1)) + 1, -1, dtype=np.int64)
    last[key] = np.arange(len(key))
    together = together.take(pa.array(np.sort(last)))
    typed = typed_columns(contract, table, together.drop_columns([KEY]))
    days = pc.cast(together[DELIVERY_ID], pa.date32())
    kept = typed.select([column.name for column in table.columns])
    recorded = next((typed[column.name] for column in table.columns if _says_when(column)), days)
    return (
        kept.append_column(KEY, together[KEY])
        .append_column(DELIVERED_ON, days)
        .append_column(RECORDED_ON, pc.coalesce(recorded, days))
    )


def _says_when(column: Column) -> bool:
    return column.type == "date" and column.required and column.identifier is None


def _texts(contract: FeedContract, table: Table, file: PartnerFile) -> pa.Table | None:
    try:
        rows = parse_file(file.path, contract, table).rows
    except RefusedFileError:
        return None
    parts = [pc.fill_null(rows[column.name], "") for column in table.key]
    key = pc.binary_join_element_wise(*parts, "|") if len(parts) > 1 else parts[0]
    delivery = pa.array([file.extracted.isoformat()] * rows.num_rows, pa.string())
    numbers = pa.array(np.arange(rows.num_rows), pa.int64())
    rows = rows.drop_columns([ROW_NUMBER]).append_column(ROW_NUMBER, numbers)
    return rows.append_column(DELIVERY_ID, delivery).append_column(KEY, key)


def load_current(
    home: Home, contracts: dict[str, FeedContract], connection: duckdb.DuckDBPyConnection
) -> list[str]:
    """Make a table `files.<feed>__<table>` of the current rows of every feed that sent any; return their names."""
    made = []
    for contract, table in tables_of(contracts):
        rows = current_rows(contract, table, partner_files(home, table))
        if rows is not None:
            connection.register("rows", rows)
            connection.execute(f'create table files."{table.qualified_name}" as select * from rows')
            connection.unregister("rows")
            made.append(table.qualified_name)
    return made


def tables_of(contracts: dict[str, FeedContract]) -> Iterator[tuple[FeedContract, Table]]:
    for contract in contracts.values():
        for table in contract.tables:
            yield contract, table


def inventory(home: Home, contract: FeedContract) -> FeedInventory | None:
    """Count what the feed has sent; `None` if nothing. Rows are counted by line ends or row elements, not parsed."""
    sent = [(table, file) for table in contract.tables for file in partner_files(home, table)]
    deliveries = {(file.extracted, file.kind): file for _, file in sent}
    if not deliveries:
        return None
    sizes = {file.path: file.path.stat().st_size for _, file in sent}
    extracts = np.array(sorted({day.toordinal() for day, _ in deliveries}))
    lags = np.array(
        [(file.received - file.extracted).days for file in deliveries.values() if file.received is not None]
    )
    return FeedInventory(
        feed=contract.feed,
        partner=contract.partner,
        formats=_distinct(table.format.format for table in contract.tables),
        encodings=_distinct(table.format.encoding for table in contract.tables),
        tables=tuple(table.name for table in contract.tables),
        deliveries=len(deliveries),
        full_deliveries=sum(1 for _, kind in deliveries if kind == FULL),
        files=len(sizes),
        rows=sum(_rows_in(file.path, table) for table, file in sent),
        bytes=sum(sizes.values()),
        cadence_days=float(np.median(np.diff(extracts))) if len(extracts) > 1 else float("nan"),
        agreed_cadence_days=contract.cadence_days,
        lag_days=float(np.median(lags)) if len(lags) else float("nan"),
        longest_lag_days=int(lags.max(initial=0)),
        agreed_lag_days=contract.latency_days,
    )


def _rows_in(path: Path, table: Table) -> int:
    content = path.read_bytes()
    if table.format.format == XML:
        return content.count(f"</{table.row_element}>".encode())
    lines = content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
    return max(lines - (table.format.format == CSV), 0)


def _distinct(values: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
