"""Both code locations as Dagster's users expect them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from governance.contracts import read_contracts

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all tests here: parsing the dbt project takes longer than most of them."""
    return tmp_path_factory.mktemp("definitions")


@pytest.fixture(scope="module")
def locations(home: Path) -> Iterator[tuple[dg.Definitions, dg.Definitions]]:
    before = os.environ.get("DOORSTEP_HOME")
    os.environ["DOORSTEP_HOME"] = str(home)
    from orchestration.analytics.definitions import defs as analytics
    from orchestration.bridge.definitions import defs as bridge

    yield bridge, analytics
    if before is None:
        del os.environ["DOORSTEP_HOME"]
    else:
        os.environ["DOORSTEP_HOME"] = before


def _specs(locations: tuple[dg.Definitions, dg.Definitions]) -> list[dg.AssetSpec]:
    return [spec for defs in locations for spec in defs.resolve_all_asset_specs()]


def test_every_asset_says_what_a_row_is(locations: tuple[dg.Definitions, dg.Definitions]) -> None:
    made = [spec for spec in _specs(locations) if spec.description is not None]
    assert len(made) > 30
    assert [s.key.to_user_string() for s in made if not (s.description or "").startswith("One row per")] == []


def test_every_asset_has_a_group_and_an_owner(locations: tuple[dg.Definitions, dg.Definitions]) -> None:
    nameless = [
        s.key.to_user_string()
        for s in _specs(locations)
        if s.description and (not s.owners or not s.group_name)
    ]
    assert nameless == []


def test_the_lineage_runs_from_every_partner_feed_to_the_published_marts(
    locations: tuple[dg.Definitions, dg.Definitions],
) -> None:
    upstream = {spec.key: {dep.asset_key for dep in spec.deps} for spec in _specs(locations) if spec.deps}
    seen, waiting = set(), [dg.AssetKey(["published", "analysts"])]
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen.add(key)
            waiting += upstream.get(key, ())
    feeds = {spec.key for spec in _specs(locations) if spec.key.path[0] == "partner"}
    assert len(feeds) == len(read_contracts())
    assert feeds <= seen


def test_pseudonymising_waits_for_the_blocking_checks_of_loading(
    locations: tuple[dg.Definitions, dg.Definitions],
) -> None:
    bridge, _ = locations
    graph = bridge.resolve_asset_graph()
    checks = [key for key in graph.asset_check_keys if key.asset_key.path[-1] == "loaded_council_tax"]
    assert len(checks) == 6
    blocking = {key.name for key in checks if graph.get_check_spec(key).blocking}
    assert {key.name for key in checks} - blocking == {"schema_accounts", "schema_recovery_stages"}


def test_the_workspace_validates(
    home: Path,
    locations: tuple[dg.Definitions, dg.Definitions],
) -> None:
    dagster = Path(sys.executable).with_name("dagster")
    done = subprocess.run(
        [str(dagster), "definitions", "validate", "-w", str(ROOT / "workspace.yaml")],
        cwd=ROOT,
        env=os.environ | {"DOORSTEP_HOME": str(home), "DAGSTER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
