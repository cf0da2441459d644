"""The county month by month: who lives where, what befalls them, who comes to the council.

Latent shocks start arrears and abuse episodes and mental-health contacts; the hazard turns them into duties;
households move, part, die and are replaced by arrivals so that each tenure keeps its size. Published
(feeds.md): 1 in 8 people moves a year, private renters far more. Assumed: 55 % of moves stay in the district;
tenure after a move; 1.6 % of couples part a year; 13 % of grown children leave a year. Everything is in
columns; the only loop is over months.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from synthetic import early_circumstances as early
from synthetic import hazard
from synthetic.circumstances import ChildEpisodes, Claims, Incidents, Interventions
from synthetic.dates import MISSING, OPEN, Days
from synthetic.hazard import DOMESTIC_ABUSE, FAMILY_EXCLUSION, Situation
from synthetic.population import CHILD, GROWN_CHILD, SHARERS, SINGLE, Households, People, make_population
from synthetic.properties import OWNER, PRIVATE, SOCIAL, Properties
from synthetic.streams import stream

PREVENTION, RELIEF, NO_DUTY = range(3)
DUTIES = ("PREVENTION", "RELIEF", "NONE")
STAYED, MOVED_WITHIN, LEFT_DISTRICT, DIED = range(4)
BURN_IN_MONTHS = 36
"""Months lived before the first delivery, so that earlier cases, moves and episodes exist from the start."""
_CALIBRATION_MONTHS = 12

_MOVES_A_YEAR = np.array([0.045, 0.40, 0.075])
_WITHIN_DISTRICT = 0.55
_TENURE_AFTER = np.array([[0.86, 0.13, 0.01], [0.20, 0.72, 0.08], [0.05, 0.15, 0.80]])
_YEARS_IN_HOME = np.array([15.0, 2.6, 9.0])
_ARRIVALS_A_YEAR = np.array([0.09, 0.30, 0.12])
_PARTINGS_A_YEAR, _LEAVING_HOME_A_YEAR = 0.016, 0.13
_TENURE_AFTER_PARTING = np.array([0.12, 0.70, 0.18])
_ADVICE_ONLY = 0.25
_RELIEF_SHARE = np.array([0.45, 0.35, 0.62, 0.60, 0.85, 0.50])


@dataclass(frozen=True)
class Spells:
    """Households' stays: one position per household per home. `end` is the last day (`OPEN`: still there)."""

    household: np.ndarray
    property: np.ndarray
    start: Days
    end: Days
    reason: np.ndarray
    after_relief: np.ndarray


@dataclass(frozen=True)
class Cases:
    """Applications to the council, one position each; `duty` 2 is advice only. `decided` is the day of the
    duty.
    """

    household: np.ndarray
    person: np.ndarray
    month: np.ndarray
    applied: Days
    decided: Days
    duty: np.ndarray
    route: np.ndarray


@dataclass(frozen=True)
class Episodes:
    """Arrears, abuse or mental-health episodes; months count from the burn-in's start; `end` is the month of
    ending.

    `by_duty` marks the episodes that ended in a homelessness duty: nothing was paid off.
    """

    household: np.ndarray
    start: np.ndarray
    end: np.ndarray
    by_duty: np.ndarray


@dataclass(frozen=True)
class Memberships:
    """Who belongs to which household from when (inclusive) to when (last day)."""

    person: np.ndarray
    household: np.ndarray
    role: np.ndarray
    join: Days
    leave: Days


@dataclass(frozen=True)
class Oracle:
    """True probabilities, one row per household that lives here at the start of a month."""

    household: np.ndarray
    month: np.ndarray
    property: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class LifeCourse:
    """All that happened in the county."""

    households: Households
    people: People
    memberships: Memberships
    spells: Spells
    cases: Cases
    arrears: Episodes
    abuse: Episodes
    mental_health: Episodes
    oracle: Oracle
    intercepts: np.ndarray
    parted: np.ndarray
    month_starts: Days
    benefits: Claims
    in_need: ChildEpisodes
    absence: ChildEpisodes
    interventions: Interventions
    incidents: Incidents
    job_loss: Episodes


