"""Antisocial behaviour reported to the council: incidents and their victims, never the perpetrators.

Some people are victims again and again (`life_course` makes them so). Monthly changes, full in April. Assumed:
an incident is reported within two weeks; 9 % of reports name no victim; 6 % name a second adult of the home;
the risk is assessed within three weeks, higher for repeat victims, harassment and hate; a case is open for
five weeks at the median.
"""

from __future__ import annotations

import numpy as np

from synthetic.addresses import typed
from synthetic.circumstances import INCIDENT_KINDS
from synthetic.dates import MISSING, OPEN, Days, as_text
from synthetic.errors import Registrations, bits, error_model, register
from synthetic.feeds.deliveries import MONTH_END, TableRecords
from synthetic.identifiers import references
from synthetic.streams import pick
from synthetic.world import World

RHYTHM = MONTH_END
ALWAYS_FULL = False

_KEPT_DAYS = 2 * 365
_DATES = "%d/%m/%Y"
_NO_VICTIM_NAMED, _SECOND_VICTIM = 0.09, 0.06
_SEVERITY = {"harassment": 8, "hate_incident": 10, "drugs": 4, "criminal_damage": 5, "verbal_abuse": 3}
_LARGEST_SCORE = 44
_PLACES = {"AT_HOME": 0.46, "COMMUNAL_AREA": 0.22, "STREET": 0.2, "OPEN_SPACE": 0.07, "ONLINE": 0.05}
_PLACE_WORDS = np.array(["", "communal area of ", "in the street outside ", "green near ", ""])
_REPORTED_BY = {"TELEPHONE": 0.44, "ONLINE_FORM": 0.27, "POLICE": 0.12, "HOUSING_OFFICER": 0.17}
_CLOSED = {"CLOSED_RESOLVED": 0.58, "CLOSED_NFA": 0.30, "REFERRED_POLICE": 0.12}


def make_records(world: World) -> dict[str, TableRecords]:
    """Incidents in order of report, in up to three versions; victims in one."""
    generator = world.stream("antisocial_behaviour")
    incidents = world.course.incidents
    day = incidents.day.astype(np.int64)
    recent = np.flatnonzero((day > world.first_day - _KEPT_DAYS) & (day < world.last_day))
    reported = day + np.floor(generator.exponential(2.2, len(day))).clip(0, 14).astype(np.int64)
    rows = recent[np.lexsort((incidents.person[recent], reported[recent]))]
    reference = references(len(rows), 20_000_000, generator, prefix="ASB")
    return {
        "incidents": _incidents(world, rows, reported[rows], reference, generator),
        "victims": _victims(
            world, rows, reported[rows], reference, world.stream("antisocial_behaviour victims")
        ),
    }


