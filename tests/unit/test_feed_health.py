"""Feed health: what is said of changes between deliveries, in counts and by the contract's own words alone."""

from __future__ import annotations

from base64 import b64encode
from datetime import date, timedelta
from typing import Any

import pytest
from markupsafe import escape

from bridge.address_quality import keep_homes
from bridge.deliveries.ledger import writing
from bridge.health.feed_health import Drift, code_shift, deliveries_before, feed_health
from bridge.health.feed_page import renew_homes, write_feed_page
from bridge.health.feed_plots import trends
from expectations.rules import delivery_rules, row_rules

HEADER = "account_ref,stage_code,stage_date,balance"
ACCOUNTS = (
    "account_ref,lead_liab_pos,party_ref,lead_liab_title,lead_liab_name,date_of_birth,uprn,addr1,addr2,addr3,"
    "postcode,for_addr1,for_postcode,occupation_date,vacation_date,discount_code,band,ctr_ind\n"
    "1,1,P1,Ms,ZEBRAWORTH Zoe,,100001,1 Canary Row,,Town,ZZ1 1AA,,,01/04/2020,,SPD,A,N\n"
)


def drop(council: Any, week: int, codes: dict[str, int], extra: str = "") -> None:
    """Drop a week of council tax with so many recovery stages of each code."""
    day = date(2024, 5, 6) + timedelta(weeks=week)
    rows, number = [], 0
    for code, count in codes.items():
        for _ in range(count):
            number += 1
            rows.append(f"{number},{code},2024-05-01,10{',x' if extra else ''}")
    received = (day + timedelta(days=3)).isoformat()
    body = "\n".join([HEADER + extra, *rows]) + "\n"
    council.drop("council_tax", f"council_tax_accounts_{day:%Y%m%d}_changes.csv", ACCOUNTS, received)
    council.drop("council_tax", f"council_tax_recovery_{day:%Y%m%d}_changes.csv", body, received)


def drift(council: Any) -> list[Drift]:
    """Return what is said of the newest delivery of council tax."""
    health = feed_health(council.zone, "council_tax")
    return list(health.drift([health.tables["recovery_stages"][-1].delivery.delivery_id]))


def test_nothing_is_said_of_deliveries_that_are_alike(council: Any) -> None:
    for week in range(3):
        drop(council, week, {"REMINDER1": 50, "FINAL": 40})
    council.load("council_tax")
    assert drift(council) == []


def test_a_code_that_none_had_before_and_one_that_is_gone_are_told_with_counts(council: Any) -> None:
    drop(council, 0, {"REMINDER1": 50, "FINAL": 40})
    drop(council, 1, {"REMINDER1": 50, "ENFORCEMENT": 30})
    council.load("council_tax")
    assert [(each.column, each.code, each.rows) for each in drift(council)] == [
        ("stage_code", "FINAL", 0),
        ("stage_code", "ENFORCEMENT", 30),
    ]
    assert "about 36 were to be expected" in drift(council)[0].says
    assert "30 rows have a code that none had before" in drift(council)[1].says


def test_a_few_people_with_a_new_code_are_not_counted_out(council: Any) -> None:
    drop(council, 0, {"REMINDER1": 50})
    drop(council, 1, {"REMINDER1": 50, "ENFORCEMENT": 3})
    council.load("council_tax")
    assert [each.says for each in drift(council)] == ["fewer than 8 rows have a code that none had before"]


def test_what_is_no_code_of_the_contract_is_counted_and_never_shown(council: Any) -> None:
    drop(council, 0, {"REMINDER1": 50})
    drop(council, 1, {"REMINDER1": 50, "ZEBRAWORTH": 2})
    council.load("council_tax")
    (found,) = drift(council)
    assert (found.column, found.code, found.rows) == ("stage_code", None, 2)
    stored = council.query("select string_agg(profile::varchar, '') from delivery_profiles")[0][0]
    assert "ZEBRA" not in repr(found) + stored


def test_a_new_column_is_told_by_its_number_alone(council: Any) -> None:
    drop(council, 0, {"REMINDER1": 5}, extra=",zebraworth")
    council.load("council_tax")
    assert [each.says for each in drift(council)] == ["1 column(s) are not in the contract and were dropped"]


def test_the_same_is_said_whatever_order_the_deliveries_came_in(
    council: Any, council_at: Any, tmp_path: Any
) -> None:
    other = council_at(tmp_path / "other")
    weeks: list[dict[str, int]] = [{"REMINDER1": 50, "FINAL": 40}, {"REMINDER1": 70}, {"CLEARED": 90}]
    for each, order in ((council, (0, 1, 2)), (other, (2, 0, 1))):
        for week in order:
            drop(each, week, weeks[week])
            each.load("council_tax")
    told = [(each.table, each.column, each.code, each.rows) for each in drift(council)]
    assert told == [(each.table, each.column, each.code, each.rows) for each in drift(other)]
    assert len(told) > 1


def test_the_shift_of_a_code_list_is_the_share_that_would_have_to_change(council: Any) -> None:
    drop(council, 0, {"REMINDER1": 50, "FINAL": 50})
    drop(council, 1, {"REMINDER1": 75, "FINAL": 25})
    council.load("council_tax")
    history = feed_health(council.zone, "council_tax").tables["recovery_stages"]
    assert code_shift(history[0], [], "stage_code") is None
    assert code_shift(history[1], deliveries_before(history, 1), "stage_code") == pytest.approx(0.25)
    assert [each.days_to_arrive for each in history] == [3, 3]
    assert history[0].profile.empty["balance"] == 0


def test_the_page_of_a_feed_shows_every_rule_and_no_value_of_its_files(council: Any) -> None:
    drop(council, 0, {"REMINDER1": 50})
    drop(council, 1, {"REMINDER1": 50, "ZEBRAWORTH": 2})
    council.load("council_tax")
    contract = council.zone.contracts["council_tax"]
    health = feed_health(council.zone, "council_tax")
    plot = trends(health, contract.latency_days)
    page = write_feed_page(council.zone, contract, health, plot).read_text(encoding="utf-8")
    for table in contract.tables:
        for rule in (*row_rules(table), *delivery_rules(contract, table)):
            assert f"<code>{escape(rule.name)}</code>" in page
    assert '<td class="count broken">2</td>' in page
    assert "2 values are none of the contract&#39;s codes" in page
    assert plot is not None
    text = page.replace(b64encode(plot).decode(), "").casefold()
    for value in ("zebra", "canary", "zz1 1aa", "100001", "01/04/2020"):
        assert value not in text


def test_the_page_tells_how_homes_were_found_once_its_deliveries_are_sealed(council: Any) -> None:
    drop(council, 0, {"REMINDER1": 50})
    council.load("council_tax")
    contract = council.zone.contracts["council_tax"]
    page = write_feed_page(council.zone, contract, feed_health(council.zone, "council_tax"), None)
    assert "<h2>Homes</h2>" not in page.read_text(encoding="utf-8")
    with writing(council.zone) as ledger:
        keep_homes(ledger, "council_tax", {"2024-05-06-changes-0": {"given": 17, "parent": 4}})
    renew_homes(council.zone, "council_tax")
    renew_homes(council.zone, "council_tax")
    text = page.read_text(encoding="utf-8")
    assert text.count("<h2>Homes</h2>") == 1
    assert '<td>2024-05-06-changes-0</td><td class="count">17</td>' in text
    assert text.rstrip().endswith("</html>")
