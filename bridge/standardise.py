"""Standard forms of identities, so that the same person written two ways gives the same link keys.

Each step is a small function of one text; `standardise_identities` applies them to the distinct values of a
column, never row by row. What cannot be read becomes null: a wrong value would match wrongly.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

TITLES = frozenset(
    {
        "mr",
        "mrs",
        "ms",
        "miss",
        "mx",
        "mstr",
        "master",
        "dr",
        "doctor",
        "prof",
        "professor",
        "rev",
        "revd",
        "reverend",
        "fr",
        "sir",
        "dame",
        "lord",
        "lady",
        "cllr",
        "councillor",
        "capt",
        "captain",
        "major",
        "sgt",
        "hon",
        "the",
    }
)
SUFFIXES = frozenset(
    {
        "jr",
        "jnr",
        "junior",
        "sr",
        "snr",
        "senior",
        "esq",
        "esquire",
        "obe",
        "mbe",
        "cbe",
        "ii",
        "iii",
        "iv",
        "dec",
        "decd",
        "deceased",
    }
)
SURNAME_PARTICLES = frozenset(
    {
        "de",
        "del",
        "della",
        "di",
        "da",
        "dos",
        "du",
        "la",
        "le",
        "van",
        "von",
        "der",
        "den",
        "ter",
        "ten",
        "al",
        "el",
        "bin",
        "ibn",
        "abu",
        "ap",
        "ab",
        "st",
        "mac",
        "mc",
        "o",
    }
)
MISSING_WORDS = frozenset(
    {
        "unknown",
        "unk",
        "none",
        "null",
        "na",
        "n/a",
        "nil",
        "notknown",
        "notgiven",
        "tba",
        "tbc",
        "test",
        "occupier",
        "executors",
    }
)

# Letters that Unicode does not decompose into a base letter and a mark.
UNDECOMPOSED_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"}
)
APOSTROPHES = re.compile(r"['`´‘’ʼʻ]")
NOT_NAME = re.compile(r"[^a-z]+")
NOT_ALPHANUMERIC = re.compile(r"[^A-Z0-9]+")
NOT_DIGIT = re.compile(r"\D+")

# Without the prefixes never issued, nor TN, which partners use for temporary numbers (HMRC, NIM39110).
NINO = re.compile(r"(?!BG|GB|KN|NK|NT|TN|ZZ)([A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6})[A-D]?")
UPN = re.compile(r"[A-Z]\d{11}[A-Z0-9]")
UK_POSTCODE = re.compile(r"[A-Z]{1,2}\d[A-Z\d]?\d[A-Z]{2}")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
YEAR_FIRST = re.compile(r"(\d{4})[-/]?(\d{2})[-/]?(\d{2})")
DAY_FIRST = re.compile(r"(\d{1,2})[-/. ](\d{1,2}|[A-Za-z]{3,9})[-/. ](\d{4})")
MONTHS = {
    name: number
    for number, name in enumerate("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), start=1)  # noqa: SIM905
}

# Dates that systems write when they know none. 1 January of other years stays: many were born on it.
PLACEHOLDER_BIRTH_DATES = frozenset(
    {date(1800, 1, 1), date(1899, 12, 30), date(1900, 1, 1), date(1901, 1, 1)}
)

NHS_NUMBER_DIGITS = 10
NHS_NUMBER_MODULUS = 11
PHONE_DIGITS = range(10, 12)
POSTCODE_LENGTHS = range(3, 11)


class Name(NamedTuple):
    """A person's name in standard form: lower-case letters only, None where it is not known."""

    forename: str | None
    middle_name: str | None
    surname: str | None


def letters(text: str) -> str:
    """NFKC, lower case, without diacritics or apostrophes: `O’Brien-Żak` gives `obrien-zak`."""
    composed = unicodedata.normalize("NFKC", text).casefold().translate(UNDECOMPOSED_LETTERS)
    decomposed = unicodedata.normalize("NFKD", composed)
    return APOSTROPHES.sub("", "".join(letter for letter in decomposed if not unicodedata.combining(letter)))


def name_words(text: str) -> list[str]:
    """The words of a name in standard letters. A hyphen joins: systems lose it, so `Mary-Ann` is one word."""
    return [word for word in NOT_NAME.split(letters(text).replace("-", "")) if word]


