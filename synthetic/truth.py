"""The county's truth, as parquet files under `home.truth`. Only `evaluation` reads it.

People and homes:

- `persons`, a row per person who ever lived here: person_id, household_id (the first), role, female,
  date_of_birth, origin, forename, middle_name, surname, later_surname, surname_changed_on, died_on, nino, and
  the protected characteristics: ethnicity (DfE main code), religion, marital_status (at the end), disabled. Sexual
  orientation and gender reassignment are left out: no partner's system here holds them.
- `births`, a row per child born here: person_id, mother_id, household_id, date (pregnancy and maternity).
- `households`, a row per household that ever lived here: household_id, type (when it came), frailty, low_income,
  income_weekly, free_school_meals, lead_person_id, first_day, last_day.
- `residences`, a row per person and home: person_id, household_id, uprn, tenure, role, start_date, end_date
  (null: still there).

Outcomes, and the oracles (see `hazard`, `victims`):

- `hazard`, a row per household and month (of those living here at its start): household_id, month, uprn,
  tenure, with_children, lone_parent, probability_1, probability_3, probability_6, probability_9.
- `events`, a row per prevention or relief duty: household_id, person_id, duty_date, application_date,
  shock_date (what set it off: arrears begun, a notice, a quarrel), duty, route, reason, tenure, with_children,
  lone_parent, support_need, uprn, precursor_6_months, first_precursor_on (of the same traces, the first
  that a partner knew and that still counted at the duty).
- `financial_hazard`, a row per household and month: household_id, month, probability_6.
- `financial_events`: household_id, date, kind (rent_arrears_over_8_weeks or liability_order), in_need (false: the
  bill was forgotten).
- `victim_hazard`, a row per month and person who was a victim in the two years before: person_id, household_id,
  month, probability_6.
- `victim_events`, a row per antisocial incident and victim: person_id, household_id, uprn, date, kind.

What befell households (dates; end_date null: it goes on):

- `arrears`: household_id, start_date, end_date, tenure, on_rent, on_council_tax, by_duty.
- `council_tax_debts`: household_id, start_date, end_date, in_need (false: forgotten), serious (a final notice or
  more), liability_order.
- `possessions` that ended in repossession: household_id, claim_date, repossession_date.
- `job_losses`: household_id, start_date, end_date.
- `benefits`: household_id, kind, start_date, end_date, passported, capped.
- `in_need` and `absence`: person_id, household_id, start_date, end_date (and need, plan).
- `interventions`, a row per offer of the hub: household_id, person_id, offered_date, accepted, kind, end_date,
  outcome.
- `allowances`, a row per home let privately: uprn, bedrooms, weekly_rent, allowance.

Records:

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

from synthetic.circumstances import (
    CLAIM_KINDS,
    INCIDENT_KINDS,
    INTERVENTION_KINDS,
    INTERVENTION_OUTCOMES,
    NEEDS,
    ChildEpisodes,
)
from synthetic.dates import MISSING, OPEN, Days
from synthetic.hazard import HORIZONS, LIABILITY_ORDER_AGE, ROUTES
from synthetic.life_tables import BURN_IN_MONTHS, DUTIES, FINANCIAL_KINDS, NO_DUTY, ORDER_FORGOTTEN, REASONS
from synthetic.names import read_names
from synthetic.population import ETHNICITIES, MARITAL, RELIGIONS, ROLES, TYPES
from synthetic.properties import OWNER, PRIVATE, TENURES
from synthetic.world import World

TRUTH_FILES = (
    "persons", "births", "households", "residences", "hazard", "events", "financial_hazard", "financial_events",
    "victim_hazard", "victim_events", "arrears", "council_tax_debts", "possessions", "job_losses", "benefits",
    "in_need", "absence", "interventions", "allowances", "records",
)  # fmt: skip
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
        "financial_hazard": _write(
            folder, "financial_hazard", months, lambda rows: _financial_hazard(world, rows)
        ),
        "events": _write_whole(folder, "events", _events(world, precursors)),
    } | {name: _write_whole(folder, name, table_of(world)) for name, table_of in _SMALL_TABLES.items()}


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
            "nino": pa.array(people.nino[rows]),
            "ethnicity": _names(ETHNICITIES, people.ethnicity[rows]),
            "religion": _names(RELIGIONS, people.religion[rows]),
            "marital_status": _names(MARITAL, people.marital_status[rows]),
            "disabled": pa.array(people.disabled[rows]),
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
            "income_weekly": pa.array(made.income_weekly[rows]),
            "free_school_meals": pa.array(made.free_school_meals[rows]),
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
        "with_children": pa.array(oracle.with_children[rows]),
        "lone_parent": pa.array(oracle.lone_parent[rows]),
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
    seen, first_known = _seen_before(household, decided, precursors)
    return pa.table(
        {
            "household_id": household_ids(household),
            "person_id": person_ids(cases.person[rows]),
            "duty_date": _days(decided),
            "application_date": _days(cases.applied[rows]),
            "shock_date": _days(cases.set_off[rows]),
            "duty": _names(DUTIES, cases.duty[rows]),
            "route": _names(ROUTES, cases.route[rows]),
            "reason": _names(REASONS, cases.reason[rows]),
            "tenure": _names(TENURES, cases.tenure[rows]),
            "with_children": pa.array(cases.with_children[rows]),
            "lone_parent": pa.array(cases.lone_parent[rows]),
            "support_need": pa.array(cases.support_need[rows]),
            "uprn": pa.array(homes),
            "precursor_6_months": pa.array(seen),
            "first_precursor_on": _days(first_known),
        }
    )


def _seen_before(
    household: np.ndarray, decided: Days, precursors: tuple[np.ndarray, Days, Days]
) -> tuple[np.ndarray, Days]:
    """True where a trace of the household was known `_LEAD_DAYS` before, and still counted; and the first day
    (`MISSING`: none) on which a trace was known that still counted at the duty.
    """
    trace_household, known_on, counts_until = precursors
    order = np.argsort(trace_household, kind="stable")
    first = np.searchsorted(trace_household[order], household, side="left")
    count = np.searchsorted(trace_household[order], household, side="right") - first
    event = np.repeat(np.arange(len(household)), count)
    offset = np.arange(len(event)) - np.repeat(np.cumsum(count) - count, count)
    trace = order[np.repeat(first, count) + offset]
    cutoff = decided[event] - _LEAD_DAYS
    seen = (known_on[trace] <= cutoff) & (counts_until[trace] >= cutoff)
    counted = (known_on[trace] < decided[event]) & (counts_until[trace] >= decided[event])
    first_known = np.full(len(household), OPEN, dtype=np.int32)
    np.minimum.at(first_known, event[counted], known_on[trace[counted]].astype(np.int32))
    return np.bincount(event[seen], minlength=len(household)) > 0, first_known


def _births(world: World) -> pa.Table:
    births = world.course.births
    return pa.table(
        {
            "person_id": person_ids(births.person),
            "mother_id": person_ids(births.mother),
            "household_id": household_ids(births.household),
            "date": _days(births.day),
        }
    )


def _financial_hazard(world: World, rows: slice) -> pa.Table:
    oracle = world.course.oracle
    return pa.table(
        {
            "household_id": household_ids(oracle.household[rows]),
            "month": _days(world.course.month_starts[oracle.month[rows]]),
            "probability_6": pa.array(oracle.financial[rows]),
        }
    )


def _financial_events(world: World) -> pa.Table:
    events = world.course.financial
    return pa.table(
        {
            "household_id": household_ids(events.household),
            "date": _days(events.day),
            "kind": _names(FINANCIAL_KINDS, events.kind),
            "in_need": pa.array(events.kind != ORDER_FORGOTTEN),
        }
    )


def _victim_hazard(world: World) -> pa.Table:
    oracle = world.course.victim_hazard
    return pa.table(
        {
            "person_id": person_ids(oracle.person),
            "household_id": household_ids(oracle.household),
            "month": _days(world.course.month_starts[BURN_IN_MONTHS + oracle.month.astype(np.int64)]),
            "probability_6": pa.array(oracle.probability),
        }
    )


def _victim_events(world: World) -> pa.Table:
    incidents = world.course.incidents
    return pa.table(
        {
            "person_id": person_ids(incidents.person),
            "household_id": household_ids(incidents.household),
            "uprn": pa.array(world.properties.uprn[incidents.property]),
            "date": _days(incidents.day),
            "kind": _names(INCIDENT_KINDS, incidents.kind),
        }
    )


def _arrears(world: World) -> pa.Table:
    arrears = world.course.arrears
    start, end = _first_days(world, arrears.start), _last_days(world, arrears.end)
    spell = np.maximum(world.spell_at(arrears.household, start + 27), 0)
    tenure = world.properties.tenure[world.course.spells.property[spell]]
    return pa.table(
        {
            "household_id": household_ids(arrears.household),
            "start_date": _days(start),
            "end_date": _days(end),
            "tenure": _names(TENURES, tenure),
            "on_rent": pa.array(tenure != OWNER),
            "on_council_tax": pa.array(arrears.on_council_tax),
            "by_duty": pa.array(arrears.by_duty.astype(bool)),
        }
    )


def _council_tax_debts(world: World) -> pa.Table:
    arrears, forgotten = world.course.arrears, world.course.forgotten
    rows = np.flatnonzero(arrears.on_council_tax)
    needy = np.arange(len(rows) + len(forgotten.household)) < len(rows)
    start = np.concatenate([arrears.start[rows], forgotten.start])
    end = np.concatenate([arrears.end[rows], forgotten.end])
    months = end - start
    ordered = np.concatenate([months[: len(rows)] > LIABILITY_ORDER_AGE, forgotten.ordered])
    return pa.table(
        {
            "household_id": household_ids(np.concatenate([arrears.household[rows], forgotten.household])),
            "start_date": _days(_first_days(world, start)),
            "end_date": _days(_last_days(world, end)),
            "in_need": pa.array(needy),
            "serious": pa.array(needy | (months > 1)),
            "liability_order": pa.array(ordered.astype(bool)),
        }
    )


def _possessions(world: World) -> pa.Table:
    possessions = world.course.possessions
    return pa.table(
        {
            "household_id": household_ids(possessions.household),
            "claim_date": _days(possessions.claimed),
            "repossession_date": _days(possessions.repossessed),
        }
    )


def _job_losses(world: World) -> pa.Table:
    losses = world.course.job_loss
    return pa.table(
        {
            "household_id": household_ids(losses.household),
            "start_date": _days(_first_days(world, losses.start)),
            "end_date": _days(_last_days(world, losses.end)),
        }
    )


def _benefits(world: World) -> pa.Table:
    claims = world.course.benefits
    return pa.table(
        {
            "household_id": household_ids(claims.household),
            "kind": _names(CLAIM_KINDS, claims.kind),
            "start_date": _days(claims.start),
            "end_date": _days(claims.end),
            "passported": pa.array(claims.passported),
            "capped": pa.array(claims.capped),
        }
    )


def _child_episodes(spells: ChildEpisodes) -> dict[str, pa.Array]:
    return {
        "person_id": person_ids(spells.person),
        "household_id": household_ids(spells.household),
        "start_date": _days(spells.start),
        "end_date": _days(spells.end),
    }


def _in_need(world: World) -> pa.Table:
    spells = world.course.in_need
    return pa.table(
        _child_episodes(spells) | {"need": _names(NEEDS, spells.need), "plan": pa.array(spells.plan)}
    )


def _absence(world: World) -> pa.Table:
    return pa.table(_child_episodes(world.course.absence))


def _interventions(world: World) -> pa.Table:
    offers = world.course.interventions
    return pa.table(
        {
            "household_id": household_ids(offers.household),
            "person_id": person_ids(offers.person),
            "offered_date": _days(offers.offered),
            "accepted": pa.array(offers.accepted),
            "kind": _names(INTERVENTION_KINDS, offers.kind),
            "end_date": _days(offers.ended),
            "outcome": _names(INTERVENTION_OUTCOMES, offers.outcome),
        }
    )


def _allowances(world: World) -> pa.Table:
    properties = world.properties
    rows = np.flatnonzero(properties.tenure == PRIVATE)
    return pa.table(
        {
            "uprn": pa.array(properties.uprn[rows]),
            "bedrooms": pa.array(properties.bedrooms[rows]),
            "weekly_rent": pa.array(properties.weekly_rent[rows]),
            "allowance": pa.array(properties.lha_weekly[rows]),
        }
    )


_SMALL_TABLES = {
    "births": _births,
    "financial_events": _financial_events,
    "victim_hazard": _victim_hazard,
    "victim_events": _victim_events,
    "arrears": _arrears,
    "council_tax_debts": _council_tax_debts,
    "possessions": _possessions,
    "job_losses": _job_losses,
    "benefits": _benefits,
    "in_need": _in_need,
    "absence": _absence,
    "interventions": _interventions,
    "allowances": _allowances,
}


def _first_days(world: World, month: np.ndarray) -> Days:
    """The first day of months that count from the burn-in's start."""
    starts = world.course.month_starts
    return starts[np.minimum(month, len(starts) - 1)]


def _last_days(world: World, month: np.ndarray) -> Days:
    """The day before the month after `month`: what ends in a month lasts until its end; `OPEN` after the last."""
    starts = world.course.month_starts
    last = len(starts) - 1
    return np.where(month >= last, OPEN, starts[np.minimum(month + 1, last)] - 1).astype(np.int32)


def _days(days: Days) -> pa.Array:
    unknown = (days == MISSING) | (days == OPEN)
    return pa.array(days.astype(np.int32), mask=unknown).cast(pa.date32())


def _names(names: tuple[str, ...], number: np.ndarray) -> pa.Array:
    return pa.array(np.array(names)[number], type=pa.string())
