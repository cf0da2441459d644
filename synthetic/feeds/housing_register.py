"""Housing register: applications for a social home, as choice-based lettings systems (Locata) hold them.

Published (feeds.md): NINO missing for 25 %. Assumed: how often households apply, by tenure, crowding, income and
health (`_YEARLY_RATES`), so that about one household in twenty waits; 60 % of households that are owed a duty
apply within six weeks of the decision, 25 % of those that got advice; 1.2 % of grown children at home a year;
35 % of the applications are not renewed each year; every letting inside the district came from the register.

A notice shows only once the household has come to the council, or where nothing came of it: what no partner can
know beforehand (see `hazard`) must not show here either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from synthetic.addresses import AddressText, typed
from synthetic.dates import MISSING, OPEN, as_text
from synthetic.errors import Registrations, bits, error_model, register
from synthetic.feeds.deliveries import MONTH_END, TableRecords
from synthetic.feeds.occupants import occupants
from synthetic.feeds.versions import versions
from synthetic.hazard import SECTION_21
from synthetic.identifiers import references
from synthetic.life_tables import NO_DUTY
from synthetic.population import CHILD, GROWN_CHILD, PARTNER
from synthetic.properties import PRIVATE, SOCIAL
from synthetic.world import World

RHYTHM = MONTH_END
ALWAYS_FULL = True

_REASONS = (
    "OVERCROWDED", "NOTICE_TO_QUIT", "HOMELESS", "UNAFFORDABLE", "MEDICAL", "SHARING", "UNDER_OCCUPYING", "OTHER",
)  # fmt: skip
OVERCROWDED, NOTICE, HOMELESS, UNAFFORDABLE, MEDICAL, SHARING, UNDER_OCCUPYING, OTHER = range(8)
_YEARLY_RATES = {  # owners, private renters, social renters
    OVERCROWDED: (0.008, 0.07, 0.06),
    NOTICE: (0.0, 0.008, 0.0),
    UNAFFORDABLE: (0.001, 0.03, 0.006),
    MEDICAL: (0.002, 0.012, 0.02),
    UNDER_OCCUPYING: (0.0, 0.0, 0.015),
    OTHER: (0.0003, 0.004, 0.004),
}
_GROWN_CHILDREN_A_YEAR, _AFTER_DUTY, _AFTER_ADVICE = 0.012, 0.60, 0.25
_NOT_RENEWED_A_YEAR, _TYPED_ANEW = 0.35, 0.3
_BANDS = np.array(list("ABCDE"))
_OPEN_STATUSES = np.array(["PENDING", "LIVE", "SUSPENDED"])
_CLOSED_REASONS = np.array(["", "NOT_RENEWED", "WITHDRAWN", "MOVED_AWAY", "DECEASED"])
HOUSED, NOT_RENEWED, WITHDRAWN, MOVED_AWAY, DECEASED = range(5)
_BURN_IN_DAYS, _KEPT_DAYS, _ONE_APPLICATION_DAYS = 5 * 365, 365, 700


@dataclass(frozen=True)
class _Applications:
    """Applications in order of day. `stay` is the applicant's residence that day; `is_second` marks those of
    people who are on the register already.
    """

    person: np.ndarray
    day: np.ndarray
    reason: np.ndarray
    stay: np.ndarray
    is_second: np.ndarray


def make_records(world: World) -> dict[str, TableRecords]:
    """One record per application; versions as it goes live, changes band or address, and is closed."""
    generator = world.stream("housing_register")
    stays, properties = world.residences, world.properties
    rates = error_model()["systems"]["housing_register"]
    made = _applications(world, generator)
    entries, entry = _entries(world, made, generator)
    rows, day = len(made.day), made.day
    alone = (made.reason == SHARING) & (stays.role[made.stay] == GROWN_CHILD)
    adults, children = _counted(world, stays.spell[made.stay], day)
    adults, children = np.where(alone, 1, np.maximum(adults, 1)), np.where(alone, 0, children)
    couple = world.course.households.partner[stays.household[made.stay]] >= 0
    needed = np.where(alone, 1, _bedrooms(adults, children, couple))
    short = needed - properties.bedrooms[stays.property[made.stay]]

    live = day + generator.integers(7, 60, rows)
    closed, how = _closings(world, made, generator)
    raised = _raised_by_a_case(world, made, closed)
    moves_on = stays.next_of(made.stay)
    moved = np.where(
        moves_on >= 0,
        stays.start[np.maximum(moves_on, 0)].astype(np.int64) + generator.integers(15, 300, rows),
        OPEN,
    )
    moved = np.where(moved < closed, moved, OPEN)
    paused = np.where(generator.random(rows) < 0.03, live + generator.integers(20, 400, rows), OPEN)
    paused = np.where(paused < closed, paused, OPEN)
    opened = day + generator.integers(1, 12, rows)
    shown_closed = np.where(closed < OPEN, np.maximum(closed + generator.integers(1, 15, rows), opened), OPEN)
    surname_day = entries.surname_known_on[entry]
    surname_day = np.where((surname_day == MISSING) | (surname_day > shown_closed), OPEN, surname_day)
    changes = [np.where(change < shown_closed, change, OPEN) for change in (live, raised, moved, paused)]
    record, known = versions(opened, shown_closed, surname_day, *changes)

    is_closed = known >= shown_closed[record]
    is_paused, is_live = known >= paused[record], known >= live[record]
    status = np.where(is_paused, 2, np.where(is_live, 1, 0))
    status_day = np.where(is_paused, paused[record], np.where(is_live, live[record], day[record]))
    housed = is_closed & (how[record] == HOUSED)
    band = _bands(made.reason, short, generator)
    is_raised = known >= raised[record]
    first_address, later_address = _addresses(world, made, moves_on, rates, generator)
    has_moved = known >= moved[record]
    second_format = (generator.random(rows) < rates["second_date_format"])[record]
    application_ref = references(rows, 400_000, generator, prefix="HR", width=8)
    applicant_ref = references(len(entries.person), 900_000, generator, width=8)
    applied = _dates(day[record], second_format)
    applied[generator.random(len(record)) < rates["broken_rows"]] = "30/02/2023"
    columns = {
        "ApplicationRef": application_ref[record],
        "ApplicantRef": applicant_ref[entry][record],
        "Title": entries.title[entry][record],
        "Forename": entries.forename[entry][record],
        "Surname": entries.surname_on(entry[record], known),
        "DateOfBirth": _dates(entries.date_of_birth[entry][record], second_format),
        "NINO": entries.nino[entry][record],
        "Phone": entries.phone[entry][record],
        "CurrentAddress": np.where(
            has_moved, later_address.one_line()[record], first_address.one_line()[record]
        ),
        "Postcode": np.where(has_moved, later_address.postcode[record], first_address.postcode[record]),
        "Band": _BANDS[np.where(is_raised, np.minimum(band[record], 1), band[record])],
        "BandDate": _dates(np.where(is_raised, raised[record], day[record]), second_format),
        "BedroomsNeeded": np.minimum(needed, 7).astype("U1")[record],
        "HouseholdSize": np.minimum(adults + children, 20).astype("U2")[record],
        "ReasonForApplying": np.array(_REASONS)[made.reason][record],
        "ApplicationDate": applied,
        "Status": np.where(is_closed, np.where(housed, "HOUSED", "CLOSED"), _OPEN_STATUSES[status]),
        "StatusDate": _dates(np.where(is_closed, closed[record], status_day), second_format),
        "ClosedReason": np.where(is_closed, _CLOSED_REASONS[how][record], ""),
    }
    dropped = np.where(is_closed, closed[record] + _KEPT_DAYS, OPEN).astype(np.int32)
    household = stays.household[made.stay]
    errors = entries.applied[entry] | first_address.applied
    applications = TableRecords(
        columns, record, known, dropped, application_ref, made.person, household, errors=errors
    )
    return {"applications": applications}


def _applications(world: World, generator: np.random.Generator) -> _Applications:
    """Draw who applies, when and why; a household applies at most once in two years."""
    parts = [
        _of_their_own_accord(world, generator),
        _grown_children(world, generator),
        _after_cases(world, generator),
        _before_lettings(world, generator),
    ]
    person, day, reason = (np.concatenate(column).astype(np.int64) for column in zip(*parts, strict=True))
    stays = world.residences
    stay = stays.at(person, day.astype(np.int32))
    here = (stay >= 0) & (stays.start[np.maximum(stay, 0)] <= day) & (stays.end[np.maximum(stay, 0)] >= day)
    here &= (day < world.last_day) & (day - world.course.people.date_of_birth[person] >= 16 * 365)
    person, day, reason, stay = person[here], day[here], reason[here], stay[here]
    # Grown children apply for themselves, the others for their household.
    who = np.where(reason == SHARING, -1 - person, stays.household[stay])
    order = np.lexsort((reason, day, who))
    person, day, reason, stay, who = person[order], day[order], reason[order], stay[order], who[order]
    fresh = np.ones(len(who), dtype=bool)
    fresh[1:] = (who[1:] != who[:-1]) | (day[1:] - day[:-1] >= _ONE_APPLICATION_DAYS)
    person, day, reason, stay = person[fresh], day[fresh], reason[fresh], stay[fresh]
    # Some apply again under a second reference, and nobody notices.
    share = error_model()["systems"]["housing_register"]["duplicate_person"]
    later = day + generator.integers(5, 200, len(day))
    stays_on = (later <= stays.end[stay]) & (later < world.last_day)
    twice = np.flatnonzero(stays_on & (generator.random(len(day)) < share))
    person, reason, stay = (np.concatenate([column, column[twice]]) for column in (person, reason, stay))
    is_second = np.arange(len(person)) >= len(day)
    day = np.concatenate([day, later[twice]])
    order = np.lexsort((person, day))
    return _Applications(person[order], day[order], reason[order], stay[order], is_second[order])


def _of_their_own_accord(world: World, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Applications of households as they live: candidates at the highest rate, thinned by their state that day."""
    course, properties, people = world.course, world.properties, world.course.people
    spells = course.spells
    begin = np.maximum(spells.start, world.first_day - _BURN_IN_DAYS)
    years = np.maximum(np.minimum(spells.end, world.last_day) - begin, 0) / 365.25
    tenure = properties.tenure[spells.property]
    highest = np.sum(list(_YEARLY_RATES.values()), axis=0)[tenure]
    times = generator.poisson(years * highest)
    spell = np.repeat(np.arange(len(times)), times)
    day = begin[spell] + np.floor(generator.random(len(spell)) * years[spell] * 365.25).astype(np.int64)
    household, home = spells.household[spell], spells.property[spell]
    adults, children = _counted(world, spell, day)
    lead, partner = course.households.lead[household], course.households.partner[household]
    short = _bedrooms(np.maximum(adults, 1), children, partner >= 0) - properties.bedrooms[home]
    dear = (tenure[spell] == PRIVATE) & (properties.weekly_rent[home] - properties.lha_weekly[home] > 25)
    applies = {
        OVERCROWDED: short > 0,
        NOTICE: np.ones(len(spell), dtype=bool),
        UNAFFORDABLE: course.households.low_income[household] | dear,
        MEDICAL: people.disabled[lead],
        UNDER_OCCUPYING: short < 0,
        OTHER: np.ones(len(spell), dtype=bool),
    }
    rates = np.array(
        [np.array(_YEARLY_RATES[reason])[tenure[spell]] * applies[reason] for reason in _YEARLY_RATES]
    )
    reached = np.cumsum(rates, axis=0)
    draw = generator.random(len(spell)) * highest[spell]
    chosen = draw < reached[-1]
    reason = np.array(list(_YEARLY_RATES))[(reached <= draw).sum(axis=0)[chosen]]
    asks = (partner >= 0) & (generator.random(len(spell)) < 0.3)
    return np.where(asks, partner, lead)[chosen], day[chosen], reason


