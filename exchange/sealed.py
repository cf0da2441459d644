"""Sealed packages: all that ever passes between the zones.

A package is sealed to the receiver's public key by a sender whom the receiver can tell: an ephemeral and a
static X25519 agreement (RFC 7748) feed HKDF-SHA256 (RFC 5869), whose key encrypts the parts with
AES-256-GCM. Everything in front of the ciphertext (magic, version, header) is authenticated with it, so
that a changed bit anywhere makes the whole package refused. Layout, in bytes:

    8   magic `DSTPSEAL`
    2   format version, big-endian
    4   length of the header, big-endian
    n   header: canonical JSON (sorted keys, no spaces)
    rest ciphertext of the parts, one after the other, and the 16-byte tag

A part is one table as an Arrow IPC stream (zstd). `link_keys.<table>` and `payload.<table>` are never one
part: they meet only through `record_ref`.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stores.files import written_atomically
from stores.home import Home
from stores.keys import KeyProvider, KeyUnavailableError

MAGIC = b"DSTPSEAL"
FORMAT_VERSION = 1
PREFIX = struct.Struct(">8sHI")
LARGEST_HEADER_BYTES = 1 << 20
KEY_PURPOSE = b"doorstep/1\0sealed package"
NONCE_BYTES = 12
SEALED_SUFFIX = ".sealed"

PartKind = Literal["link_keys", "payload"]


class SealedPackageError(ValueError):
    """A package is damaged, not for us, or not from whom it should be: it is refused whole."""


@dataclass(frozen=True)
class PackageLabel:
    """What a package says about itself, in clear but authenticated. Dates are ISO in the file."""

    feed: str
    delivery_id: str
    delivery_date: date
    received_date: date
    kind: str
    agreement: str
    contract_version: str
    epoch: int


@dataclass(frozen=True)
class Part:
    """One table of a package: what it holds and for which table of the contract."""

    kind: PartKind
    table: str
    rows: pa.Table


@dataclass(frozen=True)
class OpenedPackage:
    """A package whose every byte has been checked."""

    label: PackageLabel
    parts: tuple[Part, ...]

    def part(self, kind: PartKind, table: str) -> pa.Table | None:
        """Return the rows of one part, or None if the package has no such part."""
        return next((part.rows for part in self.parts if part.kind == kind and part.table == table), None)


def public_key_hex(keys: KeyProvider) -> str:
    """Return the exchange public key that belongs to `keys`, as 64 hexadecimal digits."""
    return _private_key(keys).public_key().public_bytes_raw().hex()


def publish_public_key(keys: KeyProvider, zone_name: str, home: Home) -> Path:
    """Write the exchange public key of `zone_name` ("council" or "analytics") to where the other zone reads
    it."""
    path = _public_key_path(home, zone_name)
    text = public_key_hex(keys)
    if not path.is_file() or path.read_text(encoding="ascii", errors="replace") != text:
        with written_atomically(path, mode=0o644) as aside:
            aside.write_text(text, encoding="ascii")
    return path


def read_public_key(home: Home, zone_name: str) -> bytes:
    """Return the 32-byte public key of `zone_name`. Raises `KeyUnavailableError` if it is missing or
    malformed."""
    path = _public_key_path(home, zone_name)
    if not path.is_file():
        raise KeyUnavailableError(
            f"{path}: no such public key. Run `doorstep keys init` in the {zone_name} zone."
        )
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii", errors="replace").strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise KeyUnavailableError(f"{path}: not a public key. It must hold 64 hexadecimal digits.")
    return key


def seal(
    label: PackageLabel, parts: tuple[Part, ...], sender: KeyProvider, receiver_public_key: bytes
) -> bytes:
    """Return a sealed package of `parts` that only the owner of `receiver_public_key` can open.

    Raises `KeyUnavailableError` if the sender has no exchange key. Each call uses a fresh ephemeral key, so
    the bytes differ from call to call while the content does not.
    """
    return _seal(label, parts, _private_key(sender), receiver_public_key, X25519PrivateKey.generate())


def open_sealed(package: bytes, receiver: KeyProvider, sender_public_key: bytes) -> OpenedPackage:
    """Check every byte of `package` and return what it holds.

    Raises `SealedPackageError` if anything is wrong with it: cut off, changed, for another receiver, from
    another sender, or holding other than its header says. Raises `KeyUnavailableError` if the receiver has
    no exchange key.
    """
    private = _private_key(receiver)
    header_bytes, header = _read_header(package)
    if _hex_field(header, "sender") != sender_public_key:
        raise SealedPackageError("it was sealed by another sender than the one whose public key we hold")
    try:
        key, nonce = _package_key(
            private.exchange(X25519PublicKey.from_public_bytes(_hex_field(header, "ephemeral"))),
            private.exchange(X25519PublicKey.from_public_bytes(sender_public_key)),
            _hex_field(header, "ephemeral") + sender_public_key + private.public_key().public_bytes_raw(),
        )
        content = AESGCM(key).decrypt(nonce, package[len(header_bytes) :], header_bytes)
    except (InvalidTag, ValueError):
        raise SealedPackageError("it is damaged, or was sealed for another receiver") from None
    return OpenedPackage(_label_of(header), tuple(_parts_of(header, content)))


def _seal(
    label: PackageLabel,
    parts: tuple[Part, ...],
    sender: X25519PrivateKey,
    receiver_public_key: bytes,
    ephemeral: X25519PrivateKey,
) -> bytes:
    streams = [_to_stream(part.rows) for part in parts]
    sender_public = sender.public_key().public_bytes_raw()
    ephemeral_public = ephemeral.public_key().public_bytes_raw()
    header = json.dumps(
        {
            **asdict(label),
            "delivery_date": label.delivery_date.isoformat(),
            "received_date": label.received_date.isoformat(),
            "sender": sender_public.hex(),
            "ephemeral": ephemeral_public.hex(),
            "parts": [
                {
                    "kind": part.kind,
                    "table": part.table,
                    "rows": part.rows.num_rows,
                    "bytes": len(stream),
                    "sha256": hashlib.sha256(stream).hexdigest(),
                }
                for part, stream in zip(parts, streams, strict=True)
            ],
        },
        sort_keys=True,
        separators=(",", ":"),
    ).encode()
    authenticated = PREFIX.pack(MAGIC, FORMAT_VERSION, len(header)) + header
    receiver = X25519PublicKey.from_public_bytes(receiver_public_key)
    key, nonce = _package_key(
        ephemeral.exchange(receiver),
        sender.exchange(receiver),
        ephemeral_public + sender_public + receiver_public_key,
    )
    return authenticated + AESGCM(key).encrypt(nonce, b"".join(streams), authenticated)


def _package_key(ephemeral_secret: bytes, static_secret: bytes, public_keys: bytes) -> tuple[bytes, bytes]:
    """Return the AES key and nonce of one package: fresh, since the ephemeral key is."""
    derivation = HKDF(
        algorithm=SHA256(), length=32 + NONCE_BYTES, salt=None, info=KEY_PURPOSE + b"\0" + public_keys
    )
    material = derivation.derive(ephemeral_secret + static_secret)
    return material[:32], material[32:]


def _read_header(package: bytes) -> tuple[bytes, dict[str, Any]]:
    if len(package) < PREFIX.size:
        raise SealedPackageError("it is cut off before its header")
    magic, version, length = PREFIX.unpack_from(package)
    if magic != MAGIC:
        raise SealedPackageError("it is not a sealed package")
    if version != FORMAT_VERSION:
        raise SealedPackageError(
            f"its format version is {version}; this version of Doorstep reads {FORMAT_VERSION}"
        )
    if length > LARGEST_HEADER_BYTES or PREFIX.size + length > len(package):
        raise SealedPackageError("it is cut off in its header")
    header_bytes = package[: PREFIX.size + length]
    try:
        header = json.loads(header_bytes[PREFIX.size :])
    except ValueError:
        raise SealedPackageError("its header is damaged") from None
    if not isinstance(header, dict):
        raise SealedPackageError("its header is damaged")
    return header_bytes, header


def _label_of(header: dict[str, Any]) -> PackageLabel:
    # Authenticated by now: a header that cannot be read was written wrongly by the sender.
    try:
        return PackageLabel(
            feed=header["feed"],
            delivery_id=header["delivery_id"],
            delivery_date=date.fromisoformat(header["delivery_date"]),
            received_date=date.fromisoformat(header["received_date"]),
            kind=header["kind"],
            agreement=header["agreement"],
            contract_version=header["contract_version"],
            epoch=header["epoch"],
        )
    except (KeyError, TypeError, ValueError):
        raise SealedPackageError("its header lacks a field") from None


def _parts_of(header: dict[str, Any], content: bytes) -> list[Part]:
    parts, start = [], 0
    for described in header["parts"]:
        stream = content[start : start + described["bytes"]]
        start += described["bytes"]
        if hashlib.sha256(stream).hexdigest() != described["sha256"]:
            raise SealedPackageError(
                f"part {described['kind']}.{described['table']} is not what its header says"
            )
        rows = _from_stream(stream)
        if rows.num_rows != described["rows"]:
            raise SealedPackageError(f"part {described['kind']}.{described['table']} lacks rows")
        parts.append(Part(described["kind"], described["table"], rows))
    if start != len(content):
        raise SealedPackageError("it holds more than its header says")
    return parts


def _to_stream(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, rows.schema, options=options) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


def _from_stream(stream: bytes) -> pa.Table:
    try:
        return pa.ipc.open_stream(stream).read_all()
    except (pa.ArrowInvalid, OSError):
        raise SealedPackageError("a part cannot be read") from None


def _hex_field(header: Mapping[str, Any], name: str) -> bytes:
    try:
        value = bytes.fromhex(header[name])
    except (KeyError, TypeError, ValueError):
        raise SealedPackageError("its header is damaged") from None
    if len(value) != 32:
        raise SealedPackageError("its header is damaged")
    return value


def _private_key(keys: KeyProvider) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(keys.root("exchange"))


def _public_key_path(home: Home, zone_name: str) -> Path:
    return home.exchange_public_keys / f"{zone_name}.pub"
