"""Sundry debtors ledger: invoices that people owe the council, with their recovery stage; fixed width.

Published (feeds.md): no date of birth, no NINO; mean debt of those in debt £1,726 (of council tax; the ledger's
amounts are set so that a debtor here owes about as much). Assumed: how often each kind of debt arises and how
much it is; people of low income pay £1,000 in fourteen months in the mean, others in five, and more takes
longer; a quarter pays by arrangement; what is not paid after three years or so is written off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from synthetic.addresses import AddressText, typed
from synthetic.circumstances import HOUSING_BENEFIT
from synthetic.dates import MISSING, OPEN, as_text
from synthetic.errors import Registrations, as_cp1252, bits, error_model, register
from synthetic.feeds.deliveries import MONTH_END, TableRecords
from synthetic.feeds.one_name_field import one_name_field
from synthetic.feeds.versions import versions
from synthetic.identifiers import pounds, references
from synthetic.population import CHILD
from synthetic.properties import PRIVATE, SOCIAL
from synthetic.streams import pick
from synthetic.world import World

RHYTHM = MONTH_END
ALWAYS_FULL = True

_TYPES = ("HBOP", "RDEP", "CARE", "CTCC", "FTRA", "PCN", "MISC")
HB_OVERPAYMENT, DEPOSIT_LOAN, CARE_CHARGE, COURT_COSTS, TENANT_ARREARS, PENALTY, OTHER = range(7)
_STAGES = np.array(["INV", "REM", "FIN", "PRE", "CCJ", "ENF"])
_STAGE_DAYS = (0, 30, 55, 95, 190, 290)
_OVERPAYMENTS_A_YEAR, _CARE_CHARGES_A_YEAR, _PENALTIES_A_YEAR, _OTHERS_A_YEAR = 0.12, 0.06, 0.014, 0.005
_DEPOSIT_LOANS, _DEPOSIT_LOANS_AFTER_RELIEF, _COSTS_IN_LEDGER = 0.05, 0.45, 0.5
_LOW_INCOME_FACTOR = 1.6
_MEAN_DAYS_TO_PAY = (150, 420)  # others, people of low income
_BURN_IN_DAYS, _KEPT_DAYS = 4 * 365, 365
_DATES = "%d/%m/%Y"
_NAME_WIDTH, _LINE_WIDTH, _TOWN_WIDTH = 40, 35, 25

_Batch = tuple[np.ndarray, np.ndarray, np.ndarray, int]
"""Person, day, amount in pounds, position in `_TYPES`."""


@dataclass(frozen=True)
class _Debts:
    """Invoices in order of day. `stay` is the debtor's residence that day."""

    person: np.ndarray
    day: np.ndarray
    amount: np.ndarray
    kind: np.ndarray
    stay: np.ndarray


