"""Clear text and pseudonyms on the same pairs of records, by name origin."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bridge.pseudonymise.identities import IDENTITY_COLUMNS
from evaluation.linkage import two_sides as linkage_two_sides
from evaluation.linkage.county import compare_county
from evaluation.linkage.identities import newest_identities
from evaluation.linkage.origins import FEWEST_PAIRS, OriginFigures, figures_by_origin, recall_gap
from evaluation.linkage.two_sides import TwoSides, judge_both_sides
from evaluation.passing_keys import PassingKeys
from stores.home import Home
from synthetic.county import make_county

PEOPLE = 500
SYLLABLES = ["ba", "co", "di", "fe", "gu", "la", "mo", "ni", "pe", "ru", "sa", "to", "vi", "wel", "xan"]


def two_records_of_everybody() -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Two records of each of `PEOPLE` made-up people, one of them with a slip in the forename or none."""
    chance = random.Random(11)  # noqa: S311
    rows = []
    for person in range(PEOPLE):
        forename, surname = ("".join(chance.choices(SYLLABLES, k=3)) for _ in range(2))
        born = date(1930, 1, 1) + timedelta(days=chance.randrange(25_000))
        home = str(100_000 + chance.randrange(PEOPLE))
        for feed in ("housing", "care"):
            slipped = forename[:-1] + "e" if feed == "care" and chance.random() < 0.5 else forename
            rows.append(
                dict.fromkeys(IDENTITY_COLUMNS)
                | {
                    "record_ref": f"{feed}|{person:05d}",
                    "feed": feed,
                    "is_minor": False,
                    "forename": slipped,
                    "surname": surname,
                    "date_of_birth": born,
                    "uprn": home,
                    "postcode": f"AB{int(home) % 90 + 1} {int(home) % 9 + 1}CD",
                    "nino": f"AB{person:06d}C" if chance.random() < 0.8 else None,
                }
            )
    kinds = {"is_minor": pa.bool_(), "date_of_birth": pa.date32()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in rows[0]])
    table = pa.Table.from_pylist(rows, schema=schema).sort_by("record_ref")
    person = pc.utf8_slice_codeunits(table["record_ref"], -5).cast(pa.int64()).to_numpy()
    return table, person, np.where(person % 2 == 0, "even", "odd")


@pytest.fixture(scope="module")
def judged() -> TwoSides:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linkage_two_sides, "RANDOM_PAIRS", 100_000)
        return judge_both_sides(*two_records_of_everybody(), PassingKeys())


def test_both_sides_find_people_again_and_pseudonyms_cost_little(judged: TwoSides) -> None:
    assert (judged.records, judged.true_pairs) == (2 * PEOPLE, PEOPLE)
    assert judged.clear.f1 > 0.97
    assert judged.pseudonymised.f1 > 0.97
    assert judged.f1_loss == pytest.approx(judged.clear.f1 - judged.pseudonymised.f1)
    assert judged.holds


def test_every_side_is_told_by_name_origin(judged: TwoSides) -> None:
    for side in (judged.clear, judged.pseudonymised):
        assert {name: own.true_pairs for name, own in side.by_origin.items()} == {"even": 250, "odd": 250}


@pytest.mark.slow
def test_an_evaluation_comes_out_the_same_again(judged: TwoSides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linkage_two_sides, "RANDOM_PAIRS", 100_000)
    assert judge_both_sides(*two_records_of_everybody(), PassingKeys()) == judged


def test_recall_is_told_for_each_origin_by_its_own_pairs() -> None:
    truth = np.array([0, 0, 1, 1, 2, 2])
    found = np.array([0, 0, 1, 3, 2, 2])
    by_origin = figures_by_origin(found, truth, np.array(["a", "a", "b", "b", "b", "b"]))
    assert by_origin == {"a": OriginFigures(1.0, 1.0, 1), "b": OriginFigures(1.0, 0.5, 2)}


def test_an_origin_with_few_pairs_does_not_make_a_gap() -> None:
    many = {"a": OriginFigures(1.0, 0.95, FEWEST_PAIRS), "b": OriginFigures(1.0, 0.93, FEWEST_PAIRS)}
    assert recall_gap(many) == pytest.approx(0.02)
    assert recall_gap(many | {"c": OriginFigures(1.0, 0.5, FEWEST_PAIRS - 1)}) == pytest.approx(0.02)
    assert recall_gap({}) == 0.0


@pytest.mark.slow
def test_a_county_is_compared_from_its_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linkage_two_sides, "RANDOM_PAIRS", 100_000)
    home = Home(tmp_path)
    make_county(home, households=300, months=6, seed=3)
    identities = newest_identities(home)
    assert identities.num_rows == len(set(identities["record_ref"].to_pylist()))
    compared = compare_county(home)
    # Rows that are broken on purpose are not in the truth, and the other way round.
    assert compared.records > 0.98 * identities.num_rows
    assert compared.clear.f1 > 0.9
    assert compared.pseudonymised.f1 > 0.9
