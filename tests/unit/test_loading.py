"""Loading: many deliveries together, again, half-way, and from a feed that nobody has written Python for."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import bridge.deliveries.loading as loading
from governance.contracts import CONTRACTS_FOLDER

HEADER = "uprn,parent_uprn,address,postcode,property_class,lsoa_code,ward_code\n"
HOME = "100001,,1 Canary Row,ZZ1 1AA,RD04,E01000001,E05000001\n"
FLAT = "100002,100001,Flat 2,ZZ1 1AA,RD06,E01000001,E05000001\n"
BROKEN = "no number,,2 Canary Row,ZZ1 1AA,RD04,E01000001,E05000001\n"

SCHOOL_MEALS = """
apiVersion: v3.1.0
kind: DataContract
id: school_meals
name: school_meals
version: 1.0.0
status: active
servers:
  - server: inbox
    type: local
    format: csv
    customProperties:
      - {property: delimiter, value: ";"}
      - {property: dateFormats, value: ["%d.%m.%Y"]}
schema:
  - name: meals
    physicalName: 'meals_(?P<delivery_date>\\d{8})_(?P<kind>full|changes)\\.csv'
    description: One row per child and term.
    properties:
      - {name: child_ref, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 1}
      - name: child_surname
        logicalType: string
        required: true
        customProperties: [{property: identifier, value: surname}]
      - {name: free_since, logicalType: date, customProperties: [{property: leaves, value: as_is}]}
      - {name: weekly_meals, logicalType: integer, logicalTypeOptions: {minimum: 0, maximum: 5}}
      - {name: pays, logicalType: boolean}
    quality:
      - type: library
        metric: rowCount
        mustBeGreaterOrEqualTo: 2
        severity: error
        description: A school has two children.
      - type: custom
        engine: greatExpectations
        severity: error
        description: A surname has at least two letters.
        implementation:
          type: expect_column_value_lengths_to_be_between
          kwargs: {column: child_surname, min_value: 2}
      - type: custom
        engine: greatExpectations
        severity: error
        description: Most children eat more than once a week.
        implementation: {type: expect_column_mean_to_be_between, kwargs: {column: weekly_meals, min_value: 1}}
      - type: custom
        engine: greatExpectations
        severity: warning
        description: Free meals began after 2000.
        implementation:
          type: expect_column_values_to_be_between
          kwargs: {column: free_since, min_value: "2000-01-01"}
slaProperties:
  - {property: frequency, value: 31, unit: d}
  - {property: latency, value: 5, unit: d}
team:
  - {username: meals@county.example, role: owner}
customProperties:
  - {property: partner, value: county}
  - {property: agreement, value: isa_household_support}
  - {property: retentionRule, value: partner_records}
