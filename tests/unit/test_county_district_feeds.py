"""The district's benefits, debts, register of applicants and register of electors, as their systems send them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthetic.county import make_county
from synthetic.dates import OPEN, add_months, as_text, month_starts
from synthetic.feeds import housing_benefit
from synthetic.feeds.deliveries import TableRecords
from synthetic.life_course import BURN_IN_MONTHS, live
from synthetic.properties import PRIVATE, make_properties
from synthetic.residences import make_residences
from synthetic.world import World

HOUSEHOLDS, MONTHS, SEED = 3000, 18, 1
FEEDS = ("housing_benefit",)


@dataclass(frozen=True)
class County:
    """A county without files: its world, and what the full file of a day would hold."""

    world: World

    @cached_property
    def benefits(self) -> dict[str, TableRecords]:
        return housing_benefit.make_records(self.world)


@dataclass(frozen=True)
class Shown:
    """Rows of a full file: texts by column, and the record of each row."""

    columns: dict[str, np.ndarray]
    record: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def __len__(self) -> int:
        return len(self.record)


def shown_on(records: TableRecords, day: int) -> Shown:
    """The newest version that the system shows on `day` of every record that it still holds."""
    rows = np.flatnonzero(records.known_on <= day)
    rows = rows[np.lexsort((records.known_on[rows], records.record[rows]))]
    last = np.append(records.record[rows][1:] != records.record[rows][:-1], True)
    rows = rows[last]
    rows = rows[records.dropped_on[rows] > day]
    return Shown(
        {name: np.asarray(values)[rows].astype(str) for name, values in records.columns.items()},
        records.record[rows],
    )


@pytest.fixture(scope="module")
def county() -> County:
    """3,000 households over 18 months after the burn-in."""
    starts = month_starts(add_months(date(2024, 10, 1), -BURN_IN_MONTHS), BURN_IN_MONTHS + MONTHS)
    first_day, last_day = int(starts[BURN_IN_MONTHS]), int(starts[-1])
    properties = make_properties(HOUSEHOLDS, SEED, first_day, last_day)
    course = live(properties, HOUSEHOLDS, starts, SEED)
    return County(World(properties, course, make_residences(course), SEED, first_day, last_day))


@pytest.mark.parametrize("feed", FEEDS)
def test_the_loader_takes_every_delivery_and_sets_aside_only_the_spoilt_rows(
    tmp_path_factory: pytest.TempPathFactory, council_at: Callable[..., Any], feed: str
) -> None:
    council = council_at(_files(tmp_path_factory))
    report = council.load(feed)
    assert report.checked == report.loaded > 0
    assert report.refused == 0
    assert report.rows_accepted > 100
    # One row in 2,000 is spoilt on purpose, in its dates, and stays so until it changes.
    assert report.rows_quarantined <= 0.01 * report.rows_in
    spoilt = council.quarantine(feed, "select distinct rule from quarantined_rows")
    assert all(re.search(r"date|registered_on|_on\b", rule) for (rule,) in spoilt), spoilt


def test_the_same_seed_gives_the_same_records_and_another_does_not(county: County) -> None:
    again = housing_benefit.make_records(county.world)["members"]
    for name, values in county.benefits["members"].columns.items():
        assert (np.asarray(values) == np.asarray(again.columns[name])).all(), name


def test_birth_dates_are_typed_in_three_ways(county: County) -> None:
    rows = shown_on(county.benefits["members"], county.world.last_day)
    texts = rows["birth_date"][rows["birth_date"] != ""]
    shares = [
        np.mean([bool(re.fullmatch(pattern, text)) for text in texts.tolist()])
        for pattern in (r"\d{2}[A-Z]{3}\d{4}", r"\d{8}", r"\d{2}/\d{2}/\d{4}")
    ]
    assert sum(shares) == pytest.approx(1)
    assert shares == pytest.approx([0.70, 0.20, 0.10], abs=0.05)


def test_two_adults_in_a_hundred_have_no_national_insurance_number_and_no_child_has_one(
    county: County,
) -> None:
    members = county.benefits["members"]
    _, first = np.unique(members.record, return_index=True)
    kind, nino = np.asarray(members.columns["type"])[first], np.asarray(members.columns["nino"])[first]
    adults = np.isin(kind, ["1", "2"])
    assert np.mean(nino[adults] == "") == pytest.approx(0.02, abs=0.012)
    assert (nino[kind == "3"] == "").all()


def test_some_children_have_their_own_pupil_number(county: County) -> None:
    members, people = county.benefits["members"], county.world.course.people
    assert members.person is not None
    upn = np.asarray(members.columns["unique_pupil_num"])
    person = members.person[members.record]
    given = upn != ""
    assert given.any()
    assert (upn[given] == people.upn[person[given]]).all()
    school_age = (county.world.first_day - people.date_of_birth[person]) / 365.25
    pupils = (school_age > 5) & (school_age < 15)
    assert np.mean(given[pupils]) == pytest.approx(0.40, abs=0.12)


def test_the_homes_of_a_claim_are_numbered_from_one_and_each_record_has_its_own_key(county: County) -> None:
    homes: dict[str, list[int]] = {}
    for key in county.benefits["claims"].key.tolist():
        claim, home = key.split("|")
        homes.setdefault(claim, []).append(int(home))
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in homes.values())
    for records in county.benefits.values():
        assert len(set(records.key.tolist())) == len(records.key)


def test_open_homes_end_in_2099_and_cancelled_ones_say_why(county: County) -> None:
    rows = shown_on(county.benefits["claims"], county.world.last_day)
    is_open = rows["to_date"] == "2099-12-31"
    assert 0.4 < np.mean(is_open) < 0.99
    assert set(rows["status_ind"][is_open].tolist()) <= {"1", "2"}
    cancelled = rows["status_ind"] == "3"
    assert cancelled.any()
    assert (rows["hb_end_reason"][cancelled] != "").all()
    assert (rows["hb_end_reason"][~cancelled] == "").all()


def test_an_award_pays_no_more_than_the_rent_and_the_allowance(county: County) -> None:
    rows = shown_on(county.benefits["claims"], county.world.last_day)
    paid = rows["weekly_award"] != ""
    award, rent = rows["weekly_award"][paid].astype(float), rows["weekly_rent"][paid].astype(float)
    assert (award <= rent).all()
    private = rows["claim_type_ind"][paid] == "1"
    assert private.any()
    assert (award[private] <= rows["lha_amount"][paid][private].astype(float)).all()
    assert (rows["lha_amount"][paid][~private] == "").all()
    assert (rows["claim_type_ind"][~paid] == "4").all()


def test_private_tenants_live_in_private_homes(county: County) -> None:
    claims, world = county.benefits["claims"], county.world
    row_of = {uprn: row for row, uprn in enumerate(world.properties.uprn.tolist())}
    private = np.asarray(claims.columns["claim_type_ind"]) == "1"
    uprns = np.asarray(claims.columns["uprn"])[private]
    homes = [row_of[uprn] for uprn in uprns[uprns != ""].tolist()]
    assert (world.properties.tenure[homes] == PRIVATE).all()


def test_benefit_records_are_known_after_they_happened(county: County) -> None:
    for records in county.benefits.values():
        began = np.asarray(records.columns["from_date"]).astype(str)
        whole = began != "2023-02-31"
        known = as_text(records.known_on.astype(np.int32))
        assert (known[whole] >= began[whole]).all()
        assert (records.dropped_on <= OPEN).all()


_MADE: list[Path] = []


def _files(factory: pytest.TempPathFactory) -> Path:
    """A small county's inboxes, made once for all feeds."""
    if not _MADE:
        from stores.home import Home

        root = factory.mktemp("district")
        make_county(Home(root), households=400, months=5, seed=2)
        _MADE.append(root)
    return _MADE[0]
