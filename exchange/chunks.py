"""A stream of bytes encrypted in chunks, so that a large one needs no more memory than one chunk.

The construction is STREAM (Hoang, Reyhanitabar, Rogaway and Vizár, CRYPTO 2015) over AES-256-GCM, with the
nonce that `age` uses: eleven bytes count the chunks, the twelfth is 1 for the last. A chunk that is changed,
swapped, repeated or left out, and a stream that is cut off or continued, does not open. Each stream has a key
of its own, so the count may begin at 0.

A chunk on the wire is four bytes (the top bit: last; the others: length, big-endian) and the ciphertext with
its 16-byte tag. Every chunk but the last holds `CHUNK_BYTES`.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK_BYTES = 1 << 20
"""Where AES-GCM is at its fastest here and a chunk is still small beside a delivery (benchmarks/sealing.py)."""

TAG_BYTES = 16
FRAME = struct.Struct(">I")
LAST = 1 << 31


class ChunkError(ValueError):
    """A stream of chunks is damaged, cut off, or under another key."""


class ChunkWriter(io.RawIOBase):
    """A writable file that encrypts what it is given and hands frames to `sink`. Closing writes the last one."""

    def __init__(self, key: bytes, sink: Callable[[memoryview], object]) -> None:
        self._cipher = AESGCM(key)
        self._sink = sink
        self._count = 0
        self._held = bytearray()
        self._frame = memoryview(bytearray(FRAME.size + CHUNK_BYTES + TAG_BYTES))
        self.plain_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        self.plain_bytes += len(view)
        start = 0
        # The held bytes never fill a chunk: which chunk is the last is only known when the next one comes.
        if self._held:
            start = min(len(view), CHUNK_BYTES - len(self._held))
            self._held += view[:start]
            if len(self._held) == CHUNK_BYTES and start < len(view):
                self._put(memoryview(bytes(self._held)), last=False)
                self._held.clear()
        while len(view) - start > CHUNK_BYTES:
            self._put(view[start : start + CHUNK_BYTES], last=False)
            start += CHUNK_BYTES
        self._held += view[start:]
        return len(view)

    def close(self) -> None:
        if not self.closed:
            self._put(memoryview(bytes(self._held)), last=True)
            self._held.clear()
        super().close()

    def _put(self, chunk: memoryview, *, last: bool) -> None:
        size = len(chunk) + TAG_BYTES
        frame = self._frame[: FRAME.size + size]
        FRAME.pack_into(frame, 0, size | (LAST if last else 0))
        self._cipher.encrypt_into(_nonce(self._count, last=last), chunk, None, frame[FRAME.size :])
        self._count += 1
        self._sink(frame)


class ChunkReader(io.RawIOBase):
    """A readable file of what a `ChunkWriter` encrypted. Each chunk is checked before a byte of it is given out."""

    def __init__(self, key: bytes, source: BinaryIO) -> None:
        self._cipher = AESGCM(key)
        self._source = source
        self._count = 0
        self._chunk = memoryview(b"")
        self.last_seen = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        wanted = memoryview(buffer).cast("B")
        given = 0
        while given < len(wanted):
            if not self._chunk and not self._next():
                break
            size = min(len(wanted) - given, len(self._chunk))
            wanted[given : given + size] = self._chunk[:size]
            self._chunk = self._chunk[size:]
            given += size
        return given

    def at_end(self) -> bool:
        """True if nothing is left; raises `ChunkError` if the stream was cut off."""
        return not self._chunk and not self._next()

    def _next(self) -> bool:
        if self.last_seen:
            return False
        head = self._source.read(FRAME.size)
        if len(head) != FRAME.size:
            raise ChunkError("it is cut off")
        (framed,) = FRAME.unpack(head)
        last, size = bool(framed & LAST), framed & ~LAST
        if not TAG_BYTES <= size <= CHUNK_BYTES + TAG_BYTES or (not last and size < CHUNK_BYTES + TAG_BYTES):
            raise ChunkError("it is damaged")
        sealed = self._source.read(size)
        try:
            self._chunk = memoryview(self._cipher.decrypt(_nonce(self._count, last=last), sealed, None))
        except (InvalidTag, ValueError):
            raise ChunkError("it is damaged") from None
        self._count += 1
        self.last_seen = last
        return bool(self._chunk) or (not last and self._next())


def _nonce(count: int, *, last: bool) -> bytes:
    return count.to_bytes(11, "big") + bytes([last])
