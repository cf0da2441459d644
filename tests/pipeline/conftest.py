"""A small county taken through a whole night once; tests that change it take a copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from stores.home import Home

HOUSEHOLDS = 700
MONTHS = 18
FIRST_MONTH = "2025-04-01"
NIGHT = date(2026, 10, 6)


def doorstep(home: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command line in a home of its own, as a user would."""
    command = [str(Path(sys.executable).with_name("doorstep")), *arguments]
    environment = os.environ | {
        "DOORSTEP_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "COLUMNS": "200",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise AssertionError(
            f"doorstep {' '.join(arguments)} exited with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done


def make_small_county(home: Path) -> None:
    doorstep(home, "keys", "init")
    doorstep(
        home,
        "county",
        "make",
        "--households",
        str(HOUSEHOLDS),
        "--months",
        str(MONTHS),
        "--first-month",
        FIRST_MONTH,
    )


@pytest.fixture(scope="session")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with keys and a county's files, before its first refresh."""
    home = tmp_path_factory.mktemp("county")
    make_small_county(home)
    return home


@pytest.fixture(scope="session")
def refreshed(county: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home after its first refresh. Do not change it; take `a_copy`."""
    home = tmp_path_factory.mktemp("refreshed") / "home"
    shutil.copytree(county, home)
    doorstep(home, "refresh", "--night", NIGHT.isoformat())
    return home


@pytest.fixture
def a_copy(refreshed: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the refreshed home that a test may change."""
    home = tmp_path / "home"
    shutil.copytree(refreshed, home, symlinks=True)
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    return doorstep


@pytest.fixture
def home_of() -> Callable[[Path], Home]:
    return Home
