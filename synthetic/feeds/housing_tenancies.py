"""Social tenancies: people on them, and rent arrears actions.

Published (feeds.md): rent arrears in month 1-2 of an episode, notice in 3-5, possession claim after; claim to
repossession 24.5 weeks. Assumed: half of other adults in the home are not recorded; balances (STAT) are sent
weekly, for accounts in arrears only; 55-95 % of the rent goes unpaid during an episode; 12 % of tenancies a
year slip for 3-12 weeks without being in need.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from synthetic.addresses import typed
from synthetic.dates import MISSING, OPEN, Days, as_text
from synthetic.errors import error_model, register
from synthetic.feeds.deliveries import TRACE_DAYS, WEEKLY, TableRecords, Traces, traces
from synthetic.identifiers import pounds, references
from synthetic.life_tables import Possessions
from synthetic.population import CHILD, GROWN_CHILD, LEAD, PARTNER, SHARER
from synthetic.properties import SOCIAL
from synthetic.world import World

RHYTHM = WEEKLY
ALWAYS_FULL = False

_KEPT_DAYS, _ACTIONS_KEPT_DAYS = 3 * 365, 2 * 365
_ACTIONS = ("STAT", "IRA1", "ARRN", "NTQ", "CORT", "POP", "COUT")
_IN_COURT = 4
_DATES, _OPEN_TEXT = "%d-%b-%Y", "31-DEC-2099"


def make_records(world: World) -> dict[str, TableRecords]:
    """Tenants (one record per person per tenancy, some people twice) and arrears actions."""
    generator = world.stream("housing_tenancies")
    course = world.course
    tenancy_ref = references(len(course.spells.start), 3_000_000, generator, prefix="T", width=8)
    notices = np.full(len(course.spells.start), OPEN, dtype=np.int64)
    actions = _actions(world, tenancy_ref, notices, world.stream("housing_tenancies arrears"))
    return {"tenants": _tenants(world, tenancy_ref, notices, generator), "arrears_actions": actions}


def precursors(tables: Mapping[str, TableRecords]) -> Traces:
    """Every arrears action."""
    records = tables["arrears_actions"]
    return traces(records.household, records.known_on, TRACE_DAYS)


def _tenants(
    world: World, tenancy_ref: np.ndarray, notices: np.ndarray, generator: np.random.Generator
) -> TableRecords:
    course, stays, properties, people = world.course, world.residences, world.properties, world.course.people
    rates = error_model()["systems"]["housing_tenancies"]
    social = properties.tenure[stays.property] == SOCIAL
    recorded = np.flatnonzero(social & (stays.end > world.first_day - _KEPT_DAYS))
    other_adult = np.isin(stays.role[recorded], [SHARER, GROWN_CHILD])
    recorded = recorded[~other_adult | (generator.random(len(recorded)) > rates["other_adults_not_recorded"])]
    recorded = recorded[np.lexsort((stays.role[recorded], stays.spell[recorded]))]

    # The system's own person references: one per person, and a second one for some.
    who = np.unique(stays.person[recorded])
    first_stay = stays.at(who, np.full(len(who), world.first_day))
    held_twice = np.flatnonzero(generator.random(len(who)) < rates["duplicate_person"])
    entered = np.concatenate([who, who[held_twice]])
    entered_stay = np.concatenate([first_stay, first_stay[held_twice]])
    day = np.maximum(stays.start[entered_stay], world.first_day - 700)
    partner = course.households.partner[stays.household[entered_stay]]
    partner = np.where(partner == entered, -1, partner)
    of_person = np.bincount(np.searchsorted(who, stays.person[recorded]), minlength=len(who))
    entries = register(
        people,
        entered,
        world.weights(entered, day, entered_stay),
        partner,
        "housing_tenancies",
        generator,
        np.concatenate([of_person, of_person[held_twice]]),
    )
    per_ref = references(len(entered), 400_000, generator, prefix="P", width=8)

    entry = np.searchsorted(who, stays.person[recorded])
    twin_entry = np.full(len(who), -1)
    twin_entry[held_twice] = len(who) + np.arange(len(held_twice))
    # A person held twice stands twice on the tenancy (both references), as a merge that nobody made.
    twice = np.flatnonzero(twin_entry[entry] >= 0)
    stay = np.concatenate([recorded, recorded[twice]])
    entry = np.concatenate([entry, twin_entry[entry[twice]]])
    order = np.lexsort((per_ref[entry], stays.role[stay], stays.spell[stay]))
    stay, entry = stay[order], entry[order]

    count = len(stay)
    spell, person = stays.spell[stay], stays.person[stay]
    start, end = stays.start[stay].astype(np.int64), stays.end[stay].astype(np.int64)
    role = stays.role[stay]
    first = np.append(True, spell[1:] != spell[:-1])
    main = first & (role < GROWN_CHILD)
    relation = np.select(
        [main, role == PARTNER, np.isin(role, [CHILD, GROWN_CHILD])], ["SELF", "PARTNER", "CHILD"], "OTHER"
    )
    relation = np.where(~main & (role == LEAD), "OTHER", relation)

    opened = start + generator.integers(0, 8, count)
    born_inside = people.date_of_birth[person] == start
    opened = np.where(born_inside, start + generator.integers(20, 200, count), opened)
    died = people.died_on[person] == end
    never = died & ~main & (generator.random(count) < error_model()["deceased_not_closed"])
    closed = np.where(
        (end == OPEN) | never, OPEN, np.maximum(end + generator.integers(0, 15, count), opened + 1)
    )
    surname_day = np.where(entries.surname_known_on[entry] == MISSING, OPEN, entries.surname_known_on[entry])
    notice_day = notices[spell]

    changes = [opened, closed, surname_day, notice_day]
    record = np.tile(np.arange(count), len(changes))
    day = np.concatenate(changes)
    real = (day != OPEN) & (day >= opened[record])
    record, day = record[real], day[real].astype(np.int32)
    order = np.lexsort((day, record))
    record, day = record[order], day[order]
    fresh = np.append(True, (record[1:] != record[:-1]) | (day[1:] != day[:-1]))
    record, day = record[fresh], day[fresh]

    is_closed = day >= closed[record]
    shown_end = np.where(is_closed, end[record], OPEN).astype(np.int32)
    homes = stays.property[stay]
    # The address is the tenancy's, typed once; everyone on it shows the same line.
    tenancies, of_tenancy = np.unique(spell, return_inverse=True)
    address = typed(properties, course.spells.property[tenancies], np.ones(len(tenancies)), generator)
    line, postcode = address.one_line()[of_tenancy], address.postcode[of_tenancy]
    no_uprn = (generator.random(len(tenancies)) < rates["missing"]["uprn"])[of_tenancy]
    uprn = np.where(no_uprn, "", properties.uprn[homes])
    kind = np.array(["SEC", "ASY", "INT", "DEC"])[
        np.searchsorted([0.70, 0.86, 0.94], generator.random(len(tenancies)), side="right")
    ]
    kind = np.where(course.spells.after_relief[tenancies], "TACCFLAT", kind)[of_tenancy]
    adult = (start - people.date_of_birth[person]) / 365.25 >= 16
    nino = np.where(adult, entries.nino[entry], "")
    phone = np.where(adult, entries.phone[entry], "")

    row = entry[record]
    shown_notice = np.where(day >= notice_day[record], notice_day[record], MISSING).astype(np.int32)
    begins = as_text(start[record].astype(np.int32), _DATES, _OPEN_TEXT)
    broken = generator.random(len(record)) < rates["broken_rows"]
    columns = {
        "lpar_tcy_alt_ref": tenancy_ref[spell[record]],
        "lpar_per_alt_ref": per_ref[row],
        "lpar_per_title": np.where(adult[record], entries.title[row], ""),
        "lpar_per_forename": entries.forename[row],
        "lpar_per_surname": entries.surname_on(row, day),
        "lpar_per_date_of_birth": as_text(entries.date_of_birth[row], _DATES),
        "lpar_per_ni_no": nino[record],
        "lpar_phone": phone[record],
        "ladr_uprn": uprn[record],
        "ladr_address": line[record],
        "lael_postcode": postcode[record],
        "lpar_tin_main_tenant_ind": np.where(main, "Y", "N")[record],
        "lpar_hop_hrv_rel_code": relation[record],
        "lpar_tin_start_date": np.where(broken, "31-FEB-2023", begins),
        "lpar_tin_end_date": as_text(shown_end, _DATES, _OPEN_TEXT),
        "ltcy_tty_code": kind[record],
        "ltcy_notice_given_date": as_text(shown_notice, _DATES),
        "weekly_rent": pounds(properties.weekly_rent[homes])[record],
    }
    key = np.strings.add(np.strings.add(tenancy_ref[spell], "|"), per_ref[entry])
    dropped = np.where(is_closed, shown_end.astype(np.int64) + _KEPT_DAYS, OPEN).astype(np.int32)
    errors = entries.applied[entry] | address.applied[of_tenancy]
    return TableRecords(columns, record, day, dropped, key, person, stays.household[stay], errors=errors)


def _actions(
    world: World, tenancy_ref: np.ndarray, notices: np.ndarray, generator: np.random.Generator
) -> TableRecords:
    """Arrears actions of episodes in social homes, and small arrears of tenants who are in no need; fills
    `notices` by spell.
    """
    course, properties = world.course, world.properties
    months = course.month_starts
    last = len(months) - 1
    arrears = course.arrears
    began = months[np.minimum(arrears.start, last)].astype(np.int64)
    ended = np.where(arrears.end > last, world.last_day + 40, months[np.minimum(arrears.end, last)]).astype(
        np.int64
    )
    # A duty does not pay the arrears off: the account stays open for some weeks more.
    by_duty = arrears.by_duty.astype(bool)
    ended = np.where(by_duty, ended + 60, ended)
    resolved = (arrears.end <= last) & ~by_duty
    spell = world.spell_at(arrears.household, began)
    social = (spell >= 0) & (properties.tenure[course.spells.property[np.maximum(spell, 0)]] == SOCIAL)
    rows = np.flatnonzero(social)
    spell, began, ended, resolved = spell[rows], began[rows], ended[rows], resolved[rows]
    # Eight weeks' rent are owed in the episode's fourth month.
    unpaid = generator.uniform(0.49, 0.60, len(rows))
    in_court = _court_days(course.possessions, arrears.household[rows], began, generator)

    # Tenants who slip for some weeks (housing benefit in arrears, a late wage): 3 % of tenancies a year.
    tenancies = np.flatnonzero(properties.tenure[course.spells.property] == SOCIAL)
    begin = np.maximum(course.spells.start[tenancies], world.first_day - _ACTIONS_KEPT_DAYS)
    years = np.maximum(np.minimum(course.spells.end[tenancies], world.last_day) - begin, 0) / 365.25
    times = generator.poisson(0.03 * years)
    slip_spell = np.repeat(tenancies, times)
    slip_began = np.repeat(begin, times) + np.floor(
        generator.random(len(slip_spell)) * np.repeat(years, times) * 365
    )
    slip_ended = slip_began + generator.integers(21, 84, len(slip_spell))
    spell = np.concatenate([spell, slip_spell])
    began = np.concatenate([began, slip_began.astype(np.int64)])
    ended = np.concatenate([ended, slip_ended.astype(np.int64)])
    resolved = np.concatenate([resolved, np.ones(len(slip_spell), dtype=bool)])
    in_court = np.concatenate([in_court, np.full(len(slip_spell), OPEN)])
    unpaid = np.concatenate([unpaid, generator.uniform(0.25, 0.6, len(slip_spell))])
    ended = np.minimum(ended, np.minimum(course.spells.end[spell] + 14, world.last_day + 40))
    episode = np.arange(len(spell))

    columns: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    weeks = np.maximum(ended - began, 0) // 7
    of = np.repeat(episode, weeks)
    week = np.arange(len(of)) - np.repeat(np.cumsum(weeks) - weeks, weeks)
    monday = began[of] - (began[of] + 3) % 7 + 7 * (week + 1)
    columns.append((of, np.full(len(of), 0), monday))
    # Action number, earliest and latest day of the episode, share that gets it.
    steps = (
        (1, 21, 45, 1.0),
        (2, 45, 75, 0.45),
        (3, 95, 150, 1.0),
        (4, 175, 225, 0.9),
        (5, 235, 300, 0.9),
    )
    for step, earliest, latest, share in steps:
        day = began + generator.integers(earliest, latest, len(episode))
        day = in_court if step == _IN_COURT else day
        reached = (day < ended) & (generator.random(len(episode)) < share)
        columns.append((episode[reached], np.full(reached.sum(), step), day[reached]))
        if step == 3:
            np.minimum.at(notices, spell[reached], day[reached])
    cleared = resolved & (ended - began > 28)
    columns.append((episode[cleared], np.full(cleared.sum(), 6), ended[cleared]))
    of, code, day = (np.concatenate(column) for column in zip(*columns, strict=True))
    codes = np.array(_ACTIONS)
    rent = properties.weekly_rent[course.spells.property[spell]]
    owed = np.maximum(
        (day - began[of]) / 7 * rent[of] * unpaid[of] * np.exp(generator.normal(0, 0.05, len(of))), 5.0
    )
    balance = np.where(code == 6, 0.0, np.round(owed, 2))
    in_window = (day > world.first_day - _ACTIONS_KEPT_DAYS) & (day < world.last_day + 31)
    of, code, day, balance = of[in_window], code[in_window], day[in_window], balance[in_window]
    order = np.lexsort((-balance, day, code, spell[of]))
    of, code, day, balance = of[order], code[order], day[order], balance[order]
    tenancy = spell[of]
    fresh = np.append(True, (tenancy[1:] != tenancy[:-1]) | (code[1:] != code[:-1]) | (day[1:] != day[:-1]))[
        : len(of)
    ]
    of, code, day, balance, tenancy = of[fresh], code[fresh], day[fresh], balance[fresh], tenancy[fresh]
    text = as_text(day.astype(np.int32), _DATES, _OPEN_TEXT)
    columns_out = {
        "laca_pay_ref": tenancy_ref[tenancy],
        "laca_ara_code": codes[code],
        "laca_effective_date": text,
        "laca_balance": pounds(balance),
    }
    known = (day + generator.integers(0, 3, len(day))).astype(np.int32)
    dropped: Days = (day + _ACTIONS_KEPT_DAYS).astype(np.int32)
    key = np.strings.add(
        np.strings.add(np.strings.add(np.strings.add(tenancy_ref[tenancy], "|"), codes[code]), "|"), text
    )
    household = course.spells.household[tenancy]
    return TableRecords(columns_out, np.arange(len(day)), known, dropped, key, None, household)


def _court_days(
    possessions: Possessions, household: np.ndarray, began: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """The day of the possession claim of each episode: that of its repossession, else 175 to 225 days on."""
    day = began + generator.integers(175, 225, len(began))
    order = np.lexsort((possessions.repossessed, possessions.household))
    key = possessions.household[order].astype(np.int64) * 2**20 + possessions.repossessed[order]
    place = np.searchsorted(key, household.astype(np.int64) * 2**20 + began, side="left")
    place = np.minimum(place, len(order) - 1)
    if not len(order):
        return day
    found = order[place]
    fits = (possessions.household[found] == household) & (possessions.claimed[found] > began)
    fits &= possessions.repossessed[found] - began < 700
    return np.where(fits, possessions.claimed[found], day)
