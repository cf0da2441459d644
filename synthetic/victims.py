"""Antisocial behaviour and its victims: incidents that set off further ones, and their oracle.

Every adult has a lasting chance of an incident (tenure, small area, disability, household frailty, own
liability); each incident at a home raises the chance of another while the victim lives there (a self-exciting
process), and domestic abuse adds to it while it lasts. Assumed: 2 incidents a year per 100 adults, the effects,
0.55 further incidents per incident, half of them within two months.

The oracle is exact up to moves: until the next incident nothing new is set off, so the chance of none is
exp(-integral of the intensity as it stands); people leave at their tenure's rate.
"""

from __future__ import annotations

import numpy as np

from synthetic.circumstances import INCIDENT_KINDS, Incidents, VictimHazard
from synthetic.dates import Days
from synthetic.streams import stream

HORIZON_DAYS, COHORT_DAYS = 182, 730
_A_YEAR = np.array([0.0085, 0.016, 0.034])
_FURTHER, _DECAY_DAYS = 0.55, 90.0
_ABUSE_A_YEAR = 0.8
_KIND_SHARES = (0.30, 0.17, 0.14, 0.09, 0.17, 0.05, 0.04, 0.04)
_ABUSE_KINDS = (0.05, 0.45, 0.35, 0.10, 0.05)
_GENERATIONS = 40


def make_incidents(
    person: np.ndarray,
    household: np.ndarray,
    home: np.ndarray,
    start: Days,
    end: Days,
    rate: np.ndarray,
    leaving_a_year: np.ndarray,
    abuse_start: np.ndarray,
    abuse: tuple[np.ndarray, Days, Days],
    month_starts: Days,
    seed: int,
    first_day: int,
    last_day: int,
) -> tuple[Incidents, VictimHazard]:
    """Make incidents of adults' stays (one position each, `start` to `end` cut to the months told, `rate` from
    `incident_rates`, `abuse_start` the monthly chance that abuse begins) and the oracle at each of `month_starts`.
    `abuse`: stay of the victim, first and last day.
    """
    random = stream(seed, "incidents")
    begin = np.maximum(start, first_day - COHORT_DAYS).astype(np.int64)
    until = np.minimum(end, last_day - 1).astype(np.int64)
    years = np.maximum(until - begin + 1, 0) / 365.25
    times = random.poisson(rate * years)
    stay = np.repeat(np.arange(len(person)), times)
    day = begin[stay] + np.floor(random.random(len(stay)) * years[stay] * 365.25).astype(np.int64)
    in_abuse = np.zeros(len(stay), dtype=bool)
    of, from_day, to_day = abuse
    abuse_begin, abuse_until = np.maximum(from_day, begin[of]), np.minimum(to_day, until[of] + 1)
    abuse_years = np.maximum(abuse_until - abuse_begin, 0) / 365.25
    times = random.poisson(_ABUSE_A_YEAR * abuse_years)
    row = np.repeat(np.arange(len(of)), times)
    stay = np.concatenate([stay, of[row]])
    day = np.concatenate(
        [
            day,
            abuse_begin[row] + np.floor(random.random(len(row)) * abuse_years[row] * 365.25).astype(np.int64),
        ]
    )
    in_abuse = np.concatenate([in_abuse, np.ones(len(row), dtype=bool)])
    parents, parent_days = stay, day
    for _ in range(_GENERATIONS):
        times = random.poisson(_FURTHER, len(parents))
        child = np.repeat(parents, times)
        child_day = np.repeat(parent_days, times) + np.ceil(
            random.exponential(_DECAY_DAYS, len(child))
        ).astype(np.int64)
        kept = child_day <= until[child]
        parents, parent_days = child[kept], child_day[kept]
        if not len(parents):
            break
        stay, day = np.concatenate([stay, parents]), np.concatenate([day, parent_days])
        in_abuse = np.concatenate([in_abuse, np.zeros(len(parents), dtype=bool)])
    order = np.lexsort((day, stay))
    stay, day, in_abuse = stay[order], day[order], in_abuse[order]
    kind = np.where(
        in_abuse,
        np.searchsorted(np.cumsum(_ABUSE_KINDS) / sum(_ABUSE_KINDS), random.random(len(stay)), side="right"),
        np.searchsorted(np.cumsum(_KIND_SHARES) / sum(_KIND_SHARES), random.random(len(stay)), side="right"),
    )
    by_person = np.lexsort((day, person[stay]))
    incidents = Incidents(
        person[stay][by_person],
        household[stay][by_person],
        home[stay][by_person],
        day[by_person].astype(np.int32),
        np.minimum(kind, len(INCIDENT_KINDS) - 1)[by_person].astype(np.int8),
    )
    return incidents, _oracle(
        person, household, start, end, rate, leaving_a_year, abuse_start, abuse, stay, day, month_starts
    )


