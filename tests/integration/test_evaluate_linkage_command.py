"""`doorstep evaluate linkage` and `doorstep standardise`, as somebody at a terminal meets them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from doorstep.cli import app
from evaluation.linkage import peers as linkage_datasets

FIGURES = {"precision": 0.99, "recall": 0.98, "f1": 0.985}


def judged(monkeypatch: pytest.MonkeyPatch, pseudonymised: float) -> tuple[int, dict[str, Any]]:
    """Run the command with figures made up for clear text, and `pseudonymised` as the F1 on pseudonyms."""
    document = {
        "dataset": "febrl3",
        "clear": FIGURES | {"f1": 0.990},
        "clear_same_blocking": FIGURES,
        "pseudonymised": FIGURES | {"f1": pseudonymised},
    }
    monkeypatch.setattr(linkage_datasets, "evaluate_dataset", lambda _: document)
    result = CliRunner().invoke(app, ["evaluate", "linkage", "--dataset", "febrl3", "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_a_loss_of_more_than_a_point_at_the_same_blocking_exits_with_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, document = judged(monkeypatch, pseudonymised=0.974)
    assert (code, document["holds"]) == (1, False)
    assert document["f1_loss"] == pytest.approx(0.011)


def test_a_smaller_loss_holds_and_both_losses_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    code, document = judged(monkeypatch, pseudonymised=0.976)
    assert (code, document["holds"]) == (0, True)
    assert document["f1_loss"] == pytest.approx(0.009)
    assert document["f1_loss_to_own_blocking"] == pytest.approx(0.014)


def test_a_typed_value_is_explained_step_by_step() -> None:
    result = CliRunner().invoke(app, ["standardise", "nino", "--value", "ab 12 34 5O c", "--json"])
    assert result.exit_code == 0
    steps = [item["step"] for item in json.loads(result.stdout)]
    assert steps == ["compact_capitals", "letters_read_as_digits", "eight_characters"]


def test_an_unknown_column_is_told() -> None:
    result = CliRunner().invoke(app, ["standardise", "height", "--value", "180"])
    assert result.exit_code != 0
    assert "full_name" in result.output
