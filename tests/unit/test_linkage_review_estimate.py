"""Samples of a review and what verdicts on them tell: strata whose truth is known."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from exchange.review import CANNOT_TELL, MATCH, NON_MATCH, ReviewError
from linkage.model import LinkageModel
from linkage.review.estimate import Judged, estimate
from linkage.review.sample import LEAST_PER_STRATUM, Sample, draw_sample, share_out
from linkage.review.universe import Universe

MODEL = LinkageModel(1, 0.0, "nothing", {})
TODAY = date(2026, 10, 6)
RECORDS = 6_000


def a_universe(pairs: int = 20_000) -> tuple[Universe, np.ndarray]:
    """Pairs of made-up records: most linked pairs match, few of those apart do. Returns it and which match."""
    generator = np.random.default_rng(5)
    linked = np.arange(pairs) < pairs * 0.7
    weight = np.where(linked, generator.uniform(0, 25, pairs), generator.uniform(-16, 0, pairs))
    likely = np.where(linked, 0.99, 0.4 * np.exp2(weight / 3))
    universe = Universe(
        record_refs=pa.array([f"{place:032x}" for place in range(RECORDS)]),
        feeds=pa.array(
            np.array(["council_tax", "electoral_register", "sundry_debts"])[np.arange(RECORDS) % 3]
        ),
        left=generator.integers(0, RECORDS // 2, pairs).astype(np.int32),
        right=generator.integers(RECORDS // 2, RECORDS, pairs).astype(np.int32),
        match_weight=np.where(np.arange(pairs) % 50 == 0, np.where(linked, np.nan, weight), weight),
        linked=linked,
        share=np.where(linked, 0.1, 0.0),
        people=4_000,
        threshold=0.0,
        floor=-16.0,
        below_floor=7,
    )
    return universe, generator.random(pairs) < likely


def judged(sample: Sample, universe: Universe, match: np.ndarray) -> Judged:
    """Every pair of the sample, judged as it is."""
    both = zip(universe.left.tolist(), universe.right.tolist(), strict=True)
    place = {pair: number for number, pair in enumerate(both)}
    refs = [
        [int(ref, 16) for ref in sample.pairs[side].to_pylist()] for side in ("record_ref_l", "record_ref_r")
    ]
    told = [match[place[min(pair), max(pair)]] for pair in zip(*refs, strict=True)]
    return Judged(
        sample.pairs["stratum"].to_numpy().astype(np.int64),
        np.where(told, MATCH, NON_MATCH),
        sample.pairs["linked"].to_numpy(),
        sample.pairs["share"].to_numpy(),
    )


def test_the_same_seed_draws_the_same_pairs_and_another_others() -> None:
    universe, _ = a_universe()
    one, again, other = (draw_sample(universe, MODEL, 400, seed, TODAY) for seed in (1, 1, 2))
    assert one.pairs.equals(again.pairs)
    assert one.sample_id == again.sample_id != other.sample_id
    assert not one.pairs.equals(other.pairs)


def test_every_stratum_has_its_part_and_doubt_has_more() -> None:
    universe, _ = a_universe()
    sample = draw_sample(universe, MODEL, 400, 1, TODAY)
    assert sum(stratum.pairs for stratum in sample.strata) == universe.pairs
    assert sum(stratum.drawn for stratum in sample.strata) == sample.pairs.num_rows <= 400
    assert all(stratum.drawn >= min(stratum.pairs, LEAST_PER_STRATUM) for stratum in sample.strata)
    share = share_out(np.array([1_000, 1_000]), np.array([0.5, 0.1]), 300)
    assert share[0] > 3 * share[1]


def test_no_more_pairs_are_drawn_than_there_are() -> None:
    assert share_out(np.array([5, 40]), np.array([0.5, 0.5]), 400).tolist() == [5, 40]


def test_a_pair_is_asked_about_once_and_each_two_feeds_are() -> None:
    universe, _ = a_universe()
    sample = draw_sample(universe, MODEL, 400, 1, TODAY)
    assert set(sample.pairs["feeds"].to_pylist()) == set(universe.feed_pairs().to_pylist())
    assert sample.pairs["number"].to_pylist() == list(range(1, sample.pairs.num_rows + 1))


def test_the_order_in_which_pairs_are_asked_tells_nothing_of_them() -> None:
    universe, _ = a_universe()
    linked = draw_sample(universe, MODEL, 400, 1, TODAY).pairs["linked"].to_numpy()
    changes = (linked[1:] != linked[:-1]).mean()
    expected = 2 * linked.mean() * (1 - linked.mean())
    assert changes == pytest.approx(expected, abs=0.1)


def test_too_small_a_sample_is_refused() -> None:
    with pytest.raises(ReviewError, match="fewer than 100"):
        draw_sample(a_universe()[0], MODEL, 99, 1, TODAY)


def test_where_every_pair_is_judged_nothing_is_left_to_guess() -> None:
    universe, match = a_universe(300)
    sample = draw_sample(universe, MODEL, 300, 1, TODAY)
    assert sample.pairs.num_rows == 300
    found = estimate(sample.strata, judged(sample, universe, match), sample.records, sample.people)
    precision = (match & universe.linked).sum() / universe.linked.sum()
    recall = (match & universe.linked).sum() / match.sum()
    assert (found.precision.low, found.precision.high) == pytest.approx((precision, precision))
    assert (found.recall.low, found.recall.high) == pytest.approx((recall, recall))


def test_intervals_of_samples_hold_the_truth_about_as_often_as_they_say() -> None:
    universe, match = a_universe()
    precision = (match & universe.linked).sum() / universe.linked.sum()
    recall = (match & universe.linked).sum() / match.sum()
    held = []
    for seed in range(12):
        sample = draw_sample(universe, MODEL, 400, seed, TODAY)
        found = estimate(sample.strata, judged(sample, universe, match), sample.records, sample.people, seed)
        held.append(found.precision.low <= precision <= found.precision.high)
        held.append(found.recall.low <= recall <= found.recall.high)
        assert found.precision.high - found.precision.low < 0.05
    assert np.mean(held) >= 0.8


def test_pairs_of_which_nobody_can_tell_are_left_out_and_bounded() -> None:
    universe, match = a_universe()
    sample = draw_sample(universe, MODEL, 400, 1, TODAY)
    sure = judged(sample, universe, match)
    tenth = np.arange(len(sure.verdict)) % 10 == 0
    unsure = Judged(sure.stratum, np.where(tenth, CANNOT_TELL, sure.verdict), sure.linked, sure.share)
    found = estimate(sample.strata, unsure, sample.records, sample.people)
    assert found.cannot_tell == len(range(0, len(sure.verdict), 10))
    (low, high), (lowest, highest) = found.if_cannot_tell
    assert low < found.precision.value < high
    assert lowest < found.recall.value < highest


def test_a_stratum_without_verdicts_is_named() -> None:
    universe, match = a_universe()
    sample = draw_sample(universe, MODEL, 400, 1, TODAY)
    all_of_it = judged(sample, universe, match)
    missing = int(all_of_it.stratum[0])
    here = all_of_it.stratum != missing
    some = Judged(
        all_of_it.stratum[here], all_of_it.verdict[here], all_of_it.linked[here], all_of_it.share[here]
    )
    found = estimate(sample.strata, some, sample.records, sample.people)
    assert found.unjudged_strata == (sample.strata[missing].label,)
