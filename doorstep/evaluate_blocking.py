"""`doorstep evaluate blocking`: what each blocking rule of linkage costs and reaches, against the county's truth."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from doorstep.console import AsJson, console, errors, print_json
from stores.home import Home

if TYPE_CHECKING:
    from evaluation.linkage.blocking import BlockingFigures


def evaluate_blocking(as_json: AsJson = False) -> None:
    """Print, for each blocking rule in use and some that are not, the pairs it compares and the true pairs it reaches.

    `only here`: true pairs that no other rule in use reaches. With --json: `records`, `true_pairs`, `reached` and
    `rules`, each with `rule`, `in_use`, `compared`, `reached` and `only_here`.
    """
    from evaluation.linkage.blocking import blocking_figures
    from evaluation.linkage.county import TruthMissingError
    from evaluation.linkage.judged import judged_home

    try:
        judged = judged_home(Home.from_environment())
    except TruthMissingError as error:
        errors.print(f"[bold red]TruthMissingError[/]: {error}", highlight=False)
        raise typer.Exit(1) from None
    figures = blocking_figures(judged.link_keys, judged.records.truth)
    if as_json:
        print_json(asdict(figures))
        return
    console.print(_table(figures))


def _table(figures: BlockingFigures) -> Table:
    title = f"{figures.reached / max(figures.true_pairs, 1):.2%} of {figures.true_pairs:,} true pairs are compared"
    table = Table("rule", "in use", "pairs compared", "true pairs", "only here", title=title)
    for rule in figures.rules:
        table.add_row(
            rule.rule.replace("_token", ""),
            "yes" if rule.in_use else "no",
            f"{rule.compared:,}",
            f"{rule.reached / max(figures.true_pairs, 1):.2%}",
            f"{rule.only_here:,}",
        )
    return table
