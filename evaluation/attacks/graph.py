"""Graph matching: names that are alike give filters that are alike, so the two similarity graphs look the same.

The attacker draws one graph over the filters and one over a list of names, and finds which node is which. No key
and no frequency is needed. The idea is Vidanage et al. (2020, "A graph matching attack on privacy-preserving record
linkage") and Schäfer, Armknecht and Heng (2024, "R+R: revisiting graph matching attacks"); this one keeps every
similarity, not only the edges above a threshold, and goes in two steps:

1. Each node is described by its place in the graph: size, the profile of its similarities from the nearest node to
   the farthest, edges and triangles, and the same of its neighbours. Nodes that are each other's nearest in this
   description are a first, rough matching.
2. Matched nodes serve as landmarks: a node is described by its similarity to each. The right partner has the same
   similarities to the landmarks' partners. That gives a better matching, hence better landmarks, until nothing moves.

A name that several records bear is one node, weighing as much as it has records; a record counts as recovered if
its name is right.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm, rankdata

from evaluation.attacks.filters import Filters, distinct_filters, single_bits
from evaluation.attacks.result import GRAPH_LIMIT, AttackResult

LANDMARKS = 1_000
MOST_ROUNDS = 8
SETTLED_SHARE = 0.002
"""The matching has settled when fewer nodes than this changed their partner in a round."""

NEAR_SHARE = 0.01
"""Share of all pairs that make up the edges of the sparse graph."""

PROFILE_RANKS = 24
JACCARD_STEPS = 60
OWN_SAMPLE = 1_500
SAMPLED_PAIRS = 2_000_000
LARGEST_ASSIGNMENT = 3_000
"""Nodes left over that are assigned by minimum weight; more than these take their nearest."""

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Nodes:
    """One side of the attack: all similarities (nodes × nodes), a size each, and how many records each stands for."""

    similarity: Matrix
    size: npt.NDArray
    records: npt.NDArray[np.int64]


def match_graphs(
    filters: Filters,
    names: Sequence[str] | npt.NDArray,
    *,
    overlap: float = 1.0,
    seed: int,
    own_filters: Filters | None = None,
    known_pairs: int = 0,
    target: str = "name filter",
    limit: float | None = GRAPH_LIMIT,
    control: bool = False,
) -> AttackResult:
    """Attack `filters` (records × 64-bit words) of `names` (forename, a space, surname; in standard form).

    With an `overlap` below 1 the records are split: the attacker's list is as long as the attacked records, and this
    share of both are the same people; the rate is then of the attacked records whose name is on the list.
    `own_filters` are filters that the attacker made of the same names under a key of their own, knowing the
    parameters: they tell how similarity of names turns into similarity of filters. With `known_pairs` the attacker
    knows for certain which filters that many of the names have; these are not counted.
    """
    began = time.perf_counter()
    attacked, listed = _sides(len(names), overlap, np.random.default_rng(seed))
    every_name = np.asarray(names)
    first, node_of_record, records = distinct_filters(filters[attacked])
    known, known_records = np.unique(every_name[listed], return_counts=True)
    bits = single_bits(filters[attacked[first]])
    distances, name_size = _name_distances(known)
    own = None if own_filters is None else _of_known(own_filters[listed], every_name[listed])
    name_distance = _best_distance(distances, own)
    curve = _similarity_curve(bits, name_distance, own, seed)
    plain = Nodes(curve[name_distance], name_size, known_records)
    encoded = Nodes(
        _denoised(_similarities(bits), curve, name_distance, bits.shape[1]), bits.sum(axis=1), records
    )
    truth = every_name[attacked]
    anchors = _anchors(node_of_record, truth, known, known_pairs)
    partner = _matching(encoded, plain, anchors, seed)
    counted = np.isin(truth, known) & ~np.isin(node_of_record, anchors[0])
    guessed = known[partner[node_of_record]]
    return AttackResult(
        attack="graph matching",
        target=target,
        records=int(counted.sum()),
        recovered=int((guessed == truth)[counted].sum()),
        limit=limit,
        control=control,
        seconds=time.perf_counter() - began,
        knowledge=f"{overlap:.0%} of the names" + (", the parameters" if own_filters is not None else ""),
        chance=1 / max(1, len(known)),
    )


def _sides(count: int, overlap: float, generator: np.random.Generator) -> tuple[npt.NDArray, npt.NDArray]:
    """Positions of the attacked records and of those on the attacker's list, each in random order."""
    size = int(count / (2 - overlap))
    shuffled = generator.permutation(count)
    shared = round(size * overlap)
    listed = np.concatenate([shuffled[:shared], shuffled[size : 2 * size - shared]])
    return shuffled[:size], generator.permutation(listed)


