"""Promise 12: without a live agreement, or with a column that it does not name, no row passes. And what does pass is
minimised: nothing that a contract calls an identifier leaves as it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from two_zones import NIGHT, TwoZones, make_two_zones, table_of

from bridge.pseudonymise.deliveries import pseudonymise_deliveries
from bridge.vault.vault import open_vault
from bridge.zone import CouncilZone
from exchange.opening import open_packages
from governance import agreements
from governance.agreements import AgreementError, read_agreement, require_agreement
from governance.contracts import CONTRACTS_FOLDER, FeedContract, Identifier, Leaves, read_contracts

FEED, NAME = "council_tax", "isa_household_support"
ENDED = date(2029, 4, 1)

ROWS = {
    "accounts": table_of("""
    account_ref | lead_liab_pos | lead_liab_name | date_of_birth | uprn         | occupation_date
    70000001    | #1            | Example, Ada   | 1980-02-03    | 100000000001 | 2020-04-01
    70000002    | #1            | Sample, Ben    | -             | 100000000002 | 2021-05-01
    """)
}

HOW_IDENTIFIERS_MAY_LEAVE = {
    Identifier.DATE_OF_BIRTH: {None, Leaves.YEAR},
    Identifier.UPRN: {None, Leaves.PROPERTY},
    Identifier.PARENT_UPRN: {None, Leaves.PROPERTY},
    Identifier.PARTNER_PERSON_REFERENCE: {None, Leaves.REFERENCE},
}
"""Every other identifier stays."""


@pytest.fixture
def zones(tmp_path: Path) -> TwoZones:
    return make_two_zones(tmp_path / "home")


Amend = Callable[[Callable[[dict[str, Any]], object]], Path]


@pytest.fixture
def amended(tmp_path: Path) -> Amend:
    """Return a copy of the contracts whose agreement was changed by a function."""

    def amend(change: Callable[[dict[str, Any]], object]) -> Path:
        folder = tmp_path / "contracts"
        shutil.copytree(CONTRACTS_FOLDER, folder)
        path = folder / "agreements" / f"{NAME}.yaml"
        agreement = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(agreement)
        path.write_text(yaml.safe_dump(agreement), encoding="utf-8")
        return folder

    return amend


def nothing_has_passed(zones: TwoZones, delivery_id: str) -> bool:
    with open_vault(zones.council, "district") as vault:
        kept = vault.verify().subjects
    waiting = zones.ledger("select delivery_id, state from deliveries")
    return not zones.packages(FEED) and kept == 0 and waiting == [(delivery_id, "checked")]


@pytest.mark.parametrize("night", [date(2023, 3, 31), ENDED])
def test_without_a_live_agreement_no_row_passes(zones: TwoZones, night: date) -> None:
    delivery_id = zones.stage(FEED, ROWS)
    with pytest.raises(AgreementError, match="not live"):
        pseudonymise_deliveries(zones.council, FEED, [delivery_id], night)
    assert nothing_has_passed(zones, delivery_id)
    assert pseudonymise_deliveries(zones.council, FEED, [delivery_id], NIGHT).rows == 2


def test_with_one_column_unnamed_no_row_passes(zones: TwoZones, amended: Amend) -> None:
    folder = amended(lambda agreement: agreement["feeds"][FEED]["accounts"].remove("band"))
    delivery_id = zones.stage(FEED, ROWS)
    narrowed = CouncilZone.open(zones.home, folder)
    with pytest.raises(AgreementError, match="does not name band"):
        pseudonymise_deliveries(narrowed, FEED, [delivery_id], NIGHT)
    assert nothing_has_passed(zones, delivery_id)


def columns_that_leave() -> Iterator[tuple[FeedContract, str, str]]:
    for contract in read_contracts().values():
        for table in contract.payload_tables:
            for column in table.payload_columns:
                yield contract, table.name, column.name


def test_every_single_column_of_every_feed_stops_its_feed_when_it_is_not_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, tried = read_agreement(NAME), 0
    for contract, table, column in columns_that_leave():
        tables = whole.feeds[contract.feed]
        others = tuple(name for name in tables[table] if name != column)
        feeds = {**whole.feeds, contract.feed: {**tables, table: others}}
        narrowed = whole.model_copy(update={"feeds": feeds})
        monkeypatch.setattr(agreements, "read_agreement", lambda *_, narrowed=narrowed: narrowed)
        with pytest.raises(AgreementError, match=column):
            require_agreement(contract, NIGHT)
        tried += 1
    print(f"{tried} columns of {len(read_contracts())} feeds, each left unnamed once: {tried} refused")
    assert tried > 100


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(
            lambda a: a.update(ends_on=date(2024, 12, 31)), "not live", id="ended before it was received"
        ),
        pytest.param(
            lambda a: a["feeds"][FEED]["accounts"].remove("band"), "does not name band", id="a column less"
        ),
        pytest.param(lambda a: a["feeds"].pop(FEED), "does not name", id="the feed is not in it"),
        pytest.param(lambda a: a["parties"].remove("district"), "no party", id="the partner is no party"),
    ],
)
def test_the_data_centre_opens_nothing_that_its_own_agreement_does_not_cover(
    zones: TwoZones, amended: Amend, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    pseudonymise_deliveries(zones.council, FEED, [zones.stage(FEED, ROWS)], NIGHT)
    contract = CouncilZone.open(zones.home, amended(change)).contracts[FEED]
    report = open_packages(zones.analytics, contract)
    assert (report.packages, report.rows, report.link_key_rows) == (0, 0, 0)
    assert says in report.refused[0].reason
    assert zones.warehouse("select count(*) from records.council_tax__accounts") == [(0,)]
    assert zones.linkage("select count(*) from link_keys") == [(0,)]
    assert zones.open(FEED).packages == 1


def test_a_package_under_an_agreement_that_we_do_not_know_is_refused(zones: TwoZones) -> None:
    contract = zones.council.contracts[FEED]
    pseudonymise_deliveries(zones.council, FEED, [zones.stage(FEED, ROWS)], NIGHT)
    report = open_packages(zones.analytics, replace(contract, agreement="another_agreement"))
    assert "isa_household_support, not another_agreement" in report.refused[0].reason


def test_no_identifier_leaves_as_it_is() -> None:
    leaving: dict[Identifier, set[Leaves | None]] = {}
    for contract in read_contracts().values():
        for table in contract.payload_tables:
            for column in table.columns:
                if column.identifier:
                    leaving.setdefault(column.identifier, set()).add(column.leaves)
    wrong = {
        identifier: ways
        for identifier, ways in leaving.items()
        if not ways <= HOW_IDENTIFIERS_MAY_LEAVE.get(identifier, {None})
    }
    assert wrong == {}
    assert {Identifier.FULL_NAME, Identifier.ADDRESS, Identifier.DATE_OF_BIRTH, Identifier.NINO} <= set(
        leaving
    )


def test_the_agreement_names_no_column_that_the_contracts_do_not_have() -> None:
    named = {
        (feed, table, column)
        for feed, tables in read_agreement(NAME).feeds.items()
        for table, columns in tables.items()
        for column in columns
    }
    assert named == {(contract.feed, table, column) for contract, table, column in columns_that_leave()}


def test_what_arrives_of_a_person_is_a_year_of_birth_and_references(zones: TwoZones) -> None:
    pseudonymise_deliveries(zones.council, FEED, [zones.stage(FEED, ROWS)], NIGHT)
    zones.open(FEED)
    ((year, account, home),) = zones.warehouse(
        "select year_of_birth, account_ref, property_ref from records.council_tax__accounts "
        "where year_of_birth is not null"
    )
    assert year == 1980
    assert "70000001" not in account
    assert "100000000001" not in home
