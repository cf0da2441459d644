"""A file that is hashed and written on another core while its next piece is made."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

PIECES_WAITING = 8
"""Pieces (1 MiB each) made ahead of the disk: bounds memory, and is more than a batch of rows gives at once."""


class HashedFile:
    """Takes pieces in order, writes them to `target` and hashes them (SHA-256) in a thread of its own.

    Used in a `with` block. An error of writing is raised by a later `put`, or by `digest`.
    """

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> HashedFile:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sealing")
        return self

    def __exit__(self, *_error: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def put(self, data: bytes | memoryview) -> None:
        """Take a copy of `data`, so that the caller may use its memory again."""
        while len(self._waiting) >= PIECES_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._take, bytes(data)))

    def digest(self) -> bytes:
        """Wait until everything is written and return the digest of it all."""
        while self._waiting:
            self._waiting.popleft().result()
        return self._hash.digest()

    def _take(self, data: bytes) -> None:
        self._hash.update(data)
        self._target.write(data)
