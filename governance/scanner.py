"""The scanner: no clear identifier in anything that the analytics zone wrote.

It reads what a curious person could: the bytes of every file, the decoded cells of every DuckDB and SQLite store
(bytes alone miss compressed strings), and both again with hexadecimal, base64, UTF-16 and JSON escapes undone, in any
case and back to front. Canaries are planted first, in every one of these ways; a scan that misses one has failed.
A report holds counts, file names and keyed hashes, never a value.
"""

from __future__ import annotations

import base64
import gzip
import hmac
import json
import re
import shutil
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import duckdb
import numpy as np
import numpy.typing as npt

from stores.analytics import AnalyticsZone
from stores.encrypted import STORE, StoreUnreadableError, attached, storage_key
from stores.keys import derive_key

SHORTEST_EVIDENCE = 6
"""Characters: anything shorter turns up by chance."""

SHORTEST_NUMBER = 8
"""Digits: a shorter number may be a count."""

WINDOW = 6
FILTER_BITS = 24
CHUNK_BYTES = 4 << 20
OVERLAP_BYTES = 512
MOST_HITS_REPORTED = 50

NOT_ANALYTICS = frozenset({"council", "truth"})
"""Folders of a home that hold identities on purpose: the council's own, and a synthetic county's truth."""

CANARY_FOLDER = ".scan-canaries"
CANARY = "canary"
PUBLISHED_FOLDER = "published"

HEX_RUN = re.compile(rb"[0-9a-fA-F]{12,}")
BASE64_RUN = re.compile(rb"[A-Za-z0-9+/_-]{8,}")
JSON_ESCAPE = re.compile(rb"\\u00([0-9a-f]{2})")
WORD = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyz")
SQLITE_MAGIC = b"SQLite format 3\0"
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Hit:
    """One clear identifier in one place. `value_hash` is keyed: equal values have equal hashes, no more."""

    kind: str
    file: str
    place: str
    value_hash: str


@dataclass(frozen=True)
class ScanReport:
    """What was read and what was found. `holds` is true if nothing was found but every canary, and all could be read."""

    holds: bool
    files: int
    bytes_read: int
    cells: int
    identifiers: Mapping[str, int]
    hits_by_kind: Mapping[str, int]
    hits: tuple[Hit, ...]
    canaries_planted: int
    canaries_found: int
    canaries_missed: tuple[str, ...]
    unreadable: tuple[str, ...]


@dataclass
class _Tally:
    """What a scan has come across so far."""

    files: int = 0
    bytes_read: int = 0
    cells: int = 0
    found: set[tuple[str, str, str, str]] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)


def scan_analytics(
    zone: AnalyticsZone,
    identifiers: Mapping[str, Collection[str]],
    canaries: Mapping[str, str] | None = None,
) -> ScanReport:
    """Look for `identifiers` (values by kind, in clear) in everything under the home but the council's own folders.

    Values too short to be evidence are left out. `canaries` (values by kind, default: made up here) are planted and
    must be found wherever they were put. Raises `KeyUnavailableError` without the analytics zone's keys.
    """
    key = derive_key(zone.keys.root("storage"), "scan")
    folder = zone.home.analytics / CANARY_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    tally = _Tally()
    try:
        planted = _plant(zone, folder, canaries or _invented_canaries())
        wanted = {kind: sorted({value for value in values if _is_evidence(value)}) for kind, values in identifiers.items()}
        needles = _Needles({**wanted, CANARY: list(planted.values())})
        for path in _files(zone.home.root):
            _scan_file(zone, path, needles, tally)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _report(tally, wanted, planted, key)


def _report(
    tally: _Tally, wanted: Mapping[str, Collection[str]], planted: Mapping[str, str], key: bytes
) -> ScanReport:
    seen = {value for kind, value, file, _ in tally.found if kind == CANARY and CANARY_FOLDER in file}
    missed = tuple(sorted(name for name, value in planted.items() if value not in seen))
    hits = sorted(
        Hit(kind, file, place, hmac.digest(key, value.encode(), "sha256").hex()[:16])
        for kind, value, file, place in tally.found
        if kind != CANARY
    ) if any(kind != CANARY for kind, *_ in tally.found) else []
    by_kind: dict[str, int] = {}
    for hit in hits:
        by_kind[hit.kind] = by_kind.get(hit.kind, 0) + 1
    return ScanReport(
        holds=not hits and not missed and not tally.unreadable,
        files=tally.files,
        bytes_read=tally.bytes_read,
        cells=tally.cells,
        identifiers={kind: len(values) for kind, values in sorted(wanted.items())},
        hits_by_kind=by_kind,
        hits=tuple(hits[:MOST_HITS_REPORTED]),
        canaries_planted=len(planted),
        canaries_found=len(planted) - len(missed),
        canaries_missed=missed,
        unreadable=tuple(sorted(tally.unreadable)),
    )
