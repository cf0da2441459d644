"""`doorstep standardise`: what each step makes of one value that somebody types. Nothing is stored or logged."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from doorstep.console import AsJson, console, print_json


def standardise(
    column: Annotated[str, typer.Argument(help="full_name, surname, forename, date_of_birth, nino, phone …")],
    value: Annotated[
        str,
        typer.Option(
            prompt="Value", hide_input=False, help="Asked for if not given: it stays off the history."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Print the steps that bring a value you type to its standard form. Nothing is stored or logged.

    With --json: a list of {"step", "result"}; a result of null says that nothing is known.
    """
    from bridge.standardise.identities import STEPS, explain

    if column not in (*STEPS, "full_name"):
        raise typer.BadParameter(f"no such column. Choose from {', '.join(sorted((*STEPS, 'full_name')))}.")
    told = explain(column, value)
    if as_json:
        print_json([{"step": step, "result": result} for step, result in told])
        return
    table = Table("step", "result")
    for step, result in told:
        table.add_row(step.replace("_", " "), "not known" if result is None else result)
    console.print(table if told else "No step changes it: it is in standard form.")
