"""Name filters: a name's bigrams as keyed bits, so that similar names differ in few bits and others in about half.

The county's filters are keyed min-hashes (`FilterRecipe.minima`): of each keyed order of all bigrams, the smallest
among a name's gives a bit, and a stored bit is the exclusive-or of several. Only near names are nearer than strangers,
and what two filters differ in says nothing about a third (ADR 0012).

The same code path makes the filters they are measured against: bits set by each bigram, plain or diffused (each stored
bit the exclusive-or of several, chosen by the key). Diffusing is linear, so forenames and surnames are diffused once
each and full names cost an exclusive-or. That is what makes them weak, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bridge.link_keys.columns import Codes, Field, keyed_digests, length_prefixed, paired, text_field
from exchange.link_key_schema import FILTER_BITS

WORD_BITS = 64
NUMBERS_IN_DIGEST = 8
DRAWS_IN_DIGEST = 16
NAMES_AT_ONCE = 2_048
PAIRS_AT_ONCE = 16_384
"""Names, and full names, worked on in one go: few enough to stay in the processor's cache."""

MINIMA_AT_ONCE = 64
"""Names whose min-hashes (6 KiB each with three minima) are worked on in one go."""

AES_BLOCK_BYTES = 16
LARGEST_NUMBER = 2**16 - 1
PAD = b"_"
BYTE_VALUES = 256

Words = npt.NDArray[np.uint64]
KeyOf = Callable[[str], bytes]


@dataclass(frozen=True)
class FilterRecipe:
    """How a name becomes bits.

    `bits` of the whole filter (a multiple of 64; of 128 with `per_field`); `hashes` sparse bits set by one bigram;
    `diffusion` sparse bits in each stored bit, 0 for none (a plain filter); `per_field`: forename in the first half of
    the bits, surname in the second, rather than both in one. With `minima` there are no sparse bits: each stored bit
    comes from that many keyed min-hashes.
    """

    bits: int = FILTER_BITS
    hashes: int = 3
    diffusion: int = 10
    per_field: bool = False
    minima: int = 0

    def __post_init__(self) -> None:
        if self.bits % (2 * WORD_BITS if self.per_field else WORD_BITS) or not 0 < self.bits <= 2**16:
            raise ValueError(f"{self.bits} bits do not fill whole words")
        if self.hashes < 1 or self.diffusion < 0 or self.minima < 0 or (self.minima and self.per_field):
            raise ValueError(f"{self} makes no filter")

    @property
    def words(self) -> int:
        return self.bits // WORD_BITS


COUNTY_RECIPE = FilterRecipe(minima=3)
"""One name filter per record: 1,024 bits, each of three min-hashes (ADR 0012 holds the frontier it was chosen from)."""


def encode_filters(
    forenames: pa.Array | pa.ChunkedArray,
    surnames: pa.Array | pa.ChunkedArray,
    key_of: KeyOf,
    recipe: FilterRecipe = COUNTY_RECIPE,
) -> Words:
    """Return the filters of names in standard form, records × `recipe.words`; all zero where both names are missing.

    `key_of` gives the 32-byte key for "forename", "surname" and "diffusion".
    """
    return filters_of_fields(text_field(forenames), text_field(surnames), key_of, recipe)


def filters_of_fields(forename: Field, surname: Field, key_of: KeyOf, recipe: FilterRecipe) -> Words:
    """As `encode_filters`, for names that are codes into distinct values already."""
    place, forenames, surnames = paired(forename.codes, surname.codes, len(surname.values))
    return filters_of_pairs(forename, surname, forenames, surnames, key_of, recipe)[place]


def filters_of_pairs(
    forename: Field, surname: Field, forenames: Codes, surnames: Codes, key_of: KeyOf, recipe: FilterRecipe
) -> Words:
    """Return the filter of every pair of codes (`NO_VALUE`: that name is missing), pairs × words."""
    if recipe.minima:
        return _min_hashed(forename, surname, forenames, surnames, key_of, recipe)
    width = recipe.bits // 2 if recipe.per_field else recipe.bits
    table = _diffusion_table(key_of("diffusion"), width, recipe.diffusion) if recipe.diffusion else None
    sparse = [
        _sparse_filters(field.values, key_of(name), width, recipe.hashes)
        for name, field in (("forename", forename), ("surname", surname))
    ]
    stored = [_diffused(filters, table) if table is not None else filters for filters in sparse]
    if recipe.per_field:
        return np.concatenate([stored[0][forenames], stored[1][surnames]], axis=1)
    if table is None:
        return stored[0][forenames] | stored[1][surnames]
    filters = np.empty((len(forenames), recipe.words), dtype=np.uint64)
    for start in range(0, len(forenames), PAIRS_AT_ONCE):
        chunk = slice(start, start + PAIRS_AT_ONCE)
        first, second = forenames[chunk], surnames[chunk]
        filters[chunk] = stored[0][first] ^ stored[1][second]
        # A bit that both names set went out in the exclusive-or, and belongs in: once more puts it back.
        shared = sparse[0][first] & sparse[1][second]
        rows = np.flatnonzero(shared.any(axis=1))
        filters[start + rows] ^= _diffused(shared[rows], table)
    return filters


