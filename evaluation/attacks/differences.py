"""Difference attack: pairs of filters that differ in the same way tell which records share a forename or a surname.

Diffusion by exclusive-or is linear. What turns ANNA SMITH's filter into MARY SMITH's turns ANNA KHAN's into MARY
KHAN's: the very same bits. A difference that occurs for two pairs of records is a rectangle of two forenames and two
surnames, found without any key. Rectangles put records into classes of one forename or one surname each, whose sizes
then give the names away: the single-field frequency attack, which the design meant to rule out.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from evaluation.attacks.filters import distinct_filters
from evaluation.attacks.result import GRAPH_LIMIT, AttackResult

LARGEST_PAIRS = 3_000
"""Distinct filters compared pair by pair: about 4.5 million differences."""


def find_rectangles(
    filters: npt.NDArray[np.uint64],
    forenames: npt.NDArray,
    surnames: npt.NDArray,
    *,
    seed: int,
    target: str = "name filter",
    limit: float | None = GRAPH_LIMIT,
    control: bool = False,
) -> AttackResult:
    """Attack the commonest of `filters` (records × words), where rectangles are; the names only count what was
    right.

    A record counts as recovered if a recurring difference ties it to a record with which it truly shares its
    forename or its surname.
    """
    began = time.perf_counter()
    first, _, counts = distinct_filters(filters)
    luck = np.random.default_rng(seed).random(len(first))
    chosen = first[np.lexsort((luck, -counts))[:LARGEST_PAIRS]]
    one, other = _recurring_pairs(_folded(filters[chosen]))
    one, other = chosen[one], chosen[other]
    right = (forenames[one] == forenames[other]) | (surnames[one] == surnames[other])
    return AttackResult(
        attack="differences",
        target=target,
        records=len(chosen),
        recovered=len(np.union1d(one[right], other[right])),
        limit=limit,
        control=control,
        seconds=time.perf_counter() - began,
        knowledge="nothing but the filters",
    )


def _folded(filters: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """One word per filter, such that equal differences of filters stay equal: words rotated, then exclusive-or."""
    turns = (np.arange(filters.shape[1]) * 13 % 63 + 1).astype(np.uint64)
    turned = (filters << turns) | (filters >> (np.uint64(64) - turns))
    return np.bitwise_xor.reduce(turned, axis=1)


def _recurring_pairs(words: npt.NDArray[np.uint64]) -> tuple[npt.NDArray, npt.NDArray]:
    """Return the pairs whose difference is that of another pair as well."""
    one, other = np.triu_indices(len(words), 1)
    differences = words[one] ^ words[other]
    order = np.argsort(differences)
    ordered = differences[order]
    same = ordered[1:] == ordered[:-1]
    recurring = order[np.append(same, False) | np.append(False, same)]
    return one[recurring], other[recurring]
