"""Chains of links that would join two people are cut; honest ones are kept."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from linkage.clustering.clusters import BIRTH_TOKENS, EXCLUSIVE_TOKENS, Edges, cluster, cluster_sizes

COLUMNS = ("feed", "uprn_token", "partner_reference_token", "full_name_token")


def records(*rows: dict[str, str]) -> pa.Table:
    """Link keys with readable tokens. A birth date `1961-03-04` also gives its parts' tokens."""
    columns: dict[str, list[bytes | str | None]] = {
        name: [row.get(name.removesuffix("_token"), "").encode() or None for row in rows]
        for name in (*COLUMNS[1:], *EXCLUSIVE_TOKENS)
    }
    columns["feed"] = [row.get("feed", "housing") for row in rows]
    for name, parts in zip(
        BIRTH_TOKENS, ((0, 1, 2), (0, 1, 2), (0, 1), (0, 2), (1, 2), (0, 1, 2), (0, 1, 2)), strict=True
    ):
        columns[name] = [
            b"-".join(row["birth_date"].encode().split(b"-")[part] for part in parts)
            if "birth_date" in row
            else None
            for row in rows
        ]
    types = {name: pa.string() if name == "feed" else pa.binary() for name in columns}
    return pa.table({name: pa.array(values, types[name]) for name, values in columns.items()})


def edges_of(*edges: tuple[int, int, float]) -> Edges:
    left, right = (np.array([edge[side] for edge in edges], dtype=np.int64) for side in (0, 1))
    return Edges(left, right, np.array([edge[2] for edge in edges], dtype=np.float64))


def clustered(edges: list[tuple[int, int]], link_keys: pa.Table) -> list[int]:
    """Labels after edges of clearly falling weights."""
    falling = [(left, right, 50.0 - 5 * place) for place, (left, right) in enumerate(edges)]
    return cluster(edges_of(*falling), link_keys).labels.tolist()


def test_linked_records_share_the_label_of_their_first() -> None:
    assert clustered([(0, 1), (1, 3)], records({}, {}, {}, {})) == [0, 0, 2, 0]


def test_without_edges_every_record_is_a_person() -> None:
    assert clustered([], records({}, {})) == [0, 1]


def test_a_chain_between_two_national_insurance_numbers_is_cut_at_its_weakest_link() -> None:
    link_keys = records({"nino": "A"}, {}, {"nino": "B"})
    assert clustered([(0, 1), (1, 2)], link_keys) == [0, 0, 2]
    assert clustered([(1, 2), (0, 1)], link_keys) == [0, 1, 1]


def test_twins_at_school_stay_apart_by_their_pupil_numbers() -> None:
    link_keys = records({"upn": "A", "birth_date": "2015-03-04"}, {"upn": "B", "birth_date": "2015-03-04"})
    assert clustered([(0, 1)], link_keys) == [0, 1]


def test_father_and_namesake_son_who_are_both_liable_for_a_home_stay_apart() -> None:
    both = [
        {"uprn": "1", "full_name": "AB", "partner_reference": reference, "feed": "council_tax"}
        for reference in "PQ"
    ]
    elsewhere = {"uprn": "1", "full_name": "AB", "partner_reference": "R", "feed": "sundry_debts"}
    assert clustered([(0, 1), (1, 2)], records(both[0], elsewhere, both[1])) == [0, 0, 2]
    born = {"birth_date": "1961-03-04"}
    assert clustered([(0, 1)], records(both[0] | born, both[1] | born)) == [0, 0]
    entered_twice = [record | {"feed": "electoral_register"} for record in both]
    assert clustered([(0, 1)], records(*entered_twice)) == [0, 0]


def test_one_weak_link_does_not_join_two_groups_that_hold_together_by_themselves() -> None:
    groups = [(0, 1, 20.0), (1, 2, 20.0), (3, 4, 20.0), (4, 5, 20.0)]
    found = cluster(edges_of(*groups, (2, 3, 1.0)), records(*[{}] * 6))
    assert (found.labels.tolist(), found.bridges) == ([0, 0, 0, 3, 3, 3], 1)


