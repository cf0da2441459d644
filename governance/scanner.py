"""The scanner: no clear identifier in anything that the analytics zone wrote.

It reads what a curious person could: the bytes of every file, the decoded cells of every DuckDB and SQLite
store (bytes alone miss compressed strings), and both again with hexadecimal, base64, UTF-16 and JSON
escapes undone, in any case and back to front. Canaries are planted first, in every one of these ways; a
scan that misses one has failed. A report holds counts, file names and keyed hashes, never a value.
"""

from __future__ import annotations

import base64
import gzip
import hmac
import json
import re
import shutil
import sqlite3
import string
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
INTEGER_BYTES = 8
WINDOW_MASK = np.uint64((1 << 8 * WINDOW) - 1)
FILTER_BITS = 22
CHUNK_BYTES = 4 << 20
OVERLAP_BYTES = 512
MOST_HITS_REPORTED = 50

NOT_ANALYTICS = frozenset({"council", "truth"})
"""Folders of a home that hold identities on purpose: the council's own, and a synthetic county's truth."""

LONG_ENOUGH_INSIDE_A_WORD = 12
"""Characters: a shorter value counts only where it stands alone, since "an lee" is also inside "than
leeway"."""

CELLS_AT_ONCE = 50_000

PLAIN_TYPES = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UBIGINT", "HUGEINT", "DOUBLE", "BOOLEAN", "DATE"}
)
"""Column types whose text can hold no encoded text."""

HASH_DIGITS = 16
CANARY_FOLDER = ".scan-canaries"
CANARY = "canary"
PUBLISHED_FOLDER = "published"

HEX_RUN = re.compile(rb"[0-9a-fA-F]{12,}")
BASE64_RUN = re.compile(rb"[A-Za-z0-9+/_-]{8,}")
HEX_ONLY = re.compile(rb"[0-9a-f]+|[0-9A-F]+")
UTF16_RUNS = (re.compile(rb"(?:[^\0]\0){6,}"), re.compile(rb"(?:\0[^\0]){6,}"))
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
    """What was read and what was found. `holds` is true if nothing was found but every canary, and all
    could be read."""

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
    zone: AnalyticsZone, identifiers: Mapping[str, Collection[str]], planted: Collection[str] = ()
) -> ScanReport:
    """Look for `identifiers` (values by kind, in clear) in everything under the home but the council's own
    folders.

    Values too short to be evidence are left out. The scan plants canaries of its own; `planted` names
    further values that the caller has put somewhere, which must be found too and are no hits. Raises
    `KeyUnavailableError` without the analytics zone's keys.
    """
    key = derive_key(zone.keys.root("storage"), "scan")
    folder = zone.home.analytics / CANARY_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    tally = _Tally()
    wanted = {
        kind: sorted({value for value in values if _is_evidence(value)})
        for kind, values in identifiers.items()
    }
    try:
        canaries = _plant(zone, folder) | {
            f"planted by the caller {place}": v for place, v in enumerate(planted, 1)
        }
        needles = _Needles({**wanted, CANARY: list(canaries.values())})
        for path in _files(zone.home.root):
            _scan_file(zone, path, needles, tally)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _report(tally, wanted, canaries, key)


def _report(
    tally: _Tally, wanted: Mapping[str, Collection[str]], canaries: Mapping[str, str], key: bytes
) -> ScanReport:
    seen = {value for kind, value, _, _ in tally.found if kind == CANARY}
    missed = tuple(sorted(name for name, value in canaries.items() if value not in seen))
    hits = [
        Hit(kind, file, place, hmac.digest(key, value.encode(), "sha256").hex()[:HASH_DIGITS])
        for kind, value, file, place in sorted(tally.found)
        if kind != CANARY
    ]
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
        canaries_planted=len(canaries),
        canaries_found=len(canaries) - len(missed),
        canaries_missed=missed,
        unreadable=tuple(sorted(tally.unreadable)),
    )


def _is_evidence(value: str) -> bool:
    number = value.replace(" ", "")
    return len(number) >= SHORTEST_NUMBER if number.isdigit() else len(value.strip()) >= SHORTEST_EVIDENCE