def without_titles(words: list[str]) -> list[str]:
    """Drop titles in front and suffixes behind, but never the last word left."""
    while len(words) > 1 and words[0] in TITLES:
        words = words[1:]
    while len(words) > 1 and words[-1] in SUFFIXES:
        words = words[:-1]
    return words


def surname(text: str) -> str | None:
    """One compact word: `SMITH JONES`, `Smith-Jones` and `Smithjones` are the same surname."""
    return _known("".join(without_titles(name_words(text))))


def forenames(text: str) -> Name:
    """Read a forename field: the first word, and what follows as middle names."""
    words = without_titles(name_words(text))
    if not words:
        return Name(None, None, None)
    return Name(_known(words[0]), _known(" ".join(words[1:])), None)


def full_name(text: str) -> Name:
    """Split a name held in one field: `SURNAME, Forename Middle`, `Mr F Surname`, `Forename Middle Surname`.

    Without a comma, a capitalised first word before mixed-case ones is the surname (`SMITH John`).
    """
    before, comma, after = text.partition(",")
    if comma and name_words(after):
        given = forenames(after)
        return Name(given.forename, given.middle_name, surname(before))
    words = without_titles(name_words(text.replace(",", " ")))
    if len(words) <= 1:
        return Name(None, None, _known("".join(words)))
    if _surname_is_first(text):
        return Name(_known(words[1]), _known(" ".join(words[2:])), _known(words[0]))
    start = len(words) - 1
    while start > 1 and words[start - 1] in SURNAME_PARTICLES:
        start -= 1
    return Name(_known(words[0]), _known(" ".join(words[1:start])), _known("".join(words[start:])))


def nino(text: str) -> str | None:
    """The eight characters that identify (the suffix is often lost); None if temporary or malformed."""
    match = NINO.fullmatch(NOT_ALPHANUMERIC.sub("", text.upper()))
    return match[1] if match else None


def upn(text: str) -> str | None:
    """Return a unique pupil number (DfE: a letter, eleven digits, a digit or letter), or None."""
    pupil = NOT_ALPHANUMERIC.sub("", text.upper())
    return pupil if UPN.fullmatch(pupil) else None


def nhs_number(text: str) -> str | None:
    """Ten digits whose check digit (modulus 11, NHS Data Dictionary) is right, else None."""
    digits = NOT_DIGIT.sub("", text)
    if len(digits) != NHS_NUMBER_DIGITS or len(set(digits)) == 1:
        return None
    total = sum((NHS_NUMBER_DIGITS - place) * int(digit) for place, digit in enumerate(digits[:-1]))
    check = (NHS_NUMBER_MODULUS - total % NHS_NUMBER_MODULUS) % NHS_NUMBER_MODULUS
    return digits if check == int(digits[-1]) else None


def phone(text: str) -> str | None:
    """National digits with a leading 0: `+44 (0)7700 900123` gives `07700900123`; else None."""
    digits = NOT_DIGIT.sub("", text.replace("(0)", ""))
    if digits.startswith("0044"):
        digits = "0" + digits[4:]
    elif digits.startswith("44") and len(digits) > max(PHONE_DIGITS):
        digits = "0" + digits[2:]
    return digits if len(digits) in PHONE_DIGITS and len(set(digits[1:])) > 1 else None


def email(text: str) -> str | None:
    """Lower case; None if it is no address."""
    folded = unicodedata.normalize("NFKC", text).strip().casefold()
    return folded if EMAIL.fullmatch(folded) else None


def postcode(text: str) -> str | None:
    """Compact capitals: `ab1 2cd` gives `AB12CD`. Other countries' codes stay; words become None."""
    compact = NOT_ALPHANUMERIC.sub("", unicodedata.normalize("NFKC", text).upper())
    if UK_POSTCODE.fullmatch(compact):
        return compact
    return compact if len(compact) in POSTCODE_LENGTHS and any(map(str.isdigit, compact)) else None


def uprn(text: str) -> str | None:
    """Digits without leading zeros, else None."""
    return NOT_DIGIT.sub("", text).lstrip("0") or None


def reference(text: str) -> str | None:
    """A partner's own reference: compact capitals, else None."""
    return NOT_ALPHANUMERIC.sub("", unicodedata.normalize("NFKC", text).upper()) or None


