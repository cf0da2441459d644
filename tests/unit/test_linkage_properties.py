"""What holds of any links between any records: clusters hang on their own component alone, ids on records alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.passing_keys import PassingKeys
from linkage.clustering import clusters
from linkage.clustering.clusters import BIRTH_TOKENS, CLUSTERED_COLUMNS, USED, Edges, cluster, facts_of
from linkage.clustering.confidence import quality_of
from linkage.clustering.stable_ids import assign_person_ids
from linkage.scoring.frequencies import frequencies_query
from linkage.scoring.pairs import linking_connection

RECORDS = 14
TOKENS = st.sampled_from([None, None, b"a", b"b"])
ROWS = st.fixed_dictionaries(
    {column: TOKENS for column in CLUSTERED_COLUMNS if column != "feed" and column not in BIRTH_TOKENS}
    | {"feed": st.sampled_from(["housing", "council_tax"]), "born": TOKENS}
)
COUNTIES = st.lists(ROWS, min_size=RECORDS, max_size=RECORDS)
LINKS = st.dictionaries(
    st.tuples(st.integers(0, RECORDS - 1), st.integers(0, RECORDS - 1)).filter(
        lambda pair: pair[0] < pair[1]
    ),
    st.sampled_from([1.0, 2.5, 4.0, 6.0, 9.0, 14.0]),
    max_size=30,
)


def link_keys_of(rows: list[dict[str, bytes | str | None]]) -> pa.Table:
    columns = {
        column: [row["born" if column in BIRTH_TOKENS else column] for row in rows]
        for column in CLUSTERED_COLUMNS
    }
    return pa.table(
        {
            name: pa.array(values, pa.string() if name == "feed" else pa.binary())
            for name, values in columns.items()
        }
    )


def edges_of(links: dict[tuple[int, int], float]) -> Edges:
    ordered = sorted(links.items(), key=lambda link: (-link[1], link[0]))
    left, right = (np.array([pair[side] for pair, _ in ordered], dtype=np.int64) for side in (0, 1))
    return Edges(left, right, np.array([weight for _, weight in ordered], dtype=np.float64))


def together(labels: list[int]) -> set[frozenset[int]]:
    return {frozenset(place for place, label in enumerate(labels) if label == other) for other in set(labels)}


@settings(max_examples=25)
@given(rows=COUNTIES, links=LINKS, others=COUNTIES, other_links=LINKS)
def test_records_without_a_link_to_ours_change_none_of_our_clusters(
    rows: list[dict[str, bytes | str | None]],
    links: dict[tuple[int, int], float],
    others: list[dict[str, bytes | str | None]],
    other_links: dict[tuple[int, int], float],
) -> None:
    alone = cluster(edges_of(links), link_keys_of(rows)).labels.tolist()
    moved = {(one + RECORDS, other + RECORDS): weight for (one, other), weight in other_links.items()}
    both = cluster(edges_of(links | moved), link_keys_of(rows + others)).labels.tolist()
    assert both[:RECORDS] == alone
    assert min(both[RECORDS:]) >= RECORDS


@settings(max_examples=25)
@given(rows=COUNTIES, links=LINKS)
def test_an_edge_that_was_used_joins_and_people_hang_together_by_edges(
    rows: list[dict[str, bytes | str | None]], links: dict[tuple[int, int], float]
) -> None:
    edges = edges_of(links)
    found = cluster(edges, link_keys_of(rows))
    used = found.reasons == USED
    assert (found.labels[edges.left[used]] == found.labels[edges.right[used]]).all()
    number = np.unique(found.labels, return_inverse=True)[1]
    names = np.array([f"r{place:02d}" for place in range(RECORDS)])
    quality = quality_of(
        pa.table(
            {"record_ref": names, "person": number, "feed": ["a"] * RECORDS, "copies": np.ones(RECORDS)}
        ),
        pa.table(
            {
                "record_ref_l": names[edges.left],
                "record_ref_r": names[edges.right],
                "match_weight": edges.weight,
            }
        ),
    ).to_pylist()
    for person in quality:
        assert (person["weakest_link"] is None) == (person["identities"] == 1)
        assert person["identities"] - 1 <= person["links"]
        assert 0.5 <= person["confidence"] <= 1
    assert sum(person["records"] for person in quality) == RECORDS


@settings(max_examples=25)
@given(rows=COUNTIES, data=st.data())
def test_components_are_searched_for_the_very_contradictions_that_facts_tell(
    rows: list[dict[str, bytes | str | None]], data: st.DataObject
) -> None:
    component = np.sort(np.array(data.draw(st.lists(st.integers(0, 3), min_size=RECORDS, max_size=RECORDS))))
    component = np.unique(component, return_inverse=True)[1].astype(np.int32)
    link_keys = link_keys_of(rows)
    facts = facts_of(link_keys, np.arange(RECORDS))
    arguing = {
        int(component[one])
        for one in range(RECORDS)
        for other in range(one)
        if component[one] == component[other] and facts[one].contradicts(facts[other])
    }
    all_of_them = np.ones(int(component.max()) + 1, dtype=np.bool_)
    found = clusters._contradicting_components(component, link_keys, all_of_them)
    assert set(np.flatnonzero(found).tolist()) == arguing


@settings(max_examples=25)
@given(rows=COUNTIES, links=LINKS)
def test_searching_for_contradictions_first_changes_no_cluster(
    rows: list[dict[str, bytes | str | None]], links: dict[tuple[int, int], float]
) -> None:
    edges, link_keys = edges_of(links), link_keys_of(rows)
    found = cluster(edges, link_keys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clusters, "_contradicting_components", lambda _component, _keys, suspect: suspect)
        every_suspect_rebuilt = cluster(edges, link_keys)
    assert (found.labels == every_suspect_rebuilt.labels).all()
    assert (found.reasons == every_suspect_rebuilt.reasons).all()
    assert found.refused == every_suspect_rebuilt.refused


@settings(max_examples=25)
@given(
    groups=st.lists(st.integers(0, 5), min_size=12, max_size=12),
    previous=st.lists(st.sampled_from([None, "P", "Q", "R"]), min_size=12, max_size=12),
)
def test_an_id_goes_to_one_cluster_and_what_moved_is_told(
    groups: list[int], previous: list[str | None]
) -> None:
    number = np.unique(np.sort(groups), return_inverse=True)[1]
    references = [f"r{place:02d}" for place in range(12)]
    found = assign_person_ids(number, references, previous, PassingKeys())
    assert len(set(found.person_ids)) == len(found.person_ids)
    moved = sum(
        held is not None and found.person_ids[place] != held
        for place, held in zip(number.tolist(), previous, strict=True)
    )
    assert sum(change.record_count for change in found.changes) == moved


@settings(max_examples=25)
@given(counts=st.lists(st.integers(1, 400), min_size=1, max_size=8))
def test_frequencies_keep_the_order_of_counts_and_stay_within_a_half_octave(counts: list[int]) -> None:
    values = [f"name {place}" for place, count in enumerate(counts) for _ in range(count)]
    connection = linking_connection()
    connection.register("names", pa.table({"name": values}))
    found = dict(connection.execute(frequencies_query("names", "name")).fetchall())
    for place, count in enumerate(counts):
        exact = count / max(sum(counts), 4096)
        assert 2**-0.76 <= found[f"name {place}"] / exact <= 2**0.76
    ordered = [found[f"name {place}"] for place in np.argsort(counts, kind="stable")]
    assert ordered == sorted(ordered)
