"""Linkage on people no one here made: clear-text Splink and Doorstep's link keys beside each other.

The link keys are the county's: same encoding, same comparisons, same kind of blocking. Only the weights are
fitted to each table (by expectation maximisation on its own link keys), since they depend on how the table
was kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import splink.comparison_level_library as cll
from splink import block_on
from splink.internals.blocking_rule_creator import BlockingRuleCreator
from splink.internals.comparison_creator import ComparisonCreator

from bridge.link_keys.encoding import encode_link_keys, encode_tokens
from evaluation.datasets import PeopleTable, febrl3, historical_50k, own_table
from evaluation.linkage_clear import (
    LOWEST_WEIGHT,
    RANDOM_PAIRS,
    ClearModel,
    clear_pairs,
    febrl_model,
    historical_model,
    plain_model,
)
from evaluation.linkage_two_sides import clear_columns, clear_plan
from evaluation.pairs import ThresholdFigures, best_threshold, pairs_within
from evaluation.passing_keys import PassingKeys
from exchange.link_key_schema import FIRST_EPOCH
from linkage.comparisons import (
    POSTCODE_TOKENS,
    birth_date_comparison,
    comparison,
    level,
    name_comparison,
    partner_reference_comparison,
    same,
    token_comparison,
    unknown,
)
from linkage.pairs import score_pairs
from linkage.training import TrainingPlan, train_settings

Dataset = Literal["febrl3", "historical_50k"]

BLOCKING_TOKENS = (
    "name_starts",
    "surname_birth_date",
    "forename_birth_date",
    "forename_postcode",
    "surname_postcode",
    "surname_uprn",
    "forename_uprn",
    "full_name_outward_code",
    "birth_date_outward_code",
    "name_starts_birth_year",
    "nino",
    "nhs_number",
    "phone",
    "partner_reference",
)
SURE_MATCHES = (
    ("full_name", "forename_start_birth_date"),
    ("forename_start_birth_date", "initial_postcode"),
    ("surname_uprn", "full_name"),
    ("nino",),
    ("nhs_number",),
    ("partner_reference",),
)
SURE_MATCH_RECALL = 0.6

NUMBERS_IN_THE_CLEAR = ("nino", "nhs_number", "partner_reference")
"""Numbers in which the clear side sees a slip. In one table, a system's own reference is typed like any other."""


def evaluate_dataset(dataset: Dataset) -> dict[str, Any]:
    """Return {"dataset", "clear": {precision, recall, f1}, "clear_same_blocking": {…}, "pseudonymised": {…}} and what
    else describes the run.

    `clear` is the model documented for the data set, with its own blocking; `clear_same_blocking` compares the same
    pairs as `pseudonymised`, by what the clear text shows. Each side is taken at its own best threshold. Raises
    `DatasetError` if the data set is not to be had.
    """
    if dataset == "febrl3":
        return _evaluate(febrl3(), febrl_model(), standardised=False)
    return _evaluate(historical_50k(), historical_model(), standardised=False)


def evaluate_file(path: Path, truth_column: str, mapping: Mapping[str, str]) -> dict[str, Any]:
    """As `evaluate_dataset`, for anybody's own table of people. `mapping`: identity column → the file's
    column.

    Raises `DatasetError` on a column that is not there.
    """
    table = own_table(path, truth_column, mapping)
    return _evaluate(table, plain_model(table), standardised=True)


def _evaluate(table: PeopleTable, model: ClearModel, *, standardised: bool) -> dict[str, Any]:
    link_keys, tokens = encoded_table(table, PassingKeys())
    plan = linkage_plan(table, link_keys)
    clear = clear_columns(table.records)
    with_clear = pa.table(dict_of(link_keys) | dict_of(clear))
    sides = {
        "clear": clear_pairs(table, model, standardised=standardised),
        "clear_same_blocking": trained_pairs(
            with_clear, clear_plan(plan, NUMBERS_IN_THE_CLEAR), [*tokens, *clear.column_names]
        ),
        "pseudonymised": trained_pairs(link_keys, plan, tokens),
    }
    return {
        "dataset": table.name,
        "records": table.records.num_rows,
        "true_pairs": pairs_within(_truth(table)),
    } | {side: _described(figures_of(table, pairs)) for side, pairs in sides.items()}


