"""The finished county as the feeds see it: homes, life course, residences and the window of deliveries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np

from synthetic.dates import Days, add_months, month_starts
from synthetic.errors import error_weights
from synthetic.life_course import live
from synthetic.life_tables import BURN_IN_MONTHS, LifeCourse, Shock
from synthetic.properties import PRIVATE, Properties, make_properties
from synthetic.residences import Residences, make_residences
from synthetic.streams import Stream, stream


@dataclass(frozen=True)
class World:
    """All that a feed is made from. Days count from 1970-01-01; deliveries begin on `first_day`."""

    properties: Properties
    course: LifeCourse
    residences: Residences
    seed: int
    first_day: int
    last_day: int
    block: int = 0
    blocks: int = 1
    """Which part of the county this is (see `blocks`)."""

    def stream(self, purpose: str) -> Stream:
        return stream(self.seed, purpose, self.block, self.blocks)

    def weights(self, person: np.ndarray, day: Days, stay: np.ndarray) -> np.ndarray:
        """How error-prone the registration of each person on `day` is; `stay` is the residence then (-1:
        none).
        """
        people, stays = self.course.people, self.residences
        known = np.maximum(stay, 0)
        private = (stay >= 0) & (self.properties.tenure[stays.property[known]] == PRIVATE)
        moved = (
            (stay >= 0)
            & (day - stays.start[known] < 365)
            & (stays.start[known] > people.date_of_birth[person] + 365)
        )
        young = day - people.date_of_birth[person] < 30 * 365
        return error_weights(private, moved, young, people.origin[person] != 0)

    def spell_at(self, household: np.ndarray, day: Days) -> np.ndarray:
        """Return the household's spell on `day` (the last that began by then), or -1."""
        spells = self.course.spells
        order = np.lexsort((spells.start, spells.household))
        key = spells.household[order].astype(np.int64) * 2**20 + spells.start[order] + 2**18
        place = np.searchsorted(key, household.astype(np.int64) * 2**20 + day + 2**18, side="right") - 1
        found = order[np.maximum(place, 0)]
        return np.where((place >= 0) & (spells.household[found] == household), found, -1)


def make_world(
    households: int,
    months: int,
    seed: int,
    first_month: date,
    progress: Callable[[str], None] | None = None,
    shock: Shock | None = None,
) -> World:
    """Let `households` live through the burn-in and the `months` of deliveries from `first_month` on."""
    starts = month_starts(add_months(first_month, -BURN_IN_MONTHS), BURN_IN_MONTHS + months)
    first_day, last_day = int(starts[BURN_IN_MONTHS]), int(starts[-1])
    properties = make_properties(households, seed, first_day, last_day)
    course = live(properties, households, starts, seed, progress, shock=shock)
    return World(properties, course, make_residences(course), seed, first_day, last_day)
