"""Households against a county's truth: how often the right adults, and nobody else, are found at a property.

A *household-month* is a true household with at least one adult at a property on the eve of a month's first day. It
is right if exactly its adults are found there. A person of the pipeline stands for whom most of their records are of,
so a person split in two, of whom one part lives at the right home, costs nothing here; `doorstep evaluate linkage`
counts that.

Judged are what was known on the night of each month (`int_household_members`) and what is known of the same month some
months later (`int_stays` of a later month). With the truth in place of linkage, the same SQL tells which errors
are linkage's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from bridge.pseudonymise.identities import property_references
from bridge.zone import CouncilZone
from evaluation.linkage.county import TruthMissingError, truth_by_record
from governance.project import project_folder
from stores.analytics import AnalyticsZone
from stores.home import Home

LEAST_RIGHT = 0.95
"""Share of household-months that the project promises to get right."""

IN_THE_END = 999
"""A lag: as known in the latest month."""

_SQL = Path(__file__).with_name("households.sql")
_PIPELINE = {
    "residences": "intermediate.int_residences",
    "stays": "intermediate.int_stays",
    "members": "intermediate.int_household_members",
    "people": "staging.stg_people",
    "relationships": "intermediate.int_relationships",
}
_TRUTH_FILES = ("residences", "persons")


@dataclass(frozen=True)
class Right:
    """Household-months by what was found. `lag` is the months that had passed since; 0: that night."""

    lag: int
    household_months: int
    exact: int
    with_missing: int
    with_strangers: int
    with_both: int
    adult_months: int
    adult_months_found: int
    adult_months_placed: int

    @property
    def share(self) -> float:
        return self.exact / self.household_months if self.household_months else 0.0


@dataclass(frozen=True)
class HouseholdFigures:
    """What `evaluate_households` finds.

    `right`: by lag, with linkage as it is; `right_if_linked`: the same with the true people in place of linkage's.
    `ceiling`: shares of household-months all of whose adults some record names, which nothing can pass.
    `missing` and `strangers`: adult-months by cause. `confidence`: how often placings are right,
    `household_confidence`: how often the adults of a home are, by the least sure of them. `relationships`: how often
    hints are; empty for a home made before there were any.
    """

    right: tuple[Right, ...]
    right_if_linked: tuple[Right, ...]
    ceiling: Mapping[str, float]
    by_tenure: Sequence[Mapping[str, Any]]
    missing: Sequence[Mapping[str, Any]]
    strangers: Sequence[Mapping[str, Any]]
    confidence: Sequence[Mapping[str, Any]]
    household_confidence: Sequence[Mapping[str, Any]]
    relationships: Sequence[Mapping[str, Any]]

    @property
    def holds(self) -> bool:
        """True if the promised share is right, as known in the end."""
        return any(each.lag == IN_THE_END and each.share >= LEAST_RIGHT for each in self.right)


def evaluate_households(home: Home) -> HouseholdFigures:
    """Judge the households of the last refresh of `home` against its truth.

    Months of which the warehouse keeps no residences (an ordinary night makes one month) have figures of that night
    alone. Raises `TruthMissingError` if the home was not made by the generator.
    """
    with duckdb.connect(":memory:", config={"threads": 2, "temp_directory": ""}) as connection:
        _take_truth(connection, home)
        _take_pipeline(connection, AnalyticsZone.open(home))
        _make_views(connection)
        right = _right(connection)
        found = {name: _rows(connection, name) for name in ("ceiling", "missing", "strangers")}
        by_tenure, confidence = _rows(connection, "by_tenure"), _rows(connection, "confidence")
        household_confidence = _rows(connection, "household_confidence")
        relationships = _rows(connection, "relationships") if _has_relationships(connection) else []
        _link_truly(connection)
        _make_views(connection)
        return HouseholdFigures(
            right=right,
            right_if_linked=_right(connection),
            ceiling=found["ceiling"][0],
            by_tenure=by_tenure,
            missing=found["missing"],
            strangers=found["strangers"],
            confidence=confidence,
            household_confidence=household_confidence,
            relationships=relationships,
        )


def _take_truth(connection: duckdb.DuckDBPyConnection, home: Home) -> None:
    if not (home.truth / "residences.parquet").is_file():
        raise TruthMissingError(
            f"{home.truth}: no truth here. Only a county made by `doorstep county make` has one."
        )
    connection.execute("create schema truth")
    tables = {name: pq.read_table(home.truth / f"{name}.parquet") for name in _TRUTH_FILES}
    zone = CouncilZone.open(home)
    # Every feed of people is shared under one agreement, so a property has one reference.
    agreement = next(iter(zone.contracts.values())).agreement
    uprns = tables["residences"]["uprn"].cast(pa.string()).unique()
    references = property_references(uprns, zone.keys, agreement)
    tables["properties"] = pa.table({"uprn": uprns, "property_ref": references})
    tables["of_record"] = truth_by_record(home)
    for name, table in tables.items():
        _keep(connection, f"truth.{name}", table)


def _take_pipeline(connection: duckdb.DuckDBPyConnection, zone: AnalyticsZone) -> None:
    """Copy what is judged into memory."""
    with zone.warehouse(read_only=True) as warehouse:
        names = warehouse.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
        for name, table in _PIPELINE.items():
            if name != "relationships" or (table,) in names:
                _keep(connection, name, warehouse.execute(f"from {table}").to_arrow_table())


def _has_relationships(connection: duckdb.DuckDBPyConnection) -> bool:
    return ("relationships",) in connection.execute("select table_name from duckdb_tables()").fetchall()


def _keep(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    connection.register("arriving", table)
    connection.execute(f"create or replace table {name} as from arriving")
    connection.unregister("arriving")


def _link_truly(connection: duckdb.DuckDBPyConnection) -> None:
    """Make stays and members anew, by the pipeline's own SQL, from records linked as they truly are."""
    connection.execute("create or replace table people as select record_ref, person_id from truth.of_record")
    connection.execute(
        "create or replace table residences as select residences.* replace (people.person_id as person_id) "
        "from residences inner join people using (record_ref)"
    )
    for model, name in (("int_stays", "stays"), ("int_household_members", "members")):
        connection.execute(f"create or replace table {name} as {_model_sql(model)}")


