"""The key store of a partner's vault: which partner key it is under, and wrapping its keys anew.

The vault's digest key is wrapped like the data keys. It tells which partner key the store is under, since a
wrapped key unwraps with the right one only.
"""

from __future__ import annotations

import os

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bridge.vault.key_wrap import DATA_KEY_BYTES, WRAPPED_BYTES, unwrap_keys, wrap_keys
from stores.keys import KeyProvider, derive_key

REWRAP_DATA_KEYS = """
update data_keys set wrapped_key = rewrapped.wrapped_key
from rewrapped
where data_keys.version = rewrapped.version
"""


class VaultError(RuntimeError):
    """An identity cannot be read back: erased, damaged, or under another key."""


def partner_key(root: bytes, partner: str) -> bytes:
    """Return the key that wraps `partner`'s data keys, derived from one version of the storage root."""
    return derive_key(root, "vault", partner)


def open_keys(keys: KeyProvider, partner: str, connection: duckdb.DuckDBPyConnection) -> tuple[bytes, bytes]:
    """Return the partner's key that the key store is under, and its digest key; make the latter in a new store.

    `connection` has the key store current. While storage keys are being rotated, a store may still be under the
    version before. Raises `VaultError` if no usable key fits.
    """
    wrapped = _wrapped_digest_key(connection)
    if wrapped is None:
        wrapping_key = partner_key(keys.root("storage"), partner)
        digest_key = os.urandom(DATA_KEY_BYTES)
        wrapped = wrap_keys(wrapping_key, np.frombuffer(digest_key, np.uint8).reshape(1, DATA_KEY_BYTES))
        connection.execute("insert into digest_keys values (?)", [wrapped.tobytes()])
        return wrapping_key, digest_key
    for version in keys.usable("storage"):
        wrapping_key = partner_key(keys.root("storage", version), partner)
        digest_keys, intact = unwrap_keys(wrapping_key, wrapped)
        if intact.all():
            return wrapping_key, digest_keys.tobytes()
    raise VaultError(f"{partner}: no usable storage key unwraps the vault's data keys.")


def rewrap(connection: duckdb.DuckDBPyConnection, partner: str, old_key: bytes, new_key: bytes) -> int:
    """Wrap every data key, now under the partner key `old_key`, under `new_key`; return how many.

    `connection` has a key store (or a copy of one) current. One transaction; nothing is done (0) where it was done
    before. The old bytes leave the file when the store is next rewritten. Raises `VaultError`, with nothing
    changed, if a key cannot be unwrapped.
    """
    digest_key = _wrapped_digest_key(connection)
    if digest_key is None or unwrap_keys(new_key, digest_key)[1].all():
        return 0
    held = connection.execute("select version, wrapped_key from data_keys").fetch_arrow_table()
    fresh = rows_of_bytes(
        _wrapped_anew(partner, old_key, new_key, matrix(held["wrapped_key"], WRAPPED_BYTES))
    )
    fresh_digest_key = _wrapped_anew(partner, old_key, new_key, digest_key)
    connection.register("rewrapped", held.set_column(1, "wrapped_key", fresh))
    connection.execute("begin")
    connection.execute(REWRAP_DATA_KEYS)
    connection.execute("update digest_keys set wrapped_key = ?", [fresh_digest_key.tobytes()])
    connection.execute("commit")
    connection.unregister("rewrapped")
    return len(fresh)


def matrix(column: pa.Array | pa.ChunkedArray, size: int) -> npt.NDArray[np.uint8]:
    """Return a column of binary values of `size` bytes each as uint8 of shape (n, size)."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    fixed = whole.cast(pa.binary(size))
    data = np.frombuffer(fixed.buffers()[1] or b"", np.uint8)
    return data[fixed.offset * size : (fixed.offset + len(fixed)) * size].reshape(-1, size)


def rows_of_bytes(values: npt.NDArray[np.uint8]) -> pa.Array:
    """Return uint8 of shape (n, size) as a column of fixed-size binary values."""
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(values.shape[1]), len(values), [None, data])


def _wrapped_digest_key(connection: duckdb.DuckDBPyConnection) -> npt.NDArray[np.uint8] | None:
    row = connection.execute("select wrapped_key from digest_keys").fetchone()
    return None if row is None else np.frombuffer(row[0], np.uint8).reshape(1, WRAPPED_BYTES)


def _wrapped_anew(
    partner: str, old_key: bytes, new_key: bytes, wrapped: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    data_keys, intact = unwrap_keys(old_key, wrapped)
    if not intact.all():
        raise VaultError(
            f"{partner}: {int((~intact).sum())} data keys are damaged or under another key. "
            "Run `doorstep vault verify`; nothing was changed."
        )
    return wrap_keys(new_key, data_keys)
