"""`doorstep evaluate`: judge linkage, risk and the reading of case notes against a known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer
from rich.table import Table

from doorstep.console import AsJson, console, errors, print_json
from doorstep.evaluate_addresses import evaluate_addresses
from doorstep.evaluate_blocking import evaluate_blocking
from doorstep.evaluate_households import evaluate_households
from doorstep.evaluate_page import LINKAGE_PAGE, write_linkage_page
from doorstep.notes import evaluate_notes
from stores.home import Home

app = typer.Typer(help="Judge linkage, risk and case notes against a known truth.", no_args_is_help=True)

# How far pseudonymised linkage may fall below clear text on anybody's data: promise 3 of the privacy design.
LARGEST_F1_LOSS = 0.010


app.command("notes")(evaluate_notes)
app.command("addresses")(evaluate_addresses)
app.command("blocking")(evaluate_blocking)
app.command("households")(evaluate_households)


@app.command("linkage")
def linkage(
    dataset: Annotated[
        str | None, typer.Option(help="febrl1 to febrl4, fake_1000, historical_50k, or county (this home).")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Your own table of people: CSV or Parquet.")] = None,
    truth: Annotated[str | None, typer.Option(help="Column that says which rows are one person.")] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", help="identity=column, for each identity your table has; repeat."),
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="county: link the partners' files in the clear as well; minutes.")
    ] = False,
    page: Annotated[
        bool,
        typer.Option("--page", help="county: write one page with everything: figures, causes, waterfalls."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help=f"Where to write the page; else {LINKAGE_PAGE} in the home.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print pairwise precision, recall and F1 of clear-text Splink beside Doorstep on pseudonyms.

    With --json: `{"dataset", "clear": {"precision", "recall", "f1"}, "clear_same_blocking": {…}, "pseudonymised": {…},
    "f1_loss", "holds"}`. `county` alone has `pseudonymised` only: what the last refresh linked. With --clear it has
    both sides, linked anew from the files, by name origin too.
    Exits with 1 when pseudonyms cost more than a point of F1 at the same blocking, when recall differs by more than
    three points between name origins, or when the county's precision or recall is below the promise.

    With --page (county): figures by feed pair, name origin, age, tenure and moves; what missed a pair, which level
    let a false one through; waterfalls; the last nights. With --json then the same figures as the page: `measure`,
    `feed_pairs`, `groups`, `anatomy`, `weights`, `nights`, `aims` (with `holds`). Exits with 1 when an aim is missed.
    """
    if page or out:
        if file or dataset not in (None, "county"):
            raise typer.BadParameter("--page is for the county of this home")
        write_linkage_page(clear=clear, out=out, as_json=as_json)
        return
    document = (
        _judge_county(clear)
        if dataset == "county" and not file
        else _judge(dataset, file, truth, mapping or [])
    )
    if as_json:
        print_json(document)
    else:
        _show(document)
    if not document["holds"]:
        errors.print("[red]The promise does not hold[/]: see the figures above.")
        raise typer.Exit(1)


def _judge(dataset: str | None, file: Path | None, truth: str | None, mapping: list[str]) -> dict[str, Any]:
    from evaluation.linkage.peers import Dataset, evaluate_dataset, evaluate_file

    if file is not None:
        if truth is None or not mapping:
            raise typer.BadParameter(
                "--file needs --truth COLUMN and a --map identity=column for each identity"
            )
        columns = dict(item.split("=", 1) for item in mapping if "=" in item)
        document = evaluate_file(file, truth, columns)
    elif dataset in get_args(Dataset):
        document = evaluate_dataset(cast(Dataset, dataset))
    else:
        raise typer.BadParameter(
            "give --dataset febrl1 to febrl4, fake_1000, historical_50k or county, or --file with your own table"
        )
    own = document["pseudonymised"]["f1"]
    loss = document["clear_same_blocking"]["f1"] - own
    return {
        **document,
        "f1_loss": loss,
        "f1_loss_to_own_blocking": document["clear"]["f1"] - own,
        "largest_f1_loss": LARGEST_F1_LOSS,
        "holds": loss <= LARGEST_F1_LOSS,
    }


def _judge_county(clear: bool) -> dict[str, Any]:
    from dataclasses import asdict

    from evaluation.linkage.county import compare_county, evaluate_county

    home = Home.from_environment()
    if clear:
        return {"dataset": "county", **asdict(compare_county(home)), "largest_f1_loss": LARGEST_F1_LOSS}
    figures = evaluate_county(home)
    return {"dataset": "county", "pseudonymised": asdict(figures), "holds": figures.holds}


def _show(document: dict[str, Any]) -> None:
    table = Table(
        "", "precision", "recall", "F1", title=f"Linkage on {document['dataset']}, by pair of records"
    )
    for name in ("clear", "clear_same_blocking", "pseudonymised"):
        if name in document:
            row = document[name]
            table.add_row(
                name.replace("_", ", "), *(f"{row[figure]:.4f}" for figure in ("precision", "recall", "f1"))
            )
    console.print(table)
    if "by_origin" in document["pseudonymised"]:
        _show_origins(document)


def _show_origins(document: dict[str, Any]) -> None:
    sides = [side for side in ("clear", "pseudonymised") if side in document]
    table = Table("name origin", "true pairs", *sides, title="Recall by name origin")
    origins = document["pseudonymised"]["by_origin"]
    for origin in sorted(origins, key=lambda origin: float(origins[origin]["recall"])):
        recalls = (f"{document[side]['by_origin'][origin]['recall']:.4f}" for side in sides)
        table.add_row(origin, f"{origins[origin]['true_pairs']:,}", *recalls)
    console.print(table)
    console.print(f"Largest gap among origins that are judged: {document['pseudonymised']['recall_gap']:.4f}")


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
