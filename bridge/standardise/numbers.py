"""Numbers, references, telephone and e-mail in standard form. What is malformed, or made up to fill a form, is null."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bridge.standardise.names import Step, composed, only_where
from bridge.standardise.rules import rules

# Without the prefixes never issued, nor TN, which partners use for temporary numbers (HMRC, NIM39110).
NINO = r"^(?P<identifying>[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6})[A-D]?$"
NEVER_ISSUED = "^(?:BG|GB|KN|NK|NT|TN|ZZ)"
UPN = r"^[A-Z][0-9]{11}[A-Z0-9]$"
NHS_NUMBER_DIGITS = 10
NHS_NUMBER_MODULUS = 11

DIGITS = b"0123456789"
CAPITALS_AND_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ" + DIGITS


def compact_capitals(texts: pa.Array) -> pa.Array:
    """Capitals and digits alone: spaces, dashes and slashes are anybody's choice."""
    return _with_only(CAPITALS_AND_DIGITS, pc.utf8_upper(texts))


def digits(texts: pa.Array) -> pa.Array:
    """Digits alone."""
    return _with_only(DIGITS, texts)


def _with_only(characters: bytes, texts: pa.Array) -> pa.Array:
    """Leave out all but `characters` (ASCII, so that any other character's bytes all go)."""
    if not len(texts):
        return texts
    valid = None
    if texts.null_count:
        valid = pa.py_buffer(np.packbits(texts.is_valid().to_numpy(zero_copy_only=False), bitorder="little"))
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    wanted = np.zeros(256, dtype=np.bool_)
    wanted[np.frombuffer(characters, np.uint8)] = True
    kept = wanted[data]
    if kept.all():
        return texts
    held = np.concatenate([[0], np.cumsum(kept, dtype=np.int32)]).astype(np.int32)
    buffers = [valid, pa.py_buffer(held[offsets - offsets[0]]), pa.py_buffer(data[kept])]
    return pa.Array.from_buffers(pa.string(), len(texts), buffers)


def not_empty(texts: pa.Array) -> pa.Array:
    """Nothing left is nothing known."""
    return pc.if_else(pc.equal(texts, ""), None, texts)


def letters_read_as_digits(texts: pa.Array) -> pa.Array:
    """In the six digits of a NINO an O was meant for a nought, an I or L for a one."""
    shaped = pc.match_substring_regex(texts, "^[A-Z]{2}[0-9OIL]{6}[A-D]?$")
    misread = pc.match_substring_regex(texts, "^..[0-9]*[OIL]")
    return only_where(pc.and_(shaped, misread), texts, _middle_in_digits)


def _middle_in_digits(texts: pa.Array) -> pa.Array:
    middle = pc.utf8_slice_codeunits(texts, 2, 8)
    for letter, digit in (("O", "0"), ("I", "1"), ("L", "1")):
        middle = pc.replace_substring(middle, letter, digit)
    start, end = pc.utf8_slice_codeunits(texts, 0, 2), pc.utf8_slice_codeunits(texts, 8)
    return pc.binary_join_element_wise(start, middle, end, "")


def eight_characters(texts: pa.Array) -> pa.Array:
    """The part of a NINO that identifies: the suffix is often lost."""
    return pc.struct_field(pc.extract_regex(texts, NINO), "identifying")


def issued(texts: pa.Array) -> pa.Array:
    """Null for prefixes that are never issued, and for temporary numbers."""
    return pc.if_else(pc.match_substring_regex(texts, NEVER_ISSUED), None, texts)


def no_placeholder_nino(texts: pa.Array) -> pa.Array:
    """Null for numbers that forms are filled with."""
    return pc.if_else(pc.is_in(texts, value_set=rules().placeholder_ninos), None, texts)


def shaped_as_upn(texts: pa.Array) -> pa.Array:
    """A unique pupil number (DfE): a letter, eleven digits, a digit or letter."""
    return pc.if_else(pc.match_substring_regex(texts, UPN), texts, None)


