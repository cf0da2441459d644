"""What a model would do at other thresholds, and how many records it could not link even to themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from linkage.model import LinkageModel
from linkage.scoring.pair_levels import levels_of_pairs
from linkage.scoring.pairs import linking_connection, load_compared_records, score_pairs

BELOW_THRESHOLD, ABOVE_THRESHOLD = 12.0, 20.0
STEP = 0.5


@dataclass(frozen=True)
class ThresholdCurve:
    """For each `thresholds` (bits): pairs of distinct keys at or over it, and the precision and recall that the model
    itself expects of them. Recall is over compared pairs. A model believes in itself: verdicts may say otherwise.
    """

    thresholds: tuple[float, ...]
    pairs: tuple[int, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]


@dataclass(frozen=True)
class Unlinkables:
    """For each `thresholds`: the share of records that would not reach it compared with themselves, since they hold too
    little. What a record holds bounds what anybody can link it to.
    """

    thresholds: tuple[float, ...]
    share: tuple[float, ...]


def threshold_curve(link_keys: pa.Table, model: LinkageModel) -> ThresholdCurve:
    """Return the curve around the model's own threshold, over the records of `link_keys`."""
    thresholds = np.arange(-BELOW_THRESHOLD, ABOVE_THRESHOLD + STEP / 2, STEP) + model.match_weight_threshold
    scored = score_pairs(link_keys, model.splink_settings, float(thresholds[0]))
    weight = np.sort(scored.edges["match_weight"].to_numpy())
    expected = np.append(0.0, np.cumsum(1 / (1 + np.exp2(-weight))))
    below = np.searchsorted(weight, thresholds)
    pairs = len(weight) - below
    matches = expected[-1] - expected[below]
    return ThresholdCurve(
        tuple(thresholds.tolist()),
        tuple(pairs.tolist()),
        tuple((matches / np.maximum(pairs, 1)).tolist()),
        tuple((matches / max(expected[-1], 1e-9)).tolist()),
    )


def unlinkables(link_keys: pa.Table, model: LinkageModel) -> Unlinkables:
    """Return the shares for thresholds from nothing known to twice the model's reach."""
    connection = linking_connection()
    try:
        load_compared_records(connection, link_keys)
        alike = connection.execute(
            "select compared_as as record_ref_l, compared_as as record_ref_r, count(*) as records "
            "from alike group by compared_as order by compared_as"
        ).to_arrow_table()
        weight = levels_of_pairs(connection, model.splink_settings, alike)["match_weight"].to_numpy()
    finally:
        connection.close()
    records = alike["records"].to_numpy()
    thresholds = np.arange(-BELOW_THRESHOLD, ABOVE_THRESHOLD + STEP / 2, STEP) + model.match_weight_threshold
    order = np.argsort(weight, kind="stable")
    total = np.append(0, np.cumsum(records[order]))
    share = total[np.searchsorted(weight[order], thresholds)] / max(int(total[-1]), 1)
    return Unlinkables(tuple(thresholds.tolist()), tuple(share.tolist()))
