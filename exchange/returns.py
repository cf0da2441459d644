"""Alerts on their way back to the council: sealed in the analytics zone, opened in the council's.

What returns for each alert: its use case and month, its rank in the month (the number of the case), the score, the
threshold that it passed, the reasons, the model's version, and the references of the records that belong to the
members of the household. No person, household or property id: the council could do nothing with them but compare.

One package per use case and month; a newer one takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

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
from exchange.transport import RETURNS, Exchange
from stores.analytics import AnalyticsZone
from stores.home import Home
from stores.keys import KeyProvider

KIND = "returns"
TABLE = "alerts"
NO_EPOCH = 0

RETURN_SCHEMA = pa.schema(
    [
        pa.field("use_case", pa.string(), nullable=False),
        pa.field("as_of_month", pa.date32(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("threshold", pa.float64(), nullable=False),
        pa.field("reasons", pa.string(), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("record_refs", pa.list_(pa.string()), nullable=False),
    ]
)
"""One row per alert. `reasons` is JSON as `models_ml.reasons` writes it."""


@dataclass(frozen=True)
class ReturnedMonth:
    """The alerts of one use case and month, opened and checked. `sealed_on` is the night that sealed them."""

    use_case: str
    as_of_month: date
    sealed_on: date
    alerts: pa.Table


@dataclass(frozen=True)
class RefusedReturn:
    """A package that was not opened, and why; the reason holds no value."""

    name: str
    reason: str


def seal_alerts(zone: AnalyticsZone, use_case: str, as_of_month: date, night: date, alerts: pa.Table) -> str:
    """Seal `alerts` (`RETURN_SCHEMA`, all of one use case and month) to the council; return the package's name.

    Raises `ValueError` if a row is of another use case or month, `KeyUnavailableError` if a key is missing; then
    nothing has left.
    """
    rows = pa.table([alerts[name] for name in RETURN_SCHEMA.names], schema=RETURN_SCHEMA)
    _require_one_month(rows, use_case, as_of_month)
    receiver = trusted_public_key(zone.home, "analytics", "council")
    label = PackageLabel(
        feed=use_case,
        delivery_id=f"{use_case}-{as_of_month:%Y-%m}",
        delivery_date=as_of_month,
        received_date=night,
        kind=KIND,
        agreement=use_case,
        contract_version="1",
        epoch=NO_EPOCH,
    )
    name = package_name(use_case, as_of_month)
    with Exchange.of(zone.home).writing(RETURNS, name) as aside, aside.open("wb") as package:
        seal_into(package, label, (Part("payload", TABLE, rows),), zone.keys, receiver)
    return name


def package_name(use_case: str, as_of_month: date) -> str:
    """Return where in the box `returns` the alerts of one use case and month lie."""
    return f"{use_case}/{as_of_month}{SEALED_SUFFIX}"


def returned_months(home: Home, use_case: str) -> list[date]:
    """Return the months of which alerts of `use_case` lie in the box, oldest first."""
    names = Exchange.of(home).names(RETURNS, use_case)
    return [date.fromisoformat(name.removesuffix(SEALED_SUFFIX)) for name in names if _is_month(name)]


def remove_alerts(home: Home, use_case: str, as_of_month: date) -> None:
    """Take the alerts of one use case and month out of the box; they may be gone already."""
    Exchange.of(home).remove(RETURNS, package_name(use_case, as_of_month))


def open_alerts(
    home: Home, keys: KeyProvider, use_cases: Sequence[str]
) -> tuple[list[ReturnedMonth], list[RefusedReturn]]:
    """Open every package of alerts that has come back to the council, whose keys are `keys`.

    A package that is damaged, from another sender than the analytics zone that the council trusts, or holding
    anything but what its name and `RETURN_SCHEMA` say is refused whole. Raises `KeyUnavailableError` if there are
    packages and a key is missing.
    """
    exchange = Exchange.of(home)
    opened: list[ReturnedMonth] = []
    refused: list[RefusedReturn] = []
    for use_case in use_cases:
        for month in returned_months(home, use_case):
            sender = trusted_public_key(home, "council", "analytics")
            name = package_name(use_case, month)
            try:
                with exchange.reading(RETURNS, name) as path:
                    opened.append(_returned(open_sealed(path, keys, sender), use_case, month))
            except SealedPackageError as error:
                refused.append(RefusedReturn(name, str(error)))
    return opened, refused


def _returned(package: OpenedPackage, use_case: str, month: date) -> ReturnedMonth:
    label = package.label
    if label.kind != KIND or label.feed != use_case or label.delivery_date != month:
        raise SealedPackageError("it holds something else than its name says")
    rows = package.part("payload", TABLE)
    if len(package.parts) != 1 or rows is None or rows.schema != RETURN_SCHEMA:
        raise SealedPackageError("it holds other columns than those that may return")
    try:
        _require_one_month(rows, use_case, month)
    except ValueError as error:
        raise SealedPackageError(str(error)) from None
    return ReturnedMonth(use_case, month, label.received_date, rows)


def _require_one_month(rows: pa.Table, use_case: str, month: date) -> None:
    if {*rows["use_case"].to_pylist()} - {use_case} or {*rows["as_of_month"].to_pylist()} - {month}:
        raise ValueError("it holds alerts of another use case or month")


def _is_month(name: str) -> bool:
    try:
        date.fromisoformat(name.removesuffix(SEALED_SUFFIX))
    except ValueError:
        return False
    return name.endswith(SEALED_SUFFIX)