def incident_rates(
    tenure: np.ndarray,
    area: np.ndarray,
    frailty: np.ndarray,
    disabled: np.ndarray,
    liability: np.ndarray,
    area_effect: np.ndarray,
) -> np.ndarray:
    """Incidents a year that nothing set off, by stay."""
    return _A_YEAR[tenure] * np.exp(
        0.5 * frailty + 0.5 * disabled + 0.8 * liability + area_effect[area] - 0.6
    )


def _oracle(
    person: np.ndarray, household: np.ndarray, start: Days, end: Days, rate: np.ndarray,
    leaving_a_year: np.ndarray, abuse_start: np.ndarray, abuse: tuple[np.ndarray, Days, Days],
    stay: np.ndarray, day: np.ndarray, month_starts: Days,
) -> VictimHazard:  # fmt: skip
    """The chance of a further incident within six months of each month's start, for those with one in the two
    years before who live here then. `stay` and `day` are the incidents, ordered by stay.
    """
    people, households, months, chances = [], [], [], []
    span = HORIZON_DAYS / 365.25
    for month, today in enumerate(month_starts.astype(np.int64)):
        recent = (day < today) & (day >= today - COHORT_DAYS)
        here = np.flatnonzero((start <= today) & (end >= today))
        stay_of_person = np.full(int(person.max(initial=0)) + 1, -1)
        stay_of_person[person[here]] = here
        cohort = np.unique(person[stay[recent]])
        now = stay_of_person[cohort]
        cohort, now = cohort[now >= 0], now[now >= 0]
        # Excitation left of the incidents at today's home.
        excited = np.zeros(len(start))
        np.add.at(excited, stay[recent], np.exp(-(today - day[recent]) / _DECAY_DAYS))
        leaving = leaving_a_year[now]
        decay = 365.25 / _DECAY_DAYS + leaving
        further = _FURTHER * (365.25 / _DECAY_DAYS) * excited[now] * -np.expm1(-decay * span) / decay
        abused = np.zeros(len(start), dtype=bool)
        abused[abuse[0][(abuse[1] <= today) & (abuse[2] > today)]] = True
        abuse_ends = leaving + 1.0
        more = _ABUSE_A_YEAR * abused[now] * -np.expm1(-abuse_ends * span) / abuse_ends
        # Abuse that has not begun yet: it begins evenly over the six months.
        more += np.where(abused[now], 0.0, _ABUSE_A_YEAR * 12 * abuse_start[now] * span**2 / 2)
        gone = 0.45 * leaving
        lasting = rate[now] * np.where(gone > 0, -np.expm1(-gone * span) / np.maximum(gone, 1e-9), span)
        people.append(cohort)
        households.append(household[now])
        months.append(np.full(len(cohort), month, dtype=np.int16))
        chances.append((-np.expm1(-(lasting + further + more))).astype(np.float32))
    return VictimHazard(
        np.concatenate(people), np.concatenate(households), np.concatenate(months), np.concatenate(chances)
    )
