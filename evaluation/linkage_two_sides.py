"""Clear text and pseudonyms side by side on the same records: same blocking, same training, same clustering.

A token is equal where the value in the clear is, so blocking on tokens is blocking in the clear: both sides compare
the very same pairs. What a pseudonym hides is how alike two unequal values are. The clear side sees that: it compares
names by their letters, and dates and numbers by the slips between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import splink.comparison_level_library as cll
from splink.internals.comparison_creator import ComparisonCreator

from bridge.link_keys import encode_link_keys
from bridge.standardise import standardise_identities
from evaluation.linkage_origins import LARGEST_RECALL_GAP, OriginFigures, figures_by_origin, recall_gap
from evaluation.pairs import cluster_figures, pairs_within
from evaluation.passing_keys import PassingKeys
from exchange.link_key_schema import FIRST_EPOCH
from linkage.clusters import cluster
from linkage.comparisons import MATCHES_BY_MIDDLE_NAME, comparison, level
from linkage.pairs import score_pairs
from linkage.people import edges_by_row
from linkage.training import SEED, TrainingPlan, county_plan, train_settings

CLEAR_PREFIX = "clear_"
NUMBERS = ("nino", "nhs_number", "upn")
CLEAR_COLUMNS = ("forename", "surname", "date_of_birth", *NUMBERS, "partner_reference")
"""What the clear side reads beside the tokens, in standard form as the link keys do."""

LARGEST_F1_LOSS = 0.010
"""What pseudonyms may cost: promise 3 of the privacy design."""

RECORDS_TO_TRAIN_ON = 50_000
RANDOM_PAIRS = 2_000_000
TRIED_THRESHOLDS = (-2.0, 0.4, 3.0, 6.0)
"""Match weights (log2 odds) from which pairs are linked; each side is taken at the one with its best F1."""

ALIKE, NEARLY_ALIKE, RATHER_ALIKE = 0.92, 0.88, 0.7
"""Jaro-Winkler similarities of Splink's own name comparisons."""


@dataclass(frozen=True)
class SideFigures:
    """Pairs of records rightly put together, of all people. `recall_gap`: between the origins with most and least,
    of those with enough pairs to tell (see `linkage_origins`).
    """

    precision: float
    recall: float
    f1: float
    match_weight_threshold: float
    recall_gap: float
    by_origin: Mapping[str, OriginFigures]


@dataclass(frozen=True)
class TwoSides:
    """Both sides of the same records. `f1_loss` is what pseudonyms cost; `holds`: promise 3 is kept."""

    clear: SideFigures
    pseudonymised: SideFigures
    records: int
    true_pairs: int
    f1_loss: float
    holds: bool


def judge_both_sides(
    identities: pa.Table, person: np.ndarray, origin: np.ndarray, keys: PassingKeys | None = None
) -> TwoSides:
    """Link `identities` in the clear and on link keys made under `keys`, and judge both by `person`.

    `identities`: as `linkage_identities.newest_identities`; `person` and `origin`: one label per record. Both models
    are trained on the same people, as many as have about `RECORDS_TO_TRAIN_ON` records, without their labels.
    """
    link_keys = link_keys_of(identities, keys or PassingKeys())
    both = clear_columns(identities)
    for name in both.column_names:
        link_keys = link_keys.append_column(name, both[name])
    sample, share = _people_to_train_on(person)
    plan = replace(county_plan(), random_pairs=RANDOM_PAIRS)
    sides = {}
    for side, of_side, extra in (
        ("pseudonymised", plan, []),
        ("clear", clear_plan(plan), both.column_names),
    ):
        settings = train_settings(link_keys.filter(pa.array(sample)), of_side, extra)
        # Of fewer people, two records drawn at random are so much likelier to be one person's.
        settings["probability_two_random_records_match"] *= share
        sides[side] = _judged(link_keys, settings, extra, person, origin)
    loss = sides["clear"].f1 - sides["pseudonymised"].f1
    return TwoSides(
        clear=sides["clear"],
        pseudonymised=sides["pseudonymised"],
        records=identities.num_rows,
        true_pairs=pairs_within(person),
        f1_loss=loss,
        holds=loss <= LARGEST_F1_LOSS and sides["pseudonymised"].recall_gap <= LARGEST_RECALL_GAP,
    )


def link_keys_of(identities: pa.Table, keys: PassingKeys) -> pa.Table:
    """Return the link keys of `identities` with their feed, in order of record_ref."""
    parts = []
    for feed in sorted(identities["feed"].unique().to_pylist()):
        own = identities.filter(pc.equal(identities["feed"], feed))
        minors = own["is_minor"].to_numpy(zero_copy_only=False)
        encoded = encode_link_keys(own, keys, FIRST_EPOCH, feed=feed, minors=minors)
        parts.append(encoded.append_column("feed", own["feed"]))
    return pa.concat_tables(parts).sort_by("record_ref")


def _people_to_train_on(person: np.ndarray) -> tuple[np.ndarray, float]:
    """Return which records to train on (all records of some people), and the share of people they are of."""
    people = np.unique(person)
    share = min(1.0, RECORDS_TO_TRAIN_ON / max(len(person), 1))
    chosen = np.random.default_rng(SEED).permutation(people)[: max(1, round(share * len(people)))]
    return np.isin(person, chosen), len(chosen) / max(len(people), 1)


