"""One month of all feeds of a county of 60,000 households: registered, parsed, typed, checked, quarantined.

The month is each feed's first four weeks, in which the large feeds send full files. Great Expectations' share is
the time inside the checks, data frames and all, and its import once in a night.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from bridge.deliveries import loading
from bridge.deliveries.inbox import deliveries, register_deliveries
from bridge.zone import CouncilZone
from expectations.suites import great_expectations
from stores.home import Home

HOUSEHOLDS = 60_000
MONTHS = 3
DAYS_LOADED = 28
NIGHT = date(2026, 10, 6)
LIMIT_SECONDS = 60


def measure() -> dict[str, Any]:
    """Make the county in a process of its own, then load what is in its inbox, feed by feed."""
    households = int(os.environ.get("DOORSTEP_BENCHMARK_HOUSEHOLDS", HOUSEHOLDS))
    doorstep = str(Path(sys.executable).with_name("doorstep"))
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"DOORSTEP_HOME": folder, "DAGSTER_HOME": f"{folder}/dagster"}
        county = ["county", "make", "--households", str(households), "--months", str(MONTHS)]
        for command in (["keys", "init"], county):
            subprocess.run([doorstep, *command], env=environment, check=True, stdout=subprocess.DEVNULL)
        return {"households": households, "months": 1, **_load(Home(Path(folder)))}


def _load(home: Home) -> dict[str, Any]:
    checks = _Stopwatch()
    zone = CouncilZone.open(home)
    started, processor = time.perf_counter(), time.process_time()
    checks.timed(great_expectations)()
    gx_import = checks.seconds
    register_deliveries(zone, NIGHT)
    registered = time.perf_counter()
    originals = loading.check_rows, loading.check_deliveries
    loading.check_rows, loading.check_deliveries = (checks.timed(check) for check in originals)
    try:
        feeds = {feed: _feed(zone, feed, checks) for feed in zone.contracts}
    finally:
        loading.check_rows, loading.check_deliveries = originals
    seconds, processor_seconds = time.perf_counter() - started, time.process_time() - processor
    return {
        "feeds": feeds,
        "rows": sum(feed["rows"] for feed in feeds.values()),
        "seconds": round(seconds, 1),
        "limit_seconds": LIMIT_SECONDS,
        "processor_seconds": round(processor_seconds, 1),
        "register_seconds": round(registered - started - gx_import, 1),
        "gx_import_seconds": round(gx_import, 1),
        "gx_seconds": round(checks.seconds, 1),
        "gx_processor_seconds": round(checks.processor_seconds, 1),
        "gx_share_of_processor_time": round(checks.processor_seconds / processor_seconds, 2),
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def _feed(zone: CouncilZone, feed: str, checks: _Stopwatch) -> dict[str, Any]:
    before, started = checks.seconds, time.perf_counter()
    found = deliveries(zone, feed)
    last = min((each.received_date for each in found), default=NIGHT) + timedelta(days=DAYS_LOADED)
    report = loading.load_deliveries(
        zone, feed, [each.delivery_id for each in found if each.received_date < last]
    )
    return {
        "deliveries": report.loaded,
        "rows": report.rows_in,
        "quarantined": report.rows_quarantined,
        "refused": report.refused,
        "seconds": round(time.perf_counter() - started, 2),
        "gx_seconds": round(checks.seconds - before, 2),
    }


class _Stopwatch:
    """Adds up the time inside the functions it has wrapped."""

    def __init__(self) -> None:
        self.seconds = self.processor_seconds = 0.0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            started, processor = time.perf_counter(), time.process_time()
            try:
                return function(*arguments)
            finally:
                self.seconds += time.perf_counter() - started
                self.processor_seconds += time.process_time() - processor

        return wrapped
