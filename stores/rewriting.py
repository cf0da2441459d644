"""A store written anew, so that deleted bytes go from its file."""

from __future__ import annotations

from pathlib import Path

from stores.checkpoints import LOG_SUFFIX, beside, metadata_kept, put_in_place, remove_store
from stores.encrypted import STORE, attach, borrowed_connection, writer_lock

REWRITTEN_SUFFIX = ".rewritten"


def rewrite(path: Path, key: str) -> None:
    """Copy the live rows of the store at `path` into a fresh file and put it in place of the old one.

    DuckDB keeps deleted bytes after DELETE and CHECKPOINT; only a copy into a fresh file removes them. The fresh
    file is under `key` itself, also where the old one was still under a key from before a rotation. Stopped
    anywhere, the store is wholly the old one or wholly the new one.
    """
    with writer_lock(path):
        aside = beside(path, REWRITTEN_SUFFIX)
        remove_store(aside)
        write_back_log(path, key)
        with borrowed_connection() as connection:
            attach(connection, path, key, "old", read_only=True)
            attach(connection, aside, key, "fresh", read_only=False)
            connection.execute("copy from database old to fresh")
        put_in_place(aside, path)


def write_back_log(path: Path, key: str) -> None:
    """Write the log that a killed writer left back into the store at `path`; the caller holds its lock.

    A file that is to be replaced must not leave a log behind: it would be read as the new file's.
    """
    if not beside(path, LOG_SUFFIX).exists():
        return
    with borrowed_connection() as connection:
        attach(connection, path, key, STORE, read_only=False)
        with metadata_kept(connection, STORE, path):
            connection.execute(f"checkpoint {STORE}")