def _anchors(
    node_of_record: npt.NDArray, truth: npt.NDArray, known: npt.NDArray, wanted: int
) -> tuple[npt.NDArray, npt.NDArray]:
    """Filters and names (as nodes) that the attacker knows to belong together: those of the first records."""
    place = np.minimum(np.searchsorted(known, truth), len(known) - 1)
    listed = np.flatnonzero(known[place] == truth)
    nodes, first = np.unique(node_of_record[listed], return_index=True)
    chosen = np.argsort(first)[:wanted]
    return nodes[chosen], place[listed[first[chosen]]]


def _of_known(filters: Filters, names: npt.NDArray) -> Filters:
    """One filter for each distinct name, in the order of the names."""
    _, place = np.unique(names, return_index=True)
    return filters[place]


def _similarities(bits: npt.NDArray[np.uint8]) -> Matrix:
    """1 - 2 × the share of bits that differ, for every pair: 1 for equal filters, about 0 for unrelated ones."""
    signs = bits.astype(np.float32) * 2 - 1
    return signs @ signs.T / np.float32(bits.shape[1])


def _name_distances(names: npt.NDArray) -> tuple[dict[str, npt.NDArray[np.int16]], npt.NDArray]:
    """How far any two names are apart, in small whole numbers, by each measure that a filter may follow, and how
    many bigrams each name has.

    "difference": bigrams of forename and surname not shared; "jaccard": their share among all, in `JACCARD_STEPS`.
    """
    rows: list[int] = []
    columns: list[int] = []
    numbers: dict[tuple[int, str], int] = {}
    for row, name in enumerate(names.tolist()):
        for part, text in enumerate(name.split(" ", 1)):
            padded = f"_{text}_"
            for bigram in {padded[place : place + 2] for place in range(len(padded) - 1)}:
                rows.append(row)
                columns.append(numbers.setdefault((part, bigram), len(numbers)))
    marks = sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(names), len(numbers)))
    size = np.asarray(marks.sum(axis=1)).ravel()
    shared = (marks @ marks.T).toarray()
    either = size[:, None] + size[None, :] - shared
    distances = {
        "difference": (either - shared).astype(np.int16),
        "jaccard": np.rint((1 - shared / either) * JACCARD_STEPS).astype(np.int16),
    }
    return distances, size


def _best_distance(
    distances: dict[str, npt.NDArray[np.int16]], own_filters: Filters | None
) -> npt.NDArray[np.int16]:
    """The measure that the attacker's own filters follow most closely; without any, bigrams not shared."""
    if own_filters is None:
        return distances["difference"]
    bits = single_bits(own_filters[:OWN_SAMPLE])
    similarities = _similarities(bits)
    other = ~np.eye(len(bits), dtype=bool)

    def unexplained(distance: npt.NDArray[np.int16]) -> float:
        classes, seen = distance[: len(bits), : len(bits)][other], similarities[other]
        count = np.maximum(np.bincount(classes), 1)
        return float(
            seen.var() - (np.bincount(classes, seen) ** 2 / count).sum() / len(seen) + seen.mean() ** 2
        )

    return min(distances.values(), key=unexplained)


