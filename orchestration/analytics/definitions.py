"""Definitions of code location `analytics`."""

import dagster as dg

from governance.contracts import read_contracts
from orchestration.analytics.datacentre import DataCentre
from orchestration.analytics.dbt import dbt_assets_of, dbt_resource, prepare_manifest
from orchestration.analytics.dbt_unit_tests import dbt_unit_test_checks
from orchestration.analytics.partitions import as_of_months, scores_partitions, use_cases
from orchestration.analytics.people import people_asset
from orchestration.analytics.published import PUBLISHED_KEY, published_marts
from orchestration.analytics.records import records_assets
from orchestration.analytics.retention import RECEIPTS_KEY, retention_receipts
from orchestration.analytics.risk import (
    ALERTS_KEY,
    MODELS_KEY,
    SCORES_KEY,
    alerts,
    returned_alerts,
    risk_models,
    risk_scores,
)
from orchestration.names import RETURNED_ALERTS_KEY, TIME_ZONE
from orchestration.night import Night, night_config, scheduled_night
from stores.home import Home

CONTRACTS = read_contracts()
MANIFEST = prepare_manifest(Home.from_environment())

records = [records_assets(contract) for contract in CONTRACTS.values()]
people = people_asset(list(CONTRACTS.values()))
dbt_whole, dbt_monthly = dbt_assets_of(MANIFEST)
unit_tests = dbt_unit_test_checks(MANIFEST)

apart_from_unit_tests = dg.AssetSelection.checks(*unit_tests)

JOBS = [
    dg.define_asset_job(
        "records_and_people",
        selection=dg.AssetSelection.assets(*records, people, dbt_whole) - apart_from_unit_tests,
        description="Open the packages that came, resolve people, make staging anew.",
    ),
    dg.define_asset_job(
        "household_months",
        selection=dg.AssetSelection.assets(dbt_monthly) - apart_from_unit_tests,
        partitions_def=as_of_months,
        description="Make households, features and labels for a range of months.",
    ),
    dg.define_asset_job(
        "unit_tests_of_models",
        selection=dg.AssetSelection.checks(*unit_tests),
        description="Run the dbt unit tests and report each as a check of its model.",
    ),
    dg.define_asset_job(
        "risk_models",
        selection=dg.AssetSelection.assets(MODELS_KEY),
        partitions_def=use_cases,
        description="Train and judge the model of a use case.",
    ),
    dg.define_asset_job(
        "risk_scores",
        selection=dg.AssetSelection.assets(SCORES_KEY, ALERTS_KEY, RETURNED_ALERTS_KEY),
        partitions_def=scores_partitions,
        description="Score a month for a use case, raise the alerts above its threshold and seal them to the council.",
    ),
    dg.define_asset_job(
        "retention",
        selection=dg.AssetSelection.assets(RECEIPTS_KEY),
        description="Remove what is past its retention period, bytes and all.",
    ),
    dg.define_asset_job(
        "published_marts",
        selection=dg.AssetSelection.assets(PUBLISHED_KEY),
        description="Build, check and publish the marts of each audience.",
    ),
]


@dg.schedule(
    name="analytics_nightly",
    job_name="records_and_people",
    cron_schedule="0 3 * * *",
    execution_timezone=TIME_ZONE,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every night at 03:00: open packages, resolve people. Features, scores and marts follow by automation.",
)
def analytics_nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    return dg.RunRequest(run_config=night_config(scheduled_night(context)))


@dg.schedule(
    name="retention_nightly",
    job_name="retention",
    cron_schedule="0 5 * * *",
    execution_timezone=TIME_ZONE,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every night at 05:00: the retention sweep.",
)
def retention_nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    return dg.RunRequest(run_config=night_config(scheduled_night(context)))


defs = dg.Definitions(
    assets=[
        *records,
        people,
        dbt_whole,
        dbt_monthly,
        risk_models,
        risk_scores,
        alerts,
        returned_alerts,
        retention_receipts,
        published_marts,
    ],
    asset_checks=unit_tests,
    jobs=JOBS,
    schedules=[analytics_nightly, retention_nightly],
    sensors=[dg.AutomationConditionSensorDefinition("analytics_automation", target=dg.AssetSelection.all())],
    resources={"data_centre": DataCentre(), "night": Night(), "dbt": dbt_resource()},
    # One process for all steps of a run: starting Python, dbt and Splink takes longer than most steps.
    executor=dg.in_process_executor,
)
