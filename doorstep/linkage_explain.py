"""`doorstep linkage explain`: why two records are one person, or are not, in token terms."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from doorstep.console import AsJson, console, errors, print_json
from stores.analytics import AnalyticsZone
from stores.home import Home

if TYPE_CHECKING:
    from linkage.scoring.waterfall import ExplainedPair


def explain(
    first: Annotated[str, typer.Argument(help="record_ref of one record.")],
    second: Annotated[str, typer.Argument(help="record_ref of the other.")],
    as_json: AsJson = False,
) -> None:
    """Print how the match weight of two records is built up, comparison by comparison. No name is known here.

    With --json: `waterfall` (`feeds`, `prior`, `steps` with `comparison`, `level`, `weight`, `rarity`, `known`;
    `match_weight`, `threshold`, `shared_rules`, `ruled_out`, `identical`), `linked` (by itself) and `same_person`
    (what clustering made of it). Exits with 1 when a reference is unknown.
    """
    from linkage.scoring.waterfall import NoSuchRecordError, explain_pair

    try:
        explained = explain_pair(AnalyticsZone.open(Home.from_environment()), first, second)
    except NoSuchRecordError as error:
        errors.print(f"[bold red]NoSuchRecordError[/]: {error}", highlight=False)
        raise typer.Exit(1) from None
    if as_json:
        print_json({**asdict(explained), "linked": explained.waterfall.linked})
    else:
        _show(explained)


def _show(explained: ExplainedPair) -> None:
    waterfall = explained.waterfall
    table = Table(
        "comparison", "level", "bits", "sum", title=" – ".join(waterfall.feeds), title_justify="left"
    )
    total = waterfall.prior
    table.add_row("prior", "two records drawn at random", f"{total:+.2f}", f"{total:+.2f}")
    for step in waterfall.steps:
        total += step.weight + step.rarity
        rarity = f" ({step.rarity:+.2f} for how rare it is)" if step.rarity else ""
        style = "" if step.known else "dim"
        bits = f"{step.weight + step.rarity:+.2f}"
        table.add_row(step.comparison, f"{step.level}{rarity}", bits, f"{total:+.2f}", style=style)
    console.print(table)
    console.print(
        f"Match weight {waterfall.match_weight:+.2f}, linked from {waterfall.threshold:+.2f}.",
        highlight=False,
    )
    if waterfall.identical:
        console.print("Their link keys are identical: they count as one record.")
    elif not waterfall.shared_rules:
        console.print("They share no blocking rule: linkage never compares them.")
    else:
        console.print(f"Compared by {len(waterfall.shared_rules)} blocking rules:", highlight=False)
        for rule in waterfall.shared_rules:
            console.print(f"  {rule}", highlight=False, markup=False)
    if waterfall.ruled_out:
        console.print("Ruled out as relatives, whatever they weigh.")
    if explained.same_person is not None:
        console.print(f"Linkage holds them for {'one person' if explained.same_person else 'two people'}.")
