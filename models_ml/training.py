"""Training: judge on a temporal split, fit on everything that is complete, keep the artefact with its
version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import sklearn

from governance.use_cases import UseCase
from models_ml.artefacts import MODEL_FILE, model_folder, save_model
from models_ml.baselines import baseline_scores
from models_ml.cards import model_card
from models_ml.cohort import feature_months, read_cohort
from models_ml.features import Feature, features_of, read_features
from models_ml.judge import CalibrationPoint, Figure, calibration_curve, calibration_error, judge
from models_ml.label import complete_months, with_labels
from models_ml.model import Floats, ModelParameters, fit_model
from models_ml.registry import (
    TEST_MONTHS,
    Evaluation,
    record_evaluation,
    record_version,
    recorded_evaluation,
    recorded_sha256,
)
from models_ml.split import NotEnoughHistoryError, TemporalSplit, later_half, temporal_split
from models_ml.tables import make_risk_tables
from stores.analytics import AnalyticsZone

VERSION_DIGITS = 16
MODEL = "model"


@dataclass(frozen=True)
class TrainingReport:
    """What was trained, on how much, and how it did on the temporal split."""

    use_case: str
    model_version: str
    is_new: bool
    data_digest: str
    train_months: tuple[date, ...]
    train_rows: int
    train_events: int
    evaluation_train_months: tuple[date, ...]
    test_months: tuple[date, ...]
    figures: tuple[Figure, ...]
    calibration: tuple[CalibrationPoint, ...]
    calibration_error: float


def train_risk_model(
    zone: AnalyticsZone,
    use_case: UseCase,
    as_of_month: date,
    parameters: ModelParameters = ModelParameters(),  # noqa: B008 - frozen
) -> TrainingReport:
    """Train on the months whose labels are complete by `as_of_month`, judge on a temporal split, record both.

    The version is a hash of data, features, parameters and library: the same data gives the same version
    and the same scores, and is not trained twice. Raises `PurposeError`, `NotEnoughHistoryError`, or
    `EmptyCohortError`.
    """
    features = features_of(use_case, read_features())
    rows, months = labelled_rows(zone, use_case, features, as_of_month)
    data_digest = digest_of(rows)
    version = version_of(data_digest, use_case, features, parameters)
    folder = model_folder(zone.home, use_case.use_case, version)
    if (folder / MODEL_FILE).is_file():
        with zone.warehouse() as warehouse:
            make_risk_tables(warehouse)
            if (sha256 := recorded_sha256(warehouse, use_case.use_case, version)) is not None:
                record_version(warehouse, use_case.use_case, version, as_of_month, sha256)
                evaluation = recorded_evaluation(warehouse, use_case, version, months)
                return _report(use_case, version, False, data_digest, rows, months, evaluation)
    evaluation = evaluate(rows, use_case, features, parameters)
    model = fit_model(rows, features, parameters, use_case.seed, _is_in(rows, later_half(months)))
    chosen = {
        "use_case": use_case.use_case,
        "model_version": version,
        "trained_as_of": f"{as_of_month}",
        "data_digest": data_digest,
        "horizon_months": use_case.horizon_months,
        "seed": use_case.seed,
        "months": [f"{month}" for month in months],
        "features": [feature.name for feature in features],
        "model": parameters.as_dict(),
        "calibration": {"slope": model.slope, "intercept": model.intercept},
        "scikit_learn": sklearn.__version__,
    }
    report = _report(use_case, version, True, data_digest, rows, months, evaluation)
    sha256 = save_model(
        zone.home, use_case.use_case, version, model, chosen, model_card(use_case, report, chosen)
    )
    with zone.warehouse() as warehouse:
        make_risk_tables(warehouse)
        record_evaluation(warehouse, use_case.use_case, version, evaluation)
        record_version(warehouse, use_case.use_case, version, as_of_month, sha256)
    return report


def labelled_rows(
    zone: AnalyticsZone, use_case: UseCase, features: Sequence[Feature], as_of_month: date
) -> tuple[pd.DataFrame, list[date]]:
    """Return the cohort's rows of every month whose label is complete by `as_of_month`, and those months.

    Raises `NotEnoughHistoryError` if there is none.
    """
    with zone.warehouse(read_only=True) as warehouse:
        made = set(feature_months(warehouse))
        months = [month for month in complete_months(warehouse, use_case, as_of_month) if month in made]
        if not months:
            raise NotEnoughHistoryError(
                f"{use_case.use_case}: no month has a complete label by {as_of_month:%Y-%m} yet."
            )
        cohort = read_cohort(warehouse, use_case, features, months)
        return with_labels(warehouse, use_case, cohort, months), months


def scores_after(
    rows: pd.DataFrame,
    split: TemporalSplit,
    use_case: UseCase,
    features: Sequence[Feature],
    parameters: ModelParameters,
    *,
    is_calibrated: bool,
) -> tuple[pd.DataFrame, dict[str, Floats]]:
    """Fit model and baselines on the past of `split`; return the rows of its test months and each
    ranking's scores.

    Without calibration the order is the same and the fit four times as quick.
    """
    train, test = rows[_is_in(rows, split.train_months)], rows[_is_in(rows, split.test_months)]
    later = _is_in(train, later_half(split.train_months)) if is_calibrated else None
    model = fit_model(train, features, parameters, use_case.seed, later)
    return test, {MODEL: model.score(test), **baseline_scores(train, test, features, parameters)}


def evaluate(
    rows: pd.DataFrame, use_case: UseCase, features: Sequence[Feature], parameters: ModelParameters
) -> Evaluation:
    """Judge the model and its baselines on months after those they were fitted on, with a gap of the
    horizon.
    """
    months = [timestamp.date() for timestamp in sorted(pd.to_datetime(rows["as_of_month"].unique()))]
    split = temporal_split(months, use_case.horizon_months, TEST_MONTHS)
    test, scores = scores_after(rows, split, use_case, features, parameters, is_calibrated=True)
    figures = [
        figure for name, values in scores.items() for figure in judge(name, test, values, use_case.seed)
    ]
    curve = calibration_curve(scores[MODEL], test["label"].to_numpy(dtype=bool))
    return Evaluation(split, tuple(figures), tuple(curve), calibration_error(curve))


def digest_of(rows: pd.DataFrame) -> str:
    """Return a SHA-256 over every value of `rows` in their order, and the names of the columns."""
    digest = hashlib.sha256("\0".join(rows.columns).encode())
    digest.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def version_of(
    data_digest: str, use_case: UseCase, features: Sequence[Feature], parameters: ModelParameters
) -> str:
    """Return the model version: a hash of all that decides what the model becomes."""
    decisive = {
        "data": data_digest,
        "use_case": use_case.model_dump(include={"use_case", "unit", "horizon_months", "seed"}),
        "features": [
            feature.model_dump(include={"name", "feed", "also", "kind", "sign"}) for feature in features
        ],
        "parameters": parameters.as_dict(),
        "scikit_learn": sklearn.__version__,
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:VERSION_DIGITS]


def _is_in(rows: pd.DataFrame, months: Sequence[date]) -> npt.NDArray[np.bool_]:
    return rows["as_of_month"].isin(pd.to_datetime(list(months))).to_numpy()


def _report(
    use_case: UseCase,
    version: str,
    is_new: bool,
    data_digest: str,
    rows: pd.DataFrame,
    months: Sequence[date],
    evaluation: Evaluation,
) -> TrainingReport:
    return TrainingReport(
        use_case=use_case.use_case,
        model_version=version,
        is_new=is_new,
        data_digest=data_digest,
        train_months=tuple(months),
        train_rows=len(rows),
        train_events=int(rows["label"].sum()),
        evaluation_train_months=evaluation.split.train_months,
        test_months=evaluation.split.test_months,
        figures=evaluation.figures,
        calibration=evaluation.calibration,
        calibration_error=evaluation.calibration_error,
    )
