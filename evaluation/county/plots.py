"""The plots of the county's page: SVG that takes its ink from the page, so that it reads in light and dark."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.county.figures import Figure, Verdict
from evaluation.county.files import FeedInventory
from evaluation.county.oracle import OracleFigures
from evaluation.page_plots import BLUE, GREY, INK, ORANGE, as_svg, new_canvas, percent_axes

_LIMITS = (0.4, 1.6)


def forest(name: str, figures: Sequence[Figure], described: str) -> str:
    """Draw each figure over what is wanted, with its interval; the accepted band is shaded. Nothing of nothing."""
    shown = [figure for figure in figures if figure.estimate and figure.wanted and figure.wanted.value]
    if not shown:
        return ""
    figure, axes = new_canvas(height=0.9 + 0.26 * len(shown))
    for row, item in enumerate(shown):
        assert item.estimate is not None and item.wanted is not None  # noqa: S101
        wanted = item.wanted.value
        low, value, high = (
            bound / wanted for bound in (item.estimate.low, item.estimate.value, item.estimate.high)
        )
        left, right = (_clipped(bound / wanted) for bound in (item.wanted.low, item.wanted.high))
        axes.barh(row, right - left, left=left, height=0.72, color=GREY, alpha=0.25, linewidth=0)
        colour = ORANGE if item.verdict is Verdict.OFF else BLUE
        axes.plot([_clipped(low), _clipped(high)], [row, row], color=colour, linewidth=2)
        marker = "o" if _LIMITS[0] <= value <= _LIMITS[1] else (">" if value > 1 else "<")
        axes.plot(
            [_clipped(value)], [row], marker=marker, color=colour, markersize=5, linestyle="", clip_on=False
        )
    axes.axvline(1.0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(shown)), [item.name for item in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(*_LIMITS)
    axes.set_xlabel("this county / wanted")
    return as_svg(figure, name, described)


def concentration(oracle: OracleFigures, described: str) -> str:
    """Draw the share of coming duties in the top households, to 20 % of them."""
    figure, axes = new_canvas(height=3.2)
    points = [(top, held) for top, held in oracle.concentration if top <= 0.2]
    axes.axhspan(0.20, 0.35, xmax=0.01 / 0.2, color=GREY, alpha=0.25, linewidth=0)
    axes.plot(*zip(*points, strict=True), color=BLUE, linewidth=2)
    axes.plot([0, 0.2], [0, 0.2], color=GREY, linestyle="--", linewidth=1)
    for top in (0.01, 0.02, 0.05):
        held = next(share for place, share in points if place >= top - 1e-9)
        axes.plot([top], [held], marker="o", color=BLUE)
        axes.annotate(
            f"top {top:.0%}: {held:.0%}",
            (top, held),
            textcoords="offset points",
            xytext=(8, -10),
            fontsize=9,
            color=INK,
        )
    axes.set_xlabel("share of households, most likely first")
    axes.set_ylabel("share of duties that came")
    percent_axes(axes, "xy")
    axes.set_xlim(0, 0.2)
    axes.set_ylim(0, 1)
    return as_svg(figure, "concentration", described)


def calibration(oracle: OracleFigures, described: str) -> str:
    """Draw what came against the true chance, on scales of tens."""
    figure, axes = new_canvas(height=3.4)
    shown = [one for one in oracle.bins if one[0] > 0 and one[1] > 0]
    if not shown:
        return ""
    chance, came, _, low, high = zip(*shown, strict=True)
    edges = (min(min(chance), min(came)) / 1.5, max(max(chance), max(came)) * 1.5)
    axes.plot(edges, edges, color=GREY, linestyle="--", linewidth=1)
    for x, bottom, top in zip(chance, low, high, strict=True):
        axes.plot([x, x], [max(bottom, edges[0]), top], color=BLUE, linewidth=1.5)
    axes.plot(chance, came, marker="o", markersize=5, linestyle="", color=BLUE)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("true chance of a duty within six months")
    axes.set_ylabel("share to whom one came")
    percent_axes(axes, "xy")
    return as_svg(figure, "calibration", described)


def bars(
    labels: Sequence[str], values: Sequence[tuple[float, float, float]], x_label: str, described: str
) -> str:
    """Draw values with their intervals, one row each."""
    figure, axes = new_canvas(height=0.9 + 0.3 * len(labels))
    for row, (value, low, high) in enumerate(values):
        axes.barh(row, value, height=0.6, color=BLUE, alpha=0.75)
        axes.plot([low, high], [row, row], color=INK, linewidth=1.2)
    axes.set_yticks(range(len(labels)), list(labels))
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlabel(x_label)
    return as_svg(figure, f"bars {x_label}", described)


def spreads(labels: Sequence[str], quantiles: Sequence[Sequence[float]], x_label: str, described: str) -> str:
    """Draw 10th, 25th, 50th, 75th and 90th percentiles, one row each."""
    figure, axes = new_canvas(height=0.9 + 0.34 * len(labels))
    for row, (first, lower, middle, upper, last) in enumerate(quantiles):
        axes.plot([first, last], [row, row], color=BLUE, linewidth=1.2)
        axes.plot([lower, upper], [row, row], color=BLUE, linewidth=6, alpha=0.6, solid_capstyle="butt")
        axes.plot([middle], [row], marker="o", color=INK, markersize=5)
    axes.axvline(182, color=GREY, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(labels)), list(labels))
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlabel(x_label)
    return as_svg(figure, f"spreads {x_label}", described)


def feed_bytes(feeds: Sequence[FeedInventory], described: str) -> str:
    """Draw how much each feed sends."""
    figure, axes = new_canvas(height=0.9 + 0.28 * len(feeds))
    for row, feed in enumerate(feeds):
        axes.barh(row, feed.bytes / 1e6, height=0.6, color=BLUE, alpha=0.75)
        axes.annotate(
            f"{feed.rows:,} rows",
            (feed.bytes / 1e6, row),
            textcoords="offset points",
            xytext=(4, -3),
            fontsize=8,
            color=INK,
        )
    axes.set_yticks(range(len(feeds)), [feed.feed for feed in feeds])
    axes.set_ylim(len(feeds) - 0.4, -0.6)
    axes.margins(x=0.18)
    axes.set_xlabel("megabytes")
    return as_svg(figure, "feeds", described)


def _clipped(value: float) -> float:
    return min(max(value, _LIMITS[0]), _LIMITS[1])
