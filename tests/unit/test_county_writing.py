"""Partners' files as they are written: fixed width, JSON lines, XML, tables of one file, rhythms."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import date
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lxml import etree

from governance.contracts import Column, FeedContract, FileFormat, Table, read_contracts
from stores.home import Home
from synthetic.blocks import POINTS_AT, arrange, block_of
from synthetic.county import FIRST_MONTH, make_county
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
from synthetic.world import World, make_world

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


@pytest.fixture(scope="module")
def world() -> World:
    """900 households of the county, 18 months after the burn-in."""
    return make_world(900, 18, 5, FIRST_MONTH)


def test_blocks_hold_every_row_once_and_point_at_their_own(world: World) -> None:
    arranged, blocks = arrange(world, 300)
    assert blocks.count > 2
    course, parts = arranged.course, [block_of(arranged, blocks, number) for number in range(blocks.count)]
    assert sum(len(part.course.people) for part, _, _ in parts) == len(course.people)
    for table in ("memberships", "spells", "cases", "arrears", "benefits", "in_need", "interventions"):
        whole = len(getattr(course, table).household)
        assert sum(len(getattr(part.course, table).household) for part, _, _ in parts) == whole
    for part, _, first_person in parts:
        people, made, stays = part.course.people, part.course.households, part.residences
        assert (people.household[made.lead] < len(made.type)).all()
        assert (stays.household == part.course.spells.household[stays.spell]).all()
        assert (stays.property == part.course.spells.property[stays.spell]).all()
        assert (np.diff(stays.person) >= 0).all()
        rows = first_person + np.arange(len(people))
        assert (people.nino == course.people.nino[rows]).all()


def test_arranging_in_blocks_keeps_who_is_who(world: World) -> None:
    arranged, _ = arrange(world, 300)

    def facts(of: World) -> set[tuple[str, str, int, int, int]]:
        people, stays, course = of.course.people, of.residences, of.course
        lead = course.households.lead[stays.household]
        return set(
            zip(
                people.nino[stays.person].tolist(), people.nino[lead].tolist(), stays.start.tolist(),
                stays.property.tolist(), course.spells.start[stays.spell].tolist(), strict=True,
            )
        )  # fmt: skip

    assert facts(arranged) == facts(world)
    cases, before = arranged.course.cases, world.course.cases
    nino = arranged.course.people.nino[cases.person]
    assert sorted(nino.tolist()) == sorted(world.course.people.nino[before.person].tolist())
    oracle, oracle_before = arranged.course.oracle, world.course.oracle
    frailty = arranged.course.households.frailty[oracle.household]
    assert (frailty == world.course.households.frailty[oracle_before.household]).all()


def test_every_whole_number_in_the_world_is_known_to_be_a_position_or_not(world: World) -> None:
    """A new field that points at people, households or spells must be named in `POINTS_AT`."""
    numbers = {
        "tenure", "type", "role", "origin", "ethnicity", "property", "reason", "month", "duty", "route", "kind",
        "need", "outcome", "religion", "marital_status",
    }  # fmt: skip
    days = {
        "date_of_birth", "surname_changed_on", "died_on", "join", "leave", "start", "end", "applied", "decided",
        "offered", "set_off", "claimed", "repossessed", "ended", "day",
    }  # fmt: skip
    tables = [getattr(world.course, item.name) for item in fields(world.course)] + [world.residences]
    unknown = {
        item.name
        for table in tables
        if is_dataclass(table)
        for item in fields(table)
        if getattr(table, item.name).dtype.kind in "iu"
    } - (numbers | days | POINTS_AT.keys())
    assert unknown == set()


def digests(home: Home) -> dict[str, str]:
    return {
        str(path.relative_to(home.root)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.root.rglob("*"))
        if path.is_file()
    }


def test_the_county_is_the_same_bytes_with_one_worker_and_with_two(tmp_path: Path) -> None:
    homes = [Home(tmp_path / name) for name in ("one", "two")]
    for home, workers in zip(homes, (1, 2), strict=True):
        make_county(home, households=400, months=3, workers=workers, block_households=250)
    one, two = (digests(home) for home in homes)
    assert len(one) > 30
    assert one == two


def test_a_county_of_many_blocks_has_no_reference_twice(tmp_path: Path) -> None:
    home = Home(tmp_path)
    make_county(home, households=500, months=2, block_households=200)
    records = pq.read_table(home.truth / "records.parquet")
    distinct = records.group_by(["feed", "table", "key"]).aggregate([])
    assert records.num_rows == distinct.num_rows
    assert not (home.truth / "writing").exists()
