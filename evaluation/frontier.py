"""The frontier of name filters and tokens: what each recipe keeps for linkage, and what it gives to an attacker.

Every setting encodes the same people under the same keys. Linkage is trained and measured as on any foreign table of
people (`evaluation.linkage.peers`), with the levels of the name comparison put where the setting's own distances
fall. The attacks know every name in the table, and the recipe, and have no key.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import splink.comparison_level_library as cll

from bridge.link_keys.encoding import encode_tokens
from bridge.link_keys.filters import FilterRecipe, encode_filters
from bridge.standardise.identities import standardise_identities
from evaluation.attacks.differences import find_rectangles
from evaluation.attacks.frequency import rank_match, value_counts
from evaluation.attacks.graph import match_graphs
from evaluation.attacks.patterns import mine_patterns
from evaluation.datasets import PeopleTable, febrl, historical_50k
from evaluation.linkage.peers import encoded_table, figures_of, linkage_plan, trained_pairs
from evaluation.passing_keys import PassingKeys
from exchange.link_key_schema import FILTER_COLUMNS, FIRST_EPOCH, TOKEN_COLUMNS
from linkage.scoring.comparisons import comparison, level, name_comparison
from stores.keys import derive_key

ATTACKED_NAMES = 2_500
HISTORICAL_PEOPLE = 1_000
RANDOM_PAIRS = 500_000
FEWEST_HOLDERS = 500
"""Tokens that fewer people of the table hold are not ranked: chance alone would decide."""

SEED = 1

BIGRAM_SHARES = (0.87, 0.78, 0.69, 0.61, 0.52, 0.42, 0.36)
"""Share of two names' bigrams in common (Jaccard) that separates the levels of the name comparison."""

SHARE_OF_STRANGERS = 0.08
"""A level that more of the pairs of strangers reach says nothing, and is left out."""

UNDILUTED = FilterRecipe(bits=8192, hashes=1, diffusion=0)
"""One bit for each bigram, hardly one shared: its Jaccard is that of the bigrams."""

SINGLE_TOKENS = ("date_of_birth", "postcode")
"""What the settings with single-field tokens let out alone, and the parts of the date besides."""

DATE_PARTS = {"year_month": (0, 1), "year_day": (0, 2), "month_day": (1, 2)}


@dataclass(frozen=True)
class Setting:
    """A recipe for names, and whether dates of birth and postcodes have tokens of their own."""

    name: str
    recipe: FilterRecipe
    single_tokens: bool = False


SETTINGS = (
    Setting(
        "filters per field, single tokens",
        FilterRecipe(hashes=10, diffusion=0, per_field=True),
        single_tokens=True,
    ),
    Setting("filters per field", FilterRecipe(hashes=10, diffusion=0, per_field=True)),
    Setting("plain CLK, k = 20", FilterRecipe(hashes=20, diffusion=0)),
    Setting("k = 3, t = 10, single tokens", FilterRecipe(diffusion=10), single_tokens=True),
    Setting("k = 3, t = 10", FilterRecipe(diffusion=10)),
    Setting("k = 3, t = 20", FilterRecipe(diffusion=20)),
    Setting("k = 3, t = 40", FilterRecipe(diffusion=40)),
    Setting("1 min-hash", FilterRecipe(minima=1)),
    Setting("2 min-hashes", FilterRecipe(minima=2)),
    Setting("3 min-hashes", FilterRecipe(minima=3)),
    Setting("4 min-hashes", FilterRecipe(minima=4)),
)
CHOSEN = "3 min-hashes"


def frontier_tables() -> tuple[PeopleTable, ...]:
    """Return FEBRL 3 and a sample of whole people of the historical data. Raises `DatasetError`."""
    historical = historical_50k()
    people = historical.records["truth"].unique().to_numpy(zero_copy_only=False)
    sampled = np.random.default_rng(SEED).choice(np.sort(people), HISTORICAL_PEOPLE, replace=False)
    records = historical.records.filter(pc.is_in(historical.records["truth"], value_set=pa.array(sampled)))
    return febrl("3"), replace(historical, name="historical_50k, a fifth", records=records)


