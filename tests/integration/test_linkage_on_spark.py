"""Spark finds the pairs that DuckDB finds: the same model, the same link keys, another machine or many."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from evaluation.linkage.two_sides import link_keys_of
from evaluation.passing_keys import PassingKeys
from linkage.model import read_model
from linkage.scoring.backend import BACKEND_VARIABLE, LinkageBackendError
from linkage.scoring.pairs import ScoredPairs, score_pairs
from synthetic.names import draw_forenames, draw_surnames

PEOPLE, RECORDS = 150, 400
FOR_FEW_RECORDS = {
    # Compiling what runs for a second takes a minute.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
}


@pytest.fixture(scope="module")
def link_keys() -> pa.Table:
    """Link keys of 400 records of 150 people in three feeds, with letters lost, names left out and homes changed."""
    random = np.random.default_rng(3)
    origin = np.zeros(PEOPLE, dtype=np.int64)
    born = random.integers(-14_000, 12_000, PEOPLE)
    forename = draw_forenames(origin, random.random(PEOPLE) < 0.5, born // 365 + 1970, random)
    surname = draw_surnames(origin, random)
    person = random.integers(0, PEOPLE, RECORDS)
    home = np.where(random.random(RECORDS) < 0.1, random.integers(0, 60, RECORDS), person // 3)
    identities = pa.table(
        {
            "record_ref": [f"{number:032x}" for number in range(RECORDS)],
            "feed": random.choice(["benefits", "council_tax", "housing"], RECORDS),
            "is_minor": np.zeros(RECORDS, dtype=np.bool_),
            "forename": pa.array(forename[person], mask=random.random(RECORDS) < 0.1),
            "surname": [
                name[1:] if cut else name
                for name, cut in zip(surname[person], random.random(RECORDS) < 0.1, strict=True)
            ],
            "date_of_birth": pa.array(born[person].astype(np.int32), mask=random.random(RECORDS) < 0.3).cast(
                pa.date32()
            ),
            "nino": pa.array(
                np.strings.add("AB", np.strings.add((100_000 + person).astype(str), "C")),
                mask=random.random(RECORDS) < 0.6,
            ),
            "uprn": (10_000_000 + home).astype(str),
            "postcode": np.strings.add("TQ1 ", np.strings.add((home % 9 + 1).astype(str), "AB")),
        }
    )
    return link_keys_of(identities, PassingKeys())


def scored(link_keys: pa.Table) -> ScoredPairs:
    model = read_model()
    return score_pairs(link_keys, model.splink_settings, model.match_weight_threshold)


def test_an_unknown_backend_is_told_with_those_there_are(
    link_keys: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BACKEND_VARIABLE, "abacus")
    with pytest.raises(LinkageBackendError, match="duckdb and spark"):
        scored(link_keys)


@pytest.mark.slow
def test_spark_finds_the_same_edges_as_duckdb(link_keys: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspark", reason="Spark is not installed: make test-spark")
    from linkage.scoring import spark

    for name, value in FOR_FEW_RECORDS.items():
        monkeypatch.setitem(spark.SPARK_CONFIGURATION, name, value)
    on_duckdb = scored(link_keys)
    monkeypatch.setenv(BACKEND_VARIABLE, "spark")
    on_spark = scored(link_keys)

    assert on_duckdb.edges.num_rows > 200
    assert len(on_duckdb.candidates) > 5
    assert on_spark.candidates == on_duckdb.candidates
    assert on_spark.alike == on_duckdb.alike
    by_pair = [("record_ref_l", "ascending"), ("record_ref_r", "ascending")]
    found, expected = (side.edges.sort_by(by_pair) for side in (on_spark, on_duckdb))
    for column in ("record_ref_l", "record_ref_r", "match_key"):
        assert found[column] == expected[column]
    weights = np.abs(found["match_weight"].to_numpy() - expected["match_weight"].to_numpy())
    assert weights.max() <= 1e-6
