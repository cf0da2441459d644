"""The inbox: files that partners drop become deliveries in the ledger.

A delivery is what one partner system says on one day: one file per table of the contract (or one for several),
all of the same delivery date and kind. `inbox/<feed>/received=YYYY-MM-DD/` says when files reached the council; a file
straight in `inbox/<feed>/` is received on the night that first sees it. Each landing makes a delivery of what
had come by then, so a part that comes late, or comes again, is joined to the parts before it, and the outcome
hangs on the landings alone, not on the nights on which anybody looked.
"""

from __future__ import annotations

import hmac
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from pathlib import Path

from bridge.deliveries.ledger import (
    DUPLICATE,
    REFUSED,
    REGISTERED,
    WAITING_STATES,
    Delivery,
    DeliveryFile,
    InboxFile,
    deliveries,
    insert_deliveries,
    known_files,
    read_deliveries,
    read_known_files,
    remember_files,
    writing,
)
from bridge.deliveries.quarantine import keep_refused
from bridge.files.problems import Problem, told
from bridge.zone import CouncilZone
from governance.contracts import FeedContract, delivery_date_of
from stores.keys import derive_key

__all__ = [
    "WAITING_STATES",
    "Delivery",
    "RegistrationReport",
    "content_key",
    "content_mac",
    "deliveries",
    "register_deliveries",
]

LANDING = re.compile(r"received=(\d{4}-\d{2}-\d{2})")
# What transfer programs call a file that is still on its way.
UNFINISHED_SUFFIXES = (".part", ".tmp", ".filepart", ".crdownload")
READ_BYTES = 1 << 20


@dataclass(frozen=True)
class RegistrationReport:
    """What a look into the inbox found: counts of files and of new deliveries, and the deliveries themselves.

    `problems` says what people should see to, and `messages` says it in words; nothing in them is a row's
    value.
    """

    night: date
    files: int
    new_files: int
    not_yet_received: int
    registered: int
    duplicates: int
    refused: int
    deliveries: tuple[Delivery, ...]
    problems: tuple[Problem, ...]

    @property
    def messages(self) -> tuple[str, ...]:
        return tuple(str(problem) for problem in self.problems)


def register_deliveries(zone: CouncilZone, night: date) -> RegistrationReport:
    """Enter what is new in the inbox into the ledger; what it knows already costs a directory listing.

    Files in a landing folder dated after `night` have not come yet and are left alone. Raises
    `KeyUnavailableError` before anything is written.
    """
    seen, problems, not_yet = _look(zone, night)
    known = known_files(zone)
    fresh = [file for file in seen if not _unchanged(file, known.get(file.path))]
    if not fresh:
        return RegistrationReport(night, len(seen), 0, not_yet, 0, 0, 0, (), tuple(problems))
    key = content_key(zone)
    read = [replace(file, content_mac=content_mac(zone.home.inbox / file.path, key)) for file in fresh]
    with writing(zone) as connection:
        known = read_known_files(connection)
        remember_files(connection, read)
        current = {file.path: known.get(file.path, file) for file in seen} | {
            file.path: file for file in read
        }
        touched = {(file.feed, file.delivery_date, file.kind) for file in read}
        parts = [file for file in current.values() if (file.feed, file.delivery_date, file.kind) in touched]
        register = _Register(read_deliveries(connection))
        for delivery, found in _assemble(zone.contracts, key, parts, night):
            register.enter(delivery, found)
        for delivery, found in register.refused:
            keep_refused(zone, delivery, found)
        insert_deliveries(connection, register.fresh)
    states = [delivery.state for delivery in register.fresh]
    return RegistrationReport(
        night=night,
        files=len(seen),
        new_files=len(read),
        not_yet_received=not_yet,
        registered=states.count(REGISTERED),
        duplicates=states.count(DUPLICATE),
        refused=states.count(REFUSED),
        deliveries=tuple(register.fresh),
        problems=(*problems, *register.problems),
    )


def content_key(zone: CouncilZone) -> bytes:
    """Return the key of `content_mac`: without it nobody can test a guess of what a file held.

    Raises `KeyUnavailableError`.
    """
    return derive_key(zone.keys.root("pseudonym"), "delivery_content")


def content_mac(path: Path, key: bytes) -> str:
    """Return the keyed hash (HMAC-SHA256, hexadecimal) of a file, read piece by piece."""
    running = hmac.new(key, digestmod=sha256)
    with path.open("rb") as handle:
        while piece := handle.read(READ_BYTES):
            running.update(piece)
    return running.hexdigest()


