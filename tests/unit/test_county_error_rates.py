"""Error rates of the county: as configured over the records, and higher for those whom errors hit more often."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from stores.home import Home
from synthetic.county import make_county
from synthetic.errors import ERRORS, bit, error_model, error_weights, register
from synthetic.population import CHILD, People, make_population
from synthetic.streams import stream

TOLERANCE = 0.15
NAME_ERRORS = {
    "forename_variant": ("forename", "variant"),
    "forename_initial": ("forename", "initial_only"),
    "middle_as_first": ("forename", "middle_as_first"),
    "names_swapped": ("forename", "swapped_with_surname"),
    "typing_slip": ("text", "typing_slip"),
    "ocr": ("text", "ocr"),
    "phonetic": ("text", "phonetic"),
}
OTHER_ERRORS = {
    "birth_day_month_swapped": ("date_of_birth", "day_month_swapped"),
    "birth_first_of_january": ("date_of_birth", "first_of_january"),
    "birth_year_off_by_one": ("date_of_birth", "year_off_by_one"),
    "birth_decade_off": ("date_of_birth", "decade_off"),
    "nino_transposed": ("nino", "transposed"),
    "nino_temporary": ("nino", "temporary"),
    "nino_of_partner": ("nino", "partners_number"),
    "old_phone": ("phone", "old_number"),
}
# A system in which little is missing, so that every error shows.
SYSTEM, SEEDS = "homelessness_cases", 12


def configured(place: tuple[str, str]) -> float:
    return float(error_model()[place[0]][place[1]])


@pytest.fixture(scope="module")
def people() -> People:
    return make_population(np.array([14_000, 7_000, 4_000]), 3, 18_900, 20_000, 20_700)[1]


@pytest.fixture(scope="module")
def written(people: People) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Person, bits of errors, weight and number of records of many registrations. Those whom errors hit more
    often have more records, as people who move have.
    """
    person = np.arange(len(people))
    generator = stream(1, "whom errors hit")
    private, moved = generator.random(len(person)) < 0.2, generator.random(len(person)) < 0.12
    weights = error_weights(private, moved, generator.random(len(person)) < 0.3, people.origin != 0)
    records = 1 + 2 * moved + private
    partner = np.where(people.role == CHILD, -1, np.roll(person, 1))
    applied = [
        register(people, person, weights, partner, SYSTEM, stream(seed, "registrations"), records).applied
        for seed in range(SEEDS)
    ]
    return (
        np.tile(person, SEEDS), np.concatenate(applied), np.tile(weights, SEEDS), np.tile(records, SEEDS),
    )  # fmt: skip


@pytest.mark.parametrize("error", [*NAME_ERRORS, *OTHER_ERRORS])
def test_over_all_records_an_error_comes_at_its_rate_whoever_has_most_records(
    people: People, written: tuple[np.ndarray, ...], error: str
) -> None:
    person, applied, _, records = written
    missing = error_model()["systems"][SYSTEM]["missing"]
    counted = records.astype(float)
    share_held = 1.0
    if error.startswith("nino"):
        counted = counted * (people.role[person] != CHILD)
        share_held = 1 - missing["nino"]
    if error.startswith("birth"):
        share_held = 1 - missing["date_of_birth"]
    found = ((applied & bit(error)) > 0) @ counted / counted.sum() / share_held
    rate = configured((NAME_ERRORS | OTHER_ERRORS)[error])
    assert found == pytest.approx(rate, rel=TOLERANCE)


def test_an_error_hits_a_registration_in_proportion_to_its_weight(
    written: tuple[np.ndarray, ...],
) -> None:
    _, applied, weights, _ = written
    for error in ("forename_initial", "typing_slip", "old_phone"):
        hit = (applied & bit(error)) > 0
        high, low = weights > 1.8, weights < 0.8
        ratio = hit[high].mean() / hit[low].mean()
        assert ratio == pytest.approx(weights[high].mean() / weights[low].mean(), rel=0.2)


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("county"))
    make_county(home, households=2500, months=2, workers=1)
    return home


@pytest.fixture(scope="module")
def records(county: Home) -> pa.Table:
    """Delivered records that tell a name, with their person's true circumstances."""
    records = pq.read_table(county.truth / "records.parquet")
    persons = pq.read_table(county.truth / "persons.parquet", columns=["person_id", "origin"])
    return records.join(persons, "person_id")


def test_the_truth_names_the_bits_of_its_errors(county: Home) -> None:
    metadata = pq.read_schema(county.truth / "records.parquet").metadata
    assert metadata[b"errors"].decode().split(",") == list(ERRORS)


@pytest.mark.parametrize("error", NAME_ERRORS)
def test_delivered_records_bear_name_errors_at_their_rates(records: pa.Table, error: str) -> None:
    errors = records["errors"].to_numpy()
    assert len(errors) > 15_000
    rate = configured(NAME_ERRORS[error])
    # One registration is behind several records: chance is that of half as many.
    chance = 3 * np.sqrt(rate / (len(errors) / 2))
    assert ((errors & bit(error)) > 0).mean() == pytest.approx(rate, abs=TOLERANCE * rate + chance)


def test_records_of_names_that_are_not_british_and_of_private_renters_bear_more_errors(
    county: Home, records: pa.Table
) -> None:
    mask = np.bitwise_or.reduce([bit(error) for error in NAME_ERRORS])
    hit = (records["errors"].to_numpy() & mask) > 0
    british = pc.equal(records["origin"], "british").to_numpy(zero_copy_only=False)
    assert hit[~british].mean() > 1.25 * hit[british].mean()
    stays = pq.read_table(county.truth / "residences.parquet", columns=["person_id", "tenure"])
    renting = stays.filter(pc.equal(stays["tenure"], "private"))["person_id"]
    never = pc.invert(pc.is_in(stays["person_id"], value_set=renting))
    rents = pc.is_in(records["person_id"], value_set=renting).to_numpy(zero_copy_only=False)
    owns = pc.is_in(records["person_id"], value_set=stays["person_id"].filter(never))
    owns = owns.to_numpy(zero_copy_only=False)
    assert hit[british & rents].mean() > 1.15 * hit[british & owns].mean()
