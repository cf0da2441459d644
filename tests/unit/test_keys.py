"""Keys: without the right one nothing starts, and what is derived for one purpose serves no other."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from exchange.sealed import publish_public_key, read_public_key
from stores.home import Home
from stores.keys import (
    COUNCIL_ROOTS,
    EnvironmentKeys,
    FileKeys,
    KeyUnavailableError,
    create_missing_keys,
    derive_key,
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
