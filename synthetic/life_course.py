"""The county month by month: who lives where, what befalls them, who comes to the council.

Latent shocks start arrears and abuse episodes, job loss, need and absence of children; the hazard turns them
into duties; the hub offers help, first to those at high risk; households are born into, move, part, unite, die
and are replaced by arrivals so that each tenure keeps its size. Published (feeds.md): 1 in 8 people moves a
year, private renters far more. Assumed: 55 % of moves stay in the district; 1.6 % of couples part and 3 % of
people who live alone move in with another a year; 13 % of grown children leave a year. Everything is in
columns; the only loop is over months.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from synthetic import hazard
from synthetic.aftermath import Aftermath
from synthetic.circumstances import (
    DEBT_ADVICE,
    EMPLOYMENT_SUPPORT,
    INCOME_MAXIMISATION,
    MEDIATION,
    TENANCY_SUSTAINMENT,
)
from synthetic.dates import MISSING, OPEN, Days
from synthetic.hazard import (
    ARREARS,
    DOMESTIC_ABUSE,
    FAMILY_EXCLUSION,
    INSTITUTION,
    MOVES_A_YEAR,
    SECTION_21,
    Levels,
    Situation,
)
from synthetic.life_tables import (
    ADULT,
    BURN_IN_MONTHS,
    DIED,
    FROM_SCHOOL,
    LEFT_DISTRICT,
    MOVED_WITHIN,
    NO_DUTY,
    ORDER_FORGOTTEN,
    ORDER_IN_NEED,
    PREVENTION,
    RELIEF,
    RENT_ARREARS,
    TO_SCHOOL,
    UNITED,
    ArrearsEpisodes,
    Births,
    Cases,
    Episodes,
    FinancialEvents,
    ForgottenBills,
    LifeCourse,
    Memberships,
    Oracle,
    Shock,
    Spells,
    join_stays,
)
from synthetic.names import draw_surnames, feminine_surnames
from synthetic.population import (
    CHILD,
    CIVIL_PARTNERSHIP,
    GROWN_CHILD,
    LEAD,
    MARRIED,
    PARTNER,
    SEPARATED,
    SHARERS,
    SINGLE,
    WIDOWED,
    Households,
    People,
    make_population,
)
from synthetic.properties import OWNER, PRIVATE, SOCIAL, Properties
from synthetic.streams import stream

_CALIBRATION_MONTHS = 12

_WITHIN_DISTRICT = 0.55
_YEARS_IN_HOME = np.array([15.0, 2.6, 9.0])
_ARRIVALS_A_YEAR = np.array([0.09, 0.30, 0.12])
_PARTINGS_A_YEAR, _LEAVING_HOME_A_YEAR, _UNIONS_A_YEAR = 0.016, 0.13, 0.03
_TENURE_AFTER_PARTING = np.array([0.12, 0.70, 0.18])
_RELIEF_SHARE = np.array([0.45, 0.35, 0.62, 0.60, 0.85, 0.50])
_EVICTED_FROM_AGE, _RELIEF_BEFORE_EVICTION, _RELIEF_AT_EVICTION = 9, 0.12, 0.85
_NEVER_HERE = np.iinfo(np.int32).max
# Longest wait between what set a case off and the duty, in days, where no episode tells it.
_WAIT_DAYS = {SECTION_21: (60, 181), FAMILY_EXCLUSION: (0, 61), INSTITUTION: (0, 31)}
_RENT_RISE, _ALLOWANCE_CUT, _SECTION_21_RISE, _ARREARS_RISE = 0.12, 0.10, 0.5, 0.6


def live(
    properties: Properties,
    households: int,
    month_starts: Days,
    seed: int,
    progress: Callable[[str], None] | None = None,
    *,
    shock: Shock | None = None,
) -> LifeCourse:
    """Run the county over `len(month_starts) - 1` months, the first `BURN_IN_MONTHS` without deliveries."""
    months = len(month_starts) - 1
    share = np.bincount(properties.tenure, minlength=3) / properties.homes
    initial = np.round(share * households).astype(int)
    initial[OWNER] += households - initial.sum()
    pool = initial + np.ceil(initial * _ARRIVALS_A_YEAR * months / 12).astype(int) + 20
    made, people = make_population(
        pool, seed, int(month_starts[0]), int(month_starts[BURN_IN_MONTHS]), int(month_starts[-1])
    )
    county = _County.found(properties, made, people, initial, pool, month_starts, seed, shock)
    for month in range(months):
        if progress and month % 12 == 0:
            progress(f"month {month + 1} of {months}")
        county.run(month)
    county.observe(months)
    return county.finish(seed)


@dataclass
class _Log:
    """Columns that grow by one batch a month."""

    columns: int
    batches: list[tuple[np.ndarray, ...]] = field(default_factory=list)

    def add(self, *columns: np.ndarray) -> None:
        if len(columns[0]):
            self.batches.append(columns)

    def joined(self) -> list[np.ndarray]:
        """Return each column whole; the batches are let go one column at a time."""
        if not self.batches:
            return [np.zeros(0, dtype=np.int64) for _ in range(self.columns)]
        columns = list(zip(*self.batches, strict=True))
        self.batches = []
        whole = []
        while columns:
            whole.append(np.concatenate(columns.pop(0)))
        return whole


class _Calendar:
    """People by a day of theirs, to find those of a month without looking at everybody."""

    def __init__(self, day: np.ndarray, rows: np.ndarray, starts: Days) -> None:
        order = np.argsort(day[rows], kind="stable")
        self.rows = rows[order]
        self.edges = np.searchsorted(day[rows][order], starts, side="left")

    def of(self, month: int) -> np.ndarray:
        return self.rows[self.edges[month] : self.edges[month + 1]]


@dataclass
class _County:
    """The county's state at one month. Arrays over households have room for those who come and who part."""

    properties: Properties
    made: Households
    people: People
    starts: Days
    random: np.random.Generator
    shock: Shock | None
    target: np.ndarray
    next_arrival: np.ndarray
    last_arrival: np.ndarray
    next_parted: int
    over_allowance: np.ndarray
    # Households.
    home: np.ndarray
    spell: np.ndarray
    since: np.ndarray
    heads: np.ndarray
    grown: np.ndarray
    children: np.ndarray
    pupils: np.ndarray
    lead: np.ndarray
    partner: np.ndarray
    mother: np.ndarray
    grown_child: np.ndarray
    lead_born: np.ndarray
    single: np.ndarray
    lead_male: np.ndarray
    frailty: np.ndarray
    low_income: np.ndarray
    income: np.ndarray
    last_case: np.ndarray
    blocked_until: np.ndarray
    mental_health_month: np.ndarray
    offer_month: np.ndarray
    accepted: np.ndarray
    arrears_age: np.ndarray
    arrears_since: np.ndarray
    on_tax: np.ndarray
    slip_age: np.ndarray
    slip_since: np.ndarray
    abuse_age: np.ndarray
    abuse_since: np.ndarray
    out_since: np.ndarray
    need_since: np.ndarray
    absent_since: np.ndarray
    # Homes, people, spells.
    available_from: np.ndarray
    diversity: np.ndarray
    other_origin: np.ndarray
    household_of: np.ndarray
    role_of: np.ndarray
    member_of: np.ndarray
    deaths: _Calendar
    arriving: _Calendar
    to_school: _Calendar
    from_school: _Calendar
    adults: _Calendar
    spell_household: np.ndarray
    spell_property: np.ndarray
    spell_start: np.ndarray
    spell_end: np.ndarray
    spell_reason: np.ndarray
    spell_after_relief: np.ndarray
    spells: int
    leave: np.ndarray
    levels: Levels
    memberships: int
    tried: list[Levels] = field(default_factory=list)
    forced: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    leaving: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    joined: _Log = field(default_factory=lambda: _Log(4))
    cases: _Log = field(default_factory=lambda: _Log(13))
    arrears: _Log = field(default_factory=lambda: _Log(5))
    slips: _Log = field(default_factory=lambda: _Log(4))
    abuse: _Log = field(default_factory=lambda: _Log(4))
    mental_health: _Log = field(default_factory=lambda: _Log(4))
    job_loss: _Log = field(default_factory=lambda: _Log(4))
    needs: _Log = field(default_factory=lambda: _Log(4))
    absences: _Log = field(default_factory=lambda: _Log(4))
    offers: _Log = field(default_factory=lambda: _Log(5))
    financial: _Log = field(default_factory=lambda: _Log(3))
    oracles: _Log = field(default_factory=lambda: _Log(7))
    partings: _Log = field(default_factory=lambda: _Log(2))
    newborn: _Log = field(default_factory=lambda: _Log(4))

    @classmethod
    def found(
        cls, properties: Properties, made: Households, people: People, initial: np.ndarray, pool: np.ndarray,
        starts: Days, seed: int, shock: Shock | None,
    ) -> _County:  # fmt: skip
        """Settle the first households in homes of their tenure."""
        random = stream(seed, "life_course")
        count = len(made.tenure)
        room = count + int(initial.sum() * 0.022 * len(starts) / 12) + 60
        first_of_tenure = np.cumsum(pool) - pool

        def wide(values: np.ndarray, fill: float) -> np.ndarray:
            return np.concatenate([values, np.full(room - count, fill, dtype=values.dtype)])

        def never() -> np.ndarray:
            return np.full(room, -1, dtype=np.int16)

        today = int(starts[0])
        role, born = people.role, people.date_of_birth
        head = role < GROWN_CHILD
        age = today - born
        offspring = role >= GROWN_CHILD
        child = offspring & (age >= 0) & (age < ADULT)
        pupil = offspring & (age >= TO_SCHOOL) & (age < FROM_SCHOOL)
        all_children = np.flatnonzero(offspring)
        grown = np.flatnonzero(offspring & (age >= ADULT))
        grown_child = np.full(room, -1, dtype=np.int32)
        grown_child[people.household[grown]] = grown
        mother = np.where(
            people.female[made.lead],
            made.lead,
            np.where((made.partner >= 0) & people.female[np.maximum(made.partner, 0)], made.partner, -1),
        )
        capacity = room * 3
        mortal = np.flatnonzero(people.died_on != MISSING)
        role_of = np.where(offspring, CHILD, role).astype(np.int8)
        role_of[grown] = GROWN_CHILD
        area = properties.town[: properties.homes]
        towns, of_town = np.unique(area, return_inverse=True)
        diversity = stream(seed, "diversity of towns").normal(0, 1, len(towns))[of_town]
        built = properties.built_on[: properties.homes]
        people_joining = room - count + int(initial.sum() * 0.012 * len(starts) / 12) + 60
        county = cls(
            properties=properties,
            made=made,
            people=people,
            starts=starts,
            random=random,
            shock=shock,
            target=initial.copy(),
            next_arrival=first_of_tenure + initial,
            last_arrival=first_of_tenure + pool,
            next_parted=count,
            over_allowance=properties.over_allowance(),
            home=np.full(room, -1, dtype=np.int32),
            spell=np.full(room, -1, dtype=np.int32),
            since=np.zeros(room, dtype=np.int32),
            heads=np.bincount(people.household[head], minlength=room).astype(np.int8),
            grown=np.bincount(people.household[grown], minlength=room).astype(np.int8),
            children=np.bincount(people.household[child], minlength=room).astype(np.int8),
            pupils=np.bincount(people.household[pupil], minlength=room).astype(np.int8),
            lead=wide(made.lead, -1),
            partner=wide(made.partner, -1),
            mother=wide(mother, -1),
            grown_child=grown_child,
            lead_born=wide(people.date_of_birth[made.lead], 0),
            single=wide(np.isin(made.type, [SINGLE, SHARERS]), False),
            lead_male=wide(~people.female[made.lead], False),
            frailty=wide(made.frailty, 0),
            low_income=wide(made.low_income, False),
            income=wide(made.income_weekly, 0),
            last_case=np.full(room, -999, dtype=np.int16),
            blocked_until=never(),
            mental_health_month=np.full(room, -999, dtype=np.int16),
            offer_month=np.full(room, -999, dtype=np.int16),
            accepted=np.zeros(room, dtype=bool),
            arrears_age=np.full(room, -1, dtype=np.int8),
            arrears_since=never(),
            on_tax=np.zeros(room, dtype=bool),
            slip_age=np.full(room, -1, dtype=np.int8),
            slip_since=never(),
            abuse_age=np.full(room, -1, dtype=np.int8),
            abuse_since=never(),
            out_since=never(),
            need_since=never(),
            absent_since=never(),
            available_from=np.where(built == MISSING, 0, np.searchsorted(starts, built) + 1).astype(np.int32),
            diversity=diversity,
            other_origin=wide(people.origin[made.lead] != 0, False),
            household_of=people.household.copy(),
            role_of=role_of,
            member_of=np.arange(len(people), dtype=np.int32),
            deaths=_Calendar(people.died_on, mortal, starts),
            arriving=_Calendar(born, all_children, starts),
            to_school=_Calendar(born + TO_SCHOOL, all_children, starts),
            from_school=_Calendar(born + FROM_SCHOOL, all_children, starts),
            adults=_Calendar(born + ADULT, all_children, starts),
            spell_household=np.zeros(capacity, dtype=np.int32),
            spell_property=np.zeros(capacity, dtype=np.int32),
            spell_start=np.zeros(capacity, dtype=np.int32),
            spell_end=np.full(capacity, OPEN, dtype=np.int32),
            spell_reason=np.zeros(capacity, dtype=np.int8),
            spell_after_relief=np.zeros(capacity, dtype=bool),
            spells=0,
            leave=np.full(len(people) + people_joining, OPEN, dtype=np.int32),
            memberships=len(people),
            levels=Levels(np.zeros(len(hazard.ROUTES)), 0.0),
        )
        for tenure in range(3):
            settlers = first_of_tenure[tenure] + np.arange(initial[tenure])
            free = np.flatnonzero((properties.tenure == tenure) & (county.available_from == 0))
            settlers = settlers[: len(free)]
            homes = county._match(settlers, random.permutation(free)[: len(settlers)])
            years = random.exponential(_YEARS_IN_HOME[tenure], len(settlers))
            adult = (starts[0] - county.lead_born[settlers]) / 365.25 - 18
            began = starts[0] - np.floor(np.clip(np.minimum(years, adult), 0.05, 45) * 365.25).astype(int)
            county._settle(settlers, homes, began)
        return county

    def run(self, month: int) -> None:
        """Live one month: shocks and duties, deaths, partings, moves, arrivals."""
        if self.shock and month == BURN_IN_MONTHS + self.shock.month:
            self._shake(self.shock.kind)
        active = np.flatnonzero(self.home >= 0)
        situation = self._situation(active, month)
        logs = hazard.route_log_effects(situation)
        if month < BURN_IN_MONTHS:
            self._calibrate(logs, month)
        else:
            self._observe(active, situation, month)
        self._present(active, situation, logs, month)
        self._shocks(active, situation, month)
        self._die(month)
        self._grow_up(month)
        self._part(month)
        self._unite(month)
        self._move(month)
        self._arrive(month)

    def observe(self, month: int) -> None:
        """Write down the oracle's probabilities at the start of `month` (the month after the last, too)."""
        active = np.flatnonzero(self.home >= 0)
        self._observe(active, self._situation(active, month), month)

    def _shake(self, kind: str) -> None:
        """The shock's lasting effects on rents and intercepts; those on arrears are in `_situation`."""
        if kind == "rent":
            self.over_allowance = self.properties.over_allowance(rent_factor=1 + _RENT_RISE)
            intercepts = self.levels.intercepts.copy()
            intercepts[SECTION_21] += _SECTION_21_RISE
            self.levels = replace(self.levels, intercepts=intercepts)
        else:
            self.over_allowance = self.properties.over_allowance(allowance_factor=1 - _ALLOWANCE_CUT)

    def _situation(self, active: np.ndarray, month: int) -> Situation:
        today = int(self.starts[month])
        age = (today - self.lead_born[active]) / np.float32(365.25)
        home = self.home[active]
        tenure = self.properties.tenure[home]
        rate = self._moving_rate(tenure, age)
        children, low_income = self.children[active], self.low_income[active]
        shaken = self.shock is not None and month >= BURN_IN_MONTHS + self.shock.month
        by_benefit = shaken and self.shock is not None and self.shock.kind == "benefit"
        hit = (tenure != OWNER) & low_income if by_benefit else (tenure == PRIVATE) & shaken
        return Situation(
            tenure=tenure,
            frailty=self.frailty[active],
            low_income=low_income,
            head_under_35=age < 35,
            working_age=age < 66,
            lone_parent=(children > 0) & (self.heads[active] <= 1),
            has_child=children > 0,
            has_pupil=self.pupils[active] > 0,
            young_adult=(self.grown[active] > 0) | (age < 25),
            young_for_months=np.where(self.grown[active] > 0, 999, np.ceil((25 - age) * 12)),
            nest_leaving=np.where(
                (self.grown[active] == 1) & (self.grown_child[active] >= 0) & (age >= 25),
                _LEAVING_HOME_A_YEAR / 12,
                0.0,
            ),
            single_man=self.single[active] & self.lead_male[active] & (age < 60),
            woman=~self.lead_male[active] | (self.partner[active] >= 0),
            over_allowance=self.over_allowance[home],
            capped=(tenure != OWNER) & low_income & (age < 66) & (children >= (2 if by_benefit else 3)),
            arrears_age=self.arrears_age[active],
            abuse_age=self.abuse_age[active],
            slip_age=self.slip_age[active],
            on_council_tax=self.on_tax[active],
            out_of_work=self.out_since[active] >= 0,
            in_need=self.need_since[active] >= 0,
            absent=self.absent_since[active] >= 0,
            blocked_months=np.maximum(self.blocked_until[active] - month, 0),
            months_since_move=((today - self.since[active]) // np.float32(30.4375)).astype(np.int32),
            months_since_case=month - self.last_case[active],
            months_since_mental_health=month - self.mental_health_month[active],
            months_since_offer=month - self.offer_month[active],
            accepted=self.accepted[active],
            shock=hit * _ARREARS_RISE,
            exit_rate=(1 - _WITHIN_DISTRICT) * rate,
            move_rate=_WITHIN_DISTRICT * rate,
        )

    def _moving_rate(self, tenure: np.ndarray, age: np.ndarray) -> np.ndarray:
        by_age = np.where(age < 30, 1.35, np.where(age > 65, 0.5, 1.0))
        return MOVES_A_YEAR[tenure] / 12 * by_age

    def _calibrate(self, logs: np.ndarray, month: int) -> None:
        """In the burn-in, meet the published rates month by month; then keep the mean of its last year."""
        if month >= BURN_IN_MONTHS - _CALIBRATION_MONTHS or month % 4 == 0:
            found = hazard.find_intercepts(logs)
            intercepts = np.where(np.isnan(found), self.levels.intercepts, found)
            middle = hazard.find_offer_middle(np.exp(logs + intercepts).sum(axis=1))
            self.levels = Levels(intercepts, middle)
            self.tried.append(self.levels)
        if month == BURN_IN_MONTHS - 1:
            last = self.tried[-_CALIBRATION_MONTHS:]
            self.levels = Levels(
                np.mean([level.intercepts for level in last], axis=0),
                float(np.mean([level.offer_middle for level in last])),
            )

    def _season(self, month: int, ahead: int) -> np.ndarray:
        """Log effect of `month` and the months after it."""
        first = self.starts[0].astype("datetime64[D]").astype("datetime64[M]").astype(int) + month
        return hazard.SEASON[(first + np.arange(ahead)) % 12]

    def _observe(self, active: np.ndarray, situation: Situation, month: int) -> None:
        foresight = hazard.oracle(situation, self.levels, self._season(month, max(hazard.HORIZONS)))
        self.oracles.add(
            active.astype(np.int32),
            np.full(len(active), month, dtype=np.int16),
            self.home[active],
            foresight.duty,
            foresight.financial,
            situation.has_child,
            situation.lone_parent,
        )

    def _present(self, active: np.ndarray, situation: Situation, logs: np.ndarray, month: int) -> None:
        """Draw duties and advice-only cases of the month; end the episodes behind a duty; the hub's offers."""
        chances = hazard.monthly_probabilities(logs + self._season(month, 1)[0], self.levels.intercepts)
        none = np.prod(1 - chances, axis=1)
        # One draw a household first: routes only for the few with a case.
        chance = self.random.random((len(active), 3))
        happened = np.flatnonzero(chance[:, 0] >= none)
        weight = np.cumsum(chances[happened], axis=1)
        route = (weight < weight[:, -1:] * self.random.random((len(happened), 1))).sum(axis=1)
        advised = np.flatnonzero((chance[:, 0] < none) & (chance[:, 1] < hazard.ADVICE_ONLY * (1 - none)))
        advice_route = np.argmax(chances[advised], axis=1)
        offered = self._offer(active, situation, chance[:, 2], none, month)
        rows = np.concatenate([happened, advised])
        route = np.concatenate([route, advice_route])
        household = active[rows]
        count = len(rows)

        tenure = situation.tenure[rows]
        age = self.arrears_age[household]
        relief_chance = _RELIEF_SHARE[route]
        evicted = np.where(
            month - self.arrears_since[household] >= _EVICTED_FROM_AGE,
            _RELIEF_AT_EVICTION,
            _RELIEF_BEFORE_EVICTION,
        )
        relief_chance = np.where((route == ARREARS) & (age >= 0), evicted, relief_chance)
        relief = self.random.random(count) < relief_chance
        duty = np.where(relief, RELIEF, PREVENTION)
        duty[len(happened) :] = NO_DUTY
        length = int(self.starts[month + 1] - self.starts[month])
        decided = self.starts[month] + self.random.integers(0, length, count)
        applied = decided - self.random.integers(0, 22, count)
        child_applies = (route == FAMILY_EXCLUSION) & (self.grown_child[household] >= 0)
        children = (self.children[household] > 0) & ~child_applies
        self.cases.add(
            household,
            self._applicants(household, route, child_applies),
            np.full(count, month),
            applied,
            decided,
            duty,
            route,
            self._set_off(household, route, decided),
            self._reasons(route, tenure),
            tenure,
            children,
            self._support_needs(situation, rows, children, route),
            children & (self.heads[household] <= 1),
        )
        self.last_case[household] = month
        with_duty = household[: len(happened)]
        self.blocked_until[with_duty] = month + 1 + hazard.BLOCKED_MONTHS
        self._end_arrears(with_duty[self.arrears_age[with_duty] >= 0], month, by_duty=True)
        self._end_abuse(with_duty[self.abuse_age[with_duty] >= 0], month, by_duty=True)
        child_applies, relief = child_applies[: len(happened)], relief[: len(happened)]
        goes = np.where(relief, 0.9, 0.35) > self.random.random(len(happened))
        self.leaving = self.grown_child[with_duty][child_applies & goes]
        self.forced = with_duty[~child_applies & goes]
        self.offer_month[offered] = month

    def _offer(
        self, active: np.ndarray, situation: Situation, chance: np.ndarray, none: np.ndarray, month: int
    ) -> np.ndarray:
        """Draw the hub's offers, likelier where the true hazard is higher; return the households."""
        may = np.flatnonzero(situation.months_since_offer > hazard.HELP_MONTHS)
        probability = hazard.offer_probability(-np.log(np.maximum(none[may], 1e-6)), self.levels.offer_middle)
        rows = may[chance[may] < probability]
        household = active[rows]
        accepted = self.random.random(len(rows)) < hazard.OFFER_ACCEPTED
        self.accepted[household] = accepted
        day = self.starts[month] + self.random.integers(0, 27, len(rows))
        kind = np.select(
            [
                (situation.arrears_age[rows] >= 3) & (self.random.random(len(rows)) < 0.5),
                situation.arrears_age[rows] >= 0,
                situation.out_of_work[rows],
                situation.young_adult[rows],
            ],
            [TENANCY_SUSTAINMENT, DEBT_ADVICE, EMPLOYMENT_SUPPORT, MEDIATION],
            INCOME_MAXIMISATION,
        )
        person = self.lead[household]
        self.offers.add(household, person, day, accepted, kind)
        return household

    def _applicants(self, household: np.ndarray, route: np.ndarray, child_applies: np.ndarray) -> np.ndarray:
        lead, partner = self.lead[household], self.partner[household]
        has_partner = partner >= 0
        person = np.where(has_partner & (self.random.random(len(household)) < 0.25), partner, lead)
        woman = np.where(self.people.female[lead] | ~has_partner, lead, partner)
        person = np.where(route == DOMESTIC_ABUSE, woman, person)
        return np.where(child_applies, self.grown_child[household], person)

    def _set_off(self, household: np.ndarray, route: np.ndarray, decided: np.ndarray) -> np.ndarray:
        """The day of what led to each case: the episode's beginning, or some weeks before."""
        wait = self.random.integers(0, 151, len(household))
        for of_route, (shortest, longest) in _WAIT_DAYS.items():
            here = route == of_route
            wait[here] = shortest + self.random.integers(0, longest - shortest, int(here.sum()))
        day = decided - wait
        for of_route, since in ((ARREARS, self.arrears_since), (DOMESTIC_ABUSE, self.abuse_since)):
            here = (route == of_route) & (since[household] >= 0)
            day[here] = self.starts[since[household[here]]] + self.random.integers(0, 27, int(here.sum()))
        return np.minimum(day, decided)

    def _reasons(self, route: np.ndarray, tenure: np.ndarray) -> np.ndarray:
        """Positions in `REASONS`."""
        other = np.where(self.random.random(len(route)) < 0.55, 4, 6)
        return np.select(
            [
                np.isin(route, [ARREARS, SECTION_21]),
                route == FAMILY_EXCLUSION,
                route == DOMESTIC_ABUSE,
                route == INSTITUTION,
            ],
            [np.array([6, 0, 1])[tenure], 2, 3, 5],
            other,
        )

    def _support_needs(
        self, situation: Situation, rows: np.ndarray, children: np.ndarray, route: np.ndarray
    ) -> np.ndarray:
        """Whether the applicant's household has a support need; families less often than others."""
        score = (
            np.where(children, -0.86, 0.1)
            + 1.2 * situation.in_need[rows]
            + 0.9 * situation.mental_health[rows]
            + 0.9 * (route == DOMESTIC_ABUSE)
            + 1.0 * (route == INSTITUTION)
            + 0.3 * situation.frailty[rows]
        )
        return self.random.random(len(rows)) < 1 / (1 + np.exp(-score))

    def _shocks(self, active: np.ndarray, situation: Situation, month: int) -> None:
        """End, age and begin episodes, in the order that the oracle expects."""
        chance = self.random.random((7, len(active)), dtype=np.float32)
        # A household whose episode ended in a duty this month is outside now, but was inside at the month's
        # start.
        age, was = self.arrears_age[active], situation.arrears_age
        inside = np.flatnonzero(age >= 0)
        last = len(hazard.ARREARS_ENDING) - 1
        ends = chance[0, inside] < hazard.ARREARS_ENDING[np.minimum(age[inside], last)]
        self._end_arrears(active[inside[ends]], month)
        goes_on = active[inside[~ends]]
        self.arrears_age[goes_on] = np.minimum(self.arrears_age[goes_on] + 1, last)
        self._exclude(goes_on, month)
        begins = active[(was < 0) & (chance[0] < situation.arrears_start(situation.out_of_work))]
        self.arrears_age[begins] = 0
        self.arrears_since[begins] = month
        self.on_tax[begins] = self.random.random(len(begins)) < hazard.ON_COUNCIL_TAX

        inside = np.flatnonzero(situation.slip_age >= 0)
        ends = chance[1, inside] < hazard.SLIP_ENDING[situation.slip_age[inside]]
        ordered = ~ends & (situation.slip_age[inside] == len(hazard.SLIP_ENDING) - 1)
        self._financial_event(active[inside[ordered]], month, ORDER_FORGOTTEN)
        self.slip_age[active[inside[~ends & ~ordered]]] += 1
        self._end_slips(active[inside[ends]], month)
        self._end_slips(active[inside[ordered]], month, ordered=True)
        begins = active[(situation.slip_age < 0) & (chance[1] < situation.slip_start())]
        self.slip_age[begins] = 0
        self.slip_since[begins] = month

        age, was = self.abuse_age[active], situation.abuse_age
        inside = np.flatnonzero(age >= 0)
        ends = chance[2, inside] < hazard.ABUSE_ENDING[np.minimum(age[inside], len(hazard.ABUSE_ENDING) - 1)]
        self._end_abuse(active[inside[ends]], month)
        self.abuse_age[active[inside[~ends]]] += 1
        begins = active[(was < 0) & (chance[2] < situation.abuse_start())]
        self.abuse_age[begins] = 0
        self.abuse_since[begins] = month

        met = active[chance[3] < situation.mental_health_start()]
        self.mental_health_month[met] = month
        self.mental_health.add(
            met, np.full(len(met), month), np.full(len(met), month + 1), np.zeros(len(met), dtype=bool)
        )
        for number, (since, state, start, ending, log) in enumerate(
            (
                (self.out_since, situation.out_of_work, situation.job_loss_start(), hazard.JOB_LOSS_ENDING,
                 self.job_loss),
                (self.need_since, situation.in_need, situation.need_start(), hazard.NEED_ENDING, self.needs),
                (self.absent_since, situation.absent, situation.absence_start(), hazard.ABSENCE_ENDING,
                 self.absences),
            ),
            start=4,
        ):  # fmt: skip
            ended = active[state & (chance[number] < ending)]
            self._end_spells(since, log, ended, month)
            since[active[~state & (chance[number] < start)]] = month

    def _exclude(self, households: np.ndarray, month: int) -> None:
        """Note the arrears episodes that passed 8 weeks or reached a liability order this month."""
        age = self.arrears_age[households]
        rents = self.properties.tenure[self.home[households]] == SOCIAL
        # The age stops at its last value, which is beyond both.
        self._financial_event(households[(age == hazard.OVER_8_WEEKS_AGE) & rents], month, RENT_ARREARS)
        ordered = (age == hazard.LIABILITY_ORDER_AGE) & self.on_tax[households]
        self._financial_event(households[ordered], month, ORDER_IN_NEED)

    def _financial_event(self, households: np.ndarray, month: int, kind: int) -> None:
        count = len(households)
        day = self.starts[month] + self.random.integers(0, 28, count)
        self.financial.add(households, day, np.full(count, kind, dtype=np.int8))

    def _end_arrears(self, households: np.ndarray, month: int, *, by_duty: bool = False) -> None:
        count = len(households)
        self.arrears.add(
            households,
            self.arrears_since[households],
            np.full(count, month),
            np.full(count, by_duty),
            self.on_tax[households],
        )
        self.arrears_age[households] = -1
        self.arrears_since[households] = -1

    def _end_abuse(self, households: np.ndarray, month: int, *, by_duty: bool = False) -> None:
        count = len(households)
        self.abuse.add(
            households, self.abuse_since[households], np.full(count, month), np.full(count, by_duty)
        )
        self.abuse_age[households] = -1
        self.abuse_since[households] = -1

    def _end_slips(self, households: np.ndarray, month: int, *, ordered: bool = False) -> None:
        count = len(households)
        self.slips.add(
            households, self.slip_since[households], np.full(count, month), np.full(count, ordered)
        )
        self.slip_age[households] = -1

    def _end_spells(self, since: np.ndarray, log: _Log, households: np.ndarray, month: int) -> None:
        count = len(households)
        log.add(households, since[households], np.full(count, month), np.zeros(count, dtype=bool))
        since[households] = -1

    def _end_all(self, households: np.ndarray, month: int) -> None:
        """End every episode of households that are no longer here, or when the county ends."""
        self._end_arrears(households[self.arrears_age[households] >= 0], month)
        self._end_abuse(households[self.abuse_age[households] >= 0], month)
        self._end_slips(households[self.slip_age[households] >= 0], month)
        for since, log in (
            (self.out_since, self.job_loss),
            (self.need_since, self.needs),
            (self.absent_since, self.absences),
        ):
            self._end_spells(since, log, households[since[households] >= 0], month)

    def _die(self, month: int) -> None:
        """Take out those who die this month; a household without heads ends on that day."""
        people = self.people
        dying = self.deaths.of(month)
        household = self.household_of[dying]
        here = household >= 0
        here[here] = self.home[household[here]] >= 0
        here &= people.date_of_birth[dying] <= self.starts[month]
        dying, household = dying[here], household[here]
        role = self.role_of[dying]
        np.subtract.at(self.heads, household[role < GROWN_CHILD], 1)
        np.subtract.at(self.grown, household[role == GROWN_CHILD], 1)
        young = role == CHILD
        np.subtract.at(self.children, household[young], 1)
        age = self.starts[month] - people.date_of_birth[dying]
        np.subtract.at(self.pupils, household[young & (age >= TO_SCHOOL) & (age < FROM_SCHOOL)], 1)
        took_lead = household[self.lead[household] == dying]
        heir = self.partner[took_lead] >= 0
        self._widow(self.partner[took_lead[heir]])
        self._widow(self.lead[household[self.partner[household] == dying]])
        self._lead_by(took_lead[heir], self.partner[took_lead[heir]])
        self.partner[took_lead[heir]] = -1
        self.partner[household[self.partner[household] == dying]] = -1
        self.grown_child[household[self.grown_child[household] == dying]] = -1
        self.household_of[dying] = -1
        empty = np.unique(household[self.heads[household] <= 0])
        last_day = np.zeros(len(self.home), dtype=np.int64)
        last_day[household] = people.died_on[dying]
        self._leave_home(empty, last_day[empty] + 14, DIED, month)

    def _widow(self, person: np.ndarray) -> None:
        status = self.people.marital_status
        status[person[np.isin(status[person], [MARRIED, CIVIL_PARTNERSHIP])]] = WIDOWED

    def _lead_by(self, households: np.ndarray, person: np.ndarray) -> None:
        self.lead[households] = person
        self.lead_male[households] = ~self.people.female[person]
        self.lead_born[households] = self.people.date_of_birth[person]

    def _grow_up(self, month: int) -> None:
        """Children are born, come to school, leave it and turn 18."""
        born = self.arriving.of(month)
        household = self.people.household[born]
        mother = self.mother[household]
        with_mother = mother >= 0
        with_mother[with_mother] = self.household_of[mother[with_mother]] == household[with_mother]
        born, absent = born[with_mother], born[~with_mother]
        # A child whose mother is not there is not born into this household.
        self.leave[absent] = MISSING
        self.household_of[absent] = -1
        lives_here = self.home[household] >= 0
        self.newborn.add(
            household[with_mother & lives_here],
            born[lives_here[with_mother]],
            mother[with_mother & lives_here],
            self.people.date_of_birth[born[lives_here[with_mother]]],
        )
        np.add.at(self.children, household[with_mother], 1)
        for calendar, counts, change in (
            (self.to_school, self.pupils, 1),
            (self.from_school, self.pupils, -1),
            (self.adults, self.children, -1),
        ):
            child = calendar.of(month)
            child = child[self.household_of[child] >= 0]
            np.add.at(counts, self.household_of[child], change)
        grown = self.adults.of(month)
        grown = grown[self.household_of[grown] >= 0]
        household = self.household_of[grown]
        self.role_of[grown] = GROWN_CHILD
        np.add.at(self.grown, household, 1)
        first = self.grown_child[household] < 0
        self.grown_child[household[first]] = grown[first]

    def _part(self, month: int) -> None:
        """Partners part and grown children leave: some into a home of their own here, the rest leave the
        district.
        """
        today = int(self.starts[month])
        couples = np.flatnonzero((self.home >= 0) & (self.partner >= 0) & (self.heads > 1))
        young = today - self.lead_born[couples] < 45 * 365
        rate = _PARTINGS_A_YEAR / 12 * np.where(young, 1.6, 0.6)
        parting = couples[self.random.random(len(couples)) < rate]
        # Children stay with their mother far more often than not: then it is the father who goes.
        lead, partner = self.lead[parting], self.partner[parting]
        father_leads = (self.children[parting] > 0) & self.lead_male[parting] & self.people.female[partner]
        swaps = father_leads & (self.random.random(len(parting)) < 0.88)
        self._lead_by(parting[swaps], partner[swaps])
        self.partner[parting[swaps]] = lead[swaps]
        with_child = np.flatnonzero((self.home >= 0) & (self.grown_child >= 0))
        nests = with_child[self.random.random(len(with_child)) < _LEAVING_HOME_A_YEAR / 12]
        child = self.grown_child[nests]
        old_enough = today - self.people.date_of_birth[child] > ADULT
        from_family = self.leaving[(self.leaving >= 0) & (self.household_of[self.leaving] >= 0)]
        children = np.unique(np.concatenate([child[old_enough], from_family]))
        partners = self.partner[parting]
        leavers = np.concatenate([partners, children])
        old_household = self.household_of[leavers]
        died_on = self.people.died_on[leavers]
        keep = (old_household >= 0) & ((died_on == MISSING) | (died_on >= self.starts[month + 1]))
        keep[keep] = self.home[old_household[keep]] >= 0
        is_partner = np.arange(len(leavers)) < len(partners)
        leavers, old_household, is_partner = leavers[keep], old_household[keep], is_partner[keep]

        self.heads[old_household[is_partner]] -= 1
        self.partner[old_household[is_partner]] = -1
        np.subtract.at(self.grown, old_household[~is_partner], 1)
        self.grown_child[old_household[~is_partner]] = -1
        day = self.starts[month] + self.random.integers(0, 27, len(leavers))
        self._leave_membership(leavers, day)
        self.partings.add(old_household[is_partner], day[is_partner])
        self._own_surname(leavers[is_partner], day[is_partner])
        status = self.people.marital_status
        for person in (leavers[is_partner], self.lead[old_household[is_partner]]):
            status[person[np.isin(status[person], [MARRIED, CIVIL_PARTNERSHIP])]] = SEPARATED

        stays = self.random.random(len(leavers)) < 0.62
        leavers, old_household, day = leavers[stays], old_household[stays], day[stays]
        wanted = np.searchsorted(
            np.cumsum(_TENURE_AFTER_PARTING), self.random.random(len(leavers)), side="right"
        )
        homes = self._free_homes(np.minimum(wanted, SOCIAL), month, self.other_origin[old_household])
        housed = np.flatnonzero(homes >= 0)[: len(self.home) - self.next_parted]
        leavers, old_household, day, homes = (
            leavers[housed],
            old_household[housed],
            day[housed],
            homes[housed],
        )
        new = self.next_parted + np.arange(len(leavers))
        self.next_parted += len(leavers)
        self.heads[new] = 1
        self._lead_by(new, leavers)
        self.single[new] = True
        self.frailty[new] = 0.7 * self.frailty[old_household] + self.random.normal(0, 0.43, len(new))
        self.low_income[new] = self.random.random(len(new)) < 0.45
        noise = np.exp(self.random.normal(0, 0.35, len(new)))
        self.income[new] = np.round(np.where(self.low_income[new], 290.0, 520.0) * noise, 2)
        self.last_case[new] = self.last_case[old_household]
        self.other_origin[new] = self.people.origin[leavers] != 0
        self._join(leavers, new, day + 1, LEAD)
        self._settle(new, homes, day + 1)

    def _unite(self, month: int) -> None:
        """Some who live alone move in with another: one household ends, the other has a partner more."""
        today = int(self.starts[month])
        age = today - self.lead_born
        alone = np.flatnonzero(
            (self.home >= 0)
            & (self.heads == 1)
            & (self.children + self.grown == 0)
            & (self.partner < 0)
            & (age > 20 * 365)
            & (age < 60 * 365)
            & (self.since < today)
        )
        willing = alone[self.random.random(len(alone)) < _UNIONS_A_YEAR / 12]
        willing = willing[self.household_of[self.lead[willing]] == willing]
        near = willing[np.argsort(self.lead_born[willing] + self.random.normal(0, 900, len(willing)))]
        men, women = near[self.lead_male[near]], near[~self.lead_male[near]]
        pairs = min(len(men), len(women))
        men, women = men[:pairs], women[:pairs]
        she_moves = self.random.random(pairs) < 0.55
        goes, hosts = np.where(she_moves, women, men), np.where(she_moves, men, women)
        person = self.lead[goes]
        died_on = self.people.died_on
        alive = (died_on[person] == MISSING) | (died_on[person] >= self.starts[month + 1])
        host_died = died_on[self.lead[hosts]]
        alive &= (host_died == MISSING) | (host_died >= self.starts[month + 1])
        goes, hosts, person = goes[alive], hosts[alive], person[alive]
        day = self.starts[month] + self.random.integers(1, 27, len(goes))
        room = len(self.leave) - self.memberships
        goes, hosts, person, day = goes[:room], hosts[:room], person[:room], day[:room]
        self._leave_membership(person, day)
        self._leave_home(goes, day, UNITED, month)
        self._join(person, hosts, day + 1, PARTNER)
        self.partner[hosts] = person
        self.heads[hosts] += 1
        self.single[hosts] = False
        self.last_case[hosts] = np.maximum(self.last_case[hosts], self.last_case[goes])
        self.income[hosts] += self.income[goes]
        people = self.people
        weds = self.random.random(len(person)) < 0.5
        for spouse in (person[weds], self.lead[hosts[weds]]):
            people.marital_status[spouse] = MARRIED
        takes = weds & people.female[person] & (self.random.random(len(person)) < 0.75)
        takes &= people.surname_changed_on[person] == MISSING
        bride, groom = person[takes], self.lead[hosts[takes]]
        name = feminine_surnames(people.surname[groom], people.origin[groom], people.female[bride])
        differs = name != people.surname[bride]
        bride, name = bride[differs], name[differs]
        people.later_surname[bride] = name
        people.surname_changed_on[bride] = day[takes][differs] + self.random.integers(1, 300, len(bride))

    def _own_surname(self, person: np.ndarray, day: np.ndarray) -> None:
        """After a separation some women take back a surname of their own, in place."""
        people = self.people
        takes = people.female[person] & (self.random.random(len(person)) < 0.2)
        takes &= people.surname_changed_on[person] == MISSING
        rows = person[takes]
        if not len(rows):
            return
        name = feminine_surnames(
            draw_surnames(people.origin[rows], self.random), people.origin[rows], people.female[rows]
        )
        people.later_surname[rows] = name
        people.surname_changed_on[rows] = day[takes] + self.random.integers(30, 400, len(rows))

    def _leave_membership(self, person: np.ndarray, day: np.ndarray) -> None:
        member = self.member_of[person]
        self.leave[member] = np.minimum(self.leave[member], day)
        self.household_of[person] = -1

    def _join(self, person: np.ndarray, household: np.ndarray, day: np.ndarray, role: int) -> None:
        count = len(person)
        self.joined.add(person, household, day, np.full(count, role, dtype=np.int8))
        self.member_of[person] = self.memberships + np.arange(count)
        self.memberships += count
        self.household_of[person] = household
        self.role_of[person] = role

    def _move(self, month: int) -> None:
        """Ordinary moves, and the moves that a duty forces."""
        today = int(self.starts[month])
        active = np.flatnonzero((self.home >= 0) & (self.since < today))
        age = (today - self.lead_born[active]) / np.float32(365.25)
        rate = self._moving_rate(self.properties.tenure[self.home[active]], age)
        ordinary = active[self.random.random(len(active)) < rate]
        forced = self.forced[(self.home[self.forced] >= 0) & (self.since[self.forced] < today)]
        ordinary = np.setdiff1d(ordinary, forced)
        movers = np.concatenate([ordinary, forced])
        is_forced = np.arange(len(movers)) >= len(ordinary)
        old_tenure = self.properties.tenure[self.home[movers]]
        chance = self.random.random(len(movers))
        after = np.cumsum(
            np.where(is_forced[:, None], [[0.03, 0.42, 0.55]], hazard.TENURE_AFTER_MOVE[old_tenure]), axis=1
        )
        wanted = np.minimum((after < chance[:, None]).sum(axis=1), SOCIAL)
        within = self.random.random(len(movers)) < np.where(is_forced, 0.8, _WITHIN_DISTRICT)
        day = self.starts[month] + self.random.integers(1, 27, len(movers))
        homes = np.full(len(movers), -1)
        homes[within] = self._free_homes(wanted[within], month, self.other_origin[movers[within]])
        settles = homes >= 0
        # Who finds nothing here stays, unless a duty forces the move.
        leaves = ~within | (is_forced & ~settles)
        self._leave_home(movers[leaves], day[leaves], LEFT_DISTRICT, month)
        self._leave_home(movers[settles], day[settles], MOVED_WITHIN, month)
        self._settle(movers[settles], homes[settles], day[settles] + 1, after_relief=is_forced[settles])

    def _arrive(self, month: int) -> None:
        """Fill each tenure up to its size with households from outside."""
        tenure = self.properties.tenure[self.home[self.home >= 0]]
        missing = np.maximum(self.target - np.bincount(tenure, minlength=3), 0)
        missing = np.minimum(missing, self.last_arrival - self.next_arrival)
        wanted = np.repeat(np.arange(3), missing)
        coming = np.concatenate([self.next_arrival[k] + np.arange(missing[k]) for k in range(3)])
        homes = self._free_homes(wanted, month, self.other_origin[coming])
        housed = homes >= 0
        arrivals, homes = coming[housed], homes[housed]
        self.next_arrival = self.next_arrival + np.bincount(wanted[housed], minlength=3)
        alive = self._has_head(arrivals, month)
        arrivals, homes, unused = arrivals[alive], homes[alive], homes[~alive]
        self.available_from[unused] = month
        day = self.starts[month] + self.random.integers(1, 27, len(arrivals))
        self._settle(arrivals, homes, day)

    def _has_head(self, households: np.ndarray, month: int) -> np.ndarray:
        """Whether the lead lives; where only the partner does, the partner leads, in place."""
        died_on, tomorrow = self.people.died_on, self.starts[month + 1]

        def lives(person: np.ndarray) -> np.ndarray:
            return (person >= 0) & ((died_on[person] == MISSING) | (died_on[person] >= tomorrow))

        lead, partner = lives(self.lead[households]), lives(self.partner[households])
        inherits = households[~lead & partner]
        self._lead_by(inherits, self.partner[inherits])
        self.partner[households[~(lead & partner)]] = -1
        self.heads[households] -= (~lead).astype(np.int8) + (
            (self.made.partner[households] >= 0) & ~partner
        ).astype(np.int8)
        return lead | partner

    def _free_homes(self, wanted: np.ndarray, month: int, other_origin: np.ndarray) -> np.ndarray:
        """Give each wish for a tenure an empty home, or -1; the homes are taken from this month on."""
        given = np.full(len(wanted), -1)
        free = np.flatnonzero(self.available_from <= month)
        tenure_of_free = self.properties.tenure[free]
        for tenure in range(3):
            wishes = np.flatnonzero(wanted == tenure)
            if len(wishes):
                homes = self.random.permutation(free[tenure_of_free == tenure])[: len(wishes)]
                wishes = wishes[: len(homes)]
                given[wishes] = self._match_origin(other_origin[wishes], homes)
                self.available_from[homes] = _NEVER_HERE
        return given

    def _match(self, households: np.ndarray, homes: np.ndarray) -> np.ndarray:
        return self._match_origin(self.other_origin[households], homes)

    def _match_origin(self, other_origin: np.ndarray, homes: np.ndarray) -> np.ndarray:
        """Put homes in an order in which families of other than British names come oftener to mixed towns."""
        count = len(homes)
        by_wish = np.argsort(1.2 * other_origin + self.random.normal(0, 1, count), kind="stable")
        by_home = np.argsort(self.diversity[homes] + self.random.normal(0, 0.7, count), kind="stable")
        ordered = np.empty_like(homes)
        ordered[by_wish] = homes[by_home]
        return ordered

    def _settle(
        self,
        households: np.ndarray,
        homes: np.ndarray,
        day: np.ndarray,
        after_relief: np.ndarray | bool = False,
    ) -> None:
        rows = self.spells + np.arange(len(households))
        self.spells += len(households)
        self.spell_household[rows] = households
        self.spell_property[rows] = homes
        self.spell_start[rows] = day
        self.spell_after_relief[rows] = after_relief
        self.spell[households] = rows
        self.home[households] = homes
        self.since[households] = day
        self.available_from[homes] = _NEVER_HERE

    def _leave_home(self, households: np.ndarray, day: np.ndarray, reason: int, month: int) -> None:
        rows = self.spell[households]
        self.spell_end[rows] = day
        self.spell_reason[rows] = reason
        self.available_from[self.home[households]] = month + 2
        self.home[households] = -1
        if reason != MOVED_WITHIN:
            self._end_all(households, month)

    def finish(self, seed: int) -> LifeCourse:
        """Close the logs. Episodes that go on end after the last month."""
        last = len(self.starts) - 1
        self._end_all(np.arange(len(self.home)), last + 1)
        used = slice(0, self.spells)
        spells = Spells(
            self.spell_household[used].astype(np.int64),
            self.spell_property[used].astype(np.int64),
            self.spell_start[used],
            self.spell_end[used],
            self.spell_reason[used],
            self.spell_after_relief[used],
        )
        memberships = self._memberships()
        made = self._households()
        lived_here = self.leave[: len(self.people)] != MISSING
        after = Aftermath(
            self.people, self.properties, self.starts, made, spells, self.children, lived_here, seed
        )
        arrears = self.arrears.joined()
        cases = self._cases()
        oracle = Oracle(*self.oracles.joined())
        episodes = {
            name: Episodes(*log.joined())
            for name, log in (
                ("abuse", self.abuse),
                ("mental_health", self.mental_health),
                ("job_loss", self.job_loss),
            )
        }
        incidents, victim_hazard = after.incidents(join_stays(spells, memberships), episodes["abuse"])
        return LifeCourse(
            households=made,
            people=self.people,
            memberships=memberships,
            spells=spells,
            cases=cases,
            arrears=ArrearsEpisodes(*arrears),
            forgotten=ForgottenBills(*self.slips.joined()),
            oracle=oracle,
            intercepts=self.levels.intercepts,
            parted=np.stack(self.partings.joined(), axis=1),
            month_starts=self.starts,
            benefits=after.benefits(episodes["job_loss"]),
            in_need=after.child_episodes(self.needs.joined(), (0, ADULT), "in need"),
            absence=after.child_episodes(self.absences.joined(), (TO_SCHOOL, FROM_SCHOOL), "absence"),
            interventions=after.interventions(self.offers.joined(), cases),
            incidents=incidents,
            financial=self._financial(),
            possessions=after.possessions(cases),
            victim_hazard=victim_hazard,
            births=Births(*self.newborn.joined()),
            shock=self.shock,
            **episodes,
        )

    def _memberships(self) -> Memberships:
        person, household, day, role = self.joined.joined()
        everyone = np.concatenate([np.arange(len(self.people)), person])
        died_on = self.people.died_on[everyone]
        leave = np.minimum(self.leave[: len(everyone)], np.where(died_on == MISSING, OPEN, died_on))
        return Memberships(
            person=everyone,
            household=np.concatenate([self.people.household, household]),
            role=np.concatenate([self.people.role, role]).astype(np.int8),
            join=np.concatenate([self.people.date_of_birth, day]).astype(np.int32),
            leave=leave.astype(np.int32),
        )

    def _households(self) -> Households:
        more = len(self.home) - len(self.made.tenure)
        first_spell = np.full(len(self.home), -1)
        first_spell[self.spell_household[: self.spells][::-1]] = np.arange(self.spells)[::-1]
        first_home = self.spell_property[np.maximum(first_spell, 0)]
        tenure = np.where(first_spell >= 0, self.properties.tenure[first_home], PRIVATE)
        tenure[: len(self.made.tenure)] = self.made.tenure
        return Households(
            tenure=tenure.astype(np.int8),
            type=np.concatenate([self.made.type, np.full(more, SINGLE, dtype=np.int8)]),
            frailty=self.frailty,
            lead=self.lead,
            partner=np.concatenate([self.made.partner, np.full(more, -1, dtype=np.int32)]),
            low_income=self.low_income,
            income_weekly=self.income,
            free_school_meals=np.concatenate([self.made.free_school_meals, self.low_income[-more:]]),
        )

    def _cases(self) -> Cases:
        columns = self.cases.joined()
        household, person, month, applied, decided, duty, route, set_off, *rest = columns
        reason, tenure, with_children, support_need, lone_parent = rest
        day = np.int32
        return Cases(
            household, person, month, applied.astype(day), decided.astype(day), duty,
            route, set_off.astype(day), reason, tenure, with_children.astype(bool), support_need.astype(bool),
            lone_parent.astype(bool),
        )  # fmt: skip

    def _financial(self) -> FinancialEvents:
        household, day, kind = self.financial.joined()
        order = np.lexsort((kind, household, day))
        return FinancialEvents(household[order], day[order].astype(np.int32), kind[order])
