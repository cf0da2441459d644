"""Postcodes in standard form: compact capitals. Other countries' codes stay; words are null."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from bridge.standardise.names import Step, composed
from bridge.standardise.numbers import compact_capitals
from bridge.standardise.rules import rules

MISREAD = (("O", "0"), ("I", "1"), ("S", "5"))
"""Letters taken for the digit that begins the second half of a British postcode."""


def digit_in_its_place(texts: pa.Array) -> pa.Array:
    """The second half begins with a digit: `AB1 OCD` was `AB1 0CD`."""
    for letter, digit in MISREAD:
        pattern = f"^([A-Z]{{1,2}}[0-9][A-Z0-9]?){letter}([A-Z]{{2}})$"
        texts = pc.replace_substring_regex(texts, pattern, rf"\1{digit}\2")
    return texts


def shaped_as_postcode(texts: pa.Array) -> pa.Array:
    """Three to ten characters with a digit among them."""
    shaped = pc.match_substring_regex(texts, "^[A-Z0-9]{3,10}$")
    return pc.if_else(pc.and_(shaped, pc.match_substring_regex(texts, "[0-9]")), texts, None)


def no_placeholder_postcode(texts: pa.Array) -> pa.Array:
    """Null for the codes of no fixed abode and not known, which thousands share."""
    begins = rf"^(?:{rules().placeholder_postcodes_begin})"
    return pc.if_else(pc.match_substring_regex(texts, begins), None, texts)


POSTCODE_STEPS: tuple[Step, ...] = (
    composed,
    compact_capitals,
    digit_in_its_place,
    shaped_as_postcode,
    no_placeholder_postcode,
)
