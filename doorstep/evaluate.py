"""`doorstep evaluate`: judge linkage and risk against a known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer
from rich.table import Table

from doorstep.console import AsJson, console, errors, print_json
from stores.home import Home

app = typer.Typer(help="Judge linkage and risk against a known truth.", no_args_is_help=True)

# How far pseudonymised linkage may fall below clear text on anybody's data: promise 3 of the privacy design.
LARGEST_F1_LOSS = 0.010


@app.command("linkage")
def linkage(
    dataset: Annotated[
        str | None, typer.Option(help="febrl3, historical_50k, or county (this home).")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Your own table of people: CSV or Parquet.")] = None,
    truth: Annotated[str | None, typer.Option(help="Column that says which rows are one person.")] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", help="identity=column, for each identity your table has; repeat."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print pairwise precision, recall and F1 of clear-text Splink beside Doorstep on pseudonyms.

    With --json: `{"dataset", "clear": {"precision", "recall", "f1"}, "pseudonymised": {…}}`; for `county` only
    `pseudonymised`. Exits with 1 when pseudonyms cost more than a point of F1, or the county's promise does not hold.
    """
    document = _judge(dataset, file, truth, mapping or [])
    if as_json:
        print_json(document)
    else:
        _show(document)
    if not document["holds"]:
        errors.print("[red]The promise does not hold[/]: see the figures above.")
        raise typer.Exit(1)


def _judge(dataset: str | None, file: Path | None, truth: str | None, mapping: list[str]) -> dict[str, Any]:
    from evaluation.linkage_datasets import Dataset, evaluate_dataset, evaluate_file

    if file is not None:
        if truth is None or not mapping:
            raise typer.BadParameter(
                "--file needs --truth COLUMN and a --map identity=column for each identity"
            )
        columns = dict(item.split("=", 1) for item in mapping if "=" in item)
        document = evaluate_file(file, truth, columns)
    elif dataset == "county":
        return _judge_county()
    elif dataset in get_args(Dataset):
        document = evaluate_dataset(cast(Dataset, dataset))
    else:
        raise typer.BadParameter(
            "give --dataset febrl3, historical_50k or county, or --file with your own table"
        )
    loss = document["clear"]["f1"] - document["pseudonymised"]["f1"]
    return {**document, "f1_loss": loss, "largest_f1_loss": LARGEST_F1_LOSS, "holds": loss <= LARGEST_F1_LOSS}


def _judge_county() -> dict[str, Any]:
    from dataclasses import asdict

    from evaluation.linkage_county import evaluate_county

    figures = evaluate_county(Home.from_environment())
    return {"dataset": "county", "pseudonymised": asdict(figures), "holds": figures.holds}


def _show(document: dict[str, Any]) -> None:
    table = Table(
        "", "precision", "recall", "F1", title=f"Linkage on {document['dataset']}, by pair of records"
    )
    for name in ("clear", "pseudonymised"):
        if name in document:
            row = document[name]
            table.add_row(name, *(f"{row[figure]:.4f}" for figure in ("precision", "recall", "f1")))
    console.print(table)


@app.command("risk")
def risk(as_json: AsJson = False) -> None:
    """Print the share of the next six months' events that the top 1 % holds: model, baselines, oracle.

    With --json: the fields of `evaluation.risk.RiskFigures`, and `holds`.
    Exits with 1 when a baseline beats the model or the model beats the oracle.
    """
    from dataclasses import asdict

    from doorstep.report import risk_table
    from evaluation.risk import evaluate_risk

    figures = evaluate_risk(Home.from_environment())
    document = {**asdict(figures), "holds": figures.beats_every_baseline and figures.stays_within_oracle}
    if as_json:
        print_json(document)
    else:
        console.print(risk_table(document))
        console.print(f"Share of the oracle: {figures.share_of_oracle:.2f}")
    if not document["holds"]:
        errors.print(
            "[red]The promise does not hold[/]: a baseline beats the model, or the model beats the oracle."
        )
        raise typer.Exit(1)
