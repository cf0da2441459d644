"""What befalls the county's people: births, unions, partings, claims, need, the hub, incidents, debts, shocks."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml

from synthetic import life_course
from synthetic.circumstances import DECLINED, DUTY_OWED, HOUSING_BENEFIT, UNIVERSAL_CREDIT, ChildEpisodes
from synthetic.county import FIRST_MONTH
from synthetic.dates import MISSING, OPEN
from synthetic.hazard import ARREARS, FAMILY_EXCLUSION, HORIZONS, SECTION_21
from synthetic.life_tables import (
    BURN_IN_MONTHS,
    NO_DUTY,
    ORDER_FORGOTTEN,
    ORDER_IN_NEED,
    UNITED,
    LifeCourse,
    Shock,
)
from synthetic.population import MARITAL
from synthetic.properties import PRIVATE, SOCIAL, read_places
from synthetic.world import World, make_world

HOUSEHOLDS, MONTHS = 10_000, 30
YEARS = MONTHS / 12


def county(households: int, months: int, seed: int = 1, shock: Shock | None = None) -> World:
    return make_world(households, months, seed, FIRST_MONTH, shock=shock)


@pytest.fixture(scope="module")
def world() -> World:
    """10,000 households over 30 months after the burn-in."""
    return county(HOUSEHOLDS, MONTHS)


def residents(world: World, day: int) -> np.ndarray:
    """Positions of the stays on `day`."""
    stays = world.residences
    return np.flatnonzero((stays.start <= day) & (stays.end >= day))


def households_at_the_end(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Households living here after the last month, and their tenure."""
    oracle = world.course.oracle
    last = oracle.month == oracle.month.max()
    return oracle.household[last], world.properties.tenure[oracle.property[last]]


def duties(world: World) -> np.ndarray:
    cases = world.course.cases
    return np.flatnonzero((cases.duty != NO_DUTY) & (cases.month >= BURN_IN_MONTHS))


