"""From checked rows to opened packages: what leaves, what stays, and what a stop in the middle changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from two_zones import FIRST_DAY, NIGHT, Rows, TwoZones, make_two_zones, table_of

import bridge.pseudonymise.deliveries
import exchange.opening
from bridge.address_quality import homes_of_feed
from bridge.addresses import match_addresses
from bridge.digest import council_digest
from bridge.pseudonymise.deliveries import original_reference, pseudonymise_deliveries
from bridge.vault.vault import VaultError, VaultReport, open_vault
from exchange.sealed import PREFIX, PackageLabel, Part, seal_into
from governance.agreements import AgreementError
from governance.contracts import CONTRACTS_FOLDER
from stores.digest import analytics_digest
from stores.encrypted import StoreUnreadableError
from stores.keys import KeyUnavailableError, create_missing_keys

FEED = "council_tax"
SECOND_DAY, THIRD_DAY = date(2025, 1, 13), date(2025, 1, 20)

ACCOUNTS = table_of("""
account_ref | lead_liab_pos | lead_liab_name     | date_of_birth | uprn         | addr1        | band
70000001    | #1            | EXAMPLE, Ada Marie | 1980-02-03    | 100000000001 | 1 Acorn Road | B
70000001    | #2            | Mr B Sample        | -             | 100000000001 | 1 Acorn Road | B
70000002    | #1            | Specimen, Cara     | -             | 000100000002 | 2 Acorn Road | C
""")
ACCOUNTS = [{**account, "postcode": "ZZ1 1AA", "occupation_date": date(2020, 4, 1)} for account in ACCOUNTS]
STAGES = table_of("""
account_ref | stage_code | stage_date
70000002    | REMINDER1  | 2024-11-04
70000002    | FINAL      | 2024-12-02
""")
STAGES = [{**stage, "balance": 120.5} for stage in STAGES]
WEEK = {"accounts": ACCOUNTS, "recovery_stages": STAGES}


@pytest.fixture
def zones(tmp_path: Path) -> TwoZones:
    return make_two_zones(tmp_path / "home")


def renamed(rows: Rows, name: str) -> Rows:
    return [{**row, "lead_liab_name": name} for row in rows]


def send(zones: TwoZones, feed: str = FEED, night: date = NIGHT) -> None:
    """Pseudonymise everything that is checked, and open what arrives."""
    waiting = [row[0] for row in zones.ledger(f"select delivery_id from deliveries where feed = '{feed}'")]
    pseudonymise_deliveries(zones.council, feed, waiting, night)
    zones.open(feed)


def digests(zones: TwoZones) -> Mapping[str, str]:
    return council_digest(zones.council).joined(analytics_digest(zones.analytics)).stores


def identity_names(zones: TwoZones) -> list[str]:
    with open_vault(zones.council, "district") as vault:
        return sorted(identity["full_name"] for identity in vault.identities())


def test_the_payload_holds_what_the_contract_lets_out_and_nothing_else(zones: TwoZones) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    table = zones.council.contracts[FEED].table("accounts")
    columns = [
        row[0] for row in zones.warehouse("select column_name from (describe records.council_tax__accounts)")
    ]
    assert columns == [*table.payload_schema.names, "delivery_id", "delivery_date", "received_date", "kind"]
    years = zones.warehouse("select year_of_birth, band from records.council_tax__accounts order by all")
    assert years == [(1980, "B"), (None, "B"), (None, "C")]


def test_references_are_keyed_and_join_within_the_feed(zones: TwoZones) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    assert zones.warehouse(
        "select count(*), count(distinct record_ref), count(distinct account_ref), "
        "count(distinct property_ref) from records.council_tax__accounts"
    ) == [(3, 3, 2, 2)]
    joined = zones.warehouse(
        "select distinct accounts.account_ref from records.council_tax__accounts as accounts "
        "join records.council_tax__recovery_stages using (account_ref)"
    )
    assert len(joined) == 1
    assert original_reference(joined[0][0], zones.council, zones.council.contracts[FEED]) == "70000002"
    assert all(
        len(ref) == 32 for (ref,) in zones.warehouse("select record_ref from records.council_tax__accounts")
    )


def test_another_council_gives_the_same_people_unrelated_references(tmp_path: Path) -> None:
    found = []
    for name in ("here", "there"):
        zones = make_two_zones(tmp_path / name)
        zones.stage(FEED, WEEK)
        send(zones)
        rows = zones.warehouse(
            "select record_ref, account_ref, property_ref from records.council_tax__accounts"
        )
        tokens = zones.linkage("select full_name_token from link_keys where full_name_token is not null")
        found.append({value for row in rows + tokens for value in row})
    assert found[0]
    assert not found[0] & found[1]


def test_a_record_has_link_keys_only_where_it_names_a_person(zones: TwoZones) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    assert zones.linkage("select table_name, count(*) from link_keys group by all") == [("accounts", 3)]
    refs = {row[0] for row in zones.linkage("select record_ref from link_keys")}
    assert refs == {row[0] for row in zones.warehouse("select record_ref from records.council_tax__accounts")}


def test_checked_rows_go_once_they_are_sealed_and_the_ledger_says_so(zones: TwoZones) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    assert zones.ledger("select state, rows_sealed from deliveries") == [("sealed", 5)]
    assert zones.ledger("select count(*) from checked_council_tax__accounts") == [(0,)]
    assert zones.ledger("select count(*) from checked_council_tax__recovery_stages") == [(0,)]


def test_a_package_shows_its_label_and_no_value(zones: TwoZones) -> None:
    delivery_id = zones.stage(FEED, WEEK)
    send(zones)
    (path,) = zones.packages(FEED)
    package = path.read_bytes()
    length = PREFIX.unpack_from(package)[2]
    header = json.loads(package[PREFIX.size : PREFIX.size + length])
    assert header["delivery_id"] == delivery_id
    assert [part["rows"] for part in header["parts"]] == [3, 3, 2]
    for value in (b"EXAMPLE", b"70000001", b"100000000001", b"Acorn", b"1980-"):
        assert value not in package


def test_doing_it_again_changes_nothing(zones: TwoZones) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    before, package = digests(zones), zones.packages(FEED)[0].read_bytes()
    send(zones)
    assert digests(zones) == before
    assert zones.packages(FEED)[0].read_bytes() == package


def test_the_same_delivery_staged_again_adds_no_row(zones: TwoZones) -> None:
    delivery_id = zones.stage(FEED, WEEK)
    send(zones)
    before = digests(zones)
    (package,) = zones.packages(FEED)
    package.unlink()
    # As after restoring the council's ledger from a backup.
    restored = make_two_zones(zones.home.root)
    zones.home.deliveries_db.unlink()
    assert restored.stage(FEED, WEEK) == delivery_id
    send(restored)
    assert digests(restored) == before
    assert restored.warehouse("select count(*) from records.council_tax__accounts") == [(3,)]


def test_any_order_of_deliveries_gives_the_same_digest(tmp_path: Path) -> None:
    weeks = [
        (FIRST_DAY, "full", WEEK),
        (SECOND_DAY, "changes", {"accounts": renamed(ACCOUNTS[:1], "Example-Sample, Ada")}),
        (
            THIRD_DAY,
            "changes",
            {"accounts": renamed(ACCOUNTS[2:], "Instance, Cara"), "recovery_stages": STAGES[:1]},
        ),
    ]
    found = []
    for number, order in enumerate([(0, 1, 2), (2, 1, 0), (1, 2, 0)]):
        home = tmp_path / str(number)
        if number:
            # The same keys, an empty home.
            for zone in ("council", "analytics"):
                shutil.copytree(tmp_path / "0" / zone / "keys", home / zone / "keys")
        zones = make_two_zones(home)
        for place in order:
            delivered, kind, tables = weeks[place]
            zones.stage(FEED, tables, delivered=delivered, kind=kind)
            send(zones)
        found.append(digests(zones))
    assert found[0] == found[1] == found[2]


def test_other_content_gives_another_digest(zones: TwoZones) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    before = digests(zones)
    zones.stage(
        FEED, {"accounts": renamed(ACCOUNTS[:1], "Example, Adah")}, delivered=SECOND_DAY, kind="changes"
    )
    send(zones)
    changed = {store for store, digest in digests(zones).items() if digest != before[store]}
    assert changed == {"deliveries", "vault/district", "linkage", "warehouse"}


def test_the_newest_delivery_wins_even_if_it_comes_first(zones: TwoZones) -> None:
    zones.stage(FEED, {"accounts": renamed(ACCOUNTS[:1], "New Name")}, delivered=SECOND_DAY, kind="changes")
    send(zones)
    newest = zones.linkage("select full_name_token, delivery_date from link_keys")
    zones.stage(FEED, {"accounts": renamed(ACCOUNTS[:1], "Old Name")}, received=date(2025, 2, 1))
    send(zones)
    assert identity_names(zones) == ["New Name"]
    assert zones.linkage("select full_name_token, delivery_date from link_keys") == newest
    assert zones.warehouse("select count(*) from records.council_tax__accounts") == [(2,)]


def test_without_a_live_agreement_nothing_leaves(zones: TwoZones) -> None:
    delivery_id = zones.stage(FEED, WEEK)
    with pytest.raises(AgreementError, match="not live"):
        pseudonymise_deliveries(zones.council, FEED, [delivery_id], date(2029, 4, 1))
    assert zones.packages(FEED) == []
    assert not zones.home.vault_db("district").exists()
    assert zones.ledger("select state from deliveries") == [("checked",)]


@pytest.mark.parametrize("root", ["pseudonym", "linkage", "storage", "exchange"])
def test_a_missing_key_stops_before_anything_is_written(zones: TwoZones, root: str) -> None:
    delivery_id = zones.stage(FEED, WEEK)
    ledger = zones.home.deliveries_db.read_bytes()
    (zones.home.council_keys / f"{root}.key").unlink()
    with pytest.raises(KeyUnavailableError):
        pseudonymise_deliveries(zones.council, FEED, [delivery_id], NIGHT)
    assert zones.packages(FEED) == []
    assert not zones.home.vault_db("district").exists()
    assert zones.home.deliveries_db.read_bytes() == ledger


def test_a_wrong_storage_key_opens_and_writes_nothing(zones: TwoZones) -> None:
    delivery_id = zones.stage(FEED, WEEK)
    (zones.home.council_keys / "storage.key").unlink()
    (zones.home.council_keys / "keys.json").unlink()
    create_missing_keys(zones.home.council_keys, ("storage",))
    with pytest.raises(StoreUnreadableError):
        pseudonymise_deliveries(zones.council, FEED, [delivery_id], NIGHT)
    assert zones.packages(FEED) == []
    assert not zones.home.vault_db("district").exists()


class Killed(BaseException):
    """Stands for the process being killed: no handler catches it."""


@pytest.mark.parametrize("step", ["before vault", "after vault", "between packages", "before ledger"])
def test_a_kill_while_sealing_is_made_good_by_the_next_run(
    zones: TwoZones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def stage_all(target: TwoZones) -> None:
        target.stage(FEED, WEEK)
        target.stage(FEED, {"accounts": ACCOUNTS[:1]}, delivered=SECOND_DAY, kind="changes")

    stage_all(zones)
    shutil.copytree(zones.home.root, tmp_path / "twin")
    twin = make_two_zones(tmp_path / "twin")
    send(twin)

    point = {"before vault": "_keep_identities", "before ledger": "_finish"}.get(step, "_write_package")
    original, calls = getattr(bridge.pseudonymise.deliveries, point), []

    def stop(*arguments: object, **named: object) -> object:
        calls.append(1)
        if step == "between packages" and len(calls) == 1:
            return original(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(bridge.pseudonymise.deliveries, point, stop)
        with pytest.raises(Killed):
            send(zones)
    zones.open(FEED)
    send(zones)
    assert digests(zones) == digests(twin)


@pytest.mark.parametrize("step", ["_store_payload", "_store_link_keys"])
def test_a_kill_while_opening_is_made_good_by_the_next_run(
    zones: TwoZones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    zones.stage(FEED, WEEK)
    send_only = [row[0] for row in zones.ledger("select delivery_id from deliveries")]
    pseudonymise_deliveries(zones.council, FEED, send_only, NIGHT)
    shutil.copytree(zones.home.root, tmp_path / "twin")
    twin = make_two_zones(tmp_path / "twin")
    twin.open(FEED)

    def stop(*_: object) -> object:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(exchange.opening, step, stop)
        with pytest.raises(Killed):
            zones.open(FEED)
    report = zones.open(FEED)
    assert report.packages == 1
    assert digests(zones) == digests(twin)
    assert zones.open(FEED).packages == 0


def test_a_damaged_package_is_refused_and_the_others_are_opened(zones: TwoZones) -> None:
    ids = [zones.stage(FEED, WEEK), zones.stage(FEED, WEEK, delivered=SECOND_DAY)]
    pseudonymise_deliveries(zones.council, FEED, ids, NIGHT)
    damaged, whole = zones.packages(FEED)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    report = zones.open(FEED)
    assert [refused.file_name for refused in report.refused] == [damaged.name]
    assert "damaged" in report.refused[0].reason
    assert zones.warehouse("select delivery_id from records.deliveries") == [(whole.stem,)]
    assert zones.open(FEED).refused == report.refused


def test_a_package_under_another_name_is_refused(zones: TwoZones) -> None:
    pseudonymise_deliveries(zones.council, FEED, [zones.stage(FEED, WEEK)], NIGHT)
    (package,) = zones.packages(FEED)
    package.rename(package.with_name("2025-01-06-full-00000000.sealed"))
    assert "another delivery" in zones.open(FEED).refused[0].reason


def test_a_column_that_was_not_agreed_is_refused_on_arrival_too(
    zones: TwoZones, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seal_too_much(target: BinaryIO, label: PackageLabel, parts: list[Part], *others: Any) -> None:
        payload = parts[0]
        wider = payload.rows.append_column("lead_liab_name", [["a"] * payload.rows.num_rows])
        seal_into(target, label, [replace(payload, rows=wider), *parts[1:]], *others)

    monkeypatch.setattr(bridge.pseudonymise.deliveries, "seal_into", seal_too_much)
    pseudonymise_deliveries(zones.council, FEED, [zones.stage(FEED, WEEK)], NIGHT)
    report = zones.open(FEED)
    assert report.packages == 0
    assert "lead_liab_name, which was not agreed" in report.refused[0].reason
    assert zones.warehouse("select count(*) from records.council_tax__accounts") == [(0,)]


def test_an_erased_subject_cannot_be_read_and_does_not_come_back(zones: TwoZones) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    with open_vault(zones.council, "district") as vault:
        references = [reference for reference, _ in vault.contents()]
        assert vault.erase(references[0])
        assert not vault.erase(references[0])
        with pytest.raises(VaultError, match="erased"):
            vault.identity(references[0])
        assert vault.verify() == VaultReport(subjects=3, erased=1, unreadable=0)
    zones.stage(FEED, WEEK, delivered=SECOND_DAY)
    send(zones)
    with open_vault(zones.council, "district") as vault:
        assert dict(vault.contents())[references[0]] is None
        assert vault.identity(references[1])["key"]["account_ref"].startswith("7000000")


def test_a_vault_row_that_was_moved_or_changed_is_noticed(zones: TwoZones) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    with open_vault(zones.council, "district") as vault:
        first, second, _ = [reference for reference, _ in vault.contents()]
        vault.connection.execute(
            "update identities set identity = (select identity from identities where record_ref = ?) "
            "where record_ref = ?",
            [first, second],
        )
        assert vault.verify().unreadable == 1
        with pytest.raises(VaultError, match="damaged"):
            vault.identity(second)


def test_addresses_without_a_uprn_find_their_property(zones: TwoZones) -> None:
    gazetteer = table_of("""
    uprn         | address                          | postcode | property_class | lsoa_code | ward_code
    100000000001 | 1 ACORN ROAD, EXAMPLETOWN         | ZZ1 1AA  | RD04           | E01000001 | E05000001
    100000000002 | 2 ACORN ROAD, EXAMPLETOWN         | ZZ1 1AA  | RD04           | E01000001 | E05000001
    100000000003 | FLAT 3, 9 MILL LANE, EXAMPLETOWN  | ZZ1 2BB  | RD06           | E01000002 | E05000001
    100000000004 | FLAT 4, 9 MILL LANE, EXAMPLETOWN  | ZZ1 2BB  | RD06           | E01000002 | E05000001
    """)
    for flat in gazetteer[2:]:
        flat["parent_uprn"] = "100000000009"
    accounts = table_of("""
    account_ref | uprn         | addr1          | addr2       | postcode | for_addr1    | for_postcode
    70000001    | -            | 1 Acorn Rd     | Exampletown | ZZ1 1AA  | -            | -
    70000002    | -            | Flat 4         | 9 Mill Lane | ZZ1 2BB  | 2 Acorn Road | ZZ1 1AA
    70000003    | -            | no fixed abode | -           | -        | -            | -
    70000004    | 100000000002 | 2 Acorn Road   | Exampletown | ZZ1 1AA  | -            | -
    70000005    | -            | 9 Mill Lane    | Exampletown | ZZ1 2BB  | -            | -
    """)
    person = {"lead_liab_pos": 1, "lead_liab_name": "Example, Ada", "occupation_date": date(2020, 4, 1)}
    accounts = [{**person, **account} for account in accounts]
    addresses = zones.stage("address_gazetteer", {"addresses": gazetteer})
    delivery_id = zones.stage(FEED, {"accounts": accounts})
    report = match_addresses(zones.council, FEED, [delivery_id])
    assert (report.texts, report.known, report.matched, report.parent, report.unmatched) == (5, 0, 3, 1, 1)
    assert (report.as_written, report.sure + report.likely) == (1, 2)
    assert match_addresses(zones.council, FEED, [delivery_id]).known == 5
    pseudonymise_deliveries(zones.council, "address_gazetteer", [addresses], NIGHT)
    zones.open("address_gazetteer")
    send(zones)
    # References to properties join with the gazetteer's, in rows with and without a UPRN of their own.
    found = zones.warehouse(
        "select left(lsoa_code, 9), count(*) from records.council_tax__accounts "
        "left join records.address_gazetteer__addresses using (property_ref) "
        "group by all order by all nulls last"
    )
    # Nobody lives at a building: who wrote no flat has no home, and makes no household with the others there.
    assert found == [("E01000001", 2), ("E01000002", 1), (None, 2)]
    (homes,) = homes_of_feed(zones.council, FEED).values()
    assert homes["given"] == homes["parent"] == homes["unmatched"] == 1 and sum(homes.values()) == 5
    crossed = "homes_given, homes_parent, homes_unmatched, homes_ambiguous"
    assert zones.warehouse(f"select {crossed} from records.deliveries where feed = '{FEED}'") == [
        (1, 1, 1, 0)
    ]
    assert zones.linkage("select count(*) from link_keys where forwarding_uprn_token is not null") == [(1,)]
    assert zones.ledger("select count(*) from gazetteer") == [(4,)]
    assert zones.ledger("select count(*) from address_matches where uprn is not null") == [(3,)]


def test_a_contract_that_lets_out_more_than_agreed_stops_its_feed_alone(tmp_path: Path) -> None:
    folder = tmp_path / "contracts"
    shutil.copytree(CONTRACTS_FOLDER, folder)
    path = folder / "feeds" / "council_tax.odcs.yaml"
    text = path.read_text(encoding="utf-8")
    title = "{name: lead_liab_title, logicalType: string, description: Title.}"
    assert title in text
    opened = title[:-1] + ", customProperties: [{property: leaves, value: as_is}]}"
    path.write_text(text.replace(title, opened), encoding="utf-8")
    zones = make_two_zones(tmp_path / "home")
    wider = replace(zones, council=type(zones.council).open(zones.home, folder))
    delivery_id = wider.stage(FEED, WEEK)
    with pytest.raises(AgreementError, match="does not name lead_liab_title"):
        pseudonymise_deliveries(wider.council, FEED, [delivery_id], NIGHT)
    assert wider.packages(FEED) == []
