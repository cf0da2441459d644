"""How a partner's system writes a person down: variants, slips, old and missing values, by the rates of
`error_model.yaml`.

A *registration* is one entry of a person in one system; records made from it repeat what was typed then.
Errors hit some registrations more than others: private renters, recent movers, the young, and people whose
names are not British.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from synthetic.dates import MISSING, Days, from_parts, parts
from synthetic.identifiers import temporary_ninos
from synthetic.names import read_names
from synthetic.population import People, birth_date_texts

ERROR_MODEL_FILE = Path(__file__).with_name("error_model.yaml")
_NAME_TYPE = "U32"
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_OCR = (("m", "rn"), ("l", "1"), ("o", "0"), ("i", "l"), ("e", "c"), ("h", "b"), ("a", "o"), ("n", "ri"))
_PHONETIC = (
    ("ph", "f"), ("ck", "k"), ("ie", "y"), ("ee", "ea"), ("th", "t"), ("ey", "y"), ("ll", "l"), ("tt", "t"),
    ("nn", "n"), ("z", "s"), ("c", "k"), ("y", "i"), ("e", "a"), ("o", "u"), ("v", "f"), ("a", "e"),
)  # fmt: skip
_FOLDED = dict(zip("łŁøıđĐßæÆ", "lLoidDsaA", strict=True))


ERRORS = (
    "forename_variant", "forename_initial", "middle_as_first", "names_swapped", "typing_slip", "ocr", "phonetic",
    "hyphen_to_space", "half_of_a_double_name", "apostrophe_lost", "diacritics_lost", "letters_not_in_encoding",
    "birth_day_month_swapped", "birth_first_of_january", "birth_year_off_by_one", "birth_decade_off",
    "nino_transposed", "nino_temporary", "nino_of_partner", "old_phone", "address_typing_slip", "postcode_slip",
    "care_of", "old_address",
)  # fmt: skip
"""Names of the bits of `applied`, the lowest first: what was put into a registration or an address."""


@dataclass(frozen=True)
class Registrations:
    """What was typed, one position per registration. `surname_after` counts from `surname_known_on`
    (`MISSING`: never).
    """

    person: np.ndarray
    forename: np.ndarray
    middle_name: np.ndarray
    surname: np.ndarray
    surname_after: np.ndarray
    surname_known_on: Days
    date_of_birth: Days
    nino: np.ndarray
    phone: np.ndarray
    title: np.ndarray

    def surname_on(self, rows: np.ndarray, day: Days) -> np.ndarray:
        """The surname that the system shows for these registrations on `day`."""
        known = self.surname_known_on[rows]
        return np.where((known != MISSING) & (known <= day), self.surname_after[rows], self.surname[rows])


@cache
def error_model(path: Path = ERROR_MODEL_FILE) -> dict[str, Any]:
    """Read `error_model.yaml`."""
    with path.open(encoding="utf-8") as file:
        model: dict[str, Any] = yaml.load(file, Loader=yaml.CSafeLoader)
    return model


def error_weights(
    private: np.ndarray, moved: np.ndarray, young: np.ndarray, not_british: np.ndarray
) -> np.ndarray:
    """How much likelier than the mean an error is in each registration (mean 1)."""
    effects = error_model()["correlation"]
    logs = (
        effects["private_rent"] * private
        + effects["moved_within_a_year"] * moved
        + effects["under_30"] * young
        + effects["name_not_british"] * not_british
    )
    weights = np.exp(logs)
    return weights / weights.mean() if len(weights) else weights


def register(
    people: People, person: np.ndarray, weights: np.ndarray, partner: np.ndarray, system: str,
    generator: np.random.Generator,
) -> Registrations:  # fmt: skip
    """Write `person` down in `system`.

    `weights` come from `error_weights`; `partner` is the person whose number may be taken by mistake (-1:
    nobody).
    """
    model = error_model()
    missing = model["systems"][system]["missing"]
    count = len(person)

    def hits(rate: float) -> np.ndarray:
        return generator.random(count) < rate * weights

    lag = generator.integers(*_months(model["surname_change"]["learnt_after_months"]), count)
    changed = people.surname_changed_on[person]
    known_on = np.where(changed == MISSING, MISSING, changed + lag).astype(np.int32)
    forename, middle = (
        people.forename[person].astype(_NAME_TYPE),
        people.middle_name[person].astype(_NAME_TYPE),
    )
    surname, after = (
        people.surname[person].astype(_NAME_TYPE),
        people.later_surname[person].astype(_NAME_TYPE),
    )

    forename, middle = _forename_errors(forename, middle, model["forename"], hits, generator)
    middle = np.where(generator.random(count) < model["middle_name_given"], middle, "")
    swapped = hits(model["forename"]["swapped_with_surname"])
    forename, surname = np.where(swapped, surname, forename), np.where(swapped, forename, surname)
    surname, after = (_punctuation(names, model["punctuation"], generator) for names in (surname, after))
    lost = generator.random(count) < model["punctuation"]["diacritics_lost"]
    forename, middle, surname, after = (
        np.where(lost, fold(names), names) for names in (forename, middle, surname, after)
    )
    on_surname = generator.random(count) < 0.6
    for name, change in (("typing_slip", typing_slips), ("ocr", _ocr_errors), ("phonetic", _phonetic_errors)):
        hit = hits(model["text"][name])
        forename = _changed(forename, hit & ~on_surname, change, generator)
        surname = _changed(surname, hit & on_surname, change, generator)

    date_of_birth = _birth_date_errors(people.date_of_birth[person], model["date_of_birth"], hits, generator)
    date_of_birth = np.where(
        generator.random(count) < missing.get("date_of_birth", 0), MISSING, date_of_birth
    )
    nino = _nino_errors(people, person, partner, model["nino"], hits, generator)
    nino = np.where(generator.random(count) < missing.get("nino", 0), "", nino)
    phone = np.where(hits(model["phone"]["old_number"]), people.old_phone[person], people.phone[person])
    phone = np.where(generator.random(count) < missing.get("phone", 0), "", phone)
    title = np.where(
        people.female[person], np.array(["Mrs", "Miss", "Ms"])[generator.integers(0, 3, count)], "Mr"
    )
    title = np.where(generator.random(count) < missing.get("title", 0), "", title)
    return Registrations(
        person=person,
        forename=forename,
        middle_name=middle,
        surname=surname,
        surname_after=after,
        surname_known_on=known_on,
        date_of_birth=date_of_birth.astype(np.int32),
        nino=nino,
        phone=phone,
        title=title,
    )


def as_cp1252(registrations: Registrations) -> Registrations:
    """Fold the letters that a cp1252 system cannot hold."""
    return replace(
        registrations,
        forename=fold(registrations.forename, keep_cp1252=True),
        middle_name=fold(registrations.middle_name, keep_cp1252=True),
        surname=fold(registrations.surname, keep_cp1252=True),
        surname_after=fold(registrations.surname_after, keep_cp1252=True),
    )


def fold(names: np.ndarray, *, keep_cp1252: bool = False) -> np.ndarray:
    """Take the marks off letters (é to e, ł to l); with `keep_cp1252`, only off those that cp1252 lacks."""
    codes, back = _codes(names)
    return back(_fold_table(keep_cp1252)[codes])


def typing_slips(names: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Make one slip in each text: two letters exchanged, one left out, one doubled, or a neighbouring key."""
    codes, back = _codes(names)
    width = codes.shape[1]
    length = np.strings.str_len(names)
    place = (1 + np.floor(generator.random(len(names)) * np.maximum(length - 2, 1))).astype(int)[:, None]
    at = np.arange(width)[None, :]
    kind = generator.integers(0, 4, len(names))[:, None]
    source = np.where(kind == 1, at + (at >= place), at)
    source = np.where(kind == 2, at - (at > place), source)
    source = np.where((kind == 0) & (at == place), at + 1, source)
    source = np.where((kind == 0) & (at == place + 1), at - 1, source)
    padded = np.concatenate([codes, np.zeros((len(names), 1), dtype=codes.dtype)], axis=1)
    slipped = np.take_along_axis(padded, np.clip(source, 0, width), axis=1)
    neighbour = _neighbour_table()[np.minimum(slipped, 255)]
    slipped = np.where((kind == 3) & (at == place) & (neighbour > 0), neighbour, slipped)
    long_enough = length >= 3
    return np.where(long_enough, back(slipped), names)


