"""Keys: without the right one nothing starts, and what is derived for one purpose serves no other."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from exchange.sealed import publish_public_key, read_public_key
from stores.home import Home
from stores.key_rotation import KeyRotationError, destroy_version, make_current, prepare_version
from stores.keys import (
    COUNCIL_ROOTS,
    CommandKeys,
    EnvironmentKeys,
    FileKeys,
    KeyUnavailableError,
    create_missing_keys,
    derive_key,
    key_id,
    zone_keys,
)

ROOT = bytes(range(32))


def test_keys_are_made_once_and_never_replaced(tmp_path: Path) -> None:
    assert create_missing_keys(tmp_path / "keys", COUNCIL_ROOTS) == list(COUNCIL_ROOTS)
    before = {path.name: path.read_text() for path in (tmp_path / "keys").glob("*.key")}
    assert create_missing_keys(tmp_path / "keys", COUNCIL_ROOTS) == []
    assert {path.name: path.read_text() for path in (tmp_path / "keys").glob("*.key")} == before
    assert len(set(before.values())) == len(COUNCIL_ROOTS)


def test_only_the_owner_can_read_a_new_key(tmp_path: Path) -> None:
    create_missing_keys(tmp_path / "keys", ("storage",))
    assert stat.S_IMODE((tmp_path / "keys" / "storage.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_a_missing_key_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailableError, match="doorstep keys init"):
        FileKeys(tmp_path).root("storage")


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    create_missing_keys(tmp_path, ("storage",))
    (tmp_path / "storage.key").chmod(0o640)
    with pytest.raises(KeyUnavailableError, match="chmod 600"):
        FileKeys(tmp_path).root("storage")


@pytest.mark.parametrize("text", ["", "zz" * 32, "ab" * 31, "ab" * 33, "\x00\xff"])
def test_a_malformed_key_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "storage.key"
    path.write_text(text, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(KeyUnavailableError, match="not a key") as refused:
        FileKeys(tmp_path).root("storage")
    assert not text or text not in str(refused.value)


def test_a_zone_takes_its_keys_from_the_environment_where_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOORSTEP_COUNCIL_KEY_STORAGE", ROOT.hex())
    keys = zone_keys("council", tmp_path)
    assert keys.root("storage") == ROOT
    with pytest.raises(KeyUnavailableError, match="DOORSTEP_COUNCIL_KEY_LINKAGE"):
        keys.root("linkage")


def test_an_environment_key_that_is_no_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANY_STORAGE", "not hexadecimal")
    with pytest.raises(KeyUnavailableError, match="not a key"):
        EnvironmentKeys("ANY").root("storage")


def test_a_derived_key_is_what_it_always_was() -> None:
    # HKDF-SHA256 of the root with info "doorstep/1\0storage\0warehouse".
    assert derive_key(ROOT, "storage", "warehouse").hex() == (
        "d36fc221c481f18aac36b534f2ab5995b49a436da4d2d777ccd61a200165a5c1"
    )


def test_no_two_purposes_share_a_key() -> None:
    purposes = [
        ("storage",),
        ("storage", "a"),
        ("storagea",),
        ("storage", "b"),
        ("vault", "a"),
        ("a", "vault"),
    ]
    keys = {derive_key(ROOT, *purpose) for purpose in purposes} | {derive_key(bytes(32), "storage")}
    assert len(keys) == len(purposes) + 1


def test_a_purpose_cannot_smuggle_in_a_separator() -> None:
    with pytest.raises(ValueError, match="NUL"):
        derive_key(ROOT, "storage\0warehouse")


def test_a_published_public_key_is_what_the_other_zone_reads(tmp_path: Path) -> None:
    home = Home(tmp_path)
    create_missing_keys(home.council_keys, COUNCIL_ROOTS)
    path = publish_public_key(FileKeys(home.council_keys), "council", home)
    secret = (home.council_keys / "exchange.key").read_text()
    assert read_public_key(home, "council").hex() == path.read_text()
    assert secret not in path.read_text()


def test_a_public_key_that_is_missing_or_damaged_stops_the_caller(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(KeyUnavailableError, match="no such public key"):
        read_public_key(home, "analytics")
    home.exchange_public_keys.mkdir(parents=True)
    (home.exchange_public_keys / "analytics.pub").write_text("abc")
    with pytest.raises(KeyUnavailableError, match="not a public key"):
        read_public_key(home, "analytics")


KEY_PROGRAM = """
import sys
zone, name, version = sys.argv[1:]
print(f"complaint about {name}", file=sys.stderr)
print((name + version).encode().hex().ljust(64, "0")[:64])
"""


def command_keys(folder: Path, program: str, patience: float = 20.0) -> CommandKeys:
    return CommandKeys(
        "council", (sys.executable, "-c", program, "{zone}", "{name}", "{version}"), folder, patience
    )


def test_a_command_hands_over_a_key_for_its_name_and_version(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    keys = command_keys(tmp_path, KEY_PROGRAM)
    assert keys.root("storage").hex() == b"storage1".hex().ljust(64, "0")
    assert keys.root("storage") != keys.root("linkage")
    assert capfd.readouterr() == ("", "")
    assert b"storage1".hex() not in repr(keys)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("print('secret but short')", "not a key"),
        ("import sys; print('ab' * 32); sys.exit(3)", "exit code 3"),
        ("import time; time.sleep(30)", "no answer"),
    ],
)
def test_a_command_that_fails_is_named_and_its_output_never_shown(
    tmp_path: Path, program: str, message: str
) -> None:
    with pytest.raises(KeyUnavailableError, match=message) as refused:
        command_keys(tmp_path, program, patience=0.5 if "sleep" in program else 20.0).root("storage")
    assert "secret" not in str(refused.value) and "ab" * 32 not in str(refused.value)


def test_a_command_runs_without_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = tmp_path / "trap"
    monkeypatch.setenv("DOORSTEP_COUNCIL_KEY_COMMAND", f"echo 'a b' ; touch {trap}")
    keys = zone_keys("council", tmp_path)
    assert isinstance(keys, CommandKeys)
    assert keys.command == ("echo", "a b", ";", "touch", str(trap))
    with pytest.raises(KeyUnavailableError, match="not a key"):
        keys.root("storage")
    assert not trap.exists()


def test_two_providers_for_one_zone_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORSTEP_COUNCIL_KEY_COMMAND", "echo")
    monkeypatch.setenv("DOORSTEP_COUNCIL_KEY_STORAGE", ROOT.hex())
    with pytest.raises(KeyUnavailableError, match="both set"):
        zone_keys("council", tmp_path)


def test_a_new_version_from_the_environment_has_its_number_in_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOORSTEP_COUNCIL_KEY_STORAGE", ROOT.hex())
    keys = zone_keys("council", tmp_path)
    with pytest.raises(KeyUnavailableError, match="DOORSTEP_COUNCIL_KEY_STORAGE_2 is not set"):
        prepare_version(keys, "storage", 2)
    monkeypatch.setenv("DOORSTEP_COUNCIL_KEY_STORAGE_2", ROOT.hex())
    make_current(keys, "storage", 1)
    with pytest.raises(KeyRotationError, match="was the storage root before"):
        prepare_version(keys, "storage", 2)
    monkeypatch.setenv("DOORSTEP_COUNCIL_KEY_STORAGE_2", "cd" * 32)
    prepare_version(keys, "storage", 2)
    make_current(keys, "storage", 2)
    assert (keys.current("storage"), keys.usable("storage")) == (2, (2, 1))
    assert keys.root("storage").hex() == "cd" * 32
    assert ROOT.hex() not in (tmp_path / "keys.json").read_text()


def test_a_key_id_tells_keys_apart_and_tells_nothing_of_them() -> None:
    assert key_id(ROOT) == "813a0c27"  # HKDF-SHA256 of the root with info "doorstep/1\0key id", 4 bytes
    assert key_id(bytes(32)) != key_id(ROOT)
    assert key_id(ROOT) not in ROOT.hex()


def test_a_key_that_is_not_the_registered_one_is_refused(tmp_path: Path) -> None:
    create_missing_keys(tmp_path, ("storage",))
    (tmp_path / "storage.key").write_text("ab" * 32)
    with pytest.raises(KeyUnavailableError, match="Restore that one"):
        FileKeys(tmp_path).root("storage")


def test_a_retired_key_is_gone_and_is_never_current_again(tmp_path: Path) -> None:
    create_missing_keys(tmp_path, ("storage",))
    keys = FileKeys(tmp_path)
    with pytest.raises(KeyRotationError, match="current"):
        destroy_version(keys, "storage", 1)
    prepare_version(keys, "storage", 2)
    make_current(keys, "storage", 2)
    destroy_version(keys, "storage", 1)
    assert not (tmp_path / "storage.key").exists()
    assert keys.usable("storage") == (2,)
    with pytest.raises(KeyUnavailableError, match="retired"):
        keys.root("storage", 1)


@pytest.mark.parametrize("text", ["{", '{"format": 9, "roots": {}}', '{"format": 1}', "[]"])
def test_a_damaged_register_stops_the_zone(tmp_path: Path, text: str) -> None:
    create_missing_keys(tmp_path, ("storage",))
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(KeyUnavailableError, match=r"keys\.json"):
        FileKeys(tmp_path).root("storage")
