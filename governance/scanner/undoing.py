"""Undoing encodings: the readings of a piece of content that an identifier could show in.

Each reading is tried only where the content has the signs of it, which are cheap to look for.
"""

from __future__ import annotations

import html
import quopri
import re
import string
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

AS_IT_IS = "as it is"
SHORTEST_HEX_RUN = 12
SHORTEST_BASE64_RUN = 8
LINE_OF_BASE64_LETTERS = 60

REACH_BYTES = 400
"""How far from an escape the value lies that it is a part of."""

# Each begins with a plain letter, which makes looking for it fast. Backslashes double in JSON within JSON.
JSON_ESCAPE = re.compile(rb"\\\\*u([0-9a-f]{4})")
BYTE_ESCAPE = re.compile(rb"\\\\*x([0-9a-f]{2})")
QUOTE_ESCAPE = re.compile(rb"\\\\*(?=[\"'/])")
BACKSLASH = re.compile(rb"\\[ux\"'/\\]")
TWO_QUOTES = re.compile(rb"''")
PERCENT = re.compile(rb"%([0-9a-f]{2})")
ENTITY = re.compile(rb"&(?:#[0-9]{2,7}|#x[0-9a-f]{2,6}|[a-z]{2,8});")
QUOTED = re.compile(rb"=(?:[0-9a-f]{2}|[ \t]*\r?\n)")
HEX_ONLY = re.compile(rb"[0-9a-f]+|[0-9A-F]+")
# A long line of base64 goes on in the next; inside JSON the line break is written as two letters.
LINE_END = re.compile(rb"(?=[\r\n\\])(?<=[A-Za-z0-9+/]{60})(?:\r?\n|(?:\\r)?\\n)(?=[A-Za-z0-9+/=])")
UTF16_RUNS = (re.compile(rb"(?:[^\0]\0){6,}"), re.compile(rb"(?:\0[^\0]){6,}"))
UTF32_RUNS = (re.compile(rb"(?:[^\0]\0\0\0){6,}"), re.compile(rb"(?:\0\0\0[^\0]){6,}"))
SIGNS = b"_+-.|,;:/\t"
JOINED_BY_SIGNS = bytes.maketrans(SIGNS, b" " * len(SIGNS))


