"""Children in need, early help and the school census: what the three partners' files say of the county's children."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import etree

from bridge.files.parsing import parse_tables
from governance.contracts import read_contracts
from stores.home import Home
from synthetic.county import FIRST_MONTH
from synthetic.dates import add_months
from synthetic.feeds import children_in_need, early_help, school_census
from synthetic.feeds.deliveries import TableRecords, schedule, write_feed
from synthetic.feeds.rendering import text_of
from synthetic.world import World, make_world

CONTRACTS = read_contracts()
HOUSEHOLDS, MONTHS = 3000, 12
END = add_months(FIRST_MONTH, MONTHS + 1)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(HOUSEHOLDS, MONTHS, 1, FIRST_MONTH)


@pytest.fixture(scope="module")
def helped(world: World) -> dict[str, TableRecords]:
    return early_help.make_records(world)


@pytest.fixture(scope="module")
def in_need(world: World) -> dict[str, TableRecords]:
    return children_in_need.make_records(world)


@pytest.fixture(scope="module")
def census(tmp_path_factory: pytest.TempPathFactory, in_need: dict[str, TableRecords]) -> list[Path]:
    """The children in need files of a year, oldest first."""
    home, contract = Home(tmp_path_factory.mktemp("in_need")), CONTRACTS["children_in_need"]
    deliveries = schedule(contract, children_in_need.RHYTHM, FIRST_MONTH, MONTHS, END, 1, always_full=True)
    write_feed(home, contract, in_need, deliveries, children_in_need.document)
    return sorted(home.feed_inbox("children_in_need").glob("received=*/*"), key=lambda path: path.name)


@pytest.fixture(scope="module")
def pupils(world: World) -> dict[str, TableRecords]:
    return school_census.make_records(world)


def days(texts: np.ndarray) -> np.ndarray:
    """Days since 1970 of dates written either way; the smallest number where there is none."""
    slashed = np.strings.find(texts, "/") > 0
    parts = np.array([text.split("/")[::-1] if "/" in text else ["", "", ""] for text in texts.tolist()])
    iso = np.where(slashed, ["-".join(part) for part in parts.tolist()], texts)
    return (
        np.where(iso == "", np.datetime64("NaT"), iso.astype("datetime64[D]"))
        .astype("datetime64[D]")
        .astype(np.int64)
    )


def people_of(records: TableRecords) -> np.ndarray:
    assert records.person is not None
    return records.person[records.record]


def last_versions(records: TableRecords) -> np.ndarray:
    """The positions of each record's last version."""
    return np.flatnonzero(np.append(records.record[1:] != records.record[:-1], True))


def shown_on(records: TableRecords, day: int) -> np.ndarray:
    """The positions of the versions that a full file of `day` holds."""
    known = records.known_on <= day
    last = known & np.append((records.record[1:] != records.record[:-1]) | ~known[1:], True)
    return np.flatnonzero(last & (records.dropped_on > day))


def test_contacts_for_domestic_abuse_are_about_homes_where_it_happens(
    world: World, helped: dict[str, TableRecords]
) -> None:
    contacts = helped["contacts"]
    assert contacts.household is not None
    rows = last_versions(contacts)
    abuse = contacts.columns["ContactReason"][rows] == "DOMESTIC_ABUSE"
    told = contacts.household[contacts.record[rows]][abuse]
    assert len(told) > 30
    assert np.isin(told, world.course.abuse.household).mean() > 0.6
    assert (
        np.isin(contacts.household[contacts.record[rows]][~abuse], world.course.abuse.household).mean() < 0.3
    )


def test_most_children_in_need_came_through_a_contact_of_the_days_before(
    world: World, helped: dict[str, TableRecords]
) -> None:
    contacts, needs = helped["contacts"], world.course.in_need
    rows = last_versions(contacts)
    seen = {
        (person, day)
        for person, day in zip(
            people_of(contacts)[rows].tolist(),
            days(contacts.columns["ContactDate"][rows]).tolist(),
            strict=True,
        )
    }
    recent = np.flatnonzero((needs.start > world.first_day - 600) & (needs.start < world.last_day))
    through = [
        any((person, start - lag) in seen for lag in range(6))
        for person, start in zip(needs.person[recent].tolist(), needs.start[recent].tolist(), strict=True)
    ]
    assert len(through) > 20
    assert 0.65 < np.mean(through) < 0.95


