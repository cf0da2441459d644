"""What is wrong with a file, a row or a delivery, said so that a person can put it right.

A problem names file, rows, rule and remedy. It never holds a value of a row, and neither a header's own
words: where a header is missing, the words in its place are somebody's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

# Enough row numbers to find the cause by; a message with thousands is read by nobody.
MAXIMUM_ROWS_NAMED = 20


class NoSuchFileError(ValueError):
    """There is no such file, or nothing says by which contract it is to be read; the message says what to do."""


@dataclass(frozen=True)
class Problem:
    """One broken rule of one file. `rows` are 1-based data rows without the header, at most twenty."""

    file: str
    rule: str
    remedy: str
    table: str | None = None
    column: str | None = None
    rows: tuple[int, ...] = ()
    row_count: int = 0

    def __str__(self) -> str:
        place = [self.file]
        if self.row_count > len(self.rows) > 0:
            place.append(f"rows {_listed(self.rows)} and {self.row_count - len(self.rows)} more")
        elif self.rows:
            place.append(f"row{'s' if len(self.rows) > 1 else ''} {_listed(self.rows)}")
        if self.column:
            place.append(f"column {self.column}")
        return f"{', '.join(place)}: {self.rule}. {self.remedy}"

    def as_json(self) -> dict[str, Any]:
        """Return the problem as plain JSON values, as `reasons.json` keeps it."""
        return {**asdict(self), "rows": list(self.rows)}


def row_problem(
    file: str, table: str, rows: Sequence[int], rule: str, remedy: str, column: str | None = None
) -> Problem:
    """Return a problem of several rows, with the first of them named and all of them counted."""
    named = tuple(sorted(rows)[:MAXIMUM_ROWS_NAMED])
    return Problem(file, rule, remedy, table=table, column=column, rows=named, row_count=len(rows))


def told(problems: Sequence[Problem], most: int = 5) -> str | None:
    """Return the problems as lines of text, at most `most` of them; None if there is none."""
    if not problems:
        return None
    lines = [str(problem) for problem in problems[:most]]
    if len(problems) > most:
        lines.append(f"… and {len(problems) - most} more.")
    return "\n".join(lines)


def _listed(rows: Sequence[int]) -> str:
    return ", ".join(str(row) for row in rows)
