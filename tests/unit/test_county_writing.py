"""Partners' files as they are written: fixed width, JSON lines, XML, tables of one file, rhythms."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from lxml import etree

from governance.contracts import Column, FeedContract, FileFormat, Table, read_contracts
from stores.home import Home
from synthetic.dates import OPEN, day_number, day_of
from synthetic.feeds.deliveries import (
    FULL,
    TERMLY,
    YEARLY,
    Delivery,
    TableRecords,
    schedule,
    write_feed,
)
from synthetic.feeds.rendering import lines_of

FIRST = day_number(date(2024, 10, 1))
LATEST = [Delivery(FIRST, FIRST + 1, FULL)]


def column(path: str, kind: str = "string", start: int | None = None, width: int | None = None) -> Column:
    known = read_contracts()["address_gazetteer"].tables[0].columns[0]
    return replace(
        known, name=path.split("/")[-1], physical_name=path, type=kind, start=start, width=width,
        optional_column=False, identifier=None, leaves=None,
    )  # fmt: skip


def table_of(kind: str, *columns: Column, encoding: str = "utf-8", name: str = "things") -> Table:
    known = read_contracts()["address_gazetteer"].tables[0]
    return replace(
        known, name=name, columns=columns, row_element="Thing",
        format=FileFormat(kind, encoding, ",", ("%Y-%m-%d",), None),
        file_pattern=re.compile(r"things_(?P<delivery_date>\d{8})_(?P<kind>full|changes)\.txt"),
    )  # fmt: skip


def rendered(table: Table, columns: Mapping[str, list[str]]) -> list[str]:
    return lines_of(table, {name: np.array(values) for name, values in columns.items()}).to_pylist()


def records_of(columns: Mapping[str, list[str]]) -> TableRecords:
    count = len(next(iter(columns.values())))
    return TableRecords(
        {name: np.array(values) for name, values in columns.items()}, np.arange(count),
        np.full(count, FIRST - 1, dtype=np.int32), np.full(count, OPEN, dtype=np.int32),
        np.array([str(number) for number in range(count)]),
    )  # fmt: skip


def contract_of(*tables: Table) -> FeedContract:
    return replace(read_contracts()["address_gazetteer"], tables=tables)


def test_a_fixed_width_line_pads_what_is_short_and_cuts_what_is_long() -> None:
    table = table_of("fixed_width", column("name", start=5, width=6), column("code", start=1, width=3))
    lines = rendered(table, {"name": ["Zoë", "Featherstone", ""], "code": ["1", "12", "1234"]})
    assert lines == ["1   Zoë   \n", "12  Feathe\n", "123       \n"]


def test_fields_of_a_fixed_width_line_that_overlap_are_refused() -> None:
    table = table_of("fixed_width", column("name", start=1, width=6), column("code", start=6, width=3))
    with pytest.raises(ValueError, match=r"code: field begins inside"):
        rendered(table, {"name": ["Ann"], "code": ["1"]})


def test_json_lines_nest_by_path_and_leave_out_what_is_empty() -> None:
    table = table_of(
        "jsonl", column("id", "integer"), column("person/family_name"), column("person/name/first"),
        column("accepted", "boolean"), column("amount", "number"),
    )  # fmt: skip
    lines = rendered(
        table,
        {
            "id": ["1", "2", "x3"],
            "person/family_name": ['O"Dell \\ Sons\nand co', "", "Łoś"],
            "person/name/first": ["Ann", "", ""],
            "accepted": ["true", "false", "perhaps"],
            "amount": ["12.50", "", "007"],
        },
    )
    assert [json.loads(line) for line in lines] == [
        {
            "id": 1,
            "person": {"family_name": 'O"Dell \\ Sons\nand co', "name": {"first": "Ann"}},
            "accepted": True,
            "amount": 12.5,
        },
        {"id": 2, "accepted": False},
        {"id": "x3", "person": {"family_name": "Łoś"}, "accepted": "perhaps", "amount": "007"},
    ]
    assert all(line.count("\n") == 1 for line in lines)


def test_xml_elements_nest_by_path_and_their_text_is_escaped() -> None:
    table = table_of("xml", column("Id"), column("Child/Name"), column("Child/Home/Street"))
    [line] = rendered(table, {"Id": ["1"], "Child/Name": ["A & <B>"], "Child/Home/Street": [""]})
    thing = etree.fromstring(line.strip())
    assert thing.tag == "Thing"
    assert thing.findtext("Child/Name") == "A & <B>"
    assert thing.find("Child/Home") is not None
    assert thing.find("Child/Home/Street") is None


def test_a_csv_text_with_the_delimiter_a_quote_or_a_line_end_stands_in_quotes() -> None:
    table = table_of("csv", column("name"), column("code"))
    lines = rendered(table, {"name": ["a,b", 'say "hi"', "two\nlines", "plain"], "code": ["1"] * 4})
    assert lines == ['"a,b",1\n', '"say ""hi""",1\n', '"two\nlines",1\n', "plain,1\n"]


def test_columns_may_be_dictionaries_numbers_and_nulls() -> None:
    table = table_of("csv", column("name"), column("count"), column("code"))
    lines = lines_of(
        table,
        {
            "name": pa.array(["a", "b"]).dictionary_encode(),
            "count": np.array([3, 4]),
            "code": pa.array(["x", None]),
        },
    )
    assert lines.to_pylist() == ["a,3,x\n", "b,4,\n"]


def test_tables_of_one_file_are_written_once_by_the_feeds_document(tmp_path: Path) -> None:
    one = table_of("xml", column("Id"), name="children")
    other = table_of("xml", column("Id"), name="plans")
    contract = contract_of(one, other)
    tables = {"children": records_of({"Id": ["1", "2"]}), "plans": records_of({"Id": ["1"]})}

    def document(
        contract: FeedContract,
        tables: Mapping[str, TableRecords],
        selected: Mapping[str, np.ndarray],
        delivery: Delivery,
    ) -> bytes:
        return (
            f"{contract.feed} {sorted(tables)} {len(selected['children'])} {len(selected['plans'])}".encode()
        )

    written = write_feed(Home(tmp_path), contract, tables, LATEST, document)
    [path] = [path for path in Home(tmp_path).inbox.rglob("*") if path.is_file()]
    assert path.read_bytes() == b"address_gazetteer ['children', 'plans'] 2 1"
    assert (written.files, written.rows) == (1, 3)
    with pytest.raises(ValueError, match="children, plans share a file"):
        write_feed(Home(tmp_path), contract, tables, LATEST)


def test_a_census_comes_each_term_on_its_thursday() -> None:
    contract = read_contracts()["address_gazetteer"]
    made = schedule(contract, TERMLY, date(2024, 10, 1), 12, date(2026, 1, 1), 1, always_full=True)
    days = [day_of(delivery.extracted) for delivery in made]
    assert days == [date(2024, 10, 3), date(2025, 1, 16), date(2025, 5, 15)]


def test_a_yearly_feed_comes_when_the_sharing_begins_and_each_april() -> None:
    contract = read_contracts()["address_gazetteer"]
    made = schedule(contract, YEARLY, date(2024, 10, 1), 24, date(2027, 1, 1), 1, always_full=True)
    days = [day_of(delivery.extracted) for delivery in made]
    assert days == [date(2024, 10, 1), date(2025, 4, 1), date(2026, 4, 1)]


def test_an_unknown_rhythm_is_refused() -> None:
    contract = read_contracts()["address_gazetteer"]
    with pytest.raises(ValueError, match="fortnightly"):
        schedule(contract, "fortnightly", date(2024, 10, 1), 2, date(2027, 1, 1), 1, always_full=True)
