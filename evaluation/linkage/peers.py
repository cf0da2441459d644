"""Linkage on people no one here made: clear-text Splink and Doorstep's link keys beside each other.

The link keys are the county's: same encoding, same comparisons, same kind of blocking. Only the weights are
fitted to each table (by expectation maximisation on its own link keys), since they depend on how the table
was kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import splink.comparison_level_library as cll
from splink import block_on
from splink.internals.blocking_rule_creator import BlockingRuleCreator
from splink.internals.blocking_rule_library import CustomRule
from splink.internals.comparison_creator import ComparisonCreator

from bridge.link_keys.encoding import encode_link_keys, encode_tokens
from evaluation.datasets import PeopleTable, fake_1000, febrl, historical_50k, own_table
from evaluation.linkage.clear import (
    LOWEST_WEIGHT,
    RANDOM_PAIRS,
    ClearModel,
    clear_pairs,
    febrl_model,
    historical_model,
    plain_model,
)
from evaluation.linkage.documented import fake_model, febrl_links_model
from evaluation.linkage.pairs import Labels, ThresholdFigures, best_threshold, pairs_within
from evaluation.linkage.two_sides import clear_columns, clear_plan
from evaluation.passing_keys import PassingKeys
from exchange.link_key_schema import FIRST_EPOCH
from linkage.candidates.training import TrainingPlan, train_settings
from linkage.scoring.comparisons import (
    BIRTH_DATE_TOKENS,
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
from linkage.scoring.pairs import score_pairs

Dataset = Literal["febrl1", "febrl2", "febrl3", "febrl4", "fake_1000", "historical_50k"]

DATASETS: Mapping[Dataset, tuple[Callable[[], PeopleTable], Callable[[], ClearModel]]] = {
    "febrl1": (partial(febrl, "1"), febrl_model),
    "febrl2": (partial(febrl, "2"), febrl_model),
    "febrl3": (partial(febrl, "3"), febrl_model),
    "febrl4": (partial(febrl, "4"), febrl_links_model),
    "fake_1000": (fake_1000, fake_model),
    "historical_50k": (historical_50k, historical_model),
}
"""Each table with the model that Splink documents for it; for FEBRL 1 and 2, which have none, that of FEBRL 3."""

BLOCKING_TOKENS = (
    "full_name",
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
    "initials_birth_year_month",
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
    table, documented = DATASETS[dataset]
    return _evaluate(table(), documented(), standardised=False)


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
        "true_pairs": _true_pairs(table),
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
    extra: dict[str, pa.Array] = {
        f"{attribute}_token": encode_tokens([table.records[attribute]], attribute, keys, FIRST_EPOCH)
        for attribute in (*table.attributes, *table.parts.values())
    }
    extra |= {
        token: encode_tokens(
            [table.records[column], table.records[attribute]], token.removesuffix("_token"), keys, FIRST_EPOCH
        )
        for token, (column, attribute) in _crossed(table).items()
    }
    for name, column in extra.items():
        link_keys = link_keys.append_column(name, column)
    return link_keys.append_column("feed", pa.array([table.name] * link_keys.num_rows)), list(extra)


def _crossed(table: PeopleTable) -> dict[str, tuple[str, str]]:
    """Return the tokens that cross a blocking attribute with a name or the date of birth, as postcodes are."""
    crossed = product(("forename", "surname", "date_of_birth"), table.blocking_attributes)
    return {
        f"{column}_{attribute}_token": (column, attribute)
        for column, attribute in crossed
        if table.has(column)
    }


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
    comparisons += [_attribute_comparison(name, table.parts.get(name)) for name in table.attributes]
    blocking: list[BlockingRuleCreator] = [
        block_on(f"{token}_token") for token in BLOCKING_TOKENS if _held(link_keys, token)
    ]
    if _held(link_keys, "forename_start_birth_date"):
        blocking += [
            CustomRule(f"l.{left}_token = r.{right}_token")
            for left, right in product(BIRTH_DATE_TOKENS, repeat=2)
        ]
    blocking += [block_on(token) for token in _crossed(table)]
    blocking += [
        block_on(f"{name}_token")
        for attribute in table.identifying_attributes
        for name in (attribute, table.parts.get(attribute))
        if name
    ]
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


def _attribute_comparison(attribute: str, part: str | None) -> ComparisonCreator:
    """Compare an attribute by equality, then by its telling part, if it has one."""
    if part is None:
        return token_comparison(attribute, term_frequency_adjustments=True)
    return comparison(
        attribute,
        attribute,
        cll.NullLevel(f"{attribute}_token"),
        cll.ExactMatchLevel(f"{attribute}_token"),
        cll.ExactMatchLevel(f"{part}_token"),
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


def _labels(table: PeopleTable, column: str) -> Labels:
    return table.records[column].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)


def _true_pairs(table: PeopleTable) -> int:
    """Return how many pairs of records are of one person; with sources, how many of these are of two sources."""
    truth = _labels(table, "truth")
    if table.source is None:
        return pairs_within(truth)
    source = _labels(table, table.source)
    return pairs_within(truth) - pairs_within(truth * (int(source.max(initial=0)) + 1) + source)


def figures_of(table: PeopleTable, pairs: pa.Table) -> ThresholdFigures:
    """Return the figures of scored `pairs` against the truth of `table`."""
    truth = _labels(table, "truth")
    left, right = (
        pc.index_in(pairs[side], value_set=table.records["record_ref"]).to_numpy()
        for side in ("record_ref_l", "record_ref_r")
    )
    asked = np.ones(pairs.num_rows, dtype=np.bool_)
    if table.source is not None:
        source = _labels(table, table.source)
        asked = source[left] != source[right]
    weights, is_match = pairs["match_weight"].to_numpy(), truth[left] == truth[right]
    return best_threshold(weights[asked], is_match[asked], _true_pairs(table))


def _described(measured: ThresholdFigures) -> dict[str, float]:
    return asdict(measured.figures) | {
        "match_weight": measured.match_weight,
        "compared_pairs": measured.compared_pairs,
        "compared_share_of_true_pairs": measured.compared_share_of_true_pairs,
    }
