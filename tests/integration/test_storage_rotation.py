"""Rotation of a storage root: every store under a new key, every row as it was, the old key worthless."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from two_zones import NIGHT, TwoZones, make_two_zones, table_of

import stores.rewriting
from bridge.cases.cases import receive_cases
from bridge.digest import council_digest
from bridge.pseudonymise.deliveries import pseudonymise_deliveries
from bridge.review.samples import open_reviews
from bridge.rotation.storage_rotation import rotate_council_storage
from bridge.vault.vault import open_vault
from stores.digest import analytics_digest
from stores.encrypted import StoreUnreadableError, attached, storage_key, store_version
from stores.key_rotation import destroy_version
from stores.keys import KeyUnavailableError
from stores.publishing import publish
from stores.rewriting import rewrite
from stores.store_rotation import rotate_storage, store_versions

FEED = "council_tax"
ACCOUNTS = table_of("""
account_ref | lead_liab_pos | lead_liab_name     | date_of_birth | uprn         | addr1        | band
70000001    | #1            | EXAMPLE, Ada Marie | 1980-02-03    | 100000000001 | 1 Acorn Road | B
70000002    | #1            | Specimen, Cara     | -             | 000100000002 | 2 Acorn Road | C
""")
WEEK = {"accounts": [{**account, "occupation_date": date(2020, 4, 1)} for account in ACCOUNTS]}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose every kind of store holds something."""
    zones = make_two_zones(tmp_path_factory.mktemp("filled") / "home")
    delivery_id = zones.stage(FEED, WEEK)
    pseudonymise_deliveries(zones.council, FEED, [delivery_id], NIGHT)
    zones.open(FEED)
    publish(zones.analytics, "analysts", {"accounts": "records.council_tax__accounts"})
    receive_cases(zones.council, NIGHT)
    with open_reviews(zones.council):
        pass
    return zones.home.root


@pytest.fixture
def zones(filled: Path, tmp_path: Path) -> TwoZones:
    shutil.copytree(filled, tmp_path / "home", symlinks=True)
    return make_two_zones(tmp_path / "home")


def digest(zones: TwoZones) -> str:
    return council_digest(zones.council).joined(analytics_digest(zones.analytics)).total


def rotate_both(zones: TwoZones) -> None:
    rotate_council_storage(zones.council, NIGHT)
    rotate_storage("analytics", zones.analytics.keys, zones.home.analytics, NIGHT)


def test_every_store_is_under_the_new_key_and_says_what_it_said(zones: TwoZones) -> None:
    before = digest(zones)
    council = rotate_council_storage(zones.council, NIGHT)
    analytics = rotate_storage("analytics", zones.analytics.keys, zones.home.analytics, NIGHT)
    assert (council.version, council.stores, council.rewritten) == (2, 5, 5)
    assert (analytics.version, analytics.stores, analytics.rewritten) == (2, 3, 3)
    for keys, folder in (
        (zones.council.keys, zones.home.council),
        (zones.analytics.keys, zones.home.analytics),
    ):
        assert set(store_versions(keys, folder).values()) == {2}
    assert digest(zones) == before
    assert not list(zones.home.root.rglob("*.rewritten*"))


def test_after_retirement_the_old_key_opens_nothing(zones: TwoZones) -> None:
    old_root = zones.council.keys.root("storage")
    old_store = shutil.copy(zones.home.vault_keys_db("district"), zones.home.root / "kept.duckdb")
    rotate_both(zones)
    before = digest(zones)
    with open_vault(zones.council, "district") as vault:
        wrapped = vault.connection.execute("select wrapped_key from vault_keys.data_keys").fetchall()
    destroy_version(zones.council.keys, "storage", 1)
    destroy_version(zones.analytics.keys, "storage", 1)
    assert digest(zones) == before
    assert not (zones.home.council_keys / "storage.key").exists()
    with pytest.raises(KeyUnavailableError, match="retired"):
        zones.council.keys.root("storage", 1)
    for path, store in (
        (zones.home.deliveries_db, "deliveries"),
        (zones.home.vault_db("district"), "vault/district"),
        (zones.home.vault_keys_db("district"), "vault/district.keys"),
    ):
        old_key = _derived(old_root, store)
        with pytest.raises(StoreUnreadableError), attached(path, old_key, read_only=True):
            pass
    # Not even with the old root and an old copy of the key store: the data keys in it are the same, so backups of it
    # have to go with the old key. What is live shares no wrapped key with it.
    with attached(Path(old_store), _derived(old_root, "vault/district.keys"), read_only=True) as copy:
        assert not set(copy.execute("select wrapped_key from data_keys").fetchall()) & set(wrapped)


