"""What the months lived entail, worked out once they are over: claims, which children a spell was about, how the
hub's help went on, antisocial behaviour, possession claims.

Published (feeds.md): 24.5 weeks from a possession claim to the repossession. Assumed: primary needs, how long
help lasts and how it ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic import hazard
from synthetic.circumstances import (
    COMPLETED,
    DECLINED,
    DISENGAGED,
    DUTY_OWED,
    MOVED_AWAY,
    ONGOING,
    ChildEpisodes,
    Claims,
    Incidents,
    Interventions,
    VictimHazard,
)
from synthetic.claims import PENSION_AGE, make_claims
from synthetic.dates import MISSING, OPEN, Days
from synthetic.hazard import ARREARS, MOVES_A_YEAR
from synthetic.life_tables import (
    ADULT,
    BURN_IN_MONTHS,
    NO_DUTY,
    RELIEF,
    Cases,
    Episodes,
    Possessions,
    Spells,
    Stays,
    ragged_offsets,
)
from synthetic.population import GROWN_CHILD, Households, People
from synthetic.properties import OWNER, Properties
from synthetic.streams import stream
from synthetic.victims import COHORT_DAYS, incident_rates, make_incidents

_CLAIM_WEEKS, _CLAIM_SPREAD, _FIRST_CLAIM_DAYS = 24.5, 0.30, 60
_SIBLINGS_TOO = 0.55
# DfE primary need, N1 to N9 (assumed, near the children in need census).
_NEED_SHARES = (0.56, 0.10, 0.03, 0.09, 0.13, 0.02, 0.01, 0.02)


@dataclass(frozen=True)
class Aftermath:
    """The county after its last month. `children` counts those at home by household at the end; `lived_here` is
    false for people of whom no household here ever was (an unborn child whose mother left).
    """

    people: People
    properties: Properties
    starts: Days
    made: Households
    spells: Spells
    children: np.ndarray
    lived_here: np.ndarray
    seed: int

    def benefits(self, job_loss: Episodes) -> Claims:
        """Claims by need within each tenure, over the window and the year before."""
        first_day, last_day = int(self.starts[BURN_IN_MONTHS]), int(self.starts[-1])
        rows = np.flatnonzero(self.spells.end >= first_day - 365)
        household = self.spells.household[rows]
        tenure = self.properties.tenure[self.spells.property[rows]]
        lead_age = (last_day - self.people.date_of_birth[self.made.lead[household]]) / 365.25
        noise = stream(self.seed, "need of benefits").normal(0, 0.2, len(self.made.type))
        # Children make the same income go less far.
        score = -np.log(np.maximum(self.made.income_weekly, 1.0)) + 0.25 * self.children.clip(0, 3) + noise
        need = np.empty(len(rows))
        for of_tenure in range(3):
            for old in (False, True):
                here = np.flatnonzero((tenure == of_tenure) & ((lead_age >= PENSION_AGE) == old))
                order = np.argsort(-score[household[here]], kind="stable")
                need[here[order]] = (np.arange(len(here)) + 0.5) / max(len(here), 1)
        last = len(self.starts) - 1
        lost = np.flatnonzero(self.starts[np.minimum(job_loss.end, last)] >= first_day - 365)
        lost_household = job_loss.household[lost]
        end = np.where(job_loss.end[lost] > last, OPEN, self.starts[np.minimum(job_loss.end[lost], last)])
        capped = (
            (tenure != OWNER)
            & self.made.low_income[household]
            & (self.children[household] >= 3)
            & (lead_age < 66)
        )
        return make_claims(
            household, tenure, self.spells.start[rows], self.spells.end[rows], lead_age, need, capped,
            (lost_household, self.starts[job_loss.start[lost]], end, self.made.tenure[lost_household]),
            self.seed, last_day,
        )  # fmt: skip

    def child_episodes(self, spells: list[np.ndarray], ages: tuple[int, int], purpose: str) -> ChildEpisodes:
        """Spread households' spells over their children of those ages: one at least, the others often too."""
        random = stream(self.seed, purpose)
        last = len(self.starts) - 1
        household, start, end, _ = spells
        begins = self.starts[start].astype(np.int64) + random.integers(0, 27, len(start))
        ends = np.where(
            end > last, OPEN, self.starts[np.minimum(end, last)] + random.integers(0, 27, len(end))
        )
        people = self.people
        count = np.bincount(people.household, minlength=len(self.made.type))[household]
        first = (np.cumsum(np.bincount(people.household, minlength=len(self.made.type))))[household] - count
        of = np.repeat(np.arange(len(household)), count)
        person = np.repeat(first, count) + ragged_offsets(count)
        born = people.date_of_birth[person]
        fits = (
            (people.role[person] >= GROWN_CHILD)
            & self.lived_here[person]
            & (begins[of] >= born + ages[0])
            & (begins[of] < born + ages[1])
        )
        of, person = of[fits], person[fits]
        key = random.random(len(of))
        order = np.lexsort((key, of))
        of, person = of[order], person[order]
        is_first = np.append(True, of[1:] != of[:-1])[: len(of)]
        chosen = is_first | (random.random(len(of)) < _SIBLINGS_TOO)
        of, person = of[chosen], person[chosen]
        until = np.minimum(ends[of], people.date_of_birth[person] + ages[1])
        died_on = people.died_on[person]
        until = np.where(died_on == MISSING, until, np.minimum(until, died_on))
        kept = until >= begins[of]
        of, person, until = of[kept], person[kept], until[kept]
        need = np.searchsorted(np.cumsum(_NEED_SHARES), random.random(len(of)), side="right")
        is_need = purpose == "in need"
        plan = (random.random(len(of)) < np.where(need == 0, 0.17, 0.05)) & is_need
        order = np.lexsort((person, begins[of]))
        return ChildEpisodes(
            person[order],
            household[of][order],
            begins[of][order].astype(np.int32),
            np.where(until >= self.starts[-1], OPEN, until)[order].astype(np.int32),
            np.minimum(need * is_need, 8)[order].astype(np.int8),
            plan[order],
        )

    def interventions(self, offers: list[np.ndarray], cases: Cases) -> Interventions:
        """How each offer went on: declined, or help until it is done, dropped, or cut short by a duty or a move."""
        random = stream(self.seed, "interventions")
        household, person, offered, accepted, kind = offers
        accepted = accepted.astype(bool)
        count = len(household)
        ended = offered + np.ceil(30 + random.gamma(2.2, 55.0, count)).astype(np.int64)
        outcome = np.where(random.random(count) < 0.68, COMPLETED, DISENGAGED)
        gone = np.full(len(self.made.type), MISSING, dtype=np.int64)
        np.maximum.at(gone, self.spells.household, self.spells.end.astype(np.int64))
        leaves = gone[household] < ended
        ended = np.where(leaves, np.maximum(gone[household], offered), ended)
        outcome = np.where(leaves, MOVED_AWAY, outcome)
        duty = np.flatnonzero(cases.duty != NO_DUTY)
        order = duty[np.lexsort((cases.decided[duty], cases.household[duty]))]
        key = cases.household[order].astype(np.int64) * 2**20 + cases.decided[order]
        place = np.searchsorted(key, household.astype(np.int64) * 2**20 + offered, side="left")
        found = order[np.minimum(place, max(len(order) - 1, 0))] if len(order) else np.zeros(count, dtype=int)
        owed = (place < len(order)) & (cases.household[found] == household) & (cases.decided[found] < ended)
        ended = np.where(owed, cases.decided[found], ended)
        outcome = np.where(owed, DUTY_OWED, outcome)
        goes_on = ended >= self.starts[-1]
        ended = np.where(accepted, np.where(goes_on, OPEN, ended), offered)
        outcome = np.where(accepted, np.where(goes_on, ONGOING, outcome), DECLINED)
        order = np.lexsort((household, offered))
        return Interventions(
            household[order],
            person[order],
            offered[order].astype(np.int32),
            accepted[order],
            kind[order].astype(np.int8),
            ended[order].astype(np.int32),
            outcome[order].astype(np.int8),
        )

    def incidents(self, stays: Stays, abuse: Episodes) -> tuple[Incidents, VictimHazard]:
        """Antisocial behaviour to adults where they lived, and the oracle of further incidents."""
        people, properties = self.people, self.properties
        first_day, last_day = int(self.starts[BURN_IN_MONTHS]), int(self.starts[-1])
        start = np.maximum(stays.start, people.date_of_birth[stays.person] + ADULT)
        rows = np.flatnonzero(
            (stays.end >= first_day - COHORT_DAYS) & (start < last_day) & (stays.end > start)
        )
        person, household, home = stays.person[rows], stays.household[rows], stays.property[rows]
        tenure = properties.tenure[home]
        random = stream(self.seed, "victims")
        _, area = np.unique(properties.lsoa_code[: properties.homes], return_inverse=True)
        rate = incident_rates(
            tenure,
            area[home],
            self.made.frailty[household],
            people.disabled[person],
            random.normal(0, 1, len(people))[person],
            random.normal(0, 0.5, int(area.max(initial=0)) + 1),
        )
        return make_incidents(
            person, household, home, start[rows], stays.end[rows], rate, MOVES_A_YEAR[tenure],
            hazard.ABUSE_START * np.exp(0.6 * self.made.frailty[household]) * self._may_be_abused(person, household),
            self._abused(abuse, person, household, start[rows], stays.end[rows]),
            self.starts[BURN_IN_MONTHS:], self.seed, first_day, last_day,
        )  # fmt: skip

    def _may_be_abused(self, person: np.ndarray, household: np.ndarray) -> np.ndarray:
        """Whether the person is the one whom abuse in the household would hit."""
        return self._victim(household) == person

    def _victim(self, household: np.ndarray) -> np.ndarray:
        lead, partner = self.made.lead[household], self.made.partner[household]
        female = self.people.female
        woman = np.where(female[lead] | (partner < 0), lead, partner)
        return np.where(female[woman], woman, -1)

    def _abused(
        self, abuse: Episodes, person: np.ndarray, household: np.ndarray, start: np.ndarray,
        end: np.ndarray,
    ) -> tuple[np.ndarray, Days, Days]:  # fmt: skip
        """Stays of the victims of abuse episodes, with the days of each."""
        last = len(self.starts) - 1
        begins = self.starts[np.minimum(abuse.start, last)]
        ends = self.starts[np.minimum(abuse.end, last)]
        victim = self._victim(abuse.household)
        order = np.lexsort((start, person))
        key = person[order].astype(np.int64) * 2**20 + start[order] + 2**18
        place = np.searchsorted(key, victim.astype(np.int64) * 2**20 + begins + 2**18 + 15, side="right") - 1
        stay = order[np.maximum(place, 0)]
        right = (place >= 0) & (person[stay] == victim) & (end[stay] >= begins)
        right &= household[stay] == abuse.household
        return stay[right], begins[right], ends[right]

    def possessions(self, cases: Cases) -> Possessions:
        """Claims behind the evictions for arrears: some weeks after the arrears began, 24.5 weeks (median) before."""
        random = stream(self.seed, "possessions")
        evicted = (cases.route == ARREARS) & (cases.duty == RELIEF) & (cases.tenure != OWNER)
        rows = np.flatnonzero(evicted & (cases.decided - cases.set_off > _FIRST_CLAIM_DAYS + 150))
        weeks = _CLAIM_WEEKS * np.exp(random.normal(0, _CLAIM_SPREAD, len(rows)))
        claimed = cases.decided[rows] - np.round(weeks * 7).astype(np.int64)
        claimed = np.maximum(claimed, cases.set_off[rows] + _FIRST_CLAIM_DAYS)
        return Possessions(cases.household[rows], claimed.astype(np.int32), cases.decided[rows])
