"""The label: what happened to a household within the horizon, where the whole window has been observed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import duckdb
import pandas as pd

from governance.retention import add_months
from governance.use_cases import UseCase

# Horizons that the mart of labels has columns for, in months.
LABEL_HORIZONS = (1, 3, 6, 9)


def complete_months(
    warehouse: duckdb.DuckDBPyConnection, use_case: UseCase, known_by: date, horizon_months: int | None = None
) -> list[date]:
    """Return the months whose label windows had ended by `known_by` and are covered by deliveries, oldest
    first.
    """
    horizon = _horizon(use_case, horizon_months)
    rows = warehouse.execute(
        f"select distinct as_of_month from marts.household_labels where is_complete_{horizon}m order by all"
    ).fetchall()
    return [row[0] for row in rows if add_months(row[0], horizon) <= known_by]


def with_labels(
    warehouse: duckdb.DuckDBPyConnection,
    use_case: UseCase,
    cohort: pd.DataFrame,
    months: Sequence[date],
    horizon_months: int | None = None,
) -> pd.DataFrame:
    """Return `cohort` with a boolean `label`. Raises `ValueError` if a row's window is not complete."""
    horizon = _horizon(use_case, horizon_months)
    labels = warehouse.execute(
        f"""
        select as_of_month, household_id, is_owed_{horizon}m as label, is_complete_{horizon}m as is_complete
        from marts.household_labels
        where as_of_month in (select unnest($months::date[]))
        """,
        {"months": [f"{month:%Y-%m-%d}" for month in months]},
    ).df()
    labelled = cohort.merge(labels, on=["as_of_month", "household_id"], how="left", validate="one_to_one")
    if not labelled["is_complete"].fillna(False).astype(bool).all():
        raise ValueError(
            f"{use_case.use_case}: some windows of {horizon} months are not observed to their end"
        )
    labelled["label"] = labelled["label"].astype(bool)
    return labelled.drop(columns="is_complete")


def _horizon(use_case: UseCase, horizon_months: int | None) -> int:
    horizon = use_case.horizon_months if horizon_months is None else horizon_months
    if horizon not in LABEL_HORIZONS:
        raise ValueError(
            f"{use_case.use_case}: a horizon of {horizon} months has no label; there are {LABEL_HORIZONS}"
        )
    return horizon