def _derived(root: bytes, store: str) -> str:
    from stores.keys import derive_key

    return derive_key(root, "storage", store).hex()


def test_a_store_from_before_opens_until_the_old_key_is_retired(zones: TwoZones) -> None:
    backup = zones.home.root / "backup.duckdb"
    shutil.copy(zones.home.warehouse_db, backup)
    rotate_both(zones)
    shutil.copy(backup, zones.home.warehouse_db)
    assert store_version(zones.analytics.keys, "warehouse", zones.home.warehouse_db) == 1
    assert zones.warehouse("select count(*) from records.council_tax__accounts") == [(2,)]
    again = rotate_storage("analytics", zones.analytics.keys, zones.home.analytics, NIGHT)
    assert (again.version, again.resumed, again.rewritten) == (2, True, 1)


class Killed(BaseException):
    """Stands for the process being killed: no handler catches it."""


@pytest.mark.parametrize("calls", [0, 2, 4])
def test_a_rotation_stopped_between_two_stores_is_taken_up(
    zones: TwoZones, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    before = digest(zones)
    done: list[Path] = []
    original: Callable[[Path, str], None] = stores.rewriting.rewrite

    def stop(path: Path, key: str) -> None:
        if len(done) == calls:
            raise Killed
        original(path, key)
        done.append(path)

    with monkeypatch.context() as patched:
        patched.setattr("stores.store_rotation.rewrite", stop)
        with pytest.raises(Killed):
            rotate_both(zones)
    assert digest(zones) == before
    rotate_both(zones)
    assert digest(zones) == before


def test_a_store_that_no_key_opens_stops_the_rotation_before_it_begins(zones: TwoZones) -> None:
    path = zones.home.council / "odd.duckdb"
    with attached(path, "ab" * 32) as connection:
        connection.execute("create table t (a integer)")
    with pytest.raises(StoreUnreadableError, match="odd"):
        rotate_council_storage(zones.council, NIGHT)
    assert zones.council.keys.current("storage") == 1
    assert not (zones.home.council_keys / "storage.2.key").exists()


def _write_and_die(path: Path, key: str) -> None:
    with attached(path, key) as connection:
        connection.execute("insert into t values (2)")
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_log_that_a_killed_writer_left_is_kept_by_a_rewriting(tmp_path: Path) -> None:
    key = "cd" * 32
    path = tmp_path / "store.duckdb"
    with attached(path, key) as connection:
        connection.execute("create table t as select 1 as a")
    # Not forked: DuckDB's threads do not survive a fork.
    writer = multiprocessing.get_context("spawn").Process(target=_write_and_die, args=(path, key))
    writer.start()
    writer.join()
    assert path.with_name("store.duckdb.wal").exists()
    rewrite(path, key)
    assert not path.with_name("store.duckdb.wal").exists()
    with attached(path, key, read_only=True) as connection:
        assert connection.execute("select sum(a) from t").fetchone() == (3,)


def test_a_new_store_is_never_under_an_old_key(zones: TwoZones) -> None:
    rotate_both(zones)
    path = zones.home.quarantine(FEED) / "rows.duckdb"
    with attached(path, storage_key(zones.council.keys, f"quarantine/{FEED}")) as connection:
        connection.execute("create table t (a integer)")
    assert store_version(zones.council.keys, f"quarantine/{FEED}", path) == 2
