"""Random streams by purpose: a change in one part of the county does not shift the draws of another."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str) -> np.random.Generator:
    """Return the generator of `purpose` for this seed. Same seed and purpose, same draws."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def pick(generator: np.random.Generator, shares: dict[str, float], size: int) -> np.ndarray:
    """Draw `size` positions (0-based, in the order of `shares`) with these shares, scaled to add up to 1."""
    cumulative = np.cumsum(list(shares.values()))
    return np.searchsorted(cumulative / cumulative[-1], generator.random(size), side="right")
