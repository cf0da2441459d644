"""The making of the county: time and peak memory at 5,000 and 60,000 households, and how cost grows with size.

`DOORSTEP_BENCHMARK_LARGE=1` adds 700,000 households, the size of Kent: about half an hour and 12 GiB. Memory is
that of all processes together, pages that they share counted once (proportional set size, sampled).
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MONTHS = 36
SMALL, MEDIUM, LARGE = 5_000, 60_000, 700_000
LIMITS = {
    MEDIUM: {"seconds": 180, "memory_gib": 3.0},
    LARGE: {"seconds": 2100, "memory_gib": 12.0},
}
LARGEST_EXPONENT = 1.05
_SAMPLE_SECONDS = 0.5


def measure() -> dict[str, Any]:
    """Make the county at each size in a fresh home; report time, memory, rows, and the cost exponent between the
    largest sizes.
    """
    sizes = [SMALL, MEDIUM] + ([LARGE] if os.environ.get("DOORSTEP_BENCHMARK_LARGE") else [])
    runs = [make(households) for households in sizes]
    small, large = runs[-2], runs[-1]
    exponent = math.log(large["seconds"] / small["seconds"]) / math.log(
        large["households"] / small["households"]
    )
    return {
        "months": MONTHS,
        "runs": runs,
        "cost_exponent": round(exponent, 3),
        "cost_exponent_limit": LARGEST_EXPONENT,
    }


def make(households: int, folder: str | None = None) -> dict[str, Any]:
    """Make one county, under `folder` or a temporary one, and time it."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        doorstep = str(Path(sys.executable).with_name("doorstep"))
        command = [doorstep, "county", "make", "--households", str(households), "--months", str(MONTHS)]
        started = time.perf_counter()
        process = subprocess.Popen([*command, "--out", home, "--json"], stdout=subprocess.PIPE, text=True)
        peak = 0
        while process.poll() is None:
            peak = max(peak, _memory_of_tree(process.pid))
            time.sleep(_SAMPLE_SECONDS)
        seconds = time.perf_counter() - started
        made = json.loads(process.stdout.read() if process.stdout else "")
        if process.returncode:
            raise RuntimeError(f"doorstep county make ended with {process.returncode}")
    limit = LIMITS.get(households, {})
    return {
        "households": households,
        "seconds": round(seconds, 1),
        "seconds_limit": limit.get("seconds"),
        "peak_memory_gib": round(peak / 2**20, 2),
        "memory_limit_gib": limit.get("memory_gib"),
        "deliveries": sum(made["deliveries"].values()),
        "rows": made["rows"],
        "megabytes": round(made["bytes"] / 1e6),
    }


def _memory_of_tree(process: int) -> int:
    """Proportional set size of a process and all below it, in KiB. A process that ends meanwhile counts nothing."""
    total = 0
    waiting = [process]
    while waiting:
        number = waiting.pop()
        try:
            lines = Path(f"/proc/{number}/smaps_rollup").read_text(encoding="ascii").splitlines()
            waiting += [
                int(child) for child in Path(f"/proc/{number}/task/{number}/children").read_text().split()
            ]
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total
