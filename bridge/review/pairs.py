"""A pair of a review, opened side by side: through the same door as a case, for a reviewer's role and purpose.

Both records are openings of their own: two lines of the audit log, two of the day's openings. The reviewer is not told
which partner a record is from, how strongly linkage holds the two together, or whether it does at all: a reviewer who
knows what the machine thinks tends to think it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bridge.cases.cases import openings_log
from bridge.cases.officers import Officer, Role
from bridge.cases.reidentify import Door, RefusedError, Request, first_entry
from bridge.review.agreement import Field, fields_of
from bridge.review.samples import note_shown, pair_of
from bridge.zone import CouncilZone
from exchange.review import FOLDER
from governance.audit_log import NOT_GIVEN, AuditLogWriter, Opening
from governance.linkage_review import read_review_rules

REVIEW = FOLDER
"""What the audit log calls a review, in the place of a use case."""

LASTING_REFUSALS = frozenset({"erased", "not_held", "unreadable", "feed_not_for_this_role"})
"""Refusals that will be the same tomorrow: the pair is not asked about again."""


@dataclass(frozen=True)
class PairRequest:
    """Who asks for which pair, and for what. `system_user` is whom the operating system says is logged in."""

    sample_id: str
    number: int
    officer: str
    purpose: str
    system_user: str
    at: datetime


@dataclass(frozen=True)
class OpenedPair:
    """Two identities, for the screen of the reviewer who asked and nowhere else. Its text form holds no value.

    `fields`: what each record holds, field by field, and how the two agree in it.
    """

    sample_id: str
    number: int
    role: str
    fields: tuple[Field, ...]

    def __repr__(self) -> str:
        return f"OpenedPair(sample_id={self.sample_id!r}, number={self.number})"


def open_pair(zone: CouncilZone, request: PairRequest) -> OpenedPair:
    """Return the two identities of a pair of an open sample, cut to what the reviewer's role shows.

    Raises `RefusedError` if the door stays shut, `AuditLogError` if the audit log is not whole, `ValueError` if
    `request.at` has no time zone.
    """
    if request.at.tzinfo is None:
        raise ValueError("the time of a request needs a time zone")
    references = pair_of(zone, request.sample_id, request.number)
    with openings_log(zone).writing() as log:
        doors = [_door(zone, log, request, record_ref) for record_ref in references or ("",)]
        try:
            role_name, identities = _opened(doors, request, asked=references is not None)
        except RefusedError as refusal:
            log.add(replace(doors[0].entry, verdict="refused", reason=refusal.reason))
            if refusal.reason in LASTING_REFUSALS:
                note_shown(
                    zone, request.sample_id, request.number, request.officer, request.at, refusal.reason
                )
            raise
        for door in doors:
            log.add(door.entry)
    note_shown(zone, request.sample_id, request.number, request.officer, request.at, None)
    return OpenedPair(request.sample_id, request.number, role_name, fields_of(*identities))


def _door(zone: CouncilZone, log: AuditLogWriter, request: PairRequest, record_ref: str) -> Door:
    asked = Request(record_ref, request.officer, request.purpose, request.system_user, request.at)
    return Door(zone, asked, log, first_entry(asked))


def _opened(doors: list[Door], request: PairRequest, *, asked: bool) -> tuple[str, list[Mapping[str, Any]]]:
    first = doors[0]
    officer, role = first.officer()
    first.within_limits(officer, role, openings=2)
    for door in doors:
        door.entry = _told(door.entry, officer, request.purpose)
    if not asked:
        raise RefusedError("not_asked")
    _may_review(role, request.purpose)
    return officer.role, [door.identity(role)[1] for door in doors]


def _told(entry: Opening, officer: Officer, purpose: str) -> Opening:
    known = purpose if purpose in read_review_rules().purposes else NOT_GIVEN
    return replace(entry, officer=officer.officer, role=officer.role, use_case=REVIEW, purpose=known)


def _may_review(role: Role, purpose: str) -> None:
    if not role.reviews:
        raise RefusedError("review_not_for_this_role")
    if purpose not in role.reviews or purpose not in read_review_rules().purposes:
        raise RefusedError("purpose_not_allowed")
