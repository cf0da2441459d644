"""When a night of linkage is too unlike the nights before it: figures in, findings out."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from governance.linkage_checks import read_linkage_checks
from linkage.nights.drift import Check, Finding, PastNight, findings_of, stability_index
from linkage.nights.figures import ALL_FEEDS, LinkRate, NightFigures

CHECKS = read_linkage_checks()
USUAL = NightFigures(
    records=10_000,
    people=4_000,
    largest_person=40,
    people_by_feed={"care": 1_000, "school": 900, "tax": 3_000},
    link_rates={
        "care – tax": LinkRate(900, 0.9),
        "care – care": LinkRate(200, 0.2),
        "school – tax": LinkRate(8, 0.01),
    },
    candidates={"nino_token": 3_000, "surname_uprn_token": 60_000},
    weights={ALL_FEEDS: {0: 200, 12: 5_000, 20: 3_000}, "care": {0: 20, 12: 500, 20: 480}, "school": {20: 8}},
)
MODEL = "model"


def good_nights(figures: NightFigures = USUAL, model: str = MODEL) -> list[PastNight]:
    first = date(2026, 10, 1)
    return [PastNight(first + timedelta(n), str(n), model, True, None, figures) for n in range(4)]


def found(figures: NightFigures, nights: list[PastNight] | None = None) -> list[Finding]:
    return list(findings_of(figures, good_nights() if nights is None else nights, MODEL, CHECKS))


def rates(**changed: LinkRate) -> NightFigures:
    named = {name.replace("_", " – "): rate for name, rate in changed.items()}
    return replace(USUAL, link_rates={**USUAL.link_rates, **named})


def test_a_night_like_the_others_has_no_finding() -> None:
    assert found(USUAL) == []


def test_a_link_rate_that_falls_by_half_blocks_and_a_smaller_fall_warns() -> None:
    (finding,) = found(rates(care_tax=LinkRate(400, 0.4)))
    assert (finding.check, finding.what, finding.blocks) == (Check.LINK_RATES, "care – tax", True)
    assert finding.limit == pytest.approx(0.45)
    (finding,) = found(rates(care_tax=LinkRate(600, 0.6)))
    assert not finding.blocks


def test_a_link_rate_that_triples_blocks() -> None:
    (finding,) = found(rates(care_care=LinkRate(700, 0.7)))
    assert finding.blocks


def test_two_feeds_that_share_few_people_are_left_to_chance() -> None:
    assert found(rates(school_tax=LinkRate(0, 0.0))) == []


def test_few_people_on_usual_nights_do_not_hide_many_tonight() -> None:
    (finding,) = found(rates(school_tax=LinkRate(800, 0.95)))
    assert finding.blocks


def test_a_chain_of_people_blocks() -> None:
    (finding,) = found(replace(USUAL, largest_person=500))
    assert (finding.check, finding.blocks) == (Check.CLUSTERS, True)


def test_people_who_fall_apart_or_together_block() -> None:
    assert [one.blocks for one in found(replace(USUAL, people=8_000))] == [True]
    assert [one.blocks for one in found(replace(USUAL, people=2_000))] == [True]


def test_a_default_value_that_everybody_shares_blocks() -> None:
    findings = found(replace(USUAL, candidates={**USUAL.candidates, "nino_token": 2_000_000}))
    assert {one.check for one in findings} == {Check.CANDIDATES}
    assert "candidate pairs per record by nino_token" in {one.what for one in findings if one.blocks}


def test_an_identifier_that_is_missing_blocks() -> None:
    findings = found(replace(USUAL, candidates={**USUAL.candidates, "surname_uprn_token": 0}))
    assert [one.blocks for one in findings] == [True]


def test_a_small_rule_may_change_as_it_likes() -> None:
    assert found(replace(USUAL, candidates={**USUAL.candidates, "nino_token": 6})) == []


def weights(**changed: dict[int, int]) -> NightFigures:
    return replace(USUAL, weights={**USUAL.weights, **changed})


def test_match_weights_of_one_feed_that_move_block_under_the_same_model_only() -> None:
    moved = weights(care={0: 480, 12: 500, 20: 20})
    (finding,) = found(moved)
    assert (finding.check, finding.blocks) == (Check.WEIGHTS, True)
    assert finding.what.endswith("care")
    assert found(moved, good_nights(model="another")) == []


def test_a_feed_with_few_links_is_left_to_chance() -> None:
    assert found(weights(school={0: 8})) == []


def test_a_feed_that_came_whole_may_know_more_people() -> None:
    grown = rates(care_care=LinkRate(700, 0.7))
    assert found(replace(grown, people_by_feed={**USUAL.people_by_feed, "care": 2_000})) == []


def test_the_stability_index_is_the_sum_over_bins() -> None:
    # (0.5 - 0.25) ln 2 + (0.5 - 0.75) ln (0.5 / 0.75)
    assert stability_index({0: 50, 2: 50}, {0: 25, 2: 75}) == pytest.approx(0.27465, abs=1e-5)
    assert stability_index({}, {}) == 0.0


def test_figures_come_back_as_they_were_written() -> None:
    assert NightFigures.from_json(USUAL.to_json()) == USUAL