def test_parents_stand_beside_their_children(world: World, helped: dict[str, TableRecords]) -> None:
    born = world.course.people.date_of_birth
    for table, column in (("contacts", "ContactDate"), ("episodes", "StartDate")):
        records = helped[table]
        rows = last_versions(records)
        parent = records.columns["PersonRole"][rows] == "PARENT_CARER"
        age = (days(records.columns[column][rows]) - born[people_of(records)[rows]]) / 365.25
        assert 0.1 < parent.mean() < 0.6
        assert (age[parent] >= 17.9).all()
        assert (age[~parent] < 18.2).all()


def test_young_people_are_in_youth_justice_for_offending_only(helped: dict[str, TableRecords]) -> None:
    episodes = helped["episodes"]
    justice = episodes.columns["Service"] == "YOUTH_JUSTICE"
    assert 0 < justice.mean() < 0.3
    assert (episodes.columns["PrimaryReason"][justice] == "OFFENDING").all()
    assert (episodes.columns["PrimaryReason"][~justice] != "OFFENDING").all()
    assert (episodes.columns["PersonRole"][justice] == "CHILD").all()


def test_no_early_help_record_is_known_before_it_happened(helped: dict[str, TableRecords]) -> None:
    for table, column in (("contacts", "ContactDate"), ("episodes", "StartDate")):
        records = helped[table]
        lag = records.known_on - days(records.columns[column])
        assert (lag >= 0).all()
        first = np.append(True, records.record[1:] != records.record[:-1])
        assert lag[first].max() <= 14


def test_early_help_lacks_birth_dates_and_addresses_as_often_as_written(
    helped: dict[str, TableRecords],
) -> None:
    columns = {
        name: np.concatenate([helped[table].columns[name][last_versions(helped[table])] for table in helped])
        for name in ("DateOfBirth", "Postcode")
    }
    assert (columns["DateOfBirth"] == "").mean() == pytest.approx(0.03, abs=0.02)
    assert (columns["Postcode"] == "").mean() == pytest.approx(0.03, abs=0.02)


def test_early_help_holds_some_people_twice(helped: dict[str, TableRecords]) -> None:
    person = np.concatenate([people_of(records) for records in helped.values()])
    held_as = np.concatenate([records.columns["PersonID"] for records in helped.values()])
    pairs = np.unique(np.stack([person.astype("U9"), held_as]), axis=1)
    people, ids = np.unique(pairs[0], return_counts=True)
    assert 0.02 <= (ids > 1).mean() <= 0.06
    assert len(np.unique(held_as)) == ids.sum()
    assert len(people) > 100


def test_early_help_files_are_separated_by_semicolons_behind_a_byte_order_mark(
    tmp_path: Path, helped: dict[str, TableRecords]
) -> None:
    contract = CONTRACTS["early_help"]
    deliveries = schedule(contract, early_help.RHYTHM, FIRST_MONTH, MONTHS, END, 1, always_full=True)
    written = write_feed(Home(tmp_path), contract, helped, deliveries)
    assert written.files == 2 * len(deliveries)
    for path in Home(tmp_path).feed_inbox("early_help").glob("received=*/*"):
        body = path.read_bytes()
        assert body.startswith(b"\xef\xbb\xbf")
        lines = body.decode("utf-8-sig").splitlines()
        assert {line.count(";") for line in lines} == {lines[0].count(";")}
        assert path.name.endswith("_full.csv")


