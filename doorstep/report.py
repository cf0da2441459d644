"""`doorstep report`: what came in, what came out, how well, and where to look."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer
from rich.table import Table

from doorstep.console import AsJson, console, errors, print_json
from governance.audiences import ANALYSTS
from stores.home import Home

QUERY_TO_TRY = (
    "select household_id, round(score, 3) as score, reasons from alerts order by score desc limit 5"
)


def report(as_json: AsJson = False) -> None:
    """Print a short report of this home.

    With --json: `deliveries` and `rows` (counts by state), `refused` and `messages` (what people should see
    to), `homes` (rows by feed and by how their home was found), `people`,
    `households`, `scores` (by use case), `linkage` and `risk` (beside the county's truth, where there is one), `marts`,
    `query`, `holds`. Exits with 1 when a promise that it checks does not hold.
    """
    home = Home.from_environment()
    document = {**_council(home), **_analytics(home), **_judged(home)}
    document["query"] = f'doorstep query "{QUERY_TO_TRY}"'
    document["holds"] = not document["broken_promises"]
    if as_json:
        print_json(document)
    else:
        _show(document)
    if not document["holds"]:
        raise typer.Exit(1)


def _council(home: Home) -> dict[str, Any]:
    from bridge.address_quality import homes_by_feed
    from bridge.deliveries.inbox import deliveries
    from bridge.zone import CouncilZone

    zone = CouncilZone.open(home)
    known = deliveries(zone)
    states: dict[str, int] = {}
    for delivery in known:
        states[delivery.state] = states.get(delivery.state, 0) + 1
    rows = {
        "in": sum(delivery.rows_in or 0 for delivery in known),
        "quarantined": sum(delivery.rows_quarantined or 0 for delivery in known),
        "sealed": sum(delivery.rows_sealed or 0 for delivery in known),
    }
    told = [
        {
            "feed": delivery.feed,
            "delivery_id": delivery.delivery_id,
            "state": delivery.state,
            "message": delivery.message,
        }
        for delivery in known
        if delivery.message
    ]
    return {
        "deliveries": {"in": len(known), **states},
        "rows": rows,
        "homes": homes_by_feed(zone),
        "refused": [item for item in told if item["state"] == "refused"],
        "messages": [item for item in told if item["state"] != "refused"],
    }


def _analytics(home: Home) -> dict[str, Any]:
    from stores.analytics import AnalyticsZone
    from stores.publishing import current_marts, published_marts

    zone = AnalyticsZone.open(home)
    with zone.linkage(read_only=True) as linkage:
        people = linkage.execute("select count(distinct person_id), count(*) from people").fetchone() or (
            0,
            0,
        )
    with published_marts(zone, ANALYSTS) as marts:
        scores = marts.execute(
            """
            select use_case, as_of_month, count(*) as households, round(avg(score), 5) as mean_score
            from risk_scores
            group by all
            order by all
            """
        ).fetchall()
        alerts = dict(marts.execute("select use_case, count(*) from alerts group by all").fetchall())
        households = marts.execute(
            "select as_of_month, count(*) from households group by all order by all desc limit 1"
        ).fetchone()
    return {
        "people": people[0],
        "linked_records": people[1],
        "households": households[1] if households else 0,
        "scores": [
            {
                "use_case": use_case,
                "as_of_month": month,
                "households": count,
                "mean_score": mean,
                "alerts": alerts.get(use_case, 0),
            }
            for use_case, month, count, mean in scores
        ],
        "marts": str(current_marts(zone, ANALYSTS)),
    }


def _judged(home: Home) -> dict[str, Any]:
    """Judge linkage and risk against the county's truth; nothing where the home holds no synthetic county."""
    if not (home.truth / "county.json").is_file():
        return {"linkage": None, "risk": None, "broken_promises": []}
    from evaluation.linkage.county import LEAST_PRECISION, LEAST_RECALL, evaluate_county
    from evaluation.risk import evaluate_risk

    linkage = evaluate_county(home)
    risk = evaluate_risk(home)
    broken = []
    if not linkage.holds:
        broken.append(
            f"linkage precision {linkage.precision:.4f} (least {LEAST_PRECISION}), recall {linkage.recall:.4f} "
            f"(least {LEAST_RECALL})"
        )
    if not risk.stays_within_oracle:
        broken.append("the model beats the oracle, so it knows something that it should not")
    return {"linkage": asdict(linkage), "risk": asdict(risk), "broken_promises": broken}


def _show(document: dict[str, Any]) -> None:
    table = Table(show_header=False, box=None, padding=(0, 2), title="Doorstep", title_justify="left")
    deliveries, rows = document["deliveries"], document["rows"]
    states = ", ".join(f"{count:,} {state}" for state, count in deliveries.items() if state != "in")
    table.add_row("deliveries", f"{deliveries['in']:,} in: {states}")
    table.add_row(
        "rows", f"{rows['in']:,} in, {rows['quarantined']:,} quarantined, {rows['sealed']:,} sealed"
    )
    table.add_row("people", f"{document['people']:,} from {document['linked_records']:,} records")
    table.add_row("households", f"{document['households']:,}")
    if document["linkage"]:
        linkage = document["linkage"]
        table.add_row(
            "linkage",
            f"precision {linkage['precision']:.4f}, recall {linkage['recall']:.4f} (pairs, against the truth)",
        )
    for score in document["scores"]:
        table.add_row(
            f"scores, {score['use_case']}",
            f"{score['households']:,} households as of {score['as_of_month']:%Y-%m}, {score['alerts']} alerts",
        )
    table.add_row("marts", document["marts"])
    table.add_row("try", document["query"])
    console.print(table)
    if document["homes"]:
        console.print(homes_table(document["homes"]))
    if document["risk"]:
        console.print(risk_table(document["risk"]))
    for item in document["refused"]:
        errors.print(f"[yellow]refused[/] {item['feed']}: {item['message']}", highlight=False)
    for broken in document["broken_promises"]:
        errors.print(f"[red]does not hold[/] {broken}", highlight=False)


HOMES_SHOWN = {
    "given": ("given",),
    "found": ("as_written", "sure", "likely"),
    "building": ("parent",),
    "not found": ("ambiguous", "unmatched"),
    "no address": ("no_address",),
}
"""Columns of the table of homes, narrow enough for a terminal; `--json` has every level."""


def homes_table(homes: dict[str, dict[str, int]]) -> Table:
    """Rows with addresses by feed and by how their home was found, as shares of the feed's rows."""
    table = Table("feed", title="Homes, by how they were found", title_justify="left")
    for name in ("rows", *HOMES_SHOWN):
        table.add_column(name, justify="right")
    for feed, levels in homes.items():
        rows = sum(levels.values())
        counts = (sum(levels.get(level, 0) for level in shown) for shown in HOMES_SHOWN.values())
        table.add_row(feed, f"{rows:,}", *(f"{count / rows:.1%}" if count else "" for count in counts))
    return table


def risk_table(risk: dict[str, Any]) -> Table:
    months = ", ".join(f"{month:%Y-%m}" for month in risk["test_months"])
    title = (
        f"Duties owed in the {risk['horizon_months']} months after {months}: how many were in the top "
        f"{risk['top_share']:.0%} of households"
    )
    table = Table("ranking", "caught", "share (95 %)", "precision", "lift", title=title, title_justify="left")
    for ranking in risk["rankings"]:
        table.add_row(
            ranking["ranking"].replace("_", " "),
            f"{ranking['caught']} of {ranking['events']}",
            f"{ranking['share']:.1%} ({ranking['share_low']:.1%} to {ranking['share_high']:.1%})",
            f"{ranking['precision']:.1%} of {ranking['chosen']}",
            f"{ranking['lift']:.1f}",
        )
    return table
