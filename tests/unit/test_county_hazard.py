"""The county's people and hazard: published rates come out, and the oracle is right about its chances."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic import hazard
from synthetic.county import FIRST_MONTH
from synthetic.hazard import HORIZONS, ROUTES, Levels, Situation
from synthetic.life_tables import BURN_IN_MONTHS, NO_DUTY, LifeCourse
from synthetic.population import CHILD, GROWN_CHILD
from synthetic.properties import OWNER, PRIVATE, SOCIAL, Properties
from synthetic.residences import Residences
from synthetic.world import make_world

HOUSEHOLDS, MONTHS = 12_000, 18


@pytest.fixture(scope="module")
def lived() -> tuple[Properties, LifeCourse, Residences]:
    """12,000 households over 18 months after the burn-in, without partners' files."""
    world = make_world(HOUSEHOLDS, MONTHS, 1, FIRST_MONTH)
    return world.properties, world.course, world.residences


def situation(count: int = 1, **changes: object) -> Situation:
    """Households without trouble: owners, settled, no episode; change what matters."""
    no, never = np.zeros(count, dtype=bool), np.full(count, 999)
    fields: dict[str, object] = {
        "tenure": np.full(count, OWNER),
        "frailty": np.zeros(count),
        "low_income": no,
        "head_under_35": no,
        "working_age": no,
        "lone_parent": no,
        "has_child": no,
        "has_pupil": no,
        "young_adult": no,
        "young_for_months": never,
        "nest_leaving": np.zeros(count),
        "single_man": no,
        "woman": ~no,
        "over_allowance": no,
        "capped": no,
        "arrears_age": np.full(count, -1),
        "abuse_age": np.full(count, -1),
        "slip_age": np.full(count, -1),
        "on_council_tax": no,
        "out_of_work": no,
        "in_need": no,
        "absent": no,
        "blocked_months": np.zeros(count, dtype=int),
        "months_since_move": never,
        "months_since_case": never,
        "months_since_mental_health": never,
        "months_since_offer": never,
        "accepted": no,
        "shock": np.zeros(count),
        "exit_rate": np.zeros(count),
        "move_rate": np.zeros(count),
    }
    return Situation(**(fields | changes))  # type: ignore[arg-type]


NO_OFFERS = 99.0
LEVELS = Levels(np.full(len(ROUTES), -9.0), NO_OFFERS)


def test_duties_come_at_the_published_rate(lived: tuple[Properties, LifeCourse, Residences]) -> None:
    _, course, _ = lived
    duties = ((course.cases.duty != NO_DUTY) & (course.cases.month >= BURN_IN_MONTHS)).sum()
    per_thousand_a_year = duties / HOUSEHOLDS / MONTHS * 12 * 1000
    assert per_thousand_a_year == pytest.approx(13.2, rel=0.2)


def test_the_oracle_says_as_many_duties_as_happen(lived: tuple[Properties, LifeCourse, Residences]) -> None:
    _, course, _ = lived
    for number, horizon in enumerate(HORIZONS):
        happened, probability = outcomes(course, horizon)
        assert probability.sum() == pytest.approx(happened.sum(), rel=0.15), HORIZONS[number]


def test_the_oracle_is_right_among_those_it_fears_most(
    lived: tuple[Properties, LifeCourse, Residences],
) -> None:
    happened, probability = outcomes(lived[1], 6)
    feared = probability > np.quantile(probability, 0.99)
    assert happened[feared].mean() == pytest.approx(probability[feared].mean(), rel=0.25)


def test_a_fifth_to_two_fifths_of_coming_duties_lie_in_the_oracles_top_hundredth(
    lived: tuple[Properties, LifeCourse, Residences],
) -> None:
    """Accepted at 60,000 households with 20-35 %; this county is smaller: wider bounds."""
    happened, probability = outcomes(lived[1], 6)
    feared = probability > np.quantile(probability, 0.99)
    assert 0.20 < happened[feared].sum() / happened.sum() < 0.40


