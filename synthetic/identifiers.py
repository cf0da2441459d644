"""Identifiers of made-up people and homes: NINO, NHS number, phone, UPRN, partners' references, amounts.

NHS numbers are in the 999 range, which the NHS keeps for test data, so that none can be a patient's.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from synthetic.streams import Stream

# HMRC, NIM39110: neither letter is D, F, I, Q, U or V; the second is not O; and these pairs are not used.
_NINO_FIRST = "ABCEGHJKLMNOPRSTWXYZ"
_NINO_SECOND = "ABCEGHJKLMNPRSTWXYZ"
_NINO_NEVER = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})
_NINO_PREFIXES = np.array([a + b for a in _NINO_FIRST for b in _NINO_SECOND if a + b not in _NINO_NEVER])
_NHS_TEST_RANGE = 999_000_000
_NHS_WEIGHTS = np.arange(10, 1, -1)


def digits(numbers: np.ndarray, width: int) -> np.ndarray:
    """Write whole numbers with leading zeros, `width` digits wide."""
    if not numbers.size:  # zfill takes no empty array
        return np.zeros(numbers.shape, dtype=f"U{width}")
    return np.strings.zfill(numbers.astype(f"U{width}"), width)


def ninos(count: int, generator: np.random.Generator) -> np.ndarray:
    """Return `count` distinct National Insurance numbers such as AB123456C."""
    serial = _distinct(count, 1_000_000 * 4, generator)
    prefix = _NINO_PREFIXES[generator.integers(0, len(_NINO_PREFIXES), count)]
    return prefix + digits(serial // 4, 6) + np.array(list("ABCD"))[serial % 4]


def temporary_ninos(date_texts: np.ndarray, female: np.ndarray) -> np.ndarray:
    """Return old systems' temporary number, `TN` + DDMMYY + sex, from birth dates written DD/MM/YYYY."""
    day, month, year = (_cut(date_texts, start, stop) for start, stop in ((0, 2), (3, 5), (8, 10)))
    return np.array("TN") + day + month + year + np.where(female, "F", "M")


def nhs_numbers(count: int, generator: np.random.Generator) -> np.ndarray:
    """Return `count` distinct NHS numbers (10 digits, valid modulus 11 check digit) of the test range.

    Each block of the county has its own share of the range. Raises `ValueError` if it holds too few: there are
    909,090 in all.
    """
    block, blocks = _block(generator)
    valid = _test_numbers()[block::blocks]
    if count > len(valid):
        raise ValueError(
            f"{count:,} NHS numbers: the test range holds {len(valid):,} for each of {blocks} blocks; make a "
            "smaller county"
        )
    chosen = valid[generator.permutation(len(valid))[:count]]
    return digits(chosen, 10)


@cache
def _test_numbers() -> np.ndarray:
    """Every NHS number of the test range."""
    body = np.arange(_NHS_TEST_RANGE, _NHS_TEST_RANGE + 1_000_000)
    places = (body[:, None] // 10 ** np.arange(8, -1, -1)) % 10
    check = 11 - (places @ _NHS_WEIGHTS) % 11
    check = np.where(check == 11, 0, check)
    return (body * 10 + check)[check != 10]


def phones(count: int, generator: np.random.Generator) -> np.ndarray:
    """Return `count` mobile numbers, 11 digits from 07."""
    return np.array("07") + digits(generator.integers(400_000_000, 1_000_000_000, count), 9)


def references(
    count: int, start: int, generator: np.random.Generator, *, prefix: str = "", width: int = 8
) -> np.ndarray:
    """Return `count` distinct rising references of a partner's system, with gaps as real ones have.

    Distinct over all blocks of the county too. Raises `ValueError` if they do not fit into `width` digits.
    """
    block, blocks = _block(generator)
    numbers = start + np.cumsum(generator.integers(1, 8, count)) * blocks + block
    if count and numbers[-1] >= 10**width:
        raise ValueError(f"{count:,} references from {prefix}{start} do not fit into {width} digits")
    return np.array(prefix) + digits(numbers, width)


def pounds(amounts: np.ndarray) -> np.ndarray:
    """Write amounts of zero or more as pounds and pence."""
    pence = np.round(amounts * 100).astype(np.int64)
    whole = (pence // 100).astype("U8")
    return np.strings.add(np.strings.add(whole, "."), np.strings.zfill((pence % 100).astype("U2"), 2))


def _block(generator: np.random.Generator) -> tuple[int, int]:
    """Which block of how many a stream belongs to; other generators serve the whole county."""
    return (generator.block, generator.blocks) if isinstance(generator, Stream) else (0, 1)


def _distinct(count: int, bound: int, generator: np.random.Generator) -> np.ndarray:
    """Return `count` distinct whole numbers below `bound`: a random start and an odd step through a power of
    two.
    """
    size = 1 << (bound - 1).bit_length()
    step = int(generator.integers(size // 3, size // 2)) | 1
    walk = (
        int(generator.integers(0, size)) + step * np.arange(min(count * 3 + 64, size), dtype=np.int64)
    ) % size
    kept = walk[walk < bound]
    if len(kept) < count:
        raise ValueError(f"{count:,} distinct numbers below {bound:,} cannot be made")
    return kept[:count]


def _cut(texts: np.ndarray, start: int, stop: int) -> np.ndarray:
    width = texts.dtype.itemsize // 4
    codes = np.ascontiguousarray(texts).view(np.uint32).reshape(len(texts), width)[:, start:stop]
    return np.ascontiguousarray(codes).view(f"U{stop - start}").reshape(len(texts))
