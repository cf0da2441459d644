"""Clear text and pseudonyms side by side on the same records: same blocking, same training, same clustering.

A token is equal where the values in the clear are, so blocking on tokens is blocking in the clear: both sides compare
the very same pairs. What pseudonyms hide is how alike two unequal values are, and values that link keys leave out since
they would give people away. The clear side sees all that: it compares names by their letters, dates and numbers by the
slips between them, homes by property and postcode.
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

from bridge.link_keys.encoding import encode_link_keys
from bridge.standardise.identities import standardise_identities
from evaluation.linkage.council import council_matches
from evaluation.linkage.origins import LARGEST_RECALL_GAP, OriginFigures, figures_by_origin, recall_gap
from evaluation.linkage.pairs import b_cubed, cluster_figures, pairs_within
from evaluation.passing_keys import PassingKeys
from exchange.link_key_schema import FIRST_EPOCH
from linkage.candidates.training import SEED, TrainingPlan, county_plan, train_settings
from linkage.clustering.clusters import cluster
from linkage.clustering.joining import joined_clusters, links_between
from linkage.clustering.second_look import second_links
from linkage.people import edges_by_row
from linkage.scoring.comparisons import (
    MATCHES_BY_MIDDLE_NAME,
    MATCHES_BY_MIDDLE_NAME_AT_HOME,
    MATCHES_WITH_ANOTHER_FORENAME,
    MATCHES_WITH_ANOTHER_INITIAL,
    MATCHES_WITH_BARE_INITIAL,
    comparison,
    level,
)
from linkage.scoring.link_keys import LINK_KEY_COLUMNS
from linkage.scoring.pairs import score_pairs

CLEAR_PREFIX = "clear_"
NUMBERS = ("nino", "nhs_number", "upn")
CLEAR_COLUMNS = (
    "forename",
    "surname",
    "date_of_birth",
    *NUMBERS,
    "uprn",
    "postcode",
    "forwarding_uprn",
    "forwarding_postcode",
)
"""What the clear side compares, in standard form as in the link keys."""

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
    """Pairs of records rightly put together, of all people; `b_cubed_f1` averages over records instead. `recall_gap`:
    between the origins with most and least, of those with enough pairs to tell (see `linkage_origins`).
    `match_weight_threshold` is null where nothing is weighed.
    """

    precision: float
    recall: float
    f1: float
    b_cubed_f1: float
    match_weight_threshold: float | None
    recall_gap: float
    by_origin: Mapping[str, OriginFigures]


@dataclass(frozen=True)
class TwoSides:
    """Both sides of the same records. `f1_loss` is what pseudonyms cost; `holds`: promise 3 is kept.

    Beside them what councils do by hand, in the clear (`linkage_council`): `council_strict`, `council_usual` and
    `council_with_homes`.
    """

    clear: SideFigures
    pseudonymised: SideFigures
    council_strict: SideFigures
    council_usual: SideFigures
    council_with_homes: SideFigures
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
    # Strangers are told of below: the prior is that of all people, of whom these are a share.
    plan = replace(county_plan(), random_pairs=RANDOM_PAIRS, strangers_of_records=0)
    sides = {}
    for side, of_side, extra in (
        ("pseudonymised", plan, []),
        ("clear", clear_plan(plan), both.column_names),
    ):
        settings = train_settings(link_keys.filter(pa.array(sample)), of_side, extra)
        # Of fewer people, two records drawn at random are so much likelier to be one person's.
        settings["probability_two_random_records_match"] *= share
        sides[side] = _judged(link_keys, settings, extra, person, origin)
    for name, labels in council_matches(both).items():
        sides[f"council_{name}"] = _figures(labels, person, origin, None)
    loss = sides["clear"].f1 - sides["pseudonymised"].f1
    return TwoSides(
        **sides,
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
    found = []
    for threshold in TRIED_THRESHOLDS:
        labels = cluster(edges.taken(edges.weight >= threshold), link_keys).labels
        found.append(_figures(second_look(labels, link_keys), person, origin, threshold))
    return max(found, key=lambda figures: figures.f1)


def second_look(labels: np.ndarray, link_keys: pa.Table) -> np.ndarray:
    """Return `labels` with those clusters joined that the second look links, as every night does."""
    links = second_links(link_keys.select(list(LINK_KEY_COLUMNS)), labels)

    def records_of(clusters: np.ndarray) -> tuple[np.ndarray, pa.Table]:
        asked = np.isin(labels, clusters)
        return labels[asked], link_keys.filter(pa.array(asked))

    person_of, _ = joined_clusters(links_between(links, link_keys["record_ref"], labels), records_of)
    return np.array([person_of.get(label, label) for label in labels.tolist()], dtype=np.int64)


def _figures(
    labels: np.ndarray, person: np.ndarray, origin: np.ndarray, threshold: float | None
) -> SideFigures:
    of_all = cluster_figures(labels, person)
    by_origin = figures_by_origin(labels, person, origin)
    return SideFigures(
        precision=of_all.precision,
        recall=of_all.recall,
        f1=of_all.f1,
        b_cubed_f1=b_cubed(labels, person).f1,
        match_weight_threshold=threshold,
        recall_gap=recall_gap(by_origin),
        by_origin=by_origin,
    )


def clear_columns(identities: pa.Table) -> pa.Table:
    """Return what the clear side reads, in the same order of rows: standard forms, and names put together."""
    standard = standardise_identities(identities)
    columns = {name: standard[name].cast(pa.string()) for name in CLEAR_COLUMNS}
    columns["partner_reference"] = standard["partner_person_reference"]
    columns["middle_name"] = pc.replace_substring_regex(standard["middle_name"], " .*", "")
    columns["full_name"] = _in_any_order(columns["forename"], columns["surname"])
    columns["middle_full_name"] = _in_any_order(columns["middle_name"], columns["surname"])
    if "is_minor" in identities.column_names:
        for home in ("uprn", "postcode"):
            # As the link keys do: the homes of children meet only homes of children.
            of_a_minor = pc.binary_join_element_wise("minor at ", columns[home], "")
            columns[home] = pc.if_else(identities["is_minor"], of_a_minor, columns[home])
    return pa.table({f"{CLEAR_PREFIX}{name}": column for name, column in columns.items()})


def _in_any_order(one: pa.ChunkedArray, other: pa.ChunkedArray) -> pa.ChunkedArray:
    swapped = pc.greater(one, other)
    first, second = pc.if_else(swapped, other, one), pc.if_else(swapped, one, other)
    return pc.binary_join_element_wise(first, second, " ")


def clear_plan(plan: TrainingPlan, numbers: Sequence[str] = NUMBERS) -> TrainingPlan:
    """Return `plan` with the comparisons that clear text allows in place of those on pseudonyms; a slip in one of
    `numbers` is seen.
    """
    clear = {
        "name": clear_name_comparison,
        "birth_date": clear_birth_date_comparison,
        "home": clear_home_comparison,
    } | {number: partial(clear_number_comparison, number) for number in numbers}
    return replace(
        plan,
        comparisons=[
            clear[name]() if (name := str(creator.create_output_column_name())) in clear else creator
            for creator in plan.comparisons
        ],
    )


def clear_name_comparison() -> ComparisonCreator:
    """Compare names by their letters: Splink's levels for a forename and a surname, and the two that link keys have
    besides (the full name in any order, the middle name that somebody goes by).
    """
    forenames, surnames = _similarity("forename"), _similarity("surname")
    same_forename, same_surname = _same("forename"), _same("surname")
    initials = " and ".join(
        (
            "clear_forename_l[1] = clear_forename_r[1]",
            "(length(clear_forename_l) = 1 or length(clear_forename_r) = 1)",
        )
    )
    return comparison(
        "name",
        "Name in the clear",
        level(_unknown("forename", "surname"), "no name is known", is_null=True),
        cll.ExactMatchLevel("clear_full_name", term_frequency_adjustments=True),
        level(
            _either("middle_full_name", "full_name"),
            "one's middle name is the other's forename",
            m_probability=MATCHES_BY_MIDDLE_NAME,
        ),
        level(
            f"{same_surname} and clear_forename_l is null and clear_forename_r is null",
            "the same single name",
        ),
        level(f"{same_surname} and {initials}", "same surname, one forename is the other's initial"),
        level(f"{forenames} >= {ALIKE} and {surnames} >= {ALIKE}", "both names alike"),
        level(f"{forenames} >= {NEARLY_ALIKE} and {surnames} >= {NEARLY_ALIKE}", "both names nearly alike"),
        level(f"{same_surname} and {forenames} >= {RATHER_ALIKE}", "same surname, forenames rather alike"),
        level(f"{same_forename} and {surnames} >= {RATHER_ALIKE}", "same forename, surnames rather alike"),
        level(same_surname, "same surname"),
        level(same_forename, "same forename"),
    )


def clear_birth_date_comparison() -> ComparisonCreator:
    """Compare dates of birth: equal, day and month swapped, one slip, two of the three parts equal, else."""
    year, month, day = (
        f"substr(clear_date_of_birth_l, {place}, {length}) = substr(clear_date_of_birth_r, {place}, {length})"
        for place, length in ((1, 4), (6, 2), (9, 2))
    )
    swapped = (
        "substr(clear_date_of_birth_l, 6, 2) = substr(clear_date_of_birth_r, 9, 2) "
        "and substr(clear_date_of_birth_l, 9, 2) = substr(clear_date_of_birth_r, 6, 2)"
    )
    return comparison(
        "birth_date",
        "Date of birth in the clear",
        cll.NullLevel("clear_date_of_birth"),
        cll.ExactMatchLevel("clear_date_of_birth"),
        level(f"{year} and {swapped}", "day and month swapped"),
        level(_one_slip("date_of_birth"), "one slip"),
        level(
            f"({year} and {month}) or ({year} and {day}) or ({month} and {day} "
            "and substr(clear_date_of_birth_l, 6) <> '01-01')",
            "two of year, month and day agree",
        ),
    )


def clear_home_comparison() -> ComparisonCreator:
    """Compare homes as on pseudonyms (`linkage.scoring.comparisons.home_comparison`), and by the postcode's start."""
    same_home, same_forename = _same("uprn"), _same("forename")
    same_initial = "clear_forename_l[1] = clear_forename_r[1]"
    bare_initial = "(length(clear_forename_l) = 1 or length(clear_forename_r) = 1)"
    forwarding_uprn, forwarding_postcode = (
        _either(f"forwarding_{home}", home) for home in ("uprn", "postcode")
    )
    return comparison(
        "home",
        "Home in the clear",
        level(_unknown("uprn", "postcode"), "a home is not known", is_null=True),
        level(
            f"{same_home} and feed_l = feed_r and clear_partner_reference_l <> clear_partner_reference_r",
            "same property, two references",
        ),
        level(f"{same_home} and {same_forename}", "same property and forename"),
        level(
            f"{same_home} and ({_either('middle_name', 'forename')})",
            "same property, one's middle name is the other's forename",
            m_probability=MATCHES_BY_MIDDLE_NAME_AT_HOME,
        ),
        level(
            f"{same_home} and {same_initial} and {bare_initial}",
            "same property, one forename is the other's initial",
            m_probability=MATCHES_WITH_BARE_INITIAL,
        ),
        level(
            f"{same_home} and {same_initial}",
            "same property and initial",
            m_probability=MATCHES_WITH_ANOTHER_FORENAME,
        ),
        level(same_home, "same property", m_probability=MATCHES_WITH_ANOTHER_INITIAL),
        level(f"({forwarding_uprn}) and {same_initial}", "forwarding property, same initial"),
        level(forwarding_uprn, "forwarding property"),
        level(forwarding_postcode, "forwarding postcode"),
        level(_same("postcode"), "same postcode"),
        level(
            "length(clear_postcode_l) > 4 and length(clear_postcode_r) > 4 "
            "and clear_postcode_l[:-4] = clear_postcode_r[:-4]",
            "same outward code",
        ),
    )


