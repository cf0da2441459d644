"""A small county taken through a whole night once; tests that change it take a copy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from filelock import FileLock

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


def start_refresh(home: Path, night: str) -> subprocess.Popen[bytes]:
    """Start a refresh in a process group of its own and do not wait for it."""
    command = [str(Path(sys.executable).with_name("doorstep")), "refresh", "--night", night]
    environment = os.environ | {"DOORSTEP_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def digest_of(home: Path) -> str:
    """The logical digest of everything in a home."""
    return str(json.loads(doorstep(home, "digest", "--json").stdout)["digest"])


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


def made_once(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str, name: str, make: Callable[[Path], None]
) -> Path:
    """Return a home that the first worker who asks makes, and the others wait for."""
    base = tmp_path_factory.getbasetemp()
    home = (base if worker_id == "master" else base.parent) / name
    finished = home.with_suffix(".made")
    with FileLock(home.with_suffix(".lock")):
        if not finished.exists():
            make(home)
            finished.touch()
    return home


@pytest.fixture(scope="session")
def county(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A home with keys and a county's files, before its first refresh. Do not change it; take a copy."""
    return made_once(tmp_path_factory, worker_id, "county", make_small_county)


@pytest.fixture(scope="session")
def refreshed(county: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A home after its first refresh. Do not change it; take `a_copy`."""

    def refresh(home: Path) -> None:
        shutil.copytree(county, home)
        doorstep(home, "refresh", "--night", NIGHT.isoformat())

    return made_once(tmp_path_factory, worker_id, "refreshed", refresh)


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
