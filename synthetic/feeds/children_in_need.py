"""Children in need: the census XML of the Department for Education, and names and addresses in a file beside it.

Always a full file of the past two years. Published (feeds.md): about 3 % of children are in need; UPN missing
in 10 %. Assumed: a referral is in the file within ten days, an assessment is signed off within nine weeks; one
referral in thirteen leads to no further action; shares of referral sources, factors, categories of abuse; the
system hears of 85 % of the moves of children it works with, 5-120 days late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.contracts import FeedContract
from synthetic.addresses import typed
from synthetic.dates import MISSING, OPEN, Days, as_text, day_of, from_parts, parts
from synthetic.errors import Registrations, bits, error_model, register
from synthetic.feeds.deliveries import (
    MONTH_END,
    TRACE_DAYS,
    Delivery,
    TableRecords,
    Traces,
    traces,
)
from synthetic.feeds.versions import versions
from synthetic.identifiers import references
from synthetic.population import ETHNICITIES
from synthetic.streams import pick
from synthetic.world import World

RHYTHM = MONTH_END
ALWAYS_FULL = True

_KEPT_DAYS = 2 * 365
_NO_NEED = -1
_NO_FURTHER_ACTION = 0.08  # of referrals; assumed
_SOURCES = {
    "6": 0.29, "2A": 0.20, "3A": 0.02, "3B": 0.03, "3C": 0.02, "3D": 0.03, "3E": 0.05, "3F": 0.03, "1A": 0.05,
    "1B": 0.02, "1C": 0.01, "1D": 0.01, "2B": 0.02, "4": 0.02, "5A": 0.06, "5B": 0.04, "5C": 0.02, "5D": 0.03,
    "7": 0.03, "8": 0.02, "9": 0.02, "10": 0.01,
}  # fmt: skip
_CLOSURES = {"RC7": 0.56, "RC8": 0.24, "RC9": 0.10, "RC5": 0.06, "RC3": 0.02, "RC4": 0.01, "RC6": 0.01}
_CATEGORIES = {"NEG": 0.49, "EMO": 0.37, "PHY": 0.08, "SAB": 0.04, "MUL": 0.02}
_DISABILITIES = {
    "AUT": 0.34, "LD": 0.20, "BEH": 0.16, "COMM": 0.10, "MOB": 0.08, "DDA": 0.05, "HEAR": 0.03, "VIS": 0.02,
    "PC": 0.02,
}  # fmt: skip
# Factors that an assessment finds, by primary need N1 to N9.
_FACTORS = np.array(["3B;17A", "6A", "4B", "4B;3B", "3B;2B", "14A;2A", "20", "9A", "20"])
_DISABLED_NEED = 1


@dataclass(frozen=True)
class _Referrals:
    """Episodes in the file, ordered by entry and day. An *entry* is a child id of the case system.

    `need` is `_NO_NEED` where the referral led to no further action; `closed` is `OPEN` while the case is open.
    """

    entry: np.ndarray
    referred: Days
    closed: Days
    need: np.ndarray
    plan: np.ndarray


def make_records(world: World) -> dict[str, TableRecords]:
    """Children, their episodes and plans (one file together), and the side file of names."""
    generator = world.stream("children_in_need")
    who, referrals = _referrals(world, generator)
    child_id = references(len(who), 500_000, generator, prefix="C", width=7)
    opened = referrals.referred + generator.integers(0, 11, len(referrals.entry))
    first_known, dropped = _in_file(referrals, opened, len(who))
    household = _household(world, who, first_known)
    details, told_closed = _details(
        referrals, opened, child_id, dropped, household, world.stream("children_in_need details")
    )
    return {
        "children": _children(world, who, referrals, child_id, first_known, dropped, household),
        "cin_details": details,
        "child_protection_plans": _plans(
            referrals,
            opened,
            told_closed,
            child_id,
            dropped,
            household,
            world.stream("children_in_need plans"),
        ),
        "identities": _identities(world, who, referrals, child_id, first_known, dropped, household),
    }


def precursors(tables: Mapping[str, TableRecords]) -> Traces:
    """Every referral that led to an episode of need."""
    details = tables["cin_details"]
    first = np.append(True, details.record[1:] != details.record[:-1])[: len(details.record)]
    first &= np.asarray(details.columns["ReferralNFA"]) == "false"
    household = None if details.household is None else details.household[details.record[first]]
    return traces(household, details.known_on[first], TRACE_DAYS)


def document(
    contract: FeedContract,
    tables: Mapping[str, TableRecords],
    selected: Mapping[str, np.ndarray],
    delivery: Delivery,
) -> bytes:
    """Write the census message: header, then each child with its episodes and their plans."""
    rows = {name: _taken(tables[name].columns, selected[name]) for name in tables}
    details, children = rows["cin_details"], rows["children"]
    child_of = details["../ChildIdentifiers/LAchildID"]
    place = pc.index_in(child_of, value_set=children["ChildIdentifiers/LAchildID"])
    number = place.to_numpy(zero_copy_only=False)
    changes = np.append(True, number[1:] != number[:-1])[: len(number)]
    ends = np.append(changes[1:], True)[: len(number)]
    line = pc.binary_join_element_wise(
        pc.if_else(pa.array(changes), _child_texts(children).take(place), ""),
        _detail_texts(details, rows["child_protection_plans"]),
        pc.if_else(pa.array(ends), "    </Child>\n", ""),
        "",
    )
    body = pc.binary_join(pa.ListArray.from_arrays([0, len(line)], line), "")[0].as_py() if len(line) else ""
    return f"{_head(delivery)}  <Children>\n{body}  </Children>\n</Message>\n".encode(
        contract.table("children").format.encoding
    )


def _referrals(world: World, generator: np.random.Generator) -> tuple[np.ndarray, _Referrals]:
    """Return the person behind each entry, and every referral that a file can hold.

    Some children are held twice: somebody opened a second entry, which was assessed and closed.
    """
    episodes = world.course.in_need
    order = np.lexsort((episodes.start, episodes.person))
    person, start, end = (
        column[order].astype(np.int64) for column in (episodes.person, episodes.start, episodes.end)
    )
    need, plan = episodes.need[order].astype(np.int64), episodes.plan[order].astype(bool)
    again = np.append(False, (person[1:] == person[:-1]) & (start[1:] <= end[:-1]))[: len(person)]
    seen = ~again & (end > world.first_day - _KEPT_DAYS) & (start < world.last_day)
    person, start, end, need, plan = (column[seen] for column in (person, start, end, need, plan))

    # Referrals of other children that lead to nothing.
    stays, people = world.residences, world.course.people
    count = round(_NO_FURTHER_ACTION * len(person))
    begin = world.first_day - _KEPT_DAYS
    day = begin + generator.integers(0, max(world.last_day - begin, 1), 40 * count)
    stay = generator.integers(0, max(len(stays), 1), 40 * count) if len(stays) else np.zeros(0, dtype=int)
    age = day[: len(stay)] - people.date_of_birth[stays.person[stay]]
    there = (stays.start[stay] <= day[: len(stay)]) & (stays.end[stay] >= day[: len(stay)])
    passing = np.flatnonzero(there & (age > 30) & (age < 17.5 * 365))[:count]
    passed_by = stays.person[stay[passing]]
    passing = passing[~np.isin(passed_by, person)]
    passed_by, first = np.unique(stays.person[stay[passing]], return_index=True)
    passed_on = day[passing][first]

    who = np.unique(np.concatenate([person, passed_by]))
    last_start = np.full(len(who), MISSING, dtype=np.int64)
    np.maximum.at(last_start, np.searchsorted(who, person), start)
    doubled = error_model()["systems"]["children_in_need"]["duplicate_person"]
    twice = np.flatnonzero((last_start != MISSING) & (generator.random(len(who)) < doubled))
    second_day = last_start[twice] + generator.integers(10, 150, len(twice))
    here = second_day < world.last_day
    twice, second_day = twice[here], second_day[here]

    entry = np.concatenate(
        [
            np.searchsorted(who, person),
            np.searchsorted(who, passed_by),
            len(who) + np.arange(len(twice)),
        ]
    )
    referred = np.concatenate([start, passed_on, second_day])
    closed = np.concatenate(
        [
            end,
            passed_on + generator.integers(1, 12, len(passed_by)),
            second_day + generator.integers(20, 60, len(twice)),
        ]
    )
    last_need = np.zeros(len(who), dtype=np.int64)
    last_need[np.searchsorted(who, person)] = need
    needs = np.concatenate([need, np.full(len(passed_by), _NO_NEED), last_need[twice]])
    plans = np.concatenate([plan, np.zeros(len(passed_by) + len(twice), dtype=bool)])
    closed = np.where(
        (closed >= OPEN) | (closed > world.last_day + 60), OPEN, np.maximum(closed, referred + 1)
    )
    order = np.lexsort((referred, entry))
    referrals = _Referrals(
        entry[order],
        referred[order].astype(np.int32),
        closed[order].astype(np.int32),
        needs[order],
        plans[order],
    )
    return np.concatenate([who, who[twice]]), referrals


def _in_file(referrals: _Referrals, opened: np.ndarray, entries: int) -> tuple[Days, Days]:
    """First and last day of each entry in full files: from the first referral until two years after the last
    case was closed.
    """
    first = np.full(entries, OPEN, dtype=np.int64)
    np.minimum.at(first, referrals.entry, opened)
    last = np.full(entries, MISSING, dtype=np.int64)
    np.maximum.at(last, referrals.entry, referrals.closed.astype(np.int64))
    dropped = np.where(last >= OPEN, OPEN, last + _KEPT_DAYS)
    return first.astype(np.int32), dropped.astype(np.int32)


def _household(world: World, who: np.ndarray, day: Days) -> np.ndarray:
    stays = world.residences
    return stays.household[np.maximum(stays.at(who, day), 0)]


def _details(
    referrals: _Referrals, opened: np.ndarray, child_id: np.ndarray, dropped: Days,
    household: np.ndarray, generator: np.random.Generator,
) -> tuple[TableRecords, np.ndarray]:  # fmt: skip
    """Episodes: as referred, as assessed, after the conference, as closed. Also the day each closing is known."""
    count = len(referrals.entry)
    referred, closed = referrals.referred.astype(np.int64), referrals.closed.astype(np.int64)
    needed = referrals.need != _NO_NEED
    begun = referred + generator.integers(1, 8, count)
    signed = begun + generator.integers(10, 57, count)
    signed = np.minimum(signed, closed)
    begun = np.minimum(begun, signed)
    conference = np.where(referrals.plan, np.minimum(_plan_start(referrals), closed), OPEN)
    told_signed = np.where(needed, np.maximum(signed + generator.integers(0, 8, count), opened), OPEN)
    told_conference = np.where(
        conference < OPEN, np.maximum(conference + generator.integers(0, 8, count), opened), OPEN
    )
    latest = np.maximum(np.where(told_signed < OPEN, told_signed, opened), opened)
    latest = np.maximum(latest, np.where(told_conference < OPEN, told_conference, opened))
    told_closed = np.where(closed < OPEN, np.maximum(closed + generator.integers(0, 15, count), latest), OPEN)

    source = np.array(list(_SOURCES))[pick(generator, _SOURCES, count)]
    reason = np.array(list(_CLOSURES))[pick(generator, _CLOSURES, count)]
    reason = np.where(needed, reason, "RC8")
    need = np.strings.add("N", (np.maximum(referrals.need, 0) + 1).astype("U1"))
    factors = _FACTORS[np.maximum(referrals.need, 0)]
    more = np.array([";10A", ";13A", ";15A", ";16A", ";5B"])[generator.integers(0, 5, count)]
    factors = np.where(generator.random(count) < 0.3, np.strings.add(factors, more), factors)

    record, day = versions(opened, told_signed, told_conference, told_closed)
    shows_assessment = day >= told_signed[record]
    shows_closure = day >= told_closed[record]
    shown_closed = np.where(shows_closure, closed[record], MISSING)
    broken = shows_closure & (
        generator.random(len(record)) < error_model()["systems"]["children_in_need"]["broken_rows"]
    )
    shown_closed = np.where(broken, referred[record] - 20, shown_closed)
    texts = {
        "referred": as_text(referrals.referred),
        "conference": as_text(np.where(conference < OPEN, conference, MISSING).astype(np.int32)),
        "begun": as_text(begun.astype(np.int32)),
        "signed": as_text(signed.astype(np.int32)),
    }
    columns = {
        "../ChildIdentifiers/LAchildID": child_id[referrals.entry[record]],
        "CINreferralDate": texts["referred"][record],
        "ReferralSource": source[record],
        "PrimaryNeedCode": np.where(shows_assessment, need[record], ""),
        "CINclosureDate": as_text(shown_closed.astype(np.int32)),
        "ReasonForClosure": np.where(shows_closure, reason[record], ""),
        "DateOfInitialCPC": np.where(day >= told_conference[record], texts["conference"][record], ""),
        "Assessments/AssessmentActualStartDate": np.where(shows_assessment, texts["begun"][record], ""),
        "Assessments/AssessmentAuthorisationDate": np.where(shows_assessment, texts["signed"][record], ""),
        "Assessments/FactorsIdentifiedAtAssessment/AssessmentFactors": np.where(
            shows_assessment, factors[record], ""
        ),
        "ReferralNFA": np.where(needed, "false", "true")[record],
    }
    key = np.strings.add(np.strings.add(child_id[referrals.entry], "|"), texts["referred"])
    entry = referrals.entry[record]
    return TableRecords(
        columns, record, day, dropped[entry], key, None, household[referrals.entry]
    ), told_closed


def _plan_start(referrals: _Referrals) -> np.ndarray:
    """The initial conference, and with it the plan: five weeks after the referral, sooner in a short case."""
    length = np.minimum(referrals.closed.astype(np.int64) - referrals.referred, 10_000)
    return referrals.referred + np.minimum(35 + referrals.entry % 15, np.maximum(length // 3, 1))


def _plans(
    referrals: _Referrals, opened: np.ndarray, told_closed: np.ndarray, child_id: np.ndarray, dropped: Days,
    household: np.ndarray, generator: np.random.Generator,
) -> TableRecords:  # fmt: skip
    rows = np.flatnonzero(referrals.plan)
    count = len(rows)
    entry, closed = referrals.entry[rows], referrals.closed[rows].astype(np.int64)
    start = _plan_start(referrals)[rows]
    end = np.minimum(start + generator.integers(180, 800, count), closed)
    known = np.maximum(start + generator.integers(0, 8, count), opened[rows])
    told_end = np.where(end < OPEN, np.maximum(end + generator.integers(0, 15, count), known), OPEN)
    # With the case the plan is closed too.
    told_end = np.where(end == closed, np.maximum(told_closed[rows], known), told_end)
    first = np.array(list(_CATEGORIES))[pick(generator, _CATEGORIES, count)]
    latest = np.where(generator.random(count) < 0.07, "EMO", first)
    number = np.ones(count, dtype=np.int64)
    same_child = np.append(False, entry[1:] == entry[:-1])[:count]
    number += same_child + (generator.random(count) < 0.21)
    record, day = versions(known, told_end)
    shown_end = np.where(day >= told_end[record], end[record], MISSING).astype(np.int32)
    begins = as_text(start.astype(np.int32))
    columns = {
        "../../ChildIdentifiers/LAchildID": child_id[entry[record]],
        "../CINreferralDate": as_text(referrals.referred[rows])[record],
        "CPPstartDate": begins[record],
        "CPPendDate": as_text(shown_end),
        "InitialCategoryOfAbuse": first[record],
        "LatestCategoryOfAbuse": np.where(day >= told_end[record], latest[record], first[record]),
        "NumberOfPreviousCPP": number.astype("U2")[record],
    }
    key = np.strings.add(np.strings.add(child_id[entry], "|"), begins)
    return TableRecords(columns, record, day, dropped[entry[record]], key, None, household[entry])


def _children(
    world: World, who: np.ndarray, referrals: _Referrals, child_id: np.ndarray, first_known: Days,
    dropped: Days, household: np.ndarray,
) -> TableRecords:  # fmt: skip
    people = world.course.people
    generator = world.stream("children_in_need children")
    count = len(who)
    entries = _registered(world, who, first_known)
    upn, upn_day = _pupil_numbers(world, who)
    record, day = versions(first_known, upn_day)
    shows = day >= upn_day[record]
    shown_upn = np.where(shows, upn[record], "")
    gender = np.where(people.female[who], "2", "1")
    gender = np.where(generator.random(count) < 0.005, "0", gender)
    ethnicity = np.array(ETHNICITIES)[people.ethnicity[who]]
    ethnicity = np.where(generator.random(count) < 0.05, "NOBT", ethnicity)
    ethnicity = np.where(generator.random(count) < 0.01, "REFU", ethnicity)
    disabled = people.disabled[who]
    disabled[referrals.entry[referrals.need == _DISABLED_NEED]] = True
    kinds = np.array(list(_DISABILITIES))
    one, other = (pick(generator, _DISABILITIES, count) for _ in range(2))
    both = (generator.random(count) < 0.35) & (one != other)
    disability = np.where(both, np.strings.add(np.strings.add(kinds[one], ";"), kinds[other]), kinds[one])
    columns = {
        "ChildIdentifiers/LAchildID": child_id[record],
        "ChildIdentifiers/UPN": shown_upn,
        "ChildIdentifiers/UPNunknown": np.where(shown_upn != "", "", np.where(shows, "UN5", "UN1")),
        "ChildIdentifiers/PersonBirthDate": as_text(entries.date_of_birth)[record],
        "ChildIdentifiers/GenderCurrent": gender[record],
        "ChildCharacteristics/Ethnicity": ethnicity[record],
        "ChildCharacteristics/Disabilities/Disability": np.where(disabled, disability, "NONE")[record],
    }
    return TableRecords(columns, record, day, dropped[record], child_id, None, household)


def _identities(
    world: World, who: np.ndarray, referrals: _Referrals, child_id: np.ndarray, first_known: Days,
    dropped: Days, household: np.ndarray,
) -> TableRecords:  # fmt: skip
    """Names, and the address that the system holds: it learns of moves late, and of some never."""
    stays, properties = world.residences, world.properties
    generator = world.stream("children_in_need addresses")
    rates = error_model()["systems"]["children_in_need"]
    count = len(who)
    entries = _registered(world, who, first_known)
    upn, upn_day = _pupil_numbers(world, who)
    old = generator.random(count) < rates["old_address"]
    looked_up = first_known - np.where(old, generator.integers(30, 500, count), 0)
    first_stay = stays.at(who, looked_up.astype(np.int32))

    move, mover = _later_stays(world, who, first_known)
    active = np.full(count, MISSING, dtype=np.int64)
    np.maximum.at(active, referrals.entry, referrals.closed.astype(np.int64))
    heard = (stays.start[move] < active[mover]) & (generator.random(len(move)) < rates["moves_heard_of"])
    move, mover = move[heard], mover[heard]
    told = stays.start[move].astype(np.int64) + generator.integers(5, 121, len(move))

    # A version is a place in `stay_of`: the first address, the numbers' arrival, each later address.
    record = np.concatenate([np.arange(count), mover])
    day = np.concatenate([first_known.astype(np.int64), told])
    stay = np.concatenate([first_stay, move])
    numbered = np.flatnonzero((upn_day < OPEN) & (upn_day > first_known) & (upn != ""))
    record = np.concatenate([record, numbered])
    day = np.concatenate([day, upn_day[numbered]])
    stay = np.concatenate([stay, np.full(len(numbered), -2)])
    order = np.lexsort((day, record))
    record, day, stay = record[order], day[order].astype(np.int32), stay[order]
    # A number that arrives changes no address: the one before it stays.
    held = np.maximum.accumulate(np.where(stay == -2, 0, np.arange(len(stay))))
    stay = stay[held]

    home = stays.property[np.maximum(stay, 0)]
    weights = world.weights(who, first_known, first_stay)[record]
    address = typed(properties, home, weights, generator)
    nowhere = (stay < 0) | (generator.random(count) < rates["missing"]["address"])[record]
    second = (generator.random(count) < rates["second_date_format"])[record]
    since = np.where(nowhere, MISSING, stays.start[np.maximum(stay, 0)]).astype(np.int32)
    columns = {
        "LAchildID": child_id[record],
        "UPN": np.where(day >= upn_day[record], upn[record], ""),
        "Forename": entries.forename[record],
        "Surname": entries.surname_on(record, day),
        "DateOfBirth": _dates(entries.date_of_birth[record], second),
        "Address": np.where(nowhere, "", address.one_line()[held]),
        "Postcode": np.where(nowhere, "", address.postcode[held]),
        "AddressStartDate": _dates(since, second),
    }
    true_stay = stays.at(who, first_known)
    moved = stays.property[np.maximum(true_stay, 0)] != stays.property[np.maximum(first_stay, 0)]
    first = np.append(True, record[1:] != record[:-1])[: len(record)]
    of_address = np.where(nowhere[first], 0, address.applied[first] | bits(old_address=moved & old))
    errors = entries.applied | of_address.astype(np.uint32)
    return TableRecords(columns, record, day, dropped[record], child_id, who, household, errors=errors)


def _registered(world: World, who: np.ndarray, first_known: Days) -> Registrations:
    """Each entry's registration: the census and the side file come from one system, so both show it."""
    stay = world.residences.at(who, first_known)
    weights = world.weights(who, first_known, stay)
    nobody = np.full(len(who), -1)
    generator = world.stream("children_in_need entries")
    return register(world.course.people, who, weights, nobody, "children_in_need", generator)


