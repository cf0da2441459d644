"""What is done with a root key: everything else is derived from it, its own name too.

Every key is HKDF-SHA256 (RFC 5869) of a root, with an `info` that names what the key is for.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
DERIVATION_VERSION = "doorstep/1"
KEY_ID_BYTES = 4


class KeyUnavailableError(RuntimeError):
    """A root key is missing, unreadable, malformed, readable by other users, retired, or not the one it
    should be."""


def derive_key(root: bytes, *purpose: str, length: int = KEY_BYTES) -> bytes:
    """Derive `length` bytes from `root` for one purpose, given as path-like parts (none may hold a NUL)."""
    if any("\0" in part for part in purpose):
        raise ValueError("a purpose part may not hold a NUL byte")
    info = "\0".join((DERIVATION_VERSION, *purpose)).encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(root)


def key_id(root: bytes) -> str:
    """Return the 8 hexadecimal digits that a root key is known by. They tell nothing about the key."""
    return derive_key(root, "key id", length=KEY_ID_BYTES).hex()


def key_from_hex(text: str, where: str) -> bytes:
    """Return the root key written in `text`. Raises `KeyUnavailableError`, which names `where`, never the
    text."""
    key = bytes_from_hex(text, KEY_BYTES)
    if key is None:
        raise KeyUnavailableError(
            f"{where}: not a key. It must hold 64 hexadecimal digits. Restore it from the backup of the keys."
        )
    return key


def bytes_from_hex(text: str, length: int) -> bytes | None:
    """Return the `length` bytes that `text` writes in hexadecimal digits, None if it does not."""
    try:
        found = bytes.fromhex(text.strip())
    except ValueError:
        return None
    return found if len(found) == length else None
