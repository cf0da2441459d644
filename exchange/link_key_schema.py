"""Link keys as both zones know them: what the bridge makes and what linkage compares. No key, no value is
here.

A link key row is one record's encoded identity: a name filter (similar names give filters that differ in few
bits) and tokens (equal values give equal tokens). Nothing else: no attribute travels with it.
"""

from __future__ import annotations

import pyarrow as pa

FIRST_EPOCH = 1
"""The linkage epoch that a new council starts in. A new epoch gives new keys: old link keys match nothing."""

FILTER_BITS = 1024
FILTER_WORDS = FILTER_BITS // 64
TOKEN_BYTES = 16

FILTER_COLUMNS = tuple(f"name_filter_{word:02d}" for word in range(FILTER_WORDS))

COMPARED_TOKENS = (
    "full_name",
    "middle_full_name",
    "nino",
    "nhs_number",
    "upn",
    "phone",
    "partner_reference",
    "forename_start_birth_date",
    "surname_start_birth_date",
    "initials_birth_year_month",
    "initials_birth_year_day",
    "initials_birth_month_day",
    "initials_birth_swapped",
    "uprn",
    "initial_postcode",
    "surname_initial_postcode",
    "forwarding_uprn",
    "initial_uprn",
    "bare_initial_uprn",
    "middle_uprn",
    "initial_forwarding_uprn",
)
"""Tokens that a comparison reads. None stands for a forename, a surname, a date of birth or a part of one, or a
postcode alone: its frequency would tell which it is. `forwarding_uprn` and `uprn` share a key, so that they can meet.
"""

BLOCKING_TOKENS = (
    "name_starts",
    "full_name_outward_code",
    "name_starts_birth_year",
    "surname_birth_date",
    "forename_birth_date",
    "full_name_birth_year_month",
    "surname_uprn",
    "forename_uprn",
    "surname_postcode",
    "forename_postcode",
    "birth_date_outward_code",
    "surname_forwarding_uprn",
    "surname_forwarding_postcode",
)
"""Composite tokens that choose which pairs of records are compared. Of `name_starts`, near names also weigh how rare it
is."""

TOKEN_COLUMNS = tuple(f"{token}_token" for token in (*COMPARED_TOKENS, *BLOCKING_TOKENS))

LINK_KEY_SCHEMA = pa.schema(
    [
        pa.field("record_ref", pa.string(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("key_id", pa.string()),
        *(pa.field(column, pa.uint64()) for column in FILTER_COLUMNS),
        *(pa.field(column, pa.binary(TOKEN_BYTES)) for column in TOKEN_COLUMNS),
    ]
)
"""`record_ref`, `epoch`, `key_id` of the linkage root (null in rows of earlier versions; linkage ignores it), 16
filter words (all null when the record holds no name), 16-byte tokens (null where the record lacks a part)."""
