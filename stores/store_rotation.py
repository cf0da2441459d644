"""Rotation of a storage root: every encrypted store of a zone is written anew under the new version.

Which version a store is under is tried, never remembered: so it cannot be remembered wrongly, a rotation that was
stopped goes on with the stores that are left, and a store put back from a backup opens as long as its key is not
retired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from stores.checkpoints import remove_store
from stores.encrypted import storage_key, store_version, writer_lock
from stores.key_rotation import make_current, prepare_version
from stores.keys import KeyProvider
from stores.rewriting import REWRITTEN_SUFFIX, rewrite

STORAGE_ROOT = "storage"
STORE_SUFFIX = ".duckdb"
QUARANTINE, QUARANTINED_ROWS = "quarantine", "rows.duckdb"
PUBLISHED = "published"
ASIDE_SUFFIXES = (REWRITTEN_SUFFIX, ".turning")

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Store:
    """An encrypted store of a zone: the name its key is derived for, and its file."""

    name: str
    path: Path


@dataclass(frozen=True)
class StorageRotation:
    """What a rotation did: the version that all stores are under now, and how many it wrote anew."""

    zone: str
    version: int
    resumed: bool
    stores: int
    rewritten: int


def zone_stores(folder: Path) -> list[Store]:
    """Return every encrypted store in a zone's folder, in order of name and path."""
    return sorted(_stores(folder), key=lambda store: (store.name, store.path))


def _stores(folder: Path) -> Iterator[Store]:
    for path in folder.rglob(f"*{STORE_SUFFIX}"):
        relative = path.relative_to(folder)
        if path.is_symlink() or any(part.startswith(".") for part in relative.parts):
            continue
        match relative.parts:
            case (first, feed, last) if (first, last) == (QUARANTINE, QUARANTINED_ROWS):
                yield Store(f"{QUARANTINE}/{feed}", path)
            case (first, audience, _, _) if first == PUBLISHED:
                yield Store(f"{PUBLISHED}/{audience}", path)
            case (folder_name, last) if last == f"{folder_name}{STORE_SUFFIX}":
                yield Store(folder_name, path)
            case _:
                yield Store(relative.as_posix().removesuffix(STORE_SUFFIX), path)


def store_versions(keys: KeyProvider, folder: Path) -> dict[Path, int]:
    """Return which version of the storage root each store of a zone is under.

    Raises `StoreUnreadableError` at one that no usable version opens.
    """
    return {store.path: store_version(keys, store.name, store.path) for store in zone_stores(folder)}


def begin_rotation(keys: KeyProvider, folder: Path, on: date | None = None) -> tuple[int, bool]:
    """Make a new storage root current, unless a rotation is unfinished; return the version to bring all stores to
    and whether it was begun before.

    Raises `StoreUnreadableError` or `KeyUnavailableError`, with nothing changed, if a store cannot be opened or a key
    cannot be had.
    """
    keys.root(STORAGE_ROOT)
    current = keys.current(STORAGE_ROOT)
    if any(version != current for version in store_versions(keys, folder).values()):
        return current, True
    prepare_version(keys, STORAGE_ROOT, current + 1)
    make_current(keys, STORAGE_ROOT, current + 1, on)
    return current + 1, False


def rewrite_stores(keys: KeyProvider, folder: Path, announce: Announce = lambda _: None) -> tuple[int, int]:
    """Write every store that is not under the current version anew; return how many there are and were
    rewritten."""
    stores, rewritten = zone_stores(folder), 0
    for store in stores:
        with _held_still(store, folder):
            if not store.path.is_file():
                continue
            if store_version(keys, store.name, store.path) != keys.current(STORAGE_ROOT):
                announce(store.name)
                rewrite(store.path, storage_key(keys, store.name))
                rewritten += 1
        _remove_asides(store)
    return len(stores), rewritten


def _remove_asides(store: Store) -> None:
    """Remove what a stopped rewriting left beside a store: it may be under the old key."""
    with writer_lock(store.path):
        for suffix in ASIDE_SUFFIXES:
            remove_store(store.path.with_name(store.path.name + suffix))


@contextmanager
def _held_still(store: Store, folder: Path) -> Iterator[None]:
    """Keep a published version from being taken away while it is written anew."""
    if store.name.startswith(f"{PUBLISHED}/"):
        with writer_lock(folder / store.name / "publish"):
            yield
    else:
        yield


def rotate_storage(
    zone: str, keys: KeyProvider, folder: Path, on: date | None = None, announce: Announce = lambda _: None
) -> StorageRotation:
    """Bring every store of a zone without vaults under a new storage root; take up a rotation that was stopped."""
    version, resumed = begin_rotation(keys, folder, on)
    stores, rewritten = rewrite_stores(keys, folder, announce)
    return StorageRotation(zone, version, resumed, stores, rewritten)
