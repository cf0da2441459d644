"""The Homes and Money hub: what help it offered, who took it, and what came of it. JSON lines.

Help is offered first to those at high risk (`life_course`), so the helped do worse than the others at first
sight. Always a full file of the past three years. Assumed: an offer is answered within three weeks; an outcome
is written down within a fortnight; gains and debts by kind of help.
"""

from __future__ import annotations

import numpy as np

from synthetic.addresses import typed
from synthetic.circumstances import (
    COMPLETED,
    DEBT_ADVICE,
    INCOME_MAXIMISATION,
    INTERVENTION_KINDS,
    INTERVENTION_OUTCOMES,
    ONGOING,
)
from synthetic.dates import MISSING, OPEN, as_text
from synthetic.errors import bits, error_model, register
from synthetic.feeds.deliveries import MONTH_END, TableRecords
from synthetic.identifiers import pounds, references
from synthetic.streams import pick
from synthetic.world import World

RHYTHM = MONTH_END
ALWAYS_FULL = True

_KEPT_DAYS = 3 * 365
_SOURCES = {
    "COUNCIL_TAX": 0.27, "HOUSING": 0.22, "HOUSING_OPTIONS": 0.13, "SOCIAL_CARE": 0.08, "SELF": 0.18,
    "PARTNER_AGENCY": 0.12,
}  # fmt: skip
_ADVISERS = np.array(["AB", "CDR", "DM", "EO", "FK", "GW", "HT", "JP", "KS", "LN", "MAH", "NC"])
_MEDIAN_GAIN, _MEDIAN_DEBT = 38.0, 2900.0


def make_records(world: World) -> dict[str, TableRecords]:
    """Offers in order of their day, in up to three versions; outcomes in one."""
    generator = world.stream("hub_interventions")
    made = world.course.interventions
    offered = made.offered.astype(np.int64)
    rows = np.flatnonzero((offered > world.first_day - _KEPT_DAYS) & (offered < world.last_day))
    rows = rows[np.lexsort((made.household[rows], offered[rows]))]
    count, offered = len(rows), offered[rows]
    reference = references(count, 1_000_000, generator, prefix="HUB-", width=7)
    ended = made.ended[rows].astype(np.int64)
    accepted = made.accepted[rows].astype(bool)
    answered = offered + generator.integers(1, 21, count)
    # Whoever is helped for days only said yes at once.
    answered = np.where(accepted, np.minimum(answered, np.maximum(ended - 1, offered)), answered)
    return {
        "interventions": _interventions(world, rows, reference, answered, generator),
        "outcomes": _outcomes(world, rows, reference, answered, world.stream("hub_interventions outcomes")),
    }


