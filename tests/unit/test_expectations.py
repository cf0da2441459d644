"""Contract → rules → suite → verdict."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from bridge.files.typed_columns import open_ended_date, typed_columns
from expectations.rules import DELIVERY_ID, FORMULA_FLAG, Rule, delivery_rules, row_rules, unreadable_flag
from expectations.suites import suite_for, suite_of
from expectations.validation import PROFILE_SCHEMA, check_deliveries, check_rows
from governance.contracts import ContractError, FeedContract, QualityRule, Table, read_contracts

CONTRACTS = read_contracts()
COUNCIL_TAX = CONTRACTS["council_tax"]
RECOVERY = COUNCIL_TAX.table("recovery_stages")


def typed(contract: FeedContract, table: Table, *rows: dict[str, str]) -> pa.Table:
    """Type rows given as text; what is not given is empty."""
    schema = pa.schema([(DELIVERY_ID, pa.string()), ("row_number", pa.int64())])
    for column in table.columns:
        schema = schema.append(pa.field(column.name, pa.string()))
    texts = [{DELIVERY_ID: "d1", "row_number": number, **row} for number, row in enumerate(rows, start=1)]
    return typed_columns(contract, table, pa.Table.from_pylist(texts, schema=schema))


def stage(**changes: str) -> dict[str, str]:
    good = {"account_ref": "1", "stage_code": "FINAL", "stage_date": "01/02/2024", "balance": "10"}
    return good | changes


def broken_rules(*rows: dict[str, str]) -> dict[str, tuple[int, ...]]:
    """Return the positions of the rows that break each rule of the recovery stages."""
    found = check_rows(COUNCIL_TAX, RECOVERY, typed(COUNCIL_TAX, RECOVERY, *rows))
    return {broken.rule.name: broken.positions for broken in found.broken}


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=list(CONTRACTS))
def test_every_contract_makes_a_suite_with_a_rule_for_each_promise(contract: FeedContract) -> None:
    for table in contract.tables:
        rules = row_rules(table)
        suite = suite_for(contract, table)
        assert len(suite.expectations) == len(rules) == len({rule.name for rule in rules})
        names = {rule.name for rule in rules}
        for column in table.columns:
            assert not column.required or f"required({column.name})" in names
            assert not column.codes or f"codes({column.name})" in names
            assert not column.pattern or f"pattern({column.name})" in names
            assert column.type == "string" or f"{column.type}({column.name})" in names
        assert all(
            rule.says and rule.remedy.endswith(".") for rule in (*rules, *delivery_rules(contract, table))
        )


def test_good_rows_break_no_rule() -> None:
    assert broken_rules(stage(), stage(account_ref="2")) == {}


def test_each_rule_finds_its_rows() -> None:
    broken = broken_rules(
        stage(),
        stage(account_ref="2", stage_code="BAILIFF"),
        stage(account_ref=" "),
        stage(account_ref="4", balance="-1"),
        stage(account_ref="5", balance="many"),
        stage(account_ref="6", stage_date="30/02/2024"),
        stage(),
    )
    assert broken == {
        "codes(stage_code)": (1,),
        "required(account_ref)": (2,),
        "range(balance)": (3,),
        "number(balance)": (4,),
        "date(stage_date)": (5,),
        "unique(account_ref, stage_code, stage_date)": (6,),
    }


def test_a_verdict_names_places_and_holds_no_value() -> None:
    batch = typed(COUNCIL_TAX, RECOVERY, stage(), stage(account_ref="ZEBRA", stage_code="BAILIFF"))
    found = check_rows(COUNCIL_TAX, RECOVERY, batch)
    verdict = next(each for each in found.verdicts if not each.passed)
    assert (verdict.name, verdict.checked, verdict.broken, verdict.where) == (
        "codes(stage_code)",
        2,
        1,
        ("d1 row 2",),
    )
    assert "ZEBRA" not in repr(found)
    assert "BAILIFF" not in repr(found)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        *(("10", 10.0), ("-10.50", -10.5), ("£1,234.50", 1234.5), (" 7 ", 7.0), ("1,234,567", 1234567.0)),
        *((text, None) for text in ("1e5", "inf", "nan", "12,34", "1_000", "ten", "10 pounds", "--1")),
    ],
)
def test_amounts_are_read_as_money_is_written_and_nothing_else_is(text: str, amount: float | None) -> None:
    batch = typed(COUNCIL_TAX, RECOVERY, stage(balance=text))
    assert batch.column("balance").to_pylist() == [amount]
    assert batch.column(unreadable_flag("balance")).to_pylist() == [amount is None]


@pytest.mark.parametrize(
    ("feed", "text", "day"),
    [
        ("council_tax", "29/02/2024", date(2024, 2, 29)),
        ("council_tax", "2024-02-29", date(2024, 2, 29)),
        ("council_tax", "29/02/2023", None),
        ("council_tax", "29-FEB-2024", None),
        ("council_tax", "01/02/1749", None),
        ("housing_tenancies", "29-FEB-2024", date(2024, 2, 29)),
        ("housing_tenancies", "29-Feb-2024", date(2024, 2, 29)),
    ],
)
def test_dates_are_read_in_the_contracts_formats_alone(feed: str, text: str, day: date | None) -> None:
    contract = CONTRACTS[feed]
    table = contract.tables[-1]
    column = next(column.name for column in table.columns if column.type == "date")
    batch = typed(contract, table, {column: text})
    assert batch.column(column).to_pylist() == [day]
    assert batch.column(unreadable_flag(column)).to_pylist() == [day is None]


@pytest.mark.parametrize("text", ["2099-12-31", "31/12/2099"])
def test_the_open_ended_date_is_read_as_no_date_yet(text: str) -> None:
    batch = typed(COUNCIL_TAX, COUNCIL_TAX.table("accounts"), {"vacation_date": text})
    assert batch.column("vacation_date").to_pylist() == [None]
    assert batch.column(unreadable_flag("vacation_date")).to_pylist() == [False]


def test_an_open_ended_date_in_no_format_of_the_contract_is_an_error_of_the_contract() -> None:
    with pytest.raises(ContractError, match=r"council_tax\.odcs\.yaml: openEndedDate"):
        open_ended_date(
            COUNCIL_TAX, replace(RECOVERY, format=replace(RECOVERY.format, open_ended_date="end of time"))
        )


def test_text_is_trimmed_and_empty_is_null() -> None:
    batch = typed(
        COUNCIL_TAX, RECOVERY, stage(account_ref=" 1\u00a0"), stage(account_ref="\t"), stage(account_ref="")
    )
    assert batch.column("account_ref").to_pylist() == ["1", None, None]


@pytest.mark.parametrize(
    ("text", "is_formula"),
    [
        *(
            (text, True)
            for text in ("=1+1", ' =HYPERLINK("x")', "@SUM(A1)", "+cmd|' /C calc'!A0", "-sum (A1)")
        ),
        *((text, False) for text in ("+44 1632 960001", "-", "- unknown", "a=b", "@home", "-5")),
    ],
)
def test_a_spreadsheet_formula_is_told_from_a_phone_number(text: str, is_formula: bool) -> None:
    batch = typed(COUNCIL_TAX, RECOVERY, stage(account_ref=text))
    assert batch.column(FORMULA_FLAG).to_pylist() == [is_formula]


def profile(**changes: Any) -> dict[str, Any]:
    good = {
        "row_count": 100,
        "repeated_keys": 0,
        "broken_rows": 0,
        "broken_rows_too_many": 0,
        "nothing_left": False,
    }
    return {DELIVERY_ID: "d1"} | good | changes


def test_a_delivery_rule_names_the_deliveries_that_break_it() -> None:
    profiles = pa.Table.from_pylist(
        [profile(), profile(delivery_id="d2", row_count=0)], schema=PROFILE_SCHEMA
    )
    found = check_deliveries(COUNCIL_TAX, COUNCIL_TAX.table("accounts"), profiles)
    assert [(broken.rule.name, broken.delivery_ids) for broken in found.broken] == [("rowCount", ("d2",))]


def with_quality(rule: QualityRule) -> Table:
    return replace(RECOVERY, quality=(rule,))


def test_an_unknown_library_metric_is_an_error_of_the_contract() -> None:
    rule = QualityRule("", "freshness", 1, None, None, {}, True)
    with pytest.raises(ContractError, match="metric 'freshness' is not one of rowCount"):
        delivery_rules(COUNCIL_TAX, with_quality(rule))


def test_an_unknown_expectation_is_an_error_of_the_contract() -> None:
    rule = Rule("r", "", "", "expect_the_unexpected", {})
    with pytest.raises(ContractError, match="expect_the_unexpected cannot be made"):
        suite_of(COUNCIL_TAX, RECOVERY, [rule])


def test_two_rules_of_the_same_kind_on_a_column_keep_their_own_names() -> None:
    rule = QualityRule(
        "", None, None, None, "expect_column_values_to_not_be_null", {"column": "balance"}, True
    )
    table = replace(RECOVERY, quality=(rule, rule))
    names = [each.name for each in row_rules(table)]
    assert len(names) == len(set(names))


def test_great_expectations_is_not_imported_until_there_is_a_row_to_check() -> None:
    program = (
        "import sys, bridge.deliveries.loading, bridge.deliveries.inbox, expectations.validation as v\n"
        "from governance.contracts import read_contracts\n"
        "contract = read_contracts()['council_tax']\n"
        "v.check_deliveries(contract, contract.tables[0], v.PROFILE_SCHEMA.empty_table())\n"
        "print([name for name in ('great_expectations', 'dagster') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
