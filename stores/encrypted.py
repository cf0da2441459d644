"""Encrypted DuckDB stores: one writer at a time, each file with its own key.

DuckDB allows one writing process and no reader beside it, so every writer first takes an advisory lock on
`<store>.lock`. Reading an encrypted file needs no extension; writing one needs OpenSSL from the packaged
`httpfs` extension (DuckDB refuses to write with its built-in cipher, rightly).
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import duckdb_extensions

from stores.checkpoints import KEPT_SUFFIX, LOG_SUFFIX, beside, metadata_kept, put_back, put_in_place
from stores.keys import KeyProvider, derive_key

LOCK_PATIENCE_SECONDS = 600.0
LETTING_GO_SECONDS = 60.0
WRONG_KEY = "0" * 64
STILL_ATTACHED = "Unique file handle conflict"
STORE = "store"
NEW_SUFFIX = ".new"

ONE_CHECKPOINT = "set wal_autocheckpoint = '1TB'"
"""A store has one checkpoint each time that it is attached: the one that detaching takes, with its metadata kept."""


class StoreBusyError(RuntimeError):
    """Another process kept a store's writer lock for longer than we wait."""


class StoreUnreadableError(RuntimeError):
    """A store cannot be opened: wrong key, damaged, or missing."""


class StoreKey(str):
    """A store's key in hexadecimal, and how to get the keys that it may still be under from before a rotation.

    A store made anew is always under the key itself.
    """

    older: Callable[[], Iterator[str]] | None = None


def storage_key(keys: KeyProvider, store: str, version: int | None = None) -> StoreKey:
    """Return the hexadecimal encryption key of the store called `store` (its path inside the zone, without
    suffix).

    Without `version` it is derived from the current storage root, and a store that a rotation of keys has not
    reached yet still opens; with `version` it is that version's key alone.
    """
    key = StoreKey(_derived(keys, store, version))
    if version is None and len(usable := keys.usable("storage")) > 1:
        key.older = lambda: (_derived(keys, store, each) for each in usable[1:])
    return key


def _derived(keys: KeyProvider, store: str, version: int | None) -> str:
    return derive_key(keys.root("storage", version), "storage", store).hex()


def store_version(keys: KeyProvider, store: str, path: Path) -> int:
    """Return the version of the storage root that the store at `path` is under.

    Raises `StoreUnreadableError` if it is under none that is usable, or damaged, or not there.
    """
    for version in keys.usable("storage"):
        try:
            with attached(path, storage_key(keys, store, version), read_only=True):
                return version
        except StoreUnreadableError:
            continue
    raise _unreadable(path, "no usable key fits")


def opening_key(keys: KeyProvider, store: str, path: Path) -> str:
    """Return the one key that opens the store at `path`, for another program; the current one if it is not
    there yet.

    Raises `StoreUnreadableError` if no usable key opens it.
    """
    version = store_version(keys, store, path) if path.is_file() else None
    return str(storage_key(keys, store, version))


@contextmanager
def writer_lock(path: Path, patience: float = LOCK_PATIENCE_SECONDS) -> Iterator[None]:
    """Hold the one writer's lock of the store at `path`; wait for it up to `patience` seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience
    with path.with_name(path.name + ".lock").open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreBusyError(
                        f"{path}: another process has been writing for {patience:.0f} s. "
                        "Wait for it, or stop it."
                    ) from None
                time.sleep(0.05)
        yield


@contextmanager
def attached(path: Path, key: str, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield an in-memory connection with the encrypted store at `path` attached as `store` and made current.

    A writer holds the store's lock until the block ends. Raises `StoreUnreadableError` on a wrong key, a
    missing file (when reading) or a damaged one; the key never appears in a message.
    """
    if read_only:
        with _connection(path, key, read_only=True) as connection:
            yield connection
    else:
        with writer_lock(path), _connection(path, key, read_only=False) as connection:
            yield connection


def in_memory_connection() -> duckdb.DuckDBPyConnection:
    """Return a fresh in-memory connection with the writing cipher loaded and no way to the network."""
    connection = duckdb.connect(":memory:")
    duckdb_extensions.import_extension("httpfs", con=connection)
    connection.execute("load httpfs")
    # What does not fit in memory is spilled to disk, in clear unless said otherwise.
    connection.execute("set temp_file_encryption = true")
    connection.execute(ONE_CHECKPOINT)
    return connection


