"""Everything that the linkage page tells of a home, gathered once: figures, groups, anatomy, weights, nights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from evaluation.linkage.anatomy import Anatomy, Pattern, anatomy_of
from evaluation.linkage.clusters_measure import (
    ClusterMeasure,
    FeedPairMeasure,
    GroupMeasure,
    measure_clusters,
    measure_feed_pairs,
    measure_groups,
    recall_gap,
)
from evaluation.linkage.judged import JudgedHome, judged_home
from evaluation.linkage.origins import FEWEST_PAIRS
from linkage.model import LinkageModel, read_model
from linkage.nights.drift import PastNight, past_nights
from linkage.scoring.waterfall import Waterfall, waterfalls
from stores.analytics import AnalyticsZone
from stores.home import Home

LEAST_PRECISION, LEAST_RECALL, LEAST_B_CUBED, LARGEST_GAP = 0.999, 0.97, 0.985, 0.03
"""What linkage aims at, over the county of 60,000 households: by pair, by pair, by record, between name origins."""

WEIGHT_STEP = 2


@dataclass(frozen=True)
class Aim:
    """A headline figure beside what is wanted of it; no value where the county is too small to tell."""

    name: str
    value: float | None
    wanted: float
    at_least: bool

    @property
    def holds(self) -> bool | None:
        """Whether the aim is met."""
        if self.value is None:
            return None
        return self.value >= self.wanted if self.at_least else self.value <= self.wanted


@dataclass(frozen=True)
class WeightBand:
    """Linked pairs from `weight` (bits) up to the next band: of one person, and of two."""

    weight: int
    right: int
    wrong: int


@dataclass(frozen=True)
class Evidence:
    """Links of the second look by one kind of evidence: of one person, and of two. `weight` in bits, as reviewed."""

    evidence: str
    weight: float
    right: int
    wrong: int


@dataclass(frozen=True)
class Example:
    """A pair that stands for many: why it is shown, its references, and how its weight came about."""

    title: str
    pair: tuple[str, str]
    waterfall: Waterfall


@dataclass(frozen=True)
class LinkageReport:
    """Figures of one home with a known truth. `sides`: other ways of linking the same records, when they were asked."""

    county: Mapping[str, Any]
    model_version: int
    model_digest: str
    measure: ClusterMeasure
    origin_gap: float | None
    unknown_records: int
    missing_records: int
    feed_pairs: tuple[FeedPairMeasure, ...]
    groups: Mapping[str, Mapping[str, GroupMeasure]]
    anatomy: Anatomy
    weights: tuple[WeightBand, ...]
    second_look: tuple[Evidence, ...]
    examples: tuple[Example, ...]
    nights: tuple[PastNight, ...]
    sides: Any = None

    @property
    def aims(self) -> tuple[Aim, ...]:
        """The headline figures beside what is wanted."""
        return (
            Aim("Precision by pair", self.measure.pairwise.precision, LEAST_PRECISION, at_least=True),
            Aim("Recall by pair", self.measure.pairwise.recall, LEAST_RECALL, at_least=True),
            Aim("F1 by record (B³)", self.measure.b_cubed.f1, LEAST_B_CUBED, at_least=True),
            Aim("Largest gap in recall between name origins", self.origin_gap, LARGEST_GAP, at_least=False),
        )


def report_linkage(home: Home, model: LinkageModel | None = None, sides: Any = None) -> LinkageReport:
    """Gather what can be told of the last night's linkage in `home`.

    Raises `evaluation.linkage.county.TruthMissingError` if the home was not made by the generator.
    """
    model = model or read_model()
    judged = judged_home(home)
    found, truth = judged.records.found, judged.records.truth
    groups = {name: measure_groups(found, truth, values) for name, values in judged.records.groups.items()}
    anatomy = anatomy_of(judged.link_keys, judged.records, model, judged.edges)
    with AnalyticsZone.open(home).linkage(read_only=True) as connection:
        nights = tuple(past_nights(connection))
    truth_file = json.loads((home.truth / "county.json").read_text(encoding="utf-8"))
    return LinkageReport(
        county={**truth_file["parameters"], "first_day": truth_file["first_day"], "end": truth_file["end"]},
        model_version=model.version,
        model_digest=model.digest,
        measure=measure_clusters(found, truth),
        origin_gap=_origin_gap(groups["origin"]),
        unknown_records=judged.unknown_records,
        missing_records=judged.missing_records,
        feed_pairs=tuple(measure_feed_pairs(found, truth, judged.feed)),
        groups=groups,
        anatomy=anatomy,
        weights=_weights(judged),
        second_look=_second_look(judged),
        examples=_examples(judged.link_keys, anatomy, model),
        nights=nights,
        sides=sides,
    )


def _origin_gap(origins: Mapping[str, GroupMeasure]) -> float | None:
    judged = sum(group.true_pairs >= FEWEST_PAIRS for group in origins.values())
    return recall_gap(origins, FEWEST_PAIRS) if judged > 1 else None


def _weights(judged: JudgedHome) -> tuple[WeightBand, ...]:
    same = _of_one_person(judged.edges, judged)
    band = np.floor(judged.edges["match_weight"].to_numpy() / WEIGHT_STEP).astype(np.int64) * WEIGHT_STEP
    return tuple(
        WeightBand(int(weight), int((same & (band == weight)).sum()), int((~same & (band == weight)).sum()))
        for weight in np.unique(band)
    )


def _second_look(judged: JudgedHome) -> tuple[Evidence, ...]:
    links = judged.second_links
    right = _of_one_person(links, judged)
    counted = pa.table(
        {"evidence": links["evidence"], "weight": links["match_weight"], "right": right, "wrong": ~right}
    )
    by_kind = counted.group_by("evidence").aggregate([("weight", "max"), ("right", "sum"), ("wrong", "sum")])
    kinds = [
        Evidence(row["evidence"], row["weight_max"], row["right_sum"], row["wrong_sum"])
        for row in by_kind.to_pylist()
    ]
    return tuple(sorted(kinds, key=lambda kind: -(kind.right + kind.wrong)))


def _of_one_person(links: pa.Table, judged: JudgedHome) -> npt.NDArray[np.bool_]:
    """Return whether the two ends of each link are one person in truth."""
    left, right = (
        pc.index_in(links[side], value_set=judged.link_keys["record_ref"]).to_numpy(zero_copy_only=False)
        for side in ("record_ref_l", "record_ref_r")
    )
    truth = judged.records.truth
    same: npt.NDArray[np.bool_] = truth[left.astype(np.int64)] == truth[right.astype(np.int64)]
    return same


def _examples(link_keys: pa.Table, anatomy: Anatomy, model: LinkageModel) -> tuple[Example, ...]:
    """Return a waterfall for the commonest ways to be missed and to be let in."""
    chosen: list[tuple[str, Pattern]] = [
        *(("Missed: below the threshold", pattern) for pattern in anatomy.below[:2]),
        *(("Missed: never compared", pattern) for pattern in anatomy.never_compared[:1]),
        *(("False: let in", pattern) for pattern in anatomy.false_patterns[:2]),
    ]
    chosen = [(title, pattern) for title, pattern in chosen if pattern.example[0] != pattern.example[1]]
    if not chosen:
        return ()
    left, right = zip(*(pattern.example for _, pattern in chosen), strict=True)
    told = waterfalls(link_keys, pa.table({"record_ref_l": left, "record_ref_r": right}), model)
    return tuple(
        Example(title, pattern.example, waterfall)
        for (title, pattern), waterfall in zip(chosen, told, strict=True)
    )
