"""Definitions of code location `bridge`."""

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg

from governance.contracts import FeedContract, read_contracts
from orchestration.bridge.assets import bridge_assets
from orchestration.bridge.cases import CASES_JOB, cases, cases_job
from orchestration.bridge.council import Council
from orchestration.bridge.jobs import feed_job, job_name, run_requests
from orchestration.names import TIME_ZONE
from orchestration.night import Night, night_config, scheduled_night

CONTRACTS = read_contracts()
# The gazetteer goes first: the other feeds' addresses are matched against it.
FEED_JOBS = [feed_job(contract) for contract in CONTRACTS.values()]

INBOX_SECONDS = 60


@dg.sensor(
    name="inbox",
    jobs=FEED_JOBS,
    minimum_interval_seconds=INBOX_SECONDS,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Registers files that partners dropped into the inbox and asks for a run of each feed that has some.",
)
def inbox_sensor(context: dg.SensorEvaluationContext, council: Council) -> Iterator[dg.RunRequest]:
    today = datetime.now(ZoneInfo(TIME_ZONE)).date()
    zone = council.zone()
    yield from run_requests(context.instance, zone, today, list(zone.contracts))


def feed_schedule(contract: FeedContract) -> dg.ScheduleDefinition:
    """Every night at 01:00: the deliveries of one feed that wait."""

    @dg.schedule(
        name=f"{job_name(contract.feed)}_nightly",
        job_name=job_name(contract.feed),
        cron_schedule="0 1 * * *",
        execution_timezone=TIME_ZONE,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Every night at 01:00: the {contract.feed} deliveries that wait.",
    )
    def nightly(context: dg.ScheduleEvaluationContext, council: Council) -> Iterator[dg.RunRequest]:
        yield from run_requests(context.instance, council.zone(), scheduled_night(context), [contract.feed])

    return nightly


@dg.schedule(
    name=f"{CASES_JOB}_nightly",
    job_name=CASES_JOB,
    cron_schedule="0 6 * * *",
    execution_timezone=TIME_ZONE,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every night at 06:00: the alerts that came back, and cases past their retention.",
)
def cases_nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    return dg.RunRequest(run_config=night_config(scheduled_night(context)))


defs = dg.Definitions(
    assets=[*(asset for contract in CONTRACTS.values() for asset in bridge_assets(contract)), cases],
    jobs=[*FEED_JOBS, cases_job],
    sensors=[
        inbox_sensor,
        dg.AutomationConditionSensorDefinition("bridge_automation", target=dg.AssetSelection.all()),
    ],
    schedules=[*(feed_schedule(contract) for contract in CONTRACTS.values()), cases_nightly],
    resources={"council": Council(), "night": Night()},
    # One process for all steps of a run: importing Great Expectations takes longer than most steps.
    executor=dg.in_process_executor,
)
