"""The frontier as a plot: to the right what linkage keeps, upwards what an attacker gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ATTACKS = ("graph_matching", "pattern_mining", "equal_differences")
SMALLEST_SHARE = 1e-4
"""Shares below it (and none at all) are drawn here: the axis is logarithmic."""


def draw_frontier(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw linkage F1 against the best attack on names, one panel for each data set; writes a PNG to `path`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    figure, panels = plt.subplots(1, len(datasets), figsize=(6.5 * len(datasets), 6), squeeze=False)
    for panel, dataset in zip(panels[0], datasets, strict=True):
        own = [row for row in rows if row["dataset"] == dataset]
        for number, row in enumerate(own, start=1):
            share = max(SMALLEST_SHARE, *(row[attack] for attack in ATTACKS))
            colour = (
                "tab:green"
                if row["chosen"]
                else "tab:red"
                if row["setting"].endswith("single tokens")
                else "tab:grey"
            )
            panel.scatter(row["f1"], share, s=70, color=colour, label=f"{number}  {row['setting']}")
            panel.annotate(
                str(number), (row["f1"], share), xytext=(5, 5), textcoords="offset points", fontsize=9
            )
        panel.axhline(0.005, color="tab:green", linewidth=0.8, linestyle="--")
        panel.set_yscale("log")
        panel.set_title(dataset)
        panel.set_xlabel("F1 of linkage, by pair of records")
        panel.set_ylabel("names right, best of the attacks")
        panel.grid(visible=True, alpha=0.25)
        panel.legend(fontsize=7, loc="best", handlelength=0.5)
    figure.suptitle(
        "Red: dates of birth and postcodes have tokens of their own. Green: chosen; the line: promised"
    )
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    plt.close(figure)
