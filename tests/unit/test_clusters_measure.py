"""Measures of clusterings, against counting pair by pair."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest

from evaluation.linkage.clusters_measure import (
    aligned_labels,
    labels_of,
    measure_clusters,
    measure_feed_pairs,
    measure_groups,
    recall_gap,
)

RNG = np.random.default_rng(7)
RECORDS = 120
TRUTH = RNG.integers(0, 40, RECORDS)
FOUND = np.where(RNG.random(RECORDS) < 0.15, RNG.integers(0, 45, RECORDS), TRUTH)
GROUP = np.array(["british", "polish", "sikh"])[TRUTH % 3]
FEED = np.array(["benefit", "register", "tax"])[RNG.integers(0, 3, RECORDS)]
PAIRS = list(combinations(range(RECORDS), 2))


def right(pair: tuple[int, int]) -> bool:
    return bool(TRUTH[pair[0]] == TRUTH[pair[1]])


def found(pair: tuple[int, int]) -> bool:
    return bool(FOUND[pair[0]] == FOUND[pair[1]])


def test_pairwise_and_b_cubed_are_what_counting_by_hand_gives() -> None:
    measured = measure_clusters(FOUND, TRUTH)
    hits = sum(right(pair) and found(pair) for pair in PAIRS)
    assert measured.true_pairs == sum(map(right, PAIRS))
    assert measured.pairwise.precision == pytest.approx(hits / sum(map(found, PAIRS)))
    assert measured.pairwise.recall == pytest.approx(hits / measured.true_pairs)
    shared = [np.sum((FOUND[i] == FOUND) & (TRUTH[i] == TRUTH)) for i in range(RECORDS)]
    of_found = [np.sum(FOUND[i] == FOUND) for i in range(RECORDS)]
    assert measured.b_cubed.precision == pytest.approx(np.mean(np.divide(shared, of_found)))


def test_people_whole_merged_and_split_are_counted() -> None:
    # Person 0 is whole, 1 is split, 2 and 3 are merged.
    measured = measure_clusters(np.array([0, 0, 1, 2, 5, 5]), np.array([0, 0, 1, 1, 2, 3]))
    assert (measured.exact, measured.merged, measured.split) == (0.25, 1, 1)
    assert (measured.records, measured.clusters, measured.people) == (6, 4, 4)


def test_a_false_pair_between_two_groups_counts_against_both() -> None:
    measured = measure_groups(FOUND, TRUTH, GROUP)
    for name, group in measured.items():
        inside = np.equal(GROUP, name)
        touching = [pair for pair in PAIRS if found(pair) and (inside[pair[0]] or inside[pair[1]])]
        own = [pair for pair in PAIRS if right(pair) and inside[pair[0]]]
        assert group.pairwise.precision == pytest.approx(np.mean([right(pair) for pair in touching]))
        assert group.pairwise.recall == pytest.approx(np.mean([found(pair) for pair in own]))
        assert (group.true_pairs, group.records) == (len(own), int(inside.sum()))
    recalls = [group.pairwise.recall for group in measured.values()]
    assert recall_gap(measured, 1) == pytest.approx(max(recalls) - min(recalls))
    assert recall_gap(measured, RECORDS**2) == 0.0


def test_pairs_are_counted_within_each_feed_and_between_every_two() -> None:
    measured = {(one.first, one.second): one for one in measure_feed_pairs(FOUND, TRUTH, FEED)}
    assert len(measured) == 6
    for (first, second), own in measured.items():
        pairs = [pair for pair in PAIRS if sorted(FEED[list(pair)]) == [first, second]]
        assert own.true_pairs == sum(map(right, pairs))
        assert own.found_pairs == sum(map(found, pairs))
        assert own.right_pairs == sum(right(pair) and found(pair) for pair in pairs)


def test_labels_of_two_tables_meet_by_record() -> None:
    tonight = pa.table({"record_ref": ["a", "b", "c"], "person_id": ["x", "x", "y"]})
    before = pa.table({"record_ref": ["c", "a", "b"], "person_id": ["q", "p", "p"]})
    assert measure_clusters(*aligned_labels(tonight, before)).pairwise.f1 == 1.0
    assert len(aligned_labels(tonight, before.slice(0, 2))[0]) == 2
    with pytest.raises(ValueError, match="1 records without a label"):
        labels_of(pa.array(["x", None]))


def test_nothing_is_right_and_nothing_is_missed() -> None:
    none = np.array([], dtype=np.int64)
    measured = measure_clusters(none, none)
    assert (measured.pairwise.f1, measured.b_cubed.f1, measured.exact) == (1.0, 1.0, 1.0)
    assert measure_feed_pairs(none, none, np.array([], dtype=str)) == []
