"""Random streams by purpose: a change in one part of the county does not shift the draws of another."""

from __future__ import annotations

import zlib

import numpy as np


class Stream(np.random.Generator):
    """A random stream of one block of the county. References and numbers drawn from streams of the same purpose
    are distinct over all `blocks`.
    """

    block: int = 0
    blocks: int = 1


def stream(seed: int, purpose: str, block: int = 0, blocks: int = 1) -> Stream:
    """Return the stream of `purpose` for this seed and block. Same seed, purpose and block, same draws."""
    entropy = [seed, zlib.crc32(purpose.encode())] + ([block] if blocks > 1 else [])
    made = Stream(np.random.PCG64(entropy))
    made.block, made.blocks = block, blocks
    return made


def pick(generator: np.random.Generator, shares: dict[str, float], size: int) -> np.ndarray:
    """Draw `size` positions (0-based, in the order of `shares`) with these shares, scaled to add up to 1."""
    cumulative = np.cumsum(list(shares.values()))
    return np.searchsorted(cumulative / cumulative[-1], generator.random(size), side="right")
