"""Recording errors, identifiers and texts of the county."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from governance.contracts import read_contracts
from synthetic.addresses import plain, typed
from synthetic.dates import MISSING, OPEN, add_months, as_text, day_number, from_parts, parts
from synthetic.errors import as_cp1252, error_model, error_weights, fold, register, typing_slips
from synthetic.feeds.deliveries import (
    CHANGES,
    FULL,
    MONTH_END,
    WEEKLY,
    Delivery,
    TableRecords,
    schedule,
    write_feed,
)
from synthetic.identifiers import nhs_numbers, ninos, phones, pounds, references, temporary_ninos
from synthetic.population import People, make_population
from synthetic.properties import make_properties
from synthetic.streams import stream

FIRST = day_number(date(2021, 10, 1))
LAST = day_number(date(2026, 10, 1))


@pytest.fixture(scope="module")
def people() -> People:
    return make_population(np.array([6000, 2500, 1500]), 1, FIRST, FIRST + 1096, LAST)[1]


@pytest.fixture(scope="module")
def properties():
    return make_properties(3000, 1, FIRST, LAST)


def registered(people: People, system: str, weights: np.ndarray | None = None):
    person = np.arange(len(people))
    weights = np.ones(len(people)) if weights is None else weights
    return register(people, person, weights, np.full(len(people), -1), system, stream(9, system))


def test_nhs_numbers_are_of_the_test_range_and_pass_the_check_digit() -> None:
    numbers = nhs_numbers(5000, stream(1, "nhs"))
    digits = np.array([[int(digit) for digit in number] for number in numbers.tolist()])
    check = 11 - (digits[:, :9] @ np.arange(10, 1, -1)) % 11
    assert (np.where(check == 11, 0, check) == digits[:, 9]).all()
    assert np.strings.startswith(numbers, "999").all()
    assert len(np.unique(numbers)) == 5000


def test_more_nhs_numbers_than_the_test_range_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="test range"):
        nhs_numbers(1_000_000, stream(1, "nhs"))


def test_ninos_are_distinct_and_of_valid_form() -> None:
    numbers = ninos(200_000, stream(1, "nino"))
    assert len(np.unique(numbers)) == 200_000
    sample = numbers[::400].tolist()
    forbidden = {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}
    for number in sample:
        assert len(number) == 9
        assert not set(number[:2]) & set("DFIQUV")
        assert number[1] != "O"
        assert number[:2] not in forbidden
        assert number[2:8].isdigit()
        assert number[8] in "ABCD"


def test_a_temporary_nino_is_birth_date_and_sex() -> None:
    made = temporary_ninos(np.array(["07/03/1984", "31/12/1999"]), np.array([True, False]))
    assert made.tolist() == ["TN070384F", "TN311299M"]


def test_phones_references_and_amounts_have_their_form() -> None:
    assert (np.strings.str_len(phones(100, stream(1, "phone"))) == 11).all()
    rising = references(1000, 5, stream(1, "reference"), prefix="T", width=7)
    assert len(np.unique(rising)) == 1000
    assert (np.sort(rising) == rising).all()
    assert pounds(np.array([0.0, 4.5, 1726.049])).tolist() == ["0.00", "4.50", "1726.05"]


@pytest.mark.parametrize(
    ("pattern", "text"), [("%Y-%m-%d", "2024-02-29"), ("%d/%m/%Y", "29/02/2024"), ("%d-%b-%Y", "29-FEB-2024")]
)
def test_dates_are_written_in_the_partners_format(pattern: str, text: str) -> None:
    days = np.array([day_number(date(2024, 2, 29)), MISSING, OPEN], dtype=np.int32)
    assert as_text(days, pattern, "open").tolist() == [text, "", "open"]


def test_days_split_and_join_again() -> None:
    days = np.array([day_number(date(1931, 1, 31)) + step for step in range(0, 40_000, 37)], dtype=np.int32)
    assert (from_parts(*parts(days)) == days).all()
    assert add_months(date(2024, 11, 1), 3) == date(2025, 2, 1)
    assert from_parts(np.array([2023]), np.array([2]), np.array([30])).tolist() == [
        day_number(date(2023, 2, 28))
    ]


def test_missing_values_come_at_the_rates_of_the_error_model(people: People) -> None:
    housing = registered(people, "housing_tenancies")
    assert (housing.nino == "").mean() == pytest.approx(0.15, abs=0.01)
    assert (housing.date_of_birth == MISSING).mean() == pytest.approx(0.03, abs=0.006)
    council_tax = registered(people, "council_tax")
    assert (council_tax.date_of_birth == MISSING).mean() == pytest.approx(0.95, abs=0.01)


def test_name_errors_come_at_the_rates_of_the_error_model(people: People) -> None:
    made = registered(people, "adult_social_care")
    true_forename, true_surname = fold(people.forename), fold(people.surname)
    forename, surname = fold(made.forename), fold(made.surname)
    assert (np.strings.str_len(forename) == 1).mean() == pytest.approx(0.04, abs=0.01)
    swapped = (forename == true_surname) & (surname == true_forename)
    assert swapped.mean() == pytest.approx(0.007, abs=0.004)
    # Variant 6 %, initial 4 %, middle 2 %, swapped 0.7 %, and a little over a third of 2.5 % of slips.
    assert (forename != true_forename).mean() == pytest.approx(0.135, abs=0.02)
    single = (np.strings.find(people.surname, "-") < 0) & (np.strings.find(people.surname, "'") < 0)
    assert (surname != true_surname)[single].mean() == pytest.approx(0.022, abs=0.008)


def test_birth_dates_are_seldom_wrong(people: People) -> None:
    made = registered(people, "homelessness_cases")
    known = made.date_of_birth != MISSING
    wrong = (made.date_of_birth != people.date_of_birth)[known].mean()
    assert wrong == pytest.approx(0.0118, abs=0.004)


def test_errors_fall_more_often_on_private_renters_and_names_that_are_not_british(people: People) -> None:
    generator = stream(2, "weights")
    private = generator.random(len(people)) < 0.2
    foreign = people.origin != 0
    nobody = np.zeros(len(people), dtype=bool)
    weights = error_weights(private, nobody, nobody, foreign)
    assert weights.mean() == pytest.approx(1.0)
    made = registered(people, "council_tax", weights)
    initial = np.strings.str_len(made.forename) == 1
    assert initial[private].mean() > 1.2 * initial[~private].mean()
    assert initial[foreign].mean() > 1.3 * initial[~foreign].mean()


def test_each_system_learns_of_a_new_surname_1_to_18_months_late(people: People) -> None:
    made = registered(people, "housing_tenancies")
    changed = np.flatnonzero(people.surname_changed_on != MISSING)
    lag = made.surname_known_on[changed] - people.surname_changed_on[changed]
    assert len(changed) > 50
    assert lag.min() >= 30
    assert lag.max() <= 548
    day = made.surname_known_on[changed]
    assert (made.surname_on(changed, day) == made.surname_after[changed]).all()
    assert (made.surname_on(changed, day - 1) == made.surname[changed]).all()


def test_a_typing_slip_changes_one_place() -> None:
    names = np.array(["Thornford", "Elmbury", "Ng", "Larkin"] * 200, dtype="U16")
    slipped = typing_slips(names, stream(3, "slips"))
    lengths = np.strings.str_len(slipped) - np.strings.str_len(names)
    assert set(lengths.tolist()) == {-1, 0, 1}
    assert (slipped[names == "Ng"] == "Ng").all()
    assert (slipped != names)[names != "Ng"].mean() > 0.85


def test_marks_are_taken_off_letters() -> None:
    names = np.array(["Wiśniewski", "Łukasz", "José", "Çelik", "O'Brien"])
    assert fold(names).tolist() == ["Wisniewski", "Lukasz", "Jose", "Celik", "O'Brien"]
    assert fold(names, keep_cp1252=True).tolist() == ["Wisniewski", "Lukasz", "José", "Çelik", "O'Brien"]


def test_a_cp1252_system_can_write_every_name(people: People) -> None:
    made = as_cp1252(registered(people, "council_tax"))
    for names in (made.forename, made.middle_name, made.surname, made.surname_after):
        assert "\n".join(np.unique(names).tolist()).encode("cp1252")


def test_typed_addresses_hold_the_street_number_and_differ_in_style(properties) -> None:
    rows = np.arange(properties.homes)
    exact, as_typed = plain(properties, rows), typed(properties, rows, np.ones(len(rows)), stream(4, "typed"))
    number = properties.number[rows]
    assert np.strings.startswith(as_typed.street, number).mean() > 0.98
    assert 0.15 < (as_typed.street != exact.street).mean() < 0.35
    rates = error_model()["address"]
    assert (as_typed.town == "").mean() == pytest.approx(rates["town_missing"], abs=0.02)
    no_space = np.strings.find(as_typed.postcode, " ") < 0
    assert no_space.mean() == pytest.approx(rates["postcode_without_space"], abs=0.015)


def test_flats_point_to_the_building_that_holds_them(properties) -> None:
    flats = np.flatnonzero(properties.flat != "")
    parent = properties.parent[flats]
    assert 0.08 < len(flats) / properties.homes < 0.25
    assert (properties.property_class[parent] == "PP").all()
    assert (properties.street[parent] == properties.street[flats]).all()
    assert (properties.postcode[parent] == properties.postcode[flats]).all()
    assert len(np.unique(properties.uprn)) == len(properties.uprn)


def test_a_weekly_feed_is_full_at_the_start_and_each_april_and_stops_at_the_night() -> None:
    contract = read_contracts()["council_tax"]
    night = date(2026, 5, 20)
    deliveries = schedule(contract, WEEKLY, date(2024, 10, 1), 24, night, 1, always_full=False)
    full = [each.extracted for each in deliveries if each.kind == FULL]
    expected = [day_number(day) for day in (date(2024, 10, 7), date(2025, 4, 7), date(2026, 4, 6))]
    assert full == expected
    assert max(each.received for each in deliveries) <= day_number(night)
    assert {each.received - each.extracted for each in deliveries} == {3, 11}


def test_a_month_end_feed_arrives_after_its_latency() -> None:
    contract = read_contracts()["homelessness_cases"]
    deliveries = schedule(contract, MONTH_END, date(2024, 10, 1), 3, date(2025, 1, 5), 1, always_full=True)
    assert [each.extracted for each in deliveries] == [
        day_number(day) for day in (date(2024, 10, 31), date(2024, 11, 30), date(2024, 12, 31))
    ]
    assert all(each.kind == FULL for each in deliveries)


def test_changes_hold_only_the_last_version_since_the_delivery_before(tmp_path) -> None:
    from stores.home import Home

    contract = read_contracts()["address_gazetteer"]
    first = day_number(date(2024, 10, 1))
    columns = {
        "uprn": np.array(["1", "2", "1", "1", "1"]),
        "parent_uprn": np.full(5, ""),
        "address": np.array(["first", "other", "second", "third", "fourth"]),
        "postcode": np.full(5, "TN23 1AA"),
        "property_class": np.full(5, "RD02"),
        "lsoa_code": np.full(5, "E01024000"),
        "ward_code": np.full(5, "E05012000"),
    }
    records = TableRecords(
        columns=columns,
        record=np.array([0, 1, 0, 0, 0]),
        known_on=np.array([first - 9, first - 5, first + 2, first + 5, first + 40], dtype=np.int32),
        dropped_on=np.array([OPEN, first + 8, OPEN, OPEN, OPEN], dtype=np.int32),
        key=np.array(["1", "2"]),
    )
    deliveries = [
        Delivery(first, first + 1, FULL),
        Delivery(first + 7, first + 8, CHANGES),
        Delivery(first + 14, first + 15, FULL),
    ]
    written = write_feed(Home(tmp_path), contract, {"addresses": records}, deliveries)
    files = sorted(Home(tmp_path).feed_inbox("address_gazetteer").glob("*/*.csv"))
    addresses = [[line.split(",")[2] for line in file.read_text().splitlines()[1:]] for file in files]
    assert addresses == [["first", "other"], ["third"], ["third"]]
    assert written.rows == 4
    assert written.delivered["addresses"].tolist() == [True, True]
    assert files[0].parent.name == f"received={date(2024, 10, 1) + timedelta(days=1)}"
