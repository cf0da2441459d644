"""`doorstep evaluate addresses`: how many written addresses lead to the right property, against a known truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from doorstep.console import AsJson, console, errors, print_json
from stores.home import Home

if TYPE_CHECKING:
    from evaluation.addresses import AddressFigures, FeedAddresses


def evaluate_addresses(
    dataset: Annotated[
        str, typer.Option(help="labelled (the reference data's 2,088 addresses) or county (this home).")
    ] = "county",
    as_json: AsJson = False,
) -> None:
    """Print how many addresses without a UPRN lead to the right property, only to its building, to a wrong one.

    With --json: `dataset`, `total` and `feeds` with the fields of `evaluation.addresses.FeedAddresses` and their
    shares, `least_right`, `most_wrong`, `holds`. Exits with 1 when more than 1 % lead to a wrong place or, of the
    labelled addresses, fewer than 99 % to the right property or building.
    """
    from evaluation.addresses import MOST_WRONG, evaluate_county, evaluate_labelled

    if dataset not in ("labelled", "county"):
        raise typer.BadParameter("give --dataset labelled or county")
    figures = evaluate_labelled() if dataset == "labelled" else evaluate_county(Home.from_environment())
    if as_json:
        print_json(
            {
                "dataset": figures.dataset,
                "total": _document(figures.total),
                "feeds": [_document(feed) for feed in figures.feeds],
                "least_right": figures.least_right,
                "most_wrong": MOST_WRONG,
                "holds": figures.holds,
            }
        )
    else:
        _show(figures)
    if not figures.holds:
        errors.print("[red]The promise does not hold[/]: see the figures above.")
        raise typer.Exit(1)


def _document(feed: FeedAddresses) -> dict[str, Any]:
    from dataclasses import asdict

    shares = ("share_right", "share_right_building", "share_wrong")
    return asdict(feed) | {name: getattr(feed, name) for name in shares}


def _show(figures: AddressFigures) -> None:
    columns = ("addresses", "right", "", "building", "wrong", "ambiguous", "unmatched", "not judged")
    table = Table("feed", *columns, title=f"Addresses without a UPRN: {figures.dataset}", box=None)
    table.columns[0].no_wrap = True
    for feed in (*figures.feeds, figures.total) if len(figures.feeds) > 1 else figures.feeds:
        rest = (feed.right_building, feed.wrong, feed.ambiguous, feed.unmatched, feed.unknown)
        table.add_row(
            feed.feed,
            f"{feed.addresses:,}",
            f"{feed.right:,}",
            f"{feed.share_right:.2%}",
            *(f"{count:,}" for count in rest),
        )
    console.print(table)