def _min_hashed(
    forename: Field, surname: Field, forenames: Codes, surnames: Codes, key_of: KeyOf, recipe: FilterRecipe
) -> Words:
    """Return filters of min-hash bits: pairs × words.

    Each of `bits × minima` keyed orders of all bigrams has a smallest one among a name's; the lowest bit of its number
    is kept, and a stored bit is the exclusive-or of `minima` of these. Two names with a share J of their bigrams in
    common differ in (1 - J ^ minima) / 2 of the bits (Broder 1997; one bit of each minimum: Li and König 2010).
    """
    filters = np.empty((len(forenames), recipe.words), dtype=np.uint64)
    # All names of the field with fewer, and the other's by blocks: memory does not grow with the names.
    sides = [(forename.values, "forename", forenames), (surname.values, "surname", surnames)]
    (few, few_name, few_codes), (many, many_name, many_codes) = sorted(sides, key=lambda side: len(side[0]))
    whole = _MinHashes(few, key_of(few_name), recipe).parts(0, len(few) + 1)
    hashes = _MinHashes(many, key_of(many_name), recipe)
    blocks = np.where(many_codes < 0, len(many), many_codes)
    order = np.argsort(blocks, kind="stable")
    starts = range(0, len(many) + 1, NAMES_AT_ONCE)
    offsets = np.searchsorted(blocks[order], [*starts, len(many) + 1])
    for start, first, last in zip(starts, offsets[:-1], offsets[1:], strict=True):
        block = hashes.parts(start, min(start + NAMES_AT_ONCE, len(many) + 1))
        for at in range(first, last, MINIMA_AT_ONCE):
            rows = order[at : min(at + MINIMA_AT_ONCE, last)]
            mine, others = blocks[rows] - start, few_codes[rows]
            kept = np.zeros((len(rows), recipe.bits), dtype=np.uint16)
            for of_many, of_few in zip(block, whole, strict=True):
                numbers = of_many.take(mine, axis=0)
                kept ^= np.minimum(numbers, of_few.take(others, axis=0), out=numbers)
            filters[rows] = np.packbits(kept.astype(np.uint8) & 1, axis=1).view(">u8")
    filters[(forenames < 0) & (surnames < 0)] = 0
    return filters


class _MinHashes:
    """The smallest of the keyed 16-bit numbers of each value's bigrams, in every one of a recipe's orders."""

    def __init__(self, values: pa.Array, key: bytes, recipe: FilterRecipe) -> None:
        self.minima, self.count = recipe.minima, recipe.bits * recipe.minima
        rows, self.bigram, found = _bigrams(values)
        self.offsets = np.searchsorted(rows, np.arange(len(values) + 1))
        self.numbers = np.empty((len(found), self.count), dtype=np.uint16)
        seeds = keyed_digests(key, length_prefixed(number.to_bytes(2, "big") for number in found))
        for place, seed in enumerate(seeds):
            # A keystream under a key of this bigram's own: numbers that only the key's holder can make.
            stream = Cipher(algorithms.AES(seed), modes.CTR(bytes(AES_BLOCK_BYTES))).encryptor()
            self.numbers[place] = np.frombuffer(stream.update(bytes(2 * self.count)), dtype="<u2")

    def parts(self, start: int, end: int) -> list[npt.NDArray[np.uint16]]:
        """Return `smallest` as one array for each minimum of a stored bit: arrays in one piece are worked on faster."""
        return [
            np.ascontiguousarray(part) for part in np.split(self.smallest(start, end), self.minima, axis=1)
        ]

    def smallest(self, start: int, end: int) -> npt.NDArray[np.uint16]:
        """Return the numbers of values `start` to `end`, values × orders; "no name" comes after the last value and has
        the largest numbers.
        """
        smallest = np.full((end - start, self.count), LARGEST_NUMBER, dtype=np.uint16)
        begins = self.offsets[start : min(end, len(self.offsets) - 1)]
        lengths = self.offsets[start + 1 : start + 1 + len(begins)] - begins
        longest_first = np.argsort(-lengths, kind="stable")
        begins, lengths = begins[longest_first], lengths[longest_first]
        for at in range(0, len(begins), MINIMA_AT_ONCE):
            chunk = slice(at, at + MINIMA_AT_ONCE)
            numbers = self.numbers.take(self.bigram[begins[chunk]], axis=0)
            for place in range(1, int(lengths[at])):
                held = int(np.count_nonzero(lengths[chunk] > place))
                more = self.numbers.take(self.bigram[begins[at : at + held] + place], axis=0)
                np.minimum(numbers[:held], more, out=numbers[:held])
            smallest[longest_first[chunk]] = numbers
        return smallest


