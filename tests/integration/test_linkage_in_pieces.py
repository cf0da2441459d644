"""Linkage in pieces (chunks of pairs, streams, what does not fit into memory) finds what it finds whole."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from evaluation.linkage.two_sides import link_keys_of
from evaluation.passing_keys import PassingKeys
from linkage.clustering.second_look import links_of_labelled, second_links
from linkage.model import read_model
from linkage.scoring import pairs
from linkage.scoring.pairs import ScoredPairs, linking_connection, load_compared_records, score_pairs
from linkage.scoring.short_tokens import with_short_tokens

PEOPLE, RECORDS = 120, 400


@pytest.fixture(scope="module")
def link_keys() -> pa.Table:
    """Link keys of 400 records of 120 people at 40 homes, in two feeds, some without a date of birth."""
    random = np.random.default_rng(5)
    person = random.integers(0, PEOPLE, RECORDS)
    names = ["Hartnoll", "Uglow", "Quickfall", "Ravenscroft"]
    forenames = ["Frederick", "Margaret", "Ottoline", "Thaddeus", "Poppy"]
    identities = pa.table(
        {
            "record_ref": [f"{number:032x}" for number in range(RECORDS)],
            "feed": random.choice(["council_tax", "housing"], RECORDS),
            "is_minor": np.zeros(RECORDS, dtype=np.bool_),
            "forename": [
                forenames[one % 5][: 1 if short else None]
                for one, short in zip(person, random.random(RECORDS) < 0.2, strict=True)
            ],
            "surname": [names[one % 4] for one in person],
            "date_of_birth": pa.array((person * 97).astype(np.int32), mask=random.random(RECORDS) < 0.4).cast(
                pa.date32()
            ),
            "uprn": (10_000_000 + person // 3).astype(str),
        }
    )
    return link_keys_of(identities, PassingKeys())


def found_in(link_keys: pa.Table | pa.RecordBatchReader, **options: object) -> ScoredPairs:
    model = read_model()
    return score_pairs(link_keys, model.splink_settings, model.match_weight_threshold, **options)  # type: ignore[arg-type]


def test_pairs_compared_in_chunks_are_those_compared_at_once(
    link_keys: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = found_in(link_keys)
    monkeypatch.setattr(pairs, "RECORDS_OF_A_CHUNK", 210)
    in_chunks = found_in(link_keys)
    assert whole.edges.num_rows > 200
    assert in_chunks.edges.equals(whole.edges)
    assert (in_chunks.candidates, in_chunks.weights) == (whole.candidates, whole.weights)


def test_a_stream_of_numbered_records_gives_the_edges_of_the_table(link_keys: pa.Table) -> None:
    whole = found_in(link_keys, collapse=False)
    connection = linking_connection()
    load_compared_records(connection, link_keys, collapse=False)
    model = read_model()
    counted = {
        column: connection.execute(pairs.frequencies_query(pairs.COMPARED, column)).to_arrow_table()
        for column in pairs.frequency_columns(model.splink_settings)
    }
    numbered = with_short_tokens(link_keys).set_column(0, "record_ref", pa.array(np.arange(RECORDS)))
    streamed = found_in(numbered.to_reader(50), collapse=False, frequencies=counted)
    for side in ("record_ref_l", "record_ref_r"):
        assert link_keys["record_ref"].take(streamed.edges[side]).to_pylist() == whole.edges[side].to_pylist()
    assert streamed.edges["match_weight"].equals(whole.edges["match_weight"])


def test_the_second_look_over_a_stream_gives_the_same_links(link_keys: pa.Table) -> None:
    labels = np.arange(RECORDS) // 2
    whole = second_links(link_keys, labels)
    streamed = with_short_tokens(link_keys).append_column("label", pa.array(labels)).to_reader(50)
    assert whole.num_rows > 5
    assert links_of_labelled(streamed).equals(whole)


def test_link_keys_that_do_not_fit_into_memory_go_to_disk_encrypted() -> None:
    connection = linking_connection()
    folder = Path(connection.execute("select current_setting('temp_directory')").fetchall()[0][0])
    connection.execute("set memory_limit = '60MB'")
    connection.execute(
        "create table kept as select range as number, 'IN THE CLEAR ' || range as text, random() as other "
        "from range(1_500_000)"
    )
    spilled = list(folder.glob("duckdb_temp_*"))
    assert sum(path.stat().st_size for path in spilled) > 1_000_000
    assert not any(b"IN THE CLEAR" in path.read_bytes() for path in spilled)
    assert connection.execute("select count(distinct number) from kept").fetchall() == [(1_500_000,)]
    connection.close()
    assert not list(folder.glob("duckdb_temp_*"))
    assert str(os.getpid()) in folder.name
