"""Link keys: each identity as a keyed name filter and keyed tokens, unreadable without the key.

The recipe was measured (ADR 0011, ADR 0012): one filter of the name's bigrams carries similarity; tokens carry
equality. No token stands for a forename, a surname, a postcode, a date of birth or a part of one alone, since
frequencies would tell which it is.

A field's distinct values are hashed once each (HMAC-SHA256, a key per field). A token is the fixed-length
CBC-MAC (AES-256, a key per token) of the digests of its fields: a pseudorandom function as well, over whole
columns. Keys are derived from the council's linkage root and the epoch, so that a new epoch makes old link
keys worthless.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bridge.link_keys.columns import (
    NO_VALUE,
    DigestedField,
    Field,
    cbc_mac,
    digested,
    gathered,
    length_prefixed,
    paired,
    text_field,
    tokens_of,
)
from bridge.link_keys.filters import COUNTY_RECIPE, filters_of_pairs
from bridge.standardise.identities import NUMBER_COLUMNS, Column, standard_columns
from exchange.link_key_schema import BLOCKING_TOKENS, COMPARED_TOKENS, LINK_KEY_SCHEMA
from stores.keys import KeyProvider, derive_key, key_id

INWARD_CODE_LENGTH = 3

TOKEN_FIELDS: Mapping[str, tuple[str, ...]] = {
    "full_name": ("name_in_any_order",),
    "middle_full_name": ("middle_name_in_any_order",),
    "nino": ("nino",),
    "nhs_number": ("nhs_number",),
    "upn": ("upn",),
    "phone": ("phone",),
    "partner_reference": ("partner_person_reference",),
    "forename_start_birth_date": ("forename_start_2", "birth_date"),
    "surname_start_birth_date": ("surname_start_2", "birth_date"),
    "initials_birth_year_month": ("forename_start_1", "surname_start_1", "birth_year_month"),
    "initials_birth_year_day": ("forename_start_1", "surname_start_1", "birth_year_day"),
    "initials_birth_month_day": ("forename_start_1", "surname_start_1", "birth_month_day"),
    "initials_birth_swapped": ("forename_start_1", "surname_start_1", "birth_swapped"),
    "uprn": ("uprn",),
    "initial_postcode": ("forename_start_1", "postcode"),
    "surname_initial_postcode": ("surname_start_1", "postcode"),
    "forwarding_uprn": ("forwarding_uprn",),
    "initial_uprn": ("forename_start_1", "uprn"),
    "bare_initial_uprn": ("forename_bare_initial", "uprn"),
    "middle_uprn": ("middle_name", "uprn"),
    "initial_forwarding_uprn": ("forename_start_1", "forwarding_uprn"),
    "name_starts": ("forename_start_3", "surname_start_4"),
    "full_name_outward_code": ("name_in_any_order", "outward_code"),
    "name_starts_birth_year": ("forename_start_2", "surname_start_2", "birth_year"),
    "surname_birth_date": ("surname", "birth_date"),
    "forename_birth_date": ("forename", "birth_date"),
    "full_name_birth_year_month": ("name_in_any_order", "birth_year_month"),
    "surname_uprn": ("surname", "uprn"),
    "forename_uprn": ("forename", "uprn"),
    "surname_postcode": ("surname", "postcode"),
    "forename_postcode": ("forename", "postcode"),
    "birth_date_outward_code": ("birth_date", "outward_code"),
    "surname_forwarding_uprn": ("surname", "forwarding_uprn"),
    "surname_forwarding_postcode": ("surname", "forwarding_postcode"),
}
"""The fields that each token is made of; a record that lacks one has no such token."""

SHARED_FIELD_KEYS: Mapping[str, str] = {
    "forwarding_uprn": "uprn",
    "forwarding_postcode": "postcode",
    "forename_bare_initial": "forename_start_1",
    "middle_name": "forename",
    "surname_start_1": "forename_start_1",
    "surname_start_2": "forename_start_2",
}
SHARED_TOKEN_KEYS: Mapping[str, str] = {
    "forwarding_uprn": "uprn",
    "initial_forwarding_uprn": "initial_uprn",
    "bare_initial_uprn": "initial_uprn",
    "middle_full_name": "full_name",
    "middle_uprn": "forename_uprn",
    "surname_forwarding_uprn": "surname_uprn",
    "surname_forwarding_postcode": "surname_postcode",
    "surname_start_birth_date": "forename_start_birth_date",
    "surname_initial_postcode": "initial_postcode",
}
"""Made with another's key, so that the home somebody leaves for meets the home they arrive at, a name cut to its
initial meets the whole name, a middle name meets the forename that somebody goes by, and forename and surname meet
where a system has them swapped."""

HASHED_FIELDS = frozenset(field for fields in TOKEN_FIELDS.values() for field in fields)
HASHED_NUMBERS = tuple(name for name in NUMBER_COLUMNS if name in HASHED_FIELDS)

MINOR = b"minor at "
"""Set before the home of a child: parent and child share surname, home and often an initial, and the records of
adults that hold no date of birth (council tax, electors) would take one for the other. So children's homes meet
only children's homes, until they are grown up."""

