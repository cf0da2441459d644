"""Standard forms of identities, so that the same person written two ways gives the same link keys.

Each identifier has an ordered list of small steps over the distinct values of a column, never row by row. What cannot
be read becomes null: a wrong value would match wrongly. The words and worked examples are in `standardise.yaml`; the
order is explained in ADR 0010.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from bridge.standardise.dates import DATE_STEPS, no_placeholder_date
from bridge.standardise.names import (
    BOTH_NAMES,
    FORENAMES,
    SPLITS,
    SURNAME,
    WHOLE_NAME,
    Name,
    Step,
    first_and_rest,
    split_names,
)
from bridge.standardise.numbers import (
    EMAIL_STEPS,
    NHS_NUMBER_STEPS,
    NINO_STEPS,
    PHONE_STEPS,
    REFERENCE_STEPS,
    UPN_STEPS,
    UPRN_STEPS,
)
from bridge.standardise.postcodes import POSTCODE_STEPS

STEPS: Mapping[str, tuple[Step, ...]] = {
    "surname": SURNAME,
    "forename": FORENAMES,
    "middle_name": FORENAMES,
    "date_of_birth": DATE_STEPS,
    "nino": NINO_STEPS,
    "nhs_number": NHS_NUMBER_STEPS,
    "upn": UPN_STEPS,
    "phone": PHONE_STEPS,
    "email": EMAIL_STEPS,
    "partner_person_reference": REFERENCE_STEPS,
    "uprn": UPRN_STEPS,
    "postcode": POSTCODE_STEPS,
    "forwarding_uprn": UPRN_STEPS,
    "forwarding_postcode": POSTCODE_STEPS,
}
"""What is done to each identity column, in this order. A `full_name` is split first (`WHOLE_NAME`, `SPLITS`)."""

NUMBER_COLUMNS = tuple(
    name for name in STEPS if name not in ("surname", "forename", "middle_name", "date_of_birth")
)

Column: TypeAlias = pa.Array | pa.ChunkedArray


def standardise_identities(identities: pa.Table) -> pa.Table:
    """Return names, date_of_birth and `NUMBER_COLUMNS` in standard form, in the same order of rows.

    A column that `identities` lacks comes back null. A record with neither forename nor surname has its name
    split from `full_name`.
    """
    columns = standard_columns(identities)
    return pa.table({name: _written_out(column) for name, column in columns.items()})


def standard_columns(identities: pa.Table, numbers: Sequence[str] = NUMBER_COLUMNS) -> dict[str, Column]:
    """Return what `standardise_identities` does, with `numbers` of its `NUMBER_COLUMNS` alone and their distinct
    values apart (dictionary arrays): for whoever works on distinct values again.
    """
    given, family = _column(identities, "forename"), _column(identities, "surname")
    whole = _column(identities, "full_name")
    if whole.null_count < len(whole):
        given, family = _with_split_names(given, family, whole)
    forename, behind = _forenames(given)
    middle = _in_standard_form(_column(identities, "middle_name"), FORENAMES)
    name = Name(forename, pc.coalesce(middle, behind), _in_standard_form(family, SURNAME))
    for rule in BOTH_NAMES:
        name = rule(name)
    columns: dict[str, Column] = dict(zip(Name._fields, name, strict=True))
    columns["date_of_birth"] = _birth_dates(_column(identities, "date_of_birth"))
    for column in numbers:
        columns[column] = _coded(_column(identities, column), STEPS[column])
    return columns


def in_standard_form(texts: pa.Array, steps: Sequence[Step]) -> pa.Array:
    """Apply `steps` to `texts` in order."""
    for step in steps:
        texts = step(texts)
    return texts


def parsed_dates(column: Column) -> Column:
    """Return `column` as date32, reading text as `DATE_STEPS` do, placeholders too; what cannot be read is null."""
    if pa.types.is_date32(column.type):
        return column
    if pa.types.is_temporal(column.type):
        return pc.cast(column, pa.date32())
    reading = [step for step in DATE_STEPS if step is not no_placeholder_date]
    return _in_standard_form(_whole(column), reading, pa.date32())


def explain(column: str, text: str) -> list[tuple[str, str | None]]:
    """Return what each step makes of one text typed by somebody: step and result, steps without effect left out.

    `column` is one of `STEPS`, or `full_name`. Nothing is logged. Raises `KeyError` for another column.
    """
    told: list[tuple[str, str | None]] = []
    texts = pa.array([text], pa.string())
    if column == "full_name":
        texts = _told(WHOLE_NAME, texts, told)
        for split in SPLITS:
            found = split(texts)
            given, family = (pc.struct_field(found, part) for part in ("given", "family"))
            if family[0].is_valid:
                told.append(
                    (split.__name__, f"surname {family[0].as_py()!r}, forenames {given[0].as_py()!r}")
                )
                _told(SURNAME, family, told)
                _told(FORENAMES, pc.if_else(pc.equal(given, ""), None, given), told)
                break
        return told
    _told(STEPS[column], texts, told)
    return told


def _told(steps: Sequence[Step], texts: pa.Array, told: list[tuple[str, str | None]]) -> pa.Array:
    for step in steps:
        before, texts = texts, step(texts)
        if not texts.cast(pa.string()).equals(before.cast(pa.string())):
            told.append((step.__name__, texts.cast(pa.string())[0].as_py()))
    return texts


def _with_split_names(given: pa.Array, family: pa.Array, whole: pa.Array) -> tuple[pa.Array, pa.Array]:
    named = pc.or_(pc.is_valid(family), pc.is_valid(given))
    encoded = whole.dictionary_encode()
    split_given, split_family = split_names(encoded.dictionary)
    return (
        pc.if_else(named, given, split_given.take(encoded.indices)),
        pc.if_else(named, family, split_family.take(encoded.indices)),
    )


def _forenames(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return forename and middle names of a forename field."""
    if texts.null_count == len(texts):
        return texts, texts
    encoded = texts.dictionary_encode()
    first, rest = first_and_rest(in_standard_form(encoded.dictionary, FORENAMES))
    return first.take(encoded.indices), rest.take(encoded.indices)


def _birth_dates(column: pa.Array) -> Column:
    return no_placeholder_date(parsed_dates(column))


def _in_standard_form(column: pa.Array, steps: Sequence[Step], kind: pa.DataType | None = None) -> pa.Array:
    if column.null_count == len(column):
        return pa.nulls(len(column), kind or pa.string())
    return _written_out(_coded(column, steps))


def _coded(column: pa.Array, steps: Sequence[Step]) -> pa.Array:
    """The column in standard form with its distinct texts apart; plain where it holds none."""
    if column.null_count == len(column):
        return pa.nulls(len(column), pa.string())
    encoded = column.dictionary_encode()
    return pa.DictionaryArray.from_arrays(encoded.indices, in_standard_form(encoded.dictionary, steps))


def _written_out(column: Column) -> Column:
    if isinstance(column, pa.DictionaryArray):
        return column.dictionary.take(column.indices)
    return column


def _column(identities: pa.Table, name: str) -> pa.Array:
    if name not in identities.column_names:
        return pa.nulls(identities.num_rows, pa.string())
    whole = _whole(identities[name])
    return whole if pa.types.is_temporal(whole.type) else whole.cast(pa.string())


def _whole(column: Column) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
