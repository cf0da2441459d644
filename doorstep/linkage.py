"""`doorstep linkage`: train, compare and adopt linkage models, and have pairs of records reviewed."""

from __future__ import annotations

import typer

from doorstep import linkage_drift, linkage_explain, linkage_model, linkage_review

app = typer.Typer(help="Linkage models, and clerical review of what they link.", no_args_is_help=True)
app.add_typer(linkage_review.app, name="review")
app.command("train")(linkage_model.train)
app.command("compare")(linkage_model.compare)
app.command("adopt")(linkage_model.adopt)
app.command("explain")(linkage_explain.explain)
app.command("drift")(linkage_drift.drift)
