"""The nightly refresh as a person or a scheduler meets it."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from conftest import NIGHT, digest_of, doorstep, start_refresh

from bridge.cases.cases import list_cases
from bridge.zone import CouncilZone
from governance.audiences import ANALYSTS
from orchestration.refresh import cases_step
from stores.analytics import AnalyticsZone
from stores.home import Home
from stores.publishing import published_marts

SECONDS_BETWEEN_QUESTIONS = 0.5


def _rows(home: Path, sql: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(doorstep(home, "query", "--json", sql).stdout)
    return rows


def test_a_refresh_publishes_scores_for_the_month_of_its_night(refreshed: Path) -> None:
    rows = _rows(refreshed, "select as_of_month, count(*) as households from risk_scores group by all")
    assert [row["as_of_month"] for row in rows] == ["2026-10-01"]
    assert 400 < int(str(rows[0]["households"])) < 1000


def test_a_second_refresh_finds_nothing_new_and_changes_nothing(a_copy: Path) -> None:
    before = digest_of(a_copy)
    second = doorstep(a_copy, "refresh", "--night", NIGHT.isoformat())
    assert "Nothing new" in second.stdout
    assert digest_of(a_copy) == before


def test_a_replayed_delivery_adds_no_row(a_copy: Path) -> None:
    before = digest_of(a_copy)
    landed = sorted((a_copy / "council" / "inbox" / "adult_social_care").glob("received=*/*.csv"))[-1]
    shutil.copy(landed, a_copy / "council" / "inbox" / "adult_social_care" / landed.name)
    replay = json.loads(doorstep(a_copy, "refresh", "--night", NIGHT.isoformat(), "--json").stdout)
    assert replay["duplicates"] == 1
    assert replay["registered"] == 0
    assert digest_of(a_copy) == before


def test_a_night_opens_what_came_back_to_the_council(a_copy: Path) -> None:
    months = {case.as_of_month for case in list_cases(CouncilZone.open(Home(a_copy)))}
    assert months == {date(2026, 10, 1)}


def test_a_damaged_package_of_alerts_fails_by_name_and_keeps_the_cases(
    a_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = list_cases(CouncilZone.open(Home(a_copy)))
    (package,) = (a_copy / "exchange" / "returns").rglob("*.sealed")
    package.write_bytes(package.read_bytes()[:-1])
    named = f"{package.parent.name}/{package.name}"
    alone = doorstep(a_copy, "bridge", "run", "--night", NIGHT.isoformat(), check=False)
    assert alone.returncode == 1
    assert f"cases: {named} refused" in alone.stderr
    monkeypatch.setenv("DOORSTEP_HOME", str(a_copy))
    monkeypatch.setenv("DAGSTER_HOME", str(a_copy / "dagster"))
    step = cases_step(Home(a_copy), NIGHT, lambda _: None)
    assert not step.succeeded
    assert named in step.failures[0]
    assert list_cases(CouncilZone.open(Home(a_copy))) == held


@dataclass(frozen=True)
class BusyNight:
    """A night with one broken and one good delivery, while an analyst asked the marts again and again."""

    home: Path
    exit_code: int
    answers: tuple[int, ...]


@pytest.fixture(scope="module")
def busy_night(refreshed: Path, tmp_path_factory: pytest.TempPathFactory) -> BusyNight:
    home = tmp_path_factory.mktemp("busy_night") / "home"
    shutil.copytree(refreshed, home, symlinks=True)
    inbox = home / "council" / "inbox"
    (inbox / "homelessness_cases" / "homelessness_cases_20261005_full.xml").write_text(
        "<Cases><Case>", encoding="utf-8"
    )
    good = sorted((inbox / "adult_social_care").glob("received=*/*.csv"))[-1]
    shutil.copy(good, inbox / "adult_social_care" / "adult_social_care_20261005_full.csv")
    refresh = start_refresh(home, "2026-10-07")
    zone = AnalyticsZone.open(Home(home))
    answers = []
    while refresh.poll() is None:
        with published_marts(zone, ANALYSTS) as marts:
            answers.append(len(marts.execute("select as_of_month, score from risk_scores").fetchall()))
        time.sleep(SECONDS_BETWEEN_QUESTIONS)
    return BusyNight(home, refresh.returncode, tuple(answers))


def test_a_broken_delivery_is_refused_and_the_rest_goes_on(busy_night: BusyNight) -> None:
    report = json.loads(doorstep(busy_night.home, "report", "--json", check=False).stdout)
    refused = [item for item in report["refused"] if item["feed"] == "homelessness_cases"]
    assert "homelessness_cases_20261005_full.xml" in refused[0]["message"]
    states = _states(busy_night.home)
    assert states["adult_social_care"]["2026-10-05"] == "sealed"
    assert states["homelessness_cases"]["2026-10-05"] == "refused"


def test_marts_can_be_read_while_a_refresh_is_running(busy_night: BusyNight) -> None:
    assert busy_night.exit_code == 0
    assert len(busy_night.answers) >= 10
    assert min(busy_night.answers) > 400


def _states(home: Path) -> dict[str, dict[str, str]]:
    from bridge.deliveries.inbox import deliveries

    states: dict[str, dict[str, str]] = {}
    for delivery in deliveries(CouncilZone.open(Home(home))):
        states.setdefault(delivery.feed, {})[delivery.delivery_date.isoformat()] = delivery.state
    return states
