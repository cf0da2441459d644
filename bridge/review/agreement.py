"""Two identities field by field: what each holds, and how the two agree in it once both are in standard form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from bridge.pseudonymise.identities import IDENTITY_COLUMNS, IDENTITY_SCHEMA
from bridge.standardise.identities import standardise_identities


class Agreement(StrEnum):
    """How two records agree in one field."""

    SAME = "same"
    SWAPPED = "day and month swapped"
    INITIAL = "initial of the other"
    SLIP = "one slip"
    OTHER = "differs"
    ONE_HOLDS = "held by one"


@dataclass(frozen=True)
class Field:
    """One field of a pair, as the two partners wrote it. Its text form holds no value."""

    name: str
    left: str
    right: str
    agreement: Agreement

    def __repr__(self) -> str:
        return f"Field(name={self.name!r}, agreement={self.agreement.value!r})"


def fields_of(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[Field, ...]:
    """Return the fields that one of the two identities holds, in the order in which linkage reads them.

    A whole name is told beside the forename and surname that standardising finds in it.
    """
    pair = pa.table(
        {
            name: pa.array([each.get(name) for each in (one, other)], IDENTITY_SCHEMA.field(name).type)
            for name in IDENTITY_COLUMNS
        }
    )
    standard = standardise_identities(pair)
    told = []
    for name in IDENTITY_COLUMNS:
        left, right = pair[name].to_pylist()
        known = standard[name].to_pylist() if name in standard.column_names else [None, None]
        one_text, other_text = _text(left, known[0]), _text(right, known[1])
        if one_text or other_text:
            told.append(
                Field(name, one_text, other_text, _agreement(name, known[0], known[1], one_text, other_text))
            )
    return tuple(told)


def _held(value: object) -> bool:
    return value is not None and value != ""


def _text(written: object, known: object) -> str:
    shown = written if _held(written) else known
    return str(shown) if _held(shown) else ""


def _agreement(name: str, one: Any, other: Any, left: str, right: str) -> Agreement:
    if not _held(one) and not _held(other):
        # No standard form of it: an address as a whole, an e-mail.
        one, other = left.casefold(), right.casefold()
    if not _held(one) or not _held(other):
        return Agreement.ONE_HOLDS
    if one == other:
        return Agreement.SAME
    if isinstance(one, date) and isinstance(other, date):
        swapped = (one.year, one.month, one.day) == (other.year, other.day, other.month)
        return Agreement.SWAPPED if swapped else _slips(one.isoformat(), other.isoformat())
    if "name" in name and 1 in (len(one), len(other)):
        return Agreement.INITIAL if one[0] == other[0] else Agreement.OTHER
    return _slips(str(one), str(other))


def _slips(one: str, other: str) -> Agreement:
    row = _distances().execute("select damerau_levenshtein(?, ?)", [one, other]).fetchone()
    return Agreement.SLIP if row and row[0] == 1 else Agreement.OTHER


@cache
def _distances() -> duckdb.DuckDBPyConnection:
    """Return a connection of its own that only counts slips."""
    return duckdb.connect(":memory:", config={"threads": 1})
