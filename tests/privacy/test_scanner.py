"""The scanner finds what is there, wherever and however it hides, and says no more than that."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from two_zones import TwoZones, make_two_zones

import governance.scanner.searching
from evaluation.scanning import scan_home
from evaluation.scanning_packages import BothWays
from governance.scanner import Hit, ScanReport, scan_analytics
from governance.scanner.encodings import ENCODINGS
from governance.scanner.unpacking import UnpackingError, unpacked

NAME, NINO, NUMBER, ADDRESS, SHORT = (
    "Zoë Testperson",
    "QQ 12 34 56 C",
    "943 476 5919",
    "17 Nowhere Gardens, Exampletown",
    "An Lee",
)
KEY = "00ff41" * 10 + "beef"
IDENTIFIERS = {
    "full_name": [NAME, SHORT],
    "nino": [NINO],
    "nhs_number": [NUMBER],
    "address": [ADDRESS],
    "council_key": [KEY],
}

HIDDEN: Mapping[str, bytes] = {
    "plain.txt": NAME.encode(),
    "upper.txt": NAME.upper().encode(),
    "reversed.txt": NAME[::-1].encode(),
    "no-accent.txt": b"ZOE TESTPERSON",
    "slug.txt": b"zoe-testperson.html",
    "utf16le.txt": NAME.encode("utf-16-le"),
    "utf16be.txt": NAME.encode("utf-16-be"),
    "numpy.npy": NAME.encode("utf-32-le"),
    "base64.txt": base64.b64encode(b"..." + NAME.encode() + b"."),
    "unpadded.txt": base64.b64encode(b"...." + NAME.encode()).rstrip(b"="),
    "hexadecimal.txt": NAME.encode().hex().encode(),
    "odd.txt": b"0" + NAME.encode().hex().upper().encode(),
    "document.json": json.dumps({"who": NAME}).encode(),
    "traceback.log": json.dumps({"error": f"cannot read {NAME!r}, {NAME.encode()!r}"}).encode(),
    "query.txt": b"GET /?q=Zo%C3%AB+Testperson",
    "page.html": b"<td>Zo&euml; Testperson</td>",
    "message.eml": b"Dear Zo=C3=AB Test=\r\nperson,",
    "md5.txt": hashlib.md5(NAME.encode()).hexdigest().encode(),  # noqa: S324
    "digest.bin": hashlib.sha256(b"QQ123456C").digest().hex().encode(),
}


@pytest.fixture
def zones(tmp_path: Path) -> TwoZones:
    return make_zones(tmp_path / "home")


def make_zones(root: Path) -> TwoZones:
    zones = make_two_zones(root)
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


def place_file(zones: TwoZones, name: str, content: bytes) -> Path:
    path = zones.home.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> ScanReport:
    """The scan of a home with something to be found, and something not to be, in every kind of place."""
    zones = make_zones(tmp_path_factory.mktemp("dirty") / "home")
    for name, hidden in HIDDEN.items():
        place_file(zones, f"dagster/logs/{name}", b"before " + hidden + b" after")
    place_file(zones, "dagster/logs/zipped.log", gzip.compress(b"log line: " + NAME.encode()))
    place_file(zones, f"analytics/models/{NAME}.png", b"")
    place_file(zones, "analytics/dump.bin", b"key" + bytes.fromhex(KEY))
    place_file(zones, "council/cases/a.txt", NAME.encode())
    place_file(zones, "council/quarantine/feed/refused/d/accounts.csv", NAME.encode())
    place_file(zones, "council/quarantine/feed/refused/d/reasons.json", NINO.encode())
    place_file(zones, "council/feeds/feed.html", NUMBER.encode())
    place_file(zones, "truth/people.csv", NAME.encode())
    place_file(zones, "exchange/outbox/all.txt", "\n".join((NAME, NINO, NUMBER, ADDRESS)).encode())
    place_file(zones, "analytics/leeway.txt", b"more than leeway allows, since 1943476591907")
    place_file(zones, "analytics/seen.txt", b"seen by an lee, officer")
    pq.write_table(pa.table({"who": [NAME] * 5000}), place_file(zones, "analytics/rows.parquet", b""))
    with zones.analytics.warehouse() as warehouse:
        warehouse.execute(
            "create table records.found (a varchar, b varchar, c varchar, d bigint, e varchar[])"
        )
        row = ["text qq123456c text", "9434765919", ADDRESS.upper(), 9434765919, [NAME]]
        warehouse.execute("insert into records.found select ?, ?, ?, ?, ? from range(3000)", row)
        warehouse.execute("create table records.not_found as select '1943476591907' as a, 94347659190 as b")
    assert ADDRESS.upper().encode() not in zones.home.warehouse_db.read_bytes()
    with sqlite3.connect(zones.home.dagster / "events.db") as events:
        events.execute("create table event_logs (event text)")
        events.execute("insert into event_logs values (?)", [json.dumps({"metadata": {"sample": NAME}})])
        events.execute("create table runs (created text, updated text)")
        events.execute("insert into runs values ('12:30:00.943476', '5919-10-06')")
        events.execute("create table patients (told text)")
        events.execute("insert into patients values ('patient 9434765919')")
    return scan(zones)


def hits_in(report: ScanReport, file: str) -> list[Hit]:
    return [hit for hit in report.hits if hit.file == file]


def found_in(report: ScanReport, file: str) -> set[tuple[str, str]]:
    return {(hit.kind, hit.place) for hit in hits_in(report, file)}


def test_a_clean_zone_holds_and_every_canary_was_found_and_is_gone(zones: TwoZones) -> None:
    before = sorted(path for path in zones.home.root.rglob("*") if not path.name.endswith(".lock"))
    report = scan(zones)
    assert report.holds
    assert report.hits == ()
    assert report.canaries_planted == report.canaries_found > 500
    assert len(report.canaries) >= 20
    assert report.encodings == ENCODINGS
    assert len(ENCODINGS) >= 30
    assert report.cells > 1000
    assert report.identifiers == {kind: len(values) for kind, values in IDENTIFIERS.items()}
    assert sorted(path for path in zones.home.root.rglob("*") if not path.name.endswith(".lock")) == before


@pytest.mark.parametrize("name", HIDDEN)
def test_a_value_is_found_in_a_file_however_it_is_written(dirty: ScanReport, name: str) -> None:
    kind = "nino" if name == "digest.bin" else "full_name"
    assert (kind, "bytes") in found_in(dirty, f"dagster/logs/{name}")


def test_a_name_in_a_compressed_log_is_found(dirty: ScanReport) -> None:
    assert found_in(dirty, "dagster/logs/zipped.log") == {("full_name", "bytes, unpacked")}


def test_names_numbers_and_addresses_are_found_in_cells_and_their_column_is_named(dirty: ScanReport) -> None:
    assert found_in(dirty, "analytics/warehouse.duckdb") == {
        ("nino", "records.found.a"),
        ("nhs_number", "records.found.b"),
        ("address", "records.found.c"),
        ("nhs_number", "records.found.d"),
        ("full_name", "records.found.e"),
    }
    assert found_in(dirty, "analytics/rows.parquet") >= {("full_name", "who")}


def test_a_name_in_an_event_log_is_found_and_two_cells_do_not_make_a_number(dirty: ScanReport) -> None:
    assert found_in(dirty, "dagster/events.db") == {
        ("full_name", "bytes"),
        ("full_name", "event_logs"),
        ("nhs_number", "patients"),
    }


def test_a_name_in_a_file_name_is_found(dirty: ScanReport) -> None:
    named = [hit for hit in dirty.hits if hit.place == "name"]
    assert [hit.kind for hit in named] == ["full_name"]


def test_a_key_of_the_council_is_found_as_raw_bytes(dirty: ScanReport) -> None:
    assert found_in(dirty, "analytics/dump.bin") == {("council_key", "bytes")}


def test_of_the_councils_folders_only_pages_and_reasons_are_scanned(dirty: ScanReport) -> None:
    assert {hit.file for hit in dirty.hits if hit.file.startswith(("council/", "truth/"))} == {
        "council/feeds/feed.html",
        "council/quarantine/feed/refused/d/reasons.json",
    }


def test_part_of_a_longer_number_or_word_is_no_evidence(dirty: ScanReport) -> None:
    assert hits_in(dirty, "analytics/leeway.txt") == []
    assert found_in(dirty, "analytics/seen.txt") == {("full_name", "bytes")}


def test_every_hit_says_what_to_do(dirty: ScanReport) -> None:
    assert not dirty.holds
    assert all(len(hit.remedy) > 30 for hit in dirty.hits)
    assert len({hit.remedy for hit in dirty.hits}) >= 5


def test_a_report_holds_no_value(dirty: ScanReport) -> None:
    assert set(dirty.hits_by_kind) == set(IDENTIFIERS)
    told = asdict(dirty)
    # One file's name is itself a hit, and names the place.
    hits = [hit for hit in told.pop("hits") if hit["place"] != "name"]
    text = json.dumps([told, hits], ensure_ascii=False).lower()
    for value in (NAME, NINO, NUMBER, ADDRESS, KEY):
        assert value.lower() not in text


def test_what_cannot_be_read_fails_the_scan(zones: TwoZones) -> None:
    place_file(zones, "analytics/extra.duckdb", b"not a database")
    place_file(zones, "dagster/cut.gz", gzip.compress(b"a long log" * 1000)[:40])
    place_file(zones, "exchange/outbox/feed/cut.sealed", b"DSTPSEAL")
    report = scan_analytics(zones.analytics, IDENTIFIERS, packages=BothWays(zones.council, zones.analytics))
    assert not report.holds
    assert report.canaries_missed == ()
    assert report.unreadable == (
        "analytics/extra.duckdb",
        "dagster/cut.gz",
        "exchange/outbox/feed/cut.sealed",
    )


def test_an_archive_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("governance.scanner.unpacking.LARGEST_UNPACKED_BYTES", 1 << 20)
    with pytest.raises(UnpackingError, match="it holds more"):
        list(unpacked(gzip.compress(bytes(3 << 20))))


def test_a_name_in_a_sealed_package_is_found_once_it_is_opened(zones: TwoZones) -> None:
    packages = BothWays(zones.council, zones.analytics)
    path = place_file(zones, "exchange/outbox/feed/one.sealed", b"")
    packages.plant(path, pa.table({"note": [f"told by {NAME}"]}))
    report = scan_analytics(zones.analytics, IDENTIFIERS, packages=packages)
    assert found_in(report, "exchange/outbox/feed/one.sealed") == {("full_name", "payload.canary.note")}
    assert report.packages_opened == 2
    assert report.canaries["sealed package"] >= 30
    assert report.canaries_missed == ()


def test_a_further_folder_is_scanned_when_named(zones: TwoZones, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    key = zones.council.keys.root("pseudonym").hex()
    (logs / "service.log").write_text(f"key={key}", encoding="utf-8")
    report = scan_home(zones.home, also=[logs])
    assert found_in(report, "logs/service.log") == {("council_key", "bytes")}


def test_a_scanner_that_is_blind_to_an_encoding_fails_itself(
    zones: TwoZones, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_as_it_is(content: bytes) -> list[tuple[str, bytes]]:
        return [("as it is", content.lower())]

    monkeypatch.setattr(governance.scanner.searching, "readings", only_as_it_is)
    report = scan(zones)
    assert not report.holds
    assert report.hits == ()
    assert {"file, base64, second phase", "SQLite, JSON escapes", "Parquet, URL percent"} <= set(
        report.canaries_missed
    )


def test_a_value_that_the_caller_planted_must_be_found_and_one_too_short_is_no_evidence(
    zones: TwoZones,
) -> None:
    with zones.analytics.warehouse() as warehouse:
        warehouse.execute("update records.t set note = 'a canary of the caller' where n = 5")
    planted = ["canary of the caller", "canary that flew away"]
    too_short = {"full_name": ["Al Ho"], "partner_reference": ["1234567"]}
    report = scan_analytics(zones.analytics, too_short, planted)
    assert report.identifiers == {"full_name": 0, "partner_reference": 0}
    assert not report.holds
    assert report.canaries_missed == ("planted by the caller 2",)
