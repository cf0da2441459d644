"""Register of electors: an entry per elector and address, published on the first of a month.

Published (feeds.md): 42 % of private renters are absent; dates of birth are held for attainers alone. Assumed: the
other tenures' shares (`absent` in the error model, so that about 86 % of adults with a vote are there). Three in
five who register after a move do so within three months, the others at the canvass, published on 1 December;
from September to November nothing else is published. Entries of people who have left go when they register
elsewhere or are reported (35 %, within four months), at the next canvass (50 %) or at the one after. 16- and
17-year-olds register at two thirds of the rate of adults, and the others when they are 18.
"""

from __future__ import annotations

import numpy as np

from synthetic.addresses import plain
from synthetic.dates import MISSING, OPEN, Days, as_text, from_parts, parts
from synthetic.errors import error_model, register
from synthetic.feeds.deliveries import MONTH_START, TableRecords
from synthetic.feeds.versions import versions
from synthetic.identifiers import references
from synthetic.names import read_names
from synthetic.world import World

RHYTHM = MONTH_START
ALWAYS_FULL = False

_ADULT_DAYS, _ATTAINER_DAYS = 6575, 5844
_STALE_DAYS = 600
"""Entries of stays that ended longer before the first delivery have gone by then."""
WITHOUT_A_VOTE = {
    "british": 0.004, "polish": 0.10, "romanian": 0.35, "czech_slovak": 0.30, "baltic": 0.30, "east_slavic": 0.50,
    "indian": 0.12, "sikh": 0.08, "south_indian": 0.20, "pakistani_bangladeshi": 0.10, "north_african": 0.40,
    "turkish": 0.45, "east_african": 0.30, "ghanaian": 0.12, "nigerian": 0.15, "iberian": 0.15, "italian": 0.40,
    "greek": 0.20, "chinese": 0.50, "north_sea": 0.30,
}  # fmt: skip
"""Share of people of each name origin whose nationality gives no vote (assumed, about 5 % of adults)."""
_PROMPT_SHARE, _SECOND_CANVASS, _ATTAINER_SHARE, _SHARED_FATE = 0.6, 0.15, 0.67, 0.6
_DATES = "%d/%m/%Y"
_ROUNDS = 5
"""Rounds in which the chances to register settle."""


def make_records(world: World) -> dict[str, TableRecords]:
    """Electors: one record per entry; a second version when it is removed, and when an attainer turns 18."""
    generator = world.stream("electoral_register")
    stays, properties, people = world.residences, world.properties, world.course.people
    rates = error_model()["systems"]["electoral_register"]
    stay, registered, removed = _entries(world, generator)
    twice = np.flatnonzero(generator.random(len(stay)) < rates["duplicate_person"])
    again = registered[twice] + generator.integers(1, 13, len(twice)) * 30
    stay = np.concatenate([stay, stay[twice]])
    registered = _published(np.concatenate([registered, again]))
    removed = np.concatenate([removed, removed[twice]])
    kept = registered < removed
    stay, registered, removed = stay[kept], registered[kept], removed[kept]
    order = np.lexsort((registered, stays.person[stay], stays.property[stay]))
    stay, registered, removed = stay[order], registered[order], removed[order]

    rows, person, home = len(stay), stays.person[stay], stays.property[stay]
    weights = world.weights(person, registered.astype(np.int32), stay)
    entries = register(people, person, weights, np.full(rows, -1), "electoral_register", generator)
    born = people.date_of_birth[person].astype(np.int64)
    attainer = registered < born + _ADULT_DAYS
    came_of_age = np.where(attainer, _published(born + _ADULT_DAYS), OPEN)
    surname_day = np.where(entries.surname_known_on == MISSING, OPEN, _published(entries.surname_known_on))
    came_of_age, surname_day = (
        np.where(change < removed, change, OPEN) for change in (came_of_age, surname_day)
    )
    record, day = versions(registered, removed, came_of_age, surname_day)
    is_removed = day >= removed[record]
    shows_birth = attainer[record] & (day < came_of_age[record])
    address = plain(properties, home)
    lines = _lines(address.home, address.street, address.town)
    uprn = np.where(generator.random(rows) < rates["missing"]["uprn"], "", properties.uprn[home])
    registered_text = as_text(registered.astype(np.int32), _DATES)[record]
    registered_text[generator.random(len(record)) < rates["broken_rows"]] = "31/02/2023"
    elector_ref = references(rows, 10_000_000, generator, prefix="ER", width=9)
    columns = {
        "Electoral Register reference number": elector_ref[record],
        "UPRN": uprn[record],
        "Title": entries.title[record],
        "Surname": entries.surname_on(record, day),
        "Forename": entries.forename[record],
        "Middle name": entries.middle_name[record],
        "Address 1": lines[0][record],
        "Address 2": lines[1][record],
        "Address 3": lines[2][record],
        "Address 4": np.full(len(record), "Kent"),
        "Postcode": address.postcode[record],
        "Date of birth": np.where(shows_birth, as_text(entries.date_of_birth, _DATES)[record], ""),
        "Date registered": registered_text,
        "Date removed": np.where(is_removed, as_text(removed.astype(np.int32), _DATES)[record], ""),
    }
    return {
        "electors": TableRecords(
            columns,
            record,
            day,
            removed.astype(np.int32)[record],
            elector_ref,
            person,
            stays.household[stay],
            errors=entries.applied,
        )
    }