def _incidents(
    world: World,
    rows: np.ndarray,
    reported: np.ndarray,
    reference: np.ndarray,
    generator: np.random.Generator,
) -> TableRecords:
    incidents, rates = world.course.incidents, error_model()["systems"]["antisocial_behaviour"]
    count = len(rows)
    kind, happened = incidents.kind[rows], incidents.day[rows].astype(np.int64)
    before = _before_within_a_year(incidents.person[rows], happened)
    severity = np.array([_SEVERITY.get(name, 1) for name in INCIDENT_KINDS])[kind]
    score = severity + 4 * np.minimum(before, 5) + generator.poisson(4, count)
    score = np.minimum(score, _LARGEST_SCORE)
    assessed = np.where(generator.random(count) < 0.85, reported + generator.integers(1, 21, count), OPEN)
    closed = reported + np.ceil(generator.lognormal(np.log(35), 0.8, count)).astype(np.int64) + 2
    closed = np.where(generator.random(count) < 0.06, OPEN, closed)
    closing = np.array(list(_CLOSED))[pick(generator, _CLOSED, count)]

    record = np.tile(np.arange(count), 3)
    seen = np.concatenate([reported + generator.integers(0, 3, count), assessed, closed])
    real = seen < OPEN
    record, seen = record[real], seen[real]
    order = np.lexsort((seen, record))
    record, seen = record[order], seen[order]
    fresh = np.append(True, (record[1:] != record[:-1]) | (seen[1:] != seen[:-1]))[: len(record)]
    record, seen = record[fresh], seen[fresh]
    is_closed, is_assessed = seen >= closed[record], seen >= assessed[record]
    shown_end = np.where(is_closed, closed[record], MISSING)
    broken = is_closed & (generator.random(len(record)) < rates["broken_rows"])
    shown_end = np.where(broken, reported[record] - 9, shown_end).astype(np.int32)

    where = pick(generator, _PLACES, count)
    address = typed(world.properties, incidents.property[rows], np.ones(count), generator)
    place = np.strings.add(_PLACE_WORDS[where], np.where(where >= 2, address.street, address.one_line()))
    place = np.where(where == list(_PLACES).index("ONLINE"), "", place)
    by = np.array(list(_REPORTED_BY))[pick(generator, _REPORTED_BY, count)]
    by = np.where(_nameless(world)[rows], "ANONYMOUS", by)
    columns = {
        "incident_ref": reference[record],
        "incident_date": as_text(happened.astype(np.int32), _DATES)[record],
        "reported_date": as_text(reported.astype(np.int32), _DATES)[record],
        "category": np.strings.upper(np.array(INCIDENT_KINDS))[kind][record],
        "place_type": np.array(list(_PLACES))[where][record],
        "place": place[record],
        "reported_by": by[record],
        "risk_score": np.where(is_assessed, score.astype("U2")[record], ""),
        "status": np.where(is_closed, closing[record], np.where(is_assessed, "INVESTIGATION", "OPEN")),
        "closed_date": as_text(shown_end, _DATES),
    }
    dropped = np.where(is_closed, closed[record] + _KEPT_DAYS, OPEN).astype(np.int32)
    household = incidents.household[rows]
    return TableRecords(columns, record, seen.astype(np.int32), dropped, reference, None, household)


def _victims(
    world: World,
    rows: np.ndarray,
    reported: np.ndarray,
    reference: np.ndarray,
    generator: np.random.Generator,
) -> TableRecords:
    course, stays, properties = world.course, world.residences, world.properties
    incidents, rates = course.incidents, error_model()["systems"]["antisocial_behaviour"]
    incident, person = _named(world, rows, generator)
    day, household = reported[incident].astype(np.int32), incidents.household[rows][incident]
    count = len(person)

    registration, entered = _registrations(person, day, rates["duplicate_person"], generator)
    first_day = day[entered]
    stay = stays.at(person[entered], first_day)
    weights = world.weights(person[entered], first_day, stay)
    nobody = np.full(len(entered), -1)
    entries = register(
        course.people,
        person[entered],
        weights,
        nobody,
        "antisocial_behaviour",
        generator,
        np.bincount(registration, minlength=len(entered)),
    )
    victim_ref = references(len(entered), 500_000, generator, prefix="V", width=7)
    style = pick(generator, rates["name_styles"], len(entered))

    # Where the victim says they live; the system keeps some old addresses of people it knows.
    old = generator.random(count) < rates["old_address"]
    lag = np.where(old, generator.integers(60, 700, count), 0)
    lived = stays.at(person, (day - lag).astype(np.int32))
    home = np.where(lived >= 0, stays.property[np.maximum(lived, 0)], incidents.property[rows][incident])
    address = typed(properties, home, weights[registration], generator)
    nowhere = generator.random(count) < rates["missing"]["address"]
    no_postcode = nowhere | (generator.random(count) < rates["missing"]["postcode"])
    known_before = _before_within_a_year(registration, day.astype(np.int64))
    columns = {
        "incident_ref": reference[incident],
        "victim_ref": victim_ref[registration],
        "victim_name": _names(entries, registration, style[registration], day),
        "date_of_birth": as_text(entries.date_of_birth[registration], _DATES),
        "ni_number": entries.nino[registration],
        "phone": entries.phone[registration],
        "address": np.where(nowhere, "", address.one_line()),
        "postcode": np.where(no_postcode, "", address.postcode),
        "repeat_victim": np.where(known_before > 0, "Y", "N"),
    }
    key = np.strings.add(np.strings.add(columns["incident_ref"], "|"), columns["victim_ref"])
    known = (day + generator.integers(0, 3, count)).astype(np.int32)
    dropped = (day + _KEPT_DAYS + 60).astype(np.int32)
    true_stay = stays.at(person, day)
    moved = (true_stay >= 0) & (stays.property[np.maximum(true_stay, 0)] != home)
    errors = entries.applied[registration] | np.where(
        nowhere, 0, address.applied | bits(old_address=moved & old)
    ).astype(np.uint32)
    return TableRecords(columns, np.arange(count), known, dropped, key, person, household, errors=errors)