@contextmanager
def _connection(path: Path, key: str, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    if read_only and not path.is_file():
        raise StoreUnreadableError(f"{path}: no such store. Run `doorstep refresh` first.")
    with borrowed_connection() as connection:
        attach(connection, path, key, STORE, read_only=read_only)
        connection.execute(f"use {STORE}")
        yield connection


ATTACHED_STORES = """
    select database_name, path, readonly
    from duckdb_databases()
    where not internal and database_name != 'memory'
"""

_idle_instances: list[duckdb.DuckDBPyConnection] = []


@contextmanager
def borrowed_connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection of its own to an in-memory DuckDB that nobody else is using, for attaching stores.

    Loading the cipher takes longer than most of what is done with a store, so an instance is used again.
    Temporary tables and registered frames go with the connection; stores are detached, which writes their
    log back.
    """
    try:
        instance = _idle_instances.pop()
    except IndexError:
        instance = in_memory_connection()
    connection = instance.cursor()
    try:
        yield connection
    finally:
        connection.close()
        for name, path, is_read_only in instance.execute(ATTACHED_STORES).fetchall():
            detach(instance, name, None if is_read_only else Path(path))
        _idle_instances.append(instance)


def attach(
    connection: duckdb.DuckDBPyConnection, path: Path, key: str, name: str, *, read_only: bool
) -> None:
    """Attach the encrypted store at `path` to `connection` as `name`; the caller holds the lock when
    writing."""
    _recover(connection, path, key, read_only=read_only)
    refused = _attach(connection, path, key, name, read_only=read_only)
    if refused is not None and isinstance(key, StoreKey) and key.older is not None and path.is_file():
        for older in key.older():
            if _attach(connection, path, older, name, read_only=read_only) is None:
                return
    if refused is not None:
        raise _unreadable(path, refused)


def detach(instance: duckdb.DuckDBPyConnection, name: str, path: Path | None = None) -> None:
    """Detach the store called `name`; one that was written, at `path`, has its log written back.

    DuckDB closes a store only when the last of its threads lets go of it, which on a busy machine can be after the
    statement. A writer's lock is held until then. Raises `StoreBusyError` if that takes longer than a minute.
    """
    if path is None:
        instance.execute(f'detach "{name}"')
        return
    with metadata_kept(instance, name, path):
        instance.execute(f'detach "{name}"')
        deadline = time.monotonic() + LETTING_GO_SECONDS
        while _is_held(instance, path):
            if time.monotonic() > deadline:
                raise StoreBusyError(
                    f"{path}: this process still works with it {LETTING_GO_SECONDS:.0f} s after it was done. "
                    "Nothing is lost: what was committed is in its log, and the next run goes on from there."
                )
            time.sleep(0.002)


def _is_held(instance: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Whether `instance` still has the store at `path` open, though it was detached.

    A log that is gone was written back, so it has not. Where one lies, DuckDB is asked, with a key that opens nothing.
    """
    if not beside(path, LOG_SUFFIX).exists():
        return False
    refused = _attach_once(instance, path, "held_store", read_only=True, key=WRONG_KEY)
    return isinstance(refused, duckdb.BinderException) and STILL_ATTACHED in str(refused)


def _recover(connection: duckdb.DuckDBPyConnection, path: Path, key: str, *, read_only: bool) -> None:
    """Have a whole file at `path`: put back what a killed writer left, and make a new store aside first.

    DuckDB makes a file in four writes, and cannot open one that was given up between them.
    """
    if read_only:
        if beside(path, KEPT_SUFFIX).exists():
            with suppress(StoreBusyError), writer_lock(path, patience=0):
                put_back(path)
        return
    put_back(path)
    if not path.exists():
        aside = beside(path, NEW_SUFFIX)
        aside.unlink(missing_ok=True)
        if _attach(connection, aside, key, "new_store", read_only=False) is None:
            connection.execute("detach new_store")
            put_in_place(aside, path)


def _attach(
    connection: duckdb.DuckDBPyConnection, path: Path, key: str, name: str, *, read_only: bool
) -> str | None:
    """Attach, or say what kind of error kept it from being attached."""
    deadline = time.monotonic() + LETTING_GO_SECONDS
    while (refused := _attach_once(connection, path, name, read_only=read_only, key=key)) is not None:
        # This process has detached it, and DuckDB has yet to let go of it.
        if STILL_ATTACHED not in str(refused) or time.monotonic() > deadline:
            return type(refused).__name__
        time.sleep(0.002)
    return None


def _attach_once(
    connection: duckdb.DuckDBPyConnection, path: Path, name: str, *, read_only: bool, key: str
) -> duckdb.Error | None:
    mode = ", read_only" if read_only else ""
    # The key is bound: a syntax error echoes whatever is inlined. (The path cannot be bound.)
    quoted_path = str(path).replace("'", "''")
    try:
        connection.execute(f"attach '{quoted_path}' as {name} (encryption_key ?{mode})", [str(key)])
    except duckdb.Error as error:
        return error
    return None


def _unreadable(path: Path, why: str) -> StoreUnreadableError:
    return StoreUnreadableError(
        f"{path}: cannot be opened ({why}). Is it the right key, and the whole file? "
        "`doorstep keys status` says which key each store needs; nothing was written."
    )
