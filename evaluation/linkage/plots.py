"""The plots of the linkage page. Whatever they show stands in a table beside them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.linkage.anatomy import CAUSES, MissedIn
from evaluation.linkage.clusters_measure import FeedPairMeasure
from evaluation.linkage.report import WeightBand
from evaluation.page_plots import BLUE, GREY, INK, ORANGE, as_svg, new_canvas, percent_axes
from linkage.scoring.waterfall import Waterfall

PURPLE, YELLOW, GREEN, RED = "#8461b8", "#e3b93c", "#3f9a6b", "#b5433a"
CAUSE_COLOURS = dict(zip(CAUSES, (GREY, BLUE, PURPLE, ORANGE, YELLOW, GREEN, RED), strict=True))
LABEL_WIDTH = 46


def recall_matrix(feed_pairs: Sequence[FeedPairMeasure], fewest: int, described: str) -> str:
    """Draw recall by two feeds as a matrix; a cell with fewer than `fewest` true pairs stays empty."""
    feeds = sorted({name for pair in feed_pairs for name in (pair.first, pair.second)})
    place = {name: number for number, name in enumerate(feeds)}
    recall = np.full((len(feeds), len(feeds)), np.nan)
    for pair in feed_pairs:
        if pair.true_pairs >= fewest:
            recall[place[pair.second], place[pair.first]] = pair.figures.recall
    if np.isnan(recall).all():
        return ""
    figure, axes = new_canvas(height=1.5 + 0.3 * len(feeds))
    lowest = min(0.8, float(np.nanmin(recall)))
    axes.pcolormesh(recall, cmap="cividis", vmin=lowest, vmax=1.0, edgecolors="none")
    for row, column in zip(*np.nonzero(~np.isnan(recall)), strict=True):
        share = recall[row, column]
        dark = (share - lowest) / max(1 - lowest, 1e-9) < 0.55
        told = "1" if share > 0.9995 else f"{share:.3f}"[1:]
        axes.text(
            column + 0.5,
            row + 0.5,
            told,
            ha="center",
            va="center",
            fontsize=6.5,
            color="#ffffff" if dark else "#101418",
        )
    ticks = np.arange(len(feeds)) + 0.5
    names = [name.replace("_", " ") for name in feeds]
    axes.set_yticks(ticks, names)
    axes.set_xticks(ticks, names, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_ylim(len(feeds), 0)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8)
    return as_svg(figure, "recall-matrix", described)


def missed_by_cause(salt: str, rows: Sequence[MissedIn], described: str, *, shares: bool) -> str:
    """Draw missed pairs by cause, a bar for each row: as shares of its true pairs, or as counts."""
    shown = [row for row in rows if row.true_pairs]
    if not shown:
        return ""
    figure, axes = new_canvas(height=1.4 + 0.27 * len(shown))
    left = np.zeros(len(shown))
    for stage, cause in enumerate(CAUSES):
        if not any(row.missed[stage] for row in shown):
            continue
        widths = np.array(
            [row.missed[stage] / (row.true_pairs if shares else 1) for row in shown], dtype=float
        )
        axes.barh(range(len(shown)), widths, left=left, height=0.68, color=CAUSE_COLOURS[cause], label=cause)
        left += widths
    axes.set_yticks(range(len(shown)), [row.name.replace("_", " ") for row in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlabel("missed, as a share of true pairs" if shares else "missed pairs")
    if shares:
        percent_axes(axes, "x")
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3, frameon=False, fontsize=8, labelcolor=INK,
        handlelength=1.0, columnspacing=1.2,
    )  # fmt: skip
    return as_svg(figure, salt, described)


def margins(lacked: Mapping[int, int], described: str) -> str:
    """Draw how many bits the best pair of a parting lacked."""
    if not lacked:
        return ""
    figure, axes = new_canvas(height=2.6)
    axes.bar(list(lacked), list(lacked.values()), color=BLUE, width=0.8)
    axes.set_xlabel("bits below the threshold (rounded up)")
    axes.set_ylabel("partings")
    return as_svg(figure, "margins", described)


def weights(bands: Sequence[WeightBand], described: str) -> str:
    """Draw linked pairs by match weight, those of one person and those of two, on a scale of tens."""
    if not bands:
        return ""
    figure, axes = new_canvas(height=2.8)
    right = [band for band in bands if band.right]
    wrong = [band for band in bands if band.wrong]
    axes.bar(
        [band.weight + 1 for band in right],
        [band.right for band in right],
        width=1.8,
        color=BLUE,
        label="one person",
    )
    axes.plot(
        [band.weight + 1 for band in wrong], [band.wrong for band in wrong], "o", color=ORANGE, markersize=5,
        markeredgecolor=INK, markeredgewidth=0.6, label="two people",
    )  # fmt: skip
    axes.set_yscale("log")
    axes.set_xlabel("match weight of linked pairs (bits)")
    axes.set_ylabel("pairs")
    axes.legend(loc="upper right", frameon=False, fontsize=8, labelcolor=INK)
    return as_svg(figure, "weights", described)


def waterfall(salt: str, told: Waterfall, described: str) -> str:
    """Draw how a match weight is built up: a bar for the prior and for each comparison that both records hold."""
    steps = [("two records drawn at random", told.prior)]
    for step in told.steps:
        if step.known:
            label = f"{step.comparison.replace('_', ' ')}: {step.level}"
            steps.append((label, step.weight))
            if step.rarity:
                steps.append((f"{step.comparison.replace('_', ' ')}: how rare the value is", step.rarity))
    figure, axes = new_canvas(height=0.9 + 0.36 * (len(steps) + 1))
    total = 0.0
    for row, (_, bits) in enumerate(steps):
        axes.barh(row, bits, left=total, height=0.6, color=BLUE if bits >= 0 else ORANGE)
        total += bits
        _beside(axes, row, total, bits)
        axes.plot([total, total], [row - 0.3, row + 1.3], color=GREY, linewidth=0.8)
    axes.barh(len(steps), total, height=0.6, color=INK, alpha=0.55)
    _beside(axes, len(steps), total, total)
    axes.axvline(told.threshold, color=INK, linestyle="--", linewidth=1)
    labels = [textwrap.fill(label, LABEL_WIDTH) for label, _ in steps] + ["match weight"]
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.use_sticky_edges = False
    axes.margins(x=0.12)
    axes.set_xlabel("bits; dashed, from where a pair is linked")
    return as_svg(figure, salt, described)


def _beside(axes: Any, row: int, end: float, bits: float) -> None:
    """Write `bits` beyond the end of a bar, on the side to which it goes."""
    right = bits >= 0
    axes.annotate(
        f"{bits:+.1f}", (end, row), textcoords="offset points", xytext=(4 if right else -4, -3), fontsize=8, color=INK,
        ha="left" if right else "right",
    )  # fmt: skip
