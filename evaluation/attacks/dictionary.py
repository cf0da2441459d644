"""Dictionary attack: the source and every parameter are public, so encode a whole dictionary and look it up.

Without the key the attacker encodes under another, and can only hope that something fits.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from evaluation.attacks.filters import single_bits
from evaluation.attacks.result import AttackResult

CHANCE_LIMIT = 0.001
LUCKY_GUESSES = 5
"""Up to a thousandth of the records, or five, may be right by luck: one is to be expected of as many names as
records."""

MOST_ATTACKED = 2_000


def look_up(
    filters: npt.NDArray[np.uint64],
    names: npt.NDArray,
    dictionary_filters: npt.NDArray[np.uint64],
    dictionary_names: npt.NDArray,
    *,
    target: str = "name filter",
    limit: float | None = None,
    control: bool = False,
    knowledge: str = "all parameters and all names, not the key",
) -> AttackResult:
    """Give each filter the name whose dictionary filter is nearest (Hamming); the first records only.

    `dictionary_filters` are those of `dictionary_names`, made with the attacker's key. Without a `limit`, as many
    may be right as chance allows.
    """
    began = time.perf_counter()
    attacked = filters[:MOST_ATTACKED]
    ours, theirs = _signs(attacked), _signs(dictionary_filters)
    nearest = np.concatenate(
        [(ours[at : at + 500] @ theirs.T).argmax(axis=1) for at in range(0, len(ours), 500)]
    )
    recovered = int((dictionary_names[nearest] == names[: len(attacked)]).sum())
    return AttackResult(
        attack="dictionary",
        target=target,
        records=len(attacked),
        recovered=recovered,
        limit=max(CHANCE_LIMIT, LUCKY_GUESSES / len(attacked)) if limit is None else limit,
        control=control,
        seconds=time.perf_counter() - began,
        knowledge=knowledge,
        chance=1 / max(1, len(dictionary_names)),
    )


def _signs(filters: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
    return single_bits(filters).astype(np.float32) * 2 - 1
