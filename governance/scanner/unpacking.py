"""What compressed files and cells hold: unpacked piece by piece, in little memory, and nothing without end."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

import pyarrow as pa

LARGEST_UNPACKED_BYTES = 4 << 30
"""Of one file. More is a bomb, or something to be looked at by a person: the file counts as unreadable."""

DEEPEST = 3
"""Archives within archives: a log in a zip in a tar, and no further."""

PIECE_BYTES = 1 << 20
OVERLAP_BYTES = 512

GZIP, BZIP2, XZ, ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
ZIP, PNG = b"PK\x03\x04", b"\x89PNG\r\n\x1a\n"
ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257
PNG_TEXT_CHUNKS = {b"tEXt", b"zTXt", b"iTXt", b"eXIf"}
PACKED_IN_BASE64 = (b"H4sI", b"UEsD", b"iVBORw0KGgo", b"KLUv", b"eJ", b"eN", b"eA", b"eF")
"""How gzip, zip, PNG, zstd and zlib begin in base64."""

SHORTEST_EMBEDDED = 16
URL_SAFE = bytes.maketrans(b"+/", b"-_")


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class UnpackingError(RuntimeError):
    """A file says it is compressed but cannot be unpacked, or holds far more than it should."""


def is_packed(start: bytes) -> bool:
    """True if content that begins with `start` (at least 262 bytes, if there are so many) can be unpacked."""
    return start.startswith((GZIP, BZIP2, XZ, ZSTD, ZIP, PNG, *ZLIB)) or start[TAR_MAGIC_AT:].startswith(
        TAR_MAGIC
    )


def unpacked(content: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yield what `content` holds, in pieces; archives within it are unpacked too.

    Raises `UnpackingError` if it is damaged or too large. Content that only looks like zlib yields nothing.
    """
    total = 0
    try:
        for piece in _unpacked(content, depth):
            total += len(piece)
            if total > LARGEST_UNPACKED_BYTES:
                raise UnpackingError(f"it holds more than {LARGEST_UNPACKED_BYTES >> 30} GiB")
            yield piece
    except (
        OSError,
        EOFError,
        zipfile.BadZipFile,
        tarfile.TarError,
        lzma.LZMAError,
        pa.ArrowException,
    ) as error:
        raise UnpackingError(f"it cannot be unpacked ({type(error).__name__})") from None


def embedded(runs: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what compressed files and pictures hold that stand in a text as base64, given its runs of base64."""
    for run in runs:
        if len(run) >= SHORTEST_EMBEDDED and run.startswith(PACKED_IN_BASE64):
            whole = run if len(run) % 4 != 1 else run[:-1]
            decoded = base64.urlsafe_b64decode(whole.translate(URL_SAFE) + b"=" * (-len(whole) % 4))
            if is_packed(decoded[:262]):
                try:
                    yield from unpacked(decoded, DEEPEST)
                except UnpackingError:
                    continue  # It only looks like one, or goes on in the next piece of the file.


def _unpacked(content: bytes, depth: int) -> Iterator[bytes]:
    stream = io.BytesIO(content)
    if content.startswith(ZIP):
        with zipfile.ZipFile(stream) as archive:
            for member in archive.infolist():
                yield member.filename.encode() + b"\n" + member.comment
                with archive.open(member) as inner:
                    yield from _pieces(inner, depth)
    elif content.startswith(GZIP):
        yield from _pieces(gzip.GzipFile(fileobj=stream), depth)
    elif content.startswith(BZIP2):
        yield from _pieces(bz2.BZ2File(stream), depth)
    elif content.startswith(XZ):
        with lzma.LZMAFile(stream) as handle:
            yield from _pieces(handle, depth)
    elif content.startswith(ZSTD):
        yield from _pieces(pa.CompressedInputStream(pa.BufferReader(content), "zstd"), depth)
    elif content.startswith(PNG):
        yield from _picture_texts(content)
    elif content.startswith(ZLIB):
        yield from _zlib(content)
    else:
        with tarfile.open(fileobj=stream) as tape:
            for entry in tape:
                yield entry.name.encode()
                if inside := tape.extractfile(entry):
                    yield from _pieces(inside, depth)


def _pieces(handle: _Readable, depth: int) -> Iterator[bytes]:
    """Yield what `handle` reads; if that is packed itself, what it holds."""
    first = bytes(handle.read(PIECE_BYTES))
    if depth < DEEPEST and is_packed(first[:262]):
        rest = b"".join(iter(lambda: bytes(handle.read(PIECE_BYTES)), b""))
        yield from _unpacked(first + rest, depth + 1)
        return
    before = b""
    while first:
        # A value may lie across two pieces.
        yield before[-OVERLAP_BYTES:] + first
        before, first = first, bytes(handle.read(PIECE_BYTES))


def _zlib(content: bytes) -> Iterator[bytes]:
    stream, rest = zlib.decompressobj(), content
    while rest and not stream.eof:
        try:
            yield stream.decompress(rest, PIECE_BYTES)
        except zlib.error:
            return  # Two bytes are little: it is something else.
        rest = stream.unconsumed_tail


def _picture_texts(content: bytes) -> Iterator[bytes]:
    """Yield the texts that a PNG carries beside its picture: title, comment, software."""
    at = len(PNG)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind in PNG_TEXT_CHUNKS:
            data = content[at + 8 : at + 8 + length]
            yield data
            yield from (
                piece for start in ZLIB if start in data for piece in _zlib(data[data.index(start) :])
            )
        at += length + 12
