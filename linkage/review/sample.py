"""Which pairs a reviewer is asked about: drawn from strata with known shares, so that verdicts speak for all pairs.

A stratum is a band of match weights among the pairs that people hold, or among those that they do not. Where doubt is
greatest more is drawn (Neyman 1934); within a stratum, pairs are taken at equal steps along their feeds, so that each
two feeds have their part in it. The reviewer sees neither weight nor stratum: both stay here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from exchange.review import ReviewError
from linkage.model import LinkageModel
from linkage.review.universe import Universe

IDENTICAL_KEYS = 400.0
"""Above any match weight that a model gives, and below what identical keys count as (`linkage.people`)."""

LINKED_BANDS = (0.0, 2.0, 5.0, 10.0, 20.0, IDENTICAL_KEYS + 50)
APART_BANDS = (-12.0, -9.0, -6.0, -4.0, -2.0, 0.0)
"""Bits above the model's threshold at which bands of pairs begin; the last of the linked is that of identical keys."""

LEAST_PER_STRATUM = 15
LEAST_PAIRS = 100
DOUBT = (0.1, 0.9)
"""A stratum counts as no surer than this when pairs are shared out: the model may be wrong where it is sure."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Stratum:
    """One stratum: `pairs` there are, of which `drawn` are asked about; `expected` matches among them by the model.

    `lowest` and `highest` match weight (bits) bound the band; None where open, both None for pairs never compared.
    `shares` is the sum of the universe's `share` over it.
    """

    linked: bool
    lowest: float | None
    highest: float | None
    pairs: int
    drawn: int
    expected: float
    shares: float

    @property
    def label(self) -> str:
        """The stratum in words."""
        side = "linked" if self.linked else "apart"
        if self.lowest is None and self.highest is None:
            return f"{side}, never compared"
        if self.lowest is not None and self.lowest >= IDENTICAL_KEYS:
            return f"{side}, identical keys"
        if self.highest is None or self.highest >= IDENTICAL_KEYS:
            return f"{side}, {self.lowest:+.1f} and more"
        if self.lowest is None:
            return f"{side}, below {self.highest:+.1f}"
        return f"{side}, {self.lowest:+.1f} to {self.highest:+.1f}"


@dataclass(frozen=True)
class Sample:
    """Pairs to be asked about, in the order in which they are asked: shuffled, so that it tells nothing.

    `pairs`: number (from 1), record_ref_l, record_ref_r (either may be the left one), feeds, stratum (position in
    `strata`), match_weight (null if never compared), linked, share.
    """

    sample_id: str
    drawn_on: date
    seed: int
    model_version: int
    model_digest: str
    threshold: float
    records: int
    people: int
    below_floor: int
    strata: Sequence[Stratum]
    pairs: pa.Table


def draw_sample(universe: Universe, model: LinkageModel, size: int, seed: int, on: date) -> Sample:
    """Draw about `size` pairs of `universe`; the same seed draws the same pairs.

    Raises `ReviewError` if `size` is too small to say anything.
    """
    if size < LEAST_PAIRS:
        raise ReviewError(f"A sample of fewer than {LEAST_PAIRS} pairs tells too little: ask for more.")
    of_pair = strata_of(universe)
    labels = _bounds(universe)
    pairs = np.bincount(of_pair, minlength=len(labels))
    match = match_probability(universe.match_weight)
    expected = np.bincount(of_pair, weights=match, minlength=len(labels))
    drawn = share_out(pairs, _doubt(labels, expected / np.maximum(pairs, 1), universe.threshold), size)
    shares = np.bincount(of_pair, weights=universe.share, minlength=len(labels))
    strata = [
        Stratum(
            linked,
            lowest,
            highest,
            int(pairs[place]),
            int(drawn[place]),
            float(expected[place]),
            float(shares[place]),
        )
        for place, (linked, lowest, highest) in enumerate(labels)
    ]
    generator = np.random.default_rng(seed)
    chosen = _drawn(universe, of_pair, drawn, generator)
    return Sample(
        sample_id=_name(model, universe, size, seed, on),
        drawn_on=on,
        seed=seed,
        model_version=model.version,
        model_digest=model.digest,
        threshold=universe.threshold,
        records=len(universe.record_refs),
        people=universe.people,
        below_floor=universe.below_floor,
        strata=strata,
        pairs=_asked(universe, of_pair, chosen, generator),
    )


def strata_of(universe: Universe) -> Numbers:
    """Return the stratum of every pair: a position in the bands of the linked, then of those apart."""
    above = np.nan_to_num(universe.match_weight - universe.threshold, nan=np.inf)
    linked = np.searchsorted(LINKED_BANDS, above, side="right") + 1
    linked[np.isnan(universe.match_weight)] = 0
    apart = np.searchsorted(APART_BANDS, above, side="right") + len(LINKED_BANDS) + 2
    return np.where(universe.linked, linked, apart).astype(np.int64)


def match_probability(match_weight: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the model's probability of a match; one half for a pair that it never compared."""
    return 1 / (1 + np.exp2(-np.nan_to_num(match_weight, nan=0.0)))


