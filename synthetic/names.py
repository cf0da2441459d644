"""Names of the county's people: several origins, frequencies with a long tail, names that follow birth cohort
and sex.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

NAMES_FILE = Path(__file__).with_name("names.yaml")
OLDER_BEFORE, YOUNGER_FROM = 1957, 1986
FORENAME_TYPE, SURNAME_TYPE = "U16", "U28"
_DOUBLE_BARRELLED_SHARE = 0.03  # assumed
# Weight of rank r: 1 / (r + shift) ** power. Assumed; the top surname then names about 1 % of people.
_COMMON_SURNAMES, _RARE_SURNAMES, _FORENAMES = (12.0, 0.9), (2.7, 0.15), (2.7, 0.7)


@dataclass(frozen=True)
class NameMaterial:
    """The lists of `names.yaml`, ready for drawing."""

    origins: tuple[str, ...]
    shares: Mapping[str, float]
    forenames: Mapping[tuple[str, str, str], np.ndarray]
    surnames: Mapping[str, tuple[np.ndarray, np.ndarray]]
    feminine_endings: Mapping[str, list[tuple[str, str]]]
    variants: Mapping[str, tuple[str, ...]]


@cache
def read_names(path: Path = NAMES_FILE) -> NameMaterial:
    """Read and expand `names.yaml`. Raises `KeyError` if an origin lacks a list."""
    with path.open(encoding="utf-8") as file:
        material = yaml.load(file, Loader=yaml.CSafeLoader)
    origins: dict[str, Any] = material["origins"]
    forenames = {
        (origin, sex, era): np.array(names, dtype=FORENAME_TYPE)
        for origin, lists in origins.items()
        for sex, eras in lists["forenames"].items()
        for era, names in eras.items()
    }
    return NameMaterial(
        origins=tuple(origins),
        shares={origin: lists["share"] for origin, lists in origins.items()},
        forenames=forenames,
        surnames={origin: _surname_table(lists) for origin, lists in origins.items()},
        feminine_endings={
            origin: [(ending, feminine) for ending, feminine in pairs]
            for origin, pairs in material["feminine_endings"].items()
        },
        variants={name: tuple(others) for name, others in material["variants"].items()},
    )


def draw_surnames(origin: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw one family surname for each origin number (position in `NameMaterial.origins`)."""
    material = read_names()
    single = _draw_single_surnames(origin, generator)
    other = _draw_single_surnames(origin, generator)
    british = origin == material.origins.index("british")
    joined = np.strings.add(np.strings.add(single, "-"), other)
    fits = np.strings.str_len(joined) <= np.dtype(SURNAME_TYPE).itemsize // 4
    double = british & fits & (single != other) & (generator.random(len(origin)) < _DOUBLE_BARRELLED_SHARE)
    return np.where(double, joined, single).astype(SURNAME_TYPE)


def draw_forenames(
    origin: np.ndarray, female: np.ndarray, birth_year: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Draw one forename for each person, by name origin, sex and birth cohort."""
    material = read_names()
    era = np.where(
        birth_year < OLDER_BEFORE, "older", np.where(birth_year < YOUNGER_FROM, "middle", "younger")
    )
    drawn = np.empty(len(origin), dtype=FORENAME_TYPE)
    chance = generator.random(len(origin))
    for (of_origin, sex, of_era), names in material.forenames.items():
        here = (origin == material.origins.index(of_origin)) & (female == (sex == "female"))
        if of_era != "any":
            here &= era == of_era
        cumulative = np.cumsum(_zipf(len(names), *_FORENAMES))
        drawn[here] = names[np.searchsorted(cumulative / cumulative[-1], chance[here], side="right")]
    return drawn


def feminine_surnames(surname: np.ndarray, origin: np.ndarray, female: np.ndarray) -> np.ndarray:
    """Give women the feminine ending of their surname where the origin has one."""
    material = read_names()
    changed = surname.copy()
    for of_origin, pairs in material.feminine_endings.items():
        rows = np.flatnonzero(female & (origin == material.origins.index(of_origin)))
        for ending, feminine in pairs:
            ends = rows[np.strings.endswith(surname[rows], ending)]
            stems = np.array(
                [name.removesuffix(ending) for name in surname[ends].tolist()], dtype=SURNAME_TYPE
            )
            if len(ends):
                changed[ends] = np.strings.add(stems, feminine)
    return changed


def _draw_single_surnames(origin: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    material = read_names()
    drawn = np.empty(len(origin), dtype=SURNAME_TYPE)
    chance = generator.random(len(origin))
    for number, name in enumerate(material.origins):
        names, cumulative = material.surnames[name]
        here = origin == number
        drawn[here] = names[np.searchsorted(cumulative, chance[here], side="right")]
    return drawn


def _surname_table(lists: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return an origin's surnames, the common ones first, and their cumulative weights."""
    common: list[str] = lists["surnames"]
    tail = []
    for key in ("parts", "more_parts"):
        parts = lists.get(key, {"starts": [], "ends": []})
        tail += [start + end for end in parts["ends"] for start in parts["starts"]]
    seen = set(common)
    tail = [name for name in dict.fromkeys(tail) if name not in seen]
    # A fixed stride spreads the tail's few frequent names over all starts and ends.
    tail = [tail[number * 617 % len(tail)] for number in range(len(tail))] if len(tail) % 617 else tail
    head_weights = _zipf(len(common), *_COMMON_SURNAMES)
    tail_weights = _zipf(len(tail), *_RARE_SURNAMES)
    share = lists["common_share"]
    weights = np.concatenate(
        [head_weights / head_weights.sum() * share, tail_weights / tail_weights.sum() * (1 - share)]
    )
    return np.array(common + tail, dtype=SURNAME_TYPE), np.cumsum(weights) / weights.sum()


def _zipf(count: int, shift: float, power: float) -> np.ndarray:
    return 1.0 / (np.arange(count) + shift) ** power
