"""Retention rules: how long each kind of data is kept, and whether a partition may still be made."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from governance.contracts import CONTRACTS_FOLDER


class RetentionExpiredError(RuntimeError):
    """A partition is past its retention period and refuses to be made."""


class RetentionRule(BaseModel):
    """Keep for `months` from the day named in `counted_from`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    months: int
    counted_from: Literal["delivery_date", "as_of_month", "drawn_on"]

    def expires_on(self, start: date) -> date:
        """First day on which something that started on `start` is past due.

        The same day `months` later; the last day of that month where it has no such day (29 February).
        """
        return add_months(start, self.months)

    def is_expired(self, start: date, night: date) -> bool:
        return night >= self.expires_on(start)

    def oldest_kept(self, night: date) -> date:
        """The first day of the oldest month that is not expired on `night`."""
        month = add_months(night.replace(day=1), -self.months)
        return month if not self.is_expired(month, night) else add_months(month, 1)


def add_months(day: date, months: int) -> date:
    """Return `day` moved by `months`, clipped to the end of the target month."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def read_retention(folder: Path = CONTRACTS_FOLDER) -> Mapping[str, RetentionRule]:
    """Read `contracts/retention.yaml`: rules by name."""
    document = yaml.safe_load((folder / "retention.yaml").read_text(encoding="utf-8"))
    return {
        name: RetentionRule(name=name, months=rule["months"], counted_from=rule["from"])
        for name, rule in document["rules"].items()
    }


def refuse_if_expired(rule: RetentionRule, as_of_month: date, night: date) -> None:
    """Raise `RetentionExpiredError` if the partition `as_of_month` is past `rule` on `night`."""
    if rule.is_expired(as_of_month, night):
        raise RetentionExpiredError(
            f"{as_of_month:%Y-%m} is past its retention: rule {rule.name} keeps {rule.months} months, "
            f"so it was due to go on {rule.expires_on(as_of_month)}. Choose {rule.oldest_kept(night):%Y-%m} or later."
        )
