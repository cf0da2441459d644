"""Try one file by a contract: parse, type and check it as a load would, and keep nothing.

No key is needed and no store is touched: whoever prepares an export can try it before it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from bridge.deliveries.inbox import described_name
from bridge.deliveries.ledger import REFUSED, REGISTERED, Delivery, DeliveryFile
from bridge.deliveries.loading import BatchLoad, check_table
from bridge.files.hostile_files import RefusedFileError
from bridge.files.parsing import parse_tables
from bridge.files.problems import NoSuchFileError, Problem
from governance.contracts import FeedContract, Table, delivery_date_of


@dataclass(frozen=True)
class FileTrial:
    """What would become of a file. `problems` names rows, rules and remedies, never a value."""

    feed: str
    tables: tuple[str, ...]
    rows: int
    rows_to_quarantine: int
    refused: bool
    problems: tuple[Problem, ...]

    @property
    def good(self) -> bool:
        """True if every row would be taken."""
        return not self.refused and not self.rows_to_quarantine


def try_file(
    path: Path, contracts: Mapping[str, FeedContract], feed: str | None = None, table: str | None = None
) -> FileTrial:
    """Try the file at `path` as `table` of `feed`; both are found by the file's name where they are not given.

    Raises `NoSuchFileError`.
    """
    if not path.is_file():
        raise NoSuchFileError(f"{path}: there is no such file. Check the path.")
    contract, tables = _destination(path, contracts, feed, table)
    delivery = _delivery(path, contract, tables)
    load = BatchLoad(contract, [delivery])
    problems = load.problems[delivery.delivery_id]
    problems += _name_remarks(path, contract, tables)
    try:
        parsed = parse_tables(path, contract, tables)
    except RefusedFileError as refusal:
        load.refused.add(delivery.delivery_id)
        problems.append(refusal.problem)
    else:
        for name, found in parsed.items():
            load.parsed[delivery.delivery_id, name] = found
            problems += found.remarks
        for each in tables:
            check_table(load, each)
    (verdict,) = load.verdicts()
    return FileTrial(
        feed=contract.feed,
        tables=tuple(each.name for each in tables),
        rows=verdict.rows_in,
        rows_to_quarantine=load.broken_rows[delivery.delivery_id],
        refused=verdict.state == REFUSED,
        problems=tuple(replace(problem, file=path.name) for problem in verdict.problems),
    )


def _destination(
    path: Path, contracts: Mapping[str, FeedContract], feed: str | None, table: str | None
) -> tuple[FeedContract, list[Table]]:
    """Find the tables that the file holds: by its name, or by what the caller says."""
    if feed is not None and feed not in contracts:
        raise NoSuchFileError(
            f"{feed}: no feed of this name has a contract (there are {', '.join(contracts)})."
        )
    considered = [contracts[feed]] if feed else list(contracts.values())
    for contract in considered:
        named = [
            each
            for each in contract.tables
            if (each.name == table if table else each.file_pattern.fullmatch(path.name))
        ]
        if named:
            pattern = named[0].file_pattern
            return contract, [each for each in contract.tables if each.file_pattern == pattern]
    if feed and table:
        tables = ", ".join(each.name for each in contracts[feed].tables)
        raise NoSuchFileError(f"{feed} has no table {table} (it has {tables}).")
    if feed and len({each.file_pattern for each in contracts[feed].tables}) == 1:
        return contracts[feed], list(contracts[feed].tables)
    raise NoSuchFileError(
        f"{path.name}: no contract has a file of this name. Say what it holds: --feed FEED --table TABLE."
    )


def _name_remarks(path: Path, contract: FeedContract, tables: Sequence[Table]) -> list[Problem]:
    """Say so if the inbox would not take the file because of its name."""
    match = tables[0].file_pattern.fullmatch(path.name)
    if match and _date_of(match["delivery_date"]):
        return []
    return [
        Problem(
            path.name,
            f"a {contract.feed} file is named {described_name(tables[0].file_pattern)}, with a real date",
            "Rename the file before you send it: the inbox knows it by its name.",
        )
    ]


def _date_of(text: str) -> date | None:
    try:
        return delivery_date_of(text)
    except ValueError:
        return None


def _delivery(path: Path, contract: FeedContract, tables: Sequence[Table]) -> Delivery:
    """Return a delivery of this file alone, which no ledger knows."""
    size = path.stat().st_size
    return Delivery(
        feed=contract.feed,
        delivery_id="trial",
        delivery_date=date.min,
        received_date=date.min,
        kind="full",
        content_mac="",
        files=tuple(DeliveryFile(table.name, path.name, size, "") for table in tables),
        state=REGISTERED,
        rows_in=None,
        rows_quarantined=None,
        rows_sealed=None,
        message=None,
        registered_on=date.min,
    )
