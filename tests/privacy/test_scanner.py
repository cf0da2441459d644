"""The scanner finds what is there, wherever and however it hides, and says no more than that."""

from __future__ import annotations

import base64
import gzip
import json
import sqlite3
from dataclasses import asdict
from pathlib import Path

import pytest
from two_zones import TwoZones, make_two_zones

import governance.scanner
from governance.scanner import ScanReport, scan_analytics

NAME, NINO, NUMBER, ADDRESS = (
    "Zoë Testperson",
    "QQ 12 34 56 C",
    "943 476 5919",
    "17 Nowhere Gardens, Exampletown",
)
IDENTIFIERS = {"full_name": [NAME], "nino": [NINO], "nhs_number": [NUMBER], "address": [ADDRESS]}


@pytest.fixture
def zones(tmp_path: Path) -> TwoZones:
    zones = make_two_zones(tmp_path / "home")
    with zones.analytics.warehouse() as warehouse:
        warehouse.execute(
            "create schema records; create table records.t (record_ref varchar, note varchar, n bigint)"
        )
        warehouse.execute(
            "insert into records.t select md5(i::varchar), 'band ' || i % 8, i from range(1000) as r(i)"
        )
    return zones


def scan(zones: TwoZones) -> ScanReport:
    return scan_analytics(zones.analytics, IDENTIFIERS)


def place_file(zones: TwoZones, name: str, content: bytes) -> None:
    path = zones.home.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def kinds(report: ScanReport) -> set[tuple[str, str]]:
    return {(hit.kind, hit.file) for hit in report.hits}


def test_a_clean_zone_holds_and_every_canary_was_found(zones: TwoZones) -> None:
    report = scan(zones)
    assert report.holds
    assert report.hits == ()
    assert report.canaries_planted == report.canaries_found > 30
    assert report.cells > 1000
    assert report.identifiers == {"full_name": 1, "nino": 1, "nhs_number": 1, "address": 1}


def test_the_canaries_are_gone_afterwards(zones: TwoZones) -> None:
    before = sorted(path for path in zones.home.root.rglob("*") if not path.name.endswith(".lock"))
    scan(zones)
    assert sorted(path for path in zones.home.root.rglob("*") if not path.name.endswith(".lock")) == before


@pytest.mark.parametrize(
    "hidden",
    [
        NAME.encode(),
        NAME.upper().encode(),
        NAME[::-1].encode(),
        NAME.encode("utf-16-le"),
        NAME.encode("utf-16-be"),
        base64.b64encode(b"..." + NAME.encode() + b"."),
        base64.b64encode(b"...." + NAME.encode()).rstrip(b"="),
        NAME.encode().hex().encode(),
        b"0" + NAME.encode().hex().upper().encode(),
        json.dumps({"who": NAME}).encode(),
        gzip.compress(b"log line: " + NAME.encode()),
    ],
    ids=[
        "plain",
        "upper",
        "reversed",
        "utf-16-le",
        "utf-16-be",
        "base64",
        "unpadded",
        "hex",
        "odd hex",
        "json",
        "gzip",
    ],
)
def test_a_name_is_found_in_a_file_however_it_is_written(zones: TwoZones, hidden: bytes) -> None:
    place_file(
        zones,
        "dagster/logs/run.log",
        b"before " + hidden + b" after" if hidden[:2] != b"\x1f\x8b" else hidden,
    )
    report = scan(zones)
    assert not report.holds
    assert kinds(report) == {("full_name", "dagster/logs/run.log")}


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("nino", "qq123456c"),
        ("nino", "QQ 12 34 56 C"),
        ("nhs_number", "9434765919"),
        ("nhs_number", "943 476 5919"),
        ("address", "17 NOWHERE GARDENS, EXAMPLETOWN"),
    ],
)
def test_a_number_or_address_is_found_in_a_cell(zones: TwoZones, kind: str, written: str) -> None:
    with zones.analytics.warehouse() as warehouse:
        warehouse.execute("update records.t set note = ? where n % 3 = 0", [f"text {written} text"])
    assert NAME.encode() not in zones.home.warehouse_db.read_bytes()
    report = scan(zones)
    assert [(hit.kind, hit.place) for hit in report.hits] == [(kind, "records.t.note")]


