"""How the homes of each delivery's records were found, in counts: for people who mind a feed, and for its packages.

Counts alone leave the council. A row counts once, in the delivery that brought it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import duckdb
import pyarrow as pa

from bridge.deliveries.ledger import reading
from bridge.zone import CouncilZone
from governance.address_levels import HOME_LEVELS

DELIVERY_HOMES = """
create table if not exists delivery_homes (
    feed varchar, delivery_id varchar, level varchar, row_count bigint, primary key (feed, delivery_id, level)
)
"""

HOMES_OF_FEED = """
select delivery_id, level, row_count from delivery_homes where feed = ? order by delivery_id, level
"""

HOMES_BY_FEED = """
select feed, level, sum(row_count)::bigint from delivery_homes group by all order by all
"""

ANY_HOMES = "select 1 from duckdb_tables() where table_name = 'delivery_homes'"


def homes_by_delivery(
    delivery_ids: pa.ChunkedArray, levels: pa.Array | pa.ChunkedArray
) -> dict[str, dict[str, int]]:
    """Return the rows of each delivery by how their home was found."""
    counted = pa.table({"delivery_id": delivery_ids, "level": levels})
    counted = counted.group_by(["delivery_id", "level"]).aggregate([([], "count_all")])
    homes: dict[str, dict[str, int]] = {}
    for row in counted.to_pylist():
        homes.setdefault(row["delivery_id"], {})[row["level"]] = row["count_all"]
    return homes


def homes_of_delivery(tables: Iterable[Mapping[str, Mapping[str, int]]], delivery_id: str) -> dict[str, int]:
    """Return the rows of one delivery by level, over all of its tables; empty if none has addresses of people."""
    total: dict[str, int] = {}
    for homes in tables:
        for level, rows in homes.get(delivery_id, {}).items():
            total[level] = total.get(level, 0) + rows
    return {level: total[level] for level in HOME_LEVELS if level in total}


def keep_homes(
    ledger: duckdb.DuckDBPyConnection, feed: str, deliveries: Mapping[str, Mapping[str, int]]
) -> None:
    """Write down the counts of `deliveries` of `feed`, in place of those of an earlier sealing."""
    ledger.execute(DELIVERY_HOMES)
    ledger.execute(
        "delete from delivery_homes where feed = ? and delivery_id in (select unnest(?))",
        [feed, list(deliveries)],
    )
    rows = [
        {"feed": feed, "delivery_id": delivery_id, "level": level, "row_count": count}
        for delivery_id, homes in deliveries.items()
        for level, count in homes.items()
    ]
    if rows:
        ledger.register("found_homes", pa.Table.from_pylist(rows))
        ledger.execute("insert into delivery_homes by name select * from found_homes")
        ledger.unregister("found_homes")


def homes_of_feed(zone: CouncilZone, feed: str) -> dict[str, dict[str, int]]:
    """Return the rows of each sealed delivery of `feed` by how their home was found."""
    homes: dict[str, dict[str, int]] = {}
    for delivery_id, level, count in _read(zone, HOMES_OF_FEED, [feed]):
        homes.setdefault(delivery_id, {})[level] = count
    return homes


def homes_by_feed(zone: CouncilZone) -> dict[str, dict[str, int]]:
    """Return the rows of all sealed deliveries by feed and by how their home was found."""
    homes: dict[str, dict[str, int]] = {}
    for feed, level, count in _read(zone, HOMES_BY_FEED, []):
        homes.setdefault(feed, {})[level] = count
    return homes


def _read(zone: CouncilZone, query: str, values: Sequence[str]) -> list[tuple[str, str, int]]:
    with reading(zone) as ledger:
        # A home of before has no such table until its next delivery is sealed.
        if ledger is None or not ledger.execute(ANY_HOMES).fetchone():
            return []
        found: list[tuple[str, str, int]] = ledger.execute(query, list(values)).fetchall()
        return found
