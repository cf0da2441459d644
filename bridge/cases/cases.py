"""Cases: alerts that came back from the analytics zone, kept by the council until they expire.

A case is known by use case, month and rank. It holds references of records, a score and reasons; whose records they
are, only `bridge.cases.reidentify` can say.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from bridge.zone import CouncilZone
from exchange.returns import RefusedReturn, ReturnedMonth, open_alerts
from governance.audit_log import AuditLog
from governance.retention import RetentionRule, read_retention
from governance.use_cases import read_use_cases
from stores.encrypted import attached

STORE_NAME = "cases"
RETENTION_RULE = "returned_alerts"
AUDIT_KEY_BYTES = 32
TABLES = Path(__file__).with_name("cases.sql")
OF_MONTH = "where use_case = ? and as_of_month = ?"

CASES = """
select
    cases.use_case, cases.as_of_month, cases.rank, cases.score,
    list(case_records.record_ref order by case_records.record_ref)
from cases join case_records using (use_case, as_of_month, rank)
group by cases.use_case, cases.as_of_month, cases.rank, cases.score
order by cases.as_of_month desc, cases.use_case, cases.rank
"""

CASES_OF_RECORD = """
select cases.use_case, cases.as_of_month, cases.rank, cases.score, cases.reasons, cases.model_version
from cases join case_records using (use_case, as_of_month, rank)
where case_records.record_ref = ?
order by cases.as_of_month desc, cases.use_case
"""


@dataclass(frozen=True)
class CasesReport:
    """What one receiving did: counts, and what it refused. `cases` and `records` are what is held afterwards."""

    packages: int
    cases: int
    records: int
    expired_months: int
    refused: tuple[RefusedReturn, ...]


@dataclass(frozen=True)
class Case:
    """One alert that came back, with the references of its records."""

    use_case: str
    as_of_month: date
    rank: int
    score: float
    record_refs: tuple[str, ...]


@dataclass(frozen=True)
class CaseOfRecord:
    """What is known of a case that a record belongs to. `reasons` is JSON."""

    use_case: str
    as_of_month: date
    rank: int
    score: float
    reasons: str
    model_version: str


@contextmanager
def open_cases(zone: CouncilZone) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the council's store of cases for writing, making it where missing."""
    with attached(zone.home.cases_db, zone.storage_key(STORE_NAME)) as connection:
        connection.execute(TABLES.read_text(encoding="utf-8"))
        yield connection


def receive_cases(zone: CouncilZone, night: date) -> CasesReport:
    """Open the alerts that came back, keep those that are not past their retention, and forget those that are.

    Packages that are damaged, from another sender, or older than the one kept for the same month are refused, and
    the others go on. Raises `KeyUnavailableError` if there are packages and a key is missing.
    """
    retention = read_retention()[RETENTION_RULE]
    returned, refused = open_alerts(zone.home, zone.keys, list(read_use_cases()))
    with open_cases(zone) as cases:
        cases.execute("begin")
        for month in returned:
            if not retention.is_expired(month.as_of_month, night):
                refused += _keep(cases, month)
        expired = _forget_expired(cases, retention, night)
        cases.execute("commit")
        counts = cases.execute(
            "select (select count(*) from cases), (select count(*) from case_records)"
        ).fetchone()
    held, records = counts or (0, 0)
    return CasesReport(len(returned), held, records, expired, tuple(refused))


def list_cases(zone: CouncilZone) -> list[Case]:
    """Return every case that is held, newest month first."""
    with open_cases(zone) as cases:
        return [
            Case(use_case, month, rank, score, tuple(refs))
            for use_case, month, rank, score, refs in cases.execute(CASES).fetchall()
        ]


def cases_of_record(zone: CouncilZone, record_ref: str, on: date) -> Sequence[CaseOfRecord]:
    """Return the cases that `record_ref` belongs to and that are not expired on `on`, newest month first."""
    retention = read_retention()[RETENTION_RULE]
    with open_cases(zone) as cases:
        found = [CaseOfRecord(*row) for row in cases.execute(CASES_OF_RECORD, [record_ref]).fetchall()]
    return [case for case in found if not retention.is_expired(case.as_of_month, on)]


def openings_log(zone: CouncilZone) -> AuditLog:
    """Return the audit log of re-identification, whose key lies in the store of cases; make the key where missing."""
    with open_cases(zone) as cases:
        row = cases.execute("select audit_key from audit_keys").fetchone()
        key = row[0] if row else os.urandom(AUDIT_KEY_BYTES)
        if row is None:
            cases.execute("insert into audit_keys values (?)", [key])
    return AuditLog(zone.home.openings_log, zone.home.openings_anchor, key)


def _keep(cases: duckdb.DuckDBPyConnection, month: ReturnedMonth) -> list[RefusedReturn]:
    """Put the month's alerts in place of those held; say so if it is older than they are."""
    partition = [month.use_case, month.as_of_month]
    held = cases.execute(f"select max(sealed_on) from packages {OF_MONTH}", partition).fetchone()
    if held and held[0] and month.sealed_on < held[0]:
        name = f"{month.use_case}/{month.as_of_month}"
        return [RefusedReturn(name, f"it was sealed before the one of {held[0]} that was opened already")]
    for table in ("packages", "cases", "case_records"):
        cases.execute(f"delete from {table} {OF_MONTH}", partition)
    cases.execute("insert into packages values (?, ?, ?)", [*partition, month.sealed_on])
    cases.register("returned", month.alerts)
    cases.execute("insert into cases by name select * exclude (record_refs) from returned")
    cases.execute(
        "insert into case_records select use_case, as_of_month, rank, unnest(record_refs) from returned"
    )
    cases.unregister("returned")
    return []


def _forget_expired(cases: duckdb.DuckDBPyConnection, retention: RetentionRule, night: date) -> int:
    held = cases.execute("select use_case, as_of_month from packages").fetchall()
    expired = [partition for partition in held if retention.is_expired(partition[1], night)]
    for partition in expired:
        for table in ("packages", "cases", "case_records"):
            cases.execute(f"delete from {table} {OF_MONTH}", list(partition))
    return len(expired)
