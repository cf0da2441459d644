"""Where packages lie and whose keys are trusted: any location, whole files only, and no key that nobody vouched for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import register_implementation

from exchange.transport import OUTBOX, PUBLIC_KEYS, Exchange
from exchange.trust import (
    UntrustedKeyError,
    public_key,
    publish_public_key,
    read_public_key,
    trust_public_key,
    trusted_public_key,
)
from stores.home import Home
from stores.keys import ANALYTICS_ROOTS, COUNCIL_ROOTS, FileKeys, KeyUnavailableError, create_missing_keys

NAME = "council_tax/2025-01-06-full-0123abcd.sealed"
CONTENT = bytes(range(256)) * 40


class SlowShare(MemoryFileSystem):
    """A remote share without a rename in one step: a move copies bit by bit, and whoever looks meanwhile sees half."""

    protocol = "slowshare"
    store: dict[str, Any] = {}  # noqa: RUF012  what the base class has, apart from its own
    pseudo_dirs = [""]  # noqa: RUF012
    seen_half_way: list[bytes] = []  # noqa: RUF012

    def mv(self, path1: str, path2: str, **_: Any) -> None:
        content = self.cat_file(path1)
        self.pipe_file(path2, content[: len(content) // 2])
        SlowShare.seen_half_way.append(self.cat_file(path2))
        self.pipe_file(path2, content)
        self.rm_file(path1)


register_implementation("slowshare", SlowShare, clobber=True)


@pytest.fixture(params=["folder", "file://", "memory://", "slowshare://"])
def exchange(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Exchange]:
    place = tmp_path / "exchange"
    match request.param:
        case "folder":
            yield Exchange(str(place))
        case "file://":
            yield Exchange(f"file://{place}")
        case scheme:
            yield Exchange(f"{scheme}/{uuid4().hex}")


def put(exchange: Exchange, name: str = NAME, content: bytes = CONTENT) -> None:
    with exchange.writing(OUTBOX, name) as path:
        path.write_bytes(content)


def test_what_is_written_is_listed_and_read_back(exchange: Exchange) -> None:
    assert exchange.names(OUTBOX, "council_tax") == []
    put(exchange)
    put(exchange, NAME.replace("06", "13"))
    assert exchange.names(OUTBOX, "council_tax") == [
        "2025-01-06-full-0123abcd.sealed",
        "2025-01-13-full-0123abcd.sealed",
    ]
    with exchange.reading(OUTBOX, NAME) as path:
        assert path.read_bytes() == CONTENT


def test_a_file_that_is_written_again_is_replaced(exchange: Exchange) -> None:
    put(exchange, content=b"before")
    put(exchange)
    with exchange.reading(OUTBOX, NAME) as path:
        assert path.read_bytes() == CONTENT


def test_a_file_that_was_not_finished_is_not_there(exchange: Exchange) -> None:
    def stopped() -> None:
        with exchange.writing(OUTBOX, NAME) as path:
            path.write_bytes(CONTENT[:100])
            raise InterruptedError

    with pytest.raises(InterruptedError):
        stopped()
    assert exchange.names(OUTBOX, "council_tax") == []


def test_temporary_names_are_overlooked(exchange: Exchange) -> None:
    put(exchange, "council_tax/.2025-01-06.sealed.1234.part")
    put(exchange, "council_tax/2025-01-06.sealed.part")
    assert exchange.names(OUTBOX, "council_tax") == []


def test_what_is_removed_is_gone_and_may_be_removed_twice(exchange: Exchange) -> None:
    put(exchange)
    exchange.remove(OUTBOX, NAME)
    exchange.remove(OUTBOX, NAME)
    assert exchange.names(OUTBOX, "council_tax") == []
    with pytest.raises(FileNotFoundError), exchange.reading(OUTBOX, NAME) as path:
        path.read_bytes()


def test_a_share_without_a_rename_shows_half_a_file_for_a_moment_and_leaves_no_other() -> None:
    place = uuid4().hex
    share = Exchange(f"slowshare://{place}")
    put(share)
    assert SlowShare.seen_half_way[-1] == CONTENT[: len(CONTENT) // 2]
    assert share.names(OUTBOX, "council_tax") == ["2025-01-06-full-0123abcd.sealed"]
    assert not [name for name in SlowShare.store if place in name and name.endswith(".part")]


def test_short_texts_come_back_or_are_none(exchange: Exchange) -> None:
    assert exchange.read_text(PUBLIC_KEYS, "council.pub") is None
    exchange.write_text(PUBLIC_KEYS, "council.pub", "ab12")
    assert exchange.read_text(PUBLIC_KEYS, "council.pub") == "ab12"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    create_missing_keys(home.council_keys, COUNCIL_ROOTS)
    create_missing_keys(home.analytics_keys, ANALYTICS_ROOTS)
    publish_public_key(FileKeys(home.council_keys), "council", home)
    publish_public_key(FileKeys(home.analytics_keys), "analytics", home)
    return home


def other_key(tmp_path: Path) -> str:
    create_missing_keys(tmp_path / "other", ("exchange",))
    return public_key(FileKeys(tmp_path / "other")).hex()


@pytest.mark.parametrize(("zone", "of"), [("analytics", "council"), ("council", "analytics")])
def test_the_first_key_that_is_seen_is_trusted_and_another_one_is_refused(
    home: Home, tmp_path: Path, zone: str, of: str
) -> None:
    """Also the receiver's key: who could replace it could read all that is sealed from then on."""
    first = trusted_public_key(home, zone, of)
    assert first == read_public_key(home, of) == trusted_public_key(home, zone, of)
    (home.exchange_public_keys / f"{of}.pub").write_text(other_key(tmp_path))
    with pytest.raises(UntrustedKeyError, match=f"doorstep keys trust {of}"):
        trusted_public_key(home, zone, of)


def test_a_changed_key_is_trusted_once_a_person_says_so(home: Home, tmp_path: Path) -> None:
    trusted_public_key(home, "analytics", "council")
    (home.exchange_public_keys / "council.pub").write_text(other_key(tmp_path))
    print_of_it = trust_public_key(home, "analytics", "council")
    assert len(print_of_it.split()) == 8
    assert trusted_public_key(home, "analytics", "council").hex() == other_key(tmp_path)


def test_a_key_that_was_taken_away_is_missed_even_if_it_is_trusted(home: Home) -> None:
    trusted_public_key(home, "analytics", "council")
    shutil.rmtree(home.exchange_public_keys)
    with pytest.raises(KeyUnavailableError, match="no such public key"):
        trusted_public_key(home, "analytics", "council")


def test_a_public_key_of_an_earlier_form_says_what_to_do(home: Home) -> None:
    (home.exchange_public_keys / "council.pub").write_text("ab" * 32)
    with pytest.raises(KeyUnavailableError, match=r"128 hexadecimal digits.*keys init"):
        read_public_key(home, "council")


def test_public_keys_travel_on_the_exchange_that_is_configured(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOORSTEP_EXCHANGE", f"memory://{uuid4().hex}")
    with pytest.raises(KeyUnavailableError, match="memory://"):
        read_public_key(home, "council")
    publish_public_key(FileKeys(home.council_keys), "council", home)
    assert read_public_key(home, "council") == public_key(FileKeys(home.council_keys))
