"""The analytics zone: its home, its keys and its two stores. Nothing here can reach a council key."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import duckdb

from stores.encrypted import attached, storage_key
from stores.home import Home
from stores.keys import KeyProvider, zone_keys

LINKAGE_STORE = "linkage"
WAREHOUSE_STORE = "warehouse"


@dataclass(frozen=True)
class AnalyticsZone:
    """What every function of the pseudonymous zone works with."""

    home: Home
    keys: KeyProvider

    @classmethod
    def open(cls, home: Home) -> AnalyticsZone:
        """Return the analytics zone of `home`, with its keys from the environment or from
        `analytics/keys`."""
        return cls(home, zone_keys("analytics", home.analytics_keys))

    def linkage(self, *, read_only: bool = False) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Attach the linkage store (link keys, edges, people). A writer holds its lock until the block
        ends."""
        key = storage_key(self.keys, LINKAGE_STORE)
        return attached(self.home.linkage_db, key, read_only=read_only)

    def warehouse(self, *, read_only: bool = False) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Attach the warehouse (payload history, features, scores). A writer holds its lock until the block
        ends."""
        key = storage_key(self.keys, WAREHOUSE_STORE)
        return attached(self.home.warehouse_db, key, read_only=read_only)