def measure_frontier(table: PeopleTable) -> Iterator[dict[str, Any]]:
    """Yield, for every setting, the linkage figures on `table` and the share that each attack gets right."""
    standard = standardise_identities(table.records)
    encoded = encoded_table(table, PassingKeys(SEED))
    for setting in SETTINGS:
        began = time.perf_counter()
        filters, others = (_filters(standard, setting.recipe, seed) for seed in (SEED, SEED + 1))
        linkage = _linkage(table, encoded, standard, setting, filters)
        worst = _worst_token(table, encoded[0], setting)
        attacks = {**_name_attacks(standard, filters, others), "worst_token": worst}
        yield {
            "dataset": table.name,
            "setting": setting.name,
            "chosen": setting.name == CHOSEN,
            **linkage,
            **{name: round(rate, 5) for name, rate in attacks.items()},
            "seconds": round(time.perf_counter() - began, 1),
        }


def _filters(standard: pa.Table, recipe: FilterRecipe, seed: int) -> npt.NDArray[np.uint64]:
    root = PassingKeys(seed).root("linkage")
    return encode_filters(
        standard["forename"], standard["surname"], lambda name: derive_key(root, "frontier", name), recipe
    )


def _linkage(
    table: PeopleTable,
    encoded: tuple[pa.Table, list[str]],
    standard: pa.Table,
    setting: Setting,
    filters: npt.NDArray[np.uint64],
) -> dict[str, Any]:
    link_keys, tokens = encoded
    named = filters.any(axis=1)
    for place, column in enumerate(FILTER_COLUMNS):
        words = pa.array(np.ascontiguousarray(filters[:, place]), mask=~named)
        link_keys = link_keys.set_column(link_keys.schema.get_field_index(column), column, words)
    distances = _level_distances(standard, filters)
    plan = replace(linkage_plan(table, link_keys), random_pairs=RANDOM_PAIRS)
    comparisons = [name_comparison(distances), *plan.comparisons[1:]]
    if setting.single_tokens:
        extra = _single_tokens(table)
        link_keys = pa.table({name: link_keys[name] for name in link_keys.column_names} | extra)
        tokens = [*tokens, *extra]
        comparisons = _on_single_tokens(comparisons)
    pairs = trained_pairs(link_keys, replace(plan, comparisons=comparisons), tokens)
    measured = figures_of(table, pairs)
    return {
        "f1": round(measured.figures.f1, 4),
        "precision": round(measured.figures.precision, 4),
        "recall": round(measured.figures.recall, 4),
        "name_levels": len(distances),
    }


def _level_distances(standard: pa.Table, filters: npt.NDArray[np.uint64]) -> list[float]:
    """Return the mean share of differing bits of names with each of `BIGRAM_SHARES` in common."""
    generator = np.random.default_rng(SEED)
    named = np.flatnonzero(filters.any(axis=1))
    strangers = _share_differing(filters, *generator.choice(named, (2, 100_000)))
    # Near pairs are rare at random and common among records that stand next to each other by either name.
    near = [
        named[np.argsort(_codes(standard[name])[named], kind="stable")] for name in ("forename", "surname")
    ]
    left, right = (
        np.concatenate([order[cut] for order in near]) for cut in (slice(None, -1), slice(1, None))
    )
    bigrams = _filters(standard, UNDILUTED, SEED)
    both = np.bitwise_count(bigrams[left] & bigrams[right]).sum(axis=1)
    either = np.bitwise_count(bigrams[left] | bigrams[right]).sum(axis=1)
    common, differing = both / either, _share_differing(filters, left, right)
    means = [float(differing[np.abs(common - share) < 0.04].mean()) for share in BIGRAM_SHARES]
    furthest = float(np.quantile(strangers, SHARE_OF_STRANGERS))
    return [mean for mean in sorted(means) if mean < furthest]


