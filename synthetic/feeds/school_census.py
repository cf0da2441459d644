"""The school census as COLLECT exports it: pupils of state schools, the term's absence, addresses, exclusions.

Three times a year and always full: each file holds the pupils on roll on census day and the term before it.
Published (feeds.md): persistent absence (a tenth of the sessions or more) in about 20 % of pupils, free meals
in about 25 %. Assumed: 93 % of children of 4 to 16 are in state schools, fewer in homes that their families own
and are not poor; a pupil has one place on a roll (2 % have two); sessions in a term; shares of absence codes;
3 % of pupils are suspended in a year, more among those who stay away or have special needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from synthetic.addresses import typed
from synthetic.dates import OPEN, Days, add_months, as_text, day_number, day_of, from_parts, parts
from synthetic.errors import bit, bits, error_model, register
from synthetic.feeds.deliveries import TERMLY, TableRecords
from synthetic.identifiers import references
from synthetic.population import ETHNICITIES
from synthetic.properties import OWNER
from synthetic.streams import pick
from synthetic.world import World

RHYTHM = TERMLY
ALWAYS_FULL = True

PERSISTENT_SHARE = 0.10
"""A pupil who misses this share of the sessions is persistently absent (DfE)."""
SPELL_SHARE = 0.4
"""A spell of absence that covers this share of a term makes the pupil persistently absent in it (assumed)."""
_INDEPENDENT = 0.02, 0.10  # of pupils; of those in homes that their families own and who are not poor
_YEAR_GROUPS = np.array(["R", *(str(group) for group in range(1, 12))])
_SECONDARY = 7
_CODES = np.array(list("IMCEGOUN"))
_PATTERNS = np.array(["IMO", "IGU", "IOC", "GIO", "OIN", "OUI", "IEO", "IMG"])
"""The reasons of a pupil's absence, the main one first."""
_USUAL = {
    "IMO": 0.34,
    "IGU": 0.17,
    "IOC": 0.14,
    "GIO": 0.10,
    "OIN": 0.06,
    "OUI": 0.05,
    "IEO": 0.01,
    "IMG": 0.13,
}
_PERSISTENT = {
    "IMO": 0.26, "IGU": 0.06, "IOC": 0.16, "GIO": 0.04, "OIN": 0.19, "OUI": 0.20, "IEO": 0.05, "IMG": 0.04,
}  # fmt: skip
_EXCLUSION_REASONS = {
    "DB": 0.46, "PP": 0.16, "VA": 0.15, "PA": 0.06, "VP": 0.04, "DM": 0.03, "DS": 0.03, "BU": 0.02, "TH": 0.01,
    "OT": 0.04,
}  # fmt: skip


@dataclass(frozen=True)
class Census:
    """One census: its day, and the term before it with its sessions (half days)."""

    day: int
    name: str
    term_start: int
    term_end: int
    sessions: int


@dataclass(frozen=True)
class _Roll:
    """Pupils on roll, one position per entry and census, in that order. `entry` is a place on a school's roll."""

    entry: np.ndarray
    census: np.ndarray
    stay: np.ndarray
    joined: Days
    group: np.ndarray


def censuses(world: World) -> list[Census]:
    """The censuses of the county's months: third Thursday of January and May, first of October."""
    first, end = day_of(world.first_day), day_of(world.last_day)
    months = [
        add_months(first, number) for number in range((end.year - first.year) * 12 + end.month - first.month)
    ]
    made = []
    for month in months:
        year = month.year
        match month.month:
            case 1:
                term = ("SPR", 3, date(year - 1, 9, 3), date(year - 1, 12, 19), 140)
            case 5:
                term = ("SUM", 3, date(year, 1, 6), date(year, 3, 28), 114)
            case 10:
                term = ("AUT", 1, date(year, 4, 14), date(year, 7, 22), 126)
            case _:
                continue
        name, thursday, start, stop, sessions = term
        day = day_number(month) + (3 - month.weekday()) % 7 + 7 * (thursday - 1)
        made.append(Census(day, name, day_number(start), day_number(stop), sessions))
    return made