HOME_FIELDS = ("uprn", "postcode")


@dataclass(frozen=True)
class EpochKeys:
    """Keys of one linkage epoch, derived as they are asked for."""

    root: bytes
    epoch: int

    def key(self, kind: str, name: str) -> bytes:
        return derive_key(self.root, "link_key", kind, name, f"epoch-{self.epoch}")


def encode_link_keys(
    identities: pa.Table,
    roots: KeyProvider,
    epoch: int,
    *,
    feed: str = "",
    minors: npt.NDArray[np.bool_] | None = None,
) -> pa.Table:
    """Return one `LINK_KEY_SCHEMA` row per row of `identities`, in the same order.

    `identities` holds `record_ref` and any of the identity columns as partners wrote them: they are
    standardised here. `feed` scopes the partner's own person reference: the same number in two systems is two
    people. `minors` marks the records of children (none if not given). Raises `KeyUnavailableError` if the
    linkage root cannot be had.
    """
    root = roots.root("linkage")
    keys = EpochKeys(root, epoch)
    fields = _fields(standard_columns(identities, HASHED_NUMBERS), feed)
    if minors is not None and minors.any():
        fields |= {name: _set_apart(fields[name], minors) for name in HOME_FIELDS}
    digests = {
        name: digested(field, keys.key("field", _key_name(name)))
        for name, field in fields.items()
        if name in HASHED_FIELDS
    }
    digests["name_in_any_order"] = _name_in_any_order(fields["forename"], fields["surname"], keys)
    digests["middle_name_in_any_order"] = _name_in_any_order(fields["middle_name"], fields["surname"], keys)
    rows = identities.num_rows
    columns: list[pa.Array | pa.ChunkedArray] = [
        identities["record_ref"].cast(pa.string()),
        pa.array(np.full(rows, epoch, dtype=np.int32)),
        pa.repeat(key_id(root), rows),
        *_name_filters(fields["forename"], fields["surname"], keys),
    ]
    for token in (*COMPARED_TOKENS, *BLOCKING_TOKENS):
        key = keys.key("token", SHARED_TOKEN_KEYS.get(token, token))
        columns.append(tokens_of([digests[name] for name in TOKEN_FIELDS[token]], key))
    return pa.table(columns, schema=LINK_KEY_SCHEMA)


def encode_tokens(columns: Sequence[pa.ChunkedArray], token: str, roots: KeyProvider, epoch: int) -> pa.Array:
    """Return 16-byte tokens of text columns taken together, under keys of their own.

    For attributes that only some tables of people hold, such as a birth place.
    """
    keys = EpochKeys(roots.root("linkage"), epoch)
    digests = [
        digested(text_field(column), keys.key("field", f"{token}/{place}"))
        for place, column in enumerate(columns)
    ]
    return tokens_of(digests, keys.key("token", token))


def _key_name(field: str) -> str:
    return SHARED_FIELD_KEYS.get(field, field)