def _codes(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    ranked = pc.rank(
        column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column, tiebreaker="dense"
    )
    return ranked.to_numpy().astype(np.int64)


def _share_differing(
    filters: npt.NDArray[np.uint64], one: npt.NDArray, other: npt.NDArray
) -> npt.NDArray[np.float64]:
    return np.bitwise_count(filters[one] ^ filters[other]).sum(axis=1) / (64 * filters.shape[1])


def _single_tokens(table: PeopleTable) -> dict[str, pa.Array]:
    keys = PassingKeys(SEED)
    held = [name for name in SINGLE_TOKENS if table.has(name)]
    tokens = {f"{name}_token": encode_tokens([table.records[name]], name, keys, FIRST_EPOCH) for name in held}
    dates = standardise_identities(table.records)["date_of_birth"].cast(pa.string())
    for part, (one, other) in DATE_PARTS.items():
        pieces = pc.split_pattern(dates, "-")
        texts = pc.binary_join_element_wise(pc.list_element(pieces, one), pc.list_element(pieces, other), "-")
        tokens[f"{part}_token"] = encode_tokens([pa.chunked_array([texts])], part, keys, FIRST_EPOCH)
    return tokens


def _on_single_tokens(comparisons: list[Any]) -> list[Any]:
    """Put comparisons of the date and the postcode by themselves in place of those that ask for a name as well."""
    parts = " or ".join(f"{part}_token_l = {part}_token_r" for part in DATE_PARTS)
    own = {
        "birth_date": comparison(
            "birth_date",
            "Date of birth",
            cll.NullLevel("date_of_birth_token"),
            cll.ExactMatchLevel("date_of_birth_token"),
            level(parts, "two of year, month and day agree"),
        ),
        "home": comparison(
            "home", "Home", cll.NullLevel("postcode_token"), cll.ExactMatchLevel("postcode_token")
        ),
    }
    names = [str(creator.create_output_column_name()) for creator in comparisons]
    return [own.get(name, creator) for name, creator in zip(names, comparisons, strict=True)]


def _name_attacks(
    standard: pa.Table, filters: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64]
) -> dict[str, float]:
    whole = pc.binary_join_element_wise(standard["forename"], standard["surname"], " ")
    rows = np.flatnonzero(whole.is_valid().to_numpy(zero_copy_only=False))
    names = whole.drop_null().to_numpy(zero_copy_only=False).astype(str)
    distinct, first = np.unique(names, return_index=True)
    chosen = np.random.default_rng(SEED).permutation(len(distinct))[:ATTACKED_NAMES]
    attacked, listed = rows[first[chosen]], distinct[chosen]
    graph = match_graphs(filters[attacked], listed, seed=SEED, own_filters=others[attacked])
    patterns = mine_patterns(filters[rows], names.tolist(), names.tolist())
    forenames, surnames = (
        standard[name].take(pa.array(rows)).to_numpy(zero_copy_only=False).astype(str)
        for name in ("forename", "surname")
    )
    differences = find_rectangles(filters[rows], forenames, surnames, seed=SEED)
    return {
        "graph_matching": graph.rate,
        "pattern_mining": patterns.rate,
        "equal_differences": differences.rate,
    }


def _worst_token(table: PeopleTable, link_keys: pa.Table, setting: Setting) -> float:
    """Return the largest share that rank matching gets right on any token, one record a person, all people known."""
    columns = {name: link_keys[name] for name in TOKEN_COLUMNS}
    columns |= _single_tokens(table) if setting.single_tokens else {}
    _, first = np.unique(table.records["truth"].to_numpy(zero_copy_only=False).astype(str), return_index=True)
    rates = []
    for column in columns.values():
        tokens = column.take(pa.array(first)).drop_null()
        if len(tokens) >= FEWEST_HOLDERS:
            # The first half of a token tells values apart as well as the whole.
            values = np.frombuffer(b"".join(tokens.to_pylist()), dtype=np.uint64)[::2]
            rates.append(rank_match(values, values, *value_counts(values)).rate)
    return max(rates)
