"""`doorstep evaluate households`: how often the right adults are found at the right property, against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from doorstep.console import AsJson, console, errors, print_json
from stores.home import Home

if TYPE_CHECKING:
    from evaluation.households import HouseholdFigures

_CEILINGS = {
    "anywhere": "in any feed at all",
    "here_in_the_end": "at this home, in the end",
    "here_that_night": "at this home, by that night",
}


def evaluate_households(as_json: AsJson = False) -> None:
    """Print how many household-months have exactly the right adults, as known that night and as known later.

    With --json: the fields of `evaluation.households.HouseholdFigures`, each `right` with its `share`, and `holds`.
    Exits with 1 when fewer than 95 % are right as known in the latest month.
    """
    from dataclasses import asdict

    from evaluation.households import LEAST_RIGHT
    from evaluation.households import evaluate_households as evaluate

    figures = evaluate(Home.from_environment())
    if as_json:
        document = asdict(figures)
        for name in ("right", "right_if_linked"):
            for row, each in zip(document[name], getattr(figures, name), strict=True):
                row["share"] = each.share
        print_json({**document, "least_right": LEAST_RIGHT, "holds": figures.holds})
    else:
        _show(figures)
    if not figures.holds:
        errors.print(f"[red]The promise does not hold[/]: fewer than {LEAST_RIGHT:.0%} are right in the end.")
        raise typer.Exit(1)


def _show(figures: HouseholdFigures) -> None:
    from evaluation.households import IN_THE_END

    table = Table(
        "known",
        "household-months",
        "right",
        "somebody missing",
        "a stranger too many",
        "right if linked truly",
    )
    linked = {each.lag: each.share for each in figures.right_if_linked}
    for each in figures.right:
        when = {0: "that night", IN_THE_END: "in the latest month"}.get(each.lag, f"{each.lag} months later")
        shares = (
            count / each.household_months
            for count in (
                each.exact,
                each.with_missing + each.with_both,
                each.with_strangers + each.with_both,
            )
        )
        table.add_row(
            when,
            f"{each.household_months:,}",
            *(f"{share:.4f}" for share in shares),
            f"{linked.get(each.lag, 0.0):.4f}",
        )
    console.print(table)
    for name, words in _CEILINGS.items():
        console.print(f"All adults named by some record {words}: {figures.ceiling[name]:.4f}")
    _show_rows("Not found that night", figures.missing)
    _show_rows("Found where they do not live", figures.strangers)
    _show_rows("What places people, and how often it is right", figures.confidence)
    _show_rows("Homes by the least sure of their adults", figures.household_confidence)
    _show_rows("What records say people are there", figures.relationships)


def _show_rows(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        table = Table(*(name.replace("_", " ") for name in rows[0]), title=title)
        for row in rows:
            table.add_row(
                *(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values())
            )
        console.print(table)