def _fields(standard: Mapping[str, Column], feed: str) -> dict[str, Field]:
    fields = {name: text_field(column) for name, column in standard.items() if name != "date_of_birth"}
    middle = fields["middle_name"]
    fields["middle_name"] = middle.changed(_first_word(middle.values))
    reference = fields["partner_person_reference"]
    (scope,) = length_prefixed([feed.encode()])
    fields["partner_person_reference"] = Field(
        reference.codes, pc.binary_join_element_wise(scope, reference.values, b"")
    )
    postcode = fields["postcode"]
    fields["outward_code"] = postcode.changed(pc.binary_slice(postcode.values, 0, -INWARD_CODE_LENGTH))
    starts = (*product(("forename", "surname"), (1, 2)), ("forename", 3), ("surname", 4))
    for name, length in starts:
        fields[f"{name}_start_{length}"] = fields[name].start(length)
    forename = fields["forename"]
    initials = pc.equal(pc.binary_length(forename.values), 1)
    fields["forename_bare_initial"] = forename.changed(pc.if_else(initials, forename.values, None))
    return fields | _birth_fields(standard["date_of_birth"])


def _first_word(texts: pa.Array) -> pa.Array:
    return pc.list_element(pc.split_pattern(texts.cast(pa.string()), " ", max_splits=1), 0)


def _set_apart(field: Field, minors: npt.NDArray[np.bool_]) -> Field:
    """The same values, those of `minors` with `MINOR` before them."""
    apart = minors & (field.codes != NO_VALUE)
    places, held = np.unique(field.codes[apart], return_inverse=True)
    codes = field.codes.copy()
    codes[apart] = held + len(field.values)
    marked = pc.binary_join_element_wise(MINOR, field.values.take(pa.array(places)), b"")
    return Field(codes, pa.concat_arrays([field.values, marked]))


def _birth_fields(dates: Column) -> dict[str, Field]:
    """Return the date as `1961-03-04`, and what two dates share that differ by a slip."""
    days = dates.combine_chunks() if isinstance(dates, pa.ChunkedArray) else dates
    whole = text_field(days.dictionary_encode())
    year, month, day = (
        pc.binary_slice(whole.values, start, stop) for start, stop in ((0, 4), (5, 7), (8, 10))
    )
    # 1 January stands for "some day that year" in many systems, so agreeing on it says little.
    new_year = pc.and_(pc.equal(month, b"01"), pc.equal(day, b"01"))
    earlier, later = (
        pc.if_else(pc.less(month, day), one, other) for one, other in ((month, day), (day, month))
    )
    parts = {
        "birth_year": (year,),
        "birth_year_month": (year, month),
        "birth_year_day": (year, day),
        "birth_month_day": (pc.if_else(new_year, None, month), day),
        "birth_swapped": (year, earlier, later),
    }
    joined = {name: pc.binary_join_element_wise(*values, b"") for name, values in parts.items()}
    return {"birth_date": whole, **{name: whole.changed(values) for name, values in joined.items()}}


def _name_in_any_order(one: Field, other: Field, keys: EpochKeys) -> DigestedField:
    # Some records have the two names swapped, so both are hashed alike and put in one order.
    first, second = (digested(field, keys.key("field", "name")) for field in (one, other))
    places, ones, others = paired(one.codes, other.codes, len(other.values))
    whole = (ones != NO_VALUE) & (others != NO_VALUE)
    if not whole.any():
        return DigestedField(np.full(len(one.codes), NO_VALUE), np.empty((0, 2), dtype=np.uint64))
    left, right = gathered(first.digests, ones[whole]), gathered(second.digests, others[whole])
    swapped = left[:, :1] > right[:, :1]
    lower, upper = np.where(swapped, right, left), np.where(swapped, left, right)
    codes = np.where(whole, np.cumsum(whole) - 1, NO_VALUE)
    return DigestedField(codes[places], cbc_mac([lower, upper], keys.key("token", "name_in_any_order")))


def _name_filters(forename: Field, surname: Field, keys: EpochKeys) -> list[pa.Array]:
    """Return the columns of each record's name filter, null where it holds no name at all."""
    places, forenames, surnames = paired(forename.codes, surname.codes, len(surname.values))
    filters = filters_of_pairs(
        forename, surname, forenames, surnames, lambda name: keys.key("name_filter", name), COUNTY_RECIPE
    )
    named = (forename.codes != NO_VALUE) | (surname.codes != NO_VALUE)
    validity = pa.py_buffer(np.packbits(named, bitorder="little"))
    return [
        pa.Array.from_buffers(pa.uint64(), len(places), [validity, pa.py_buffer(word.take(places))])
        for word in np.ascontiguousarray(filters.T)
    ]
