"""Adult social care events as in Client Level Data: care for age and disability, mental health, safeguarding,
domestic abuse.

Always a full file of the past two years. Assumed: the share of adults in care by age; 70 % of abuse episodes
become known to the county within eight weeks, 80 % of mental-health contacts; an event is in the file within
two weeks. feeds.md: domestic abuse shows in adult social care, with an erratic lead.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from synthetic.addresses import typed
from synthetic.dates import MISSING, OPEN, Days, as_text
from synthetic.errors import bits, error_model, register
from synthetic.feeds.deliveries import MONTH_END, TRACE_DAYS, TableRecords, Traces, traces
from synthetic.identifiers import nhs_numbers, references
from synthetic.population import CHILD
from synthetic.properties import OWNER, PRIVATE
from synthetic.world import World

RHYTHM = MONTH_END
ALWAYS_FULL = True

_KEPT_DAYS = 2 * 365
_TYPES = ("Request", "Assessment", "Service", "Review", "Safeguarding")
REQUEST, ASSESSMENT, SERVICE, REVIEW, SAFEGUARDING = range(5)
_REASONS = (
    "Physical Support", "Sensory Support", "Memory and Cognition", "Learning Disability", "Mental Health",
    "Social Support", "Domestic Abuse", "Unknown",
)  # fmt: skip
PHYSICAL, SENSORY, MEMORY, LEARNING, MENTAL, SOCIAL_SUPPORT, ABUSE, UNKNOWN = range(8)


def make_records(world: World) -> dict[str, TableRecords]:
    """One record per event, two versions if it ends after it was first sent."""
    generator = world.stream("adult_social_care")
    _course, stays, properties, people = world.course, world.residences, world.properties, world.course.people
    rates = error_model()["systems"]["adult_social_care"]
    person, kind, reason, start, end = _events(world, generator)
    count = len(person)

    # The care system's person references: one per person, a second for some; events fall to either.
    who, of_event = np.unique(person, return_inverse=True)
    second_entry = np.full(len(who), -1)
    twice = np.flatnonzero(generator.random(len(who)) < rates["duplicate_person"])
    second_entry[twice] = len(who) + np.arange(len(twice))
    entered = np.concatenate([who, who[twice]])
    to_second = (second_entry[of_event] >= 0) & (generator.random(count) < 0.4)
    entry = np.where(to_second, second_entry[of_event], of_event)
    first_day = np.full(len(entered), OPEN, dtype=np.int64)
    np.minimum.at(first_day, entry, start)
    first_day = np.where(first_day == OPEN, world.first_day, first_day).astype(np.int32)
    true_stay = stays.at(entered, first_day)
    weights = world.weights(entered, first_day, true_stay)
    nobody = np.full(len(entered), -1)
    entries = register(
        people,
        entered,
        weights,
        nobody,
        "adult_social_care",
        generator,
        np.bincount(entry, minlength=len(entered)),
    )
    care_ref = references(len(entered), 600_000, generator, width=7)
    nhs = nhs_numbers(len(who), generator)[np.concatenate([np.arange(len(who)), twice])]
    nhs = np.where(generator.random(len(entered)) < rates["missing"]["nhs_number"], "", nhs)

    # Each event shows the address that the system holds that day; it learns of some moves months late.
    lag = np.where(generator.random(count) < rates["old_address"], generator.integers(30, 500, count), 0)
    stay = stays.at(person, (start - lag).astype(np.int32))
    home = stays.property[np.maximum(stay, 0)]
    address = typed(properties, home, weights[entry], generator)
    nowhere = (stay < 0) | (generator.random(count) < rates["missing"]["address"])

    opened = start + generator.integers(0, 15, count)
    ended = np.where(end == MISSING, OPEN, np.maximum(end + generator.integers(0, 15, count), opened))
    record = np.tile(np.arange(count), 2)
    day = np.concatenate([opened, ended])
    real = day != OPEN
    record, day = record[real], day[real].astype(np.int32)
    order = np.lexsort((day, record))
    record, day = record[order], day[order]
    fresh = np.append(True, (record[1:] != record[:-1]) | (day[1:] != day[:-1]))
    record, day = record[fresh], day[fresh]

    is_ended = day >= ended[record]
    shown_end = np.where(is_ended, end[record], MISSING).astype(np.int32)
    second_format = (generator.random(count) < rates["second_date_format"])[record]
    broken = is_ended & (generator.random(len(record)) < rates["broken_rows"])
    shown_end = np.where(broken, start[record] - 20, shown_end).astype(np.int32)
    row = entry[record]
    event_ref = references(count, 9_000_000, generator, prefix="E", width=9)
    columns = {
        "Event_Reference": event_ref[record],
        "Person_Unique_Identifier": care_ref[row],
        "NHS_Number": nhs[row],
        "First_Name": entries.forename[row],
        "Last_Name": entries.surname_on(row, start[record].astype(np.int32)),
        "Date_of_Birth": _dates(entries.date_of_birth[row], second_format),
        "Address": np.where(nowhere, "", address.one_line())[record],
        "Postcode": np.where(nowhere, "", address.postcode)[record],
        "Event_Type": np.array(_TYPES)[kind][record],
        "Event_Start_Date": _dates(start[record].astype(np.int32), second_format),
        "Event_End_Date": _dates(shown_end, second_format),
        "Primary_Support_Reason": np.array(_REASONS)[reason][record],
        "Accommodation_Status": _accommodation(properties.tenure[home], nowhere, generator)[record],
    }
    dropped = np.where(is_ended, end[record].astype(np.int64) + _KEPT_DAYS, OPEN).astype(np.int32)
    household = stays.household[np.maximum(stays.at(person, start.astype(np.int32)), 0)]
    true_stay = stays.at(person, start.astype(np.int32))
    moved = stays.property[np.maximum(true_stay, 0)] != home
    errors = entries.applied[entry] | np.where(nowhere, 0, address.applied | bits(old_address=moved)).astype(
        np.uint32
    )
    return {
        "events": TableRecords(columns, record, day, dropped, event_ref, person, household, errors=errors)
    }


def precursors(tables: Mapping[str, TableRecords]) -> Traces:
    """Mental health, domestic abuse and safeguarding."""
    events = tables["events"]
    reason, kind = events.columns["Primary_Support_Reason"], events.columns["Event_Type"]
    relevant = np.isin(reason, ["Mental Health", "Domestic Abuse"]) | (kind == "Safeguarding")
    household = events.household if events.household is not None else np.zeros(0, dtype=np.int64)
    return traces(household[events.record[relevant]], events.known_on[relevant], TRACE_DAYS)


def _events(world: World, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return person, type, reason, first and last day (`MISSING`: goes on) of every event, in order of the
    first day.
    """
    batches = [_care_for_life(world, generator), _abuse(world, generator), _mental_health(world, generator)]
    person, kind, reason, start, end = (np.concatenate(column) for column in zip(*batches, strict=True))
    stays, people = world.residences, world.course.people
    stay = stays.at(person, start.astype(np.int32))
    alive = (people.died_on[person] == MISSING) | (people.died_on[person] > start)
    here = (
        (stay >= 0) & (stays.start[np.maximum(stay, 0)] <= start) & (stays.end[np.maximum(stay, 0)] >= start)
    )
    in_window = (start < world.last_day) & ((end == MISSING) | (end > world.first_day - _KEPT_DAYS))
    kept = np.flatnonzero(alive & here & in_window)
    kept = kept[np.lexsort((kind[kept], person[kept], start[kept]))]
    person, start, end = person[kept], start[kept], end[kept]
    died = people.died_on[person]
    not_told = generator.random(len(kept)) < 0.15
    end = np.where(
        (died != MISSING) & ((end == MISSING) | (end > died)) & ~not_told, np.maximum(died, start), end
    )
    return person, kind[kept], reason[kept], start, end


