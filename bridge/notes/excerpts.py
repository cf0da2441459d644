"""Redacted excerpts of case notes, for the council's own officers, where the council allows them.

Off unless `DOORSTEP_NOTE_EXCERPTS=allowed` is set on the council's side. An excerpt is made from a file of notes before
it is sealed and written beside the council's cases with mode 0600; it never enters a sealed package.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from bridge.files.parsing import parse_file
from bridge.files.problems import NoSuchFileError
from bridge.notes.identifiers import IdentifierFinder, KnownPeople, NoteSubject, redacted
from bridge.vault.vault import open_vault
from bridge.zone import CouncilZone
from stores.files import written_atomically

EXCERPTS_VARIABLE, ALLOWED = "DOORSTEP_NOTE_EXCERPTS", "allowed"
FEED, TABLE = "case_notes", "notes"
NAME_COLUMNS = ("forename", "middle_name", "surname", "full_name")

_LETTERS = re.compile(r"[^\W\d_]+")


class ExcerptsNotAllowedError(RuntimeError):
    """The council has not allowed excerpts of case notes."""


@dataclass(frozen=True)
class ExcerptReport:
    """What was written: the file, how many notes, and how many identifiers were taken out, by kind.

    `left_out` has the row numbers (the first is 1) of notes without a text or a readable date.
    """

    path: Path
    notes: int
    identifiers: Mapping[str, int]
    left_out: tuple[int, ...]


def known_people(zone: CouncilZone) -> KnownPeople:
    """Return the words of names and addresses in all of the council's vaults. Raises `KeyUnavailableError`."""
    names: set[str] = set()
    addresses: set[str] = set()
    partners = {contract.partner for contract in zone.contracts.values() if contract.holds_people}
    for partner in sorted(partners):
        if not zone.home.vault_db(partner).is_file():
            continue
        with open_vault(zone, partner) as vault:
            for batch in vault.identity_batches():
                for column in NAME_COLUMNS:
                    names |= _words(batch[column].unique().to_pylist())
                addresses |= _words(batch["address"].unique().to_pylist())
    return KnownPeople(frozenset(names), frozenset(addresses))


def write_excerpts(zone: CouncilZone, path: Path) -> ExcerptReport:
    """Write the notes of the file at `path` with every identifier taken out, one JSON line each, beside the cases.

    Raises `ExcerptsNotAllowedError` unless the council allows it, `NoSuchFileError`, and `RefusedFileError` for a file
    that is not one of case notes.
    """
    if os.environ.get(EXCERPTS_VARIABLE) != ALLOWED:
        raise ExcerptsNotAllowedError(
            f"Excerpts of case notes are off. A council that allows them sets {EXCERPTS_VARIABLE}={ALLOWED}."
        )
    if not path.is_file():
        raise NoSuchFileError(f"{path}: there is no such file. Check the path.")
    contract = zone.contracts[FEED]
    rows = parse_file(path, contract, contract.table(TABLE)).rows
    finder = IdentifierFinder(known_people(zone))
    taken: Counter[str] = Counter()
    lines: list[str] = []
    left_out: list[int] = []
    for number, row in enumerate(rows.to_pylist(), start=1):
        written = _day(row["note_date"])
        if written is None or not row["text"]:
            left_out.append(number)
            continue
        subject = NoteSubject(
            names=(row["given_name"] or "", row["family_name"] or ""),
            date_of_birth=_day(row["date_of_birth"]),
            address=row["address"] or None,
            initials=row["author_initials"] or None,
        )
        found = finder.find(row["text"], written, subject)
        taken.update(each.kind for each in found)
        excerpt = {"note_reference": row["note_reference"], "excerpt": redacted(row["text"], found)}
        lines.append(json.dumps(excerpt, ensure_ascii=False))
    target = zone.home.council / "cases" / "excerpts" / path.with_suffix(".jsonl").name
    with written_atomically(target) as aside:
        aside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return ExcerptReport(target, len(lines), dict(sorted(taken.items())), tuple(left_out))


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _words(values: list[str | None]) -> set[str]:
    return {word for value in values if value for word in _LETTERS.findall(value.casefold())}
