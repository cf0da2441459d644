"""Sealed packages: all that ever passes between the zones.

A package is encrypted to the receiver's public key and signed by a sender whom the receiver knows. Layout, in
bytes (format version 2; ADR 0009 says why it is so):

    8   magic `DSTPSEAL`
    2   format version, big-endian
    4   length of the header, big-endian
    n   header: canonical JSON (sorted keys, no spaces)
    …   the parts, one after the other, each a stream of chunks (`exchange.chunks`)
    32  SHA-256 of everything in front
    64  Ed25519 signature (RFC 8032) of purpose, receiver and digest

`link_keys` and `payload` have a content key each, wrapped for the receiver by HPKE (RFC 9180, base mode). A part
is one table as an Arrow IPC stream; its key is derived (HKDF-SHA256) from the content key of its kind, its place
and the digest of all that stands in front of the parts, so that no part fits another header. `link_keys.<table>`
and `payload.<table>` are never one part: they meet only through `record_ref`.

The signature is checked over the whole file before anything in it is decrypted or parsed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pyarrow as pa
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from exchange.chunks import ChunkError, ChunkReader, ChunkWriter
from exchange.hashed_file import HashedFile
from exchange.trust import (
    PUBLIC_KEY_BYTES,
    X25519_BYTES,
    public_key,
    public_key_hex,
    public_key_id,
    publish_public_key,
    read_public_key,
    sealing_key,
    signing_key,
    trusted_public_key,
)
from stores.keys import KeyProvider

__all__ = [
    "SEALED_SUFFIX",
    "OpenedPackage",
    "PackageLabel",
    "Part",
    "SealedPackageError",
    "label_of",
    "open_sealed",
    "public_key_hex",
    "publish_public_key",
    "read_public_key",
    "seal",
    "seal_into",
    "trusted_public_key",
]

MAGIC = b"DSTPSEAL"
FORMAT_VERSION = 2
PREFIX = struct.Struct(">8sHI")
LARGEST_HEADER_BYTES = 1 << 20
DIGEST_BYTES = 32
SIGNATURE_BYTES = 64
TRAILER_BYTES = DIGEST_BYTES + SIGNATURE_BYTES
CONTENT_KEY_BYTES = 32
SEALED_SUFFIX = ".sealed"

SIGNATURE_PURPOSE = b"doorstep/2\0sealed package\0signature\0"
WRAP_PURPOSE = b"doorstep/2\0sealed package\0content key\0"
PART_PURPOSE = b"doorstep/2\0sealed package\0part\0"

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
SUITE_NAME = "DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; Ed25519"

ROWS_AT_ONCE = 1 << 16
"""Rows in one Arrow batch: compressed and encrypted while the next is not."""

COMPRESSION_LEVELS = {"payload": 1, "link_keys": -3}
"""Of zstd. Link keys look random: level 1 takes twice the time of level -3 for 4 % less, while it halves a
payload. Higher levels save no more (benchmarks/sealing.py)."""

READ_BYTES = 1 << 20

PartKind = Literal["link_keys", "payload"]
Source = bytes | Path | BinaryIO


class SealedPackageError(ValueError):
    """A package is damaged, not for us, or not from whom it should be: it is refused whole."""


@dataclass(frozen=True)
class PackageLabel:
    """What a package says about itself, in clear but authenticated. Dates are ISO in the file.

    `kind` is `full` or `changes` for a partner's delivery, `epoch` for link keys made anew, `returns` for alerts
    on their way back. `key_ids` names the keys that tokens and references were made with, by purpose. `homes` counts
    rows by how their home was found (`governance.address_levels`); packages of before have none.
    """

    feed: str
    delivery_id: str
    delivery_date: date
    received_date: date
    kind: str
    agreement: str
    contract_version: str
    epoch: int
    key_ids: Mapping[str, str] = field(default_factory=dict)
    homes: Mapping[str, int] = field(default_factory=dict)


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


def seal(
    label: PackageLabel, parts: Sequence[Part], sender: KeyProvider, receiver_public_key: bytes
) -> bytes:
    """Return a sealed package of `parts` that only the owner of `receiver_public_key` can open.

    Raises `KeyUnavailableError` if the sender has no exchange key. Each call uses fresh content keys, so the
    bytes differ from call to call while the content does not.
    """
    target = io.BytesIO()
    seal_into(target, label, parts, sender, receiver_public_key)
    return target.getvalue()


def seal_into(
    target: BinaryIO,
    label: PackageLabel,
    parts: Sequence[Part],
    sender: KeyProvider,
    receiver_public_key: bytes,
) -> None:
    """`seal`, written to `target` piece by piece: beside the rows it takes the memory of one Arrow batch."""
    signer = signing_key(sender)
    kinds = dict.fromkeys(part.kind for part in parts)
    content_keys: dict[str, bytes] = {kind: os.urandom(CONTENT_KEY_BYTES) for kind in kinds}
    receiver = X25519PublicKey.from_public_bytes(receiver_public_key[:X25519_BYTES])
    header = {
        **asdict(label),
        "delivery_date": label.delivery_date.isoformat(),
        "received_date": label.received_date.isoformat(),
        "sender": public_key(sender).hex(),
        "receiver": public_key_id(receiver_public_key[:X25519_BYTES]),
        "suite": SUITE_NAME,
        "content_keys": {
            kind: SUITE.encrypt(key, receiver, info=WRAP_PURPOSE + kind.encode()).hex()
            for kind, key in content_keys.items()
        },
        "parts": [{"kind": part.kind, "table": part.table, "rows": part.rows.num_rows} for part in parts],
    }
    written = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    front = PREFIX.pack(MAGIC, FORMAT_VERSION, len(written)) + written
    bound = hashlib.sha256(front).digest()
    with HashedFile(target) as package:
        package.put(front)
        for place, part in enumerate(parts):
            part_key = _part_key(content_keys[part.kind], place, part.kind, part.table, bound)
            with ChunkWriter(part_key, package.put) as chunks:
                _write_rows(part.rows, chunks, COMPRESSION_LEVELS[part.kind])
        digest = package.digest()
    target.write(digest)
    target.write(signer.sign(_signed(receiver_public_key[:X25519_BYTES], digest)))


def open_sealed(
    package: Source, receiver: KeyProvider, sender_public_key: bytes | Sequence[bytes]
) -> OpenedPackage:
    """Check every byte of `package` (its bytes, a path, or an open file) and return what it holds.

    `sender_public_key` is the sender's whole public key, or several that may have sent it. Raises
    `SealedPackageError` if anything is wrong: cut off, changed, for another receiver, from another sender, or
    holding other than its header says. Raises `KeyUnavailableError` if the receiver has no exchange key.
    """
    senders = [sender_public_key] if isinstance(sender_public_key, bytes) else list(sender_public_key)
    sealing_key(receiver)
    with _opened(package) as stream:
        front, header = _read_front(stream)
        label = _label_from(header)
        sender = _known_sender(header, senders)
        private = _receiver_key(header, receiver)
        end = _check_signature(stream, front, sender, private.public_key().public_bytes_raw())
        content_keys = _content_keys(header, private)
        bound = hashlib.sha256(front).digest()
        stream.seek(len(front))
        parts = []
        for place, described in enumerate(header["parts"]):
            kind, table, count = described["kind"], described["table"], described["rows"]
            chunks = ChunkReader(_part_key(content_keys[kind], place, kind, table, bound), stream)
            parts.append(Part(kind, table, _read_rows(chunks, f"{kind}.{table}", count)))
        if stream.tell() != end:
            raise SealedPackageError("it holds more than its header says")
    return OpenedPackage(label, tuple(parts))


def label_of(package: Source) -> PackageLabel:
    """Return what a package says about itself, unchecked: for lists and for choosing what to open.

    Raises `SealedPackageError` if it cannot be read.
    """
    with _opened(package) as stream:
        return _label_from(_read_front(stream)[1])


@contextmanager
def _opened(package: Source) -> Iterator[BinaryIO]:
    if isinstance(package, Path):
        with package.open("rb") as stream:
            yield stream
    elif isinstance(package, bytes):
        yield io.BytesIO(package)
    else:
        package.seek(0)
        yield package


def _read_front(stream: BinaryIO) -> tuple[bytes, dict[str, Any]]:
    prefix = stream.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        raise SealedPackageError("it is cut off before its header")
    magic, version, length = PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise SealedPackageError("it is not a sealed package")
    if version < FORMAT_VERSION:
        raise SealedPackageError(
            f"its format version is {version}, of an earlier Doorstep. Have the council send the delivery again "
            "with `doorstep bridge run --again`"
        )
    if version > FORMAT_VERSION:
        raise SealedPackageError(
            f"its format version is {version}; this version of Doorstep reads {FORMAT_VERSION}"
        )
    header_bytes = stream.read(length) if length <= LARGEST_HEADER_BYTES else b""
    if len(header_bytes) != length:
        raise SealedPackageError("it is cut off in its header")
    try:
        header = json.loads(header_bytes)
    except ValueError:
        raise SealedPackageError("its header is damaged") from None
    if not isinstance(header, dict) or not _parts_are_named(header):
        raise SealedPackageError("its header is damaged")
    return prefix + header_bytes, header


def _parts_are_named(header: Mapping[str, Any]) -> bool:
    parts, wrapped = header.get("parts"), header.get("content_keys")
    return (
        isinstance(parts, list)
        and isinstance(wrapped, dict)
        and all(
            isinstance(part, dict)
            and isinstance(part.get("table"), str)
            and isinstance(part.get("rows"), int)
            and part.get("kind") in wrapped
            for part in parts
        )
    )


def _label_from(header: Mapping[str, Any]) -> PackageLabel:
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
            key_ids=header["key_ids"],
            homes={str(level): int(count) for level, count in header.get("homes", {}).items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise SealedPackageError("its header lacks a field") from None


def _known_sender(header: Mapping[str, Any], senders: Sequence[bytes]) -> bytes:
    named = _hex_field(header, "sender", PUBLIC_KEY_BYTES)
    if named not in senders:
        raise SealedPackageError("it was sealed by another sender than the one whose public key we trust")
    return named


def _receiver_key(header: Mapping[str, Any], receiver: KeyProvider) -> X25519PrivateKey:
    """Return the version of our key that the package is sealed to: the one of today, or one still in use."""
    for version in receiver.usable("exchange"):
        private = sealing_key(receiver, version)
        if public_key_id(private.public_key().public_bytes_raw()) == header.get("receiver"):
            return private
    raise SealedPackageError("it is damaged, or was sealed for another receiver")


def _check_signature(stream: BinaryIO, front: bytes, sender: bytes, receiver_public_key: bytes) -> int:
    """Read the package once to its end; return where its parts end."""
    end = stream.seek(0, io.SEEK_END) - TRAILER_BYTES
    if end < len(front):
        raise SealedPackageError("it is cut off")
    stream.seek(end)
    written, signature = stream.read(DIGEST_BYTES), stream.read(SIGNATURE_BYTES)
    # The front counts as it was read before: what stands there now does not matter.
    digest = hashlib.sha256(front)
    stream.seek(len(front))
    left = end - len(front)
    while left and (piece := stream.read(min(left, READ_BYTES))):
        digest.update(piece)
        left -= len(piece)
    if digest.digest() != written:
        raise SealedPackageError("it is damaged or cut off: have it sent again")
    try:
        Ed25519PublicKey.from_public_bytes(sender[X25519_BYTES:]).verify(
            signature, _signed(receiver_public_key, written)
        )
    except (InvalidSignature, ValueError):
        raise SealedPackageError("it is damaged, or was not signed by the sender that it names") from None
    return end


def _signed(receiver_public_key: bytes, digest: bytes) -> bytes:
    return SIGNATURE_PURPOSE + receiver_public_key + digest


def _content_keys(header: Mapping[str, Any], private: X25519PrivateKey) -> dict[str, bytes]:
    try:
        return {
            kind: SUITE.decrypt(bytes.fromhex(wrapped), private, info=WRAP_PURPOSE + kind.encode())
            for kind, wrapped in header["content_keys"].items()
        }
    except (InvalidTag, TypeError, ValueError):
        raise SealedPackageError("it is damaged, or was sealed for another receiver") from None


def _part_key(content_key: bytes, place: int, kind: str, table: str, bound: bytes) -> bytes:
    """Return the key of one part: of this content key, this place and this header, and of no other."""
    info = PART_PURPOSE + b"\0".join((str(place).encode(), kind.encode(), table.encode()))
    return HKDF(algorithm=SHA256(), length=CONTENT_KEY_BYTES, salt=bound, info=info).derive(content_key)


def _write_rows(rows: pa.Table, target: ChunkWriter, level: int) -> None:
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=level))
    with pa.ipc.new_stream(target, rows.schema, options=options) as writer:
        writer.write_table(rows, max_chunksize=ROWS_AT_ONCE)


def _read_rows(chunks: ChunkReader, name: str, count: int) -> pa.Table:
    try:
        rows = pa.ipc.open_stream(chunks).read_all()
        finished = chunks.at_end()
    except (ChunkError, pa.ArrowInvalid, OSError) as error:
        reason = str(error) if isinstance(error, ChunkError) else "a part cannot be read"
        raise SealedPackageError(reason) from None
    if not finished:
        raise SealedPackageError(f"part {name} holds more than its rows")
    if rows.num_rows != count:
        raise SealedPackageError(f"part {name} lacks rows")
    return rows


def _hex_field(header: Mapping[str, Any], name: str, size: int) -> bytes:
    try:
        value = bytes.fromhex(header[name])
    except (KeyError, TypeError, ValueError):
        raise SealedPackageError("its header is damaged") from None
    if len(value) != size:
        raise SealedPackageError("its header is damaged")
    return value
