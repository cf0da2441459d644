"""Link keys: each identity as a keyed name filter and keyed tokens, unreadable without the key.

The recipe was measured: one sparse, diffused filter of the name's bigrams carries similarity; tokens carry
equality; no token stands for a forename or a surname alone, since name frequencies would tell which it is.

A field's distinct values are hashed once each (HMAC-SHA256, a key per field). A token is the fixed-length
CBC-MAC (AES-256, a key per token) of the digests of its fields: a pseudorandom function as well, over whole
columns. Keys are derived from the council's linkage root and the epoch, so that a new epoch makes old link
keys worthless.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bridge.standardise import standardise_identities
from exchange.link_key_schema import (
    BLOCKING_TOKENS,
    COMPARED_TOKENS,
    FILTER_BITS,
    FILTER_COLUMNS,
    LINK_KEY_SCHEMA,
    TOKEN_BYTES,
)
from stores.keys import KeyProvider, derive_key

BIGRAM_HASHES = 3
"""Filter bits set by one bigram: sparse, so that a bit is seldom shared (k of the design)."""

DIFFUSION = 10
"""Sparse bits that each stored bit is the exclusive-or of (t of the design): breaks graph matching."""

NAMES_AT_ONCE = 2_048
"""Distinct names diffused in one go: small enough for the bit matrix (2 MiB) to stay in the cache."""

HASH_BLOCK_BYTES = 64
HASH_BYTES = 32
LENGTH_BYTES = 4
NO_VALUE = -1

Codes = npt.NDArray[np.int64]
Digests = npt.NDArray[np.uint64]

TOKEN_FIELDS: Mapping[str, tuple[str, ...]] = {
    "full_name": ("name_in_any_order",),
    "middle_full_name": ("middle_name_in_any_order",),
    "nino": ("nino",),
    "nhs_number": ("nhs_number",),
    "upn": ("upn",),
    "phone": ("phone",),
    "email": ("email",),
    "partner_reference": ("partner_person_reference",),
    "birth_date": ("birth_date",),
    "birth_year_month": ("birth_year_month",),
    "birth_year_day": ("birth_year_day",),
    "birth_month_day": ("birth_month_day",),
    "birth_swapped": ("birth_swapped",),
    "uprn": ("uprn",),
    "postcode": ("postcode",),
    "outward_code": ("outward_code",),
    "forwarding_uprn": ("forwarding_uprn",),
    "forwarding_postcode": ("forwarding_postcode",),
    "initial_uprn": ("forename_start_1", "uprn"),
    "bare_initial_uprn": ("forename_bare_initial", "uprn"),
    "middle_uprn": ("middle_name", "uprn"),
    "initial_forwarding_uprn": ("forename_start_1", "forwarding_uprn"),
    "name_starts": ("forename_start_3", "surname_start_4"),
    "name_starts_birth_year": ("forename_start_2", "surname_start_2", "birth_year"),
    "surname_birth_date": ("surname", "birth_date"),
    "forename_birth_date": ("forename", "birth_date"),
    "full_name_birth_year_month": ("name_in_any_order", "birth_year_month"),
    "surname_uprn": ("surname", "uprn"),
    "forename_uprn": ("forename", "uprn"),
    "surname_postcode": ("surname", "postcode"),
    "forename_postcode": ("forename", "postcode"),
    "forename_postcode_start": ("forename", "postcode_start"),
    "surname_postcode_start": ("surname", "postcode_start"),
    "birth_date_postcode_start": ("birth_date", "postcode_start"),
    "surname_forwarding_uprn": ("surname", "forwarding_uprn"),
    "surname_forwarding_postcode": ("surname", "forwarding_postcode"),
}
"""The fields that each token is made of; a record that lacks one has no such token."""

SHARED_FIELD_KEYS: Mapping[str, str] = {
    "forwarding_uprn": "uprn",
    "forwarding_postcode": "postcode",
    "forename_bare_initial": "forename_start_1",
    "middle_name": "forename",
}
SHARED_TOKEN_KEYS: Mapping[str, str] = {
    "forwarding_uprn": "uprn",
    "forwarding_postcode": "postcode",
    "initial_forwarding_uprn": "initial_uprn",
    "bare_initial_uprn": "initial_uprn",
    "middle_full_name": "full_name",
    "middle_uprn": "forename_uprn",
    "surname_forwarding_uprn": "surname_uprn",
    "surname_forwarding_postcode": "surname_postcode",
}
"""Made with another's key, so that the home somebody leaves for meets the home they arrive at, a name cut to its
initial meets the whole name, and a middle name meets the forename that somebody goes by."""

MINOR = b"minor at "
"""Set before the home of a child: parent and child share surname, home and often an initial, and the records of
adults that hold no date of birth (council tax, electors) would take one for the other. So children's homes meet
only children's homes, until they are grown up."""

