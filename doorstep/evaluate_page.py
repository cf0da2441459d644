"""`doorstep evaluate linkage --page`: the linkage of a county on one page."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from doorstep.console import console, errors, print_json
from stores.home import Home

if TYPE_CHECKING:
    from evaluation.linkage.report import LinkageReport

LINKAGE_PAGE = "linkage_report.html"


def write_linkage_page(*, clear: bool, out: Path | None, as_json: bool) -> None:
    """Judge the home's linkage, write the page, and print the headline figures; exits with 1 when an aim is missed.

    With `clear`, the other ways of linking the same records stand beside it. With `as_json` the page is written only
    where `out` says.
    """
    from evaluation.linkage.county import TruthMissingError, compare_county
    from evaluation.linkage.page import write_page
    from evaluation.linkage.report import report_linkage

    home = Home.from_environment()
    try:
        report = report_linkage(home, sides=compare_county(home) if clear else None)
    except TruthMissingError as error:
        errors.print(f"[bold red]TruthMissingError[/]: {error}", highlight=False)
        raise typer.Exit(1) from None
    if as_json:
        print_json(document_of(report))
    else:
        _show(report)
    if out or not as_json:
        written = write_page(report, out or home.root / LINKAGE_PAGE)
        errors.print(f"Wrote {written}.", highlight=False)
    if any(aim.holds is False for aim in report.aims):
        raise typer.Exit(1)


def document_of(report: LinkageReport) -> dict[str, Any]:
    """Return the report as plain values: the same figures as the page."""
    return {**asdict(report), "aims": [{**asdict(aim), "holds": aim.holds} for aim in report.aims]}


def _show(report: LinkageReport) -> None:
    table = Table("figure", "measured", "wanted", "", title="Linkage of this county", title_justify="left")
    for aim in report.aims:
        value = "too few pairs" if aim.value is None else f"{aim.value:.4f}"
        verdict = {None: "", True: "[green]holds[/]", False: "[red]off[/]"}[aim.holds]
        table.add_row(aim.name, value, f"{'≥' if aim.at_least else '≤'} {aim.wanted}", verdict)
    console.print(table)
    for cause in report.anatomy.causes:
        console.print(f"{cause.parted:,} pairs missed: {cause.cause}", highlight=False)
