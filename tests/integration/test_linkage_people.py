"""Link keys in a real encrypted linkage store → people, on real Splink."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from bridge.link_keys.encoding import encode_link_keys
from evaluation.passing_keys import PassingKeys
from exchange.link_key_schema import FIRST_EPOCH
from linkage.people import PeopleReport, resolve_people
from linkage.people_store import publish_people
from stores.analytics import AnalyticsZone
from stores.home import Home

# record, feed, forename, surname, birth date, NINO, UPRN, postcode, forwarding UPRN, partner's person
# reference
RECORDS = """
r01 housing      Frederick  Hartnoll    1961-03-04  AB123456C  1001  AB12CD  -     H1
r02 council_tax  F          Hartnoll    -           -          1001  AB12CD  -     C1
r03 homelessness Frederik   Hartnoll    1961-03-04  AB123456C  -     -       -     -
r04 care         Frederick  Hartnoll    1961-04-03  -          -     AB12CD  -     S1
r11 housing      Frederick  Hartnoll    1988-11-23  AC234567D  1001  AB12CD  -     H2
r12 homelessness Frederick  Hartnoll    1988-11-23  AC234567D  -     -       -     -
r21 housing      Margaret   Hartnoll    1963-07-19  AE345678A  1001  AB12CD  -     H3
r31 housing      Poppy      Ravenscroft 2001-05-06  AG456789B  2002  AB34EF  -     H4
r32 housing      Polly      Ravenscroft 2001-05-06  AH567891C  2002  AB34EF  -     H5
r41 council_tax  Ottoline   Quickfall   -           -          3003  AB56GH  4004  C2
r42 council_tax  Ottoline   Quickfall   -           -          4004  AB78JK  -     C3
r51 housing      Thaddeus   Uglow       1975-09-30  AJ678912A  5005  AB91LM  -     H6
r52 housing      Thaddeus   Uglow       1975-09-30  AJ678912A  5005  AB91LM  -     H6
"""
COLUMNS = (
    "record_ref",
    "feed",
    "forename",
    "surname",
    "date_of_birth",
    "nino",
    "uprn",
    "postcode",
    "forwarding_uprn",
    "partner_person_reference",
)


def link_keys_of(text: str) -> pa.Table:
    rows = [dict(zip(COLUMNS, line.split(), strict=True)) for line in text.strip().splitlines()]
    tables = []
    for feed in sorted({row["feed"] for row in rows}):
        own = [
            {name: None if value == "-" else value for name, value in row.items()}
            for row in rows
            if row["feed"] == feed
        ]
        for row in own:
            row["date_of_birth"] = date.fromisoformat(row["date_of_birth"]) if row["date_of_birth"] else None
        keys = encode_link_keys(pa.Table.from_pylist(own), PassingKeys(), FIRST_EPOCH, feed=feed)
        tables.append(keys.append_column("feed", pa.array([feed] * len(own))))
    return pa.concat_tables(tables)


def zone_with(home: Path, records: str, *, backwards: bool = False) -> AnalyticsZone:
    link_keys = link_keys_of(records + STRANGERS)
    if backwards:
        link_keys = link_keys.take(list(range(link_keys.num_rows))[::-1])
    zone = AnalyticsZone(Home(home), PassingKeys())
    with zone.linkage() as connection:
        connection.register("arrived", link_keys)
        connection.execute("create or replace table link_keys as from arrived")
    return zone


def people_of(zone: AnalyticsZone) -> dict[str, str]:
    with zone.linkage(read_only=True) as connection:
        return dict(connection.execute("select record_ref, person_id from people").fetchall())


def strangers(count: int) -> str:
    """Lines of people who share nothing: without them every name in a store of 13 records would count as
    common.
    """
    letters = "abcdefghij"
    names = [
        "".join(letters[int(digit)] for digit in f"{number * 7919 % 100_000:05d}") for number in range(count)
    ]
    return "".join(
        f"s{number:04d} council_tax {name} {name[::-1]}{name} "
        f"- - {90_000 + number} ZZ{number % 100}9ZZ - X{number}"
        "\n"
        for number, name in enumerate(names)
    )


STRANGERS = strangers(2_000)


@pytest.fixture
def zone(tmp_path: Path) -> AnalyticsZone:
    return zone_with(tmp_path, RECORDS)


def test_records_of_one_person_meet_and_relatives_stay_apart(zone: AnalyticsZone) -> None:
    report = resolve_people(zone)

    people = people_of(zone)
    assert people["r01"] == people["r03"] == people["r04"]
    assert people["r11"] == people["r12"] != people["r01"]
    assert people["r21"] not in {people["r01"], people["r11"]}
    assert report.records == 2_013
    assert sum(size * count for size, count in report.cluster_sizes.items()) == 2_013


def test_twins_with_similar_forenames_are_two_people(zone: AnalyticsZone) -> None:
    resolve_people(zone)

    people = people_of(zone)
    assert people["r31"] != people["r32"]


def test_a_closed_account_meets_the_account_at_its_forwarding_address(zone: AnalyticsZone) -> None:
    resolve_people(zone)

    people = people_of(zone)
    assert people["r41"] == people["r42"]


def test_records_with_identical_keys_are_one_person(zone: AnalyticsZone) -> None:
    resolve_people(zone)

    people = people_of(zone)
    assert people["r51"] == people["r52"]


def test_a_second_run_does_nothing_and_keeps_every_id(zone: AnalyticsZone) -> None:
    first = resolve_people(zone)
    before = people_of(zone)

    second = resolve_people(zone)

    assert (first.skipped, second.skipped) == (False, True)
    assert people_of(zone) == before
    assert second.people == first.people


def test_a_person_keeps_their_id_when_a_record_is_added(zone: AnalyticsZone) -> None:
    resolve_people(zone)
    before = people_of(zone)
    grown = RECORDS + "a00 homelessness Margaret Hartnoll 1963-07-19 AE345678A - - - -\n"

    report = resolve_people(zone_with(zone.home.root, grown))

    after = people_of(zone)
    assert after["a00"] == before["r21"]
    assert {record: after[record] for record in before} == before
    assert report.skipped is False


def test_a_merge_is_written_in_the_history(tmp_path: Path) -> None:
    apart = (
        "r41 council_tax Ottoline Quickfall - - 3003 AB56GH - C2\n"
        "r42 council_tax Ottoline Quickfall - - 4004 AB78JK - C3\n"
    )
    zone = zone_with(tmp_path, apart)
    resolve_people(zone)
    before = people_of(zone)

    report = resolve_people(zone_with(tmp_path, apart.replace("AB56GH - ", "AB56GH 4004 ")))

    after = people_of(zone)
    assert before["r41"] != before["r42"]
    assert after["r41"] == after["r42"] in {before["r41"], before["r42"]}
    assert (report.merged, report.split) == (1, 0)
    with zone.linkage(read_only=True) as connection:
        history = connection.execute("select change, record_count from person_history").fetchall()
    assert history == [("merged", 1)]


def test_the_warehouse_gets_the_same_people_even_after_a_stop_between_the_stores(zone: AnalyticsZone) -> None:
    resolve_people(zone)
    with zone.warehouse() as connection:
        connection.execute("delete from records.people")

    assert resolve_people(zone).skipped is True

    with zone.warehouse(read_only=True) as connection:
        published = dict(connection.execute("select record_ref, person_id from records.people").fetchall())
    assert published == people_of(zone)


def test_the_order_of_link_keys_does_not_change_the_people(zone: AnalyticsZone, tmp_path: Path) -> None:
    resolve_people(zone)

    other = zone_with(tmp_path / "other", RECORDS, backwards=True)
    resolve_people(other)

    assert people_of(other) == people_of(zone)


def test_edges_hold_references_and_weights_only(zone: AnalyticsZone) -> None:
    report: PeopleReport = resolve_people(zone)

    with zone.linkage(read_only=True) as connection:
        edges = connection.execute("from edges").fetch_arrow_table()
    assert edges.column_names == ["record_ref_l", "record_ref_r", "match_weight", "match_key", "reason"]
    assert edges.num_rows == report.edges > 0


def test_a_wrong_key_opens_no_link_key(zone: AnalyticsZone) -> None:
    resolve_people(zone)

    connection = duckdb.connect(":memory:")
    with pytest.raises(duckdb.Error):
        connection.execute(f"attach '{zone.home.linkage_db}' as store (read_only)")


def test_people_who_change_places_do_so_in_the_warehouse_too(zone: AnalyticsZone) -> None:
    """The same records and the same ids as before, in other pairs: each column by itself says the same."""
    resolve_people(zone)
    with zone.linkage() as connection:
        connection.execute(
            """
            update people set person_id = other.person_id
            from (values ('r01', 'r21'), ('r21', 'r01')) as swapped (record_ref, taken_from)
            inner join people as other on other.record_ref = taken_from
            where people.record_ref = swapped.record_ref
            """
        )
    publish_people(zone)
    with zone.warehouse(read_only=True) as connection:
        copied = dict(connection.execute("select record_ref, person_id from records.people").fetchall())
    assert copied == people_of(zone)
