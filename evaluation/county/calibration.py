"""Every figure of `synthetic/calibration.yaml` beside the county's own, measured from its truth or its files.

A measure is a statement of `measures.sql`. It carries the name that the calibration table uses; one
without a line there is only shown, and a line without a measure is reported as not measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import yaml

from evaluation.county.figures import Estimate, Figure, Sums, Unit, Verdict, Wanted, estimate, judged

MEASURES_FILE = Path(__file__).with_name("measures.sql")
CALIBRATION_FILE = Path(__file__).resolve().parents[2] / "synthetic" / "calibration.yaml"
PUBLISHED = "published"
OTHER, MISSING = "other", "missing"

OWN_WANTED = {
    "oracle_observed_over_expected": (Wanted(1.0, 0.9, 1.1, "the oracle is the chance itself", False), "")
}
"""What follows from the county's own making and needs no source."""

_HEADER = re.compile(r"^-- (measure|group|unit|title|needs|about): (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Measure:
    """One statement that returns `cluster`, `y` and `n`. `needs` names tables (`schema.table`) or columns."""

    name: str
    group: str
    unit: Unit
    title: str
    needs: tuple[str, ...]
    about: str
    statement: str


def read_measures(path: Path = MEASURES_FILE) -> list[Measure]:
    """Read the measures in the order of the file. Raises `KeyError` where a header lacks group, unit or title."""
    blocks = path.read_text(encoding="utf-8").split("-- measure: ")[1:]
    return [_measure(f"-- measure: {block}") for block in blocks]


def _measure(block: str) -> Measure:
    headers = dict(_HEADER.findall(block))
    statement = "\n".join(line for line in block.splitlines() if not line.startswith("--"))
    return Measure(
        name=headers["measure"],
        group=headers["group"],
        unit=Unit(headers["unit"]),
        title=headers["title"],
        needs=tuple(need.strip() for need in headers.get("needs", "").split(",") if need.strip()),
        about=headers.get("about", ""),
        statement=statement.strip().removesuffix(";"),
    )


def read_wanted(path: Path = CALIBRATION_FILE) -> dict[str, tuple[Wanted, str]]:
    """Read the calibration table: by name what is wanted, and how the table says it is measured."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))["figures"]
    return OWN_WANTED | {
        entry["name"]: (
            Wanted(
                value=float(entry["value"]),
                low=float(entry["low"]),
                high=float(entry["high"]),
                source=str(entry["source"]),
                is_published=entry["kind"] == PUBLISHED,
            ),
            str(entry.get("about", "")),
        )
        for entry in entries
    }


def measured_figures(
    connection: duckdb.DuckDBPyConnection, wanted: Mapping[str, tuple[Wanted, str]], households: int
) -> Iterator[Figure]:
    """Run every measure that the county has the tables for, and judge it."""
    known = known_names(connection)
    for measure in read_measures():
        possible = all(need in known for need in measure.needs)
        found = estimate(sums_of(connection, measure.statement), measure.unit) if possible else None
        target, how = wanted.get(measure.name, (None, ""))
        yield judged(
            Figure(
                name=measure.name,
                group=measure.group,
                title=measure.title,
                unit=measure.unit,
                estimate=found,
                wanted=target,
                verdict=Verdict.SHOWN,
                about=measure.about or how,
            ),
            households,
        )


def without_measure(
    wanted: Mapping[str, tuple[Wanted, str]], figures: Mapping[str, Figure]
) -> Iterator[Figure]:
    """Return the lines of the calibration table that nothing measured, so that none is passed over in silence."""
    for name, (target, about) in wanted.items():
        if name not in figures:
            group = MISSING if name.startswith(f"{MISSING}.") else OTHER
            title = name.replace("_", " ").replace(".", ", ")
            yield Figure(name, group, title, Unit.NUMBER, None, target, Verdict.NOT_MEASURED, about)


def figure_of(
    name: str,
    group: str,
    title: str,
    unit: Unit,
    found: Estimate | None,
    wanted: Wanted | None,
    households: int,
    about: str = "",
) -> Figure:
    """Return a judged figure."""
    return judged(Figure(name, group, title, unit, found, wanted, Verdict.SHOWN, about), households)


def sums_of(
    connection: duckdb.DuckDBPyConnection, statement: str, parameters: Mapping[str, object] | None = None
) -> Sums:
    """Sum a statement that returns `cluster`, `y` and `n` as the interval of y / n needs it."""
    query = f"""
        with measured as ({statement}),
        clusters as (select cluster, sum(y) as y, sum(n) as n from measured group by cluster)
        select sum(y), sum(n), sum(y * y), sum(y * n), sum(n * n), count(*) from clusters
    """
    found = connection.execute(query, parameters or {}).fetchone() or (0,) * 6
    y, n, yy, yn, nn = (float(value or 0) for value in found[:5])
    return Sums(y, n, yy, yn, nn, int(found[5] or 0))


def known_names(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return what there is, as `schema.table` and `schema.table.column`."""
    columns = connection.execute(
        "select table_schema, table_name, column_name from information_schema.columns"
    ).fetchall()
    return {f"{schema}.{table}" for schema, table, _ in columns} | {".".join(row) for row in columns}