def _model_sql(model: str) -> str:
    """Return the SQL of an intermediate dbt model, with the tables here in place of those it refers to."""
    project = project_folder() / "dbt_project"
    variables = yaml.safe_load((project / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    macros = (project / "macros" / "known.sql").read_text(encoding="utf-8")
    text = (project / "models" / "intermediate" / f"{model}.sql").read_text(encoding="utf-8")
    names = {table.partition(".")[2]: name for name, table in _PIPELINE.items()}
    # SQL of this project, no page: nothing to escape.
    environment = jinja2.Environment(autoescape=False)  # noqa: S701
    template = environment.from_string(macros + text)
    return template.render(ref=names.__getitem__, var=variables.__getitem__, config=lambda **_: "")


def _make_views(connection: duckdb.DuckDBPyConnection) -> None:
    for name, sql in _blocks("view").items():
        connection.execute(f"drop table if exists {name}")
        connection.execute(sql)


def _right(connection: duckdb.DuckDBPyConnection) -> tuple[Right, ...]:
    return tuple(Right(**row) for row in _rows(connection, "figures"))


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    return list(connection.execute(_blocks("query")[query]).to_arrow_table().to_pylist())


@cache
def _blocks(kind: str) -> dict[str, str]:
    """Return the statements of the SQL file that are headed `-- <kind>: <name>`."""
    parts = re.split(r"^-- (view|query): (\w+)$", _SQL.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        name: sql
        for found, name, sql in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
        if found == kind
    }
