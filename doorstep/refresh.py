"""`doorstep refresh`: one night, both zones, in order."""

from __future__ import annotations

import json
import os
from contextlib import redirect_stdout
from datetime import date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from bridge.deliveries.inbox import WAITING_STATES, RegistrationReport, deliveries, register_deliveries
from bridge.zone import CouncilZone
from doorstep.console import AsJson, console, errors, print_json
from exchange.transport import OUTBOX, Exchange
from governance.rules import rules_digest
from stores.encrypted import writer_lock
from stores.files import written_atomically
from stores.home import Home

TIME_ZONE = ZoneInfo("Europe/London")

Night = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"],
        help="The night to run; today in London if not given. Results depend on it alone.",
    ),
]


def refresh(night: Night = None, as_json: AsJson = False) -> None:
    """Take what is new in the inbox through both zones: check, pseudonymise, link, score, publish, retain."""
    day = night.date() if night else datetime.now(TIME_ZONE).date()
    home = Home.from_environment()
    home.root.mkdir(parents=True, exist_ok=True)
    with writer_lock(home.refresh_state):
        document = run_night(home, day)
    if as_json:
        print_json(document)
    elif not document["new"]:
        console.print(
            "Nothing new: no delivery has come since the last refresh of this night. Nothing was changed."
        )
    if document["failures"]:
        raise typer.Exit(1)


def run_night(home: Home, night: date) -> dict[str, object]:
    """Run what is left to do of `night` and return what was done.

    Keys: `night`; `new` (anything to do); `registered`, `duplicates`, `refused` (deliveries found in the inbox);
    `steps` (run name → succeeded); `failures` (one line each).
    """
    zone = CouncilZone.open(home)
    found = register_deliveries(zone, night)
    _announce_registration(found)
    waiting = [delivery for delivery in deliveries(zone) if delivery.state in WAITING_STATES]
    document: dict[str, object] = {
        "night": night.isoformat(),
        "registered": found.registered,
        "duplicates": found.duplicates,
        "refused": found.refused,
        "new": bool(waiting) or _finished_state(home) != _state(home, night),
        "steps": {},
        "failures": [],
    }
    if document["new"]:
        _run_steps(home, night, bool(waiting), document)
        if not document["failures"]:
            with written_atomically(home.refresh_state, mode=0o644) as aside:
                aside.write_text(json.dumps(_state(home, night)), encoding="utf-8")
    return document


def _run_steps(home: Home, night: date, council_has_work: bool, document: dict[str, object]) -> None:
    # Imported here: a night with nothing new should not wait for Dagster.
    os.environ["DOORSTEP_HOME"] = str(home.root)
    from orchestration.progress import night_progress
    from orchestration.refresh import analytics_steps, bridge_steps, cases_step

    steps: dict[str, bool] = {}
    failures: list[str] = []
    home.dagster.mkdir(parents=True, exist_ok=True)
    # dbt's own lines go to a file: the console shows one line for each run.
    with (
        (home.dagster / "console.log").open("a") as log,
        redirect_stdout(log),
        night_progress(errors) as announce,
    ):
        if council_has_work:
            for step in bridge_steps(home, night, announce):
                steps[step.name] = steps.get(step.name, True) and step.succeeded
                failures += step.failures
        for step in analytics_steps(home, night, announce):
            steps[step.name] = steps.get(step.name, True) and step.succeeded
            failures += step.failures
        last = cases_step(home, night, announce)
        steps[last.name] = last.succeeded
        failures += last.failures
    for failure in failures:
        errors.print(f"[red]failed[/] {failure}", highlight=False)
    document["steps"] = steps
    document["failures"] = failures


def _announce_registration(found: RegistrationReport) -> None:
    for message in found.messages:
        errors.print(f"[yellow]inbox[/] {message}", highlight=False)


def _state(home: Home, night: date) -> dict[str, object]:
    """What a finished night leaves behind: while all of it is the same, there is nothing to do."""
    exchange = Exchange.of(home)
    return {
        "night": night.isoformat(),
        "packages": sum(len(exchange.names(OUTBOX, folder)) for folder in exchange.folders(OUTBOX)),
        "rules": rules_digest(),
    }


def _finished_state(home: Home) -> dict[str, object] | None:
    try:
        state: dict[str, object] = json.loads(home.refresh_state.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return state
