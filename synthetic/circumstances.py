"""Circumstances of households that partners' systems record: benefit claims, children in need, school absence,
the hub's interventions, antisocial behaviour.

Only the tables and their code lists stand here; `life_course` fills them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.dates import Days

CLAIM_KINDS = ("housing_benefit", "universal_credit")
HOUSING_BENEFIT, UNIVERSAL_CREDIT = range(2)

INTERVENTION_KINDS = (
    "debt_advice",
    "income_maximisation",
    "tenancy_sustainment",
    "mediation",
    "employment_support",
)
DEBT_ADVICE, INCOME_MAXIMISATION, TENANCY_SUSTAINMENT, MEDIATION, EMPLOYMENT_SUPPORT = range(5)
INTERVENTION_OUTCOMES = ("ongoing", "declined", "completed", "disengaged", "moved_away", "duty_owed")
ONGOING, DECLINED, COMPLETED, DISENGAGED, MOVED_AWAY, DUTY_OWED = range(6)

INCIDENT_KINDS = (
    "noise",
    "verbal_abuse",
    "harassment",
    "criminal_damage",
    "neighbour_dispute",
    "drugs",
    "hate_incident",
    "vehicle_nuisance",
)

NEEDS = ("N1", "N2", "N3", "N4", "N5", "N6", "N7", "N8", "N9")
"""DfE primary need at assessment: abuse or neglect, child's disability, parental illness or disability, family
in acute stress, family dysfunction, socially unacceptable behaviour, low income, absent parenting, cases other
than children in need.
"""


@dataclass(frozen=True)
class Claims:
    """Benefit claims, one position each. `start` to `end` (last day, `OPEN`: it goes on); `kind` indexes
    `CLAIM_KINDS`.

    `passported`: entitled through another benefit; `capped`: the benefit cap cuts the award.
    """

    household: np.ndarray
    kind: np.ndarray
    start: Days
    end: Days
    passported: np.ndarray
    capped: np.ndarray

    def __len__(self) -> int:
        return len(self.household)


@dataclass(frozen=True)
class ChildEpisodes:
    """Spells of one child, one position each: in need, or persistently absent from school.

    `end` is the last day (`OPEN`: it goes on). `need` indexes `NEEDS`; `plan` is true where the spell led to a
    child protection plan.
    """

    person: np.ndarray
    household: np.ndarray
    start: Days
    end: Days
    need: np.ndarray
    plan: np.ndarray

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class Interventions:
    """Offers of the Homes and Money hub, one position each. `ended` is the last day of the help (`OPEN`: it goes
    on; the day of the offer where it was declined).
    """

    household: np.ndarray
    person: np.ndarray
    offered: Days
    accepted: np.ndarray
    kind: np.ndarray
    ended: Days
    outcome: np.ndarray

    def __len__(self) -> int:
        return len(self.household)


@dataclass(frozen=True)
class Incidents:
    """Antisocial behaviour, one position per incident and victim. `property` is the victim's home."""

    person: np.ndarray
    household: np.ndarray
    property: np.ndarray
    day: Days
    kind: np.ndarray

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class VictimHazard:
    """The oracle of repeat victimisation: a row per victim of the past two years and month (from 0, the first
    delivered one). `probability` is that of a further incident within six months.
    """

    person: np.ndarray
    household: np.ndarray
    month: np.ndarray
    probability: np.ndarray
