"""Quarantine: rows that broke a rule, as sent, in an encrypted store; refused files as copies.

Everything is written before the ledger says so, and a second load of the same delivery first takes away what
the first one left: killed at any point and done again, the outcome is the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from bridge.deliveries.ledger import Delivery
from bridge.files.problems import Problem
from bridge.zone import CouncilZone
from stores.encrypted import attached
from stores.files import written_atomically

# A file larger than this is not copied: the reasons say where it lies.
MAXIMUM_COPIED_BYTES = 256 << 20

_SCHEMA = Path(__file__).with_name("quarantine.sql")

QUARANTINED_ROWS = pa.schema(
    [
        ("delivery_id", pa.string()),
        ("table_name", pa.string()),
        ("row_number", pa.int64()),
        ("rule", pa.string()),
        ("column_name", pa.string()),
        ("remedy", pa.string()),
        ("raw_row", pa.string()),
    ]
)


def quarantine_rows(zone: CouncilZone, feed: str, delivery_ids: Sequence[str], rows: pa.Table) -> None:
    """Replace the quarantined rows of `delivery_ids` by `rows` (QUARANTINED_ROWS)."""
    path = zone.home.quarantine(feed) / "rows.duckdb"
    if not rows.num_rows and not path.is_file():
        return
    with attached(path, zone.storage_key(f"quarantine/{feed}")) as connection:
        connection.execute("begin")
        connection.execute(_SCHEMA.read_text(encoding="utf-8"))
        connection.execute(
            "delete from quarantined_rows where delivery_id in (select unnest(?))", [list(delivery_ids)]
        )
        connection.register("broken", rows)
        connection.execute("insert into quarantined_rows by name select * from broken")
        connection.execute("commit")


def keep_refused(zone: CouncilZone, delivery: Delivery, problems: Sequence[Problem]) -> None:
    """Copy the files of a refused delivery into quarantine, with the reasons beside them."""
    folder = zone.home.quarantine(delivery.feed) / "refused" / delivery.delivery_id
    for file in delivery.files:
        source = zone.home.inbox / file.path
        if source.is_file() and source.stat().st_size <= MAXIMUM_COPIED_BYTES:
            with written_atomically(folder / file.name) as aside:
                shutil.copyfile(source, aside)
    reasons = {
        "feed": delivery.feed,
        "delivery_id": delivery.delivery_id,
        "files": [file.path for file in delivery.files],
        "problems": [problem.as_json() for problem in problems],
    }
    with written_atomically(folder / "reasons.json") as aside:
        aside.write_text(json.dumps(reasons, indent=2, ensure_ascii=False), encoding="utf-8")


def drop_refused(zone: CouncilZone, feed: str, delivery_id: str) -> None:
    """Take away the copies of a delivery that was refused once and is accepted now."""
    shutil.rmtree(zone.home.quarantine(feed) / "refused" / delivery_id, ignore_errors=True)
