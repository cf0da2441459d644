"""The register of trained models in the warehouse: which one is current, and how each was judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import date

import duckdb

from governance.use_cases import UseCase
from models_ml.judge import CalibrationPoint, Figure, calibration_error
from models_ml.split import TemporalSplit, temporal_split

# How many of the last complete months a model is judged on. They overlap, so more would add rows but few
# events.
TEST_MONTHS = 1


class NoModelError(RuntimeError):
    """No model has been trained that may score a month."""


@dataclass(frozen=True)
class Evaluation:
    """How the model and its baselines did on months after those they were fitted on."""

    split: TemporalSplit
    figures: tuple[Figure, ...]
    calibration: tuple[CalibrationPoint, ...]
    calibration_error: float


@dataclass(frozen=True)
class ModelVersion:
    """A registered model."""

    use_case: str
    model_version: str
    trained_as_of: date
    sha256: str


def current_model(warehouse: duckdb.DuckDBPyConnection, use_case: str, as_of_month: date) -> ModelVersion:
    """Return the model to score `as_of_month` with: the latest trained on nothing after it. Raises
    `NoModelError`.
    """
    row = warehouse.execute(
        """
        select model_version, trained_as_of, sha256
        from risk.model_versions
        where use_case = $use_case and trained_as_of <= $as_of_month
        order by trained_as_of desc, sequence desc
        limit 1
        """,
        {"use_case": use_case, "as_of_month": as_of_month},
    ).fetchone()
    if row is None:
        raise NoModelError(
            f"{use_case}: no model was trained as of {as_of_month:%Y-%m} or before; a later one would know "
            "what came after. Train one first."
        )
    return ModelVersion(use_case, *row)


def recorded_sha256(warehouse: duckdb.DuckDBPyConnection, use_case: str, version: str) -> str | None:
    """Return the SHA-256 of a registered model's file, or None if it was never registered."""
    row = warehouse.execute(
        "select sha256 from risk.model_versions where use_case = ? and model_version = ? limit 1",
        [use_case, version],
    ).fetchone()
    return None if row is None else str(row[0])


def record_version(
    warehouse: duckdb.DuckDBPyConnection, use_case: str, version: str, as_of_month: date, sha256: str
) -> None:
    """Make `version` the current model as of `as_of_month`; nothing if it is already."""
    latest = warehouse.execute(
        """
        select model_version
        from risk.model_versions
        where use_case = ? and trained_as_of = ?
        order by sequence desc
        limit 1
        """,
        [use_case, as_of_month],
    ).fetchone()
    if latest != (version,):
        warehouse.execute(
            """
            insert into risk.model_versions
            select $use_case, $version, coalesce(max(sequence), 0) + 1, $as_of_month, $sha256
            from risk.model_versions
            where use_case = $use_case
            """,
            {"use_case": use_case, "version": version, "as_of_month": as_of_month, "sha256": sha256},
        )


def record_evaluation(
    warehouse: duckdb.DuckDBPyConnection, use_case: str, version: str, evaluation: Evaluation
) -> None:
    """Replace what is recorded of how `version` was judged."""
    warehouse.begin()
    for table in ("evaluations", "calibration"):
        warehouse.execute(
            f"delete from risk.{table} where use_case = ? and model_version = ?", [use_case, version]
        )
    warehouse.executemany(
        "insert into risk.evaluations values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(use_case, version, *astuple(figure)) for figure in evaluation.figures],
    )
    warehouse.executemany(
        "insert into risk.calibration values (?, ?, ?, ?, ?, ?, ?)",
        [(use_case, version, place, *astuple(point)) for place, point in enumerate(evaluation.calibration)],
    )
    warehouse.commit()


def recorded_evaluation(
    warehouse: duckdb.DuckDBPyConnection, use_case: UseCase, version: str, months: Sequence[date]
) -> Evaluation:
    """Read back how `version`, trained on `months`, was judged."""
    key = [use_case.use_case, version]
    figures = warehouse.execute(
        """
        select ranking, measure, top_share, value, numerator, denominator, low, high
        from risk.evaluations
        where use_case = ? and model_version = ?
        """,
        key,
    ).fetchall()
    points = warehouse.execute(
        """
        select mean_score, event_share, households, events
        from risk.calibration
        where use_case = ? and model_version = ?
        order by bin
        """,
        key,
    ).fetchall()
    curve = tuple(CalibrationPoint(*point) for point in points)
    return Evaluation(
        split=temporal_split(months, use_case.horizon_months, TEST_MONTHS),
        figures=tuple(Figure(*figure) for figure in figures),
        calibration=curve,
        calibration_error=calibration_error(curve),
    )
