"""Names of the county: a few very common ones, a long tail, origins with their own behaviour."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from synthetic.errors import error_model, fold, register
from synthetic.names import (
    BRITISH,
    draw_forenames,
    draw_surnames,
    feminine_surnames,
    mans_surnames,
    one_name_only,
    read_names,
)
from synthetic.population import People, make_population
from synthetic.streams import stream

DATA = os.environ.get("DOORSTEP_BENCHMARK_DATA")


def of_origin(name: str, count: int = 4000) -> np.ndarray:
    return np.full(count, read_names().origins.index(name))


@pytest.fixture(scope="module")
def people() -> People:
    return make_population(np.array([12_000, 5_000, 3_000]), 1, 18_900, 20_000, 20_700)[1]


def test_the_origins_shares_add_up_to_one_and_british_names_come_first() -> None:
    material = read_names()
    assert sum(material.shares.values()) == pytest.approx(1.0)
    assert material.origins[0] == BRITISH
    assert len(material.origins) >= 15


def test_no_name_is_empty_or_longer_than_its_column() -> None:
    material = read_names()
    for table in [*material.surnames.values(), *material.forenames.values()]:
        length = np.strings.str_len(table.names)
        assert length.min() >= 1
        assert (np.strings.strip(table.names) == table.names).all()
        assert table.cumulative[-1] == pytest.approx(1.0)


def test_british_forenames_follow_the_cohort_of_birth() -> None:
    material = read_names()

    def share(name: str, sex: str, cohort: int) -> float:
        table = material.forenames[BRITISH, sex, cohort]
        place = np.flatnonzero(table.names == name)
        return float(np.diff(np.append(0.0, table.cumulative))[place].sum())

    assert share("Margaret", "female", 1935) > 5 * share("Margaret", "female", 2010)
    assert share("Susan", "female", 1950) > 5 * share("Susan", "female", 2000)
    assert share("Joshua", "male", 1995) > 5 * share("Joshua", "male", 1950)


def test_the_commonest_surname_names_about_one_person_in_a_hundred() -> None:
    drawn = draw_surnames(of_origin(BRITISH, 60_000), stream(1, "names"))
    names, counts = np.unique(drawn, return_counts=True)
    assert names[counts.argmax()] == "Smith"
    assert 0.008 < counts.max() / counts.sum() < 0.016
    assert (counts == 1).sum() > 1000


@pytest.mark.skipif(
    not DATA, reason="DOORSTEP_BENCHMARK_DATA is not set: no published surnames to compare with"
)
def test_the_shape_of_british_surnames_is_that_of_the_published_ones() -> None:
    """Share of the k commonest, and slope of log frequency on log rank, over as many names as are published."""
    with (Path(DATA or "") / "uk_names" / "lastname_uk.csv").open(encoding="utf-8") as file:
        published = np.sort([float(row["freq"]) for row in csv.DictReader(file)])[::-1]
    table = read_names().surnames[BRITISH]
    ours = np.sort(np.diff(np.append(0.0, table.cumulative)))[::-1][: len(published)]
    assert len(ours) > 6000
    published, ours = published / published.sum(), ours / ours.sum()
    for most in (1, 10, 100, 1000):
        assert ours[:most].sum() == pytest.approx(published[:most].sum(), rel=0.25), f"{most} commonest"
    rank = np.log(np.arange(10, 5000))
    slopes = [np.polyfit(rank, np.log(shares[10:5000]), 1)[0] for shares in (published, ours)]
    assert slopes[1] == pytest.approx(slopes[0], abs=0.12)


@pytest.mark.skipif(
    not DATA, reason="DOORSTEP_BENCHMARK_DATA is not set: no published forenames to compare with"
)
def test_the_commonest_forenames_of_a_year_are_as_common_as_the_published_ones() -> None:
    with (Path(DATA or "") / "uk_names" / "firstname_uk.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["birthyear"] in ("1996", "1997", "1998", "1999")]
    for sex in ("female", "male"):
        published = max(float(row["freq"]) for row in rows if row["sex"] == sex)
        table = read_names().forenames[BRITISH, sex, 1995]
        ours = float(np.diff(np.append(0.0, table.cumulative)).max())
        assert published / 2 < ours < published * 2


def test_women_bear_the_feminine_form_and_it_leads_back_to_the_mans() -> None:
    origin = np.concatenate([of_origin("polish", 2), of_origin("east_slavic", 2), of_origin("sikh", 1)])
    mans = np.array(["Kowalski", "Nowak", "Ivanov", "Popov", "Singh"], dtype="U28")
    everyone = np.ones(5, dtype=bool)
    womans = feminine_surnames(mans, origin, everyone)
    assert womans.tolist() == ["Kowalska", "Nowak", "Ivanova", "Popova", "Kaur"]
    assert mans_surnames(womans, origin, everyone).tolist() == mans.tolist()
    assert feminine_surnames(mans, origin, ~everyone).tolist() == mans.tolist()


def test_double_surnames_and_particles_are_of_their_origins() -> None:
    iberian = draw_surnames(of_origin("iberian"), stream(1, "iberian"))
    assert 0.4 < (np.strings.find(iberian, " ") > 0).mean() < 0.75
    north_sea = draw_surnames(of_origin("north_sea"), stream(1, "north sea"))
    assert np.strings.startswith(north_sea, "van ").mean() > 0.03
    british = draw_surnames(of_origin(BRITISH), stream(1, "british"))
    assert 0.015 < (np.strings.find(british, "-") > 0).mean() < 0.045
    polish = draw_surnames(of_origin("polish"), stream(1, "polish"))
    assert (fold(polish) != polish).mean() > 0.2


def test_some_south_indians_have_one_name_only() -> None:
    origin = of_origin("south_indian")
    female = np.zeros(len(origin), dtype=bool)
    forename = draw_forenames(origin, female, np.full(len(origin), 1980), stream(1, "forenames"))
    surname = one_name_only(
        forename, draw_surnames(origin, stream(1, "surnames")), origin, stream(1, "single")
    )
    assert 0.28 < (surname == forename).mean() < 0.45


def test_a_persons_names_are_written_as_their_origin_suffers_it(people: People) -> None:
    """Single names once, particles lost or joined, the father's name for the surname, the family name first."""
    person = np.arange(len(people))
    nobody = np.full(len(people), -1)
    made = register(people, person, np.ones(len(people)), nobody, "adult_social_care", stream(3, "register"))
    single = people.forename == people.surname.astype(people.forename.dtype)
    assert 0.3 < (made.forename[single] == "").mean() < 0.7
    chinese = people.origin == read_names().origins.index("chinese")
    swapped = np.strings.startswith(made.forename, people.surname) & (people.surname != people.forename)
    assert swapped[chinese].mean() > 5 * swapped[~chinese].mean()
    patronymic = people.origin == read_names().origins.index("north_african")
    fathers = (made.surname == people.middle_name) & (people.middle_name != "")
    rate = error_model()["particular_names"]["fathers_name_as_surname"]
    assert fathers[patronymic].mean() == pytest.approx(rate, abs=0.05)
    assert fathers[people.origin == 0].mean() < 0.002


def test_short_forms_of_english_names_and_respellings_of_others_are_variants() -> None:
    variants = read_names().variants
    assert "Bill" in variants["William"] or "Will" in variants["William"]
    assert "Mohamed" in variants["Mohammed"]
    assert len(variants) > 2000
