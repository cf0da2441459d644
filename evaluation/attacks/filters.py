"""Filters as an attacker handles them: which are equal, and their single bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Filters = npt.NDArray[np.uint64]
"""Records × 64-bit words."""


def scrambled(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A fixed scrambling of 64-bit words (the finaliser of SplitMix64, Steele et al. 2014)."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def distinct_filters(
    filters: Filters,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first place of every distinct filter, which of these each record has, and how many have each.

    Rows are told apart by one scrambled word each: two of 100,000 coincide in fewer than one case of a billion.
    """
    word = np.zeros(len(filters), dtype=np.uint64)
    for column in filters.T:
        word = scrambled(word ^ column)
    _, first, which, counts = np.unique(word, return_index=True, return_inverse=True, return_counts=True)
    return first, which, counts


def single_bits(filters: Filters) -> npt.NDArray[np.uint8]:
    """Return records × bits."""
    return np.unpackbits(np.ascontiguousarray(filters).view(np.uint8), axis=1)
