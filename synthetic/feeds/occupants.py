"""Who lived in a home between two days: people's stays in households' spells."""

from __future__ import annotations

import numpy as np

from synthetic.dates import Days
from synthetic.residences import Residences


def occupants(stays: Residences, spell: np.ndarray, first: Days, last: Days) -> tuple[np.ndarray, np.ndarray]:
    """Return (position in `spell`, stay) for each stay in each of `spell` that touches `first` to `last`.

    In order of `spell` and of role and person within it. Days are inclusive.
    """
    by_spell = np.lexsort((stays.person, stays.role, stays.spell))
    owner = stays.spell[by_spell]
    begin = np.searchsorted(owner, spell, side="left")
    count = np.searchsorted(owner, spell, side="right") - begin
    place = np.repeat(np.arange(len(spell)), count)
    stay = by_spell[np.arange(len(place)) + np.repeat(begin - np.cumsum(count) + count, count)]
    touches = (stays.start[stay] <= last[place]) & (stays.end[stay] >= first[place])
    return place[touches], stay[touches]