@dataclass(frozen=True)
class Stays:
    """One position per person per household spell, ordered by person and start. `spell` points into
    `LifeCourse.spells`.
    """

    person: np.ndarray
    household: np.ndarray
    property: np.ndarray
    spell: np.ndarray
    role: np.ndarray
    start: Days
    end: Days


def join_stays(spells: Spells, members: Memberships) -> Stays:
    """Join spells with the memberships of their households, cut to the days that both hold."""
    order = np.argsort(members.household, kind="stable")
    sorted_household = members.household[order]
    first = np.searchsorted(sorted_household, spells.household, side="left")
    count = np.searchsorted(sorted_household, spells.household, side="right") - first
    spell = np.repeat(np.arange(len(spells.household)), count)
    offset = np.arange(len(spell)) - np.repeat(np.cumsum(count) - count, count)
    member = order[np.repeat(first, count) + offset]
    start = np.maximum(spells.start[spell], members.join[member])
    end = np.minimum(spells.end[spell], members.leave[member])
    kept = np.flatnonzero((start <= end) & (start < OPEN))
    kept = kept[np.lexsort((start[kept], members.person[member[kept]]))]
    spell, member = spell[kept], member[kept]
    return Stays(
        person=members.person[member],
        household=members.household[member],
        property=spells.property[spell],
        spell=spell,
        role=members.role[member],
        start=start[kept].astype(np.int32),
        end=end[kept].astype(np.int32),
    )


