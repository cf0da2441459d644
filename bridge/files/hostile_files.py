"""A first look at a file's bytes, piece by piece: refuses what no parser should see.

Memory stays at a few pieces of a megabyte whatever the file holds.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from bridge.files.problems import Problem
from governance.contracts import CSV, FIXED_WIDTH, JSONL, XML, FeedContract, FileFormat, Table

# Ten times the full council tax file of a county of 700,000 households (about 25 MB).
MAXIMUM_FILE_BYTES = 256 << 20
# The longest honest line is a few hundred bytes; a megabyte without a line break is a runaway quote or an
# attack.
MAXIMUM_LINE_BYTES = 1 << 20
# The longest honest field, an address in one line with notes, is some hundred characters.
MAXIMUM_FIELD_CHARACTERS = 10_000
# An XML file is taken apart tag by tag, at about a hundred bytes of memory each. The cases of a county of 700,000
# households in three years are a million tags.
MAXIMUM_TAGS = 6_000_000
# Text between two tags is one field. Longer ones than a field may have spoil their row; this is no field any more, and
# the XML reader takes twice its length in memory.
MAXIMUM_XML_TEXT_BYTES = 16 << 20
# A stray NUL spoils its row; one byte in a hundred is a binary file or UTF-16.
MAXIMUM_NUL_SHARE = 0.01

PIECE_BYTES = 1 << 20

# First bytes of what gets sent by mistake in place of text.
_MAGIC = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3", "a database"),
)
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DOCTYPE = b"<!DOCTYPE"
_SPOKEN = {CSV: "CSV", FIXED_WIDTH: "fixed width text", JSONL: "JSON lines", XML: "XML"}


class RefusedFileError(Exception):
    """A file that cannot be taken; `problem` says why and what to do."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass
class _Scan:
    """What one pass over the bytes finds out. Lines are counted from 1."""

    total: int = 0
    nuls: int = 0
    tags: int = 0
    text_bytes: int = 0
    longest_text: int = 0
    line: int = 1
    line_bytes: int = 0
    longest_line: int = 0
    longest_line_at: int = 1
    has_doctype: bool = False
    all_ascii: bool = True
    undecodable_line: int | None = None
    valid_utf8: bool = True
    first: bytes = b""
    tail: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class FirstLook:
    """What a parser may rely on after the first look."""

    has_nul: bool
    longest_line: int


def look_at(path: Path, contract: FeedContract, table: Table) -> FirstLook:
    """Look through the bytes of the file at `path`. Raises `RefusedFileError`."""
    refuse = partial(_refusal, path.name, table.name)
    size = path.stat().st_size
    if size > MAXIMUM_FILE_BYTES:
        raise refuse(
            f"a file holds at most {MAXIMUM_FILE_BYTES >> 20} MiB, this one {size >> 20}",
            "Send it in several deliveries of changes, or check whether the export went wrong.",
        )
    written = table.format.format
    is_csv, by_line = written == CSV, written != XML
    scan = _scan(path, table.format.encoding, stop_at_long_line=by_line)
    kind = _SPOKEN[written]
    if not scan.first.strip(b"\xef\xbb\xbf \t\r\n") and written in (CSV, XML):
        raise refuse(
            "the file is empty",
            "Export it again; a delivery without rows still holds its header."
            if is_csv
            else "Export it again.",
        )
    for magic, what in _MAGIC:
        if scan.first.startswith(magic):
            raise refuse(f"not {kind}: it is {what}", f"Export the data as {kind}.")
    if scan.first.startswith(_UTF16_MARKS):
        raise refuse(
            f"the file is UTF-16, the contract says {table.format.encoding}",
            f"Export it as {table.format.encoding}, or change `encoding` in {contract.path.name}.",
        )
    if scan.nuls > MAXIMUM_NUL_SHARE * scan.total:
        raise refuse(
            f"not {kind}: it is full of NUL bytes, so a binary file or UTF-16", f"Export it as {kind} text."
        )
    if by_line and scan.first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise refuse(
            f"not {kind}: it begins like HTML or XML, perhaps an error page", f"Export the data as {kind}."
        )
    if by_line and scan.longest_line > MAXIMUM_LINE_BYTES:
        raise refuse(
            f"a line holds at most {MAXIMUM_LINE_BYTES >> 10} KiB",
            "Look for a quotation mark that is never closed, or a field that is far too long.",
            _row(scan.longest_line_at, written),
        )
    if written == XML and scan.has_doctype:
        raise refuse(
            "XML with a DOCTYPE is not read: its entities can expand without end, or fetch files",
            "Export it without a DOCTYPE.",
        )
    if written == XML and scan.longest_text > MAXIMUM_XML_TEXT_BYTES:
        raise refuse(
            f"a text between two tags holds at most {MAXIMUM_XML_TEXT_BYTES >> 20} MiB",
            "Look for a tag that is never closed, or a field that is far too long.",
        )
    if written == XML and scan.tags > MAXIMUM_TAGS:
        raise refuse(
            f"an XML file holds at most {MAXIMUM_TAGS:,} tags, this one {scan.tags:,}",
            "Send it in several deliveries of changes, or check whether the export went wrong.",
        )
    _refuse_wrong_encoding(scan, contract, table.format, refuse)
    return FirstLook(has_nul=scan.nuls > 0, longest_line=scan.longest_line)


