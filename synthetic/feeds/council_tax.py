"""Council tax: an account per household and home, a row per liable person, and recovery stages.

Published (feeds.md): reminder in month 2 of an arrears episode, summons in 3-4, liability order in 4-5; 95.9
% collected in year. Assumed: 88 % of one-adult households claim the single person discount;
accounts open 2-45 days and close 3-60 days late.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from synthetic.addresses import typed
from synthetic.dates import MISSING, OPEN, Days, as_text
from synthetic.errors import Registrations, as_cp1252, error_model, register
from synthetic.feeds.deliveries import TRACE_DAYS, WEEKLY, TableRecords, Traces, traces
from synthetic.hazard import LIABILITY_ORDER_AGE
from synthetic.identifiers import pounds, references
from synthetic.population import CHILD, GROWN_CHILD, LEAD, SHARER
from synthetic.properties import PRIVATE
from synthetic.streams import pick
from synthetic.world import World

RHYTHM = WEEKLY
ALWAYS_FULL = False

_KEPT_DAYS = 3 * 365
_MONTHLY_BILL = dict(zip("ABCDEFGH", (112, 131, 150, 168, 206, 243, 281, 337), strict=True))
_EARLIER_DEBTS, _EARLIER_MONTHS = 0.8, 5.6
"""Share of households in need that still owe from the year before, and how many months' bills (assumed, so that
the mean debt is the published one)."""
_STAGES = (
    "REMINDER1",
    "REMINDER2",
    "FINAL",
    "SUMMONS",
    "LIABILITY_ORDER",
    "ENFORCEMENT",
    "ARRANGEMENT",
    "CLEARED",
)


def make_records(world: World) -> dict[str, TableRecords]:
    """Accounts (one record per liable person of an account) and recovery stages."""
    generator = world.stream("council_tax")
    account_ref = references(len(world.course.spells.start), 70_000_000, generator)
    accounts = _accounts(world, account_ref, generator)
    return {
        "accounts": accounts,
        "recovery_stages": _recovery(world, account_ref, world.stream("council_tax recovery")),
    }


def precursors(tables: Mapping[str, TableRecords]) -> Traces:
    """Every recovery stage past the first reminder, which many forget to heed, and before it is cleared."""
    records = tables["recovery_stages"]
    telling = ~np.isin(records.columns["stage_code"], ["REMINDER1", "CLEARED"])
    household = None if records.household is None else records.household[records.record[telling]]
    return traces(household, records.known_on[telling], TRACE_DAYS)


def _accounts(world: World, account_ref: np.ndarray, generator: np.random.Generator) -> TableRecords:
    course, stays, properties = world.course, world.residences, world.properties
    rates = error_model()["systems"]["council_tax"]
    stay, position = _liable(world, generator)
    count = len(stay)
    person, spell, home = stays.person[stay], stays.spell[stay], stays.property[stay]
    start, end = stays.start[stay], stays.end[stay]
    tenure = properties.tenure[home]

    registration, entries = _parties(world, stay, rates, generator)
    party_ref = references(len(entries.person), 1_000_000_000, generator, width=10)
    party_ref = np.where(generator.random(len(party_ref)) < rates["missing"]["party_ref"], "", party_ref)[
        registration
    ]
    style = pick(generator, rates["name_styles"], len(entries.person))[registration]

    slow = np.where(tenure == PRIVATE, 1.6, 1.0)
    opened = (start + np.floor(generator.uniform(2, 45, count) * slow)).astype(np.int64)
    died = course.people.died_on[person] == end
    never = died & (generator.random(count) < error_model()["deceased_not_closed"])
    closing_lag = np.where(died, generator.uniform(14, 120, count), generator.uniform(3, 60, count) * slow)
    closed = np.where((end == OPEN) | never, OPEN, np.maximum(end + np.floor(closing_lag), opened + 1))

    first_discount, later_discount, discount_day = _discounts(world, spell, generator)
    first_ctr, later_ctr, ctr_day = _reductions(world, spell, generator)
    surname_day = np.where(
        entries.surname_known_on[registration] == MISSING, OPEN, entries.surname_known_on[registration]
    )

    changes = [opened, closed, surname_day, discount_day, ctr_day]
    record = np.tile(np.arange(count), len(changes))
    day = np.concatenate(changes)
    real = (day != OPEN) & (day >= opened[record])
    record, day = record[real], day[real].astype(np.int32)
    order = np.lexsort((day, record))
    record, day = record[order], day[order]
    fresh = np.append(True, (record[1:] != record[:-1]) | (day[1:] != day[:-1]))
    record, day = record[fresh], day[fresh]

    is_closed = day >= closed[record]
    vacation = np.where(is_closed, end[record], OPEN).astype(np.int32)
    names = _names(entries, registration[record], style[record], day)
    # The address belongs to the account: typed once, the same on every row.
    accounts, of_account = np.unique(spell, return_inverse=True)
    address = typed(properties, course.spells.property[accounts], np.ones(len(accounts)), generator)
    line1 = np.where(address.home != "", address.home, address.street)[of_account]
    line2 = np.where(address.home != "", address.street, "")[of_account]
    for_line, for_postcode = _forwarding(world, stay, rates, generator)
    no_uprn = (generator.random(len(accounts)) < rates["missing"]["uprn"])[of_account]
    uprn = np.where(no_uprn, "", properties.uprn[home])
    second = (generator.random(count) < rates["second_date_format"])[record]
    occupation = _dates(start[record], second)
    vacated = _dates(vacation, second)
    _break_rows(occupation, vacated, start[record], rates["broken_rows"], generator)

    columns = {
        "account_ref": account_ref[spell[record]],
        "lead_liab_pos": position[record].astype("U2"),
        "party_ref": party_ref[record],
        "lead_liab_title": np.strings.upper(entries.title[registration[record]]),
        "lead_liab_name": names,
        "date_of_birth": _dates(entries.date_of_birth[registration[record]], second),
        "uprn": uprn[record],
        "addr1": np.strings.upper(line1)[record],
        "addr2": np.strings.upper(line2)[record],
        "addr3": np.strings.upper(address.town)[of_account][record],
        "postcode": address.postcode[of_account][record],
        "for_addr1": np.where(is_closed, for_line[record], ""),
        "for_postcode": np.where(is_closed, for_postcode[record], ""),
        "occupation_date": occupation,
        "vacation_date": vacated,
        "discount_code": np.where(
            day >= discount_day[record], later_discount[record], first_discount[record]
        ),
        "band": properties.band[home][record],
        "ctr_ind": np.where(day >= ctr_day[record], later_ctr[record], first_ctr[record]),
    }
    key = np.strings.add(np.strings.add(account_ref[spell], "|"), position.astype("U2"))
    dropped = np.where(is_closed, vacation.astype(np.int64) + _KEPT_DAYS, OPEN).astype(np.int32)
    errors = entries.applied[registration] | address.applied[of_account]
    return TableRecords(columns, record, day, dropped, key, person, stays.household[stay], errors=errors)


def _liable(world: World, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the stays of liable people, in account and position order, and their positions from 1."""
    stays = world.residences
    adults = np.flatnonzero((stays.role < GROWN_CHILD) & (stays.end > world.first_day - _KEPT_DAYS))
    order = adults[np.lexsort((stays.role[adults], stays.spell[adults]))]
    chance = generator.random(len(order))
    spell, role = stays.spell[order], stays.role[order]
    first = np.append(True, spell[1:] != spell[:-1])
    kept = first | (role == LEAD) | (chance < np.where(role == SHARER, 0.55, 0.85))
    order, spell = order[kept], spell[kept]
    first_of_spell = np.searchsorted(spell, spell, side="left")
    return order, np.arange(len(order)) - first_of_spell + 1