HOME_FIELDS = ("uprn", "postcode")


@dataclass(frozen=True)
class EpochKeys:
    """Keys of one linkage epoch, derived as they are asked for."""

    root: bytes
    epoch: int

    def key(self, kind: str, name: str) -> bytes:
        return derive_key(self.root, "link_key", kind, name, f"epoch-{self.epoch}")


@dataclass(frozen=True)
class Field:
    """A column as codes into its distinct values; `NO_VALUE` where the record has none."""

    codes: Codes
    values: list[bytes]

    def changed(self, values: list[bytes]) -> Field:
        """The same records with every distinct value replaced; an empty value is none."""
        places: dict[bytes, int] = {b"": NO_VALUE}
        moved = [places.setdefault(value, len(places) - 1) for value in values]
        # The value at the end stands where NO_VALUE, which is -1, points.
        codes = np.array([*moved, NO_VALUE], dtype=np.int64)[self.codes]
        return Field(codes, [value for value in places if value])


@dataclass(frozen=True)
class DigestedField:
    """A field as one 128-bit digest per record (records × 2 words), and which records have a value."""

    digests: Digests
    present: npt.NDArray[np.bool_]


def encode_link_keys(
    identities: pa.Table,
    roots: KeyProvider,
    epoch: int,
    *,
    feed: str = "",
    minors: npt.NDArray[np.bool_] | None = None,
) -> pa.Table:
    """Return one `LINK_KEY_SCHEMA` row per row of `identities`, in the same order.

    `identities` holds `record_ref` and any of the identity columns as partners wrote them: they are
    standardised here. `feed` scopes the partner's own person reference: the same number in two systems is two
    people. `minors` marks the records of children (none if not given). Raises `KeyUnavailableError` if the
    linkage root cannot be had.
    """
    keys = EpochKeys(roots.root("linkage"), epoch)
    fields = _fields(standardise_identities(identities), feed)
    if minors is not None and minors.any():
        fields |= {name: _set_apart(fields[name], minors) for name in HOME_FIELDS}
    digested = {name: _digested(field, keys.key("field", _key_name(name))) for name, field in fields.items()}
    digested["name_in_any_order"] = _name_in_any_order(fields["forename"], fields["surname"], keys)
    digested["middle_name_in_any_order"] = _name_in_any_order(fields["middle_name"], fields["surname"], keys)
    words, has_name = _name_filters(fields["forename"], fields["surname"], keys)
    columns: list[pa.Array | pa.ChunkedArray] = [
        identities["record_ref"].cast(pa.string()),
        pa.array(np.full(identities.num_rows, epoch, dtype=np.int32)),
    ]
    columns += [pa.array(words[:, word], mask=~has_name) for word in range(len(FILTER_COLUMNS))]
    for token in (*COMPARED_TOKENS, *BLOCKING_TOKENS):
        key = keys.key("token", SHARED_TOKEN_KEYS.get(token, token))
        columns.append(_tokens([digested[name] for name in TOKEN_FIELDS[token]], key))
    return pa.table(columns, schema=LINK_KEY_SCHEMA)


def encode_tokens(columns: Sequence[pa.ChunkedArray], token: str, roots: KeyProvider, epoch: int) -> pa.Array:
    """Return 16-byte tokens of text columns taken together, under keys of their own.

    For attributes that only some tables of people hold, such as a birth place.
    """
    keys = EpochKeys(roots.root("linkage"), epoch)
    digested = [
        _digested(_text_field(column), keys.key("field", f"{token}/{place}"))
        for place, column in enumerate(columns)
    ]
    return _tokens(digested, keys.key("token", token))


def _key_name(field: str) -> str:
    return SHARED_FIELD_KEYS.get(field, field)


