"""The county cut into blocks of households that have nothing to do with each other, so that feeds are made block
by block: memory stays that of a block, and cost grows with the county and no faster.

`arrange` puts the world's rows in block order once; `block_of` then gives each block as a small world of its
own, mostly views. People who ever shared a household, and households that ever shared a person, are in one
block. Homes are not cut: a home has households of several blocks over the years.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from synthetic.streams import stream
from synthetic.world import World

BLOCK_HOUSEHOLDS = 20_000
"""Households that ever live here in one block: about 12,000 at any one time. A county below it is one block."""

POINTS_AT = {
    "household": "household",
    "person": "person",
    "lead": "person",
    "partner": "person",
    "mother": "person",
    "spell": "spell",
}
"""Which fields of the world's tables hold positions, and of what. -1 is nobody."""

_WHOLE = frozenset({"intercepts", "month_starts", "oracle", "shock"})
_EMPTY_IN_BLOCKS = "oracle"
_Rows = TypeVar("_Rows")


@dataclass(frozen=True)
class Blocks:
    """Where each block's rows begin: `bounds[table]` has one position more than there are blocks."""

    count: int
    bounds: Mapping[str, np.ndarray]


def arrange(world: World, households: int = BLOCK_HOUSEHOLDS) -> tuple[World, Blocks]:
    """Return the world in block order, and the blocks of about `households` households each."""
    course = world.course
    total = len(course.households.type)
    count = max(1, round(total / households))
    if count == 1:
        return world, Blocks(1, {})
    block = _block_of_household(world, count)
    places = {
        "household": _places(np.argsort(block, kind="stable")),
        "person": _places(np.argsort(block[course.people.household], kind="stable")),
        "spell": _places(np.argsort(block[course.spells.household], kind="stable")),
    }
    bounds: dict[str, np.ndarray] = {}
    moved: dict[str, Any] = {}
    for name, rows in _tables(course).items():
        of_row = block if name == "households" else block[_owner(name, rows)]
        bounds[name] = _bounds(of_row, count)
        moved[name] = _moved(rows, np.argsort(of_row, kind="stable"), places)
    moved["oracle"] = replace(course.oracle, household=places["household"][course.oracle.household])
    stays = world.residences
    bounds["residences"] = _bounds(block[stays.household], count)
    residences = _moved(stays, np.argsort(block[stays.household], kind="stable"), places)
    arranged = replace(world, course=replace(course, **moved), residences=residences)
    return arranged, Blocks(count, bounds)


def block_of(world: World, blocks: Blocks, number: int) -> tuple[World, int, int]:
    """Return block `number` of an arranged world, and its first household and first person in that world."""
    if blocks.count == 1:
        return world, 0, 0
    course, bounds = world.course, blocks.bounds
    first = {
        "household": int(bounds["households"][number]),
        "person": int(bounds["people"][number]),
        "spell": int(bounds["spells"][number]),
    }
    cut = {
        name: _cut(rows, int(bounds[name][number]), int(bounds[name][number + 1]), first)
        for name, rows in _tables(course).items()
    }
    cut[_EMPTY_IN_BLOCKS] = _cut(course.oracle, 0, 0, first)
    start, stop = int(bounds["residences"][number]), int(bounds["residences"][number + 1])
    small = replace(
        world,
        course=replace(course, **cut),
        residences=_cut(world.residences, start, stop, first),
        block=number,
        blocks=blocks.count,
    )
    return small, first["household"], first["person"]


def _block_of_household(world: World, count: int) -> np.ndarray:
    """Draw a block for each group of households that share people."""
    course = world.course
    total = len(course.households.type)
    one, other = course.memberships.household, course.people.household[course.memberships.person]
    links = coo_matrix((np.ones(len(one), dtype=np.int8), (one, other)), shape=(total, total))
    groups, group = connected_components(links, directed=False)
    place = stream(world.seed, "blocks").permutation(groups)
    size = np.bincount(place[group], minlength=groups)
    before = np.cumsum(size) - size
    return np.minimum(before * count // total, count - 1)[place[group]].astype(np.int16)


def _tables(course: Any) -> dict[str, Any]:
    """The life course's tables of rows that belong to a household, by name."""
    return {item.name: getattr(course, item.name) for item in fields(course) if item.name not in _WHOLE}


def _owner(name: str, rows: Any) -> np.ndarray:
    """The household of each row. Raises `TypeError` for a table that does not say."""
    if is_dataclass(rows) and hasattr(rows, "household"):
        return np.asarray(rows.household)
    if isinstance(rows, np.ndarray) and rows.ndim == 2:  # its first column is the household
        return rows[:, 0]
    raise TypeError(f"{name}: a table of the life course needs the household of each row")


def _places(order: np.ndarray) -> np.ndarray:
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    return places


def _bounds(block: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.bincount(block, minlength=count))])


def _moved(rows: Any, order: np.ndarray, places: Mapping[str, np.ndarray]) -> Any:
    """Put a table's rows in `order`, and let what they point at follow."""
    if isinstance(rows, np.ndarray):
        moved = rows[order]
        moved[:, 0] = places["household"][moved[:, 0]]
        return moved
    return replace(
        rows,
        **{
            item.name: _pointing(getattr(rows, item.name)[order], places.get(POINTS_AT.get(item.name, "")))
            for item in fields(rows)
        },
    )


def _pointing(values: np.ndarray, places: np.ndarray | None) -> np.ndarray:
    if places is None:
        return values
    return np.where(values >= 0, places[np.maximum(values, 0)], values).astype(values.dtype)


def _cut(rows: _Rows, start: int, stop: int, first: Mapping[str, int]) -> _Rows:
    """Rows `start` to `stop` of a table, pointing at the block's own positions."""
    if isinstance(rows, np.ndarray):
        cut = rows[start:stop].copy()
        cut[:, 0] -= first["household"]
        return cut  # type: ignore[return-value]
    made = {}
    for item in fields(rows):  # type: ignore[arg-type]
        values = getattr(rows, item.name)[start:stop]
        if item.name in POINTS_AT:
            values = np.where(values >= 0, values - first[POINTS_AT[item.name]], values)
        made[item.name] = values
    return replace(rows, **made)  # type: ignore[type-var]
