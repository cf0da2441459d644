"""Promise 1 on a whole night: nothing that it wrote outside the council holds a clear identifier.

The home has DuckDB stores, dbt's target, Dagster's event log and run storage, logs, models, published marts and
sealed packages; all are read by `doorstep scan`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import doorstep


@pytest.mark.slow
def test_a_refreshed_home_holds_no_clear_identifier_outside_the_council(a_copy: Path) -> None:
    report = json.loads(doorstep(a_copy, "scan", "--json", check=False).stdout)
    assert report["hits"] == []
    assert report["unreadable"] == []
    assert report["canaries_missed"] == []
    assert report["holds"]
    assert report["canaries_planted"] > 500
    assert report["packages_opened"] > 100
    assert report["cells"] > 100_000
    assert sum(report["identifiers"].values()) > 10_000
