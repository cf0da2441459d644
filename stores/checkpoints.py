"""A store whose writer is killed in the middle of a checkpoint is put back to what it was before.

DuckDB writes its log back when a store is detached: new blocks first, then, in one page, the header that makes them
count. But a block of metadata that has room left is written over where it lies, all 256 KiB of it. A writer killed
within that write leaves half a block, which fails its authentication: neither the header nor the log can mend that, and
the store is lost. So these few blocks are copied beside the store first. As long as the header is the one they
were copied with, the checkpoint has not come about: they are written back, and DuckDB replays its log.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import duckdb

from stores.files import flush_folder

KEPT_SUFFIX, ASIDE_SUFFIX = ".kept", ".kept.part"
LOG_SUFFIX = ".wal"

HEADER_BYTES = 3 * 4096
"""A DuckDB file begins with its main header and two headers of the database, written in turn."""

NUMBER_BYTES = 8

METADATA_BLOCKS = "select block_id from pragma_metadata_info(?) order by block_id"
BLOCK_BYTES = "select block_size from pragma_database_size() where database_name = ?"


@contextmanager
def metadata_kept(instance: duckdb.DuckDBPyConnection, name: str, path: Path) -> Iterator[None]:
    """Keep the metadata of the store at `path`, attached as `name`, while the block takes its checkpoint.

    There must be one checkpoint only. Nothing is kept where no log waits to be written back.
    """
    if not beside(path, LOG_SUFFIX).exists():
        yield
        return
    blocks = instance.execute(METADATA_BLOCKS, [name]).fetchall()
    ((size,),) = instance.execute(BLOCK_BYTES, [name]).fetchall()
    kept, aside = beside(path, KEPT_SUFFIX), beside(path, ASIDE_SUFFIX)
    # Closed after the checkpoint: closing any handle of a file lets go of this process's locks on it.
    with path.open("rb") as store:
        with aside.open("wb") as copy:
            copy.write(store.read(HEADER_BYTES))
            for (number,) in blocks:
                position = HEADER_BYTES + number * size
                store.seek(position)
                block = store.read(size)
                copy.write(position.to_bytes(NUMBER_BYTES) + len(block).to_bytes(NUMBER_BYTES) + block)
            copy.flush()
            os.fsync(copy.fileno())
        aside.replace(kept)
        flush_folder(path.parent)
        yield
    kept.unlink()


def put_back(path: Path) -> None:
    """Undo the checkpoint that a killed writer of the store at `path` left half done; the caller holds its lock."""
    kept, aside = beside(path, KEPT_SUFFIX), beside(path, ASIDE_SUFFIX)
    aside.unlink(missing_ok=True)
    if not kept.exists():
        return
    if path.exists():
        with kept.open("rb") as copy, path.open("rb+") as store:
            if copy.read(HEADER_BYTES) == store.read(HEADER_BYTES):
                for position, block in _blocks(copy):
                    store.seek(position)
                    store.write(block)
                store.flush()
                os.fsync(store.fileno())
    kept.unlink()
    flush_folder(path.parent)


def _blocks(copy: BinaryIO) -> Iterator[tuple[int, bytes]]:
    while numbers := copy.read(2 * NUMBER_BYTES):
        position, size = (int.from_bytes(numbers[at : at + NUMBER_BYTES]) for at in (0, NUMBER_BYTES))
        yield position, copy.read(size)


def beside(path: Path, suffix: str) -> Path:
    """Return the path of what lies beside the store at `path` with `suffix`."""
    return path.with_name(path.name + suffix)


def remove_kept(path: Path) -> None:
    """Remove what was kept of the store at `path`, when another file takes its place."""
    for suffix in (KEPT_SUFFIX, ASIDE_SUFFIX):
        beside(path, suffix).unlink(missing_ok=True)


def put_in_place(aside: Path, path: Path) -> None:
    """Flush the finished store `aside` to disk and move it to `path`, with the mode of the one it replaces."""
    with aside.open("rb+") as handle:
        os.fsync(handle.fileno())
    if path.exists():
        aside.chmod(stat.S_IMODE(path.stat().st_mode))
        remove_kept(path)
    aside.replace(path)
    flush_folder(path.parent)


def remove_store(path: Path) -> None:
    """Remove a store's file and log, where there are any."""
    path.unlink(missing_ok=True)
    beside(path, LOG_SUFFIX).unlink(missing_ok=True)
    remove_kept(path)
