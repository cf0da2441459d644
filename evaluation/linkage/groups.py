"""Whom a record is of, by what the county's truth knows of that person: name origin, age, tenure, moves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stores.home import Home

AGES = ((0, "under 18"), (18, "18 to 29"), (30, "30 to 44"), (45, "45 to 64"), (65, "65 and over"))
MOVES = ((0, "did not move"), (1, "moved once"), (2, "moved twice or more"))
DAYS_OF_A_YEAR = 365.2425
NOWHERE = "no home on file"

GROUPINGS: Mapping[str, str] = {
    "origin": "Name origin",
    "age": "Age at the end",
    "tenure": "Tenure of the last home",
    "moves": "Moves in the county's months",
}
"""What people are grouped by, with a heading for readers."""


def groups_of_people(home: Home, person: pa.ChunkedArray | pa.Array) -> dict[str, np.ndarray]:
    """Return, for each of `GROUPINGS`, the group of every person id in `person`."""
    truth = json.loads((home.truth / "county.json").read_text(encoding="utf-8"))
    first_day, end = date.fromisoformat(truth["first_day"]), date.fromisoformat(truth["end"])
    ids = person.cast(pa.string())
    people = pq.read_table(home.truth / "persons.parquet", columns=["person_id", "origin", "date_of_birth"])
    place = pc.index_in(ids, value_set=people["person_id"].cast(pa.string()))
    born = people["date_of_birth"].take(place).cast(pa.int32()).to_numpy()
    years = ((end - date(1970, 1, 1)).days - born) / DAYS_OF_A_YEAR
    tenure, moves = _homes(home, ids, first_day)
    return {
        "origin": people["origin"].cast(pa.string()).take(place).to_numpy().astype(str),
        "age": _banded(years, AGES),
        "tenure": tenure,
        "moves": _banded(moves, MOVES),
    }


def _homes(home: Home, ids: pa.ChunkedArray | pa.Array, first_day: date) -> tuple[np.ndarray, np.ndarray]:
    """Return the tenure of each person's last home, and how often they moved since `first_day`."""
    residences = pq.read_table(
        home.truth / "residences.parquet", columns=["person_id", "tenure", "start_date"]
    ).sort_by([("person_id", "ascending"), ("start_date", "ascending")])
    moved = pc.greater_equal(residences["start_date"], pa.scalar(first_day))
    by_person = residences.append_column("moved", pc.cast(moved, pa.int64())).group_by(
        "person_id", use_threads=False
    )
    last = by_person.aggregate([("tenure", "last"), ("moved", "sum"), ("start_date", "min")])
    # Who was born here or came here since did not move by coming.
    came = pc.cast(pc.greater_equal(last["start_date_min"], pa.scalar(first_day)), pa.int64())
    place = pc.index_in(ids, value_set=last["person_id"].cast(pa.string()))
    tenure = pc.fill_null(last["tenure_last"].cast(pa.string()).take(place), NOWHERE)
    moves = pc.fill_null(pc.subtract(last["moved_sum"], came).take(place), 0)
    return tenure.to_numpy(zero_copy_only=False).astype(str), moves.to_numpy(zero_copy_only=False)


def _banded(values: np.ndarray, bands: tuple[tuple[int, str], ...]) -> np.ndarray:
    edges = np.array([edge for edge, _ in bands])
    names = np.array([name for _, name in bands])
    return names[np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(bands) - 1)]
