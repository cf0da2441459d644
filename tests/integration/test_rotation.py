"""Rotation of the linkage epoch: every link key is another, every join is the same."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from two_zones import FIRST_DAY, NIGHT, TwoZones, make_two_zones, table_of

from bridge.pseudonymise.deliveries import pseudonymise_deliveries
from bridge.rotation.epoch_rotation import rotate_epoch
from bridge.vault.vault import open_vault
from exchange.link_key_schema import FILTER_COLUMNS, TOKEN_COLUMNS
from linkage.people import resolve_people

FEED = "council_tax"
SECOND_DAY, THIRD_DAY = date(2025, 1, 13), date(2025, 1, 20)

ACCOUNTS = table_of("""
account_ref | lead_liab_pos | lead_liab_name     | date_of_birth | uprn         | addr1        | band
70000001    | #1            | EXAMPLE, Ada Marie | 1980-02-03    | 100000000001 | 1 Acorn Road | B
70000001    | #2            | Mr B Sample        | -             | 100000000001 | 1 Acorn Road | B
70000002    | #1            | Specimen, Cara     | 2015-05-06    | 000100000002 | 2 Acorn Road | C
70000003    | #1            | Specimen, Dora     | 1975-06-07    | 000100000002 | 2 Acorn Road | C
70000004    | #1            | EXAMPLE, Ada M     | 1980-02-03    | 100000000007 | 7 Acorn Road | C
""")
ACCOUNTS = [{**account, "postcode": "ZZ1 1AA", "occupation_date": date(2020, 4, 1)} for account in ACCOUNTS]
WEEK = {"accounts": ACCOUNTS, "recovery_stages": []}

IDENTITY_COLUMNS = "record_ref, feed, table_name, delivery_id, delivery_date, received_date, kind"
KEY_COLUMNS = ", ".join((*FILTER_COLUMNS, *TOKEN_COLUMNS))


@pytest.fixture
def zones(tmp_path: Path) -> TwoZones:
    return make_two_zones(tmp_path / "home")


def seal(zones: TwoZones) -> None:
    ids = [row[0] for row in zones.ledger("select delivery_id from deliveries where state = 'checked'")]
    pseudonymise_deliveries(zones.council, FEED, ids, NIGHT)


def send(zones: TwoZones) -> None:
    seal(zones)
    zones.open(FEED)


def identities(zones: TwoZones) -> list[tuple[object, ...]]:
    return zones.linkage(f"select {IDENTITY_COLUMNS} from link_keys order by all")


def keys(zones: TwoZones) -> list[tuple[object, ...]]:
    return zones.linkage(f"select record_ref, {KEY_COLUMNS} from link_keys order by all")


def people(zones: TwoZones) -> list[tuple[object, ...]]:
    return zones.linkage("select record_ref, person_id from people order by all")


def test_a_rotation_changes_every_link_key_and_no_join(zones: TwoZones) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    resolve_people(zones.analytics)
    before = identities(zones), keys(zones), people(zones)
    report = rotate_epoch(zones.council, NIGHT)
    assert (report.epoch, report.identities, report.resumed) == (2, 5, False)
    assert zones.open(FEED).turned_to_epoch == 2
    assert identities(zones) == before[0]
    assert zones.linkage("select distinct epoch from link_keys") == [(2,)]
    for old, new in zip(before[1], keys(zones), strict=True):
        shared = [
            one for one, other in zip(old[1:], new[1:], strict=True) if one is not None and one == other
        ]
        assert old[0] == new[0] and not shared
    assert resolve_people(zones.analytics).skipped
    assert people(zones) == before[2]
    assert zones.warehouse("select count(*) from records.people") == [(5,)]


def test_what_the_vault_gives_is_what_the_delivery_gave(zones: TwoZones, tmp_path: Path) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    rotate_epoch(zones.council, NIGHT)
    zones.open(FEED)
    from_vault = keys(zones)
    zones.stage(FEED, WEEK, delivered=SECOND_DAY)
    send(zones)
    assert zones.linkage("select distinct delivery_date from link_keys") == [(SECOND_DAY,)]
    assert keys(zones) == from_vault


def test_people_are_the_same_when_resolved_anew_after_a_rotation(zones: TwoZones) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    resolve_people(zones.analytics)
    before = people(zones)
    rotate_epoch(zones.council, NIGHT)
    zones.open(FEED)
    zones.stage(FEED, WEEK, delivered=SECOND_DAY)
    send(zones)
    with zones.analytics.linkage() as linkage:
        linkage.execute("update people_state set digest = 'something else'")
    assert not resolve_people(zones.analytics).skipped
    assert people(zones) == before


def test_old_link_keys_leave_the_file_and_the_outbox(zones: TwoZones) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    assert len(zones.packages(FEED)) == 1
    rotate_epoch(zones.council, NIGHT)
    zones.open(FEED)
    assert zones.packages(FEED) == []
    assert list((zones.home.outbox / "epochs").iterdir()) == []
    assert list(zones.home.analytics.glob("linkage.duckdb.*")) == [
        zones.home.analytics / "linkage.duckdb.lock"
    ]
    assert zones.linkage("select count(*) from link_keys where epoch < 2") == [(0,)]


def test_a_delivery_sealed_before_a_rotation_and_opened_after_it_keeps_its_payload_and_its_joins(
    zones: TwoZones,
) -> None:
    zones.stage(FEED, {"accounts": ACCOUNTS[:2]})
    send(zones)
    zones.stage(FEED, WEEK, delivered=SECOND_DAY)
    seal(zones)
    rotate_epoch(zones.council, NIGHT)
    report = zones.open(FEED)
    assert (report.packages, report.link_key_rows, report.outdated) == (1, 0, 5)
    assert zones.linkage("select epoch, count(*) from link_keys group by all") == [(2, 5)]
    joined = "select count(*) from records.council_tax__accounts"
    assert zones.warehouse(joined) == [(7,)]
    assert zones.packages(FEED) == []


def test_a_delivery_sealed_while_a_rotation_is_unfinished_waits_for_the_turn(
    zones: TwoZones, monkeypatch: pytest.MonkeyPatch
) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    with monkeypatch.context() as patched:
        patched.setattr("bridge.rotation.epoch_rotation._write_manifest", _stop)
        with pytest.raises(Killed):
            rotate_epoch(zones.council, NIGHT)
    moved = [{**ACCOUNTS[0], "uprn": "100000000009"}, *ACCOUNTS[1:]]
    zones.stage(FEED, {"accounts": moved}, delivered=SECOND_DAY)
    seal(zones)
    report = zones.open(FEED)
    assert (report.packages, report.link_key_rows, report.held_back) == (1, 0, 5)
    assert zones.linkage("select epoch, delivery_date, count(*) from link_keys group by all") == [
        (1, FIRST_DAY, 5)
    ]
    resumed = rotate_epoch(zones.council, NIGHT)
    assert (resumed.epoch, resumed.resumed) == (2, True)
    assert zones.open(FEED).turned_to_epoch == 2
    assert zones.linkage("select epoch, delivery_date, count(*) from link_keys group by all") == [
        (2, SECOND_DAY, 5)
    ]
    assert zones.linkage("select count(*) from held_link_keys") == [(0,)]


def test_a_late_delivery_does_not_put_an_older_identity_over_the_vaults(
    zones: TwoZones, monkeypatch: pytest.MonkeyPatch
) -> None:
    zones.stage(FEED, WEEK, delivered=SECOND_DAY)
    send(zones)
    with monkeypatch.context() as patched:
        patched.setattr("bridge.rotation.epoch_rotation._write_manifest", _stop)
        with pytest.raises(Killed):
            rotate_epoch(zones.council, NIGHT)
    zones.stage(FEED, WEEK, delivered=FIRST_DAY, received=THIRD_DAY)
    send(zones)
    rotate_epoch(zones.council, NIGHT)
    zones.open(FEED)
    assert zones.linkage("select distinct delivery_date from link_keys") == [(SECOND_DAY,)]


def test_an_erased_subject_gets_no_new_link_key(zones: TwoZones) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    with open_vault(zones.council, "district") as vault:
        erased = next(reference for reference, _ in vault.contents())
        vault.erase(erased)
    assert rotate_epoch(zones.council, NIGHT).identities == 4
    zones.open(FEED)
    assert erased not in {row[0] for row in identities(zones)}
    assert len(identities(zones)) == 4


def test_a_second_rotation_replaces_the_first_even_unopened(zones: TwoZones) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    rotate_epoch(zones.council, NIGHT)
    assert rotate_epoch(zones.council, NIGHT).epoch == 3
    names = [path.name for path in (zones.home.outbox / "epochs").iterdir()]
    assert names and all(name.startswith("epoch-0003-") for name in names)
    assert zones.open(FEED).turned_to_epoch == 3
    assert zones.linkage("select distinct epoch from link_keys") == [(3,)]


def test_epochs_turn_one_after_the_other(zones: TwoZones) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    resolve_people(zones.analytics)
    before = identities(zones), people(zones)
    for epoch in (2, 3):
        rotate_epoch(zones.council, NIGHT)
        assert zones.open(FEED).turned_to_epoch == epoch
        assert resolve_people(zones.analytics).skipped
    assert (identities(zones), people(zones)) == before


def test_a_damaged_or_missing_package_leaves_the_old_epoch_whole(zones: TwoZones) -> None:
    zones.stage(FEED, WEEK)
    send(zones)
    before = keys(zones)
    rotate_epoch(zones.council, NIGHT)
    (package,) = zones.home.outbox.glob("epochs/*accounts*.sealed")
    content = bytearray(package.read_bytes())
    content[len(content) // 2] ^= 1
    whole = package.read_bytes()
    package.write_bytes(content)
    report = zones.open(FEED)
    assert "epoch-0002" in report.refused[0].file_name and "manifest" in report.refused[0].reason
    package.unlink()
    assert zones.open(FEED).turned_to_epoch is None
    assert keys(zones) == before
    package.write_bytes(whole)
    assert zones.open(FEED).turned_to_epoch == 2


class Killed(BaseException):
    """Stands for the process being killed: no handler catches it."""


def _stop(*_: object, **__: object) -> None:
    raise Killed
