"""The logical digest of a whole home: both zones' stores, each and together."""

from __future__ import annotations

from typing import Any

from bridge.digest import council_digest
from bridge.zone import CouncilZone
from stores.analytics import AnalyticsZone
from stores.digest import LogicalDigest, analytics_digest


def home_digest(council: CouncilZone) -> dict[str, Any]:
    """Return `digest` (of all), `stores` (store → digest) and `tables` (store → table → digest) of
    `council`'s home.

    Equal digests mean equal content, in whatever order it came. Raises `StoreUnreadableError` on a wrong key.
    """
    both: LogicalDigest = council_digest(council).joined(analytics_digest(AnalyticsZone.open(council.home)))
    return {
        "digest": both.total,
        "stores": both.stores,
        "tables": {name: dict(both.tables[name]) for name in both.stores},
    }
