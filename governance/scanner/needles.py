"""Many values looked for at once, in a text, in numbers and among unkeyed digests.

The first bytes of every value, read as one integer, go into a filter and a sorted array; a text is read as the same
integers at every offset, so that only places which could begin a value are compared in full.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Collection, Iterator, Mapping

import numpy as np
import numpy.typing as npt

SHORTEST_EVIDENCE = 6
"""Characters: anything shorter turns up by chance."""

SHORTEST_NUMBER = 8
"""Digits: a shorter number may be a count."""

SMALLEST_NUMBER = 10 ** (SHORTEST_NUMBER - 1)
"""Back to front, a reference that ends in zeros is a small number."""

LONG_ENOUGH_INSIDE_A_WORD = 12
"""Characters: a shorter value counts only where it stands alone, since "an lee" is also inside "than leeway"."""

WINDOW = 6
INTEGER_BYTES = 8
WINDOW_MASK = np.uint64((1 << 8 * WINDOW) - 1)
FILTER_BITS = 23
DIGESTS = ("md5", "sha1", "sha256")
WORD = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyz")

Integers = npt.NDArray[np.uint64]
Found = set[tuple[str, str]]
"""Pairs of kind and value."""


class Needles:
    """Values to look for, in every form that one may be written in.

    `values_by_kind` gives texts; keys (kinds that end in "key") are looked for as raw bytes too.
    """

    def __init__(self, values_by_kind: Mapping[str, Collection[str]]) -> None:
        self._values = [(kind, value) for kind, values in values_by_kind.items() for value in values]
        forms: list[bytes] = []
        owners: list[int] = []
        for owner, (kind, value) in enumerate(self._values):
            found = forms_of(value) | (_raw_key(value) if kind.endswith("key") else set())
            forms += found
            owners += [owner] * len(found)
        self._index(forms, owners)
        self._index_digests()

    def _index(self, forms: list[bytes], owners: list[int]) -> None:
        self._owners_of: dict[bytes, list[int]] = {}
        for form, owner in zip(forms, owners, strict=True):
            self._owners_of.setdefault(form, []).append(owner)
        # Short forms are told by their window alone, so that what follows them in the text does not matter.
        self._long = _Starts([form for form in self._owners_of if len(form) >= INTEGER_BYTES], INTEGER_BYTES)
        self._short = _Starts([form for form in self._owners_of if len(form) < INTEGER_BYTES], WINDOW)
        self._filter = _filter_of(np.concatenate([self._long.integers & WINDOW_MASK, self._short.integers]))
        digits = ((int(form), owner) for form, owner in zip(forms, owners, strict=True) if form.isdigit())
        numbers = sorted((number, owner) for number, owner in digits if SMALLEST_NUMBER <= number < 1 << 63)
        self._numbers = np.array([number for number, _ in numbers], dtype=np.int64)
        self._number_owners = [owner for _, owner in numbers]

    def _index_digests(self) -> None:
        pairs = sorted(
            (start, owner) for owner, (_, value) in enumerate(self._values) for start in _digests_of(value)
        )
        self._digests = np.array([start for start, _ in pairs], dtype=np.uint64)
        self._digest_owners = [owner for _, owner in pairs]
        self._digest_filter = _filter_of(self._digests)

    def found_in(self, text: bytes, *, numbers: bool = True) -> Found:
        """Return (kind, value) of everything found in `text`, which is in lower case.

        Without `numbers`, values of digits alone are passed over.
        """
        found: Found = set()
        if not self._owners_of:
            return found
        for shift, integers in _readings_as_integers(text):
            places = np.flatnonzero(self._filter[_slots(integers & WINDOW_MASK)])
            candidates = integers[places]
            for starts, wanted in ((self._long, candidates), (self._short, candidates & WINDOW_MASK)):
                for which, lengths in starts.matches(wanted):
                    offset = INTEGER_BYTES * int(places[which]) + shift
                    for length in lengths:
                        form = text[offset : offset + length]
                        if form in self._owners_of and _stands_alone(form, text, offset, numbers):
                            found.update(self._values[owner] for owner in self._owners_of[form])
        return found

    def found_among(self, integers: npt.NDArray[np.int64]) -> Found:
        """Return (kind, value) of every number that is one of `integers`, leading zeros aside."""
        places = np.flatnonzero(np.isin(self._numbers, integers))
        return {self._values[self._number_owners[place]] for place in places.tolist()}

    def digests_in(self, content: bytes) -> Found:
        """Return (kind, value) of every value whose unkeyed digest begins anywhere in `content`."""
        found: Found = set()
        for _, integers in _readings_as_integers(content):
            candidates = integers[self._digest_filter[_slots(integers)]]
            places = np.flatnonzero(np.isin(self._digests, candidates)) if len(candidates) else ()
            found.update(self._values[self._digest_owners[place]] for place in places)
        return found


class _Starts:
    """The first bytes of many forms as sorted integers, with the lengths of the forms that begin so."""

    def __init__(self, forms: list[bytes], width: int) -> None:
        integers = _integers_of([form[:width] for form in forms])
        lengths = np.array([len(form) for form in forms], dtype=np.int64)
        pairs = np.stack([integers, lengths.astype(np.uint64)], axis=1)
        pairs = np.unique(pairs, axis=0) if forms else pairs
        self.integers, first = np.unique(pairs[:, 0].astype(np.uint64), return_index=True)
        self._lengths = [tuple(each.tolist()) for each in np.split(pairs[:, 1].astype(np.int64), first[1:])]

    def matches(self, wanted: Integers) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield (place in `wanted`, lengths of the forms that begin so)."""
        if not (len(self.integers) and len(wanted)):
            return
        nearest = np.minimum(np.searchsorted(self.integers, wanted), len(self.integers) - 1)
        for which in np.flatnonzero(self.integers[nearest] == wanted).tolist():
            yield which, self._lengths[nearest[which]]


