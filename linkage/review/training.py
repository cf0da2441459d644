"""A candidate from verdicts: how often true matches agree in each way, counted on reviewed pairs.

Pairs are reviewed mostly where doubt is greatest, so that each match counts as many times as its stratum has pairs for
one judged. (Splink's `estimate_m_from_pairwise_labels` would count each once, and take the doubtful for the usual.)
What the model said before stays, with the weight of `BELIEVED_PAIRS` reviewed matches.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exchange.review import MATCH, ReviewError
from linkage.review.store import ReviewedSample
from linkage.scoring.pair_levels import levels_of_pairs
from linkage.scoring.pairs import linking_connection, load_compared_records

BELIEVED_PAIRS = 100.0
LEAST_MATCHES = 50


def with_verdicts(
    settings: Mapping[str, Any], link_keys: pa.Table, reviewed: Sequence[ReviewedSample]
) -> dict[str, Any]:
    """Return `settings` with m probabilities moved towards what the matches among the reviewed pairs agree in.

    Levels whose m was set in review stay as they are; the others of their comparison share the rest. Raises
    `ReviewError` if fewer than `LEAST_MATCHES` matches were found.
    """
    pairs, weight = _matches(reviewed)
    if pairs.num_rows < LEAST_MATCHES:
        raise ReviewError(
            f"Reviewers found {pairs.num_rows} matches; a model needs {LEAST_MATCHES}. Judge more pairs first."
        )
    levels, kept = _levels(settings, link_keys, pairs)
    weight = weight[kept]
    found = copy.deepcopy(dict(settings))
    for comparison in found["comparisons"]:
        level = levels[f"level_{comparison['output_column_name']}"].to_numpy()
        _move(comparison["comparison_levels"], level, weight)
    return found


def _matches(reviewed: Sequence[ReviewedSample]) -> tuple[pa.Table, np.ndarray]:
    """Return the reviewed pairs that are matches, and how many pairs of the universe each stands for."""
    tables, weights = [], []
    for sample in reviewed:
        judged = sample.judged()
        sure = judged.verdict != "cannot tell"
        seen = np.bincount(judged.stratum[sure], minlength=len(sample.strata))
        each = np.array([stratum.pairs for stratum in sample.strata]) / np.maximum(seen, 1)
        match = judged.verdict == MATCH
        tables.append(sample.pairs.filter(pa.array(match)).select(["record_ref_l", "record_ref_r"]))
        # Two samples of one universe would count it twice.
        weights.append(each[judged.stratum[match]] / len(reviewed))
    if not tables:
        return pa.table({"record_ref_l": pa.array([], pa.string())}), np.empty(0)
    return pa.concat_tables(tables), np.concatenate(weights)


def _levels(settings: Mapping[str, Any], link_keys: pa.Table, pairs: pa.Table) -> tuple[pa.Table, np.ndarray]:
    """Return the level of each comparison for `pairs`, and which of them still have both records."""
    held = link_keys["record_ref"]
    here = pc.and_(*(pc.is_in(pairs[side], value_set=held) for side in ("record_ref_l", "record_ref_r")))
    pairs = pairs.filter(here)
    wanted = pa.concat_arrays([pairs[side].combine_chunks() for side in ("record_ref_l", "record_ref_r")])
    connection = linking_connection()
    try:
        records = link_keys.filter(pc.is_in(held, value_set=wanted))
        load_compared_records(connection, records, collapse=False)
        return levels_of_pairs(connection, settings, pairs), here.to_numpy(zero_copy_only=False)
    finally:
        connection.close()


def _move(levels: Sequence[dict[str, Any]], reached: np.ndarray, weight: np.ndarray) -> None:
    """Set the m probabilities of one comparison's levels; `reached`: the level of each match."""
    free = [
        place
        for place, level in enumerate(levels)
        if not level.get("is_null_level") and not level.get("fix_m_probability")
    ]
    told = np.isin(reached, free)
    if not told.any():
        return
    counted = np.bincount(reached[told], weights=weight[told], minlength=len(levels))
    pairs = weight[told].sum() ** 2 / (weight[told] ** 2).sum()
    mass = sum(levels[place]["m_probability"] for place in free)
    for place in free:
        believed = levels[place]["m_probability"] / mass
        share = (BELIEVED_PAIRS * believed + pairs * counted[place] / counted.sum()) / (
            BELIEVED_PAIRS + pairs
        )
        levels[place]["m_probability"] = float(f"{mass * share:.6g}")
