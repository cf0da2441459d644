"""Pattern mining: learn which bits go with which letter pairs, and read the names off the filters.

After Christen et al. (2017, "Efficient cryptanalysis of Bloom filters for privacy-preserving record linkage"; 2018,
"Pattern-mining based cryptanalysis of Bloom filters"). The commonest filters stand for the commonest names; from
these few, a linear model learns how each bigram moves each bit. It predicts the filter of every name on the list; the
filters that a prediction fits best are the next to learn from, and so on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from evaluation.attacks.filters import distinct_filters, single_bits
from evaluation.attacks.result import FULL_NAME_LIMIT, AttackResult

MOST_NODES = 3_000
"""The commonest filters and names that take part."""

FIRST_SEEDS = 60
ROUNDS = 8
RIDGE = 0.5


def mine_patterns(
    filters: npt.NDArray[np.uint64],
    names: Sequence[str],
    reference_names: Sequence[str],
    *,
    target: str = "name filter",
    limit: float | None = FULL_NAME_LIMIT,
    control: bool = False,
) -> AttackResult:
    """Attack `filters` (records × words) with a list of names as often as people bear them.

    `names` (the truth) only counts the hits; a record is recovered if its name is right. Filters rarer than the
    `MOST_NODES` commonest are not attacked; their records count as not recovered.
    """
    began = time.perf_counter()
    first, node, counts = distinct_filters(filters)
    known, known_counts = np.unique(np.asarray(reference_names), return_counts=True)
    attacked = np.argsort(-counts, kind="stable")[:MOST_NODES]
    listed = np.argsort(-known_counts, kind="stable")[:MOST_NODES]
    bits = single_bits(filters[first[attacked]]).astype(np.float32)
    guesses = _read(bits, _bigram_marks(known[listed].tolist()))
    name_of_node = np.full(len(first), "", dtype=known.dtype)
    name_of_node[attacked] = known[listed][guesses]
    guessed = name_of_node[node]
    return AttackResult(
        attack="pattern mining",
        target=target,
        records=len(names),
        recovered=int(((guessed == np.asarray(names)) & (guessed != "")).sum()),
        limit=limit,
        control=control,
        seconds=time.perf_counter() - began,
        knowledge="all names with their frequencies",
        chance=1 / max(1, len(listed)),
    )


def _bigram_marks(names: Sequence[str]) -> npt.NDArray[np.float32]:
    """Names × (part of the name, bigram): 1 where the name has it."""
    numbers: dict[tuple[int, str], int] = {}
    places = [
        (row, numbers.setdefault((part, padded[at : at + 2]), len(numbers)))
        for row, name in enumerate(names)
        for part, text in enumerate(name.split(" ", 1))
        for padded in [f"_{text}_"]
        for at in range(len(padded) - 1)
    ]
    marks = np.zeros((len(names), len(numbers)), dtype=np.float32)
    rows, columns = np.array(places).T
    marks[rows, columns] = 1
    return marks


def _read(bits: npt.NDArray[np.float32], marks: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the name read off every filter; both are in the order of their frequency."""
    seeds = np.arange(min(FIRST_SEEDS, len(bits), len(marks)))
    partners = seeds
    wanted = len(seeds)
    for _ in range(ROUNDS):
        scores = _scores(bits, marks, seeds, partners)
        best, back = scores.argmax(axis=1), scores.argmax(axis=0)
        mutual = np.flatnonzero(back[best] == np.arange(len(best)))
        wanted = min(2 * wanted, len(bits))
        seeds = mutual[np.argsort(-scores[mutual, best[mutual]], kind="stable")[:wanted]]
        partners = best[seeds]
    return best


def _scores(
    bits: npt.NDArray[np.float32], marks: npt.NDArray[np.float32], seeds: npt.NDArray, partners: npt.NDArray
) -> npt.NDArray[np.float32]:
    """Correlation of every filter with every name's predicted filter, learnt from the seeds."""
    mean = bits.mean(axis=0)
    learnt = marks[partners]
    weights = learnt.T @ np.linalg.solve(
        learnt @ learnt.T + RIDGE * np.eye(len(learnt), dtype=np.float32), bits[seeds] - mean
    )
    return _unit(bits - mean) @ _unit(marks @ weights).T


def _unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    centred = rows - rows.mean(axis=1, keepdims=True)
    return centred / (np.linalg.norm(centred, axis=1, keepdims=True) + 1e-9)
