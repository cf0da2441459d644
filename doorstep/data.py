"""`doorstep query` and `doorstep digest`: ask the published marts, and say what all stores hold as one digest."""

from __future__ import annotations

from typing import Annotated

import duckdb
import typer
from rich.table import Table

from doorstep.console import AsJson, console, errors, print_json
from governance.audiences import ANALYSTS
from stores.home import Home

MOST_ROWS = 200


def query(
    sql: Annotated[str, typer.Argument(help="A query over the published marts.")],
    audience: Annotated[str, typer.Option(help="Whose marts to read.")] = ANALYSTS,
    as_json: AsJson = False,
) -> None:
    """Run SQL over the current published marts, read-only. Works while a refresh is running.

    With --json: a list with one object per row, keys as the query names them.
    """
    from stores.analytics import AnalyticsZone
    from stores.publishing import published_marts

    zone = AnalyticsZone.open(Home.from_environment())
    with published_marts(zone, audience) as marts:
        try:
            result = marts.execute(sql)
            names = [column[0] for column in result.description or []]
            rows = result.fetchall() if as_json else result.fetchmany(MOST_ROWS + 1)
        except duckdb.Error as error:
            errors.print(f"[red]The query failed[/]: {error}", highlight=False)
            raise typer.Exit(1) from None
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    table = Table(*names)
    for row in rows[:MOST_ROWS]:
        table.add_row(*(str(value) for value in row))
    console.print(table)
    if len(rows) > MOST_ROWS:
        console.print(f"The first {MOST_ROWS} rows. Use --json for all.")


def digest(as_json: AsJson = False) -> None:
    """Print a logical digest of every store: the same content gives the same digest, in whatever order it came.

    With --json: `digest` (all stores), `stores` (store → digest), `tables` (store → table → digest).
    """
    from bridge.zone import CouncilZone
    from evaluation.digest import home_digest

    document = home_digest(CouncilZone.open(Home.from_environment()))
    if as_json:
        print_json(document)
        return
    for store, value in document["stores"].items():
        print(f"{store:<28} {value}")
    print(f"{'all':<28} {document['digest']}")
