"""The making of all feeds: each feed block by block, feeds side by side in worker processes.

A worker is a copy of this process (fork), so that the county in memory is shared and nothing is sent to it. What
a feed's files hold depends on the county alone, never on the number of workers.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from governance.contracts import FeedContract
from stores.home import Home
from synthetic.blocks import Blocks, block_of
from synthetic.dates import Days
from synthetic.errors import ERRORS
from synthetic.feeds.deliveries import (
    WEEKLY,
    Delivery,
    FeedFiles,
    TableRecords,
    writing_folder,
)
from synthetic.forks import can_fork, in_forks
from synthetic.truth import household_ids, person_ids
from synthetic.world import World

LARGEST_WORKERS = 4
"""More workers hold more feeds in memory, and the longest feed bounds the time anyway."""

_RECORDS = pa.schema(
    [
        ("feed", pa.string()),
        ("table", pa.string()),
        ("key", pa.string()),
        ("person_id", pa.string()),
        ("household_id", pa.string()),
        ("errors", pa.uint32()),
    ],
    metadata={"errors": ",".join(ERRORS)},
)


@dataclass(frozen=True)
class FeedPlan:
    """A feed to be made: contract, writer module, deliveries."""

    contract: FeedContract
    module: ModuleType
    deliveries: list[Delivery]

    @property
    def whole(self) -> bool:
        """True if the feed needs all records at once: its module says `WHOLE`, or writes documents."""
        return bool(getattr(self.module, "WHOLE", False)) or hasattr(self.module, "document")


@dataclass(frozen=True)
class MadeFeed:
    """What making a feed came to: counts, and the traces of trouble (household, day known, last day that counts)
    that it holds.
    """

    feed: str
    deliveries: int
    files: int
    rows: int
    bytes: int
    records: int
    labels: int
    traces: list[tuple[np.ndarray, Days, Days]] = field(default_factory=list)


@dataclass(frozen=True)
class _Job:
    home: Home
    world: World
    blocks: Blocks
    plans: dict[str, FeedPlan]


_job: _Job | None = None
"""What worker processes work on: set before they are forked, so that they share it."""


def make_feeds(
    home: Home,
    world: World,
    blocks: Blocks,
    plans: dict[str, FeedPlan],
    workers: int,
    say: Callable[[str], None],
) -> dict[str, MadeFeed]:
    """Write all feeds into their inboxes and their records into the truth; return what each came to, by name."""
    global _job
    shutil.rmtree(writing_folder(home), ignore_errors=True)
    _job = _Job(home, world, blocks, plans)
    try:
        made = {}
        for each in _made(workers):
            say(f"{each.feed}: {each.rows:,} rows")
            made[each.feed] = each
    finally:
        _job = None
    _join_records(home, sorted(plans))
    shutil.rmtree(writing_folder(home))
    return dict(sorted(made.items()))


def _made(workers: int) -> Iterator[MadeFeed]:
    """Make the feeds, the long ones first."""
    job = _current_job()
    order = sorted(job.plans, key=lambda feed: (job.plans[feed].module.RHYTHM != WEEKLY, feed))
    if workers == 1 or not can_fork():
        yield from map(_make_feed, order)
    else:
        yield from in_forks(_make_feed, order, workers)


def _current_job() -> _Job:
    if _job is None:
        raise RuntimeError("no county is being made")
    return _job


def _make_feed(feed: str) -> MadeFeed:
    """Make one feed: records and files block by block."""
    job = _current_job()
    plan = job.plans[feed]
    files = FeedFiles(job.home, plan.contract, plan.deliveries)
    records = labels = 0
    traces = []
    label_file: pq.ParquetWriter | None = None
    with pq.ParquetWriter(_records_part(job.home, feed), _RECORDS, compression="zstd") as record_file:
        for world, first_household, first_person in _worlds(job, plan):
            tables = plan.module.make_records(world)
            delivered = files.append(tables, getattr(plan.module, "document", None))
            for name in sorted(tables):
                table = tables[name]
                if table.person is not None and table.household is not None:
                    piece = _records(feed, name, table, delivered[name], first_household, first_person)
                    record_file.write_table(piece)
                    records += piece.num_rows
                if table.labels is not None:
                    kept = _delivered_labels(table.labels, table.key[delivered[name]])
                    if label_file is None:
                        path = job.home.truth / f"{feed}_labels.parquet"
                        label_file = pq.ParquetWriter(path, kept.schema, compression="zstd")
                    label_file.write_table(kept)
                    labels += kept.num_rows
            if hasattr(plan.module, "precursors"):
                household, known_on, until = plan.module.precursors(tables)
                traces.append((household + first_household, known_on, until))
            del tables
    if label_file is not None:
        label_file.close()
    written = files.finish()
    return MadeFeed(
        feed, written.deliveries, written.files, written.rows, written.bytes, records, labels, traces
    )


def _worlds(job: _Job, plan: FeedPlan) -> Iterator[tuple[World, int, int]]:
    if plan.whole:
        yield job.world, 0, 0
        return
    for number in range(job.blocks.count):
        yield block_of(job.world, job.blocks, number)


def _records(
    feed: str,
    table: str,
    records: TableRecords,
    delivered: np.ndarray,
    first_household: int,
    first_person: int,
) -> pa.Table:
    rows = np.flatnonzero(delivered)
    assert records.person is not None  # noqa: S101 - the caller looked
    assert records.household is not None  # noqa: S101
    errors = np.zeros(len(rows), dtype=np.uint32) if records.errors is None else records.errors[rows]
    return pa.table(
        {
            "feed": pa.repeat(pa.scalar(feed), len(rows)),
            "table": pa.repeat(pa.scalar(table), len(rows)),
            "key": pa.array(records.key[rows], type=pa.string()),
            "person_id": person_ids(records.person[rows] + first_person),
            "household_id": household_ids(records.household[rows] + first_household),
            "errors": pa.array(errors.astype(np.uint32)),
        },
        schema=_RECORDS,
    )


def _delivered_labels(labels: pa.Table, delivered_keys: np.ndarray) -> pa.Table:
    """The labels of delivered records, where they say which record they belong to."""
    if "key" not in labels.column_names:
        return labels
    keys = pa.array(delivered_keys, type=pa.string())
    return labels.filter(pc.is_in(labels["key"], value_set=keys))


def _records_part(home: Home, feed: str) -> Path:
    return writing_folder(home) / f"{feed}_records.parquet"


def _join_records(home: Home, feeds: list[str]) -> None:
    """Join the feeds' records into one file, in order of feed, without holding more than a piece of them."""
    path = home.truth / "records.parquet"
    with pq.ParquetWriter(path, _RECORDS, compression="zstd") as file:
        for feed in feeds:
            part = pq.ParquetFile(_records_part(home, feed))
            for number in range(part.num_row_groups):
                file.write_table(part.read_row_group(number))