def _similarity_curve(
    bits: npt.NDArray[np.uint8],
    name_distance: npt.NDArray[np.int16],
    own_filters: Filters | None,
    seed: int,
) -> Matrix:
    """Expected similarity of two filters for every distance of their names.

    From the attacker's own filters, or else by setting the quantiles of both similarities equal.
    """
    generator = np.random.default_rng(seed)
    first, second = _random_pairs(len(name_distance), generator)
    distances = name_distance[first, second]
    if own_filters is not None:
        own = single_bits(own_filters)
        near = np.nonzero(name_distance[:2_000, :2_000] <= np.quantile(distances, NEAR_SHARE))
        first, second = np.append(first[:200_000], near[0]), np.append(second[:200_000], near[1])
        distances = name_distance[first, second]
        similarities = np.concatenate(
            [
                1 - 2 * (own[first[at : at + 50_000]] != own[second[at : at + 50_000]]).mean(axis=1)
                for at in range(0, len(first), 50_000)
            ]
        )
    else:
        ours, theirs = _random_pairs(len(bits), generator)
        wanted = slice(0, min(len(ours), 400_000))
        similarities = np.sort(
            1
            - 2
            * np.concatenate(
                [
                    (bits[ours[at : at + 50_000]] != bits[theirs[at : at + 50_000]]).mean(axis=1)
                    for at in range(0, wanted.stop, 50_000)
                ]
            )
        )[::-1]
        distances = np.sort(distances[wanted])
    seen = np.bincount(distances, minlength=int(name_distance.max()) + 1)
    sums = np.bincount(distances, weights=similarities, minlength=len(seen))
    there = np.flatnonzero(seen)
    curve = np.interp(np.arange(len(seen)), there, sums[there] / seen[there]).astype(np.float32)
    curve[0] = 1
    return curve


def _random_pairs(count: int, generator: np.random.Generator) -> tuple[npt.NDArray, npt.NDArray]:
    first, second = generator.integers(0, count, (2, SAMPLED_PAIRS))
    return first[first != second], second[first != second]


def _denoised(similarities: Matrix, curve: Matrix, name_distance: npt.NDArray[np.int16], bits: int) -> Matrix:
    """The similarity to expect, given the one seen: what `bits` coin throws blur is drawn back to the likely ones.

    Bayes over the distances of names, each as likely as it is frequent among the attacker's names.
    """
    weight = np.bincount(name_distance[:1_000].ravel(), minlength=len(curve)).astype(float)
    weight[0] = 0
    seen = np.linspace(-1, 1, bits + 1)
    spread = np.sqrt(np.maximum(1 - curve**2, 1e-3) / bits)
    likelihood = weight * np.exp(-0.5 * ((seen[:, None] - curve) / spread) ** 2) / spread
    total = likelihood.sum(axis=1)
    expected = np.where(total > 1e-200, likelihood @ curve / np.maximum(total, 1e-200), seen).astype(
        np.float32
    )
    places = np.rint((similarities + 1) * (bits / 2)).astype(np.int16)
    return expected[places]


def _matching(
    encoded: Nodes, plain: Nodes, anchors: tuple[npt.NDArray, npt.NDArray], seed: int
) -> npt.NDArray[np.int64]:
    """Return, for every encoded node, the plain node that it is taken for."""
    generator = np.random.default_rng(seed)
    scores = _closeness(_described(encoded), _described(plain))
    partner = _anchored(scores.argmax(axis=1), anchors)
    if len(anchors[0]):
        scores = _landmark_scores(encoded.similarity, plain.similarity, *anchors)
        partner = _anchored(scores.argmax(axis=1), anchors)
    for _ in range(MOST_ROUNDS):
        landmarks = np.union1d(_landmarks(scores, partner, generator), anchors[0])
        scores = _landmark_scores(encoded.similarity, plain.similarity, landmarks, partner[landmarks])
        before, partner = partner, _anchored(scores.argmax(axis=1), anchors)
        if (before != partner).mean() < SETTLED_SHARE:
            break
    return _one_to_one(scores, partner)


def _anchored(partner: npt.NDArray, anchors: tuple[npt.NDArray, npt.NDArray]) -> npt.NDArray:
    partner[anchors[0]] = anchors[1]
    return partner


