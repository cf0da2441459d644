"""`doorstep linkage train | compare | adopt`: models are trained apart from the night and adopted after review."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from doorstep.console import AsJson, console, print_json
from stores.home import Home

if TYPE_CHECKING:
    from linkage.candidates.comparison import ModelComparison
    from linkage.review.estimate import Estimate
    from stores.analytics import AnalyticsZone

Candidate = Annotated[
    Path | None,
    typer.Argument(
        metavar="FOLDER", help="The candidate's folder; analytics/models/linkage/candidate if none."
    ),
]
CHARTS = {"match_weights.html": "match_weights_chart", "m_u_parameters.html": "m_u_parameters_chart"}
"""Splink's own charts, by file; they can be asked with the pointer."""


def train(
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the candidate.")] = None,
    from_verdicts: Annotated[
        bool,
        typer.Option("--from-verdicts", help="Move the model in use by the verdicts of reviews instead."),
    ] = False,
    threshold: Annotated[
        float | None, typer.Option(help="Match weight from which pairs are linked; else that in use.")
    ] = None,
    random_pairs: Annotated[
        int | None, typer.Option(help="Random pairs that tell how often strangers agree; else ten million.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a candidate on the present link keys, draw its charts, and compare it with the model in use.

    Writes model.json, comparison.json, comparison.html, match_weights.html and m_u_parameters.html. Nothing is
    adopted, and no night uses it. With --json: `folder` and the fields of
    `linkage.candidates.comparison.ModelComparison`.
    """
    from linkage.candidates.candidate import (
        MODEL_FILE,
        candidate_folder,
        candidate_from_verdicts,
        train_candidate,
        with_threshold,
    )
    from linkage.candidates.training import county_plan, write_model
    from stores.analytics import AnalyticsZone

    zone = AnalyticsZone.open(Home.from_environment())
    folder = out or candidate_folder(zone)
    plan = county_plan()
    if random_pairs is not None:
        plan = replace(plan, random_pairs=random_pairs)
    model = candidate_from_verdicts(zone) if from_verdicts else train_candidate(zone, plan)
    write_model(with_threshold(model, threshold), folder / MODEL_FILE)
    _compare(zone, folder, as_json)


def compare(folder: Candidate = None, as_json: AsJson = False) -> None:
    """Compare a candidate with the model in use on the present link keys, and write its charts and page again.

    With --json: `folder` and the fields of `linkage.candidates.comparison.ModelComparison`.
    """
    from linkage.candidates.candidate import candidate_folder
    from stores.analytics import AnalyticsZone

    zone = AnalyticsZone.open(Home.from_environment())
    _compare(zone, folder or candidate_folder(zone), as_json)


def adopt(
    reviewer: Annotated[str, typer.Option("--reviewed-by", help="Who looked at the comparison.")],
    reason: Annotated[str, typer.Option("--because", help="Why it is better, in a sentence.")],
    folder: Candidate = None,
    into: Annotated[
        Path | None, typer.Option("--into", help="The model's file; linkage/model.json of this code if none.")
    ] = None,
) -> None:
    """Put a compared candidate in place of the model in use: a change to the repository, to be reviewed as one.

    Refused if the comparison is not of these two models.
    """
    from linkage.candidates.candidate import adopt as adopt_candidate
    from linkage.candidates.candidate import candidate_folder
    from linkage.model import MODEL_PATH
    from stores.analytics import AnalyticsZone

    zone = AnalyticsZone.open(Home.from_environment())
    path = into or MODEL_PATH
    adopted = adopt_candidate(folder or candidate_folder(zone), reviewer, reason, _today(), path)
    console.print(
        f"Model {adopted.version} ({adopted.digest}) is in {path}.", soft_wrap=True, highlight=False
    )
    console.print(
        "Commit that file with the comparison's figures, and have the change reviewed before a night runs."
    )


def _compare(zone: AnalyticsZone, folder: Path, as_json: bool) -> None:
    from evaluation.linkage.model_page import write_model_page
    from linkage.candidates.candidate import MODEL_FILE, PAGE_FILE, compare_candidate
    from linkage.candidates.curves import threshold_curve, unlinkables
    from linkage.model import read_model
    from linkage.scoring.link_keys import read_link_keys

    comparison = compare_candidate(zone, folder)
    model = read_model(folder / MODEL_FILE)
    with zone.linkage(read_only=True) as connection:
        link_keys = read_link_keys(connection)
    curve, unlinkable = threshold_curve(link_keys, model), unlinkables(link_keys, model)
    page = write_model_page(comparison, curve, unlinkable, folder / PAGE_FILE)
    _write_splink_charts(dict(model.splink_settings), folder)
    if as_json:
        print_json({"folder": str(folder), **asdict(comparison)})
        return
    _show(comparison)
    console.print(f"Charts and all weights: {page}", soft_wrap=True, highlight=False)


def _write_splink_charts(settings: dict[str, Any], folder: Path) -> None:
    from splink.internals.charts import save_offline_chart

    from exchange.link_key_schema import LINK_KEY_SCHEMA
    from linkage.scoring.pairs import COMPARED, linking_connection, load_compared_records, quiet_linker

    connection = linking_connection()
    try:
        nobody = LINK_KEY_SCHEMA.empty_table()
        load_compared_records(connection, nobody.append_column("feed", nobody["record_ref"]))
        linker = quiet_linker(COMPARED, settings, connection)
        for name, chart in CHARTS.items():
            drawn = getattr(linker.visualisations, chart)(as_dict=True)
            save_offline_chart(drawn, str(folder / name), overwrite=True, print_msg=False)
    finally:
        connection.close()


def _show(comparison: ModelComparison) -> None:
    table = Table(
        "", "in use", "candidate", title=f"Model {comparison.candidate.version} beside the one in use"
    )
    sides = (comparison.current, comparison.candidate)
    for name, told in (
        ("threshold (bits)", [f"{side.threshold:.2f}" for side in sides]),
        ("edges", [f"{side.edges:,}" for side in sides]),
        ("people", [f"{side.people:,}" for side in sides]),
        ("pairs of one person", [f"{side.linked_pairs:,}" for side in sides]),
        ("precision by verdicts", [_told(side.precision) for side in sides]),
        ("recall of compared pairs by verdicts", [_told(side.recall) for side in sides]),
    ):
        table.add_row(name, *told)
    console.print(table)
    console.print(
        f"Edges gained {comparison.edges_gained:,}, lost {comparison.edges_lost:,}. People merged "
        f"{comparison.merged:,}, split {comparison.split:,}, unchanged {comparison.unchanged_people:,}. "
        f"B³ between the two {comparison.b_cubed:.4f}."
    )


def _told(estimate: Estimate | None) -> str:
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})" if estimate else "not reviewed"


def _today() -> Any:
    return datetime.now(UTC).date()
