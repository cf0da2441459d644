"""Risk: the model of each use case, scores for each month and use case, and the alerts above the threshold."""

from datetime import date

import dagster as dg

from governance.retention import read_retention
from models_ml.alerts import raise_alerts
from models_ml.returned_alerts import return_alerts
from models_ml.scoring import SCORE_EDGES, score_month
from models_ml.training import train_risk_model
from orchestration.analytics.datacentre import DataCentre
from orchestration.analytics.partitions import USE_CASES, scores_partitions, use_cases
from orchestration.metadata import bars, calibration, metadata_of
from orchestration.names import RETURNED_ALERTS_KEY, RISK
from orchestration.night import Night

OWNER = "risk@doorstep.example"

FEATURES_KEY = dg.AssetKey(["marts", "household_features"])
LABELS_KEY = dg.AssetKey(["marts", "household_labels"])
MODELS_KEY = dg.AssetKey(["risk", "risk_models"])
SCORES_KEY = dg.AssetKey(["risk", "risk_scores"])
ALERTS_KEY = dg.AssetKey(["risk", "alerts"])

WHEN_CHECKED = dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()


@dg.asset(
    key=MODELS_KEY,
    # A model learns from every month.
    deps=[dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping()) for key in (FEATURES_KEY, LABELS_KEY)],
    partitions_def=use_cases,
    group_name=RISK,
    owners=[OWNER],
    kinds={"scikitlearn"},
    description=(
        "One row per use case: the calibrated model trained on the past, its baselines, and how they did on the months "
        "after. Trained each quarter, not each night."
    ),
)
def risk_models(
    context: dg.AssetExecutionContext, data_centre: DataCentre, night: Night
) -> dg.MaterializeResult:
    as_of_month = night.day().replace(day=1)
    report = train_risk_model(data_centre.zone(), USE_CASES[context.partition_key], as_of_month)
    figures = {
        f"{figure.ranking}: {figure.measure} {figure.top_share or ''}".strip(): round(figure.value, 4)
        for figure in report.figures
    }
    return dg.MaterializeResult(
        metadata={
            **metadata_of(report),
            "figures": dg.MetadataValue.json(figures),
            "calibration_curve": calibration(
                "Calibration on the test months",
                [point.mean_score for point in report.calibration],
                [point.event_share for point in report.calibration],
            ),
        }
    )


@dg.asset(
    key=SCORES_KEY,
    deps=[
        dg.AssetDep(FEATURES_KEY, partition_mapping=dg.MultiToSingleDimensionPartitionMapping("as_of_month")),
        dg.AssetDep(MODELS_KEY, partition_mapping=dg.MultiToSingleDimensionPartitionMapping("use_case")),
    ],
    partitions_def=scores_partitions,
    group_name=RISK,
    owners=[OWNER],
    kinds={"scikitlearn", "duckdb"},
    automation_condition=WHEN_CHECKED,
    description=(
        "One row per household of the cohort, with its calibrated score, rank and reasons. A run replaces its "
        "partition; a partition past its retention refuses to be made."
    ),
)
def risk_scores(
    context: dg.AssetExecutionContext, data_centre: DataCentre, night: Night
) -> dg.MaterializeResult:
    use_case, as_of_month = _partition(context)
    report = score_month(
        data_centre.zone(), USE_CASES[use_case], as_of_month, night.day(), read_retention()["risk_scores"]
    )
    distribution = bars(
        "Scores", [f"≤ {edge:g}" for edge in SCORE_EDGES], report.score_counts, "score", "households"
    )
    return dg.MaterializeResult(metadata={**metadata_of(report), "score_distribution": distribution})


@dg.asset(
    key=ALERTS_KEY,
    deps=[SCORES_KEY],
    partitions_def=scores_partitions,
    group_name=RISK,
    owners=[OWNER],
    kinds={"duckdb"},
    automation_condition=WHEN_CHECKED,
    description=(
        "One row per household whose score passes the use case's threshold: a least score and the council's "
        "capacity, both set in `contracts/use_cases/`."
    ),
)
def alerts(context: dg.AssetExecutionContext, data_centre: DataCentre) -> dg.MaterializeResult:
    use_case, as_of_month = _partition(context)
    return dg.MaterializeResult(
        metadata=metadata_of(raise_alerts(data_centre.zone(), USE_CASES[use_case], as_of_month))
    )


@dg.asset(
    key=RETURNED_ALERTS_KEY,
    deps=[ALERTS_KEY],
    partitions_def=scores_partitions,
    group_name=RISK,
    owners=[OWNER],
    kinds={"cryptography"},
    automation_condition=WHEN_CHECKED,
    description=(
        "One row per alert, sealed to the council: score, reasons and the references of the household's records. Only "
        "the council can tell whose they are."
    ),
)
def returned_alerts(
    context: dg.AssetExecutionContext, data_centre: DataCentre, night: Night
) -> dg.MaterializeResult:
    use_case, as_of_month = _partition(context)
    report = return_alerts(
        data_centre.zone(), USE_CASES[use_case], as_of_month, night.day(), read_retention()["returned_alerts"]
    )
    return dg.MaterializeResult(metadata=metadata_of(report))


def _partition(context: dg.AssetExecutionContext) -> tuple[str, date]:
    """The use case and month of the partition that a run makes."""
    key = context.partition_key
    if not isinstance(key, dg.MultiPartitionKey):
        raise TypeError("scores are partitioned by as_of_month and use_case")
    return key.keys_by_dimension["use_case"], date.fromisoformat(key.keys_by_dimension["as_of_month"])
