"""What has been done already: when a use case's model was last trained, and which months are scored."""

from __future__ import annotations

from datetime import date

import duckdb

from governance.use_cases import UseCase
from models_ml.label import complete_months
from models_ml.registry import TEST_MONTHS
from models_ml.split import NotEnoughHistoryError, temporal_split


def newest_training(warehouse: duckdb.DuckDBPyConnection, use_case: str) -> date | None:
    """Return the newest `as_of_month` that a model of `use_case` was trained as of, or None. Needs the risk
    tables.
    """
    row = warehouse.execute(
        "select max(trained_as_of) from risk.model_versions where use_case = ?", [use_case]
    ).fetchone()
    return row[0] if row else None


def scored_months(warehouse: duckdb.DuckDBPyConnection, use_case: str) -> set[date]:
    """Return the months that hold scores of `use_case`. Needs the risk tables."""
    rows = warehouse.execute(
        "select distinct as_of_month from risk.scores where use_case = ?", [use_case]
    ).fetchall()
    return {row[0] for row in rows}


def can_be_trained(warehouse: duckdb.DuckDBPyConnection, use_case: UseCase, as_of_month: date) -> bool:
    """True once enough months have complete labels to train on and to test after a gap; a young council waits."""
    made = warehouse.execute("select 1 from duckdb_tables() where table_name = 'household_labels'").fetchone()
    try:
        months = complete_months(warehouse, use_case, as_of_month) if made else []
        temporal_split(months, use_case.horizon_months, TEST_MONTHS)
    except NotEnoughHistoryError:
        return False
    return True
