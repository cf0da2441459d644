"""The temporal split: train on the past, leave a gap as long as the horizon, test on what came after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from governance.retention import add_months


class NotEnoughHistoryError(RuntimeError):
    """There are too few complete months to train and test."""


@dataclass(frozen=True)
class TemporalSplit:
    """Months to train on and months to test on. No label window of the first reaches into the second."""

    train_months: tuple[date, ...]
    test_months: tuple[date, ...]


def temporal_split(months: Sequence[date], horizon_months: int, test_count: int) -> TemporalSplit:
    """Split complete `months`: the last `test_count` to test; to train, those whose label windows end
    before the first of them.

    Raises `NotEnoughHistoryError` if nothing is left to train on.
    """
    ordered = sorted(months)
    test = ordered[-test_count:]
    train = [month for month in ordered if test and add_months(month, horizon_months) <= test[0]]
    if not train:
        raise NotEnoughHistoryError(
            f"{len(ordered)} complete months do not reach for {test_count} test month(s) and a gap of "
            f"{horizon_months} months. Make the features of earlier months, or wait."
        )
    return TemporalSplit(tuple(train), tuple(test))


def rolling_splits(
    months: Sequence[date], horizon_months: int, step_months: int, least_train: int
) -> list[TemporalSplit]:
    """Split complete `months` again and again: the last as the test month, then every `step_months` before
    it.

    Each split trains only on its own past, with the gap, and on at least `least_train` months; oldest test
    month first.
    """
    ordered = sorted(months)
    splits = []
    for test in ordered[::-1][::step_months]:
        train = [month for month in ordered if add_months(month, horizon_months) <= test]
        if len(train) >= least_train:
            splits.append(TemporalSplit(tuple(train), (test,)))
    return splits[::-1]


def later_half(months: Sequence[date]) -> list[date]:
    """Return the later half of `months` (at least one): the slice that a model is calibrated on."""
    ordered = sorted(months)
    return ordered[len(ordered) // 2 :]
