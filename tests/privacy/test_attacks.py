"""Promises 2 and 4: what an analyst without a key can re-identify. Each attack stands beside its positive control."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from two_zones import make_two_zones
from typer.testing import CliRunner

from bridge.link_keys.filters import COUNTY_RECIPE, FilterRecipe
from bridge.pseudonymise.deliveries import pseudonymise_deliveries
from doorstep.cli import app
from evaluation.attacks import differences, patterns, suite
from evaluation.attacks.audiences import join_ids
from evaluation.attacks.cooccurrence import refine_colours
from evaluation.attacks.differences import find_rectangles
from evaluation.attacks.frequency import rank_match, value_counts
from evaluation.attacks.graph import match_graphs
from evaluation.attacks.home import HomeTargets
from evaluation.attacks.patterns import mine_patterns
from evaluation.attacks.residents import Names, county_names, distinct_names
from evaluation.attacks.result import AttackResult
from evaluation.attacks.suite import LINEAR_FILTER, PLAIN_FILTER, Targets, name_filters, run_attacks

FULL_NAMES_KNOWING_EVERYBODY = 0.002
"""0.13 to 0.16 % were measured; the promise is 0.1 %."""

NAMES = 1_000
SEED = 3


@pytest.fixture(scope="module")
def names() -> Names:
    return distinct_names(NAMES, SEED)


def graph_matched(
    names: Names, recipe: FilterRecipe, overlap: float = 1.0, known_pairs: int = 0
) -> AttackResult:
    targets = Targets(seed=SEED)
    filters, own = (name_filters(names, keys, recipe) for keys in (targets.council, targets.attacker))
    return match_graphs(
        filters, names.full.tolist(), overlap=overlap, seed=SEED, own_filters=own, known_pairs=known_pairs
    )


def test_rank_matching_reads_values_whose_frequencies_differ() -> None:
    values = np.repeat(np.array(["smith", "jones", "khan"]), [60, 30, 10])
    tokens = np.repeat(np.array([7, 1, 4]), [60, 30, 10])
    assert rank_match(tokens, values, *value_counts(values)).rate == 1


def test_rank_matching_guesses_nothing_beyond_the_values_it_knows() -> None:
    values, tokens = np.array(["smith", "smith", "khan"]), np.array([0, 0, 5])
    result = rank_match(tokens, values, np.array(["smith"]), np.array([2]))
    assert (result.records, result.recovered) == (3, 2)


def test_a_bare_surname_token_gives_its_common_names_away_and_a_full_name_token_does_not() -> None:
    names = county_names(20_000, SEED)
    by_surname = rank_match(
        np.unique(names.surnames, return_inverse=True)[1], names.surnames, *value_counts(names.surnames)
    )
    by_name = rank_match(np.unique(names.full, return_inverse=True)[1], names.full, *value_counts(names.full))
    assert by_surname.rate > 10 * by_name.rate


def test_graph_matching_reads_plain_filters(names: Names) -> None:
    assert graph_matched(names, PLAIN_FILTER).rate > 0.9


def test_graph_matching_reads_plain_filters_when_a_fifth_of_the_names_is_not_on_the_list(
    names: Names,
) -> None:
    assert graph_matched(names, PLAIN_FILTER, overlap=0.8).rate > 0.9


def test_graph_matching_finds_next_to_nothing_in_our_filters(names: Names) -> None:
    assert graph_matched(names, COUNTY_RECIPE).rate <= 0.005


def test_filters_diffused_as_published_do_not_stop_graph_matching(names: Names) -> None:
    assert graph_matched(names, LINEAR_FILTER).rate > 0.9


def test_pairs_that_the_attacker_knows_are_not_counted_as_recovered(names: Names) -> None:
    result = graph_matched(names, COUNTY_RECIPE, known_pairs=50)
    assert result.records == NAMES - 50
    assert result.recovered < result.records


def test_equal_differences_tie_linear_filters_together_and_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "LARGEST_PAIRS", 1_500)
    crowd, council = county_names(25_000, SEED), Targets(seed=SEED).council
    rates = {
        recipe: find_rectangles(
            name_filters(crowd, council, recipe), crowd.forenames, crowd.surnames, seed=SEED
        ).rate
        for recipe in (LINEAR_FILTER, COUNTY_RECIPE)
    }
    assert rates[LINEAR_FILTER] > 0.1
    assert rates[COUNTY_RECIPE] == 0


def test_pattern_mining_reads_plain_surname_filters_and_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "MOST_NODES", 600)
    crowd = county_names(40_000, SEED)
    crowd = crowd.at(np.flatnonzero((crowd.forenames != "") & (crowd.surnames != "")))
    council = Targets(seed=SEED).council
    surnames = Names(np.zeros(len(crowd), dtype="U1"), crowd.surnames)
    plain = name_filters(surnames, council, PLAIN_FILTER)
    assert mine_patterns(plain, crowd.surnames.tolist(), crowd.surnames.tolist()).rate > 0.4
    few = crowd.at(np.arange(3_000))
    assert mine_patterns(name_filters(few, council), few.full.tolist(), few.full.tolist()).rate <= 0.005


def test_a_dictionary_without_the_key_finds_nothing_and_with_it_everything() -> None:
    for result in run_attacks("dictionary", Targets(1_000, 1_000, SEED)):
        assert result.holds, result


def test_two_agreements_two_audiences_and_two_epochs_share_no_pseudonym() -> None:
    results = list(run_attacks("audiences", Targets(1_000, 1_000, SEED)))
    assert all(result.holds for result in results), results
    assert {result.control for result in results} == {True, False}


def test_a_pseudonym_that_two_parties_share_is_counted() -> None:
    result = join_ids(np.array(["a", "b"]), np.array(["c", "b"]), target="ids")
    assert (result.recovered, result.holds) == (1, False)


def test_records_are_found_by_who_stands_beside_them() -> None:
    homes, birthdays = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 2, 3])
    people = np.arange(5)
    result = refine_colours(
        [homes, birthdays], [1 - homes, 3 - birthdays], people, people, target="", limit=None, knowledge=""
    )
    # The two others of the second home differ in nothing but the unknown codes themselves.
    assert result.recovered == 3


def test_a_council_can_attack_its_own_link_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zones = make_two_zones(tmp_path / "home")
    named = county_names(200, SEED)
    accounts = [
        {
            "account_ref": f"{70_000_000 + place}",
            "lead_liab_pos": 1,
            "lead_liab_name": f"{surname}, {forename}",
            "uprn": f"{100_000_000_000 + place // 2}",
        }
        for place, (forename, surname) in enumerate(zip(named.forenames, named.surnames, strict=True))
    ]
    pseudonymise_deliveries(
        zones.council, "council_tax", [zones.stage("council_tax", {"accounts": accounts})], date(2026, 10, 6)
    )
    zones.open("council_tax")
    targets = HomeTargets(seed=SEED, home=zones.home)
    assert targets.identities.num_rows == len(accounts)
    # The attacked token and its true value belong to one record: wherever two tokens are equal, so are the values.
    for column in ("full_name_token", "uprn_token", "surname_uprn_token"):
        pairs = {(ours, label) for ours, label in zip(*_both(targets, column), strict=True)}
        assert len(pairs) == len({ours for ours, _ in pairs}) == len({label for _, label in pairs}) > 90
    monkeypatch.setenv("DOORSTEP_HOME", str(zones.home.root))
    told = json.loads(CliRunner().invoke(app, ["attack", "frequency", "--home", "--json"]).stdout)
    assert {result["records"] for result in told["results"] if result["target"] == "uprn_token"} == {200}
    assert CliRunner().invoke(app, ["attack", "graph", "--home"]).exit_code == 2


def _both(targets: HomeTargets, column: str) -> tuple[list[bytes], list[bytes]]:
    return targets.link_keys[column].to_pylist(), targets.labels[column].to_pylist()


def test_a_control_that_fails_fails_the_suite() -> None:
    assert not AttackResult("graph", "plain", 100, 80, limit=0.9, control=True).holds
    assert not AttackResult("graph", "ours", 100, 1, limit=0.005).holds
    assert AttackResult("graph", "ours", 100, 0, limit=0.005).holds


def test_the_command_exits_with_1_when_an_attack_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        suite, "look_up", lambda *_, **__: AttackResult("dictionary", "ours", 10, 10, limit=0.001)
    )
    told = CliRunner().invoke(app, ["attack", "dictionary", "--records", "500", "--json"])
    document = json.loads(told.stdout)
    assert told.exit_code == 1
    assert not document["holds"]
    assert document["results"][0]["rate"] == 1


@pytest.mark.slow
def test_only_full_names_give_more_away_than_promised_and_only_to_who_knows_everybody() -> None:
    targets = Targets(seed=SEED)
    results = list(run_attacks("frequency", targets))
    assert targets.identities.num_rows >= suite.PROMISED_RESIDENTS
    missed = [result for result in results if not result.holds]
    # The promise is missed where every resident's name is known exactly (docs/attacks.md): there, nowhere else, and by
    # no more than was told.
    assert {(result.target, result.knowledge) for result in missed} <= {
        (target, suite.EVERYBODY) for target in (*suite.NAME_TOKENS, suite.NAME_FILTER)
    }
    assert max((result.rate for result in missed), default=0.0) <= FULL_NAMES_KNOWING_EVERYBODY


@pytest.mark.slow
def test_graph_matching_stays_within_half_a_percent_at_10_000_names() -> None:
    results = list(run_attacks("graph", Targets(seed=SEED)))
    assert max(result.records for result in results) >= suite.PROMISED_NAMES
    assert [result for result in results if not result.holds] == []


@pytest.mark.slow
def test_pattern_mining_of_100_000_residents_reads_no_more_than_the_commonest_names() -> None:
    ours, control = run_attacks("patterns", Targets(seed=SEED))
    # It knows how often every name is borne, so the same miss is told of it.
    assert ours.rate <= FULL_NAMES_KNOWING_EVERYBODY
    assert control.control
    assert control.holds
