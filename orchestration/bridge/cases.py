"""Cases: the alerts that came back to the council, opened and kept until they expire."""

import dagster as dg

from bridge.cases.cases import receive_cases
from orchestration.bridge.council import Council
from orchestration.metadata import metadata_of
from orchestration.names import BRIDGE, CASES_KEY, RETURNED_ALERTS_KEY
from orchestration.night import Night

OWNER = "homelessness.prevention@doorstep.example"
CASES_JOB = "bridge_cases"


@dg.asset(
    key=CASES_KEY,
    deps=[RETURNED_ALERTS_KEY],
    group_name=BRIDGE,
    owners=[OWNER],
    kinds={"cryptography", "duckdb"},
    automation_condition=dg.AutomationCondition.eager(),
    description=(
        "One row per alert that came back: score, reasons and record references, kept until its retention ends. Whose "
        "records they are, only the re-identification door can say."
    ),
)
def cases(council: Council, night: Night) -> dg.MaterializeResult:
    report = receive_cases(council.zone(), night.day())
    if report.refused:
        refused = "; ".join(f"{each.name}: {each.reason}" for each in report.refused)
        raise dg.Failure(
            f"{len(report.refused)} package(s) of alerts refused, {report.packages} kept. {refused}",
            metadata=metadata_of(report),
            allow_retries=False,
        )
    return dg.MaterializeResult(metadata=metadata_of(report))


cases_job = dg.define_asset_job(
    CASES_JOB,
    selection=dg.AssetSelection.assets(CASES_KEY),
    description="Open the alerts that came back from the analytics zone, and forget those past their retention.",
    tags={"zone": "council"},
)
