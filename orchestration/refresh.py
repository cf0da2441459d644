"""The nightly refresh: both zones' jobs in order, in one process, with every run kept in the Dagster instance.

`doorstep refresh` and a scheduler outside Dagster use it; in the Dagster UI the same jobs run by schedule, sensor and
automation. What is left to do is read from the stores, not from Dagster: a night that was killed half-way is taken up
where its last committed step ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from bridge.zone import CouncilZone
from orchestration.bridge.jobs import job_name, sealing_keys, waiting_ranges
from orchestration.instance import prepare_instance
from orchestration.names import loaded_key
from orchestration.night import night_config
from orchestration.partition_ranges import range_tags
from stores.home import Home

CHECK_FAILED = "DagsterAssetCheckFailedError"

# Dagster writes each event to its storage, where people look; the console shows progress and what went wrong.
QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}


@dataclass(frozen=True)
class Step:
    """One run of the night and whether it went well."""

    name: str
    succeeded: bool
    run_id: str
    failures: tuple[str, ...]


def bridge_steps(home: Home, night: date, announce: Callable[[str], None]) -> Iterator[Step]:
    """Run the bridge's job of each feed over the deliveries that wait."""
    prepare_instance(home)
    from orchestration.bridge.council import Council
    from orchestration.bridge.definitions import defs

    # The analytics zone will need dbt's manifest: parsing takes a process of its own and as long as loading a feed.
    _parse_dbt_meanwhile(home)
    zone = Council().zone()
    with dg.DagsterInstance.get() as instance:
        _close_orphans(instance)
        blocked = set()
        # All feeds are loaded before any is pseudonymised: addresses of all are matched in one go, and the
        # gazetteer that they are matched against is the newest.
        for feed in zone.contracts:
            for tags in _waiting(instance, zone, feed):
                announce(f"{feed}: load and check")
                step = _run(defs, instance, job_name(feed), night, tags=tags, assets=[loaded_key(feed)])
                blocked |= set() if step.succeeded else {feed}
                yield step
        for feed in zone.contracts:
            for tags in _waiting(instance, zone, feed) if feed not in blocked else ():
                announce(f"{feed}: pseudonymise and seal")
                yield _run(
                    defs,
                    instance,
                    job_name(feed),
                    night,
                    tags=tags,
                    assets=sealing_keys(zone.contracts[feed]),
                )


def _waiting(instance: dg.DagsterInstance, zone: CouncilZone, feed: str) -> Iterator[dict[str, str]]:
    for first, last in waiting_ranges(instance, zone, feed):
        yield range_tags(first, last)


def analytics_steps(home: Home, night: date, announce: Callable[[str], None]) -> Iterator[Step]:
    """Run the analytics zone's jobs in order: records and people, features, model, scores, marts, retention."""
    prepare_instance(home)
    from orchestration.analytics.definitions import defs
    from orchestration.analytics.nightly import nightly_runs

    with dg.DagsterInstance.get() as instance:
        _close_orphans(instance)
        for planned in nightly_runs(home, night):
            announce(f"analytics: {planned.label}")
            step = _run(
                defs, instance, planned.job, night, tags=planned.tags, partition_key=planned.partition_key
            )
            yield step
            if not step.succeeded:
                return


def cases_step(home: Home, night: date, announce: Callable[[str], None]) -> Step:
    """Open on the council's side what came back, and forget the cases that are past their retention."""
    prepare_instance(home)
    from orchestration.bridge.cases import CASES_JOB
    from orchestration.bridge.definitions import defs

    announce("cases: open what came back")
    with dg.DagsterInstance.get() as instance:
        return _run(defs, instance, CASES_JOB, night, tags={})


def _parse_dbt_meanwhile(home: Home) -> None:
    from orchestration.analytics.dbt import prepare_manifest

    threading.Thread(target=prepare_manifest, args=(home,), name="dbt parse").start()


def _run(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    night: date,
    *,
    tags: dict[str, str],
    partition_key: str | None = None,
    assets: Sequence[dg.AssetKey] | None = None,
) -> Step:
    result = defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        run_config={**night_config(night), "loggers": QUIET},
        tags={**tags, "doorstep/night": night.isoformat()},
        partition_key=partition_key,
        asset_selection=assets,
        raise_on_error=False,
    )
    failures = tuple(_failure_text(event) for event in result.all_events if event.is_step_failure)
    return Step(name=job, succeeded=result.success, run_id=result.run_id, failures=failures)


def _failure_text(event: Any) -> str:
    """Say which step failed and why in one line; the full error is in the run's own log."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return f"{event.step_key}: {data.user_failure_data.description}"
    error = data.error
    cause = error.cause or error if error else None
    lines = cause.message.strip().splitlines() if cause else []
    if cause and cause.cls_name == CHECK_FAILED:
        # Dagster names the checks that blocked on lines of their own.
        return f"{event.step_key}: {' '.join(line.strip() for line in lines)}"
    return f"{event.step_key}: {lines[0] if lines else 'no message'}"


def _close_orphans(instance: dg.DagsterInstance) -> None:
    """Mark runs that a killed process left as started: this process holds the stores, so nobody is working on them."""
    for record in instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        if "doorstep/night" in record.dagster_run.tags:
            instance.report_run_failed(
                record.dagster_run, "The process of this run was stopped. Refresh takes up its work."
            )