def clear_number_comparison(name: str) -> ComparisonCreator:
    """Compare a number by equality, and by one slip."""
    return comparison(
        name,
        f"{name} in the clear",
        cll.NullLevel(f"{CLEAR_PREFIX}{name}"),
        cll.ExactMatchLevel(f"{CLEAR_PREFIX}{name}"),
        level(_one_slip(name), "one slip"),
    )


def _same(name: str) -> str:
    return f"{CLEAR_PREFIX}{name}_l = {CLEAR_PREFIX}{name}_r"


def _either(one: str, other: str) -> str:
    left, right = f"{CLEAR_PREFIX}{one}", f"{CLEAR_PREFIX}{other}"
    return f"{left}_l = {right}_r or {left}_r = {right}_l"


def _unknown(one: str, other: str) -> str:
    return " or ".join(
        f"({CLEAR_PREFIX}{one}_{side} is null and {CLEAR_PREFIX}{other}_{side} is null)"
        for side in ("l", "r")
    )


def _similarity(name: str) -> str:
    return f"jaro_winkler_similarity({CLEAR_PREFIX}{name}_l, {CLEAR_PREFIX}{name}_r)"


def _one_slip(name: str) -> str:
    return f"damerau_levenshtein({CLEAR_PREFIX}{name}_l, {CLEAR_PREFIX}{name}_r) <= 1"
