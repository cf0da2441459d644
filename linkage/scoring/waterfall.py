"""Why two records are, or are not, linked: the match weight built up comparison by comparison, in token terms.

Nothing here knows a name. A step says that the full-name tokens agree, never what they stand for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from linkage.model import LinkageModel, read_model
from linkage.scoring.link_keys import read_link_keys
from linkage.scoring.pair_levels import blocking_conditions, levels_of_pairs, model_comparisons, prior_weight
from linkage.scoring.pairs import COMPARED, linking_connection, load_compared_records
from stores.analytics import AnalyticsZone


class NoSuchRecordError(LookupError):
    """A record reference that the linkage store does not hold."""


@dataclass(frozen=True)
class Step:
    """One comparison: the level that the pair reached, its weight, and what the rarity of the value adds (bits).

    `known` is false where one of the two records holds nothing to compare.
    """

    comparison: str
    level: str
    weight: float
    rarity: float
    known: bool


@dataclass(frozen=True)
class Waterfall:
    """`match_weight` is `prior` and all steps together, in bits; from `threshold` on a pair is linked.

    `shared_rules`: the blocking rules that bring the two together; none, and they are never compared.
    `ruled_out`: relatives by rule, whatever the weight. `identical`: one record is compared for both.
    """

    feeds: tuple[str, str]
    prior: float
    steps: tuple[Step, ...]
    match_weight: float
    threshold: float
    shared_rules: tuple[str, ...]
    ruled_out: bool
    identical: bool

    @property
    def linked(self) -> bool:
        """Whether the pair alone would be linked; clustering may still cut it."""
        heavy = bool(self.shared_rules) and self.match_weight >= self.threshold
        return self.identical or (heavy and not self.ruled_out)


@dataclass(frozen=True)
class ExplainedPair:
    """A waterfall with what linkage made of the two records: `same_person` is none before the first night."""

    waterfall: Waterfall
    same_person: bool | None


def explain_pair(
    zone: AnalyticsZone, first: str, second: str, model: LinkageModel | None = None
) -> ExplainedPair:
    """Return why the records `first` and `second` of the linkage store are one person, or are not.

    Raises `NoSuchRecordError`, and `StoreUnreadableError` without a store.
    """
    with zone.linkage(read_only=True) as connection:
        link_keys = read_link_keys(connection)
        linked = connection.execute(
            "select count(*) from duckdb_tables() where database_name = current_database() and table_name = 'people'"
        ).fetchone() == (1,)
        people = (
            connection.execute(
                "select count(distinct person_id), count(*) from people where record_ref in (?, ?)",
                [first, second],
            ).fetchone()
            if linked
            else None
        )
    unknown = [ref for ref in (first, second) if not pc.any(pc.equal(link_keys["record_ref"], ref)).as_py()]
    if unknown:
        raise NoSuchRecordError(
            f"No record {unknown[0]} in the linkage store. References are those of the warehouse's record_ref."
        )
    waterfall = waterfalls(link_keys, pa.table({"record_ref_l": [first], "record_ref_r": [second]}), model)[0]
    return ExplainedPair(waterfall, people[0] == 1 if people and people[1] == 2 else None)


def waterfalls(link_keys: pa.Table, pairs: pa.Table, model: LinkageModel | None = None) -> list[Waterfall]:
    """Return the waterfall of each of `pairs` (record_ref_l, record_ref_r), in their order. Meant for a few.

    `link_keys` must be all of the store's: how rare a value is hangs on the others.
    """
    model = model or read_model()
    settings = model.splink_settings
    connection = linking_connection()
    try:
        load_compared_records(connection, link_keys)
        connection.register("told_pairs", pairs)
        compared = connection.execute(
            """
            select l.compared_as as record_ref_l, r.compared_as as record_ref_r, fl.feed as feed_l, fr.feed as feed_r
            from (select *, row_number() over () as place from told_pairs) as told
            join alike as l on l.record_ref = told.record_ref_l
            join alike as r on r.record_ref = told.record_ref_r
            join link_keys as fl on fl.record_ref = told.record_ref_l
            join link_keys as fr on fr.record_ref = told.record_ref_r
            order by place
            """
        ).to_arrow_table()
        levels = levels_of_pairs(connection, settings, compared)
        rules = blocking_conditions(settings)
        shared = ", ".join(f"coalesce({rule}, false)" for rule in rules)
        connection.register("compared_pairs", compared)
        met = connection.execute(
            f"""
            select {shared}
            from (select *, row_number() over () as place from compared_pairs) as told
            join {COMPARED} as l on l.record_ref = told.record_ref_l
            join {COMPARED} as r on r.record_ref = told.record_ref_r
            order by place
            """
        ).fetchall()
    finally:
        connection.close()
    return [
        _waterfall(pair, row, [rule for rule, holds in zip(rules, held, strict=True) if holds], model)
        for pair, row, held in zip(compared.to_pylist(), levels.to_pylist(), met, strict=True)
    ]


def _waterfall(
    pair: Mapping[str, Any], row: Mapping[str, Any], rules: list[str], model: LinkageModel
) -> Waterfall:
    steps = []
    for told in model_comparisons(model.splink_settings):
        level = told.levels[row[f"level_{told.name}"]]
        steps.append(
            Step(told.name, level.label, level.weight, row[f"rarity_{told.name}"], known=not level.unknown)
        )
    return Waterfall(
        feeds=(pair["feed_l"], pair["feed_r"]),
        prior=prior_weight(model.splink_settings),
        steps=tuple(steps),
        match_weight=row["match_weight"],
        threshold=model.match_weight_threshold,
        shared_rules=tuple(rules),
        ruled_out=row["relatives"],
        identical=pair["record_ref_l"] == pair["record_ref_r"],
    )
