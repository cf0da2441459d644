"""Which months must be made: those that are missing, and those whose ground has shifted since they were made.

A month's features rest on the deliveries received before it, on who is who among their records, and on the rules in
force (contracts, SQL). All are folded into a fingerprint that is kept beside the month. A late file, a replay
in another order, or two people found to be one
changes the fingerprint of the months it touches, and only those are made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import duckdb

from governance.contracts import FeedContract
from governance.retention import RetentionRule, add_months
from governance.rules import rules_digest
from stores.analytics import AnalyticsZone
from stores.row_hash import rows_hash

# History that must lie behind the first month: a first full delivery and a quarter of changes to it.
WARM_UP_MONTHS = 3

MONTHS_TABLE = "risk.months_made"

# Digits of the rules' digest that a fingerprint begins with: changed SQL makes every month anew.
RULES_DIGITS = 16


def retained_months(first_received: date, night: date, rule: RetentionRule) -> list[date]:
    """Return the months that a night may make, oldest first: warmed up, not expired, begun."""
    first = max(add_months(first_received.replace(day=1), WARM_UP_MONTHS), rule.oldest_kept(night))
    months = []
    while first <= night:
        months.append(first)
        first = add_months(first, 1)
    return months


def months_to_make(
    zone: AnalyticsZone, contracts: Mapping[str, FeedContract], night: date, rule: RetentionRule
) -> list[date]:
    """Return the months to make on `night`, oldest first; empty while nothing has been received."""
    if not zone.home.warehouse_db.is_file():
        return []
    with zone.warehouse() as warehouse:
        _make_table(warehouse)
        row = warehouse.execute("select min(received_date) from records.deliveries").fetchone()
        if row is None or row[0] is None:
            return []
        months = retained_months(row[0], night, rule)
        made = dict(warehouse.execute(f"select as_of_month, fingerprint from {MONTHS_TABLE}").fetchall())
        current = _fingerprints(warehouse, contracts, months)
    return [month for month in months if made.get(month) != current[month]]


def record_months_made(
    zone: AnalyticsZone, contracts: Mapping[str, FeedContract], months: Sequence[date]
) -> None:
    """Keep the fingerprints that `months` were made from."""
    with zone.warehouse() as warehouse:
        _make_table(warehouse)
        current = _fingerprints(warehouse, contracts, months)
        warehouse.executemany(
            f"insert or replace into {MONTHS_TABLE} values (?, ?)",
            [[month, current[month]] for month in months],
        )


def _make_table(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("create schema if not exists risk")
    warehouse.execute(
        f"create table if not exists {MONTHS_TABLE} (as_of_month date primary key, fingerprint varchar not null)"
    )


def _fingerprints(
    warehouse: duckdb.DuckDBPyConnection, contracts: Mapping[str, FeedContract], months: Sequence[date]
) -> dict[date, str]:
    existing = {
        name
        for (name,) in warehouse.execute(
            "select table_name from information_schema.tables where table_schema = 'records'"
        ).fetchall()
    }
    tables = [
        table.qualified_name
        for contract in contracts.values()
        for table in contract.tables
        if table.holds_people and table.qualified_name in existing
    ]
    first_seen = " union all ".join(
        f"select record_ref, min(received_date) as received_date from records.{table} group by record_ref"
        for table in tables
    )
    warehouse.execute(
        f"""
        create or replace temp table foundations as
        select received_date, hash('delivery', feed, delivery_id) as fingerprint from records.deliveries
        union all
        select seen.received_date, hash('person', people.record_ref, people.person_id) as fingerprint
        from ({first_seen}) as seen
        inner join records.people as people using (record_ref)
        """
    )
    rules = rules_digest()[:RULES_DIGITS]
    fingerprints = {}
    for month in months:
        row = warehouse.execute(
            f"select count(*)::varchar || '-' || coalesce({rows_hash('fingerprint')}, 0)::varchar "
            "from foundations where received_date < ?",
            [month],
        ).fetchone()
        fingerprints[month] = f"{rules}-{row[0] if row else ''}"
    warehouse.execute("drop table foundations")
    return fingerprints