def dict_of(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Return the columns of `table` by name."""
    return {name: table[name] for name in table.column_names}


def trained_pairs(link_keys: pa.Table, plan: TrainingPlan, extra: Sequence[str]) -> pa.Table:
    """Train `plan` on `link_keys`; return record_ref_l, record_ref_r, match_weight."""
    settings = train_settings(link_keys, plan, extra, collapse=False)
    return score_pairs(link_keys, settings, LOWEST_WEIGHT, extra, collapse=False).edges


def encoded_table(table: PeopleTable, keys: PassingKeys) -> tuple[pa.Table, list[str]]:
    """Encode `table`; return its link keys with those of its attributes, and the names of the latter."""
    link_keys = encode_link_keys(table.records, keys, FIRST_EPOCH)
    extra: list[str] = []
    for attribute in table.attributes:
        link_keys = link_keys.append_column(
            f"{attribute}_token", encode_tokens([table.records[attribute]], attribute, keys, FIRST_EPOCH)
        )
        extra.append(f"{attribute}_token")
    for attribute in table.blocking_attributes:
        both = [table.records["date_of_birth"], table.records[attribute]]
        link_keys = link_keys.append_column(
            f"birth_date_{attribute}_token", encode_tokens(both, f"birth_date_{attribute}", keys, FIRST_EPOCH)
        )
        extra.append(f"birth_date_{attribute}_token")
    return link_keys.append_column("feed", pa.array([table.name] * link_keys.num_rows)), extra


def linkage_plan(table: PeopleTable, link_keys: pa.Table) -> TrainingPlan:
    """The county's comparisons, as far as the table holds something for them, and its own attributes."""
    comparisons: list[ComparisonCreator] = [name_comparison()]
    training: list[tuple[str, ...]] = [("full_name_token",)]
    if _held(link_keys, "forename_start_birth_date"):
        comparisons.append(birth_date_comparison())
        training.append(("forename_start_birth_date_token",))
    if _held(link_keys, "initial_postcode") or _held(link_keys, "uprn"):
        comparisons.append(settled_home_comparison(link_keys))
        training += [] if _held(link_keys, "forename_start_birth_date") else [("initial_postcode_token",)]
    for number in ("nino", "nhs_number", "phone"):
        if _held(link_keys, number):
            comparisons.append(token_comparison(number))
    if _held(link_keys, "partner_reference"):
        comparisons.append(partner_reference_comparison())
    comparisons += [token_comparison(name, term_frequency_adjustments=True) for name in table.attributes]
    blocking: list[BlockingRuleCreator] = [
        block_on(f"{token}_token") for token in BLOCKING_TOKENS if _held(link_keys, token)
    ]
    blocking += [block_on(f"birth_date_{attribute}_token") for attribute in table.blocking_attributes]
    sure = [
        [f"{token}_token" for token in tokens]
        for tokens in SURE_MATCHES
        if all(_held(link_keys, token) for token in tokens)
    ]
    return TrainingPlan(
        comparisons=comparisons,
        blocking_rules=blocking,
        sure_matches=sure or [["full_name_token"]],
        sure_match_recall=SURE_MATCH_RECALL,
        random_pairs=RANDOM_PAIRS,
        training_blocks=training,
    )


def settled_home_comparison(link_keys: pa.Table) -> ComparisonCreator:
    """Compare homes where no forwarding address is known: same property, same postcode, else."""
    property_level = [cll.ExactMatchLevel("uprn_token")] if _held(link_keys, "uprn") else []
    return comparison(
        "home",
        "Home",
        level(unknown("uprn", *POSTCODE_TOKENS), "a home is not known", is_null=True),
        *property_level,
        level(same(*POSTCODE_TOKENS), "same postcode"),
    )


def _held(link_keys: pa.Table, token: str) -> bool:
    return link_keys[f"{token}_token"].null_count < link_keys.num_rows


def _truth(table: PeopleTable) -> np.ndarray:
    return table.records["truth"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)


def figures_of(table: PeopleTable, pairs: pa.Table) -> ThresholdFigures:
    """Return the figures of scored `pairs` against the truth of `table`."""
    truth = _truth(table)
    left, right = (
        truth[pc.index_in(pairs[side], value_set=table.records["record_ref"]).to_numpy()]
        for side in ("record_ref_l", "record_ref_r")
    )
    return best_threshold(pairs["match_weight"].to_numpy(), left == right, pairs_within(truth))


def _described(measured: ThresholdFigures) -> dict[str, float]:
    return asdict(measured.figures) | {
        "match_weight": measured.match_weight,
        "compared_pairs": measured.compared_pairs,
        "compared_share_of_true_pairs": measured.compared_share_of_true_pairs,
    }
