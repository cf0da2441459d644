"""Co-occurrence attack: an analyst holds all tokens of a record side by side, and homes, families and birthdays make
a pattern of their own.

Colour refinement (Weisfeiler and Leman): a token's colour says which records have it, a record's colour which tokens
it has, over and over. The attacker does the same to a list of the residents. Where a colour occurs once on either
side, the record is found: no key, no frequency of a single field, only who stands beside whom.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from evaluation.attacks.filters import scrambled
from evaluation.attacks.result import AttackResult

ROUNDS = 4

Codes = npt.NDArray[np.int64]
Colours = npt.NDArray[np.uint64]


def refine_colours(
    ours: Sequence[Codes],
    theirs: Sequence[Codes],
    people: npt.NDArray,
    listed_people: npt.NDArray,
    *,
    target: str,
    limit: float | None,
    knowledge: str,
    control: bool = False,
) -> AttackResult:
    """Match the records of `ours` to those of `theirs` by colour.

    Both hold one array of codes per token column (-1: no token), the attacked records' and the attacker's list's;
    the codes themselves mean nothing. `people` and `listed_people` say who is who, for counting only.
    """
    began = time.perf_counter()
    mine, listed = _colours(ours), _colours(theirs)
    values, places, counts = np.unique(listed, return_index=True, return_counts=True)
    _, back, own_counts = np.unique(mine, return_inverse=True, return_counts=True)
    found = np.minimum(np.searchsorted(values, mine), len(values) - 1)
    sure = (values[found] == mine) & (counts[found] == 1) & (own_counts[back] == 1)
    recovered = int((people[sure] == listed_people[places[found[sure]]]).sum())
    return AttackResult(
        attack="co-occurrence",
        target=target,
        records=len(people),
        recovered=recovered,
        limit=limit,
        control=control,
        seconds=time.perf_counter() - began,
        knowledge=knowledge,
    )


def _colours(columns: Sequence[Codes]) -> Colours:
    colour = np.zeros(len(columns[0]), dtype=np.uint64)
    for _ in range(ROUNDS):
        parts = [
            scrambled(_token_colours(codes, colour) + np.uint64(place)) for place, codes in enumerate(columns)
        ]
        colour = scrambled(colour + np.add.reduce(parts))
    return colour


def _token_colours(codes: Codes, colour: Colours) -> Colours:
    """Every record's token's colour: the sum over the records that have it, hence the same in any order."""
    sums = np.zeros(int(codes.max(initial=-1)) + 2, dtype=np.uint64)
    np.add.at(sums, codes, scrambled(colour))
    sums[-1] = 0
    return sums[codes]