def _grown_children(world: World, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Applications of grown children who share their parents' home."""
    stays, people = world.residences, world.course.people
    at_home = np.flatnonzero(np.isin(stays.role, [GROWN_CHILD, CHILD]))
    first = np.maximum(
        stays.start[at_home].astype(np.int64), people.date_of_birth[stays.person[at_home]] + 6575
    )
    first = np.maximum(first, world.first_day - _BURN_IN_DAYS)
    years = np.maximum(np.minimum(stays.end[at_home], world.last_day) - first, 0) / 365.25
    applies = generator.random(len(at_home)) < -np.expm1(-_GROWN_CHILDREN_A_YEAR * years)
    rows = at_home[applies]
    day = first[applies] + np.floor(generator.random(len(rows)) * years[applies] * 365.25).astype(np.int64)
    return stays.person[rows], day, np.full(len(rows), SHARING)


def _after_cases(world: World, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Applications that follow a homelessness case."""
    cases = world.course.cases
    share = np.where(cases.duty == NO_DUTY, _AFTER_ADVICE, _AFTER_DUTY)
    rows = np.flatnonzero(generator.random(len(cases.person)) < share)
    day = np.maximum(cases.decided[rows], cases.applied[rows]) + generator.integers(0, 43, len(rows))
    noticed = (cases.route[rows] == SECTION_21) & (generator.random(len(rows)) < 0.5)
    return cases.person[rows], day, np.where(noticed, NOTICE, HOMELESS)


def _before_lettings(world: World, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Applications behind ordinary lettings: households that moved from another home here into a social one."""
    course, stays = world.course, world.residences
    lead = course.households.lead[course.spells.household]
    let = np.flatnonzero(
        (world.properties.tenure[course.spells.property] == SOCIAL)
        & (course.spells.start > world.first_day - _BURN_IN_DAYS)
        & ~course.spells.after_relief
    )
    day = course.spells.start[let].astype(np.int64) - generator.integers(60, 1200, len(let))
    stay = stays.at(lead[let], day.astype(np.int32))
    from_here = (
        (stay >= 0) & (stays.start[np.maximum(stay, 0)] <= day) & (stays.end[np.maximum(stay, 0)] >= day)
    )
    let, day = let[from_here], day[from_here]
    reason = np.array([OVERCROWDED, UNAFFORDABLE, MEDICAL, OTHER])[generator.integers(0, 4, len(let))]
    return lead[let], day, reason


def _counted(world: World, spell: np.ndarray, day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Adults and children in each spell on `day`."""
    stays = world.residences
    place, stay = occupants(stays, spell, day.astype(np.int32), day.astype(np.int32))
    grown = day[place] - world.course.people.date_of_birth[stays.person[stay]] >= 6575
    return (
        np.bincount(place[grown], minlength=len(spell)),
        np.bincount(place[~grown], minlength=len(spell)),
    )


def _bedrooms(adults: np.ndarray, children: np.ndarray, couple: np.ndarray) -> np.ndarray:
    """Bedrooms needed: one for a couple or each other adult, one for two children."""
    return np.maximum(adults - (couple & (adults > 1)), 1) + (children + 1) // 2


def _entries(
    world: World, made: _Applications, generator: np.random.Generator
) -> tuple[Registrations, np.ndarray]:
    """Return the registrations, and that of each application: one per applicant; some who come again are typed
    in anew.
    """
    stays, people = world.residences, world.course.people
    order = np.lexsort((made.day, made.person))
    person = made.person[order]
    again = np.zeros(len(order), dtype=bool)
    again[1:] = person[1:] == person[:-1]
    typed_anew = ~again | made.is_second[order] | (generator.random(len(order)) < _TYPED_ANEW)
    entry = np.empty(len(order), dtype=np.int64)
    entry[order] = np.cumsum(typed_anew) - 1
    first = order[typed_anew]
    who, stay = made.person[first], made.stay[first]
    partner = world.course.households.partner[stays.household[stay]]
    partner = np.where((partner == who) | (stays.role[stay] > PARTNER), -1, partner)
    weights = world.weights(who, made.day[first].astype(np.int32), stay)
    records = np.bincount(entry, minlength=len(who))
    return register(people, who, weights, partner, "housing_register", generator, records), entry


def _closings(
    world: World, made: _Applications, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the day on which each application closes (`OPEN`: it goes on) and how."""
    stays, people = world.residences, world.course.people
    rows = len(made.day)
    years = generator.geometric(_NOT_RENEWED_A_YEAR, rows)
    lapses = made.day + 365 * years + generator.integers(20, 90, rows)
    following = stays.next_of(made.stay)
    next_start = np.where(following >= 0, stays.start[np.maximum(following, 0)].astype(np.int64), OPEN)
    next_tenure = np.where(
        following >= 0, world.properties.tenure[stays.property[np.maximum(following, 0)]], -1
    )
    let = np.where((next_tenure == SOCIAL) & (next_start > made.day), next_start, OPEN)
    gives_up = (next_tenure >= 0) & (next_tenure != SOCIAL) & (generator.random(rows) < 0.5)
    withdrawn = np.where(gives_up, next_start + generator.integers(5, 120, rows), OPEN)
    end = stays.end[made.stay].astype(np.int64)
    died = people.died_on[made.person] == end
    gone = (following < 0) & (end < OPEN)
    told = generator.random(rows) < 0.4
    left = np.where(gone & ~died & told, end + generator.integers(10, 200, rows), OPEN)
    heard = generator.random(rows) >= error_model()["deceased_not_closed"]
    dead = np.where(died & heard, end + generator.integers(14, 200, rows), OPEN)
    lapses = np.where(died & ~heard, OPEN, lapses)
    days = np.stack([let, lapses, withdrawn, left, dead])
    how = np.argmin(days, axis=0)
    closed = np.maximum(days[how, np.arange(rows)], made.day + 1)
    return np.where(closed < OPEN, closed, OPEN), how


def _raised_by_a_case(world: World, made: _Applications, closed: np.ndarray) -> np.ndarray:
    """Return the day from which a homelessness duty raises the band of an open application (`OPEN`: never)."""
    cases = world.course.cases
    owed = np.flatnonzero(cases.duty != NO_DUTY)
    owed = owed[np.lexsort((cases.decided[owed], cases.household[owed]))]
    scale = 2**20
    key = cases.household[owed].astype(np.int64) * scale + cases.decided[owed] + 2**18
    household = world.residences.household[made.stay].astype(np.int64)
    place = np.searchsorted(key, household * scale + made.day + 2**18, side="right")
    found = np.minimum(place, max(len(owed) - 1, 0))
    if not len(owed):
        return np.full(len(made.day), OPEN, dtype=np.int64)
    same = (place < len(owed)) & (cases.household[owed[found]] == household)
    day = cases.decided[owed[found]].astype(np.int64) + 10
    return np.where(same & (day < closed), day, OPEN)


def _bands(reason: np.ndarray, short: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Positions in the bands A to E."""
    usual = np.array([2, 2, 1, 3, 2, 3, 1, 4])[reason]
    crowded = (reason == OVERCROWDED) & (short >= 2)
    shift = generator.random(len(reason))
    band = np.where(crowded, 1, usual) + (shift < 0.25) - (shift > 0.9)
    urgent = (reason == MEDICAL) & (generator.random(len(reason)) < 0.05)
    return np.where(urgent, 0, np.clip(band, 1, 4))


def _addresses(
    world: World, made: _Applications, moves_on: np.ndarray, rates: dict[str, float],
    generator: np.random.Generator,
) -> tuple[AddressText, AddressText]:  # fmt: skip
    """Return the address when applying (sometimes an old one), and the one after the next move."""
    stays, properties = world.residences, world.properties
    rows = len(made.day)
    old = generator.random(rows) < rates["old_address"]
    looked_up = np.where(old, made.day - generator.integers(60, 700, rows), made.day).astype(np.int32)
    stay = stays.at(made.person, looked_up)
    weights = world.weights(made.person, made.day.astype(np.int32), made.stay)
    first = typed(properties, stays.property[stay], weights, generator)
    is_old = old & (stays.property[stay] != stays.property[made.stay])
    first = replace(first, applied=first.applied | bits(old_address=is_old))
    later = np.where(moves_on >= 0, stays.property[np.maximum(moves_on, 0)], stays.property[made.stay])
    return first, typed(properties, later, weights, generator)


def _dates(days: np.ndarray, second: np.ndarray) -> np.ndarray:
    whole = days.astype(np.int32)
    return np.where(second, as_text(whole, "%Y-%m-%d"), as_text(whole, "%d/%m/%Y"))