def _forename_errors(
    forename: np.ndarray,
    middle: np.ndarray,
    rates: dict[str, float],
    hits: Any,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    variants, count = _variant_table()
    names = np.array(list(count), dtype=_NAME_TYPE)
    place = np.searchsorted(names, forename)
    place = np.minimum(place, len(names) - 1)
    has_variant = names[place] == forename
    choices = np.array(list(count.values()))[place]
    chosen = variants[place, np.floor(generator.random(len(forename)) * choices).astype(int)]
    # Only some forenames have variants; they take the whole rate.
    share = max(float(has_variant.mean()), 0.05) if len(forename) else 1.0
    varied = np.where(hits(rates["variant"] / share) & has_variant, chosen, forename)
    initial = hits(rates["initial_only"])
    varied = np.where(initial, forename.astype("U1"), varied)
    has_middle = middle != ""
    share = max(float(has_middle.mean()), 0.05) if len(forename) else 1.0
    exchanged = hits(rates["middle_as_first"] / share) & has_middle
    return np.where(exchanged, middle, varied).astype(_NAME_TYPE), np.where(exchanged, forename, middle)


def _punctuation(names: np.ndarray, rates: dict[str, float], generator: np.random.Generator) -> np.ndarray:
    chance = generator.random(len(names))
    hyphen = np.strings.find(names, "-") > 0
    spaced = np.strings.replace(names, "-", " ")
    first = np.strings.partition(names, "-")[0]
    names = np.where(hyphen & (chance < rates["hyphen_to_space"]), spaced, names)
    halved = hyphen & (chance >= rates["hyphen_to_space"])
    halved &= chance < rates["hyphen_to_space"] + rates["half_of_a_double_name"]
    names = np.where(halved, first, names)
    apostrophe = (np.strings.find(names, "'") > 0) & (generator.random(len(names)) < rates["apostrophe_lost"])
    return np.where(apostrophe, np.strings.replace(names, "'", ""), names).astype(_NAME_TYPE)


def _ocr_errors(names: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return _replace_one(names, _OCR, generator)


def _phonetic_errors(names: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return _replace_one(names, _PHONETIC, generator)


def _replace_one(
    names: np.ndarray, rules: tuple[tuple[str, str], ...], generator: np.random.Generator
) -> np.ndarray:
    """Apply to each name one rule, at one place, chosen among those that change it."""
    best = np.full(len(names), -1.0)
    result = names.copy()
    for old, new in rules:
        replaced = np.strings.replace(names, old, new, count=1)
        score = np.where(replaced != names, generator.random(len(names)), -1.0)
        result = np.where(score > best, replaced, result)
        best = np.maximum(best, score)
    return result


def _birth_date_errors(
    days: Days, rates: dict[str, float], hits: Any, generator: np.random.Generator
) -> Days:
    year, month, day = parts(days)
    swapped = hits(rates["day_month_swapped"]) & (day <= 12)
    month, day = np.where(swapped, day, month), np.where(swapped, month, day)
    january = hits(rates["first_of_january"])
    month, day = np.where(january, 1, month), np.where(january, 1, day)
    step = np.where(generator.random(len(days)) < 0.5, 1, -1)
    year = year + step * hits(rates["year_off_by_one"]) - 10 * hits(rates["decade_off"])
    return from_parts(year, month, day)


def _nino_errors(
    people: People, person: np.ndarray, partner: np.ndarray, rates: dict[str, float], hits: Any,
    generator: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    nino = people.nino[person]
    taken = hits(rates["partners_number"]) & (partner >= 0)
    nino = np.where(taken, people.nino[np.maximum(partner, 0)], nino)
    transposed = np.flatnonzero(hits(rates["transposed"]))
    codes, back = _codes(nino[transposed])
    place = generator.integers(2, 7, len(transposed))
    rows = np.arange(len(transposed))
    exchanged = codes.copy()
    exchanged[rows, place], exchanged[rows, place + 1] = codes[rows, place + 1], codes[rows, place]
    nino[transposed] = back(exchanged)
    temporary = np.flatnonzero(hits(rates["temporary"]))
    nino[temporary] = temporary_ninos(
        birth_date_texts(people, person[temporary]), people.female[person[temporary]]
    )
    return nino


def _changed(names: np.ndarray, hit: np.ndarray, change: Any, generator: np.random.Generator) -> np.ndarray:
    rows = np.flatnonzero(hit)
    if not len(rows):
        return names
    changed = names.copy()
    changed[rows] = change(names[rows], generator)
    return changed


def _months(bounds: list[int]) -> tuple[int, int]:
    return round(bounds[0] * 30.44), round(bounds[1] * 30.44)


def _codes(names: np.ndarray) -> tuple[np.ndarray, Any]:
    """View texts as a matrix of code points, and return the way back."""
    kind = names.dtype
    width = kind.itemsize // 4
    codes = np.ascontiguousarray(names).view(np.uint32).reshape(len(names), width)

    def back(changed: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(changed.astype(np.uint32)).view(kind).reshape(len(names))

    return codes, back


@cache
def _fold_table(keep_cp1252: bool) -> np.ndarray:
    import unicodedata

    table = np.arange(0x2100, dtype=np.uint32)
    for code in range(0xC0, 0x2100):
        letter = chr(code)
        plain = _FOLDED.get(letter) or unicodedata.normalize("NFD", letter)[0]
        if keep_cp1252 and letter.encode("cp1252", errors="ignore"):
            continue
        table[code] = ord(plain)
    return table


@cache
def _neighbour_table() -> np.ndarray:
    table = np.zeros(256, dtype=np.uint32)
    for row in _KEYBOARD:
        for letter, neighbour in zip(row, row[1:] + row[-2], strict=True):
            table[ord(letter)] = ord(neighbour)
    return table


@cache
def _variant_table() -> tuple[np.ndarray, dict[str, int]]:
    """Return a table of variants, one row per forename in order, and how many each has."""
    variants = dict(sorted(read_names().variants.items()))
    widest = max(len(others) for others in variants.values())
    table = np.zeros((len(variants), widest), dtype=_NAME_TYPE)
    for row, others in enumerate(variants.values()):
        table[row, : len(others)] = others
    return table, {name: len(others) for name, others in variants.items()}
