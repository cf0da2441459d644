"""Rotation of the linkage epoch for a million identities: from the vault to a linkage store in the new epoch.

Filling the vault, and the epoch before that the linkage store is in when the clock starts, are not counted.
"""

from __future__ import annotations

import os
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.link_keys import made_up_identities
from bridge.rotation.epoch_rotation import rotate_epoch
from bridge.vault.arrivals import ARRIVAL_SCHEMA
from bridge.vault.vault import open_vault
from bridge.zone import CouncilZone
from exchange.opening import ensure_stores, open_packages
from exchange.sealed import publish_public_key
from stores.analytics import AnalyticsZone
from stores.home import Home
from stores.keys import ANALYTICS_ROOTS, COUNCIL_ROOTS, create_missing_keys

IDENTITIES = 1_000_000
WORKERS = 2
SEED = 1
NIGHT = date(2026, 10, 6)
PARTNER, FEED, TABLE = "district", "council_tax", "accounts"


def measure() -> dict[str, Any]:
    """Fill a vault, turn an epoch once to fill the linkage store, then rotate with the clock running."""
    with tempfile.TemporaryDirectory() as folder:
        council, analytics = _zones(Home(Path(folder)))
        _fill_vault(council, IDENTITIES)
        feed = council.contracts[FEED]
        ensure_stores(analytics, [feed])
        rotate_epoch(council, NIGHT, workers=WORKERS)
        open_packages(analytics, feed)

        started, before = time.perf_counter(), _processor_seconds()
        rotated = rotate_epoch(council, NIGHT, workers=WORKERS)
        sealed = time.perf_counter()
        packages = [path.stat().st_size for path in (council.home.outbox / "epochs").iterdir()]
        opened = open_packages(analytics, feed)
        turned, after = time.perf_counter(), _processor_seconds()

        with analytics.linkage(read_only=True) as linkage:
            held = linkage.execute("select count(*), min(epoch), max(epoch) from link_keys").fetchone()
        assert opened.turned_to_epoch == rotated.epoch
        assert held == (IDENTITIES, rotated.epoch, rotated.epoch)
        return {
            "identities": rotated.identities,
            "workers": WORKERS,
            "encode_and_seal_seconds": round(sealed - started, 1),
            "turn_seconds": round(turned - sealed, 1),
            "total_seconds": round(turned - started, 1),
            "processor_seconds": round(after - before, 1),
            "load_average_at_the_end": round(os.getloadavg()[0], 1),
            "packages": len(packages),
            "packages_mb": round(sum(packages) / 1e6),
        }


def _processor_seconds() -> float:
    """Return the processor time of this process and of its workers that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _zones(home: Home) -> tuple[CouncilZone, AnalyticsZone]:
    create_missing_keys(home.council_keys, COUNCIL_ROOTS)
    create_missing_keys(home.analytics_keys, ANALYTICS_ROOTS)
    council, analytics = CouncilZone.open(home), AnalyticsZone.open(home)
    publish_public_key(council.keys, "council", home)
    publish_public_key(analytics.keys, "analytics", home)
    return council, analytics


def _fill_vault(zone: CouncilZone, count: int) -> None:
    people = made_up_identities(np.random.default_rng(SEED), count)
    known = {
        "feed": pa.repeat(FEED, count),
        "table_name": pa.repeat(TABLE, count),
        "delivery_date": pa.repeat(pa.scalar(date(2026, 9, 1)), count),
        "received_date": pa.repeat(pa.scalar(date(2026, 9, 3)), count),
        "delivery_id": pa.repeat("2026-09-01-full-00000000", count),
        "partner_key": pa.repeat('{"account_ref":"7"}', count),
    }
    columns = {name: known[name] if name in known else people[name] for name in ARRIVAL_SCHEMA.names}
    with open_vault(zone, PARTNER) as vault:
        vault.keep(pa.table(columns, schema=ARRIVAL_SCHEMA))