class _Needles:
    """Many values looked for at once.

    The first bytes of every value, read as one integer, go into a bit filter and a sorted array; a text is
    read as the same integers at every offset, so that only places which could begin a value are compared in
    full.
    """

    def __init__(self, values_by_kind: Mapping[str, Collection[str]]) -> None:
        self._by_start: dict[int, list[tuple[bytes, bool, str, str]]] = {}
        for kind, values in values_by_kind.items():
            for value in values:
                for form in _forms(value):
                    alone = form.isdigit() or len(form) < LONG_ENOUGH_INSIDE_A_WORD
                    start = int.from_bytes(form[:WINDOW], "little")
                    self._by_start.setdefault(start, []).append((form, alone, kind, value))
        self._starts = np.array(sorted(self._by_start), dtype=np.uint64)
        self._filter = np.zeros(1 << FILTER_BITS, dtype=np.bool_)
        self._filter[_slots(self._starts)] = True

    def found_in(self, text: bytes, *, numbers: bool = True) -> set[tuple[str, str]]:
        """Return (kind, value) of everything found in `text`, which is in lower case.

        Without `numbers`, values of digits alone are passed over.
        """
        found: set[tuple[str, str]] = set()
        if not len(self._starts):
            return found
        padded = text + bytes(2 * INTEGER_BYTES)
        for shift in range(INTEGER_BYTES):
            # The text as integers from every eighth byte on: eight such readings cover every offset.
            whole = (len(padded) - shift) // INTEGER_BYTES
            integers = np.frombuffer(padded, dtype="<u8", offset=shift, count=whole) & WINDOW_MASK
            places = np.flatnonzero(self._filter[_slots(integers)])
            candidates = integers[places]
            nearest = np.minimum(np.searchsorted(self._starts, candidates), len(self._starts) - 1)
            right = self._starts[nearest] == candidates
            for place, start in zip(places[right].tolist(), candidates[right].tolist(), strict=True):
                offset = INTEGER_BYTES * place + shift
                for form, alone, kind, value in self._by_start[start]:
                    if not text.startswith(form, offset) or (form.isdigit() and not numbers):
                        continue
                    if not (alone and _inside_a_word(text, offset, len(form))):
                        found.add((kind, value))
        return found


