"""Case notes of the district's and the county's officers: free text that grows out of what befalls a household.

A note is about one thing that happened (its main concept, affirmed) or about nothing in particular; it may also
mention what happened before, what is denied, and other people's troubles. `case_notes.yaml` holds the sentences,
`note_text` writes them and knows where each label is. Monthly changes, the past three years in full each April.
Published (feeds.md): 20 to 120 words. Assumed: how many notes each event leads to (`_EVENTS`), 0.2 to 0.3 notes
per household and year in all; who writes them; shares of denied, earlier and other people's troubles.

Labels (`truth/case_notes_labels.parquet`), one row per label: `key` (note reference), `kind` (`concept`, or the
kind of identifier), `concept`, `polarity` (`affirmed`, `denied`, `historical`, `third_party`), `subject` (`self`
or `third_party`), `start` and `end` in characters of the text. A label says what the note says: some who deny
abuse suffer it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthetic.addresses import AddressText, typed
from synthetic.circumstances import (
    DEBT_ADVICE,
    EMPLOYMENT_SUPPORT,
    INCOME_MAXIMISATION,
    INTERVENTION_KINDS,
    MEDIATION,
    TENANCY_SUSTAINMENT,
)
from synthetic.dates import MISSING, Days, as_text
from synthetic.errors import error_model, register
from synthetic.feeds.deliveries import MONTH_END, TableRecords
from synthetic.hazard import ARREARS, DOMESTIC_ABUSE, FAMILY_EXCLUSION, INSTITUTION, OTHER, ROUTES, SECTION_21
from synthetic.identifiers import references
from synthetic.life_course import RELIEF
from synthetic.note_text import (
    AFFIRMED,
    DENIED,
    HISTORICAL,
    POLARITIES,
    THIRD_PARTY,
    Composed,
    Grammar,
    Sentences,
    compose,
    read_grammar,
)
from synthetic.population import CHILD
from synthetic.properties import OWNER
from synthetic.streams import Stream, pick, stream
from synthetic.world import World

RHYTHM = MONTH_END
ALWAYS_FULL = False

_KEPT_DAYS = 3 * 365
_BEFORE_DAYS = 365
"""Notes of the year before the first delivery are in the first full file."""
_ROUTINE_A_YEAR = 0.04
_RECENT_DAYS = 270
_MENTIONED_BEFORE = 0.45
"""Share of notes that come back to what happened to the household before."""
_DENIALS = {0: 0.55, 1: 0.31, 2: 0.14}
_UNKNOWN_PAST, _OTHERS_TROUBLES, _SAID_TWICE = 0.18, 0.30, 0.35
_CHATTER = {0: 0.18, 1: 0.30, 2: 0.28, 3: 0.16, 4: 0.08}
_FRAMED = 0.4
"""Share of mentions in a general frame; the others have a sentence of their own concept."""
_INITIALLED = 0.55
_ACTION = 20
"""Place of the action among a note's sentences."""
_ASKED_ABOUT = {"domestic_abuse": 5.0, "mental_ill_health": 3.0, "substance_use": 3.0, "child_concern": 2.0,
                "rent_arrears": 2.0, "rough_sleeping": 1.5}  # fmt: skip
"""How often officers ask about a concept, next to the others (1)."""
_NOTE_TYPES = {"TELEPHONE_CALL": 0.42, "HOME_VISIT": 0.17, "OFFICE": 0.13, "EMAIL": 0.13, "CASE_REVIEW": 0.08,
               "MULTI_AGENCY": 0.07}  # fmt: skip
