"""The county's people: households by type and tenure, ages, families' names, twins and namesakes,
identifiers.

All households that could live in the county within its months are made at once, the later arrivals too;
`life_course` decides when each comes, moves and goes. Published (feeds.md): 2.4 persons per household.
Assumed: the mix of household types by tenure, ages by tenure, 3 % of couples of one sex, 62 % of couples with
one surname, 1.5 % twins among siblings, 4 % of fathers with a grown son at home share his forename.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.dates import MISSING, Days, as_text, parts
from synthetic.identifiers import ninos, phones
from synthetic.names import (
    draw_forenames,
    draw_surnames,
    feminine_surnames,
    has_fathers_name,
    one_name_only,
    read_names,
)
from synthetic.streams import pick, stream

LEAD, PARTNER, SHARER, GROWN_CHILD, CHILD = range(5)
ROLES = ("lead", "partner", "sharer", "grown_child", "child")
TYPES = ("single", "lone_parent", "couple", "couple_children", "couple_grown_children", "sharers")
SINGLE, LONE_PARENT, COUPLE, COUPLE_CHILDREN, COUPLE_GROWN_CHILDREN, SHARERS = range(6)
_TYPE_SHARES = (
    (0.24, 0.04, 0.33, 0.23, 0.15, 0.01),
    (0.25, 0.12, 0.19, 0.25, 0.04, 0.15),
    (0.37, 0.22, 0.10, 0.18, 0.11, 0.02),
)
# Mean and spread of the head's age: by tenure for those alone or in a couple, by type for the others.
_LEAD_AGE = ((70.0, 14.0), (40.0, 15.0), (58.0, 17.0))
_LEAD_AGE_BY_TYPE = {1: (36.0, 7.5), 3: (38.5, 7.0), 4: (54.0, 6.0), 5: (26.0, 5.0)}
_BIRTHS_A_YEAR = (0.025, 0.07, 0.22, 0.18, 0.0, 0.0)
_FERTILE_UNTIL, _FERTILITY_FALLS_FROM = 44.0, 35.0
RELIGIONS = ("none", "christian", "muslim", "hindu", "sikh", "buddhist", "jewish", "other")
MARITAL = ("single", "married", "civil_partnership", "separated", "divorced", "widowed")
NEVER_MARRIED, MARRIED, CIVIL_PARTNERSHIP, SEPARATED, DIVORCED, WIDOWED = range(6)
_FREE_MEALS_FROM = -0.24
"""Need (see `make_population`) from which pupils eat for free; low income is above 0."""
FRAILTY_SD = 0.6  # feeds.md
ETHNICITIES = (
    "WBRI", "WIRI", "WIRT", "WROM", "WOTH", "MWBC", "MWBA", "MWAS", "MOTH",
    "AIND", "APKN", "ABAN", "AOTH", "BCRB", "BAFR", "BOTH", "CHNE", "OOTH",
)  # fmt: skip
"""DfE main codes of ethnicity. "Refused" and "not obtained" are what a register holds, not what a person is."""
_SCHOOL_AGES = (4, 19)
_KENT_AUTHORITY = 886
_UPN_LETTERS = np.array(list("ABCDEFGHJKLMNPQRTUVWXYZ"))
# Religion by ethnicity; "" for the others (assumed, near the 2021 census of Kent).
_RELIGION_BY_ETHNICITY = {
    "": (0.30, 0.63, 0.05, 0.0, 0.0, 0.005, 0.005, 0.01),
    "WBRI": (0.40, 0.585, 0.003, 0.0, 0.0, 0.004, 0.003, 0.005),
    "WIRI": (0.15, 0.84, 0.0, 0.0, 0.0, 0.0, 0.0, 0.01),
    "AIND": (0.07, 0.12, 0.05, 0.36, 0.37, 0.01, 0.0, 0.02),
    "APKN": (0.03, 0.01, 0.95, 0.0, 0.0, 0.0, 0.0, 0.01),
    "ABAN": (0.03, 0.01, 0.93, 0.02, 0.0, 0.0, 0.0, 0.01),
    "AOTH": (0.12, 0.22, 0.16, 0.25, 0.03, 0.20, 0.0, 0.02),
    "BAFR": (0.06, 0.80, 0.13, 0.0, 0.0, 0.0, 0.0, 0.01),
    "CHNE": (0.62, 0.20, 0.0, 0.0, 0.0, 0.17, 0.0, 0.01),
    "OOTH": (0.15, 0.30, 0.48, 0.01, 0.01, 0.03, 0.01, 0.01),
}


@dataclass(frozen=True)
class Households:
    """One position per household that ever could live here."""

    tenure: np.ndarray
    type: np.ndarray
    frailty: np.ndarray
    lead: np.ndarray
    partner: np.ndarray
    low_income: np.ndarray
    income_weekly: np.ndarray
    """Pounds a week, all members, before housing costs."""
    free_school_meals: np.ndarray
    """Whether its pupils are entitled to free meals."""


@dataclass(frozen=True)
class People:
    """One position per person. `surname` until `surname_changed_on`, `later_surname` from then (never:
    `MISSING`).
    """

    household: np.ndarray
    role: np.ndarray
    female: np.ndarray
    date_of_birth: Days
    origin: np.ndarray
    forename: np.ndarray
    middle_name: np.ndarray
    surname: np.ndarray
    later_surname: np.ndarray
    surname_changed_on: Days
    nino: np.ndarray
    phone: np.ndarray
    old_phone: np.ndarray
    died_on: Days
    ethnicity: np.ndarray
    religion: np.ndarray
    marital_status: np.ndarray
    disabled: np.ndarray
    upn: np.ndarray

    def __len__(self) -> int:
        return len(self.household)


def make_population(
    pool: np.ndarray, seed: int, start_day: int, reference_day: int, end_day: int
) -> tuple[Households, People]:
    """Make `pool[tenure]` households of each tenure, in tenure order, with their people.

    Ages are as on `reference_day`; deaths and surname changes fall between `start_day` and `end_day` (days
    since 1970).
    """
    generator = stream(seed, "population")
    tenure = np.repeat(np.arange(3), pool)
    count = len(tenure)
    shares = np.cumsum(_TYPE_SHARES, axis=1)[tenure]
    kind = np.minimum((shares < generator.random(count)[:, None]).sum(axis=1), len(TYPES) - 1)
    lead_age = _lead_ages(tenure, kind, generator)
    family_origin = pick(generator, dict(read_names().shares), count)
    frailty = generator.normal(0, FRAILTY_SD, count)

    household, role, age = _slots(kind, lead_age, (end_day - reference_day) / 365.25, generator)
    date_of_birth = (reference_day - np.round(age * 365.25)).astype(np.int32)
    first = np.flatnonzero(role == LEAD)
    partner_of = np.full(count, -1)
    partner_rows = np.flatnonzero(role == PARTNER)
    partner_of[household[partner_rows]] = partner_rows

    female = generator.random(len(household)) < 0.51
    lead_female = generator.random(count) < np.array([0.5, 0.88, 0.4, 0.4, 0.4, 0.45])[kind]
    female[first] = lead_female
    female[partner_rows] = lead_female[household[partner_rows]] == (
        generator.random(len(partner_rows)) < 0.03
    )

    own = np.isin(role, [PARTNER, SHARER])
    different_origin = own & (generator.random(len(own)) < np.where(role == SHARER, 0.5, 0.1))
    origin = family_origin[household]
    origin[different_origin] = pick(generator, dict(read_names().shares), int(different_origin.sum()))

    family_surname = draw_surnames(family_origin, generator)
    own_surname = draw_surnames(origin, generator)
    keeps_own = (role == SHARER) | ((role == PARTNER) & (generator.random(len(role)) > 0.62))
    stem = np.where(keeps_own, own_surname, family_surname[household])
    stem_origin = np.where(keeps_own, origin, family_origin[household])
    surname = feminine_surnames(stem, stem_origin, female)

    _make_twins(household, role, date_of_birth, generator)
    birth_year = parts(date_of_birth)[0]
    forename = draw_forenames(origin, female, birth_year, generator)
    middle = draw_forenames(origin, female, birth_year, generator)
    no_middle = (generator.random(len(middle)) > np.where(origin == 0, 0.65, 0.3)) | (middle == forename)
    middle[no_middle] = ""
    _make_namesakes(household, role, female, forename, first, generator)
    _tell_twins_apart(household, date_of_birth, role, forename, middle)
    of_father = has_fathers_name(origin)
    never_female = np.zeros(len(origin), dtype=bool)
    middle = np.where(of_father, draw_forenames(origin, never_female, birth_year, generator), middle)
    surname = one_name_only(forename, surname, origin, generator)

    later, changed_on = _surname_changes(
        role,
        female,
        surname,
        keeps_own,
        family_surname[household],
        stem_origin,
        date_of_birth,
        start_day,
        end_day,
        generator,
    )
    ethnicity = _ethnicities(origin, stream(seed, "ethnicity"))
    nino = ninos(len(household), generator)
    lead_income = 0.9 * frailty + generator.normal(0, 1, count) + np.array([-1.9, -0.55, 0.3])[tenure]
    income = np.round(np.array([760.0, 560.0, 390.0])[tenure] * np.exp(-0.38 * lead_income), 2)
    households = Households(
        tenure, kind, frailty, first, partner_of, lead_income > 0, income, lead_income > _FREE_MEALS_FROM
    )
    people = People(
        household=household,
        role=role,
        female=female,
        date_of_birth=date_of_birth,
        origin=origin,
        forename=forename,
        middle_name=middle,
        surname=surname,
        later_surname=later,
        surname_changed_on=changed_on,
        nino=nino,
        phone=phones(len(household), generator),
        old_phone=phones(len(household), generator),
        died_on=_deaths(date_of_birth, start_day, end_day, generator),
        ethnicity=ethnicity,
        religion=_religions(ethnicity, date_of_birth, reference_day, stream(seed, "religion")),
        marital_status=_marital_statuses(
            role, date_of_birth, partner_of[household] >= 0, reference_day, stream(seed, "marital status")
        ),
        disabled=_disabilities(date_of_birth, tenure[household], reference_day, stream(seed, "disability")),
        upn=_pupil_numbers(date_of_birth, reference_day, end_day, stream(seed, "pupil numbers")),
    )
    return households, people


def birth_date_texts(people: People, rows: np.ndarray) -> np.ndarray:
    """Birth dates as DD/MM/YYYY."""
    return as_text(people.date_of_birth[rows], "%d/%m/%Y")


def _lead_ages(tenure: np.ndarray, kind: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    mean, spread = np.array(_LEAD_AGE)[tenure].T
    for number, (centre, width) in _LEAD_AGE_BY_TYPE.items():
        mean = np.where(kind == number, centre, mean)
        spread = np.where(kind == number, width, spread)
    return np.clip(mean + spread * generator.normal(size=len(kind)), 18.5, 97)


def _slots(
    kind: np.ndarray, lead_age: np.ndarray, years: float, generator: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Return household, role and age of every person, in household and role order. Children born in the `years`
    to come have ages below 0.
    """
    count = len(kind)
    everyone = np.arange(count)
    couple = np.isin(kind, [COUPLE, COUPLE_CHILDREN, COUPLE_GROWN_CHILDREN])
    sharers = np.where(kind == SHARERS, generator.integers(1, 4, count), 0)
    grown = np.where(kind == COUPLE_GROWN_CHILDREN, generator.integers(1, 4, count), 0)
    grown += (kind == LONE_PARENT) & (lead_age > 42) & (generator.random(count) < 0.5)
    children = np.where(
        np.isin(kind, [LONE_PARENT, COUPLE_CHILDREN]),
        1 + generator.binomial(3, np.where(kind == LONE_PARENT, 0.24, 0.32), count),
        0,
    )
    fertile = np.clip((_FERTILE_UNTIL - lead_age) / (_FERTILE_UNTIL - _FERTILITY_FALLS_FROM), 0, 1)
    births = generator.random(count) < -np.expm1(-np.array(_BIRTHS_A_YEAR)[kind] * fertile * years)
    members = {
        LEAD: np.ones(count, dtype=int),
        PARTNER: couple.astype(int),
        SHARER: sharers,
        GROWN_CHILD: grown,
        CHILD: children + births,
    }
    household = np.concatenate([np.repeat(everyone, numbers) for numbers in members.values()])
    role = np.concatenate([np.full(int(numbers.sum()), member) for member, numbers in members.items()])
    order = np.lexsort((role, household))
    household, role = household[order], role[order]
    lead = lead_age[household]
    chance = generator.random(len(role))
    noise = generator.normal(size=len(role))
    partner_age = np.clip(lead_age - 1.5 + 3.5 * generator.normal(size=count), 18.2, 97)
    parents = np.sort(np.stack([lead_age, np.where(couple, partner_age, lead_age)]), axis=0)
    # Either parent may be the mother: no child before her 18th or after her 45th year.
    oldest_child = np.clip(parents[0] - 18, 0.5, 17.9)[household]
    youngest_child = np.clip(parents[1] - 45, 0, None)[household]
    last_of_household = np.append(household[1:] != household[:-1], True)
    to_come = (role == CHILD) & last_of_household & births[household]
    age = np.select(
        [role == LEAD, role == PARTNER, role == SHARER, role == GROWN_CHILD],
        [
            lead,
            partner_age[household],
            np.clip(lead + 3 * noise, 18.2, 60),
            18 + chance * np.clip(lead - 38, 2, 12),
        ],
        default=np.where(to_come, -years * chance, _between(youngest_child, oldest_child, chance)),
    )
    return household, role, age


