"""Linkage on people no one here made, and on a table of one's own."""

from __future__ import annotations

import csv
import os
import random
from pathlib import Path

import pytest

from evaluation.datasets import BENCHMARK_DATA_VARIABLE, DatasetError, febrl, historical_50k
from evaluation.linkage.peers import evaluate_dataset, evaluate_file

LARGEST_LOSS = 0.010
FIGURES = {"precision", "recall", "f1"}


@pytest.fixture(scope="module")
def own_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of 1,200 records of 600 made-up people: every second record has a slip in the name."""
    chance = random.Random(7)  # noqa: S311
    path = tmp_path_factory.mktemp("own") / "people.csv"
    syllables = ["ba", "co", "di", "fe", "gu", "la", "mo", "ni", "pe", "ru", "sa", "to", "vi", "wel", "xan"]
    with path.open("w", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(["Who", "Given", "Family", "Born", "Code"])
        for person in range(600):
            given, family = ("".join(chance.choices(syllables, k=3)) for _ in range(2))
            born = f"{chance.randint(1, 28):02d}/{chance.randint(1, 12):02d}/{chance.randint(1930, 2005)}"
            code = f"AB{chance.randint(1, 99)} {chance.randint(1, 9)}CD"
            rows.writerow([person, given, family, born, code])
            rows.writerow([person, given[:-1] + "e", family, born, code])
    return path


def test_ones_own_table_is_judged_in_clear_text_and_on_pseudonyms(own_people: Path) -> None:
    mapping = {"forename": "Given", "surname": "Family", "date_of_birth": "Born", "postcode": "Code"}

    document = evaluate_file(own_people, "Who", mapping)

    assert document["dataset"] == "people.csv"
    assert (document["records"], document["true_pairs"]) == (1_200, 600)
    for side in ("clear", "clear_same_blocking", "pseudonymised"):
        assert set(document[side]) >= FIGURES
        assert document[side]["f1"] > 0.95
    blocked = [
        document[side]["compared_share_of_true_pairs"] for side in ("clear_same_blocking", "pseudonymised")
    ]
    assert blocked[0] == blocked[1]


@pytest.mark.parametrize(
    ("truth", "mapping", "said"),
    [
        ("Who", {"surname": "Nobody"}, "no column 'Nobody'"),
        ("Nobody", {"surname": "Family"}, "no column 'Nobody'"),
        ("Who", {"surname": "Family", "height": "Given"}, "not an identity column"),
        ("Who", {"forename": "Given"}, "map surname or full_name"),
    ],
)
def test_a_wrong_mapping_is_told_by_column(
    own_people: Path, truth: str, mapping: dict[str, str], said: str
) -> None:
    with pytest.raises(DatasetError, match=said):
        evaluate_file(own_people, truth, mapping)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    not_parquet = tmp_path / "people.parquet"
    not_parquet.write_bytes(b"not a table")
    with pytest.raises(DatasetError, match="neither a CSV file"):
        evaluate_file(not_parquet, "Who", {"surname": "Family"})


def test_without_the_benchmark_data_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BENCHMARK_DATA_VARIABLE, raising=False)
    with pytest.raises(DatasetError, match=BENCHMARK_DATA_VARIABLE):
        historical_50k()


def test_two_files_of_the_same_people_have_their_pairs_across_the_files() -> None:
    two_files, one_file = febrl("4"), febrl("1")
    assert (two_files.source, one_file.source) == ("source", None)
    truth, source = (two_files.records[name].to_pylist() for name in ("truth", "source"))
    assert len(set(zip(truth, source, strict=True))) == len(truth) == 10_000


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get(BENCHMARK_DATA_VARIABLE), reason=f"{BENCHMARK_DATA_VARIABLE} is not set"
)
def test_without_homes_pseudonyms_come_within_a_point_of_the_documented_model_too() -> None:
    document = evaluate_dataset("fake_1000")
    assert document["clear"]["f1"] > 0.85
    assert document["clear"]["f1"] - document["pseudonymised"]["f1"] <= LARGEST_LOSS


@pytest.mark.slow
def test_pseudonyms_cost_less_than_a_point_on_febrl3() -> None:
    document = evaluate_dataset("febrl3")
    assert document["clear_same_blocking"]["f1"] > 0.99
    assert document["clear_same_blocking"]["f1"] - document["pseudonymised"]["f1"] <= LARGEST_LOSS


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get(BENCHMARK_DATA_VARIABLE), reason=f"{BENCHMARK_DATA_VARIABLE} is not set"
)
def test_pseudonyms_cost_less_than_a_point_on_historical_people() -> None:
    document = evaluate_dataset("historical_50k")
    assert document["clear"]["f1"] > 0.76
    assert document["clear_same_blocking"]["f1"] - document["pseudonymised"]["f1"] <= LARGEST_LOSS