def _refusal(name: str, table: str, rule: str, remedy: str, row: int | None = None) -> RefusedFileError:
    rows = (row,) if row else ()
    return RefusedFileError(Problem(name, rule, remedy, table=table, rows=rows, row_count=len(rows)))


def _refuse_wrong_encoding(
    scan: _Scan, contract: FeedContract, written: FileFormat, refuse: Callable[..., RefusedFileError]
) -> None:
    encoding = written.encoding
    remedy = f"Export it as {encoding}, or change `encoding` in {contract.path.name}."
    if scan.undecodable_line is not None:
        guess = "UTF-8" if scan.valid_utf8 else "cp1252 or another 8-bit encoding"
        raise refuse(
            f"the contract says {encoding}, but the bytes are not; they look like {guess}",
            remedy,
            _row(scan.undecodable_line, written.format),
        )
    # UTF-8 read as an 8-bit encoding never fails, it only spoils every name with an accent.
    # The other way round is as good as impossible: 8-bit text is almost never valid UTF-8 by chance.
    if not _is_utf8(encoding) and scan.valid_utf8 and not scan.all_ascii:
        raise refuse(f"the file is UTF-8, the contract says {encoding}", remedy)


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def _row(line: int, written: str) -> int | None:
    """Return the data row of a physical line: a CSV's first line is its header, and XML has no rows in lines."""
    match written:
        case "csv":
            return line - 1 or None
        case "xml":
            return None
        case _:
            return line


def _scan(path: Path, encoding: str, *, stop_at_long_line: bool) -> _Scan:
    scan = _Scan()
    declared = codecs.getincrementaldecoder("utf-8" if _is_utf8(encoding) else encoding)("strict")
    as_utf8 = declared if _is_utf8(encoding) else codecs.getincrementaldecoder("utf-8")("strict")
    with path.open("rb") as handle:
        while True:
            piece = handle.read(PIECE_BYTES)
            if not scan.total:
                scan.first = piece[:4096]
            _scan_text(scan, piece, declared, as_utf8)
            if not piece:
                break
            scan.total += len(piece)
            scan.nuls += piece.count(b"\0")
            scan.tags += piece.count(b"<")
            _scan_texts(scan, piece)
            scan.has_doctype |= _DOCTYPE in scan.tail + piece
            scan.tail = piece[-len(_DOCTYPE) :]
            _scan_lines(scan, piece)
            if stop_at_long_line and scan.longest_line > MAXIMUM_LINE_BYTES:
                break
            if not stop_at_long_line and scan.longest_text > MAXIMUM_XML_TEXT_BYTES:
                break
    return scan


def _scan_text(
    scan: _Scan, piece: bytes, declared: codecs.IncrementalDecoder, as_utf8: codecs.IncrementalDecoder
) -> None:
    """Try the piece as the contract's encoding and as UTF-8. An empty piece ends the text."""
    if piece.isascii() and piece and not declared.getstate()[0] and not as_utf8.getstate()[0]:
        return
    scan.all_ascii = scan.all_ascii and piece.isascii()
    if scan.undecodable_line is None:
        try:
            declared.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            # `error.object` may begin with bytes kept from the piece before; those hold no line break.
            scan.undecodable_line = scan.line + error.object[: error.start].count(b"\n")
            scan.valid_utf8 = scan.valid_utf8 and as_utf8 is not declared
    if scan.valid_utf8 and as_utf8 is not declared:
        try:
            as_utf8.decode(piece, final=not piece)
        except UnicodeDecodeError:
            scan.valid_utf8 = False


def _scan_texts(scan: _Scan, piece: bytes) -> None:
    """Measure what lies between two tags: the longest in this piece, and the end, which may go on in the next."""
    first, last = piece.find(b"<"), piece.rfind(b"<")
    if first < 0:
        scan.text_bytes += len(piece)
        scan.longest_text = max(scan.longest_text, scan.text_bytes)
        return
    # What lies inside a piece is shorter than the piece, and so than what is too long.
    scan.longest_text = max(scan.longest_text, scan.text_bytes + first)
    scan.text_bytes = len(piece) - last


def _scan_lines(scan: _Scan, piece: bytes) -> None:
    """Measure the lines of the piece: each ends at a line break, the last one perhaps in a later piece."""
    breaks = np.flatnonzero(np.frombuffer(piece, np.uint8) == ord("\n"))
    # A line's length is the distance between its breaks; the first began in an earlier piece.
    lengths = np.diff(breaks, prepend=-1 - scan.line_bytes, append=len(piece)) - 1
    longest = int(np.argmax(lengths))
    if lengths[longest] > scan.longest_line:
        scan.longest_line, scan.longest_line_at = int(lengths[longest]), scan.line + longest
    scan.line += len(breaks)
    scan.line_bytes = int(lengths[-1])
