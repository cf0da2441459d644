"""Both zones in one folder, and a short way to stage checked rows: what loading leaves, without the files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from bridge.deliveries.ledger import CHECKED, Delivery, insert_deliveries, writing
from bridge.zone import CouncilZone
from exchange.opening import OpeningReport, open_packages
from exchange.sealed import publish_public_key
from governance.contracts import LOGICAL_TYPES
from stores.analytics import AnalyticsZone
from stores.encrypted import attached
from stores.home import Home
from stores.keys import ANALYTICS_ROOTS, COUNCIL_ROOTS, create_missing_keys

NIGHT = date(2026, 10, 6)
FIRST_DAY = date(2025, 1, 6)

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class TwoZones:
    """A home with keys on both sides, and what tests do to it."""

    council: CouncilZone
    analytics: AnalyticsZone

    @property
    def home(self) -> Home:
        return self.council.home

    def stage(
        self,
        feed: str,
        tables: Mapping[str, Rows],
        *,
        delivered: date = FIRST_DAY,
        received: date | None = None,
        kind: str = "full",
    ) -> str:
        """Register a delivery whose rows passed their checks; return its id. Columns left out are null."""
        contract = self.council.contracts[feed]
        mac = hashlib.sha256(repr((feed, delivered, kind, tables)).encode()).hexdigest()
        delivery_id = f"{delivered}-{kind}-{mac[:8]}"
        delivery = Delivery(
            feed=feed,
            delivery_id=delivery_id,
            delivery_date=delivered,
            received_date=received or delivered + timedelta(days=2),
            kind=kind,
            content_mac=mac,
            files=(),
            state=CHECKED,
            rows_in=sum(map(len, tables.values())),
            rows_quarantined=0,
            rows_sealed=None,
            message=None,
            registered_on=NIGHT,
        )
        with writing(self.council) as ledger:
            insert_deliveries(ledger, [delivery])
            for table in contract.tables:
                rows = tables.get(table.name, ())
                fields = [pa.field(column.name, LOGICAL_TYPES[column.type]) for column in table.columns]
                staged = pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema(fields))
                staged = staged.append_column("delivery_id", pa.repeat(delivery_id, len(rows)))
                staged = staged.append_column("row_number", pa.array(range(1, len(rows) + 1), pa.int64()))
                name = f"checked_{table.qualified_name}"
                ledger.register("staged", staged)
                ledger.execute(f"create table if not exists {name} as from staged limit 0")
                ledger.execute(f"insert into {name} by name from staged")
                ledger.unregister("staged")
        return delivery_id

    def open(self, feed: str) -> OpeningReport:
        return open_packages(self.analytics, self.council.contracts[feed])

    def ledger(self, sql: str) -> list[tuple[Any, ...]]:
        key = self.council.storage_key("deliveries")
        with attached(self.home.deliveries_db, key, read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def warehouse(self, sql: str) -> list[tuple[Any, ...]]:
        with self.analytics.warehouse(read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def linkage(self, sql: str) -> list[tuple[Any, ...]]:
        with self.analytics.linkage(read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def packages(self, feed: str) -> list[Path]:
        return sorted((self.home.outbox / feed).glob("*.sealed"))


def make_two_zones(root: Path) -> TwoZones:
    home = Home(root)
    create_missing_keys(home.council_keys, COUNCIL_ROOTS)
    create_missing_keys(home.analytics_keys, ANALYTICS_ROOTS)
    zones = TwoZones(CouncilZone.open(home), AnalyticsZone.open(home))
    publish_public_key(zones.council.keys, "council", home)
    publish_public_key(zones.analytics.keys, "analytics", home)
    return zones


def table_of(text: str) -> list[dict[str, Any]]:
    """Read a little table: a header, columns parted by |, dates, whole numbers after #, - for null."""
    header, *lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return [dict(zip(header, map(_value, line), strict=True)) for line in lines]


def _value(cell: str) -> Any:
    if cell == "-":
        return None
    if cell.startswith("#"):
        return int(cell[1:])
    if len(cell) == 10 and cell[4] == cell[7] == "-":
        return date.fromisoformat(cell)
    return cell
