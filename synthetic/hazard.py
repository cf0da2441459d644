"""The monthly hazard of a homelessness duty: competing routes, effects, intercepts, and the oracle.

Effects from feeds.md: earlier case within 3 years +1.6, domestic abuse +1.5, arrears above 8 weeks +1.4,
liability order +0.7, head under 35 +0.6, lone parent +0.7, moved within 12 months +0.5, private rent +2.3
and social +1.0 over owner, household frailty SD 0.6. Published rate: 13.2 duties per 1,000 households a
year. Assumed: the routes' shares (domestic abuse, family and institution near H-CLIC's reasons; section
21 and the private part of the arrears route together near the published 24.5 % end of a private tenancy),
a mental-health contact +0.6, possession proceedings +0.3, half the tenure effect on family and
institution, how fast arrears and abuse episodes start and end. Effects of feeds that are not made yet
(rent over LHA, child in need, school absence) are left out; they come with their feeds.

The **oracle** is the probability of a duty within the next months, given the state at the month's start:
tenure, ages, frailty, earlier cases, and where arrears and abuse episodes stand. What leaves no trace
before the duty (a section 21 notice, a family quarrel) counts at its expected rate. Tenure, ages and the
like are held as they stand; episodes run on, start and end, households move and leave as their chances
say.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from synthetic.properties import PRIVATE

ARREARS, SECTION_21, FAMILY_EXCLUSION, DOMESTIC_ABUSE, INSTITUTION, OTHER = range(6)
ROUTES = ("arrears", "section_21", "family_exclusion", "domestic_abuse", "institution", "other")
ROUTE_SHARES = np.array([0.20, 0.18, 0.24, 0.14, 0.09, 0.15])
DUTIES_PER_HOUSEHOLD_YEAR = 13.2 / 1000
HORIZONS = (1, 3, 6, 9)
BLOCKED_MONTHS = 6
"""Months after a duty in which no new duty arises: the household is being helped (assumed)."""

TENURE_EFFECT = np.array([0.0, 2.3, 1.0])
CASE_WITHIN_3_YEARS, MOVED_WITHIN_12_MONTHS, HEAD_UNDER_35, LONE_PARENT = 1.6, 0.5, 0.6, 0.7
ABUSE, ARREARS_OVER_8_WEEKS, LIABILITY_ORDER = 1.5, 1.4, 0.7
MENTAL_HEALTH, POSSESSION = 0.6, 0.3

_BLOCK = 4096
# By months since the episode began.
_NEVER = -np.inf
ARREARS_PROFILE = np.array(
    [_NEVER, 0, 0]
    + [ARREARS_OVER_8_WEEKS] * 2
    + [ARREARS_OVER_8_WEEKS + LIABILITY_ORDER] * 2
    + [ARREARS_OVER_8_WEEKS + LIABILITY_ORDER + POSSESSION] * 8
)
ARREARS_ENDING = np.array([0.18] * 3 + [0.12] * 2 + [0.09] * 2 + [0.075] * 8)
ABUSE_PROFILE = ABUSE + np.array([0.6, 0.5, 0.3, 0.2, 0.0, -0.2, -0.4, -0.6, -0.8, -1.0])
ABUSE_ENDING = np.array([0.08] * 9 + [1.0])
_ARREARS_START_BY_TENURE = np.array([0.0028, 0.0048, 0.0100])
_ABUSE_START, _MENTAL_HEALTH_START = 0.0018, 0.0022


@dataclass(frozen=True)
class Situation:
    """What the hazard depends on, one position per household that lives here at the month's start."""

    tenure: np.ndarray
    frailty: np.ndarray
    low_income: np.ndarray
    head_under_35: np.ndarray
    lone_parent: np.ndarray
    young_adult: np.ndarray
    single_man: np.ndarray
    woman: np.ndarray
    arrears_age: np.ndarray
    abuse_age: np.ndarray
    blocked_months: np.ndarray
    months_since_move: np.ndarray
    months_since_case: np.ndarray
    months_since_mental_health: np.ndarray
    exit_rate: np.ndarray
    """Monthly chance of leaving the district."""
    move_rate: np.ndarray
    """Monthly chance of moving inside it."""

    def of(self, rows: slice) -> Situation:
        """The same for some households only."""
        return Situation(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def moved(self) -> np.ndarray:
        return self.months_since_move < 12

    @property
    def earlier_case(self) -> np.ndarray:
        return self.months_since_case <= 36

    @property
    def mental_health(self) -> np.ndarray:
        return self.months_since_mental_health <= 12

    def drift(self, month: int) -> np.ndarray:
        """Expected ratio of the hazard in the `month`-th coming month to today's: known effects lapse, new
        moves come.
        """
        later = month - 1
        moved_before = self.months_since_move + later < 12
        moved_chance = np.where(moved_before, 1.0, 1 - (1 - self.move_rate) ** later)
        moved_now = 1 + (np.exp(MOVED_WITHIN_12_MONTHS) - 1) * self.moved
        ratio = (1 + (np.exp(MOVED_WITHIN_12_MONTHS) - 1) * moved_chance) / moved_now
        case_lapses = self.earlier_case & (self.months_since_case + later > 36)
        contact_lapses = self.mental_health & (self.months_since_mental_health + later > 12)
        return ratio * np.exp(-CASE_WITHIN_3_YEARS * case_lapses - MENTAL_HEALTH * contact_lapses)

    def log_effects(self) -> np.ndarray:
        """Sum of the effects that act on every route."""
        return (
            TENURE_EFFECT[self.tenure]
            + HEAD_UNDER_35 * self.head_under_35
            + LONE_PARENT * self.lone_parent
            + MOVED_WITHIN_12_MONTHS * self.moved
            + CASE_WITHIN_3_YEARS * self.earlier_case
            + MENTAL_HEALTH * self.mental_health
            + self.frailty
        )

    def arrears_start(self) -> np.ndarray:
        """Monthly probability that arrears begin."""
        return _ARREARS_START_BY_TENURE[self.tenure] * np.exp(
            0.5 * self.frailty
            + 0.7 * self.low_income
            + 0.3 * self.head_under_35
            + 0.4 * self.lone_parent
            - 0.75
        )

    def abuse_start(self) -> np.ndarray:
        """Monthly probability that abuse begins."""
        return (
            self.woman
            * _ABUSE_START
            * np.exp(0.6 * self.frailty + 0.5 * self.head_under_35 + 0.4 * self.lone_parent)
        )

    def mental_health_start(self) -> np.ndarray:
        """Monthly probability of a mental-health contact with social care."""
        return _MENTAL_HEALTH_START * np.exp(0.6 * self.frailty)


def route_log_effects(situation: Situation) -> np.ndarray:
    """Return log effects, households x routes; `-inf` where a route is closed to a household this month."""
    common = situation.log_effects()
    logs = np.full((len(common), len(ROUTES)), -np.inf)
    logs[:, ARREARS] = common + _at_age(ARREARS_PROFILE, situation.arrears_age)
    logs[:, SECTION_21] = np.where(situation.tenure == PRIVATE, common, -np.inf)
    # A quarrel at home or a discharge depends less on who owns the home: half the tenure effect (assumed).
    by_half = common - TENURE_EFFECT[situation.tenure] / 2
    logs[:, FAMILY_EXCLUSION] = np.where(situation.young_adult, by_half, -np.inf)
    logs[:, DOMESTIC_ABUSE] = common + _at_age(ABUSE_PROFILE, situation.abuse_age)
    logs[:, INSTITUTION] = np.where(situation.single_man, by_half, -np.inf)
    logs[:, OTHER] = common
    logs[situation.blocked_months > 0] = -np.inf
    return logs


def monthly_probabilities(logs: np.ndarray, intercepts: np.ndarray) -> np.ndarray:
    """Probability of a duty in the month by each route, households x routes."""
    return -np.expm1(-np.exp(logs + intercepts))


def find_intercepts(logs: np.ndarray) -> np.ndarray:
    """Find, by bisection, the intercepts at which the expected duties of this month meet the published rate
    by route.

    A route that is open to nobody gets `nan`.
    """
    intercepts = np.full(len(ROUTES), np.nan)
    targets = DUTIES_PER_HOUSEHOLD_YEAR / 12 * len(logs) * ROUTE_SHARES
    for route, target in enumerate(targets):
        effects = logs[:, route]
        effects = effects[np.isfinite(effects)]
        if not len(effects):
            continue
        # 1 - exp(-x) <= x, so the intercept of rare events is a lower bound.
        low = float(np.log(target / np.exp(effects).sum()))
        high = low + 3.0
        for _ in range(24):
            middle = (low + high) / 2
            if -np.expm1(-np.exp(effects + middle)).sum() < target:
                low = middle
            else:
                high = middle
        intercepts[route] = (low + high) / 2
    return intercepts


def oracle(situation: Situation, intercepts: np.ndarray) -> np.ndarray:
    """Return the true probability of a duty within the next 1, 3, 6 and 9 months, households x `HORIZONS`."""
    households = len(situation.tenure)
    if not households:
        return np.empty((0, len(HORIZONS)))
    # In blocks that stay in the processor's cache: three times as fast at 60,000 households.
    blocks = [
        _oracle_of_block(situation.of(slice(first, first + _BLOCK)), intercepts)
        for first in range(0, households, _BLOCK)
    ]
    return np.concatenate(blocks)


def _oracle_of_block(situation: Situation, intercepts: np.ndarray) -> np.ndarray:
    common = situation.log_effects()
    households = len(common)
    lasting = np.zeros(households)
    happened = np.zeros(households)
    open_logs = route_log_effects(replace(situation, blocked_months=np.zeros_like(situation.blocked_months)))
    for route in (SECTION_21, FAMILY_EXCLUSION, INSTITUTION, OTHER):
        lasting += np.exp(open_logs[:, route] + intercepts[route])
    arrears = _Episode.begin(
        situation.arrears_age,
        situation.arrears_start(),
        common + intercepts[ARREARS],
        ARREARS_PROFILE,
        ARREARS_ENDING,
    )
    abuse = _Episode.begin(
        situation.abuse_age,
        situation.abuse_start(),
        common + intercepts[DOMESTIC_ABUSE],
        ABUSE_PROFILE,
        ABUSE_ENDING,
    )
    probabilities = np.empty((households, len(HORIZONS)))
    here = np.ones(households)
    none_yet = np.ones(households)
    for month in range(1, max(HORIZONS) + 1):
        free = (situation.blocked_months < month) * situation.drift(month)
        arrears.advance(free)
        abuse.advance(free)
        happens = 1 - np.exp(-lasting * free) * (1 - arrears.happens) * (1 - abuse.happens)
        happened += here * none_yet * happens
        none_yet *= 1 - happens
        here *= 1 - situation.exit_rate
        if month in HORIZONS:
            probabilities[:, HORIZONS.index(month)] = happened
    return probabilities


@dataclass
class _Episode:
    """Where each household may stand, as probabilities: row 0 outside one, row a + 1 at age a."""

    standing: np.ndarray
    start: np.ndarray
    duty: np.ndarray
    ending: np.ndarray
    happens: np.ndarray
    """Probability of a duty in the month just run, given none before."""

    @classmethod
    def begin(
        cls, age: np.ndarray, start: np.ndarray, logs: np.ndarray, profile: np.ndarray, ending: np.ndarray
    ) -> _Episode:
        households = len(age)
        standing = np.zeros((len(profile) + 1, households))
        standing[np.minimum(age, len(profile) - 1) + 1, np.arange(households)] = 1.0
        duty = -np.expm1(-np.exp(logs + profile[:, None]))
        return cls(standing, start, duty, ending[:, None], np.zeros(households))

    def advance(self, free: np.ndarray) -> None:
        """Run one month: duty (its chance times `free`), then end or go on; outside one may begin."""
        outside, inside = self.standing[0], self.standing[1:]
        events = inside * np.minimum(self.duty * free, 1.0)
        self.happens = events.sum(axis=0)
        left = inside - events
        ends = left * self.ending
        stays = left - ends
        after = np.empty_like(self.standing)
        after[0] = outside * (1 - self.start) + ends.sum(axis=0)
        after[1] = outside * self.start
        after[2:] = stays[:-1]
        after[-1] += stays[-1]
        after /= np.maximum(1 - self.happens, 1e-12)
        self.standing = after


def _at_age(profile: np.ndarray, age: np.ndarray) -> np.ndarray:
    return np.where(age < 0, -np.inf, profile[np.clip(age, 0, len(profile) - 1)])
