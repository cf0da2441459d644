"""Alerts go back to the council: sealed, with the references of the households' records and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pyarrow.compute as pc

from exchange.returns import remove_alerts, returned_months, seal_alerts
from governance.retention import RetentionRule
from governance.use_cases import UseCase
from models_ml.tables import make_risk_tables, read_sql
from stores.analytics import AnalyticsZone


@dataclass(frozen=True)
class ReturnReport:
    """What one call sealed: counts only. `package` is empty for a month that is past its retention itself;
    `expired_packages` were taken out of the box.
    """

    use_case: str
    as_of_month: date
    alerts: int
    records: int
    threshold: float
    package: str
    expired_packages: int


def return_alerts(
    zone: AnalyticsZone, use_case: UseCase, as_of_month: date, night: date, retention: RetentionRule
) -> ReturnReport:
    """Seal the alerts of one use case and month to the council, and take packages past `retention` out of the box.

    Old months are scored anew when late files change them; past `retention` they do not return. Raises
    `KeyUnavailableError` if a key is missing.
    """
    asked = {
        "use_case": use_case.use_case,
        "as_of_month": as_of_month,
        "threshold": use_case.threshold.minimum_score,
    }
    with zone.warehouse() as warehouse:
        make_risk_tables(warehouse)
        alerts = warehouse.execute(read_sql("alerts_with_records"), asked).fetch_arrow_table()
    is_expired = retention.is_expired(as_of_month, night)
    if is_expired:
        alerts = alerts.slice(0, 0)
    package = "" if is_expired else seal_alerts(zone, use_case.use_case, as_of_month, night, alerts)
    expired = [
        month for month in returned_months(zone.home, use_case.use_case) if retention.is_expired(month, night)
    ]
    for month in expired:
        remove_alerts(zone.home, use_case.use_case, month)
    return ReturnReport(
        use_case=use_case.use_case,
        as_of_month=as_of_month,
        alerts=alerts.num_rows,
        records=pc.sum(pc.list_value_length(alerts["record_refs"])).as_py() or 0,
        threshold=use_case.threshold.minimum_score,
        package=package,
        expired_packages=len(expired),
    )
