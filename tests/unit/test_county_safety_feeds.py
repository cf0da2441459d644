"""Antisocial behaviour, the hub, case notes and small areas: what their files say is what happened."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date

import numpy as np
import pyarrow.compute as pc
import pytest

from governance.contracts import Identifier, read_contracts
from synthetic.dates import OPEN, as_text
from synthetic.feeds import antisocial_behaviour, hub_interventions, small_area_statistics
from synthetic.feeds.deliveries import TableRecords
from synthetic.feeds.rendering import lines_of
from synthetic.properties import OWNER
from synthetic.world import World, make_world

CONTRACTS = read_contracts()
FIRST_MONTH, MONTHS, HOUSEHOLDS = date(2024, 10, 1), 18, 13_000


@pytest.fixture(scope="module")
def world() -> World:
    """20 small areas, 18 months."""
    return make_world(HOUSEHOLDS, MONTHS, 1, FIRST_MONTH)


@pytest.fixture(scope="module")
def behaviour(world: World) -> dict[str, TableRecords]:
    return antisocial_behaviour.make_records(world)


@pytest.fixture(scope="module")
def hub(world: World) -> dict[str, TableRecords]:
    return hub_interventions.make_records(world)


@pytest.fixture(scope="module")
def areas(world: World) -> TableRecords:
    return small_area_statistics.make_records(world)["areas"]


def missing(records: TableRecords, column: str) -> float:
    return float((records.columns[column] == "").mean())


def test_antisocial_behaviour_names_victims_and_nobody_else(
    world: World, behaviour: dict[str, TableRecords]
) -> None:
    contract = CONTRACTS["antisocial_behaviour"]
    people = {Identifier.FULL_NAME, Identifier.SURNAME, Identifier.FORENAME}
    naming = [table.name for table in contract.tables if any(map(table.with_identifier, people))]
    assert naming == ["victims"]
    victims, incidents, households = behaviour["victims"], world.course.incidents, world.course.households
    suffered = set(zip(incidents.household.tolist(), incidents.person.tolist(), strict=True))
    for household, person in zip(victims.household.tolist(), victims.person.tolist(), strict=True):
        together = (households.lead[household], households.partner[household])
        assert (household, person) in suffered or person in together
    assert {key.split("|")[0] for key in victims.key.tolist()} <= set(behaviour["incidents"].key.tolist())


def test_half_of_the_victims_birth_dates_and_nearly_all_their_ninos_are_missing(
    behaviour: dict[str, TableRecords],
) -> None:
    victims = behaviour["victims"]
    assert missing(victims, "date_of_birth") == pytest.approx(0.5, abs=0.05)
    assert missing(victims, "ni_number") == pytest.approx(0.95, abs=0.03)
    assert missing(victims, "phone") == pytest.approx(0.15, abs=0.05)


def test_some_people_are_victims_again_and_again_and_score_higher(behaviour: dict[str, TableRecords]) -> None:
    victims, incidents = behaviour["victims"], behaviour["incidents"]
    times = np.array(sorted(Counter(victims.person.tolist()).values()))
    chance = Counter(np.random.default_rng(1).integers(0, 13_000 * 1.8, len(victims.person)).tolist())
    assert (times > 1).sum() > 2 * sum(count > 1 for count in chance.values())
    score = {
        reference: int(text)
        for reference, text in zip(
            incidents.columns["incident_ref"].tolist(), incidents.columns["risk_score"].tolist(), strict=True
        )
        if text
    }
    again = victims.columns["repeat_victim"] == "Y"
    of = np.array([score.get(reference, -1) for reference in victims.columns["incident_ref"].tolist()])
    assert of[again & (of >= 0)].mean() > of[~again & (of >= 0)].mean() + 3


def test_an_incident_is_open_then_assessed_then_closed(behaviour: dict[str, TableRecords]) -> None:
    incidents = behaviour["incidents"]
    status, score = incidents.columns["status"], incidents.columns["risk_score"]
    assert (np.diff(incidents.known_on)[np.diff(incidents.record) == 0] > 0).all()
    assert set(score[status == "OPEN"]) == {""}
    assert (score[status == "INVESTIGATION"] != "").all()
    closed = np.strings.startswith(status, "CLOSED") | (status == "REFERRED_POLICE")
    assert (incidents.columns["closed_date"][closed] != "").all()
    assert (incidents.columns["closed_date"][~closed] == "").all()
    assert (incidents.dropped_on[~closed] == OPEN).all()


def test_the_file_of_incidents_is_parted_by_tabs(behaviour: dict[str, TableRecords]) -> None:
    table = CONTRACTS["antisocial_behaviour"].table("incidents")
    lines = lines_of(table, behaviour["incidents"].columns)
    assert pc.all(pc.equal(pc.count_substring(lines, "\t"), len(table.columns) - 1)).as_py()


def test_the_hub_tells_the_offer_then_the_answer_then_the_end(hub: dict[str, TableRecords]) -> None:
    offers = hub["interventions"]
    accepted, begun = offers.columns["support/accepted"], offers.columns["support/accepted_on"]
    ended = offers.columns["support/ended_on"]
    first = np.append(True, np.diff(offers.record) != 0)
    assert (accepted[first] == "").mean() > 0.9
    assert ((begun != "") == (accepted == "true")).all()
    assert set(accepted[ended != ""]) == {"true"}
    later = np.flatnonzero(np.diff(offers.record) == 0)
    assert (np.diff(offers.known_on)[later] > 0).all()


def test_hub_lines_are_nested_objects(hub: dict[str, TableRecords]) -> None:
    contract = CONTRACTS["hub_interventions"]
    line = json.loads(lines_of(contract.table("interventions"), hub["interventions"].columns)[-1].as_py())
    assert set(line) == {"referral", "client", "support"}
    assert line["client"]["name"]["family"]
    assert isinstance(line["support"].get("accepted", True), bool)
    outcomes = lines_of(contract.table("outcomes"), hub["outcomes"].columns).to_pylist()
    money = [json.loads(line)["outcome"]["money"] for line in outcomes if "money" in line]
    assert money
    assert all(isinstance(amount, int | float) for each in money for amount in each.values())


def test_every_outcome_belongs_to_an_offer_and_money_to_completed_help(hub: dict[str, TableRecords]) -> None:
    outcomes = hub["outcomes"].columns
    assert set(outcomes["referral/reference"]) <= set(hub["interventions"].key.tolist())
    won = (outcomes["outcome/money/weekly_gain"] != "") | (outcomes["outcome/money/debt_managed"] != "")
    assert set(outcomes["outcome/code"][won]) == {"COMPLETED"}
    assert {"DECLINED", "COMPLETED"} <= set(outcomes["outcome/code"])


def test_the_hub_is_told_of_interventions_as_they_happened(
    world: World, hub: dict[str, TableRecords]
) -> None:
    offers, made = hub["interventions"], world.course.interventions
    happened = set(
        zip(made.household.tolist(), made.person.tolist(), as_text(made.offered).tolist(), strict=True)
    )
    row = offers.record
    shown = zip(
        offers.household[row].tolist(), offers.person[row].tolist(),
        offers.columns["support/offered_on"].tolist(), strict=True,
    )  # fmt: skip
    assert set(shown) <= happened


def test_every_small_area_of_the_gazetteer_has_statistics_and_no_other(
    world: World, areas: TableRecords
) -> None:
    assert set(areas.key.tolist()) == set(world.properties.lsoa_code.tolist())
    assert areas.person is None


def test_small_areas_have_an_edition_when_sharing_begins_and_each_april(areas: TableRecords) -> None:
    years = areas.columns["Year"]
    assert Counter(years.tolist()) == {"2024": len(areas.key), "2025": len(areas.key)}
    assert len(np.unique(areas.known_on)) == 2


def test_deprived_areas_are_those_of_renters_and_arrears(world: World, areas: TableRecords) -> None:
    homes = world.properties.homes
    code, area = np.unique(world.properties.lsoa_code, return_inverse=True)
    rented = np.bincount(area[:homes], world.properties.tenure[:homes] != OWNER) / np.bincount(area[:homes])
    arrears = world.course.arrears
    spell = world.spell_at(arrears.household, world.course.month_starts[np.minimum(arrears.start, 53)])
    owing = np.bincount(area[world.course.spells.property[spell[spell >= 0]]], minlength=len(code))
    owing = owing / np.bincount(area[:homes])
    newest = areas.columns["Year"] == "2025"
    score = areas.columns["Index of Multiple Deprivation (IMD) Score"][newest].astype(float)
    assert np.corrcoef(np.log(score), rented)[0, 1] > 0.3
    assert np.corrcoef(np.log(score), owing)[0, 1] > 0.3


def test_the_decile_ranks_the_score_from_the_most_deprived(areas: TableRecords) -> None:
    score = areas.columns["Index of Multiple Deprivation (IMD) Score"].astype(float)
    decile = areas.columns["Index of Multiple Deprivation (IMD) Decile"].astype(int)
    order = np.argsort(-score)
    assert (np.diff(decile[order]) >= 0).all()
    assert {1, 10} & set(decile.tolist())
    assert np.unique(decile).size >= 4
