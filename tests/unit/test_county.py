"""The synthetic county as a partner's reader sees it: files, formats, replays, truth."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from lxml import etree
from typer.testing import CliRunner

from doorstep.county import app
from governance.contracts import FeedContract, Table, read_contracts
from stores.home import Home
from synthetic.county import CountyError, feed_modules, make_county

FIRST_MONTH, MONTHS = date(2024, 10, 1), 8
CONTRACTS = read_contracts()
TABLES = [(contract, table) for contract in CONTRACTS.values() for table in contract.tables]
TABLE_NAMES = [table.qualified_name for _, table in TABLES]
RARE = {
    "children_in_need__child_protection_plans", "hub_interventions__outcomes", "school_census__exclusions",
    "small_area_statistics__areas",
}  # fmt: skip
"""Tables that hold few rows in so small a county."""


@dataclass(frozen=True)
class PartnerFile:
    """One file of a delivery, read as its contract says: rows by column name."""

    path: Path
    delivery_date: date
    kind: str
    received: date
    rows: list[dict[str, str]]


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """700 households, 8 months (October to May), so that an April is among them."""
    home = Home(tmp_path_factory.mktemp("county"))
    make_county(home, households=700, months=MONTHS)
    return home


def files_of(home: Home, contract: FeedContract, table: Table) -> Iterator[PartnerFile]:
    for path in sorted(home.feed_inbox(contract.feed).glob("received=*/*")):
        if name := table.file_pattern.fullmatch(path.name):
            yield PartnerFile(
                path=path,
                delivery_date=datetime.strptime(name["delivery_date"], "%Y%m%d").date(),
                kind=name["kind"],
                received=date.fromisoformat(path.parent.name.removeprefix("received=")),
                rows=list(read_rows(path, table)),
            )


def read_rows(path: Path, table: Table) -> Iterator[dict[str, str]]:
    columns = [column for column in table.columns if not column.optional_column]
    layout = table.format
    if layout.format == "xml":
        for element in etree.parse(path).getroot().iter(table.row_element):
            yield {
                column.name: ";".join(found.text or "" for found in element.xpath(column.physical_name))
                for column in columns
            }
        return
    text = path.read_bytes().decode(layout.encoding)
    if layout.format == "csv":
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=layout.delimiter)
        assert next(reader) == [column.physical_name for column in columns]
        for values in reader:
            yield dict(zip((column.name for column in columns), values, strict=True))
        return
    for line in text.splitlines():
        if layout.format == "jsonl":
            yield {column.name: json_text(json.loads(line), column.physical_name) for column in columns}
        else:
            yield {
                column.name: line[column.start - 1 : column.start - 1 + column.width].strip()
                for column in columns
            }


def json_text(value: Any, place: str) -> str:
    """The text at a path through nested objects; empty where there is nothing."""
    for name in place.split("/"):
        value = (value or {}).get(name)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def is_date(text: str, table: Table) -> bool:
    for pattern in table.format.date_formats:
        try:
            datetime.strptime(text, pattern)
        except ValueError:
            continue
        return True
    return text == table.format.open_ended_date


def broken_rules(row: dict[str, str], table: Table) -> set[str]:
    broken = set()
    for column in table.columns:
        value = row.get(column.name, "")
        if value == "":
            broken |= {f"{column.name} required"} if column.required else set()
            continue
        if column.type == "date" and not is_date(value, table):
            broken.add(f"{column.name} date")
        if column.type in ("integer", "number"):
            number = float(value)
            if not (column.minimum or 0) <= number <= (column.maximum or number):
                broken.add(f"{column.name} range")
        if column.pattern and not re.search(column.pattern, value):
            broken.add(f"{column.name} pattern")
        if column.codes and value not in column.codes:
            broken.add(f"{column.name} codes")
    return broken


def digest(home: Home) -> str:
    """One digest over the path and content of every file."""
    total = hashlib.sha256()
    for path in sorted(home.root.rglob("*")):
        if path.is_file():
            total.update(str(path.relative_to(home.root)).encode())
            total.update(path.read_bytes())
    return total.hexdigest()


@pytest.mark.parametrize(("contract", "table"), TABLES, ids=TABLE_NAMES)
def test_every_file_keeps_its_contract_but_for_a_few_broken_rows(
    county: Home, contract: FeedContract, table: Table
) -> None:
    rows = broken = 0
    for file in files_of(county, contract, table):
        keys = [tuple(row[column.name] for column in table.key) for row in file.rows]
        assert len(set(keys)) == len(keys), "primary keys are unique within a delivery"
        rows += len(file.rows)
        broken += sum(bool(broken_rules(row, table)) for row in file.rows)
    assert rows > 100 or table.qualified_name in RARE
    assert broken <= max(1, 0.01 * rows)


@pytest.mark.parametrize(("contract", "table"), TABLES, ids=TABLE_NAMES)
def test_the_first_delivery_and_the_first_of_april_are_full(
    county: Home, contract: FeedContract, table: Table
) -> None:
    files = sorted(files_of(county, contract, table), key=lambda file: file.delivery_date)
    full = {file.delivery_date for file in files if file.kind == "full"}
    aprils = [file.delivery_date for file in files if file.delivery_date.month == 4]
    assert files[0].delivery_date in full
    if feed_modules()[contract.feed][1].ALWAYS_FULL:
        assert len(full) == len(files)
    else:
        assert full == {files[0].delivery_date, min(aprils)}


def test_files_are_received_after_their_extract_and_by_the_night(county: Home) -> None:
    night = date(2025, 6, 6)
    for contract, table in TABLES:
        for file in files_of(county, contract, table):
            assert (
                contract.latency_days
                <= (file.received - file.delivery_date).days
                <= contract.latency_days + 8
            )
            assert file.received <= night


def test_changes_since_the_first_full_file_add_up_to_the_full_file_of_april(county: Home) -> None:
    contract = CONTRACTS["council_tax"]
    table = contract.table("accounts")
    files = sorted(files_of(county, contract, table), key=lambda file: file.delivery_date)
    held: dict[tuple[str, str], dict[str, str]] = {}
    for file in files:
        rows = {(row["account_ref"], row["lead_liab_pos"]): row for row in file.rows}
        if file.kind == "full" and held:
            assert all(held[key]["vacation_date"] != "2099-12-31" for key in held.keys() - rows.keys())
            # What differs is the full file's own week.
            this_week = {key for key, row in rows.items() if held.get(key) != row}
            assert len(this_week) < 0.02 * len(rows)
            return
        held |= rows
    pytest.fail("no second full file")


def test_changes_carry_the_closing_of_accounts(county: Home) -> None:
    contract = CONTRACTS["council_tax"]
    open_before: set[tuple[str, str]] = set()
    closed = 0
    for file in sorted(
        files_of(county, contract, contract.table("accounts")), key=lambda file: file.delivery_date
    ):
        for row in file.rows:
            key = (row["account_ref"], row["lead_liab_pos"])
            if row["vacation_date"] == "2099-12-31":
                open_before.add(key)
            elif file.kind == "changes" and key in open_before:
                closed += 1
    assert closed > 20


@pytest.mark.parametrize(
    ("feed", "table", "column", "share", "slack"),
    [
        ("council_tax", "accounts", "date_of_birth", 0.95, 0.03),
        ("council_tax", "accounts", "uprn", 0.03, 0.03),
        ("homelessness_cases", "cases", "nino", 0.25, 0.15),
        ("adult_social_care", "events", "nhs_number", 0.06, 0.12),
    ],
)
def test_values_are_missing_as_often_as_the_contract_says(
    county: Home, feed: str, table: str, column: str, share: float, slack: float
) -> None:
    contract = CONTRACTS[feed]
    last = max(
        files_of(county, contract, contract.table(table)), key=lambda file: (file.kind, file.delivery_date)
    )
    names = {name.lower(): name for name in last.rows[0]}
    missing = sum(row[names[column]] == "" for row in last.rows) / len(last.rows)
    assert abs(missing - share) < slack


def test_every_delivered_record_has_its_person_in_the_truth(county: Home) -> None:
    truth = pq.read_table(county.truth / "records.parquet").to_pylist()
    persons = set(pq.read_table(county.truth / "persons.parquet")["person_id"].to_pylist())
    assert {row["person_id"] for row in truth} <= persons
    for contract, table in TABLES:
        if not table.holds_people:
            continue
        keys = {
            "|".join(row[column.name] for column in table.key)
            for file in files_of(county, contract, table)
            for row in file.rows
        }
        known = {row["key"] for row in truth if (row["feed"], row["table"]) == (contract.feed, table.name)}
        assert known == keys


def test_a_homelessness_duty_in_the_files_is_an_event_in_the_truth(county: Home) -> None:
    contract = CONTRACTS["homelessness_cases"]
    newest = max(files_of(county, contract, contract.table("cases")), key=lambda file: file.delivery_date)
    records = pq.read_table(county.truth / "records.parquet").to_pylist()
    person = {row["key"]: row["person_id"] for row in records if row["feed"] == "homelessness_cases"}
    in_files = {
        (person[row["case_reference"]], row["date_of_assessment"])
        for row in newest.rows
        if row["duty_owed"] != "NONE" and row["date_of_assessment"] >= "2024-10-01"
    }
    events = pq.read_table(county.truth / "events.parquet").to_pylist()
    in_truth = {(row["person_id"], row["duty_date"].isoformat()) for row in events}
    assert in_files
    assert in_files <= in_truth


def test_people_leave_tracks_across_feeds_and_inside_them(county: Home) -> None:
    records = pq.read_table(county.truth / "records.parquet")
    per_person = records.group_by("person_id").aggregate([("key", "count"), ("feed", "count_distinct")])
    assert pc.mean(pc.greater(per_person["key_count"], 1)).as_py() > 0.2
    assert pc.mean(pc.greater(per_person["feed_count_distinct"], 1)).as_py() > 0.15


def test_the_same_county_is_the_same_bytes_and_another_seed_is_not(tmp_path: Path) -> None:
    homes = [Home(tmp_path / name) for name in ("one", "two", "other_seed")]
    for home, seed in zip(homes, (3, 3, 4), strict=True):
        make_county(home, households=250, months=2, seed=seed)
    one, two, other = (digest(home) for home in homes)
    assert one == two
    assert one != other


def test_a_county_that_is_there_is_left_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert make_county(home, households=250, months=2).made
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    again = make_county(home, households=250, months=2)
    assert not again.made
    assert "already" in again.message
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_county_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    home = Home(tmp_path)
    make_county(home, households=250, months=2)
    whole = digest(home)
    (home.truth / "county.json").unlink()
    (home.truth / "records.parquet").unlink()
    next(home.feed_inbox("council_tax").glob("received=*/*")).unlink()
    assert make_county(home, households=250, months=2).made
    assert digest(home) == whole


def test_another_county_in_the_same_home_is_refused_with_a_remedy(tmp_path: Path) -> None:
    home = Home(tmp_path)
    make_county(home, households=250, months=2, seed=1)
    with pytest.raises(CountyError, match=r"seed differ.*choose another home"):
        make_county(home, households=250, months=2, seed=2)


def test_a_later_night_adds_deliveries_and_leaves_the_earlier_ones(tmp_path: Path) -> None:
    home = Home(tmp_path)
    make_county(home, households=250, months=3, night=date(2024, 11, 15))
    early = {path: path.read_bytes() for path in home.inbox.rglob("*") if path.is_file()}
    assert make_county(home, households=250, months=3, night=date(2024, 12, 20)).made
    late = {path: path.read_bytes() for path in home.inbox.rglob("*") if path.is_file()}
    assert len(late) > len(early)
    assert early.items() <= late.items()
    assert {path.parent.name for path in late.keys() - early.keys()} >= {"received=2024-11-21"}


def test_a_county_too_small_to_calibrate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CountyError, match="at least 100 households"):
        make_county(Home(tmp_path), households=50)


def test_the_report_counts_what_was_written(county: Home) -> None:
    content = json.loads((county.truth / "county.json").read_text())
    files = [path for path in county.inbox.rglob("*") if path.is_file()]
    assert content["files"] == len(files)
    assert content["bytes"] == sum(path.stat().st_size for path in files)
    assert content["parameters"]["households"] == 700


def test_the_command_line_makes_a_county_in_another_folder_with_a_shock(tmp_path: Path) -> None:
    options = ["--households", "200", "--months", "3", "--out", str(tmp_path), "--shock", "2024-11", "--json"]
    result = CliRunner().invoke(app, ["make", *options])
    assert result.exit_code == 0
    made = json.loads(result.stdout)
    assert made["parameters"]["shock"] == "2024-11 rent"
    assert made["files"] == sum(path.is_file() for path in Home(tmp_path).inbox.rglob("*"))
    with pytest.raises(CountyError, match="shock differ"):
        make_county(Home(tmp_path), households=200, months=3)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (["--households", "50"], "at least 100 households"),
        (["--months", "0"], "1 month"),
        (["--workers", "0"], "give 1 or more"),
        (["--first-month", "2024-10-02"], "first day of a month"),
        (["--shock", "2030-01"], "choose a month from 2024-10 to 2026-09"),
        (["--shock", "2025-01", "--shock-kind", "flood"], "choose one of rent, benefit"),
    ],
)
def test_parameters_that_will_not_do_are_refused_with_a_remedy(
    tmp_path: Path, options: list[str], remedy: str
) -> None:
    result = CliRunner().invoke(app, ["make", "--out", str(tmp_path), *options])
    assert result.exit_code == 1
    assert remedy in " ".join(result.stderr.split())
    assert not list(tmp_path.iterdir())
