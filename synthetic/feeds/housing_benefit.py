"""Housing benefit and council tax reduction: claims by home, and the people in the claimant's household.

Claims come from the life course; published (feeds.md): NINO missing for 2 % of adults. Assumed: half of the
households on universal credit claim council tax reduction, which is in the same system; a new claim shows 10-45
days after it was made, a move 5-45 days late or (`old_address`) 60-400; a cancelled claim stays in the file for
a year and a half; 30 % of social homes belong to housing associations; 60 % of other adults are recorded;
payments are suspended for 4-12 weeks in 20 % of arrears episodes and 4 % of other claims; 30 % of capped
private tenants and 10 % whose rent is more than £25 a week above the allowance get a discretionary payment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.addresses import AddressText, typed
from synthetic.circumstances import HOUSING_BENEFIT
from synthetic.dates import MISSING, OPEN, Days, as_text
from synthetic.errors import Registrations, as_cp1252, error_model, register
from synthetic.feeds.deliveries import MONTH_END, TableRecords
from synthetic.feeds.occupants import occupants
from synthetic.feeds.versions import versions
from synthetic.identifiers import pounds, references
from synthetic.life_tables import LEFT_DISTRICT
from synthetic.population import CHILD, LEAD, PARTNER, SINGLE
from synthetic.properties import OWNER, PRIVATE
from synthetic.streams import pick
from synthetic.world import World

RHYTHM = MONTH_END
ALWAYS_FULL = True

PRIVATE_TENANT, COUNCIL_TENANT, ASSOCIATION_TENANT, REDUCTION_ONLY = 1, 2, 3, 4
CLAIMANT, PARTNER_OF_CLAIMANT, DEPENDENT_CHILD, OTHER_ADULT = 1, 2, 3, 4
IN_PAYMENT, SUSPENDED, CANCELLED = 1, 2, 3
_END_REASONS = ("MVD", "UCR", "INC", "DEC", "NIL")
_KEPT_DAYS = 548
_REDUCTION_SHARE, _OTHER_ADULTS_RECORDED, _ASSOCIATION_SHARE = 0.5, 0.6, 0.3
_OPEN_TEXT = "2099-12-31"
_ADULT_DAYS, _NINO_DAYS, _SCHOOL_DAYS = 6575, 5844, 1461


@dataclass(frozen=True)
class _Homes:
    """The homes of the claims, one position each, in order of claim and day. Days as in the truth."""

    claim: np.ndarray
    number: np.ndarray
    spell: np.ndarray
    household: np.ndarray
    property: np.ndarray
    start: np.ndarray
    end: np.ndarray
    opened: np.ndarray
    closed: np.ndarray
    is_last: np.ndarray


def make_records(world: World) -> dict[str, TableRecords]:
    """Claims (one record per home of a claim) and members (one record per person in each home)."""
    generator = world.stream("housing_benefit")
    benefits = world.course.benefits
    in_system = (benefits.kind == HOUSING_BENEFIT) | (generator.random(len(benefits)) < _REDUCTION_SHARE)
    in_system &= (benefits.end > world.first_day - _KEPT_DAYS) & (benefits.start < world.last_day)
    claims = np.flatnonzero(in_system)
    claims = claims[np.lexsort((benefits.kind[claims], benefits.household[claims], benefits.start[claims]))]
    homes = _homes(world, claims, generator)
    claim_id = references(len(claims), 5_000_000, generator, width=7)
    rates = error_model()["systems"]["housing_benefit"]
    address = typed(world.properties, homes.property, np.ones(len(homes.claim)), generator)
    no_uprn = generator.random(len(homes.claim)) < rates["missing"]["uprn"]
    uprn = np.where(no_uprn, "", world.properties.uprn[homes.property])
    return {
        "claims": _claims(
            world, claims, homes, claim_id, address, uprn, world.stream("housing_benefit claims")
        ),
        "members": _members(world, homes, claim_id, address, uprn, world.stream("housing_benefit members")),
    }


def _homes(world: World, claims: np.ndarray, generator: np.random.Generator) -> _Homes:
    """Join claims with the spells of their households, cut to the days that both hold."""
    course = world.course
    benefits, spells = course.benefits, course.spells
    by_household = np.lexsort((spells.start, spells.household))
    owner = spells.household[by_household]
    household = benefits.household[claims]
    begin = np.searchsorted(owner, household, side="left")
    count = np.searchsorted(owner, household, side="right") - begin
    claim = np.repeat(np.arange(len(claims)), count)
    spell = by_household[np.arange(len(claim)) + np.repeat(begin - np.cumsum(count) + count, count)]
    start = np.maximum(spells.start[spell], benefits.start[claims][claim]).astype(np.int64)
    end = np.minimum(spells.end[spell], benefits.end[claims][claim]).astype(np.int64)
    kept = (start <= end) & (start < world.last_day)
    claim, spell, start, end = claim[kept], spell[kept], start[kept], end[kept]
    rows = len(claim)
    first = np.ones(rows, dtype=bool)
    first[1:] = claim[1:] != claim[:-1]
    is_last = np.ones(rows, dtype=bool)
    is_last[:-1] = first[1:]
    number = np.arange(rows) - np.flatnonzero(first)[np.cumsum(first) - 1] + 1

    late = generator.random(rows) < error_model()["systems"]["housing_benefit"]["old_address"]
    move_lag = np.where(late, generator.integers(60, 400, rows), generator.integers(5, 45, rows))
    opened = start + np.where(first, generator.integers(10, 45, rows), move_lag)
    # The claim leaves one home on the day on which the next is heard of.
    closed = np.full(rows, OPEN, dtype=np.int64)
    closed[:-1] = np.where(is_last[:-1], OPEN, opened[1:])
    lead = course.households.lead[spells.household[spell]]
    died = (course.people.died_on[lead] != MISSING) & (np.abs(course.people.died_on[lead] - end) < 40)
    lag = np.where(died, generator.integers(14, 120, rows), generator.integers(5, 75, rows))
    never = died & (generator.random(rows) < error_model()["deceased_not_closed"])
    closed = np.where(is_last & (end < OPEN) & ~never, end + lag, closed)
    closed = np.where(closed < OPEN, np.maximum(closed, opened + 1), OPEN)
    return _Homes(
        claim=claim,
        number=number,
        spell=spell,
        household=spells.household[spell],
        property=spells.property[spell],
        start=start,
        end=end,
        opened=opened,
        closed=closed,
        is_last=is_last,
    )


def _claims(
    world: World, claims: np.ndarray, homes: _Homes, claim_id: np.ndarray, address: AddressText,
    uprn: np.ndarray, generator: np.random.Generator,
) -> TableRecords:  # fmt: skip
    course, properties = world.course, world.properties
    benefits = course.benefits
    rows = len(homes.claim)
    of = claims[homes.claim]
    tenure = properties.tenure[homes.property]
    rents = (benefits.kind[of] == HOUSING_BENEFIT) & (tenure != OWNER)
    association = generator.random(rows) < _ASSOCIATION_SHARE
    kind = np.where(
        rents,
        np.where(
            tenure == PRIVATE, PRIVATE_TENANT, np.where(association, ASSOCIATION_TENANT, COUNCIL_TENANT)
        ),
        REDUCTION_ONLY,
    )
    capped, passported = benefits.capped[of].astype(bool), benefits.passported[of].astype(bool)
    is_tenant = tenure != OWNER
    rent, allowance = properties.weekly_rent[homes.property], properties.lha_weekly[homes.property]
    eligible = np.where(tenure == PRIVATE, np.minimum(rent, allowance), rent)
    award = eligible * np.where(passported, 1.0, generator.uniform(0.35, 0.95, rows))
    award = np.maximum(award - np.where(capped, generator.uniform(15, 90, rows), 0.0), 0.5)
    level = np.where(capped, np.where(course.households.type[homes.household] == SINGLE, 1, 2), 0)

    suspended, resumed = _suspensions(world, homes, generator)
    suspended = np.where(rents, suspended, OPEN)
    dhp, dhp_from, dhp_to = _discretionary(homes, tenure, rent - allowance, capped, generator)
    record, day = versions(homes.opened, homes.closed, suspended, resumed, dhp_from + 14)
    is_closed = day >= homes.closed[record]
    is_suspended = (day >= suspended[record]) & (day < resumed[record]) & ~is_closed
    is_cancelled = is_closed & homes.is_last[record]
    has_dhp = (day >= dhp_from[record] + 14) & (dhp_from[record] < OPEN)
    reason = _end_reasons(world, homes, benefits.kind[of], generator)
    shown_end = np.where(is_closed, homes.end[record], OPEN).astype(np.int32)
    start_text = as_text(homes.start.astype(np.int32))[record]
    end_text = as_text(shown_end, open_text=_OPEN_TEXT)
    _break_rows(start_text, end_text, homes.start[record], generator)
    number = homes.number.astype("U2")
    columns = {
        "claim_id": claim_id[homes.claim][record],
        "house_id": number[record],
        "claim_type_ind": kind.astype("U1")[record],
        "status_ind": np.select([is_cancelled, is_suspended], ["3", "2"], "1"),
        "application_date": as_text(benefits.start[of].astype(np.int32))[record],
        "from_date": start_text,
        "to_date": end_text,
        "cancel_date": np.where(is_cancelled, end_text, ""),
        "hb_end_reason": np.where(is_cancelled, reason[record], ""),
        "hb_suspend_date": np.where(is_suspended, as_text(_dates(suspended))[record], ""),
        "inc_supp_ind": passported.astype(np.int8).astype("U1")[record],
        "weekly_rent": np.where(is_tenant, pounds(rent), "")[record],
        "lha_amount": np.where(is_tenant & (tenure == PRIVATE), pounds(allowance), "")[record],
        "weekly_award": np.where(rents, pounds(award), "")[record],
        "ben_cap_level_ind": level.astype("U1")[record],
        "disc_rent_award": np.where(has_dhp, pounds(dhp)[record], ""),
        "disc_rent_comm_date": np.where(has_dhp, as_text(_dates(dhp_from))[record], ""),
        "disc_rent_cease_date": np.where(has_dhp, as_text(_dates(dhp_to))[record], ""),
        "uprn": uprn[record],
        "addr1": _line1(address)[record],
        "addr2": _line2(address)[record],
        "post_code": address.postcode[record],
    }
    dropped = np.where(is_closed, shown_end.astype(np.int64) + _KEPT_DAYS, OPEN).astype(np.int32)
    key = _joined(claim_id[homes.claim], number)
    return TableRecords(columns, record, day, dropped, key, None, homes.household)


def _suspensions(
    world: World, homes: _Homes, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the days on which payment is suspended and resumed (`OPEN`: never) for each home of a claim."""
    course = world.course
    months = course.month_starts
    rows = len(homes.claim)
    span = np.minimum(homes.end, world.last_day) - homes.start
    chance = generator.random(rows) < 0.04
    suspended = np.where(chance, homes.start + np.floor(generator.random(rows) * span), OPEN).astype(np.int64)
    hit = np.flatnonzero(generator.random(len(course.arrears.household)) < 0.20)
    began = months[np.minimum(course.arrears.start[hit], len(months) - 1)].astype(np.int64)
    spell = world.spell_at(course.arrears.household[hit], began)
    day = began + generator.integers(5, 50, len(hit))
    of_spell = np.full(len(course.spells.start), OPEN, dtype=np.int64)
    np.minimum.at(of_spell, spell[spell >= 0], day[spell >= 0])
    shock = of_spell[homes.spell]
    suspended = np.where((shock > homes.start) & (shock < homes.end), shock, suspended)
    resumed = np.where(suspended < OPEN, suspended + generator.integers(28, 84, rows), OPEN)
    return suspended, resumed