def _fields(standard: pa.Table, feed: str) -> dict[str, Field]:
    texts = [name for name in standard.column_names if name != "date_of_birth"]
    fields = {name: _text_field(standard[name]) for name in texts}
    middle = fields["middle_name"]
    fields["middle_name"] = middle.changed([value.split(b" ")[0] for value in middle.values])
    reference = fields["partner_person_reference"]
    (scope,) = _length_prefixed([feed.encode()])
    fields["partner_person_reference"] = reference.changed([scope + value for value in reference.values])
    fields["outward_code"] = fields["postcode"].changed([value[:-3] for value in fields["postcode"].values])
    fields["postcode_start"] = fields["postcode"].changed([value[:3] for value in fields["postcode"].values])
    for name, length in (("forename", 1), ("forename", 2), ("forename", 3), ("surname", 2), ("surname", 4)):
        field = fields[name]
        fields[f"{name}_start_{length}"] = field.changed([value[:length] for value in field.values])
    forename = fields["forename"]
    bare = [value if len(value) == 1 else b"" for value in forename.values]
    fields["forename_bare_initial"] = forename.changed(bare)
    return fields | _birth_fields(standard["date_of_birth"])


def _set_apart(field: Field, minors: npt.NDArray[np.bool_]) -> Field:
    """The same values, those of `minors` with `MINOR` before them."""
    codes = np.where(minors & (field.codes != NO_VALUE), field.codes + len(field.values), field.codes)
    return Field(codes, [*field.values, *(MINOR + value for value in field.values)])


def _text_field(column: pa.Array | pa.ChunkedArray) -> Field:
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = whole.cast(pa.string()).dictionary_encode()
    codes = encoded.indices.cast(pa.int64()).fill_null(NO_VALUE).to_numpy(zero_copy_only=False)
    return Field(codes, [value.encode() for value in encoded.dictionary.to_pylist()])


def _birth_fields(dates: pa.Array | pa.ChunkedArray) -> dict[str, Field]:
    field = _text_field(dates)
    split = [value.split(b"-") for value in field.values]
    return {
        "birth_date": field,
        "birth_year": field.changed([year for year, _, _ in split]),
        "birth_year_month": field.changed([year + month for year, month, _ in split]),
        "birth_year_day": field.changed([year + day for year, _, day in split]),
        # 1 January stands for "some day that year" in many systems, so agreeing on it says little.
        "birth_month_day": field.changed(
            [b"" if month == day == b"01" else month + day for _, month, day in split]
        ),
        "birth_swapped": field.changed([year + b"".join(sorted((month, day))) for year, month, day in split]),
    }


def _name_in_any_order(one: Field, other: Field, keys: EpochKeys) -> DigestedField:
    # Some records have the two names swapped, so both are hashed alike and put in one order.
    first, second = (_digested(field, keys.key("field", "name")) for field in (one, other))
    swapped = first.digests[:, :1] > second.digests[:, :1]
    lower = np.where(swapped, second.digests, first.digests)
    upper = np.where(swapped, first.digests, second.digests)
    return DigestedField(
        _cbc_mac([lower, upper], keys.key("token", "name_in_any_order")), first.present & second.present
    )


def _digested(field: Field, key: bytes) -> DigestedField:
    digests = _keyed_digests(key, _length_prefixed(field.values))
    kept = b"".join([digest[:TOKEN_BYTES] for digest in digests]) + bytes(TOKEN_BYTES)
    # The zeros at the end stand where NO_VALUE, which is -1, points.
    return DigestedField(
        np.frombuffer(kept, dtype=np.uint64).reshape(-1, 2)[field.codes], field.codes != NO_VALUE
    )


def _tokens(fields: Sequence[DigestedField], key: bytes) -> pa.Array:
    present = np.logical_and.reduce([field.present for field in fields])
    tokens = _cbc_mac([field.digests for field in fields], key)
    validity = pa.py_buffer(np.packbits(present, bitorder="little").tobytes())
    # Zeros where a field is missing: no token of half an identity, not even under the mask.
    data = pa.py_buffer(np.where(present[:, None], tokens, np.uint64(0)).tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(TOKEN_BYTES), len(present), [validity, data])


def _cbc_mac(blocks: Sequence[Digests], key: bytes) -> Digests:
    """AES CBC-MAC of each record's blocks. Every message under one key has the same number of blocks (see
    module).
    """
    state = np.zeros_like(blocks[0])
    for block in blocks:
        # ECB over a column is AES of each record's own block: what CBC-MAC asks for.
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
        state = np.frombuffer(encryptor.update((state ^ block).tobytes()), dtype=np.uint64).reshape(-1, 2)
    return state


def _length_prefixed(values: Iterable[bytes]) -> list[bytes]:
    # The length in front keeps a value from passing for another's beginning.
    return [len(value).to_bytes(LENGTH_BYTES, "big") + value for value in values]


