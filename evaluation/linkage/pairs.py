"""Precision, recall and F1 over pairs of records, for scored pairs and for clusters; B³ for clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PairFigures:
    """Shares between 0 and 1. Of no pairs at all, none is wrong and none is missed: precision and recall are
    1.
    """

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class ThresholdFigures:
    """Figures at the match weight with the best F1, and how many of the true pairs were compared at all."""

    figures: PairFigures
    match_weight: float
    compared_pairs: int
    compared_share_of_true_pairs: float


def pair_figures(true_positives: int, found: int, true_pairs: int) -> PairFigures:
    """Return the figures of `found` pairs of which `true_positives` are among the `true_pairs`."""
    precision = true_positives / found if found else 1.0
    recall = true_positives / true_pairs if true_pairs else 1.0
    total = precision + recall
    return PairFigures(precision, recall, 2 * precision * recall / total if total else 0.0)


def pairs_within(labels: Labels) -> int:
    """Return the number of pairs of records that share a label."""
    sizes = np.unique(labels, return_counts=True)[1].astype(np.int64)
    return int((sizes * (sizes - 1) // 2).sum())


def best_threshold(
    match_weight: npt.NDArray[np.float64], is_match: npt.NDArray[np.bool_], true_pairs: int
) -> ThresholdFigures:
    """Return the figures at the match weight that gives the best F1 over all `true_pairs`, compared or not.

    Pairs of equal weight are accepted together: no threshold can tell them apart.
    """
    if len(match_weight) == 0:
        return ThresholdFigures(pair_figures(0, 0, true_pairs), 0.0, 0, 0.0)
    order = np.argsort(-match_weight, kind="stable")
    weights, hits = match_weight[order], np.cumsum(is_match[order])
    found = np.arange(1, len(weights) + 1)
    possible = np.append(weights[1:] != weights[:-1], True)
    f1 = np.where(possible, 2 * hits / (found + true_pairs), -1.0)
    best = int(np.argmax(f1))
    return ThresholdFigures(
        figures=pair_figures(int(hits[best]), int(found[best]), true_pairs),
        match_weight=float(weights[best]),
        compared_pairs=len(weights),
        compared_share_of_true_pairs=float(hits[-1] / true_pairs) if true_pairs else 1.0,
    )


def cluster_figures(found: Labels, truth: Labels) -> PairFigures:
    """Return pairwise figures of the clustering `found` against `truth`: a label per record in both."""
    both = labels_together(found, truth)
    return pair_figures(pairs_within(both), pairs_within(found), pairs_within(truth))


def b_cubed(found: Labels, truth: Labels) -> PairFigures:
    """Return B³ (Bagga and Baldwin 1998): precision and recall of each record's own cluster, averaged over
    records.
    """
    if len(found) == 0:
        return pair_figures(0, 0, 0)
    precision, recall = (float(np.mean(own)) for own in b_cubed_of_records(found, truth))
    return PairFigures(precision, recall, 2 * precision * recall / (precision + recall))


def b_cubed_of_records(
    found: Labels, truth: Labels
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return, for every record, how much of its cluster is its person's and how much of its person its cluster
    holds.
    """
    shared = _size_of_own(labels_together(found, truth))
    return shared / _size_of_own(found), shared / _size_of_own(truth)


def labels_together(found: Labels, truth: Labels) -> Labels:
    """Return a label per record that is equal where both labels are; labels are zero or more."""
    return found * (int(truth.max(initial=0)) + 1) + truth


def _size_of_own(labels: Labels) -> npt.NDArray[np.float64]:
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return counts[inverse].astype(np.float64)
