"""Training of a linkage model, apart from the nightly run: a candidate that somebody reviews, then copies
into place.

Weights come from expectation maximisation on link keys alone, without any truth. Adopting a candidate as
`linkage/model.json` is a change to the repository, reviewed as such.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from splink import SettingsCreator, block_on
from splink.internals.blocking_rule_creator import BlockingRuleCreator
from splink.internals.comparison_creator import ComparisonCreator

from governance.identifier_quality import COMPARED_BY_QUALITY
from linkage.model import LinkageModel, read_model
from linkage.scoring.blocking import county_blocking_rules
from linkage.scoring.comparisons import LOOSELY_HELD, by_quality, link_key_comparisons
from linkage.scoring.link_keys import read_link_keys
from linkage.scoring.pairs import (
    COMPARED,
    linking_connection,
    load_compared_records,
    one_thread,
    quiet_linker,
)
from stores.analytics import AnalyticsZone
from stores.files import written_atomically

CANDIDATE_FOLDER = "linkage"
RANDOM_PAIRS = 10_000_000
"""Random pairs that tell how often strangers agree: enough to see what happens once in a million pairs."""

SEED = 20_260_401
SMALLEST_PROBABILITIES = {"m_probability": 1e-3, "u_probability": 1e-6}
"""What training has not seen is still possible: of a thousand matches one may disagree in anything."""

SURE_MATCHES = (
    ("nino_token",),
    ("nhs_number_token",),
    ("upn_token",),
    ("partner_reference_token", "feed"),
    ("full_name_token", "forename_start_birth_date_token"),
)
"""Rules that hardly ever join two people, to estimate how many pairs are matches at all."""

SURE_MATCH_RECALL = 0.7
TRAINING_BLOCKS = (
    ("nino_token",),
    ("forename_start_birth_date_token",),
    ("partner_reference_token", "feed"),
    ("full_name_token", "uprn_token"),
)
"""Each session fits the comparisons that its block does not fix."""

STRANGERS_OF_RECORDS = 180_000
"""Strangers grow with the square of the records, records of one person do not. A model trained on fewer records than
this is given the prior of so many; where a home is shared, nothing changes: a home has as many strangers in any county.
Model 5's two bits for another home came from reviewing a model of 45,000 records against counties of 600,000."""

HOME = "home"

LEAST_PAIRS_TO_TRAIN_ON = 100
"""Expectation maximisation on fewer pairs finds chance, not weights."""


@dataclass(frozen=True)
class TrainingPlan:
    """What a model is made of: the comparisons and blocking it will have, and how its weights are found.

    `by_quality`: identifiers that `comparisons.by_quality` takes apart. `strangers_of_records`: see
    `STRANGERS_OF_RECORDS`; 0 leaves the prior as it was trained.
    """

    comparisons: Sequence[ComparisonCreator]
    blocking_rules: Sequence[BlockingRuleCreator]
    sure_matches: Sequence[Sequence[str]]
    sure_match_recall: float
    random_pairs: int
    training_blocks: Sequence[Sequence[str]]
    by_quality: Collection[str] = ()
    strangers_of_records: int = 0


@dataclass(frozen=True)
class TrainingReport:
    """Where the candidate is, and what to look at before adopting it: weights by comparison and level (log2
    bits).
    """

    candidate: str
    records: int
    prior: float
    weights: Mapping[str, Mapping[str, float]]


def county_plan() -> TrainingPlan:
    """Return the plan of the council's own model."""
    return TrainingPlan(
        comparisons=link_key_comparisons(),
        blocking_rules=county_blocking_rules(),
        sure_matches=SURE_MATCHES,
        sure_match_recall=SURE_MATCH_RECALL,
        random_pairs=RANDOM_PAIRS,
        training_blocks=TRAINING_BLOCKS,
        by_quality=COMPARED_BY_QUALITY,
        strangers_of_records=STRANGERS_OF_RECORDS,
    )


def train_linkage_model(
    zone: AnalyticsZone, trained_on: str = "this council's link keys", plan: TrainingPlan | None = None
) -> TrainingReport:
    """Train a candidate on the link keys of `zone` and write `analytics/models/linkage/candidate.json`.

    The candidate takes the next version number and the threshold of the model in use.
    """
    with zone.linkage(read_only=True) as connection:
        link_keys = read_link_keys(connection)
    settings = train_settings(link_keys, plan or county_plan())
    current = read_model()
    candidate = LinkageModel(current.version + 1, current.match_weight_threshold, trained_on, settings)
    path = zone.home.models / CANDIDATE_FOLDER / "candidate.json"
    write_model(candidate, path)
    return TrainingReport(
        candidate=str(path.relative_to(zone.home.root)),
        records=link_keys.num_rows,
        prior=settings["probability_two_random_records_match"],
        weights=weights_by_level(settings),
    )


def write_model(model: LinkageModel, path: Path) -> None:
    """Write `model` as a file that `read_model` reads."""
    with written_atomically(path, mode=0o644) as aside:
        aside.write_text(model.to_json() + "\n", encoding="utf-8")