def _keyed_digests(key: bytes, messages: Sequence[bytes]) -> list[bytes]:
    """HMAC-SHA256 (RFC 2104) of every message; the two key blocks are hashed once and copied."""
    block = key.ljust(HASH_BLOCK_BYTES, b"\0")
    inner_start = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    outer_start = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
    digests = []
    for message in messages:
        inner = inner_start.copy()
        inner.update(message)
        outer = outer_start.copy()
        outer.update(inner.digest())
        digests.append(outer.digest())
    return digests


def _name_filters(
    forename: Field, surname: Field, keys: EpochKeys
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """Return each record's diffused filter (records × 16 words), and whether it holds a name at all."""
    sparse_bits = {
        name: _bigram_bits(field.values, keys.key("name_filter", name))
        for name, field in (("forename", forename), ("surname", surname))
    }
    # One name missing still leaves a filter of the other; `0` is then "no name" and `n + 1` the n-th value.
    combination = (forename.codes + 1) * (len(surname.values) + 1) + surname.codes + 1
    distinct, inverse = np.unique(combination, return_inverse=True)
    forenames, surnames = np.divmod(distinct, len(surname.values) + 1)
    sources = _diffusion_sources(keys.key("name_filter", "diffusion"))
    filters = np.zeros((len(distinct), len(FILTER_COLUMNS)), dtype=np.uint64)
    for start in range(0, len(distinct), NAMES_AT_ONCE):
        chunk = slice(start, start + NAMES_AT_ONCE)
        sparse = np.zeros((FILTER_BITS, len(distinct[chunk])), dtype=np.bool_)
        for codes, (bits, offsets) in (
            (forenames[chunk], sparse_bits["forename"]),
            (surnames[chunk], sparse_bits["surname"]),
        ):
            names, places = _ragged(codes, offsets)
            sparse[bits[places], names] = True
        filters[chunk] = _diffused(sparse, sources)
    return filters[inverse], (forename.codes != NO_VALUE) | (surname.codes != NO_VALUE)


def _bigram_bits(values: list[bytes], key: bytes) -> tuple[Codes, Codes]:
    """Return the filter bits of every value's bigrams, joined, and the offsets where each value's bits begin.

    Value 0 is "no name" and has no bits. A bigram is hashed once, however often it occurs.
    """
    bigrams: dict[bytes, int] = {}
    rows: list[list[int]] = [[]]
    for value in values:
        padded = b"_" + value + b"_"
        found = [padded[place : place + 2] for place in range(len(padded) - 1)]
        rows.append([bigrams.setdefault(bigram, len(bigrams)) for bigram in found])
    digests = _keyed_digests(key, _length_prefixed(bigrams))
    numbers = np.frombuffer(b"".join(digests), dtype=">u4").reshape(-1, HASH_BYTES // 4)
    hashed = numbers[:, :BIGRAM_HASHES] % FILTER_BITS
    lengths = np.array([len(row) for row in rows])
    joined = np.array([bigram for row in rows for bigram in row], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]) * BIGRAM_HASHES
    return hashed[joined].astype(np.int64).ravel(), offsets


def _ragged(codes: Codes, offsets: Codes) -> tuple[Codes, Codes]:
    """Return, for every bit of every coded value, its row and its place in the joined bits."""
    starts, lengths = offsets[codes], offsets[codes + 1] - offsets[codes]
    rows = np.repeat(np.arange(len(codes)), lengths)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return rows, np.repeat(starts, lengths) + within


def _diffusion_sources(key: bytes) -> Codes:
    """Return, for every stored bit, the `DIFFUSION` distinct sparse bits it is made of, chosen by `key`."""
    sources = []
    for bit in range(FILTER_BITS):
        stream = b"".join(_keyed_digests(key, [bytes((part,)) + bit.to_bytes(2, "big") for part in (0, 1)]))
        # 32 draws of 10 bits each hold at least 10 distinct ones but in fewer than one key of 10^20.
        draws = np.frombuffer(stream, dtype=">u2") % FILTER_BITS
        sources.append(list(dict.fromkeys(draws.tolist()))[:DIFFUSION])
    return np.array(sources, dtype=np.int64)


def _diffused(sparse: npt.NDArray[np.bool_], sources: Codes) -> npt.NDArray[np.uint64]:
    """Exclusive-or the source bits of every stored bit, eight names to the byte; return names × 16 words."""
    count = sparse.shape[1]
    packed = np.packbits(sparse, axis=1)
    stored = packed[sources[:, 0]]
    for place in range(1, sources.shape[1]):
        stored = stored ^ packed[sources[:, place]]
    bits = np.unpackbits(stored, axis=1, count=count)
    return np.ascontiguousarray(np.packbits(bits.T, axis=1)).view(">u8").astype(np.uint64)
