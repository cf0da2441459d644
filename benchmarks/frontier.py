"""The frontier of ADR 0012: linkage F1 against attack success for every setting; `docs/images/frontier.png`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaluation.datasets import DatasetError
from evaluation.frontier import frontier_tables, measure_frontier
from evaluation.frontier_plot import draw_frontier

PLOT = Path(__file__).resolve().parents[1] / "docs" / "images" / "frontier.png"


def measure() -> dict[str, Any]:
    """Measure every setting on both data sets and draw the plot; says why not where the data is not to be had."""
    try:
        tables = frontier_tables()
    except DatasetError as error:
        return {"skipped": str(error)}
    rows = [row for table in tables for row in measure_frontier(table)]
    draw_frontier(rows, PLOT)
    return {"settings": rows}
