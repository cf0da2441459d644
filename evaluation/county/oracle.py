"""How predictable the county is: what the oracle's top shares hold, and whether its chances come true."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from evaluation.county.figures import share

TOP_SHARES = (0.01, 0.02, 0.05)
BINS = 20
_SQL = Path(__file__).with_name("oracle.sql")


@dataclass(frozen=True)
class OracleFigures:
    """The oracle on test months a quarter apart.

    `concentration` holds, for growing shares of households in order of true chance, the share of the coming duties
    among them. `bins` are households by true chance: mean chance, share to whom a duty came, households, the 95 %
    interval of that share.
    """

    months: tuple[str, ...]
    events: int
    tops: tuple[tuple[float, float], ...]
    concentration: tuple[tuple[float, float], ...]
    bins: tuple[tuple[float, float, int, float, float], ...]


def prepare_oracle(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(_SQL.read_text(encoding="utf-8"))


def oracle_curves(connection: duckdb.DuckDBPyConnection) -> OracleFigures:
    """Return what the plots show: concentration, and chances against what came."""
    months = connection.execute(
        "select distinct cast(month as varchar) from oracle_months order by 1"
    ).fetchall()
    rows = connection.execute(
        "select place, chance, came from oracle_months order by place, month, household_id"
    ).fetchnumpy()
    came = np.asarray(rows["came"], dtype=bool)
    place, chance = np.asarray(rows["place"]), np.asarray(rows["chance"])
    return OracleFigures(
        months=tuple(str(month) for (month,) in months),
        events=int(came.sum()),
        tops=tuple((top, float((place[came] <= top).mean())) for top in TOP_SHARES) if came.any() else (),
        concentration=_concentration(place, came),
        bins=_bins(chance, came),
    )


def _concentration(place: np.ndarray, came: np.ndarray) -> tuple[tuple[float, float], ...]:
    shares = np.concatenate([np.arange(0, 0.1, 0.0025), np.arange(0.1, 1.0001, 0.02)])
    if not came.any():
        return ()
    held = np.searchsorted(np.sort(place[came]), shares, side="right") / came.sum()
    return tuple((float(one), float(other)) for one, other in zip(shares, held, strict=True))


def _bins(chance: np.ndarray, came: np.ndarray) -> tuple[tuple[float, float, int, float, float], ...]:
    """Split households into bins that expect as many duties each: rare high chances get bins of their own."""
    order = np.argsort(chance, kind="stable")
    expected = np.cumsum(chance[order])
    if not len(order) or expected[-1] <= 0:
        return ()
    number = np.minimum((expected / expected[-1] * BINS).astype(int), BINS - 1)
    bins = []
    for place in np.unique(number):
        rows = order[number == place]
        count = len(rows)
        found = share(int(came[rows].sum()), count)
        if found is not None:
            bins.append((float(chance[rows].mean()), found.value, count, found.low, found.high))
    return tuple(bins)