_TEAMS = (
    "HOUSING_OPTIONS", "TENANCY_SUSTAINMENT", "REVENUES", "COMMUNITY_SAFETY", "ADULT_SOCIAL_CARE",
    "CHILDREN_AND_FAMILIES",
)  # fmt: skip
_ORGANISATIONS = np.array(["DISTRICT", "DISTRICT", "DISTRICT", "DISTRICT", "COUNTY", "COUNTY"])
HOUSING, TENANCY, REVENUES, SAFETY, ADULTS, FAMILIES = range(6)
_WHO_WRITES = {
    "rent_arrears": (TENANCY, HOUSING),
    "council_tax_debt": (REVENUES, TENANCY),
    "notice_served": (HOUSING, TENANCY),
    "relationship_breakdown": (HOUSING, FAMILIES),
    "domestic_abuse": (ADULTS, HOUSING),
    "job_loss": (REVENUES, TENANCY),
    "benefit_problem": (TENANCY, REVENUES),
    "mental_ill_health": (ADULTS, TENANCY),
    "rough_sleeping": (HOUSING, ADULTS),
    "food_or_fuel_need": (TENANCY, FAMILIES),
    "debt_advice": (REVENUES, TENANCY),
    "family_exclusion": (HOUSING, FAMILIES),
    "antisocial_behaviour": (SAFETY, TENANCY),
    "substance_use": (ADULTS, HOUSING),
    "leaving_institution": (HOUSING, ADULTS),
    "child_concern": (FAMILIES, HOUSING),
}
_SECOND_TEAM = 0.25
_HOUSEHOLDS_PER_OFFICER = 900
NOTHING = -1


class _Event(NamedTuple):
    """How often an event leads to a note on a concept, and how many days after."""

    concept: str
    share: float
    days: tuple[int, int]


_EVENTS: dict[str, tuple[_Event, ...]] = {
    "arrears, rented": (
        _Event("rent_arrears", 0.75, (20, 75)),
        _Event("rent_arrears", 0.35, (75, 150)),
        _Event("benefit_problem", 0.30, (0, 60)),
        _Event("food_or_fuel_need", 0.30, (30, 150)),
    ),
    "arrears, owned": (
        _Event("council_tax_debt", 0.45, (40, 120)),
        _Event("food_or_fuel_need", 0.15, (30, 150)),
    ),
    "long arrears": (
        _Event("council_tax_debt", 0.40, (90, 160)),
        _Event("notice_served", 0.40, (95, 160)),
    ),
    "job loss": (_Event("job_loss", 0.55, (0, 50)), _Event("benefit_problem", 0.25, (20, 80))),
    "parting": (_Event("relationship_breakdown", 0.5, (-30, 60)),),
    "abuse": (
        _Event("domestic_abuse", 0.65, (3, 60)),
        _Event("domestic_abuse", 0.35, (30, 150)),
    ),
    "mental health": (
        _Event("mental_ill_health", 0.7, (0, 30)),
        _Event("mental_ill_health", 0.35, (30, 120)),
    ),
    "incident": (_Event("antisocial_behaviour", 0.25, (0, 20)),),
    "in need": (
        _Event("child_concern", 0.5, (0, 45)),
        _Event("child_concern", 0.3, (60, 200)),
    ),
    "relief": (_Event("rough_sleeping", 0.35, (0, 14)),),
}
_CASE_DAYS = ((0, 2, 1.0), (5, 20, 0.8), (20, 45, 0.6), (45, 90, 0.4))
"""Notes of a homelessness case: earliest and latest day after the application, share."""
_CONCEPT_OF_ROUTE = {
    ARREARS: "notice_served", SECTION_21: "notice_served", FAMILY_EXCLUSION: "family_exclusion",
    DOMESTIC_ABUSE: "domestic_abuse", INSTITUTION: "leaving_institution", OTHER: "relationship_breakdown",
}  # fmt: skip
_CONCEPT_OF_HELP = {
    DEBT_ADVICE: "debt_advice", INCOME_MAXIMISATION: "benefit_problem", TENANCY_SUSTAINMENT: "rent_arrears",
    MEDIATION: "family_exclusion", EMPLOYMENT_SUPPORT: "job_loss",
}  # fmt: skip
_HELP_NOTED = 0.6
_RELATIONS = ("relation_woman", "relation_man")
_BY_SEX = {
    "they": ["he", "she"],
    "they_start": ["He", "She"],
    "them": ["him", "her"],
    "their": ["his", "her"],
    "their_start": ["His", "Her"],
    "themself": ["himself", "herself"],
    "title": ["Mr", "Ms"],
}
"""Words for a man and a woman."""


