"""Events of a night in SQLite: what is stored in batches is what Dagster's own storage reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from orchestration.instance import prepare_instance
from orchestration.partition_ranges import range_tags
from stores.home import Home

DELIVERIES = [f"delivery{number}" for number in range(40)]
KEY = dg.AssetKey("loaded")


@dg.asset(
    key=KEY,
    partitions_def=dg.StaticPartitionsDefinition(DELIVERIES),
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[dg.AssetCheckSpec("rules", asset=KEY)],
)
def loaded() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"rows": 7}, check_results=[dg.AssetCheckResult(passed=True)])


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    for variable in ("DOORSTEP_HOME", "DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE"):
        monkeypatch.setenv(variable, str(tmp_path) if variable == "DOORSTEP_HOME" else "")
    prepare_instance(Home(tmp_path))
    with dg.DagsterInstance.get() as opened:
        yield opened


def test_each_partition_of_a_batch_is_materialised_and_dagsters_own_storage_reads_it(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    job = dg.Definitions(assets=[loaded], jobs=[dg.define_asset_job("load", [loaded])]).resolve_job_def(
        "load"
    )
    first, last = range_tags(DELIVERIES[0], DELIVERIES[29]), range_tags(DELIVERIES[30], DELIVERIES[39])
    runs = [job.execute_in_process(instance=instance, tags=tags).run_id for tags in (first, last)]
    assert instance.get_materialized_partitions(KEY) == set(DELIVERIES)
    own = SqliteEventLogStorage(str(Home(tmp_path).dagster / "history" / "runs"))
    kept = instance.event_log_storage
    for run_id in runs:
        assert [event.dagster_event_type for event in own.get_logs_for_run(run_id)] == [
            event.dagster_event_type for event in kept.get_logs_for_run(run_id)
        ]
    assert own.get_materialized_partitions(KEY) == set(DELIVERIES)
    assert own.get_latest_materialization_events([KEY])[KEY].run_id == runs[1]  # type: ignore[union-attr]
