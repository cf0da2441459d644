"""Two models on the same link keys: what a candidate weighs, links and merges otherwise than the model in use.

Both link everybody from nothing, in a passing encrypted store that is removed afterwards: nothing of the zone changes,
and what is compared is what a night would do with either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from exchange.review import ReviewError
from linkage.model import LinkageModel
from linkage.people import resolve_people
from linkage.review.estimate import Estimate, Judged, estimate
from linkage.review.store import ReviewedSample, reviewed_samples
from linkage.scoring.pair_levels import prior_weight
from stores.analytics import AnalyticsZone
from stores.home import Home

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LevelWeights:
    """One level of a comparison in both models: match weight (bits), m and u; None where a model has no such level."""

    comparison: str
    level: str
    current: float | None
    candidate: float | None
    current_m: float | None
    candidate_m: float | None
    current_u: float | None
    candidate_u: float | None


@dataclass(frozen=True)
class Linked:
    """What a model links: record_ref and person_id in order of record_ref; record_ref_l, record_ref_r, match_weight."""

    people: pa.Table
    edges: pa.Table
    candidates: int


@dataclass(frozen=True)
class SideFigures:
    """Counts of one model, and precision and recall by the verdicts of the newest review (None without one)."""

    version: int
    digest: str
    threshold: float
    prior: float
    compared_pairs: int
    edges: int
    people: int
    linked_pairs: int
    precision: Estimate | None
    recall: Estimate | None


@dataclass(frozen=True)
class ModelComparison:
    """A candidate beside the model in use. `merged` and `split`: people of now who share a person of the candidate with
    others, and people of now whose records the candidate gives to several. `b_cubed`: how alike the two partitions
    are (F1 of B³, 1 where they are the same). `judged_pairs`: verdicts that precision and recall stand on.
    """

    records: int
    current: SideFigures
    candidate: SideFigures
    weights: tuple[LevelWeights, ...]
    edges_gained: int
    edges_lost: int
    pairs_gained: int
    pairs_lost: int
    merged: int
    split: int
    unchanged_people: int
    b_cubed: float
    review: str | None
    judged_pairs: int


def compare_models(zone: AnalyticsZone, current: LinkageModel, candidate: LinkageModel) -> ModelComparison:
    """Link the records of `zone` with both models and tell the difference. Nothing in `zone` changes."""
    with zone.linkage(read_only=True) as connection:
        link_keys = connection.execute("select * from link_keys order by record_ref").to_arrow_table()
    old, new = (linked_by(zone, link_keys, model) for model in (current, candidate))
    before, after = (_labels(side.people) for side in (old, new))
    both = _numbered(before * (int(after.max(initial=0)) + 1) + after)
    pairs_before, pairs_after, pairs_both = (_pairs_within(labels) for labels in (before, after, both))
    shared = _shared_edges(old.edges, new.edges)
    reviewed = _newest_review(zone)
    sides = [
        _side(model, linked, pairs, reviewed)
        for model, linked, pairs in ((current, old, pairs_before), (candidate, new, pairs_after))
    ]
    return ModelComparison(
        records=len(before),
        current=sides[0],
        candidate=sides[1],
        weights=weights_side_by_side(current.splink_settings, candidate.splink_settings),
        edges_gained=new.edges.num_rows - shared,
        edges_lost=old.edges.num_rows - shared,
        pairs_gained=pairs_after - pairs_both,
        pairs_lost=pairs_before - pairs_both,
        merged=_sharing(before, after),
        split=_spread(before, after),
        unchanged_people=_unchanged(before, after, both),
        b_cubed=_b_cubed(before, after, both),
        review=reviewed.sample_id if reviewed else None,
        judged_pairs=reviewed.pairs.num_rows if reviewed else 0,
    )


def linked_by(zone: AnalyticsZone, link_keys: pa.Table, model: LinkageModel) -> Linked:
    """Link `link_keys` (all columns of the store's table) with `model` as a night does, in a passing store."""
    with TemporaryDirectory() as folder:
        passing = AnalyticsZone(Home(Path(folder)), zone.keys)
        with passing.linkage() as connection:
            connection.register("arrived", link_keys)
            connection.execute("create table link_keys as from arrived")
        report = resolve_people(passing, model, from_nothing=True)
        with passing.linkage(read_only=True) as connection:
            return Linked(
                connection.execute(
                    "select record_ref, person_id from people order by record_ref"
                ).to_arrow_table(),
                connection.execute(
                    "select record_ref_l, record_ref_r, match_weight from edges"
                ).to_arrow_table(),
                sum(report.candidates.values()),
            )


def weights_side_by_side(
    current: Mapping[str, Any], candidate: Mapping[str, Any]
) -> tuple[LevelWeights, ...]:
    """Return every level of both models' settings: those of the candidate in their order, then those that it lacks."""
    old, new = _levels(current), _levels(candidate)
    return tuple(
        LevelWeights(
            *key,
            _weight(old.get(key)),
            _weight(new.get(key)),
            *(
                side[key][probability] if key in side else None
                for probability in (0, 1)
                for side in (old, new)
            ),
        )
        for key in dict.fromkeys((*new, *old))
    )


def _levels(settings: Mapping[str, Any]) -> dict[tuple[str, str], tuple[float, float]]:
    return {
        (comparison["output_column_name"], level["label_for_charts"]): (
            level["m_probability"],
            level["u_probability"],
        )
        for comparison in settings["comparisons"]
        for level in comparison["comparison_levels"]
        if not level.get("is_null_level")
    }


def _weight(level: tuple[float, float] | None) -> float | None:
    return None if level is None else log2(level[0] / level[1])


def _side(model: LinkageModel, linked: Linked, pairs: int, reviewed: ReviewedSample | None) -> SideFigures:
    judged = None if reviewed is None else _judged_by(linked, reviewed)
    return SideFigures(
        version=model.version,
        digest=model.digest,
        threshold=model.match_weight_threshold,
        prior=prior_weight(model.splink_settings),
        compared_pairs=linked.candidates,
        edges=linked.edges.num_rows,
        people=pc.count_distinct(linked.people["person_id"]).as_py(),
        linked_pairs=pairs,
        precision=judged[0] if judged else None,
        recall=judged[1] if judged else None,
    )


def _newest_review(zone: AnalyticsZone) -> ReviewedSample | None:
    reviewed = [each for each in reviewed_samples(zone) if each.pairs.num_rows]
    return reviewed[-1] if reviewed else None


def _judged_by(linked: Linked, reviewed: ReviewedSample) -> tuple[Estimate, Estimate] | None:
    """Return precision and recall of `linked` by the verdicts, over the pairs that the sample was drawn from."""
    person = _labels(linked.people)
    left, right = (
        pc.index_in(reviewed.pairs[side], value_set=linked.people["record_ref"])
        for side in ("record_ref_l", "record_ref_r")
    )
    here = pc.and_(pc.is_valid(left), pc.is_valid(right)).to_numpy(zero_copy_only=False)
    if not here.any():
        return None
    one, other = (pc.fill_null(places, 0).to_numpy() for places in (left, right))
    judged = reviewed.judged()
    told = Judged(
        judged.stratum[here],
        judged.verdict[here],
        (person[one] == person[other])[here],
        judged.share[here],
    )
    try:
        found = estimate(reviewed.strata, told, reviewed.records, reviewed.people)
    except ReviewError:
        return None
    return found.precision, found.recall


def _labels(people: pa.Table) -> Labels:
    return people["person_id"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)


def _numbered(labels: Labels) -> Labels:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _pairs_within(labels: Labels) -> int:
    sizes = np.bincount(labels)
    return int((sizes * (sizes - 1) // 2).sum())


def _shared_edges(one: pa.Table, other: pa.Table) -> int:
    named = [
        pc.binary_join_element_wise(side["record_ref_l"], side["record_ref_r"], "") for side in (one, other)
    ]
    return int(pc.sum(pc.is_in(named[0], value_set=named[1]), min_count=0).as_py())


def _links_between(labels: Labels, others: Labels) -> tuple[Labels, Labels]:
    """Return each two (label, other label) that share a record, once."""
    pairs = np.unique(np.stack([labels, others]), axis=1)
    return pairs[0], pairs[1]


def _sharing(before: Labels, after: Labels) -> int:
    """Count the labels of `before` that share a label of `after` with another."""
    old, new = _links_between(before, after)
    return len(np.unique(old[np.bincount(new)[new] > 1]))


def _spread(before: Labels, after: Labels) -> int:
    """Count the labels of `before` whose records have several labels of `after`."""
    old, _ = _links_between(before, after)
    return int((np.bincount(old) > 1).sum())


def _unchanged(before: Labels, after: Labels, both: Labels) -> int:
    """Count the people who have the very same records in both."""
    _, first = np.unique(both, return_index=True)
    sizes = np.bincount(both)
    same = (sizes == np.bincount(before)[before[first]]) & (sizes == np.bincount(after)[after[first]])
    return int(same.sum())


def _b_cubed(before: Labels, after: Labels, both: Labels) -> float:
    if not len(both):
        return 1.0
    shared = np.bincount(both)[both]
    precision = np.mean(shared / np.bincount(after)[after])
    recall = np.mean(shared / np.bincount(before)[before])
    return float(2 * precision * recall / (precision + recall))


def levels_in_order(weights: Sequence[LevelWeights]) -> dict[str, list[LevelWeights]]:
    """Return the levels by comparison, both in their order."""
    found: dict[str, list[LevelWeights]] = {}
    for each in weights:
        found.setdefault(each.comparison, []).append(each)
    return found
