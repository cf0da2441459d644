"""An identity as one text, for the vault: its fields one after the other, in columns and not row by row.

Layout 1: the fields of `FIELDS` in that order, parted by U+001F (unit separator); U+001E (record separator) alone
is a field that is not held. Where a value itself holds one of the two, or U+001D, that character is written as
U+001D and a letter. So every text is read back as it was, and equal identities give equal texts.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bridge.pseudonymise.identities import IDENTITY_COLUMNS, IDENTITY_SCHEMA

LAYOUT = 1
FIELDS = ("partner_key", *IDENTITY_COLUMNS)
"""The partner's own key of the record, as JSON, and every identifier."""

SEPARATOR, NOT_HELD, ESCAPE = "\x1f", "\x1e", "\x1d"
ESCAPED = ((ESCAPE, ESCAPE + "e"), (NOT_HELD, ESCAPE + "n"), (SEPARATOR, ESCAPE + "s"))


def identity_texts(arrivals: pa.Table) -> pa.Array:
    """Return the text of every row of `arrivals`, which has the columns `FIELDS`."""
    columns = [_escaped(_texts(arrivals[name])) for name in FIELDS]
    return pc.binary_join_element_wise(
        *columns, SEPARATOR, null_handling="replace", null_replacement=NOT_HELD
    )


def identity_columns(texts: pa.Array) -> pa.Table:
    """Return the columns `FIELDS` of texts made by `identity_texts`. Raises `ValueError` for another layout."""
    parts = pc.split_pattern(texts, SEPARATOR)
    fields, count = parts.flatten(), len(FIELDS)
    if not pc.all(pc.equal(pc.list_value_length(parts), count)).as_py() and len(texts):
        raise ValueError(f"an identity does not have the {count} fields of layout {LAYOUT}")
    columns = {}
    for place, name in enumerate(FIELDS):
        column = fields.take(pa.array(np.arange(place, len(fields), count)))
        held = pc.if_else(pc.equal(column, NOT_HELD), None, column)
        kind = pa.string() if name == "partner_key" else IDENTITY_SCHEMA.field(name).type
        columns[name] = _unescaped(held).cast(kind)
    return pa.table(columns)


def _texts(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole.cast(pa.string())


def _escaped(texts: pa.Array) -> pa.Array:
    if _holds_control_character(texts):
        for character, written in ESCAPED:
            texts = pc.replace_substring(texts, character, written)
    return texts


def _unescaped(texts: pa.Array) -> pa.Array:
    if _holds_control_character(texts):
        for character, written in reversed(ESCAPED):
            texts = pc.replace_substring(texts, written, character)
    return texts


def _holds_control_character(texts: pa.Array) -> bool:
    """True if the bytes behind `texts` hold U+001D, U+001E or U+001F (of a slice: the whole buffer's bytes)."""
    data = texts.buffers()[2]
    if data is None:
        return False
    codes = np.frombuffer(data, np.uint8)
    return bool(((codes >= ord(ESCAPE)) & (codes <= ord(SEPARATOR))).any())
