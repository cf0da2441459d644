"""Precision and recall over pairs, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.linkage.pairs import (
    PairFigures,
    b_cubed,
    best_threshold,
    cluster_figures,
    pair_figures,
    pairs_within,
)

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=30)


def labels(text: str) -> np.ndarray:
    return np.array([ord(letter) - ord("a") for letter in text], dtype=np.int64)


def test_pairs_within_counts_each_pair_once() -> None:
    assert pairs_within(labels("aaab")) == 3


def test_cluster_figures_by_hand() -> None:
    # Found pairs: 01, 23. True pairs: 01, 02, 12. One is both.
    figures = cluster_figures(labels("aabb"), labels("aaab"))
    assert (figures.precision, figures.recall) == (pytest.approx(1 / 2), pytest.approx(1 / 3))


def test_b_cubed_by_hand() -> None:
    # Precisions 1, 1, 1/2, 1/2; recalls 2/3, 2/3, 1/3, 1.
    figures = b_cubed(labels("aabb"), labels("aaab"))
    assert (figures.precision, figures.recall) == (pytest.approx(3 / 4), pytest.approx(2 / 3))


def test_no_pairs_are_all_right() -> None:
    assert pair_figures(0, 0, 0) == PairFigures(1.0, 1.0, 1.0)
    assert pair_figures(0, 0, 3).recall == 0.0


def test_the_best_threshold_takes_equal_weights_together() -> None:
    weights = np.array([5.0, 3.0, 3.0, 1.0])
    found = best_threshold(weights, np.array([True, True, False, False]), true_pairs=3)
    # At 5: F1 2/4. At 3: 2 of 3 right of 3: F1 4/6. At 1: F1 4/7.
    assert found.match_weight == 3.0
    assert found.figures.f1 == pytest.approx(2 / 3)
    assert found.compared_share_of_true_pairs == pytest.approx(2 / 3)


def test_no_compared_pair_finds_nothing() -> None:
    found = best_threshold(np.array([]), np.array([], dtype=bool), true_pairs=3)
    assert (found.figures.recall, found.compared_pairs) == (0.0, 0)


@given(truth=LABELS)
def test_the_truth_itself_scores_one(truth: list[int]) -> None:
    own = np.array(truth, dtype=np.int64)
    assert cluster_figures(own, own) == PairFigures(1.0, 1.0, 1.0)
    assert b_cubed(own, own).f1 == pytest.approx(1.0)


@given(truth=LABELS, seed=st.integers(0, 100))
def test_merging_everybody_finds_all_pairs(truth: list[int], seed: int) -> None:
    own = np.array(truth, dtype=np.int64)
    everybody = np.full(len(own), seed, dtype=np.int64)
    assert cluster_figures(everybody, own).recall == 1.0
    assert b_cubed(everybody, own).recall == 1.0