def live(
    properties: Properties,
    households: int,
    month_starts: Days,
    seed: int,
    progress: Callable[[str], None] | None = None,
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
    county = _County.found(properties, made, people, initial, pool, month_starts, seed)
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
        if not self.batches:
            return [np.zeros(0, dtype=np.int64) for _ in range(self.columns)]
        return [np.concatenate(column) for column in zip(*self.batches, strict=True)]


@dataclass
class _County:
    """The county's state at one month. Arrays over households have room for those who come and who part."""

    properties: Properties
    made: Households
    people: People
    starts: Days
    random: np.random.Generator
    target: np.ndarray
    next_arrival: np.ndarray
    last_arrival: np.ndarray
    next_parted: int
    # Households.
    home: np.ndarray
    spell: np.ndarray
    since: np.ndarray
    heads: np.ndarray
    grown: np.ndarray
    lead: np.ndarray
    partner: np.ndarray
    grown_child: np.ndarray
    lead_born: np.ndarray
    single: np.ndarray
    lead_male: np.ndarray
    frailty: np.ndarray
    low_income: np.ndarray
    first_child_born: np.ndarray
    last_child_born: np.ndarray
    last_case: np.ndarray
    blocked_until: np.ndarray
    mental_health_month: np.ndarray
    arrears_age: np.ndarray
    arrears_since: np.ndarray
    abuse_age: np.ndarray
    abuse_since: np.ndarray
    # Homes, people, spells.
    available_from: np.ndarray
    household_of: np.ndarray
    spell_household: np.ndarray
    spell_property: np.ndarray
    spell_start: np.ndarray
    spell_end: np.ndarray
    spell_reason: np.ndarray
    spell_after_relief: np.ndarray
    spells: int
    leave: np.ndarray
    intercepts: np.ndarray
    tried_intercepts: list[np.ndarray] = field(default_factory=list)
    forced: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    leaving: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    joined: _Log = field(default_factory=lambda: _Log(4))
    cases: _Log = field(default_factory=lambda: _Log(7))
    arrears: _Log = field(default_factory=lambda: _Log(4))
    abuse: _Log = field(default_factory=lambda: _Log(4))
    mental_health: _Log = field(default_factory=lambda: _Log(4))
    oracles: _Log = field(default_factory=lambda: _Log(4))
    partings: _Log = field(default_factory=lambda: _Log(2))

    @classmethod
    def found(
        cls, properties: Properties, made: Households, people: People, initial: np.ndarray, pool: np.ndarray,
        starts: Days, seed: int,
    ) -> _County:  # fmt: skip
        """Settle the first households in homes of their tenure."""
        random = stream(seed, "life_course")
        count = len(made.tenure)
        room = count + int(initial.sum() * 0.022 * len(starts) / 12) + 60
        first_of_tenure = np.cumsum(pool) - pool

        def wide(values: np.ndarray, fill: float) -> np.ndarray:
            return np.concatenate([values, np.full(room - count, fill, dtype=values.dtype)])

        head = (people.role != CHILD) & (people.role != GROWN_CHILD)
        child = people.role == CHILD
        grown = people.role == GROWN_CHILD
        first_child = np.full(room, OPEN)
        np.minimum.at(first_child, people.household[child], people.date_of_birth[child])
        last_child = np.full(room, MISSING, dtype=np.int64)
        np.maximum.at(last_child, people.household[child], people.date_of_birth[child])
        grown_child = np.full(room, -1)
        rows = np.flatnonzero(grown)
        grown_child[people.household[rows]] = rows
        capacity = room * 3
        county = cls(
            properties=properties,
            made=made,
            people=people,
            starts=starts,
            random=random,
            target=initial.copy(),
            next_arrival=first_of_tenure + initial,
            last_arrival=first_of_tenure + pool,
            next_parted=count,
            home=np.full(room, -1),
            spell=np.full(room, -1),
            since=np.zeros(room, dtype=np.int64),
            heads=np.bincount(people.household[head], minlength=room),
            grown=np.bincount(people.household[grown], minlength=room),
            lead=wide(made.lead, -1),
            partner=wide(made.partner, -1),
            grown_child=grown_child,
            lead_born=wide(people.date_of_birth[made.lead], 0),
            single=wide(np.isin(made.type, [SINGLE, SHARERS]), False),
            lead_male=wide(~people.female[made.lead], False),
            frailty=wide(made.frailty, 0),
            low_income=wide(made.low_income, False),
            first_child_born=first_child,
            last_child_born=last_child,
            last_case=np.full(room, -999),
            blocked_until=np.full(room, -1),
            mental_health_month=np.full(room, -999),
            arrears_age=np.full(room, -1),
            arrears_since=np.full(room, -1),
            abuse_age=np.full(room, -1),
            abuse_since=np.full(room, -1),
            available_from=np.zeros(properties.homes, dtype=np.int64),
            household_of=people.household.copy(),
            spell_household=np.zeros(capacity, dtype=np.int64),
            spell_property=np.zeros(capacity, dtype=np.int64),
            spell_start=np.zeros(capacity, dtype=np.int64),
            spell_end=np.full(capacity, OPEN, dtype=np.int64),
            spell_reason=np.zeros(capacity, dtype=np.int64),
            spell_after_relief=np.zeros(capacity, dtype=bool),
            spells=0,
            leave=np.where(people.died_on == MISSING, OPEN, people.died_on).astype(np.int64),
            intercepts=np.zeros(len(hazard.ROUTES)),
        )
        built = properties.built_on[: properties.homes]
        county.available_from = np.where(built == MISSING, 0, np.searchsorted(starts, built) + 1)
        for tenure in range(3):
            settlers = first_of_tenure[tenure] + np.arange(initial[tenure])
            free = np.flatnonzero((properties.tenure == tenure) & (county.available_from == 0))
            settlers = settlers[: len(free)]
            homes = random.permutation(free)[: len(settlers)]
            years = random.exponential(_YEARS_IN_HOME[tenure], len(settlers))
            adult = (starts[0] - county.lead_born[settlers]) / 365.25 - 18
            began = starts[0] - np.floor(np.clip(np.minimum(years, adult), 0.05, 45) * 365.25).astype(int)
            county._settle(settlers, homes, began)
        return county

    def run(self, month: int) -> None:
        """Live one month: shocks and duties, deaths, partings, moves, arrivals."""
        active = np.flatnonzero(self.home >= 0)
        situation = self._situation(active, month)
        logs = hazard.route_log_effects(situation)
        if month < BURN_IN_MONTHS:
            self._calibrate(logs, month)
        else:
            self._observe(active, situation, month)
        self._present(active, logs, month)
        self._shocks(active, situation, month)
        self._die(month)
        self._grow_up(month)
        self._part(month)
        self._move(month)
        self._arrive(month)

    def observe(self, month: int) -> None:
        """Write down the oracle's probabilities at the start of `month` (the month after the last, too)."""
        active = np.flatnonzero(self.home >= 0)
        self._observe(active, self._situation(active, month), month)

    def finish(self, seed: int) -> LifeCourse:
        """Close the logs. Episodes that go on end after the last month."""
        last = len(self.starts) - 1
        in_arrears = np.flatnonzero(self.arrears_age >= 0)
        self._end_arrears(in_arrears, last + 1)
        self._end_abuse(np.flatnonzero(self.abuse_age >= 0), last + 1)
        used = slice(0, self.spells)
        day = np.int32
        joined_person, joined_household, joined_day, _ = self.joined.joined()
        person = np.concatenate([np.arange(len(self.people)), joined_person])
        death = np.where(self.people.died_on == MISSING, OPEN, self.people.died_on)
        memberships = Memberships(
            person=person,
            household=np.concatenate([self.people.household, joined_household]),
            role=np.concatenate([self.people.role, np.zeros(len(joined_person), dtype=np.int64)]),
            join=np.concatenate([self.people.date_of_birth, joined_day]).astype(day),
            leave=np.concatenate([self.leave, death[joined_person]]).astype(day),
        )
        household, person, case_month, applied, decided, duty, route = self.cases.joined()
        oracle_household, oracle_month, oracle_property, probabilities = self.oracles.joined()
        made = Households(
            tenure=np.concatenate(
                [self.made.tenure, np.full(len(self.home) - len(self.made.tenure), PRIVATE)]
            ),
            type=np.concatenate([self.made.type, np.full(len(self.home) - len(self.made.type), SINGLE)]),
            frailty=self.frailty,
            lead=self.lead,
            partner=np.concatenate([self.made.partner, np.full(len(self.home) - len(self.made.partner), -1)]),
            low_income=self.low_income,
            income_weekly=np.concatenate(
                [self.made.income_weekly, np.full(len(self.home) - len(self.made.tenure), 420.0)]
            ),
        )
        spells = Spells(
            self.spell_household[used],
            self.spell_property[used],
            self.spell_start[used].astype(day),
            self.spell_end[used].astype(day),
            self.spell_reason[used],
            self.spell_after_relief[used],
        )
        arrears = Episodes(*self.arrears.joined())
        first_day, last_day = int(self.starts[BURN_IN_MONTHS]), int(self.starts[-1])
        stays = join_stays(spells, memberships)
        homes, stays = stays.property, (stays.person, stays.household, stays.start, stays.end)
        arrears_day = self.starts[np.minimum(arrears.start, last)]
        return LifeCourse(
            households=made,
            people=self.people,
            memberships=memberships,
            spells=spells,
            cases=Cases(household, person, case_month, applied.astype(day), decided.astype(day), duty, route),
            arrears=arrears,
            abuse=Episodes(*self.abuse.joined()),
            mental_health=Episodes(*self.mental_health.joined()),
            oracle=Oracle(oracle_household, oracle_month, oracle_property, probabilities),
            intercepts=self.intercepts,
            parted=np.stack(self.partings.joined(), axis=1),
            month_starts=self.starts,
            benefits=early.claims_of(
                spells.household, spells.property, spells.start, spells.end, made, self.people,
                self.properties, seed, last_day,
            ),
            in_need=early.child_episodes(
                0.045, 250, (0, 18), True, stays, made, self.people, "in need", seed, first_day, last_day
            ),
            absence=early.child_episodes(
                0.3, 300, (5, 16), False, stays, made, self.people, "absence", seed, first_day, last_day
            ),
            interventions=early.interventions_of(
                arrears.household, arrears_day, made, seed, first_day, last_day
            ),
            incidents=early.incidents_of(
                stays, homes, self.people, self.properties, seed, first_day, last_day
            ),
            job_loss=Episodes(*early.job_losses_of(arrears.household, arrears.start, last, seed)),
        )  # fmt: skip

    def _situation(self, active: np.ndarray, month: int) -> Situation:
        today = int(self.starts[month])
        age = (today - self.lead_born[active]) / 365.25
        has_child = (self.first_child_born[active] <= today) & (
            self.last_child_born[active] + 18 * 365.25 > today
        )
        partner_alive = self.heads[active] > 1
        rate = self._moving_rate(active, today)
        return Situation(
            tenure=self.properties.tenure[self.home[active]],
            frailty=self.frailty[active],
            low_income=self.low_income[active],
            head_under_35=age < 35,
            lone_parent=has_child & ~partner_alive,
            young_adult=(self.grown[active] > 0) | (age < 25),
            single_man=self.single[active] & self.lead_male[active] & (age < 60),
            woman=~self.lead_male[active] | (self.partner[active] >= 0),
            arrears_age=self.arrears_age[active],
            abuse_age=self.abuse_age[active],
            blocked_months=np.maximum(self.blocked_until[active] - month, 0),
            months_since_move=(today - self.since[active]) // 30.4375,
            months_since_case=month - self.last_case[active],
            months_since_mental_health=month - self.mental_health_month[active],
            exit_rate=(1 - _WITHIN_DISTRICT) * rate,
            move_rate=_WITHIN_DISTRICT * rate,
        )

    def _moving_rate(self, active: np.ndarray, today: int) -> np.ndarray:
        age = (today - self.lead_born[active]) / 365.25
        by_age = np.where(age < 30, 1.35, np.where(age > 65, 0.5, 1.0))
        return _MOVES_A_YEAR[self.properties.tenure[self.home[active]]] / 12 * by_age

    def _calibrate(self, logs: np.ndarray, month: int) -> None:
        """In the burn-in, meet the published rates month by month; then keep the mean of its last year."""
        if month >= BURN_IN_MONTHS - _CALIBRATION_MONTHS or month % 4 == 0:
            found = hazard.find_intercepts(logs)
            self.intercepts = np.where(np.isnan(found), self.intercepts, found)
            self.tried_intercepts.append(self.intercepts)
        if month == BURN_IN_MONTHS - 1:
            self.intercepts = np.mean(self.tried_intercepts[-_CALIBRATION_MONTHS:], axis=0)

    def _observe(self, active: np.ndarray, situation: Situation, month: int) -> None:
        probabilities = hazard.oracle(situation, self.intercepts)
        self.oracles.add(active, np.full(len(active), month), self.home[active], probabilities)

    def _present(self, active: np.ndarray, logs: np.ndarray, month: int) -> None:
        """Draw duties and advice-only cases of the month; end the episodes behind a duty."""
        chances = hazard.monthly_probabilities(logs, self.intercepts)
        draws = self.random.random(chances.shape) < chances
        happened = np.flatnonzero(draws.any(axis=1))
        route = np.argmax(draws[happened], axis=1)
        advice = self.random.random(len(active)) < _ADVICE_ONLY * chances.sum(axis=1)
        advice[happened] = False
        advised = np.flatnonzero(advice)
        advice_route = np.argmax(chances[advised], axis=1)
        relief = self.random.random(len(happened)) < _RELIEF_SHARE[route]
        duty = np.concatenate([np.where(relief, RELIEF, PREVENTION), np.full(len(advised), NO_DUTY)])
        rows = np.concatenate([happened, advised])
        route = np.concatenate([route, advice_route])
        household = active[rows]
        length = int(self.starts[month + 1] - self.starts[month]) if month + 1 < len(self.starts) else 28
        decided = self.starts[month] + self.random.integers(0, length, len(rows))
        applied = decided - self.random.integers(0, 22, len(rows))
        lead, partner = self.lead[household], self.partner[household]
        person = np.where((partner >= 0) & (self.random.random(len(rows)) < 0.25), partner, lead)
        has_partner = partner >= 0
        woman = np.where(self.people.female[lead] | ~has_partner, lead, partner)
        person = np.where(route == DOMESTIC_ABUSE, woman, person)
        child = self.grown_child[household]
        child_applies = (route == FAMILY_EXCLUSION) & (child >= 0)
        person = np.where(child_applies, child, person)
        self.cases.add(household, person, np.full(len(rows), month), applied, decided, duty, route)
        self.last_case[household] = month

        with_duty = household[: len(happened)]
        self.blocked_until[with_duty] = month + 1 + hazard.BLOCKED_MONTHS
        self._end_arrears(with_duty[self.arrears_age[with_duty] >= 0], month, by_duty=True)
        self._end_abuse(with_duty[self.abuse_age[with_duty] >= 0], month, by_duty=True)
        child_applies = child_applies[: len(happened)]
        goes = np.where(relief, 0.9, 0.35) > self.random.random(len(happened))
        self.leaving = child[: len(happened)][child_applies & goes]
        self.forced = with_duty[~child_applies & goes]

    def _shocks(self, active: np.ndarray, situation: Situation, month: int) -> None:
        """End, age and begin episodes, in the order that the oracle expects."""
        arrears, abuse = self.arrears_age[active], self.abuse_age[active]
        chance = self.random.random((len(active), 3))
        ends = hazard.ARREARS_ENDING[np.clip(arrears, 0, len(hazard.ARREARS_ENDING) - 1)]
        outside = arrears < 0
        self._end_arrears(active[~outside & (chance[:, 0] < ends)], month)
        goes_on = active[~outside & (chance[:, 0] >= ends)]
        self.arrears_age[goes_on] = np.minimum(self.arrears_age[goes_on] + 1, len(hazard.ARREARS_ENDING) - 1)
        # A household whose episode ended in a duty this month is outside now, but was inside at the month's
        # start.
        begins = active[outside & (situation.arrears_age < 0) & (chance[:, 0] < situation.arrears_start())]
        self.arrears_age[begins] = 0
        self.arrears_since[begins] = month

        ends = hazard.ABUSE_ENDING[np.clip(abuse, 0, len(hazard.ABUSE_ENDING) - 1)]
        outside = abuse < 0
        self._end_abuse(active[~outside & (chance[:, 1] < ends)], month)
        self.abuse_age[active[~outside & (chance[:, 1] >= ends)]] += 1
        begins = active[outside & (situation.abuse_age < 0) & (chance[:, 1] < situation.abuse_start())]
        self.abuse_age[begins] = 0
        self.abuse_since[begins] = month

        met = active[chance[:, 2] < situation.mental_health_start()]
        self.mental_health_month[met] = month
        self.mental_health.add(
            met, np.full(len(met), month), np.full(len(met), month + 1), np.zeros(len(met), dtype=bool)
        )

    def _end_arrears(self, households: np.ndarray, month: int, *, by_duty: bool = False) -> None:
        count = len(households)
        self.arrears.add(
            households, self.arrears_since[households], np.full(count, month), np.full(count, by_duty)
        )
        self.arrears_age[households] = -1

    def _end_abuse(self, households: np.ndarray, month: int, *, by_duty: bool = False) -> None:
        count = len(households)
        self.abuse.add(
            households, self.abuse_since[households], np.full(count, month), np.full(count, by_duty)
        )
        self.abuse_age[households] = -1

    def _die(self, month: int) -> None:
        """Take out those who die this month; a household without heads ends on that day."""
        people = self.people
        dying = np.flatnonzero(
            (people.died_on >= self.starts[month]) & (people.died_on < self.starts[month + 1])
        )
        household = self.household_of[dying]
        here = (household >= 0) & (self.home[household] >= 0)
        dying, household = dying[here], household[here]
        current_head = (people.role[dying] < GROWN_CHILD) | (household >= len(self.made.tenure))
        np.subtract.at(self.heads, household[current_head], 1)
        np.subtract.at(self.grown, household[(people.role[dying] == GROWN_CHILD) & ~current_head], 1)
        took_lead = household[self.lead[household] == dying]
        heir = self.partner[took_lead] >= 0
        self.lead[took_lead[heir]] = self.partner[took_lead[heir]]
        self.lead_male[took_lead[heir]] = ~people.female[self.lead[took_lead[heir]]]
        self.lead_born[took_lead[heir]] = people.date_of_birth[self.lead[took_lead[heir]]]
        self.partner[took_lead[heir]] = -1
        widowed = household[self.partner[household] == dying]
        self.partner[widowed] = -1
        gone = self.grown_child[household] == dying
        self.grown_child[household[gone]] = -1
        empty = np.unique(household[self.heads[household] <= 0])
        last_day = np.zeros(len(self.home), dtype=np.int64)
        last_day[household] = people.died_on[dying]
        self._leave_home(empty, last_day[empty] + 14, DIED, month)

    def _grow_up(self, month: int) -> None:
        """Children who turn 18 this month become grown children of the household."""
        born = self.people.date_of_birth
        turns_18 = born + 6575
        adult = np.flatnonzero(
            (self.people.role == CHILD)
            & (turns_18 >= self.starts[month])
            & (turns_18 < self.starts[month + 1])
        )
        household = self.household_of[adult]
        here = household >= 0
        here[here] = self.home[household[here]] >= 0
        adult, household = adult[here], household[here]
        np.add.at(self.grown, household, 1)
        first = self.grown_child[household] < 0
        self.grown_child[household[first]] = adult[first]

    def _part(self, month: int) -> None:
        """Partners part and grown children leave: some into a home of their own here, the rest leave the
        district.
        """
        today = int(self.starts[month])
        couples = np.flatnonzero((self.home >= 0) & (self.partner >= 0) & (self.heads > 1))
        young = today - self.lead_born[couples] < 45 * 365
        rate = _PARTINGS_A_YEAR / 12 * np.where(young, 1.6, 0.6)
        parting = couples[self.random.random(len(couples)) < rate]
        with_child = np.flatnonzero((self.home >= 0) & (self.grown_child >= 0))
        nests = with_child[self.random.random(len(with_child)) < _LEAVING_HOME_A_YEAR / 12]
        child = self.grown_child[nests]
        old_enough = today - self.people.date_of_birth[child] > 18 * 365
        from_family = self.leaving[(self.leaving >= 0) & (self.household_of[self.leaving] >= 0)]
        children = np.unique(np.concatenate([child[old_enough], from_family]))
        partners = self.partner[parting]
        leavers = np.concatenate([partners, children])
        old_household = self.household_of[leavers]
        alive = (self.people.died_on[leavers] == MISSING) | (
            self.people.died_on[leavers] >= self.starts[month + 1]
        )
        keep = alive & (self.home[old_household] >= 0)
        is_partner = np.arange(len(leavers)) < len(partners)
        leavers, old_household, is_partner = leavers[keep], old_household[keep], is_partner[keep]

        self.heads[old_household[is_partner]] -= 1
        self.partner[old_household[is_partner]] = -1
        self.grown[old_household[~is_partner]] -= 1
        self.grown_child[old_household[~is_partner]] = -1
        day = self.starts[month] + self.random.integers(0, 27, len(leavers))
        self.leave[leavers] = np.minimum(self.leave[leavers], day)
        self.household_of[leavers] = -1
        self.partings.add(old_household[is_partner], day[is_partner])

        stays = self.random.random(len(leavers)) < 0.62
        leavers, old_household, day = leavers[stays], old_household[stays], day[stays]
        wanted = np.searchsorted(
            np.cumsum(_TENURE_AFTER_PARTING), self.random.random(len(leavers)), side="right"
        )
        homes = self._free_homes(np.minimum(wanted, SOCIAL), month)
        room = len(self.home) - self.next_parted
        housed = np.flatnonzero(homes >= 0)[:room]
        leavers, old_household, day, homes = (
            leavers[housed],
            old_household[housed],
            day[housed],
            homes[housed],
        )
        new = self.next_parted + np.arange(len(leavers))
        self.next_parted += len(leavers)
        self.heads[new] = 1
        self.lead[new] = leavers
        self.lead_born[new] = self.people.date_of_birth[leavers]
        self.single[new] = True
        self.lead_male[new] = ~self.people.female[leavers]
        self.frailty[new] = 0.7 * self.frailty[old_household] + self.random.normal(0, 0.43, len(new))
        self.low_income[new] = self.random.random(len(new)) < 0.45
        self.last_case[new] = self.last_case[old_household]
        self.household_of[leavers] = new
        self.joined.add(leavers, new, day + 1, day)
        self._settle(new, homes, day + 1)

    def _move(self, month: int) -> None:
        """Ordinary moves, and the moves that a duty forces."""
        active = np.flatnonzero((self.home >= 0) & (self.since < self.starts[month]))
        rate = self._moving_rate(active, int(self.starts[month]))
        ordinary = active[self.random.random(len(active)) < rate]
        forced = self.forced[(self.home[self.forced] >= 0) & (self.since[self.forced] < self.starts[month])]
        ordinary = np.setdiff1d(ordinary, forced)
        movers = np.concatenate([ordinary, forced])
        is_forced = np.arange(len(movers)) >= len(ordinary)
        old_tenure = self.properties.tenure[self.home[movers]]
        chance = self.random.random(len(movers))
        after = np.cumsum(
            np.where(is_forced[:, None], [[0.03, 0.42, 0.55]], _TENURE_AFTER[old_tenure]), axis=1
        )
        wanted = np.minimum((after < chance[:, None]).sum(axis=1), SOCIAL)
        within = self.random.random(len(movers)) < np.where(is_forced, 0.8, _WITHIN_DISTRICT)
        day = self.starts[month] + self.random.integers(1, 27, len(movers))
        homes = np.full(len(movers), -1)
        homes[within] = self._free_homes(wanted[within], month)
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
        homes = self._free_homes(wanted, month)
        housed = homes >= 0
        arrivals = np.concatenate(
            [self.next_arrival[k] + np.arange((housed & (wanted == k)).sum()) for k in range(3)]
        )
        self.next_arrival = self.next_arrival + np.bincount(wanted[housed], minlength=3)
        day = self.starts[month] + self.random.integers(1, 27, len(arrivals))
        self._settle(arrivals, homes[housed], day)

    def _free_homes(self, wanted: np.ndarray, month: int) -> np.ndarray:
        """Give each wish for a tenure an empty home, or -1; the homes are taken from this month on."""
        given = np.full(len(wanted), -1)
        for tenure in range(3):
            wishes = np.flatnonzero(wanted == tenure)
            if len(wishes):
                free = np.flatnonzero((self.properties.tenure == tenure) & (self.available_from <= month))
                homes = self.random.permutation(free)[: len(wishes)]
                given[wishes[: len(homes)]] = homes
                self.available_from[homes] = np.iinfo(np.int64).max
        return given

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
        self.available_from[homes] = np.iinfo(np.int64).max

    def _leave_home(self, households: np.ndarray, day: np.ndarray, reason: int, month: int) -> None:
        rows = self.spell[households]
        self.spell_end[rows] = day
        self.spell_reason[rows] = reason
        self.available_from[self.home[households]] = month + 2
        self.home[households] = -1
        if reason != MOVED_WITHIN:
            self._end_arrears(households[self.arrears_age[households] >= 0], month)
            self._end_abuse(households[self.abuse_age[households] >= 0], month)
