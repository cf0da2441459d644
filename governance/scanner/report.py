"""What a scan says: counts, places, remedies and keyed hashes, never a value."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from governance.scanner.remedies import remedy_of

HASH_DIGITS = 16
MOST_HITS_REPORTED = 50
CANARY = "canary"


@dataclass(frozen=True, order=True)
class Hit:
    """One clear identifier in one place. `value_hash` is keyed: equal values have equal hashes, no more.

    `written` is the encoding that had to be undone to see it, `remedy` what to do about it.
    """

    kind: str
    file: str
    place: str
    written: str
    value_hash: str
    remedy: str


@dataclass(frozen=True)
class ScanReport:
    """What was read and what was found. `holds` is true if nothing was found but every canary, and all
    could be read.

    `bytes_read` counts files as they lie there; `bytes_searched` also what was decoded, unpacked and undone.
    `canaries` counts those planted by kind of store. At most 50 hits are listed; `hits_by_kind` counts all.
    """

    holds: bool
    files: int
    bytes_read: int
    bytes_searched: int
    cells: int
    packages_opened: int
    encodings: tuple[str, ...]
    identifiers: Mapping[str, int]
    hits_by_kind: Mapping[str, int]
    hits: tuple[Hit, ...]
    canaries: Mapping[str, int]
    canaries_planted: int
    canaries_found: int
    canaries_missed: tuple[str, ...]
    unreadable: tuple[str, ...]


@dataclass
class Tally:
    """What a scan has come across so far. `found` gives the encoding of each (kind, value, file, place)."""

    files: int = 0
    bytes_read: int = 0
    bytes_searched: int = 0
    cells: int = 0
    packages_opened: int = 0
    found: dict[tuple[str, str, str, str], str] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)


def report_of(
    tally: Tally,
    wanted: Mapping[str, Collection[str]],
    canaries: Mapping[str, str],
    encodings: tuple[str, ...],
    key: bytes,
) -> ScanReport:
    """Return the report of a finished scan; `canaries` gives the value planted in each hiding place
    ("store, encoding"), `key` is what values are hashed with."""
    seen = {value for kind, value, *_ in tally.found if kind == CANARY}
    missed = tuple(sorted(name for name, value in canaries.items() if value not in seen))
    hits = sorted(
        Hit(kind, file, place, written, _keyed_hash(key, value), remedy_of(file, place))
        for (kind, value, file, place), written in tally.found.items()
        if kind != CANARY
    )
    return ScanReport(
        holds=not hits and not missed and not tally.unreadable,
        files=tally.files,
        bytes_read=tally.bytes_read,
        bytes_searched=tally.bytes_searched,
        cells=tally.cells,
        packages_opened=tally.packages_opened,
        encodings=encodings,
        identifiers={kind: len(values) for kind, values in sorted(wanted.items())},
        hits_by_kind=dict(Counter(hit.kind for hit in hits)),
        hits=tuple(hits[:MOST_HITS_REPORTED]),
        canaries=dict(sorted(Counter(name.split(", ")[0] for name in canaries).items())),
        canaries_planted=len(canaries),
        canaries_found=len(canaries) - len(missed),
        canaries_missed=missed,
        unreadable=tuple(sorted(tally.unreadable)),
    )


def _keyed_hash(key: bytes, value: str) -> str:
    return hmac.digest(key, value.encode(), "sha256").hex()[:HASH_DIGITS]
