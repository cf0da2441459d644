"""Homelessness cases as in H-CLIC: applications, duties, reasons; always a full file of the past three years.

Published (feeds.md): with children 33.7 % of duties, a support need in 41.9 %. Assumed: one more application
in four ends in advice only; a case is in the file 1-4 days after the decision; how routes map to main
reasons.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from synthetic.addresses import typed
from synthetic.dates import Days, as_text
from synthetic.errors import bits, error_model, register
from synthetic.feeds.deliveries import CASE_DAYS, MONTH_END, TableRecords, Traces, traces
from synthetic.hazard import ARREARS, DOMESTIC_ABUSE, FAMILY_EXCLUSION, INSTITUTION, SECTION_21
from synthetic.identifiers import references
from synthetic.life_tables import DUTIES
from synthetic.population import CHILD
from synthetic.streams import pick
from synthetic.world import World

RHYTHM = MONTH_END
ALWAYS_FULL = True

_KEPT_DAYS = 3 * 365


def make_records(world: World) -> dict[str, TableRecords]:
    """One record per case, in order of application; one version each."""
    generator = world.stream("homelessness_cases")
    course, stays, properties, people = world.course, world.residences, world.properties, world.course.people
    rates = error_model()["systems"]["homelessness_cases"]
    cases = course.cases
    order = np.lexsort((cases.person, cases.applied))
    household, person = cases.household[order], cases.person[order]
    applied, decided, duty, route = (
        cases.applied[order],
        cases.decided[order],
        cases.duty[order],
        cases.route[order],
    )
    count = len(order)

    true_stay = stays.at(person, applied)
    old = generator.random(count) < rates["old_address"]
    looked_up = np.where(old, applied - generator.integers(60, 700, count), applied).astype(np.int32)
    stay = stays.at(person, looked_up)
    weights = world.weights(person, applied, true_stay)
    partner = course.households.partner[household]
    partner = np.where(partner == person, -1, partner)
    entries = register(people, person, weights, partner, "homelessness_cases", generator)
    rows = np.arange(count)

    home = stays.property[np.maximum(true_stay, 0)]
    tenure = properties.tenure[home]
    fixed = generator.random(count) > rates["no_fixed_abode"] * np.where(
        np.isin(route, [ARREARS, SECTION_21]), 0.5, 1.5
    )
    fixed &= stay >= 0
    address = typed(properties, stays.property[np.maximum(stay, 0)], weights, generator)
    line = np.where(fixed, address.one_line(" "), "NO FIXED ABODE")
    children = _children(world, household, applied)
    children = np.where(cases.with_children[order], np.maximum(children, 1), 0)
    more = generator.poisson(np.where(np.isin(route, [DOMESTIC_ABUSE, INSTITUTION]), 1.1, 0.5), count)
    needs = np.where(cases.support_need[order], 1 + np.minimum(more, 8), 0)

    columns = {
        "CaseReference": references(count, 20_000, generator, prefix="HC", width=7),
        "DateOfApplication": as_text(applied),
        "DateOfAssessment": as_text(decided),
        "DutyOwed": np.array(DUTIES)[duty],
        "Applicant/Forename": entries.forename,
        "Applicant/Surname": entries.surname_on(rows, applied),
        "Applicant/DateOfBirth": as_text(entries.date_of_birth),
        "Applicant/NationalInsuranceNumber": entries.nino,
        "Applicant/Address": line,
        "Applicant/Postcode": np.where(fixed, address.postcode, ""),
        "NumberOfChildren": children.astype("U2"),
        "MainReasonForLoss": _reasons(cases.reason[order], generator),
        "AccommodationAtApplication": _accommodation(route, tenure, fixed, generator),
        "SupportNeeds": needs.astype("U2"),
    }
    known = (decided + generator.integers(1, 5, count)).astype(np.int32)
    dropped: Days = (applied + _KEPT_DAYS).astype(np.int32)
    key = columns["CaseReference"]
    moved = (stay >= 0) & (stays.property[np.maximum(stay, 0)] != home)
    of_address = np.where(fixed, address.applied | bits(old_address=moved & old), 0).astype(np.uint32)
    errors = entries.applied | of_address
    return {"cases": TableRecords(columns, rows, known, dropped, key, person, household, errors=errors)}


def precursors(tables: Mapping[str, TableRecords]) -> Traces:
    """Every earlier case."""
    records = tables["cases"]
    return traces(records.household, records.known_on, CASE_DAYS)


def _children(world: World, household: np.ndarray, day: Days) -> np.ndarray:
    """Number of children under 18 in each household on `day`."""
    people = world.course.people
    rows = np.flatnonzero(people.role == CHILD)
    order = rows[np.argsort(people.household[rows], kind="stable")]
    owner = people.household[order]
    first = np.searchsorted(owner, household, side="left")
    count = np.searchsorted(owner, household, side="right") - first
    case = np.repeat(np.arange(len(household)), count)
    offset = np.arange(len(case)) - np.repeat(np.cumsum(count) - count, count)
    child = order[np.repeat(first, count) + offset]
    age = day[case] - people.date_of_birth[child]
    return np.bincount(case[(age >= 0) & (age < 18 * 365.25)], minlength=len(household))


def _reasons(reason: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Codes of the reason for loss; one officer in twenty picks another."""
    codes = np.array(
        ["END_PRIVATE_TENANCY", "END_SOCIAL_TENANCY", "FAMILY_EXCLUSION", "DOMESTIC_ABUSE",
         "RELATIONSHIP_BREAKDOWN", "INSTITUTION", "OTHER"]
    )  # fmt: skip
    slipped = generator.random(len(reason)) < 0.05
    return codes[np.where(slipped, len(codes) - 1, reason)]


def _accommodation(
    route: np.ndarray, tenure: np.ndarray, fixed: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    by_tenure = np.array(["OWNER", "PRIVATE_RENT", "SOCIAL_RENT"])[tenure]
    homeless = np.array(["NO_FIXED_ABODE", "ROUGH_SLEEPING", "TEMPORARY", "OTHER"])[
        pick(generator, {"none": 0.6, "rough": 0.12, "temporary": 0.18, "other": 0.1}, len(route))
    ]
    place = np.where(route == FAMILY_EXCLUSION, "FAMILY_OR_FRIENDS", by_tenure)
    place = np.where(route == INSTITUTION, "OTHER", place)
    return np.where(fixed, place, homeless)