def check_digit_right(texts: pa.Array) -> pa.Array:
    """Ten digits whose check digit (modulus 11, NHS Data Dictionary) is right."""
    whole = pc.fill_null(pc.equal(pc.utf8_length(texts), NHS_NUMBER_DIGITS), False)
    total = pa.scalar(0, pa.int64())
    shown = pc.if_else(whole, texts, "0" * NHS_NUMBER_DIGITS)
    for place in range(NHS_NUMBER_DIGITS - 1):
        digit = pc.cast(pc.utf8_slice_codeunits(shown, place, place + 1), pa.int64())
        total = pc.add(total, pc.multiply(digit, NHS_NUMBER_DIGITS - place))
    last = pc.cast(pc.utf8_slice_codeunits(shown, NHS_NUMBER_DIGITS - 1), pa.int64())
    # The weighted sum with the check digit itself is a multiple of the modulus.
    total = pc.add(total, last)
    over = pc.subtract(total, pc.multiply(pc.divide(total, NHS_NUMBER_MODULUS), NHS_NUMBER_MODULUS))
    return pc.if_else(pc.and_(whole, pc.equal(over, 0)), texts, None)


def not_one_digit(texts: pa.Array) -> pa.Array:
    """Null where one digit fills the number, after a leading nought."""
    same = "|".join(f"{digit}+" for digit in range(10))
    return pc.if_else(pc.match_substring_regex(texts, f"^0?(?:{same})$"), None, texts)


def without_bracketed_nought(texts: pa.Array) -> pa.Array:
    """`+44 (0)7700` says the nought twice."""
    return pc.replace_substring(texts, "(0)", "")


def national(texts: pa.Array) -> pa.Array:
    """Digits with the nought in place of 0044 or 44."""
    return pc.replace_substring_regex(texts, "^(?:0044|44)0?([1-9][0-9]{8,9})$", r"0\1")


def nought_in_front(texts: pa.Array) -> pa.Array:
    """A spreadsheet takes the nought off: ten digits that begin with 7 are a mobile."""
    return pc.replace_substring_regex(texts, "^(7[0-9]{9})$", r"0\1")


def ten_or_eleven_digits(texts: pa.Array) -> pa.Array:
    """Null for extensions, local numbers and what is no number."""
    return pc.if_else(pc.match_substring_regex(texts, "^[0-9]{10,11}$"), texts, None)


def no_placeholder_phone(texts: pa.Array) -> pa.Array:
    """Null for numbers that forms are filled with."""
    return pc.if_else(pc.is_in(texts, value_set=rules().placeholder_phones), None, texts)


def folded(texts: pa.Array) -> pa.Array:
    """Lower case, trimmed."""
    return pc.utf8_trim_whitespace(pc.utf8_lower(texts))


def address_alone(texts: pa.Array) -> pa.Array:
    """Without `mailto:`, angle brackets and a full stop behind."""
    return only_where(pc.match_substring_regex(texts, r"[<>]|^mailto:|\.$"), texts, _address_alone)


def _address_alone(texts: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(texts, "^(?:.*<|mailto: *)?([^<>]*?)[.>]*$", r"\1")


def shaped_as_email(texts: pa.Array) -> pa.Array:
    """Something, an at, something with a dot."""
    return pc.if_else(pc.match_substring_regex(texts, r"^[^@\s]+@[^@\s]+\.[^@\s]+$"), texts, None)


def no_placeholder_email(texts: pa.Array) -> pa.Array:
    """Null for addresses that forms are filled with."""
    return pc.if_else(pc.is_in(texts, value_set=rules().placeholder_emails), None, texts)


def without_leading_noughts(texts: pa.Array) -> pa.Array:
    """A UPRN is a number: systems pad it."""
    return pc.utf8_ltrim(texts, "0")


NINO_STEPS: tuple[Step, ...] = (
    composed,
    compact_capitals,
    letters_read_as_digits,
    eight_characters,
    issued,
    no_placeholder_nino,
)
NHS_NUMBER_STEPS: tuple[Step, ...] = (composed, digits, check_digit_right, not_one_digit)
UPN_STEPS: tuple[Step, ...] = (composed, compact_capitals, shaped_as_upn)
PHONE_STEPS: tuple[Step, ...] = (
    composed,
    without_bracketed_nought,
    digits,
    national,
    nought_in_front,
    ten_or_eleven_digits,
    not_one_digit,
    no_placeholder_phone,
)
EMAIL_STEPS: tuple[Step, ...] = (composed, folded, address_alone, shaped_as_email, no_placeholder_email)
REFERENCE_STEPS: tuple[Step, ...] = (composed, compact_capitals, not_empty)
UPRN_STEPS: tuple[Step, ...] = (composed, digits, without_leading_noughts, not_empty)
