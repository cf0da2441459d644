"""Two clusterings of the same records measured against each other: by pair, by record (B³), by group, by two feeds.

Every argument is an array with one entry per record. Nothing here loops over records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_matrix

from evaluation.linkage.pairs import (
    Labels,
    PairFigures,
    b_cubed_of_records,
    cluster_figures,
    labels_together,
    pair_figures,
    pairs_within,
)


@dataclass(frozen=True)
class ClusterMeasure:
    """`pairwise` over pairs of records, `b_cubed` averaged over records (Bagga and Baldwin 1998).

    `exact` is the share of true people who are one cluster, whole and alone; `merged` counts clusters that hold more
    than one person, `split` people who lie in more than one cluster.
    """

    pairwise: PairFigures
    b_cubed: PairFigures
    records: int
    clusters: int
    people: int
    true_pairs: int
    exact: float
    merged: int
    split: int


@dataclass(frozen=True)
class GroupMeasure:
    """Figures of one group. Recall is over the true pairs within it; precision over the found pairs that touch it.

    A false pair between two groups counts against both.
    """

    pairwise: PairFigures
    b_cubed: PairFigures
    records: int
    true_pairs: int


@dataclass(frozen=True)
class FeedPairMeasure:
    """Pairs of records of one feed (`first == second`) or between two."""

    first: str
    second: str
    figures: PairFigures
    true_pairs: int
    found_pairs: int
    right_pairs: int


def labels_of(column: pa.ChunkedArray | pa.Array) -> Labels:
    """Return a label per row, equal where the values are; raises `ValueError` where a value is missing."""
    if column.null_count:
        raise ValueError(f"{column.null_count} records without a label: drop them first")
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole.dictionary_encode().indices.to_numpy().astype(np.int64)


def aligned_labels(found: pa.Table, truth: pa.Table, label: str = "person_id") -> tuple[Labels, Labels]:
    """Return labels of the records that both tables hold (`record_ref` and `label`), in the order of `found`.

    Tells how far two partitions agree, say of two nights, or of an incremental and a full run.
    """
    place = pc.index_in(found["record_ref"], value_set=truth["record_ref"])
    both = found.filter(pc.is_valid(place))
    return labels_of(both[label]), labels_of(truth[label].take(place.drop_null()))


def measure_clusters(found: Labels, truth: Labels) -> ClusterMeasure:
    """Return how the clustering `found` does against `truth`."""
    whole_found, whole_truth = _compact(found), _compact(truth)
    together = np.unique(np.stack([whole_found, whole_truth]), axis=1)
    people_in_cluster = np.bincount(together[0])
    clusters_of_person = np.bincount(together[1])
    alone = (people_in_cluster[together[0]] == 1) & (clusters_of_person[together[1]] == 1)
    people = len(clusters_of_person)
    precision, recall = b_cubed_of_records(whole_found, whole_truth)
    return ClusterMeasure(
        pairwise=cluster_figures(whole_found, whole_truth),
        b_cubed=_mean_figures(precision, recall),
        records=len(found),
        clusters=len(people_in_cluster),
        people=people,
        true_pairs=pairs_within(whole_truth),
        exact=float(alone.sum() / people) if people else 1.0,
        merged=int((people_in_cluster > 1).sum()),
        split=int((clusters_of_person > 1).sum()),
    )


def measure_groups(
    found: Labels, truth: Labels, group: npt.NDArray[np.str_] | npt.NDArray[np.object_]
) -> dict[str, GroupMeasure]:
    """Return figures for each value of `group`, a property of the person behind a record (name origin, say)."""
    found, truth = _compact(found), _compact(truth)
    names, place = np.unique(np.asarray(group).astype(str), return_inverse=True)
    together = labels_together(found, truth)
    precision, recall = b_cubed_of_records(found, truth)
    all_found, all_right = pairs_within(found), pairs_within(together)
    measured = {}
    for number, name in enumerate(names.tolist()):
        inside = place == number
        touching = all_found - pairs_within(found[~inside])
        right_touching = all_right - pairs_within(together[~inside])
        true_pairs, right = pairs_within(truth[inside]), pairs_within(together[inside])
        measured[name] = GroupMeasure(
            pairwise=_figures(right_touching, touching, right, true_pairs),
            b_cubed=_mean_figures(precision[inside], recall[inside]),
            records=int(inside.sum()),
            true_pairs=true_pairs,
        )
    return measured


def measure_feed_pairs(
    found: Labels, truth: Labels, feed: npt.NDArray[np.str_] | npt.NDArray[np.object_]
) -> list[FeedPairMeasure]:
    """Return figures within each feed and between every two that have true or found pairs, in order of their names."""
    found, truth = _compact(found), _compact(truth)
    names, place = np.unique(np.asarray(feed).astype(str), return_inverse=True)
    true_pairs, found_pairs, right_pairs = (
        pairs_by_feed(labels, place, len(names)) for labels in (truth, found, labels_together(found, truth))
    )
    return [
        FeedPairMeasure(
            str(names[first]),
            str(names[second]),
            pair_figures(*(int(pairs[first, second]) for pairs in (right_pairs, found_pairs, true_pairs))),
            *(int(pairs[first, second]) for pairs in (true_pairs, found_pairs, right_pairs)),
        )
        for first in range(len(names))
        for second in range(first, len(names))
        if true_pairs[first, second] or found_pairs[first, second]
    ]


def pairs_by_feed(labels: Labels, feed: npt.NDArray[np.integer], feeds: int) -> npt.NDArray[np.int64]:
    """Return a feeds × feeds matrix of the pairs of records that share a label; the diagonal counts those within."""
    _, cluster = np.unique(labels, return_inverse=True)
    counts = coo_matrix(
        (np.ones(len(labels), dtype=np.int64), (cluster, feed)), shape=(len(labels), feeds)
    ).tocsr()
    pairs = np.asarray((counts.T @ counts).todense(), dtype=np.int64)
    np.fill_diagonal(pairs, (np.diag(pairs) - np.bincount(feed, minlength=feeds)) // 2)
    return pairs


def recall_gap(groups: Mapping[str, GroupMeasure], fewest_true_pairs: int) -> float:
    """Return the most pairwise recall less the least, of groups with enough true pairs to tell."""
    judged = [group.pairwise.recall for group in groups.values() if group.true_pairs >= fewest_true_pairs]
    return max(judged) - min(judged) if judged else 0.0


def _figures(right_touching: int, touching: int, right: int, true_pairs: int) -> PairFigures:
    precision = right_touching / touching if touching else 1.0
    recall = right / true_pairs if true_pairs else 1.0
    return PairFigures(precision, recall, _harmonic(precision, recall))


def _mean_figures(precision: npt.NDArray[np.float64], recall: npt.NDArray[np.float64]) -> PairFigures:
    if len(precision) == 0:
        return PairFigures(1.0, 1.0, 1.0)
    means = float(precision.mean()), float(recall.mean())
    return PairFigures(*means, _harmonic(*means))


def _harmonic(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one + other else 0.0


def _compact(labels: Labels) -> Labels:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)