@dataclass(frozen=True)
class _Happenings:
    """What notes are written about, one position per note. `person` -1: head or partner; concept `NOTHING`: a
    routine contact.
    """

    household: np.ndarray
    person: np.ndarray
    day: np.ndarray
    concept: np.ndarray

    def taken(self, rows: np.ndarray) -> _Happenings:
        return _Happenings(self.household[rows], self.person[rows], self.day[rows], self.concept[rows])


@dataclass(frozen=True)
class _Subjects:
    """Whom each note is about, as the casework system holds them on its day."""

    person: np.ndarray
    household: np.ndarray
    day: Days
    entry: np.ndarray
    """Position of the registration: the same for the notes of one entry."""
    weight: np.ndarray
    reference: np.ndarray
    forename: np.ndarray
    surname: np.ndarray
    title: np.ndarray
    phone: np.ndarray
    nino: np.ndarray
    shown_born: Days
    """As the record shows it: missing in some."""
    born: Days
    """As an officer writes it down."""


@dataclass(frozen=True)
class _Past:
    """What notes may come back to, one position per note: the other concept that last happened to the household
    before (`NOTHING`: none), the days since, and which concepts (columns) ever happened to it.
    """

    concept: np.ndarray
    days: np.ndarray
    ever: np.ndarray


def make_records(world: World, grammar: Grammar | None = None) -> dict[str, TableRecords]:
    """Notes in order of their day, one version each, with their labels; in other sentences than the county's own
    where a `grammar` is given.
    """
    grammar = grammar or read_grammar()
    happenings, past = _noted(world, grammar, world.stream("case_notes events"))
    generator, generator_of_addresses = world.stream("case_notes"), world.stream("case_notes addresses")
    count = len(happenings.day)
    rates = error_model()["systems"]["case_notes"]
    subjects, errors = _subjects(world, happenings, rates["duplicate_person"], generator)

    team = _teams(happenings.concept, grammar, generator)
    officers = 3 + len(world.course.households.type) // _HOUSEHOLDS_PER_OFFICER
    officer = generator.integers(0, officers, count)
    known_by, habits = _officers(world.seed, officers)
    initials = known_by[team, officer]
    note_type = pick(generator, _NOTE_TYPES, count)
    stay = world.residences.at(subjects.person, _looked_up(subjects.day, rates["old_address"], generator))
    home = world.residences.property[np.maximum(stay, 0)]
    nowhere = (stay < 0) | (generator_of_addresses.random(count) < rates["missing"]["address"])
    address = _typed_once(world, subjects, home, generator_of_addresses)
    composed = compose(
        grammar,
        _sentences(grammar, happenings, past, note_type, generator),
        _slots(world, grammar, subjects, home, initials, generator),
        subjects.day,
        generator,
        slip_rate=rates["typing_slip_per_word"],
        lower_case=habits[team, officer] < rates["officers_without_capitals"],
    )

    reference = references(count, 100_000_000, generator, prefix="CN", width=9)
    recorded = (subjects.day + np.floor(generator.exponential(0.7, count)).clip(0, 10)).astype(np.int32)
    columns = {
        "note/reference": reference,
        "note/date": as_text(subjects.day),
        "note/recorded_on": as_text(recorded),
        "note/type": np.array(list(_NOTE_TYPES))[note_type],
        "author/organisation": _ORGANISATIONS[team],
        "author/team": np.array(_TEAMS)[team],
        "author/initials": initials,
        "subject/reference": subjects.reference,
        "subject/given_name": subjects.forename,
        "subject/family_name": subjects.surname,
        "subject/date_of_birth": as_text(subjects.shown_born),
        "subject/address": np.where(nowhere, "", address.one_line()),
        "subject/postcode": np.where(nowhere, "", address.postcode),
        "note/text": composed.texts,
    }
    dropped = (subjects.day.astype(np.int64) + _KEPT_DAYS).astype(np.int32)
    notes = TableRecords(
        columns, np.arange(count), recorded, dropped, reference, subjects.person, subjects.household,
        labels=_keyed(composed, reference), errors=errors | np.where(nowhere, 0, address.applied).astype(np.uint32),
    )  # fmt: skip
    return {"notes": notes}