def _parties(
    world: World, stay: np.ndarray, rates: dict[str, float], generator: np.random.Generator
) -> tuple[np.ndarray, Registrations]:
    """Return each record's registration, and the registrations: one per person until a reference is lost at a
    move.
    """
    stays, people = world.residences, world.course.people
    order = np.lexsort((stays.start[stay], stays.person[stay]))
    person = stays.person[stay][order]
    new = np.append(True, person[1:] != person[:-1])
    new |= generator.random(len(order)) < rates["reference_lost_at_move"] + rates["duplicate_person"]
    registration = np.empty(len(stay), dtype=np.int64)
    registration[order] = np.cumsum(new) - 1
    first = stay[order[new]]
    who, day = stays.person[first], stays.start[first]
    weights = world.weights(who, np.maximum(day, world.first_day - 900), first)
    nobody = np.full(len(who), -1)
    records = np.bincount(registration, minlength=len(who))
    return registration, as_cp1252(register(people, who, weights, nobody, "council_tax", generator, records))


def _names(entries: Registrations, rows: np.ndarray, style: np.ndarray, day: Days) -> np.ndarray:
    """Write each name in the one field, in one of four styles."""
    forename, middle = entries.forename[rows], entries.middle_name[rows]
    surname = entries.surname_on(rows, day)
    title = np.where(entries.title[rows] == "", "", np.strings.add(entries.title[rows], " "))
    middle_after = np.where(middle == "", "", np.strings.add(" ", middle))
    initials = np.strings.add(
        forename.astype("U1"), np.where(middle == "", "", np.strings.add(" ", middle.astype("U1")))
    )

    def joined(*texts: np.ndarray | str) -> np.ndarray:
        line = np.full(len(rows), "")
        for text in texts:
            line = np.strings.add(line, text)
        return line

    surname_first = joined(np.strings.upper(surname), ", ", forename, middle_after)
    with_initials = joined(title, initials, " ", surname)
    forename_first = joined(forename, " ", surname)
    upper_case = np.strings.upper(joined(title, forename, middle_after, " ", surname))
    return np.choose(style, [surname_first, with_initials, forename_first, upper_case])


