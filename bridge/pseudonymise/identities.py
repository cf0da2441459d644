"""Which record is whose: references made from keys, and the identities that stay with the council.

A reference is a keyed pseudorandom function (HMAC-SHA256) of the partner's own key, so that a replay or a
rebuild gives the same one, and without the key it is indistinguishable from a random number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bridge.link_keys.columns import keyed_digests
from governance.contracts import Column, Identifier, Table
from stores.keys import KeyProvider, derive_key

REFERENCE_HEX_DIGITS = 32
PREFIX_BYTES = 4
NO_VALUE = b"\xff" * PREFIX_BYTES

IDENTITY_COLUMNS = (
    "forename",
    "middle_name",
    "surname",
    "full_name",
    "date_of_birth",
    "nino",
    "nhs_number",
    "upn",
    "phone",
    "email",
    "partner_person_reference",
    "uprn",
    "address",
    "postcode",
    "forwarding_address",
    "forwarding_postcode",
    "forwarding_uprn",
)

IDENTITY_SCHEMA = pa.schema(
    [
        pa.field("record_ref", pa.string(), nullable=False),
        *(
            pa.field(name, pa.date32() if name == "date_of_birth" else pa.string())
            for name in IDENTITY_COLUMNS
        ),
    ]
)
"""One row per record: its reference, then every identifier as the partner wrote it, null where not held."""

SEVERAL_LINES = frozenset({Identifier.ADDRESS, Identifier.FORWARDING_ADDRESS})
LINE_SEPARATOR = ", "


def record_references(table: Table, rows: pa.Table, keys: KeyProvider, agreement: str) -> pa.Array:
    """Return the `record_ref` of every row of `rows` (a checked table of contract table `table`)."""
    key = derive_key(keys.root("pseudonym"), "record_ref", agreement)
    scope = _prefixed(table.feed) + _prefixed(table.name)
    parts = [_prefixed_texts(rows[column.name]) for column in table.key]
    messages = pc.binary_join_element_wise(pa.scalar(scope, pa.binary()), *parts, pa.scalar(b"", pa.binary()))
    return _references(key, messages)


def property_references(uprns: pa.Array | pa.ChunkedArray, keys: KeyProvider, agreement: str) -> pa.Array:
    """Return the `property_ref` of every UPRN; null stays null. Leading zeros do not matter."""
    key = derive_key(keys.root("pseudonym"), "property_ref", agreement)
    distinct = _whole(uprns).cast(pa.string()).dictionary_encode()
    references = _references(key, _prefixed_texts(pc.utf8_ltrim(distinct.dictionary, "0")))
    return references.take(distinct.indices)


def identities(
    table: Table, rows: pa.Table, references: pa.Array, forwarding_uprns: pa.Array | None = None
) -> pa.Table:
    """Return the identities of `rows` by the roles that the contract gives its columns: one
    `IDENTITY_SCHEMA` row each.

    Address lines are joined with ", ". `forwarding_uprns` come from address matching, since no partner
    holds them.
    """
    columns: dict[str, pa.Array | pa.ChunkedArray] = {"record_ref": references}
    for name in IDENTITY_COLUMNS:
        field = IDENTITY_SCHEMA.field(name)
        if name == "forwarding_uprn":
            found = forwarding_uprns
        else:
            identifier = Identifier(name)
            found = _joined(rows, table.with_identifier(identifier), several=identifier in SEVERAL_LINES)
        columns[name] = pa.nulls(rows.num_rows, field.type) if found is None else found.cast(field.type)
    return pa.table(columns, schema=IDENTITY_SCHEMA)


def address_text(table: Table, rows: pa.Table, identifier: Identifier) -> pa.Array | pa.ChunkedArray | None:
    """Return the joined address lines that hold `identifier`, or None if the contract names no such
    column."""
    return _joined(rows, table.with_identifier(identifier), several=identifier in SEVERAL_LINES)


def _joined(rows: pa.Table, held: Sequence[Column], *, several: bool) -> pa.Array | pa.ChunkedArray | None:
    if not held:
        return None
    if len(held) == 1 or not several:
        return rows[held[0].name]
    lines = [_empty_to_null(_whole(rows[column.name]).cast(pa.string())) for column in held]
    joined = lines[0]
    for line in lines[1:]:
        # One by one: joining all with `null_handling="skip"` loses the rows of an all-null column (pyarrow
        # 26).
        joined = pc.coalesce(pc.binary_join_element_wise(joined, line, LINE_SEPARATOR), joined, line)
    return joined


def _empty_to_null(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _references(key: bytes, messages: pa.Array) -> pa.Array:
    """Return the first 128 bits of each message's HMAC-SHA256, in hexadecimal."""
    digests = keyed_digests(key, messages.to_pylist())
    kept = b"".join([digest[: REFERENCE_HEX_DIGITS // 2] for digest in digests])
    written = np.frombuffer(kept.hex().encode(), dtype=np.uint8)
    offsets = np.arange(0, len(written) + 1, REFERENCE_HEX_DIGITS, dtype=np.int32)
    return pa.Array.from_buffers(
        pa.string(), len(messages), [None, pa.py_buffer(offsets), pa.py_buffer(written)]
    )


def _prefixed_texts(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return every value as `_prefixed` writes it."""
    texts = _whole(column).cast(pa.string()).cast(pa.binary())
    lengths = pc.fill_null(pc.binary_length(texts), 0).to_numpy().astype(">u4")
    prefixes = pa.Array.from_buffers(pa.binary(PREFIX_BYTES), len(texts), [None, pa.py_buffer(lengths)])
    joined = pc.binary_join_element_wise(prefixes.cast(pa.binary()), texts, pa.scalar(b"", pa.binary()))
    return pc.fill_null(joined, NO_VALUE)


def _prefixed(value: str | None) -> bytes:
    # The length in front keeps ("ab", "c") and ("a", "bc") apart; a missing part differs from an empty one.
    if value is None:
        return NO_VALUE
    data = value.encode()
    return len(data).to_bytes(PREFIX_BYTES, "big") + data


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
