"""Information sharing agreements: which feeds' columns may leave the council, for which purpose, until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from governance.contracts import CONTRACTS_FOLDER, FeedContract


class AgreementError(RuntimeError):
    """No live agreement covers what a feed would send."""


class Agreement(BaseModel):
    """One information sharing agreement, as its YAML says it. Dates are inclusive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agreement: str
    title: str
    purpose: str
    lawful_basis: str
    parties: tuple[str, ...]
    starts_on: date
    ends_on: date
    feeds: Mapping[str, Mapping[str, tuple[str, ...]]]

    def is_live(self, on: date) -> bool:
        return self.starts_on <= on <= self.ends_on


def read_agreement(name: str, folder: Path = CONTRACTS_FOLDER) -> Agreement:
    """Read `contracts/agreements/<name>.yaml`. Raises `AgreementError` if it is not there."""
    path = folder / "agreements" / f"{name}.yaml"
    if not path.is_file():
        raise AgreementError(
            f"{path.name}: no such agreement. Write it, or name another in the feed's contract."
        )
    return _read(path, path.stat().st_mtime_ns)


@cache
def _read(path: Path, _changed: int) -> Agreement:
    """Read one file as it was last changed; every package that is opened asks for its agreement."""
    return Agreement.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def require_agreement(contract: FeedContract, on: date, folder: Path = CONTRACTS_FOLDER) -> Agreement:
    """Return the live agreement that covers every column `contract` lets out.

    Raises `AgreementError` if it is not live on day `on`, does not name the partner, or leaves a column unnamed:
    then no row passes.
    """
    agreement = read_agreement(contract.agreement, folder)
    if not agreement.is_live(on):
        raise AgreementError(
            f"{contract.feed}: agreement {agreement.agreement} is not live on {on} "
            f"({agreement.starts_on} to {agreement.ends_on}). Renew it before anything is sent."
        )
    if contract.partner not in agreement.parties:
        raise AgreementError(f"{contract.feed}: {contract.partner} is no party to {agreement.agreement}.")
    for table in contract.payload_tables:
        named = set(agreement.feeds.get(contract.feed, {}).get(table.name, ()))
        unnamed = [column.name for column in table.payload_columns if column.name not in named]
        if unnamed:
            raise AgreementError(
                f"{contract.feed}.{table.name}: agreement {agreement.agreement} does not name {', '.join(unnamed)}. "
                "Take `leaves` off them in the contract, or amend the agreement."
            )
    return agreement
