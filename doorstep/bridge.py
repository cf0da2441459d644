"""`doorstep bridge`: the council side alone, as it runs on a partner's own site."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from doorstep.console import AsJson, console, errors, print_json
from stores.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.run import BridgeRun, FeedRun

TIME_ZONE = ZoneInfo("Europe/London")

app = typer.Typer(
    help="The council side alone: from partners' files to sealed packages.", no_args_is_help=True
)


@app.command("run")
def run(
    night: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The night to run; today in London if not given."),
    ] = None,
    again: Annotated[
        list[str] | None,
        typer.Option(metavar="FEED/DELIVERY", help="Seal once more what was lost or damaged on its way."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load, check, pseudonymise and seal what waits in the inbox, and open the alerts that came back.

    Needs neither Dagster nor the analytics zone.

    With --json: `night`, `registered`, `duplicates`, `refused`, `failures`, `seconds`, `cases` (what came back:
    `packages`, `cases` and `records` held, `expired_months`), and for each feed with work
    `loaded`, `checked`, `refused` (deliveries), `rows_in`, `rows_quarantined`, `rows_sealed`, `link_key_rows`,
    `identities_kept`, `addresses_matched`, `packages`, `failure`. Exits with 1 if a feed failed.
    """
    from bridge.run import run_bridge, send_again
    from bridge.zone import CouncilZone
    from stores.encrypted import writer_lock

    started = time.monotonic()
    day = night.date() if night else datetime.now(TIME_ZONE).date()
    home = Home.from_environment()
    home.root.mkdir(parents=True, exist_ok=True)
    zone = CouncilZone.open(home)
    # The same lock as `doorstep refresh`: one night at a time in a home.
    with writer_lock(home.refresh_state), _progress() as announce:
        for named in again or ():
            feed, _, delivery_id = named.partition("/")
            send_again(zone, feed, delivery_id)
        done = run_bridge(zone, day, announce)
    for message in done.found.messages:
        errors.print(f"[yellow]inbox[/] {message}", highlight=False)
    if as_json:
        print_json(_document(done, time.monotonic() - started))
    else:
        _show(done)
    for failure in done.failures:
        errors.print(f"[red]failed[/] {failure}", highlight=False)
    unforeseen = next((each.error for each in done.feeds if each.error), None)
    if unforeseen and os.environ.get("DOORSTEP_TRACEBACK"):
        raise unforeseen
    if done.failures:
        raise typer.Exit(1)


@app.command("status")
def status(as_json: AsJson = False) -> None:
    """Show how many deliveries of each feed wait, are sealed or were refused, and what was sealed last.

    With --json: for each feed, `states` (state → deliveries) and `last_sealed` (delivery id or null).
    """
    from bridge.deliveries.ledger import SEALED, deliveries
    from bridge.zone import CouncilZone

    zone = CouncilZone.open(Home.from_environment())
    document: dict[str, Any] = {}
    for feed in zone.contracts:
        found = deliveries(zone, feed)
        sealed = [each for each in found if each.state == SEALED]
        document[feed] = {
            "states": dict(Counter(each.state for each in found)),
            "last_sealed": sealed[-1].delivery_id if sealed else None,
        }
    if as_json:
        print_json(document)
        return
    table = Table("feed", "deliveries", "last sealed")
    for feed, each in document.items():
        states = ", ".join(f"{count} {state}" for state, count in sorted(each["states"].items()))
        table.add_row(feed, states or "none", each["last_sealed"] or "")
    console.print(table)


def _document(done: BridgeRun, seconds: float) -> dict[str, Any]:
    return {
        "night": done.night,
        "registered": done.found.registered,
        "duplicates": done.found.duplicates,
        "refused": done.found.refused,
        "failures": done.failures,
        "seconds": round(seconds, 1),
        "cases": {
            "packages": done.cases.packages,
            "cases": done.cases.cases,
            "records": done.cases.records,
            "expired_months": done.cases.expired_months,
        },
        "feeds": {each.feed: _figures(each) for each in done.feeds},
    }


def _figures(run: FeedRun) -> dict[str, Any]:
    loaded, sealed, addresses = run.loaded, run.sealed, run.addresses
    return {
        "loaded": loaded.loaded if loaded else 0,
        "checked": loaded.checked if loaded else 0,
        "refused": loaded.refused if loaded else 0,
        "rows_in": loaded.rows_in if loaded else 0,
        "rows_quarantined": loaded.rows_quarantined if loaded else 0,
        "rows_sealed": sealed.rows if sealed else 0,
        "link_key_rows": sealed.link_key_rows if sealed else 0,
        "identities_kept": sealed.identities_kept if sealed else 0,
        "addresses_matched": addresses.matched if addresses else 0,
        "packages": sealed.packages if sealed else (),
        "failure": run.failure,
    }


def _show(done: BridgeRun) -> None:
    if done.cases.packages:
        console.print(f"{done.cases.cases:,} cases are held, of {done.cases.packages:,} packages of alerts.")
    if not done.feeds:
        console.print("Nothing new: no delivery waits in the inbox.")
        return
    table = Table("feed", "deliveries", "rows in", "set aside", "sealed", "link keys", "packages")
    for each in done.feeds:
        figures = _figures(each)
        numbers = ("loaded", "rows_in", "rows_quarantined", "rows_sealed", "link_key_rows")
        table.add_row(each.feed, *(f"{figures[name]:,}" for name in numbers), f"{len(figures['packages']):,}")
    console.print(table)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show one line for each step, with the time it took; yield the function that announces the next."""
    columns = (
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors) as bars:
        running: list[TaskID] = []

        def announce(name: str) -> None:
            if running:
                bars.update(running.pop(), completed=1)
            running.append(bars.add_task(name, total=1))

        yield announce
        if running:
            bars.update(running.pop(), completed=1)
