"""Dates of birth: read from any form that partners write, null where the day never was or says nothing."""

from __future__ import annotations

import re
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from bridge.standardise.names import Step, composed
from bridge.standardise.rules import rules

YEAR_FIRST = re.compile(r"(\d{4})[-/. ]?(\d{1,2})[-/. ]?(\d{1,2})")
DAY_FIRST = re.compile(r"(\d{1,2})[-/. ]?(\d{1,2}|[A-Za-z]{3,9})[-/. ]?(\d{4})")
MONTHS = {
    name: number
    for number, name in enumerate("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), start=1)  # noqa: SIM905
}


def date_of(text: str) -> date | None:
    """Read `1961-03-04`, `04/03/1961`, `19610304`, `04-MAR-1961` or `4 March 1961`; a day that never was is None."""
    if found := YEAR_FIRST.fullmatch(text):
        year, month, day = found.groups()
    elif found := DAY_FIRST.fullmatch(text):
        day, month, year = found.groups()
    else:
        return None
    number = MONTHS.get(month.upper()[:3]) or (int(month) if month.isdigit() else 0)
    try:
        return date(int(year), number, int(day))
    except ValueError:
        return None


def without_time(texts: pa.Array) -> pa.Array:
    """The day alone of `1961-03-04T00:00:00` or `04/03/1961 00:00`."""
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, r"[T ]\d{1,2}:\d{2}.*$", ""))


def without_ordinal(texts: pa.Array) -> pa.Array:
    """`4th March 1961`"""
    return pc.replace_substring_regex(texts, r"(?i)^(\d{1,2})(?:st|nd|rd|th)\b", r"\1")


def read(texts: pa.Array) -> pa.Array:
    """Texts as date32, null for those that are no day."""
    return pa.array([None if text is None else date_of(text) for text in texts.to_pylist()], pa.date32())


def no_placeholder_date(dates: pa.Array) -> pa.Array:
    """Null for days that systems write when they know none."""
    return pc.if_else(pc.is_in(dates, value_set=rules().placeholder_birth_dates), None, dates)


DATE_STEPS: tuple[Step, ...] = (composed, without_time, without_ordinal, read, no_placeholder_date)
