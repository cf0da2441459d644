"""The second look: what homes say of whole clusters."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bridge.link_keys.encoding import encode_link_keys
from bridge.pseudonymise.identities import IDENTITY_COLUMNS
from evaluation.linkage.blocking import blocking_figures
from evaluation.linkage.council import equal_records
from evaluation.passing_keys import PassingKeys
from linkage.clustering.second_look import second_links

TAX, ELECTORS, CARE, HOUSING = "council_tax", "electoral_register", "adult_social_care", "housing_tenancies"
OLD_HOME, NEW_HOME = "100", "200"
BORN = date(1980, 5, 17)


def record(feed: str, forename: str, surname: str, home: str = OLD_HOME, **others: Any) -> dict[str, Any]:
    """Return a record; its reference in the feed is another for each name and home unless given."""
    return {
        "feed": feed,
        "forename": forename,
        "surname": surname,
        "uprn": home,
        "partner_person_reference": f"{forename}{surname}{home}",
        **others,
    }


def links(*records: dict[str, Any], clusters: list[int] | None = None) -> set[tuple[int, int, str]]:
    """Return the linked places of `records` and the evidence; each is a cluster of its own, or of `clusters`."""
    rows = [
        dict.fromkeys(IDENTITY_COLUMNS) | held | {"record_ref": f"{place:02d}"}
        for place, held in enumerate(records)
    ]
    encoded = [_encoded(row) for row in rows]
    labels = np.array(clusters if clusters is not None else range(len(rows)), dtype=np.int64)
    found = second_links(pa.concat_tables(encoded), labels).to_pylist()
    return {(int(each["record_ref_l"]), int(each["record_ref_r"]), each["evidence"]) for each in found}


def _encoded(row: dict[str, Any]) -> pa.Table:
    keys = encode_link_keys(_table(row), PassingKeys(), 1, feed=str(row["feed"]))
    return keys.append_column("feed", pa.array([row["feed"]]))


def _table(row: dict[str, Any]) -> pa.Table:
    columns = {
        name: pa.array([value], pa.date32() if name == "date_of_birth" else pa.string())
        for name, value in row.items()
        if name != "feed"
    }
    return pa.table(columns)


def test_an_initial_meets_the_only_forename_of_the_home_that_it_can_stand_for() -> None:
    assert links(record(TAX, "J", "Hartnoll"), record(ELECTORS, "Judith", "Hartnoll")) == {
        (0, 1, "surname and bare initial")
    }


def test_an_initial_that_fits_two_housemates_is_left_alone() -> None:
    found = links(
        record(TAX, "J", "Hartnoll"),
        record(ELECTORS, "Judith", "Hartnoll"),
        record(ELECTORS, "Jack", "Hartnoll"),
    )
    assert found == set()


def test_somebody_with_a_single_name_meets_the_name_with_another_before_it() -> None:
    assert links(record(TAX, "", "Panini"), record(ELECTORS, "Banini", "Panini")) == {(0, 1, "single name")}


def test_two_references_in_one_system_are_two_people_whatever_their_names() -> None:
    found = links(
        record(CARE, "J", "Hartnoll", partner_person_reference="1"),
        record(CARE, "Judith", "Hartnoll", partner_person_reference="2"),
    )
    assert found == set()


def test_a_date_of_birth_and_a_surname_at_one_home_outweigh_another_forename() -> None:
    found = links(
        record(CARE, "Susan", "Hartnoll", date_of_birth=BORN),
        record(HOUSING, "Marigold", "Hartnoll", date_of_birth=BORN),
    )
    assert found == {(0, 1, "birth date and a name")}


def test_twins_whom_one_system_knows_both_stay_two() -> None:
    found = links(
        record(CARE, "Susan", "Hartnoll", date_of_birth=BORN),
        record(CARE, "Marigold", "Hartnoll", date_of_birth=BORN),
    )
    assert found == set()


def test_somebody_who_moved_with_another_is_found_again() -> None:
    mover = {"partner_person_reference": "7"}
    household = (
        record(TAX, "Anna", "Hartnoll", OLD_HOME, **mover),
        record(TAX, "Anna", "Hartnoll", NEW_HOME, **mover),
        record(ELECTORS, "Ben", "Hartnoll", OLD_HOME),
        record(ELECTORS, "Ben", "Hartnoll", NEW_HOME),
    )
    assert links(*household, clusters=[0, 0, 2, 3]) == {(2, 3, "moved with others")}
    # Nobody joins the two homes.
    assert links(*household, clusters=[0, 1, 2, 3]) == set()


def test_namesakes_who_moved_are_kept_apart_by_their_dates_of_birth() -> None:
    mover = {"partner_person_reference": "7"}
    found = links(
        record(TAX, "Anna", "Hartnoll", OLD_HOME, **mover),
        record(TAX, "Anna", "Hartnoll", NEW_HOME, **mover),
        record(CARE, "Ben", "Hartnoll", OLD_HOME, date_of_birth=BORN),
        record(HOUSING, "Ben", "Hartnoll", NEW_HOME, date_of_birth=date(1955, 1, 30)),
        clusters=[0, 0, 2, 3],
    )
    assert found == set()


def test_links_do_not_hang_on_the_order_of_records() -> None:
    names = [("J", TAX), ("Judith", ELECTORS), ("Peter", TAX), ("P", ELECTORS)]
    one = links(*(record(feed, forename, "Hartnoll") for forename, feed in names))
    other = links(*(record(feed, forename, "Hartnoll") for forename, feed in names[::-1]))
    assert one == {(3 - right, 3 - left, evidence) for left, right, evidence in other} != set()


@pytest.mark.parametrize(
    ("rules", "expected"), [((("a",),), [0, 0, 1, 2]), ((("a",), ("b", "c")), [0, 0, 1, 0])]
)
def test_equal_records_are_chained_and_missing_values_equal_nothing(
    rules: tuple[tuple[str, ...], ...], expected: list[int]
) -> None:
    columns = pa.table(
        {"a": ["x", "x", None, None], "b": [None, "y", "y", "y"], "c": ["z", "z", None, "z"]},
        schema=pa.schema([(name, pa.string()) for name in "abc"]),
    )
    assert equal_records(columns, rules).tolist() == expected


def test_a_blocking_rule_is_charged_with_all_pairs_it_compares_and_credited_with_true_ones() -> None:
    rows = [
        dict.fromkeys(IDENTITY_COLUMNS) | record(feed, "Ann", "Hartnoll", nino=nino) | {"record_ref": ref}
        for ref, feed, nino in (("0", TAX, "AB123457C"), ("1", CARE, "AB123457C"), ("2", CARE, None))
    ]
    keys = pa.concat_tables([_encoded(row) for row in rows])
    figures = blocking_figures(keys, np.array([0, 0, 1]))
    by_rule = {rule.rule: (rule.compared, rule.reached) for rule in figures.rules}
    assert (figures.true_pairs, figures.reached) == (1, 1)
    assert by_rule["nino_token"] == (1, 1)
    assert by_rule["surname_uprn_token"] == (3, 1)