def _subjects(
    world: World, happenings: _Happenings, duplicates: float, generator: Stream
) -> tuple[_Subjects, np.ndarray]:
    """Return whom each note is about, and the errors that the record bears."""
    count, person, people = len(happenings.day), happenings.person, world.course.people
    day = happenings.day.astype(np.int32)
    order = np.lexsort((np.arange(count), person))
    who = person[order]
    new = np.append(True, who[1:] != who[:-1])[:count] | (generator.random(count) < duplicates)
    registration = np.empty(count, dtype=np.int64)
    registration[order] = np.cumsum(new) - 1
    entered = order[new]
    stay = world.residences.at(person[entered], day[entered])
    weights = world.weights(person[entered], day[entered], stay)
    nobody = np.full(len(entered), -1)
    times = np.bincount(registration, minlength=len(entered))
    entries = register(people, person[entered], weights, nobody, "case_notes", generator, times)
    reference = references(len(entered), 4_000_000, generator, prefix="S", width=8)
    born = entries.date_of_birth[registration]
    subjects = _Subjects(
        person=person,
        household=happenings.household,
        day=day,
        entry=registration,
        weight=weights[registration],
        reference=reference[registration],
        forename=entries.forename[registration],
        surname=entries.surname_on(registration, day),
        title=entries.title[registration],
        phone=entries.phone[registration],
        nino=entries.nino[registration],
        shown_born=born,
        born=np.where(born == MISSING, people.date_of_birth[person], born).astype(np.int32),
    )
    return subjects, entries.applied[registration]


def _typed_once(world: World, subjects: _Subjects, home: np.ndarray, generator: Stream) -> AddressText:
    """The address of each note's record: typed once for each entry and home, and repeated on its notes."""
    homes = len(world.properties.uprn)
    _, first, note = np.unique(
        subjects.entry.astype(np.int64) * homes + home, return_index=True, return_inverse=True
    )
    address = typed(world.properties, home[first], subjects.weight[first], generator)
    parts = (address.home, address.street, address.town, address.postcode, address.applied)
    return AddressText(*(part[note] for part in parts))


def _keyed(composed: Composed, reference: np.ndarray) -> pa.Table:
    """The labels with the note's reference in place of its position."""
    key = pa.array(reference, type=pa.string()).take(composed.spans["note"].combine_chunks())
    return composed.spans.drop_columns(["note"]).add_column(0, "key", key)


def _noted(world: World, grammar: Grammar, generator: Stream) -> tuple[_Happenings, _Past]:
    """Return what notes are written about, in order of day, and the past of each."""
    happenings = _happenings(world, grammar, generator)
    stays = world.residences
    lead = world.course.households.lead[happenings.household]
    partner = world.course.households.partner[happenings.household]
    either = np.where((partner >= 0) & (generator.random(len(lead)) < 0.3), partner, lead)
    person = np.where(happenings.person >= 0, happenings.person, either)
    stay = stays.at(person, happenings.day.astype(np.int32))
    found = np.maximum(stay, 0)
    here = (stay >= 0) & (stays.start[found] <= happenings.day) & (stays.end[found] >= happenings.day)
    here &= stays.household[found] == happenings.household
    recent = (happenings.day > world.first_day - _BEFORE_DAYS) & (happenings.day < world.last_day)
    happenings = _Happenings(happenings.household, person, happenings.day, happenings.concept)
    earlier, gap = _earlier(happenings)
    ever = _ever(happenings, len(world.course.households.type), len(grammar.concepts))
    rows = np.flatnonzero(here & recent)
    rows = rows[np.lexsort((happenings.concept[rows], person[rows], happenings.day[rows]))]
    noted = happenings.taken(rows)
    return noted, _Past(earlier[rows], gap[rows], ever[noted.household])


