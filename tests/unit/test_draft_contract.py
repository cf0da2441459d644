"""Drafting a contract from a sample, and trying a file by hand: what is said, and that no value is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bridge.deliveries.try_file import try_file
from bridge.files.draft_contract import draft_feed
from bridge.files.problems import NoSuchFileError
from doorstep.cli import app
from governance.contracts import Identifier, Leaves, read_contract, read_contracts

COUNT = 120
PEOPLE = [
    {
        "Case Ref": f"CANARY{number:04}",
        "Fore Name": f"Zoë{number}",
        "Surname": ("ZEBRAWORTH", "CANARYSMITH", "O'ZEBRA")[number % 3],
        "DOB": f"{number % 28 + 1:02}/03/19{number % 50 + 40}",
        "NI Number": f"QQ{number:06}C",
        "Home Postcode": f"ZZ{number % 9 + 1} 1AB",
        "Started": f"2024-0{number % 9 + 1}-15" if number % 2 else f"15/0{number % 9 + 1}/2024",
        "Ended": "31/12/2099" if number % 3 else "",
        "Amount": f"{number}.50",
        "Visits": str(number % 7),
        "Outcome": ("HOUSED", "LOST", "OPEN")[number % 3],
        "Officer Note": ("CALLED", "WROTE")[number % 2],
        "Rare": "SECRET" if number == 7 else "COMMON",
    }
    for number in range(COUNT)
]
HEADER = list(PEOPLE[0])
WIDTHS = [18] * len(HEADER)


def written(form: str) -> bytes:
    """Write the people as a partner would in one of the formats."""
    match form:
        case "csv":
            rows = [HEADER, *(list(person.values()) for person in PEOPLE)]
            return "\r\n".join(";".join(row) for row in rows).encode("cp1252")
        case "jsonl":
            nested = (
                {"id": person["Case Ref"], "person": dict(list(person.items())[1:])} for person in PEOPLE
            )
            return "\n".join(json.dumps(record, ensure_ascii=False) for record in nested).encode()
        case "xml":
            rows = [
                [
                    f"<{name.replace(' ', '')}>{text}</{name.replace(' ', '')}>"
                    for name, text in person.items()
                ]
                for person in PEOPLE
            ]
            return ("<Cases>" + "".join(f"<Case>{''.join(row)}</Case>" for row in rows) + "</Cases>").encode()
        case _:
            lines = [
                "".join(text.ljust(width) for text, width in zip(person.values(), WIDTHS, strict=True))
                for person in PEOPLE
            ]
            return "\n".join(lines).encode("cp1252")


@pytest.fixture(params=["csv", "jsonl", "xml", "fixed_width"])
def draft(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    sample = tmp_path / f"sample.{request.param}"
    sample.write_bytes(written(request.param))
    return draft_feed(sample, "visits", tmp_path), sample, request.param


def test_a_draft_reads_back_and_takes_the_sample_it_was_made_from(draft: Any) -> None:
    made, sample, form = draft
    contract = read_contract(made.contract_path)
    assert contract.format == form
    assert contract.encoding == ("cp1252" if form in ("csv", "fixed_width") else "utf-8")
    assert set(contract.date_formats) == {"%d/%m/%Y", "%Y-%m-%d"}
    assert contract.open_ended_date == "31/12/2099"
    trial = try_file(sample, {"visits": contract}, "visits", "records")
    assert (trial.rows, trial.rows_to_quarantine, trial.refused) == (COUNT, 0, False)


def test_a_draft_finds_key_types_identifiers_and_codes(draft: Any) -> None:
    made, _, form = draft
    (table,) = made.contract.tables
    columns = list(table.columns)
    assert [column.name for column in table.key] == [columns[0].name]
    found = [column.identifier for column in columns[:6]]
    if form == "fixed_width":
        # Without a header there are only shapes to go by, and a blank inside a postcode looks like two columns.
        assert found[4] == Identifier.NINO
        assert [column.type for column in columns[8:11]] == ["date", "number", "integer"]
        assert not any(column.codes for column in columns)
    else:
        assert [column.type for column in columns[7:10]] == ["date", "number", "integer"]
        assert columns[10].codes == ("HOUSED", "LOST", "OPEN")
        assert found[1:] == [
            Identifier.FORENAME,
            Identifier.SURNAME,
            Identifier.DATE_OF_BIRTH,
            Identifier.NINO,
            Identifier.POSTCODE,
        ]
        assert columns[11].codes == ()


def test_a_draft_holds_no_value_of_the_sample_but_codes_that_many_rows_have(draft: Any) -> None:
    made, _, form = draft
    text = "\n".join(path.read_text(encoding="utf-8") for path in (made.contract_path, *made.model_paths))
    values = {value for person in PEOPLE for value in person.values() if len(value) > 2}
    allowed = {"31/12/2099"} | ({"HOUSED", "LOST", "OPEN"} if form != "fixed_width" else set())
    shown = {value for value in values if re.search(rf"(?<![\w.]){re.escape(value)}(?![\w.])", text)}
    assert shown <= allowed
    assert "SECRET" not in text


def test_only_what_surely_may_leaves_by_a_draft(draft: Any) -> None:
    made, _, _ = draft
    (table,) = made.contract.tables
    for column in table.payload_columns:
        if column.codes:
            assert column.leaves is Leaves.AS_IS
        elif column.key_position:
            assert column.leaves is Leaves.REFERENCE
        else:
            assert (column.identifier, column.leaves) == (Identifier.DATE_OF_BIRTH, Leaves.YEAR)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty"),
        (b"ZEBRA;QQ123456C;01/02/1990\nZED;QQ123457C;01/02/1991\n", "the first row is no header"),
        (
            b"just a line\nand another of other length\n",
            "neither CSV, JSON lines, XML nor lines of equal length",
        ),
        (b"<!DOCTYPE a><a><b><c/></b></a>", "DOCTYPE"),
        (b"PK\x03\x04\0\0\0", "NUL bytes"),
    ],
)
def test_a_sample_that_cannot_be_made_out_is_refused_with_a_remedy(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    sample = tmp_path / "sample"
    sample.write_bytes(content)
    with pytest.raises(NoSuchFileError, match=complaint) as refused:
        draft_feed(sample, "visits", tmp_path)
    assert "ZEBRA" not in str(refused.value)
    assert not (tmp_path / "contracts").exists()


STAGES = "account_ref,stage_code,stage_date,balance\n1,SUMMONS,03/06/2024,1234.50\n"


@pytest.mark.parametrize(
    ("content", "verdict", "code"),
    [
        (STAGES, "good", 0),
        (STAGES + "2,ZEBRA,03/06/2024,1\n", "rows to quarantine", 1),
        (STAGES.replace("stage_date", "when"), "refused", 1),
        (STAGES.replace("SUMMONS", "ZEBRA"), "refused", 1),
    ],
)
def test_a_file_is_tried_by_hand_and_the_exit_code_says_whether_it_is_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, verdict: str, code: int
) -> None:
    monkeypatch.setenv("DOORSTEP_HOME", str(tmp_path / "home"))
    path = tmp_path / "council_tax_recovery_20240603_changes.csv"
    path.write_text(content, encoding="cp1252")
    done = CliRunner().invoke(app, ["feeds", "check", str(path), "--json"])
    document = json.loads(done.stdout)
    assert (document["verdict"], done.exit_code) == (verdict, code)
    assert document["tables"] == ["recovery_stages"]
    assert "ZEBRA" not in done.stdout
    assert all(problem["rule"] and problem["remedy"] for problem in document["problems"])
    assert not (tmp_path / "home").exists()


def test_a_file_with_a_name_that_the_inbox_does_not_know_is_tried_and_told_so(tmp_path: Path) -> None:
    path = tmp_path / "recovery final v2.csv"
    path.write_text(STAGES, encoding="cp1252")
    trial = try_file(path, read_contracts(), "council_tax", "recovery_stages")
    assert trial.good
    assert "a council_tax file is named council_tax_recovery_YYYYMMDD_full|changes.csv" in str(
        trial.problems[0]
    )
    with pytest.raises(NoSuchFileError, match="--feed FEED --table TABLE"):
        try_file(path, read_contracts())
    with pytest.raises(NoSuchFileError, match="council_tax has no table cars"):
        try_file(path, read_contracts(), "council_tax", "cars")
