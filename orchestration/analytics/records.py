"""Records: what the council sent, opened into the warehouse and the linkage store."""

from collections.abc import Iterator

import dagster as dg

from exchange.opening import open_packages
from governance.contracts import FeedContract
from orchestration.analytics.datacentre import DataCentre
from orchestration.metadata import metadata_of
from orchestration.names import RECORDS, pseudonymised_key, records_key

# Runs when something upstream is new, and never past a failed blocking check (a plain `eager` would).
WHEN_CHECKED = dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()


def records_assets(contract: FeedContract) -> dg.AssetsDefinition:
    """Return the payload tables of one feed as one step that opens its packages."""

    @dg.multi_asset(
        name=f"records_{contract.feed}",
        specs=[
            dg.AssetSpec(
                records_key(table.qualified_name),
                deps=[pseudonymised_key(contract.feed)],
                description=f"{table.description} Pseudonymous payload, every version with the day it was received.",
                group_name=RECORDS,
                owners=[contract.owner],
                kinds={"python", "duckdb"},
                automation_condition=WHEN_CHECKED,
            )
            for table in contract.payload_tables
        ],
    )
    def records(data_centre: DataCentre) -> Iterator[dg.MaterializeResult]:
        report = open_packages(data_centre.zone(), contract)
        for table in contract.payload_tables:
            yield dg.MaterializeResult(
                asset_key=records_key(table.qualified_name), metadata=metadata_of(report)
            )

    return records