def _between(low: np.ndarray, high: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Spread `chance` (0 to 1) over `low` to `high`; where they cross, at the higher."""
    return np.minimum(low, high) + chance * np.maximum(high - low, 0)


def _make_twins(
    household: np.ndarray, role: np.ndarray, date_of_birth: Days, generator: np.random.Generator
) -> None:
    """Give some neighbouring siblings one birthday, in place."""
    siblings = (
        (household[1:] == household[:-1]) & (role[1:] == role[:-1]) & np.isin(role[1:], [GROWN_CHILD, CHILD])
    )
    twins = np.flatnonzero(siblings & (generator.random(len(siblings)) < 0.03))
    date_of_birth[twins + 1] = date_of_birth[twins]


def _make_namesakes(
    household: np.ndarray, role: np.ndarray, female: np.ndarray, forename: np.ndarray, first: np.ndarray,
    generator: np.random.Generator,
) -> None:  # fmt: skip
    """Name some sons at home after the father where the father leads the household, in place."""
    father = first[household]
    sons = np.isin(role, [GROWN_CHILD, CHILD]) & ~female & ~female[father]
    chosen = sons & (generator.random(len(sons)) < np.where(role == GROWN_CHILD, 0.04, 0.01))
    forename[chosen] = forename[father[chosen]]


def _tell_twins_apart(
    household: np.ndarray, date_of_birth: Days, role: np.ndarray, forename: np.ndarray, middle: np.ndarray
) -> None:
    """Twins never share a forename: the second takes the middle name, or a plain other name, in place."""
    same = (
        (household[1:] == household[:-1])
        & (date_of_birth[1:] == date_of_birth[:-1])
        & (forename[1:] == forename[:-1])
    )
    second = np.flatnonzero(same & np.isin(role[1:], [GROWN_CHILD, CHILD])) + 1
    forename[second] = np.where(middle[second] != "", middle[second], "Robin")
    middle[second] = ""


def _surname_changes(
    role: np.ndarray,
    female: np.ndarray,
    surname: np.ndarray,
    keeps_own: np.ndarray,
    family: np.ndarray,
    family_origin: np.ndarray,
    date_of_birth: Days,
    start_day: int,
    end_day: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, Days]:
    """Marriage: some partners take the family surname (4 % of them a year, mostly women; assumed)."""
    years = (end_day - start_day) / 365.25
    marries = (
        (role == PARTNER) & keeps_own & (generator.random(len(role)) < np.where(female, 0.05, 0.01) * years)
    )
    later = np.where(marries, feminine_surnames(family, family_origin, female), surname)
    changed_on = generator.integers(start_day, end_day, len(role))
    happens = marries & (later != surname) & (changed_on - date_of_birth > 19 * 365)
    return np.where(happens, later, surname), np.where(happens, changed_on, MISSING).astype(np.int32)


def _deaths(date_of_birth: Days, start_day: int, end_day: int, generator: np.random.Generator) -> Days:
    """Draw the day of death from a Gompertz hazard (1.45 % a year at 67, doubling in 7.5 years: as England,
    roughly).

    Returns `MISSING` for those who outlive `end_day`.
    """
    rate = np.log(2) / 7.5
    level = 0.0145 * np.exp(-67 * rate)
    age = np.maximum(start_day - date_of_birth, 0) / 365.25
    survived = generator.exponential(size=len(age))
    lifetime = np.log1p(survived * rate / (level * np.exp(rate * age))) / rate
    died_on = np.maximum(start_day, date_of_birth) + np.floor(lifetime * 365.25)
    return np.where(died_on < end_day, died_on, MISSING).astype(np.int32)


def _ethnicities(origin: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw each person's ethnicity by name origin: positions in `ETHNICITIES`."""
    chance = generator.random(len(origin))
    ethnicity = np.zeros(len(origin), dtype=np.int8)
    for number, name in enumerate(read_names().origins):
        shares = read_names().ethnicity[name]
        codes = np.array([ETHNICITIES.index(code) for code in shares])
        cumulative = np.cumsum(list(shares.values()))
        here = origin == number
        place = np.searchsorted(cumulative / cumulative[-1], chance[here], side="right")
        ethnicity[here] = codes[place]
    return ethnicity


def _religions(
    ethnicity: np.ndarray, date_of_birth: Days, reference_day: int, generator: np.random.Generator
) -> np.ndarray:
    """Draw each person's religion by ethnicity and age (assumed): positions in `RELIGIONS`."""
    chance = generator.random(len(ethnicity))
    religion = np.zeros(len(ethnicity), dtype=np.int8)
    for number, code in enumerate(ETHNICITIES):
        shares = np.cumsum(_RELIGION_BY_ETHNICITY.get(code, _RELIGION_BY_ETHNICITY[""]))
        here = np.flatnonzero(ethnicity == number)
        religion[here] = np.searchsorted(shares / shares[-1], chance[here], side="right")
    age = (reference_day - date_of_birth) / 365.25
    lapsed = (religion == 1) & (generator.random(len(age)) < np.interp(age, [20, 70], [0.45, 0.05]))
    religion[lapsed] = 0
    return religion


def _marital_statuses(
    role: np.ndarray, date_of_birth: Days, in_couple: np.ndarray, reference_day: int,
    generator: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Draw each person's legal status before the months lived (assumed): positions in `MARITAL`.

    Couples marry with age; a couple's two members have one status. Those alone were married the oftener the
    older they are.
    """
    age = (reference_day - date_of_birth) / 365.25
    head = (role == LEAD) | (role == PARTNER)
    couple = head & in_couple
    status = np.zeros(len(role), dtype=np.int8)
    first = np.flatnonzero(couple & (role == LEAD))
    weds = generator.random(len(first)) < np.interp(age[first], [20, 30, 45, 70], [0.1, 0.45, 0.75, 0.93])
    civil = generator.random(len(first)) < 0.006
    status[first] = np.where(weds, np.where(civil, CIVIL_PARTNERSHIP, MARRIED), NEVER_MARRIED)
    second = np.flatnonzero(couple & (role == PARTNER))
    status[second] = status[first]
    alone = np.flatnonzero(head & ~in_couple)
    chance = generator.random(len(alone))
    widowed = np.interp(age[alone], [45, 60, 75, 90], [0.01, 0.07, 0.32, 0.68])
    divorced = np.interp(age[alone], [25, 40, 55, 75, 90], [0.02, 0.24, 0.45, 0.36, 0.18])
    apart = np.where(generator.random(len(alone)) < 0.2, SEPARATED, DIVORCED)
    status[alone] = np.where(
        chance < widowed, WIDOWED, np.where(chance < widowed + divorced, apart, NEVER_MARRIED)
    )
    return status


def _disabilities(
    date_of_birth: Days, tenure: np.ndarray, reference_day: int, generator: np.random.Generator
) -> np.ndarray:
    """Draw who is disabled: rarer in the young, commoner in social housing (assumed, near the 2021 census)."""
    age = (reference_day - date_of_birth) / 365.25
    share = np.interp(age, [0, 16, 40, 60, 75, 90], [0.06, 0.10, 0.13, 0.22, 0.33, 0.55])
    return generator.random(len(age)) < np.minimum(share * np.array([0.88, 0.95, 1.75])[tenure], 0.9)


def _pupil_numbers(
    date_of_birth: Days, first_day: int, end_day: int, generator: np.random.Generator
) -> np.ndarray:
    """Unique pupil numbers of all who are of school age within the window, else "".

    Check letter, local authority, school of entry, year of entry, serial (DfE, UPN guide): 13 characters.
    """
    youngest, oldest = (int(age * 365.25) for age in _SCHOOL_AGES)
    pupils = np.flatnonzero((date_of_birth + youngest < end_day) & (date_of_birth + oldest > first_day))
    entry = parts((date_of_birth[pupils] + youngest).astype(np.int32))[0]
    order = generator.permutation(len(pupils))
    order = order[np.argsort(entry[order], kind="stable")]
    first = np.searchsorted(entry[order], entry[order], side="left")
    rank = np.empty(len(pupils), dtype=np.int64)
    rank[order] = np.arange(len(pupils)) - first
    school = 2000 + rank % 550
    serial = rank // 550 + 1
    body = _KENT_AUTHORITY * 10**9 + school * 10**5 + entry % 100 * 10**3 + serial
    digits_of = body[:, None] // 10 ** np.arange(11, -1, -1) % 10
    letter = _UPN_LETTERS[digits_of @ np.arange(2, 14) % len(_UPN_LETTERS)]
    numbers = np.zeros(len(date_of_birth), dtype="U13")
    numbers[pupils] = np.strings.add(letter, body.astype("U12"))
    return numbers