"""


def drop(council: Any, day: str, rows: str) -> None:
    landing = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    council.drop("address_gazetteer", f"address_gazetteer_{day}_full.csv", HEADER + rows, landing)


def staged(council: Any) -> list[tuple[Any, ...]]:
    return list(council.query("from checked_address_gazetteer__addresses order by delivery_id, row_number"))


def test_many_deliveries_are_loaded_together_and_kept_apart(council: Any) -> None:
    drop(council, "20240501", HOME + FLAT)
    drop(council, "20240601", HOME + BROKEN + FLAT)
    report = council.load("address_gazetteer")
    assert [(each.rows_in, each.rows_quarantined, each.state) for each in report.deliveries] == [
        (2, 0, "checked"),
        (3, 1, "checked"),
    ]
    assert council.query(
        "select row_number from checked_address_gazetteer__addresses order by delivery_id, 1"
    ) == [
        *((1,), (2,)),
        *((1,), (3,)),
    ]
    assert [(each.rows_in, each.rows_quarantined) for each in council.deliveries()] == [(2, 0), (3, 1)]


def test_the_verdict_names_the_rule_the_delivery_and_the_row(council: Any) -> None:
    drop(council, "20240501", HOME + BROKEN)
    (table,) = council.load("address_gazetteer").tables
    broken = [rule for rule in table.row_rules if not rule.passed]
    delivery = council.deliveries()[0].delivery_id
    assert [(rule.name, rule.broken, rule.where) for rule in broken] == [
        ("pattern(uprn)", 1, (f"{delivery} row 2",))
    ]
    assert len(table.row_rules) > 8
    assert all(rule.passed for rule in table.delivery_rules)


def test_a_report_has_a_verdict_on_every_table_also_without_anything_to_load(council: Any) -> None:
    report = council.load("council_tax")
    assert [table.table for table in report.tables] == ["accounts", "recovery_stages"]
    assert (report.loaded, report.blocking_failure) == (0, False)
    assert asdict(report)["feed"] == "council_tax"


def test_loading_again_changes_nothing(council: Any) -> None:
    drop(council, "20240501", HOME + BROKEN + FLAT)
    council.load("address_gazetteer")
    before = staged(council), council.deliveries()
    assert council.load("address_gazetteer").loaded == 0
    assert (staged(council), council.deliveries()) == before


def test_a_load_that_was_killed_before_the_ledger_is_done_again_with_the_same_outcome(
    council: Any, council_at: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = council_at(tmp_path / "undisturbed")
    shutil.rmtree(undisturbed.zone.home.council_keys)
    shutil.copytree(council.zone.home.council_keys, undisturbed.zone.home.council_keys)
    for each in (council, undisturbed):
        drop(each, "20240501", HOME + BROKEN + FLAT)
        drop(each, "20240601", "")
        each.drop("address_gazetteer", "address_gazetteer_20240701_full.csv", b"%PDF", "2024-07-01")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loading, "_stage", killed)
        council.load("address_gazetteer")
    assert [each.state for each in council.deliveries()] == ["registered"] * 3
    rows = "select * exclude (rule, remedy) from quarantined_rows"
    assert len(council.quarantine("address_gazetteer", rows)) == 1

    council.load("address_gazetteer")
    undisturbed.load("address_gazetteer")
    assert staged(council) == staged(undisturbed)
    assert council.deliveries() == undisturbed.deliveries()
    assert council.quarantine("address_gazetteer", rows) == undisturbed.quarantine("address_gazetteer", rows)


def test_a_file_that_was_replaced_after_it_was_registered_is_refused_and_its_successor_taken(
    council: Any,
) -> None:
    drop(council, "20240501", HOME)
    council.register()
    drop(council, "20240501", HOME + FLAT)
    report = loading.load_deliveries(council.zone, "address_gazetteer", [council.deliveries()[0].delivery_id])
    assert "taken away or replaced after it was registered" in report.messages[0]
    assert council.load("address_gazetteer").rows_accepted == 2


def test_a_refused_delivery_can_be_loaded_again_once_its_contract_was_put_right(council: Any) -> None:
    drop(council, "20240501", BROKEN)
    assert council.load("address_gazetteer").refused == 1
    ids = [each.delivery_id for each in council.deliveries()]
    assert loading.load_deliveries(council.zone, "address_gazetteer", ids).loaded == 0
    assert loading.load_deliveries(council.zone, "address_gazetteer", ids, again=True).refused == 1


def test_more_files_than_fit_in_memory_are_loaded_in_several_passes(
    council: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "BATCH_BYTES", 200)
    drop(council, "20240501", HOME + FLAT)
    drop(council, "20240601", HOME + BROKEN)
    report = council.load("address_gazetteer")
    assert (report.loaded, report.rows_accepted, report.rows_quarantined) == (2, 3, 1)
    (table,) = report.tables
    assert {rule.checked for rule in table.row_rules} == {4}
    assert [rule.broken for rule in table.row_rules if rule.name == "pattern(uprn)"] == [1]


def test_too_many_broken_rows_in_all_stop_the_feed(council: Any) -> None:
    rows = "".join(FLAT.replace("100002", f"2{number:05}") for number in range(100))
    for month in range(1, 4):
        drop(council, f"2024{month:02}01", rows + "".join(BROKEN.replace("no", f"no{n}") for n in range(9)))
    report = council.load("address_gazetteer")
    assert (report.checked, report.rows_quarantined) == (3, 27)
    assert report.blocking_failure


@pytest.fixture
def with_school_meals(tmp_path: Path, council_at: Any) -> Any:
    """A council with a sixth feed: one more contract, and no Python."""
    folder = tmp_path / "contracts"
    shutil.copytree(CONTRACTS_FOLDER, folder)
    (folder / "feeds" / "school_meals.odcs.yaml").write_text(SCHOOL_MEALS, encoding="utf-8")
    return council_at(tmp_path / "home", folder)


def test_a_new_feed_needs_a_contract_and_no_python(with_school_meals: Any) -> None:
    header = "child_ref;child_surname;free_since;weekly_meals;pays\n"
    good = "A;Canary;01.09.2023;5;N\nB;Canary;;2;yes\nC;X;01.09.2023;5;N\nD;Canary;02.09.1999;9;N\n"
    hungry = "A;Canary;;0;N\nB;Canary;;0;N\n"
    council = with_school_meals
    council.drop("school_meals", "meals_20240501_full.csv", header + good, "2024-05-02")
    council.drop("school_meals", "meals_20240601_full.csv", header + "A;Canary;;1;N\n", "2024-06-02")
    council.drop("school_meals", "meals_20240701_full.csv", header + hungry, "2024-07-02")
    report = council.load("school_meals")
    assert [each.state for each in report.deliveries] == ["checked", "refused", "refused"]
    rows = council.query(
        "select child_ref, free_since::varchar, weekly_meals, pays from checked_school_meals__meals "
        "order by row_number"
    )
    assert rows == [("A", "2023-09-01", 5, False), ("B", None, 2, True)]
    told = "\n".join(report.messages)
    assert "row 3, column child_surname: a surname has at least two letters" in told
    assert "row 4, column weekly_meals: a value lies between 0 and 5" in told
    assert "row 4, column free_since: free meals began after 2000" in told
    assert "this rule only warns" in told
    assert "a school has two children (rowCount at 2 or above)" in told
    assert "meals_20240701_full.csv: most children eat more than once a week" in told
