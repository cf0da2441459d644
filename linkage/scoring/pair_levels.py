"""Any pairs of records in the model's terms: the level of each comparison, its weight, the rule that joins the pair.

Splink tells this of the pairs that it compared. Here it is told of any pair, compared or not, so that a missed pair can
be asked why it was missed. The weights are Splink's own: prior, log2(m / u) of each level, rarity of an agreeing token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from typing import Any

import duckdb
import pyarrow as pa

from linkage.scoring.frequencies import frequencies_query, frequency_columns
from linkage.scoring.pairs import COMPARED, RELATIVES

ASKED = "asked_pairs"


@dataclass(frozen=True)
class Rarity:
    """Agreement in a rare value of `column` weighs more: `factor` times log2(`usual` / share of the value), in bits.

    `usual` is how often two strangers agree in it; a share below `least` counts as that.
    """

    column: str
    usual: float
    factor: float
    least: float


@dataclass(frozen=True)
class Level:
    """One level of a comparison: its label in the model and what it weighs (bits; 0 where something is unknown)."""

    label: str
    weight: float
    rarity: Rarity | None = None
    unknown: bool = False
    """One of the two records holds nothing to compare."""


@dataclass(frozen=True)
class Comparison:
    """A comparison of the model, its levels in the order in which they are tried."""

    name: str
    levels: tuple[Level, ...]


def model_comparisons(settings: Mapping[str, Any]) -> tuple[Comparison, ...]:
    """Return the comparisons of `settings` with the weight of each level."""
    return tuple(
        Comparison(
            comparison["output_column_name"],
            tuple(
                Level(
                    level["label_for_charts"],
                    0.0
                    if level.get("is_null_level")
                    else log2(level["m_probability"] / level["u_probability"]),
                    _rarity_of(level, comparison["comparison_levels"]),
                    bool(level.get("is_null_level")),
                )
                for level in comparison["comparison_levels"]
            ),
        )
        for comparison in settings["comparisons"]
    )


def blocking_conditions(settings: Mapping[str, Any]) -> list[str]:
    """Return the blocking rules of `settings` in their order: conditions over `l` and `r`."""
    return [rule["blocking_rule"] for rule in settings["blocking_rules_to_generate_predictions"]]


def prior_weight(settings: Mapping[str, Any]) -> float:
    """Return the match weight (bits) of two records of which nothing is known."""
    prior = settings["probability_two_random_records_match"]
    return log2(prior / (1 - prior))


def levels_of_pairs(
    connection: duckdb.DuckDBPyConnection, settings: Mapping[str, Any], pairs: pa.Table
) -> pa.Table:
    """Return, for `pairs` (record_ref_l, record_ref_r), what the model says of each, in the same order.

    Columns: the pair; `level_<comparison>` (position in `model_comparisons`), `rarity_<comparison>` (bits, where a
    comparison weighs rarity), `match_weight`, `rule` (position of the first blocking rule that joins the pair; null if
    none does), `relatives` (ruled out whatever they weigh). `connection` holds the records of
    `linkage.scoring.pairs.load_compared_records`; pairs of others are left out.
    """
    comparisons = model_comparisons(settings)
    connection.register(ASKED, pairs.select(["record_ref_l", "record_ref_r"]))
    shares = _make_value_shares(connection, settings)
    columns = _columns_besides_reference(connection)
    sides = ", ".join(f"{side}.{column} as {column}_{side}" for side in ("l", "r") for column in columns)
    rules = " ".join(
        f"when {condition} then {place}" for place, condition in enumerate(blocking_conditions(settings))
    )
    levels = ", ".join(
        f"{_level(given)} as level_{told.name}"
        for given, told in zip(settings["comparisons"], comparisons, strict=True)
    )
    named = ", ".join(f"level_{told.name}, rarity_{told.name}" for told in comparisons)
    try:
        return connection.execute(
            f"""
            with
            asked as (select record_ref_l, record_ref_r, row_number() over () as place from {ASKED}),
            joined as (
                select
                    asked.*,
                    {sides},
                    case {rules} end as rule,
                    coalesce({RELATIVES}, false) as relatives,
                from asked
                join {COMPARED} as l on l.record_ref = record_ref_l
                join {COMPARED} as r on r.record_ref = record_ref_r
            ),
            levelled as (select *, {levels} from joined),
            weighed as (
                select levelled.*, {
                ", ".join(f"{_rarity(told)} as rarity_{told.name}" for told in comparisons)
            }
                from levelled
                {
                " ".join(
                    f"left join share_of_{column} as share_of_{column}_{side} "
                    f"on share_of_{column}_{side}.value = {column}_{side}"
                    for column in shares
                    for side in ("l", "r")
                )
            }
            )
            select
                record_ref_l,
                record_ref_r,
                {named},
                {prior_weight(settings)!r}
                    + {
                " + ".join(f"{_weight(told)} + rarity_{told.name}" for told in comparisons)
            } as match_weight,
                rule,
                relatives,
            from weighed
            order by place
            """
        ).to_arrow_table()
    finally:
        connection.unregister(ASKED)


def _columns_besides_reference(connection: duckdb.DuckDBPyConnection) -> list[str]:
    described = connection.execute(f"describe {COMPARED}").fetchall()
    return [row[0] for row in described if row[0] != "record_ref"]


def _rarity_of(level: Mapping[str, Any], levels: Sequence[Mapping[str, Any]]) -> Rarity | None:
    column = level.get("tf_adjustment_column")
    factor = level.get("tf_adjustment_weight", 1.0)
    if not column or not factor:
        return None
    exact = f"{column}_l={column}_r"
    usual = level["u_probability"]
    if not level.get("disable_tf_exact_match_detection"):
        # A level of near agreement takes how often strangers agree exactly, as Splink does.
        usual = next((one["u_probability"] for one in levels if _bare(one["sql_condition"]) == exact), usual)
    return Rarity(column, usual, factor, level.get("tf_minimum_u_value", 0.0))


def _bare(condition: str) -> str:
    return condition.replace('"', "").replace(" ", "")


def _make_value_shares(connection: duckdb.DuckDBPyConnection, settings: Mapping[str, Any]) -> Sequence[str]:
    """Make `share_of_<column>` (the term frequency of each value that the records hold); return the columns."""
    columns = frequency_columns(settings)
    for column in columns:
        connection.execute(
            f"create or replace temp table share_of_{column} as "
            f"select {column} as value, tf_{column} as share from ({frequencies_query(COMPARED, column)})"
        )
    return columns


def _level(given: Mapping[str, Any]) -> str:
    """Return the SQL that tells which level a pair reaches: the first whose condition holds."""
    *tried, last = given["comparison_levels"]
    if last["sql_condition"].strip().upper() != "ELSE":
        raise ValueError(f"the last level of {given['output_column_name']} is not ELSE")
    cases = " ".join(f"when {level['sql_condition']} then {place}" for place, level in enumerate(tried))
    return f"case {cases} else {len(tried)} end"


def _weight(told: Comparison) -> str:
    cases = " ".join(f"when {place} then {level.weight!r}" for place, level in enumerate(told.levels))
    return f"case level_{told.name} {cases} end::double"


def _rarity(told: Comparison) -> str:
    cases = "".join(
        f" when {place} then {rare.factor!r} * log2({rare.usual!r} / greatest("
        f"share_of_{rare.column}_l.share, share_of_{rare.column}_r.share, {rare.least!r}))"
        for place, level in enumerate(told.levels)
        if (rare := level.rarity) is not None
    )
    return f"coalesce(case level_{told.name}{cases} end, 0.0)::double" if cases else "0.0::double"