def share_out(pairs: Numbers, doubt: npt.NDArray[np.float64], size: int) -> Numbers:
    """Return how many pairs to draw from each stratum: in proportion to `pairs` times `doubt`, at least
    `LEAST_PER_STRATUM`, never more than there are.
    """
    drawn = np.minimum(pairs, LEAST_PER_STRATUM).astype(np.float64)
    while (left := size - drawn.sum()) >= 1 and (open_to_more := drawn < pairs).any():
        wanted = np.where(open_to_more, pairs * doubt, 0.0)
        drawn = np.minimum(pairs, drawn + left * wanted / wanted.sum())
    return np.floor(drawn + 1e-9).astype(np.int64)


def _bounds(universe: Universe) -> list[tuple[bool, float | None, float | None]]:
    threshold = universe.threshold
    linked = [None, *(threshold + band for band in LINKED_BANDS), None]
    apart = [universe.floor, *(threshold + band for band in APART_BANDS), None]
    return [
        (True, None, None),
        *((True, lowest, highest) for lowest, highest in pairwise(linked)),
        *((False, lowest, highest) for lowest, highest in pairwise(apart)),
    ]


def _doubt(
    labels: Sequence[tuple[bool, float | None, float | None]],
    share: npt.NDArray[np.float64],
    threshold: float,
) -> npt.NDArray[np.float64]:
    """Return the standard deviation of a verdict in each stratum, as the model expects it.

    Where people hold what the weight does not, or do not hold what it does, the model says nothing of use: one half.
    """
    overruled = [
        lowest is None if linked else lowest is not None and lowest >= threshold
        for linked, lowest, _ in labels
    ]
    likely = np.where(overruled, 0.5, np.clip(share, *DOUBT))
    return np.sqrt(likely * (1 - likely))


def _drawn(universe: Universe, of_pair: Numbers, drawn: Numbers, generator: np.random.Generator) -> Numbers:
    """Return the places of the pairs drawn: in each stratum at equal steps, from a random start, along its feeds."""
    along = universe.feed_pairs().dictionary_encode().indices.to_numpy()
    order = np.lexsort((generator.random(universe.pairs), along, of_pair))
    starts = np.searchsorted(of_pair[order], np.arange(len(drawn)))
    sizes = np.bincount(of_pair, minlength=len(drawn))
    places = [
        start + np.floor((generator.random() + np.arange(count)) * size / count).astype(np.int64)
        for start, size, count in zip(starts, sizes, drawn, strict=True)
        if count
    ]
    return order[np.concatenate(places)]


def _asked(universe: Universe, of_pair: Numbers, chosen: Numbers, generator: np.random.Generator) -> pa.Table:
    chosen = generator.permutation(chosen)
    swapped = generator.random(len(chosen)) < 0.5
    one, other = universe.left[chosen], universe.right[chosen]
    weight = universe.match_weight[chosen]
    return pa.table(
        {
            "number": pa.array(np.arange(1, len(chosen) + 1), pa.int32()),
            "record_ref_l": universe.record_refs.take(pa.array(np.where(swapped, other, one))),
            "record_ref_r": universe.record_refs.take(pa.array(np.where(swapped, one, other))),
            "feeds": universe.feed_pairs().take(pa.array(chosen)),
            "stratum": pa.array(of_pair[chosen], pa.int32()),
            "match_weight": pa.array(weight, pa.float64(), mask=np.isnan(weight)),
            "linked": pa.array(universe.linked[chosen]),
            "share": pa.array(universe.share[chosen]),
        }
    )


def _name(model: LinkageModel, universe: Universe, size: int, seed: int, on: date) -> str:
    said = f"{model.digest}/{universe.pairs}/{universe.people}/{size}/{seed}/{on}"
    return f"{on}-{sha256(said.encode()).hexdigest()[:8]}"
