"""Linkage by name origin: whether people of one origin are found together as often as those of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evaluation.linkage.pairs import cluster_figures, pairs_within

LARGEST_RECALL_GAP = 0.030
"""How far recall may differ between name origins: promise 3 of the privacy design."""

FEWEST_PAIRS = 5_000
"""True pairs below which an origin's recall is a matter of a few people: it is shown, but not judged."""


@dataclass(frozen=True)
class OriginFigures:
    """Figures over the pairs of records of people of one name origin."""

    precision: float
    recall: float
    true_pairs: int


def figures_by_origin(found: np.ndarray, truth: np.ndarray, origin: np.ndarray) -> dict[str, OriginFigures]:
    """Return the figures of the clustering `found` against `truth` for each origin: a label per record in all three."""
    by_origin = {}
    for name in np.unique(origin).tolist():
        of_it = origin == name
        own = cluster_figures(found[of_it], truth[of_it])
        by_origin[str(name)] = OriginFigures(own.precision, own.recall, pairs_within(truth[of_it]))
    return by_origin


def recall_gap(by_origin: Mapping[str, OriginFigures]) -> float:
    """Return the most recall less the least, of the origins that have `FEWEST_PAIRS` or more."""
    judged = [own.recall for own in by_origin.values() if own.true_pairs >= FEWEST_PAIRS]
    return max(judged) - min(judged) if judged else 0.0
