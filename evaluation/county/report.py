"""A county judged: every figure that it should have beside its own, from its truth and its partners' files.

    report = evaluate_county(Home(Path("var")))

Counts and rates only: no value of a record is in the report.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from evaluation.county.calibration import known_names, measured_figures, read_wanted, without_measure
from evaluation.county.errors import (
    ErrorRate,
    error_figures,
    error_rates,
    prepare_errors,
    whom_errors_hit,
)
from evaluation.county.figures import Figure, Verdict
from evaluation.county.files import FeedInventory, inventory, load_current
from evaluation.county.lead import (
    LeadTimes,
    hub_figures,
    lead_figures,
    lead_times,
    possession_figure,
)
from evaluation.county.missing import missing_identifiers
from evaluation.county.oracle import OracleFigures, oracle_curves, prepare_oracle
from governance.contracts import read_contracts
from stores.home import Home
from synthetic.feeds.electoral_register import WITHOUT_A_VOTE

_VIEWS = Path(__file__).with_name("views.sql")
_MEMORY = "1500MB"


class NoCountyError(RuntimeError):
    """The home holds no synthetic county, so nothing is known to judge."""


@dataclass(frozen=True)
class CountyJudged:
    """The report: parameters, figures, and what each feed holds."""

    parameters: dict[str, Any]
    first_day: str
    end: str
    figures: tuple[Figure, ...]
    oracle: OracleFigures
    lead_times: tuple[LeadTimes, ...]
    error_rates: tuple[ErrorRate, ...]
    feeds: tuple[FeedInventory, ...]

    @property
    def off(self) -> tuple[Figure, ...]:
        return tuple(figure for figure in self.figures if figure.verdict is Verdict.OFF)

    @property
    def not_measured(self) -> tuple[Figure, ...]:
        return tuple(figure for figure in self.figures if figure.verdict is Verdict.NOT_MEASURED)


def evaluate_county(home: Home) -> CountyJudged:
    """Measure the county in `home`. Raises `NoCountyError` where there is none."""
    path = home.truth / "county.json"
    if not path.is_file():
        raise NoCountyError(f"{path}: no county here. Make one with `doorstep county make`.")
    county = json.loads(path.read_text(encoding="utf-8"))
    households = int(county["parameters"]["households"])
    contracts = read_contracts()
    wanted = read_wanted()
    with _opened(home) as connection:
        loaded = load_current(home, contracts, connection)
        _prepare(connection)
        found = chain(
            measured_figures(connection, wanted, households),
            lead_figures(connection, wanted, households),
            hub_figures(connection, households),
            possession_figure(connection, wanted, households),
            missing_identifiers(connection, contracts, loaded, wanted, households),
        )
        figures = {figure.name: figure for figure in found}
        bits = prepare_errors(home, connection, contracts, loaded, int(county["parameters"]["seed"]))
        found = chain(
            error_figures(connection, bits, households), whom_errors_hit(connection, bits, households)
        )
        figures |= {figure.name: figure for figure in found}
        figures |= {figure.name: figure for figure in without_measure(wanted, figures)}
        curves, leads = oracle_curves(connection), lead_times(connection)
        rates = error_rates(connection)
    feeds = [inventory(home, contract) for contract in contracts.values()]
    return CountyJudged(
        parameters=county["parameters"],
        first_day=county["first_day"],
        end=county["end"],
        figures=tuple(figures.values()),
        oracle=curves,
        lead_times=leads,
        error_rates=rates,
        feeds=tuple(feed for feed in feeds if feed is not None),
    )


def _opened(home: Home) -> duckdb.DuckDBPyConnection:
    """Open a database in memory with a view `truth.<file>` for each file of the truth."""
    settings: dict[str, Any] = {"threads": 2, "memory_limit": _MEMORY, "temp_directory": ""}
    connection = duckdb.connect(":memory:", config=settings)
    connection.execute("create schema truth; create schema files;")
    for path in sorted(home.truth.glob("*.parquet")):
        connection.execute(f"create view truth.{path.stem} as select * from read_parquet({_literal(path)})")
    county = _literal(home.truth / "county.json")
    connection.execute(f"create table truth.county as select * from read_json({county})")
    return connection


def _prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the views that the measures share, as far as the county has what each needs."""
    votes = pa.table({"origin": list(WITHOUT_A_VOTE), "share": list(WITHOUT_A_VOTE.values())})
    connection.register("without_a_vote", votes)
    for block in _VIEWS.read_text(encoding="utf-8").split("-- view: ")[1:]:
        needs = re.findall(r"^-- needs: (.+)$", block, re.MULTILINE)
        if set(needs) <= known_names(connection):
            connection.execute(f"-- view: {block}")
        if block.startswith("duties\n"):
            prepare_oracle(connection)


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