def _discretionary(
    homes: _Homes,
    tenure: np.ndarray,
    shortfall: np.ndarray,
    capped: np.ndarray,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return amount a week, first and last day (`OPEN`: none) of a discretionary housing payment."""
    rows = len(homes.claim)
    above = (tenure == PRIVATE) & (shortfall > 25)
    chance = np.select([capped, above], [0.30, 0.10], 0.0)
    given = generator.random(rows) < chance
    start = homes.start + generator.integers(20, 200, rows)
    given &= start < np.minimum(homes.end, OPEN - 400)
    length = np.array([91, 182, 364])[generator.integers(0, 3, rows)]
    amount = np.round(
        np.where(above, shortfall * generator.uniform(0.5, 1.0, rows), generator.uniform(10, 60, rows)), 2
    )
    return np.where(given, amount, 0.0), np.where(given, start, OPEN), np.where(given, start + length, OPEN)


def _end_reasons(world: World, homes: _Homes, kind: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    course = world.course
    rows = len(homes.claim)
    lead = course.households.lead[homes.household]
    died = (course.people.died_on[lead] != MISSING) & (np.abs(course.people.died_on[lead] - homes.end) < 40)
    left = (course.spells.reason[homes.spell] == LEFT_DISTRICT) & (
        course.spells.end[homes.spell] <= homes.end
    )
    other = pick(generator, {"to_universal_credit": 0.45, "income": 0.4, "no_information": 0.15}, rows)
    number = np.select([died, left, (other == 0) & (kind == HOUSING_BENEFIT), other == 2], [3, 0, 1, 4], 2)
    return np.array(_END_REASONS)[number]


def _members(
    world: World, homes: _Homes, claim_id: np.ndarray, address: AddressText, uprn: np.ndarray,
    generator: np.random.Generator,
) -> TableRecords:  # fmt: skip
    stays, people = world.residences, world.course.people
    rates = error_model()["systems"]["housing_benefit"]
    home, stay = occupants(stays, homes.spell, homes.start, homes.end)
    other_adult = ~np.isin(stays.role[stay], [LEAD, PARTNER, CHILD])
    recorded = ~other_adult | (generator.random(len(stay)) < _OTHER_ADULTS_RECORDED)
    home, stay = home[recorded], stay[recorded]
    entries, entry, held_twice = _entries(world, stay, generator)
    # A person held twice stands twice in the household, as a merge that nobody made.
    twice = np.flatnonzero(held_twice[entry] >= 0)
    home, stay = np.concatenate([home, home[twice]]), np.concatenate([stay, stay[twice]])
    entry = np.concatenate([entry, held_twice[entry[twice]]])
    order = np.lexsort((entry, stays.role[stay], home))
    home, stay, entry = home[order], stay[order], entry[order]

    rows, person, role = len(stay), stays.person[stay], stays.role[stay]
    start = np.maximum(stays.start[stay], homes.start[home]).astype(np.int64)
    end = np.minimum(stays.end[stay], homes.end[home]).astype(np.int64)
    age_days = start - people.date_of_birth[person]
    first = np.ones(rows, dtype=bool)
    first[1:] = home[1:] != home[:-1]
    number = np.arange(rows) - np.flatnonzero(first)[np.cumsum(first) - 1] + 1
    kind = np.select(
        [first & (age_days >= _ADULT_DAYS), role == PARTNER, age_days < _ADULT_DAYS],
        [CLAIMANT, PARTNER_OF_CLAIMANT, DEPENDENT_CHILD],
        OTHER_ADULT,
    )
    joins_later = start > homes.start[home] + 31
    opened = np.where(joins_later, start + generator.integers(10, 150, rows), homes.opened[home])
    opened = np.maximum(np.maximum(opened, homes.opened[home]), start + 1)
    leaves_before = (end < homes.end[home]) & (stays.end[stay] < OPEN)
    died = leaves_before & (people.died_on[person] == end)
    never = died & (generator.random(rows) < error_model()["deceased_not_closed"])
    left = np.where(leaves_before & ~never, end + generator.integers(15, 160, rows), OPEN)
    closed = np.minimum(left, homes.closed[home])
    # Who had left again before the system heard of it was never in the file.
    surname_day = entries.surname_known_on[entry]
    surname_day = np.where((surname_day == MISSING) | (surname_day > closed), OPEN, surname_day)
    record, day = versions(opened, closed, surname_day)
    is_closed = day >= closed[record]
    shown_end = np.where(is_closed, end[record], OPEN).astype(np.int32)
    adult = (age_days >= _NINO_DAYS) | (kind <= PARTNER_OF_CLAIMANT)
    pupil = (age_days < _ADULT_DAYS) & (
        np.minimum(end, world.last_day) - people.date_of_birth[person] > _SCHOOL_DAYS
    )
    pupil &= generator.random(rows) >= rates["missing"]["unique_pupil_num"]
    birth_date = _birth_dates(entries, rates, generator)
    start_text, end_text = as_text(start.astype(np.int32))[record], as_text(shown_end, open_text=_OPEN_TEXT)
    _break_rows(start_text, end_text, start[record], generator)
    house, member = homes.number.astype("U2"), number.astype("U2")
    person_ref = references(len(entries.person), 700_000, generator, width=8)
    columns = {
        "claim_id": claim_id[homes.claim][home][record],
        "house_id": house[home][record],
        "member_id": member[record],
        "person_ref": person_ref[entry][record],
        "type": kind.astype("U1")[record],
        "title": np.where(adult, entries.title[entry], "")[record],
        "forename": entries.forename[entry][record],
        "surname": entries.surname_on(entry[record], day),
        "birth_date": birth_date[entry][record],
        "gender": np.where(people.female[person], "2", "1")[record],
        "nino": np.where(adult, entries.nino[entry], "")[record],
        "unique_pupil_num": np.where(pupil, people.upn[person], "")[record],
        "from_date": start_text,
        "to_date": end_text,
        "uprn": uprn[home][record],
        "addr1": _line1(address)[home][record],
        "addr2": _line2(address)[home][record],
        "post_code": address.postcode[home][record],
    }
    dropped = np.where(is_closed, shown_end.astype(np.int64) + _KEPT_DAYS, OPEN).astype(np.int32)
    key = _joined(_joined(claim_id[homes.claim][home], house[home]), member)
    errors = entries.applied[entry] | address.applied[home]
    return TableRecords(columns, record, day, dropped, key, person, homes.household[home], errors=errors)


def _entries(
    world: World, stay: np.ndarray, generator: np.random.Generator
) -> tuple[Registrations, np.ndarray, np.ndarray]:
    """Return the registrations, the one of each stay, and the second one of people held twice (-1: once)."""
    stays, people = world.residences, world.course.people
    rates = error_model()["systems"]["housing_benefit"]
    who, of_stay = np.unique(stays.person[stay], return_inverse=True)
    twice = np.flatnonzero(generator.random(len(who)) < rates["duplicate_person"])
    entered = np.concatenate([who, who[twice]])
    held_twice = np.full(len(entered), -1)
    held_twice[twice] = len(who) + np.arange(len(twice))
    first_stay = np.full(len(who), len(stays), dtype=np.int64)
    np.minimum.at(first_stay, of_stay, stay)
    first_stay = np.concatenate([first_stay, first_stay[twice]])
    day = np.maximum(stays.start[first_stay], world.first_day - 900).astype(np.int32)
    partner = world.course.households.partner[stays.household[first_stay]]
    partner = np.where(partner == entered, -1, partner)
    weights = world.weights(entered, day, first_stay)
    records = np.bincount(of_stay, minlength=len(who))
    records = np.concatenate([records, records[twice]])
    entries = as_cp1252(register(people, entered, weights, partner, "housing_benefit", generator, records))
    return entries, of_stay, held_twice


def _birth_dates(
    entries: Registrations, rates: dict[str, dict[str, float]], generator: np.random.Generator
) -> np.ndarray:
    """Birth dates as text in the ways that officers type them."""
    style = pick(generator, rates["birth_date_styles"], len(entries.person))
    compact = np.strings.replace(as_text(entries.date_of_birth, "%d-%b-%Y"), "-", "")
    digits = np.strings.replace(as_text(entries.date_of_birth, "%Y-%m-%d"), "-", "")
    return np.choose(style, [compact, digits, as_text(entries.date_of_birth, "%d/%m/%Y")])


def _break_rows(
    start: np.ndarray, end: np.ndarray, start_day: np.ndarray, generator: np.random.Generator
) -> None:
    """Spoil a few versions in place: a day that does not exist, or an end before the beginning."""
    rate = error_model()["systems"]["housing_benefit"]["broken_rows"]
    broken = np.flatnonzero(generator.random(len(start)) < rate)
    start[broken[::2]] = "2023-02-31"
    end[broken[1::2]] = as_text((start_day[broken[1::2]] - 30).astype(np.int32))


def _line1(address: AddressText) -> np.ndarray:
    return np.where(address.home != "", address.home, address.street)


def _line2(address: AddressText) -> np.ndarray:
    return np.where(address.home != "", address.street, address.town)


def _dates(days: np.ndarray) -> Days:
    return days.astype(np.int32)


def _joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.strings.add(np.strings.add(first, "|"), second)