def make_records(world: World) -> dict[str, TableRecords]:
    """One record per invoice; versions as its stage and what is owed change."""
    generator = world.stream("sundry_debts")
    stays = world.residences
    rates = error_model()["systems"]["sundry_debts"]
    debts = _debts(world, generator)
    rows, day = len(debts.day), debts.day
    entries, entry = _entries(world, debts, generator)
    style = pick(generator, rates["name_styles"], len(entries.person))

    low = world.course.households.low_income[stays.household[debts.stay]]
    slow = np.where(low, _MEAN_DAYS_TO_PAY[1], _MEAN_DAYS_TO_PAY[0]) * np.clip(debts.amount / 1000, 0.3, 3.0)
    paid = day + 10 + np.floor(generator.exponential(1.0, rows) * slow).astype(np.int64)
    written_off = day + generator.integers(1000, 1700, rows)
    settled = np.minimum(paid, written_off)
    by_arrangement = generator.random(rows) < 0.25
    arranged = np.where(by_arrangement, day + generator.integers(45, 150, rows), OPEN)
    arranged = np.where(arranged < settled - 30, arranged, OPEN)
    halfway = np.where(arranged < OPEN, (arranged + settled) // 2, OPEN)
    opened = day + generator.integers(1, 10, rows)
    reached = [day + days + generator.integers(0, 12, rows) for days in _STAGE_DAYS[1:]]
    stop = np.minimum(settled, arranged)
    stages = [np.where(each < stop, each, OPEN) for each in reached]
    record, known = versions(opened, settled, arranged, halfway, *stages)

    stage, stage_day = np.zeros(len(record), dtype=np.int64), day[record]
    for number, each in enumerate(stages, start=1):
        hit = known >= each[record]
        stage, stage_day = np.where(hit, number, stage), np.where(hit, each[record], stage_day)
    is_settled, is_arranged = known >= settled[record], known >= arranged[record]
    is_halfway = known >= halfway[record]
    stage_day = np.select([is_settled, is_arranged], [settled[record], arranged[record]], stage_day)
    status = np.select(
        [is_settled & (paid < written_off)[record], is_settled, is_arranged], ["P", "W", "A"], "O"
    )
    owed = np.round(debts.amount[record] * np.where(is_settled, 0.0, np.where(is_halfway, 0.5, 1.0)), 2)
    address, old = _addresses(world, debts, rates, generator)
    invoice_date = _digits(day)[record]
    invoice_date[generator.random(len(record)) < rates["broken_rows"]] = "31022023"
    invoice_no = references(rows, 2_000_000_000, generator, width=10)
    debtor_ref = references(len(entries.person), 300_000_000, generator, width=9)
    first_line = np.where(address.home != "", address.home, address.street)
    second_line = np.where(address.home != "", address.street, "")
    columns = {
        "invoice_no": invoice_no[record],
        "debtor_ref": debtor_ref[entry][record],
        "debtor_name": one_name_field(entries, entry[record], style[entry][record], known).astype(
            f"U{_NAME_WIDTH}"
        ),
        "address_1": np.strings.upper(first_line).astype(f"U{_LINE_WIDTH}")[record],
        "address_2": np.strings.upper(second_line).astype(f"U{_LINE_WIDTH}")[record],
        "address_3": np.strings.upper(address.town).astype(f"U{_TOWN_WIDTH}")[record],
        "postcode": address.postcode[record],
        "debt_type": np.array(_TYPES)[debts.kind][record],
        "invoice_date": invoice_date,
        "original_amount": pounds(debts.amount)[record],
        "outstanding_amount": pounds(owed),
        "status": status,
        "recovery_stage": _STAGES[stage],
        "stage_date": _digits(stage_day),
        "uprn": np.full(len(record), ""),
    }
    dropped = np.where(is_settled, settled[record] + _KEPT_DAYS, OPEN).astype(np.int32)
    errors = entries.applied[entry] | address.applied | bits(old_address=old)
    household = stays.household[debts.stay]
    table = TableRecords(columns, record, known, dropped, invoice_no, debts.person, household, errors=errors)
    return {"debts": table}


def _debts(world: World, generator: np.random.Generator) -> _Debts:
    """All invoices of people who live here on the day, in order of day."""
    batches = [
        _overpayments(world, generator),
        _deposit_loans(world, generator),
        _care_charges(world, generator),
        _court_costs(world, generator),
        _tenant_arrears(world, generator),
        _of_everyday(world, PENALTY, _PENALTIES_A_YEAR, generator),
        _of_everyday(world, OTHER, _OTHERS_A_YEAR, generator),
    ]
    person = np.concatenate([batch[0] for batch in batches]).astype(np.int64)
    day = np.concatenate([batch[1] for batch in batches]).astype(np.int64)
    amount = np.concatenate([batch[2] for batch in batches])
    kind = np.concatenate([np.full(len(batch[0]), batch[3]) for batch in batches])
    stays = world.residences
    stay = stays.at(person, day.astype(np.int32))
    here = (
        (stay >= 0) & (stays.start[np.maximum(stay, 0)] <= day) & (stays.end[np.maximum(stay, 0)] >= day - 60)
    )
    here &= (day < world.last_day) & (day >= world.first_day - _BURN_IN_DAYS)
    rows = np.flatnonzero(here)
    rows = rows[np.lexsort((kind[rows], person[rows], day[rows]))]
    amount = np.round(np.clip(amount[rows], 5.0, 60_000.0), 2)
    return _Debts(person[rows], day[rows], amount, kind[rows], stay[rows])


def _overpayments(world: World, generator: np.random.Generator) -> _Batch:
    """Housing benefit paid for weeks in which too little was told."""
    course, benefits = world.course, world.course.benefits
    claims = np.flatnonzero(benefits.kind == HOUSING_BENEFIT)
    row, day = _times(world, benefits.start[claims], benefits.end[claims], _OVERPAYMENTS_A_YEAR, generator)
    person = course.households.lead[benefits.household[claims[row]]]
    return person, day, _amounts(1050, 0.9, len(row), generator), HB_OVERPAYMENT


def _deposit_loans(world: World, generator: np.random.Generator) -> _Batch:
    """Deposits lent to those who move into a private tenancy."""
    spells, households = world.course.spells, world.course.households
    low = households.low_income[spells.household]
    share = np.where(spells.after_relief, _DEPOSIT_LOANS_AFTER_RELIEF, np.where(low, _DEPOSIT_LOANS, 0.0))
    share = np.where(world.properties.tenure[spells.property] == PRIVATE, share, 0.0)
    rows = np.flatnonzero(generator.random(len(share)) < share)
    day = spells.start[rows].astype(np.int64) + generator.integers(0, 15, len(rows))
    amount = world.properties.weekly_rent[spells.property[rows]] * generator.uniform(4, 6, len(rows))
    return households.lead[spells.household[rows]], day, amount, DEPOSIT_LOAN


def _care_charges(world: World, generator: np.random.Generator) -> _Batch:
    """What people of 75 and above owe for care at home."""
    stays, people = world.residences, world.course.people
    adults = np.flatnonzero(stays.role != CHILD)
    from_75 = np.maximum(stays.start[adults], people.date_of_birth[stays.person[adults]] + 75 * 365)
    row, day = _times(world, from_75, stays.end[adults], _CARE_CHARGES_A_YEAR, generator)
    return stays.person[adults[row]], day, _amounts(1400, 0.8, len(row), generator), CARE_CHARGE


def _court_costs(world: World, generator: np.random.Generator) -> _Batch:
    """Costs of council tax summonses that stay open after the tax is paid: three months after the arrears began."""
    course = world.course
    months, last = course.month_starts, len(course.month_starts) - 1
    arrears = course.arrears
    long = arrears.on_council_tax.astype(bool) & (arrears.end - arrears.start >= 4)
    long &= generator.random(len(long)) < _COSTS_IN_LEDGER
    began = months[np.minimum(arrears.start[long], last)].astype(np.int64)
    person = course.households.lead[arrears.household[long]]
    day = began + generator.integers(95, 130, len(began))
    return person, day, generator.choice([78.5, 92.0, 117.5], len(day)), COURT_COSTS


def _tenant_arrears(world: World, generator: np.random.Generator) -> _Batch:
    """Rent that social tenants still owe when they leave."""
    course = world.course
    spells, arrears, months = course.spells, course.arrears, course.month_starts
    began = months[np.minimum(arrears.start, len(months) - 1)].astype(np.int64)
    spell = world.spell_at(arrears.household, began)
    social = (spell >= 0) & (world.properties.tenure[spells.property[np.maximum(spell, 0)]] == SOCIAL)
    end = spells.end[np.maximum(spell, 0)].astype(np.int64)
    left = social & (end < OPEN) & (end - began > 28) & (end - began < 400)
    day = end[left] + generator.integers(10, 45, left.sum())
    rent = world.properties.weekly_rent[spells.property[spell[left]]]
    weeks = (end - began)[left] / 7
    person = course.households.lead[arrears.household[left]]
    return person, day, rent * weeks * generator.uniform(0.3, 0.8, len(day)), TENANT_ARREARS


def _of_everyday(world: World, kind: int, rate: float, generator: np.random.Generator) -> _Batch:
    """Parking penalties, and what else people forget to pay."""
    course = world.course
    spells = course.spells
    low = course.households.low_income[spells.household]
    row, day = _times(
        world, spells.start, spells.end, np.where(low, _LOW_INCOME_FACTOR, 1.0) * rate, generator
    )
    person = course.households.lead[spells.household[row]]
    penalty = generator.choice([50.0, 70.0, 105.0], len(row))
    return person, day, penalty if kind == PENALTY else _amounts(120, 0.8, len(row), generator), kind


def _times(
    world: World, start: np.ndarray, end: np.ndarray, rate: float | np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw days between `start` and `end` at a yearly rate: the row that each belongs to, and the day."""
    begin = np.maximum(start.astype(np.int64), world.first_day - _BURN_IN_DAYS)
    years = np.maximum(np.minimum(end, world.last_day) - begin, 0) / 365.25
    row = np.repeat(np.arange(len(start)), generator.poisson(years * rate))
    return row, begin[row] + np.floor(generator.random(len(row)) * years[row] * 365.25).astype(np.int64)


def _amounts(median: float, spread: float, count: int, generator: np.random.Generator) -> np.ndarray:
    return median * np.exp(generator.normal(0, spread, count))


def _entries(world: World, debts: _Debts, generator: np.random.Generator) -> tuple[Registrations, np.ndarray]:
    """Return the registrations, and that of each invoice: some debtors have two accounts, and invoices on either."""
    stays, people = world.residences, world.course.people
    rates = error_model()["systems"]["sundry_debts"]
    who, first, of_debt = np.unique(debts.person, return_index=True, return_inverse=True)
    twice = np.flatnonzero(generator.random(len(who)) < rates["duplicate_person"])
    second = np.full(len(who), -1)
    second[twice] = len(who) + np.arange(len(twice))
    to_second = (second[of_debt] >= 0) & (generator.random(len(of_debt)) < 0.5)
    entry = np.where(to_second, second[of_debt], of_debt)
    entered, first = np.concatenate([who, who[twice]]), np.concatenate([first, first[twice]])
    weights = world.weights(entered, debts.day[first].astype(np.int32), debts.stay[first])
    partner = world.course.households.partner[stays.household[debts.stay[first]]]
    partner = np.where(partner == entered, -1, partner)
    records = np.bincount(entry, minlength=len(entered))
    entries = register(people, entered, weights, partner, "sundry_debts", generator, records)
    return as_cp1252(entries), entry


def _addresses(
    world: World, debts: _Debts, rates: dict[str, float], generator: np.random.Generator
) -> tuple[AddressText, np.ndarray]:
    """Return the address on each invoice, sometimes an earlier one, and where it is one."""
    stays, rows = world.residences, len(debts.day)
    late = generator.random(rows) < rates["old_address"]
    looked_up = np.where(late, debts.day - generator.integers(60, 900, rows), debts.day).astype(np.int32)
    stay = stays.at(debts.person, looked_up)
    weights = world.weights(debts.person, debts.day.astype(np.int32), debts.stay)
    address = typed(world.properties, stays.property[stay], weights, generator)
    old = late & (stays.property[stay] != stays.property[debts.stay])
    return replace(address, postcode=address.postcode.astype("U8")), old


def _digits(days: np.ndarray) -> np.ndarray:
    """Days as DDMMYYYY."""
    whole = np.where(days >= OPEN, MISSING, days).astype(np.int32)
    return np.strings.replace(as_text(whole, _DATES), "/", "")
