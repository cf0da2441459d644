"""The tables of the life course: who lived where, what befell them, and the county's true chances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.circumstances import ChildEpisodes, Claims, Incidents, Interventions, VictimHazard
from synthetic.dates import OPEN, Days
from synthetic.population import Households, People

PREVENTION, RELIEF, NO_DUTY = range(3)
DUTIES = ("PREVENTION", "RELIEF", "NONE")
STAYED, MOVED_WITHIN, LEFT_DISTRICT, DIED, UNITED = range(5)
REASONS = (
    "end_of_private_tenancy",
    "end_of_social_tenancy",
    "family_exclusion",
    "domestic_abuse",
    "relationship_breakdown",
    "institution",
    "other",
)
BURN_IN_MONTHS = 36
"""Months lived before the first delivery, so that earlier cases, moves and episodes exist from the start."""
SHOCK_KINDS = ("rent", "benefit")
ADULT, FROM_SCHOOL, TO_SCHOOL = (int(years * 365.25) + 1 for years in (18, 16, 5))
"""Ages in days."""


@dataclass(frozen=True)
class Shock:
    """A change from the `month`-th delivered month on (from 0), for tests of drift.

    `rent`: private rents rise by 12 %, landlords sell, arrears begin more often in private homes; `benefit`: the
    Local Housing Allowance is cut by 10 %, the cap hits smaller families, arrears begin more often in rented
    homes of low income.
    """

    month: int
    kind: str

    def __post_init__(self) -> None:
        if self.kind not in SHOCK_KINDS:
            raise ValueError(f"shock kind {self.kind!r}: choose one of {', '.join(SHOCK_KINDS)}")


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
    duty, `set_off` the day of what led to it (arrears begun, notice, quarrel), `reason` indexes `REASONS`.
    """

    household: np.ndarray
    person: np.ndarray
    month: np.ndarray
    applied: Days
    decided: Days
    duty: np.ndarray
    route: np.ndarray
    set_off: Days
    reason: np.ndarray
    tenure: np.ndarray
    with_children: np.ndarray
    support_need: np.ndarray
    lone_parent: np.ndarray


@dataclass(frozen=True)
class Episodes:
    """Arrears, abuse, mental-health or job-loss episodes; months count from the burn-in's start; `end` is the
    month of ending.

    `by_duty` marks the episodes that ended in a homelessness duty: nothing was paid off.
    """

    household: np.ndarray
    start: np.ndarray
    end: np.ndarray
    by_duty: np.ndarray


@dataclass(frozen=True)
class ArrearsEpisodes(Episodes):
    """Arrears; `on_council_tax` marks the episodes that reached the council tax account, too."""

    on_council_tax: np.ndarray


@dataclass(frozen=True)
class Births:
    """Children born here in the months lived, and their mothers."""

    household: np.ndarray
    person: np.ndarray
    mother: np.ndarray
    day: Days


@dataclass(frozen=True)
class ForgottenBills:
    """Council tax forgotten by households in no need: months of the first missed instalment and of the end; paid
    after a month (reminder), two (final notice) or three (summons), or `ordered` (liability order).
    """

    household: np.ndarray
    start: np.ndarray
    end: np.ndarray
    ordered: np.ndarray


RENT_ARREARS, ORDER_IN_NEED, ORDER_FORGOTTEN = range(3)
FINANCIAL_KINDS = ("rent_arrears_over_8_weeks", "liability_order", "liability_order")


@dataclass(frozen=True)
class FinancialEvents:
    """Financial exclusion: rent arrears past 8 weeks, or a liability order (in need, or forgotten)."""

    household: np.ndarray
    day: Days
    kind: np.ndarray


@dataclass(frozen=True)
class Possessions:
    """Possession claims that ended in repossession."""

    household: np.ndarray
    claimed: Days
    repossessed: Days


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
    financial: np.ndarray
    with_children: np.ndarray
    lone_parent: np.ndarray


@dataclass(frozen=True)
class LifeCourse:
    """All that happened in the county."""

    households: Households
    people: People
    memberships: Memberships
    spells: Spells
    cases: Cases
    arrears: ArrearsEpisodes
    forgotten: ForgottenBills
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
    financial: FinancialEvents
    possessions: Possessions
    victim_hazard: VictimHazard
    births: Births
    shock: Shock | None = None


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
    member = order[np.repeat(first, count) + ragged_offsets(count)]
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


def ragged_offsets(count: np.ndarray) -> np.ndarray:
    """Return 0, 1, ... within each group of `count` positions: (2, 3) gives 0 1 0 1 2."""
    return np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
