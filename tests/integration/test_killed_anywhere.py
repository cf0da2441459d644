"""Promise 7: killed at any point of the way over the bridge, no row is lost or doubled.

`tests/kill_campaign.py` says what is done. Whole nights are killed in tests/pipeline/test_refresh_killed.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

CAMPAIGN = Path(__file__).parents[1] / "kill_campaign.py"
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder in memory: nothing is spared a killed process, and it is fast
FEW, MANY, WITH_RULES = 6, 200, 12
STAGES = {"loading", "sealing", "opening"}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: waiting for the disk takes longer than what is killed."""
    place = MEMORY if os.access(MEMORY, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=place, prefix="doorstep-kills-") as name:
        yield Path(name)


def campaign(folder: Path, kills: int, seed: int, pairs: int = 2, rules: str = "none") -> dict[str, Any]:
    """Run a campaign in a process of its own; fail with what it says if it comes to a bad end."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(CAMPAIGN), str(folder), str(kills), str(seed), str(pairs), rules]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_bridge_killed_at_random_points_loses_and_doubles_no_row(folder: Path) -> None:
    report = campaign(folder, FEW, seed=1, pairs=1)
    assert report["kills"] >= FEW
    assert report["different"] == 0
    assert all(count > 20 for rows in report["rows"] for count in rows.values())


@pytest.mark.slow
def test_a_bridge_killed_at_two_hundred_random_points_ends_as_if_it_had_not_been(folder: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda seed: campaign(folder / str(seed), MANY // 2, seed), (2, 3)))
    assert sum(report["kills"] for report in reports) >= MANY
    assert [report["different"] for report in reports] == [0, 0]
    assert set().union(*(report["struck"] for report in reports)) >= STAGES
    print("\n" + json.dumps(reports))


@pytest.mark.slow
def test_a_bridge_killed_while_the_rules_are_judged_ends_as_if_it_had_not_been(folder: Path) -> None:
    report = campaign(folder, WITH_RULES, seed=4, rules="rules")
    assert report["kills"] >= WITH_RULES
    assert report["different"] == 0