def test_children_are_born_in_every_quarter_to_mothers_who_live_with_them(world: World) -> None:
    births, people = world.course.births, world.course.people
    in_window = births.day >= world.first_day
    by_quarter = np.bincount((births.day[in_window] - world.first_day) // 92)
    assert (by_quarter[: MONTHS // 3] > 20).all()
    age = (births.day - people.date_of_birth[births.mother]) / 365.25
    assert people.female[births.mother].all()
    assert (age > 16).all()
    assert np.quantile(age, 0.99) < 50
    of_mother = world.residences.at(births.mother, births.day)
    assert (world.residences.household[of_mother] == births.household).mean() > 0.99


def test_births_and_deaths_a_year_are_near_englands(world: World) -> None:
    here = len(residents(world, world.last_day - 1))
    births = (world.course.births.day >= world.first_day).sum()
    died_on = world.course.people.died_on[world.residences.person]
    deaths = ((died_on >= world.first_day) & (world.residences.end == died_on)).sum()
    assert births / here / YEARS * 1000 == pytest.approx(10, abs=2)
    assert deaths / here / YEARS * 1000 == pytest.approx(9, abs=2)


def test_couples_part_and_people_move_in_together(world: World) -> None:
    course = world.course
    parted = course.parted[course.parted[:, 1] >= world.first_day]
    assert len(parted) / HOUSEHOLDS / YEARS == pytest.approx(0.009, abs=0.004)
    united = (course.spells.reason == UNITED) & (course.spells.end >= world.first_day)
    assert united.sum() > 20
    assert set(np.unique(course.people.marital_status)) == set(range(len(MARITAL)))


def test_surnames_change_around_unions_and_partings(world: World) -> None:
    people = world.course.people
    changed = np.flatnonzero(people.surname_changed_on != MISSING)
    assert (people.surname[changed] != people.later_surname[changed]).all()
    assert people.female[changed].mean() > 0.8
    assert len(changed) > 100


def test_each_person_is_in_one_household_at_a_time(world: World) -> None:
    members = world.course.memberships
    lasts = members.leave >= members.join
    order = np.lexsort((members.join[lasts], members.person[lasts]))
    person, join, leave = (column[lasts][order] for column in (members.person, members.join, members.leave))
    again = person[1:] == person[:-1]
    assert again.sum() > 50
    assert (join[1:][again] > leave[:-1][again]).all()


def test_disability_follows_age_and_tenure_and_ethnicity_follows_name_origin_and_place(world: World) -> None:
    people, stays = world.course.people, world.residences
    rows = residents(world, world.first_day)
    person = stays.person[rows]
    age = (world.first_day - people.date_of_birth[person]) / 365.25
    tenure = world.properties.tenure[stays.property[rows]]
    disabled = people.disabled[person]
    assert disabled[age > 75].mean() > 2 * disabled[age < 30].mean()
    middle = (age > 30) & (age < 60)
    assert disabled[middle & (tenure == SOCIAL)].mean() > 1.4 * disabled[middle & (tenure == PRIVATE)].mean()
    british_name, white_british = people.origin[person] == 0, people.ethnicity[person] == 0
    assert white_british[british_name].mean() > 0.85
    assert white_british[~british_name].mean() < 0.35
    towns, town = np.unique(world.properties.town[stays.property[rows]], return_inverse=True)
    share = np.bincount(town, british_name, minlength=len(towns)) / np.bincount(town)
    large = np.bincount(town) > 300
    assert share[large].max() - share[large].min() > 0.06


def test_pupil_numbers_are_distinct_and_carry_their_check_letter(world: World) -> None:
    people = world.course.people
    numbers = people.upn[people.upn != ""]
    assert len(np.unique(numbers)) == len(numbers)
    letters = "ABCDEFGHJKLMNPQRTUVWXYZ"
    for number in numbers[:500].tolist():
        assert len(number) == 13
        total = sum(int(digit) * weight for digit, weight in zip(number[1:], range(2, 14), strict=True))
        assert number[0] == letters[total % 23]
    age_at_end = (world.last_day - people.date_of_birth) / 365.25
    of_school_age = (age_at_end > 5) & (age_at_end < 18)
    assert (people.upn[of_school_age] != "").all()


def test_all_outward_codes_have_a_rent_area_and_every_home_has_an_allowance(world: World) -> None:
    places = read_places()
    codes = [code for market in places["rent_areas"].values() for code in market["outward"]]
    assert sorted(codes) == sorted(places["areas"])
    assert {"Canterbury", "Dartford", "Folkestone", "Maidstone", "Tunbridge Wells"} <= set(
        places["areas"].values()
    )
    allowance, rooms = world.properties.lha_weekly, world.properties.bedrooms
    assert (allowance > 100).all()
    assert allowance[rooms == 3].mean() > allowance[rooms == 1].mean() * 1.3
    private = world.properties.tenure == PRIVATE
    assert world.properties.over_allowance()[private].mean() == pytest.approx(0.32, abs=0.1)
    assert not world.properties.over_allowance()[~private].any()


def test_claims_meet_their_published_shares(world: World) -> None:
    benefits = world.course.benefits
    household, tenure = households_at_the_end(world)
    open_now = benefits.end == OPEN
    credit = np.isin(household, benefits.household[open_now & (benefits.kind == UNIVERSAL_CREDIT)])
    housing = np.isin(household, benefits.household[open_now & (benefits.kind == HOUSING_BENEFIT)])
    assert credit[tenure == PRIVATE].mean() == pytest.approx(0.23, rel=0.15)
    assert housing.mean() == pytest.approx(2.3 / 24.7, rel=0.15)


def test_arrears_meet_their_published_shares(world: World) -> None:
    arrears = world.course.arrears
    household, tenure = households_at_the_end(world)
    recent = np.isin(household, arrears.household[arrears.end >= BURN_IN_MONTHS + MONTHS - 12])
    assert recent[tenure == SOCIAL].mean() == pytest.approx(0.15, rel=0.2)
    assert recent[tenure == PRIVATE].mean() == pytest.approx(0.05, rel=0.3)


def test_children_meet_their_published_shares(world: World) -> None:
    """3 % in need, 20 % of pupils persistently absent, 25 % with free school meals."""
    assert child_share(world, world.course.in_need, 0, 18) == pytest.approx(0.03, rel=0.25)
    assert child_share(world, world.course.absence, 5, 16) == pytest.approx(0.20, rel=0.1)
    rows = residents(world, world.last_day - 1)
    age = (world.last_day - world.course.people.date_of_birth[world.residences.person[rows]]) / 365.25
    pupils = rows[(age >= 5) & (age < 16)]
    meals = world.course.households.free_school_meals[world.residences.household[pupils]]
    assert meals.mean() == pytest.approx(0.25, rel=0.15)


def child_share(world: World, spells: ChildEpisodes, youngest: int, oldest: int) -> float:
    """Mean share of the children of those ages who live here and have an open spell."""
    shares = []
    for month in range(BURN_IN_MONTHS, BURN_IN_MONTHS + MONTHS, 6):
        day = int(world.course.month_starts[month])
        person = world.residences.person[residents(world, day)]
        age = (day - world.course.people.date_of_birth[person]) / 365.25
        child = person[(age >= youngest) & (age < oldest)]
        now = spells.person[(spells.start <= day) & (spells.end >= day)]
        shares.append(np.isin(child, now).mean())
    return float(np.mean(shares))


def test_spells_of_children_begin_at_their_age_and_end_no_earlier(world: World) -> None:
    born = world.course.people.date_of_birth
    for spells, youngest, oldest in ((world.course.in_need, 0, 18.1), (world.course.absence, 5, 16.1)):
        age = (spells.start - born[spells.person]) / 365.25
        assert ((age >= youngest) & (age < oldest)).all()
        assert (spells.end >= spells.start).all()
    assert world.course.in_need.plan.any()
    assert not world.course.absence.plan.any()


def test_the_hub_helps_those_at_high_risk_first_so_that_the_helped_fare_worse(world: World) -> None:
    course = world.course
    offers, oracle = course.interventions, course.oracle
    month = np.searchsorted(course.month_starts, offers.offered, side="right") - 1
    inside = (month >= BURN_IN_MONTHS) & (month < BURN_IN_MONTHS + MONTHS - 6)
    offered = offers.household[inside] * 1000 + month[inside]
    key = oracle.household.astype(np.int64) * 1000 + oracle.month
    risk = oracle.probabilities[:, HORIZONS.index(6)]
    is_offered = np.isin(key, offered)
    assert risk[is_offered].mean() > 10 * risk.mean()
    cases = course.cases
    later = np.zeros(inside.sum(), dtype=bool)
    duty = cases.duty != NO_DUTY
    for ahead in range(1, 7):
        later |= np.isin(offered, cases.household[duty] * 1000 + cases.month[duty] - ahead)
    helped = offers.accepted[inside]
    assert later[helped].mean() > 5 * 13.2 / 1000 / 2
    assert helped.mean() == pytest.approx(0.62, abs=0.06)
    assert (offers.outcome[~offers.accepted] == DECLINED).all()
    assert (offers.outcome == DUTY_OWED).any()


def test_repossession_follows_the_claim_by_24_and_a_half_weeks(world: World) -> None:
    possessions = world.course.possessions
    weeks = (possessions.repossessed - possessions.claimed) / 7
    assert len(weeks) > 25
    assert np.median(weeks) == pytest.approx(24.5, abs=4)


def test_lead_times_of_the_routes_are_those_of_the_design(world: World) -> None:
    cases, rows = world.course.cases, duties(world)
    days = cases.decided[rows] - cases.set_off[rows]
    median = {route: np.median(days[cases.route[rows] == route]) for route in range(6)}
    assert 180 <= median[ARREARS] <= 365
    assert 60 <= median[SECTION_21] <= 180
    assert 0 <= median[FAMILY_EXCLUSION] <= 60
    assert (days >= 0).all()


def test_families_reasons_and_support_needs_meet_their_published_shares(world: World) -> None:
    """A tenth of the county of the acceptance: wide bounds."""
    cases, rows = world.course.cases, duties(world)
    family = cases.with_children[rows]
    assert family.mean() == pytest.approx(0.337, abs=0.08)
    assert (cases.reason[rows] == 0).mean() == pytest.approx(0.245, abs=0.06)
    assert cases.support_need[rows][family].mean() == pytest.approx(0.419, abs=0.1)


def test_the_oracle_of_financial_exclusion_says_as_much_as_happens(world: World) -> None:
    course = world.course
    events = course.financial
    month = np.searchsorted(course.month_starts, events.day, side="right") - 1
    whole = course.oracle.month <= BURN_IN_MONTHS + MONTHS - 6
    key = course.oracle.household[whole].astype(np.int64) * 1000 + course.oracle.month[whole]
    happened = np.zeros(len(key), dtype=bool)
    for ahead in range(6):
        happened |= np.isin(key, events.household * 1000 + month - ahead)
    chance = course.oracle.financial[whole]
    assert chance.sum() == pytest.approx(happened.sum(), rel=0.12)
    feared = chance > np.quantile(chance, 0.98)
    assert chance[feared].mean() == pytest.approx(happened[feared].mean(), rel=0.12)


def test_liability_orders_come_of_debts_that_reached_the_council_tax_account(world: World) -> None:
    course = world.course
    ordered = course.financial.household[course.financial.kind == ORDER_IN_NEED]
    assert len(ordered) > 100
    assert np.isin(ordered, course.arrears.household[course.arrears.on_council_tax]).all()
    forgotten = course.financial.household[course.financial.kind == ORDER_FORGOTTEN]
    assert np.isin(forgotten, course.forgotten.household[course.forgotten.ordered.astype(bool)]).all()


def test_incidents_happen_to_adults_where_they_live_and_set_off_further_ones(world: World) -> None:
    incidents, people = world.course.incidents, world.course.people
    stay = world.residences.at(incidents.person, incidents.day)
    assert (world.residences.property[stay] == incidents.property).mean() > 0.99
    assert ((incidents.day - people.date_of_birth[incidents.person]) / 365.25 > 18).all()
    again = (incidents.person[1:] == incidents.person[:-1]) & (np.diff(incidents.day) < 60)
    assert again.sum() / len(incidents) > 0.15


def test_the_oracle_of_repeat_victims_says_as_much_as_happens(world: World) -> None:
    oracle, incidents = world.course.victim_hazard, world.course.incidents
    whole = oracle.month <= MONTHS - 6
    today = world.course.month_starts[BURN_IN_MONTHS + oracle.month[whole].astype(int)].astype(np.int64)
    key = np.sort(incidents.person.astype(np.int64) * 2**20 + incidents.day)
    person = oracle.person[whole].astype(np.int64) * 2**20
    happened = np.searchsorted(key, person + today + 182) > np.searchsorted(key, person + today)
    chance = oracle.probability[whole]
    assert chance.sum() == pytest.approx(happened.sum(), rel=0.12)
    feared = chance > np.quantile(chance, 0.9)
    assert chance[feared].mean() == pytest.approx(happened[feared].mean(), rel=0.15)
    assert happened[feared].mean() > 2 * happened.mean()


def test_a_shock_changes_nothing_before_its_month_and_much_after() -> None:
    shocked_month = 6
    calm, shaken = (county(5000, 18, shock=shock) for shock in (None, Shock(shocked_month, "rent")))
    assert shaken.course.shock == Shock(6, "rent")
    before = BURN_IN_MONTHS + shocked_month
    for table in ("household", "month", "route"):
        columns = [
            getattr(each.course.cases, table)[each.course.cases.month < before] for each in (calm, shaken)
        ]
        assert np.array_equal(*columns)
    counts = [
        (each.course.cases.route[each.course.cases.month >= before] == SECTION_21).sum()
        for each in (calm, shaken)
    ]
    assert counts[1] > 1.3 * counts[0]
    expected = [
        each.course.oracle.probabilities[each.course.oracle.month == before, HORIZONS.index(6)].mean()
        for each in (calm, shaken)
    ]
    assert expected[1] > 1.1 * expected[0]


def test_a_benefit_shock_starts_more_arrears() -> None:
    calm, shaken = (county(5000, 18, shock=shock) for shock in (None, Shock(3, "benefit")))
    begun = [(each.course.arrears.start >= BURN_IN_MONTHS + 3).sum() for each in (calm, shaken)]
    assert begun[1] > 1.15 * begun[0]


def test_an_unknown_shock_is_refused() -> None:
    with pytest.raises(ValueError, match="choose one of rent, benefit"):
        Shock(3, "flood")


def test_the_same_seed_gives_the_same_lives_and_another_gives_others() -> None:
    one, same, other = (county(400, 6, seed) for seed in (1, 1, 2))
    for item in fields(LifeCourse):
        mine, theirs = getattr(one.course, item.name), getattr(same.course, item.name)
        if hasattr(mine, "__dataclass_fields__"):
            for column in fields(mine):
                assert np.array_equal(getattr(mine, column.name), getattr(theirs, column.name)), item.name
        elif isinstance(mine, np.ndarray):
            assert np.array_equal(mine, theirs), item.name
    assert not np.array_equal(one.course.people.date_of_birth, other.course.people.date_of_birth)


def test_calibration_figures_are_told_once_each_with_bounds_around_them() -> None:
    path = Path(life_course.__file__).with_name("calibration.yaml")
    figures = yaml.safe_load(path.read_text(encoding="utf-8"))["figures"]
    names = [figure["name"] for figure in figures]
    assert len(set(names)) == len(names)
    for figure in figures:
        assert figure["low"] <= figure["value"] <= figure["high"], figure["name"]
        assert figure["kind"] in {"published", "accepted", "assumed"}
        assert figure["source"]
        assert figure["about"]