def _care_for_life(world: World, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Care for age, illness or disability: request, assessment, lasting service, yearly reviews."""
    people, stays = world.course.people, world.residences
    who = np.unique(stays.person[stays.role != CHILD])
    begin = world.first_day - 1200
    span = world.last_day - begin
    start = begin + generator.integers(0, span, len(who))
    age = (start - people.date_of_birth[who]) / 365.25
    chance = np.select([age >= 85, age >= 75, age >= 65, age >= 18], [0.30, 0.13, 0.05, 0.018], 0.0)
    chosen = generator.random(len(who)) < chance
    who, start, age = who[chosen], start[chosen], age[chosen]
    old = np.searchsorted([0.6, 0.68, 0.9, 0.91], generator.random(len(who)), side="right")
    young = np.array([PHYSICAL, SENSORY, LEARNING, MENTAL, SOCIAL_SUPPORT])[
        np.searchsorted([0.25, 0.3, 0.65, 0.9], generator.random(len(who)), side="right")
    ]
    reason = np.where(age >= 65, np.array([PHYSICAL, SENSORY, MEMORY, LEARNING, SOCIAL_SUPPORT])[old], young)
    rows = [(who, REQUEST, reason, start, start + generator.integers(1, 15, len(who)))]
    assessed = generator.random(len(who)) < 0.75
    day = start + generator.integers(10, 45, len(who))
    rows.append((who[assessed], ASSESSMENT, reason[assessed], day[assessed], day[assessed] + 20))
    served = assessed & (generator.random(len(who)) < 0.75)
    service_start = day + generator.integers(20, 50, len(who))
    service_end = np.where(
        generator.random(len(who)) < 0.35, service_start + generator.integers(42, 500, len(who)), MISSING
    )
    rows.append((who[served], SERVICE, reason[served], service_start[served], service_end[served]))
    for year in (1, 2, 3):
        reviewed = served & ((service_end == MISSING) | (service_end > service_start + 365 * year))
        reviewed &= generator.random(len(who)) < 0.6
        review = service_start + 365 * year + generator.integers(-30, 60, len(who))
        rows.append((who[reviewed], REVIEW, reason[reviewed], review[reviewed], review[reviewed] + 14))
    return _stack(rows)


def _abuse(world: World, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Safeguarding enquiries, and requests for support, that abuse episodes lead to."""
    course = world.course
    day = course.month_starts[np.minimum(course.abuse.start, len(course.month_starts) - 1)].astype(np.int64)
    household = course.abuse.household
    lead, partner = course.households.lead[household], course.households.partner[household]
    victim = np.where(course.people.female[lead] | (partner < 0), lead, partner)
    start = day + generator.integers(3, 56, len(day))
    known = generator.random(len(day)) < 0.70
    reason = np.where(generator.random(len(day)) < 0.8, ABUSE, UNKNOWN)
    rows = [
        (
            victim[known],
            SAFEGUARDING,
            reason[known],
            start[known],
            start[known] + generator.integers(14, 90, known.sum()),
        )
    ]
    asks = generator.random(len(day)) < 0.35
    second = start + generator.integers(7, 60, len(day))
    rows.append((victim[asks], REQUEST, np.full(asks.sum(), ABUSE), second[asks], second[asks] + 14))
    return _stack(rows)


def _mental_health(world: World, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Mental-health contacts: a request, often an assessment, sometimes a service of some months."""
    course = world.course
    contacts = course.mental_health
    day = course.month_starts[np.minimum(contacts.start, len(course.month_starts) - 1)].astype(np.int64)
    lead, partner = course.households.lead[contacts.household], course.households.partner[contacts.household]
    who = np.where((partner >= 0) & (generator.random(len(day)) < 0.4), partner, lead)
    start = day + generator.integers(0, 28, len(day))
    known = generator.random(len(day)) < 0.80
    who, start = who[known], start[known]
    reason = np.where(generator.random(len(who)) < 0.85, MENTAL, SOCIAL_SUPPORT)
    rows = [(who, REQUEST, reason, start, start + generator.integers(1, 15, len(who)))]
    assessed = generator.random(len(who)) < 0.55
    day = start + generator.integers(10, 40, len(who))
    rows.append((who[assessed], ASSESSMENT, reason[assessed], day[assessed], day[assessed] + 20))
    served = assessed & (generator.random(len(who)) < 0.6)
    day = day + 30
    rows.append(
        (
            who[served],
            SERVICE,
            reason[served],
            day[served],
            day[served] + generator.integers(60, 300, served.sum()),
        )
    )
    return _stack(rows)


def _stack(rows: list[tuple[np.ndarray, int, np.ndarray, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, ...]:
    filled = [(who, np.full(len(who), kind), reason, start, end) for who, kind, reason, start, end in rows]
    return tuple(np.concatenate(column).astype(np.int64) for column in zip(*filled, strict=True))


def _dates(days: Days, second: np.ndarray) -> np.ndarray:
    return np.where(second, as_text(days, "%d/%m/%Y"), as_text(days, "%Y-%m-%d"))


def _accommodation(tenure: np.ndarray, nowhere: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    status = np.select(
        [tenure == OWNER, tenure == PRIVATE],
        ["Owner occupier or shared ownership scheme", "Tenant - private landlord"],
        "Tenant",
    )
    unknown = generator.random(len(tenure)) < 0.2
    return np.where(nowhere | unknown, "Unknown", status)
