"""XML taken apart in columns: every element of a document with its name, parent and text, in a few arrays.

Expat says first whether the document is well-formed; it reads no DTD and expands no entity. After that a tag
begins at each `<`, so that Arrow can cut the text at the tags, all at once, instead of calling Python for each
element: three to five times as fast as walking a tree, and no tree is held in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from xml.parsers import expat

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Integers = npt.NDArray[np.int64]
Path = tuple[str, ...]

# Honest files nest a dozen elements; each level costs a pass.
MAXIMUM_DEPTH = 64
# Honest formats have some hundred different elements.
MAXIMUM_DIFFERENT_PATHS = 5_000
JOINER = ";"
# Codes below this are counted in a table of their own.
SMALL_CODES = 1 << 20

# What is neither an element nor its text. A comment may hold anything that looks like a tag.
_ASIDE = re.compile(rb"<!\[CDATA\[(.*?)\]\]>|<!--.*?-->|<\?.*?\?>", re.DOTALL)
_REFERENCE = re.compile(r"&(?:#(\d{1,7})|#x([0-9A-Fa-f]{1,6})|(amp|lt|gt|quot|apos));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


class XmlError(Exception):
    """A document that cannot be taken apart. `reason` says why without a word of it; `offset` is a byte."""

    def __init__(self, reason: str, offset: int | None = None, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason, self.offset, self.line = reason, offset, line


def check_well_formed(pieces: Iterable[bytes]) -> None:
    """Raise `XmlError` if UTF-8 text, given in `pieces`, is no well-formed XML, or has a DOCTYPE."""
    parser = expat.ParserCreate("utf-8")

    def refuse_doctype(*_: object) -> None:
        raise XmlError("it has a DOCTYPE", parser.CurrentByteIndex, parser.CurrentLineNumber)

    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        for piece in pieces:
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise XmlError("not well-formed", parser.ErrorByteIndex, error.lineno) from None


@dataclass(frozen=True)
class Document:
    """The elements of a document in order of their start tags.

    `parents` and `paths` are aligned with them: the parent's position (−1 for the root), and an index into
    `names`, the path from the root. `texts` is the text of an element without children, null for one with.
    `tags` is the start tag as written, for its attributes.
    """

    parents: Integers
    depths: Integers
    paths: Integers
    names: tuple[Path, ...]
    texts: pa.Array
    tags: pa.DictionaryArray

    def of_paths(self, wanted: Sequence[Path]) -> Integers:
        """Return the positions of the elements with one of the `wanted` paths, in document order."""
        chosen = set(wanted)
        found = [self.groups[code] for code, path in enumerate(self.names) if path in chosen]
        return (
            np.sort(np.concatenate(found)) if len(found) > 1 else found[0] if found else np.zeros(0, np.int64)
        )

    @cached_property
    def groups(self) -> list[Integers]:
        """The positions of the elements of each path, in document order."""
        order = np.argsort(self.paths.astype(np.uint16), kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.paths, minlength=len(self.names)))[:-1])

    def ancestors(self, elements: Integers, levels: Integers | int) -> Integers:
        """Return for each of `elements` the one that stands at depth `levels` on the way to the root."""
        found = elements.copy()
        higher = self.depths[found] > levels
        while higher.any():
            found = np.where(higher, self.parents[found], found)
            higher = self.depths[found] > levels
        return found


def take_apart(text: bytes) -> Document:
    """Return the elements of well-formed UTF-8 `text`. Raises `XmlError` for what no honest file has."""
    if text.startswith(b"<?xml"):
        text = text[text.index(b"?>") + 2 :]
    if b"<!" in text or b"<?" in text:
        text = _ASIDE.sub(_escaped, text)
    pieces = pc.split_pattern(pa.array([text], pa.large_binary()).cast(pa.large_string()), "<").flatten()
    halves = pc.split_pattern(pieces.slice(1), ">", max_splits=1)
    offsets = np.asarray(halves.offsets)
    flat = halves.flatten()
    tags = flat.take(pa.array(offsets[:-1])).dictionary_encode()
    texts = flat.take(pa.array(offsets[:-1] + 1))
    kinds = _kinds(tags.dictionary)
    codes = np.asarray(tags.indices, dtype=np.int64)
    is_end, closes_itself = kinds.is_end[codes], kinds.closes_itself[codes]
    starts = np.flatnonzero(~is_end)
    # How many elements are open when a tag begins; a start tag's own depth, the root's being 0.
    steps = np.where(is_end, -1, np.where(closes_itself, 0, 1))
    depths = (np.cumsum(steps) - steps)[starts]
    if len(depths) and depths.max() >= MAXIMUM_DEPTH:
        raise XmlError(f"its elements are nested more than {MAXIMUM_DEPTH} deep")
    parents = _parents(depths)
    paths, names = _paths(kinds.name[codes[starts]], kinds.names, parents, depths)
    # A leaf is followed by its own end tag; what closes itself has no text.
    follows = np.append(is_end, True)[starts + 1]
    leaf = follows & ~closes_itself[starts]
    whole = texts.take(pa.array(np.where(leaf, starts, 0)))
    shown = pc.if_else(
        pa.array(closes_itself[starts]),
        "",
        pc.if_else(pa.array(leaf), whole, pa.scalar(None, pa.large_string())),
    )
    return Document(parents, depths, paths, names, shown, tags.take(pa.array(starts)))


@dataclass(frozen=True)
class _Kinds:
    """What each different tag is: an end, an element without content, and which name it has."""

    is_end: npt.NDArray[np.bool_]
    closes_itself: npt.NDArray[np.bool_]
    name: Integers
    names: tuple[str, ...]


def _kinds(tags: pa.Array) -> _Kinds:
    quotes = pc.add(pc.count_substring(tags, '"'), pc.count_substring(tags, "'"))
    odd = pc.not_equal(pc.bit_wise_and(quotes, 1), 0)
    if pc.any(odd).as_py():
        raise XmlError("an attribute holds a > or a quotation mark; write it as &gt; or &quot;")
    words = pc.struct_field(
        pc.extract_regex(tags, r"^/?(?:[^\s/:]*:)?(?P<name>[^\s/]*)"), "name"
    ).dictionary_encode()
    return _Kinds(
        is_end=np.asarray(pc.starts_with(tags, "/")),
        closes_itself=np.asarray(pc.ends_with(tags, "/")),
        name=np.asarray(words.indices, dtype=np.int64),
        names=tuple(words.dictionary.to_pylist()),
    )


def _parents(depths: Integers) -> Integers:
    """Return each element's parent: the last element before it that is one level higher."""
    parents = np.full(len(depths), -1)
    for depth in range(1, int(depths.max(initial=0)) + 1):
        here, above = np.flatnonzero(depths == depth), np.flatnonzero(depths == depth - 1)
        parents[here] = above[np.searchsorted(above, here) - 1]
    return parents