def _happenings(world: World, grammar: Grammar, generator: Stream) -> _Happenings:
    course = world.course
    number = {concept: place for place, concept in enumerate(grammar.concepts)}
    months = course.month_starts.astype(np.int64)
    made: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []

    def note(household: np.ndarray, day: np.ndarray, person: np.ndarray | None, events: str) -> None:
        for event in _EVENTS[events]:
            rows = np.flatnonzero(generator.random(len(household)) < event.share)
            whom = np.full(len(rows), -1) if person is None else person[rows]
            after = generator.integers(event.days[0], event.days[1] + 1, len(rows))
            made.append((household[rows], whom, day[rows] + after, np.full(len(rows), number[event.concept])))

    def first_day(month: np.ndarray) -> np.ndarray:
        return months[np.minimum(month, len(months) - 1)]

    arrears = course.arrears
    began = first_day(arrears.start)
    spell = world.spell_at(arrears.household, began)
    owned = world.properties.tenure[course.spells.property[np.maximum(spell, 0)]] == OWNER
    for events, rows in (("arrears, rented", ~owned), ("arrears, owned", owned)):
        note(arrears.household[rows], began[rows], None, events)
    long = ~owned & (arrears.end - arrears.start >= 4)
    note(arrears.household[long], began[long], None, "long arrears")
    note(course.job_loss.household, first_day(course.job_loss.start), None, "job loss")
    abused = course.abuse.household
    lead, partner = course.households.lead[abused], course.households.partner[abused]
    victim = np.where(course.people.female[lead] | (partner < 0), lead, partner)
    note(abused, first_day(course.abuse.start), victim, "abuse")
    note(course.mental_health.household, first_day(course.mental_health.start), None, "mental health")
    incidents = course.incidents
    note(incidents.household, incidents.day.astype(np.int64), incidents.person, "incident")
    note(course.in_need.household, course.in_need.start.astype(np.int64), None, "in need")
    note(course.parted[:, 0], course.parted[:, 1], None, "parting")
    cases = course.cases
    relief = cases.duty == RELIEF
    note(cases.household[relief], cases.applied[relief].astype(np.int64), cases.person[relief], "relief")

    reason = np.array([number[_CONCEPT_OF_ROUTE[route]] for route in range(len(ROUTES))])[cases.route]
    for earliest, latest, share in _CASE_DAYS:
        rows = np.flatnonzero(generator.random(len(reason)) < share)
        after = generator.integers(earliest, latest + 1, len(rows))
        made.append((cases.household[rows], cases.person[rows], cases.applied[rows] + after, reason[rows]))
    helped = course.interventions
    about = np.array([number[_CONCEPT_OF_HELP[kind]] for kind in range(len(INTERVENTION_KINDS))])[helped.kind]
    rows = np.flatnonzero(helped.accepted.astype(bool) & (generator.random(len(about)) < _HELP_NOTED))
    after = generator.integers(0, 40, len(rows))
    made.append((helped.household[rows], helped.person[rows], helped.offered[rows] + after, about[rows]))

    spells = course.spells
    begin = np.maximum(spells.start, world.first_day - _BEFORE_DAYS).astype(np.int64)
    years = np.maximum(np.minimum(spells.end, world.last_day) - begin, 0) / 365.25
    times = generator.poisson(_ROUTINE_A_YEAR * years)
    rows = np.repeat(np.arange(len(times)), times)
    day = begin[rows] + np.floor(generator.random(len(rows)) * years[rows] * 365.25).astype(np.int64)
    made.append((spells.household[rows], np.full(len(rows), -1), day, np.full(len(rows), NOTHING)))
    return _Happenings(*(np.concatenate(column).astype(np.int64) for column in zip(*made, strict=True)))


def _earlier(happenings: _Happenings) -> tuple[np.ndarray, np.ndarray]:
    """Return the other concept that last happened to the household before each, and the days since."""
    count = len(happenings.day)
    happened = np.flatnonzero(happenings.concept != NOTHING)
    true = happenings.taken(happened)
    order = happened[np.lexsort((true.concept, true.day, true.household))]
    key = happenings.household[order] * 2**20 + happenings.day[order]
    place = np.searchsorted(key, happenings.household * 2**20 + happenings.day, side="left") - 1
    concept, gap = np.full(count, NOTHING), np.zeros(count, dtype=np.int64)
    for _ in range(3):  # a few steps back, until it is another concept
        found = order[np.maximum(place, 0)] if count else order
        same = (place >= 0) & (happenings.household[found] == happenings.household)
        other = same & (happenings.concept[found] != happenings.concept) & (concept == NOTHING)
        concept = np.where(other, happenings.concept[found], concept)
        gap = np.where(other, happenings.day - happenings.day[found], gap)
        place = place - 1
    return concept, gap


