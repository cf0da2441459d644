"""Nights that link only what changed: any order of deliveries, strangers, erasures; on real Splink and real stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bridge.link_keys.encoding import encode_link_keys
from evaluation.passing_keys import PassingKeys
from exchange.link_key_schema import FIRST_EPOCH
from exchange.transport import Exchange
from governance.retention import read_retention
from governance.sweep import sweep
from linkage.incremental import changes
from linkage.people import resolve_people
from stores.analytics import AnalyticsZone
from stores.home import Home

pytestmark = pytest.mark.slow

Person = Mapping[str, object]

FOUND = (Phase.explicit, Phase.generate)
"""An example takes seconds: one that fails is told as it was found."""

NIGHT = date(2026, 10, 6)
EXPIRED = date(2019, 10, 6)
FEEDS = ("council_tax", "electoral_register", "homelessness", "housing")

# Small pools: families, namesakes, movers and slips come about by themselves.
PEOPLE = st.fixed_dictionaries(
    {
        "feed": st.sampled_from(FEEDS),
        "forename": st.sampled_from(["Frederick", "Frederik", "F", "Margaret", "Poppy", "Polly"]),
        "surname": st.sampled_from(["Hartnoll", "Ravenscroft", "Quickfall"]),
        "date_of_birth": st.sampled_from([None, date(1961, 3, 4), date(1961, 4, 3), date(1988, 11, 23)]),
        "nino": st.sampled_from([None, None, "AB123456C", "AC234567D"]),
        "uprn": st.sampled_from([None, "1001", "1002", "1003"]),
        "postcode": st.sampled_from([None, "AB12CD"]),
        "forwarding_uprn": st.sampled_from([None, None, "1002"]),
        "partner_person_reference": st.sampled_from([None, "R1", "R2", "R3"]),
    }
)
COUNTIES = st.lists(PEOPLE, min_size=24, max_size=36)


@pytest.fixture(autouse=True)
def every_night_links_only_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "LARGEST_CHANGED_SHARE", 2.0)


def link_keys_of(people: Mapping[str, Person], delivered: Mapping[str, date] | None = None) -> pa.Table:
    parts = []
    for feed in FEEDS:
        own = [
            {"record_ref": ref} | {k: v for k, v in person.items() if k != "feed"}
            for ref, person in people.items()
            if person["feed"] == feed
        ]
        if own:
            keys = encode_link_keys(pa.Table.from_pylist(own), PassingKeys(), FIRST_EPOCH, feed=feed)
            keys = keys.append_column("feed", pa.array([feed] * len(own)))
            dates = [(delivered or {}).get(str(row["record_ref"]), NIGHT) for row in own]
            parts.append(keys.append_column("delivery_date", pa.array(dates, pa.date32())))
    return pa.concat_tables(parts, promote_options="default")


def deliver(
    zone: AnalyticsZone, people: Mapping[str, Person], delivered: Mapping[str, date] | None = None
) -> None:
    with zone.linkage() as connection:
        connection.register("arrived", link_keys_of(people, delivered))
        connection.execute("create or replace table link_keys as from arrived order by hash(record_ref)")


def people_of(zone: AnalyticsZone) -> dict[str, str]:
    with zone.linkage(read_only=True) as connection:
        return dict(connection.execute("select record_ref, person_id from people").fetchall())


def groups(people: Mapping[str, str]) -> set[frozenset[str]]:
    members: dict[str, set[str]] = {}
    for record_ref, person_id in people.items():
        members.setdefault(person_id, set()).add(record_ref)
    return {frozenset(group) for group in members.values()}


def all_that_was_found(zone: AnalyticsZone) -> list[list[tuple[object, ...]]]:
    """Edges, links, quality (by each person's first record) and the memory of the run: all but the ids."""
    queries = (
        "from edges order by all",
        "from second_links order by all",
        "select first_record, quality.* exclude (person_id) from person_quality as quality "
        "inner join (select person_id, min(record_ref) as first_record from people group by all) using (person_id) "
        "order by first_record",
        "from linked_records order by record_ref",
    )
    with zone.linkage(read_only=True) as connection:
        return [connection.execute(query).fetchall() for query in queries]


def numbered(county: Sequence[Person]) -> dict[str, Person]:
    return {f"r{place:03d}": person for place, person in enumerate(county)}


def fresh(folder: str, name: str) -> AnalyticsZone:
    return AnalyticsZone(Home(Path(folder) / name), PassingKeys())


@settings(phases=FOUND, max_examples=3)
@given(county=COUNTIES, data=st.data())
def test_any_order_of_deliveries_gives_the_people_that_linking_from_nothing_gives(
    county: list[Person], data: st.DataObject
) -> None:
    final = numbered(county)
    order = data.draw(st.permutations(sorted(final)))
    earlier = {**final, **{ref: data.draw(PEOPLE) for ref in order[:6]}}
    half = len(order) // 2
    nights = [
        {ref: earlier[ref] for ref in order[:half]},
        {ref: earlier[ref] for ref in order[3:]},
        final,
    ]
    with TemporaryDirectory() as folder:
        zone, from_nothing = fresh(folder, "nights"), fresh(folder, "nothing")
        for people in nights:
            deliver(zone, people)
            report = resolve_people(zone, night=NIGHT)
        deliver(from_nothing, final)
        resolve_people(from_nothing)

        assert report.skipped or report.incremental
        assert groups(people_of(zone)) == groups(people_of(from_nothing))
        assert all_that_was_found(zone) == all_that_was_found(from_nothing)


@settings(phases=FOUND, max_examples=2)
@given(county=COUNTIES)
def test_an_unrelated_record_changes_nobody_else(county: list[Person]) -> None:
    stranger = {
        "feed": "housing",
        "forename": "Thaddeus",
        "surname": "Uglow",
        "date_of_birth": date(1975, 9, 30),
        "nino": "AJ678912A",
        "uprn": "5005",
        "postcode": "ZX91LM",
        "forwarding_uprn": None,
        "partner_person_reference": "R9",
    }
    people = numbered(county)
    with TemporaryDirectory() as folder:
        zone = fresh(folder, "nights")
        deliver(zone, people)
        resolve_people(zone)
        before = people_of(zone)

        deliver(zone, {**people, "a": stranger, "s": stranger})
        report = resolve_people(zone)

        after = people_of(zone)
        assert {ref: after[ref] for ref in before} == before
        assert after["a"] == after["s"] not in set(before.values())
        assert (report.merged, report.split, report.changed_records) == (0, 0, 1)


@settings(phases=FOUND, max_examples=3)
@given(county=COUNTIES, data=st.data())
def test_somebody_erased_leaves_no_trace_and_the_others_are_who_they_would_be_without_them(
    county: list[Person], data: st.DataObject
) -> None:
    people = numbered(county)
    with TemporaryDirectory() as folder:
        zone, without = fresh(folder, "nights"), fresh(folder, "without")
        first_night = {ref: people[ref] for ref in sorted(people)[:-8]}
        deliver(zone, first_night)
        resolve_people(zone, night=NIGHT)
        deliver(zone, people)
        resolve_people(zone, night=NIGHT)
        found = people_of(zone)
        erased_person = data.draw(st.sampled_from(sorted(set(found.values()))))
        erased = {ref for ref, person_id in found.items() if person_id == erased_person}
        deliver(zone, people, dict.fromkeys(erased, EXPIRED))

        sweep(zone, Exchange.of(zone.home), NIGHT, read_retention())

        assert not traces(zone, {erased_person, *erased})
        staying = {ref: person for ref, person in people.items() if ref not in erased}
        deliver(without, staying)
        resolve_people(without)
        resolve_people(zone, night=NIGHT)
        assert groups(people_of(zone)) == groups(people_of(without))
        assert all_that_was_found(zone) == all_that_was_found(without)
        assert not traces(zone, {erased_person, *erased})


def traces(zone: AnalyticsZone, words: set[str]) -> set[str]:
    """Where one of `words` is a cell of the linkage store or of the warehouse."""
    found = set()
    for store in (zone.linkage, zone.warehouse):
        with store(read_only=True) as connection:
            for schema, table in connection.execute(
                "select schema_name, table_name from duckdb_tables() where database_name = current_database()"
            ).fetchall():
                rows = connection.execute(f'from "{schema}"."{table}"').fetchall()
                if any(cell in words for row in rows for cell in row if isinstance(cell, str)):
                    found.add(f"{schema}.{table}")
    return found
