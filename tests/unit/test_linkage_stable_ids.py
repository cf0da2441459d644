"""A person's id outlives new records, merges and splits."""

from __future__ import annotations

import numpy as np

from evaluation.passing_keys import PassingKeys
from linkage.clustering.stable_ids import Assignment, Change, assign_person_ids


def assigned(clusters: list[list[str]], previous: dict[str, str] | None = None) -> Assignment:
    references = [reference for cluster in clusters for reference in cluster]
    numbers = np.repeat(np.arange(len(clusters)), [len(cluster) for cluster in clusters])
    held = previous or {}
    return assign_person_ids(
        numbers, references, [held.get(reference) for reference in references], PassingKeys()
    )


def test_a_new_id_is_keyed_and_made_from_the_smallest_reference() -> None:
    first, second = assigned([["a", "b"], ["c"]]).person_ids
    assert first == assigned([["a"]]).person_ids[0] != second
    assert len(first) == 32
    assert "a" * 2 not in (first, second)


def test_a_person_who_gains_a_smaller_reference_keeps_the_id() -> None:
    assert assigned([["a", "b"]], {"b": "P"}).person_ids == ["P"]


def test_a_merged_person_keeps_the_id_of_the_larger_part_and_the_change_is_told() -> None:
    found = assigned([["a", "b", "c"]], {"a": "Q", "b": "P", "c": "P"})
    assert found.person_ids == ["P"]
    assert found.changes == [Change("merged", "Q", "P", 1)]


def test_of_two_equal_parts_the_smaller_id_stays() -> None:
    assert assigned([["a", "b"]], {"a": "Q", "b": "P"}).person_ids == ["P"]


def test_a_split_leaves_the_id_with_the_larger_part() -> None:
    found = assigned([["a"], ["b", "c"]], {"a": "P", "b": "P", "c": "P"})
    assert found.person_ids[1] == "P" != found.person_ids[0]
    assert found.changes == [Change("split", "P", found.person_ids[0], 1)]


def test_a_record_that_once_gave_the_id_and_left_does_not_get_it_again() -> None:
    born = assigned([["a", "b", "c"]]).person_ids[0]
    found = assigned([["a"], ["b", "c"]], dict.fromkeys("abc", born))
    assert found.person_ids[1] == born != found.person_ids[0]


def test_unchanged_people_change_nothing() -> None:
    found = assigned([["a"], ["b"]], {"a": "P", "b": "Q"})
    assert found.person_ids == ["P", "Q"]
    assert found.changes == []


def test_an_id_that_somebody_else_has_or_had_is_not_given_again() -> None:
    first = assigned([["a"]]).person_ids[0]
    found = assign_person_ids(np.array([0]), ["a"], [None], PassingKeys(), lambda ids: ids & {first})
    assert found.person_ids[0] != first


def test_of_three_suitors_the_one_with_most_records_gets_the_id() -> None:
    previous = {"a": "P", "b": "P", "c": "P", "d": "Q", "e": "P"}
    found = assigned([["a"], ["b", "c"], ["d", "e"]], previous)
    assert found.person_ids[1:] == ["P", "Q"]
    assert {(change.change, change.from_person_id, change.record_count) for change in found.changes} == {
        ("split", "P", 1)
    }
    assert len(found.changes) == 2
