"""The re-identification door: the one place where a reference becomes a person again.

It opens for a reference that came back from the analytics zone in a package that was opened and is not expired, whose
case is at or over the use case's threshold, to a named officer whose role may see that feed's records, for a purpose
that the use case names, and so many times a day. Everything else is refused, with a reason. Every opening and every
refusal is in the audit log before anything is shown; without a whole audit log nothing is opened.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bridge.cases.cases import CaseOfRecord, cases_of_record, openings_log
from bridge.cases.officers import Officer, Role, read_officers, read_roles
from bridge.vault.vault import VaultError, open_vault
from bridge.zone import CouncilZone
from governance.audit_log import NAME, NOT_GIVEN, AuditLogWriter, Opening
from governance.use_cases import UseCase, read_use_cases

RECORD_REF = re.compile(r"[0-9a-f]{32}")

REASONS = {
    "malformed_reference": "This is not a record reference. `doorstep cases list --refs` shows those that came back.",
    "unknown_officer": "There is no such officer. The council's list of officers is council/officers.yaml.",
    "another_account": "This officer has another account on this machine. Log in as yourself.",
    "unknown_role": "The officer's role is not in contracts/roles.yaml.",
    "clock_went_back": "The audit log has a later entry than now. Set the machine's clock right.",
    "openings_used_up": "The officer has opened as many records today as the role allows.",
    "refusals_used_up": "The officer was refused too often today. Somebody has to look at the audit log first.",
    "not_asked": "No open sample of a review has this pair. `doorstep linkage review list` shows the samples.",
    "not_shown": "A verdict is given on a pair that was shown. `doorstep linkage review judge` shows it.",
    "review_not_for_this_role": "The officer's role may not open the pairs of a review (contracts/roles.yaml).",
    "not_returned": "No case that came back, and is not expired, has this record.",
    "below_threshold": "The score is below the use case's threshold.",
    "not_for_this_role": "The officer's role may not open cases of this use case.",
    "purpose_not_allowed": "The use case or review does not name this purpose, or the role may not act for it.",
    "not_held": "No vault holds this record: a vault may have been lost. Run `doorstep vault status`.",
    "erased": "The person was erased and cannot be brought back.",
    "feed_not_for_this_role": "The officer's role may not see records of this partner feed.",
    "unreadable": "The vault cannot read this identity. Run `doorstep vault verify`.",
}
"""Reasons of refusal by their short name, with what to do."""


class RefusedError(RuntimeError):
    """An opening was refused. `reason` is a key of `REASONS`; the refusal is in the audit log."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"refused ({reason}): {REASONS[reason]}")
        self.reason = reason


@dataclass(frozen=True)
class Request:
    """Who asks for what: `system_user` is the account that the operating system says is logged in."""

    record_ref: str
    officer: str
    purpose: str
    system_user: str
    at: datetime


@dataclass(frozen=True)
class OpenedCase:
    """An identity, for the screen of the officer who asked and nowhere else. Its text form holds no value.

    `reasons` are those of the score that come from feeds whose records the role may see; the rest is only counted.
    """

    feed: str
    case: CaseOfRecord
    reasons: tuple[str, ...]
    reasons_withheld: int
    identity: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"OpenedCase(feed={self.feed!r})"


def open_case(zone: CouncilZone, request: Request) -> OpenedCase:
    """Return the identity behind `request.record_ref`, cut to what the officer's role shows.

    Raises `RefusedError` if the door stays shut, `AuditLogError` if the audit log is not whole, `ValueError` if
    `request.at` has no time zone.
    """
    if request.at.tzinfo is None:
        raise ValueError("the time of a request needs a time zone")
    with openings_log(zone).writing() as log:
        door = _CaseDoor(zone, request, log, first_entry(request))
        try:
            opened = door.open()
        except RefusedError as refusal:
            log.add(replace(door.entry, verdict="refused", reason=refusal.reason))
            raise
        log.add(door.entry)
        return opened


def first_entry(request: Request) -> Opening:
    """Return what the audit log will say of `request` before anything of it has been checked."""
    return Opening(
        at=request.at.isoformat(timespec="seconds"),
        officer=_short(f"user.{request.system_user.lower()}"),
        role=NOT_GIVEN,
        purpose=NOT_GIVEN,
        use_case=NOT_GIVEN,
        record_ref=request.record_ref if RECORD_REF.fullmatch(request.record_ref) else NOT_GIVEN,
        verdict="opened",
        reason=NOT_GIVEN,
    )