def _judged(
    link_keys: pa.Table,
    settings: Mapping[str, Any],
    extra: Sequence[str],
    person: np.ndarray,
    origin: np.ndarray,
) -> SideFigures:
    scored = score_pairs(link_keys, settings, min(TRIED_THRESHOLDS), extra)
    edges = edges_by_row(scored, link_keys["record_ref"])
    found = [
        _figures(cluster(edges.taken(edges.weight >= threshold), link_keys).labels, person, origin, threshold)
        for threshold in TRIED_THRESHOLDS
    ]
    return max(found, key=lambda figures: figures.f1)


def _figures(labels: np.ndarray, person: np.ndarray, origin: np.ndarray, threshold: float) -> SideFigures:
    of_all = cluster_figures(labels, person)
    by_origin = figures_by_origin(labels, person, origin)
    return SideFigures(
        of_all.precision, of_all.recall, of_all.f1, threshold, recall_gap(by_origin), by_origin
    )


def clear_columns(identities: pa.Table) -> pa.Table:
    """Return the standard form of `CLEAR_COLUMNS` with their prefix, in the same order of rows."""
    standard = standardise_identities(identities).rename_columns(
        {"partner_person_reference": "partner_reference"}
    )
    return pa.table({f"{CLEAR_PREFIX}{name}": standard[name].cast(pa.string()) for name in CLEAR_COLUMNS})


def clear_plan(plan: TrainingPlan, numbers: Sequence[str] = NUMBERS) -> TrainingPlan:
    """Return `plan` with the comparisons that clear text allows in place of those on pseudonyms; a slip in one of
    `numbers` is seen.
    """
    clear = {
        "name": clear_name_comparison,
        "birth_date": clear_birth_date_comparison,
    } | {number: partial(clear_number_comparison, number) for number in numbers}
    return replace(
        plan,
        comparisons=[
            clear[name]() if (name := _name(creator)) in clear else creator for creator in plan.comparisons
        ],
    )


def _name(creator: ComparisonCreator) -> str:
    return str(creator.create_output_column_name())


def clear_name_comparison() -> ComparisonCreator:
    """Compare names by their letters: Splink's levels for a forename and a surname, and the two that link keys have
    besides (the full name in any order, the middle name that somebody goes by).
    """
    forenames, surnames = _similarity("forename"), _similarity("surname")
    same_surname = _equal("surname")
    return comparison(
        "name",
        "Name in the clear",
        cll.NullLevel("name_filter"),
        cll.ExactMatchLevel("full_name_token", term_frequency_adjustments=True),
        level(
            "middle_full_name_token_l = full_name_token_r or middle_full_name_token_r = full_name_token_l",
            "one's middle name is the other's forename",
            m_probability=MATCHES_BY_MIDDLE_NAME,
        ),
        level(f"{same_surname} and {_initial()}", "same surname, one forename is the other's initial"),
        level(f"{forenames} >= {ALIKE} and {surnames} >= {ALIKE}", "both names alike"),
        level(f"{forenames} >= {NEARLY_ALIKE} and {surnames} >= {NEARLY_ALIKE}", "both names nearly alike"),
        level(f"{same_surname} and {forenames} >= {RATHER_ALIKE}", "same surname, forenames rather alike"),
        level(
            f"{_equal('forename')} and {surnames} >= {RATHER_ALIKE}", "same forename, surnames rather alike"
        ),
        level(same_surname, "same surname"),
        level(_equal("forename"), "same forename"),
    )


def clear_birth_date_comparison() -> ComparisonCreator:
    """Compare dates of birth as on pseudonyms, and by one slip in the digits."""
    left, right = f"{CLEAR_PREFIX}date_of_birth_l", f"{CLEAR_PREFIX}date_of_birth_r"
    two_parts = " or ".join(
        f"{part}_token_l = {part}_token_r"
        for part in ("birth_year_month", "birth_year_day", "birth_month_day")
    )
    return comparison(
        "birth_date",
        "Date of birth in the clear",
        cll.NullLevel("birth_date_token"),
        cll.ExactMatchLevel("birth_date_token"),
        level("birth_swapped_token_l = birth_swapped_token_r", "day and month swapped"),
        level(f"damerau_levenshtein({left}, {right}) <= 1", "one slip"),
        level(two_parts, "two of year, month and day agree"),
    )


def clear_number_comparison(name: str) -> ComparisonCreator:
    """Compare a number by equality, and by one slip."""
    left, right = f"{CLEAR_PREFIX}{name}_l", f"{CLEAR_PREFIX}{name}_r"
    return comparison(
        name,
        f"{name} in the clear",
        cll.NullLevel(f"{name}_token"),
        cll.ExactMatchLevel(f"{name}_token"),
        level(f"damerau_levenshtein({left}, {right}) <= 1", "one slip"),
    )


def _equal(name: str) -> str:
    return f"{CLEAR_PREFIX}{name}_l = {CLEAR_PREFIX}{name}_r"


def _similarity(name: str) -> str:
    return f"jaro_winkler_similarity({CLEAR_PREFIX}{name}_l, {CLEAR_PREFIX}{name}_r)"


def _initial() -> str:
    left, right = f"{CLEAR_PREFIX}forename_l", f"{CLEAR_PREFIX}forename_r"
    return f"{left}[1] = {right}[1] and (length({left}) = 1 or length({right}) = 1)"