def _look(zone: CouncilZone, night: date) -> tuple[list[InboxFile], list[Problem], int]:
    """List the inbox: files that a contract knows, problems with the others, and how many come later."""
    seen: list[InboxFile] = []
    problems: list[Problem] = []
    not_yet = 0
    for folder in _entries(zone.home.inbox, folders=True):
        contract = zone.contracts.get(folder.name)
        if contract is None:
            problems.append(_unknown_feed(folder.name, zone.contracts))
            continue
        for entry, received in _files(Path(folder.path), night, problems, folder.name):
            if received > night:
                not_yet += 1
            elif (file := _recognised(contract, entry, received, zone.home.inbox)) is None:
                problems.append(_unknown_name(entry, contract, zone.home.inbox))
            else:
                seen.append(file)
    return seen, problems, not_yet


def _files(
    folder: Path, night: date, problems: list[Problem], feed: str
) -> Iterator[tuple[os.DirEntry[str], date]]:
    for entry in _entries(folder, folders=False):
        yield entry, night
    for landing in _entries(folder, folders=True):
        received = _landing_date(landing.name)
        if received is None:
            problems.append(
                Problem(
                    f"{feed}/{landing.name}/",
                    "a landing folder is named received=YYYY-MM-DD",
                    "Rename the folder to the day on which its files arrived.",
                )
            )
        else:
            for entry in _entries(Path(landing.path), folders=False):
                yield entry, received


