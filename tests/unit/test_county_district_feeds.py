"""The district's benefits, debts, register of applicants and register of electors, as their systems send them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthetic.county import FIRST_MONTH, make_county
from synthetic.dates import OPEN, as_text
from synthetic.feeds import electoral_register, housing_benefit, housing_register, sundry_debts
from synthetic.feeds.deliveries import TableRecords
from synthetic.properties import OWNER, PRIVATE, SOCIAL
from synthetic.world import World, make_world

HOUSEHOLDS, MONTHS, SEED = 3000, 18, 1
EPOCH = date(1970, 1, 1).toordinal()
FEEDS = ("electoral_register", "housing_benefit", "housing_register", "sundry_debts")


@dataclass(frozen=True)
class County:
    """A county without files: its world, and what the full file of a day would hold."""

    world: World

    @cached_property
    def benefits(self) -> dict[str, TableRecords]:
        return housing_benefit.make_records(self.world)

    @cached_property
    def electors(self) -> TableRecords:
        return electoral_register.make_records(self.world)["electors"]

    @cached_property
    def applications(self) -> TableRecords:
        return housing_register.make_records(self.world)["applications"]

    @cached_property
    def debts(self) -> TableRecords:
        return sundry_debts.make_records(self.world)["debts"]

    def living_here(self, day: int) -> np.ndarray:
        """Stays of adults on `day`."""
        stays, born = self.world.residences, self.world.course.people.date_of_birth
        here = (stays.start <= day) & (stays.end >= day) & (day - born[stays.person] >= 6575)
        return np.flatnonzero(here)

    def registered(self, day: int) -> np.ndarray:
        """True for each of `living_here` who is on the register, there or still at the home before."""
        assert self.electors.person is not None
        entered = self.electors.person[shown_on(self.electors, day).record]
        return np.isin(self.world.residences.person[self.living_here(day)], entered)


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
    return County(make_world(HOUSEHOLDS, MONTHS, SEED, FIRST_MONTH))


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


def test_the_same_world_gives_the_same_records(county: County) -> None:
    again = [
        *housing_benefit.make_records(county.world).values(),
        *electoral_register.make_records(county.world).values(),
        *housing_register.make_records(county.world).values(),
        *sundry_debts.make_records(county.world).values(),
    ]
    made = [*county.benefits.values(), county.electors, county.applications, county.debts]
    for one, other in zip(made, again, strict=True):
        assert (one.key == other.key).all()
        for name, values in one.columns.items():
            assert (np.asarray(values) == np.asarray(other.columns[name])).all(), name


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
    assert np.mean(nino[adults] == "") == pytest.approx(0.02, abs=0.018)
    assert members.person is not None
    born = county.world.course.people.date_of_birth[members.person]
    began = np.asarray(members.columns["from_date"])[first]
    under_16 = (kind == "3") & (as_text((born + 5844).astype(np.int32)) > began)
    assert under_16.any()
    assert (nino[under_16] == "").all()


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


def test_two_private_renters_in_five_are_not_on_the_register_and_few_owners_are_not(county: County) -> None:
    days = county.world.first_day + np.arange(60, 540, 60)
    absent = []
    for day in days.tolist():
        here = county.registered(day)
        tenure = county.world.properties.tenure[county.world.residences.property[county.living_here(day)]]
        absent.append(
            [1 - here[tenure == kind].mean() for kind in (OWNER, PRIVATE, SOCIAL)] + [1 - here.mean()]
        )
    owner, private, social, everyone = np.mean(absent, axis=0)
    # Some adults have no vote (5 %), and they are not on it either.
    assert private == pytest.approx(0.44, abs=0.05)
    assert owner == pytest.approx(0.10, abs=0.04)
    assert owner < social < private
    assert everyone == pytest.approx(0.18, abs=0.04)


def test_the_register_knows_only_those_birth_dates_that_attainers_gave(county: County) -> None:
    electors, born = county.electors, county.world.course.people.date_of_birth
    assert electors.person is not None
    given = np.asarray(electors.columns["Date of birth"]) != ""
    age = (electors.known_on - born[electors.person[electors.record]]) / 365.25
    assert given.any()
    # Who turns 18 while the canvass runs is shown as an attainer until December.
    assert age[given].max() < 18.3
    assert np.mean(given) < 0.1


def test_nothing_is_published_while_the_canvass_runs(county: County) -> None:
    months = np.unique(
        [
            text[3:5]
            for text in np.asarray(county.electors.columns["Date registered"]).tolist()
            if not text.startswith("31/02")
        ]
    )
    assert set(months.tolist()) == {"01", "02", "03", "04", "05", "06", "07", "08", "09", "12"}
    removed = np.asarray(county.electors.columns["Date removed"])
    assert {text[3:5] for text in removed[removed != ""].tolist()} <= set(months.tolist())
    assert {text[:2] for text in removed[removed != ""].tolist()} == {"01"}


def test_movers_come_months_late_and_leave_months_late(county: County) -> None:
    world, electors = county.world, county.electors
    stays = world.residences
    assert electors.person is not None
    stay = stays.at(
        electors.person, electors.known_on[np.searchsorted(electors.record, np.arange(len(electors.key)))]
    )
    lag = (
        electors.known_on[np.searchsorted(electors.record, np.arange(len(electors.key)))] - stays.start[stay]
    )
    recent = (stays.start[stay] > world.first_day - 300) & (lag >= 0)
    assert 45 < np.median(lag[recent]) < 300
    last = world.last_day
    shown = shown_on(electors, last)
    gone = ~np.isin(electors.person[shown.record], stays.person[(stays.start <= last) & (stays.end >= last)])
    assert 0.02 < np.mean(gone) < 0.15


def test_an_entry_that_goes_is_sent_once_more_with_its_day(county: County) -> None:
    electors = county.electors
    removed = np.asarray(electors.columns["Date removed"]) != ""
    assert removed.any()
    assert (electors.known_on[removed] == electors.dropped_on[removed]).all()


def test_about_one_household_in_twenty_waits_for_a_social_home(county: County) -> None:
    shown = shown_on(county.applications, county.world.last_day)
    is_open = np.isin(shown["Status"], ["PENDING", "LIVE", "SUSPENDED"])
    assert np.sum(is_open) / HOUSEHOLDS == pytest.approx(0.052, abs=0.02)
    assert set(shown["Band"].tolist()) <= set("ABCDE")
    assert set(shown["ReasonForApplying"].tolist()) > {"OVERCROWDED", "HOMELESS", "UNAFFORDABLE", "SHARING"}


def test_one_applicant_in_four_has_no_national_insurance_number(county: County) -> None:
    applications = county.applications
    refs, first = np.unique(np.asarray(applications.columns["ApplicantRef"]), return_index=True)
    assert len(refs) > 200
    assert np.mean(np.asarray(applications.columns["NINO"])[first] == "") == pytest.approx(0.25, abs=0.06)


def test_renters_apply_far_more_often_than_owners(county: County) -> None:
    world, applications = county.world, county.applications
    assert applications.person is not None
    day = np.array(
        [
            datetime.strptime(text, "%d/%m/%Y" if "/" in text else "%Y-%m-%d").toordinal() - EPOCH
            for text in _first_values(applications, "BandDate").tolist()
        ],
        dtype=np.int32,
    )
    stay = world.residences.at(applications.person, day)
    tenure = world.properties.tenure[world.residences.property[stay]]
    homes = np.bincount(world.properties.tenure[world.course.spells.property], minlength=3)
    rate = np.bincount(tenure, minlength=3) / homes
    assert rate[PRIVATE] > 2 * rate[OWNER]
    assert rate[SOCIAL] > 2 * rate[OWNER]


def test_nobody_applies_as_homeless_before_coming_to_the_council(county: County) -> None:
    cases, applications = county.world.course.cases, county.applications
    reason = _first_values(applications, "ReasonForApplying")
    assert applications.person is not None
    first_case = np.full(len(county.world.course.people), OPEN, dtype=np.int64)
    np.minimum.at(first_case, cases.person, cases.decided.astype(np.int64))
    known = applications.known_on[np.searchsorted(applications.record, np.arange(len(reason)))]
    homeless = reason == "HOMELESS"
    assert homeless.sum() > 20
    assert (known[homeless] >= first_case[applications.person[homeless]]).all()


def test_a_housed_applicant_lives_in_a_social_home_from_that_day(county: County) -> None:
    world, applications = county.world, county.applications
    assert applications.person is not None
    housed = np.flatnonzero(np.asarray(applications.columns["Status"]) == "HOUSED")
    person = applications.person[applications.record[housed]]
    stay = world.residences.at(person, applications.known_on[housed])
    assert len(housed) > 10
    assert (world.properties.tenure[world.residences.property[stay]] == SOCIAL).all()


def test_a_closed_application_says_why_and_leaves_the_file_a_year_later(county: County) -> None:
    applications = county.applications
    status, why = np.asarray(applications.columns["Status"]), np.asarray(applications.columns["ClosedReason"])
    assert ((status == "CLOSED") == (why != "")).all()
    still_open = np.isin(status, ["PENDING", "LIVE", "SUSPENDED"])
    assert (applications.dropped_on[still_open] == OPEN).all()
    assert (applications.dropped_on[~still_open] - applications.known_on[~still_open] <= 366).all()


def test_every_line_of_the_debtors_ledger_is_220_characters_wide(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    files = sorted((_files(tmp_path_factory) / "council" / "inbox" / "sundry_debts").rglob("*.txt"))
    assert files
    for path in files:
        lines = path.read_bytes().decode("cp1252").splitlines()
        assert {len(line) for line in lines} == {220}
        assert all(re.fullmatch(r" *\d+\.\d\d *", line[174:185]) for line in lines)


def test_a_debtor_owes_about_what_people_in_debt_owe(county: County) -> None:
    owed = []
    for day in range(county.world.first_day, county.world.last_day, 60):
        shown = shown_on(county.debts, day)
        assert county.debts.person is not None
        is_open = np.isin(shown["status"], ["O", "A"])
        _, debtor = np.unique(county.debts.person[shown.record[is_open]], return_inverse=True)
        owed.append(np.bincount(debtor, shown["outstanding_amount"][is_open].astype(float)).mean())
    # Some ninety debtors, and a few of them owe most of it.
    assert np.mean(owed) == pytest.approx(1726, rel=0.4)


def test_debts_gather_where_income_is_low(county: County) -> None:
    world, shown = county.world, shown_on(county.debts, county.world.last_day)
    assert county.debts.household is not None
    is_open = np.isin(shown["status"], ["O", "A"])
    low = world.course.households.low_income
    assert low[county.debts.household[shown.record[is_open]]].mean() > 2 * low.mean()


def test_what_is_settled_owes_nothing_and_leaves_the_ledger_a_year_later(county: County) -> None:
    debts = county.debts
    owed = np.asarray(debts.columns["outstanding_amount"]).astype(float)
    settled = np.isin(np.asarray(debts.columns["status"]), ["P", "W"])
    assert settled.any()
    assert (owed[settled] == 0).all()
    assert (owed[~settled] > 0).all()
    assert (owed <= np.asarray(debts.columns["original_amount"]).astype(float)).all()
    assert (debts.dropped_on[settled] - debts.known_on[settled] == 365).all()
    assert (debts.dropped_on[~settled] == OPEN).all()


def test_some_debtors_have_two_accounts(county: County) -> None:
    debts = county.debts
    assert debts.person is not None
    person = debts.person[debts.record]
    pairs = {
        (one, ref)
        for one, ref in zip(person.tolist(), np.asarray(debts.columns["debtor_ref"]).tolist(), strict=True)
    }
    assert 1.0 < len(pairs) / len(np.unique(person)) < 1.05


def _first_values(records: TableRecords, column: str) -> np.ndarray:
    """The column in the first version of every record."""
    return np.asarray(records.columns[column])[np.searchsorted(records.record, np.arange(len(records.key)))]


_MADE: list[Path] = []


def _files(factory: pytest.TempPathFactory) -> Path:
    """A small county's inboxes, made once for all feeds."""
    if not _MADE:
        from stores.home import Home

        root = factory.mktemp("district")
        make_county(Home(root), households=400, months=5, seed=2)
        _MADE.append(root)
    return _MADE[0]
