"""Indices of deprivation by small area, as open data: a full file each year, and no people.

Counted from the county itself, so that areas with many renters and arrears are the deprived ones. Published:
deciles of the index are national and rank from the most deprived. Assumed: weights (`_WEIGHTS`), noise from
what the index measures and the county does not, national quantiles of the score (median 17.8, log SD 0.65).
"""

from __future__ import annotations

import numpy as np

from synthetic.dates import OPEN, Days, as_text, day_number, day_of
from synthetic.feeds.deliveries import YEARLY, TableRecords
from synthetic.population import CHILD
from synthetic.properties import PRIVATE, SOCIAL
from synthetic.world import World

RHYTHM = YEARLY
ALWAYS_FULL = True
WHOLE = True

_MEDIAN_SCORE, _LOG_SD = 17.8, 0.65
_DECILE_QUANTILES = np.array([1.2816, 0.8416, 0.5244, 0.2533, 0.0, -0.2533, -0.5244, -0.8416, -1.2816])
"""Standard normal quantiles between the deciles, from the most deprived."""
_WEIGHTS = (0.35, 0.25, 0.45, 0.45, 0.35)
"""Of low income, being out of work, renting, arrears, and what the county does not know."""
_LOOKED_BACK_DAYS = 3 * 365
_WORKING_AGES = (18, 66)


def make_records(world: World) -> dict[str, TableRecords]:
    """One record per LSOA in order of its code, a version for each year's edition."""
    codes, area = np.unique(world.properties.lsoa_code, return_inverse=True)
    editions = _editions(world)
    count = len(codes)
    # What the index measures and the county does not (health, crime, services) stays with the area.
    generator = world.stream("small_area_statistics")
    unmeasured, barriers = generator.normal(0, 1, count), generator.normal(0, 1, count)
    columns: dict[str, list[np.ndarray]] = {}
    for day in editions.tolist():
        for name, values in _edition(world, codes, area, day, unmeasured, barriers).items():
            columns.setdefault(name, []).append(values)
    record = np.tile(np.arange(count), len(editions))
    known_on = np.repeat(editions, count)
    order = np.lexsort((known_on, record))
    return {
        "areas": TableRecords(
            {name: np.concatenate(values)[order] for name, values in columns.items()},
            record[order],
            known_on[order],
            np.full(len(order), OPEN, dtype=np.int32),
            codes,
        )
    }


def _editions(world: World) -> Days:
    """The day before the first delivery, and the day before each later April."""
    first, last = day_of(world.first_day), day_of(world.last_day)
    aprils = [
        day_number(first.replace(year=year, month=4, day=1)) for year in range(first.year, last.year + 1)
    ]
    later = [day - 1 for day in aprils if world.first_day < day < world.last_day]
    return np.array([world.first_day - 1, *later], dtype=np.int32)


def _edition(
    world: World, codes: np.ndarray, area: np.ndarray, day: int, unmeasured: np.ndarray, barriers: np.ndarray
) -> dict[str, np.ndarray]:
    """The figures of one year, one position per area."""
    course, properties, stays = world.course, world.properties, world.residences
    count = len(codes)
    here = (stays.start <= day) & (stays.end >= day)
    living = area[stays.property[here]]
    person, household = stays.person[here], stays.household[here]
    low_income = course.households.low_income[household]
    age = (day - course.people.date_of_birth[person]) / 365.25
    working = (age >= _WORKING_AGES[0]) & (age < _WORKING_AGES[1]) & (stays.role[here] != CHILD)
    homes = np.bincount(area[: properties.homes], minlength=count)

    def share(hits: np.ndarray, of: np.ndarray) -> np.ndarray:
        return np.bincount(of[hits], minlength=count) / np.maximum(np.bincount(of, minlength=count), 1)

    months = course.month_starts
    began = months[np.minimum(course.arrears.start, len(months) - 1)]
    recent = (began <= day) & (began > day - _LOOKED_BACK_DAYS)
    spell = world.spell_at(course.arrears.household[recent], began[recent])
    arrears = np.bincount(area[course.spells.property[spell[spell >= 0]]], minlength=count) / np.maximum(
        homes, 1
    )
    lost = np.zeros(len(course.households.type), dtype=bool)
    began = months[np.minimum(course.job_loss.start, len(months) - 1)]
    ended = months[np.minimum(course.job_loss.end, len(months) - 1)]
    lost[course.job_loss.household[(began <= day) & (ended > day)]] = True

    income = np.clip(share(low_income, living) * 0.6 + arrears * 0.5, 0, 1)
    of_working = living[working]
    out_of_work = 0.35 * share(low_income[working], of_working) + share(lost[household[working]], of_working)
    employment = np.clip(out_of_work, 0, 1)
    of_home, tenure = area[: properties.homes], properties.tenure[: properties.homes]
    private, social = share(tenure == PRIVATE, of_home), share(tenure == SOCIAL, of_home)
    over_lha = properties.weekly_rent[: properties.homes] > properties.lha_weekly[: properties.homes]
    dear = share(over_lha & (tenure == PRIVATE), of_home)
    housing = np.clip(16 + 40 * (dear - 0.1) + 12 * (private - 0.19) + 4 * barriers, 0, 100)
    domains = np.stack([income, employment, private + social, arrears])
    domains = np.stack([*map(_standard, domains), unmeasured])
    deprived = _standard(np.array(_WEIGHTS) @ domains)
    score = np.clip(_MEDIAN_SCORE * np.exp(_LOG_SD * deprived), 0.5, 95)
    decile = 1 + np.searchsorted(-_DECILE_QUANTILES, -deprived)
    year = np.full(count, as_text(np.array([day + 1], dtype=np.int32))[0][:4])
    return {
        "LSOA code (2021)": codes,
        "Year": year,
        "Index of Multiple Deprivation (IMD) Score": _fixed(score, 3),
        "Index of Multiple Deprivation (IMD) Decile": decile.astype("U2"),
        "Income Score (rate)": _fixed(income, 3),
        "Employment Score (rate)": _fixed(employment, 3),
        "Barriers to Housing and Services Score": _fixed(housing, 3),
        "Total population": np.bincount(living, minlength=count).astype("U6"),
    }


def _standard(values: np.ndarray) -> np.ndarray:
    """Mean 0, SD 1 over the areas; zeros where all are alike."""
    return (values - values.mean()) / max(float(values.std()), 1e-9)


def _fixed(values: np.ndarray, places: int) -> np.ndarray:
    """Write numbers of zero or more with this many decimals."""
    scaled = np.round(values * 10**places).astype(np.int64)
    whole = (scaled // 10**places).astype("U4")
    return np.strings.add(
        np.strings.add(whole, "."), np.strings.zfill((scaled % 10**places).astype(f"U{places}"), places)
    )
