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
  household_id.

`key` is the record's natural key, its parts joined with "|" as text of the file. `precursor_6_months` is
true if a rent or council tax arrears action, a safeguarding, abuse or mental-health event, or an earlier
case of the household was in a partner's system 182 days before the duty (cases of 3 years, the rest of 18
months).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthetic.dates import MISSING, OPEN, Days
from synthetic.feeds.deliveries import TableRecords, WrittenFeed
from synthetic.hazard import HORIZONS, ROUTES
from synthetic.life_course import DUTIES, NO_DUTY
from synthetic.names import read_names
from synthetic.population import ROLES, TYPES
from synthetic.properties import TENURES
from synthetic.world import World

TRUTH_FILES = ("persons", "households", "residences", "hazard", "events", "records")
_LEAD_DAYS = 182


def write_truth(
    folder: Path,
    world: World,
    feeds: Mapping[str, Mapping[str, TableRecords]],
    written: Mapping[str, WrittenFeed],
    precursors: tuple[np.ndarray, Days, Days],
) -> dict[str, int]:
    """Write the six files; return their row counts. `precursors` are household, day and last day that counts
    of each trace.
    """
    tables = {
        "persons": _persons(world),
        "households": _households(world),
        "residences": _residences(world),
        "hazard": _hazard(world),
        "events": _events(world, precursors),
        "records": _records(feeds, written),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    return {name: table.num_rows for name, table in tables.items()}


def write_labels(
    folder: Path, feed: str, tables: Mapping[str, TableRecords], written: WrittenFeed
) -> dict[str, int]:
    """Write what is known about a feed's texts as `<feed>_labels.parquet`; return the row count by file name.

    Labels with a column `key` are kept for delivered records alone.
    """
    counts = {}
    for name, records in sorted(tables.items()):
        if records.labels is None:
            continue
        labels = records.labels
        if "key" in labels.column_names:
            delivered = pa.array(records.key[written.delivered[name]], type=pa.string())
            labels = labels.filter(pc.is_in(labels["key"], value_set=delivered))
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(labels, folder / f"{feed}_labels.parquet", compression="zstd")
        counts[f"{feed}_labels"] = labels.num_rows
    return counts


def person_ids(person: np.ndarray) -> pa.Array:
    return pa.array(np.strings.add("P", np.strings.zfill(person.astype("U8"), 7)), type=pa.string())


def household_ids(household: np.ndarray) -> pa.Array:
    return pa.array(np.strings.add("H", np.strings.zfill(household.astype("U8"), 7)), type=pa.string())


def _persons(world: World) -> pa.Table:
    people = world.course.people
    rows = np.unique(world.residences.person)
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


def _residences(world: World) -> pa.Table:
    stays, properties = world.residences, world.properties
    return pa.table(
        {
            "person_id": person_ids(stays.person),
            "household_id": household_ids(stays.household),
            "uprn": pa.array(properties.uprn[stays.property]),
            "tenure": _names(TENURES, properties.tenure[stays.property]),
            "role": _names(ROLES, stays.role),
            "start_date": _days(stays.start),
            "end_date": _days(stays.end),
        }
    )


def _hazard(world: World) -> pa.Table:
    oracle, properties = world.course.oracle, world.properties
    columns = {
        "household_id": household_ids(oracle.household),
        "month": _days(world.course.month_starts[oracle.month]),
        "uprn": pa.array(properties.uprn[oracle.property]),
        "tenure": _names(TENURES, properties.tenure[oracle.property]),
    }
    for number, horizon in enumerate(HORIZONS):
        columns[f"probability_{horizon}"] = pa.array(oracle.probabilities[:, number])
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


def _records(feeds: Mapping[str, Mapping[str, TableRecords]], written: Mapping[str, WrittenFeed]) -> pa.Table:
    tables = []
    for feed, records_of in sorted(feeds.items()):
        for name, records in sorted(records_of.items()):
            if records.person is None or records.household is None:
                continue
            rows = np.flatnonzero(written[feed].delivered[name])
            tables.append(
                pa.table(
                    {
                        "feed": pa.array([feed] * len(rows), type=pa.string()),
                        "table": pa.array([name] * len(rows), type=pa.string()),
                        "key": pa.array(records.key[rows], type=pa.string()),
                        "person_id": person_ids(records.person[rows]),
                        "household_id": household_ids(records.household[rows]),
                    }
                )
            )
    return pa.concat_tables(tables)


def _days(days: Days) -> pa.Array:
    unknown = (days == MISSING) | (days == OPEN)
    return pa.array(days.astype(np.int32), mask=unknown).cast(pa.date32())


def _names(names: tuple[str, ...], number: np.ndarray) -> pa.Array:
    return pa.array(np.array(names)[number], type=pa.string())
