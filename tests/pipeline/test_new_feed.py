"""A feed from outside: a file in a layout of none of the feeds, a drafted contract and model, and no Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from stores.analytics import AnalyticsZone
from stores.home import Home

ROOT = Path(__file__).resolve().parents[2]

# The night as `doorstep refresh` runs it, up to linkage and staging: one feed alone makes no household months.
UP_TO_PEOPLE = """
from datetime import date
from bridge.deliveries.inbox import register_deliveries
from bridge.zone import CouncilZone
from orchestration.refresh import analytics_steps, bridge_steps
from stores.home import Home

home, night = Home.from_environment(), date(2026, 10, 6)
home.dagster.mkdir(parents=True, exist_ok=True)
assert register_deliveries(CouncilZone.open(home), night).registered == 1
steps = [*bridge_steps(home, night, print), next(analytics_steps(home, night, print))]
assert all(step.succeeded for step in steps), steps
"""

# As a census enumerator would write it: a household, a relationship, a date in one word, an address in parts.
HEADER = "Household Id~Return No~First Name~Last Name~Birth Date~NI Number~Street Address~Postcode~Relation~Visited"
FAMILIES = ("Quickfall", "Hartnoll", "Ottaway", "Tregarthen", "Wyndham", "Pennifold")
GIVEN = ("Ada", "Bertram", "Cicely", "Desmond")


def rows() -> list[str]:
    """Return a row for each of 24 people; the last three are people of the first households, met again elsewhere."""
    people = [
        f"H{home:03}~R{home:03}{place}~{given}~{family}~{1950 + 7 * home + place}0{place + 1}1{home}"
        f"~AB{home + 1:03}{place + 1:03}C~{home + 1} Census Row~ZZ{home + 1} 1AA"
        f"~{'MEMBER' if place else 'HEAD'}~20260901"
        for home, family in enumerate(FAMILIES)
        for place, given in enumerate(GIVEN)
    ]
    again = [
        row.replace(f"~R{number:03}0~", f"~R9{number:02}0~", 1) for number, row in enumerate(people[::4][:3])
    ]
    return [*people, *again]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A council's own copy of contracts and models."""
    folder = tmp_path_factory.mktemp("project")
    ignored = shutil.ignore_patterns("target", "logs", "_sources.yml", "dbt_packages")
    for name in ("contracts", "dbt_project"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """A home in which the new feed has gone through a night."""
    home = tmp_path_factory.mktemp("home")
    sample = home / "sample.csv"
    sample.write_text("\n".join([HEADER, *rows()]).replace("~", "|") + "\n", encoding="utf-8")
    drafted = json.loads(
        doorstep(
            home,
            project,
            "feeds",
            "new",
            str(sample),
            "--feed",
            "census",
            "--table",
            "people",
            "--out",
            str(project),
            "--json",
        )
    )
    assert drafted["key"] == ["return_no"]
    name_what_leaves(project)
    inbox = home / "council" / "inbox" / "census" / "received=2026-10-01"
    inbox.mkdir(parents=True)
    shutil.copy(sample, inbox / "census_people_20260930_full.csv")
    checked = doorstep(
        home, project, "feeds", "check", str(inbox / "census_people_20260930_full.csv"), "--json"
    )
    assert json.loads(checked)["verdict"] == "good"
    doorstep(home, project, "keys", "init")
    in_project(home, project, sys.executable, "-c", UP_TO_PEOPLE)
    return home


def doorstep(home: Path, project: Path, *arguments: str) -> str:
    return in_project(home, project, str(Path(sys.executable).with_name("doorstep")), *arguments)


def in_project(home: Path, project: Path, *command: str) -> str:
    environment = os.environ | {
        "DOORSTEP_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "DOORSTEP_PROJECT": str(project),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def name_what_leaves(project: Path) -> None:
    """Do by hand what the draft leaves to a person: name the leaving columns in the agreement."""
    contract = yaml.safe_load(
        (project / "contracts" / "feeds" / "census.odcs.yaml").read_text(encoding="utf-8")
    )
    leaving = [
        column["name"]
        for column in contract["schema"][0]["properties"]
        if any(item["property"] == "leaves" for item in column.get("customProperties", []))
    ]
    path = project / "contracts" / "agreements" / "isa_household_support.yaml"
    agreement = yaml.safe_load(path.read_text(encoding="utf-8"))
    agreement["feeds"]["census"] = {"people": leaving}
    path.write_text(yaml.safe_dump(agreement, sort_keys=False), encoding="utf-8")


def warehouse(home: Path, sql: str) -> list[tuple[Any, ...]]:
    with AnalyticsZone.open(Home(home)).warehouse(read_only=True) as connection:
        return list(connection.execute(sql).fetchall())


def test_every_record_of_the_new_feed_has_a_person_and_the_same_one_where_it_is_the_same(home: Path) -> None:
    linked = warehouse(
        home,
        "select record_ref, person_id from records.census__people left join records.people using (record_ref)",
    )
    assert len(linked) == len(rows()) == 27
    assert all(person for _, person in linked)
    assert len({person for _, person in linked}) == 24


def test_the_new_feeds_staging_model_is_built(home: Path) -> None:
    found = warehouse(
        home, "select count(*), min(year_of_birth), max(delivery_date) from staging.stg_census__people"
    )
    assert found == [(27, 1950, date(2026, 9, 30))]


def test_the_projects_own_code_and_contracts_were_not_touched(home: Path) -> None:
    assert not (ROOT / "contracts" / "feeds" / "census.odcs.yaml").exists()
    sources = ROOT / "dbt_project" / "models" / "staging" / "_sources.yml"
    assert not sources.is_file() or "census__people" not in sources.read_text(encoding="utf-8")
