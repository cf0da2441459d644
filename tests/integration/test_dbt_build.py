"""dbt over the encrypted warehouse: months made at once or one by one, what is known when, keys and leaks."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from records_scenario import Records, analytics_zone, dbt

from stores.analytics import AnalyticsZone
from stores.encrypted import storage_key

FIRST, LAST = "2025-03-01", "2025-06-01"
MARTS = ("households", "household_features", "household_labels", "feed_health")


def council() -> Records:
    """Ann and Ben rent from the council and fall behind; Cat lives alone; Dan moves in with Cat in April."""
    records = Records()
    homes = [
        {
            "record_ref": f"g{number}",
            "property_ref": f"home{number}",
            "lsoa_code": "E01000001",
            "ward_code": "E05000001",
        }
        for number in (1, 2, 3)
    ]
    records.deliver("address_gazetteer", date(2025, 1, 1), {"addresses": homes})
    ann: dict[str, Any] = {
        "record_ref": "c_ann",
        "account_ref": "acc1",
        "lead_liab_pos": 1,
        "property_ref": "home1",
        "discount_code": "NONE",
        "occupation_date": date(2019, 5, 1),
        "band": "B",
        "ctr_ind": "Y",
        "person": "ann",
    }
    ben = ann | {"record_ref": "c_ben", "lead_liab_pos": 2, "person": "ben"}
    cat = ann | {
        "record_ref": "c_cat",
        "account_ref": "acc2",
        "property_ref": "home2",
        "discount_code": "SPD",
        "ctr_ind": "N",
        "occupation_date": date(2012, 1, 1),
        "person": "cat",
    }
    dan = cat | {
        "record_ref": "c_dan",
        "lead_liab_pos": 2,
        "occupation_date": date(2025, 4, 10),
        "person": "dan",
    }
    summons = {
        "record_ref": "s1",
        "account_ref": "acc1",
        "stage_code": "SUMMONS",
        "stage_date": date(2025, 4, 20),
        "balance": 640.0,
    }
    records.deliver("council_tax", date(2025, 1, 6), {"accounts": [ann, ben, cat], "recovery_stages": []})
    records.deliver("council_tax", date(2025, 4, 14), {"accounts": [dan]}, kind="changes")
    # The summons happened in April and reached us in May.
    records.deliver(
        "council_tax",
        date(2025, 4, 21),
        {"recovery_stages": [summons]},
        kind="changes",
        received=date(2025, 5, 2),
    )
    tenancy = {
        "lpar_tcy_alt_ref": "ten1",
        "property_ref": "home1",
        "lpar_tin_start_date": date(2019, 5, 1),
        "ltcy_tty_code": "SEC",
        "weekly_rent": 100.0,
    }
    tenants = [
        tenancy
        | {"record_ref": "t_ann", "lpar_tin_main_tenant_ind": "Y", "year_of_birth": 1980, "person": "ann"},
        tenancy
        | {"record_ref": "t_ben", "lpar_tin_main_tenant_ind": "N", "year_of_birth": 1985, "person": "ben"},
    ]
    records.deliver("housing_tenancies", date(2025, 1, 6), {"tenants": tenants, "arrears_actions": []})
    for week in range(12):
        day = date(2025, 2, 3) + timedelta(weeks=week)
        action = {
            "record_ref": f"a{week}",
            "laca_pay_ref": "ten1",
            "laca_ara_code": "STAT",
            "laca_effective_date": day,
            "laca_balance": 100.0 * (week + 1),
        }
        records.deliver(
            "housing_tenancies", day + timedelta(days=1), {"arrears_actions": [action]}, kind="changes"
        )
    case = {
        "record_ref": "h1",
        "case_reference": "hr1",
        "date_of_application": date(2025, 5, 20),
        "duty_owed": "PREVENTION",
        "date_of_assessment": date(2025, 5, 28),
        "property_ref": "home1",
        "person": "ann",
    }
    earlier = case | {
        "record_ref": "h0",
        "case_reference": "hr0",
        "date_of_application": date(2024, 3, 1),
        "duty_owed": "RELIEF",
        "date_of_assessment": date(2024, 3, 9),
        "property_ref": "home3",
        "person": "cat",
    }
    records.deliver("homelessness_cases", date(2025, 1, 31), {"cases": [earlier]})
    records.deliver(
        "homelessness_cases", date(2025, 5, 31), {"cases": [earlier, case]}, received=date(2025, 5, 31)
    )
    event = {
        "record_ref": "e1",
        "event_reference": "er1",
        "event_type": "Safeguarding",
        "event_start_date": date(2025, 3, 10),
        "primary_support_reason": "Domestic Abuse",
        "person": "ben",
    }
    records.deliver("adult_social_care", date(2025, 3, 31), {"events": [event]})
    return records


def marts(zone: AnalyticsZone) -> dict[str, list[tuple[Any, ...]]]:
    with zone.warehouse(read_only=True) as warehouse:
        return {
            mart: warehouse.execute(f"select * from marts.{mart} order by all").fetchall() for mart in MARTS
        }


def features(zone: AnalyticsZone, home: str, columns: str) -> list[tuple[Any, ...]]:
    with zone.warehouse(read_only=True) as warehouse:
        return warehouse.execute(
            f"select {columns} from marts.household_features where property_ref = ? order by as_of_month",
            [home],
        ).fetchall()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> AnalyticsZone:
    """A warehouse whose four months were made in one go, with every data test and unit test run."""
    zone = analytics_zone(tmp_path_factory.mktemp("built"))
    council().write(zone)
    done = dbt(zone, "build", first_month=FIRST, last_month=LAST)
    assert done.returncode == 0, done.stdout
    return zone


def test_arrears_grow_by_what_had_arrived_before_each_month(built: AnalyticsZone) -> None:
    rows = features(built, "home1", "rent_arrears_balance, round(weeks_in_rent_arrears), rent_arrears_since")
    began = date(2025, 2, 3)
    assert rows == [(400.0, 4.0, began), (800.0, 8.0, began), (1200.0, 12.0, began), (1200.0, 17.0, began)]


def test_a_summons_is_known_from_the_month_after_it_arrived_not_after_it_happened(
    built: AnalyticsZone,
) -> None:
    assert features(built, "home1", "is_summonsed_12m") == [(False,), (False,), (False,), (True,)]


def test_a_household_keeps_its_id_when_somebody_moves_in(built: AnalyticsZone) -> None:
    rows = features(built, "home2", "household_id, adult_count")
    assert len({household for household, _ in rows}) == 1
    assert [adults for _, adults in rows] == [1, 1, 2, 2]


def test_an_earlier_case_counts_for_the_household_its_person_belongs_to(built: AnalyticsZone) -> None:
    assert features(built, "home2", "homelessness_duties_3y") == [(1,)] * 4
    assert features(built, "home1", "homelessness_duties_3y, has_open_case") == [(0, False)] * 3 + [(1, True)]


def test_care_facts_come_with_their_date_once_their_delivery_has_arrived(built: AnalyticsZone) -> None:
    rows = features(built, "home1", "domestic_abuse_24m, safeguarding_date")
    assert rows == [(0, None), (0, None), (1, date(2025, 3, 10)), (1, date(2025, 3, 10))]


def test_labels_look_forward_and_say_when_their_window_is_not_over(built: AnalyticsZone) -> None:
    with built.warehouse(read_only=True) as warehouse:
        rows = warehouse.execute(
            """
            select labels.as_of_month, is_owed_1m, is_owed_3m, is_complete_1m, is_complete_3m
            from marts.household_labels as labels
            inner join marts.households using (household_id, as_of_month)
            where property_ref = 'home1'
            order by all
            """
        ).fetchall()
    assert rows == [
        (date(2025, 3, 1), False, True, True, True),
        (date(2025, 4, 1), False, True, True, False),
        (date(2025, 5, 1), True, True, True, False),
        (date(2025, 6, 1), False, False, False, False),
    ]


def test_months_made_one_by_one_and_again_equal_those_made_at_once(
    built: AnalyticsZone, tmp_path: Path
) -> None:
    zone = analytics_zone(tmp_path)
    council().write(zone)
    # The project is parsed once for both.
    shutil.copytree(built.home.dbt_target, zone.home.dbt_target)
    for first, last in ((FIRST, "2025-04-01"), ("2025-05-01", "2025-05-01"), ("2025-04-01", LAST)):
        done = dbt(zone, "run", first_month=first, last_month=last)
        assert done.returncode == 0, done.stdout
    assert marts(zone) == marts(built)


def test_dbt_leaves_the_key_in_no_file_that_it_writes(built: AnalyticsZone) -> None:
    key = storage_key(built.keys, "warehouse")
    written = [path for path in built.home.dbt_target.rglob("*") if path.is_file()]
    assert any(path.name == "manifest.json" for path in written)
    assert any(path.suffix == ".log" for path in written)
    assert not [path for path in written if key.encode() in path.read_bytes()]


def test_a_wrong_key_stops_dbt_and_leaves_the_warehouse_as_it_was(built: AnalyticsZone) -> None:
    before = marts(built)
    done = dbt(built, "run", first_month=FIRST, last_month=LAST, DBT_ENV_SECRET_WAREHOUSE_KEY="00" * 32)
    assert done.returncode != 0
    assert "right key" in done.stdout
    assert marts(built) == before


def test_a_missing_key_stops_dbt(built: AnalyticsZone) -> None:
    done = dbt(built, "run", first_month=FIRST, last_month=LAST, DBT_ENV_SECRET_WAREHOUSE_KEY="")
    assert done.returncode != 0
    assert "DBT_ENV_SECRET_WAREHOUSE_KEY is not set" in done.stdout
