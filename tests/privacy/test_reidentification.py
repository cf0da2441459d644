"""The re-identification door: what it opens for, what it refuses, and what is written down of both."""

from __future__ import annotations

import ast
import getpass
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from two_zones import NIGHT, TwoZones, make_two_zones, table_of
from typer.testing import CliRunner

from bridge.cases.cases import list_cases, openings_log, receive_cases
from bridge.cases.officers import OfficersError, read_officers, read_roles
from bridge.cases.reidentify import REASONS, OpenedCase, RefusedError, Request, open_case
from bridge.vault.arrivals import ARRIVAL_SCHEMA
from bridge.vault.vault import open_vault
from doorstep.cli import app
from exchange.opening import ensure_stores
from exchange.returns import RETURN_SCHEMA, open_alerts, package_name, seal_alerts
from governance.audit_log import AuditLogError
from governance.retention import read_retention
from governance.use_cases import read_use_cases
from models_ml.returned_alerts import return_alerts

ROOT = Path(__file__).resolve().parents[2]
FEED, USE_CASE, MONTH = "council_tax", "homelessness", date(2026, 10, 1)
NOW = datetime(2026, 10, 7, 9, 0, tzinfo=UTC)
THRESHOLD = read_use_cases()[USE_CASE].threshold.minimum_score
PEOPLE = table_of("""
    record_ref                       | full_name         | date_of_birth | nino      | address       | postcode
    00000000000000000000000000000001 | Mr Walter Example | 1961-04-03    | ZZ123456A | 1 High Street | ZZ1 1AA
    00000000000000000000000000000002 | Ms Ida Sample     | 1972-05-04    | ZZ234567A | 2 High Street | ZZ1 1AA
    00000000000000000000000000000003 | Mx Kit Specimen   | 1983-06-05    | ZZ345678A | 3 High Street | ZZ1 1AA
""")
REFERENCES = tuple(person["record_ref"] for person in PEOPLE)


@pytest.fixture
def zones(tmp_path: Path) -> TwoZones:
    """Three records in the vault; the first two in cases that came back, the second one's score too low."""
    zones = make_two_zones(tmp_path / "home")
    zones.home.officers.write_text(
        "officers:\n"
        "  - {officer: o.housing, role: housing_officer, system_user: hazel}\n"
        "  - {officer: e.early, role: early_help_coordinator, system_user: errol}\n"
        f"  - {{officer: t.test, role: housing_officer, system_user: {getpass.getuser()}}}\n",
        encoding="utf-8",
    )
    with open_vault(zones.council, "district") as vault:
        vault.keep(arrivals())
    first, second, _ = REFERENCES
    send_back(zones, [(1, 0.5, [first]), (2, THRESHOLD / 2, [second])])
    receive_cases(zones.council, NIGHT)
    return zones


def arrivals() -> pa.Table:
    brought = {
        "feed": FEED,
        "table_name": "accounts",
        "delivery_date": NIGHT,
        "received_date": NIGHT,
        "delivery_id": f"{NIGHT}-full",
    }
    rows = [
        {**person, **brought, "partner_key": json.dumps({"account_ref": f"7000000{number}"})}
        for number, person in enumerate(PEOPLE, start=1)
    ]
    return pa.Table.from_pylist(rows, schema=ARRIVAL_SCHEMA)


def alerts_of(cases: list[tuple[int, float, list[str]]], month: date = MONTH) -> pa.Table:
    reasons = [
        {"text": "a reminder for council tax", "feed": "council_tax"},
        {"text": "support of a kind", "feed": "adult_social_care"},
    ]
    rows = [
        {
            "use_case": USE_CASE,
            "as_of_month": month,
            "rank": rank,
            "score": score,
            "threshold": THRESHOLD,
            "reasons": json.dumps(reasons),
            "model_version": "v1",
            "record_refs": refs,
        }
        for rank, score, refs in cases
    ]
    return pa.Table.from_pylist(rows, schema=RETURN_SCHEMA)


def send_back(
    zones: TwoZones, cases: list[tuple[int, float, list[str]]], night: date = NIGHT, month: date = MONTH
) -> str:
    return seal_alerts(zones.analytics, USE_CASE, month, night, alerts_of(cases, month))


