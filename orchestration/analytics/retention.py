"""Retention: what has expired goes, from the stores and from Dagster's own records."""

import dagster as dg

from exchange.transport import Exchange
from governance.retention import read_retention
from governance.sweep import sweep
from orchestration.analytics.datacentre import DataCentre
from orchestration.analytics.partitions import month_of
from orchestration.analytics.risk import FEATURES_KEY, SCORES_KEY
from orchestration.metadata import metadata_of
from orchestration.night import Night

OWNER = "information.governance@doorstep.example"

RECEIPTS_KEY = dg.AssetKey(["governance", "retention_receipts"])


@dg.asset(
    key=RECEIPTS_KEY,
    group_name="governance",
    owners=[OWNER],
    kinds={"duckdb"},
    description=(
        "One row per table and night that the retention sweep removed rows from, with their number. Files are "
        "rewritten, so that the bytes are gone."
    ),
)
def retention_receipts(
    context: dg.AssetExecutionContext, data_centre: DataCentre, night: Night
) -> dg.MaterializeResult:
    rules = read_retention()
    zone = data_centre.zone()
    report = sweep(zone, Exchange.of(zone.home), night.day(), rules)
    forgotten = 0
    # Deleting rows does not clear Dagster's own records of the partitions they were in.
    for key, rule in ((SCORES_KEY, rules["risk_scores"]), (FEATURES_KEY, rules["household_features"])):
        materialised = context.instance.get_materialized_partitions(key)
        expired = [
            name for name in materialised if rule.is_expired(month_of(name.split("|")[0]), night.day())
        ]
        if expired:
            context.instance.wipe_asset_partitions(key, expired)
            forgotten += len(expired)
    return dg.MaterializeResult(metadata={**metadata_of(report), "partitions_forgotten": forgotten})