def test_every_census_file_is_valid_by_the_schema_of_the_department_for_education(census: list[Path]) -> None:
    folder = os.environ.get("DOORSTEP_BENCHMARK_DATA")
    if not folder:
        pytest.skip(
            "set DOORSTEP_BENCHMARK_DATA to the folder that holds childrens_services/CIN_schema_2024.xsd"
        )
    schema = etree.XMLSchema(etree.parse(Path(folder) / "childrens_services" / "CIN_schema_2024.xsd"))
    files = [path for path in census if path.suffix == ".xml"]
    assert len(files) == MONTHS
    for path in files:
        message = etree.parse(path)
        # The schema's own log would repeat values.
        assert schema.validate(message), f"{path.name}: {len(schema.error_log)} errors"
        assert len(message.findall(".//Child")) > 50
    broken = etree.parse(files[-1])
    broken.find(".//GenderCurrent").text = "M"
    assert not schema.validate(broken)


def test_every_value_of_the_census_is_read_back_as_the_case_system_holds_it(
    world: World, census: list[Path], in_need: dict[str, TableRecords]
) -> None:
    contract = CONTRACTS["children_in_need"]
    tables = [table for table in contract.tables if table.format.format == "xml"]
    newest = [path for path in census if path.suffix == ".xml"][-1]
    read = parse_tables(newest, contract, tables)
    for table in tables:
        assert not read[table.name].unreadable
        assert not read[table.name].remarks, "the contract names every element"
        key = [column.name for column in table.key]
        found = {tuple(row[name] for name in key): row for row in read[table.name].rows.to_pylist()}
        held = in_need[table.name]
        last = shown_on(held, world.last_day - 1)
        columns = {column.name: held.columns[column.physical_name][last].tolist() for column in table.columns}
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        assert len(rows) == len(found) > 3
        for row in rows:
            there = found[tuple(row[name] for name in key)]
            # A failure names the columns, not their values.
            assert [name for name, value in row.items() if (there[name] or "") != value] == []


def test_the_census_and_the_side_file_hold_the_same_children(census: list[Path]) -> None:
    for xml, names in zip(
        [path for path in census if path.suffix == ".xml"],
        [path for path in census if path.suffix == ".csv"],
        strict=True,
    ):
        children = [element.text for element in etree.parse(xml).iter("LAchildID")]
        listed = [line.split(",")[0] for line in names.read_text(encoding="utf-8").splitlines()[1:]]
        assert sorted(listed) == sorted(children)
        assert len(set(children)) == len(children)


def test_episodes_and_plans_in_the_census_are_those_that_really_were(
    world: World, in_need: dict[str, TableRecords]
) -> None:
    needs, details, plans = world.course.in_need, in_need["cin_details"], in_need["child_protection_plans"]
    identities = in_need["identities"]
    assert identities.person is not None
    person = dict(zip(identities.key.tolist(), identities.person.tolist(), strict=True))
    truth = set(zip(needs.person.tolist(), needs.start.tolist(), strict=True))
    rows = last_versions(details)
    real = details.columns["ReferralNFA"][rows] == "false"
    child = [person[key] for key in details.columns["../ChildIdentifiers/LAchildID"][rows].tolist()]
    referred = days(details.columns["CINreferralDate"][rows]).tolist()
    told = np.array([pair in truth for pair in zip(child, referred, strict=True)])
    assert told[~real].sum() == 0
    assert told[real].mean() > 0.9, "all but the second entries of the same child"
    with_plan = set(needs.person[needs.plan.astype(bool)].tolist())
    assert len(plans.key) > 5
    assert {person[key] for key in plans.columns["../../ChildIdentifiers/LAchildID"].tolist()} <= with_plan


def test_open_cases_are_as_many_as_children_really_in_need(
    world: World, in_need: dict[str, TableRecords]
) -> None:
    needs, details, identities = world.course.in_need, in_need["cin_details"], in_need["identities"]
    assert identities.person is not None
    person = dict(zip(identities.key.tolist(), identities.person.tolist(), strict=True))
    day = world.last_day - 30
    truth = set(needs.person[(needs.start <= day) & (needs.end >= day)].tolist())
    rows = shown_on(details, day)
    is_open = (details.columns["CINclosureDate"][rows] == "") & (
        details.columns["ReferralNFA"][rows] == "false"
    )
    told = {person[key] for key in details.columns["../ChildIdentifiers/LAchildID"][rows][is_open].tolist()}
    assert len(truth) > 10
    assert len(told) == pytest.approx(len(truth), rel=0.3)
    assert len(told & truth) > 0.8 * len(truth)


