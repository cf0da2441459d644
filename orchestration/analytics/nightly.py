"""The analytics zone's night: which runs it takes, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from exchange.returns import returned_months
from governance.contracts import read_contracts
from governance.retention import add_months, read_retention
from models_ml.history import can_be_trained, newest_training, scored_months
from models_ml.tables import make_risk_tables
from orchestration.analytics.months import months_to_make
from orchestration.analytics.partitions import USE_CASES, as_of_months, scores_partition_key
from orchestration.partition_ranges import contiguous_ranges, range_tags
from stores.analytics import AnalyticsZone
from stores.home import Home

# A model is trained again once its newest training month lies this far back: rarely enough that the list is steady
# from night to night, often enough that it follows a change of rents or benefits within a quarter.
RETRAIN_AFTER_MONTHS = 3


@dataclass(frozen=True)
class PlannedRun:
    """A job to run, with the partition or range it takes."""

    label: str
    job: str
    tags: dict[str, str] = field(default_factory=dict)
    partition_key: str | None = None


def nightly_runs(home: Home, night: date) -> Iterator[PlannedRun]:
    """Yield the runs of `night` in order; what each needs is read when its turn comes, after the one before it."""
    zone = AnalyticsZone.open(home)
    contracts = read_contracts()
    retention = read_retention()
    yield PlannedRun("records and people", "records_and_people")

    changed = months_to_make(zone, contracts, night, retention["household_features"])
    known = as_of_months.get_partition_keys()
    for first, last in contiguous_ranges(known, [month.isoformat() for month in changed]):
        yield PlannedRun("household months", "household_months", tags=range_tags(first, last))

    as_of_month = night.replace(day=1)
    for name, use_case in USE_CASES.items():
        with zone.warehouse() as warehouse:
            make_risk_tables(warehouse)
            trained = newest_training(warehouse, name)
            scored = scored_months(warehouse, name)
            trainable = can_be_trained(warehouse, use_case, as_of_month)
        # A night that was stopped before it sealed the alerts of its month does the month again.
        done = scored & set(returned_months(home, name))
        if trained is None and not trainable:
            continue
        if trained is None or add_months(trained, RETRAIN_AFTER_MONTHS) <= as_of_month:
            yield PlannedRun(f"{name} model", "risk_models", partition_key=name)
        for month in sorted({month for month in scored if month in changed} | ({as_of_month} - done)):
            if not retention["risk_scores"].is_expired(month, night):
                yield PlannedRun(
                    f"{name} scores", "risk_scores", partition_key=scores_partition_key(month, name)
                )

    yield PlannedRun("retention", "retention")
    yield PlannedRun("published marts", "published_marts")
