"""People: which records are the same person."""

from collections.abc import Sequence

import dagster as dg

from governance.contracts import FeedContract
from linkage.nights.drift import judge_night
from linkage.people import resolve_people
from orchestration.analytics.datacentre import DataCentre
from orchestration.analytics.linkage_checks import linkage_check_results, linkage_check_specs, night_metadata
from orchestration.analytics.records import WHEN_CHECKED
from orchestration.metadata import bars, metadata_of
from orchestration.names import LINKAGE, PEOPLE_KEY, records_key
from orchestration.night import Night

OWNER = "linkage@doorstep.example"


def people_asset(contracts: Sequence[FeedContract]) -> dg.AssetsDefinition:
    """Return the asset that resolves the records of every feed that names people."""
    deps = [
        records_key(t.qualified_name) for contract in contracts for t in contract.tables if t.holds_people
    ]

    @dg.asset(
        key=PEOPLE_KEY,
        deps=deps,
        group_name=LINKAGE,
        owners=[OWNER],
        kinds={"splink", "duckdb"},
        automation_condition=WHEN_CHECKED,
        description=(
            "One row per record with the person it belongs to, by Splink on link keys alone. The model is "
            "trained apart and reviewed (`linkage/model.json`); `person_id` is stable from night to night."
        ),
        check_specs=linkage_check_specs(),
    )
    def people(data_centre: DataCentre, night: Night) -> dg.MaterializeResult:
        report = resolve_people(data_centre.zone(), night=night.day())
        judged = judge_night(data_centre.zone(), night.day())
        metadata = metadata_of(report) | night_metadata(judged)
        if not report.skipped:
            weights, sizes = sorted(report.match_weights.items()), sorted(report.cluster_sizes.items())
            metadata["match_weight_plot"] = bars(
                "Match weights of compared pairs",
                [w for w, _ in weights],
                [n for _, n in weights],
                "match weight",
                "pairs",
            )
            metadata["cluster_size_plot"] = bars(
                "Records of a person", [size for size, _ in sizes], [n for _, n in sizes], "records", "people"
            )
        return dg.MaterializeResult(metadata=metadata, check_results=list(linkage_check_results(judged)))

    return people
