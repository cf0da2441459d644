"""`doorstep county`: a synthetic county with known truth."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import typer

from doorstep import county_report
from doorstep.console import AsJson, console, print_json, progress
from stores.home import Home

app = typer.Typer(help="A synthetic county with known truth, as partners' files.", no_args_is_help=True)

FIRST_MONTH = "2024-10-01"


app.command("report")(county_report.report)


@app.callback()
def county() -> None:
    """A synthetic county with known truth, as partners' files."""


@app.command("make")
def make(
    households: Annotated[int, typer.Option(help="How many households.", min=100)] = 5000,
    months: Annotated[int, typer.Option(help="How many months of files.", min=1)] = 24,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 1,
    first_month: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = datetime(
        2024, 10, 1
    ),
    as_json: AsJson = False,
) -> None:
    """Write the county's files into the partners' inboxes, and its truth beside them."""
    from dataclasses import asdict

    from synthetic.county import make_county

    home = Home.from_environment()
    first: date = first_month.date()
    with progress() as bars:
        task = bars.add_task("Making a county", total=1)
        made = make_county(home, households=households, months=months, seed=seed, first_month=first)
        bars.advance(task)
    if as_json:
        print_json(asdict(made))
    elif made.made:
        console.print(
            f"Made a county of {households:,} households and {months} months (seed {seed}) in the inboxes."
        )
    else:
        console.print(f"The county of {households:,} households (seed {seed}) is there already.")