def _integers_of(starts: list[bytes]) -> Integers:
    return np.frombuffer(b"".join(start.ljust(INTEGER_BYTES, b"\0") for start in starts), dtype="<u8")


def _stands_alone(form: bytes, text: bytes, offset: int, numbers: bool) -> bool:
    """False if `form` is a number or short, and only a part of a longer number or word."""
    digits = form.isdigit()
    if digits and not numbers:
        return False
    alone = digits or len(form) < LONG_ENOUGH_INSIDE_A_WORD
    return not (alone and _inside_a_word(text, offset, len(form)))


def is_evidence(value: str) -> bool:
    """True if `value` is long enough not to turn up by chance."""
    number = value.replace(" ", "")
    return len(number) >= SHORTEST_NUMBER if number.isdigit() else len(value.strip()) >= SHORTEST_EVIDENCE


def forms_of(value: str) -> set[bytes]:
    """Return `value` as lower-case bytes: as it is, without spaces if a number, without accents, misread as cp1252,
    and each back to front."""
    text = " ".join(value.split())
    texts = {text} if text.isascii() else {text, text.upper(), text.lower(), *_without_accents(text)}
    if any(character.isdigit() for character in text) and text.replace(" ", "").isalnum():
        texts |= {item.replace(" ", "") for item in set(texts)}
    texts |= {item[::-1] for item in texts}
    return {form for item in texts for form in _as_bytes(item) if len(form) >= WINDOW}


def _as_bytes(text: str) -> Iterator[bytes]:
    yield text.encode().lower()
    if text.isascii():
        return
    # UTF-8 read as cp1252 and written again, as happens to names on their way through a spreadsheet.
    yield text.encode().decode("cp1252", "replace").encode().lower()
    if max(text) < "\u0100":
        # What remains of UTF-16 without its zero bytes, and what Windows programs write.
        yield text.encode("latin-1").lower()
    else:
        # Letters that need both bytes are not seen by dropping the zeros.
        yield from (text.encode(encoding).lower() for encoding in ("utf-16-le", "utf-16-be"))


def _without_accents(text: str) -> tuple[str, str]:
    apart = unicodedata.normalize("NFKD", text)
    return apart, "".join(character for character in apart if not unicodedata.combining(character))


def _raw_key(text: str) -> set[bytes]:
    return {bytes.fromhex(text).lower()}


def _digests_of(value: str) -> set[int]:
    """Return the first eight bytes of the unkeyed digests of `value`, as little-endian integers."""
    text = " ".join(value.split())
    written = {text, text.lower(), text.upper()}
    written |= {item.replace(" ", "") for item in written if any(character.isdigit() for character in item)}
    return {
        int.from_bytes(
            hashlib.new(name, item.encode(), usedforsecurity=False).digest()[:INTEGER_BYTES], "little"
        )
        for item in written
        for name in DIGESTS
    }


def _readings_as_integers(text: bytes) -> Iterator[tuple[int, Integers]]:
    """Yield `text` as 8-byte integers from each of the first eight offsets on: together they cover every offset."""
    padded = text + bytes(2 * INTEGER_BYTES)
    for shift in range(INTEGER_BYTES):
        whole = (len(padded) - shift) // INTEGER_BYTES
        yield shift, np.frombuffer(padded, dtype="<u8", offset=shift, count=whole)


def _filter_of(starts: Integers) -> npt.NDArray[np.bool_]:
    slots = np.zeros(1 << FILTER_BITS, dtype=np.bool_)
    slots[_slots(starts)] = True
    return slots


def _slots(integers: Integers) -> Integers:
    return (integers * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - FILTER_BITS)


def _inside_a_word(text: bytes, offset: int, length: int) -> bool:
    before = text[offset - 1] if offset else 0
    after = text[offset + length] if offset + length < len(text) else 0
    return before in WORD or after in WORD
