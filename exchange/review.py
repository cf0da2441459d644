"""A clerical review on its way: pairs of references to the council, verdicts of them back.

To the council go number and two references, nothing that would tell what linkage made of the pair. Back come the two
references and the verdict, nothing of who gave it or of whom it is. A sample is known by its name, which begins with
the day it was drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from exchange.sealed import (
    SEALED_SUFFIX,
    OpenedPackage,
    PackageLabel,
    Part,
    SealedPackageError,
    open_sealed,
    seal_into,
    trusted_public_key,
)
from exchange.transport import OUTBOX, RETURNS, Exchange
from stores.home import Home
from stores.keys import KeyProvider

FOLDER = "linkage_review"
ASKED, JUDGED = "review", "verdicts"
NO_EPOCH = 0
SAMPLE_ID = re.compile(r"\d{4}-\d{2}-\d{2}-[0-9a-f]{8}")
RECORD_REF = "^[0-9a-f]{32}$"
MATCH, NON_MATCH, CANNOT_TELL = VERDICTS = ("match", "non-match", "cannot tell")

REFERENCES = (
    pa.field("record_ref_l", pa.string(), nullable=False),
    pa.field("record_ref_r", pa.string(), nullable=False),
)
ASKED_SCHEMA = pa.schema([pa.field("number", pa.int32(), nullable=False), *REFERENCES])
JUDGED_SCHEMA = pa.schema([*REFERENCES, pa.field("verdict", pa.string(), nullable=False)])


class ReviewError(ValueError):
    """A review cannot be done as asked; the message says what to do first."""


@dataclass(frozen=True)
class ReviewPackage:
    """Rows of one sample, opened and checked: `ASKED_SCHEMA` or `JUDGED_SCHEMA`. `sealed_on`: when it left."""

    sample_id: str
    sealed_on: date
    rows: pa.Table


@dataclass(frozen=True)
class RefusedReview:
    """A package that was not opened, and why; the reason holds no value."""

    name: str
    reason: str


@dataclass(frozen=True)
class _Way:
    """One direction: from whom to whom, through which box, what it carries."""

    sender: str
    receiver: str
    box: str
    kind: str
    schema: pa.Schema


TO_COUNCIL = _Way("analytics", "council", RETURNS, ASKED, ASKED_SCHEMA)
TO_ANALYTICS = _Way("council", "analytics", OUTBOX, JUDGED, JUDGED_SCHEMA)


def seal_pairs(home: Home, keys: KeyProvider, sample_id: str, on: date, pairs: pa.Table) -> str:
    """Seal the pairs of a sample to the council with the analytics zone's `keys`; return the package's name."""
    return _seal(TO_COUNCIL, home, keys, sample_id, on, pairs)


def seal_verdicts(home: Home, keys: KeyProvider, sample_id: str, on: date, verdicts: pa.Table) -> str:
    """Seal verdicts to the analytics zone with the council's `keys`, in place of those sealed before; return the
    package's name."""
    return _seal(TO_ANALYTICS, home, keys, sample_id, on, verdicts)


def open_pairs(
    home: Home, keys: KeyProvider, largest: int
) -> tuple[list[ReviewPackage], list[RefusedReview]]:
    """Open the samples that came to the council. One of more than `largest` pairs is refused whole, as is one that is
    damaged, from somebody else, or holding anything but numbered pairs of references.
    """

    def check(rows: pa.Table) -> None:
        if rows.num_rows > largest:
            raise SealedPackageError(f"it asks about more than {largest} pairs")
        if pc.count_distinct(rows["number"]).as_py() != rows.num_rows:
            raise SealedPackageError("it numbers two pairs alike")

    return _open(TO_COUNCIL, home, keys, check)


def open_verdicts(home: Home, keys: KeyProvider) -> tuple[list[ReviewPackage], list[RefusedReview]]:
    """Open the verdicts that came to the analytics zone; refused as `open_pairs` refuses."""

    def check(rows: pa.Table) -> None:
        if {*rows["verdict"].to_pylist()} - {*VERDICTS}:
            raise SealedPackageError("it holds something that is no verdict")

    return _open(TO_ANALYTICS, home, keys, check)


def remove_pairs(home: Home, sample_id: str) -> None:
    """Take a sample's pairs out of the box; they may be gone already."""
    Exchange.of(home).remove(RETURNS, _name(sample_id))


def remove_verdicts(home: Home, sample_id: str) -> None:
    """Take a sample's verdicts out of the box; they may be gone already."""
    Exchange.of(home).remove(OUTBOX, _name(sample_id))


def _name(sample_id: str) -> str:
    return f"{FOLDER}/{sample_id}{SEALED_SUFFIX}"


def _seal(way: _Way, home: Home, keys: KeyProvider, sample_id: str, on: date, rows: pa.Table) -> str:
    left = pa.table([rows[name] for name in way.schema.names], schema=way.schema)
    label = PackageLabel(
        feed=FOLDER,
        delivery_id=sample_id,
        delivery_date=date.fromisoformat(sample_id[: len("2000-01-01")]),
        received_date=on,
        kind=way.kind,
        agreement=FOLDER,
        contract_version="1",
        epoch=NO_EPOCH,
    )
    receiver = trusted_public_key(home, way.sender, way.receiver)
    name = _name(sample_id)
    with Exchange.of(home).writing(way.box, name) as aside, aside.open("wb") as package:
        seal_into(package, label, (Part("payload", way.kind, left),), keys, receiver)
    return name


def _open(
    way: _Way, home: Home, keys: KeyProvider, check: Callable[[pa.Table], None]
) -> tuple[list[ReviewPackage], list[RefusedReview]]:
    exchange = Exchange.of(home)
    opened: list[ReviewPackage] = []
    refused: list[RefusedReview] = []
    for file_name in exchange.names(way.box, FOLDER):
        sample_id = file_name.removesuffix(SEALED_SUFFIX)
        sender = trusted_public_key(home, way.receiver, way.sender)
        try:
            if not SAMPLE_ID.fullmatch(sample_id):
                raise SealedPackageError("its name is not that of a sample")
            with exchange.reading(way.box, f"{FOLDER}/{file_name}") as path:
                opened.append(_checked(way, sample_id, open_sealed(path, keys, sender), check))
        except SealedPackageError as error:
            refused.append(RefusedReview(file_name, str(error)))
    return opened, refused


def _checked(
    way: _Way, sample_id: str, package: OpenedPackage, check: Callable[[pa.Table], None]
) -> ReviewPackage:
    label, rows = package.label, package.part("payload", way.kind)
    if (label.feed, label.kind, label.delivery_id) != (FOLDER, way.kind, sample_id):
        raise SealedPackageError("it holds something else than its name says")
    if len(package.parts) != 1 or rows is None or rows.schema != way.schema:
        raise SealedPackageError("it holds other columns than those that may cross")
    for side in ("record_ref_l", "record_ref_r"):
        if not pc.all(pc.match_substring_regex(rows[side], RECORD_REF), min_count=0).as_py():
            raise SealedPackageError("it holds something that is no reference")
    check(rows)
    return ReviewPackage(sample_id, label.received_date, rows)
