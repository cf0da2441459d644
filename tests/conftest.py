"""A council zone in a folder of its own, and a partner who drops files into its inbox."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import hypothesis
import pytest

from bridge.deliveries.inbox import RegistrationReport, deliveries, register_deliveries
from bridge.deliveries.ledger import Delivery
from bridge.deliveries.loading import LoadReport, load_deliveries
from bridge.zone import CouncilZone
from governance.contracts import CONTRACTS_FOLDER
from stores.encrypted import attached
from stores.home import Home
from stores.keys import COUNCIL_ROOTS, create_missing_keys

NIGHT = date(2026, 10, 6)

# A busy machine is slow, not wrong: examples are judged by what they say, never by the clock.
hypothesis.settings.register_profile(
    "doorstep", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("doorstep")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take the files with whole nights first: of two workers, neither is left with them at the end."""
    items.sort(key=lambda item: "pipeline" not in item.path.parts)


@dataclass(frozen=True)
class Council:
    """A council zone with what tests do to it, in one short word each."""

    zone: CouncilZone

    def drop(self, feed: str, name: str, content: str | bytes, received: str | None = None) -> Path:
        """Put a file into the inbox as a partner would; text is encoded as the feed's contract says."""
        folder = self.zone.home.feed_inbox(feed)
        folder = folder / f"received={received}" if received else folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_bytes(
            content if isinstance(content, bytes) else content.encode(self._encoding(feed, name))
        )
        return path

    def _encoding(self, feed: str, name: str) -> str:
        contract = self.zone.contracts[feed]
        named = (table.format.encoding for table in contract.tables if table.file_pattern.fullmatch(name))
        return next(named, contract.encoding)

    def register(self, night: date = NIGHT) -> RegistrationReport:
        return register_deliveries(self.zone, night)

    def load(self, feed: str, night: date = NIGHT) -> LoadReport:
        """Register what is new and load all that is registered."""
        self.register(night)
        return load_deliveries(self.zone, feed, [each.delivery_id for each in self.deliveries(feed)])

    def deliveries(self, feed: str | None = None, state: str | None = None) -> list[Delivery]:
        return deliveries(self.zone, feed, state)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the deliveries store."""
        return self._ask(self.zone.home.deliveries_db, "deliveries", sql)

    def quarantine(self, feed: str, sql: str) -> list[tuple[Any, ...]]:
        """Ask a feed's quarantine; nothing if nothing was ever put there."""
        path = self.zone.home.quarantine(feed) / "rows.duckdb"
        return self._ask(path, f"quarantine/{feed}", sql) if path.is_file() else []

    def _ask(self, path: Path, store: str, sql: str) -> list[tuple[Any, ...]]:
        with attached(path, self.zone.storage_key(store), read_only=True) as connection:
            return _rows(connection, sql)


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql).fetchall()


def make_council(root: Path, contracts_folder: Path = CONTRACTS_FOLDER) -> Council:
    home = Home(root)
    create_missing_keys(home.council_keys, COUNCIL_ROOTS)
    return Council(CouncilZone.open(home, contracts_folder))


@pytest.fixture
def council(tmp_path: Path) -> Council:
    """A council with keys and an empty inbox."""
    return make_council(tmp_path / "home")


@pytest.fixture(scope="session")
def council_at() -> Callable[..., Council]:
    """Make a council in a folder, by the contracts in another."""
    return make_council
