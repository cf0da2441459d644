"""`doorstep county report`: a county's figures beside what they should be."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from doorstep.console import AsJson, console, errors, print_json
from stores.home import Home

if TYPE_CHECKING:
    from evaluation.county.figures import Figure
    from evaluation.county.report import CountyJudged

PAGE = "county_report.html"


def report(
    county: Annotated[
        Path | None, typer.Option(help="The county's home: the folder that `county make` wrote.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help=f"Where to write the page; else {PAGE} in the home.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write one page: what the county should look like, beside what it does.

    With --json: `parameters`, `first_day`, `end`, `figures` (each with `name`, `group`, `unit`, `estimate`, `wanted`
    and `verdict`), `error_rates` (by kind and feed), `oracle`, `lead_times`, `feeds`, `off` and `not_measured`
    (names), `holds`; the page is written only where `--out` says. Exits with 1 when a figure is off.
    """
    from evaluation.county.report import NoCountyError, evaluate_county

    home = Home(county.resolve()) if county else Home.from_environment()
    try:
        judged = evaluate_county(home)
    except NoCountyError as error:
        errors.print(f"[bold red]NoCountyError[/]: {error}", highlight=False)
        raise typer.Exit(1) from None
    if as_json:
        print_json(document_of(judged))
    else:
        _show(judged)
    if out or not as_json:
        from evaluation.county.page import write_page

        written = write_page(judged, out or home.root / PAGE)
        errors.print(f"Wrote {written}.", highlight=False)
    if judged.off:
        for figure in judged.off:
            errors.print(f"[red]off[/] {_sentence(figure)}", highlight=False)
        raise typer.Exit(1)


def document_of(judged: CountyJudged) -> dict[str, Any]:
    """Return the report as plain values: the same figures as the page."""
    return {
        **asdict(judged),
        "off": [figure.name for figure in judged.off],
        "not_measured": [figure.name for figure in judged.not_measured],
        "holds": not judged.off,
    }


def _show(judged: CountyJudged) -> None:
    from evaluation.county.figures import Verdict
    from evaluation.county.page import told, told_wanted

    households = int(judged.parameters["households"])
    table = Table("figure", "this county (95 %)", "wanted", "verdict", title_justify="left")
    table.title = f"A county of {households:,} households, {judged.first_day} to {judged.end}"
    for figure in judged.figures:
        if figure.wanted is not None and figure.verdict is not Verdict.NOT_MEASURED:
            colour = "red" if figure.verdict is Verdict.OFF else "green"
            table.add_row(figure.name, told(figure), told_wanted(figure), f"[{colour}]{figure.verdict}[/]")
    console.print(table)
    held = sum(1 for figure in judged.figures if figure.verdict is Verdict.HOLDS)
    console.print(
        f"{held} figures hold, {len(judged.off)} are off, {len(judged.not_measured)} could not be measured."
    )


def _sentence(figure: Figure) -> str:
    from evaluation.county.page import told, told_wanted

    return f"{figure.name}: {told(figure)}, wanted {told_wanted(figure)}"