def _entries(folder: Path, *, folders: bool) -> list[os.DirEntry[str]]:
    """List a folder in order of name, without hidden and half-transferred files. Follows no symbolic link."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as listing:
        found = [
            entry
            for entry in listing
            if not entry.name.startswith(".")
            and not entry.name.endswith(UNFINISHED_SUFFIXES)
            and (entry.is_dir(follow_symlinks=False) if folders else entry.is_file(follow_symlinks=False))
        ]
    return sorted(found, key=lambda entry: entry.name)


def _landing_date(name: str) -> date | None:
    match = LANDING.fullmatch(name)
    if match is None:
        return None
    try:
        return date.fromisoformat(match[1])
    except ValueError:
        return None


def _recognised(
    contract: FeedContract, entry: os.DirEntry[str], received: date, inbox: Path
) -> InboxFile | None:
    for table in contract.tables:
        match = table.file_pattern.fullmatch(entry.name)
        if match is None:
            continue
        try:
            delivery_date = delivery_date_of(match["delivery_date"])
        except ValueError:
            return None
        stat = entry.stat(follow_symlinks=False)
        return InboxFile(
            path=Path(entry.path).relative_to(inbox).as_posix(),
            bytes=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            received_date=received,
            feed=contract.feed,
            table=table.name,
            delivery_date=delivery_date,
            kind=match["kind"],
        )
    return None


def _unchanged(file: InboxFile, known: InboxFile | None) -> bool:
    return known is not None and (file.bytes, file.mtime_ns) == (known.bytes, known.mtime_ns)


def _assemble(
    contracts: Mapping[str, FeedContract], key: bytes, files: Sequence[InboxFile], night: date
) -> Iterator[tuple[Delivery, list[Problem]]]:
    """Make the deliveries of `files`, in the order in which they were received: one per landing."""
    groups: dict[tuple[str, date, str], list[InboxFile]] = defaultdict(list)
    for file in files:
        groups[file.feed, file.delivery_date, file.kind].append(file)
    landings = {(file.received_date, group) for group, members in groups.items() for file in members}
    for received, group in sorted(landings):
        arrived = [file for file in groups[group] if file.received_date <= received]
        arrived.sort(key=lambda file: (file.received_date, file.path))
        contract = contracts[group[0]]
        parts = {table: file for file in arrived for table in _tables_in(contract, file)}
        yield _delivery(contract, key, parts, received, night)


def _tables_in(contract: FeedContract, file: InboxFile) -> list[str]:
    """Return the names of the tables that are read from `file`: those with its file pattern."""
    pattern = contract.table(file.table).file_pattern
    return [table.name for table in contract.tables if table.file_pattern == pattern]


def _delivery(
    contract: FeedContract, key: bytes, parts: Mapping[str, InboxFile], received: date, night: date
) -> tuple[Delivery, list[Problem]]:
    """Make one delivery of its parts; refused, with the problems that say so, if one of them has not come."""
    some = next(iter(parts.values()))
    files = tuple(
        DeliveryFile(table.name, part.path, part.bytes, part.content_mac)
        for table in contract.tables
        if (part := parts.get(table.name)) is not None
    )
    mac = _delivery_mac(key, contract.feed, some.delivery_date, some.kind, files)
    problems = [
        Problem(
            _expected_name(table.file_pattern, some.delivery_date, some.kind),
            f"missing: the delivery of {some.delivery_date} ({some.kind}) has "
            f"{', '.join(file.name for file in files)} but not this file",
            f"Ask {contract.partner} to send it; the delivery is taken up when it comes.",
            table=table.name,
        )
        for table in contract.tables
        if table.name not in parts
    ]
    delivery = Delivery(
        feed=contract.feed,
        delivery_id=f"{some.delivery_date:%Y-%m-%d}-{some.kind}-{mac[:8]}",
        delivery_date=some.delivery_date,
        received_date=received,
        kind=some.kind,
        content_mac=mac,
        files=files,
        state=REFUSED if problems else REGISTERED,
        rows_in=None,
        rows_quarantined=None,
        rows_sealed=None,
        message=told(problems),
        registered_on=night,
    )
    return delivery, problems


def _delivery_mac(
    key: bytes, feed: str, delivery_date: date, kind: str, files: Iterable[DeliveryFile]
) -> str:
    # Two weeks without a change have equal files, so the date and the names of the parts belong to the
    # content.
    parts = [feed, delivery_date.isoformat(), kind]
    parts += [part for file in files for part in (file.table, file.content_mac)]
    running = hmac.new(key, digestmod=sha256)
    for part in parts:
        encoded = part.encode()
        running.update(len(encoded).to_bytes(8, "big") + encoded)
    return running.hexdigest()


def _expected_name(pattern: re.Pattern[str], delivery_date: date, kind: str) -> str:
    """Write the file name that `pattern` would take for a date and kind."""
    text = re.sub(r"\(\?P<delivery_date>.*?\)", f"{delivery_date:%Y%m%d}", pattern.pattern)
    return re.sub(r"\(\?P<kind>.*?\)", kind, text).replace("\\", "")


def described_name(pattern: re.Pattern[str]) -> str:
    """Write a file pattern for people: `council_tax_accounts_YYYYMMDD_full|changes.csv`."""
    text = re.sub(r"\(\?P<delivery_date>.*?\)", "YYYYMMDD", pattern.pattern)
    return re.sub(r"\(\?P<kind>(.*?)\)", r"\1", text).replace("\\", "")


def _unknown_feed(name: str, contracts: Mapping[str, FeedContract]) -> Problem:
    return Problem(
        f"{name}/",
        f"no feed of this name has a contract (there are {', '.join(contracts)})",
        f"Write contracts/feeds/{name}.odcs.yaml, or take the folder away.",
    )


def _unknown_name(entry: os.DirEntry[str], contract: FeedContract, inbox: Path) -> Problem:
    expected = " or ".join(described_name(table.file_pattern) for table in contract.tables)
    return Problem(
        Path(entry.path).relative_to(inbox).as_posix(),
        f"a {contract.feed} file is named {expected}, with a real date",
        "Rename the file, or take it away. It was not read.",
    )


class _Register:
    """Enters deliveries one by one, in order of receipt, beside those that the ledger has."""

    def __init__(self, entered: Iterable[Delivery]) -> None:
        self.entered = {(delivery.feed, delivery.delivery_id): delivery for delivery in entered}
        self.fresh: list[Delivery] = []
        self.refused: list[tuple[Delivery, list[Problem]]] = []
        self.problems: list[Problem] = []

    def enter(self, delivery: Delivery, problems: list[Problem]) -> None:
        original = self.entered.get((delivery.feed, delivery.delivery_id))
        if original is not None:
            if {file.path for file in original.files} == {file.path for file in delivery.files}:
                return
            repeated = f"{delivery.delivery_id}-again-{delivery.received_date:%Y-%m-%d}"
            if (delivery.feed, repeated) in self.entered:
                return
            delivery = replace(delivery, delivery_id=repeated, state=DUPLICATE)
            problems = [
                _note(
                    delivery,
                    f"the same content as {original.delivery_id}, received {original.received_date}",
                    "Nothing to do: it was recorded and changes nothing.",
                )
            ]
        elif delivery.state == REFUSED:
            self.refused.append((delivery, problems))
        else:
            problems = self._remarks(delivery)
        delivery = replace(delivery, message=told(problems))
        self.entered[delivery.feed, delivery.delivery_id] = delivery
        self.fresh.append(delivery)
        self.problems += problems

    def _remarks(self, delivery: Delivery) -> list[Problem]:
        """Say it when a delivery corrects another one, or comes after a newer one."""
        accepted = [
            other
            for other in self.entered.values()
            if other.feed == delivery.feed and other.state not in (REFUSED, DUPLICATE)
        ]
        remarks = []
        newer = [
            other
            for other in accepted
            if other.delivery_date > delivery.delivery_date and other.received_date < delivery.received_date
        ]
        if newer:
            newest = max(newer, key=lambda other: other.delivery_date)
            remarks.append(
                _note(
                    delivery,
                    f"older than {newest.delivery_id}, which had come before it on {newest.received_date}",
                    "Nothing to do: it was accepted as history; the newer delivery stays current.",
                )
            )
        same = [
            other
            for other in accepted
            if (other.delivery_date, other.kind) == (delivery.delivery_date, delivery.kind)
        ]
        if same:
            remarks.append(
                _note(
                    delivery,
                    f"a correction of {same[-1].delivery_id}: same delivery date, other content",
                    "Nothing to do: for one delivery date, what was received last counts.",
                )
            )
        return remarks


def _note(delivery: Delivery, rule: str, remedy: str) -> Problem:
    return Problem(", ".join(delivery.paths), rule, remedy)
