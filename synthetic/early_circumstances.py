"""Working values of benefits, children in need, absence, interventions and incidents, from finished spells.

Simple rates by tenure and income, without effects on the hazard.
"""

from __future__ import annotations

import numpy as np

from synthetic.circumstances import (
    COMPLETED,
    DECLINED,
    HOUSING_BENEFIT,
    INCIDENT_KINDS,
    INTERVENTION_KINDS,
    ONGOING,
    UNIVERSAL_CREDIT,
    ChildEpisodes,
    Claims,
    Incidents,
    Interventions,
)
from synthetic.dates import OPEN, Days
from synthetic.population import CHILD, Households, People
from synthetic.properties import Properties
from synthetic.streams import stream


def claims_of(
    household: np.ndarray, home: np.ndarray, start: Days, end: Days, made: Households, people: People,
    properties: Properties, seed: int, last_day: int,
) -> Claims:  # fmt: skip
    """A claim per spell for some households of low income."""
    random = stream(seed, "benefits")
    tenure = properties.tenure[home]
    age = (last_day - people.date_of_birth[made.lead[household]]) / 365.25
    share = np.array([0.30, 0.55, 0.80])[tenure] * made.low_income[household]
    rows = np.flatnonzero(random.random(len(household)) < share)
    old = age[rows] > 66
    kind = np.where(old & (tenure[rows] > 0), HOUSING_BENEFIT, UNIVERSAL_CREDIT)
    begins = start[rows] + random.integers(0, 200, len(rows))
    ends = np.where(random.random(len(rows)) < 0.3, begins + random.integers(60, 1500, len(rows)), OPEN)
    ends = np.minimum(ends, end[rows])
    ends = np.where(ends >= last_day, OPEN, ends)
    kept = begins < np.minimum(ends, last_day)
    return Claims(
        household[rows][kept],
        kind[kept].astype(np.int8),
        begins[kept].astype(np.int32),
        ends[kept].astype(np.int32),
        random.random(kept.sum()) < 0.4,
        random.random(kept.sum()) < 0.02,
    )


def child_episodes(
    a_year: float, mean_days: float, ages: tuple[int, int], needs: bool, stays: tuple[np.ndarray, ...],
    made: Households, people: People, purpose: str, seed: int, first_day: int, last_day: int,
) -> ChildEpisodes:  # fmt: skip
    """Spells of children at home; more in households of low income."""
    random = stream(seed, purpose)
    person, household, start, end = stays
    rows = np.flatnonzero(people.role[person] == CHILD)
    born = people.date_of_birth[person[rows]]
    begin = np.maximum(np.maximum(start[rows], first_day - 900), born + int(ages[0] * 365.25))
    until = np.minimum(np.minimum(end[rows], last_day), born + int(ages[1] * 365.25))
    years = np.maximum(until - begin, 0) / 365.25
    rate = a_year * np.where(made.low_income[household[rows]], 1.8, 0.6)
    happens = np.flatnonzero(random.random(len(rows)) < 1 - np.exp(-rate * years))
    rows, begin, until = rows[happens], begin[happens], until[happens]
    first = begin + np.floor(random.random(len(rows)) * np.maximum(until - begin, 1)).astype(int)
    last = first + np.ceil(random.exponential(mean_days, len(rows))).astype(int)
    last = np.where(last >= last_day, OPEN, last)
    count = len(rows)
    none = np.zeros(count, dtype=np.int8)
    need = np.searchsorted(np.cumsum([0.55, 0.12, 0.03, 0.09, 0.13, 0.02, 0.01, 0.02]), random.random(count))
    return ChildEpisodes(
        person[rows],
        household[rows],
        first.astype(np.int32),
        last.astype(np.int32),
        need.astype(np.int8) if needs else none,
        (random.random(count) < 0.13) & needs,
    )


def interventions_of(
    arrears_household: np.ndarray, arrears_start: Days, made: Households, seed: int, first_day: int,
    last_day: int,
) -> Interventions:  # fmt: skip
    """An offer for some households in arrears."""
    random = stream(seed, "interventions")
    day = arrears_start + random.integers(30, 180, len(arrears_start))
    rows = np.flatnonzero((day > first_day - 400) & (day < last_day) & (random.random(len(day)) < 0.25))
    count = len(rows)
    offered = day[rows]
    accepted = random.random(count) < 0.62
    ended = np.where(accepted, offered + random.integers(20, 270, count), offered)
    goes_on = accepted & (ended >= last_day)
    return Interventions(
        arrears_household[rows],
        made.lead[arrears_household[rows]],
        offered.astype(np.int32),
        accepted,
        random.integers(0, len(INTERVENTION_KINDS), count).astype(np.int8),
        np.where(goes_on, OPEN, ended).astype(np.int32),
        np.where(goes_on, ONGOING, np.where(accepted, COMPLETED, DECLINED)).astype(np.int8),
    )


def incidents_of(
    stays: tuple[np.ndarray, ...], home: np.ndarray, people: People, properties: Properties, seed: int,
    first_day: int, last_day: int,
) -> Incidents:  # fmt: skip
    """Incidents that adults reported, some victims again and again."""
    random = stream(seed, "incidents")
    person, household, start, end = stays
    begin = np.maximum(np.maximum(start, first_day - 730), people.date_of_birth[person] + 18 * 366)
    years = np.maximum(np.minimum(end, last_day) - begin, 0) / 365.25
    liability = random.gamma(0.25, 4.0, len(person))
    rate = 0.018 * np.array([0.6, 1.3, 2.2])[properties.tenure[home]] * liability
    times = random.poisson(rate * years)
    row = np.repeat(np.arange(len(person)), times)
    day = begin[row] + np.floor(random.random(len(row)) * years[row] * 365.25).astype(int)
    order = np.lexsort((day, person[row]))
    row, day = row[order], day[order]
    return Incidents(
        person[row],
        household[row],
        home[row],
        day.astype(np.int32),
        random.integers(0, len(INCIDENT_KINDS), len(row)).astype(np.int8),
    )


def job_losses_of(
    household: np.ndarray, arrears_start: np.ndarray, months: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Job losses: before some arrears episodes, and without one."""
    random = stream(seed, "job losses")
    rows = np.flatnonzero(random.random(len(household)) < 0.4)
    start = np.maximum(arrears_start[rows] - random.integers(0, 3, len(rows)), 0)
    end = np.minimum(start + random.geometric(0.16, len(rows)), months + 1)
    return household[rows], start, end, np.zeros(len(rows), dtype=bool)
