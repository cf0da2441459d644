"""A file's bytes as UTF-8 text and as lines, in columns."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Lines:
    """The lines of a file that are not blank, with their numbers (from 1) in the file."""

    numbers: pa.Array
    texts: pa.Array
    all_ascii: bool


def utf8_text(path: Path, encoding: str) -> bytes:
    """Return the text of a file as UTF-8 without a byte order mark. (A first look has checked that it can be read.)"""
    content = path.read_bytes()
    if not content.isascii() and codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig"):
        content = content.decode(encoding).encode()
    return content.removeprefix(codecs.BOM_UTF8)


def utf8_pieces(path: Path, encoding: str) -> Iterator[bytes]:
    """Yield the text of a file as UTF-8, a megabyte at a time."""
    is_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    with path.open("rb") as handle:
        while piece := handle.read(PIECE_BYTES):
            yield piece if is_utf8 else decoder.decode(piece).encode()


def lines_of(text: bytes) -> Lines:
    """Return the lines of UTF-8 `text`; a carriage return before the line break belongs to the break."""
    whole = pa.array([text], pa.large_binary()).cast(pa.large_string())
    texts = pc.split_pattern(whole, "\n").flatten()
    if b"\r" in text:
        texts = pc.replace_substring_regex(texts, "\r+$", "")
    numbers = pa.array(range(1, len(texts) + 1), pa.int64())
    filled = pc.greater(pc.binary_length(texts), 0)
    return Lines(numbers.filter(filled), texts.filter(filled), text.isascii())
