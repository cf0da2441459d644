"""Nights of linkage in a real store, and a real Dagster run that stops on a broken one."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from bridge.link_keys.encoding import encode_link_keys
from evaluation.passing_keys import PassingKeys
from exchange.link_key_schema import FIRST_EPOCH
from governance.contracts import read_contracts
from linkage.model import read_model
from linkage.nights.drift import JudgedNight, NoNightError, accept_newest_night, judge_night, past_nights
from linkage.nights.figures import NightFigures
from linkage.people import resolve_people
from orchestration.names import PEOPLE_KEY
from stores.analytics import AnalyticsZone
from stores.home import Home

PEOPLE = 400
FIRST_NIGHT = date(2026, 10, 1)
NIGHT = date(2026, 10, 6)
FEEDS = ("care", "tax")
DEFAULT_NINO = "AB123456C"


def records_of(feed: str, *, births_moved: int = 0, nino: str | None = None) -> pa.Table:
    """One record of each person in `feed`, the same people in each: name and date of birth, but no home."""
    letters = random.Random(3)  # noqa: S311
    rows = []
    for number in range(PEOPLE):
        forename, surname = ("".join(letters.choices("abcdefghijklmnoprstuvwy", k=7)) for _ in range(2))
        born = date(1950, 1, 1) + timedelta(days=letters.randrange(20_000))
        rows.append(
            {
                "record_ref": f"{feed}{number:04d}",
                "forename": forename,
                "surname": surname,
                "date_of_birth": born + timedelta(days=births_moved * (1 + number % 17)),
                "nino": nino,
            }
        )
    return pa.Table.from_pylist(rows)


def link_keys_of(feed: str, records: pa.Table, epoch: int = FIRST_EPOCH) -> pa.Table:
    keys = encode_link_keys(records, PassingKeys(), epoch, feed=feed)
    return keys.append_column("feed", pa.array([feed] * keys.num_rows))


def put(zone: AnalyticsZone, feed: str, link_keys: pa.Table) -> None:
    with zone.linkage() as connection:
        connection.register("arrived", link_keys)
        connection.execute("create table if not exists link_keys as from arrived limit 0")
        connection.execute("delete from link_keys where feed = ?", [feed])
        connection.execute("insert into link_keys by name from arrived")


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose two feeds know the same people, after four good nights."""
    root = tmp_path_factory.mktemp("nights") / "home"
    zone = AnalyticsZone(Home(root), PassingKeys())
    for feed in FEEDS:
        put(zone, feed, link_keys_of(feed, records_of(feed)))
    resolve_people(zone)
    judged = judge_night(zone, FIRST_NIGHT)
    with zone.linkage() as connection:
        connection.execute(
            "insert into linkage_nights "
            "select night + more::integer, state || more, columns(* exclude (night, state, more)) "
            "from linkage_nights, range(1, 4) as earlier(more)"
        )
        assert len(past_nights(connection)) == 4
    assert (judged.good, judged.enough_history) == (True, False)
    return root


@pytest.fixture
def zone(usual: Path, tmp_path: Path) -> Iterator[AnalyticsZone]:
    shutil.copytree(usual, tmp_path / "home")
    yield AnalyticsZone(Home(tmp_path / "home"), PassingKeys())
    shutil.rmtree(tmp_path / "home")


def judged_without_linking(zone: AnalyticsZone, night: date, state: str) -> JudgedNight:
    with zone.linkage() as connection:
        connection.execute("update people_state set digest = ?", [state])
    return judge_night(zone, night)


def test_figures_of_a_store_are_what_it_holds(zone: AnalyticsZone) -> None:
    with zone.linkage(read_only=True) as connection:
        figures: NightFigures = past_nights(connection)[0].figures
    assert (figures.records, figures.people, figures.largest_person) == (2 * PEOPLE, PEOPLE, 2)
    assert figures.link_rates["care – tax"].share == 1.0
    assert figures.link_rates["care – care"].people == 0
    assert figures.candidates["full_name_birth_year_month_token"] == PEOPLE
    assert [sum(held.values()) for held in figures.weights.values()] == [PEOPLE] * 3
    assert figures.people_by_feed == {"care": PEOPLE, "tax": PEOPLE}