def asking() -> Request:
    return Request(REFERENCES[0], "o.housing", "prevention_offer", "hazel", NOW)


def refusal(zones: TwoZones, request: Request) -> str:
    with pytest.raises(RefusedError) as refused:
        open_case(zones.council, request)
    return refused.value.reason


def test_an_officer_with_role_and_purpose_learns_whose_record_it_is(zones: TwoZones) -> None:
    opened = open_case(zones.council, asking())
    assert opened.feed == FEED
    assert opened.identity["full_name"] == "Mr Walter Example"
    assert opened.identity["partner_key"]["account_ref"] == "70000001"
    assert "nino" not in opened.identity
    assert opened.reasons == ("a reminder for council tax",)
    assert opened.reasons_withheld == 1
    assert "Walter" not in repr(opened)


def refused_requests() -> Iterator[tuple[str, Request]]:
    right = asking()
    _, low, not_returned = REFERENCES
    yield "unknown_officer", replace(right, officer="nobody")
    yield "another_account", replace(right, system_user="mallory")
    yield "malformed_reference", replace(right, record_ref="Mr Walter Example")
    yield "not_returned", replace(right, record_ref="f" * 32)
    yield "not_returned", replace(right, record_ref=not_returned)
    yield "below_threshold", replace(right, record_ref=low)
    yield "purpose_not_allowed", replace(right, purpose="curiosity about Walter Example")
    yield (
        "purpose_not_allowed",
        replace(right, officer="e.early", system_user="errol", purpose="tenancy_support"),
    )
    yield "feed_not_for_this_role", replace(right, officer="e.early", system_user="errol")


def test_everything_else_is_refused_for_its_reason_and_written_down_without_any_identity(
    zones: TwoZones,
) -> None:
    requests = list(refused_requests())
    assert [refusal(zones, request) for _, request in requests] == [reason for reason, _ in requests]
    open_case(zones.council, asking())
    entries, _ = openings_log(zones.council).read()
    assert [entry.reason for entry in entries] == [*(reason for reason, _ in requests), "-"]
    assert [entry.verdict for entry in entries] == ["refused"] * len(requests) + ["opened"]
    written = zones.home.openings_log.read_text().lower()
    for word in ("walter", "example", "ida", "sample", "high street", "zz1", "1961", "70000001", "curiosity"):
        assert word not in written


def test_every_refusal_tells_what_to_do(zones: TwoZones) -> None:
    assert all(text.endswith(".") and len(text) > 30 for text in REASONS.values())


def test_an_erased_person_is_refused_though_the_case_came_back(zones: TwoZones) -> None:
    with open_vault(zones.council, "district") as vault:
        assert vault.erase(REFERENCES[0])
    assert list_cases(zones.council)[0].record_refs == (REFERENCES[0],)
    assert refusal(zones, asking()) == "erased"


