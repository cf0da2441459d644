"""AES key wrap (RFC 3394; NIST SP 800-38F, KW) of many data keys at once.

The standard wraps one key in 24 passes of AES over 16 bytes, each pass needing the one before. Here each of the
24 passes runs over all keys together, so a million keys cost 24 calls of OpenSSL. The bytes are those of the
standard: the tests hold its vectors, and every row equals `cryptography.hazmat.primitives.keywrap`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

DATA_KEY_BYTES = 32
WRAPPED_BYTES = DATA_KEY_BYTES + 8

ROUNDS = 6
BLOCKS = DATA_KEY_BYTES // 8
INITIAL_VALUE = 0xA6A6A6A6A6A6A6A6  # RFC 3394, section 2.2.3.1: what a key that is intact unwraps to
BIG_ENDIAN = np.dtype(">u8")

Bytes = npt.NDArray[np.uint8]


def wrap_keys(wrapping_key: bytes, data_keys: Bytes) -> Bytes:
    """Wrap `data_keys`, uint8 of shape (n, 32), under a 32-byte key; return uint8 of shape (n, 40)."""
    blocks = _blocks(data_keys, BLOCKS)
    check = np.full(len(data_keys), INITIAL_VALUE, BIG_ENDIAN)
    # Electronic code book is how the standard applies AES to one block; nothing else is enciphered with it.
    cipher = Cipher(algorithms.AES(wrapping_key), modes.ECB()).encryptor()  # noqa: S305
    for step in range(1, ROUNDS * BLOCKS + 1):
        place = (step - 1) % BLOCKS
        out = _pass(cipher, check, blocks[place])
        check, blocks[place] = out[:, 0] ^ np.uint64(step), out[:, 1]
    return _rows(check, blocks)


def unwrap_keys(wrapping_key: bytes, wrapped: Bytes) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """Unwrap keys of shape (n, 40); return uint8 of shape (n, 32) and which of them are intact.

    A key that is not intact was changed or wrapped under another key; its bytes are zero.
    """
    columns = _blocks(wrapped, BLOCKS + 1)
    check, blocks = columns[0], columns[1:]
    cipher = Cipher(algorithms.AES(wrapping_key), modes.ECB()).decryptor()  # noqa: S305
    for step in range(ROUNDS * BLOCKS, 0, -1):
        place = (step - 1) % BLOCKS
        out = _pass(cipher, check ^ np.uint64(step), blocks[place])
        check, blocks[place] = out[:, 0], out[:, 1]
    intact = check == INITIAL_VALUE
    blocks[:, ~intact] = 0
    return _rows(blocks[0], blocks[1:]), intact


def _pass(
    cipher: CipherContext, check: npt.NDArray[np.uint64], block: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    pairs = np.column_stack([check, block]).astype(BIG_ENDIAN, copy=False)
    return np.frombuffer(cipher.update(pairs.tobytes()), BIG_ENDIAN).reshape(-1, 2)


def _blocks(rows: Bytes, count: int) -> npt.NDArray[np.uint64]:
    """Return the 64-bit blocks of every row, of shape (count, n)."""
    return np.ascontiguousarray(rows).view(BIG_ENDIAN).reshape(len(rows), count).T.copy()


def _rows(first: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64]) -> Bytes:
    joined = np.column_stack([first, *others]).astype(BIG_ENDIAN, copy=False)
    return np.ascontiguousarray(joined).view(np.uint8)
