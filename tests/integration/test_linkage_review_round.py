"""A review from the linkage store and back: drawn, sealed, judged, estimated; candidates from it, and adoption."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from test_linkage_training import FEEDS, a_record
from two_zones import TwoZones, make_two_zones

from bridge.link_keys.encoding import encode_link_keys
from evaluation.linkage.review import coverage_of_reviews
from evaluation.passing_keys import PassingKeys
from exchange.link_key_schema import FIRST_EPOCH
from exchange.review import MATCH, NON_MATCH, open_pairs, seal_verdicts
from linkage.candidates.candidate import MODEL_FILE, adopt, candidate_from_verdicts, compare_candidate
from linkage.candidates.training import write_model
from linkage.model import LinkageModelError, read_model
from linkage.people import resolve_people
from linkage.review.again import against_linkage
from linkage.review.store import reviewed_samples, send_again, send_sample, take_verdicts
from linkage.review.universe import universe_of

PEOPLE = 300
TODAY = date(2026, 10, 6)


def link_keys_of(people: int, feeds: Sequence[str] = FEEDS) -> tuple[pa.Table, dict[str, int]]:
    """Link keys of some people in each feed, and whose record each is."""
    tables, owner = [], {}
    for feed in feeds:
        records = [a_record(person, feed) for person in range(people)]
        owner |= {record["record_ref"]: person for person, record in enumerate(records)}
        keys = encode_link_keys(pa.Table.from_pylist(records), PassingKeys(), FIRST_EPOCH, feed=feed)
        tables.append(keys.append_column("feed", pa.array([feed] * people)))
    return pa.concat_tables(tables), owner


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> tuple[TwoZones, dict[str, int]]:
    """Both zones; the analytics zone has linked everybody."""
    zones = make_two_zones(tmp_path_factory.mktemp("home"))
    link_keys, owner = link_keys_of(PEOPLE)
    with zones.analytics.linkage() as connection:
        connection.register("arrived", link_keys)
        connection.execute("create table link_keys as from arrived")
    resolve_people(zones.analytics)
    return zones, owner


@pytest.fixture(scope="module")
def reviewed(linked: tuple[TwoZones, dict[str, int]]) -> TwoZones:
    """A sample that went to the council, was judged by somebody who knows, and whose verdicts came back."""
    zones, owner = linked
    sample = send_sample(zones.analytics, read_model(), 400, 1, TODAY)
    opened, refused = open_pairs(zones.home, zones.council.keys, 1_000)
    assert refused == []
    one, other = (
        np.array([owner[ref] for ref in opened[0].rows[side].to_pylist()])
        for side in ("record_ref_l", "record_ref_r")
    )
    verdicts = opened[0].rows.append_column("verdict", pa.array(np.where(one == other, MATCH, NON_MATCH)))
    seal_verdicts(zones.home, zones.council.keys, sample.sample_id, TODAY, verdicts)
    assert take_verdicts(zones.analytics, TODAY).taken == {sample.sample_id: sample.pairs.num_rows}
    return zones


def test_verdicts_that_came_back_tell_precision_and_recall(
    reviewed: TwoZones, linked: tuple[TwoZones, dict[str, int]]
) -> None:
    found = reviewed_samples(reviewed.analytics)[-1].estimated()
    owner = linked[1]
    people = reviewed.linkage("select record_ref, person_id from people")
    groups: dict[str, list[int]] = {}
    for record_ref, person_id in people:
        groups.setdefault(person_id, []).append(owner[record_ref])
    pairs = [
        (one, other)
        for group in groups.values()
        for place, one in enumerate(group)
        for other in group[:place]
    ]
    precision = sum(one == other for one, other in pairs) / len(pairs)
    assert found.precision.low <= precision <= found.precision.high
    assert found.precision.high - found.precision.low < 0.08
    assert 0.8 < found.recall.low <= found.recall.high <= 1


def test_verdicts_against_linkage_are_looked_at_again_hidden_among_others(reviewed: TwoZones) -> None:
    zones, zone = reviewed, reviewed.analytics
    before = reviewed_samples(zone)[-1]
    against = against_linkage(before.judged().verdict, before.judged().linked)
    name, pairs = send_again(zone, before.sample_id, 1, TODAY)
    assert pairs == 2 * against.sum()
    opened, _ = open_pairs(zones.home, zones.council.keys, 1_000)
    rows = next(package.rows for package in opened if package.sample_id == name)
    # A second reviewer who finds that the first was always right but once.
    first = {(row["record_ref_l"], row["record_ref_r"]): row["verdict"] for row in before.pairs.to_pylist()}
    second = [first[row["record_ref_l"], row["record_ref_r"]] for row in rows.to_pylist()]
    second[0] = NON_MATCH if second[0] == MATCH else MATCH
    verdicts = rows.append_column("verdict", pa.array(second))
    seal_verdicts(zones.home, zones.council.keys, name, TODAY, verdicts)
    assert take_verdicts(zone, TODAY).taken == {name: pairs}

    after = reviewed_samples(zone)[-1]
    assert after.sample_id == before.sample_id
    assert after.pairs.num_rows == before.pairs.num_rows
    assert after.estimated().cannot_tell == before.estimated().cannot_tell + 1
    with zone.linkage() as store:
        store.execute("delete from review_verdicts where sample_id = ?", [name])


def test_verdicts_on_pairs_that_nobody_asked_about_are_refused(reviewed: TwoZones) -> None:
    zones = reviewed
    sample_id = reviewed_samples(zones.analytics)[-1].sample_id
    foreign = pa.table({"record_ref_l": ["0" * 32], "record_ref_r": ["1" * 32], "verdict": [MATCH]})
    before = zones.linkage("select count(*) from review_verdicts")
    seal_verdicts(zones.home, zones.council.keys, sample_id, TODAY, foreign)
    report = take_verdicts(zones.analytics, TODAY)
    assert report.taken == {}
    assert [each.reason for each in report.refused] == ["it tells of pairs that nobody asked about"]
    assert zones.linkage("select count(*) from review_verdicts") == before


@pytest.mark.slow
def test_a_candidate_from_verdicts_is_compared_and_adopted_only_as_it_was_compared(
    reviewed: TwoZones, tmp_path: Path
) -> None:
    zone = reviewed.analytics
    folder, in_use = tmp_path / "candidate", tmp_path / "model.json"
    write_model(read_model(), in_use)
    candidate = candidate_from_verdicts(zone)
    assert candidate.version == read_model().version + 1
    changed = [
        (level["m_probability"], was["m_probability"], level.get("fix_m_probability"))
        for comparison, before in zip(
            candidate.splink_settings["comparisons"], read_model().splink_settings["comparisons"], strict=True
        )
        for level, was in zip(comparison["comparison_levels"], before["comparison_levels"], strict=True)
        if not level.get("is_null_level")
    ]
    assert any(now != was for now, was, _ in changed)
    assert all(now == was for now, was, fixed in changed if fixed)

    write_model(candidate, folder / MODEL_FILE)
    with pytest.raises(LinkageModelError, match="no comparison"):
        adopt(folder, "a.reviewer", "more is found", TODAY, in_use)
    comparison = compare_candidate(zone, folder)
    assert comparison.judged_pairs == reviewed_samples(zone)[-1].pairs.num_rows
    assert comparison.current.precision is not None
    assert comparison.b_cubed > 0.9
    assert comparison.candidate.people + comparison.current.people > 1.5 * PEOPLE
    kept = (folder / "comparison.json").read_text()
    assert json.loads(kept)["candidate"]["digest"] == candidate.digest
    assert not any(ref in kept for (ref,) in reviewed.linkage("select record_ref from people"))

    write_model(replace(candidate, match_weight_threshold=3.0), folder / MODEL_FILE)
    with pytest.raises(LinkageModelError, match="other models"):
        adopt(folder, "a.reviewer", "more is found", TODAY, in_use)
    write_model(candidate, folder / MODEL_FILE)
    adoption = adopt(folder, "a.reviewer", "more is found", TODAY, in_use)
    assert read_model(in_use).digest == candidate.digest == adoption.digest
    with pytest.raises(LinkageModelError):
        adopt(folder, "a.reviewer", "once more", TODAY, in_use)


@pytest.mark.slow
def test_ninety_five_of_a_hundred_intervals_hold_the_truth() -> None:
    link_keys, owner = link_keys_of(1_500)
    link_keys = link_keys.sort_by("record_ref")
    model = read_model()
    truth = np.array([owner[ref] for ref in link_keys["record_ref"].to_pylist()])
    # Linkage as bad as it may be: each record of one in twelve people is somebody of their own, others share one.
    found = np.where(
        truth % 12 == 0, truth * 10 + np.arange(len(truth)) % 3, (truth // 12) * 120 + truth % 12 * 10
    )
    found = np.where(truth % 40 == 1, found - 10, found)
    people = pa.table(
        {"record_ref": link_keys["record_ref"], "person_id": pc.cast(pa.array(found), pa.string())}
    )
    universe = universe_of(link_keys, people, model)
    coverage = coverage_of_reviews(universe, truth, model, 500, range(40))
    for figure in (coverage.precision, coverage.recall, coverage.b_cubed_precision):
        assert figure.held >= 0.85, figure
        assert abs(figure.bias) < 0.01
    assert coverage.precision.truth < 0.98
