"""Names as systems with one name field hold them."""

from __future__ import annotations

import numpy as np

from synthetic.dates import Days
from synthetic.errors import Registrations

NAME_STYLES = ("surname_first", "initials", "forename_first", "upper_case")


def one_name_field(entries: Registrations, rows: np.ndarray, style: np.ndarray, day: Days) -> np.ndarray:
    """Write each name in one field as the system shows it on `day`; `style` indexes `NAME_STYLES`:
    `SMITH, John Paul`, `Mr J P Smith`, `John Smith`, `MR JOHN PAUL SMITH`.
    """
    forename, middle = entries.forename[rows], entries.middle_name[rows]
    surname, title = entries.surname_on(rows, day), _followed(entries.title[rows], " ")
    middle_after = np.where(middle == "", "", np.strings.add(" ", middle))
    initials = np.strings.add(
        forename.astype("U1"), np.where(middle == "", "", np.strings.add(" ", middle.astype("U1")))
    )
    surname_first = _joined(np.strings.upper(surname), ", ", forename, middle_after)
    with_initials = _joined(title, initials, " ", surname)
    forename_first = _joined(forename, " ", surname)
    upper_case = np.strings.upper(_joined(title, forename, middle_after, " ", surname))
    return np.choose(style, [surname_first, with_initials, forename_first, upper_case])


def _followed(texts: np.ndarray, separator: str) -> np.ndarray:
    return np.where(texts == "", "", np.strings.add(texts, separator))


def _joined(*texts: np.ndarray | str) -> np.ndarray:
    line = np.asarray(texts[0])
    for text in texts[1:]:
        line = np.strings.add(line, text)
    return line