def make_records(world: World) -> dict[str, TableRecords]:
    """Pupils, absences and addresses per census, and the exclusions of the year before each."""
    generator = world.stream("school_census")
    terms = censuses(world)
    who, starts = _pupils(world, generator)
    roll = _roll(world, who, starts, terms, generator)
    reference = references(len(who), 10_000_000, generator, width=9)
    first_census = np.full(len(who), len(terms))
    np.minimum.at(first_census, roll.entry, roll.census)
    day = np.array([term.day for term in terms] + [world.last_day])[first_census].astype(np.int32)
    household = world.residences.household[np.maximum(world.residences.at(who, day), 0)]
    absent = _persistent(world, who, roll, terms)
    homes = _Homes.of(world, who, roll, terms)
    return {
        "pupilonroll": _on_roll(world, who, day, reference, household, roll, homes, terms),
        "termlysessiondetails": _absences(world, reference, household, roll, absent, terms),
        "addresses": _addresses(reference, household, roll, homes, terms),
        "exclusions": _exclusions(world, who, reference, household, roll, absent, terms),
    }


def _pupils(world: World, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the person behind each place on a roll, and the year in which each starts school.

    A child starts in the September after the fourth birthday, and is on a roll for twelve years. Children of
    independent schools are left out.
    """
    people, stays = world.course.people, world.residences
    year, month, _ = parts(people.date_of_birth)
    starts = year + 4 + (month > 8)
    first, last = day_of(world.first_day).year, day_of(world.last_day).year
    children = np.unique(stays.person)
    children = children[(starts[children] > first - 13) & (starts[children] <= last)]
    home = stays.property[stays.at(children, np.full(len(children), world.last_day))]
    low_income = world.course.households.low_income[people.household[children]]
    settled = (world.properties.tenure[home] == OWNER) & ~low_income
    chance = generator.random(len(children))
    children = children[chance >= np.where(settled, _INDEPENDENT[1], _INDEPENDENT[0])]
    twice = children[
        generator.random(len(children)) < error_model()["systems"]["school_census"]["duplicate_person"]
    ]
    who = np.concatenate([children, twice])
    return who, starts[who]


def _roll(
    world: World, who: np.ndarray, starts: np.ndarray, terms: list[Census], generator: np.random.Generator
) -> _Roll:
    """Who is on a roll at each census: of school age, living here, and arrived some weeks before."""
    stays = world.residences
    settling = generator.integers(5, 40, len(who))
    first_stay = np.searchsorted(stays.person, who, side="left")
    arrived = stays.start[first_stay] + settling
    columns: list[tuple[np.ndarray, ...]] = []
    for number, term in enumerate(terms):
        census = day_of(term.day)
        group = census.year - (census.month < 9) - starts
        stay = stays.at(who, np.full(len(who), term.day, dtype=np.int32))
        phase = starts + np.where(group >= _SECONDARY, _SECONDARY, 0)
        joined = from_parts(phase, np.full(len(who), 9), np.full(len(who), 3))
        joined = np.maximum(joined, np.where(arrived > joined, arrived, joined)).astype(np.int32)
        here = (stays.start[stay] <= term.day) & (stays.end[stay] >= term.day)
        rows = np.flatnonzero((group >= 0) & (group < len(_YEAR_GROUPS)) & here & (joined <= term.day))
        columns.append((rows, np.full(len(rows), number), stay[rows], joined[rows], group[rows]))
    if not columns:
        nobody = np.zeros(0, dtype=np.int64)
        return _Roll(nobody, nobody, nobody, nobody.astype(np.int32), nobody)
    entry, census_number, stay, joined, group = (
        np.concatenate(column) for column in zip(*columns, strict=True)
    )
    order = np.lexsort((census_number, entry))
    return _Roll(entry[order], census_number[order], stay[order], joined[order], group[order])


def _persistent(world: World, who: np.ndarray, roll: _Roll, terms: list[Census]) -> np.ndarray:
    """True where the pupil's spell of absence covers enough of the term before the census."""
    spells = world.course.absence
    absent = np.zeros(len(roll.entry), dtype=bool)
    for number, term in enumerate(terms):
        overlap = np.minimum(spells.end.astype(np.int64), term.term_end) - np.maximum(
            spells.start, term.term_start
        )
        away = spells.person[overlap >= SPELL_SHARE * (term.term_end - term.term_start)]
        rows = np.flatnonzero(roll.census == number)
        absent[rows] = np.isin(who[roll.entry[rows]], away)
    return absent


def _possible(roll: _Roll, terms: list[Census]) -> np.ndarray:
    """Sessions possible in the term before: all, or those since the pupil joined."""
    start, end, sessions = (
        np.array([getattr(term, name) for term in terms], dtype=np.int64)[roll.census]
        for name in ("term_start", "term_end", "sessions")
    )
    share = np.clip((end - np.maximum(roll.joined, start) + 1) / (end - start + 1), 0, 1)
    return np.round(sessions * share).astype(np.int64)


@dataclass(frozen=True)
class _Homes:
    """The addresses that schools hold: texts, typed once for each place on a roll and home, and the position of
    each pupil's (in order of the roll). `errors` has one position per entry: those of its first address.
    """

    line: np.ndarray
    town: np.ndarray
    postcode: np.ndarray
    place: np.ndarray
    errors: np.ndarray

    @classmethod
    def of(cls, world: World, who: np.ndarray, roll: _Roll, terms: list[Census]) -> _Homes:
        """Schools hear of a move within weeks, and of some a year late."""
        stays = world.residences
        generator = world.stream("school_census addresses")
        old = generator.random(len(who)) < error_model()["systems"]["school_census"]["old_address"]
        lag = np.where(old, generator.integers(100, 500, len(who)), generator.integers(0, 40, len(who)))
        day = np.array([term.day for term in terms], dtype=np.int64)[roll.census] - lag[roll.entry]
        shown = stays.at(who[roll.entry], day.astype(np.int32))
        pairs, place = np.unique(roll.entry * max(len(stays), 1) + shown, return_inverse=True)
        entry, stay = pairs // max(len(stays), 1), pairs % max(len(stays), 1)
        weights = world.weights(who[entry], stays.start[stay], stay)
        address = typed(world.properties, stays.property[stay], weights, generator)
        between = np.where((address.home == "") | (address.street == ""), "", ", ")
        line = np.strings.add(np.strings.add(address.home, between), address.street)
        errors = np.zeros(len(who), dtype=np.uint32)
        entries, first = np.unique(roll.entry, return_index=True)
        moved = stays.property[shown[first]] != stays.property[roll.stay[first]]
        errors[entries] = address.applied[place[first]] | bits(old_address=moved & old[entries])
        return cls(line, address.town, address.postcode, place, errors)


def _on_roll(
    world: World, who: np.ndarray, day: Days, reference: np.ndarray, household: np.ndarray, roll: _Roll,
    homes: _Homes, terms: list[Census],
) -> TableRecords:  # fmt: skip
    people, properties = world.course.people, world.properties
    generator = world.stream("school_census entries")
    rates = error_model()["systems"]["school_census"]
    count = len(who)
    weights = world.weights(who, day, world.residences.at(who, day))
    on_roll = np.bincount(roll.entry, minlength=count) > 0
    entries = register(people, who, weights, np.full(count, -1), "school_census", generator, on_roll)
    upn = np.where(generator.random(count) < rates["missing"]["upn"], "", people.upn[who])
    ethnicity = np.array(ETHNICITIES)[people.ethnicity[who]]
    ethnicity = np.where(generator.random(count) < 0.02, "NOBT", ethnicity)
    ethnicity = np.where(generator.random(count) < 0.01, "REFU", ethnicity)
    need = generator.random(count)
    plan = need < np.where(people.disabled[who], 0.28, 0.03)
    support = need < np.where(people.disabled[who], 0.70, 0.15)
    special = np.select([plan, support], ["E", "K"], "N")
    meals = world.course.households.free_school_meals[world.residences.household[roll.stay]]
    place = _ward_numbers(properties.ward_code[world.residences.property[roll.stay]])
    estab = np.where(roll.group < _SECONDARY, 2000 + place % 1500, 4000 + place // 3 % 900)
    entry = pa.array(roll.entry)
    columns = {
        "pupilonrolltableid": _text(reference).take(entry),
        "upn": _text(upn).take(entry),
        "surname": _text(entries.surname).take(entry),
        "forename": _text(entries.forename).take(entry),
        "dob": _text(as_text(entries.date_of_birth)).take(entry),
        "postcode": _text(homes.postcode).take(pa.array(homes.place)),
        "sex": _text(np.where(people.female[who], "F", "M")).take(entry),
        "ethnicity": _text(ethnicity).take(entry),
        "senprovision": _text(special).take(entry),
        "fsmeligible": _coded(meals, ["false", "true"]),
        "ncyearactual": _coded(roll.group, _YEAR_GROUPS.tolist()),
        "estab": estab,
        "entrydate": as_text(roll.joined),
        "term": _coded(roll.census, [term.name for term in terms]),
        "referencedate": _coded(roll.census, [str(day_of(term.day)) for term in terms]),
        "termlysessionspossible": _possible(roll, terms),
    }
    known, dropped = _in_census(roll, terms)
    # Of the address, this table shows the postcode alone.
    shown = bit("postcode_slip") | bit("old_address")
    errors = entries.applied | (homes.errors & shown)
    return TableRecords(columns, roll.entry, known, dropped, reference, who, household, errors=errors)


def _addresses(
    reference: np.ndarray, household: np.ndarray, roll: _Roll, homes: _Homes, terms: list[Census]
) -> TableRecords:
    """The address that the school holds, as of each census."""
    place = pa.array(homes.place)
    columns = {
        "pupilonrolltableid": _text(reference).take(pa.array(roll.entry)),
        "addressline1": _text(homes.line).take(place),
        "posttown": _text(homes.town).take(place),
        "postcode": _text(homes.postcode).take(place),
        "referencedate": _coded(roll.census, [str(day_of(term.day)) for term in terms]),
    }
    known, dropped = _in_census(roll, terms)
    return TableRecords(columns, roll.entry, known, dropped, reference, None, household, errors=homes.errors)


def _absences(
    world: World, reference: np.ndarray, household: np.ndarray, roll: _Roll, persistent: np.ndarray,
    terms: list[Census],
) -> TableRecords:  # fmt: skip
    """Up to three reasons for each pupil and term; what is left out has no sessions."""
    generator = world.stream("school_census absences")
    possible = _possible(roll, terms)
    count = len(possible)
    rate = np.minimum(generator.gamma(1.6, 0.027, count), PERSISTENT_SHARE - 0.002)
    often = np.minimum(PERSISTENT_SHARE + generator.exponential(0.09, count), 0.9)
    missed = np.where(persistent, np.ceil(often * possible), np.floor(rate * possible)).astype(np.int64)
    pattern = np.where(persistent, pick(generator, _PERSISTENT, count), pick(generator, _USUAL, count))
    first = np.ceil(missed * generator.uniform(0.5, 0.85, count)).astype(np.int64)
    second = np.ceil((missed - first) * generator.uniform(0.4, 1.0, count)).astype(np.int64)
    sessions = np.stack([first, second, missed - first - second], axis=1)
    row, slot = np.nonzero(sessions)
    codes = np.array(
        [[int(np.flatnonzero(code == _CODES)[0]) for code in text] for text in _PATTERNS.tolist()]
    )
    total = len(row)
    number = references(total, 100_000_000, generator, width=10)
    columns = {
        "termlysessiondetailsonrolltableid": number,
        "pupilonrolltableid": _text(reference).take(pa.array(roll.entry[row])),
        "attendancereason": _coded(codes[pattern[row], slot], _CODES.tolist()),
        "sessions": sessions[row, slot],
        "termstart": _coded(roll.census[row], [str(day_of(term.term_start)) for term in terms]),
        "termend": _coded(roll.census[row], [str(day_of(term.term_end)) for term in terms]),
    }
    known, dropped = _in_census(roll, terms)
    return TableRecords(
        columns, np.arange(total), known[row], dropped[row], number, None, household[roll.entry[row]]
    )


def _exclusions(
    world: World, who: np.ndarray, reference: np.ndarray, household: np.ndarray, roll: _Roll,
    persistent: np.ndarray, terms: list[Census],
) -> TableRecords:  # fmt: skip
    """Suspensions in the terms that the censuses speak of, and a few permanent exclusions."""
    generator = world.stream("school_census exclusions")
    start, end, days = (
        np.array([getattr(term, name) for term in terms], dtype=np.int64)[roll.census]
        for name in ("term_start", "term_end", "day")
    )
    rate = np.where(roll.group >= _SECONDARY, 0.011, 0.0022)
    rate *= np.where(persistent, 3.0, 1.0) * np.where(world.course.people.disabled[who[roll.entry]], 2.0, 1.0)
    row = np.flatnonzero((generator.random(len(rate)) < rate) & (roll.joined < end))
    begin = np.maximum(start[row], roll.joined[row])
    day = begin + np.floor(generator.random(len(row)) * (end[row] - begin + 1)).astype(np.int64)
    # No school at the weekend: what falls there is of the Friday before, or of the first day.
    day = np.maximum(day - np.maximum((day + 3) % 7 - 4, 0), begin)
    permanent = generator.random(len(row)) < 0.012
    sessions = np.minimum(2 * generator.geometric(0.45, len(row)), 90)
    number = references(len(row), 500_000, generator, width=9)
    reasons = np.array(list(_EXCLUSION_REASONS))[pick(generator, _EXCLUSION_REASONS, len(row))]
    columns = {
        "pupilexclusionstableid": number,
        "pupilonrolltableid": reference[roll.entry[row]],
        "exclusioncategory": np.where(permanent, "PERM", "SUSP"),
        "exclusionreason": reasons,
        "exclusionstartdate": as_text(day.astype(np.int32)),
        "sessions": np.where(permanent, "", sessions.astype("U2")),
    }
    known = days[row].astype(np.int32)
    dropped = np.minimum(days[row] + 360, OPEN).astype(np.int32)
    return TableRecords(
        columns, np.arange(len(row)), known, dropped, number, None, household[roll.entry[row]]
    )


def _in_census(roll: _Roll, terms: list[Census]) -> tuple[Days, Days]:
    """A version stands in its own census alone."""
    days = np.array([term.day for term in terms] + [OPEN], dtype=np.int32)
    return days[roll.census], days[roll.census + 1]


def _ward_numbers(codes: np.ndarray) -> np.ndarray:
    """The last four digits of ward codes, so that a ward's children share a school."""
    letters = np.ascontiguousarray(codes).view(np.uint32).reshape(len(codes), -1)
    return (letters[:, -4:].astype(np.int64) - ord("0")) @ np.array([1000, 100, 10, 1])


def _text(values: np.ndarray) -> pa.Array:
    return pa.array(values, type=pa.string())


def _coded(positions: np.ndarray, texts: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(
        pa.array(positions.astype(np.int32)), pa.array(texts, type=pa.string())
    )
