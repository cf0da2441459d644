"""Names, dates and numbers as partners write them, brought to one form: the worked examples of the rules' own file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from bridge.standardise.identities import (
    STEPS,
    explain,
    in_standard_form,
    parsed_dates,
    standardise_identities,
)
from bridge.standardise.names import (
    ANY_NAME,
    BOTH_NAMES,
    FORENAMES,
    SPLITS,
    SURNAME,
    WHOLE_NAME,
    Name,
    first_and_rest,
    split_names,
)
from bridge.standardise.rules import read_file

Example = tuple[str, Any, Any, str | None]

OWN_STEPS: dict[str, Sequence[Any]] = {
    "any_name": ANY_NAME,
    "surname": SURNAME[len(ANY_NAME) :],
    "forename": FORENAMES[len(ANY_NAME) :],
    "full_name": (*WHOLE_NAME, *SPLITS),
    "both_names": BOTH_NAMES,
    **{
        column: steps
        for column, steps in STEPS.items()
        if column not in ("surname", "forename", "middle_name") and not column.startswith("forwarding")
    },
}
EXAMPLES: list[Example] = [
    (kind, written, standard, step)
    for kind, rows in read_file()["examples"].items()
    for written, standard, step in rows
]


def outcome(kind: str, written: Any, without: str | None = None) -> Any:
    """Standardise one value as the bridge does, with one step left out if `without` names it."""

    def kept(steps: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(step for step in steps if step.__name__ != without)

    if kind == "both_names":
        forename, surname = (pa.array([part], pa.string()) for part in written)
        name = Name(forename, pa.nulls(1, pa.string()), surname)
        for rule in kept(BOTH_NAMES):
            name = rule(name)
        return [name.forename[0].as_py(), name.surname[0].as_py()]
    texts = pa.array([written], pa.string())
    if kind == "full_name":
        given, family = split_names(texts, kept(WHOLE_NAME), kept(SPLITS))
        first, rest = first_and_rest(in_standard_form(given, FORENAMES))
        surname = in_standard_form(family, SURNAME)
        return [first[0].as_py(), rest[0].as_py(), surname[0].as_py()]
    steps = ANY_NAME if kind == "any_name" else STEPS[kind]
    return in_standard_form(texts, kept(steps))[0].as_py()


def test_every_worked_example_comes_out_as_written() -> None:
    wrong = [
        (kind, written, standard, found)
        for kind, written, standard, _ in EXAMPLES
        if (found := outcome(kind, written)) != standard
    ]
    assert wrong == []


def test_every_example_fails_without_the_step_it_names() -> None:
    idle = []
    for kind, written, standard, step in EXAMPLES:
        if step is None:
            continue
        try:
            found = outcome(kind, written, step)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            continue
        if found == standard:
            idle.append((kind, written, step))
    assert idle == []


@pytest.mark.parametrize("kind", OWN_STEPS)
def test_every_step_has_an_example_that_fails_without_it(kind: str) -> None:
    shown = {step for of_kind, _, _, step in EXAMPLES if of_kind == kind}
    assert {step.__name__ for step in OWN_STEPS[kind]} == shown - {None}


@pytest.mark.parametrize("kind", sorted(OWN_STEPS.keys() - {"both_names"}))
def test_a_step_keeps_every_row_in_its_place(kind: str) -> None:
    texts = pa.array(["4 March 1961", None, "AB12 3CD", "", "王", "4434765919"], pa.string())
    for step in OWN_STEPS[kind]:
        given = pa.nulls(len(texts), pa.date32()) if step.__name__ == "no_placeholder_date" else texts
        assert len(step(given)) == len(texts)


def test_a_standard_form_is_its_own_standard_form() -> None:
    for kind, _, standard, _ in EXAMPLES:
        if kind in STEPS and isinstance(standard, str):
            assert outcome(kind, standard) == standard


def test_dates_are_read_in_every_form_that_partners_write() -> None:
    written = pa.chunked_array(
        [["1961-03-04", "04/03/1961", "19610304", "04-MAR-1961", "31/02/1961", "", None]]
    )
    assert parsed_dates(written).to_pylist() == [date(1961, 3, 4)] * 4 + [None] * 3


def test_a_placeholder_date_of_birth_is_none() -> None:
    identities = pa.table({"date_of_birth": pa.array([date(1900, 1, 1), date(1961, 1, 1)], pa.date32())})
    assert standardise_identities(identities)["date_of_birth"].to_pylist() == [None, date(1961, 1, 1)]


def test_columns_that_a_feed_lacks_come_back_null_in_the_same_rows() -> None:
    standard = standardise_identities(
        pa.table({"surname": ["Hartnoll", None], "full_name": [None, "Mr F Uglow"]})
    )
    assert standard["surname"].to_pylist() == ["hartnoll", "uglow"]
    assert standard["forename"].to_pylist() == [None, "f"]
    assert standard["nino"].to_pylist() == [None, None]
    assert standard.num_rows == 2


def test_a_second_forename_is_a_middle_name() -> None:
    standard = standardise_identities(pa.table({"forename": ["Mary-Ann Jane"], "surname": ["Uglow"]}))
    assert standard["forename"].to_pylist() == ["maryann"]
    assert standard["middle_name"].to_pylist() == ["jane"]


def test_no_rows_give_no_rows() -> None:
    assert standardise_identities(pa.table({"full_name": pa.array([], pa.string())})).num_rows == 0


def test_explaining_tells_the_steps_and_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        told = explain("full_name", "Mrs O’Brien")
    assert told[0] == ("without_titles_as_written", "O’Brien")
    assert told[-1] == ("without_apostrophes", "obrien")
    assert caplog.records == []
