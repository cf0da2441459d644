"""The monthly hazards of the county: homelessness duties by competing routes, financial exclusion, and the
oracle.

Effects from feeds.md: earlier case within 3 years +1.6, domestic abuse +1.5, arrears above 8 weeks +1.4,
liability order +0.7, rent over Local Housing Allowance by more than £25 a week +0.6, child in need +0.7, head
under 35 +0.6, lone parent +0.7, moved within 12 months +0.5, persistent absence +0.35, hub intervention -0.5,
private rent +2.3 and social +1.0 over owner, household frailty SD 0.6. Published rate: 13.2 duties per 1,000
households a year. Assumed: the routes' shares (domestic abuse, family and institution near H-CLIC's reasons;
section 21 and the private part of the arrears route together the published 24.5 % end of a private tenancy), a
mental-health contact +0.6, possession proceedings +0.3, half the tenure effect on family and institution, the
season (winter +8 %, December -12 %), how fast arrears, abuse, job loss, need and absence start and end.

The **oracle** is the probability of a duty within the next months, given the state at the month's start:
tenure, ages, children, frailty, earlier cases, the hub's help, where arrears and abuse episodes stand, who is
out of work, in need or absent from school. What leaves no trace before the duty (a section 21 notice, a family
quarrel) counts at its expected rate. Ages, rent and the like are held as they stand; what comes and
goes runs on, starts and ends, and households move and leave, as their chances say; each of these at its
expected value, independently of the others. A shock month is not foreseen, and counts from its own month on.

**Financial exclusion** (its own outcome and oracle): the arrears on a social landlord's rent account pass 8
weeks, or a council tax liability order is made; from arrears episodes, and from households that forget to pay
and are in no need.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from synthetic.properties import PRIVATE, SOCIAL

ARREARS, SECTION_21, FAMILY_EXCLUSION, DOMESTIC_ABUSE, INSTITUTION, OTHER = range(6)
ROUTES = ("arrears", "section_21", "family_exclusion", "domestic_abuse", "institution", "other")
ROUTE_SHARES = np.array([0.160, 0.167, 0.273, 0.132, 0.095, 0.173])
DUTIES_PER_HOUSEHOLD_YEAR = 13.2 / 1000
HORIZONS = (1, 3, 6, 9)
FINANCIAL_HORIZON = 6
BLOCKED_MONTHS = 6
"""Months after a duty in which no new duty arises: the household is being helped (assumed)."""
ADVICE_ONLY = 0.25
"""Applications that end in advice, over those that end in a duty (assumed)."""

TENURE_EFFECT = np.array([0.0, 2.3, 1.0])
CASE_WITHIN_3_YEARS, MOVED_WITHIN_12_MONTHS, HEAD_UNDER_35, LONE_PARENT = 1.6, 0.5, 0.6, 0.7
ABUSE, ARREARS_OVER_8_WEEKS, LIABILITY_ORDER = 1.5, 1.4, 0.7
RENT_OVER_ALLOWANCE, CHILD_IN_NEED, PERSISTENT_ABSENCE, INTERVENTION = 0.6, 0.7, 0.35, -0.5
MENTAL_HEALTH, POSSESSION = 0.6, 0.3
MOVES_A_YEAR = np.array([0.044, 0.38, 0.072])
"""Moves of a household a year by tenure, within the district and out of it (assumed, so that 1 person in 8 moves)."""
TENURE_AFTER_MOVE = np.array([[0.86, 0.13, 0.01], [0.20, 0.72, 0.08], [0.05, 0.15, 0.80]])
"""Share of moves within the district from each tenure (rows) to each (assumed)."""
_MOVE_RATIO: np.ndarray = (
    TENURE_AFTER_MOVE * np.exp(TENURE_EFFECT[None, :] - TENURE_EFFECT[:, None])
).sum(axis=1).astype(np.float32)  # fmt: skip
SEASON = np.array([0.08, 0.08, 0.05, 0.0, 0.0, -0.02, 0.0, 0.0, 0.04, 0.03, 0.0, -0.12])
"""Log effect by calendar month, January first."""

_BLOCK = 4096
# By months since the episode began; the last value goes on.
_NEVER = -np.inf
ARREARS_PROFILE = np.array(
    [_NEVER, -0.6, 0.0]
    + [ARREARS_OVER_8_WEEKS] * 2
    + [ARREARS_OVER_8_WEEKS + LIABILITY_ORDER] * 2
    + [ARREARS_OVER_8_WEEKS + LIABILITY_ORDER + POSSESSION]
)
ARREARS_ENDING = np.array([0.18] * 3 + [0.12] * 2 + [0.09] * 2 + [0.075])
OVER_8_WEEKS_AGE, LIABILITY_ORDER_AGE = 3, 5
ON_COUNCIL_TAX = 0.85
"""Share of arrears episodes that reach the council tax account, too (assumed)."""
ABUSE_PROFILE = ABUSE + np.array([0.3, 0.3, 0.2, 0.1, 0.0, -0.2, -0.4, -0.6, -0.8, -1.0])
ABUSE_ENDING = np.array([0.08] * 9 + [1.0])
_ARREARS_START_BY_TENURE = np.array([0.0015, 0.0040, 0.0082])
ABUSE_START, _MENTAL_HEALTH_START = 0.0021, 0.0022
_JOB_LOSS_START, JOB_LOSS_ENDING = 0.0045, 0.16
_OUT_OF_WORK_TO_ARREARS, _CAP_TO_ARREARS = 1.3, 0.5
_NEED_START, NEED_ENDING = 0.00224, 0.085
_ABSENCE_START, ABSENCE_ENDING = 0.024, 0.085
HELP_MONTHS = 9
"""Months from an offer on: the help lowers the hazard if it was accepted, and no other offer is made."""
OFFER_ACCEPTED, _OFFER_CEILING, _OFFER_WIDTH = 0.62, 0.30, 0.5
OFFERS_PER_HOUSEHOLD_YEAR = 0.012
_MOVE_OFF = 12

SLIP_ENDING = np.array([0.52, 0.60, 0.58])
"""A forgotten council tax bill by months since the reminder: paid after the reminder, the final notice, the
summons; what is left after the third month ends in a liability order (assumed)."""
_SLIP_START = np.array([0.0053, 0.0088, 0.0088])


_ARREARS_GOING_ON = (1 - ARREARS_ENDING[: LIABILITY_ORDER_AGE + 1, None]).astype(np.float32)
_SLIPS_GOING_ON = (1 - SLIP_ENDING[:, None]).astype(np.float32)


@dataclass(frozen=True)
class Situation:
    """What the hazards depend on, one position per household that lives here at the month's start."""

    tenure: np.ndarray
    frailty: np.ndarray
    low_income: np.ndarray
    head_under_35: np.ndarray
    working_age: np.ndarray
    lone_parent: np.ndarray
    has_child: np.ndarray
    has_pupil: np.ndarray
    young_adult: np.ndarray
    young_for_months: np.ndarray
    """For how many months more a young head will be under 25; large where a grown child is at home."""
    nest_leaving: np.ndarray
    """Monthly chance that the only grown child leaves home, and with it the chance of its exclusion."""
    single_man: np.ndarray
    woman: np.ndarray
    over_allowance: np.ndarray
    capped: np.ndarray
    arrears_age: np.ndarray
    abuse_age: np.ndarray
    slip_age: np.ndarray
    on_council_tax: np.ndarray
    out_of_work: np.ndarray
    in_need: np.ndarray
    absent: np.ndarray
    blocked_months: np.ndarray
    months_since_move: np.ndarray
    months_since_case: np.ndarray
    months_since_mental_health: np.ndarray
    months_since_offer: np.ndarray
    accepted: np.ndarray
    shock: np.ndarray
    """Log effect of a shock on the start of arrears (0: none)."""
    exit_rate: np.ndarray
    """Monthly chance of leaving the district."""
    move_rate: np.ndarray
    """Monthly chance of moving inside it."""

    def of(self, rows: slice) -> Situation:
        """The same for some households only."""
        return Situation(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def moved(self) -> np.ndarray:
        return self.months_since_move < _MOVE_OFF

    @property
    def earlier_case(self) -> np.ndarray:
        return self.months_since_case <= 36

    @property
    def mental_health(self) -> np.ndarray:
        return self.months_since_mental_health <= 12

    @property
    def helped(self) -> np.ndarray:
        return self.accepted & (self.months_since_offer <= HELP_MONTHS)

    def log_effects(self) -> np.ndarray:
        """Sum of the effects that act on every route."""
        return (
            TENURE_EFFECT[self.tenure]
            + HEAD_UNDER_35 * self.head_under_35
            + LONE_PARENT * self.lone_parent
            + RENT_OVER_ALLOWANCE * self.over_allowance
            + MOVED_WITHIN_12_MONTHS * self.moved
            + CASE_WITHIN_3_YEARS * self.earlier_case
            + MENTAL_HEALTH * self.mental_health
            + CHILD_IN_NEED * self.in_need
            + PERSISTENT_ABSENCE * self.absent
            + INTERVENTION * self.helped
            + self.frailty
        )

    def arrears_start(self, out_of_work: np.ndarray) -> np.ndarray:
        """Monthly probability that arrears begin; `out_of_work` is the chance of being so."""
        return (
            _ARREARS_START_BY_TENURE[self.tenure]
            * np.exp(
                0.5 * self.frailty
                + 0.7 * self.low_income
                + 0.3 * self.head_under_35
                + 0.4 * self.lone_parent
                + _CAP_TO_ARREARS * self.capped
                + self.shock
                - 0.75
            )
            * (1 + np.expm1(_OUT_OF_WORK_TO_ARREARS) * out_of_work)
        )

    def abuse_start(self) -> np.ndarray:
        """Monthly probability that abuse begins."""
        return (
            self.woman
            * ABUSE_START
            * np.exp(0.6 * self.frailty + 0.5 * self.head_under_35 + 0.4 * self.lone_parent)
        )

    def mental_health_start(self) -> np.ndarray:
        """Monthly probability of a mental-health contact with social care."""
        return _MENTAL_HEALTH_START * np.exp(0.6 * self.frailty)

    def job_loss_start(self) -> np.ndarray:
        """Monthly probability that the household loses its main earnings."""
        return self.working_age * _JOB_LOSS_START * np.exp(0.4 * self.frailty + 0.4 * self.low_income)

    def need_start(self) -> np.ndarray:
        """Monthly probability that children of the household come to be in need; higher during abuse."""
        return (
            self.has_child
            * _NEED_START
            * np.exp(
                0.6 * self.frailty
                + 0.8 * self.low_income
                + 0.5 * self.lone_parent
                + 1.2 * (self.abuse_age >= 0)
            )
        )

    def absence_start(self) -> np.ndarray:
        """Monthly probability that a pupil of the household becomes persistently absent."""
        return (
            self.has_pupil
            * _ABSENCE_START
            * np.exp(0.4 * self.frailty + 0.5 * self.low_income + 0.3 * self.lone_parent + 0.5 * self.in_need)
        )

    def slip_start(self) -> np.ndarray:
        """Monthly probability that a household in no need forgets its council tax."""
        return _SLIP_START[self.tenure]


@dataclass(frozen=True)
class Levels:
    """What the burn-in finds: intercepts by route, and the log hazard at which the hub makes half its offers."""

    intercepts: np.ndarray
    offer_middle: float


@dataclass(frozen=True)
class Foresight:
    """The oracle's probabilities: of a duty (households x `HORIZONS`), of financial exclusion within six months."""

    duty: np.ndarray
    financial: np.ndarray


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


def offer_probability(hazard: np.ndarray, middle: float) -> np.ndarray:
    """Monthly probability of the hub's offer, by the true monthly hazard of a duty: those at high risk first.

    The hub sees the risk through a haze: the chance rises smoothly, by half its ceiling around `middle` (log).
    """
    score = (np.log(np.maximum(hazard, 1e-12)) - middle) / _OFFER_WIDTH
    return _OFFER_CEILING / (1 + np.exp(-np.clip(score, -40, 40)))


def find_offer_middle(hazard: np.ndarray) -> float:
    """Find, by bisection, the log hazard at which a month's expected offers meet the hub's capacity."""
    target = OFFERS_PER_HOUSEHOLD_YEAR / 12 * len(hazard)
    low, high = -25.0, 2.0
    for _ in range(30):
        middle = (low + high) / 2
        if offer_probability(hazard, middle).sum() > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def oracle(situation: Situation, levels: Levels, season: np.ndarray | None = None) -> Foresight:
    """Return the true probabilities of a duty within the next 1, 3, 6 and 9 months, and of financial exclusion
    within 6; `season` holds the log effect of each coming month, this one first (none: no season).
    """
    households = len(situation.tenure)
    duty = np.empty((households, len(HORIZONS)), dtype=np.float32)
    financial = np.empty(households, dtype=np.float32)
    effects = np.zeros(max(HORIZONS)) if season is None else season
    # In blocks that stay in the processor's cache: three times as fast at 60,000 households.
    for first in range(0, households, _BLOCK):
        rows = slice(first, first + _BLOCK)
        duty[rows], financial[rows] = _oracle_of_block(situation.of(rows), levels, np.exp(effects))
    return Foresight(duty, financial)


def _oracle_of_block(
    situation: Situation, levels: Levels, season: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    intercepts = levels.intercepts
    single = np.float32  # the chances need no more, and half the memory is half the time
    common = situation.log_effects().astype(single)
    households = len(common)
    lasting = np.zeros(households, dtype=single)
    open_logs = route_log_effects(replace(situation, blocked_months=np.zeros_like(situation.blocked_months)))
    family = np.exp(open_logs[:, FAMILY_EXCLUSION] + intercepts[FAMILY_EXCLUSION]).astype(single)
    at_home = (1 - situation.nest_leaving).astype(single)
    for route in (SECTION_21, INSTITUTION, OTHER):
        lasting += np.exp(open_logs[:, route] + intercepts[route]).astype(single)
    arrears = _Episode.begin(
        situation.arrears_age, common + intercepts[ARREARS], ARREARS_PROFILE, ARREARS_ENDING
    )
    abuse = _Episode.begin(
        situation.abuse_age, common + intercepts[DOMESTIC_ABUSE], ABUSE_PROFILE, ABUSE_ENDING
    )
    exclusion = _Exclusion.begin(situation)
    coming = _Coming.begin(situation)
    arrears_start = situation.arrears_start(np.zeros(households)).astype(single)
    abuse_start, stays_here = situation.abuse_start().astype(single), (1 - situation.exit_rate).astype(single)
    out_of_work_effect = float(np.expm1(_OUT_OF_WORK_TO_ARREARS))
    probabilities = np.empty((households, len(HORIZONS)), dtype=single)
    happened, excluded = np.zeros((2, households), dtype=single)
    here, none_yet, not_excluded = np.ones((3, households), dtype=single)
    for month in range(1, max(HORIZONS) + 1):
        free = (situation.blocked_months < month) * coming.ratio() * single(season[month - 1])
        start = arrears_start * (1 + out_of_work_effect * coming.out_of_work)
        if month <= FINANCIAL_HORIZON:
            exclusion.advance(start, np.minimum(arrears.duty[:LIABILITY_ORDER_AGE] * free, 1.0))
            excluded += here * not_excluded * exclusion.happens
            not_excluded *= 1 - exclusion.happens
        arrears.advance(free, start)
        abuse.advance(free, abuse_start)
        happens = -np.expm1(-(lasting + family * (month <= situation.young_for_months)) * free)
        family *= at_home
        happens += arrears.happens * (1 - happens)
        happens += abuse.happens * (1 - happens)
        happened += here * none_yet * happens
        none_yet *= 1 - happens
        here *= stays_here
        monthly = -np.log1p(-np.minimum(happens, 0.999999))
        coming.advance(happens, offer_probability(monthly, levels.offer_middle))
        if month in HORIZONS:
            probabilities[:, HORIZONS.index(month)] = happened
    return probabilities, excluded


@dataclass
class _Episode:
    """Where each household may stand, as probabilities: row 0 outside one, row a + 1 at age a.

    In single precision and in place: the oracle spends most of its time here.
    """

    standing: np.ndarray
    next: np.ndarray
    duty: np.ndarray
    going_on: np.ndarray
    happens: np.ndarray
    """Probability of a duty in the month just run, given none before."""

    @classmethod
    def begin(cls, age: np.ndarray, logs: np.ndarray, profile: np.ndarray, ending: np.ndarray) -> _Episode:
        households = len(age)
        standing = np.zeros((len(profile) + 1, households), dtype=np.float32)
        standing[np.minimum(age, len(profile) - 1) + 1, np.arange(households)] = 1.0
        duty = -np.expm1(-np.exp((logs + profile[:, None]).astype(np.float32)))
        going_on = (1 - ending).astype(np.float32)[:, None]
        return cls(standing, np.empty_like(standing), duty, going_on, np.zeros(households, dtype=np.float32))

    def advance(self, free: np.ndarray, start: np.ndarray) -> None:
        """Run one month: duty (its chance times `free`), then end or go on; outside one may begin."""
        outside, inside, after = self.standing[0], self.standing[1:], self.next
        events = after[1:]
        np.multiply(self.duty, free, out=events)
        np.minimum(events, 1.0, out=events)
        np.multiply(events, inside, out=events)
        self.happens = events.sum(axis=0)
        np.subtract(inside, events, out=inside)
        left = inside.sum(axis=0)
        np.multiply(inside, self.going_on, out=inside)
        begins = outside * start
        np.subtract(outside + left - inside.sum(axis=0), begins, out=after[0])
        after[1] = begins
        after[2:] = inside[:-1]
        after[-1] += inside[-1]
        np.divide(after, np.maximum(1 - self.happens, 1e-12), out=after)
        self.standing, self.next = after, self.standing


@dataclass
class _Exclusion:
    """Financial exclusion still to come: where arrears (row 0 outside, ages 0 to 5 and more) and forgotten bills
    (row 0 none, months 0 to 2) may stand, given no exclusion yet.
    """

    arrears: np.ndarray
    slips: np.ndarray
    slip_start: np.ndarray
    order_share: np.ndarray
    rents: np.ndarray
    happens: np.ndarray

    @classmethod
    def begin(cls, situation: Situation) -> _Exclusion:
        households = len(situation.tenure)
        everyone = np.arange(households)
        arrears = np.zeros((LIABILITY_ORDER_AGE + 2, households), dtype=np.float32)
        arrears[np.minimum(situation.arrears_age, LIABILITY_ORDER_AGE) + 1, everyone] = 1.0
        slips = np.zeros((len(SLIP_ENDING) + 1, households), dtype=np.float32)
        slips[situation.slip_age + 1, everyone] = 1.0
        share = np.where(situation.arrears_age >= 0, situation.on_council_tax, ON_COUNCIL_TAX)
        return cls(
            arrears,
            slips,
            situation.slip_start().astype(np.float32),
            share.astype(np.float32),
            (situation.tenure == SOCIAL).astype(np.float32),
            np.zeros(households, dtype=np.float32),
        )

    def advance(self, start: np.ndarray, duty: np.ndarray) -> None:
        """Run one month; a duty (ages 0 to 4) ends the episode before it reaches the next age."""
        outside, inside = self.arrears[0], self.arrears[1:]
        left = inside.copy()
        left[:LIABILITY_ORDER_AGE] -= inside[:LIABILITY_ORDER_AGE] * duty
        stays = left * _ARREARS_GOING_ON
        over_8_weeks = stays[OVER_8_WEEKS_AGE - 1] * self.rents
        ordered = stays[LIABILITY_ORDER_AGE - 1] * self.order_share
        by_arrears = over_8_weeks + ordered
        after = np.empty_like(self.arrears)
        after[1] = outside * start
        after[0] = outside - after[1] + inside.sum(axis=0) - stays.sum(axis=0)
        after[2:] = stays[:-1]
        after[-1] += stays[-1]
        after[OVER_8_WEEKS_AGE + 1] -= over_8_weeks
        after[LIABILITY_ORDER_AGE + 1] -= ordered
        self.arrears = np.divide(after, np.maximum(1 - by_arrears, 1e-12), out=after)

        going = self.slips[1:] * _SLIPS_GOING_ON
        by_slip = going[-1]
        after = np.empty_like(self.slips)
        after[0] = self.slips[0] * (1 - self.slip_start) + (self.slips[1:] - going).sum(axis=0)
        after[1] = self.slips[0] * self.slip_start
        after[2:] = going[:-1]
        self.slips = after / np.maximum(1 - by_slip, 1e-12)
        self.happens = by_arrears + by_slip * (1 - by_arrears)


@dataclass
class _Coming:
    """Expected ratio of the hazard in a coming month to today's: known effects lapse, new ones come."""

    situation: Situation
    months: int
    not_moved: np.ndarray
    not_in_contact: np.ndarray
    no_advice: np.ndarray
    not_helped: np.ndarray
    in_need: np.ndarray
    absent: np.ndarray
    out_of_work: np.ndarray
    starts: tuple[np.ndarray, ...]
    today: np.ndarray
    not_moving: np.ndarray

    @classmethod
    def begin(cls, situation: Situation) -> _Coming:
        ones = np.ones(len(situation.tenure), dtype=np.float32)
        today = np.exp(
            MOVED_WITHIN_12_MONTHS * situation.moved
            + MENTAL_HEALTH * situation.mental_health
            + CASE_WITHIN_3_YEARS * situation.earlier_case
            + CHILD_IN_NEED * situation.in_need
            + PERSISTENT_ABSENCE * situation.absent
            + INTERVENTION * situation.helped
        ).astype(np.float32)
        starts = tuple(
            start.astype(np.float32)
            for start in (
                situation.mental_health_start(),
                situation.need_start(),
                situation.absence_start(),
                situation.job_loss_start(),
            )
        )
        return cls(
            situation, 0, ones, ones.copy(), ones.copy(), ones.copy(), 
            situation.in_need.astype(np.float32), situation.absent.astype(np.float32),
            situation.out_of_work.astype(np.float32), starts, today,
            (1 - situation.move_rate).astype(np.float32),
        )  # fmt: skip

    def ratio(self) -> np.ndarray:
        """The ratio in the month reached so far; 1 in this month."""
        if not self.months:
            return np.ones_like(self.today)
        now, later = self.situation, self.months
        moved = np.where(now.months_since_move + later < _MOVE_OFF, 1.0, 1 - self.not_moved)
        contact = np.where(now.months_since_mental_health + later <= 12, 1.0, 1 - self.not_in_contact)
        case = np.where(now.months_since_case + later <= 36, 1.0, 1 - self.no_advice)
        helped = np.where(
            now.accepted & (now.months_since_offer + later <= HELP_MONTHS), 1.0, 1 - self.not_helped
        )
        effects = (
            (MOVED_WITHIN_12_MONTHS, moved),
            (MENTAL_HEALTH, contact),
            (CASE_WITHIN_3_YEARS, case),
            (CHILD_IN_NEED, self.in_need),
            (PERSISTENT_ABSENCE, self.absent),
            (INTERVENTION, helped),
        )
        # Who moves may change tenure: at its expected effect.
        expected = 1 + (_MOVE_RATIO[now.tenure] - 1) * (1 - self.not_moved)
        for effect, chance in effects:
            expected *= 1 + float(np.expm1(effect)) * chance
        return expected / self.today

    def advance(self, happens: np.ndarray, offers: np.ndarray) -> None:
        """Run one month, in which duties had the chance `happens` and the hub's offers the chance `offers`."""
        now = self.situation
        contact_start, need_start, absence_start, job_loss_start = self.starts
        self.months += 1
        self.not_moved = self.not_moved * self.not_moving
        self.not_in_contact = self.not_in_contact * (1 - contact_start)
        self.no_advice = self.no_advice * (1 - ADVICE_ONLY * happens)
        may_offer = now.months_since_offer + self.months - 1 > HELP_MONTHS
        self.not_helped = self.not_helped * (1 - may_offer * OFFER_ACCEPTED * offers)
        self.in_need = self.in_need * (1 - NEED_ENDING) + (1 - self.in_need) * need_start
        self.absent = self.absent * (1 - ABSENCE_ENDING) + (1 - self.absent) * absence_start
        self.out_of_work = self.out_of_work * (1 - JOB_LOSS_ENDING) + (1 - self.out_of_work) * job_loss_start


def _at_age(profile: np.ndarray, age: np.ndarray) -> np.ndarray:
    return np.where(age < 0, -np.inf, profile[np.clip(age, 0, len(profile) - 1)])