def _pupil_numbers(world: World, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each entry's UPN as the system holds it, and the day from which a child of school age has one.

    Schools give it in the September after the fourth birthday.
    """
    people = world.course.people
    generator = world.stream("children_in_need pupil numbers")
    rates = error_model()["systems"]["children_in_need"]
    year, month, _ = parts(people.date_of_birth[who])
    starts = year + 4 + (month > 8)
    day = from_parts(starts, np.full(len(who), 9), np.full(len(who), 25)).astype(np.int64)
    upn = np.where(generator.random(len(who)) < rates["missing"]["upn"], "", people.upn[who])
    return upn, np.where(people.upn[who] == "", OPEN, day)


def _later_stays(world: World, who: np.ndarray, after: Days) -> tuple[np.ndarray, np.ndarray]:
    """The stays of each person of `who` that begin after a day, and the position in `who` they belong to."""
    stays = world.residences
    first = np.searchsorted(stays.person, who, side="left")
    count = np.searchsorted(stays.person, who, side="right") - first
    owner = np.repeat(np.arange(len(who)), count)
    stay = np.repeat(first, count) + np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    later = stays.start[stay] > after[owner]
    return stay[later], owner[later]


def _dates(days: Days, second: np.ndarray) -> np.ndarray:
    return np.where(second, as_text(days, "%Y-%m-%d"), as_text(days, "%d/%m/%Y"))


def _taken(columns: Mapping[str, np.ndarray], selected: np.ndarray) -> dict[str, pa.Array]:
    return {name: pa.array(values[selected], type=pa.string()) for name, values in columns.items()}


def _element(indent: str, name: str, text: pa.Array) -> pa.Array:
    """`<name>text</name>` on a line; nothing where the text is empty. The texts are codes and dates only."""
    return pc.if_else(
        pc.equal(text, ""), "", pc.binary_join_element_wise(f"{indent}<{name}>", text, f"</{name}>\n", "")
    )


def _elements(indent: str, name: str, text: pa.Array) -> pa.Array:
    """One element for each of the texts that semicolons join."""
    return _element(indent, name, pc.replace_substring(text, ";", f"</{name}>\n{indent}<{name}>"))


def _child_texts(children: Mapping[str, pa.Array]) -> pa.Array:
    def identifier(name: str) -> pa.Array:
        return _element("        ", name, children[f"ChildIdentifiers/{name}"])

    return pc.binary_join_element_wise(
        "    <Child>\n      <ChildIdentifiers>\n",
        identifier("LAchildID"),
        identifier("UPN"),
        identifier("UPNunknown"),
        identifier("PersonBirthDate"),
        identifier("GenderCurrent"),
        "      </ChildIdentifiers>\n      <ChildCharacteristics>\n",
        _element("        ", "Ethnicity", children["ChildCharacteristics/Ethnicity"]),
        "        <Disabilities>\n",
        _elements("          ", "Disability", children["ChildCharacteristics/Disabilities/Disability"]),
        "        </Disabilities>\n      </ChildCharacteristics>\n",
        "",
    )


def _detail_texts(details: Mapping[str, pa.Array], plans: Mapping[str, pa.Array]) -> pa.Array:
    def element(name: str) -> pa.Array:
        return _element("        ", name, details[name])

    def assessment(name: str) -> pa.Array:
        return _element("          ", name, details[f"Assessments/{name}"])

    factors = "Assessments/FactorsIdentifiedAtAssessment/AssessmentFactors"
    assessed = pc.binary_join_element_wise(
        "        <Assessments>\n",
        assessment("AssessmentActualStartDate"),
        assessment("AssessmentAuthorisationDate"),
        "          <FactorsIdentifiedAtAssessment>\n",
        _elements("            ", "AssessmentFactors", details[factors]),
        "          </FactorsIdentifiedAtAssessment>\n        </Assessments>\n",
        "",
    )
    return pc.binary_join_element_wise(
        "      <CINdetails>\n",
        element("CINreferralDate"),
        element("ReferralSource"),
        element("PrimaryNeedCode"),
        element("CINclosureDate"),
        element("ReasonForClosure"),
        element("DateOfInitialCPC"),
        pc.if_else(pc.equal(details[factors], ""), "", assessed),
        element("ReferralNFA"),
        _plans_of(details, plans),
        "      </CINdetails>\n",
        "",
    )


def _plans_of(details: Mapping[str, pa.Array], plans: Mapping[str, pa.Array]) -> pa.Array:
    """The plan of each episode as text, or nothing."""

    def element(name: str) -> pa.Array:
        return _element("          ", name, plans[name])

    text = pc.binary_join_element_wise(
        "        <ChildProtectionPlans>\n",
        element("CPPstartDate"),
        element("CPPendDate"),
        element("InitialCategoryOfAbuse"),
        element("LatestCategoryOfAbuse"),
        element("NumberOfPreviousCPP"),
        "        </ChildProtectionPlans>\n",
        "",
    )
    episode = pc.binary_join_element_wise(
        details["../ChildIdentifiers/LAchildID"], details["CINreferralDate"], "|"
    )
    of = pc.binary_join_element_wise(
        plans["../../ChildIdentifiers/LAchildID"], plans["../CINreferralDate"], "|"
    )
    return pc.fill_null(text.take(pc.index_in(episode, value_set=of)), "")


def _head(delivery: Delivery) -> str:
    day = day_of(delivery.extracted)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Message>\n  <Header>\n    <CollectionDetails>\n'
        f"      <Collection>CIN</Collection>\n      <Year>{day.year}</Year>\n"
        f"      <ReferenceDate>{day}</ReferenceDate>\n    </CollectionDetails>\n    <Source>\n"
        "      <SourceLevel>L</SourceLevel>\n      <LEA>886</LEA>\n"
        "      <SoftwareCode>Local Authority</SoftwareCode>\n      <Release>1.0</Release>\n"
        f"      <SerialNo>001</SerialNo>\n      <DateTime>{day}T06:00:00</DateTime>\n    </Source>\n"
        "  </Header>\n"
    )
