"""Filters of every recipe: what they keep of names, and what their differences tell."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest

from bridge.link_keys.filters import COUNTY_RECIPE, FilterRecipe, encode_filters

KNOWN_FILTERS = {
    FilterRecipe(): "1087895d119be3fb",
    FilterRecipe(hashes=10, diffusion=0, per_field=True): "cc2117acf18988a2",
    FilterRecipe(hashes=20, diffusion=0): "065b268e0be83483",
    FilterRecipe(diffusion=40): "f2bb158034d24cb5",
    FilterRecipe(minima=3): "fd9874c2d1e27f93",
}


def key_of(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def encode(recipe: FilterRecipe, *names: tuple[str | None, str | None]) -> np.ndarray:
    forenames, surnames = (pa.array([name[place] for name in names], pa.string()) for place in (0, 1))
    return encode_filters(forenames, surnames, key_of, recipe)


def share_differing(filters: np.ndarray, one: int = 0, other: int = 1) -> float:
    return float(np.bitwise_count(filters[one] ^ filters[other]).sum()) / (64 * filters.shape[1])


@pytest.mark.parametrize("recipe", KNOWN_FILTERS, ids=str)
def test_filters_of_a_known_name_do_not_change_between_versions(recipe: FilterRecipe) -> None:
    digest = hashlib.sha256(encode(recipe, ("frederick", "hartnoll")).tobytes()).hexdigest()[:16]
    assert digest == KNOWN_FILTERS[recipe]


@pytest.mark.parametrize("recipe", KNOWN_FILTERS, ids=str)
def test_an_edit_stays_near_and_a_stranger_is_far(recipe: FilterRecipe) -> None:
    filters = encode(recipe, ("frederick", "hartnoll"), ("frederik", "hartnoll"), ("ottoline", "quickfall"))
    assert share_differing(filters) < share_differing(filters, 0, 2) / 1.6


@pytest.mark.parametrize("recipe", KNOWN_FILTERS, ids=str)
def test_no_name_at_all_gives_no_bits_and_one_name_gives_some(recipe: FilterRecipe) -> None:
    filters = encode(recipe, (None, None), ("", None), (None, "suharto"), ("suharto", None))
    assert not filters[:2].any()
    assert filters[2:].any(axis=1).all()
    assert share_differing(filters, 2, 3) > 0


def rectangle(recipe: FilterRecipe) -> float:
    """Share of bits left when two forenames' difference under one surname meets the same under another."""
    filters = encode(recipe, ("ada", "fox"), ("tim", "fox"), ("ada", "grubb"), ("tim", "grubb"))
    return float(np.bitwise_count(np.bitwise_xor.reduce(filters)).sum()) / (64 * filters.shape[1])


def test_differences_of_min_hash_filters_depend_on_the_other_name_while_diffused_bits_cancel_out() -> None:
    assert rectangle(FilterRecipe(diffusion=40)) < 0.1
    assert rectangle(COUNTY_RECIPE) > 0.4


@pytest.mark.parametrize("setting", [{"bits": 100}, {"minima": 2, "per_field": True}, {"hashes": 0}])
def test_a_recipe_that_fills_no_words_is_refused(setting: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"filter|whole words"):
        FilterRecipe(**setting)