def date_of(text: str) -> date | None:
    """Read `1961-03-04`, `04/03/1961`, `19610304` or `04-MAR-1961`; a date that never was is None."""
    found = YEAR_FIRST.fullmatch(text)
    if found:
        year, month, day = found.groups()
    else:
        found = DAY_FIRST.fullmatch(text)
        if not found:
            return None
        day, month, year = found.groups()
    number = MONTHS.get(month.upper()[:3]) or (int(month) if month.isdigit() else 0)
    try:
        return date(int(year), number, int(day))
    except ValueError:
        return None


def parsed_dates(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return `column` as date32, reading text as `date_of` does; what it cannot read is null."""
    if pa.types.is_date32(column.type):
        return column
    if pa.types.is_temporal(column.type):
        return pc.cast(column, pa.date32())
    indices, values = _distinct(column)
    dates = [date_of(value.strip()) if value is not None else None for value in values]
    return pa.array(dates, pa.date32()).take(indices)


def standardise_identities(identities: pa.Table) -> pa.Table:
    """Return names, date_of_birth and the columns of `COLUMN_STANDARDS` in standard form, in the same order.

    A column that `identities` lacks comes back null. A record with neither forename nor surname has its name
    split from `full_name`.
    """
    family, given, whole = (_column(identities, name) for name in ("surname", "forename", "full_name"))
    from_whole = _names(whole, full_name)
    from_given = _names(given, forenames)
    named = pc.or_(pc.is_valid(family), pc.is_valid(given))
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "forename": pc.if_else(named, from_given["forename"], from_whole["forename"]),
        "middle_name": pc.coalesce(
            _over_distinct(
                _column(identities, "middle_name"), lambda text: _known(" ".join(name_words(text)))
            ),
            pc.if_else(named, from_given["middle_name"], from_whole["middle_name"]),
        ),
        "surname": pc.if_else(named, _over_distinct(family, surname), from_whole["surname"]),
        "date_of_birth": _birth_dates(_column(identities, "date_of_birth")),
    }
    for name, standard in COLUMN_STANDARDS.items():
        columns[name] = _over_distinct(_column(identities, name), standard)
    return pa.table(columns)


COLUMN_STANDARDS: dict[str, Callable[[str], str | None]] = {
    "nino": nino,
    "nhs_number": nhs_number,
    "upn": upn,
    "phone": phone,
    "email": email,
    "partner_person_reference": reference,
    "uprn": uprn,
    "postcode": postcode,
    "forwarding_uprn": uprn,
    "forwarding_postcode": postcode,
}


def _known(word: str) -> str | None:
    return None if not word or word in MISSING_WORDS else word


def _surname_is_first(text: str) -> bool:
    words = [word for word in text.split() if NOT_NAME.sub("", letters(word)) not in TITLES]
    return (
        len(words) > 1
        and len(words[0]) > 1
        and words[0].isupper()
        and not any(word.isupper() for word in words[1:])
    )


def _column(identities: pa.Table, name: str) -> pa.ChunkedArray:
    if name in identities.column_names:
        return identities[name]
    return pa.chunked_array([pa.nulls(identities.num_rows, pa.string())])


def _distinct(column: pa.ChunkedArray) -> tuple[pa.Array, list[str | None]]:
    encoded = pc.cast(column, pa.string()).combine_chunks().dictionary_encode()
    return encoded.indices, encoded.dictionary.to_pylist()


def _over_distinct(column: pa.ChunkedArray, standard: Callable[[str], str | None]) -> pa.Array:
    indices, values = _distinct(column)
    return pa.array([standard(value) if value is not None else None for value in values], pa.string()).take(
        indices
    )


def _names(column: pa.ChunkedArray, split: Callable[[str], Name]) -> dict[str, pa.Array]:
    indices, values = _distinct(column)
    names = [split(value) if value is not None else Name(None, None, None) for value in values]
    return {
        part: pa.array([getattr(name, part) for name in names], pa.string()).take(indices)
        for part in Name._fields
    }


def _birth_dates(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    dates = parsed_dates(column)
    placeholder = pc.is_in(dates, value_set=pa.array(sorted(PLACEHOLDER_BIRTH_DATES), pa.date32()))
    return pc.if_else(placeholder, pa.scalar(None, pa.date32()), dates)