def _slots(integers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    return (integers * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - FILTER_BITS)


def _inside_a_word(text: bytes, offset: int, length: int) -> bool:
    before = text[offset - 1] if offset else 0
    after = text[offset + length] if offset + length < len(text) else 0
    return before in WORD or after in WORD


def _forms(value: str) -> set[bytes]:
    """Return `value` as lower-case bytes: as it is, without spaces if a number, and each back to front."""
    text = " ".join(value.split())
    texts = {text, text.upper(), text.lower()}
    if text.replace(" ", "").isalnum() and any(character.isdigit() for character in text):
        texts |= {item.replace(" ", "") for item in set(texts)}
    texts |= {item[::-1] for item in texts}
    forms = {item.encode().lower() for item in texts}
    # Latin-1 as well: what remains of UTF-16 without its zero bytes, and what Windows programs write.
    forms |= {item.encode("latin-1").lower() for item in texts if max(item, default="") < "\u0100"}
    return {form for form in forms if len(form) >= WINDOW}


def _files(root: Path) -> Iterator[Path]:
    for top in sorted(root.iterdir()) if root.is_dir() else []:
        if top.name in NOT_ANALYTICS or top.is_symlink():
            continue
        paths = sorted(top.rglob("*")) if top.is_dir() else [top]
        # Links are not followed: what they point to inside the home is walked anyway.
        yield from (path for path in paths if path.is_file() and not path.is_symlink())


def _scan_file(zone: AnalyticsZone, path: Path, needles: _Needles, tally: _Tally) -> None:
    file = path.relative_to(zone.home.root).as_posix()
    tally.files += 1
    try:
        content = path.read_bytes()
        _search(file.encode(), file, "name", needles, tally)
        tally.bytes_read += len(content)
        # SQLite writes the cells of a row without a gap, so that two make a number that neither holds.
        _search(content, file, "bytes", needles, tally, numbers=not content.startswith(SQLITE_MAGIC))
        if content.startswith(GZIP_MAGIC):
            _search(gzip.decompress(content), file, "unzipped", needles, tally)
        if content.startswith(SQLITE_MAGIC):
            _scan_sqlite(path, file, needles, tally)
        elif path.suffix == ".duckdb":
            _scan_duckdb(zone, path, file, needles, tally)
    except FileNotFoundError:
        return  # Gone since it was listed: an older published version, a finished run's temporary file.
    except (OSError, EOFError, StoreUnreadableError, duckdb.Error, sqlite3.Error):
        tally.unreadable.append(file)


def _scan_duckdb(zone: AnalyticsZone, path: Path, file: str, needles: _Needles, tally: _Tally) -> None:
    with attached(path, storage_key(zone.keys, _store_of(zone, path)), read_only=True) as connection:
        columns = connection.execute(
            "select schema_name, table_name, column_name, data_type from duckdb_columns() "
            "join duckdb_tables() using (database_name, schema_name, table_name) "
            "where database_name = ? order by all",
            [STORE],
        ).fetchall()
        for schema, table, column, kind in columns:
            row = connection.execute(
                f"select count(*), string_agg(cell, chr(10)) from "
                f'(select distinct {_as_text(column, kind)} as cell from {STORE}."{schema}"."{table}")'
            ).fetchone()
            count, cells = row or (0, None)
            tally.cells += count
            place = f"{schema}.{table}.{column}"
            _search((cells or "").encode(), file, place, needles, tally, only_plain=kind in PLAIN_TYPES)


def _as_text(column: str, kind: str) -> str:
    if kind == "BLOB":
        return f'hex("{column}")'
    if kind.endswith("]") or "(" in kind:
        return f'to_json("{column}")::varchar'
    return f'"{column}"::varchar'


def _store_of(zone: AnalyticsZone, path: Path) -> str:
    relative = path.relative_to(zone.home.analytics).with_suffix("")
    if relative.parts[0] == PUBLISHED_FOLDER:
        return "/".join(relative.parts[:2])
    return relative.as_posix()


def _scan_sqlite(path: Path, file: str, needles: _Needles, tally: _Tally) -> None:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        tables = [
            name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")
        ]
        for table in tables:
            result = connection.execute(f'select * from "{table}"')
            while rows := result.fetchmany(CELLS_AT_ONCE):
                cells = (cell for row in rows for cell in row if isinstance(cell, (str, bytes)))
                _search_cells(cells, file, table, needles, tally)
    finally:
        connection.close()


def _search_cells(
    cells: Iterable[str | bytes | None], file: str, place: str, needles: _Needles, tally: _Tally
) -> None:
    encoded = [cell.encode() if isinstance(cell, str) else cell for cell in cells if cell]
    tally.cells += len(encoded)
    _search(b"\n".join(encoded), file, place, needles, tally)


def _search(
    content: bytes,
    file: str,
    place: str,
    needles: _Needles,
    tally: _Tally,
    *,
    only_plain: bool = False,
    numbers: bool = True,
) -> None:
    for start in range(0, len(content), CHUNK_BYTES):
        chunk = content[start : start + CHUNK_BYTES + OVERLAP_BYTES]
        for reading in [chunk.lower()] if only_plain else _readings(chunk):
            found = needles.found_in(reading, numbers=numbers)
            tally.found.update((kind, value, file, place) for kind, value in found)


def _readings(content: bytes) -> Iterator[bytes]:
    """Yield `content` in lower case, then with each encoding undone."""
    lower = content.lower()
    yield lower
    yield from _from_utf16(lower)
    if b"\\u00" in lower:
        unescaped = JSON_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)).encode(), lower)
        yield unescaped.decode(errors="replace").lower().encode()
    hexadecimal = HEX_RUN.findall(content)
    if hexadecimal:
        digits = HEX_DIGITS[np.frombuffer(b"\n".join(hexadecimal), dtype=np.uint8)]
        # A run may begin with half a byte that belongs to something else.
        for shift in range(2):
            yield from _readable(_regrouped(digits[shift:], 2, bits=4))
    # References are runs of hexadecimal digits too; no text in base64 is made of these alone.
    runs = [run for run in BASE64_RUN.findall(content) if not HEX_ONLY.fullmatch(run)]
    if runs:
        sextets = BASE64_DIGITS[np.frombuffer(b"\n".join(runs), dtype=np.uint8)]
        for shift in range(4):
            yield from _readable(_regrouped(sextets[shift:], 4, bits=6))


def _readable(decoded: bytes) -> Iterator[bytes]:
    lower = decoded.lower()
    yield lower
    yield from _from_utf16(lower)


def _from_utf16(lower: bytes) -> Iterator[bytes]:
    """Yield the Latin-1 texts that stand in `lower` as UTF-16 of either byte order."""
    if not _holds_alternating_zeros(lower):
        return
    for runs in (pattern.findall(lower) for pattern in UTF16_RUNS):
        if runs:
            yield b"\n".join(runs).replace(b"\0", b"")


def _holds_alternating_zeros(content: bytes) -> bool:
    """True if every second of some twelve bytes is zero and the others are not: cheap to tell, unlike a search."""
    if b"\0" not in content:
        return False
    zero = np.frombuffer(content, dtype=np.uint8) == 0
    pair = zero[1:] & ~zero[:-1]
    run = pair
    for shift in range(2, 2 * WINDOW - 2, 2):
        run = run[: max(len(pair) - shift, 0)] & pair[shift:]
    return bool(run.any())


