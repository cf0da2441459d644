"""Frequency attack: the commonest token stands for the commonest value, the next for the next, and so on.

Whoever holds the tokens can count them; whoever knows how often names, dates or postcodes occur can put them in
the same order. Equal values give equal tokens, so what one token stands for is known for all its records at once.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from evaluation.attacks.result import FIELD_LIMIT, AttackResult


def rank_match(
    tokens: npt.NDArray,
    true_values: npt.NDArray,
    reference_values: npt.NDArray,
    reference_counts: npt.NDArray,
    *,
    target: str = "token",
    limit: float | None = FIELD_LIMIT,
    control: bool = False,
    knowledge: str = "",
    seed: int = 0,
) -> AttackResult:
    """Match the ranks of `tokens` (one per record, any sortable dtype) to those of the reference distribution.

    `true_values` has the value behind each record's token; it only counts the hits. `reference_values` are
    distinct values with their `reference_counts`, in any order, as the attacker knows them. Ties are broken at
    random by `seed`.
    """
    began = time.perf_counter()
    place = rank_guesses(tokens, reference_counts, seed)
    guessed = np.asarray(reference_values)[place]
    recovered = int(((guessed == true_values) & (place >= 0)).sum())
    return AttackResult(
        attack="frequency",
        target=target,
        records=len(tokens),
        recovered=recovered,
        limit=limit,
        control=control,
        seconds=time.perf_counter() - began,
        knowledge=knowledge,
        chance=1 / max(1, len(reference_values)),
    )


def rank_guesses(tokens: npt.NDArray, reference_counts: npt.NDArray, seed: int = 0) -> npt.NDArray[np.int64]:
    """Return the place in the reference guessed for every record; -1 for tokens beyond its last value."""
    _, codes, counts = np.unique(tokens, return_inverse=True, return_counts=True)
    generator = np.random.default_rng(seed)
    by_rank = _ranking(np.asarray(reference_counts), generator)
    ranked = _ranking(counts, generator)[: len(by_rank)]
    guess_of_token = np.full(len(counts), -1, dtype=np.int64)
    guess_of_token[ranked] = by_rank[: len(ranked)]
    return guess_of_token[codes]


def value_counts(values: npt.NDArray) -> tuple[npt.NDArray, npt.NDArray[np.int64]]:
    """Return the distinct values and how often each occurs: the reference of an attacker who knows the truth."""
    distinct, counts = np.unique(values, return_counts=True)
    return distinct, counts


def _ranking(counts: npt.NDArray, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Positions from the largest count to the smallest, ties in random order."""
    return np.lexsort((generator.random(len(counts)), -counts))
