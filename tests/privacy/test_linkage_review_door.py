"""Clerical review: what crosses, who sees a pair, what is written down of it, and what goes back."""

from __future__ import annotations

import getpass
import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree

import pyarrow as pa
import pytest
from two_zones import NIGHT, TwoZones, make_two_zones, table_of
from typer.testing import CliRunner

from bridge.cases.cases import openings_log
from bridge.cases.officers import read_roles
from bridge.cases.reidentify import RefusedError
from bridge.review.pairs import PairRequest, open_pair
from bridge.review.samples import (
    SECOND_OPINIONS,
    keep_verdict,
    list_samples,
    next_pair,
    note_shown,
    open_reviews,
    receive_samples,
    return_verdicts,
)
from bridge.vault.arrivals import ARRIVAL_SCHEMA
from bridge.vault.vault import open_vault
from bridge.zone import CouncilZone
from doorstep.cli import app
from exchange.review import ASKED_SCHEMA, JUDGED_SCHEMA, VERDICTS, open_pairs, open_verdicts, seal_pairs
from governance.audit_log import AuditLogError
from governance.linkage_review import read_review_rules
from governance.retention import read_retention
from stores.analytics import AnalyticsZone
from stores.home import Home

NOW = datetime(2026, 10, 7, 9, 0, tzinfo=UTC)
SAMPLE = "2026-10-06-0123abcd"
PEOPLE = table_of("""
    record_ref                       | full_name         | forename | surname | date_of_birth | nino      | postcode
    00000000000000000000000000000001 | Mr Walter Example | -        | -       | 1961-04-03    | ZZ123456A | ZZ1 1AA
    00000000000000000000000000000002 | -                 | W        | Exampel | 1961-03-04    | ZZ123456A | ZZ1 1AB
    00000000000000000000000000000003 | Mx Kit Specimen   | -        | -       | 1983-06-05    | -         | ZZ1 1AA
""")
FIRST, SECOND, THIRD = (person["record_ref"] for person in PEOPLE)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three records in the vault, and a sample that asks about three pairs of them."""
    zones = make_two_zones(tmp_path_factory.mktemp("prepared") / "home")
    zones.home.officers.write_text(
        "officers:\n"
        "  - {officer: r.reviewer, role: linkage_reviewer, system_user: rita}\n"
        "  - {officer: s.second, role: linkage_reviewer, system_user: sam}\n"
        "  - {officer: o.housing, role: housing_officer, system_user: hazel}\n"
        f"  - {{officer: t.test, role: linkage_reviewer, system_user: {getpass.getuser()}}}\n",
        encoding="utf-8",
    )
    with open_vault(zones.council, "district") as vault:
        vault.keep(arrivals())
    send(zones, [(FIRST, SECOND), (FIRST, THIRD), (SECOND, THIRD)])
    assert receive_samples(zones.council, NIGHT).received == (SAMPLE,)
    return zones.home.root


@pytest.fixture
def zones(prepared: Path, tmp_path: Path) -> TwoZones:
    """A copy of what was prepared, for one test."""
    home = Home(Path(copytree(prepared, tmp_path / "home")))
    return TwoZones(CouncilZone.open(home), AnalyticsZone.open(home))


def arrivals() -> pa.Table:
    brought = {
        "feed": "council_tax",
        "table_name": "accounts",
        "delivery_date": NIGHT,
        "received_date": NIGHT,
        "delivery_id": f"{NIGHT}-full",
        "partner_key": json.dumps({"account_ref": "70000001"}),
    }
    return pa.Table.from_pylist([{**person, **brought} for person in PEOPLE], schema=ARRIVAL_SCHEMA)


def send(zones: TwoZones, pairs: list[tuple[str, str]], sample_id: str = SAMPLE) -> str:
    rows = [
        {"number": number, "record_ref_l": one, "record_ref_r": other}
        for number, (one, other) in enumerate(pairs, start=1)
    ]
    table = pa.Table.from_pylist(rows, schema=ASKED_SCHEMA)
    return seal_pairs(zones.home, zones.analytics.keys, sample_id, NIGHT, table)


def asking(number: int = 1) -> PairRequest:
    return PairRequest(SAMPLE, number, "r.reviewer", "linkage_quality", "rita", NOW)


def refusal(zones: TwoZones, request: PairRequest) -> str:
    with pytest.raises(RefusedError) as refused:
        open_pair(zones.council, request)
    return refused.value.reason


def test_a_reviewer_sees_two_records_side_by_side_and_how_they_agree(zones: TwoZones) -> None:
    pair = open_pair(zones.council, asking())
    told = {field.name: (field.left, field.right, field.agreement.value) for field in pair.fields}
    assert told["nino"] == ("ZZ123456A", "ZZ123456A", "same")
    assert told["date_of_birth"] == ("1961-04-03", "1961-03-04", "day and month swapped")
    assert told["forename"][2] == "initial of the other"
    assert told["surname"][2] == "one slip"
    assert told["postcode"][2] == "one slip"
    assert "Walter" not in repr(pair)
    assert "Walter" not in str(pair.fields)


def test_a_reviewer_is_not_told_which_partner_holds_a_record_nor_what_linkage_thinks(zones: TwoZones) -> None:
    pair = open_pair(zones.council, asking())
    shown = " ".join(f"{field.name} {field.left} {field.right}" for field in pair.fields)
    for word in ("council_tax", "70000001", "weight", "stratum", "linked"):
        assert word not in shown
    opened, refused = open_pairs(zones.home, zones.council.keys, 10)
    assert (opened, refused) == ([], [])  # received, so gone from the box
    assert ASKED_SCHEMA.names == ["number", "record_ref_l", "record_ref_r"]


def test_both_openings_of_a_pair_are_in_the_audit_log_without_any_identity(zones: TwoZones) -> None:
    open_pair(zones.council, asking())
    entries, _ = openings_log(zones.council).read()
    assert [(entry.record_ref, entry.use_case, entry.purpose, entry.verdict) for entry in entries] == [
        (FIRST, "linkage_review", "linkage_quality", "opened"),
        (SECOND, "linkage_review", "linkage_quality", "opened"),
    ]
    written = zones.home.openings_log.read_text().lower()
    assert not any(word in written for word in ("walter", "example", "zz1", "1961", "zz123456a"))


def test_everybody_else_and_everything_else_is_refused_and_written_down(zones: TwoZones) -> None:
    right = asking()
    wrong = [
        ("unknown_officer", replace(right, officer="nobody")),
        ("another_account", replace(right, system_user="mallory")),
        ("review_not_for_this_role", replace(right, officer="o.housing", system_user="hazel")),
        ("purpose_not_allowed", replace(right, purpose="prevention_offer")),
        ("not_asked", replace(right, number=4)),
        ("not_asked", replace(right, sample_id="2026-10-06-ffffffff")),
    ]
    assert [refusal(zones, request) for _, request in wrong] == [reason for reason, _ in wrong]
    entries, _ = openings_log(zones.council).read()
    assert [entry.reason for entry in entries] == [reason for reason, _ in wrong]


def test_a_pair_is_two_of_the_days_openings(zones: TwoZones, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"openings_per_day": 3}
    roles = {name: role.model_copy(update=limits) for name, role in read_roles().items()}
    monkeypatch.setattr("bridge.cases.reidentify.read_roles", lambda: roles)
    open_pair(zones.council, asking())
    assert refusal(zones, asking(2)) == "openings_used_up"
    open_pair(zones.council, replace(asking(2), at=NOW + timedelta(days=1)))


def test_nothing_is_shown_while_the_audit_log_is_not_whole(zones: TwoZones) -> None:
    open_pair(zones.council, asking())
    lines = zones.home.openings_log.read_bytes().splitlines(keepends=True)
    zones.home.openings_log.write_bytes(lines[0])
    with pytest.raises(AuditLogError):
        open_pair(zones.council, asking())


def test_a_verdict_needs_that_the_pair_was_shown_to_whoever_gives_it(zones: TwoZones) -> None:
    with pytest.raises(RefusedError, match="not_shown"):
        keep_verdict(zones.council, SAMPLE, 1, "r.reviewer", "linkage_reviewer", "match", NOW)
    open_pair(zones.council, asking())
    with pytest.raises(RefusedError, match="not_shown"):
        keep_verdict(zones.council, SAMPLE, 1, "s.second", "linkage_reviewer", "match", NOW)
    with pytest.raises(ValueError, match="a verdict is one of"):
        keep_verdict(zones.council, SAMPLE, 1, "r.reviewer", "linkage_reviewer", "Walter", NOW)


def judged(zones: TwoZones, officer: str, verdicts: dict[int, str]) -> None:
    for number, verdict in verdicts.items():
        note_shown(zones.council, SAMPLE, number, officer, NOW, None)
        keep_verdict(zones.council, SAMPLE, number, officer, "linkage_reviewer", verdict, NOW)


def test_references_and_verdicts_go_back_and_nothing_of_who_gave_them(zones: TwoZones) -> None:
    match, other, unsure = VERDICTS
    judged(zones, "r.reviewer", {1: match, 2: other, 3: match})
    judged(zones, "s.second", {1: match, 2: other, 3: other})
    sent = return_verdicts(zones.council, SAMPLE, NIGHT, close=True)
    assert (sent.verdicts, sent.cannot_tell) == (3, 1)
    assert sent.agreement is not None
    assert sent.agreement.agreeing == pytest.approx(2 / 3)
    assert sent.agreement.kappa == pytest.approx((2 / 3 - 4 / 9) / (1 - 4 / 9))
    opened, refused = open_verdicts(zones.home, zones.analytics.keys)
    assert refused == []
    assert opened[0].rows.schema == JUDGED_SCHEMA
    assert opened[0].rows.to_pylist() == [
        {"record_ref_l": FIRST, "record_ref_r": SECOND, "verdict": match},
        {"record_ref_l": FIRST, "record_ref_r": THIRD, "verdict": other},
        {"record_ref_l": SECOND, "record_ref_r": THIRD, "verdict": unsure},
    ]
    assert refusal(zones, asking()) == "not_asked"  # closed


def test_each_reviewer_is_asked_what_nobody_judged_then_a_share_that_another_judged(zones: TwoZones) -> None:
    zone = zones.council
    assert next_pair(zone, SAMPLE, "r.reviewer") == 1
    judged(zones, "r.reviewer", {1: "match"})
    assert next_pair(zone, SAMPLE, "s.second") == 2
    assert next_pair(zone, SAMPLE, "s.second", [2]) == 3
    judged(zones, "r.reviewer", {2: "match", 3: "match"})
    assert next_pair(zone, SAMPLE, "r.reviewer") is None
    assert round(3 * SECOND_OPINIONS) == 0
    assert next_pair(zone, SAMPLE, "s.second") is None


def test_a_second_reviewer_is_asked_about_the_first_pairs_of_a_larger_sample(zones: TwoZones) -> None:
    sample_id = "2026-10-06-44444444"
    send(zones, [(FIRST, SECOND)] * 10, sample_id)
    receive_samples(zones.council, NIGHT)
    for number in range(1, 11):
        note_shown(zones.council, sample_id, number, "r.reviewer", NOW, None)
        keep_verdict(zones.council, sample_id, number, "r.reviewer", "linkage_reviewer", "match", NOW)
    assert next_pair(zones.council, sample_id, "s.second") == 1
    assert next_pair(zones.council, sample_id, "r.reviewer") is None


def test_pairs_of_somebody_erased_are_refused_and_forgotten(zones: TwoZones) -> None:
    with open_vault(zones.council, "district") as vault:
        vault.erase(SECOND)
    assert refusal(zones, asking()) == "erased"
    assert next_pair(zones.council, SAMPLE, "r.reviewer") == 2
    receive_samples(zones.council, NIGHT)
    with open_reviews(zones.council) as reviews:
        assert reviews.execute("select number from pairs").fetchall() == [(2,)]
        assert reviews.execute("select count(*) from shown").fetchone() == (0,)


def test_a_sample_that_asks_too_much_or_comes_from_a_stranger_is_refused(
    zones: TwoZones, tmp_path: Path
) -> None:
    many = read_review_rules().largest_sample + 1
    send(zones, [(FIRST, SECOND)] * many, "2026-10-06-11111111")
    report = receive_samples(zones.council, NIGHT)
    assert [each.reason for each in report.refused] == [f"it asks about more than {many - 1} pairs"]

    stranger = make_two_zones(tmp_path / "stranger")
    for name in ("council.pub",):
        (stranger.home.root / "exchange" / "public_keys" / name).write_bytes(
            (zones.home.root / "exchange" / "public_keys" / name).read_bytes()
        )
    (stranger.home.analytics_keys / "trusted" / "council.pub").unlink(missing_ok=True)
    name = send(stranger, [(FIRST, SECOND)], "2026-10-06-22222222")
    (zones.home.root / "exchange" / "returns" / name).write_bytes(
        (stranger.home.root / "exchange" / "returns" / name).read_bytes()
    )
    assert len(receive_samples(zones.council, NIGHT).refused) == 2
    assert [each.sample_id for each in list_samples(zones.council)] == [SAMPLE]


def test_more_samples_than_are_allowed_wait_until_one_is_closed(zones: TwoZones) -> None:
    room = read_review_rules().open_samples - 1
    names = [f"2026-10-06-{number:08x}" for number in range(room + 1)]
    for name in names:
        send(zones, [(FIRST, SECOND)], name)
    report = receive_samples(zones.council, NIGHT)
    assert (report.received, report.waiting) == (tuple(names[:room]), (names[-1],))
    return_verdicts(zones.council, SAMPLE, NIGHT, close=True)
    assert receive_samples(zones.council, NIGHT).received == (names[-1],)


def test_a_sample_past_its_retention_is_forgotten(zones: TwoZones) -> None:
    due = read_retention()["linkage_reviews"].expires_on(NIGHT)
    assert receive_samples(zones.council, due - timedelta(days=1)).expired == 0
    assert receive_samples(zones.council, due).expired == 1
    assert list_samples(zones.council) == []


def test_every_purpose_and_feed_that_a_reviewers_role_names_is_there(zones: TwoZones) -> None:
    for role in read_roles().values():
        assert set(role.reviews) <= set(read_review_rules().purposes)
        assert set(role.feeds) <= set(zones.council.contracts)


@pytest.mark.slow
def test_pairs_are_shown_on_a_terminal_and_never_into_a_file(
    zones: TwoZones, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOORSTEP_HOME", str(zones.home.root))
    asked = ["linkage", "review", "judge", SAMPLE, "--officer", "t.test"]
    command = [sys.executable, "-m", "doorstep.cli", *asked]
    terminal, inner = pty.openpty()
    os.write(terminal, b"m\nq\n")
    shown = subprocess.run(
        command, stdin=inner, stdout=inner, stderr=subprocess.PIPE, check=False, timeout=120
    )
    os.close(inner)
    text = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert shown.returncode == 0, shown.stderr
    assert "Mr Walter Example" in text
    assert list_samples(zones.council)[0].judged == 1
    entries, _ = openings_log(zones.council).read()
    assert [entry.officer for entry in entries] == ["t.test"] * 4

    piped = CliRunner().invoke(app, asked)
    assert piped.exit_code == 2
    assert "Walter" not in piped.output
