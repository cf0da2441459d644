"""One figure of a county beside what is wanted of it: estimate, 95 % interval, tolerance, verdict.

Rules of the verdict, from the plainest:

- *shown*: nothing is wanted of the figure; it is only told.
- *not measured*: the county holds nothing to measure it by (a feed that is not made, or an empty class).
- *off*: the interval of the county's figure and the accepted band do not meet. So a small county, whose intervals
  are wide, is not blamed for chance. Shown are 95 % intervals; since some `JUDGED_AT_ONCE` figures are judged at once,
  the verdict widens them, so that all hold together in 95 of 100 counties that are as they should be. At
  `FULL_SIZE` households or more a **published** figure must itself lie inside the band.
- *holds*: else.

The band of a published figure is its value plus or minus `PUBLISHED_TOLERANCE`, unless the calibration table
gives its own; that of an error rate is plus or minus `ERROR_TOLERANCE`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy import stats

PUBLISHED_TOLERANCE = 0.10
ERROR_TOLERANCE = 0.15
FULL_SIZE = 60_000
CONFIDENCE = 0.95
JUDGED_AT_ONCE = 70
WIDENED = float(
    stats.norm.ppf(1 - (1 - CONFIDENCE) / 2 / JUDGED_AT_ONCE) / stats.norm.ppf(0.5 + CONFIDENCE / 2)
)
"""By how much the verdict widens a 95 % interval (Bonferroni: 99.93 %)."""


class Unit(StrEnum):
    """How a figure is read, and which interval suits it."""

    SHARE = "share"
    """A part of a whole, 0 to 1: Wilson's interval."""
    PER_1000 = "per 1,000 a year"
    """Events by exposure in years, times 1,000: the exact Poisson interval."""
    NUMBER = "number"
    """A mean: normal interval."""
    POUNDS = "pounds"
    WEEKS = "weeks"
    DAYS = "days"
    RATIO = "ratio"


class Verdict(StrEnum):
    HOLDS = "holds"
    OFF = "off"
    SHOWN = "shown"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Estimate:
    """`value` with its 95 % interval from `base` observations (households, people, events), of which `count` count."""

    value: float
    low: float
    high: float
    count: float
    base: float


@dataclass(frozen=True)
class Wanted:
    """What a figure should be, the band that is accepted, and where that comes from."""

    value: float
    low: float
    high: float
    source: str
    is_published: bool


@dataclass(frozen=True)
class Figure:
    """A named figure of the county. `group` is the section of the page; `title` says what it is."""

    name: str
    group: str
    title: str
    unit: Unit
    estimate: Estimate | None
    wanted: Wanted | None
    verdict: Verdict
    about: str = ""


@dataclass(frozen=True)
class Sums:
    """Sums over clusters (households) of a numerator y and a denominator n: all that a ratio's interval needs."""

    y: float
    n: float
    yy: float
    yn: float
    nn: float
    clusters: int


def estimate(sums: Sums, unit: Unit) -> Estimate | None:
    """Return y / n with an interval that knows that what befalls one household's people goes together.

    The variance is that of a ratio over clusters; for shares and rates it becomes an effective number of
    observations for Wilson's and the Poisson interval, which stay honest where few or none count. `None` if
    there is nothing to divide by.
    """
    if sums.n <= 0:
        return None
    value = sums.y / sums.n
    variance = max(sums.yy - 2 * value * sums.yn + value**2 * sums.nn, 0.0) / sums.n**2
    scale = 1000.0 if unit is Unit.PER_1000 else 1.0
    match unit:
        case Unit.SHARE:
            low, high = _share_interval(value, sums.n, variance)
        case Unit.PER_1000:
            effective = sums.y**2 / (variance * sums.n**2) if variance > 0 and sums.y > 0 else sums.y
            low, high = (bound * _safe(sums.y, effective) / sums.n for bound in poisson_interval(effective))
        case _:
            half = float(stats.norm.ppf(0.5 + CONFIDENCE / 2)) * float(np.sqrt(variance))
            low, high = value - half, value + half
    return Estimate(value * scale, low * scale, high * scale, sums.y, sums.n)


def share(count: int, base: int) -> Estimate | None:
    """Return a plain share of independent observations with Wilson's interval; `None` of nothing."""
    if base <= 0:
        return None
    low, high = _wilson(count / base, base)
    return Estimate(count / base, low, high, count, base)


def poisson_interval(count: float) -> tuple[float, float]:
    """Return the exact (Garwood) interval of a Poisson count."""
    outside = (1 - CONFIDENCE) / 2
    low = float(stats.chi2.ppf(outside, 2 * count) / 2) if count > 0 else 0.0
    return low, float(stats.chi2.ppf(1 - outside, 2 * (count + 1)) / 2)


def band(
    value: float,
    source: str,
    *,
    tolerance: float = PUBLISHED_TOLERANCE,
    low: float | None = None,
    high: float | None = None,
    is_published: bool = True,
) -> Wanted:
    """Return what is wanted, with the band from `tolerance` where `low` and `high` are not given."""
    edges = sorted((value * (1 - tolerance), value * (1 + tolerance)))
    return Wanted(
        value, edges[0] if low is None else low, edges[1] if high is None else high, source, is_published
    )


def judged(figure: Figure, households: int) -> Figure:
    """Return the figure with its verdict; see the module's rules."""
    return replace(figure, verdict=_verdict(figure.estimate, figure.wanted, households))


def _verdict(measured: Estimate | None, wanted: Wanted | None, households: int) -> Verdict:
    if measured is None:
        return Verdict.NOT_MEASURED
    if wanted is None:
        return Verdict.SHOWN
    if wanted.is_published and households >= FULL_SIZE:
        meets = wanted.low <= measured.value <= wanted.high
    else:
        low = measured.value - WIDENED * (measured.value - measured.low)
        high = measured.value + WIDENED * (measured.high - measured.value)
        meets = low <= wanted.high and wanted.low <= high
    return Verdict.HOLDS if meets else Verdict.OFF


def _share_interval(value: float, base: float, variance: float) -> tuple[float, float]:
    plain = value * (1 - value) / base
    # Clusters can only widen: where nothing varies (none or all), the plain interval is the honest one.
    effective = base * plain / variance if variance > plain > 0 else base
    return _wilson(value, effective)


def _wilson(value: float, base: float) -> tuple[float, float]:
    z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
    centre = (value + z**2 / (2 * base)) / (1 + z**2 / base)
    half = z / (1 + z**2 / base) * float(np.sqrt(value * (1 - value) / base + z**2 / (4 * base**2)))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _safe(count: float, effective: float) -> float:
    """Scale from effective to real events; 1 where there are none."""
    return count / effective if effective > 0 else 1.0
