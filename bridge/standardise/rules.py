"""The data of standardising: `standardise.yaml`, read once into frozen tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

RULES_FILE = Path(__file__).with_name("standardise.yaml")


@dataclass(frozen=True)
class Spellings:
    """`written[i]` has the standard form `standard[i]`."""

    written: pa.Array
    standard: pa.Array

    @classmethod
    def of(cls, forms: Mapping[str, Iterable[str]]) -> Spellings:
        pairs = {other: form for form, others in forms.items() for other in others}
        return cls(pa.array(list(pairs), pa.string()), pa.array(list(pairs.values()), pa.string()))


@dataclass(frozen=True)
class Rules:
    """Words by what they do, as regular expressions (`a|b|c`, longest first) or as Arrow arrays to look up."""

    titles_anywhere: str
    titles: str
    suffixes: str
    missing: pa.Array
    surname_particles: str
    forename_particles: str
    names_of_baptism: str
    womens_endings: tuple[tuple[str, str], ...]
    family_names_written_first: pa.Array
    family_first: str
    one_spelling: Spellings
    whole_forms: Spellings
    placeholder_birth_dates: pa.Array
    placeholder_ninos: pa.Array
    placeholder_phones: pa.Array
    placeholder_emails: pa.Array
    placeholder_postcodes_begin: str


@cache
def rules() -> Rules:
    """Read the rules."""
    read = read_file()
    first = [name for names in read["family_names_written_first"].values() for name in names]
    return Rules(
        titles_anywhere=alternatives(read["titles_anywhere"]),
        titles=alternatives([*read["titles_anywhere"], *read["titles_in_front"]]),
        suffixes=alternatives(read["suffixes"]),
        missing=_texts(read["missing"]),
        surname_particles=alternatives(read["surname_particles"]),
        forename_particles=alternatives(read["forename_particles"]),
        names_of_baptism=alternatives(read["names_of_baptism"]),
        womens_endings=tuple((ending, mans) for ending, mans in read["womens_endings"]),
        family_names_written_first=_texts(first),
        family_first=alternatives(first),
        one_spelling=Spellings.of(read["one_spelling"]),
        whole_forms=Spellings.of(read["whole_forms"]),
        placeholder_birth_dates=pa.array(
            [date.fromisoformat(str(day)) for day in read["placeholder_birth_dates"]], pa.date32()
        ),
        placeholder_ninos=_texts(read["placeholder_ninos"]),
        placeholder_phones=_texts(read["placeholder_phones"]),
        placeholder_emails=_texts(read["placeholder_emails"]),
        placeholder_postcodes_begin=alternatives(read["placeholder_postcodes_begin"]),
    )


def read_file(path: Path = RULES_FILE) -> dict[str, Any]:
    """Read the file as it is: rules, and the worked examples under `examples`."""
    with path.open(encoding="utf-8") as file:
        read: dict[str, Any] = yaml.load(file, Loader=yaml.CSafeLoader)
    return read


def alternatives(words: Iterable[str]) -> str:
    """A regular expression of any of `words`, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))


def _texts(words: Iterable[str]) -> pa.Array:
    return pa.array(list(words), pa.string())
