"""Promise 6: without the right keys nothing starts, and nothing is written; promise 5: a retired key opens nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from two_zones import NIGHT, TwoZones, make_two_zones
from typer.testing import CliRunner

from bridge.addresses import match_addresses
from bridge.deliveries.inbox import register_deliveries
from bridge.deliveries.loading import load_deliveries
from bridge.pseudonymise.deliveries import pseudonymise_deliveries
from bridge.rotation.epoch_rotation import rotate_epoch
from bridge.rotation.storage_rotation import rotate_council_storage
from bridge.vault.vault import open_vault
from doorstep.cli import app
from exchange.opening import ensure_stores, open_packages
from exchange.transport import Exchange
from governance.retention import read_retention
from governance.sweep import sweep
from linkage.people import resolve_people
from stores.encrypted import StoreUnreadableError
from stores.keys import KeyUnavailableError, create_missing_keys
from stores.publishing import publish
from stores.store_rotation import rotate_storage

FEED = "council_tax"
ACCOUNT = {
    "account_ref": "70000001",
    "lead_liab_pos": 1,
    "lead_liab_name": "EXAMPLE, Ada",
    "uprn": "100000000001",
    "addr1": "1 Acorn Road",
    "occupation_date": date(2020, 4, 1),
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with something in every store, a delivery in the inbox, one checked and one sealed and unopened."""
    zones = make_two_zones(tmp_path_factory.mktemp("filled") / "home")
    for day, opened in ((6, True), (13, False)):
        delivery_id = zones.stage(FEED, {"accounts": [ACCOUNT]}, delivered=date(2025, 1, day))
        pseudonymise_deliveries(zones.council, FEED, [delivery_id], NIGHT)
        if opened:
            zones.open(FEED)
            resolve_people(zones.analytics)
            publish(zones.analytics, "analysts", {"accounts": "records.council_tax__accounts"})
    zones.stage(FEED, {"accounts": [ACCOUNT]}, delivered=date(2025, 1, 20))
    inbox = zones.home.feed_inbox(FEED)
    inbox.mkdir(parents=True)
    (inbox / "council_tax_20250127_full_accounts.csv").write_text("account_ref\n70000002\n", encoding="utf-8")
    return zones.home.root


COUNCIL_WRITERS: dict[str, Callable[[TwoZones], object]] = {
    "register": lambda zones: register_deliveries(zones.council, NIGHT),
    "load": lambda zones: load_deliveries(zones.council, FEED, ["2025-01-27-full-00000000"]),
    "match addresses": lambda zones: match_addresses(zones.council, FEED, ["2025-01-20-full-00000000"]),
    "pseudonymise": lambda zones: pseudonymise_deliveries(
        zones.council, FEED, ["2025-01-20-full-00000000"], NIGHT
    ),
    "open a vault": lambda zones: open_vault(zones.council, "district").__enter__(),
    "rotate the epoch": lambda zones: rotate_epoch(zones.council, NIGHT),
    "rotate the council's storage": lambda zones: rotate_council_storage(zones.council, NIGHT),
}

ANALYTICS_WRITERS: dict[str, Callable[[TwoZones], object]] = {
    "open packages": lambda zones: open_packages(zones.analytics, zones.council.contracts[FEED]),
    "make stores": lambda zones: ensure_stores(zones.analytics, zones.council.contracts.values()),
    "resolve people": lambda zones: resolve_people(zones.analytics),
    "publish": lambda zones: publish(zones.analytics, "analysts", {"again": "records.council_tax__accounts"}),
    "sweep": lambda zones: sweep(
        zones.analytics, Exchange.of(zones.analytics.home), date(2040, 1, 1), read_retention()
    ),
    "rotate analytics storage": lambda zones: rotate_storage(
        "analytics", zones.analytics.keys, zones.home.analytics, NIGHT
    ),
}


def lost(path: Path) -> None:
    path.unlink()


def wrong(path: Path) -> None:
    path.write_text("ab" * 32, encoding="ascii")


def half_written(path: Path) -> None:
    path.write_text(path.read_text(encoding="ascii")[:31], encoding="ascii")


def readable_by_others(path: Path) -> None:
    path.chmod(0o644)


def wrong_and_unregistered(path: Path) -> None:
    """Another key, and no register that would tell: the stores themselves refuse it."""
    path.write_text("ab" * 32, encoding="ascii")
    (path.parent / "keys.json").unlink()


FAULTS = (lost, wrong, half_written, readable_by_others, wrong_and_unregistered)


