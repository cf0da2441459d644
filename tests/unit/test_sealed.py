"""Sealed packages: what goes in comes out, for the right receiver, from the right sender, to the last bit."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass, replace
from datetime import date

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from exchange import sealed
from exchange.sealed import PackageLabel, Part, SealedPackageError, open_sealed, public_key_hex, seal
from stores.keys import KeyUnavailableError


@dataclass(frozen=True)
class FixedKeys:
    """Keys whose exchange root is one byte, repeated."""

    byte: int

    def root(self, name: str, version: int | None = None) -> bytes:
        assert name == "exchange"
        return bytes([self.byte]) * 32


class NoKeys:
    def root(self, name: str, version: int | None = None) -> bytes:
        raise KeyUnavailableError(f"{name}.key: no such key")


COUNCIL, ANALYTICS, STRANGER = FixedKeys(1), FixedKeys(2), FixedKeys(3)
COUNCIL_PUBLIC = bytes.fromhex(public_key_hex(COUNCIL))
ANALYTICS_PUBLIC = bytes.fromhex(public_key_hex(ANALYTICS))

LABEL = PackageLabel(
    feed="council_tax",
    delivery_id="2025-01-06-full-0123abcd",
    delivery_date=date(2025, 1, 6),
    received_date=date(2025, 1, 8),
    kind="full",
    agreement="isa_household_support",
    contract_version="1.0.0",
    epoch=1,
)
PARTS = (
    Part("payload", "accounts", pa.table({"record_ref": ["a", "b"], "band": ["A", None]})),
    Part("link_keys", "accounts", pa.table({"record_ref": ["b", "a"], "token": [b"\x01", b"\x02"]})),
    Part("payload", "recovery_stages", pa.table({"record_ref": pa.array([], pa.string())})),
)

# What version 1 of the format sealed once, between the fixed keys above, with an ephemeral key of 9s.
FIRST_PACKAGE = base64.b64decode(
    "RFNUUFNFQUwAAQAAAxN7ImFncmVlbWVudCI6ImlzYV9ob3VzZWhvbGRfc3VwcG9ydCIsImNvbnRyYWN0X3ZlcnNpb24iOiIx"
    "LjAuMCIsImRlbGl2ZXJ5X2RhdGUiOiIyMDI1LTAxLTA2IiwiZGVsaXZlcnlfaWQiOiIyMDI1LTAxLTA2LWZ1bGwtMDEyM2Fi"
    "Y2QiLCJlcGhlbWVyYWwiOiI1N2RiNGIzNTlmMjNhZTVlMTQ2ZTRlMjUxMjA1NjcwNDcyMjUwNjM0OGMxNTBjMTQ3NTNkMGM5"
    "MzNkMDRkNDIxIiwiZXBvY2giOjEsImZlZWQiOiJjb3VuY2lsX3RheCIsImtpbmQiOiJmdWxsIiwicGFydHMiOlt7ImJ5dGVz"
    "Ijo1NjAsImtpbmQiOiJwYXlsb2FkIiwicm93cyI6Miwic2hhMjU2IjoiYzBiYTIxMzYzYTQ2ZjYwNWQ0MWQ3NjJhYTcwMDg3"
    "YzI2YTViZTRmZTAwYWU5YzNmOTM0ZTY2NjY1NjFkNTJmYiIsInRhYmxlIjoiYWNjb3VudHMifSx7ImJ5dGVzIjo1MzYsImtp"
    "bmQiOiJsaW5rX2tleXMiLCJyb3dzIjoyLCJzaGEyNTYiOiJlMDI4OTE1ZGE5OTRkMGNkZTA2MmIwYmVjMDJhOTdhOTZhZjFk"
    "OTlhNGMxOWM0YWQ3NGEwNmVhMjYzOWI2ZGEzIiwidGFibGUiOiJhY2NvdW50cyJ9LHsiYnl0ZXMiOjEzNiwia2luZCI6InBh"
    "eWxvYWQiLCJyb3dzIjowLCJzaGEyNTYiOiIzZDE2ZWI3MTVlOTM0ZjA3NTBiMDVlZDRlODg0OTRhOTUyYzE1NGI0Yjk1YzIz"
    "NTQ0MjY2ZjlhNTA0OWJmODVjIiwidGFibGUiOiJyZWNvdmVyeV9zdGFnZXMifV0sInJlY2VpdmVkX2RhdGUiOiIyMDI1LTAx"
    "LTA4Iiwic2VuZGVyIjoiYTRlMDkyOTJiNjUxYzI3OGI5NzcyYzU2OWY1ZmE5YmIxM2Q5MDZiNDZhYjY4YzlkZjlkYzJiNDQw"
    "OWY4YTIwOSJ9Y3CynVxpRxMhXJEfwqhhKZ5Sd1ZS9pGKcu0pQch1Cl6cjB7f5CQF5AMH4YuzTiyL6pEYmPHXlchY2Ok4cHgn"
    "dTp0tMvrHBVoqIca1HYmZ7IPO/wkamKO33eH7ND/NpU0pUAxsIeMgezpWnaneshUH7W0BES9LKsevoEptPUZjwxhzZtk1A+e"
    "wTezkUYtAlQ9+QUxzS2KtrAEC6/Irfc3fKKHPDpWugZyrgzuXGTiyu5vMBnLS44tvSLAbhthgp4xL8GlGyG5D1MqXr2cp7b9"
    "AiUkZcQMWqZriHjPsVa2drvLJPlGu2YbjxDAH6maScaFgSQArbmMEA/Eesf26M5hUPupIkYRjeg0O2nuzszvlg0Ac3cILamI"
    "6vA7LaxosUk2Ow1PMzqn5Od1S3QTJ9gdQIsODpjycspxgRLK0DqCysy3fm/K27YHtt5OxiaElLvNx8vHVYOWkumrWLGlboLG"
    "O9T9si74Jn+uYmmcBmm/IIljxgu/coapsN2aV+Haxhv3Mw2yZIQxav2IR2BWk/PsuBe5vDPXFDg9IRPgcMszPbVKCYagCKak"
    "lrS0Zcp1lLq9pFcmeaImfgTpKcbxDhj8U2F0gjn3J590l5LpJ44FzeOLBxogY6eR2ugxQqtujeFU0qng+gENogtK437GfwRY"
    "gjMwvbSKcysoNfNVQCK2lR2ZgSc6ctvk0sZMsEDqSEIK+yY8jGxSYftHYZ4YkRFcp8mF79bce6j7cZ8uOet78CT1XDHf1Dr6"
    "00yO9rftYIkg2xanLpY7gE0ad2t9OtCBbX0jkkZaxjyhM7GWR8m5EdlCYe3cY2E1xiNVM7poPwttfOw8p+ec95YeWNBCkhyZ"
    "4JnZl6DTVhl6LuGP1CCjBlBUFitrlXLiNIxbJubBeYdvvdxewNDCrFQE0n58tyNF7p64wjKmIpZazJvGCz1Bn/kzDm2LWVgu"
    "6z0WZ0I1Dfxj3lEXshUIhy68PHcCywWsuHgHVnEGvBnL/EKnOoSt+iRmRrDNwAHg9p4oiUyZg8ObOdwbTA9cDiy4hRqdksFd"
    "VQ/bo1i9vay5UqtUvV0b4jrckkxX12MXxkqKrIYSTKmN9kW2QgxSqMJW9zH8UZZ1u53MMEESR7x0ZthjLwezM+QXcBG4lZtI"
    "QFjmpvf9hw7FxrNuU9OjHs3h8cTnbys8BMyCXBooYD+lGgwmhPVFyfpC4DGoz5uOHAozbIH/zXvhlqkpzjb0QKaRoaSKJsSD"
    "HuivNQLj4sx0Nx7m1VCayfjR9HTM6D2w81HKfR5TBPcVcc7mlYhMvHIX9MgkN6hfKGw3nWW7X018+QmD2r2ttwYJk1Wq3scQ"
    "o8VQb2RrDdo1aKAiH7OkI0uBqAVrRRAtJig6kP9oEN5ilec9WvFfp32bKrihI5DcBjsnVQAVaReAhMAHAXuCGUnJH3p0aRuz"
    "tz5aHaGmN9lqnd2gCsWlwS8V781Ef2rc/kUzrW3504Hei1ClIjMEJxwy1Byf4v3hqB44qntS/okmhUCu2Fpb0TQeMN21qfEV"
    "Q+X7OER3r5hwaV26ILPwRp8kGnfanb+g/zrOGhEjQJzntsbb7+DypIuIak00OLFLxJVz7TDOzYQbcOsFMoXrYOk8M25q6mgn"
    "ofdb3SbrYblJGQypiFahuieYb63xHU2gdhlVsAUhFADn"
)


def test_what_was_sealed_is_what_is_opened() -> None:
    opened = open_sealed(seal(LABEL, PARTS, COUNCIL, ANALYTICS_PUBLIC), ANALYTICS, COUNCIL_PUBLIC)
    assert opened.label == LABEL
    assert [(part.kind, part.table, part.rows.to_pylist()) for part in opened.parts] == [
        (part.kind, part.table, part.rows.to_pylist()) for part in PARTS
    ]
    assert opened.part("link_keys", "recovery_stages") is None


def test_a_package_of_the_first_version_still_opens() -> None:
    opened = open_sealed(FIRST_PACKAGE, ANALYTICS, COUNCIL_PUBLIC)
    assert opened.label == LABEL
    payload = opened.part("payload", "accounts")
    assert payload is not None
    assert payload.to_pylist() == [{"record_ref": "a", "band": "A"}, {"record_ref": "b", "band": None}]


def test_the_key_of_a_package_is_derived_as_it_always_was() -> None:
    key, nonce = sealed._package_key(bytes(32), bytes([7]) * 32, b"public keys")
    assert key.hex() == "7dd313e549656e1f698bd6ac2e395983b53eda7f62569b8ffd48b40b5e141c44"
    assert nonce.hex() == "fe8484c41a35286caffeaf96"


def test_sealing_twice_gives_other_bytes_but_the_same_content() -> None:
    first, second = (seal(LABEL, PARTS, COUNCIL, ANALYTICS_PUBLIC) for _ in range(2))
    assert first != second
    assert (
        open_sealed(first, ANALYTICS, COUNCIL_PUBLIC).label
        == open_sealed(second, ANALYTICS, COUNCIL_PUBLIC).label
    )


def test_a_flipped_bit_in_any_byte_is_refused() -> None:
    package = seal(LABEL, PARTS, COUNCIL, ANALYTICS_PUBLIC)
    chance = random.Random(20250106)  # noqa: S311 - which bit is flipped is no secret
    for place in range(len(package)):
        flipped = bytearray(package)
        flipped[place] ^= 1 << chance.randrange(8)
        with pytest.raises(SealedPackageError):
            open_sealed(bytes(flipped), ANALYTICS, COUNCIL_PUBLIC)


def test_a_package_cut_off_anywhere_is_refused() -> None:
    package = seal(LABEL, PARTS, COUNCIL, ANALYTICS_PUBLIC)
    for length in range(0, len(package), 13):
        with pytest.raises(SealedPackageError):
            open_sealed(package[:length], ANALYTICS, COUNCIL_PUBLIC)


def test_a_package_with_something_behind_it_is_refused() -> None:
    with pytest.raises(SealedPackageError):
        open_sealed(seal(LABEL, PARTS, COUNCIL, ANALYTICS_PUBLIC) + b"\0", ANALYTICS, COUNCIL_PUBLIC)


def test_another_receiver_cannot_open_it() -> None:
    with pytest.raises(SealedPackageError, match="another receiver"):
        open_sealed(seal(LABEL, PARTS, COUNCIL, ANALYTICS_PUBLIC), STRANGER, COUNCIL_PUBLIC)


def test_a_stranger_who_knows_our_public_key_cannot_send_us_anything() -> None:
    with pytest.raises(SealedPackageError, match="another sender"):
        open_sealed(seal(LABEL, PARTS, STRANGER, ANALYTICS_PUBLIC), ANALYTICS, COUNCIL_PUBLIC)


def test_a_stranger_who_writes_the_council_as_sender_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Impostor:
        """Agrees as the stranger, but shows the council's public key."""

        def __init__(self) -> None:
            self.own = X25519PrivateKey.from_private_bytes(STRANGER.root("exchange"))

        def public_key(self) -> object:
            return X25519PrivateKey.from_private_bytes(COUNCIL.root("exchange")).public_key()

        def exchange(self, peer: object) -> bytes:
            return self.own.exchange(peer)  # type: ignore[arg-type]

    forged = sealed._seal(LABEL, PARTS, Impostor(), ANALYTICS_PUBLIC, X25519PrivateKey.generate())  # type: ignore[arg-type]
    with pytest.raises(SealedPackageError):
        open_sealed(forged, ANALYTICS, COUNCIL_PUBLIC)


