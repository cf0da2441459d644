"""Redacted excerpts: only where the council allows them, inside the council, and with every identifier taken out."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from two_zones import TwoZones, make_two_zones
from typer.testing import CliRunner

from bridge.notes.excerpts import EXCERPTS_VARIABLE
from doorstep.cli import app

SUBJECT = {
    "reference": "DX1000001",
    "given_name": "Oluwaseun",
    "family_name": "Pemberton-Achebe",
    "date_of_birth": "1984-03-09",
    "address": "14 Larkspur Close, Newtown",
    "postcode": "NT1 4QX",
}
TEXT = (
    "Call with Oluwaseun Pemberton-Achebe (born 09/03/1984) of 14 Larkspur Close. NINO QQ123456C, mobile 07700 900123, "
    "o.pemberton@example.com. Two months of rent arrears, notice served."
)
IDENTIFIERS = (
    "oluwaseun",
    "pemberton",
    "achebe",
    "09/03/1984",
    "larkspur",
    "qq123456c",
    "900123",
    "@example",
)


def note(number: int, **changed: object) -> str:
    row = {"reference": f"CN{number:09d}", "date": "2026-09-01", "recorded_on": "2026-09-02", "text": TEXT}
    author = {"organisation": "DISTRICT", "team": "HOUSING_OPTIONS", "initials": "ZQ"}
    kind = {"type": "TELEPHONE_CALL"}
    return json.dumps({"note": {**row, **kind, **changed}, "author": author, "subject": SUBJECT})


@pytest.fixture
def zones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TwoZones:
    zones = make_two_zones(tmp_path / "home")
    monkeypatch.setenv("DOORSTEP_HOME", str(zones.home.root))
    return zones


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "case_notes_20260930_changes.jsonl"
    path.write_text("\n".join((note(1), note(2, date="1 September"), note(3, text=None))), encoding="utf-8")
    return path


def excerpts(notes: Path, *options: str) -> tuple[int, str]:
    told = CliRunner().invoke(app, ["notes", "excerpt", str(notes), *options])
    return told.exit_code, told.output


def test_without_the_councils_word_no_excerpt_is_written(zones: TwoZones, notes: Path) -> None:
    code, told = excerpts(notes)
    assert code == 1
    assert EXCERPTS_VARIABLE in told
    assert not list(zones.home.council.rglob("*.jsonl"))


def test_an_excerpt_keeps_the_concern_and_loses_the_person(
    zones: TwoZones, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EXCERPTS_VARIABLE, "allowed")
    code, told = excerpts(notes, "--json")
    report = json.loads(told)
    assert code == 0
    assert report["notes"] == 1
    assert report["left_out"] == [2, 3]
    assert sum(report["identifiers"].values()) >= len(
        ("name", "birth date", "address", "nino", "phone", "email")
    )
    (written,) = zones.home.council.rglob("*.jsonl")
    line = json.loads(written.read_text(encoding="utf-8"))
    assert line["note_reference"] == "CN000000001"
    assert "rent arrears, notice served" in line["excerpt"]
    assert [word for word in IDENTIFIERS if word in line["excerpt"].casefold()] == []
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert [word for word in IDENTIFIERS if word in told.casefold()] == []


def test_rows_that_cannot_be_read_are_told_by_their_number(
    zones: TwoZones, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EXCERPTS_VARIABLE, "allowed")
    code, told = excerpts(notes)
    assert code == 0
    assert "rows 2, 3" in told.replace("\n", " ")


def test_a_file_of_something_else_is_refused_with_a_reason(
    zones: TwoZones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EXCERPTS_VARIABLE, "allowed")
    other = tmp_path / "case_notes_20260930_changes.jsonl"
    other.write_text("not a note\n", encoding="utf-8")
    code, told = excerpts(other)
    assert code == 1
    assert other.name in told.replace("\n", "")
    assert not list(zones.home.council.rglob("*.jsonl"))
