"""One scan: canaries are planted, every file is read as bytes and as what it is, and the report is made."""

from __future__ import annotations

import mmap
import shutil
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from governance.scanner.canaries import plant
from governance.scanner.encodings import ENCODINGS
from governance.scanner.needles import Needles, is_evidence
from governance.scanner.places import Place, places
from governance.scanner.report import CANARY, ScanReport, Tally, report_of
from governance.scanner.searching import Search
from governance.scanner.stores import (
    ARROW_MAGIC,
    PACKAGE_SUFFIX,
    PARQUET_MAGIC,
    SQLITE_MAGIC,
    KeyedStore,
    PackageReader,
    is_encrypted,
    search_arrow,
    search_duckdb,
    search_package,
    search_parquet,
    search_sqlite,
)
from governance.scanner.unpacking import UnpackingError, is_packed
from stores.analytics import AnalyticsZone
from stores.encrypted import StoreUnreadableError, storage_key
from stores.keys import derive_key

CANARY_FOLDER = ".scan-canaries"
PUBLISHED_FOLDER = "published"
NOBODYS_KEY = "00" * 32
"""For a DuckDB file of which nobody has told the key: if it is not in clear, it counts as unreadable."""

UNREADABLE = (
    OSError,
    EOFError,
    StoreUnreadableError,
    UnpackingError,
    ValueError,
    duckdb.Error,
    sqlite3.Error,
    pa.ArrowException,
)


def scan_analytics(
    zone: AnalyticsZone,
    identifiers: Mapping[str, Collection[str]],
    planted: Collection[str] = (),
    *,
    packages: PackageReader | None = None,
    council_stores: Sequence[KeyedStore] = (),
    also: Sequence[Path] = (),
) -> ScanReport:
    """Look for `identifiers` (values by kind, in clear) in everything under the home but the council's own
    folders.

    Values too short to be evidence are left out. The scan plants canaries of its own; `planted` names
    further values that the caller has put somewhere, which must be found too and are no hits. With
    `packages`, sealed packages are opened too; `council_stores` are searched but for what they hold on
    purpose; `also` names further files and folders. Raises `KeyUnavailableError` without the analytics zone's keys.
    """
    key = derive_key(zone.keys.root("storage"), "scan")
    folder = zone.home.analytics / CANARY_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    wanted = {
        kind: sorted({value for value in values if is_evidence(value)})
        for kind, values in identifiers.items()
    }
    tally = Tally()
    try:
        canaries = {
            **plant(folder, lambda path: _key_of(zone, path), packages),
            **{f"planted by the caller {place}": value for place, value in enumerate(planted, 1)},
        }
        search = Search(Needles({**wanted, CANARY: list(canaries.values())}), tally)
        keyed = {store.path: store for store in council_stores}
        for place in places(zone.home.root, also):
            _scan_place(zone, place, search, keyed.get(place.path), packages)
        for store in council_stores:
            if store.path.is_file():
                _scan_council_store(search, store, store.path.relative_to(zone.home.root).as_posix())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return report_of(tally, wanted, canaries, ENCODINGS, key)


def _scan_place(
    zone: AnalyticsZone,
    place: Place,
    search: Search,
    keyed: KeyedStore | None,
    packages: PackageReader | None,
) -> None:
    path, file = place.path, place.name
    search.tally.files += 1
    try:
        search.content(file.encode(), file, "name")
        if not path.stat().st_size or keyed is not None:
            return  # A council store is encrypted, and searched by its cells.
        with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start = bytes(content[:262])
            search.tally.bytes_read += len(content)
            # SQLite writes the cells of a row without a gap, so that two make a number that neither holds.
            numbers = not start.startswith(SQLITE_MAGIC)
            search.content(content, file, "bytes", numbers=numbers, encrypted=is_encrypted(start))
            if is_packed(start):
                search.packed(bytes(content), file, "bytes")
        _scan_cells(zone, path, file, start, search, packages)
    except FileNotFoundError:
        return  # Gone since it was listed: an older published version, a finished run's temporary file.
    except UNREADABLE:
        search.tally.unreadable.add(file)


def _scan_cells(
    zone: AnalyticsZone, path: Path, file: str, start: bytes, search: Search, packages: PackageReader | None
) -> None:
    if start.startswith(SQLITE_MAGIC):
        search_sqlite(search, path, file)
    elif path.suffix == ".duckdb":
        search_duckdb(search, KeyedStore(path, _key_of(zone, path)), file)
    elif start.startswith(PARQUET_MAGIC):
        search_parquet(search, path, file)
    elif start.startswith(ARROW_MAGIC):
        search_arrow(search, path, file)
    elif path.suffix == PACKAGE_SUFFIX and packages is not None:
        search_package(search, path, file, packages)


def _scan_council_store(search: Search, store: KeyedStore, file: str) -> None:
    try:
        search_duckdb(search, store, file)
    except UNREADABLE:
        search.tally.unreadable.add(file)


def _key_of(zone: AnalyticsZone, path: Path) -> str:
    """Return the key of an analytics store by where it lies."""
    if not path.is_relative_to(zone.home.analytics):
        return NOBODYS_KEY
    relative = path.relative_to(zone.home.analytics).with_suffix("")
    named = "/".join(relative.parts[:2]) if relative.parts[0] == PUBLISHED_FOLDER else relative.as_posix()
    return storage_key(zone.keys, named)