class _Saying:
    """The sentences of notes as they are chosen."""

    def __init__(self, grammar: Grammar, generator: Stream) -> None:
        self.grammar, self.generator = grammar, generator
        self.chosen: list[tuple[np.ndarray, ...]] = []

    def plain(self, note: np.ndarray, place: np.ndarray, template: np.ndarray, *, optional: bool) -> None:
        """Say something that is about no concept."""
        nothing = np.full(len(note), NOTHING)
        self.chosen.append((note, place, np.full(len(note), optional), template, nothing, nothing))

    def main(self, note: np.ndarray, concept: np.ndarray) -> None:
        """Say what the note is about, in a sentence of the concept's own."""
        place, polarity = np.full(len(note), 1), np.full(len(note), AFFIRMED)
        own = self._own(concept, AFFIRMED)
        self.chosen.append((note, place, np.full(len(note), False), own, concept, polarity))

    def mention(
        self, note: np.ndarray, concept: np.ndarray, polarity: int, place: np.ndarray | None = None
    ) -> None:
        """Mention a concept; notes with concept -1 mention none."""
        kept = concept >= 0
        note, concept = note[kept], concept[kept]
        where = self.anywhere(len(note)) if place is None else place[kept]
        framed = self.generator.random(len(note)) < _FRAMED
        frames = self.grammar.draw(f"frames/{POLARITIES[polarity]}", len(note), self.generator)
        template = np.where(framed, frames, self._own(concept, polarity))
        truth = np.full(len(note), polarity)
        self.chosen.append((note, where, np.full(len(note), True), template, concept, truth))

    def anywhere(self, size: int) -> np.ndarray:
        """Places between the main sentences and the action."""
        return self.generator.integers(3, _ACTION, size)

    def sentences(self) -> Sentences:
        """All that was chosen; nobody writes the same sentence twice in a note."""
        columns = [np.concatenate(column) for column in zip(*self.chosen, strict=True)]
        note, template = columns[0], columns[3]
        first = np.unique(note * len(self.grammar.templates) + template, return_index=True)[1]
        return Sentences(*(column[np.sort(first)] for column in columns))

    def _own(self, concept: np.ndarray, polarity: int) -> np.ndarray:
        uses = [f"concepts/{each}/{POLARITIES[polarity]}" for each in self.grammar.concepts]
        return self.grammar.draw_by(uses, concept, self.generator)


