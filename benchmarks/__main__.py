"""`make bench` or `python -m benchmarks [NAME …]`: measure, and write `benchmarks/results/<name>.json`."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import (
    county,
    delivery,
    frontier,
    link_keys,
    linkage,
    linkage_review,
    load,
    notes,
    parsing,
    refresh,
    rotation,
    sealing,
    vault,
)

RESULTS = Path(__file__).resolve().parent / "results"

BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {
    "county": county.measure,
    "delivery": delivery.measure,
    "frontier": frontier.measure,
    "link_keys": link_keys.measure,
    "linkage": linkage.measure,
    "linkage_review": linkage_review.measure,
    "load": load.measure,
    "notes": notes.measure,
    "parsing": parsing.measure,
    "refresh": refresh.measure,
    "sealing": sealing.measure,
    "vault": vault.measure,
    "rotation": rotation.measure,
}


def machine() -> dict[str, Any]:
    """Say what the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def main() -> None:
    """Run the named benchmarks, or all of them."""
    RESULTS.mkdir(exist_ok=True)
    for name in sys.argv[1:] or BENCHMARKS:
        document = {"benchmark": name, "machine": machine(), **BENCHMARKS[name]()}
        (RESULTS / f"{name}.json").write_text(
            json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )
        print(json.dumps(document, indent=2, sort_keys=True))


if __name__ == "__main__":
    main()