def tree(root: Path) -> str:
    """Return a digest of every file under `root` but keys, and locks, which hold nothing."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix != ".lock" and "keys" not in path.relative_to(root).parts[:2]:
            digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("zone", ["council", "analytics"])
def test_promise_6_no_writer_writes_with_a_missing_or_wrong_key(
    filled: Path, tmp_path: Path, zone: str, fault: Callable[[Path], None]
) -> None:
    home = tmp_path / "home"
    shutil.copytree(filled, home, symlinks=True)
    zones = make_two_zones(home)
    fault(home / zone / "keys" / "storage.key")
    before = tree(home)
    for name, write in (COUNCIL_WRITERS if zone == "council" else ANALYTICS_WRITERS).items():
        with pytest.raises((KeyUnavailableError, StoreUnreadableError)) as refused:
            write(zones)
        assert "ab" * 32 not in str(refused.value)
        assert tree(home) == before, f"{name} wrote something"


@pytest.mark.parametrize("root", ["pseudonym", "linkage", "exchange"])
@pytest.mark.parametrize("fault", [lost, wrong, half_written], ids=lambda fault: fault.__name__)
def test_promise_6_nothing_is_sealed_without_every_one_of_the_councils_keys(
    filled: Path, tmp_path: Path, root: str, fault: Callable[[Path], None]
) -> None:
    home = tmp_path / "home"
    shutil.copytree(filled, home, symlinks=True)
    zones = make_two_zones(home)
    ((delivery_id,),) = zones.ledger("select delivery_id from deliveries where state = 'checked'")
    fault(home / "council" / "keys" / f"{root}.key")
    before = tree(home)
    with pytest.raises(KeyUnavailableError):
        pseudonymise_deliveries(zones.council, FEED, [delivery_id], NIGHT)
    if root != "pseudonym":
        with pytest.raises(KeyUnavailableError):
            rotate_epoch(zones.council, NIGHT)
    assert tree(home) == before


@pytest.mark.parametrize(
    "command",
    [
        ["keys", "rotate", "linkage", "--workers", "1"],
        ["keys", "rotate", "storage"],
        ["keys", "rotate", "exchange"],
        ["keys", "init"],
        ["bridge", "run", "--night", NIGHT.isoformat()],
        ["vault", "verify"],
    ],
    ids=" ".join,
)
def test_promise_6_a_command_without_its_key_fails_and_writes_nothing(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    home = tmp_path / "home"
    shutil.copytree(filled, home, symlinks=True)
    for name in ("storage", "exchange"):
        lost(home / "council" / "keys" / f"{name}.key")
    before = tree(home)
    monkeypatch.setenv("DOORSTEP_HOME", str(home))
    assert CliRunner().invoke(app, command).exit_code != 0
    assert tree(home) == before


def test_promise_5_rotated_and_retired_keys_open_nothing_and_everything_goes_on(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    shutil.copytree(filled, home, symlinks=True)
    monkeypatch.setenv("DOORSTEP_HOME", str(home))
    zones = make_two_zones(home)
    before = zones.linkage("select record_ref, person_id from people order by all")
    runner = CliRunner()

    def run(*command: str) -> str:
        done = runner.invoke(app, command, catch_exceptions=True)
        assert done.exit_code == 0, (command, done.output, done.exception)
        return done.stdout

    run("keys", "rotate", "linkage", "--workers", "1", "--on", NIGHT.isoformat())
    refused = runner.invoke(app, ["keys", "retire", "linkage"])
    assert refused.exit_code == 1 and "still needed" in str(refused.exception)
    zones.open(FEED)
    run("keys", "rotate", "storage", "--zone", "council")
    run("keys", "rotate", "storage", "--zone", "analytics")
    for root, zone in (("linkage", "council"), ("storage", "council"), ("storage", "analytics")):
        run("keys", "retire", root, "--zone", zone)
    roots = json.loads(run("keys", "status", "--json"))["roots"]
    retired = {(each["zone"], each["root"]) for each in roots if each["state"] == "retired"}
    assert retired == {("council", "linkage"), ("council", "storage"), ("analytics", "storage")}
    assert not list(home.rglob("linkage.key")) and not list(home.rglob("storage.key"))
    assert zones.linkage("select record_ref, person_id from people order by all") == before
    zones = make_two_zones(home)
    ((delivery_id,),) = zones.ledger("select delivery_id from deliveries where state = 'checked'")
    pseudonymise_deliveries(zones.council, FEED, [delivery_id], NIGHT)
    assert zones.open(FEED).link_key_rows == 1
    assert resolve_people(zones.analytics).people == len({person for _, person in before})


@pytest.mark.parametrize("root", ["pseudonym", "identifier"])
def test_a_root_that_cannot_be_rotated_says_why(
    filled: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    monkeypatch.setenv("DOORSTEP_HOME", str(filled))
    zone = "council" if root == "pseudonym" else "analytics"
    refused = CliRunner().invoke(app, ["keys", "rotate", root, "--zone", zone])
    assert refused.exit_code == 1 and "cannot be rotated" in str(refused.exception)


def test_a_lost_key_is_never_made_anew(filled: Path, tmp_path: Path) -> None:
    shutil.copytree(filled, tmp_path / "home", symlinks=True)
    folder = tmp_path / "home" / "council" / "keys"
    lost(folder / "pseudonym.key")
    with pytest.raises(KeyUnavailableError, match="Restore it"):
        create_missing_keys(folder, ("pseudonym", "linkage"))
    assert not (folder / "pseudonym.key").exists()
