"""Do the intervals of a clerical review hold the truth? Reviews of the county by a reviewer who knows it.

The reviewer is simulated: they know who is who, can tell all but a share of pairs, and err in a share of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from evaluation.linkage.identities import KEY_SEPARATOR, newest_identities
from evaluation.linkage.two_sides import link_keys_of
from evaluation.passing_keys import PassingKeys
from exchange.review import CANNOT_TELL, MATCH, NON_MATCH
from linkage.candidates.comparison import linked_by
from linkage.model import LinkageModel
from linkage.review.again import against_linkage, settled
from linkage.review.estimate import Estimate, Judged, ReviewEstimate, estimate
from linkage.review.sample import draw_sample
from linkage.review.universe import Universe, universe_of
from stores.analytics import AnalyticsZone
from stores.home import Home

A_DAY = date(2000, 1, 1)


@dataclass(frozen=True)
class Coverage:
    """Of `samples` reviews, the share whose interval held the truth, and how wide intervals were on average."""

    truth: float
    held: float
    width: float
    bias: float


@dataclass(frozen=True)
class ReviewCoverage:
    """Coverage of each figure at one size of sample. `judged`: pairs judged in one review, on average."""

    samples: int
    judged: float
    precision: Coverage
    recall: Coverage
    b_cubed_precision: Coverage


def county_universe(home: Home, model: LinkageModel) -> tuple[Universe, npt.NDArray[np.int64]]:
    """Link the newest identities in the partners' files of `home` and return the universe and whose each record is.

    No night need have run: the files and the truth are enough.
    """
    records = pq.read_table(home.truth / "records.parquet")
    named = pa.table({name: records[name].cast(pa.string()) for name in ("feed", "table", "key")})
    keys = pc.binary_join_element_wise(*named.columns, KEY_SEPARATOR).combine_chunks()
    identities = newest_identities(home)
    identities = identities.filter(pc.is_in(identities["record_ref"], value_set=keys))
    link_keys = link_keys_of(identities, PassingKeys())
    people = linked_by(AnalyticsZone(home, PassingKeys()), link_keys, model).people
    universe = universe_of(link_keys, people, model)
    owner = records["person_id"].cast(pa.string()).combine_chunks().dictionary_encode().indices
    person = owner.take(pc.index_in(universe.record_refs, value_set=keys))
    return universe, person.to_numpy().astype(np.int64)


def coverage_of_reviews(
    universe: Universe,
    person: npt.NDArray[np.int64],
    model: LinkageModel,
    size: int,
    seeds: Sequence[int],
    cannot_tell: float = 0.05,
    wrong: float = 0.0,
    *,
    again: bool = False,
) -> ReviewCoverage:
    """Review `universe` once for each seed, by `person` (a label per record of the universe), and compare.

    Of a share `cannot_tell` of pairs, drawn at random, the reviewer cannot tell; a share `wrong` of the other verdicts
    is wrong. With `again`, a second reviewer, as good as the first, looks at verdicts against linkage.
    """
    match = person[universe.left] == person[universe.right]
    places = {ref: place for place, ref in enumerate(universe.record_refs.to_pylist())}
    found = [
        _reviewed(universe, person, places, model, size, seed, (cannot_tell, wrong), again=again)
        for seed in seeds
    ]
    right = match & universe.linked
    records = len(universe.record_refs)
    return ReviewCoverage(
        samples=len(found),
        judged=float(np.mean([each.judged for each in found])),
        precision=_coverage(right.sum() / universe.linked.sum(), [each.precision for each in found]),
        recall=_coverage(right.sum() / match.sum(), [each.recall for each in found]),
        b_cubed_precision=_coverage(
            (universe.people + universe.share[right].sum()) / records,
            [each.b_cubed_precision for each in found],
        ),
    )


def _reviewed(
    universe: Universe,
    person: npt.NDArray[np.int64],
    places: Mapping[str, int],
    model: LinkageModel,
    size: int,
    seed: int,
    misjudged: tuple[float, float],
    *,
    again: bool,
) -> ReviewEstimate:
    sample = draw_sample(universe, model, size, seed, A_DAY)
    one, other = (
        person[[places[ref] for ref in sample.pairs[side].to_pylist()]]
        for side in ("record_ref_l", "record_ref_r")
    )
    linked = sample.pairs["linked"].to_numpy()
    first, second = (_verdicts(one == other, misjudged, [seed, reviewer]) for reviewer in (1, 2))
    looked_again = against_linkage(first, linked) & again
    judged = Judged(
        sample.pairs["stratum"].to_numpy().astype(np.int64),
        settled(first, np.where(looked_again, second, "")),
        linked,
        sample.pairs["share"].to_numpy(),
    )
    return estimate(sample.strata, judged, sample.records, sample.people, seed)


def _verdicts(
    match: npt.NDArray[np.bool_], misjudged: tuple[float, float], seed: Sequence[int]
) -> npt.NDArray[np.str_]:
    generator = np.random.default_rng(seed)
    cannot_tell, wrong = (generator.random(len(match)) < share for share in misjudged)
    return np.where(cannot_tell, CANNOT_TELL, np.where(match ^ wrong, MATCH, NON_MATCH))


def _coverage(truth: float, found: Sequence[Estimate]) -> Coverage:
    held = [each.low <= truth <= each.high for each in found]
    return Coverage(
        truth=float(truth),
        held=float(np.mean(held)),
        width=float(np.mean([each.high - each.low for each in found])),
        bias=float(np.mean([each.value for each in found]) - truth),
    )
