"""Baselines that stand beside every model: what a council could do without one.

Each gives a score per row; higher is riskier. Ties are broken by the household's id, so that nothing hangs
on row order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from models_ml.features import Feature
from models_ml.model import ModelParameters, fit_logistic

Floats = npt.NDArray[np.float64]

BASELINES = ("base_rate", "days_since_last_case", "highest_arrears_first", "logistic_regression")
# Columns that baselines rank by.
LAST_CASE = "days_since_last_case"
ARREARS = ("rent_arrears_balance", "council_tax_balance")


def baseline_scores(
    train: pd.DataFrame, test: pd.DataFrame, features: Sequence[Feature], parameters: ModelParameters
) -> Mapping[str, Floats]:
    """Return scores of every baseline for the rows of `test`, fitted on `train` where there is something to
    fit.
    """
    return {
        "base_rate": np.full(len(test), float(train["label"].mean())),
        "days_since_last_case": days_since_last_case(test),
        "highest_arrears_first": highest_arrears_first(test),
        "logistic_regression": fit_logistic(train, features, parameters).score(test),
    }


def days_since_last_case(frame: pd.DataFrame) -> Floats:
    """Most recent homelessness case first; households without one last."""
    return -frame[LAST_CASE].to_numpy(dtype=np.float64, na_value=np.inf)


def highest_arrears_first(frame: pd.DataFrame) -> Floats:
    """Rent and council tax arrears together, in pounds."""
    return np.sum([frame[column].to_numpy(dtype=np.float64, na_value=0.0) for column in ARREARS], axis=0)
