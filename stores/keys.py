"""Root keys and everything derived from them.

One 256-bit root per purpose and zone; every other key is HKDF-SHA256 (RFC 5869) of a root, with an `info`
that names what the key is for. A missing or malformed key stops the caller: there is no fallback to
plaintext.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stores.files import written_atomically

KEY_BYTES = 32
DERIVATION_VERSION = "doorstep/1"

COUNCIL_ROOTS = ("pseudonym", "linkage", "storage", "exchange")
ANALYTICS_ROOTS = ("identifier", "storage", "exchange")


class KeyUnavailableError(RuntimeError):
    """A root key is missing, unreadable, malformed, or readable by other users."""


class KeyProvider(Protocol):
    """Something that can hand over a root key by name: a folder, the environment, later a key service."""

    def root(self, name: str) -> bytes:
        """Return the 32-byte root key called `name`; raise `KeyUnavailableError` if it cannot be had."""
        ...


@dataclass(frozen=True)
class FileKeys:
    """Root keys as hexadecimal files `<name>.key`, each readable by its owner alone."""

    folder: Path

    def root(self, name: str) -> bytes:
        path = self.folder / f"{name}.key"
        if not path.is_file():
            raise KeyUnavailableError(
                f"{path}: no such key. Make one with `doorstep keys init`, or restore it."
            )
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise KeyUnavailableError(f"{path}: other users can read this key. Run `chmod 600` on it.")
        return _from_hex(path.read_text(encoding="ascii", errors="replace"), str(path))


@dataclass(frozen=True)
class EnvironmentKeys:
    """Root keys as hexadecimal environment variables `<PREFIX>_<NAME>`."""

    prefix: str

    def root(self, name: str) -> bytes:
        variable = f"{self.prefix}_{name.upper()}"
        text = os.environ.get(variable)
        if not text:
            raise KeyUnavailableError(
                f"{variable} is not set: it must hold the {name} root key, 64 hexadecimal digits."
            )
        return _from_hex(text, variable)


def _from_hex(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyUnavailableError(f"{where}: not a key. It must hold 64 hexadecimal digits.")
    return key


def zone_keys(zone: str, folder: Path) -> KeyProvider:
    """Return the keys of `zone` ("council" or "analytics"): from the environment where set there, else from
    `folder`."""
    prefix = f"DOORSTEP_{zone.upper()}_KEY"
    if f"{prefix}_STORAGE" in os.environ:
        return EnvironmentKeys(prefix)
    return FileKeys(folder)


def derive_key(root: bytes, *purpose: str, length: int = KEY_BYTES) -> bytes:
    """Derive `length` bytes from `root` for one purpose, given as path-like parts (none may hold a NUL)."""
    if any("\0" in part for part in purpose):
        raise ValueError("a purpose part may not hold a NUL byte")
    info = "\0".join((DERIVATION_VERSION, *purpose)).encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(root)


def create_missing_keys(folder: Path, names: tuple[str, ...]) -> list[str]:
    """Make a random root key for every name that has none yet; return the names made. Never replaces a
    key."""
    made = []
    for name in names:
        path = folder / f"{name}.key"
        if not path.exists():
            with written_atomically(path) as aside:
                aside.touch(mode=0o600)
                aside.write_text(secrets.token_hex(KEY_BYTES), encoding="ascii")
            made.append(name)
    if folder.exists():
        folder.chmod(0o700)
    return made
