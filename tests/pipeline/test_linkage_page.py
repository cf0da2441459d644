"""The linkage page of a whole night."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import doorstep

pytestmark = pytest.mark.slow


def test_one_command_writes_the_page_and_its_figures(refreshed: Path, tmp_path: Path) -> None:
    page = tmp_path / "linkage.html"
    done = doorstep(refreshed, "evaluate", "linkage", "--page", "--out", str(page), "--json", check=False)
    document = json.loads(done.stdout)
    assert (done.returncode == 0) == all(aim["holds"] is not False for aim in document["aims"])
    measured = json.loads(
        doorstep(refreshed, "evaluate", "linkage", "--dataset", "county", "--json", check=False).stdout
    )
    for figure in ("precision", "recall", "f1"):
        assert document["measure"]["pairwise"][figure] == measured["pseudonymised"][figure]
    assert document["anatomy"]["true_pairs"] == measured["pseudonymised"]["true_pairs"]
    causes = document["anatomy"]["causes"]
    assert sum(cause["own"] for cause in causes) == document["anatomy"]["missed_pairs"]
    assert sum(cause["parted"] for cause in causes) == document["anatomy"]["missed_pairs"]
    assert document["nights"][0]["good"] is True
    assert "Why strangers meet" in page.read_text(encoding="utf-8")


def test_the_checks_of_linkage_pass_on_a_first_night(refreshed: Path) -> None:
    told = json.loads(doorstep(refreshed, "linkage", "drift", "--json").stdout)
    assert (told["good"], len(told["nights"]), told["findings"]) == (True, 1, [])
