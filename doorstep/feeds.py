"""`doorstep feeds`: try a partner's file, draft a contract from one, write the pages of what the rules found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from doorstep.console import AsJson, console, print_json
from stores.home import Home

app = typer.Typer(help="Partners' files: try one, draft a contract, see how feeds do.", no_args_is_help=True)


@app.callback()
def feeds() -> None:
    """Partners' files: try one, draft a contract, see how feeds do."""


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="The file to try.")],
    feed: Annotated[str | None, typer.Option(help="Its feed, if its name does not say.")] = None,
    table: Annotated[str | None, typer.Option(help="Its table, if its name does not say.")] = None,
    as_json: AsJson = False,
) -> None:
    """Try FILE by its contract and say what to fix: row, rule and remedy. Nothing is kept; no key is needed.

    Exit code 1 if the file would be refused or rows would go to quarantine.
    """
    from bridge.deliveries.try_file import try_file
    from governance.contracts import read_contracts

    trial = try_file(file, read_contracts(), feed, table)
    verdict = "refused" if trial.refused else "rows to quarantine" if trial.rows_to_quarantine else "good"
    if as_json:
        print_json(
            {
                "file": file.name,
                "feed": trial.feed,
                "tables": list(trial.tables),
                "verdict": verdict,
                "rows": trial.rows,
                "rows_to_quarantine": trial.rows_to_quarantine,
                "problems": [problem.as_json() for problem in trial.problems],
            }
        )
    else:
        for problem in trial.problems:
            console.print(f"• {problem}", highlight=False, markup=False, soft_wrap=True)
        said = {
            "refused": "The delivery would be refused.",
            "rows to quarantine": f"{trial.rows_to_quarantine:,} of {trial.rows:,} rows would go to quarantine.",
            "good": f"All {trial.rows:,} rows would be taken.",
        }[verdict]
        console.print(f"{trial.feed} ({', '.join(trial.tables)}): {said}", highlight=False)
    if not trial.good:
        raise typer.Exit(1)


@app.command("page")
def page(as_json: AsJson = False) -> None:
    """Write a page for each feed: its rules, how often each delivery broke them, and trends. Counts only."""
    from bridge.health.feed_health import feed_health
    from bridge.health.feed_page import write_feed_page
    from bridge.health.feed_plots import trends
    from bridge.zone import CouncilZone

    zone = CouncilZone.open(Home.from_environment())
    written = {}
    for feed, contract in zone.contracts.items():
        health = feed_health(zone, feed)
        written[feed] = str(write_feed_page(zone, contract, health, trends(health, contract.latency_days)))
    if as_json:
        print_json(written)
    else:
        for path in written.values():
            console.print(path, highlight=False, soft_wrap=True)


@app.command("new")
def new(
    sample: Annotated[Path, typer.Argument(help="A file as the partner sends it, with some hundred rows.")],
    feed: Annotated[str, typer.Option(help="Name of the feed: lower case letters, digits and _.")],
    table: Annotated[str, typer.Option(help="Name of the table in it.")] = "records",
    partner: Annotated[str, typer.Option(help="Who sends it.")] = "district",
    out: Annotated[Path, typer.Option(help="Where contracts/ and dbt_project/ are.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Draft a contract and a staging model from SAMPLE. They hold no value of it but codes that many rows have."""
    from bridge.files.draft_contract import draft_feed

    draft = draft_feed(sample, feed, out, table=table, partner=partner)
    written = [str(path) for path in (draft.contract_path, *draft.model_paths)]
    (drafted,) = draft.contract.tables
    if as_json:
        print_json(
            {
                "feed": feed,
                "written": written,
                "format": draft.contract.format,
                "encoding": draft.contract.encoding,
                "rows": draft.rows,
                "columns": len(drafted.columns),
                "key": [column.name for column in drafted.key],
                "identifiers": list(draft.identifiers),
                "codes": list(draft.codes),
            }
        )
        return
    console.print(
        f"{draft.contract.format}, {draft.contract.encoding}, {draft.rows:,} rows, {len(drafted.columns)} columns. "
        f"Key: {', '.join(column.name for column in drafted.key)}. "
        f"Likely identifiers: {', '.join(draft.identifiers) or 'none'}. Codes: {', '.join(draft.codes) or 'none'}.",
        highlight=False,
    )
    for path in written:
        console.print(path, highlight=False, soft_wrap=True)
    console.print("Read the drafts, put them right, then `doorstep feeds check` the sample.", highlight=False)
