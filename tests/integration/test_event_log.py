"""Events of a night in SQLite: what is stored in batches is what Dagster's own storage reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
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


def test_a_later_runs_file_has_the_tables_and_the_revision_of_the_first(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    job = dg.Definitions(assets=[loaded], jobs=[dg.define_asset_job("load", [loaded])]).resolve_job_def(
        "load"
    )
    runs = [
        job.execute_in_process(instance=instance, tags=range_tags(name, name)).run_id
        for name in DELIVERIES[:2]
    ]
    first, second = (_tables(Home(tmp_path).dagster / "history" / "runs" / f"{run_id}.db") for run_id in runs)
    assert "event_logs" in first[0]
    assert first == second


def _tables(shard: Path) -> tuple[dict[str, str], list[tuple[str]], str]:
    """Return each table's and index's definition, the migration's revision, and how the file keeps its log."""
    with closing(sqlite3.connect(shard)) as connection:
        definitions = dict(connection.execute("select name, sql from sqlite_master").fetchall())
        revision = connection.execute("select version_num from alembic_version").fetchall()
        (journal,) = connection.execute("pragma journal_mode").fetchone()
    return definitions, revision, journal
