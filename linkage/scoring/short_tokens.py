"""Tokens as whole numbers of 64 bits while they are compared: half the memory of their 16 bytes, and quicker to join.

A token is as good as random, so any eight of its bytes are. Among ten million values of one token, two that differ have
the same eight bytes once in 370,000 such sets (n² / 2⁶⁵).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from exchange.link_key_schema import TOKEN_BYTES

COLUMN_END = "_token"


def with_short_tokens(table: pa.Table) -> pa.Table:
    """Return `table` with the first eight bytes of every token column (`…_token`, binary) as uint64; nulls stay null.

    A column with a value that is not `TOKEN_BYTES` long is left as it is.
    """
    for place, name in enumerate(table.column_names):
        if name.endswith(COLUMN_END):
            table = table.set_column(place, name, _shortened(table[name]))
    return table


def _shortened(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not (pa.types.is_binary(column.type) or pa.types.is_fixed_size_binary(column.type)):
        return column
    try:
        tokens = column.cast(pa.binary(TOKEN_BYTES))
    except pa.ArrowInvalid:
        return column
    return pa.chunked_array([_first_half(chunk) for chunk in tokens.chunks], pa.uint64())


def _first_half(chunk: pa.Array) -> pa.Array:
    halves = np.frombuffer(chunk.buffers()[1], dtype=np.uint64).reshape(-1, TOKEN_BYTES // 8)
    first = halves[chunk.offset : chunk.offset + len(chunk), 0]
    known = chunk.is_valid().to_numpy(zero_copy_only=False)
    return pa.array(np.where(known, first, 0), pa.uint64(), mask=~known)