def _paths(
    words: Integers, names: Sequence[str], parents: Integers, depths: Integers
) -> tuple[Integers, tuple[Path, ...]]:
    """Number the different paths from the root, and return each element's number and what the numbers mean."""
    numbers = np.zeros(len(words), dtype=np.int64)
    known: list[Path] = []
    for depth in range(int(depths.max(initial=-1)) + 1):
        here = np.flatnonzero(depths == depth)
        above = numbers[parents[here]] if depth else np.zeros(len(here), dtype=np.int64)
        pairs, which = _distinct(above * len(names) + words[here])
        if len(known) + len(pairs) > MAXIMUM_DIFFERENT_PATHS:
            raise XmlError(f"it has more than {MAXIMUM_DIFFERENT_PATHS} different elements")
        numbers[here] = which + len(known)
        known += [
            (*(known[pair // len(names)] if depth else ()), names[pair % len(names)])
            for pair in pairs.tolist()
        ]
    return numbers, tuple(known)


def _distinct(codes: Integers) -> tuple[Integers, Integers]:
    """Return the different codes in order, and which of them each is. Small codes need no sorting."""
    most = int(codes.max(initial=0)) + 1
    if most > SMALL_CODES:
        return np.unique(codes, return_inverse=True)
    there = np.flatnonzero(np.bincount(codes, minlength=most))
    places = np.zeros(most, dtype=np.int64)
    places[there] = np.arange(len(there))
    return there, places[codes]


def _escaped(found: re.Match[bytes]) -> bytes:
    """Write the content of a CDATA section as ordinary text; comments and instructions go."""
    content = found[1]
    if content is None:
        return b""
    return content.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")


def read_texts(texts: pa.Array) -> pa.Array:
    """Return the texts as meant: references resolved, line breaks as one character."""
    if pc.any(pc.match_substring(texts, "\r")).as_py():
        texts = pc.replace_substring(pc.replace_substring(texts, "\r\n", "\n"), "\r", "\n")
    referring = pc.fill_null(pc.match_substring(texts, "&"), False)
    if not pc.any(referring).as_py():
        return texts
    meant = [_REFERENCE.sub(_referred, text) for text in texts.filter(referring).to_pylist()]
    return pc.replace_with_mask(texts, referring, pa.array(meant, texts.type))


def _referred(found: re.Match[str]) -> str:
    decimal, hexadecimal, name = found.groups()
    if name:
        return _NAMED[name]
    return chr(int(decimal) if decimal else int(hexadecimal, 16))


def attribute(tags: pa.DictionaryArray, name: str) -> pa.Array:
    """Return the value of attribute `name` in each start tag, null where it has none."""
    pattern = rf"\s(?:[^\s=:]*:)?{re.escape(name)}\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)')"
    found = pc.extract_regex(tags.dictionary, pattern)
    double, single = pc.struct_field(found, "double"), pc.struct_field(found, "single")
    value = pc.if_else(pc.not_equal(double, ""), double, single)
    return read_texts(value.take(tags.indices))