def _sentences(
    grammar: Grammar,
    happenings: _Happenings,
    past: _Past,
    note_type: np.ndarray,
    generator: Stream,
) -> Sentences:
    """Choose what each note says."""
    count = len(happenings.day)
    everyone = np.arange(count)
    saying = _Saying(grammar, generator)
    opening = grammar.draw_by([f"openings/{kind}" for kind in _NOTE_TYPES], note_type, generator)
    saying.plain(everyone, np.full(count, 0), opening, optional=False)
    about = np.flatnonzero(happenings.concept != NOTHING)
    saying.main(about, happenings.concept[about])
    routine = np.flatnonzero(happenings.concept == NOTHING)
    said = grammar.draw("routine", len(routine), generator)
    saying.plain(routine, np.full(len(routine), 1), said, optional=False)

    twice = about[generator.random(len(about)) < _SAID_TWICE]
    saying.mention(twice, happenings.concept[twice], AFFIRMED, np.full(len(twice), 2))
    before = np.flatnonzero((past.concept != NOTHING) & (generator.random(count) < _MENTIONED_BEFORE))
    recent = past.days[before] <= _RECENT_DAYS
    saying.mention(before[recent], past.concept[before[recent]], AFFIRMED)
    saying.mention(before[~recent], past.concept[before[~recent]], HISTORICAL)

    asked = np.array([_ASKED_ABOUT.get(each, 1.0) for each in grammar.concepts])
    denials = pick(generator, {str(each): share for each, share in _DENIALS.items()}, count)
    for least in (1, 2):
        rows = np.flatnonzero(denials >= least)
        saying.mention(rows, _drawn(asked, past.ever[rows], generator), DENIED)
    rows = np.flatnonzero(generator.random(count) < _UNKNOWN_PAST)
    even = np.ones(len(grammar.concepts))
    saying.mention(rows, _drawn(even, past.ever[rows], generator), HISTORICAL)
    rows = np.flatnonzero(generator.random(count) < _OTHERS_TROUBLES)
    saying.mention(rows, generator.integers(0, len(grammar.concepts), len(rows)), THIRD_PARTY)

    times = pick(generator, {str(each): share for each, share in _CHATTER.items()}, count)
    chatty = np.repeat(everyone, times)
    chatter = grammar.draw("chatter", len(chatty), generator)
    saying.plain(chatty, saying.anywhere(len(chatty)), chatter, optional=True)
    action = grammar.draw("actions", count, generator)
    saying.plain(everyone, np.full(count, _ACTION), action, optional=False)
    signed = np.flatnonzero(generator.random(count) < _INITIALLED)
    ending = grammar.draw("endings", len(signed), generator)
    saying.plain(signed, np.full(len(signed), _ACTION + 1), ending, optional=False)
    return saying.sentences()


def _ever(happenings: _Happenings, households: int, concepts: int) -> np.ndarray:
    """Which concepts (columns) ever happen to each household (rows)."""
    ever = np.zeros((households, concepts), dtype=bool)
    rows = happenings.concept != NOTHING
    ever[happenings.household[rows], happenings.concept[rows]] = True
    return ever


def _drawn(weights: np.ndarray, ever: np.ndarray, generator: Stream) -> np.ndarray:
    """Draw for each row of `ever` a concept that never happens to the household; -1 where three draws find none."""
    shares = np.cumsum(weights / weights.sum())
    rows, found = np.arange(len(ever)), np.full(len(ever), -1)
    for _ in range(3):
        drawn = np.minimum(np.searchsorted(shares, generator.random(len(ever))), len(shares) - 1)
        found = np.where((found < 0) & ~ever[rows, drawn], drawn, found)
    return found


def _teams(concept: np.ndarray, grammar: Grammar, generator: Stream) -> np.ndarray:
    """The team that writes each note; routine notes come from tenancy and revenues teams."""
    writers = np.array([_WHO_WRITES[each] for each in grammar.concepts] + [(TENANCY, REVENUES)])
    return writers[concept, (generator.random(len(concept)) < _SECOND_TEAM).astype(np.int64)]


def _officers(seed: int, officers: int) -> tuple[np.ndarray, np.ndarray]:
    """Two or three initials of every officer (teams x officers), and a number from 0 to 1 for their habits."""
    generator = stream(seed, "case_notes officers")
    letters = np.array(list("ABCDEFGHJKLMNOPRSTW"))
    drawn = letters[generator.integers(0, len(letters), (3, len(_TEAMS), officers))]
    third = np.where(generator.random((len(_TEAMS), officers)) < 0.35, drawn[2], "")
    initials = np.strings.add(np.strings.add(drawn[0], drawn[1]), third)
    return initials, generator.random((len(_TEAMS), officers))


def _looked_up(day: Days, rate: float, generator: Stream) -> Days:
    """The day whose address the system shows: it has not heard of some moves."""
    lag = np.where(generator.random(len(day)) < rate, generator.integers(60, 500, len(day)), 0)
    return (day - lag).astype(np.int32)


