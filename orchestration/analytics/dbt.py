"""dbt: staging → intermediate → marts over the encrypted warehouse, as Dagster assets and checks."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, dbt_assets
from packaging.version import Version

from governance.contracts import FeedContract, read_contracts
from governance.dbt_sources import write_dbt_sources
from governance.project import project_folder
from orchestration.analytics.datacentre import DataCentre
from orchestration.analytics.months import record_months_made
from orchestration.analytics.partitions import as_of_months, month_of
from orchestration.analytics.records import WHEN_CHECKED
from stores.analytics import AnalyticsZone
from stores.encrypted import opening_key, writer_lock
from stores.files import written_atomically
from stores.home import Home

PROJECT = project_folder() / "dbt_project"
SOURCES = PROJECT / "models" / "staging" / "_sources.yml"

WAREHOUSE_PATH_VARIABLE = "DOORSTEP_WAREHOUSE"
WAREHOUSE_KEY_VARIABLE = "DBT_ENV_SECRET_WAREHOUSE_KEY"
FIRST_MONTH_VARIABLE = "DOORSTEP_FIRST_MONTH"
LAST_MONTH_VARIABLE = "DOORSTEP_LAST_MONTH"

# Staging is made whole each night; everything else has a partition for each `as_of_month`.
WHOLE = "doorstep.staging"

# Unit tests have a step of their own, which reports them as asset checks.
WITHOUT_UNIT_TESTS = ("--exclude-resource-type", "unit_test")


class DoorstepTranslator(DagsterDbtTranslator):
    """Gives dbt models the groups, owners and automation that the rest of the lineage has."""

    def __init__(self) -> None:
        super().__init__(settings=DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Group models by layer: staging, intermediate or marts."""
        return str(dbt_resource_props["fqn"][1])

    def get_automation_condition(
        self, dbt_resource_props: Mapping[str, Any]
    ) -> dg.AutomationCondition | None:
        """Run when something upstream is new, and never past a failed blocking check."""
        return WHEN_CHECKED if dbt_resource_props["resource_type"] == "model" else None


