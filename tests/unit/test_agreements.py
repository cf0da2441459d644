"""Agreements: no live agreement, or a column that it does not name, and no row passes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from governance.agreements import AgreementError, read_agreement, require_agreement
from governance.contracts import CONTRACTS_FOLDER, read_contracts

NIGHT = date(2026, 10, 6)
NAME = "isa_household_support"


@pytest.fixture
def amended(tmp_path: Path) -> Callable[[str, str], Path]:
    """Copy the contracts with one piece of the agreement replaced."""

    def amend(old: str, new: str) -> Path:
        folder = tmp_path / "contracts"
        shutil.copytree(CONTRACTS_FOLDER, folder)
        path = folder / "agreements" / f"{NAME}.yaml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        return folder

    return amend


def test_every_feed_is_covered_on_the_night_of_the_demonstration() -> None:
    for contract in read_contracts().values():
        assert require_agreement(contract, NIGHT).agreement == contract.agreement


@pytest.mark.parametrize("day", [date(2023, 3, 31), date(2029, 4, 1)])
def test_an_agreement_covers_nothing_outside_its_dates(day: date) -> None:
    with pytest.raises(AgreementError, match="not live"):
        require_agreement(read_contracts()["council_tax"], day)


@pytest.mark.parametrize("day", [date(2023, 4, 1), date(2029, 3, 31)])
def test_the_first_and_the_last_day_count(day: date) -> None:
    assert require_agreement(read_contracts()["council_tax"], day)


def test_a_column_that_the_agreement_does_not_name_stops_the_feed(
    amended: Callable[[str, str], Path],
) -> None:
    folder = amended("discount_code, band", "discount_code")
    with pytest.raises(AgreementError, match=r"council_tax\.accounts.*does not name band"):
        require_agreement(read_contracts(folder)["council_tax"], NIGHT, folder)


def test_a_partner_who_is_no_party_may_send_nothing(amended: Callable[[str, str], Path]) -> None:
    folder = amended("parties: [district, county, ", "parties: [district, ")
    with pytest.raises(AgreementError, match="county is no party"):
        require_agreement(read_contracts(folder)["adult_social_care"], NIGHT, folder)


def test_an_agreement_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AgreementError, match=r"isa_none\.yaml"):
        read_agreement("isa_none", tmp_path)


def test_an_agreement_with_an_unknown_field_is_refused(amended: Callable[[str, str], Path]) -> None:
    folder = amended("starts_on:", "begins_on: 2020-01-01\nstarts_on:")
    with pytest.raises(ValueError, match="begins_on"):
        read_agreement(NAME, folder)
