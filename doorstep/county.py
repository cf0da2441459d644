"""`doorstep county`: a synthetic county with known truth."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from doorstep import county_report
from doorstep.console import AsJson, console, errors, print_json, progress
from stores.home import Home

app = typer.Typer(help="A synthetic county with known truth, as partners' files.", no_args_is_help=True)


app.command("report")(county_report.report)


@app.callback()
def county() -> None:
    """A synthetic county with known truth, as partners' files."""


@app.command("make")
def make(
    households: Annotated[int, typer.Option(help="How many households.")] = 5000,
    months: Annotated[int, typer.Option(help="How many months of files.")] = 24,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 1,
    first_month: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = datetime(
        2024, 10, 1
    ),
    out: Annotated[
        Path | None, typer.Option(help="Home folder to write into; DOORSTEP_HOME without it.")
    ] = None,
    shock: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m"], metavar="YYYY-MM", help="A change from this month on, to test drift."
        ),
    ] = None,
    shock_kind: Annotated[str, typer.Option(help="What changes: rent or benefit.")] = "rent",
    workers: Annotated[
        int | None, typer.Option(help="Processes that write feeds; as many as cores, at most 4, without it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the county's files into the partners' inboxes, and its truth beside them."""
    from dataclasses import asdict

    from synthetic.county import CountyError, make_county, progress_steps
    from synthetic.forks import ForkDiedError

    home = Home(out.resolve()) if out else Home.from_environment()
    first: date = first_month.date()
    try:
        with progress() as bars:
            task = bars.add_task("Making a county", total=progress_steps(months))

            def say(step: str) -> None:
                bars.update(task, advance=1, description=f"Making a county: {step}")

            made = make_county(
                home,
                households=households,
                months=months,
                seed=seed,
                first_month=first,
                progress=say,
                workers=workers,
                shock_month=shock.date() if shock else None,
                shock_kind=shock_kind,
            )
            bars.update(task, completed=progress_steps(months), description="Making a county")
    except (CountyError, ForkDiedError) as error:
        errors.print(f"[red]{error}[/red]")
        raise typer.Exit(1) from None
    if as_json:
        print_json(asdict(made))
    elif made.made:
        console.print(
            f"Made a county of {households:,} households and {months} months (seed {seed}): {made.rows:,} rows in "
            f"{made.files:,} files, truth beside them, in {home.root}."
        )
    else:
        console.print(f"The county of {households:,} households (seed {seed}) is there already.")
