"""Reasons: the few facts that moved a household's score most, in words, with feed and date.

A fact's contribution is how far the log-odds would fall if that one value were the average household's
(occlusion).
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits

from models_ml.features import Feature
from models_ml.model import RiskModel

Floats = npt.NDArray[np.float64]

REASON_COUNT = 4
# Below this, in log-odds, a fact has not moved the score enough to be called a reason (a factor of 1.05 on
# the odds).
LEAST_CONTRIBUTION = 0.05
STAGES = ("none", "reminder", "second reminder", "final notice", "summons", "liability order", "enforcement")
BANDS = "-ABCDEFGH"


@dataclass(frozen=True)
class Reason:
    """One fact behind a score. `contribution` is in log-odds; `fact_date` is when it happened, where that is
    known.
    """

    text: str
    feature: str
    feed: str
    fact_date: date | None
    contribution: float


def contributions(model: RiskModel, frame: pd.DataFrame) -> Floats:
    """Return rows × features: log-odds of the row, minus those with that feature at the training average.

    Only the trees that look at a feature can change with it: asking all of them for every feature takes thirty times
    as long.
    """
    with threadpool_limits(limits=1):
        inputs = model.encoder.transform(frame)
        linear = model.linear(inputs)
        of_trees = None if model.trees is None else model.trees.decision_function(inputs)
        whole = model.together(linear, of_trees)
        slopes = model.logistic.coef_[0]
        parts = np.zeros_like(inputs)
        for place in range(inputs.shape[1]):
            # Rows that already are at the average (or unknown) have nothing to take away.
            rows = np.flatnonzero(np.nan_to_num(inputs[:, place]) != 0.0)
            if not len(rows):
                continue
            linear_without = linear[rows] - slopes[place] * inputs[rows, place]
            trees_without = None if of_trees is None else of_trees[rows]
            some = model.trees_that_use(place)
            if some is not None:
                occluded = inputs[rows].copy()
                occluded[:, place] = 0.0
                trees_without = (
                    trees_without + some.decision_function(occluded) - some.decision_function(inputs[rows])
                )
            parts[rows, place] = whole[rows] - model.together(linear_without, trees_without)
    return parts


def reasons(model: RiskModel, frame: pd.DataFrame, stale_feeds: Sequence[str] = ()) -> list[str]:
    """Return, per row of `frame`, its reasons as a JSON list, strongest first; stale feeds are named at
    the end.

    One fact often shows in several features of one feed and date; only the strongest of features with the
    same date and feed is told.
    """
    parts = contributions(model, frame)
    order = np.argsort(-parts, axis=1, kind="stable")
    notes = [
        {"text": f"no recent delivery of {feed}: its facts may be out of date", "feed": feed}
        for feed in stale_feeds
    ]
    records = frame.to_dict("records")
    found = []
    for row, record in enumerate(records):
        told: list[Reason] = []
        for place in order[row]:
            contribution = float(parts[row, place])
            if contribution < LEAST_CONTRIBUTION or len(told) == REASON_COUNT:
                break
            reason = _reason(model.features[place], record, contribution)
            if reason and not any(
                reason.fact_date and (reason.feed, reason.fact_date) == (other.feed, other.fact_date)
                for other in told
            ):
                told.append(reason)
        found.append(json.dumps([_as_json(reason) for reason in told] + notes, ensure_ascii=False))
    return found


def _reason(feature: Feature, record: Mapping[Hashable, Any], contribution: float) -> Reason | None:
    raw = record[feature.name]
    value = raw if isinstance(raw, float) and np.isfinite(raw) else 0.0
    present = value > 0.0
    if present:
        place = int(value)
        text = feature.words.format(
            value=value,
            stage=STAGES[min(place, len(STAGES) - 1)],
            band=BANDS[min(place, len(BANDS) - 1)],
        )
    elif feature.otherwise is not None:
        text = feature.otherwise
    else:
        return None
    dated = record.get(feature.dated_by) if feature.dated_by and present else None
    fact_date = dated.date() if isinstance(dated, pd.Timestamp) else None
    if fact_date is not None:
        text = f"{text} ({fact_date:%B %Y})"
    return Reason(text, feature.name, feature.feed, fact_date, round(contribution, 4))


def _as_json(reason: Reason) -> dict[str, object]:
    return {**asdict(reason), "fact_date": reason.fact_date.isoformat() if reason.fact_date else None}
