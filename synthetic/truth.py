"""The county's truth, as parquet files under `home.truth`. Only `evaluation` reads it.

- `persons`, a row per person who ever lived here: person_id, household_id (the first), role, female,
  date_of_birth, origin, forename, middle_name, surname, later_surname, surname_changed_on, died_on.
- `households`, a row per household that ever lived here: household_id, type, frailty, low_income,
  lead_person_id, first_day, last_day.
- `residences`, a row per person and home: person_id, household_id, uprn, tenure, role, start_date, end_date
  (null: still there).
- `hazard`, a row per household and month (of those living here at its start): household_id, month, uprn,
  tenure, probability_1, probability_3, probability_6, probability_9 (the oracle; see `hazard`).
- `events`, a row per prevention or relief duty: household_id, person_id, duty_date, application_date, duty,
  route, uprn, precursor_6_months.
- `records`, a row per delivered record of a table that holds people: feed, table, key, person_id,
  household_id, errors (a bit mask; the file's metadata `errors` names the bits, the lowest first).
- `<feed>_labels`, for feeds of free text: what its writer knows about each text.

`key` is the record's natural key, its parts joined with "|" as text of the file. `precursor_6_months` is
true if a rent or council tax arrears action, a safeguarding, abuse or mental-health event, or an earlier
case of the household was in a partner's system 182 days before the duty (cases of 3 years, the rest of 18
months).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthetic.dates import MISSING, OPEN, Days
from synthetic.hazard import HORIZONS, ROUTES
from synthetic.life_course import DUTIES, NO_DUTY
from synthetic.names import read_names
from synthetic.population import ROLES, TYPES
from synthetic.properties import TENURES
from synthetic.world import World

TRUTH_FILES = ("persons", "households", "residences", "hazard", "events", "records")
_LEAD_DAYS = 182
_ROW_GROUP = 1_000_000


def write_truth(folder: Path, world: World, precursors: tuple[np.ndarray, Days, Days]) -> dict[str, int]:
    """Write the files about the world; return their row counts. `precursors` are household, day and last day
    that counts of each trace. The records are written as the feeds are made (see `production`).
    """
    people = np.unique(world.residences.person)
    stays, months = len(world.residences), len(world.course.oracle.household)
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "persons": _write(folder, "persons", len(people), lambda rows: _persons(world, people[rows])),
        "households": _write_whole(folder, "households", _households(world)),
        "residences": _write(folder, "residences", stays, lambda rows: _residences(world, rows)),
        "hazard": _write(folder, "hazard", months, lambda rows: _hazard(world, rows)),
        "events": _write_whole(folder, "events", _events(world, precursors)),
    }


def _write(folder: Path, name: str, count: int, table_of: Callable[[slice], pa.Table]) -> int:
    """Write `count` rows piece by piece, a row group each; return `count`."""
    pieces = range(0, max(count, 1), _ROW_GROUP)
    with pq.ParquetWriter(
        folder / f"{name}.parquet", table_of(slice(0, 0)).schema, compression="zstd"
    ) as file:
        for start in pieces:
            file.write_table(table_of(slice(start, min(start + _ROW_GROUP, count))))
    return count


def _write_whole(folder: Path, name: str, table: pa.Table) -> int:
    pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    return int(table.num_rows)


def person_ids(person: np.ndarray) -> pa.Array:
    return _ids("P", person)


def household_ids(household: np.ndarray) -> pa.Array:
    return _ids("H", household)


def _ids(letter: str, number: np.ndarray) -> pa.Array:
    text = pc.utf8_lpad(pa.array(number).cast(pa.string()), 7, "0")
    return pc.binary_join_element_wise(letter, text, "")


def _persons(world: World, rows: np.ndarray) -> pa.Table:
    people = world.course.people
    return pa.table(
        {
            "person_id": person_ids(rows),
            "household_id": household_ids(people.household[rows]),
            "role": _names(ROLES, people.role[rows]),
            "female": pa.array(people.female[rows]),
            "date_of_birth": _days(people.date_of_birth[rows]),
            "origin": _names(read_names().origins, people.origin[rows]),
            "forename": pa.array(people.forename[rows]),
            "middle_name": pa.array(people.middle_name[rows]),
            "surname": pa.array(people.surname[rows]),
            "later_surname": pa.array(people.later_surname[rows]),
            "surname_changed_on": _days(people.surname_changed_on[rows]),
            "died_on": _days(people.died_on[rows]),
        }
    )


def _households(world: World) -> pa.Table:
    course = world.course
    spells, made = course.spells, course.households
    rows = np.unique(spells.household)
    first = np.full(len(made.type), OPEN, dtype=np.int32)
    last = np.full(len(made.type), MISSING, dtype=np.int32)
    np.minimum.at(first, spells.household, spells.start)
    np.maximum.at(last, spells.household, spells.end)
    return pa.table(
        {
            "household_id": household_ids(rows),
            "type": _names(TYPES, made.type[rows]),
            "frailty": pa.array(made.frailty[rows]),
            "low_income": pa.array(made.low_income[rows]),
            "lead_person_id": person_ids(made.lead[rows]),
            "first_day": _days(first[rows]),
            "last_day": _days(last[rows]),
        }
    )


def _residences(world: World, rows: slice) -> pa.Table:
    stays, properties = world.residences, world.properties
    return pa.table(
        {
            "person_id": person_ids(stays.person[rows]),
            "household_id": household_ids(stays.household[rows]),
            "uprn": pa.array(properties.uprn[stays.property[rows]]),
            "tenure": _names(TENURES, properties.tenure[stays.property[rows]]),
            "role": _names(ROLES, stays.role[rows]),
            "start_date": _days(stays.start[rows]),
            "end_date": _days(stays.end[rows]),
        }
    )


def _hazard(world: World, rows: slice) -> pa.Table:
    oracle, properties = world.course.oracle, world.properties
    columns = {
        "household_id": household_ids(oracle.household[rows]),
        "month": _days(world.course.month_starts[oracle.month[rows]]),
        "uprn": pa.array(properties.uprn[oracle.property[rows]]),
        "tenure": _names(TENURES, properties.tenure[oracle.property[rows]]),
    }
    for number, horizon in enumerate(HORIZONS):
        columns[f"probability_{horizon}"] = pa.array(oracle.probabilities[rows, number])
    return pa.table(columns)


def _events(world: World, precursors: tuple[np.ndarray, Days, Days]) -> pa.Table:
    cases = world.course.cases
    rows = np.flatnonzero(cases.duty != NO_DUTY)
    rows = rows[np.lexsort((cases.household[rows], cases.decided[rows]))]
    household, decided = cases.household[rows], cases.decided[rows]
    spell = world.spell_at(household, cases.applied[rows])
    homes = world.properties.uprn[world.course.spells.property[np.maximum(spell, 0)]]
    return pa.table(
        {
            "household_id": household_ids(household),
            "person_id": person_ids(cases.person[rows]),
            "duty_date": _days(decided),
            "application_date": _days(cases.applied[rows]),
            "duty": _names(DUTIES, cases.duty[rows]),
            "route": _names(ROUTES, cases.route[rows]),
            "uprn": pa.array(homes),
            "precursor_6_months": pa.array(_seen_before(household, decided, precursors)),
        }
    )


def _seen_before(
    household: np.ndarray, decided: Days, precursors: tuple[np.ndarray, Days, Days]
) -> np.ndarray:
    """True where a trace of the household was known `_LEAD_DAYS` before, and still counted."""
    trace_household, known_on, counts_until = precursors
    order = np.argsort(trace_household, kind="stable")
    first = np.searchsorted(trace_household[order], household, side="left")
    count = np.searchsorted(trace_household[order], household, side="right") - first
    event = np.repeat(np.arange(len(household)), count)
    offset = np.arange(len(event)) - np.repeat(np.cumsum(count) - count, count)
    trace = order[np.repeat(first, count) + offset]
    cutoff = decided[event] - _LEAD_DAYS
    seen = (known_on[trace] <= cutoff) & (counts_until[trace] >= cutoff)
    return np.bincount(event[seen], minlength=len(household)) > 0


def _days(days: Days) -> pa.Array:
    unknown = (days == MISSING) | (days == OPEN)
    return pa.array(days.astype(np.int32), mask=unknown).cast(pa.date32())


def _names(names: tuple[str, ...], number: np.ndarray) -> pa.Array:
    return pa.array(np.array(names)[number], type=pa.string())
