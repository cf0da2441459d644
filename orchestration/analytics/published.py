"""Published marts: what analysts read, built aside, checked, and made current by one move."""

import dagster as dg

from governance.audiences import ANALYSTS, published_relations
from governance.retention import read_retention
from orchestration.analytics.datacentre import DataCentre
from orchestration.analytics.records import WHEN_CHECKED
from orchestration.analytics.risk import ALERTS_KEY, SCORES_KEY
from orchestration.metadata import metadata_of
from orchestration.names import PUBLISHED
from orchestration.night import Night
from stores.publishing import publish

OWNER = "analytics@doorstep.example"

PUBLISHED_KEY = dg.AssetKey(["published", ANALYSTS])
MARTS = tuple(
    dg.AssetKey(["marts", name])
    for name in ("households", "household_features", "household_labels", "feed_health")
)


@dg.asset(
    key=PUBLISHED_KEY,
    deps=[*MARTS, SCORES_KEY, ALERTS_KEY],
    group_name=PUBLISHED,
    owners=[OWNER],
    kinds={"duckdb"},
    automation_condition=WHEN_CHECKED,
    description=(
        "One row per published relation of the analysts' current version: an encrypted, read-only DuckDB file with ids "
        "made for this audience alone. Connections to an earlier version go on reading it."
    ),
)
def published_marts(data_centre: DataCentre, night: Night) -> dg.MaterializeResult:
    # Features outlive their publication: what the marts' own rule has let go is not published again.
    oldest_month = read_retention()["published_marts"].oldest_kept(night.day())
    report = publish(data_centre.zone(), ANALYSTS, published_relations(ANALYSTS), oldest_month=oldest_month)
    return dg.MaterializeResult(metadata=metadata_of(report))
