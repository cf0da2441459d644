"""The whole night on the demonstration county: first run, second run, peak memory. The limit is the promise
of the README."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NIGHT = "2026-10-06"
HOUSEHOLDS = 5000
FIRST_RUN_LIMIT_SECONDS = 120
SECOND_RUN_LIMIT_SECONDS = 25
MEMORY_LIMIT_GIB = 3.0


def measure() -> dict[str, Any]:
    """Run the commands of `make run` twice in a fresh home, timing each."""
    doorstep = str(Path(sys.executable).with_name("doorstep"))
    commands = {
        "keys": [doorstep, "keys", "init"],
        "county": [doorstep, "county", "make", "--households", str(HOUSEHOLDS)],
        "refresh": [doorstep, "refresh", "--night", NIGHT],
        "report": [doorstep, "report", "--json"],
    }
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"DOORSTEP_HOME": home, "DAGSTER_HOME": f"{home}/dagster"}
        first = {name: _seconds(command, environment) for name, command in commands.items()}
        second = {name: _seconds(command, environment) for name, command in commands.items()}
        digest = subprocess.run(
            [doorstep, "digest", "--json"], env=environment, capture_output=True, text=True, check=True
        )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return {
        "households": HOUSEHOLDS,
        "first_run_seconds": first,
        "first_run_total_seconds": round(sum(first.values()), 1),
        "first_run_limit_seconds": FIRST_RUN_LIMIT_SECONDS,
        "second_run_seconds": second,
        "second_run_total_seconds": round(sum(second.values()), 1),
        "second_run_limit_seconds": SECOND_RUN_LIMIT_SECONDS,
        "peak_memory_gib": round(peak, 2),
        "memory_limit_gib": MEMORY_LIMIT_GIB,
        "digest": json.loads(digest.stdout)["digest"],
    }


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return round(time.perf_counter() - started, 1)
