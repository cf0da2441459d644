"""How a partner's system writes a person down: variants, slips, old and missing values, by the rates of
`error_model.yaml`.

A *registration* is one entry of a person in one system; records made from it repeat what was typed then.
Errors hit some registrations more than others: private renters, recent movers, the young, and people whose
names are not British.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from anyascii import anyascii

from synthetic.dates import MISSING, Days, from_parts, parts
from synthetic.identifiers import temporary_ninos
from synthetic.names import has_fathers_name, mans_surnames, read_names, writes_family_name_first
from synthetic.population import CHILD, People, birth_date_texts

ERROR_MODEL_FILE = Path(__file__).with_name("error_model.yaml")
_NAME_TYPE = "U32"
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_OCR = (("m", "rn"), ("l", "1"), ("o", "0"), ("i", "l"), ("e", "c"), ("h", "b"), ("a", "o"), ("n", "ri"))
_PHONETIC = (
    ("ph", "f"), ("ck", "k"), ("ie", "y"), ("ee", "ea"), ("th", "t"), ("ey", "y"), ("ll", "l"), ("tt", "t"),
    ("nn", "n"), ("z", "s"), ("c", "k"), ("y", "i"), ("e", "a"), ("o", "u"), ("v", "f"), ("a", "e"),
)  # fmt: skip
_LAST_ASCII = 127
_SHORTEST_TO_SLIP = 3
_SLIPS_ON_SURNAMES = 0.6  # assumed; the rest fall on forenames
_LEAST_OPEN_SHARE = 0.02  # an error that fewer can bear comes more seldom than its rate
_FIRST_DIGIT, _LAST_DIGIT = 2, 7


ERRORS = (
    "forename_variant", "forename_initial", "middle_as_first", "names_swapped", "typing_slip", "ocr", "phonetic",
    "hyphen_to_space", "half_of_a_double_name", "apostrophe_lost", "diacritics_lost", "letters_not_in_encoding",
    "birth_day_month_swapped", "birth_first_of_january", "birth_year_off_by_one", "birth_decade_off",
    "nino_transposed", "nino_temporary", "nino_of_partner", "old_phone", "address_typing_slip", "postcode_slip",
    "care_of", "old_address", "particle_lost", "particle_joined", "mans_form_of_surname", "fathers_name_as_surname",
    "single_name_once",
)  # fmt: skip
"""Names of the bits of `applied`, the lowest first: what was put into a registration or an address."""


@dataclass(frozen=True)
class Registrations:
    """What was typed, one position per registration. `surname_after` counts from `surname_known_on`
    (`MISSING`: never). `applied` holds the errors that show in it: bits of `ERRORS`.
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
    applied: np.ndarray

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


def bit(error: str) -> np.uint32:
    """The bit of one of `ERRORS`. Raises `ValueError` for another name."""
    return np.uint32(1 << ERRORS.index(error))


def bits(**errors: np.ndarray) -> np.ndarray:
    """One bit mask per position from the errors that hit it (by name, true where it shows)."""
    masks = [np.where(hit, bit(error), np.uint32(0)) for error, hit in errors.items()]
    return np.bitwise_or.reduce(masks, axis=0).astype(np.uint32)