def test_one_child_of_school_age_in_ten_has_no_pupil_number(
    world: World, in_need: dict[str, TableRecords]
) -> None:
    children, identities = in_need["children"], in_need["identities"]
    assert identities.person is not None
    rows = last_versions(children)
    age = (world.last_day - world.course.people.date_of_birth[identities.person]) / 365.25
    upn = children.columns["ChildIdentifiers/UPN"][rows]
    assert (upn[(age > 6) & (age < 16)] == "").mean() == pytest.approx(0.10, abs=0.06)
    assert (upn[age < 3] == "").all()
    reason = children.columns["ChildIdentifiers/UPNunknown"][rows]
    assert ((upn == "") == (reason != "")).all()


def test_the_case_system_holds_some_children_twice(in_need: dict[str, TableRecords]) -> None:
    identities = in_need["identities"]
    assert identities.person is not None
    _, entries = np.unique(identities.person, return_counts=True)
    assert 0.005 < (entries > 1).mean() < 0.06


def test_children_in_need_are_known_after_the_referral_and_closed_after_the_end(
    in_need: dict[str, TableRecords],
) -> None:
    details = in_need["cin_details"]
    assert (details.known_on >= days(details.columns["CINreferralDate"])).all()
    closed = np.flatnonzero(details.columns["CINclosureDate"] != "")
    assert (details.known_on[closed] >= days(details.columns["CINclosureDate"][closed])).all()
    for column in ("Assessments/AssessmentAuthorisationDate", "DateOfInitialCPC"):
        shown = np.flatnonzero(details.columns[column] != "")
        assert (details.known_on[shown] >= days(details.columns[column][shown])).all()


def texts(column: Any) -> np.ndarray:
    """A column as text, whether NumPy or Arrow."""
    return np.array(text_of(column).to_pylist())


def test_a_census_is_held_on_the_day_of_its_extract_and_holds_no_other_census(
    tmp_path: Path, pupils: dict[str, TableRecords]
) -> None:
    contract = CONTRACTS["school_census"]
    deliveries = schedule(contract, school_census.RHYTHM, FIRST_MONTH, MONTHS, END, 1, always_full=True)
    write_feed(Home(tmp_path), contract, pupils, deliveries)
    files = sorted(Home(tmp_path).feed_inbox("school_census").glob("received=*/*pupilonroll*"))
    assert [path.name.split("_")[3] for path in files] == ["20241003", "20250116", "20250515"]
    for path in files:
        with path.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) > 500
        assert {row["referencedate"].replace("-", "") for row in rows} == {path.name.split("_")[3]}
        assert len({row["pupilonrolltableid"] for row in rows}) == len(rows)


def test_state_schools_hold_ninety_three_of_a_hundred_children(
    world: World, pupils: dict[str, TableRecords]
) -> None:
    roll, stays = pupils["pupilonroll"], world.residences
    day = days(np.array(["2025-01-16"]))[0]
    born = world.course.people.date_of_birth[stays.person]
    settled = (stays.start <= day - 200) & (stays.end >= day)
    school_age = (born <= days(np.array(["2020-08-31"]))[0]) & (born >= days(np.array(["2008-09-01"]))[0])
    children = np.unique(stays.person[settled & school_age])
    on_roll = np.unique(people_of(roll)[texts(roll.columns["referencedate"]) == "2025-01-16"])
    assert len(children) > 500
    assert np.isin(children, on_roll).mean() == pytest.approx(0.93, abs=0.03)
    assert np.isin(on_roll, stays.person[(stays.start <= day) & (stays.end >= day)]).all()


