"""Public keys of the two zones: published where the other can read them, and trusted once, not each time anew.

Whoever can write to the exchange could put a public key of their own there, read what is sealed to it and seal
what they like. So each zone remembers the other's key when it first sees it (`<zone keys>/trusted/<zone>.pub`)
and refuses another one until a person says that it is right.

A public key is 64 bytes: X25519 (what packages are sealed to), then Ed25519 (what their signature is checked
with). Both come from the zone's `exchange` root.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from exchange.transport import PUBLIC_KEYS, Exchange
from stores.files import written_atomically
from stores.home import Home
from stores.key_derivation import bytes_from_hex
from stores.keys import KeyProvider, KeyUnavailableError, derive_key

X25519_BYTES = 32
PUBLIC_KEY_BYTES = 64
KEY_ID_HEX_DIGITS = 8


class UntrustedKeyError(KeyUnavailableError):
    """The public key that a zone publishes is not the one that this zone trusts."""


def sealing_key(keys: KeyProvider, version: int | None = None) -> X25519PrivateKey:
    """Return the key that packages to this zone are opened with. Raises `KeyUnavailableError`."""
    root = keys.root("exchange") if version is None else keys.root("exchange", version)
    return X25519PrivateKey.from_private_bytes(derive_key(root, "exchange", "sealing"))


def signing_key(keys: KeyProvider) -> Ed25519PrivateKey:
    """Return the key that packages from this zone are signed with. Raises `KeyUnavailableError`."""
    return Ed25519PrivateKey.from_private_bytes(derive_key(keys.root("exchange"), "exchange", "signing"))


def public_key(keys: KeyProvider) -> bytes:
    """Return the 64-byte exchange public key that belongs to `keys`."""
    sealing = sealing_key(keys).public_key().public_bytes_raw()
    return sealing + signing_key(keys).public_key().public_bytes_raw()


def public_key_hex(keys: KeyProvider) -> str:
    """Return the exchange public key that belongs to `keys`, as 128 hexadecimal digits."""
    return public_key(keys).hex()


def public_key_id(key: bytes) -> str:
    """Return a short name of a public key, 8 hexadecimal digits: for headers and lists, not for trust."""
    return hashlib.sha256(key).hexdigest()[:KEY_ID_HEX_DIGITS]


def fingerprint(key: bytes) -> str:
    """Return 128 bits of a public key's SHA-256 in groups of four digits, to be read out over the telephone."""
    digits = hashlib.sha256(key).hexdigest()[:32]
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def publish_public_key(keys: KeyProvider, zone_name: str, home: Home) -> Path:
    """Write the exchange public key of `zone_name` ("council" or "analytics") to where the other zone reads
    it; return where that is in a folder, or would be."""
    exchange = Exchange.of(home)
    text = public_key_hex(keys)
    if exchange.read_text(PUBLIC_KEYS, f"{zone_name}.pub") != text:
        exchange.write_text(PUBLIC_KEYS, f"{zone_name}.pub", text)
    return home.exchange_public_keys / f"{zone_name}.pub"


def read_public_key(home: Home, zone_name: str) -> bytes:
    """Return the 64-byte public key that `zone_name` has published, trusted or not.

    Raises `KeyUnavailableError` if it is missing or malformed.
    """
    exchange = Exchange.of(home)
    place = exchange.place(PUBLIC_KEYS, f"{zone_name}.pub")
    text = exchange.read_text(PUBLIC_KEYS, f"{zone_name}.pub")
    if text is None:
        raise KeyUnavailableError(
            f"{place}: no such public key. Run `doorstep keys init` in the {zone_name} zone."
        )
    return _from_hex(text, place, zone_name)


def trusted_public_key(home: Home, zone_name: str, of: str) -> bytes:
    """Return the public key of zone `of` that `zone_name` trusts; the first one that it sees, it trusts.

    Raises `UntrustedKeyError` if another one is published by now, and `KeyUnavailableError` if none is.
    """
    path = _trusted_path(home, zone_name, of)
    published = read_public_key(home, of)
    if not path.is_file():
        trust_public_key(home, zone_name, of)
        return published
    trusted = _from_hex(path.read_text(encoding="ascii", errors="replace"), str(path), of)
    if trusted != published:
        raise UntrustedKeyError(
            f"the {of} zone publishes another public key ({fingerprint(published)}) than the one that the "
            f"{zone_name} zone trusts ({fingerprint(trusted)}). Ask {of} on a way you know whether it changed its "
            f"key. If it did: `doorstep keys trust {of}`. If not, somebody has written to the exchange."
        )
    return trusted


def trust_public_key(home: Home, zone_name: str, of: str) -> str:
    """Let `zone_name` trust the key that `of` publishes now, in place of any before; return its fingerprint."""
    published = read_public_key(home, of)
    with written_atomically(_trusted_path(home, zone_name, of)) as aside:
        aside.write_text(published.hex(), encoding="ascii")
    return fingerprint(published)


def _from_hex(text: str, place: str, zone_name: str) -> bytes:
    key = bytes_from_hex(text, PUBLIC_KEY_BYTES)
    if key is None:
        raise KeyUnavailableError(
            f"{place}: not a public key. It must hold 128 hexadecimal digits. "
            f"Run `doorstep keys init` in the {zone_name} zone: it writes it anew."
        )
    return key


def _trusted_path(home: Home, zone_name: str, of: str) -> Path:
    folder = home.council_keys if zone_name == "council" else home.analytics_keys
    return folder / "trusted" / f"{of}.pub"
