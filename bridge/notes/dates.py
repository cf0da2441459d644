"""Dates in the text of a case note: "on 3/4/26", "since March", "in 2014", "two weeks ago"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

BY_DAY, BY_MONTH, BY_YEAR, BY_SPAN, BY_NOTE = "day", "month", "year", "ago", "note"
DATE_SOURCES = (BY_DAY, BY_MONTH, BY_YEAR, BY_SPAN, BY_NOTE)
"""How a concept's date is known: a day in the text; a month or a year (its first day); so long ago; the note's own."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "a couple of": 2, "couple of": 2, "a few": 3, "few": 3, "several": 4,
}  # fmt: skip
_DAYS_IN = {"d": 1.0, "n": 1.0, "w": 7.0, "m": 30.44, "y": 365.25}
_LAST = {"last night": 1, "yesterday": 1, "today": 0, "tonight": 0, "this morning": 0, "last week": 7,
         "last month": 30, "last year": 365}  # fmt: skip
_MONTH = r"(?P<{}>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_PATTERN = (
    r"(?P<born>\b(?:dob|d\.o\.b\.?|born)\s*:?\s*(?:on\s+)?)?"
    r"(?:(?<![\d/])(?P<d>\d{1,2})/(?P<m>\d{1,2})(?:/(?P<y>\d{4}|\d{2}))?(?![\d/])"
    rf"|\b(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\s+{_MONTH.format('m2')}(?:\s+(?P<y2>(?:19|20)\d\d))?\b"
    rf"|\b(?:since|in|from|until|till|last|early|late|mid|by)\s+{_MONTH.format('m3')}\b(?:\s+(?P<y3>(?:19|20)\d\d))?"
    r"|(?<![\d/£])\b(?P<y4>(?:19|20)\d\d)\b(?![/\d])"
    r"|\b(?:(?P<n>\d{1,2}|a couple of|couple of|a few|few|an?|one|two|three|four|five|six|seven|eight|nine|ten|several)"
    r"\s+(?P<unit>d|n|w|m|y)(?:ays?|ights?|eeks?|ks?|onths?|ths?|ears?|rs?)\s+(?:ago|back|now)\b)"
    r"|\b(?P<last>last night|yesterday|today|tonight|this morning|last week|last month|last year)\b)"
)
_DATE = re.compile(_PATTERN, re.IGNORECASE)
_DATE_IN_SMALL_LETTERS = re.compile(_PATTERN, re.ASCII)
"""The same for ASCII texts in small letters, in which it is found in half the time."""


@dataclass(frozen=True, slots=True)
class DateInText:
    """A date that a text tells: characters from `start` to before `end`, the day, and how exact it is."""

    start: int
    end: int
    day: date
    source: str


def dates_in(text: str, written: date) -> Iterator[DateInText]:
    """Yield the dates that a note written on `written` tells of the past; days of birth are none of them.

    A day or month without a year is the one nearest to the note; if that is still to come, it is no event.
    """
    dates = _DATE_IN_SMALL_LETTERS.finditer(text.lower()) if text.isascii() else _DATE.finditer(text)
    for found in dates:
        if found["born"]:
            continue
        told = _told(found, written)
        if told is not None and told[0] <= written:
            yield DateInText(found.start(), found.end(), *told)


def _told(found: re.Match[str], written: date) -> tuple[date, str] | None:
    try:
        if found["d"]:
            year = int(found["y"]) if found["y"] else None
            if year is not None and year < 100:
                year += 2000
            return _near(year, int(found["m"]), int(found["d"]), written), BY_DAY
        if found["d2"]:
            year = int(found["y2"]) if found["y2"] else None
            return _near(year, _month(found["m2"]), int(found["d2"]), written), BY_DAY
        if found["m3"]:
            year = int(found["y3"]) if found["y3"] else None
            month = _month(found["m3"])
            if year is None:
                year = written.year - (month > written.month)
            return date(year, month, 1), BY_MONTH
        if found["y4"]:
            return date(int(found["y4"]), 1, 1), BY_YEAR
        if found["unit"]:
            many = found["n"].casefold()
            count = int(many) if many.isdigit() else _NUMBERS[many]
            return written - timedelta(days=round(count * _DAYS_IN[found["unit"].casefold()])), BY_SPAN
        return written - timedelta(days=_LAST[found["last"].casefold()]), BY_SPAN
    except ValueError:
        return None  # 31/02, 45/13: no date


def _near(year: int | None, month: int, day: int, written: date) -> date:
    if year is not None:
        return date(year, month, day)
    distance: Callable[[date], int] = lambda other: abs((other - written).days)  # noqa: E731
    years = (written.year - 1, written.year, written.year + 1)
    return min(
        (date(each, month, day) for each in years if not (month == 2 and day == 29 and each % 4)),
        key=distance,
    )


def _month(name: str) -> int:
    return _MONTHS.index(name[:3].casefold()) + 1