def train_settings(
    link_keys: pa.Table, plan: TrainingPlan, extra_columns: Sequence[str] = (), *, collapse: bool = True
) -> dict[str, Any]:
    """Return Splink settings with weights fitted to `link_keys` (`LINK_KEY_SCHEMA`, feed and
    `extra_columns`).
    """
    creator = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="record_ref",
        comparisons=[*by_quality(plan.comparisons, plan.by_quality)],
        blocking_rules_to_generate_predictions=list(plan.blocking_rules),
        retain_matching_columns=False,
        retain_intermediate_calculation_columns=False,
    )
    connection = linking_connection()
    try:
        load_compared_records(connection, link_keys, extra_columns, collapse=collapse)
        linker = quiet_linker(COMPARED, creator, connection)
        linker.training.estimate_probability_two_random_records_match(
            [block_on(*tokens) for tokens in plan.sure_matches], recall=plan.sure_match_recall
        )
        with one_thread(connection):
            linker.training.estimate_u_using_random_sampling(max_pairs=plan.random_pairs, seed=SEED)
        for tokens in plan.training_blocks:
            # A council without, say, NINOs in any feed trains on the other blocks.
            if _pairs_sharing(connection, tokens) < LEAST_PAIRS_TO_TRAIN_ON:
                continue
            linker.training.estimate_parameters_using_expectation_maximisation(block_on(*tokens))
        settings = json.loads(json.dumps(linker.misc.save_model_to_json()))
        for name in plan.by_quality:
            _lend_weights(settings, name)
        settings = _reviewable(settings)
        return among_more_strangers(settings, plan.strangers_of_records / max(link_keys.num_rows, 1))
    finally:
        connection.close()


def among_more_strangers(settings: dict[str, Any], times: float) -> dict[str, Any]:
    """Return `settings` for a county of `times` the records: fewer of all pairs are matches, and fewer strangers share
    a home. A pair that shares a home weighs what it did, any other log2(`times`) bits less. Below 1: as they are.
    """
    if times <= 1:
        return settings
    settings = copy.deepcopy(settings)
    settings["probability_two_random_records_match"] /= times
    for comparison in settings["comparisons"]:
        if comparison["output_column_name"] in (HOME, HOME + LOOSELY_HELD):
            for level in comparison["comparison_levels"][:-1]:
                if not level.get("is_null_level"):
                    level["u_probability"] = float(f"{level['u_probability'] / times:.6g}")
    return settings


def _pairs_sharing(connection: duckdb.DuckDBPyConnection, tokens: Sequence[str]) -> int:
    listed, known = ", ".join(tokens), " and ".join(f"{token} is not null" for token in tokens)
    row = connection.execute(
        f"""
        select coalesce(sum(records * (records - 1) // 2), 0)
        from (select count(*) as records from {COMPARED} where {known} group by {listed})
        """
    ).fetchone()
    return int(row[0]) if row else 0


def weights_by_level(settings: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return log2(m / u) of every level that has one: what agreement of that kind adds to a match weight."""
    return {
        comparison["output_column_name"]: {
            level["label_for_charts"]: round(log2(level["m_probability"] / level["u_probability"]), 2)
            for level in comparison["comparison_levels"]
            if level.get("m_probability") and level.get("u_probability")
        }
        for comparison in settings["comparisons"]
    }


def _lend_weights(settings: Mapping[str, Any], name: str) -> None:
    """Where training saw no pair of a feed that holds `name` loosely (or only such pairs), take the other's weights."""
    by_name = {comparison["output_column_name"]: comparison for comparison in settings["comparisons"]}
    if name not in by_name:
        return
    both = [by_name[end]["comparison_levels"] for end in (name, name + LOOSELY_HELD)]
    for mine, theirs in (both, both[::-1]):
        for probability in SMALLEST_PROBABILITIES:
            # Of one level alone nothing was learnt: all pairs that were seen are there.
            if sum(_was_trained(level, probability) for level in mine) < 2:
                for level, lent in zip(mine, theirs, strict=True):
                    if _was_trained(lent, probability):
                        level[probability] = lent[probability]


def _was_trained(level: Mapping[str, Any], probability: str) -> bool:
    fixed = level.get("is_null_level") or level.get(f"fix_{probability}")
    return not fixed and isinstance(level.get(probability), int | float)


def _reviewable(settings: dict[str, Any]) -> dict[str, Any]:
    """Drop what belongs to one run, round what a reviewer reads, and fill levels that were never seen."""
    settings.pop("linker_uid", None)
    for comparison in settings["comparisons"]:
        for level in comparison["comparison_levels"]:
            if level.get("is_null_level"):
                continue
            for probability, smallest in SMALLEST_PROBABILITIES.items():
                value = level.get(probability)
                seen = value if isinstance(value, int | float) else smallest
                level[probability] = float(f"{max(seen, smallest):.6g}")
    return settings