def _slots(
    world: World,
    grammar: Grammar,
    subjects: _Subjects,
    home: np.ndarray,
    initials: np.ndarray,
    generator: Stream,
) -> dict[str, pa.Array]:
    """The words of every slot that belongs to a note."""
    people, count = world.course.people, len(home)
    female = people.female[subjects.person]
    other, is_partner = _others(world, subjects, generator)
    child = _children(world, subjects, generator)
    address = typed(world.properties, home, np.ones(count), generator)
    postcode = np.where(generator.random(count) < 0.5, address.postcode, "")
    relation = _relations(grammar, people.female[other], is_partner, generator)
    by_sex = pa.array(female.astype(np.int8))
    slots = {slot: pa.array(words).take(by_sex) for slot, words in _BY_SEX.items()}
    surname, forename = _text(subjects.surname), _text(subjects.forename)
    title = pc.if_else(pa.array(subjects.title != ""), _text(subjects.title), slots.pop("title"))
    other_forename = _text(people.forename[other])
    slots |= {
        "name": _words(forename, surname),
        "formal_name": _words(title, surname),
        "other_name": _words(other_forename, _text(people.surname[other])),
        "other_forename": other_forename,
        "child_forename": _text(people.forename[np.where(child >= 0, child, other)]),
        "relation": relation,
        "relation_start": pc.utf8_capitalize(relation),
        "date_of_birth": _text(as_text(subjects.born, "%d/%m/%Y")),
        "address": _words(_text(address.one_line()), _text(postcode), separator=", "),
        "initials": _text(initials),
        "phone": _grouped(subjects.phone, (5, 8), generator.random(count) < 0.4),
        "other_phone": _grouped(people.phone[other], (5,), generator.random(count) < 0.4),
        "nino": _grouped(subjects.nino, (2, 4, 6, 8), generator.random(count) < 0.3),
    }
    return slots


def _text(values: np.ndarray) -> pa.Array:
    return pa.array(values, type=pa.string())


def _words(*parts: pa.Array, separator: str = " ") -> pa.Array:
    """Join what is there."""
    filled = [pc.if_else(pc.equal(part, ""), None, part) for part in parts]
    return pc.binary_join_element_wise(*filled, separator, null_handling="skip")


def _grouped(values: np.ndarray, cuts: tuple[int, ...], where: np.ndarray) -> pa.Array:
    """Write some numbers in groups, parted at `cuts`."""
    texts = _text(values)
    groups = [
        pc.utf8_slice_codeunits(texts, start, stop)
        for start, stop in zip((0, *cuts), (*cuts, None), strict=True)
    ]
    return pc.if_else(pa.array(where), _words(*groups), texts)


def _others(world: World, subjects: _Subjects, generator: Stream) -> tuple[np.ndarray, np.ndarray]:
    """An adult whom each note may name: the partner at home, or anybody; and whether it is the partner."""
    course, stays = world.course, world.residences
    person, household = subjects.person, subjects.household
    lead, partner = course.households.lead[household], course.households.partner[household]
    at_home = np.where(person == lead, partner, lead)
    adults = np.flatnonzero(stays.role != CHILD)
    anybody = stays.person[adults[generator.integers(0, len(adults), len(person))]]
    is_partner = (partner >= 0) & (at_home != person) & (generator.random(len(person)) < 0.4)
    return np.where(is_partner, at_home, anybody), is_partner


def _children(world: World, subjects: _Subjects, generator: Stream) -> np.ndarray:
    """A child of each household, born by the note's day; -1 if the one that is drawn is not, or if there is none."""
    people, household = world.course.people, subjects.household
    children = np.flatnonzero(people.role == CHILD)
    if not len(children):
        return np.full(len(household), -1)
    children = children[np.argsort(people.household[children], kind="stable")]
    owner = people.household[children]
    first = np.searchsorted(owner, household, side="left")
    count = np.searchsorted(owner, household, side="right") - first
    place = first + np.floor(generator.random(len(household)) * count).astype(np.int64)
    child = children[np.minimum(place, len(children) - 1)]
    return np.where((count > 0) & (people.date_of_birth[child] <= subjects.day), child, -1)


def _relations(grammar: Grammar, female: np.ndarray, is_partner: np.ndarray, generator: Stream) -> pa.Array:
    """What the other is to the subject."""
    woman, man = (
        pool.take(pa.array(generator.integers(0, len(pool), len(female))))
        for pool in (grammar.words[name] for name in _RELATIONS)
    )
    return pc.if_else(pa.array(is_partner), "partner", pc.if_else(pa.array(female), woman, man))
