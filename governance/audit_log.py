"""The audit log of re-identification: lines that can only be added to, each bound to the one before by a keyed digest.

A line is canonical JSON: its number, the entry, the MAC of the line before, and its own MAC: HMAC-SHA256 (RFC 2104)
under the log's key over all the rest. So a changed, missing, swapped, doubled or foreign line does not fit. Cutting
lines off the end leaves a chain that fits; against that an anchor, kept apart from the log, says how far the log
went. Who can write log and anchor can still put back older copies of both: write the head down elsewhere
(`Head.text`) and have it looked for.

An entry never holds an identity: it is made of short names and references only, and refuses anything else.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal

from stores.files import flush_folder, written_atomically

FIRST_PREVIOUS = "0" * 64
NAME = re.compile(r"[a-z0-9][a-z0-9_.@-]{0,63}")
NOT_GIVEN = "-"

Verdict = Literal["opened", "refused"]


class AuditLogError(RuntimeError):
    """The audit log is not whole. Nothing is opened until a person has found out why."""


@dataclass(frozen=True)
class Opening:
    """One opening or refusal. Every field is a short name (`NAME`) or `-`; `at` is an ISO date and time."""

    at: str
    officer: str
    role: str
    purpose: str
    use_case: str
    record_ref: str
    verdict: Verdict
    reason: str

    def __post_init__(self) -> None:
        datetime.fromisoformat(self.at)
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name != "at" and value != NOT_GIVEN and not NAME.fullmatch(value):
                # The value itself may be what must not be written.
                raise ValueError(f"an audit entry's {each.name} is not a short name")


@dataclass(frozen=True)
class Head:
    """Where the log ends: how many entries it has and the MAC of the last."""

    entries: int
    mac: str

    @property
    def text(self) -> str:
        """The head as one word, to be written down apart from the log."""
        return f"{self.entries}:{self.mac}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Read a head that was written down. Raises `ValueError`."""
        entries, _, mac = text.partition(":")
        if not re.fullmatch(r"[0-9a-f]{64}", mac):
            raise ValueError("a head is a number, a colon and 64 hexadecimal digits")
        return cls(int(entries), mac)


@dataclass(frozen=True)
class AuditLog:
    """One audit log: its file, its anchor's file, and the 32-byte key of both."""

    path: Path
    anchor: Path
    key: bytes

    def read(self, known: Head | None = None) -> tuple[list[Opening], Head]:
        """Check the whole log and return its entries, oldest first, and its head.

        `known` is a head that was written down before. Raises `AuditLogError` at the first thing that does not fit.
        """
        with self._locked() as log:
            return self._read(log, known)

    @contextmanager
    def writing(self) -> Iterator[AuditLogWriter]:
        """Check the log, then keep everybody else from adding to it while the block lasts.

        Raises `AuditLogError` if it is not whole.
        """
        with self._locked() as log:
            entries, head = self._read(log, None)
            yield AuditLogWriter(self, log, entries, head)

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(opened, "r+b") as log:
            fcntl.flock(log, fcntl.LOCK_EX)
            yield log

    def _read(self, log: IO[bytes], known: Head | None) -> tuple[list[Opening], Head]:
        log.seek(0)
        entries: list[Opening] = []
        macs: list[str] = []
        for number, line in enumerate(log.read().splitlines(keepends=True), start=1):
            entry, mac = self._checked(number, line, macs[-1] if macs else FIRST_PREVIOUS)
            entries.append(entry)
            macs.append(mac)
        for head, where in ((self._anchored(len(entries)), "its anchor says"), (known, "was written down")):
            if head is not None and not _is_in(head, macs):
                raise AuditLogError(
                    f"{self.path}: the log does not go as far as {where}, or went another way."
                )
        return entries, Head(len(entries), macs[-1] if macs else FIRST_PREVIOUS)

    def _checked(self, number: int, line: bytes, previous: str) -> tuple[Opening, str]:
        try:
            document = json.loads(line)
            entry = Opening(**document["entry"])
            mac = document["mac"]
        except (ValueError, KeyError, TypeError):
            raise AuditLogError(f"{self.path}: line {number} is damaged.") from None
        # Written anew and compared byte by byte: nothing but what was signed may stand in the file.
        if not hmac.compare_digest(self._line(number, entry, previous), line):
            raise AuditLogError(
                f"{self.path}: line {number} was changed, moved, or follows one that is missing."
            )
        return entry, mac

    def _line(self, number: int, entry: Opening, previous: str) -> bytes:
        document: dict[str, Any] = {"number": number, "previous": previous, "entry": asdict(entry)}
        mac = hmac.digest(self.key, b"audit line\0" + _canonical(document), "sha256").hex()
        return _canonical({**document, "mac": mac}) + b"\n"

    def _anchored(self, entries: int) -> Head | None:
        if not self.anchor.is_file():
            if entries:
                raise AuditLogError(f"{self.anchor}: the log has entries, but its anchor is missing.")
            return None
        try:
            document = json.loads(self.anchor.read_text(encoding="utf-8"))
            head = Head.parse(document["head"])
            fits = hmac.compare_digest(self._anchor_text(head), _canonical(document).decode())
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            raise AuditLogError(f"{self.anchor}: the anchor of the log was changed.")
        return head

    def _anchor_text(self, head: Head) -> str:
        mac = hmac.digest(self.key, b"audit anchor\0" + head.text.encode(), "sha256").hex()
        return _canonical({"head": head.text, "mac": mac}).decode()


@dataclass
class AuditLogWriter:
    """A checked log that this process alone may add to."""

    log: AuditLog
    file: IO[bytes]
    entries: list[Opening]
    head: Head

    def add(self, entry: Opening) -> Head:
        """Add an entry; when this returns it is on the disk, and the anchor says so."""
        number = self.head.entries + 1
        line = self.log._line(number, entry, self.head.mac)
        self.file.write(line)
        self.file.flush()
        os.fsync(self.file.fileno())
        flush_folder(self.log.path.parent)
        # Stopped here, the log is one entry ahead of its anchor: that fits, and the next entry moves the anchor.
        self.head = Head(number, json.loads(line)["mac"])
        self.entries.append(entry)
        with written_atomically(self.log.anchor) as aside:
            aside.write_text(self.log._anchor_text(self.head), encoding="utf-8")
        return self.head


def _is_in(head: Head, macs: list[str]) -> bool:
    if head.entries == 0:
        return head.mac == FIRST_PREVIOUS
    return head.entries <= len(macs) and hmac.compare_digest(macs[head.entries - 1], head.mac)


def _canonical(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