def test_a_number_is_found_in_a_numeric_column(zones: TwoZones) -> None:
    with zones.analytics.warehouse() as warehouse:
        warehouse.execute("update records.t set n = 9434765919 where n = 5")
    assert [(hit.kind, hit.place) for hit in scan(zones).hits] == [("nhs_number", "records.t.n")]


def test_a_number_inside_a_longer_one_is_no_evidence(zones: TwoZones) -> None:
    with zones.analytics.warehouse() as warehouse:
        warehouse.execute("update records.t set note = '1943476591907' where n = 5")
    assert scan(zones).holds


def test_a_name_in_an_event_log_is_found(zones: TwoZones) -> None:
    zones.home.dagster.mkdir(parents=True)
    with sqlite3.connect(zones.home.dagster / "events.db") as events:
        events.execute("create table event_logs (event text)")
        events.execute("insert into event_logs values (?)", [json.dumps({"metadata": {"sample": NAME}})])
    assert ("full_name", "dagster/events.db") in kinds(scan(zones))


def test_two_cells_of_an_event_log_do_not_make_a_number(zones: TwoZones) -> None:
    zones.home.dagster.mkdir(parents=True)
    with sqlite3.connect(zones.home.dagster / "events.db") as events:
        events.execute("create table runs (created text, updated text)")
        events.execute("insert into runs values ('12:30:00.943476', '5919-10-06')")
    assert b"9434765919" in (zones.home.dagster / "events.db").read_bytes()
    assert scan(zones).holds
    with sqlite3.connect(zones.home.dagster / "events.db") as events:
        events.execute("insert into runs values ('patient 9434765919', '')")
    assert [hit.place for hit in scan(zones).hits] == ["runs"]


def test_a_name_in_a_file_name_is_found(zones: TwoZones) -> None:
    place_file(zones, f"analytics/models/{NAME}.png", b"")
    assert [hit.place for hit in scan(zones).hits] == ["name"]


def test_the_councils_own_folders_are_not_scanned(zones: TwoZones) -> None:
    place_file(zones, "council/cases/a.txt", NAME.encode())
    place_file(zones, "truth/people.csv", NAME.encode())
    assert scan(zones).holds


def test_values_too_short_to_be_evidence_are_left_out(zones: TwoZones) -> None:
    report = scan_analytics(zones.analytics, {"full_name": ["Al Ho"], "partner_reference": ["1234567"]})
    assert report.identifiers == {"full_name": 0, "partner_reference": 0}


def test_a_short_name_inside_other_words_is_no_evidence(zones: TwoZones) -> None:
    place_file(zones, "analytics/note.txt", b"more than leeway allows")
    assert scan_analytics(zones.analytics, {"full_name": ["An Lee"]}).holds
    place_file(zones, "analytics/note.txt", b"seen by an lee, officer")
    assert not scan_analytics(zones.analytics, {"full_name": ["An Lee"]}).holds


def test_a_report_holds_no_value(zones: TwoZones) -> None:
    place_file(zones, "exchange/outbox/a.txt", "\n".join((NAME, NINO, NUMBER, ADDRESS)).encode())
    report = scan(zones)
    assert report.hits_by_kind == {"full_name": 1, "nino": 1, "nhs_number": 1, "address": 1}
    told = json.dumps(asdict(report), ensure_ascii=False).lower()
    for value in (NAME, NINO, NUMBER, ADDRESS):
        assert value.lower() not in told


def test_a_store_that_cannot_be_read_fails_the_scan(zones: TwoZones) -> None:
    place_file(zones, "analytics/extra.duckdb", b"not a database")
    report = scan(zones)
    assert not report.holds
    assert report.unreadable == ("analytics/extra.duckdb",)


def test_a_scanner_that_is_blind_to_an_encoding_fails_itself(
    zones: TwoZones, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(governance.scanner, "_readings", lambda content: [content.lower()])
    report = scan(zones)
    assert not report.holds
    assert report.hits == ()
    assert "file, base64" in report.canaries_missed


def test_a_value_that_the_caller_planted_must_be_found(zones: TwoZones) -> None:
    with zones.analytics.warehouse() as warehouse:
        warehouse.execute("update records.t set note = 'a canary of the caller' where n = 5")
    assert scan_analytics(zones.analytics, IDENTIFIERS, ["canary of the caller"]).holds
    missed = scan_analytics(zones.analytics, IDENTIFIERS, ["canary that flew away"])
    assert not missed.holds
    assert missed.canaries_missed == ("planted by the caller 1",)