def readings(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (encoding, text in lower case) for `content` as it is and with each encoding undone."""
    lower = content.lower()
    yield AS_IT_IS, lower
    if (apart := lower.translate(JOINED_BY_SIGNS)) != lower:
        yield "words joined by a sign", apart
    yield from _wide(lower)
    yield from _escaped(lower)
    for decoded in _regrouped(base64_runs(content), BASE64_DIGITS, group=4, bits=6):
        yield from _decoded("base64", decoded)
    for decoded in decoded_hexadecimal(content):
        yield from _decoded("hexadecimal", decoded)


def base64_runs(content: bytes) -> list[bytes]:
    """Return the runs of letters of base64 in `content`, those of several lines put together."""
    runs = _runs(content, IS_BASE64, SHORTEST_BASE64_RUN)
    if any(len(run) >= LINE_OF_BASE64_LETTERS for run in runs) and (b"\n" in content or b"\\n" in content):
        runs = _runs(LINE_END.sub(b"", content), IS_BASE64, SHORTEST_BASE64_RUN)
    # References are runs of hexadecimal digits too; no text in base64 is made of these alone.
    return [run for run in runs if not HEX_ONLY.fullmatch(run)]


def decoded_hexadecimal(content: bytes) -> Iterator[bytes]:
    """Yield the bytes that the runs of hexadecimal digits in `content` stand for, from either half of a byte on."""
    # A run may begin with half a byte that belongs to something else.
    yield from _regrouped(_runs(content, IS_HEX, SHORTEST_HEX_RUN), HEX_DIGITS, group=2, bits=4)


def _runs(content: bytes, belongs: npt.NDArray[np.bool_], shortest: int) -> list[bytes]:
    """Return the runs of at least `shortest` bytes that all belong to an alphabet."""
    inside = np.zeros(len(content) + 2, dtype=np.int8)
    inside[1:-1] = belongs[np.frombuffer(content, dtype=np.uint8)]
    borders = np.flatnonzero(np.diff(inside))
    starts, ends = borders[::2], borders[1::2]
    long = ends - starts >= shortest
    return [content[start:end] for start, end in zip(starts[long].tolist(), ends[long].tolist(), strict=True)]


def _decoded(name: str, decoded: bytes) -> Iterator[tuple[str, bytes]]:
    lower = decoded.lower()
    yield name, lower
    for _, text in _wide(lower):
        yield name, text


def _wide(lower: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the Latin-1 texts that stand in `lower` as UTF-16 or UTF-32 of either byte order."""
    if b"\0" not in lower:
        return
    zero = np.frombuffer(lower, dtype=np.uint8) == 0
    for name, width, patterns in (("UTF-16", 2, UTF16_RUNS), ("UTF-32", 4, UTF32_RUNS)):
        if _letters_between_zeros(zero, width):
            for pattern in patterns:
                if runs := pattern.findall(lower):
                    yield name, b"\n".join(runs).replace(b"\0", b"")


def _letters_between_zeros(zero: npt.NDArray[np.bool_], width: int) -> bool:
    """True if some five letters stand `width` bytes apart with zeros between: cheap to tell, unlike a search."""
    letter = ~zero[: max(len(zero) - width + 1, 0)]
    for place in range(1, width):
        letter = letter & zero[place : place + len(letter)]
    run = letter
    for step in range(1, 5):
        run = run[: max(len(letter) - step * width, 0)] & letter[step * width :]
    return bool(run.any())


def _escaped(lower: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what stands around the escapes in `lower` with these undone, a reading for each family of escapes."""
    if near := _around(lower, BACKSLASH):
        yield "JSON escapes", QUOTE_ESCAPE.sub(b"", JSON_ESCAPE.sub(_letter, near)).lower()
        if b"\\x" in near:
            yield "Python escapes", BYTE_ESCAPE.sub(_byte, QUOTE_ESCAPE.sub(b"", near)).lower()
    if near := _around(lower, TWO_QUOTES):
        yield "SQL quotes", near.replace(b"''", b"'")
    if near := _around(lower, PERCENT):
        yield "URL percent", PERCENT.sub(_byte, near.replace(b"+", b" ")).lower()
    if near := _around(lower, ENTITY):
        yield "HTML entities", html.unescape(near.decode(errors="replace")).lower().encode()
    if near := _around(lower, QUOTED):
        yield "quoted-printable", quopri.decodestring(near).lower()


def _around(content: bytes, sign: re.Pattern[bytes]) -> bytes:
    """Return the parts of `content` that lie near a match of `sign`, a line break between them."""
    parts: list[tuple[int, int]] = []
    for found in sign.finditer(content):
        start, end = max(found.start() - REACH_BYTES, 0), found.end() + REACH_BYTES
        if parts and start <= parts[-1][1]:
            parts[-1] = (parts[-1][0], end)
        else:
            parts.append((start, end))
    return b"\n".join(content[start:end] for start, end in parts)


def _letter(escape: re.Match[bytes]) -> bytes:
    return chr(int(escape[1], 16)).encode(errors="replace")


def _byte(escape: re.Match[bytes]) -> bytes:
    return bytes((int(escape[1], 16),))


def _regrouped(
    runs: Sequence[bytes], digits: npt.NDArray[np.uint32], *, group: int, bits: int
) -> Iterator[bytes]:
    """Yield what `runs` of digits of `bits` bits each stand for, `group` digits at a time, from each digit on."""
    if not runs:
        return
    values = digits[np.frombuffer(b"\n".join(runs), dtype=np.uint8)]
    for shift in range(group):
        rest = values[shift:]
        whole = np.concatenate([rest, np.zeros(-len(rest) % group, dtype=np.uint32)]).reshape(-1, group)
        value = np.zeros(len(whole), dtype=np.uint32)
        for place in range(group):
            value = (value << np.uint32(bits)) | whole[:, place]
        count = group * bits // 8
        shifts = [np.uint32(8 * (count - 1 - place)) for place in range(count)]
        yield np.stack([(value >> each).astype(np.uint8) for each in shifts], axis=1).tobytes()


def _digit_values(alphabets: Sequence[bytes]) -> npt.NDArray[np.uint32]:
    """Return a table from byte to digit; whatever is no digit counts as zero, which pads the last group."""
    table = np.zeros(256, dtype=np.uint32)
    for alphabet in alphabets:
        table[np.frombuffer(alphabet, dtype=np.uint8)] = np.arange(len(alphabet))
    return table


def _members(alphabet: bytes) -> npt.NDArray[np.bool_]:
    """Return a table from byte to whether it belongs to `alphabet`."""
    table = np.zeros(256, dtype=np.bool_)
    table[np.frombuffer(alphabet, dtype=np.uint8)] = True
    return table


HEX_DIGITS = _digit_values([b"0123456789abcdef", b"0123456789ABCDEF"])
IS_HEX = _members(b"0123456789abcdefABCDEF")
LETTERS_AND_DIGITS = (string.ascii_uppercase + string.ascii_lowercase + string.digits).encode()
BASE64_DIGITS = _digit_values([LETTERS_AND_DIGITS + b"+/", LETTERS_AND_DIGITS + b"-_"])
IS_BASE64 = _members(LETTERS_AND_DIGITS + b"+/-_")
