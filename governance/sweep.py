"""The retention sweep: what is past due goes from every analytics store, and its bytes with it.

Partitions by `as_of_month` go from the warehouse and the published marts, deliveries by their date from
the warehouse, the linkage store and the outbox. DuckDB keeps deleted bytes, so a store that lost a row is
rewritten. A night on which nothing is due writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

import duckdb

from governance.person_traces import forget_copies, forget_nobody
from governance.retention import RetentionRule, add_months
from stores.analytics import LINKAGE_STORE, WAREHOUSE_STORE, AnalyticsZone
from stores.encrypted import STORE, attach, attached, storage_key
from stores.files import flush_folder, written_atomically
from stores.publishing import audiences, publish, versions
from stores.rewriting import rewrite

RECORDS_RULE = "partner_records"
LINK_KEYS_RULE = "link_keys"
FEATURES_RULE = "household_features"
SCORES_RULE = "risk_scores"
PUBLISHED_RULE = "published_marts"

MONTH_COLUMN = "as_of_month"
DELIVERY_COLUMN = "delivery_date"
REFERENCE_COLUMNS = ("record_ref", "record_ref_l", "record_ref_r")
OUTBOX = "outbox"
RECEIPTS_FOLDER = "receipts"

COLUMNS = """
select schema_name, table_name, list(column_name)
from duckdb_columns() join duckdb_tables() using (database_name, schema_name, table_name)
where database_name = ? and not duckdb_tables.temporary
group by all
order by all
"""


class PackageBoxes(Protocol):
    """Where sealed packages lie, by box and folder (`exchange.transport.Exchange`)."""

    def folders(self, box: str) -> list[str]: ...
    def names(self, box: str, folder: str) -> list[str]: ...
    def remove(self, box: str, name: str) -> None: ...


@dataclass(frozen=True)
class Removal:
    """What went from one place: rows, packages or versions, and the rule that was due."""

    place: str
    rule: str
    count: int
    oldest: date


@dataclass(frozen=True)
class SweepReport:
    """What one sweep removed on `night`. `receipt` names the file that says so; None if nothing was due."""

    night: date
    removals: tuple[Removal, ...]
    rewritten: tuple[str, ...]
    expired_months: tuple[date, ...]
    receipt: str | None

    @property
    def removed(self) -> int:
        return sum(removal.count for removal in self.removals)


@dataclass(frozen=True)
class _Due:
    """One delete statement that has something to remove."""

    place: str
    rule: str
    condition: str
    oldest: date


def sweep(
    zone: AnalyticsZone, exchange: PackageBoxes, night: date, rules: Mapping[str, RetentionRule]
) -> SweepReport:
    """Remove everything that is past due on `night`, packages in `exchange` too, and rewrite the stores that lost
    rows.

    Stopped anywhere, it is simply run again: what was deleted but not yet rewritten is remembered by a
    marker beside the store. Raises `KeyError` if `rules` lacks one of the rules named in this module.
    """
    removals: list[Removal] = []
    rewritten: list[str] = []
    months: set[date] = set()
    if zone.home.warehouse_db.is_file():
        with zone.warehouse(read_only=True) as warehouse:
            due = _warehouse_due(warehouse, night, rules)
            months = _expired_months(warehouse, due)
        key = storage_key(zone.keys, WAREHOUSE_STORE)
        removals += _remove(zone.home.warehouse_db, key, due, with_orphans=False)
    if zone.home.linkage_db.is_file():
        with zone.linkage(read_only=True) as linkage:
            due = _deliveries_due(linkage, night, rules[LINK_KEYS_RULE], rules[LINK_KEYS_RULE])
        key = storage_key(zone.keys, LINKAGE_STORE)
        removals += _remove(zone.home.linkage_db, key, due, with_orphans=True)
        removals += _forget_copies(zone, rules[LINK_KEYS_RULE], due[0].oldest if due else night)
    for path, store in ((zone.home.warehouse_db, WAREHOUSE_STORE), (zone.home.linkage_db, LINKAGE_STORE)):
        rewritten += _rewrite_marked(path, storage_key(zone.keys, store), store)
    removals += _sweep_outbox(exchange, night, rules[RECORDS_RULE])
    removals += _sweep_published(zone, night, rules[PUBLISHED_RULE])
    receipt = _write_receipt(zone, night, rules, removals, rewritten) if removals or rewritten else None
    return SweepReport(night, tuple(removals), tuple(rewritten), tuple(sorted(months)), receipt)


def _warehouse_due(
    warehouse: duckdb.DuckDBPyConnection, night: date, rules: Mapping[str, RetentionRule]
) -> list[_Due]:
    due = []
    for schema, table, columns in warehouse.execute(COLUMNS, [STORE]).fetchall():
        if MONTH_COLUMN in columns:
            rule = rules[SCORES_RULE if schema == "risk" or table.startswith("risk_") else FEATURES_RULE]
            condition = f"{MONTH_COLUMN} < date '{rule.oldest_kept(night).isoformat()}'"
            due += _due(warehouse, schema, table, rule.name, condition, MONTH_COLUMN)
    return due + _deliveries_due(warehouse, night, rules[RECORDS_RULE], rules[LINK_KEYS_RULE])


def _deliveries_due(
    connection: duckdb.DuckDBPyConnection, night: date, records: RetentionRule, link_keys: RetentionRule
) -> list[_Due]:
    """Return what is due by delivery date: every table that says which delivery brought its rows."""
    due = []
    for schema, table, columns in connection.execute(COLUMNS, [STORE]).fetchall():
        if DELIVERY_COLUMN in columns and MONTH_COLUMN not in columns:
            rule = link_keys if table == "link_keys" else records
            condition = f"{DELIVERY_COLUMN} <= date '{_newest_expired(rule, night).isoformat()}'"
            due += _due(connection, schema, table, rule.name, condition, DELIVERY_COLUMN)
    return due


def _newest_expired(rule: RetentionRule, night: date) -> date:
    """Return the last day whose data is past due on `night`."""
    day = add_months(night, -rule.months)
    # Ends of months: on 28 February, what began on 28 and on 29 February falls due together.
    while rule.is_expired(day + timedelta(days=1), night):
        day += timedelta(days=1)
    return day


def _due(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str, rule: str, condition: str, column: str
) -> list[_Due]:
    row = connection.execute(
        f'select min({column})::date from {STORE}."{schema}"."{table}" where {condition}'
    ).fetchone()
    if row is None or row[0] is None:
        return []
    return [_Due(f"{schema}.{table}", rule, condition, row[0])]


def _expired_months(warehouse: duckdb.DuckDBPyConnection, due: Sequence[_Due]) -> set[date]:
    months: set[date] = set()
    for item in due:
        if item.condition.startswith(MONTH_COLUMN):
            found = warehouse.execute(
                f"select distinct {MONTH_COLUMN}::date from {_quoted(item.place)} where {item.condition}"
            ).fetchall()
            months.update(month for (month,) in found)
    return months


def _remove(path: Path, key: str, due: Sequence[_Due], *, with_orphans: bool) -> list[Removal]:
    """Delete what is due in one transaction, having first marked the store for rewriting."""
    if not due:
        return []
    _marker(path).touch()
    removals = []
    with attached(path, key) as connection:
        connection.execute("begin")
        for item in due:
            count = _deleted(connection, f"delete from {_quoted(item.place)} where {item.condition}")
            removals.append(Removal(item.place, item.rule, count, item.oldest))
        if with_orphans:
            removals += _remove_orphans(connection, due[0])
        connection.execute("commit")
    return removals


def _remove_orphans(connection: duckdb.DuckDBPyConnection, cause: _Due) -> list[Removal]:
    """Delete edges and people of records whose link keys are gone."""
    removals = []
    for schema, table, columns in connection.execute(COLUMNS, [STORE]).fetchall():
        references = [column for column in REFERENCE_COLUMNS if column in columns]
        if table == "link_keys" or not references:
            continue
        gone = " or ".join(f"{column} not in (select record_ref from link_keys)" for column in references)
        count = _deleted(connection, f"delete from {_quoted(f'{schema}.{table}')} where {gone}")
        if count:
            removals.append(Removal(f"{schema}.{table}", cause.rule, count, cause.oldest))
    for place, count in forget_nobody(connection).items():
        removals.append(Removal(place, cause.rule, count, cause.oldest))
    return removals


def _forget_copies(zone: AnalyticsZone, rule: RetentionRule, oldest: date) -> list[Removal]:
    """Delete from the warehouse whoever the linkage store has just forgotten, and mark it for rewriting."""
    if not (_marker(zone.home.linkage_db).exists() and zone.home.warehouse_db.is_file()):
        return []
    with zone.warehouse() as connection:
        key = storage_key(zone.keys, LINKAGE_STORE)
        attach(connection, zone.home.linkage_db, key, "linkage", read_only=True)
        connection.execute("begin")
        gone = forget_copies(connection, "linkage.people") if _has_people(connection) else {}
        if gone:
            _marker(zone.home.warehouse_db).touch()
        connection.execute("commit")
    return [Removal(place, rule.name, count, oldest) for place, count in gone.items()]


def _has_people(connection: duckdb.DuckDBPyConnection) -> bool:
    found = connection.execute(
        "select count(*) from duckdb_tables() where database_name = 'linkage' and table_name = 'people'"
    ).fetchone()
    return found == (1,)


def _rewrite_marked(path: Path, key: str, store: str) -> list[str]:
    marker = _marker(path)
    if not marker.exists():
        return []
    rewrite(path, key)
    marker.unlink()
    flush_folder(path.parent)
    return [store]


def _sweep_outbox(exchange: PackageBoxes, night: date, rule: RetentionRule) -> list[Removal]:
    """Delete sealed packages whose delivery is past due: their name begins with the delivery's date."""
    removals = []
    for folder in exchange.folders(OUTBOX):
        dated = [(name, day) for name in exchange.names(OUTBOX, folder) if (day := _date_in(name))]
        expired = [(name, day) for name, day in dated if rule.is_expired(day, night)]
        for name, _ in expired:
            exchange.remove(OUTBOX, f"{folder}/{name}")
        if expired:
            oldest = min(day for _, day in expired)
            removals.append(Removal(f"{OUTBOX}/{folder}", rule.name, len(expired), oldest))
    return removals


