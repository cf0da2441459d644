"""How good a ranking is: precision, recall, lift at the council's capacity, average precision, calibration.

Every figure comes with its counts and an interval from resampling households, because a county's test
month holds few events. Ranks are taken within each month.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

TOP_SHARES = (0.005, 0.01, 0.02)
RESAMPLES = 200
INTERVAL = (2.5, 97.5)
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Figure:
    """One measure: value, the counts it is made of, and a 95 % interval."""

    ranking: str
    measure: str
    top_share: float | None
    value: float
    numerator: float
    denominator: float
    low: float
    high: float


@dataclass(frozen=True)
class CalibrationPoint:
    """One bin of the calibration curve: mean score and share of events among `households`."""

    mean_score: float
    event_share: float
    households: int
    events: int


def top_count(households: int, share: float) -> int:
    """How many households the top `share` of `households` is: rounded up, at least one."""
    return max(1, ceil(households * share - 1e-9))


def ranked_order(scores: Floats, household_ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return row positions from the highest score down. Ties go by the id read backwards: fixed, and blind
    to its start.
    """
    ties = np.array([household_id[::-1] for household_id in household_ids], dtype=object)
    return np.lexsort((ties, -scores))


def judge(ranking: str, rows: pd.DataFrame, scores: Floats, seed: int) -> list[Figure]:
    """Judge `scores` of `rows` (as_of_month, household_id, label): precision, recall, lift per top share;
    average precision.
    """
    months = [
        _Month(scores[positions], rows.iloc[positions])
        for positions in rows.groupby("as_of_month", sort=True).indices.values()
    ]
    households = sorted(set(rows["household_id"]))
    position_of = {household: position for position, household in enumerate(households)}
    for month in months:
        month.household = np.array([position_of[household] for household in month.ids], dtype=np.int64)
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(
        len(households), np.full(len(households), 1 / len(households)), size=RESAMPLES
    )
    figures = []
    for share in TOP_SHARES:
        caught = sum(month.caught(share) for month in months)
        chosen = sum(month.chosen(share) for month in months)
        events = sum(month.events for month in months)
        total = sum(len(month.labels) for month in months)
        resampled = [
            sum(values) for values in zip(*(month.resampled(weights, share) for month in months), strict=True)
        ]
        caught_again, chosen_again, events_again, total_again = resampled
        with np.errstate(divide="ignore", invalid="ignore"):
            intervals = {
                "precision": caught_again / chosen_again,
                "recall": caught_again / events_again,
                "lift": (caught_again / chosen_again) / (events_again / total_again),
            }
        figures += [
            _figure(ranking, "precision", share, caught, chosen, intervals["precision"]),
            _figure(ranking, "recall", share, caught, events, intervals["recall"]),
            _figure(
                ranking, "lift", share, caught / chosen, events / total if events else 0.0, intervals["lift"]
            ),
        ]
    events = sum(month.events for month in months)
    average = sum(month.average_precision() * month.events for month in months)
    again = np.array([_average_precision_again(months, weights[i]) for i in range(min(100, RESAMPLES))])
    figures.append(_figure(ranking, "average_precision", None, average, events, again))
    return figures


class _Month:
    """One month's rows in order of rank."""

    def __init__(self, scores: Floats, rows: pd.DataFrame) -> None:
        ids = rows["household_id"].tolist()
        order = ranked_order(scores, ids)
        self.ids = [ids[position] for position in order]
        self.labels = rows["label"].to_numpy(dtype=np.float64)[order]
        self.events = float(self.labels.sum())
        self.household = np.empty(0, dtype=np.int64)

    def chosen(self, share: float) -> int:
        return top_count(len(self.labels), share)

    def caught(self, share: float) -> float:
        return float(self.labels[: self.chosen(share)].sum())

    def average_precision(self, weights: Floats | None = None) -> float:
        labels = self.labels if weights is None else self.labels * weights
        sizes = np.ones_like(self.labels) if weights is None else weights
        hits, seen = np.cumsum(labels), np.cumsum(sizes)
        return float(np.sum(labels * hits / np.maximum(seen, 1.0)) / max(hits[-1], 1.0))

    def resampled(
        self, weights: npt.NDArray[np.int64], share: float
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Return caught, chosen, events and households per resample."""
        drawn = weights[:, self.household].astype(np.float64)
        total = drawn.sum(axis=1)
        size = np.maximum(1.0, np.ceil(total * share - 1e-9))
        reached = np.minimum(drawn.cumsum(axis=1), size[:, None])
        taken = np.diff(reached, axis=1, prepend=0.0)
        return (taken * self.labels).sum(axis=1), size, (drawn * self.labels).sum(axis=1), total


def _average_precision_again(months: Sequence[_Month], weights: npt.NDArray[np.int64]) -> float:
    drawn = [weights[month.household].astype(np.float64) for month in months]
    events = [float((month.labels * weight).sum()) for month, weight in zip(months, drawn, strict=True)]
    parts = [
        month.average_precision(weight) * event
        for month, weight, event in zip(months, drawn, events, strict=True)
    ]
    return sum(parts) / sum(events) if sum(events) else float("nan")


def _figure(
    ranking: str, measure: str, share: float | None, numerator: float, denominator: float, again: Floats
) -> Figure:
    known = again[np.isfinite(again)]
    low, high = np.percentile(known, INTERVAL) if len(known) else (float("nan"), float("nan"))
    value = numerator / denominator if denominator else float("nan")
    return Figure(
        ranking, measure, share, float(value), float(numerator), float(denominator), float(low), float(high)
    )


def calibration_curve(scores: Floats, labels: npt.NDArray[np.bool_]) -> list[CalibrationPoint]:
    """Return the calibration curve in bins of equal numbers of households, from the lowest scores up."""
    bins = np.array_split(np.argsort(scores, kind="stable"), CALIBRATION_BINS)
    return [
        CalibrationPoint(
            float(scores[rows].mean()), float(labels[rows].mean()), len(rows), int(labels[rows].sum())
        )
        for rows in bins
        if len(rows)
    ]


def calibration_error(curve: Sequence[CalibrationPoint]) -> float:
    """Expected calibration error: |mean score - event share|, weighted by households."""
    total = sum(point.households for point in curve)
    return sum(abs(point.mean_score - point.event_share) * point.households for point in curve) / total