@dataclass
class Door:
    """One request on its way through the checks that every opening has; `entry` is what the audit log will say of it.

    What a reference may be opened for is checked between the officer and the identity by who uses the door: a case
    here, a pair of a review in `bridge.review.pairs`.
    """

    zone: CouncilZone
    request: Request
    log: AuditLogWriter
    entry: Opening

    def officer(self) -> tuple[Officer, Role]:
        officer = read_officers(self.zone.home).get(self.request.officer)
        if officer is None:
            raise RefusedError("unknown_officer")
        if officer.system_user != self.request.system_user:
            raise RefusedError("another_account")
        role = read_roles().get(officer.role)
        if role is None:
            raise RefusedError("unknown_role")
        self.entry = replace(self.entry, officer=officer.officer, role=officer.role)
        return officer, role

    def within_limits(self, officer: Officer, role: Role, openings: int = 1) -> None:
        """Refuse if the officer has fewer than `openings` left today, or was refused too often."""
        earlier = self.log.entries
        if earlier and datetime.fromisoformat(earlier[-1].at) > self.request.at:
            raise RefusedError("clock_went_back")
        today = [
            each.verdict
            for each in earlier
            if each.officer == officer.officer
            and datetime.fromisoformat(each.at).date() == self.request.at.date()
        ]
        if today.count("refused") >= role.refusals_per_day:
            raise RefusedError("refusals_used_up")
        if today.count("opened") + openings > role.openings_per_day:
            raise RefusedError("openings_used_up")

    def identity(self, role: Role) -> tuple[str, Mapping[str, Any]]:
        """Return the feed and the identity of the record, cut to what the role shows."""
        for partner in self._partners():
            with open_vault(self.zone, partner) as vault:
                if vault.is_erased(self.request.record_ref):
                    raise RefusedError("erased")
                feed = vault.feed_of(self.request.record_ref)
                if feed is None:
                    continue
                if feed not in role.feeds:
                    raise RefusedError("feed_not_for_this_role")
                try:
                    identity = vault.identity(self.request.record_ref)
                except VaultError:
                    raise RefusedError("unreadable") from None
                return feed, _shown(identity, role.shows)
        raise RefusedError("not_held")

    def _partners(self) -> Sequence[str]:
        partners = {contract.partner for contract in self.zone.contracts.values()}
        return [partner for partner in sorted(partners) if self.zone.home.vault_db(partner).is_file()]


class _CaseDoor(Door):
    """The door for a record of a case that came back."""

    def open(self) -> OpenedCase:
        officer, role = self.officer()
        self.within_limits(officer, role)
        if self.entry.record_ref == NOT_GIVEN:
            raise RefusedError("malformed_reference")
        case = self._case(role)
        feed, identity = self.identity(role)
        reasons = json.loads(case.reasons)
        told = tuple(each["text"] for each in reasons if each["feed"] in role.feeds)
        return OpenedCase(feed, case, told, len(reasons) - len(told), identity)

    def _case(self, role: Role) -> CaseOfRecord:
        use_cases = read_use_cases()
        if any(self.request.purpose in use_case.purposes for use_case in use_cases.values()):
            self.entry = replace(self.entry, purpose=self.request.purpose)
        cases = cases_of_record(self.zone, self.request.record_ref, self.request.at.date())
        if not cases:
            raise RefusedError("not_returned")
        refusals = [self._refusal(case, use_cases.get(case.use_case), role) for case in cases]
        if None not in refusals:
            self.entry = replace(self.entry, use_case=cases[0].use_case)
            raise RefusedError(str(refusals[0]))
        case = cases[refusals.index(None)]
        self.entry = replace(self.entry, use_case=case.use_case)
        return case

    def _refusal(self, case: CaseOfRecord, use_case: UseCase | None, role: Role) -> str | None:
        """Say why the case may not be opened; None if it may. The council's own threshold counts, not the package's."""
        if use_case is None or case.use_case not in role.use_cases:
            return "not_for_this_role"
        if case.score < use_case.threshold.minimum_score:
            return "below_threshold"
        purpose = self.request.purpose
        if purpose not in use_case.purposes or purpose not in role.use_cases[case.use_case]:
            return "purpose_not_allowed"
        return None


def _shown(identity: Mapping[str, Any], shows: Sequence[str]) -> Mapping[str, Any]:
    known = {**identity, "partner_key": identity["key"]}
    return {name: known[name] for name in shows if name in known}


def _short(text: str) -> str:
    return text if NAME.fullmatch(text) else NOT_GIVEN