def _date_in(name: str) -> date | None:
    """The date that a package's name begins with; None for what is not a delivery, such as a rotation's manifest."""
    try:
        return date.fromisoformat(name[: len("YYYY-MM-DD")])
    except ValueError:
        return None


def _sweep_published(zone: AnalyticsZone, night: date, rule: RetentionRule) -> list[Removal]:
    """Publish again without the months that are past due, and remove every version that still holds one."""
    removals = []
    oldest_kept = rule.oldest_kept(night)
    for audience in audiences(zone):
        kept = versions(zone, audience)
        months = [date.fromisoformat(version.oldest_month) for version in kept if version.oldest_month]
        if months and min(months) < oldest_kept:
            report = publish(zone, audience, kept[-1].relations, oldest_month=oldest_kept, keep_versions=1)
            removals.append(Removal(f"published/{audience}", rule.name, report.removed_versions, min(months)))
    return removals


def _write_receipt(
    zone: AnalyticsZone,
    night: date,
    rules: Mapping[str, RetentionRule],
    removals: Sequence[Removal],
    rewritten: Sequence[str],
) -> str:
    """Write what went, under which rule, to `analytics/receipts`; return the file's name. Nothing personal
    is in it."""
    folder = zone.home.analytics / RECEIPTS_FOLDER
    number = 1 + len(list(folder.glob(f"sweep-{night}-*.json"))) if folder.is_dir() else 1
    path = folder / f"sweep-{night}-{number}.json"
    named = sorted({removal.rule for removal in removals})
    receipt = {
        "night": night.isoformat(),
        "rules": {name: {"months": rules[name].months, "from": rules[name].counted_from} for name in named},
        "removals": [{**asdict(removal), "oldest": removal.oldest.isoformat()} for removal in removals],
        "rewritten": list(rewritten),
    }
    with written_atomically(path) as aside:
        aside.write_text(json.dumps(receipt, indent=2, sort_keys=True), encoding="utf-8")
    return path.name


def _deleted(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0


def _quoted(place: str) -> str:
    schema, _, table = place.partition(".")
    return f'{STORE}."{schema}"."{table}"'


def _marker(path: Path) -> Path:
    return path.with_name(path.name + ".rewrite-due")