class ErrorDraw:
    """Draws which registrations an error hits, so that over the *records* made from them it comes at its rate.

    `weights` say how error-prone each registration is, `records` how many records are made from each. An error
    that only some registrations can bear (a short form, for those whose name has one) hits these more often.
    """

    def __init__(
        self, weights: np.ndarray, records: np.ndarray | None, generator: np.random.Generator
    ) -> None:
        self.weights, self.generator = weights, generator
        self.records = np.ones(len(weights)) if records is None else records.astype(float)
        self.total = max(float(self.records.sum()), 1.0)

    def one_of(
        self, errors: Mapping[str, tuple[float, np.ndarray | None]], among: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Hit each registration with at most one of `errors` (rate, and where it can be: None, anywhere).

        Rates are shares of the records `among` which they are meant (None: all).
        """
        chance = self.generator.random(len(self.weights))
        below = np.zeros(len(self.weights))
        hits = {}
        for error, (rate, where) in errors.items():
            above = below + self._probability(rate, where, among)
            hits[error] = (chance >= below) & (chance < above)
            below = above
        return hits

    def one(
        self, rate: float, where: np.ndarray | None = None, among: np.ndarray | None = None
    ) -> np.ndarray:
        return self.one_of({"error": (rate, where)}, among)["error"]

    def evenly(self, rate: float) -> np.ndarray:
        """Hit registrations whatever their weight."""
        return self.generator.random(len(self.weights)) < rate

    def _probability(self, rate: float, where: np.ndarray | None, among: np.ndarray | None) -> np.ndarray:
        open_to = self.weights if where is None else self.weights * where
        meant = self.total if among is None else max(float(self.records[among].sum()), 1.0)
        mean = float((open_to * self.records).sum()) / meant
        return np.minimum(rate * open_to / max(mean, _LEAST_OPEN_SHARE), 1.0)


def register(
    people: People, person: np.ndarray, weights: np.ndarray, partner: np.ndarray, system: str,
    generator: np.random.Generator, records: np.ndarray | None = None,
) -> Registrations:  # fmt: skip
    """Write `person` down in `system`.

    `weights` come from `error_weights`; `partner` is the person whose number may be taken by mistake (-1:
    nobody); `records` says how many records are made from each registration (None: one).
    """
    model = error_model()
    missing = model["systems"][system]["missing"]
    count = len(person)
    draw = ErrorDraw(weights, records, generator)
    lag = generator.integers(*_months(model["surname_change"]["learnt_after_months"]), count)
    changed = people.surname_changed_on[person]
    known_on = np.where(changed == MISSING, MISSING, changed + lag).astype(np.int32)
    true = _Names(
        people.forename[person].astype(_NAME_TYPE),
        people.middle_name[person].astype(_NAME_TYPE),
        people.surname[person].astype(_NAME_TYPE),
        people.later_surname[person].astype(_NAME_TYPE),
    )
    names, applied = _names_as_typed(people, person, true, model, draw)

    date_of_birth, birth_errors = _birth_date_errors(
        people.date_of_birth[person], model["date_of_birth"], draw
    )
    no_birth_date = generator.random(count) < missing.get("date_of_birth", 0)
    nino, nino_errors = _nino_errors(people, person, partner, model["nino"], draw)
    no_nino = generator.random(count) < missing.get("nino", 0)
    old_phone = draw.one(model["phone"]["old_number"])
    no_phone = generator.random(count) < missing.get("phone", 0)
    phone = np.where(old_phone, people.old_phone[person], people.phone[person])
    title = np.where(
        people.female[person], np.array(["Mrs", "Miss", "Ms"])[generator.integers(0, 3, count)], "Mr"
    )
    title = np.where(generator.random(count) < missing.get("title", 0), "", title)
    applied |= np.where(no_birth_date, 0, birth_errors).astype(np.uint32)
    applied |= np.where(no_nino, 0, nino_errors).astype(np.uint32)
    applied |= bits(old_phone=old_phone & ~no_phone)
    return Registrations(
        person=person,
        forename=names.forename,
        middle_name=names.middle,
        surname=names.surname,
        surname_after=names.after,
        surname_known_on=known_on,
        date_of_birth=np.where(no_birth_date, MISSING, date_of_birth).astype(np.int32),
        nino=np.where(no_nino, "", nino),
        phone=np.where(no_phone, "", phone),
        title=title,
        applied=applied,
    )


def as_cp1252(registrations: Registrations) -> Registrations:
    """Fold the letters that a cp1252 system cannot hold."""
    forename, surname = (
        fold(names, keep_cp1252=True) for names in (registrations.forename, registrations.surname)
    )
    lost = (forename != registrations.forename) | (surname != registrations.surname)
    return replace(
        registrations,
        forename=forename,
        middle_name=fold(registrations.middle_name, keep_cp1252=True),
        surname=surname,
        surname_after=fold(registrations.surname_after, keep_cp1252=True),
        applied=registrations.applied | bits(letters_not_in_encoding=lost),
    )


def fold(names: np.ndarray, *, keep_cp1252: bool = False) -> np.ndarray:
    """Take the marks off letters (é to e, ł to l); with `keep_cp1252`, only off those that cp1252 lacks."""
    codes, back = _codes(names)
    marked = np.flatnonzero((codes > _LAST_ASCII).any(axis=1))
    if not len(marked):
        return names
    folded = codes.copy()
    folded[marked] = _fold_table(keep_cp1252)[codes[marked]]
    return back(folded)


def typing_slips(names: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Make one slip in each text of three letters or more: two letters exchanged, one left out, one doubled, or
    a neighbouring key.
    """
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
    # Where the slip shows nothing (two equal letters exchanged), the letter is left out.
    without = np.take_along_axis(padded, np.clip(at + (at >= place), 0, width), axis=1)
    slipped = np.where((slipped == codes).all(axis=1)[:, None], without, slipped)
    return np.where(length >= _SHORTEST_TO_SLIP, back(slipped), names)


@dataclass(frozen=True)
class _Names:
    forename: np.ndarray
    middle: np.ndarray
    surname: np.ndarray
    after: np.ndarray


def _names_as_typed(
    people: People, person: np.ndarray, true: _Names, model: Mapping[str, Any], draw: ErrorDraw
) -> tuple[_Names, np.ndarray]:
    """Names with their errors, and the bits of those that show."""
    forename, middle, which = _forename_errors(true, model["forename"], draw)
    middle = np.where(draw.evenly(model["middle_name_given"]), middle, "")
    surname, after, marks = _surname_forms(people, person, true, model, draw)

    family_first = writes_family_name_first(people.origin[person])
    mean_first = float((family_first * draw.records).sum()) / draw.total
    swapped = draw.one(max(model["forename"]["swapped_with_surname"] - mean_first, 0.0))
    swapped |= draw.generator.random(len(person)) < family_first
    swapped &= ~which["forename_initial"] & (forename != surname)

    single = true.forename == true.surname.astype(true.forename.dtype)
    once = single & draw.evenly(model["particular_names"]["single_name_once"])
    forename, middle = np.where(once, "", forename), np.where(once, "", middle)

    forename, surname = np.where(swapped, surname, forename), np.where(swapped, forename, surname)
    lost = draw.evenly(model["punctuation"]["diacritics_lost"])
    folded = [fold(names) for names in (forename, middle, surname, after)]
    lost_marks = lost & ((folded[0] != forename) | (folded[2] != surname))
    forename, middle, surname, after = (
        np.where(lost, plain, names)
        for plain, names in zip(folded, (forename, middle, surname, after), strict=True)
    )
    slips = draw.one_of({name: (model["text"][name], None) for name in ("typing_slip", "ocr", "phonetic")})
    before = forename, surname
    short = np.strings.str_len(forename) < _SHORTEST_TO_SLIP
    on_surname = short | (draw.generator.random(len(person)) < _SLIPS_ON_SURNAMES)
    for name, change in (("typing_slip", typing_slips), ("ocr", _ocr_errors), ("phonetic", _phonetic_errors)):
        forename = _changed(forename, slips[name] & ~on_surname, change, draw.generator)
        surname = _changed(surname, slips[name] & on_surname, change, draw.generator)
    shows = (forename != before[0]) | (surname != before[1])
    applied = marks | bits(
        names_swapped=swapped,
        single_name_once=once,
        diacritics_lost=lost_marks,
        **which,
        **{name: hit & shows for name, hit in slips.items()},
    )
    return _Names(forename, middle, surname, after), applied


def _forename_errors(
    true: _Names, rates: Mapping[str, float], draw: ErrorDraw
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """A variant, an initial, or the middle name first: forename, middle name, and where each error is."""
    variants, count = _variant_table()
    names = np.array(list(count), dtype=_NAME_TYPE)
    place = np.minimum(np.searchsorted(names, true.forename), len(names) - 1)
    has_variant = names[place] == true.forename
    choices = np.array(list(count.values()))[place]
    chosen = variants[place, np.floor(draw.generator.random(len(place)) * choices).astype(int)]
    several = np.strings.str_len(true.forename) > 1
    which = draw.one_of(
        {
            "forename_variant": (rates["variant"], has_variant & several),
            "forename_initial": (rates["initial_only"], several),
            "middle_as_first": (rates["middle_as_first"], true.middle != ""),
        }
    )
    forename = np.where(which["forename_variant"], chosen, true.forename)
    forename = np.where(which["forename_initial"], true.forename.astype("U1"), forename)
    exchanged = which["middle_as_first"]
    middle = np.where(exchanged, true.forename, true.middle)
    return np.where(exchanged, true.middle, forename).astype(_NAME_TYPE), middle, which


def _surname_forms(
    people: People, person: np.ndarray, true: _Names, model: Mapping[str, Any], draw: ErrorDraw
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Surnames (now, and after a change) in the forms that systems make of double names, apostrophes, particles,
    women's endings and fathers' names; and the bits of what happened to the first.
    """
    rates, generator = model["particular_names"], draw.generator
    surname, shown = _punctuation(true.surname, model["punctuation"], generator)
    after, _ = _punctuation(true.after, model["punctuation"], generator)
    surname, particle = _particles(surname, rates, generator)
    after, _ = _particles(after, rates, generator)

    mans = mans_surnames(people.surname[person], people.origin[person], people.female[person])
    mans_form = (mans != people.surname[person]) & draw.evenly(rates["mans_form_of_surname"])
    surname = np.where(mans_form & (surname == true.surname), mans.astype(_NAME_TYPE), surname)
    fathers = has_fathers_name(people.origin[person]) & (true.middle != "")
    fathers &= draw.evenly(rates["fathers_name_as_surname"])
    surname = np.where(fathers, true.middle, surname)
    marks = bits(
        mans_form_of_surname=mans_form & ~fathers, fathers_name_as_surname=fathers, **shown, **particle
    )
    return surname, after, marks


def _punctuation(
    names: np.ndarray, rates: Mapping[str, float], generator: np.random.Generator
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    chance = generator.random(len(names))
    hyphen = np.strings.find(names, "-") > 0
    to_space = hyphen & (chance < rates["hyphen_to_space"])
    halved = hyphen & ~to_space & (chance < rates["hyphen_to_space"] + rates["half_of_a_double_name"])
    apostrophe = (np.strings.find(names, "'") > 0) & (generator.random(len(names)) < rates["apostrophe_lost"])
    changed = names.copy()
    # NumPy's text functions refuse empty arrays.
    if to_space.any():
        changed[to_space] = np.strings.replace(names[to_space], "-", " ")
    if halved.any():
        changed[halved] = np.strings.partition(names[halved], "-")[0]
    if apostrophe.any():
        changed[apostrophe] = np.strings.replace(changed[apostrophe], "'", "")
    return changed, {
        "hyphen_to_space": to_space,
        "half_of_a_double_name": halved,
        "apostrophe_lost": apostrophe,
    }


def _particles(
    names: np.ndarray, rates: Mapping[str, float], generator: np.random.Generator
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Leave a particle out (da Silva: Silva) or write it together (Dasilva)."""
    chance = generator.random(len(names))
    particle = np.zeros(len(names), dtype="U8")
    spaced = np.flatnonzero(np.strings.find(names, " ") > 0)
    for word in sorted(read_names().particles, key=len):
        begins = spaced[np.strings.startswith(names[spaced], word + " ")]
        particle[begins] = word + " "
    there = particle != ""
    lost = np.flatnonzero(there & (chance < rates["particle_lost"]))
    joined = np.flatnonzero(
        there
        & (chance >= rates["particle_lost"])
        & (chance < rates["particle_lost"] + rates["particle_joined"])
    )
    changed = names.copy()
    if len(lost):
        changed[lost] = np.strings.slice(names[lost], np.strings.str_len(particle[lost]), None)
    if len(joined):
        changed[joined] = np.strings.capitalize(np.strings.replace(names[joined], " ", ""))
    hit = {
        "particle_lost": np.zeros(len(names), dtype=bool),
        "particle_joined": np.zeros(len(names), dtype=bool),
    }
    hit["particle_lost"][lost] = True
    hit["particle_joined"][joined] = True
    return changed, hit


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


def _birth_date_errors(days: Days, rates: Mapping[str, float], draw: ErrorDraw) -> tuple[Days, np.ndarray]:
    year, month, day = parts(days)
    hits = draw.one_of(
        {
            "birth_day_month_swapped": (rates["day_month_swapped"], (day <= 12) & (day != month)),
            "birth_first_of_january": (rates["first_of_january"], (day != 1) | (month != 1)),
            "birth_year_off_by_one": (rates["year_off_by_one"], None),
            "birth_decade_off": (rates["decade_off"], None),
        }
    )
    swapped, january = hits["birth_day_month_swapped"], hits["birth_first_of_january"]
    month, day = np.where(swapped, day, month), np.where(swapped, month, day)
    month, day = np.where(january, 1, month), np.where(january, 1, day)
    step = np.where(draw.generator.random(len(days)) < 0.5, 1, -1)
    year = year + step * hits["birth_year_off_by_one"] - 10 * hits["birth_decade_off"]
    return from_parts(year, month, day), bits(**hits)


def _nino_errors(
    people: People, person: np.ndarray, partner: np.ndarray, rates: Mapping[str, float], draw: ErrorDraw
) -> tuple[np.ndarray, np.ndarray]:
    """National Insurance numbers as typed. Rates are shares of adults' records: children's are not shown."""
    nino = people.nino[person]
    adult = people.role[person] != CHILD
    codes, back = _codes(nino)
    place = draw.generator.integers(_FIRST_DIGIT, _LAST_DIGIT, len(person))
    rows = np.arange(len(person))
    differ = codes[rows, place] != codes[rows, place + 1]
    hits = draw.one_of(
        {
            "nino_transposed": (rates["transposed"], adult & differ),
            "nino_temporary": (rates["temporary"], adult),
            "nino_of_partner": (rates["partners_number"], adult & (partner >= 0)),
        },
        among=adult,
    )
    nino = np.where(hits["nino_of_partner"], people.nino[np.maximum(partner, 0)], nino)
    rows = np.flatnonzero(hits["nino_transposed"])
    exchanged, at = codes[rows].copy(), place[rows]
    one_each = np.arange(len(rows))
    exchanged[one_each, at], exchanged[one_each, at + 1] = codes[rows, at + 1], codes[rows, at]
    nino[rows] = back(exchanged)
    rows = np.flatnonzero(hits["nino_temporary"])
    nino[rows] = temporary_ninos(birth_date_texts(people, person[rows]), people.female[person[rows]])
    return nino, bits(**hits)


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
        return np.ascontiguousarray(changed.astype(np.uint32)).view(kind).reshape(len(changed))

    return codes, back


@cache
def _fold_table(keep_cp1252: bool) -> np.ndarray:
    table = np.arange(0x2100, dtype=np.uint32)
    for code in range(0xC0, 0x2100):
        letter = chr(code)
        plain = anyascii(letter)[:1] or letter
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