def test_pupils_are_in_the_year_group_of_their_age(world: World, pupils: dict[str, TableRecords]) -> None:
    roll = pupils["pupilonroll"]
    autumn = texts(roll.columns["term"]) == "AUT"
    group = texts(roll.columns["ncyearactual"])
    age = (
        days(texts(roll.columns["referencedate"])) - world.course.people.date_of_birth[people_of(roll)]
    ) / 365.25
    for name, years in (("R", 4), ("1", 5), ("6", 10), ("11", 15)):
        ages = age[autumn & (group == name)]
        assert len(ages) > 10
        assert ages.min() > years
        assert ages.max() < years + 1.2


def test_the_pupils_who_miss_a_tenth_of_the_sessions_are_those_in_a_spell_of_absence(
    world: World, pupils: dict[str, TableRecords]
) -> None:
    roll, details = pupils["pupilonroll"], pupils["termlysessiondetails"]
    spring = texts(roll.columns["term"]) == "SPR"
    pupil, first = np.unique(texts(roll.columns["pupilonrolltableid"])[spring], return_index=True)
    possible = roll.columns["termlysessionspossible"][spring][first]
    term = texts(details.columns["termend"]) == "2024-12-19"
    of = np.searchsorted(pupil, texts(details.columns["pupilonrolltableid"])[term])
    missed = np.bincount(of, weights=details.columns["sessions"][term], minlength=len(pupil))
    assert (missed <= possible).all()
    persistent = (possible > 0) & (missed >= 0.1 * possible)
    spells = world.course.absence
    start, end = days(np.array(["2024-09-03", "2024-12-19"]))
    covered = np.minimum(spells.end, end).astype(np.int64) - np.maximum(spells.start, start)
    away = spells.person[covered >= school_census.SPELL_SHARE * (end - start)]
    truly = np.isin(people_of(roll)[spring][first], away) & (possible > 0)
    assert truly.sum() > 30
    assert (persistent == truly).mean() > 0.99


def test_pupils_are_entitled_to_free_meals_where_their_household_is(
    world: World, pupils: dict[str, TableRecords]
) -> None:
    roll = pupils["pupilonroll"]
    assert roll.household is not None
    entitled = world.course.households.free_school_meals[roll.household[roll.record]]
    shown = texts(roll.columns["fsmeligible"]) == "true"
    assert 0.1 < shown.mean() < 0.4
    assert (shown == entitled).mean() > 0.97


def test_exclusions_are_rare_and_fall_into_the_term_before_the_census(
    pupils: dict[str, TableRecords],
) -> None:
    roll, excluded = pupils["pupilonroll"], pupils["exclusions"]
    day = days(excluded.columns["exclusionstartdate"])
    assert 0 < len(excluded.key) < 0.03 * len(roll.record)
    assert (excluded.known_on > day).all()
    assert (excluded.known_on - day < 200).all()
    permanent = excluded.columns["exclusioncategory"] == "PERM"
    assert ((excluded.columns["sessions"] == "") == permanent).all()


def test_some_pupils_are_on_two_rolls_and_few_lack_a_pupil_number(pupils: dict[str, TableRecords]) -> None:
    roll = pupils["pupilonroll"]
    assert roll.person is not None
    _, places = np.unique(people_of(roll), return_counts=True)
    on = np.unique(roll.record)
    _, entries = np.unique(roll.person[on], return_counts=True)
    assert 0.005 < (entries > 1).mean() < 0.05
    assert (texts(roll.columns["upn"]) == "").mean() < 0.02
    assert places.max() <= 2 * 3


def test_siblings_have_the_address_of_their_home_in_most_cases(
    world: World, pupils: dict[str, TableRecords]
) -> None:
    addresses, roll, stays = pupils["addresses"], pupils["pupilonroll"], world.residences
    person = people_of(roll)
    day = days(texts(roll.columns["referencedate"])).astype(np.int32)
    home = world.properties.postcode[stays.property[stays.at(person, day)]]
    shown = np.strings.replace(texts(addresses.columns["postcode"]), " ", "")
    same = shown == np.strings.replace(home, " ", "")
    assert 0.9 < same.mean() < 0.995
