"""How long before a duty somebody could know, by the way in which the home was lost; and the hub's help, which was
offered first to those at high risk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
from scipy import stats

from evaluation.county.calibration import figure_of, known_names
from evaluation.county.figures import CONFIDENCE, Estimate, Figure, Unit, Wanted

LEAD_GROUP, HUB_GROUP = "lead", "hub"
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
HUB_EFFECT = -0.5
"""Log hazard of a household that the hub helps (feeds.md)."""

_SIGN, _SHOCK = "first_precursor_on", "shock_date"
_HUB_SQL = Path(__file__).with_name("hub.sql")


@dataclass(frozen=True)
class LeadTimes:
    """Days from the first sign in a partner's file to the duty, for one route: events, those with a sign, quantiles."""

    route: str
    events: int
    with_sign: int
    quantiles: tuple[float, ...]


def lead_times(connection: duckdb.DuckDBPyConnection) -> tuple[LeadTimes, ...]:
    """Return the lead times by route; without the day of the first sign in the truth, nothing."""
    if f"truth.events.{_SIGN}" not in known_names(connection):
        return ()
    rows = connection.execute(
        f"""
        select
            route,
            count(*),
            count({_SIGN}),
            quantile_cont(date_diff('day', {_SIGN}, duty_date), {list(QUANTILES)})
        from duties
        group by route
        order by route
        """
    ).fetchall()
    return tuple(LeadTimes(route, events, signs, tuple(found or ())) for route, events, signs, found in rows)


def lead_figures(
    connection: duckdb.DuckDBPyConnection, wanted: Mapping[str, tuple[Wanted, str]], households: int
) -> Iterator[Figure]:
    """Yield, by route, the median days from the shock, and from the first sign that a partner knew, to the duty."""
    known = known_names(connection)
    routes = [
        route for (route,) in connection.execute("select distinct route from duties order by 1").fetchall()
    ]
    for route in routes:
        told = route.replace("_", " ")
        if f"truth.events.{_SHOCK}" in known:
            name = f"lead_days_{route}_median"
            target, about = wanted.get(name, (None, ""))
            days = _days(connection, _SHOCK, route)
            title = f"Median days from the shock to the duty: {told}"
            yield figure_of(name, LEAD_GROUP, title, Unit.DAYS, median(days), target, households, about)
        if f"truth.events.{_SIGN}" in known:
            days = _days(connection, _SIGN, route)
            title = f"Median days from the first sign that a partner knew to the duty: {told}"
            name = f"sign_days_{route}_median"
            yield figure_of(name, LEAD_GROUP, title, Unit.DAYS, median(days), None, households)


def possession_figure(
    connection: duckdb.DuckDBPyConnection, wanted: Mapping[str, tuple[Wanted, str]], households: int
) -> Iterator[Figure]:
    """Yield the median weeks from a possession claim to the repossession."""
    if "truth.possessions.repossession_date" not in known_names(connection):
        return
    found = connection.execute(
        """
        select date_diff('day', claim_date, repossession_date) / 7 as weeks from truth.possessions
        where repossession_date is not null
        """
    ).fetchnumpy()
    name = "possession_claim_to_repossession_weeks"
    target, about = wanted.get(name, (None, ""))
    title = "Median weeks from a possession claim to the repossession"
    weeks = median(np.asarray(found["weeks"], dtype=float))
    yield figure_of(name, "homelessness", title, Unit.WEEKS, weeks, target, households, about)


def median(values: np.ndarray) -> Estimate | None:
    """Return the median with the interval that the order of the values gives; `None` of nothing."""
    if not len(values):
        return None
    ordered = np.sort(values)
    low = max(int(stats.binom.ppf((1 - CONFIDENCE) / 2, len(ordered), 0.5)) - 1, 0)
    high = len(ordered) - 1 - low
    middle = float(np.median(ordered))
    return Estimate(middle, float(ordered[low]), float(ordered[high]), len(ordered), len(ordered))


def hub_figures(connection: duckdb.DuckDBPyConnection, households: int) -> Iterator[Figure]:
    """Yield the ratio of duties, helped over not helped: as they stand, and within strata of equal true chance."""
    needs = {f"truth.interventions.{column}" for column in ("household_id", "offered_date", "accepted")}
    if not needs <= known_names(connection):
        return
    connection.execute(_HUB_SQL.read_text(encoding="utf-8"))
    rows = connection.execute("select stratum, helped, household_months, duties from hub_strata").fetchnumpy()
    counts = np.zeros((len(np.unique(rows["stratum"])), 2, 2))
    place = np.unique(rows["stratum"], return_inverse=True)[1]
    counts[place, np.asarray(rows["helped"], dtype=int), 0] = rows["household_months"]
    counts[place, np.asarray(rows["helped"], dtype=int), 1] = rows["duties"]
    yield figure_of(
        "hub_effect_naive",
        HUB_GROUP,
        "Helped over not helped, as they stand",
        Unit.RATIO,
        rate_ratio(counts.sum(axis=0)[None]),
        Wanted(10.0, 1.0, 60.0, "design: help is offered first to those at high risk", False),
        households,
        "Duties in the one to six months after. Above 1, help seems to do harm.",
    )
    yield figure_of(
        "hub_effect_at_equal_chance",
        HUB_GROUP,
        "Helped over not helped, beside households of equal true chance",
        Unit.RATIO,
        rate_ratio(counts),
        Wanted(float(np.exp(HUB_EFFECT)), 0.45, 0.85, "design: hazard, a hub intervention −0.5", False),
        households,
        "Mantel and Haenszel's ratio over strata of the chance at the month's start. Help that ends within the six "
        "months, or comes late in its month, draws it towards 1.",
    )
    helped, others = counts.sum(axis=0)[1], counts.sum(axis=0)[0]
    for name, title, (months, _) in (
        ("hub_helped_household_months", "Household-months in which help was accepted", helped),
        ("hub_other_household_months", "Household-months without", others),
    ):
        found = Estimate(float(months), float(months), float(months), float(months), float(months))
        yield figure_of(name, HUB_GROUP, title, Unit.NUMBER, found, None, households)


def rate_ratio(counts: np.ndarray) -> Estimate | None:
    """Return Mantel and Haenszel's risk ratio with Greenland and Robins' interval.

    `counts` is strata x (not helped, helped) x (household-months, duties). `None` where either has no duty.
    """
    (n0, d0), (n1, d1) = counts[:, 0].T, counts[:, 1].T
    total = n0 + n1
    both = (n0 > 0) & (n1 > 0)
    n0, d0, n1, d1, total = (values[both] for values in (n0, d0, n1, d1, total))
    upper, lower = (d1 * n0 / total).sum(), (d0 * n1 / total).sum()
    if upper <= 0 or lower <= 0:
        return None
    spread = ((n0 * n1 * (d0 + d1) - d0 * d1 * total) / total**2).sum() / (upper * lower)
    value = upper / lower
    half = float(stats.norm.ppf(0.5 + CONFIDENCE / 2)) * float(np.sqrt(spread))
    return Estimate(value, value * np.exp(-half), value * np.exp(half), float(d1.sum()), float(n1.sum()))


def _days(connection: duckdb.DuckDBPyConnection, since: str, route: str) -> np.ndarray:
    found = connection.execute(
        f"select date_diff('day', {since}, duty_date) as days from duties where route = $route and {since} is not null",
        {"route": route},
    ).fetchnumpy()
    return np.asarray(found["days"], dtype=float)
