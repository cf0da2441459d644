"""The retention sweep: exactly what is past due goes, from every store, with its bytes."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from two_zones import TwoZones, make_two_zones

import governance.sweep
from bridge.pseudonymise.deliveries import pseudonymise_deliveries
from exchange.transport import EXCHANGE_VARIABLE, OUTBOX, Exchange
from governance.retention import read_retention
from governance.sweep import sweep
from stores.publishing import publish, published_marts, versions

NIGHT = date(2026, 10, 6)
RULES = read_retention()
PIECE = 64

# Months from January 2023: the rules keep features for 36 months, scores and published marts for 24.
WAREHOUSE = """
create schema if not exists marts;
create schema if not exists risk;
create table marts.household_features as
    select md5('household' || (i % 100)) as household_id,
        (date '2023-01-01' + to_months((i // 100)::integer))::date as as_of_month, 'mark-' || i as text
    from range(4600) as r(i);
create table risk.scores as select household_id, as_of_month, 0.5 as score from marts.household_features;
create table marts.households as select distinct household_id from marts.household_features;
create view marts.newest as select * from marts.household_features where as_of_month = date '2026-10-01';
"""


@pytest.fixture
def zones(tmp_path: Path) -> TwoZones:
    zones = make_two_zones(tmp_path / "home")
    with zones.analytics.warehouse() as warehouse:
        warehouse.execute(WAREHOUSE)
    return zones


def oldest(zones: TwoZones, table: str) -> str:
    return str(zones.warehouse(f"select min(as_of_month) from {table}")[0][0])


def removed(report: governance.sweep.SweepReport) -> dict[str, int]:
    return {removal.place: removal.count for removal in report.removals}


def pieces(path: Path) -> set[bytes]:
    content = path.read_bytes()
    return {content[start : start + PIECE] for start in range(0, len(content), PIECE)} - {bytes(PIECE)}


def test_months_past_due_go_and_the_others_stay(zones: TwoZones) -> None:
    report = sweep(zones.analytics, Exchange.of(zones.home), NIGHT, RULES)
    assert removed(report) == {"marts.household_features": 1000, "risk.scores": 2200}
    assert oldest(zones, "marts.household_features") == "2023-11-01"
    assert oldest(zones, "risk.scores") == "2024-11-01"
    assert zones.warehouse("select count(*) from marts.households") == [(100,)]
    assert zones.warehouse("select count(*) from marts.newest") == [(100,)]
    assert report.expired_months[0] == date(2023, 1, 1)
    assert report.expired_months[-1] == date(2024, 10, 1)


def test_a_month_goes_on_its_day_and_not_the_day_before(zones: TwoZones) -> None:
    sweep(zones.analytics, Exchange.of(zones.home), date(2026, 9, 30), RULES)
    assert oldest(zones, "risk.scores") == "2024-10-01"
    sweep(zones.analytics, Exchange.of(zones.home), date(2026, 10, 1), RULES)
    assert oldest(zones, "risk.scores") == "2024-11-01"


def test_the_bytes_go_with_the_rows(zones: TwoZones) -> None:
    before = pieces(zones.home.warehouse_db)
    report = sweep(zones.analytics, Exchange.of(zones.home), NIGHT, RULES)
    assert report.rewritten == ("warehouse",)
    assert not before & pieces(zones.home.warehouse_db)
    assert zones.warehouse("select count(*) from marts.household_features where text = 'mark-7'") == [(0,)]


def test_a_night_with_nothing_due_writes_nothing(zones: TwoZones) -> None:
    sweep(zones.analytics, Exchange.of(zones.home), NIGHT, RULES)
    before = {path: path.stat().st_mtime_ns for path in zones.home.analytics.rglob("*") if path.is_file()}
    report = sweep(zones.analytics, Exchange.of(zones.home), NIGHT, RULES)
    assert (report.removals, report.rewritten, report.receipt) == ((), (), None)
    assert {
        path: path.stat().st_mtime_ns for path in zones.home.analytics.rglob("*") if path.is_file()
    } == before


def test_a_receipt_says_what_went_under_which_rule(zones: TwoZones) -> None:
    report = sweep(zones.analytics, Exchange.of(zones.home), NIGHT, RULES)
    assert report.receipt == "sweep-2026-10-06-1.json"
    receipt = json.loads((zones.home.analytics / "receipts" / report.receipt).read_text())
    assert receipt["rules"]["risk_scores"] == {"months": 24, "from": "as_of_month"}
    assert {item["place"]: item["count"] for item in receipt["removals"]} == removed(report)


def test_a_kill_before_the_rewrite_is_made_good_by_the_next_sweep(
    zones: TwoZones, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def stop(*_: object) -> None:
        raise Killed

    before = pieces(zones.home.warehouse_db)
    with monkeypatch.context() as patched:
        patched.setattr(governance.sweep, "rewrite", stop)
        with pytest.raises(Killed):
            sweep(zones.analytics, Exchange.of(zones.home), NIGHT, RULES)
    assert before & pieces(zones.home.warehouse_db)
    assert sweep(zones.analytics, Exchange.of(zones.home), NIGHT, RULES).rewritten == ("warehouse",)
    assert not before & pieces(zones.home.warehouse_db)
    assert sweep(zones.analytics, Exchange.of(zones.home), NIGHT, RULES).rewritten == ()


def test_no_published_version_keeps_a_month_that_is_past_due(zones: TwoZones) -> None:
    relations = {"features": "marts.household_features"}
    publish(zones.analytics, "analysts", relations)
    with zones.analytics.warehouse() as warehouse:
        warehouse.execute("update marts.household_features set text = 'other'")
    publish(zones.analytics, "analysts", relations)
    report = sweep(zones.analytics, Exchange.of(zones.home), NIGHT, RULES)
    assert removed(report)["published/analysts"] == 2
    assert [manifest.oldest_month for manifest in versions(zones.analytics, "analysts")] == ["2024-11-01"]
    with published_marts(zones.analytics, "analysts") as marts:
        assert marts.execute("select count(*), min(as_of_month)::varchar from features").fetchall() == [
            (2400, "2024-11-01")
        ]


def test_records_and_link_keys_past_due_go_with_their_packages(tmp_path: Path) -> None:
    zones = make_two_zones(tmp_path / "home")
    account = {"lead_liab_pos": 1, "lead_liab_name": "Example, Ada", "occupation_date": date(2015, 1, 1)}
    old, kept = date(2023, 10, 6), date(2023, 10, 7)
    ids = [
        zones.stage(
            "council_tax", {"accounts": [{**account, "account_ref": str(delivered)}]}, delivered=delivered
        )
        for delivered in (old, kept)
    ]
    pseudonymise_deliveries(zones.council, "council_tax", ids, date(2025, 1, 1))
    zones.open("council_tax")
    with zones.analytics.linkage() as linkage:
        linkage.execute(
            "create table people as select record_ref, 'p' || record_ref as person_id from link_keys"
        )
        linkage.execute(
            "create table edges as select a.record_ref as record_ref_l, b.record_ref as record_ref_r "
            "from link_keys as a, link_keys as b"
        )
    report = sweep(zones.analytics, Exchange.of(zones.home), date(2030, 10, 6), RULES)
    assert removed(report) == {
        "records.council_tax__accounts": 1,
        "records.deliveries": 1,
        "main.link_keys": 1,
        "main.people": 1,
        "main.edges": 3,
        "outbox/council_tax": 1,
    }
    assert zones.warehouse("select delivery_date from records.deliveries") == [(kept,)]
    assert [path.name[:10] for path in zones.packages("council_tax")] == [str(kept)]
    assert zones.linkage("select count(*) from people") == [(1,)]
    assert set(report.rewritten) == {"warehouse", "linkage"}
    # What has gone is not opened again.
    assert zones.open("council_tax").packages == 0


def test_packages_past_due_go_from_an_exchange_elsewhere_as_well(
    zones: TwoZones, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EXCHANGE_VARIABLE, "memory://shared-exchange")
    exchange = Exchange.of(zones.home)
    expired, kept, manifest = "2016-01-01-full-0a.sealed", "2026-10-01-full-0b.sealed", "epoch-2.json"
    for name in (f"council_tax/{expired}", f"council_tax/{kept}", f"epochs/{manifest}"):
        exchange.write_text(OUTBOX, name, "sealed")
    report = sweep(zones.analytics, exchange, NIGHT, RULES)
    assert removed(report)["outbox/council_tax"] == 1
    assert exchange.names(OUTBOX, "council_tax") == [kept]
    assert exchange.names(OUTBOX, "epochs") == [manifest]


def test_a_home_without_stores_has_nothing_to_sweep(tmp_path: Path) -> None:
    zones = make_two_zones(tmp_path / "home")
    assert sweep(zones.analytics, Exchange.of(zones.home), NIGHT, RULES).removed == 0
