"""`doorstep`: one command for each thing a person does. Each sub-command lives in the file of its name.

Commands import what they need when they run: `doorstep --help` should not wait for Dagster.
"""

from __future__ import annotations

import os
import sys

import typer

from doorstep import (
    attack,
    bridge,
    cases,
    county,
    data,
    evaluate,
    feeds,
    keys,
    linkage,
    notes,
    refresh,
    report,
    scan,
    standardise,
    ui,
    vault,
)
from doorstep.console import EXPECTED_ERRORS, errors
from doorstep.extras import told_missing, what_to_install
from stores.failures import kind_and_place

app = typer.Typer(
    name="doorstep",
    help="Helps a council reach a household before it loses its home.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=(told_missing() or "").replace("[", r"\["),
)

app.add_typer(keys.app, name="keys")
app.add_typer(bridge.app, name="bridge")
app.add_typer(vault.app, name="vault")
app.add_typer(cases.app, name="cases")
app.add_typer(county.app, name="county")
app.add_typer(feeds.app, name="feeds")
app.add_typer(linkage.app, name="linkage")
app.add_typer(notes.app, name="notes")
app.add_typer(evaluate.app, name="evaluate")
app.command("refresh")(refresh.refresh)
app.command("report")(report.report)
app.command("standardise")(standardise.standardise)
app.command("query")(data.query)
app.command("digest")(data.digest)
app.command("scan")(scan.scan)
app.command("attack")(attack.attack)
app.command("ui")(ui.ui)


def main() -> None:
    """Run the command line; an expected error is one sentence, never a stack trace."""
    try:
        app()
    except ModuleNotFoundError as error:
        message = what_to_install(error)
        if message is None or os.environ.get("DOORSTEP_TRACEBACK"):
            raise
        errors.print(message, markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except EXPECTED_ERRORS as error:
        if os.environ.get("DOORSTEP_TRACEBACK"):
            raise
        errors.print(f"[bold red]{type(error).__name__}[/]: {error}", highlight=False)
        sys.exit(1)
    except Exception as error:
        if os.environ.get("DOORSTEP_TRACEBACK"):
            raise
        # The text of an unforeseen error may hold a value of a row, and logs are read by others.
        told = f"A fault of the program: {kind_and_place(error)}. With DOORSTEP_TRACEBACK=1 it says more."
        errors.print(told, markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
