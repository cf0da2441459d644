"""Alerts: the households of a month whose score passes the use case's threshold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from governance.use_cases import UseCase
from models_ml.judge import top_count
from models_ml.tables import make_risk_tables
from stores.analytics import AnalyticsZone


@dataclass(frozen=True)
class AlertReport:
    """How many alerts a month gave, and what bound them."""

    use_case: str
    as_of_month: date
    alerts: int
    households: int
    minimum_score: float
    capacity: int


def raise_alerts(zone: AnalyticsZone, use_case: UseCase, as_of_month: date) -> AlertReport:
    """Replace the partition of `risk.alerts`: scores of at least the minimum, within the capacity.

    Raises `ValueError` if the month has not been scored.
    """
    partition = [use_case.use_case, as_of_month]
    with zone.warehouse() as warehouse:
        make_risk_tables(warehouse)
        row = warehouse.execute(
            "select count(*) from risk.scores where use_case = ? and as_of_month = ?", partition
        ).fetchone()
        households = row[0] if row else 0
        if not households:
            raise ValueError(
                f"{use_case.use_case}: {as_of_month:%Y-%m} has not been scored yet. Score it first."
            )
        capacity = top_count(households, use_case.threshold.capacity_share)
        warehouse.begin()
        warehouse.execute("delete from risk.alerts where use_case = ? and as_of_month = ?", partition)
        warehouse.execute(
            """
            insert into risk.alerts
            select as_of_month, use_case, household_id, property_ref, score, rank, model_version, reasons
            from risk.scores
            where use_case = ? and as_of_month = ? and score >= ? and rank <= ?
            order by rank
            """,
            [*partition, use_case.threshold.minimum_score, capacity],
        )
        made = warehouse.execute(
            "select count(*) from risk.alerts where use_case = ? and as_of_month = ?", partition
        ).fetchone()
        warehouse.commit()
    return AlertReport(
        use_case=use_case.use_case,
        as_of_month=as_of_month,
        alerts=made[0] if made else 0,
        households=households,
        minimum_score=use_case.threshold.minimum_score,
        capacity=capacity,
    )