def outcomes(course: LifeCourse, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each household and month with a whole horizon ahead: did a duty come, and the oracle."""
    oracle, cases = course.oracle, course.cases
    duty = cases.duty != NO_DUTY
    whole = oracle.month <= BURN_IN_MONTHS + MONTHS - horizon
    key = oracle.household[whole] * 1000 + oracle.month[whole]
    happened = np.zeros(whole.sum(), dtype=bool)
    for ahead in range(horizon):
        happened |= np.isin(key, cases.household[duty] * 1000 + cases.month[duty] - ahead)
    return happened, oracle.probabilities[whole, HORIZONS.index(horizon)]


def test_tenures_keep_their_published_shares(lived: tuple[Properties, LifeCourse, Residences]) -> None:
    properties, course, _ = lived
    last = course.oracle.month == course.oracle.month.max()
    shares = np.bincount(properties.tenure[course.oracle.property[last]]) / last.sum()
    assert shares == pytest.approx([0.65, 0.19, 0.16], abs=0.015)


def test_a_household_has_about_two_and_two_fifths_people(
    lived: tuple[Properties, LifeCourse, Residences],
) -> None:
    _, course, stays = lived
    day = course.month_starts[BURN_IN_MONTHS + 6]
    here = (stays.start <= day) & (stays.end >= day)
    assert here.sum() / len(np.unique(stays.household[here])) == pytest.approx(2.4, abs=0.1)


def test_one_person_in_eight_moves_in_a_year_and_private_renters_far_more(
    lived: tuple[Properties, LifeCourse, Residences],
) -> None:
    properties, course, stays = lived
    first, last = course.month_starts[BURN_IN_MONTHS], course.month_starts[-1]
    born_here = stays.start == course.people.date_of_birth[stays.person]
    moved_in = (stays.start >= first) & (stays.start < last) & ~born_here
    tenure = properties.tenure[stays.property]
    here = (stays.start <= first) & (stays.end >= first)
    a_year = 365.25 / (last - first)
    rate = {
        tenant: moved_in[tenure == tenant].sum() / here[tenure == tenant].sum() * a_year
        for tenant in range(3)
    }
    assert moved_in.sum() / here.sum() * a_year == pytest.approx(0.125, abs=0.03)
    assert rate[PRIVATE] > 3 * rate[SOCIAL] > 3 * rate[OWNER] * 0.8


def test_nobody_lives_in_two_homes_at_once_and_no_home_holds_two_households(
    lived: tuple[Properties, LifeCourse, Residences],
) -> None:
    _, course, stays = lived
    same = stays.person[1:] == stays.person[:-1]
    assert (stays.start[1:][same] > stays.end[:-1][same]).all()
    spells = course.spells
    order = np.lexsort((spells.start, spells.property))
    same_home = spells.property[order][1:] == spells.property[order][:-1]
    assert (spells.start[order][1:][same_home] > spells.end[order][:-1][same_home]).all()


def test_there_are_twins_and_sons_named_after_their_fathers(
    lived: tuple[Properties, LifeCourse, Residences],
) -> None:
    people = lived[1].people
    sibling = np.isin(people.role, [GROWN_CHILD, CHILD])
    together = (people.household[1:] == people.household[:-1]) & sibling[1:] & sibling[:-1]
    twins = together & (people.date_of_birth[1:] == people.date_of_birth[:-1])
    assert twins.sum() > 20
    assert (people.forename[1:][twins] != people.forename[:-1][twins]).all()
    lead = lived[1].households.lead[people.household[sibling]]
    namesakes = (people.forename[sibling] == people.forename[lead]) & ~people.female[sibling]
    assert namesakes.sum() > 20


def test_surnames_have_a_long_tail_over_several_origins(
    lived: tuple[Properties, LifeCourse, Residences],
) -> None:
    people = lived[1].people
    names, counts = np.unique(people.surname, return_counts=True)
    assert len(names) > 2500
    assert counts.max() / counts.sum() < 0.02
    assert (np.bincount(people.origin) > 100).sum() >= 4


def test_bisection_meets_the_rate_of_each_route() -> None:
    random = np.random.default_rng(5)
    logs = random.normal(0, 1.5, (4000, len(ROUTES)))
    logs[:2000, hazard.SECTION_21] = -np.inf
    expected = hazard.monthly_probabilities(logs, hazard.find_intercepts(logs)).sum(axis=0)
    target = hazard.DUTIES_PER_HOUSEHOLD_YEAR / 12 * 4000 * hazard.ROUTE_SHARES
    assert expected == pytest.approx(target, rel=1e-4)


def test_a_route_open_to_nobody_has_no_intercept() -> None:
    logs = np.full((10, len(ROUTES)), -np.inf)
    logs[:, hazard.OTHER] = 0.0
    intercepts = hazard.find_intercepts(logs)
    assert np.isnan(intercepts[hazard.ARREARS])
    assert np.isfinite(intercepts[hazard.OTHER])


def test_probabilities_rise_with_the_horizon_and_with_trouble() -> None:
    settled = hazard.oracle(situation(), LEVELS).duty[0]
    troubled = hazard.oracle(situation(arrears_age=np.array([6]), tenure=np.array([PRIVATE])), LEVELS).duty[0]
    assert (np.diff(settled) > 0).all()
    assert (np.diff(troubled) > 0).all()
    assert (troubled > 10 * settled).all()


def test_a_lasting_hazard_adds_up_month_by_month() -> None:
    man = situation(woman=np.zeros(1, dtype=bool), arrears_age=np.array([-1]))
    no_arrears = LEVELS.intercepts.copy()
    no_arrears[hazard.ARREARS] = -80.0
    monthly = np.exp(-9.0)
    contact = np.expm1(hazard.MENTAL_HEALTH) * man.mental_health_start()[0]
    expected = [1 - np.exp(-monthly * horizon) for horizon in HORIZONS]
    # A contact with mental-health services may come, and raises the hazard from the month after.
    assert hazard.oracle(man, Levels(no_arrears, NO_OFFERS)).duty[0] == pytest.approx(
        expected, rel=contact * max(HORIZONS)
    )
    assert hazard.oracle(man, Levels(no_arrears, NO_OFFERS)).duty[0, 0] == pytest.approx(
        expected[0], rel=1e-6
    )


def test_no_duty_is_expected_while_one_is_running() -> None:
    blocked = hazard.oracle(situation(blocked_months=np.array([6]), arrears_age=np.array([8])), LEVELS).duty[
        0
    ]
    assert blocked[:3] == pytest.approx([0, 0, 0])
    assert blocked[3] > 0


@pytest.mark.parametrize(
    ("change", "effect"),
    [
        ({"tenure": np.array([PRIVATE])}, 2.3),
        ({"tenure": np.array([SOCIAL])}, 1.0),
        ({"months_since_case": np.array([36])}, 1.6),
        ({"months_since_case": np.array([37])}, 0.0),
        ({"months_since_move": np.array([11])}, 0.5),
        ({"head_under_35": np.array([True])}, 0.6),
        ({"lone_parent": np.array([True])}, 0.7),
        ({"over_allowance": np.array([True])}, 0.6),
        ({"in_need": np.array([True])}, 0.7),
        ({"absent": np.array([True])}, 0.35),
        ({"accepted": np.array([True]), "months_since_offer": np.array([9])}, -0.5),
        ({"accepted": np.array([True]), "months_since_offer": np.array([10])}, 0.0),
        ({"accepted": np.array([False]), "months_since_offer": np.array([1])}, 0.0),
    ],
)
def test_effects_are_those_of_the_design(change: dict[str, np.ndarray], effect: float) -> None:
    assert situation(**change).log_effects()[0] == pytest.approx(effect)


def test_the_oracle_is_right_about_those_in_arrears_and_those_with_an_earlier_case(
    lived: tuple[Properties, LifeCourse, Residences],
) -> None:
    """Groups with some hundred household-months before a duty: chance alone stays within the bounds."""
    _, course, _ = lived
    happened, probability = outcomes(course, 6)
    oracle, cases, arrears = course.oracle, course.cases, course.arrears
    whole = oracle.month <= BURN_IN_MONTHS + MONTHS - 6
    key = oracle.household[whole].astype(np.int64) * 1000 + oracle.month[whole]
    lasted = np.maximum(arrears.end - arrears.start, 0)
    begins = np.repeat(arrears.household * 1000 + arrears.start + 1, lasted)
    in_arrears = begins + np.arange(len(begins)) - np.repeat(np.cumsum(lasted) - lasted, lasted)
    earlier = np.concatenate([cases.household * 1000 + cases.month + later for later in range(1, 37)])
    for group in (in_arrears, earlier):
        inside = np.isin(key, group)
        assert happened[inside].sum() > 150
        assert probability[inside].sum() == pytest.approx(happened[inside].sum(), rel=0.3)


def test_the_season_moves_the_months_it_is_in() -> None:
    december = np.array([-0.12] + [0.0] * 8)
    plain, cold = (hazard.oracle(situation(), LEVELS, season).duty[0] for season in (None, december))
    assert cold[0] / plain[0] == pytest.approx(np.exp(-0.12), rel=1e-3)
    assert (cold[3] - cold[0]) / (plain[3] - plain[0]) == pytest.approx(1.0, rel=1e-3)


def test_the_hub_offers_its_help_up_to_its_capacity_and_to_the_riskiest_first() -> None:
    risk = np.exp(np.random.default_rng(3).normal(-8, 1.5, 20_000))
    offers = hazard.offer_probability(risk, hazard.find_offer_middle(risk))
    assert offers.sum() == pytest.approx(hazard.OFFERS_PER_HOUSEHOLD_YEAR / 12 * len(risk), rel=1e-3)
    order = np.argsort(risk)
    assert (np.diff(offers[order]) >= 0).all()
    assert offers[order[-200:]].mean() > 50 * offers.mean() / 10


def test_financial_exclusion_is_near_for_arrears_that_near_eight_weeks_and_far_for_others() -> None:
    tenant = {"tenure": np.array([SOCIAL])}
    settled = hazard.oracle(situation(**tenant), LEVELS).financial[0]
    near = hazard.oracle(situation(**tenant, arrears_age=np.array([2])), LEVELS).financial[0]
    passed = hazard.oracle(
        situation(**tenant, arrears_age=np.array([5]), on_council_tax=np.array([True])), LEVELS
    ).financial[0]
    assert settled < 0.05
    assert near > 0.75
    assert passed < 0.2
    owner = hazard.oracle(situation(arrears_age=np.array([2])), LEVELS).financial[0]
    assert owner < settled + 0.02, "an owner pays no rent, and this one owes no council tax"


def test_what_comes_and_goes_fades_from_the_oracle_with_time() -> None:
    """A child in need raises the next month by its whole effect, later months by what is expected to be left."""
    plain, in_need = (
        hazard.oracle(situation(in_need=np.array([value])), LEVELS).duty[0] for value in (False, True)
    )
    ratio = in_need / plain
    assert ratio[0] == pytest.approx(np.exp(hazard.CHILD_IN_NEED), rel=0.01)
    assert (np.diff(ratio) < 0).all()
    assert ratio[-1] > 1.3
