"""All pairs of records that a clerical review can be about, each with its match weight and whether people hold it.

A pair is in the universe if blocking brought it together and its match weight is at or above a floor, or if the two
records belong to one person already. What no blocking rule brought together is not in it, and no review of it can tell
how much that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from exchange.review import ReviewError
from linkage.model import LinkageModel
from linkage.people import CERTAIN_WEIGHT
from linkage.scoring.link_keys import read_link_keys
from linkage.scoring.pairs import linking_connection, score_pairs
from stores.analytics import AnalyticsZone

UNIVERSE = Path(__file__).with_name("pairs.sql")

FLOOR_BELOW_THRESHOLD = 16.0
"""Bits below the model's threshold down to which pairs are reviewed. On the synthetic county (5,000 households), of
pairs scored lower than that one in 250 was one person, 0.1 % of all that are."""


@dataclass(frozen=True)
class Universe:
    """Pairs in order of their records. `left`, `right` are rows of `record_refs` and `feeds`, left before right.

    `match_weight` is in bits; NaN where the pair was never compared and is held together by other records.
    `linked`: one person holds both. `share`: 2 / records of that person, 0 where not linked, so that the sum over
    the linked pairs that are right, plus one for each person, over all records is B³ precision.
    `below_floor` counts compared pairs of distinct keys under the floor, which are no part of the universe.
    """

    record_refs: pa.Array
    feeds: pa.Array
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    match_weight: npt.NDArray[np.float64]
    linked: npt.NDArray[np.bool_]
    share: npt.NDArray[np.float64]
    people: int
    threshold: float
    floor: float
    below_floor: int

    @property
    def pairs(self) -> int:
        return len(self.left)

    def feed_pairs(self) -> pa.Array:
        """Return for each pair the names of its two feeds, in order of the alphabet, parted by a dash."""
        names = self.feeds.dictionary_encode()
        codes, places = names.indices.to_numpy(), np.argsort(np.argsort(names.dictionary.to_numpy(False)))
        ranks = places[codes]
        one, other = ranks[self.left], ranks[self.right]
        ordered = pa.array(np.sort(names.dictionary.to_numpy(False)), pa.string())
        first, second = ordered.take(np.minimum(one, other)), ordered.take(np.maximum(one, other))
        return pc.binary_join_element_wise(first, second, " – ")


def read_universe(
    zone: AnalyticsZone, model: LinkageModel, floor_below: float = FLOOR_BELOW_THRESHOLD
) -> Universe:
    """Return the universe of what the last night linked in `zone`, scored by `model`.

    Raises `ReviewError` if nobody was linked yet.
    """
    with zone.linkage(read_only=True) as connection:
        tables = {row[0] for row in connection.execute("select table_name from duckdb_tables()").fetchall()}
        if "people" not in tables:
            raise ReviewError("No people were linked here yet. Run `doorstep refresh` first.")
        link_keys = read_link_keys(connection)
        people = connection.execute("select record_ref, person_id from people").to_arrow_table()
    return universe_of(link_keys, people, model, floor_below)


def universe_of(
    link_keys: pa.Table, people: pa.Table, model: LinkageModel, floor_below: float = FLOOR_BELOW_THRESHOLD
) -> Universe:
    """Return the universe of `link_keys` (as `read_link_keys` gives them) and `people` (record_ref, person_id).

    Records that are in one of the two only are left out: they came since the last night.
    """
    floor = model.match_weight_threshold - floor_below
    scored = score_pairs(link_keys, model.splink_settings, floor, guarded=False)
    connection = linking_connection()
    try:
        for name, table in (("scored", scored.edges), ("alike", scored.alike), ("people", people)):
            connection.register(name, table)
        for statement in duckdb.extract_statements(UNIVERSE.read_text(encoding="utf-8")):
            asked: list[Any] = [CERTAIN_WEIGHT] if statement.named_parameters else []
            connection.execute(statement, asked)
        records = connection.execute("select record_ref from review_records order by place").to_arrow_table()
        pairs = connection.execute("from review_universe").to_arrow_table()
        counted = connection.execute("select count(distinct person_id) from review_records").fetchone()
    finally:
        connection.close()
    refs = records["record_ref"].combine_chunks()
    feeds = link_keys["feed"].combine_chunks().cast(pa.string())
    return Universe(
        record_refs=refs,
        feeds=feeds.take(pc.index_in(refs, value_set=link_keys["record_ref"])),
        left=pairs["place_l"].to_numpy(),
        right=pairs["place_r"].to_numpy(),
        match_weight=pc.fill_null(pairs["match_weight"], np.nan).to_numpy(),
        linked=pairs["linked"].to_numpy(),
        share=pairs["share"].to_numpy(),
        people=counted[0] if counted else 0,
        threshold=model.match_weight_threshold,
        floor=floor,
        below_floor=sum(scored.weights.values()) - scored.edges.num_rows,
    )
