"""Who lived where from when to when: people's stays, made from households' spells and memberships, and
look-ups in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.dates import Days
from synthetic.life_tables import LifeCourse, join_stays


@dataclass(frozen=True)
class Residences:
    """One position per person per household spell, ordered by person and start. `spell` points into
    `LifeCourse.spells`.
    """

    person: np.ndarray
    household: np.ndarray
    property: np.ndarray
    spell: np.ndarray
    role: np.ndarray
    start: Days
    end: Days

    def __len__(self) -> int:
        return len(self.person)

    def at(self, person: np.ndarray, day: Days) -> np.ndarray:
        """Return the position of each person's stay on `day`: the last one that began by then, else the
        first; -1 if none.
        """
        key = self.person.astype(np.int64) * 2**20 + self.start + 2**18
        wanted = person.astype(np.int64) * 2**20 + np.clip(day, -(2**18), 2**18) + 2**18
        place = np.searchsorted(key, wanted, side="right") - 1
        place = np.where((place < 0) | (self.person[np.maximum(place, 0)] != person), place + 1, place)
        inside = place < len(self.person)
        return np.where(inside & (self.person[np.minimum(place, len(self.person) - 1)] == person), place, -1)

    def next_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the position of the same person's next stay, or -1."""
        following = np.minimum(rows + 1, len(self.person) - 1)
        return np.where((following != rows) & (self.person[following] == self.person[rows]), following, -1)


def make_residences(course: LifeCourse) -> Residences:
    """Join spells with the memberships of their households, cut to the days that both hold."""
    stays = join_stays(course.spells, course.memberships)
    return Residences(
        stays.person, stays.household, stays.property, stays.spell, stays.role, stays.start, stays.end
    )
