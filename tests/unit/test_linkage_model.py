"""The reviewed model: what the repository promises about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exchange.link_key_schema import TOKEN_COLUMNS
from governance.contracts import read_contracts
from governance.identifier_quality import COMPARED_BY_QUALITY, read_identifier_quality
from linkage.candidates.training import among_more_strangers, county_plan, weights_by_level
from linkage.model import MODEL_PATH, LinkageModelError, read_model
from linkage.scoring.comparisons import LOOSELY_HELD, by_quality, link_key_comparisons


def test_the_model_reads_link_keys_only_and_keeps_no_column_beside_its_scores() -> None:
    settings = read_model().splink_settings
    assert settings["retain_matching_columns"] is False
    assert settings["retain_intermediate_calculation_columns"] is False
    assert settings["additional_columns_to_retain"] == []
    assert settings["unique_id_column_name"] == "record_ref"
    for rule in settings["blocking_rules_to_generate_predictions"]:
        columns = rule["blocking_rule"].replace('"', "").replace("(", " ").replace(")", " ").split()
        named = {word[2:] for word in columns if word.startswith(("l.", "r."))}
        assert named <= {*TOKEN_COLUMNS, "feed"}


def test_every_level_of_the_model_has_both_weights() -> None:
    for comparison in read_model().splink_settings["comparisons"]:
        for level in comparison["comparison_levels"]:
            if not level.get("is_null_level"):
                assert 0 < level["m_probability"] <= 1
                assert 0 < level["u_probability"] <= 1


def test_the_model_has_the_comparisons_and_blocking_of_the_code() -> None:
    settings = read_model().splink_settings
    in_code = [
        [level["sql_condition"] for level in comparison.create_comparison_dict("duckdb")["comparison_levels"]]
        for comparison in by_quality(link_key_comparisons(), COMPARED_BY_QUALITY)
    ]
    in_model = [
        [level["sql_condition"] for level in comparison["comparison_levels"]]
        for comparison in settings["comparisons"]
    ]
    assert in_model == in_code
    assert [rule["blocking_rule"] for rule in settings["blocking_rules_to_generate_predictions"]] == [
        rule.create_blocking_rule_dict("duckdb")["blocking_rule"] for rule in county_plan().blocking_rules
    ]


def test_agreement_never_weighs_less_than_disagreement() -> None:
    for levels in weights_by_level(read_model().splink_settings).values():
        weights = list(levels.values())
        assert max(weights) > 0 > weights[-1]


def test_only_feeds_with_a_contract_hold_an_identifier_loosely() -> None:
    listed = {feed for feeds in read_identifier_quality().loosely_held.values() for feed in feeds}
    assert listed <= set(read_contracts())


def test_a_loosely_held_identifier_that_differs_speaks_less_against_a_pair() -> None:
    weights = weights_by_level(read_model().splink_settings)
    for identifier in ("name", "birth_date", "nino"):
        well, loosely = (list(weights[f"{identifier}{end}"].values())[-1] for end in ("", LOOSELY_HELD))
        assert loosely > well


def test_more_strangers_take_the_same_bits_from_every_pair_but_those_that_share_a_home() -> None:
    settings = dict(read_model().splink_settings)
    among_many = among_more_strangers(settings, 4)
    before, after = weights_by_level(settings), weights_by_level(among_many)
    for name, levels in before.items():
        for label, weight in levels.items():
            shared = name.startswith("home") and label != "All other comparisons"
            assert after[name][label] == pytest.approx(weight + 2 * shared, abs=0.02)
    prior = "probability_two_random_records_match"
    assert among_many[prior] == settings[prior] / 4
    assert among_more_strangers(settings, 0.5) == settings


def test_the_digest_changes_with_any_weight(tmp_path: Path) -> None:
    document = json.loads(MODEL_PATH.read_text())
    document["splink_settings"]["comparisons"][0]["comparison_levels"][1]["m_probability"] = 0.5
    changed = tmp_path / "model.json"
    changed.write_text(json.dumps(document))
    assert read_model(changed).digest != read_model().digest


@pytest.mark.parametrize("content", ["{", "{}", '{"version": 1}'])
def test_a_broken_model_file_says_what_to_do(content: str, tmp_path: Path) -> None:
    broken = tmp_path / "model.json"
    broken.write_text(content)
    with pytest.raises(LinkageModelError, match="Restore the reviewed file"):
        read_model(broken)


def test_a_missing_model_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LinkageModelError, match="no linkage model"):
        read_model(tmp_path / "model.json")
