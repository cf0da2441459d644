"""Small deliveries of several feeds in every format, and what both zones make of them without Dagster."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from partner_files import name_of, partner_files

from bridge.addresses import match_addresses
from bridge.deliveries.inbox import register_deliveries
from bridge.deliveries.ledger import CHECKED, REGISTERED, deliveries
from bridge.deliveries.loading import load_deliveries
from bridge.digest import council_digest
from bridge.pseudonymise.deliveries import pseudonymise_deliveries
from bridge.zone import CouncilZone
from exchange.opening import open_packages
from exchange.sealed import publish_public_key
from governance.contracts import CONTRACTS_FOLDER, FeedContract
from stores.analytics import AnalyticsZone
from stores.digest import LogicalDigest, analytics_digest
from stores.home import Home
from stores.keys import ANALYTICS_ROOTS, COUNCIL_ROOTS, create_missing_keys

NIGHT = date(2024, 9, 6)
FEEDS = ("adult_social_care", "homelessness_cases", "hub_interventions", "sundry_debts")
"""One feed of each format: CSV, XML, JSON lines, fixed width."""

LANDING_DAYS = 2


@dataclass(frozen=True)
class SmallDelivery:
    """Files of one feed and day, by name."""

    feed: str
    day: date
    files: tuple[tuple[str, bytes], ...]

    def land(self, home: Home, received: date | None = None) -> None:
        """Put the files where they lie once they arrived on `received`."""
        landed = received or self.day + timedelta(days=LANDING_DAYS)
        folder = home.feed_inbox(self.feed) / f"received={landed}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files:
            (folder / name).write_bytes(content)


@dataclass(frozen=True)
class SmallCounty:
    """Both zones of a home with few feeds."""

    council: CouncilZone
    analytics: AnalyticsZone

    @classmethod
    def open(cls, root: Path, contracts: Path | None = None) -> SmallCounty:
        """Open the zones of a home that `make_small_home` made, or of a copy with the `contracts` of the first."""
        home = Home(root)
        return cls(CouncilZone.open(home, contracts or contracts_of(root)), AnalyticsZone.open(home))

    def night(self) -> None:
        """Take what waits over the bridge and open it behind, without the pages for people."""
        contracts = self.council.contracts
        register_deliveries(self.council, NIGHT)
        waiting = {
            feed: [
                each.delivery_id
                for each in deliveries(self.council, feed)
                if each.state in (REGISTERED, CHECKED)
            ]
            for feed in contracts
        }
        for feed, ids in waiting.items():
            assert not load_deliveries(self.council, feed, ids).blocking_failure
        for feed, ids in waiting.items():
            match_addresses(self.council, feed, ids)
            pseudonymise_deliveries(self.council, feed, ids, NIGHT)
        self.open_all()

    def open_all(self) -> None:
        """Open what the bridge has sealed."""
        for contract in self.council.contracts.values():
            refused = open_packages(self.analytics, contract).refused
            assert refused == (), refused

    def digest(self) -> LogicalDigest:
        return council_digest(self.council).joined(analytics_digest(self.analytics))

    def rows(self) -> dict[str, int]:
        """Count payload rows by table, and link keys."""
        with self.analytics.warehouse(read_only=True) as warehouse:
            tables = warehouse.execute(
                "select table_name from duckdb_tables() where schema_name = 'records' and table_name like '%\\_\\_%'"
                " escape '\\'"
            ).fetchall()
            counts = {name: _count(warehouse, f"records.{name}") for (name,) in tables}
        with self.analytics.linkage(read_only=True) as linkage:
            return {**counts, "link_keys": _count(linkage, "link_keys")}


def _count(connection: object, table: str) -> int:
    return int(connection.execute(f"select count(*) from {table}").fetchone()[0])  # type: ignore[attr-defined]


def contracts_of(root: Path) -> Path:
    return root / "contracts"


def make_small_home(root: Path, feeds: Sequence[str] = FEEDS) -> None:
    """Make a home with keys on both sides and the contracts of `feeds` alone."""
    shutil.copytree(CONTRACTS_FOLDER, contracts_of(root))
    for path in (contracts_of(root) / "feeds").iterdir():
        if path.name.removesuffix(".odcs.yaml") not in feeds:
            path.unlink()
    home = Home(root)
    create_missing_keys(home.council_keys, COUNCIL_ROOTS)
    create_missing_keys(home.analytics_keys, ANALYTICS_ROOTS)
    county = SmallCounty.open(root)
    publish_public_key(county.council.keys, "council", home)
    publish_public_key(county.analytics.keys, "analytics", home)


def small_deliveries(contract: FeedContract, days: Sequence[date]) -> Iterator[SmallDelivery]:
    """Yield a delivery of `contract` for each of `days`: each leaves out and changes rows of the one before."""
    for place, day in enumerate(days):
        luck = random.Random(f"{contract.feed} {place}")  # noqa: S311
        files = []
        for file in partner_files(contract):
            rows = list(file.rows[file.table.name])
            kept = [row for row in rows if luck.random() < 0.8] or rows
            files.append((name_of(file.table, day), file.with_rows(kept).written()))
        yield SmallDelivery(contract.feed, day, tuple(files))