def test_weak_links_of_one_record_to_many_of_another_group_are_one_bridge() -> None:
    groups = [(0, 1, 20.0), (1, 2, 20.0), (3, 4, 20.0), (4, 5, 20.0)]
    found = cluster(edges_of(*groups, (2, 3, 2.0), (2, 4, 2.0), (2, 5, 1.0)), records(*[{}] * 6))
    assert (found.labels.tolist(), found.bridges) == ([0, 0, 0, 3, 3, 3], 3)


def test_a_record_that_belongs_weakly_to_one_group_carries_no_other_into_it() -> None:
    groups = [(0, 1, 20.0), (1, 2, 20.0), (3, 4, 20.0), (4, 5, 20.0)]
    found = cluster(edges_of(*groups, (5, 6, 4.0), (2, 6, 2.0)), records(*[{}] * 7))
    assert (found.labels.tolist(), found.bridges) == ([0, 0, 0, 3, 3, 3, 3], 1)


def test_a_strong_link_or_two_weak_ones_join_groups_and_a_weak_one_joins_a_pair() -> None:
    groups = [(0, 1, 20.0), (1, 2, 20.0), (3, 4, 20.0), (4, 5, 20.0)]
    for links in ([(2, 3, 6.0)], [(2, 3, 1.0), (0, 5, 1.0)]):
        assert set(cluster(edges_of(*groups, *links), records(*[{}] * 6)).labels.tolist()) == {0}
    pair = edges_of((0, 1, 20.0), (1, 2, 20.0), (3, 4, 20.0), (2, 3, 1.0))
    assert set(cluster(pair, records(*[{}] * 5)).labels.tolist()) == {0}


def test_father_and_namesake_son_stay_apart_by_their_dates_of_birth() -> None:
    link_keys = records({"birth_date": "1961-03-04"}, {"full_name": "F H"}, {"birth_date": "1988-11-23"})
    assert clustered([(0, 1), (1, 2)], link_keys) == [0, 0, 2]


def test_a_record_that_fits_father_and_son_equally_well_is_linked_to_neither() -> None:
    link_keys = records({"birth_date": "1961-03-04"}, {"full_name": "F H"}, {"birth_date": "1988-11-23"})
    assert cluster(edges_of((0, 1, 11.0), (1, 2, 10.5)), link_keys).labels.tolist() == [0, 1, 2]
    assert cluster(edges_of((0, 1, 14.0), (1, 2, 10.5)), link_keys).labels.tolist() == [0, 0, 2]


def test_a_slip_in_one_part_of_the_date_of_birth_is_no_contradiction() -> None:
    link_keys = records({"birth_date": "1961-03-04"}, {"birth_date": "1961-03-05"})
    assert clustered([(0, 1)], link_keys) == [0, 0]


def test_a_wrong_date_of_birth_is_forgiven_to_the_same_number() -> None:
    link_keys = records({"birth_date": "1961-03-04", "nino": "A"}, {"birth_date": "1988-11-23", "nino": "A"})
    assert clustered([(0, 1)], link_keys) == [0, 0]


def test_a_couple_with_two_references_at_one_property_is_not_joined_through_a_third_record() -> None:
    home = {"feed": "council_tax", "uprn": "1"}
    link_keys = records(home | {"partner_reference": "C1"}, {}, home | {"partner_reference": "C2"})
    assert clustered([(0, 1), (1, 2)], link_keys) == [0, 0, 2]


def test_one_person_entered_twice_at_one_property_under_one_name_is_joined() -> None:
    home = {"feed": "electoral_register", "uprn": "1", "full_name": "F H"}
    link_keys = records(home | {"partner_reference": "C1"}, home | {"partner_reference": "C2"})
    assert clustered([(0, 1)], link_keys) == [0, 0]


def test_refused_merges_are_counted() -> None:
    found = cluster(edges_of((0, 1, 20.0), (1, 2, 10.0)), records({"nino": "A"}, {}, {"nino": "B"}))
    assert (found.contradicted, found.refused) == (1, 1)


def test_cluster_sizes_count_people_by_their_records() -> None:
    assert cluster_sizes(np.array([0, 0, 2, 3, 3])) == {1: 1, 2: 2}
