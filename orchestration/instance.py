"""The Dagster instance: SQLite in the home folder by default, Postgres where `DOORSTEP_POSTGRES_URL` is set."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from stores.files import written_atomically
from stores.home import Home

POSTGRES_VARIABLE = "DOORSTEP_POSTGRES_URL"

# One run at a time: every step writes a DuckDB store, and each store takes one writer.
CONCURRENT_RUNS = 1
# A night's backfill records one event per delivery; written one by one, SQLite spends longer on them than on the data.
EVENT_BATCH_SIZE = 500


def instance_settings(folder: Path) -> dict[str, object]:
    """Return the content of `dagster.yaml` for this environment and an instance that lives in `folder`."""
    settings: dict[str, object] = {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "concurrency": {"runs": {"max_concurrent_runs": CONCURRENT_RUNS}},
        "run_monitoring": {"enabled": True},
        "retention": {
            "schedule": {"purge_after_days": 90},
            "sensor": {"purge_after_days": {"skipped": 7, "failure": 30}},
        },
    }
    if os.environ.get(POSTGRES_VARIABLE):
        settings["storage"] = {"postgres": {"postgres_url": {"env": POSTGRES_VARIABLE}}}
    else:
        settings |= _sqlite_storage(folder)
    return settings


def _sqlite_storage(folder: Path) -> dict[str, object]:
    """Dagster's own SQLite files, in their usual places, with event storage that keeps its connections."""
    places = {
        "run_storage": ("dagster._core.storage.runs", "SqliteRunStorage", folder / "history"),
        "event_log_storage": (
            "orchestration.event_log",
            "KeptSqliteEventLogStorage",
            folder / "history" / "runs",
        ),
        "schedule_storage": (
            "dagster._core.storage.schedules",
            "SqliteScheduleStorage",
            folder / "schedules",
        ),
    }
    return {
        name: {"module": module, "class": kind, "config": {"base_dir": str(base)}}
        for name, (module, kind, base) in places.items()
    }


def prepare_instance(home: Home) -> Path:
    """Write `dagster.yaml` into the home's Dagster folder, point `DAGSTER_HOME` at it, and return the folder."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    with written_atomically(home.dagster / "dagster.yaml", mode=0o644) as aside:
        aside.write_text(yaml.safe_dump(instance_settings(home.dagster), sort_keys=False), encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    os.environ["DAGSTER_EVENT_BATCH_SIZE"] = str(EVENT_BATCH_SIZE)
    os.environ.setdefault("DOORSTEP_HOME", str(home.root))
    return home.dagster
