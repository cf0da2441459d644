"""Training on link keys alone: a candidate that the nightly step can use, and nothing adopted by itself."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bridge.link_keys.encoding import encode_link_keys
from evaluation.passing_keys import PassingKeys
from exchange.link_key_schema import FIRST_EPOCH
from linkage.candidates.training import TrainingReport, county_plan, train_linkage_model
from linkage.model import MODEL_PATH, read_model
from linkage.people import resolve_people
from stores.analytics import AnalyticsZone
from stores.home import Home

PEOPLE = 900
FEEDS = ("adult_social_care", "council_tax", "housing_tenancies")
SYLLABLES = ("ba", "co", "di", "fe", "gu", "la", "mo", "ni", "pe", "ru", "sa", "to", "vi", "wel", "xan")


def a_record(person: int, feed: str) -> dict[str, Any]:
    """What `feed` holds of `person`: the same person always, each feed with its own gaps and slips."""
    always, here = random.Random(person), random.Random(f"{person}{feed}")  # noqa: S311
    forename, surname = ("".join(always.choices(SYLLABLES, k=3)) for _ in range(2))
    born = date(1930, 1, 1) + timedelta(days=always.randrange(28_000))
    nino = f"AB{always.randrange(10**6):06d}C"
    nhs_number = f"{always.randrange(10**8):08d}"
    council_tax = feed == "council_tax"
    return {
        "record_ref": hashlib.sha256(f"{person}{feed}".encode()).hexdigest()[:32],
        "forename": forename[:1] if here.random() < 0.1 else forename,
        "surname": surname + "e" if here.random() < 0.05 else surname,
        "date_of_birth": None if council_tax else born + timedelta(days=here.random() < 0.03),
        "nino": None if council_tax or here.random() < 0.2 else nino,
        "phone": None if here.random() < 0.5 else f"07700{nhs_number[:6]}",
        "partner_person_reference": f"{feed}{person}",
        "uprn": str(100_000 + person // 2) if here.random() < 0.8 else str(200_000 + here.randrange(500)),
        "postcode": f"AB{person % 60} {person % 9}CD",
    }


def encoded(feed: str) -> pa.Table:
    records = pa.Table.from_pylist([a_record(person, feed) for person in range(PEOPLE)])
    keys = encode_link_keys(records, PassingKeys(), FIRST_EPOCH, feed=feed)
    return keys.append_column("feed", pa.array([feed] * PEOPLE))


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> AnalyticsZone:
    zone = AnalyticsZone(Home(tmp_path_factory.mktemp("home")), PassingKeys())
    with zone.linkage() as connection:
        connection.register("arrived", pa.concat_tables([encoded(feed) for feed in FEEDS]))
        connection.execute("create table link_keys as from arrived")
    return zone


@pytest.fixture(scope="module")
def report(zone: AnalyticsZone) -> TrainingReport:
    # Fewer random pairs than a real training takes: a minute less.
    return train_linkage_model(zone, plan=replace(county_plan(), random_pairs=200_000))


def test_a_candidate_is_written_beside_the_models_and_the_reviewed_one_is_left_alone(
    zone: AnalyticsZone, report: TrainingReport
) -> None:
    candidate = read_model(zone.home.root / report.candidate)
    assert candidate.version == read_model(MODEL_PATH).version + 1
    assert report.records == PEOPLE * len(FEEDS)


def test_the_weights_that_are_learnt_make_sense(report: TrainingReport) -> None:
    for name in ("name", "birth_date", "nino", "home"):
        weights = list(report.weights[name].values())
        assert max(weights) > 5
        assert weights[-1] < 0


def test_the_nightly_step_finds_people_with_the_candidate(
    zone: AnalyticsZone, report: TrainingReport
) -> None:
    found = resolve_people(zone, read_model(zone.home.root / report.candidate))
    assert 0.9 * PEOPLE < found.people < 1.25 * PEOPLE


def test_another_model_means_another_run(zone: AnalyticsZone, report: TrainingReport) -> None:
    resolve_people(zone, read_model(zone.home.root / report.candidate))
    assert resolve_people(zone).skipped is False


def test_the_candidate_says_nothing_of_anybody(zone: AnalyticsZone, report: TrainingReport) -> None:
    text = Path(zone.home.root / report.candidate).read_text()
    with zone.linkage(read_only=True) as connection:
        row = connection.execute("select record_ref, hex(full_name_token) from link_keys limit 1").fetchone()
    assert row is not None
    assert row[0] not in text
    assert str(row[1]).lower() not in text.lower()
