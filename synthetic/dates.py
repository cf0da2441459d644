"""Days as whole numbers since 1970-01-01 (int32), the county's months, and dates as text in partners'
formats.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

Days = np.ndarray
"""int32 array of days since 1970-01-01."""

MISSING = int(np.iinfo(np.int32).min)
OPEN = (date(2099, 12, 31) - date(1970, 1, 1)).days
MONTH_NAMES = np.array(["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"])


def day_number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def day_of(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=int(number))


def add_months(first: date, months: int) -> date:
    """Return the first of the month `months` after (or before) the month of `first`."""
    count = first.year * 12 + first.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def month_starts(first: date, months: int) -> Days:
    """Return `months` + 1 first days: of each month from `first`, and of the month after the last."""
    return np.array([day_number(add_months(first, number)) for number in range(months + 1)], dtype=np.int32)


def parts(days: Days) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split days into year, month (1-12) and day of month (1-31)."""
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    year = months.astype("datetime64[Y]").astype(np.int64) + 1970
    return year, months.astype(np.int64) % 12 + 1, (dates - months).astype(np.int64) + 1


def from_parts(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> Days:
    """Join year, month and day of month; a day past the month's end becomes the month's last day."""
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    first = months.astype("datetime64[D]").astype(np.int64)
    last = (months + 1).astype("datetime64[D]").astype(np.int64) - 1
    return np.minimum(first + day - 1, last).astype(np.int32)


def as_text(days: Days, pattern: str = "%Y-%m-%d", open_text: str = "") -> np.ndarray:
    """Write days in one of the partners' formats; `MISSING` becomes empty, `OPEN` becomes `open_text`.

    `pattern` is one of `%Y-%m-%d`, `%d/%m/%Y`, `%d-%b-%Y` (month in capitals, as Oracle writes it).
    Raises `KeyError` for another pattern.
    """
    if not days.size:
        return np.zeros(days.shape, dtype="U11")
    distinct, place = np.unique(days, return_inverse=True)
    known = np.where((distinct == MISSING) | (distinct == OPEN), 0, distinct)
    iso = np.datetime_as_string(known.astype("datetime64[D]"))
    year, month, day = (
        np.array([text[cut] for text in iso.tolist()]) for cut in (slice(4), slice(5, 7), slice(8, 10))
    )
    written = {
        "%Y-%m-%d": lambda: iso,
        "%d/%m/%Y": lambda: day + np.array("/") + month + np.array("/") + year,
        "%d-%b-%Y": lambda: day + np.array("-") + MONTH_NAMES[month.astype(int) - 1] + np.array("-") + year,
    }[pattern]()
    written = np.where(distinct == MISSING, "", np.where(distinct == OPEN, open_text, written))
    return written[place.reshape(days.shape)]
