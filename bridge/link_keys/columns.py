"""Columns of identity values on their way to link keys: distinct values, their digests, and tokens of digests.

Everything works on distinct values and whole columns. A value is hashed once, however many records hold it; a token
of several values is AES over the column of their digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from exchange.link_key_schema import TOKEN_BYTES

HASH_BLOCK_BYTES = 64
DIGEST_BYTES = 32
LENGTH_BYTES = 4
NO_VALUE = -1

Codes = npt.NDArray[np.int64]
Digests = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Field:
    """A column as codes into its distinct values (binary, none empty); `NO_VALUE` where the record has none."""

    codes: Codes
    values: pa.Array

    def changed(self, values: pa.Array | pa.ChunkedArray) -> Field:
        """The same records with every distinct value replaced; an empty value or a null is none."""
        field = text_field(values)
        # The code at the end stands where NO_VALUE, which is -1, points.
        return Field(np.append(field.codes, NO_VALUE)[self.codes], field.values)

    def start(self, length: int) -> Field:
        """The same records with the first `length` bytes of every value."""
        return self.changed(pc.binary_slice(self.values, 0, length))


@dataclass(frozen=True)
class DigestedField:
    """A field as codes into 128-bit digests (distinct values × 2 words); `NO_VALUE` where a record has none."""

    codes: Codes
    digests: Digests

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        return self.codes != NO_VALUE


def text_field(column: pa.Array | pa.ChunkedArray) -> Field:
    """Return a text or binary column as codes into its distinct values; nulls and empty texts have no value.

    A column whose distinct values stand apart already (a dictionary array) costs a look-up a record.
    """
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(whole, pa.DictionaryArray):
        indices = whole.indices.fill_null(NO_VALUE).to_numpy(zero_copy_only=False)
        return Field(indices, whole.dictionary).changed(whole.dictionary)
    if not pa.types.is_binary(whole.type):
        whole = whole.cast(pa.string()).cast(pa.binary())
    if pc.any(pc.equal(pc.binary_length(whole), 0)).as_py():
        whole = pc.if_else(pc.equal(pc.binary_length(whole), 0), None, whole)
    encoded = whole.dictionary_encode()
    codes = encoded.indices.cast(pa.int64()).fill_null(NO_VALUE).to_numpy(zero_copy_only=False)
    return Field(codes, encoded.dictionary)


def paired(one: Codes, other: Codes, others: int) -> tuple[Codes, Codes, Codes]:
    """Return each record's place among the distinct pairs of codes, and the codes of these pairs.

    `others`: how many values `other` has. A code may be `NO_VALUE`.
    """
    width = others + 1
    encoded = pa.array((one + 1) * width + other + 1).dictionary_encode()
    first, second = np.divmod(encoded.dictionary.to_numpy(), width)
    return encoded.indices.to_numpy().astype(np.int64), first - 1, second - 1


def length_prefixed(values: Iterable[bytes]) -> list[bytes]:
    """Return every value with its length in front, which keeps it from passing for another's beginning."""
    return [len(value).to_bytes(LENGTH_BYTES, "big") + value for value in values]


def keyed_digests(key: bytes, messages: Iterable[bytes]) -> list[bytes]:
    """Return HMAC-SHA256 (RFC 2104) of every message; the two key blocks are hashed once and copied."""
    block = key.ljust(HASH_BLOCK_BYTES, b"\0")
    start_inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block)).copy
    start_outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block)).copy
    digests = []
    for message in messages:
        inner, outer = start_inner(), start_outer()
        inner.update(message)
        outer.update(inner.digest())
        digests.append(outer.digest())
    return digests


def digested(field: Field, key: bytes) -> DigestedField:
    """Hash the distinct values of `field` under `key`; the first 128 bits are kept."""
    lengths = pc.binary_length(field.values).to_numpy().astype(">u4")
    prefixes = pa.Array.from_buffers(pa.binary(LENGTH_BYTES), len(lengths), [None, pa.py_buffer(lengths)])
    messages = pc.binary_join_element_wise(prefixes.cast(pa.binary()), field.values, b"")
    whole = np.frombuffer(b"".join(keyed_digests(key, messages.to_pylist())), dtype=np.uint64)
    kept = whole.reshape(-1, DIGEST_BYTES // 8)[:, : TOKEN_BYTES // 8]
    return DigestedField(field.codes, np.ascontiguousarray(kept))


def tokens_of(fields: Sequence[DigestedField], key: bytes) -> pa.Array:
    """Return 16-byte tokens of the fields taken together: CBC-MAC under `key`; null where a record lacks one.

    Every message under one key must have the same number of blocks: then CBC-MAC is a pseudorandom function.
    """
    records = len(fields[0].codes)
    present = np.logical_and.reduce([field.present for field in fields])
    held = int(np.count_nonzero(present))
    # Zeros where a field is missing: no token of half an identity, not even under the mask.
    tokens = np.zeros((records, 2), dtype=np.uint64)
    if held == records > 0:
        tokens = _chained(fields, [field.codes for field in fields], key)
    elif held:
        rows = np.flatnonzero(present)
        tokens[rows] = _chained(fields, [field.codes[rows] for field in fields], key)
    validity = pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(TOKEN_BYTES), records, [validity, pa.py_buffer(np.ascontiguousarray(tokens))]
    )


def cbc_mac(blocks: Sequence[Digests], key: bytes) -> Digests:
    """Return the AES-256 CBC-MAC of each row's blocks; `blocks` holds rows × 2 words for each block."""
    state = _encrypted(blocks[0], key)
    for block in blocks[1:]:
        state = _encrypted(state ^ block, key)
    return state


def _chained(fields: Sequence[DigestedField], codes: Sequence[Codes], key: bytes) -> Digests:
    """Return the CBC-MAC of every row of `codes`; the first block is encrypted once for each distinct value."""
    state = gathered(_encrypted(fields[0].digests, key), codes[0])
    for field, chosen in zip(fields[1:], codes[1:], strict=True):
        state = _encrypted(state ^ gathered(field.digests, chosen), key)
    return state


def gathered(digests: Digests, codes: Codes) -> Digests:
    """Return `digests[codes]`, taking both words of a row at once."""
    return digests.view(np.complex128).ravel().take(codes).view(np.uint64).reshape(-1, 2)


def _encrypted(blocks: Digests, key: bytes) -> Digests:
    # ECB over a column is AES of each row's own block: what a step of CBC-MAC asks for.
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
    encrypted = encryptor.update(np.ascontiguousarray(blocks).view(np.uint8).ravel().data)
    return np.frombuffer(encrypted, dtype=np.uint64).reshape(-1, 2)