def _interventions(
    world: World,
    rows: np.ndarray,
    reference: np.ndarray,
    answered: np.ndarray,
    generator: np.random.Generator,
) -> TableRecords:
    made, stays, properties = world.course.interventions, world.residences, world.properties
    rates = error_model()["systems"]["hub_interventions"]
    count = len(rows)
    person, offered = made.person[rows], made.offered[rows]
    accepted, ended = made.accepted[rows].astype(bool), made.ended[rows].astype(np.int64)

    order = np.lexsort((np.arange(count), person))
    who = person[order]
    new = np.append(True, who[1:] != who[:-1])[:count] | (generator.random(count) < rates["duplicate_person"])
    registration = np.empty(count, dtype=np.int64)
    registration[order] = np.cumsum(new) - 1
    entered = order[new]
    stay = stays.at(person[entered], offered[entered])
    weights = world.weights(person[entered], offered[entered], stay)
    nobody = np.full(len(entered), -1)
    people = world.course.people
    entries = register(
        people,
        person[entered],
        weights,
        nobody,
        "hub_interventions",
        generator,
        np.bincount(registration, minlength=len(entered)),
    )
    client = references(len(entered), 30_000, generator, prefix="C", width=7)

    lag = np.where(generator.random(count) < rates["old_address"], generator.integers(60, 600, count), 0)
    lived = stays.at(person, (offered - lag).astype(np.int32))
    address = typed(properties, stays.property[np.maximum(lived, 0)], weights[registration], generator)
    nowhere = (lived < 0) | (generator.random(count) < rates["missing"]["address"])
    no_postcode = nowhere | (generator.random(count) < rates["missing"]["postcode"])

    first_seen = offered + generator.integers(0, 4, count)
    record = np.tile(np.arange(count), 3)
    last = np.where(accepted, ended, OPEN)
    day = np.concatenate([first_seen, np.maximum(answered, first_seen), last])
    real = day < OPEN
    record, day = record[real], day[real]
    order = np.lexsort((day, record))
    record, day = record[order], day[order]
    fresh = np.append(True, (record[1:] != record[:-1]) | (day[1:] != day[:-1]))[: len(record)]
    record, day = record[fresh], day[fresh]
    is_answered, is_ended = day >= answered[record], accepted[record] & (day >= ended[record])
    broken = is_ended & (generator.random(len(record)) < rates["broken_rows"])
    shown_end = np.where(is_ended, np.where(broken, offered[record] - 40, ended[record]), MISSING)
    begun = np.where(is_answered & accepted[record], answered[record], MISSING)
    source = np.array(list(_SOURCES))[pick(generator, _SOURCES, count)]
    adviser = _ADVISERS[generator.integers(0, len(_ADVISERS), count)]
    row = registration[record]
    columns = {
        "referral/reference": reference[record],
        "referral/source": source[record],
        "client/id": client[row],
        "client/name/given": entries.forename[row],
        "client/name/family": entries.surname_on(row, offered[record]),
        "client/date_of_birth": as_text(entries.date_of_birth[row]),
        "client/contact/phone": entries.phone[row],
        "client/contact/address": np.where(nowhere, "", address.one_line())[record],
        "client/contact/postcode": np.where(no_postcode, "", address.postcode)[record],
        "support/kind": np.strings.upper(np.array(INTERVENTION_KINDS))[made.kind[rows]][record],
        "support/offered_on": as_text(offered)[record],
        "support/accepted": np.where(is_answered, np.where(accepted[record], "true", "false"), ""),
        "support/accepted_on": as_text(begun.astype(np.int32)),
        "support/ended_on": as_text(shown_end.astype(np.int32)),
        "support/adviser": adviser[record],
    }
    dropped = (offered[record].astype(np.int64) + _KEPT_DAYS).astype(np.int32)
    household = made.household[rows]
    true_stay = stays.at(person, offered)
    moved = stays.property[np.maximum(true_stay, 0)] != stays.property[np.maximum(lived, 0)]
    of_address = np.where(nowhere, 0, address.applied | bits(old_address=moved)).astype(np.uint32)
    errors = entries.applied[registration] | of_address
    return TableRecords(
        columns, record, day.astype(np.int32), dropped, reference, person, household, errors=errors
    )


def _outcomes(
    world: World,
    rows: np.ndarray,
    reference: np.ndarray,
    answered: np.ndarray,
    generator: np.random.Generator,
) -> TableRecords:
    """One outcome per offer that is over; money where help was completed."""
    made = world.course.interventions
    accepted, outcome, kind = made.accepted[rows].astype(bool), made.outcome[rows], made.kind[rows]
    over = np.where(accepted, made.ended[rows].astype(np.int64), answered)
    done = np.flatnonzero((outcome != ONGOING) & (over < OPEN))
    recorded = over[done] + generator.integers(0, 15, len(done))
    done, recorded = done[recorded < world.last_day], recorded[recorded < world.last_day]
    order = np.lexsort((done, recorded))
    done, recorded = done[order], recorded[order].astype(np.int32)
    count = len(done)
    gain = np.round(_MEDIAN_GAIN * np.exp(generator.normal(0, 0.6, count)), 2)
    debt = np.round(_MEDIAN_DEBT * np.exp(generator.normal(0, 0.9, count)), 2)
    completed = outcome[done] == COMPLETED
    won = completed & (kind[done] == INCOME_MAXIMISATION) & (generator.random(count) < 0.8)
    ordered = completed & (kind[done] == DEBT_ADVICE) & (generator.random(count) < 0.9)
    own = references(count, 2_000_000, generator, prefix="OUT-", width=7)
    columns = {
        "outcome/reference": own,
        "referral/reference": reference[done],
        "outcome/recorded_on": as_text(recorded),
        "outcome/code": np.strings.upper(np.array(INTERVENTION_OUTCOMES))[outcome[done]],
        "outcome/money/weekly_gain": np.where(won, pounds(np.minimum(gain, 1500)), ""),
        "outcome/money/debt_managed": np.where(ordered, pounds(np.minimum(debt, 90_000)), ""),
    }
    dropped = (recorded.astype(np.int64) + _KEPT_DAYS).astype(np.int32)
    return TableRecords(columns, np.arange(count), recorded, dropped, own, None, made.household[rows][done])