def _discounts(
    world: World, spell: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return first and later discount code, and the day on which the later one shows (`OPEN`: never), per
    record.
    """
    course, stays = world.course, world.residences
    total = len(course.spells.start)
    grown = (stays.role != CHILD) & (_age_on(world, stays.person, stays.start) >= 18)
    at_start = grown & (stays.start <= course.spells.start[stays.spell] + 31)
    adults = np.bincount(stays.spell[at_start], minlength=total)
    leavers = np.flatnonzero(grown & (stays.end < course.spells.end[stays.spell]))
    # A home of two adults that one leaves: the discount begins some weeks later.
    left_on = np.full(total, OPEN, dtype=np.int64)
    two = leavers[adults[stays.spell[leavers]] == 2]
    np.minimum.at(left_on, stays.spell[two], stays.end[two].astype(np.int64))
    claims = generator.random(total) < 0.88
    lag = generator.integers(10, 75, total)
    student = (course.households.type[course.spells.household] == 5) & (generator.random(total) < 0.25)
    disregard = generator.random(total) < 0.02
    first = np.where(
        (adults <= 1) & claims, "SPD", np.where(student, "STU", np.where(disregard, "DIS", "NONE"))
    )
    later_day = np.where((left_on < OPEN) & claims, left_on + lag, OPEN)
    return first[spell], np.full(len(spell), "SPD"), later_day[spell]


def _age_on(world: World, person: np.ndarray, day: Days) -> np.ndarray:
    """Age in years on `day`."""
    return (day - world.course.people.date_of_birth[person]) / 365.25


def _reductions(
    world: World, spell: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Council tax reduction: most low-income households; some claim it when arrears begin."""
    course = world.course
    total = len(course.spells.start)
    claims = course.households.low_income[course.spells.household] & (generator.random(total) < 0.75)
    begins = np.full(total, OPEN, dtype=np.int64)
    day = course.month_starts[np.minimum(course.arrears.start, len(course.month_starts) - 1)]
    in_spell = world.spell_at(course.arrears.household, day)
    real = (in_spell >= 0) & (generator.random(len(day)) < 0.35)
    np.minimum.at(
        begins, in_spell[real], (day + generator.integers(30, 120, len(day)))[real].astype(np.int64)
    )
    first = np.where(claims, "Y", "N")[spell]
    return first, np.full(len(spell), "Y"), begins[spell]


def _forwarding(
    world: World, stay: np.ndarray, rates: dict[str, float], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the forwarding address line and postcode of stays that ended with a move inside the county."""
    stays = world.residences
    following = stays.next_of(stay)
    soon = (following >= 0) & (stays.start[np.maximum(following, 0)] - stays.end[stay] < 60)
    given = soon & (generator.random(len(stay)) < rates["forwarding_address"])
    rows = np.flatnonzero(given)
    address = typed(world.properties, stays.property[following[rows]], np.ones(len(rows)), generator)
    line = np.full(len(stay), "", dtype="U90")
    postcode = np.full(len(stay), "", dtype="U8")
    line[rows] = np.strings.upper(address.one_line(" "))
    postcode[rows] = address.postcode
    return line, postcode


def _dates(days: Days, second: np.ndarray) -> np.ndarray:
    open_text = "2099-12-31"
    return np.where(second, as_text(days, "%Y-%m-%d", open_text), as_text(days, "%d/%m/%Y", open_text))


def _break_rows(
    occupation: np.ndarray, vacation: np.ndarray, start: Days, rate: float, generator: np.random.Generator
) -> None:
    """Spoil a few versions in place: a day that does not exist, or an end before the beginning."""
    broken = np.flatnonzero(generator.random(len(start)) < rate)
    impossible = broken[::2]
    backwards = broken[1::2]
    occupation[impossible] = "31/02/2023"
    vacation[backwards] = as_text((start[backwards] - 30).astype(np.int32), "%d/%m/%Y")


def _recovery(world: World, account_ref: np.ndarray, generator: np.random.Generator) -> TableRecords:
    course = world.course
    months = course.month_starts
    spell, stage, day, owed_months = _need(world, generator)
    more = _forgotten(world, generator)
    spell, stage, day, owed_months = (
        np.concatenate(pair) for pair in zip((spell, stage, day, owed_months), more, strict=True)
    )
    home = course.spells.property[spell]
    bill = np.array(list(_MONTHLY_BILL.values()))[
        np.searchsorted(list(_MONTHLY_BILL), world.properties.band[home])
    ]
    noise = np.exp(generator.normal(0, 0.25, len(spell)))
    earlier = np.where(generator.random(len(course.spells.start)) < _EARLIER_DEBTS, 1, 0)[spell]
    owed_months = owed_months + np.where(owed_months >= 2.5, earlier * _EARLIER_MONTHS, 0.0)
    costs = np.where(stage >= 3, 78.5, 0.0) + np.where(stage == 5, 310.0, 0.0)
    balance = np.where(stage == 7, 0.0, np.round(bill * owed_months * noise + costs, 2))
    in_window = (
        (day < months[-1] + 31)
        & (day > world.first_day - _KEPT_DAYS)
        & (day > course.spells.start[spell] + 20)
    )
    spell, stage, day, balance = spell[in_window], stage[in_window], day[in_window], balance[in_window]
    order = np.lexsort((day, stage, spell))
    spell, stage, day, balance = spell[order], stage[order], day[order], balance[order]
    fresh = np.append(True, (spell[1:] != spell[:-1]) | (stage[1:] != stage[:-1]) | (day[1:] != day[:-1]))[
        : len(spell)
    ]
    spell, stage, day, balance = spell[fresh], stage[fresh], day[fresh], balance[fresh]
    code, text = np.array(_STAGES)[stage], as_text(day.astype(np.int32), "%d/%m/%Y")
    columns = {
        "account_ref": account_ref[spell],
        "stage_code": code,
        "stage_date": text,
        "balance": pounds(balance),
    }
    key = np.strings.add(
        np.strings.add(np.strings.add(np.strings.add(account_ref[spell], "|"), code), "|"), text
    )
    known = (day + generator.integers(0, 4, len(day))).astype(np.int32)
    dropped = (day + _KEPT_DAYS).astype(np.int32)
    return TableRecords(
        columns, np.arange(len(day)), known, dropped, key, None, course.spells.household[spell]
    )


def _need(world: World, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Stages of arrears episodes: spell, stage number, day, months owed."""
    course = world.course
    arrears, months = course.arrears, course.month_starts
    last = len(months) - 1
    began = months[np.minimum(arrears.start, last)].astype(np.int64)
    ended = np.where(arrears.end > last, OPEN, months[np.minimum(arrears.end, last)]).astype(np.int64)
    spell = world.spell_at(arrears.household, began)
    rows = np.flatnonzero((spell >= 0) & arrears.on_council_tax)
    spell, began, ended = spell[rows], began[rows], ended[rows]
    ordered_on = months[np.minimum(arrears.start[rows] + LIABILITY_ORDER_AGE, last)]
    by_duty = arrears.by_duty[rows].astype(bool)
    chance = generator.random(len(rows))
    steps = (
        (0, 35, 65, 2.0), (1, 60, 85, 2.8), (2, 62, 88, 3.0), (3, 92, 125, 4.5), (4, 150, 181, 6.5),
        (5, 230, 300, 9.0), (6, 150, 200, 6.0),
    )  # fmt: skip
    columns: list[tuple[np.ndarray, ...]] = []
    for stage, earliest, latest, owed in steps:
        day = began + generator.integers(earliest, latest, len(rows))
        if stage == 4:
            day = ordered_on + generator.integers(0, 28, len(rows))
        reached = day < ended
        if stage == 1:
            reached &= chance < 0.5
        elif stage == 2:
            reached &= chance >= 0.5
        elif stage == 6:
            reached &= chance < 0.3
        columns.append(
            (spell[reached], np.full(reached.sum(), stage), day[reached], np.full(reached.sum(), owed))
        )
    # Some pay at once when the trouble is over, most of the others by and by; the rest owe on.
    cleared = (
        (ended < OPEN) & (ended - began > 65) & (generator.random(len(rows)) < np.where(by_duty, 0.3, 0.8))
    )
    slow = generator.random(len(rows)) < 0.8
    later = np.where(slow, generator.integers(120, 700, len(rows)), generator.integers(0, 28, len(rows)))
    day = (ended + later)[cleared]
    columns.append((spell[cleared], np.full(len(day), 7), day, np.zeros(len(day))))
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))


