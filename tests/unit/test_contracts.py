"""Feed contracts: what they say of identifiers, payload and files, and how a broken one is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from governance.contracts import (
    CONTRACTS_FOLDER,
    ContractError,
    FeedContract,
    Leaves,
    read_contract,
    read_contracts,
)

CONTRACTS = read_contracts()

Rewrite = Callable[[str, str], Path]


@pytest.fixture
def rewritten(tmp_path: Path) -> Rewrite:
    """Copy the council tax contract with one piece replaced."""

    def rewrite(old: str, new: str) -> Path:
        path = tmp_path / "council_tax.odcs.yaml"
        shutil.copy(CONTRACTS_FOLDER / "feeds" / path.name, path)
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return path

    return rewrite


def test_the_feeds_are_read_in_order_of_their_names() -> None:
    assert list(CONTRACTS) == sorted(CONTRACTS)
    assert {"address_gazetteer", "council_tax", "housing_tenancies"} < set(CONTRACTS)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_no_identifier_leaves_as_it_is(contract: FeedContract) -> None:
    for table in contract.tables:
        for column in table.columns:
            if column.identifier is not None:
                assert column.leaves in {None, Leaves.YEAR, Leaves.PROPERTY}, column.name


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_every_payload_begins_with_its_reference_and_names_nothing_twice(contract: FeedContract) -> None:
    for table in contract.tables:
        names = table.payload_schema.names
        assert names[0] == "record_ref"
        assert len(set(names)) == len(names)
        assert len(table.payload_columns) + 1 == len(names)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_the_file_pattern_tells_date_and_kind(contract: FeedContract) -> None:
    for table in contract.tables:
        assert {"delivery_date", "kind"} <= set(table.file_pattern.groupindex)


def test_a_date_of_birth_leaves_as_a_year_and_a_uprn_as_a_reference() -> None:
    accounts = CONTRACTS["council_tax"].table("accounts")
    schema = accounts.payload_schema
    assert schema.field("year_of_birth").type == pa.int64()
    assert schema.field("property_ref").type == pa.string()
    assert schema.field("account_ref").type == pa.string()
    assert not {"date_of_birth", "uprn", "lead_liab_name", "addr1", "party_ref"} & set(schema.names)


def test_a_table_that_names_nobody_has_no_link_keys() -> None:
    tax = CONTRACTS["council_tax"]
    assert tax.table("accounts").holds_people
    assert not tax.table("recovery_stages").holds_people
    assert tax.holds_people
    assert not CONTRACTS["address_gazetteer"].holds_people


def test_the_key_is_in_the_order_that_the_contract_numbers() -> None:
    names = [column.name for column in CONTRACTS["council_tax"].table("recovery_stages").key]
    assert names == ["account_ref", "stage_code", "stage_date"]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "{property: identifier, value: uprn}",
            "{property: identifier, value: house}",
            "'house' is not one of",
        ),
        ("{property: leaves, value: year}", "{property: leaves, value: whole}", "'whole' is not one of"),
        ("logicalType: integer", "logicalType: roman", "'roman' is not one of"),
        ("(?P<kind>full|changes)", "(full|changes)", "kind"),
    ],
)
def test_a_broken_contract_is_refused_with_file_and_place(
    rewritten: Rewrite, old: str, new: str, complaint: str
) -> None:
    path = rewritten(old, new)
    with pytest.raises(ContractError, match=complaint) as refused:
        read_contract(path)
    assert path.name in str(refused.value)


def test_a_table_without_a_key_is_refused(rewritten: Rewrite) -> None:
    path = rewritten("primaryKey: true", "primaryKey: false")
    path.write_text(
        path.read_text(encoding="utf-8").replace("primaryKey: true", "primaryKey: false"), encoding="utf-8"
    )
    with pytest.raises(ContractError, match="primaryKey"):
        read_contract(path)


def test_an_unknown_table_is_not_found() -> None:
    with pytest.raises(KeyError, match="council_tax has no table cars"):
        CONTRACTS["council_tax"].table("cars")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("name: band,", "name: kind, physicalName: band,", "every payload row has a kind of its own"),
        ("name: lead_liab_title,", "name: row_number,", "every row has a row_number of its own"),
        ("name: band,", "name: property_ref, physicalName: band,", "leaves as property_ref, as uprn does"),
    ],
)
def test_a_column_whose_name_is_taken_is_refused(
    rewritten: Rewrite, old: str, new: str, complaint: str
) -> None:
    with pytest.raises(ContractError, match=complaint):
        read_contract(rewritten(old, new))


TWO_SERVERS = """servers:
  - server: columns
    type: local
    format: fixed_width
    path: council_tax
    customProperties:
      - {property: encoding, value: utf-8}
      - {property: dateFormats, value: ["%Y%m%d"]}
"""
LAID_OUT = """    properties:
      - name: account_ref
        primaryKey: true
        customProperties: [{property: start, value: 1}, {property: width, value: 8}]
      - name: balance
        logicalType: number
        customProperties: [{property: start, value: 9}, {property: width, value: 10}]
"""


@pytest.fixture
def laid_out(tmp_path: Path) -> Rewrite:
    """A feed with a CSV table and a fixed width one, with one piece replaced."""

    def rewrite(old: str, new: str) -> Path:
        text = (CONTRACTS_FOLDER / "feeds" / "council_tax.odcs.yaml").read_text(encoding="utf-8")
        text = text.replace("schema:\n", TWO_SERVERS.replace("servers:\n", "") + "schema:\n", 1)
        head, tail = text.split("  - name: recovery_stages\n")
        before, after = tail.split("    properties:\n")
        rest = after[after.index("    quality:\n") :]
        before += "    customProperties: [{property: server, value: columns}]\n"
        text = head + "  - name: recovery_stages\n" + before + LAID_OUT + rest
        assert old in text
        path = tmp_path / "council_tax.odcs.yaml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return path

    return rewrite


def test_each_table_is_read_in_the_format_of_the_server_it_names(laid_out: Rewrite) -> None:
    contract = read_contract(laid_out("", ""))
    accounts, stages = contract.table("accounts"), contract.table("recovery_stages")
    assert (accounts.format.format, accounts.format.encoding) == ("csv", "cp1252")
    assert (stages.format.format, stages.format.date_formats) == ("fixed_width", ("%Y%m%d",))
    assert [(column.start, column.width) for column in stages.columns] == [(1, 8), (9, 10)]
    assert contract.format == "csv"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "{property: start, value: 9}",
            "{property: start, value: 8}",
            "begins at 8, but account_ref ends at 8",
        ),
        ("{property: start, value: 9}, ", "", "needs `start`"),
        ("{property: width, value: 10}", "{property: width, value: ten}", "'ten' is not a whole number"),
        ("format: fixed_width", "format: fixed", "'fixed' is not one of csv, fixed_width, jsonl, xml"),
        ("{property: server, value: columns}", "{property: server, value: rows}", "'rows' is not one of"),
        ("name: band,", "name: band, physicalName: ../band,", "only XML has elements above the row"),
        ("council_tax_recovery_", "council_tax_accounts_", "same file as accounts in another format"),
    ],
)
def test_a_table_whose_place_in_the_file_is_unclear_is_refused(
    laid_out: Rewrite, old: str, new: str, complaint: str
) -> None:
    with pytest.raises(ContractError, match=complaint):
        read_contract(laid_out(old, new))
