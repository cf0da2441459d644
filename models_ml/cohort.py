"""The cohort: who is eligible at an as_of_month, with the features known by then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import duckdb
import pandas as pd

from governance.use_cases import UseCase
from models_ml.features import Feature

# Columns that name and date a row; never features.
ROW_COLUMNS = ("as_of_month", "household_id", "property_ref")


class EmptyCohortError(RuntimeError):
    """No household is eligible: the marts do not hold the month."""


def read_cohort(
    warehouse: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    features: Sequence[Feature],
    months: Sequence[date],
) -> pd.DataFrame:
    """Return one row per eligible household and month: `ROW_COLUMNS`, features as float64, and the dates
    of their facts.

    Eligible: at least one adult known to live there, and no open homelessness case. Ordered by month and
    household, so that the same data always comes in the same order. Raises `EmptyCohortError` if there is
    none.
    """
    if use_case.unit != "household":
        raise ValueError(f"{use_case.use_case}: scores people, but only household features are made so far")
    dates = sorted({feature.dated_by for feature in features if feature.dated_by})
    columns = [
        *ROW_COLUMNS,
        *(f"cast({feature.name} as double) as {feature.name}" for feature in features),
        *dates,
    ]
    frame = warehouse.execute(
        f"""
        select {", ".join(columns)}
        from marts.household_features
        where as_of_month in (select unnest($months::date[])) and not has_open_case and adult_count > 0
        order by as_of_month, household_id
        """,
        {"months": [f"{month:%Y-%m-%d}" for month in months]},
    ).df()
    if frame.empty:
        raise EmptyCohortError(
            f"{use_case.use_case}: no eligible household in "
            f"{', '.join(f'{month:%Y-%m}' for month in months)}. Make the features of that month first."
        )
    return frame


def feature_months(warehouse: duckdb.DuckDBPyConnection) -> list[date]:
    """Return the months that household features have been made for, oldest first."""
    rows = warehouse.execute(
        "select distinct as_of_month from marts.household_features order by all"
    ).fetchall()
    return [row[0] for row in rows]