def _forgotten(world: World, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Stages of households that forget an instalment and are in no need: mostly one reminder, seldom a
    liability order.
    """
    course = world.course
    bills, months = course.forgotten, course.month_starts
    last = len(months) - 1
    reminded = months[bills.start].astype(np.int64) + generator.integers(0, 28, len(bills.start))
    spell = world.spell_at(bills.household, reminded)
    rows = np.flatnonzero(spell >= 0)
    spell, lasted = spell[rows], bills.end[rows] - bills.start[rows]
    columns = []
    for stage, after, owed in ((0, 0, 1.5), (2, 1, 2.6), (3, 2, 4.0), (4, 3, 5.5)):
        month = bills.start[rows] + after
        reached = (bills.ordered[rows] if stage == 4 else lasted > after) & (month < last)
        reached = np.ones(len(rows), dtype=bool) if stage == 0 else reached.astype(bool)
        day = months[np.minimum(month[reached], last)] + generator.integers(0, 28, int(reached.sum()))
        day = reminded[rows] if stage == 0 else day
        columns.append((spell[reached], np.full(len(day), stage), day, np.full(len(day), owed)))
    paid = bills.end[rows] < last
    day = months[np.minimum(bills.end[rows][paid] + 1, last)] + generator.integers(0, 20, int(paid.sum()))
    # From the final notice on most pay in instalments: the account stays open for months.
    by_instalments = generator.integers(20, 130, int(paid.sum()))
    day = np.where(lasted[paid] > 1, day + by_instalments, day)
    columns.append((spell[paid], np.full(len(day), 7), day, np.zeros(len(day))))
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))
