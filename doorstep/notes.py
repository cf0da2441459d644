"""`doorstep notes` and `doorstep evaluate notes`: what the bridge reads in case notes, and how well."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from doorstep.console import AsJson, console, errors, print_json
from stores.home import Home

app = typer.Typer(help="Case notes, inside the council.", no_args_is_help=True)


@app.callback()
def notes() -> None:
    """Case notes, inside the council."""


@app.command("excerpt")
def excerpt(
    file: Annotated[Path, typer.Argument(help="A file of case notes, as the partner sent it.")],
    as_json: AsJson = False,
) -> None:
    """Write a file's notes without identifiers beside the council's cases, where the council allows excerpts.

    Nothing of a note is printed. With --json: `path`, `notes`, `identifiers` (how many were taken out, by kind),
    `left_out` (numbers of rows without a text or a readable date). Exits with 1 unless DOORSTEP_NOTE_EXCERPTS=allowed.
    """
    from bridge.files.hostile_files import RefusedFileError
    from bridge.notes.excerpts import ExcerptsNotAllowedError, write_excerpts
    from bridge.zone import CouncilZone

    try:
        report = write_excerpts(CouncilZone.open(Home.from_environment()), file)
    except (ExcerptsNotAllowedError, RefusedFileError) as error:
        errors.print(str(error), highlight=False)
        raise typer.Exit(1) from None
    if as_json:
        print_json({**asdict(report), "path": str(report.path)})
    else:
        taken = sum(report.identifiers.values())
        console.print(f"{report.notes} notes, {taken} identifiers taken out: {report.path}", highlight=False)
        if report.left_out:
            numbers = ", ".join(f"{number}" for number in report.left_out)
            errors.print(
                f"[yellow]left out[/] {file.name}: rows {numbers}: no text, or a note date that is not "
                "YYYY-MM-DD. Mend them and write the excerpts again.",
                highlight=False,
            )


def evaluate_notes(
    dataset: Annotated[
        str, typer.Option(help="county, or peer (the notes in the reference data).")
    ] = "county",
    households: Annotated[int, typer.Option(help="Size of the county that is written for it.")] = 6_000,
    as_json: AsJson = False,
) -> None:
    """Print how well the bridge reads case notes: concepts, polarity, identifiers.

    The county's sentences are in two halves; promises are for the half held back while the rules were written. With
    --json: `development` and `held_back` (`notes`, `concepts`, `unread`, `by_concept`, `identifiers`), `promised`,
    `holds`; for peer: `notes`, `different_texts`, `scenarios`, `holds`. Exits with 1 when a promise does not hold.
    """
    from evaluation.datasets import DatasetError
    from evaluation.notes.report import evaluate_county_notes, evaluate_peer_notes

    if dataset not in ("county", "peer"):
        raise typer.BadParameter("give --dataset county or peer")
    try:
        document = evaluate_county_notes(households) if dataset == "county" else evaluate_peer_notes()
    except DatasetError as error:
        errors.print(str(error), highlight=False)
        raise typer.Exit(1) from None
    if as_json:
        print_json(document)
    elif dataset == "county":
        console.print(_county_table(document))
    else:
        console.print(_peer_table(document))
    if not document["holds"]:
        errors.print("[red]The promise does not hold[/]: see the figures of the sentences held back.")
        raise typer.Exit(1)


def _county_table(document: dict[str, Any]) -> Table:
    table = Table(title="Case notes, by half of the county's sentences")
    for heading in ("", "Development", "Held back", "Held back, unread", "Promised"):
        table.add_column(heading, justify="left" if not heading else "right")
    promised = document["promised"]
    columns = (
        document["development"]["concepts"],
        document["held_back"]["concepts"],
        document["held_back"]["unread"],
    )
    for name, key, promise in (
        ("Labels of concepts", "labels", ""),
        ("Precision", "precision", ""),
        ("Recall", "recall", ""),
        ("F1", "f1", f"{promised['f1']:.2f}"),
        ("Polarity, of four", "polarity", ""),
        ("Denied or not", "negation", f"{promised['negation']:.2f}"),
    ):
        shown = (
            f"{column[key]:,}" if isinstance(column[key], int) else f"{column[key]:.3f}" for column in columns
        )
        table.add_row(name, *shown, promise)
    identifiers = (document["development"]["identifiers"], document["held_back"]["identifiers"])
    caught = (f"{column['recall']:.4f}" for column in identifiers)
    table.add_row("Identifiers caught", *caught, "", f"{promised['identifier_recall']:.3f}")
    table.add_row(
        "Other words redacted", *(f"{column['over_redacted_words']:.4f}" for column in identifiers), "", ""
    )
    return table


def _peer_table(document: dict[str, Any]) -> Table:
    table = Table(
        title=f"Peer's notes: {document['notes']}, of {document['different_texts']} different texts"
    )
    for heading in ("Scenario", "Notes", "Found", "Found in other notes"):
        table.add_column(heading, justify="left" if heading == "Scenario" else "right")
    for scenario, scores in document["scenarios"].items():
        table.add_row(
            scenario, str(scores["notes"]), f"{scores['found']:.3f}", f"{scores['found_in_other_notes']:.3f}"
        )
    return table
