"""Training of a linkage model, apart from the nightly run: a candidate that somebody reviews, then copies
into place.

Weights come from expectation maximisation on link keys alone, without any truth. Adopting a candidate as
`linkage/model.json` is a change to the repository, reviewed as such.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from splink import SettingsCreator, block_on
from splink.internals.blocking_rule_creator import BlockingRuleCreator
from splink.internals.comparison_creator import ComparisonCreator

from linkage.model import LinkageModel, read_model
from linkage.people import read_link_keys
from linkage.scoring.blocking import county_blocking_rules
from linkage.scoring.comparisons import link_key_comparisons
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

LEAST_PAIRS_TO_TRAIN_ON = 100
"""Expectation maximisation on fewer pairs finds chance, not weights."""


@dataclass(frozen=True)
class TrainingPlan:
    """What a model is made of: the comparisons and blocking it will have, and how its weights are found."""

    comparisons: Sequence[ComparisonCreator]
    blocking_rules: Sequence[BlockingRuleCreator]
    sure_matches: Sequence[Sequence[str]]
    sure_match_recall: float
    random_pairs: int
    training_blocks: Sequence[Sequence[str]]


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
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="record_ref",
        comparisons=list(plan.comparisons),
        blocking_rules_to_generate_predictions=list(plan.blocking_rules),
        retain_matching_columns=False,
        retain_intermediate_calculation_columns=False,
    )
    connection = linking_connection()
    try:
        load_compared_records(connection, link_keys, extra_columns, collapse=collapse)
        linker = quiet_linker(COMPARED, settings, connection)
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
        return _reviewable(json.loads(json.dumps(linker.misc.save_model_to_json())))
    finally:
        connection.close()


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
