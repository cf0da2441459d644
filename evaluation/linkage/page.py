"""The linkage of a county as one HTML page without any outside resource."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, select_autoescape
from markupsafe import Markup

from evaluation.linkage import plots as linkage_plots
from evaluation.linkage.anatomy import CAUSES, NO_ERROR
from evaluation.linkage.clusters_measure import GroupMeasure
from evaluation.linkage.groups import GROUPINGS
from evaluation.linkage.origins import FEWEST_PAIRS
from evaluation.linkage.report import LinkageReport
from evaluation.linkage.two_sides import SideFigures
from governance.linkage_checks import read_linkage_checks
from linkage.nights.drift import findings_of_newest

TEMPLATE = Path(__file__).with_name("page.html.j2")
STYLE = Path(__file__).parents[1] / "page_style.css.j2"

FEWEST_PAIRS_OF_A_CELL = 50
FEED_PAIRS_DRAWN = 15
SIDES = {
    "clear": "Splink on clear text",
    "pseudonymised": "Doorstep on pseudonyms, linked anew",
    "council_strict": "By hand: surname, date of birth and NINO",
    "council_usual": "By hand: NINO, or full name and date of birth",
    "council_with_homes": "By hand: the same, or full name and home",
}
BY_SIZE = ("origin",)
"""Groupings whose groups have no order of their own: the lowest recall comes first."""


def write_page(report: LinkageReport, path: Path) -> Path:
    """Write the page and return its path; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(report), encoding="utf-8")
    return path


def page(report: LinkageReport) -> str:
    """Return the page as HTML."""
    environment = Environment(
        autoescape=select_autoescape(default=True, default_for_string=True), undefined=StrictUndefined
    )
    anatomy = report.anatomy
    missed = {row.name: row.missed for row in anatomy.by_feeds}
    none = (0,) * len(CAUSES)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        report=report,
        style=Markup(STYLE.read_text(encoding="utf-8")),  # noqa: S704 our own file
        sides=sides_of(report.sides),
        causes=[CAUSES[stage] for stage in _stages(report)],
        stages=_stages(report),
        fewest=FEWEST_PAIRS_OF_A_CELL,
        fewest_origin=FEWEST_PAIRS,
        feeds=[
            (pair, missed.get(f"{pair.first} – {pair.second}", none))
            for pair in sorted(report.feed_pairs, key=lambda pair: pair.right_pairs - pair.true_pairs)
        ],
        groups=[(key, title, _ordered(key, report.groups[key])) for key, title in GROUPINGS.items()],
        by_error=sorted(anatomy.by_error, key=lambda row: (row.name != NO_ERROR, -sum(row.missed))),
        levels_of_false=sorted(
            (
                (name, level, number)
                for name, levels in anatomy.levels_of_false.items()
                for level, number in levels.items()
            ),
            key=lambda told: -told[2],
        ),
        findings=findings_of_newest(report.nights, read_linkage_checks()),
        plots={name: Markup(svg) for name, svg in _plots(report).items()},  # noqa: S704 made here, from numbers
        examples=[
            (
                example,
                Markup(  # noqa: S704 made here, from numbers
                    linkage_plots.waterfall(
                        f"example-{number}", example.waterfall, _described(example.waterfall)
                    )
                ),
            )
            for number, example in enumerate(report.examples)
        ],
        share=share,
        count=lambda number: f"{number:,}",
    )


def _stages(report: LinkageReport) -> list[int]:
    """Return the causes to show: all but the last, which comes up only where people are not of the model in use."""
    causes = report.anatomy.causes
    return [stage for stage, cause in enumerate(causes) if stage < len(causes) - 1 or cause.own]


def share(value: float) -> str:
    """Return a share as per cent with as many digits as tell it from 100 %."""
    return f"{100 * value:.2f} %"


def sides_of(sides: Any) -> list[tuple[str, SideFigures]]:
    """Return the sides of a comparison with their names: the fields that hold figures of one side."""
    if sides is None:
        return []
    named = {field.name: getattr(sides, field.name) for field in fields(sides)}
    return [
        (SIDES.get(name, name.replace("_", " ")), side)
        for name, side in named.items()
        if isinstance(side, SideFigures)
    ]


def _ordered(key: str, groups: Mapping[str, GroupMeasure]) -> list[tuple[str, GroupMeasure]]:
    if key in BY_SIZE:
        return sorted(groups.items(), key=lambda item: item[1].pairwise.recall)
    return list(groups.items())


def _described(told: Any) -> str:
    steps = "; ".join(
        f"{step.comparison.replace('_', ' ')}, {step.level}, {step.weight + step.rarity:+.1f}"
        for step in told.steps
        if step.known
    )
    total = f"together {told.match_weight:+.1f}, linked from {told.threshold:+.1f}"
    return f"Prior {told.prior:+.1f} bits; {steps}; {total}"


def _plots(report: LinkageReport) -> dict[str, str]:
    anatomy = report.anatomy
    worst = sorted(anatomy.by_feeds, key=lambda row: -sum(row.missed))[:FEED_PAIRS_DRAWN]
    plots = {
        "matrix": linkage_plots.recall_matrix(
            report.feed_pairs, FEWEST_PAIRS_OF_A_CELL, "Recall by two feeds; the same as in the table"
        ),
        "feeds": linkage_plots.missed_by_cause(
            "feeds", worst, "Missed pairs by feeds and cause; the same as in the table", shares=False
        ),
        "margins": linkage_plots.margins(
            anatomy.margins,
            f"Bits lacked: {', '.join(f'{bits}: {n}' for bits, n in anatomy.margins.items())}",
        ),
        "weights": linkage_plots.weights(
            report.weights, "Linked pairs by match weight; the same as in the table"
        ),
    }
    for key, rows in anatomy.by_group.items():
        ordered = (
            sorted(rows, key=lambda row: row.recall)
            if key in BY_SIZE
            else sorted(rows, key=lambda row: row.name)
        )
        described = f"{GROUPINGS[key]}: share of true pairs missed, by cause"
        plots[f"group_{key}"] = linkage_plots.missed_by_cause(f"group-{key}", ordered, described, shares=True)
    return plots