def test_judging_a_night_again_says_the_same_and_adds_no_row(zone: AnalyticsZone) -> None:
    first = judged_without_linking(zone, NIGHT, "another")
    assert judge_night(zone, NIGHT) == first
    assert (first.good, first.compared_nights) == (True, 4)
    with zone.linkage(read_only=True) as connection:
        assert len(past_nights(connection)) == 5


def test_a_night_that_was_bad_is_bad_until_it_is_accepted(zone: AnalyticsZone) -> None:
    with zone.linkage() as connection:
        connection.execute("update people set person_id = record_ref")
    bad = judged_without_linking(zone, NIGHT, "fallen apart")
    assert not bad.good
    assert not judge_night(zone, NIGHT + timedelta(days=1)).good
    accept_newest_night(zone, "two feeds are no longer shared")
    accepted = judge_night(zone, NIGHT + timedelta(days=2))
    assert accepted.good
    assert accepted.accepted_because == "two feeds are no longer shared"
    # From then on that night is what is usual, and the nights before it are not.
    later = judged_without_linking(zone, NIGHT + timedelta(days=3), "the night after")
    assert (later.findings, later.compared_nights, later.enough_history) == ((), 1, True)


def test_there_must_be_a_night_to_accept(tmp_path: Path) -> None:
    zone = AnalyticsZone(Home(tmp_path), PassingKeys())
    with pytest.raises(NoNightError, match="doorstep refresh"):
        accept_newest_night(zone, "why not")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (link_keys_of("care", records_of("care", births_moved=400)), "feed_pair_link_rates"),
        (link_keys_of("care", records_of("care"), epoch=FIRST_EPOCH + 1), "feed_pair_link_rates"),
        (link_keys_of("care", records_of("care", nino=DEFAULT_NINO)), "candidate_volume"),
    ],
    ids=["birth dates all wrong", "link keys of another epoch", "one default NINO"],
)
def test_what_is_downstream_waits_after_a_broken_night(
    zone: AnalyticsZone, broken: pa.Table, check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(zone, "care", broken)
    result = _run(zone, monkeypatch)
    assert not result.success
    failed = {one.check_name for one in result.get_asset_check_evaluations() if not one.passed}
    assert check in failed
    assert result.asset_materializations_for_node("downstream") == []


@pytest.mark.slow
def test_what_is_downstream_runs_after_a_good_night(
    zone: AnalyticsZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    newcomers = records_of("tax").slice(0, 20)
    newcomers = newcomers.set_column(0, "record_ref", pa.array([f"new{n:04d}" for n in range(20)]))
    put(
        zone,
        "tax",
        pa.concat_tables([link_keys_of("tax", records_of("tax")), link_keys_of("tax", newcomers)]),
    )
    result = _run(zone, monkeypatch)
    assert result.success
    assert all(one.passed for one in result.get_asset_check_evaluations())
    assert len(result.asset_materializations_for_node("downstream")) == 1


def _run(zone: AnalyticsZone, monkeypatch: pytest.MonkeyPatch) -> dg.ExecuteInProcessResult:
    """Run `people` and one asset behind it, as Dagster does each night."""
    from orchestration.analytics.datacentre import DataCentre
    from orchestration.analytics.people import people_asset
    from orchestration.night import Night

    monkeypatch.setattr(DataCentre, "zone", lambda _: zone)

    @dg.asset(deps=[PEOPLE_KEY])
    def downstream() -> None:
        """What stands on people."""

    contracts = list(read_contracts().values())
    return dg.materialize(
        [people_asset(contracts), downstream],
        resources={"data_centre": DataCentre(), "night": Night(date=NIGHT.isoformat())},
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
    )


def test_the_model_in_use_has_candidates_to_count() -> None:
    """Rules that are no equality of tokens would be left out of the volume silently."""
    from linkage.nights.figures import EQUALITY
    from linkage.scoring.pair_levels import blocking_conditions

    conditions = blocking_conditions(read_model().splink_settings)
    assert [condition for condition in conditions if not EQUALITY.search(condition)] == []
