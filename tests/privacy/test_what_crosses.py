"""Nothing clear crosses: checked rows go over the bridge, and the council's identities are looked for
behind it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from two_zones import NIGHT, TwoZones, make_two_zones

from bridge.pseudonymise.deliveries import pseudonymise_deliveries
from bridge.pseudonymise.identities import property_references
from evaluation.scanning import clear_identifiers, scan_home
from exchange.link_key_schema import LINK_KEY_SCHEMA

PEOPLE = 40


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> TwoZones:
    zones = make_two_zones(tmp_path_factory.mktemp("crossing") / "home")
    for feed, tables in rows().items():
        delivery_id = zones.stage(feed, tables)
        pseudonymise_deliveries(zones.council, feed, [delivery_id], NIGHT)
        assert zones.open(feed).refused == ()
    return zones


def rows() -> dict[str, dict[str, list[dict[str, object]]]]:
    """Every identifier that a contract knows, filled for forty people."""
    people = range(PEOPLE)
    born = [date(1950 + i, 1 + i % 12, 1 + i % 28) for i in people]
    tenants = [
        {
            "lpar_tcy_alt_ref": f"TEN{i:07d}",
            "lpar_per_alt_ref": f"PER{i:07d}",
            "lpar_per_forename": f"Forename{i:02d}",
            "lpar_per_surname": f"Specimen{i:02d}",
            "lpar_per_date_of_birth": born[i],
            "lpar_per_ni_no": f"QQ{i:06d}C",
            "lpar_phone": f"07700900{i:03d}",
            "ladr_uprn": f"{100000000 + i}",
            "ladr_address": f"{i} Crossing Street, Exampletown",
            "lael_postcode": "ZZ1 1AA",
            "lpar_tin_start_date": date(2020, 1, 1),
        }
        for i in people
    ]
    events = [
        {
            "Event_Reference": f"EVENT{i:06d}",
            "Person_Unique_Identifier": f"CARE{i:06d}",
            "NHS_Number": f"{9000000000 + i}",
            "First_Name": f"Forename{i:02d}",
            "Last_Name": f"Specimen{i:02d}",
            "Date_of_Birth": born[i],
            "Address": f"{i} Crossing Street, Exampletown",
            "Postcode": "ZZ1 1AA",
            "Event_Type": "Request",
            "Event_Start_Date": date(2024, 1, 1),
        }
        for i in people
    ]
    accounts = [
        {
            "account_ref": f"70{i:06d}",
            "lead_liab_pos": 1,
            "party_ref": f"PARTY{i:06d}",
            "lead_liab_name": f"SPECIMEN{i:02d}, Forename{i:02d}",
            "uprn": f"{100000000 + i}",
            "addr1": f"{i} Crossing Street",
            "addr3": "Exampletown",
            "postcode": "ZZ1 1AA",
            "for_addr1": f"{i} Departure Road, Elsewhere",
            "occupation_date": date(2020, 1, 1),
        }
        for i in people
    ]
    return {
        "housing_tenancies": {"tenants": tenants},
        "adult_social_care": {"events": events},
        "council_tax": {"accounts": accounts},
    }


def test_the_council_knows_what_must_not_be_found(zones: TwoZones) -> None:
    found = {kind: len(values) for kind, values in clear_identifiers(zones.council).items()}
    assert found["nino"] == found["nhs_number"] == found["phone"] == PEOPLE
    assert found["full_name"] >= 2 * PEOPLE
    assert found["address"] >= 2 * PEOPLE


def test_no_clear_identifier_is_found_behind_the_bridge(zones: TwoZones) -> None:
    report = scan_home(zones.home)
    assert report.hits_by_kind == {}
    assert report.canaries_missed == ()
    assert report.unreadable == ()
    assert report.holds


def test_the_same_scan_finds_one_name_that_is_put_there(zones: TwoZones) -> None:
    note = zones.home.analytics / "note.txt"
    note.write_text("forename07 specimen07")
    try:
        assert scan_home(zones.home).hits_by_kind == {"full_name": 1}
    finally:
        note.unlink()


def test_no_full_date_of_birth_arrives(zones: TwoZones) -> None:
    for table, column in (
        ("housing_tenancies__tenants", "year_of_birth"),
        ("adult_social_care__events", "year_of_birth"),
    ):
        assert zones.warehouse(f"select count({column}) from records.{table}") == [(PEOPLE,)]
    dates = zones.warehouse(
        "select table_name || '.' || column_name from duckdb_columns() where schema_name = 'records' "
        "and data_type = 'DATE' and column_name ilike '%birth%'"
    )
    assert dates == []


def test_link_keys_and_attributes_never_share_a_store(zones: TwoZones) -> None:
    secret = set(LINK_KEY_SCHEMA.names) - {"record_ref"}
    columns = {
        row[0]
        for row in zones.warehouse("select distinct column_name from duckdb_columns() where not internal")
    }
    assert not secret & columns
    payload = {
        column.payload_name
        for contract in zones.council.contracts.values()
        for table in contract.tables
        for column in table.payload_columns
    }
    held = {
        row[0]
        for row in zones.linkage("select column_name from duckdb_columns() where table_name = 'link_keys'")
    }
    assert not payload & held


def test_two_agreements_share_no_property_reference(zones: TwoZones) -> None:
    uprns = pa.array([str(100000000 + i) for i in range(PEOPLE)])
    one, other = (
        set(property_references(uprns, zones.council.keys, agreement).to_pylist())
        for agreement in ("isa_a", "isa_b")
    )
    assert len(one) == len(other) == PEOPLE
    assert not one & other


def test_a_leading_zero_does_not_make_another_property(zones: TwoZones) -> None:
    plain, padded, missing = property_references(
        pa.array(["10001", "000000010001", None]), zones.council.keys, "isa_a"
    ).to_pylist()
    assert plain == padded
    assert missing is None


def test_the_analytics_keys_open_no_council_store(zones: TwoZones, tmp_path: Path) -> None:
    council = {path.read_text() for path in zones.home.council_keys.glob("*.key")}
    analytics = {path.read_text() for path in zones.home.analytics_keys.glob("*.key")}
    assert council
    assert not council & analytics


def test_a_code_of_a_contract_in_an_address_field_is_nobodys_address(tmp_path: Path) -> None:
    zones = make_two_zones(tmp_path / "home")
    accounts = [
        {
            "account_ref": f"7100000{place}",
            "lead_liab_pos": 1,
            "lead_liab_name": "SPECIMEN, Forename",
            "addr1": address,
            "occupation_date": date(2024, 1, 1),
        }
        for place, address in enumerate(("No  fixed abode", "No Fixed Cottage"))
    ]
    delivery_id = zones.stage("council_tax", {"accounts": accounts})
    pseudonymise_deliveries(zones.council, "council_tax", [delivery_id], NIGHT)
    assert clear_identifiers(zones.council)["address"] == {"No Fixed Cottage"}