@contextmanager
def warehouse_environment(zone: AnalyticsZone, more: Mapping[str, str] | None = None) -> Iterator[None]:
    """Give dbt's process the warehouse's path and key, and `more`, while the block runs; dbt takes the
    writer's lock itself."""
    given = {
        **(more or {}),
        WAREHOUSE_PATH_VARIABLE: str(zone.home.warehouse_db),
        WAREHOUSE_KEY_VARIABLE: opening_key(zone.keys, "warehouse", zone.home.warehouse_db),
        "DBT_TARGET_PATH": str(zone.home.dbt_target),
        "DBT_LOG_PATH": str(zone.home.dbt_target / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def prepare_manifest(home: Home) -> Path:
    """Return the parsed dbt manifest, made anew if the dbt project or a contract changed since.

    A code location needs it before anything has run, on a fresh clone too. Parsing opens no store and needs no key.
    """
    with writer_lock(home.dbt_target / "manifest.json"):
        return _parsed_manifest(home)


def _parsed_manifest(home: Home) -> Path:
    manifest = home.dbt_target / "manifest.json"
    stamp = home.dbt_target / "manifest.sha256"
    contracts = read_contracts()
    digest = _project_digest(contracts)
    made = manifest.is_file() and stamp.is_file() and SOURCES.is_file()
    if made and stamp.read_text(encoding="ascii") == digest:
        return manifest
    write_dbt_sources(contracts, SOURCES)
    home.dbt_target.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        WAREHOUSE_PATH_VARIABLE: str(home.warehouse_db),
        WAREHOUSE_KEY_VARIABLE: "parsing-opens-nothing",
        "DBT_TARGET_PATH": str(home.dbt_target),
        "DBT_LOG_PATH": str(home.dbt_target / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    done = subprocess.run(  # noqa: S603
        [
            str(dbt_executable()),
            "--quiet",
            "parse",
            "--project-dir",
            str(PROJECT),
            "--profiles-dir",
            str(PROJECT),
        ],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"dbt parse failed. Mend the project, then try again:\n{done.stdout}{done.stderr}")
    with written_atomically(stamp, mode=0o644) as aside:
        aside.write_text(digest, encoding="ascii")
    return manifest


def _project_digest(contracts: Mapping[str, FeedContract]) -> str:
    digest = hashlib.sha256()
    files = [
        path for path in PROJECT.rglob("*") if path.suffix in {".sql", ".yml", ".py"} and path != SOURCES
    ]
    for path in sorted([*files, *(contract.path for contract in contracts.values())]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def dbt_executable() -> Path:
    """The dbt of this Python, whatever `PATH` says."""
    beside = Path(sys.executable).with_name("dbt")
    return beside if beside.exists() else Path(shutil.which("dbt") or "dbt")


class Dbt(DbtCliResource):
    """dbt in a process of its own, and only there.

    dagster-dbt would also load dbt and open the warehouse in Dagster's process, to count rows; DuckDB takes one process
    at a time, and loading dbt takes longer than most models. Rows are counted when dbt is done.
    """

    @cached_property
    def _cli_version(self) -> Version:
        """The installed dbt's version, read from its package: asking dbt itself takes four seconds each time."""
        return Version(metadata.version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]  # noqa: ARG002
        return None


def with_row_counts(
    context: dg.AssetExecutionContext, zone: AnalyticsZone, events: Iterable[Any]
) -> Iterator[Any]:
    """Pass on what dbt reports, with the number of rows of each model, once dbt has let go of the warehouse.

    What was made before a failure is passed on too, then the failure is raised.
    """
    reported: list[Any] = []
    failure: Exception | None = None
    try:
        reported.extend(events)
    except Exception as error:
        failure = error
    counts = _row_counts(zone)
    for event in reported:
        if isinstance(event, dg.Output):
            key = context.asset_key_for_output(event.output_name)
            rows = counts.get(tuple(key.path))
            yield (
                event if rows is None else event.with_metadata({**event.metadata, "dagster/row_count": rows})
            )
        else:
            yield event
    if failure is not None:
        raise failure


def _row_counts(zone: AnalyticsZone) -> dict[tuple[str, ...], int]:
    """Return the rows of each table of the warehouse by (schema, table)."""
    with zone.warehouse(read_only=True) as warehouse:
        names = warehouse.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        return {name: _count(warehouse, *name) for name in names}


def _count(warehouse: duckdb.DuckDBPyConnection, schema: str, table: str) -> int:
    row = warehouse.execute(f'select count(*) from "{schema}"."{table}"').fetchone()
    return int(row[0]) if row else 0


def dbt_resource() -> Dbt:
    return Dbt(project_dir=str(PROJECT), profiles_dir=str(PROJECT), dbt_executable=str(dbt_executable()))


def dbt_assets_of(manifest: Path) -> list[dg.AssetsDefinition]:
    """Return the dbt models: those made whole each night, and those with a partition for each `as_of_month`."""

    @dbt_assets(
        manifest=manifest, name="dbt_whole", select=WHOLE, dagster_dbt_translator=DoorstepTranslator()
    )
    def whole(context: dg.AssetExecutionContext, dbt: Dbt, data_centre: DataCentre) -> Iterator[Any]:
        with warehouse_environment(data_centre.zone()):
            events = dbt.cli(["build", *WITHOUT_UNIT_TESTS], context=context).stream()
            yield from with_row_counts(context, data_centre.zone(), events)

    @dbt_assets(
        manifest=manifest,
        name="dbt_monthly",
        exclude=WHOLE,
        partitions_def=as_of_months,
        backfill_policy=dg.BackfillPolicy.single_run(),
        dagster_dbt_translator=DoorstepTranslator(),
    )
    def monthly(context: dg.AssetExecutionContext, dbt: Dbt, data_centre: DataCentre) -> Iterator[Any]:
        zone = data_centre.zone()
        months = context.partition_key_range
        with warehouse_environment(
            zone, {FIRST_MONTH_VARIABLE: months.start, LAST_MONTH_VARIABLE: months.end}
        ):
            events = dbt.cli(["build", *WITHOUT_UNIT_TESTS], context=context).stream()
            yield from with_row_counts(context, zone, events)
        record_months_made(zone, read_contracts(), [month_of(key) for key in context.partition_keys])

    return [whole, monthly]