def _sparse_filters(values: pa.Array, key: bytes, bits: int, hashes: int) -> Words:
    """Return the undiffused filter of every value, and of "no name" (no bits) as the last row."""
    rows, bigram, found = _bigrams(values)
    hashed = _hashed_bigrams(found, key, hashes) % bits
    filters = np.zeros((len(values) + 1, bits // WORD_BITS), dtype=np.uint64)
    offsets = np.searchsorted(rows, np.arange(0, len(values) + NAMES_AT_ONCE, NAMES_AT_ONCE))
    for number, start in enumerate(range(0, len(values), NAMES_AT_ONCE)):
        chunk = slice(offsets[number], offsets[number + 1])
        marks = np.zeros((min(NAMES_AT_ONCE, len(values) - start), bits), dtype=np.bool_)
        marks[rows[chunk, None] - start, hashed[bigram[chunk]]] = True
        filters[start : start + len(marks)] = np.packbits(marks, axis=1).view(">u8")
    return filters


def _bigrams(values: pa.Array) -> tuple[Codes, Codes, list[int]]:
    """Return for every bigram of every value: its value's row, and its place among the distinct ones; and these."""
    joined, starts = _padded(values)
    letters = joined.astype(np.int64)
    bigrams = letters[:-1] * BYTE_VALUES + letters[1:]
    within = np.ones(len(bigrams), dtype=np.bool_)
    within[starts[1:] - 1] = False
    rows = np.repeat(np.arange(len(values)), np.diff(np.append(starts, len(joined))) - 1)
    found, bigram = np.unique(bigrams[within], return_inverse=True)
    return rows, bigram, found.tolist()


def _hashed_bigrams(bigrams: list[int], key: bytes, hashes: int) -> Codes:
    """Return `hashes` keyed 32-bit numbers for each bigram."""
    messages = length_prefixed(bigram.to_bytes(2, "big") for bigram in bigrams)
    parts = [b"", *(bytes((part,)) for part in range(1, -(-hashes // NUMBERS_IN_DIGEST)))]
    numbers = [
        np.frombuffer(b"".join(keyed_digests(key, [message + part for message in messages])), dtype=">u4")
        for part in parts
    ]
    joined = np.concatenate([number.reshape(-1, NUMBERS_IN_DIGEST) for number in numbers], axis=1)
    return joined[:, :hashes].astype(np.int64)


def _padded(values: pa.Array) -> tuple[npt.NDArray[np.uint8], Codes]:
    """Return the bytes of all values, each between two `PAD`s, and where each begins."""
    framed = pc.binary_join_element_wise(PAD, values, PAD, b"")
    lengths = pc.binary_length(framed).to_numpy().astype(np.int64)
    text = np.frombuffer(b"".join(framed.to_pylist()), dtype=np.uint8)
    return text, np.cumsum(lengths) - lengths


def _diffusion_table(key: bytes, bits: int, diffusion: int) -> Words:
    """Return, for every sparse bit, the stored bits that it goes into, as words.

    Each stored bit has `diffusion` distinct sparse bits chosen by `key`.
    """
    table = np.zeros((bits, bits), dtype=np.bool_)
    # Twice as many draws as are wanted: 32 hold fewer than 10 distinct bits of 1,024 in one key of 10^20.
    parts = range(max(2, -(-2 * diffusion // DRAWS_IN_DIGEST)))
    for bit in range(bits):
        stream = b"".join(keyed_digests(key, [bytes((part,)) + bit.to_bytes(2, "big") for part in parts]))
        draws = np.frombuffer(stream, dtype=">u2") % bits
        table[list(dict.fromkeys(draws.tolist()))[:diffusion], bit] = True
    return np.packbits(table, axis=1).view(">u8").astype(np.uint64)


def _diffused(sparse: Words, table: Words) -> Words:
    """Return, for each row of sparse bits, the exclusive-or of the rows of `table` that its bits choose."""
    stored = np.zeros_like(sparse)
    words = sparse.shape[1]
    for start in range(0, len(sparse), NAMES_AT_ONCE):
        flat = sparse[start : start + NAMES_AT_ONCE].ravel()
        held = np.flatnonzero(flat)
        bits = np.flatnonzero(np.unpackbits(flat[held].astype(">u8").view(np.uint8)))
        word, bit = held[bits // WORD_BITS], bits % WORD_BITS
        rows = word // words
        if len(rows):
            first = np.flatnonzero(np.diff(rows, prepend=-1))
            chosen = table[word % words * WORD_BITS + bit]
            stored[start + rows[first]] = np.bitwise_xor.reduceat(chosen, first, axis=0)
    return stored
