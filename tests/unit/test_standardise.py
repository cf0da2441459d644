"""Names, dates and numbers as partners write them, brought to one form."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from bridge.standardise import (
    Name,
    full_name,
    nhs_number,
    nino,
    parsed_dates,
    phone,
    postcode,
    standardise_identities,
    surname,
    uprn,
)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("HARTNOLL, Frederick John", Name("frederick", "john", "hartnoll")),
        ("Mr F Hartnoll", Name("f", None, "hartnoll")),
        ("Mr. Frederick John Hartnoll", Name("frederick", "john", "hartnoll")),
        ("Frederick Hartnoll", Name("frederick", None, "hartnoll")),
        ("HARTNOLL Frederick", Name("frederick", None, "hartnoll")),
        ("MR HARTNOLL Frederick", Name("frederick", None, "hartnoll")),
        ("Dr Ludwig van der Berg", Name("ludwig", None, "vanderberg")),
        ("VAN DER BERG, Ludwig", Name("ludwig", None, "vanderberg")),
        ("Frederick Hartnoll Jnr", Name("frederick", None, "hartnoll")),
        ("Hartnoll", Name(None, None, "hartnoll")),
        ("Unknown", Name(None, None, None)),
        ("", Name(None, None, None)),
        ("Mr", Name(None, None, "mr")),
    ],
)
def test_a_name_in_one_field_is_split(written: str, expected: Name) -> None:
    assert full_name(written) == expected


@pytest.mark.parametrize(
    "written", ["O'Brien-Żak", "O’BRIEN ŻAK", "obrien zak", "O`Brien-Zak", "ÓBrien‐Żak", "Ms O'Brien-Zak"]
)
def test_hyphens_apostrophes_case_and_diacritics_do_not_make_another_surname(written: str) -> None:
    assert surname(written) == "obrienzak"


def test_full_width_letters_and_ligatures_are_folded() -> None:
    assert surname("ＨＡＲＴＮＯＬＬ") == "hartnoll"
    assert surname("Æthelﬂed") == "aethelfled"


@pytest.mark.parametrize("written", ["AB123456C", "ab 12 34 56 c", "AB-12-34-56-C", "AB123456"])
def test_a_national_insurance_number_is_its_eight_characters(written: str) -> None:
    assert nino(written) == "AB123456"


@pytest.mark.parametrize(
    "written", ["TN010161F", "AB12345", "AB1234567", "QQ123456C", "GB123456A", "none", ""]
)
def test_a_temporary_or_malformed_national_insurance_number_is_none(written: str) -> None:
    assert nino(written) is None


def test_an_nhs_number_needs_its_check_digit() -> None:
    assert nhs_number("943 476 5919") == "9434765919"
    assert nhs_number("943 476 5918") is None
    assert nhs_number("0000000000") is None
    assert nhs_number("12345") is None


@pytest.mark.parametrize(
    "written", ["+44 (0)7700 900123", "0044 7700 900123", "07700 900 123", "447700900123"]
)
def test_a_telephone_number_gets_its_national_form(written: str) -> None:
    assert phone(written) == "07700900123"


@pytest.mark.parametrize("written", ["00000000000", "900123", "n/a", ""])
def test_what_is_no_telephone_number_is_none(written: str) -> None:
    assert phone(written) is None


def test_postcodes_are_compact_and_words_are_none() -> None:
    assert postcode(" ab1 2cd ") == "AB12CD"
    assert postcode("2119") == "2119"
    assert postcode("unknown") is None
    assert postcode("") is None


def test_a_uprn_has_no_leading_zeros() -> None:
    assert uprn("000100012345") == "100012345"
    assert uprn("0") is None


def test_dates_are_read_in_every_form_that_partners_write() -> None:
    written = pa.chunked_array(
        [["1961-03-04", "04/03/1961", "19610304", "04-MAR-1961", "31/02/1961", "", None]]
    )
    assert parsed_dates(written).to_pylist() == [date(1961, 3, 4)] * 4 + [None] * 3


def test_a_placeholder_date_of_birth_is_none() -> None:
    identities = pa.table({"date_of_birth": pa.array([date(1900, 1, 1), date(1961, 1, 1)], pa.date32())})
    assert standardise_identities(identities)["date_of_birth"].to_pylist() == [None, date(1961, 1, 1)]


def test_columns_that_a_feed_lacks_come_back_null_in_the_same_rows() -> None:
    standard = standardise_identities(
        pa.table({"surname": ["Hartnoll", None], "full_name": [None, "Mr F Uglow"]})
    )
    assert standard["surname"].to_pylist() == ["hartnoll", "uglow"]
    assert standard["forename"].to_pylist() == [None, "f"]
    assert standard["nino"].to_pylist() == [None, None]
    assert standard.num_rows == 2


def test_a_second_forename_is_a_middle_name() -> None:
    standard = standardise_identities(pa.table({"forename": ["Mary-Ann Jane"], "surname": ["Uglow"]}))
    assert standard["forename"].to_pylist() == ["maryann"]
    assert standard["middle_name"].to_pylist() == ["jane"]