def _described(nodes: Nodes) -> Matrix:
    """Describe each node by its place in the graph; every figure is brought to a normal scale by its rank."""
    similarity = nodes.similarity
    ranks = np.unique(np.geomspace(1, len(similarity) // 2, PROFILE_RANKS).astype(int))
    profile = np.empty((len(similarity), len(ranks) + 3), dtype=np.float32)
    for start in range(0, len(similarity), 1_000):
        chunk = np.sort(similarity[start : start + 1_000], axis=1)[:, ::-1]
        profile[start : start + 1_000, : len(ranks)] = chunk[:, ranks]
        profile[start : start + 1_000, len(ranks) :] = np.stack(
            [chunk.mean(axis=1), (chunk**2).mean(axis=1), (chunk**3).mean(axis=1)], axis=1
        )
    edges = _edges(similarity)
    strength = np.asarray(edges.sum(axis=1)).ravel()
    degree = np.diff(edges.indptr)
    triangles = np.asarray((edges @ edges).multiply(edges).sum(axis=1)).ravel()
    own = _normal_scores(np.column_stack([nodes.size, nodes.records, profile[:, ::3], degree]))
    average = sp.diags(1 / (strength + 0.1)) @ edges
    neighbours = average @ own
    described = np.column_stack(
        [nodes.size, nodes.records, profile, strength, degree, triangles, neighbours, average @ neighbours]
    )
    return _normal_scores(described)


def _edges(similarity: Matrix) -> sp.csr_matrix:
    """The sparse graph of the nearest pairs."""
    sample = similarity[:: max(1, len(similarity) // 500)]
    threshold = np.quantile(sample, 1 - NEAR_SHARE)
    rows, columns = np.nonzero(similarity > threshold)
    other = rows != columns
    rows, columns = rows[other], columns[other]
    return sp.csr_matrix((similarity[rows, columns], (rows, columns)), shape=similarity.shape)


def _normal_scores(figures: npt.NDArray) -> Matrix:
    ranks = rankdata(figures, axis=0)
    return norm.ppf((ranks - 0.5) / len(figures)).astype(np.float32)


def _closeness(ours: Matrix, theirs: Matrix) -> Matrix:
    """Minus the squared distance of every pair."""
    scores = ours @ theirs.T
    scores *= 2
    scores -= (theirs**2).sum(axis=1)[None, :]
    scores -= (ours**2).sum(axis=1)[:, None]
    return scores


def _landmarks(scores: Matrix, partner: npt.NDArray, generator: np.random.Generator) -> npt.NDArray:
    """Nodes that are each other's best, at most `LANDMARKS` of them."""
    back = scores.argmax(axis=0)
    mutual = np.flatnonzero(back[partner] == np.arange(len(partner)))
    return mutual if len(mutual) <= LANDMARKS else generator.choice(mutual, LANDMARKS, replace=False)


def _landmark_scores(ours: Matrix, theirs: Matrix, landmarks: npt.NDArray, partners: npt.NDArray) -> Matrix:
    """Correlation of every pair's similarities to the landmarks."""
    return _correlated(ours[:, landmarks]) @ _correlated(theirs[:, partners]).T


def _correlated(similarities: Matrix) -> Matrix:
    centred = similarities - similarities.mean(axis=0)
    centred -= centred.mean(axis=1, keepdims=True)
    return centred / (np.linalg.norm(centred, axis=1, keepdims=True) + 1e-9)


def _one_to_one(scores: Matrix, partner: npt.NDArray) -> npt.NDArray:
    """Keep the mutual matches; assign the others by minimum weight among what is left, if they are few enough."""
    back = scores.argmax(axis=0)
    mutual = back[partner] == np.arange(len(partner))
    left = np.flatnonzero(~mutual)
    free = np.setdiff1d(np.arange(scores.shape[1]), partner[mutual])
    if 0 < len(left) <= LARGEST_ASSIGNMENT and 0 < len(free) <= LARGEST_ASSIGNMENT:
        rows, columns = linear_sum_assignment(-scores[np.ix_(left, free)])
        partner = partner.copy()
        partner[left[rows]] = free[columns]
    return partner