def test_a_later_format_is_refused_by_its_number() -> None:
    package = bytearray(seal(LABEL, PARTS, COUNCIL, ANALYTICS_PUBLIC))
    package[9] = 2
    with pytest.raises(SealedPackageError, match="format version is 2"):
        open_sealed(bytes(package), ANALYTICS, COUNCIL_PUBLIC)


def test_a_file_that_is_no_package_is_refused_as_such() -> None:
    with pytest.raises(SealedPackageError, match="not a sealed package"):
        open_sealed(b"name,address\n" * 20, ANALYTICS, COUNCIL_PUBLIC)


def test_a_missing_key_stops_sealing_and_opening() -> None:
    package = seal(LABEL, PARTS, COUNCIL, ANALYTICS_PUBLIC)
    with pytest.raises(KeyUnavailableError):
        seal(LABEL, PARTS, NoKeys(), ANALYTICS_PUBLIC)
    with pytest.raises(KeyUnavailableError):
        open_sealed(package, NoKeys(), COUNCIL_PUBLIC)


def test_no_cell_of_a_package_can_be_read_from_its_bytes() -> None:
    marked = Part("payload", "accounts", pa.table({"record_ref": ["a"], "band": ["readable-mark"]}))
    package = seal(replace(LABEL, epoch=2), (marked,), COUNCIL, ANALYTICS_PUBLIC)
    assert b"readable-mark" not in package