def _nameless(world: World) -> np.ndarray:
    """The incidents, by position, whose report names no victim."""
    total = len(world.course.incidents)
    return world.stream("antisocial_behaviour nameless").random(total) < _NO_VICTIM_NAMED


def _named(world: World, rows: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return incident (position in `rows`) and person of every victim that is named."""
    incidents, households = world.course.incidents, world.course.households
    named = np.flatnonzero(~_nameless(world)[rows])
    person, household = incidents.person[rows], incidents.household[rows]
    lead, partner = households.lead[household], households.partner[household]
    other = np.where(person == lead, partner, np.where(person == partner, lead, -1))
    stay = world.residences.at(np.maximum(other, 0), incidents.day[rows])
    there = (other >= 0) & (other != person) & (stay >= 0)
    there &= world.residences.property[np.maximum(stay, 0)] == incidents.property[rows]
    there &= world.residences.end[np.maximum(stay, 0)] >= incidents.day[rows]
    second = named[there[named] & (generator.random(len(named)) < _SECOND_VICTIM)]
    incident = np.concatenate([named, second])
    victim = np.concatenate([person[named], other[second]])
    order = np.lexsort((victim, incident))
    return incident[order], victim[order]


def _registrations(
    person: np.ndarray, day: np.ndarray, duplicates: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return each victim row's registration, and the row that made each: a new one for a person's first
    incident, and for some later ones too, where nobody looked the person up.
    """
    order = np.lexsort((np.arange(len(person)), day, person))
    who = person[order]
    new = np.append(True, who[1:] != who[:-1])[: len(who)] | (generator.random(len(who)) < duplicates)
    registration = np.empty(len(person), dtype=np.int64)
    registration[order] = np.cumsum(new) - 1
    return registration, order[new]


def _before_within_a_year(who: np.ndarray, day: np.ndarray) -> np.ndarray:
    """How many earlier positions of the same `who` lie in the 365 days before each."""
    order = np.lexsort((np.arange(len(who)), day, who))
    base = int(day.min()) if len(day) else 0
    key = who[order].astype(np.int64) * 2**20 + (day[order] - base)
    first = np.searchsorted(key, who[order].astype(np.int64) * 2**20 + np.maximum(day[order] - base - 365, 0))
    before = np.empty(len(who), dtype=np.int64)
    before[order] = np.arange(len(who)) - first
    return before


def _names(entries: Registrations, rows: np.ndarray, style: np.ndarray, day: Days) -> np.ndarray:
    """Write each name in the one field: forename first, title and initial, or surname first."""
    forename, surname = entries.forename[rows], entries.surname_on(rows, day)
    title = np.where(entries.title[rows] == "", "", np.strings.add(entries.title[rows], " "))
    plain = np.strings.add(np.strings.add(forename, " "), surname)
    formal = np.strings.add(np.strings.add(np.strings.add(title, forename.astype("U1")), " "), surname)
    reversed_ = np.strings.add(np.strings.add(np.strings.upper(surname), ", "), forename)
    return np.choose(style, [plain, formal, reversed_])