def _entries(world: World, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return stay, day of publication, day of removal (`OPEN`: stays on) of every entry."""
    stays, people = world.residences, world.course.people
    adult_from = people.date_of_birth[stays.person].astype(np.int64) + _ADULT_DAYS
    stay = np.flatnonzero(
        (stays.end > world.first_day - _STALE_DAYS)
        & (stays.start < world.last_day)
        & (np.minimum(stays.end, world.last_day) > adult_from - _ADULT_DAYS + _ATTAINER_DAYS)
    )
    person, adult_from = stays.person[stay], adult_from[stay]
    rows = len(stay)
    as_attainer = stays.start[stay] < adult_from
    as_attainer &= generator.random(rows) < _ATTAINER_SHARE
    entitled = np.where(as_attainer, adult_from - _ADULT_DAYS + _ATTAINER_DAYS, adult_from)
    ready = np.maximum(stays.start[stay].astype(np.int64), entitled)
    prompt = generator.random(rows) < _PROMPT_SHARE
    canvass = _next_canvass(ready) + np.where(generator.random(rows) < _SECOND_CANVASS, 365, 0)
    registered = _published(np.where(prompt, ready + generator.integers(10, 90, rows), canvass))

    end = stays.end[stay].astype(np.int64)
    died = people.died_on[person] == end
    fate = generator.random(rows)
    known_end = np.minimum(end, OPEN - 800)
    next_canvass = _next_canvass(known_end)
    removed = np.select(
        [died, fate < 0.35, fate < 0.85],
        [
            _published(known_end + generator.integers(15, 60, rows)),
            _published(known_end + generator.integers(20, 120, rows)),
            next_canvass,
        ],
        next_canvass + 365,
    )
    never = died & (generator.random(rows) < error_model()["deceased_not_closed"])
    removed = np.where((end == OPEN) | never, OPEN, np.maximum(removed, registered + 1))

    # Most homes answer together.
    of_home = generator.random(len(world.course.spells.start))[stays.spell[stay]]
    shared = generator.random(rows) < _SHARED_FATE
    draw = np.where(shared, of_home, generator.random(rows))
    votes = ~(_chances(people.origin) > generator.random(len(people)))[person]
    # Who moves before the publication is seldom taken back out in time.
    votes &= registered <= known_end + 31
    registers = votes & (
        draw < _registering_chances(world, stay, adult_from, registered, removed, votes, draw)
    )
    kept = registers & (removed > world.first_day)
    return stay[kept], registered[kept], _published(removed)[kept]


def _registering_chances(
    world: World, stay: np.ndarray, adult_from: np.ndarray, registered: np.ndarray, removed: np.ndarray,
    votes: np.ndarray, draw: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return the chance of each stay that somebody with a vote registers there, one by tenure.

    So that on a day of the window the share of the tenure's adults with a vote who are on the register, there or
    still at the home before, is the error model's.
    """
    stays = world.residences
    absent = error_model()["systems"]["electoral_register"]["absent"]
    goal = 1 - np.array([absent["owner"], absent["private"], absent["social"]])
    tenure = world.properties.tenure[stays.property[stay]]
    first = np.maximum(np.maximum(stays.start[stay], adult_from), world.first_day)
    last = np.minimum(stays.end[stay], world.last_day).astype(np.int64)
    lived = np.bincount(tenure, np.where(votes, np.maximum(last - first, 0), 0), 3)
    before = np.full(len(stay), -1)
    same = np.flatnonzero(stays.person[stay][1:] == stays.person[stay][:-1])
    before[same + 1] = same
    chance = goal
    for _ in range(_ROUNDS):
        registers = votes & (draw < chance[tenure])
        until = np.where(registers, np.minimum(registered, last), last)
        here = np.where(registers, last - np.maximum(first, registered), 0)
        there = np.where((before >= 0) & registers[before], np.minimum(removed[before], until) - first, 0)
        on_it = np.where(votes, np.maximum(here, 0) + np.maximum(there, 0), 0)
        share = np.bincount(tenure, on_it, 3) / np.maximum(lived, 1)
        chance = np.minimum(chance * goal / np.maximum(share, 0.1), 1.0)
    return chance[tenure]


def _published(day: np.ndarray) -> np.ndarray:
    """The first of the next month; from September to November, 1 December. `OPEN` stays."""
    known = np.minimum(day, OPEN - 800).astype(np.int32)
    year, month, _ = parts(known)
    month = np.where(known == _first(year, month), month, month + 1)
    month = np.where((month >= 10) & (month <= 12), 12, month)
    published = _first(year + (month > 12), np.where(month > 12, 1, month))
    return np.where(day >= OPEN - 800, OPEN, published).astype(np.int64)


def _next_canvass(day: np.ndarray) -> np.ndarray:
    """The first 1 December that comes at least 60 days after `day`: the canvass ends with September."""
    year, _, _ = parts((day + 60).astype(np.int32))
    this_year = _first(year, np.full(len(day), 12))
    return np.where(day + 60 <= this_year, this_year, _first(year + 1, np.full(len(day), 12))).astype(
        np.int64
    )


def _first(year: np.ndarray, month: np.ndarray) -> Days:
    return from_parts(year, month, np.ones_like(month))


def _chances(origin: np.ndarray) -> np.ndarray:
    """Chance that each person has no vote here."""
    return np.array([WITHOUT_A_VOTE.get(name, 0.2) for name in read_names().origins])[origin]


def _lines(
    home: np.ndarray, street: np.ndarray, town: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three address lines without a gap."""
    has_home = home != ""
    return (
        np.where(has_home, home, street),
        np.where(has_home, street, town),
        np.where(has_home, town, ""),
    )
