"""Early help and youth justice episodes, and contacts with the multi-agency safeguarding hub (MASH): children and
their parents.

Always a full file of the past two years. feeds.md: domestic abuse shows in MASH contacts, with an erratic lead.
Assumed: 65 % of abuse episodes in homes with children lead to a contact within ten weeks, 12 % in others; four
in five children in need came through MASH; 3.5 % of families a year meet MASH with nothing behind it; shares of
sources, reasons and outcomes; how episodes follow contacts, absence from school, arrears and offending.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from synthetic.addresses import typed
from synthetic.dates import MISSING, OPEN, Days, as_text
from synthetic.errors import Registrations, bits, error_model, register
from synthetic.feeds.deliveries import MONTH_END, TRACE_DAYS, TableRecords, Traces, traces
from synthetic.feeds.versions import versions
from synthetic.identifiers import references
from synthetic.population import CHILD, GROWN_CHILD, LEAD, PARTNER
from synthetic.streams import pick
from synthetic.world import World

RHYTHM = MONTH_END
ALWAYS_FULL = True

_KEPT_DAYS = 2 * 365
_ADULT_DAYS = 18 * 365.25

_REASONS = (
    "DOMESTIC_ABUSE", "NEGLECT", "PARENTAL_MENTAL_HEALTH", "SUBSTANCE_MISUSE", "CHILD_BEHAVIOUR",
    "FAMILY_DYSFUNCTION", "DISABILITY", "FINANCE_HOUSING", "OTHER",
)  # fmt: skip
ABUSE, NEGLECT, MENTAL_HEALTH, SUBSTANCES, BEHAVIOUR, DYSFUNCTION, DISABILITY, FINANCE, OTHER = range(9)
_REASON_OF_NEED = np.array(
    [NEGLECT, DISABILITY, MENTAL_HEALTH, DYSFUNCTION, ABUSE, BEHAVIOUR, FINANCE, OTHER, OTHER]
)
_PASSING_REASONS = {
    "abuse": 0.10, "neglect": 0.18, "mental health": 0.10, "substances": 0.08, "behaviour": 0.20,
    "dysfunction": 0.16, "disability": 0.04, "finance": 0.04, "other": 0.10,
}  # fmt: skip
_CONTACT_SOURCES = ("POLICE", "SCHOOL", "HEALTH", "HOUSING", "SOCIAL_CARE", "FAMILY", "ANONYMOUS", "OTHER")
_SOURCES_OF_ABUSE = (0.70, 0.09, 0.11, 0.02, 0.02, 0.04, 0.01, 0.01)
_SOURCES_OF_OTHERS = (0.30, 0.28, 0.16, 0.04, 0.05, 0.08, 0.04, 0.05)
_OUTCOMES = ("NFA", "ADVICE", "EARLY_HELP", "SOCIAL_CARE_ASSESSMENT", "STRATEGY_DISCUSSION")
NFA, ADVICE, EARLY_HELP, ASSESSMENT, STRATEGY = range(5)

_SERVICES = ("FAMILY_SUPPORT", "CHILDRENS_CENTRE", "ATTENDANCE_SUPPORT", "YOUTH_JUSTICE")
FAMILY_SUPPORT, CHILDRENS_CENTRE, ATTENDANCE, YOUTH_JUSTICE = range(4)
_EPISODE_REASONS = (
    "DOMESTIC_ABUSE", "PARENTING", "PARENTAL_MENTAL_HEALTH", "SUBSTANCE_MISUSE", "CHILD_BEHAVIOUR", "PARENTING",
    "OTHER", "FINANCE_HOUSING", "OTHER", "SCHOOL_ATTENDANCE", "OFFENDING",
)  # fmt: skip
"""By reason of contact, then two reasons that only episodes have."""
SCHOOL_ATTENDANCE, OFFENDING = 9, 10
_EPISODE_SOURCES = ("MASH", "SCHOOL", "HEALTH", "POLICE", "COURT", "SELF", "HOUSING", "OTHER")
MASH, SCHOOL, HEALTH, POLICE, COURT, SELF, HOUSING, ELSEWHERE = range(8)


@dataclass(frozen=True)
class _Contacts:
    """One position per person per contact."""

    person: np.ndarray
    adult: np.ndarray
    day: np.ndarray
    reason: np.ndarray
    source: np.ndarray
    outcome: np.ndarray

    def taken(self, rows: np.ndarray) -> _Contacts:
        return _Contacts(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class _Episodes:
    """One position per person per episode; `end` is `OPEN` while it goes on."""

    person: np.ndarray
    adult: np.ndarray
    start: np.ndarray
    end: np.ndarray
    service: np.ndarray
    reason: np.ndarray
    source: np.ndarray

    def taken(self, rows: np.ndarray) -> _Episodes:
        return _Episodes(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


_Rows = TypeVar("_Rows", _Contacts, _Episodes)


def make_records(world: World) -> dict[str, TableRecords]:
    """Episodes and contacts, one record per person in each; both name people from one register."""
    contacts = _contacts(world, world.stream("early_help contacts"))
    episodes = _episodes(world, contacts, world.stream("early_help episodes"))
    people = world.stream("early_help people")
    episodes, added, contacts, added_contacts = _logged_twice(episodes, contacts, people)
    register_of = _Register.of(
        world,
        np.concatenate([episodes.person, contacts.person]),
        np.concatenate([episodes.start, contacts.day]),
        np.concatenate([added, added_contacts]),
        people,
    )
    split = len(episodes.person)
    return {
        "episodes": _episode_records(
            world, episodes, register_of.taken(slice(0, split)), world.stream("early_help episode rows")
        ),
        "contacts": _contact_records(
            world, contacts, register_of.taken(slice(split, None)), world.stream("early_help contact rows")
        ),
    }


def precursors(tables: Mapping[str, TableRecords]) -> Traces:
    """Every contact for domestic abuse."""
    contacts = tables["contacts"]
    first = np.append(True, contacts.record[1:] != contacts.record[:-1])[: len(contacts.record)]
    first &= np.asarray(contacts.columns["ContactReason"]) == "DOMESTIC_ABUSE"
    household = None if contacts.household is None else contacts.household[contacts.record[first]]
    return traces(household, contacts.known_on[first], TRACE_DAYS)


class _Homes:
    """Who lives in a household on a day: the stays, in order of household."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.order = np.argsort(world.residences.household, kind="stable")
        self.household = world.residences.household[self.order]

    def at(self, household: np.ndarray, day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the position in `household`, and the stay, of everybody at home on `day`."""
        stays = self.world.residences
        first = np.searchsorted(self.household, household, side="left")
        count = np.searchsorted(self.household, household, side="right") - first
        row = np.repeat(np.arange(len(household)), count)
        place = np.repeat(first, count) + np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        stay = self.order[place]
        here = (stays.start[stay] <= day[row]) & (stays.end[stay] >= day[row])
        return row[here], stay[here]

    def family(
        self, household: np.ndarray, day: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return row and person of every child at home, and of one parent of each row (the mother, if there).

        Rows without an adult at home have no parent.
        """
        stays, people = self.world.residences, self.world.course.people
        row, stay = self.at(household, day)
        person, role = stays.person[stay], stays.role[stay]
        young = day[row] - people.date_of_birth[person] < _ADULT_DAYS
        child = young & np.isin(role, [CHILD, GROWN_CHILD])
        head = np.flatnonzero(~young & np.isin(role, [LEAD, PARTNER]))
        head = head[np.lexsort((~people.female[person[head]], row[head]))]
        parent_row, first = np.unique(row[head], return_index=True)
        return row[child], person[child], parent_row, person[head[first]]


def _contacts(world: World, generator: np.random.Generator) -> _Contacts:
    """Concerns about households, and from them one contact for each child and most parents."""
    course, people = world.course, world.course.people
    months, last = course.month_starts.astype(np.int64), len(course.month_starts) - 1
    homes = _Homes(world)
    begin = world.first_day - _KEPT_DAYS

    # Domestic abuse: one concern, a second in a third of the episodes that go on.
    abuse = course.abuse
    first = months[np.minimum(abuse.start, last)] + generator.integers(3, 70, len(abuse.start))
    second = first + generator.integers(40, 200, len(first))
    again = (abuse.end > abuse.start + 2) & (generator.random(len(first)) < 0.35)
    household = np.concatenate([abuse.household, abuse.household[again]])
    day = np.concatenate([first, second[again]])
    reason = np.where(generator.random(len(day)) < 0.88, ABUSE, DYSFUNCTION)

    # Mental illness of a parent.
    illness = course.mental_health
    told = np.flatnonzero(generator.random(len(illness.household)) < 0.12)
    ill_day = months[np.minimum(illness.start[told], last)] + generator.integers(5, 60, len(told))
    # Families with nothing behind it.
    spells = course.spells
    years = np.maximum(
        np.minimum(spells.end.astype(np.int64), world.last_day) - np.maximum(spells.start, begin), 0
    )
    passing = np.repeat(np.arange(len(years)), generator.poisson(0.035 * years / 365.25))
    passing_day = np.maximum(spells.start[passing], begin) + np.floor(
        generator.random(len(passing)) * years[passing]
    ).astype(np.int64)
    passing_reason = pick(generator, _PASSING_REASONS, len(passing))

    background = np.concatenate([np.full(len(told), False), np.full(len(passing), True)])
    household = np.concatenate([household, illness.household[told], spells.household[passing]])
    day = np.concatenate([day, ill_day, passing_day])
    reason = np.concatenate([reason, np.full(len(told), MENTAL_HEALTH), passing_reason])
    background = np.concatenate([np.zeros(len(day) - len(background), dtype=bool), background])

    row, child, parent_row, parent = homes.family(household, day)
    has_child = np.bincount(row, minlength=len(day)) > 0
    abused = np.arange(len(day)) < len(day) - len(told) - len(passing)
    reaches = np.where(abused, np.where(has_child, 0.65, 0.12), has_child)
    reaches = generator.random(len(day)) < reaches
    source = np.where(
        reason == ABUSE,
        _drawn(_SOURCES_OF_ABUSE, len(day), generator),
        _drawn(_SOURCES_OF_OTHERS, len(day), generator),
    )
    outcome = _drawn((0.34, 0.26, 0.24, 0.13, 0.03), len(day), generator)
    outcome = np.where(background, _drawn((0.62, 0.30, 0.08), len(day), generator), outcome)
    named = (generator.random(len(parent_row)) < np.where(reason[parent_row] == ABUSE, 0.9, 0.5)) & reaches[
        parent_row
    ]
    # Where there is no child, the contact is about the adult alone.
    named |= reaches[parent_row] & ~has_child[parent_row]
    about = np.concatenate([row[reaches[row]], parent_row[named]])
    person = np.concatenate([child[reaches[row]], parent[named]])
    adult = np.arange(len(about)) >= reaches[row].sum()
    found = _Contacts(person, adult, day[about], reason[about], source[about], outcome[about])

    # Four in five children in need came through MASH, a few days before.
    needs = course.in_need
    through = np.flatnonzero(generator.random(len(needs.person)) < 0.8)
    need_day = needs.start[through].astype(np.int64) - generator.integers(0, 6, len(through))
    need_reason = _REASON_OF_NEED[needs.need[through].astype(np.int64)]
    need_source = _drawn(_SOURCES_OF_OTHERS, len(through), generator)
    strategy = needs.plan[through] & (generator.random(len(through)) < 0.7)
    _, _, mother_row, mother = homes.family(needs.household[through], need_day)
    with_mother = generator.random(len(mother_row)) < 0.5
    mother_row, mother = mother_row[with_mother], mother[with_mother]
    about = np.concatenate([np.arange(len(through)), mother_row])
    in_need = _Contacts(
        np.concatenate([needs.person[through], mother]),
        np.arange(len(about)) >= len(through),
        need_day[about],
        need_reason[about],
        need_source[about],
        np.where(strategy, STRATEGY, ASSESSMENT)[about],
    )
    joined = _Contacts(
        *(
            np.concatenate([getattr(found, name), getattr(in_need, name)])
            for name in _Contacts.__dataclass_fields__
        )
    )
    alive = (people.died_on[joined.person] == MISSING) | (people.died_on[joined.person] > joined.day)
    kept = np.flatnonzero(alive & (joined.day > begin) & (joined.day < world.last_day))
    kept = kept[np.lexsort((joined.reason[kept], joined.person[kept], joined.day[kept]))]
    # Siblings in need have one mother: she is named once a day.
    same = (joined.person[kept][1:] == joined.person[kept][:-1]) & (
        joined.day[kept][1:] == joined.day[kept][:-1]
    )
    return joined.taken(kept[np.append(True, ~same)[: len(kept)]])


def _episodes(world: World, contacts: _Contacts, generator: np.random.Generator) -> _Episodes:
    """Early help after contacts, absence, arrears and social care; youth justice."""
    course, people = world.course, world.course.people
    months, last = course.month_starts.astype(np.int64), len(course.month_starts) - 1
    homes = _Homes(world)
    batches = []

    def add(
        person: np.ndarray, adult: np.ndarray | bool, start: np.ndarray, days: tuple[int, int],
        service: np.ndarray | int, reason: np.ndarray | int, source: np.ndarray | int,
    ) -> None:  # fmt: skip
        count = len(person)
        end = start + generator.integers(*days, count)
        columns = (person, adult, start, end, service, reason, source)
        batches.append(tuple(np.broadcast_to(np.asarray(column), count) for column in columns))

    # After a contact: the whole family together, so the day is drawn by day and reason, not by person.
    helped = np.flatnonzero(contacts.outcome == EARLY_HELP)
    start = contacts.day[helped] + 8 + (contacts.day[helped] * 7 + contacts.reason[helped]) % 28
    small = start - people.date_of_birth[contacts.person[helped]] < 5 * 365
    service = np.where(small & (contacts.day[helped] % 3 > 0), CHILDRENS_CENTRE, FAMILY_SUPPORT)
    add(
        contacts.person[helped],
        contacts.adult[helped],
        start,
        (60, 400),
        service,
        contacts.reason[helped],
        MASH,
    )

    # Persistent absence.
    absence = course.absence
    rows = np.flatnonzero(generator.random(len(absence.person)) < 0.15)
    start = absence.start[rows].astype(np.int64) + generator.integers(30, 150, len(rows))
    going_on = start < absence.end[rows]
    rows, start = rows[going_on], start[going_on]
    add(absence.person[rows], False, start, (60, 300), ATTENDANCE, SCHOOL_ATTENDANCE, SCHOOL)

    # Rent arrears of families.
    arrears = course.arrears
    rows = np.flatnonzero(generator.random(len(arrears.household)) < 0.08)
    start = months[np.minimum(arrears.start[rows], last)] + generator.integers(40, 180, len(rows))
    row, child, parent_row, parent = homes.family(arrears.household[rows], start)
    has_child = np.isin(parent_row, row)
    source = np.where(rows % 3 == 0, SELF, HOUSING)
    add(child, False, start[row], (60, 300), FAMILY_SUPPORT, FINANCE, source[row])
    parent_row, parent = parent_row[has_child], parent[has_child]
    add(parent, True, start[parent_row], (60, 300), FAMILY_SUPPORT, FINANCE, source[parent_row])

    # Children whom social care hands on.
    needs = course.in_need
    rows = np.flatnonzero((needs.end < OPEN) & (generator.random(len(needs.person)) < 0.15))
    start = needs.end[rows].astype(np.int64) + generator.integers(0, 20, len(rows))
    reason = _REASON_OF_NEED[needs.need[rows].astype(np.int64)]
    add(needs.person[rows], False, start, (90, 400), FAMILY_SUPPORT, reason, MASH)

    # Youth justice: 0.5 % of those aged 10 to 17 a year, four in five of them boys (assumed).
    begin, span = world.first_day - _KEPT_DAYS, world.last_day - world.first_day + _KEPT_DAYS
    young = np.flatnonzero(
        (people.date_of_birth > begin - 18 * 365) & (people.date_of_birth < world.last_day - 10 * 365)
    )
    rate = np.where(people.female[young], 0.002, 0.008) * span / 365.25
    young = young[generator.random(len(young)) < rate]
    start = begin + generator.integers(0, span, len(young))
    age = (start - people.date_of_birth[young]) / 365.25
    young, start = young[(age >= 10) & (age < 18)], start[(age >= 10) & (age < 18)]
    source = np.where(generator.random(len(young)) < 0.6, COURT, POLICE)
    add(young, False, start, (80, 370), YOUTH_JUSTICE, OFFENDING, source)

    found = _Episodes(*(np.concatenate(column) for column in zip(*batches, strict=True)))
    stays = world.residences
    stay = stays.at(found.person, found.start.astype(np.int32))
    place = np.maximum(stay, 0)
    here = (stay >= 0) & (stays.start[place] <= found.start) & (stays.end[place] >= found.start)
    alive = (people.died_on[found.person] == MISSING) | (people.died_on[found.person] > found.start)
    kept = np.flatnonzero(
        here & alive & (found.end > world.first_day - _KEPT_DAYS) & (found.start < world.last_day)
    )
    return found.taken(kept[np.lexsort((found.service[kept], found.person[kept], found.start[kept]))])


@dataclass(frozen=True)
class _Register:
    """The people of the case system, and the entry that each record (episodes, then contacts) uses."""

    entries: Registrations
    person_id: np.ndarray
    weights: np.ndarray
    entry: np.ndarray

    def taken(self, rows: slice) -> _Register:
        return _Register(self.entries, self.person_id, self.weights, self.entry[rows])

    @classmethod
    def of(
        cls,
        world: World,
        person: np.ndarray,
        day: np.ndarray,
        again: np.ndarray,
        generator: np.random.Generator,
    ) -> _Register:
        """Enter everybody once, and those of the records `again` a second time; further records of somebody
        entered twice fall to either entry.
        """
        who, of_record = np.unique(person, return_inverse=True)
        twice = np.unique(of_record[again])
        second = np.full(len(who), -1)
        second[twice] = len(who) + np.arange(len(twice))
        to_second = again | ((second[of_record] >= 0) & (generator.random(len(person)) < 0.3))
        first_record = np.unique(of_record, return_index=True)[1]
        to_second[first_record[~again[first_record]]] = False
        entry = np.where(to_second, second[of_record], of_record)
        entered = np.concatenate([who, who[twice]])
        first_day = np.full(len(entered), OPEN, dtype=np.int64)
        np.minimum.at(first_day, entry, day)
        first_day = np.where(first_day == OPEN, world.first_day, first_day).astype(np.int32)
        weights = world.weights(entered, first_day, world.residences.at(entered, first_day))
        nobody = np.full(len(entered), -1)
        entries = register(
            world.course.people,
            entered,
            weights,
            nobody,
            "early_help",
            generator,
            np.bincount(entry, minlength=len(entered)),
        )
        return cls(entries, references(len(entered), 300_000, generator, width=7), weights, entry)


def _logged_twice(
    episodes: _Episodes, contacts: _Contacts, generator: np.random.Generator
) -> tuple[_Episodes, np.ndarray, _Contacts, np.ndarray]:
    """Add a second record, under a second entry, for some people: two agencies told of the same thing.

    Returns both tables with what is added in its place by day, and which records are added.
    """
    rate = error_model()["systems"]["early_help"]["duplicate_person"]
    split = len(episodes.person)
    who, first = np.unique(np.concatenate([episodes.person, contacts.person]), return_index=True)
    copied = first[generator.random(len(who)) < rate]
    later = generator.integers(0, 4, len(copied))
    of_episode = copied < split
    more = episodes.taken(copied[of_episode])
    more = replace(more, start=more.start + later[of_episode], end=more.end + later[of_episode])
    again = contacts.taken(copied[~of_episode] - split)
    again = replace(again, day=again.day + later[~of_episode])
    episodes, added = _joined(episodes, more)
    contacts, added_contacts = _joined(contacts, again)
    order = np.lexsort((added, episodes.service, episodes.person, episodes.start))
    contact_order = np.lexsort((added_contacts, contacts.reason, contacts.person, contacts.day))
    return (episodes.taken(order), added[order], contacts.taken(contact_order), added_contacts[contact_order])


def _joined(rows: _Rows, more: _Rows) -> tuple[_Rows, np.ndarray]:
    """Put `more` behind `rows`; return both, and which are more."""
    names = type(rows).__dataclass_fields__
    both = type(rows)(*(np.concatenate([getattr(rows, name), getattr(more, name)]) for name in names))
    return both, np.arange(len(both.person)) >= len(rows.person)


def _person_columns(
    world: World, person: np.ndarray, day: np.ndarray, listed: _Register, generator: np.random.Generator
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns that say who it is, one position per record, and the errors in them.

    Names are as of `day`; the address may be an old one.
    """
    stays, rates = world.residences, error_model()["systems"]["early_help"]
    count, entry = len(person), listed.entry
    lag = np.where(generator.random(count) < rates["old_address"], generator.integers(30, 500, count), 0)
    stay = stays.at(person, (day - lag).astype(np.int32))
    address = typed(world.properties, stays.property[np.maximum(stay, 0)], listed.weights[entry], generator)
    nowhere = (stay < 0) | (generator.random(count) < rates["missing"]["address"])
    second = generator.random(count) < rates["second_date_format"]
    true_stay = stays.at(person, day.astype(np.int32))
    moved = world.residences.property[true_stay] != stays.property[stay]
    of_address = np.where(nowhere, 0, address.applied | bits(old_address=moved))
    errors = listed.entries.applied[entry] | of_address.astype(np.uint32)
    columns = {
        "PersonID": listed.person_id[entry],
        "Forename": listed.entries.forename[entry],
        "Surname": listed.entries.surname_on(entry, day.astype(np.int32)),
        "DateOfBirth": _dates(listed.entries.date_of_birth[entry], second),
        "Address": np.where(nowhere, "", address.one_line(" ")),
        "Postcode": np.where(nowhere, "", address.postcode),
    }
    return columns, errors


def _episode_records(
    world: World, episodes: _Episodes, listed: _Register, generator: np.random.Generator
) -> TableRecords:
    count = len(episodes.person)
    rates = error_model()["systems"]["early_help"]
    reference = references(count, 2_000_000, generator, prefix="EH", width=8)
    told = episodes.start + generator.integers(0, 12, count)
    told_end = np.maximum(episodes.end + generator.integers(0, 22, count), told)
    record, day = versions(told, told_end)
    ended = day >= told_end[record]
    broken = ended & (generator.random(len(record)) < rates["broken_rows"])
    end = np.where(ended, episodes.end[record], MISSING)
    end = np.where(broken, episodes.start[record] - 20, end)
    second = (generator.random(count) < rates["second_date_format"])[record]
    outcome = np.array(["NEEDS_MET", "STEPPED_UP", "DISENGAGED", "MOVED_AWAY"])[
        _drawn((0.62, 0.12, 0.20, 0.06), count, generator)
    ]
    outcome = np.where(episodes.service == YOUTH_JUSTICE, "ORDER_COMPLETED", outcome)
    letters = np.array(list("ABCDEFGHJKLMNPRSTW"))
    initials = np.strings.add(*(letters[generator.integers(0, len(letters), count)] for _ in range(2)))
    named, errors = _person_columns(world, episodes.person, episodes.start, listed, generator)
    columns = {
        "EpisodeReference": reference[record],
        **_repeated(named, record),
        "PersonRole": np.where(episodes.adult, "PARENT_CARER", "CHILD")[record],
        "Service": np.array(_SERVICES)[episodes.service][record],
        "PrimaryReason": np.array(_EPISODE_REASONS)[episodes.reason][record],
        "ReferralSource": np.array(_EPISODE_SOURCES)[episodes.source][record],
        "StartDate": _dates(episodes.start[record].astype(np.int32), second),
        "EndDate": _dates(end.astype(np.int32), second),
        "Outcome": np.where(ended, outcome[record], ""),
        "Worker": initials[record],
    }
    dropped = (episodes.end[record] + _KEPT_DAYS).astype(np.int32)
    household = _household(world, episodes.person, episodes.start)
    return TableRecords(columns, record, day, dropped, reference, episodes.person, household, errors=errors)


def _contact_records(
    world: World, contacts: _Contacts, listed: _Register, generator: np.random.Generator
) -> TableRecords:
    count = len(contacts.person)
    rates = error_model()["systems"]["early_help"]
    reference = references(count, 7_000_000, generator, prefix="MC", width=8)
    # A decision is due within a working day; some take a week.
    decided = contacts.day + np.where(generator.random(count) < 0.85, generator.integers(0, 3, count), 7)
    told = contacts.day + generator.integers(0, 4, count)
    told_decision = np.maximum(decided + generator.integers(0, 3, count), told)
    record, day = versions(told, told_decision)
    shows = day >= told_decision[record]
    second = (generator.random(count) < rates["second_date_format"])[record]
    named, errors = _person_columns(world, contacts.person, contacts.day, listed, generator)
    columns = {
        "ContactReference": reference[record],
        **_repeated(named, record),
        "PersonRole": np.where(contacts.adult, "PARENT_CARER", "CHILD")[record],
        "ContactDate": _dates(contacts.day[record].astype(np.int32), second),
        "ContactSource": np.array(_CONTACT_SOURCES)[contacts.source][record],
        "ContactReason": np.array(_REASONS)[contacts.reason][record],
        "DecisionDate": _dates(np.where(shows, decided[record], MISSING).astype(np.int32), second),
        "Outcome": np.where(shows, np.array(_OUTCOMES)[contacts.outcome][record], ""),
    }
    dropped = (contacts.day[record] + _KEPT_DAYS).astype(np.int32)
    household = _household(world, contacts.person, contacts.day)
    return TableRecords(columns, record, day, dropped, reference, contacts.person, household, errors=errors)


def _household(world: World, person: np.ndarray, day: np.ndarray) -> np.ndarray:
    stays = world.residences
    return stays.household[np.maximum(stays.at(person, day.astype(np.int32)), 0)]


def _repeated(columns: dict[str, np.ndarray], record: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[record] for name, values in columns.items()}


def _dates(days: Days, second: np.ndarray) -> np.ndarray:
    return np.where(second, as_text(days, "%Y-%m-%d"), as_text(days, "%d/%m/%Y"))


def _drawn(shares: tuple[float, ...], size: int, generator: np.random.Generator) -> np.ndarray:
    """Draw positions in `shares`."""
    return pick(generator, {str(number): share for number, share in enumerate(shares)}, size)
