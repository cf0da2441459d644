"""A night that is killed again and again ends as one that was left alone."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from conftest import NIGHT, digest_of, doorstep, start_refresh

pytestmark = pytest.mark.slow

KILLED_AFTER_SECONDS = (7.0, 15.0, 30.0)
"""Of each run in turn: before anything is written, while the council works, and later, on what those left."""


def test_a_refresh_killed_three_times_ends_in_the_same_digest_as_an_uninterrupted_one(
    county: Path, refreshed: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(county, home)
    for seconds in KILLED_AFTER_SECONDS:
        _kill_a_refresh(home, seconds)
    doorstep(home, "refresh", "--night", NIGHT.isoformat())
    assert digest_of(home) == digest_of(refreshed)


def _kill_a_refresh(home: Path, seconds: float) -> None:
    process = start_refresh(home, NIGHT.isoformat())
    time.sleep(seconds)
    assert process.poll() is None, "the refresh ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
