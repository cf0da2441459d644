"""Which pairs of records are compared at all: those that share at least one of these tokens."""

from __future__ import annotations

from splink import block_on
from splink.internals.blocking_rule_creator import BlockingRuleCreator
from splink.internals.blocking_rule_library import CustomRule

SHARED_TOKENS: tuple[tuple[str, ...], ...] = (
    ("nino_token",),
    ("nhs_number_token",),
    ("upn_token",),
    ("partner_reference_token", "feed"),
    ("full_name_birth_year_month_token",),
    ("surname_birth_date_token",),
    ("forename_birth_date_token",),
    ("surname_uprn_token",),
    ("forename_uprn_token",),
    ("surname_postcode_token",),
    ("forename_postcode_token",),
    ("full_name_outward_code_token",),
    ("birth_date_outward_code_token",),
    ("name_starts_birth_year_token",),
    ("phone_token",),
)
"""Each group is one rule: a pair is compared if both records hold all its tokens and they are equal."""

MOVED_HOME_TOKENS: tuple[tuple[str, str], ...] = (
    ("surname_forwarding_uprn_token", "surname_uprn_token"),
    ("surname_forwarding_postcode_token", "surname_postcode_token"),
)
"""A closed account meets the account that was opened at its forwarding address."""


def county_blocking_rules() -> list[BlockingRuleCreator | CustomRule]:
    """Return the blocking rules of the county's model, most telling first."""
    rules: list[BlockingRuleCreator | CustomRule] = [block_on(*tokens) for tokens in SHARED_TOKENS]
    for left, right in MOVED_HOME_TOKENS:
        rules += [CustomRule(f"l.{left} = r.{right}"), CustomRule(f"l.{right} = r.{left}")]
    return rules
