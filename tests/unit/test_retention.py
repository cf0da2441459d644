"""Retention: exact to the day, and a month past it refuses to be made."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.retention import (
    RetentionExpiredError,
    RetentionRule,
    add_months,
    read_retention,
    refuse_if_expired,
)

SCORES = RetentionRule(name="risk_scores", months=24, counted_from="as_of_month")
DAYS = st.dates(date(2000, 1, 1), date(2060, 12, 31))


@pytest.mark.parametrize(
    ("start", "expires"),
    [
        (date(2024, 10, 1), date(2026, 10, 1)),
        (date(2024, 2, 29), date(2026, 2, 28)),
        (date(2026, 2, 28), date(2028, 2, 28)),
        (date(2024, 12, 31), date(2026, 12, 31)),
    ],
)
def test_the_last_day_is_the_same_day_of_a_later_month(start: date, expires: date) -> None:
    assert SCORES.expires_on(start) == expires
    assert SCORES.is_expired(start, expires)
    assert not SCORES.is_expired(start, date.fromordinal(expires.toordinal() - 1))


@given(night=DAYS, months=st.integers(1, 120))
def test_the_oldest_month_kept_is_kept_and_the_one_before_is_not(night: date, months: int) -> None:
    rule = RetentionRule(name="any", months=months, counted_from="as_of_month")
    oldest = rule.oldest_kept(night)
    assert oldest.day == 1
    assert not rule.is_expired(oldest, night)
    assert rule.is_expired(add_months(oldest, -1), night)


@given(start=DAYS, months=st.integers(0, 120))
def test_what_has_expired_stays_expired(start: date, months: int) -> None:
    rule = RetentionRule(name="any", months=months, counted_from="delivery_date")
    expires = rule.expires_on(start)
    assert all(
        rule.is_expired(start, date.fromordinal(expires.toordinal() + later)) for later in (0, 1, 31, 400)
    )


def test_a_month_past_its_retention_refuses_to_be_made_and_names_one_that_may() -> None:
    with pytest.raises(RetentionExpiredError, match="Choose 2024-11 or later"):
        refuse_if_expired(SCORES, date(2024, 10, 1), date(2026, 10, 6))
    refuse_if_expired(SCORES, date(2024, 11, 1), date(2026, 10, 6))


def test_every_rule_that_the_sweep_uses_is_written_down() -> None:
    rules = read_retention()
    assert set(rules) >= {
        "partner_records",
        "link_keys",
        "household_features",
        "risk_scores",
        "published_marts",
    }
    assert all(rule.months > 0 for rule in rules.values())