def _regrouped(digits: npt.NDArray[np.uint32], group: int, *, bits: int) -> bytes:
    """Return `digits` of `bits` bits each as bytes, `group` digits at a time."""
    whole = np.concatenate([digits, np.zeros(-len(digits) % group, dtype=np.uint32)]).reshape(-1, group)
    value = np.zeros(len(whole), dtype=np.uint32)
    for place in range(group):
        value = (value << np.uint32(bits)) | whole[:, place]
    count = group * bits // 8
    shifts = [np.uint32(8 * (count - 1 - place)) for place in range(count)]
    return np.stack([(value >> shift).astype(np.uint8) for shift in shifts], axis=1).tobytes()


def _digit_values(alphabets: Sequence[bytes]) -> npt.NDArray[np.uint32]:
    """Return a table from byte to digit; whatever is no digit counts as zero, which pads the last group."""
    table = np.zeros(256, dtype=np.uint32)
    for alphabet in alphabets:
        table[np.frombuffer(alphabet, dtype=np.uint8)] = np.arange(len(alphabet))
    return table


HEX_DIGITS = _digit_values([b"0123456789abcdef", b"0123456789ABCDEF"])
LETTERS_AND_DIGITS = (string.ascii_uppercase + string.ascii_lowercase + string.digits).encode()
BASE64_DIGITS = _digit_values([LETTERS_AND_DIGITS + b"+/", LETTERS_AND_DIGITS + b"-_"])


def _plant(zone: AnalyticsZone, folder: Path) -> dict[str, str]:
    """Write canaries where and how identifiers could hide; return each by the name of its hiding place."""
    folder.mkdir(parents=True)
    canaries: dict[str, str] = {}

    def canary(place: str) -> str:
        tag = "".join(chr(ord("a") + byte % 26) for byte in uuid4().bytes[:10])
        canaries[place] = f"Zélie {tag}" if "accent" in place else f"Canary O'{tag}"
        return canaries[place]

    encodings = {
        "plain": lambda value: value.encode(),
        "upper case": lambda value: value.upper().encode(),
        "reversed": lambda value: value[::-1].encode(),
        "UTF-16 little-endian": lambda value: value.encode("utf-16-le"),
        "UTF-16 big-endian": lambda value: value.encode("utf-16-be"),
        "base64": lambda value: base64.b64encode(value.encode()),
        "base64 inside a longer text": lambda value: base64.b64encode(f"x{value}y".encode()),
        "hexadecimal": lambda value: value.encode().hex().encode(),
        "inside JSON": lambda value: json.dumps({"name": value}).encode(),
        "accent inside JSON": lambda value: json.dumps({"name": value}).encode(),
        "accent in upper case": lambda value: value.upper().encode(),
    }
    for name, encode in encodings.items():
        hidden = b"before " + encode(canary(f"file, {name}")) + b" after"
        (folder / f"{name.replace(' ', '-')}.bin").write_bytes(hidden)
    (folder / "zipped.gz").write_bytes(gzip.compress(canary("file, gzip").encode()))
    (folder / canary("file name")).write_bytes(b"")
    # In the middle of a large file, across the border of two chunks.
    border = canary("file, across a border").encode()
    (folder / "large.bin").write_bytes(
        bytes(CHUNK_BYTES - len(border) // 2) + border + bytes(CHUNK_BYTES // 8)
    )
    texts = {name: encode for name, encode in encodings.items() if not name.startswith("UTF-16")}
    store = folder / "cells.duckdb"
    with attached(store, storage_key(zone.keys, _store_of(zone, store))) as connection:
        connection.execute("create table cells (text varchar, document json, bytes blob, names varchar[])")
        for name, encode in texts.items():
            connection.execute(
                "insert into cells (text) values (?)", [encode(canary(f"DuckDB cell, {name}")).decode()]
            )
        connection.execute(
            "insert into cells (document) values (?)", [json.dumps({"a": canary("DuckDB JSON")})]
        )
        connection.execute("insert into cells (bytes) values (?)", [canary("DuckDB blob").encode()])
        connection.execute("insert into cells (names) values ([?])", [canary("DuckDB list")])
        # Compressed by DuckDB, so that no byte of the file shows it.
        connection.execute(
            "insert into cells (text) select ? from range(5000)", [canary("DuckDB cell, repeated")]
        )
    events = sqlite3.connect(folder / "events.db")
    with events:
        events.execute("create table events (event text, extra blob)")
        for name, encode in texts.items():
            events.execute(
                "insert into events (event) values (?)", [encode(canary(f"SQLite cell, {name}")).decode()]
            )
        events.execute("insert into events (extra) values (?)", [canary("SQLite blob").encode()])
    events.close()
    return canaries
