"""`doorstep linkage drift`: the nights of linkage as their checks saw them, and accepting one that was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from doorstep.console import AsJson, console, errors, print_json
from stores.analytics import AnalyticsZone
from stores.home import Home

if TYPE_CHECKING:
    from linkage.nights.drift import PastNight

NIGHTS_SHOWN = 14


def drift(
    accept: Annotated[
        str | None,
        typer.Option(metavar="WHY", help="Take the newest night as good: the change is meant. Say why."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what linkage looked like on the last nights, and what strays from the good nights before.

    With --json: `nights` (`night`, `good`, `accepted_because`, `records`, `people`, `largest_person`,
    `records_per_person`, `candidates_per_record`), `findings` of the newest (`check`, `says`, `blocks`) and `good`.
    Exits with 1 when the newest night is not good.
    """
    from governance.linkage_checks import read_linkage_checks
    from linkage.nights.drift import NoNightError, accept_newest_night, findings_of_newest, past_nights

    zone = AnalyticsZone.open(Home.from_environment())
    if accept:
        try:
            accept_newest_night(zone, accept)
        except NoNightError as error:
            errors.print(f"[bold red]NoNightError[/]: {error}", highlight=False)
            raise typer.Exit(1) from None
    with zone.linkage(read_only=True) as connection:
        history = past_nights(connection)
    findings = findings_of_newest(history, read_linkage_checks())
    good = not history or history[-1].good
    if as_json:
        print_json(
            {
                "nights": [_row(past) for past in history],
                "findings": [
                    {"check": one.check, "says": one.sentence, "blocks": one.blocks} for one in findings
                ],
                "good": good,
            }
        )
    else:
        _show(history)
        for one in findings:
            colour = "red" if one.blocks else "yellow"
            console.print(f"[{colour}]{one.check}[/] {one.sentence}", highlight=False)
    if not good:
        errors.print(
            "[red]The newest night stops what is downstream[/]: mend the feed, or accept it with --accept WHY."
        )
        raise typer.Exit(1)


def _row(past: PastNight) -> dict[str, object]:
    figures = past.figures
    return {
        "night": past.night,
        "good": past.good,
        "accepted_because": past.accepted_because,
        "records": figures.records,
        "people": figures.people,
        "largest_person": figures.largest_person,
        "records_per_person": round(figures.records_per_person, 4),
        "candidates_per_record": round(figures.candidates_per_record, 4),
    }


def _show(history: list[PastNight]) -> None:
    table = Table(
        "night", "records", "people", "largest", "per person", "candidates", "", title="Nights of linkage"
    )
    for past in history[-NIGHTS_SHOWN:]:
        figures = past.figures
        verdict = (
            f"accepted: {past.accepted_because}"
            if past.accepted_because
            else ""
            if past.good
            else "[red]stopped[/]"
        )
        table.add_row(
            past.night.isoformat(),
            f"{figures.records:,}",
            f"{figures.people:,}",
            f"{figures.largest_person:,}",
            f"{figures.records_per_person:.3f}",
            f"{figures.candidates_per_record:.2f}",
            verdict,
        )
    console.print(table)
