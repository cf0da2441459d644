"""`doorstep cases`: alerts that came back, and the door through which an officer learns whose they are."""

from __future__ import annotations

import os
import pwd
import sys
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from doorstep.console import AsJson, console, errors, print_json
from stores.home import Home

app = typer.Typer(help="Alerts that came back to the council, and whose they are.", no_args_is_help=True)


@app.command("list")
def list_(
    refs: Annotated[bool, typer.Option("--refs", help="Show each case with its record references.")] = False,
    as_json: AsJson = False,
) -> None:
    """Receive what came back and show the cases: references and counts, never an identity.

    With --json: `months` (use_case, as_of_month, cases, records), `cases` (with --refs: use_case, as_of_month, rank,
    score, record_refs) and `refused` (packages: name, reason).
    """
    from bridge.cases.cases import list_cases, receive_cases
    from bridge.zone import CouncilZone

    zone = CouncilZone.open(Home.from_environment())
    report = receive_cases(zone, _now().date())
    cases = list_cases(zone)
    alerts = Counter((case.use_case, case.as_of_month) for case in cases)
    records: Counter[tuple[str, Any]] = Counter()
    for case in cases:
        records[case.use_case, case.as_of_month] += len(case.record_refs)
    months = [
        {"use_case": key[0], "as_of_month": key[1], "cases": count, "records": records[key]}
        for key, count in alerts.items()
    ]
    if as_json:
        shown = [asdict(case) for case in cases] if refs else []
        print_json({"months": months, "cases": shown, "refused": [asdict(each) for each in report.refused]})
    else:
        _print_months(months)
        if refs:
            for case in cases:
                console.print(
                    f"{case.use_case} {case.as_of_month:%Y-%m} no. {case.rank}, score {case.score:.3f}"
                )
                console.print("  " + " ".join(case.record_refs), highlight=False)
        for refusal in report.refused:
            errors.print(f"[bold red]refused[/]: {refusal.name}: {refusal.reason}", highlight=False)
    if report.refused:
        raise typer.Exit(1)


@app.command("open")
def open_(
    record_ref: Annotated[str, typer.Argument(metavar="REF", help="A record reference that came back.")],
    officer: Annotated[str, typer.Option("--officer", help="Your short name in council/officers.yaml.")],
    purpose: Annotated[str, typer.Option("--purpose", help="What for: a purpose that the use case names.")],
) -> None:
    """Show on this terminal whose record REF is, if your role and purpose allow it. The audit log says that you asked.

    What is shown goes to a terminal only, never into a file or another program.
    """
    from bridge.cases.reidentify import Request, open_case
    from bridge.zone import CouncilZone

    if not sys.stdout.isatty():
        errors.print("Identities are shown on a terminal only: run this without a pipe or a redirection.")
        raise typer.Exit(2)
    zone = CouncilZone.open(Home.from_environment())
    # The account is what the kernel says, not what the environment says.
    account = pwd.getpwuid(os.getuid()).pw_name
    opened = open_case(zone, Request(record_ref, officer, purpose, account, _now()))
    case = opened.case
    console.print(f"{case.use_case} {case.as_of_month:%Y-%m} no. {case.rank}, score {case.score:.3f}")
    for reason in opened.reasons:
        console.print(f"  because: {reason}", highlight=False, markup=False)
    if opened.reasons_withheld:
        console.print(f"  and {opened.reasons_withheld} reasons from feeds that your role may not see")
    table = Table(f"record of {opened.feed}", "", show_header=True)
    for name, value in opened.identity.items():
        shown = ", ".join(map(str, value.values())) if isinstance(value, dict) else str(value)
        table.add_row(name.replace("_", " "), Text(shown))
    console.print(table)


@app.command("audit")
def audit(
    verify: Annotated[bool, typer.Option("--verify", help="Only say whether the log is whole.")] = False,
    head: Annotated[
        str | None, typer.Option("--head", help="A head noted earlier: is it still in the log?")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the audit log and show who opened what, and what was refused. Fails if the log is not whole.

    With --json: `entries`, `opened`, `refused`, `head` (note it elsewhere), and without --verify `log`, every entry.
    """
    from bridge.cases.cases import openings_log
    from bridge.zone import CouncilZone
    from governance.audit_log import Head

    zone = CouncilZone.open(Home.from_environment())
    try:
        known = None if head is None else Head.parse(head)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    entries, at = openings_log(zone).read(known)
    verdicts = Counter(entry.verdict for entry in entries)
    if as_json:
        document: dict[str, Any] = {
            "entries": at.entries,
            "opened": verdicts["opened"],
            "refused": verdicts["refused"],
            "head": at.text,
        }
        print_json(document if verify else {**document, "log": [asdict(entry) for entry in entries]})
        return
    if not verify:
        for entry in entries:
            print(" ".join(asdict(entry).values()))
    console.print(
        f"The log is whole: {at.entries} entries, {verdicts['opened']} opened, {verdicts['refused']} refused."
    )
    console.print(f"Head, to be noted elsewhere: {at.text}", soft_wrap=True, highlight=False)


def _print_months(months: list[dict[str, Any]]) -> None:
    table = Table("use case", "month", "cases", "records")
    for month in months:
        table.add_row(
            month["use_case"], f"{month['as_of_month']:%Y-%m}", f"{month['cases']:,}", f"{month['records']:,}"
        )
    console.print(table)


def _now() -> datetime:
    return datetime.now(UTC)