def test_a_case_past_its_retention_opens_no_more(zones: TwoZones) -> None:
    expires = read_retention()["returned_alerts"].expires_on(MONTH)
    late = datetime(expires.year, expires.month, expires.day, tzinfo=UTC)
    open_case(zones.council, replace(asking(), at=late - timedelta(seconds=1)))
    assert refusal(zones, replace(asking(), at=late)) == "not_returned"
    assert receive_cases(zones.council, late.date()).expired_months == 1
    assert list_cases(zones.council) == []


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three openings and three refusals a day."""
    limits = {"openings_per_day": 3, "refusals_per_day": 3}
    roles = {name: role.model_copy(update=limits) for name, role in read_roles().items()}
    monkeypatch.setattr("bridge.cases.reidentify.read_roles", lambda: roles)


def test_an_officer_opens_so_many_records_a_day_and_no_more(zones: TwoZones, strict: None) -> None:
    request = asking()
    for _ in range(3):
        open_case(zones.council, request)
    assert refusal(zones, request) == "openings_used_up"
    open_case(zones.council, replace(request, at=NOW + timedelta(days=1)))
    assert refusal(zones, request) == "clock_went_back"


def test_an_officer_who_is_refused_too_often_is_stopped_for_the_day(zones: TwoZones, strict: None) -> None:
    request = asking()
    for _ in range(3):
        refusal(zones, replace(request, record_ref="f" * 32))
    assert refusal(zones, request) == "refusals_used_up"


def test_nothing_is_opened_while_the_audit_log_is_not_whole(zones: TwoZones) -> None:
    for _ in range(2):
        open_case(zones.council, asking())
    lines = zones.home.openings_log.read_bytes().splitlines(keepends=True)
    zones.home.openings_log.write_bytes(lines[0])
    with pytest.raises(AuditLogError):
        open_case(zones.council, asking())


def test_nothing_is_shown_before_it_is_written_down(zones: TwoZones, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("governance.audit_log.os.fsync", full_disk)
    shown: list[OpenedCase] = []
    with pytest.raises(OSError, match="no space"):
        shown.append(open_case(zones.council, asking()))
    assert shown == []


def test_alerts_from_another_sender_or_of_an_earlier_night_are_refused(
    zones: TwoZones, tmp_path: Path
) -> None:
    first = REFERENCES[0]
    path = zones.home.root / "exchange" / "returns" / package_name(USE_CASE, MONTH)
    send_back(zones, [(1, 0.9, [first])], NIGHT + timedelta(days=1))
    assert receive_cases(zones.council, NIGHT).cases == 1
    newer = path.read_bytes()

    send_back(zones, [(7, 0.9, [first])], NIGHT - timedelta(days=1))
    assert "sealed before" in receive_cases(zones.council, NIGHT).refused[0].reason

    stranger = make_two_zones(tmp_path / "stranger")
    (stranger.home.root / "exchange" / "public_keys" / "council.pub").write_bytes(
        (zones.home.root / "exchange" / "public_keys" / "council.pub").read_bytes()
    )
    (stranger.home.analytics_keys / "trusted" / "council.pub").unlink(missing_ok=True)
    name = send_back(stranger, [(7, 0.9, [first])], NIGHT + timedelta(days=2))
    path.write_bytes((stranger.home.root / "exchange" / "returns" / name).read_bytes())
    assert len(receive_cases(zones.council, NIGHT).refused) == 1

    path.write_bytes(newer[:-40] + bytes([newer[-40] ^ 1]) + newer[-39:])
    assert len(receive_cases(zones.council, NIGHT).refused) == 1
    assert [case.rank for case in list_cases(zones.council)] == [1]


def test_a_package_returns_the_agreed_columns_only(zones: TwoZones) -> None:
    opened, refused = open_alerts(zones.home, zones.council.keys, [USE_CASE])
    assert refused == []
    assert opened[0].alerts.column_names == [
        "use_case", "as_of_month", "rank", "score", "threshold", "reasons", "model_version", "record_refs",
    ]  # fmt: skip


def test_alerts_carry_the_records_of_all_members_and_of_nobody_else(zones: TwoZones) -> None:
    ensure_stores(zones.analytics, [zones.council.contracts[FEED]])
    with zones.analytics.warehouse() as warehouse:
        warehouse.execute("create schema intermediate")
        warehouse.execute(
            "create table intermediate.int_household_members as "
            f"from (values (date '{MONTH}', 'h1', 'p1'), (date '{MONTH}', 'h1', 'p2'), (date '{MONTH}', 'h2', 'p3'), "
            "(date '2026-09-01', 'h1', 'p3')) as members (as_of_month, household_id, person_id)"
        )
        warehouse.execute("delete from records.people")
        warehouse.execute(
            "insert into records.people values ('a', 'p1'), ('b', 'p1'), ('c', 'p2'), ('d', 'p3')"
        )
    use_case = read_use_cases()[USE_CASE]
    rule = read_retention()["returned_alerts"]
    assert return_alerts(zones.analytics, use_case, MONTH, NIGHT, rule).alerts == 0
    with zones.analytics.warehouse() as warehouse:
        warehouse.execute(
            f"insert into risk.alerts values (date '{MONTH}', '{USE_CASE}', 'h1', 'property', 0.4, 1, 'v1', '[]')"
        )
    report = return_alerts(zones.analytics, use_case, MONTH, NIGHT, rule)
    assert (report.alerts, report.records) == (1, 3)
    opened, _ = open_alerts(zones.home, zones.council.keys, [USE_CASE])
    (alert,) = opened[0].alerts.to_pylist()
    assert alert["record_refs"] == ["a", "b", "c"]
    assert not {"h1", "p1", "p2", "property"} & {str(value) for value in alert.values()}

    late = rule.expires_on(MONTH)
    report = return_alerts(zones.analytics, use_case, MONTH, late, rule)
    assert (report.alerts, report.package, report.expired_packages) == (0, "", 1)


def test_a_list_of_officers_that_cannot_be_read_says_where(zones: TwoZones) -> None:
    zones.home.officers.write_text("officers:\n  - {officer: a.b, role: housing_officer}\n", encoding="utf-8")
    with pytest.raises(OfficersError, match=r"officers\.yaml: system_user is missing"):
        read_officers(zones.home)


def test_roles_name_only_use_cases_purposes_and_feeds_that_there_are(zones: TwoZones) -> None:
    use_cases = read_use_cases()
    for role in read_roles().values():
        assert set(role.feeds) <= set(zones.council.contracts)
        for use_case, purposes in role.use_cases.items():
            assert set(purposes) <= set(use_cases[use_case].purposes)


def test_identities_are_shown_on_a_terminal_and_never_into_a_file(
    zones: TwoZones, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["cases", "open", REFERENCES[0], "--officer", "t.test", "--purpose", "prevention_offer"]
    monkeypatch.setenv("DOORSTEP_HOME", str(zones.home.root))
    piped = CliRunner().invoke(app, asked)
    assert piped.exit_code == 2
    assert "Walter" not in piped.output
    assert openings_log(zones.council).read()[1].entries == 0

    terminal, inner = pty.openpty()
    command = [sys.executable, "-m", "doorstep.cli", *asked]
    shown = subprocess.run(command, stdout=inner, stderr=subprocess.PIPE, check=False, timeout=120)
    os.close(inner)
    text = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    if date.today() >= read_retention()["returned_alerts"].expires_on(MONTH):
        assert b"not_returned" in shown.stderr
    else:
        assert "Mr Walter Example" in text
    entries, _ = openings_log(zones.council).read()
    assert [entry.officer for entry in entries] == ["t.test"]


READERS_OF_IDENTITIES = {"identity", "identities", "history", "identity_batches", "contents", "history_lines"}
MAY_READ_IDENTITIES = {
    "bridge/vault/vault.py",
    "bridge/cases/reidentify.py",
    # The digest folds them into one number; rotation encodes them anew. Neither gives one out.
    "bridge/digest.py",
    "bridge/rotation/epoch_rotation.py",
    # Redaction looks for the people's names in their notes, to take them out.
    "bridge/notes/excerpts.py",
    # The scanner looks for them where they must not be.
    "evaluation/scanning.py",
    # The council attacks its own link keys; only shares come out.
    "evaluation/attacks/home.py",
}


def sources(*naming: str) -> Iterator[tuple[str, ast.Module]]:
    """Every module of the pipeline and the command line that holds one of the words."""
    packages = (
        "stores",
        "governance",
        "exchange",
        "expectations",
        "bridge",
        "linkage",
        "models_ml",
        "orchestration",
    )
    for package in (*packages, "evaluation", "doorstep"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if any(word in text for word in naming):
                yield path.relative_to(ROOT).as_posix(), ast.parse(text)


def test_only_the_door_and_what_never_gives_one_out_can_read_an_identity() -> None:
    readers = {
        name
        for name, tree in sources("open_vault", "Vault")
        if READERS_OF_IDENTITIES
        & {
            node.func.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
    }
    assert "bridge/cases/reidentify.py" in readers
    assert readers <= MAY_READ_IDENTITIES, sorted(readers - MAY_READ_IDENTITIES)


def test_only_the_command_line_opens_the_door() -> None:
    users = {name for name, _ in sources("bridge.cases.reidentify", "from bridge.cases import reidentify")}
    # The console knows its refusals, to print them as one line.
    refusals_only = {"bridge/cases/cases.py", "bridge/review/samples.py", "doorstep/console.py"}
    # A review opens two records at a time through the same door (bridge/review/pairs.py).
    assert users - refusals_only == {
        "bridge/review/pairs.py",
        "doorstep/cases.py",
        "doorstep/linkage_review.py",
    }
    reviewers = {name for name, _ in sources("bridge.review.pairs", "from bridge.review import pairs")}
    assert reviewers - {"bridge/cases/reidentify.py"} == {"doorstep/linkage_review.py"}
