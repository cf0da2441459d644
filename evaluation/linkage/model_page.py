"""A candidate model beside the one in use as one HTML page without any outside resource: charts, weights, figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, select_autoescape
from markupsafe import Markup

from evaluation.page_plots import BLUE, GREY, INK, ORANGE, as_svg, new_canvas, percent_axes
from linkage.candidates.comparison import LevelWeights, ModelComparison, levels_in_order
from linkage.candidates.curves import ThresholdCurve, Unlinkables
from linkage.review.estimate import Estimate

TEMPLATE = Path(__file__).with_name("model_page.html.j2")
STYLE = Path(__file__).parents[1] / "page_style.css.j2"
ROW_INCHES = 0.3


def write_model_page(
    comparison: ModelComparison, curve: ThresholdCurve, unlinkable: Unlinkables, path: Path
) -> Path:
    """Write the page and return its path; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(model_page(comparison, curve, unlinkable), encoding="utf-8")
    return path


def model_page(comparison: ModelComparison, curve: ThresholdCurve, unlinkable: Unlinkables) -> str:
    """Return the page as HTML."""
    environment = Environment(
        autoescape=select_autoescape(default=True, default_for_string=True), undefined=StrictUndefined
    )
    by_comparison = levels_in_order(comparison.weights)
    threshold = comparison.candidate.threshold
    plots = {
        "thresholds": threshold_plot(curve, threshold),
        "unlinkables": unlinkables_plot(unlinkable, threshold),
    }
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        comparison=comparison,
        sides=(("in use", comparison.current), ("candidate", comparison.candidate)),
        style=Markup(STYLE.read_text(encoding="utf-8")),  # noqa: S704 our own file
        plots={name: Markup(svg) for name, svg in plots.items()},  # noqa: S704 made here, from numbers
        weights=[
            (name, levels, Markup(weights_plot(name, levels)), Markup(shares_plot(name, levels)))  # noqa: S704
            for name, levels in by_comparison.items()
        ],
        share=_share,
        bits=_bits,
        probability=_probability,
    )


def weights_plot(name: str, levels: Sequence[LevelWeights]) -> str:
    """Draw the match weight of each level in both models, as bars from nothing."""
    figure, axes = new_canvas(height=0.9 + 2 * ROW_INCHES * len(levels))
    for row, level in enumerate(levels):
        for offset, weight, colour in ((-0.2, level.current, GREY), (0.2, level.candidate, BLUE)):
            if weight is not None:
                axes.barh(row + offset, weight, height=0.36, color=colour)
    axes.axvline(0, color=INK, linewidth=0.8)
    _named_rows(axes, levels)
    axes.set_xlabel("match weight (bits): in use above, candidate below")
    return as_svg(
        figure, f"weights {name}", f"Match weights of {name}, in use and candidate; also in the table."
    )


def shares_plot(name: str, levels: Sequence[LevelWeights]) -> str:
    """Draw how often matches (m) and strangers (u) reach each level in the candidate, and m in the model in use."""
    figure, axes = new_canvas(height=0.9 + ROW_INCHES * len(levels))
    for row, level in enumerate(levels):
        for value, colour, marker in (
            (level.current_m, GREY, "o"),
            (level.candidate_m, BLUE, "o"),
            (level.candidate_u, ORANGE, "D"),
        ):
            if value:
                axes.plot([value], [row], marker=marker, color=colour, markersize=6, linestyle="")
    axes.set_xscale("log")
    axes.set_xlim(1e-7, 1.6)
    _named_rows(axes, levels)
    axes.set_xlabel("share of pairs: matches (blue; grey in use), strangers (orange)")
    return as_svg(figure, f"shares {name}", f"m and u of {name}; also in the table.")


def threshold_plot(curve: ThresholdCurve, threshold: float) -> str:
    """Draw the precision and recall that the model expects of itself, by threshold."""
    figure, axes = new_canvas(height=3.2)
    axes.plot(curve.thresholds, curve.precision, color=BLUE, label="precision")
    axes.plot(curve.thresholds, curve.recall, color=ORANGE, label="recall of compared pairs")
    _at_threshold(axes, threshold)
    axes.set_xlabel("match weight from which pairs are linked (bits)")
    percent_axes(axes, "y")
    axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    return as_svg(figure, "thresholds", "Expected precision and recall by threshold.")


def unlinkables_plot(unlinkable: Unlinkables, threshold: float) -> str:
    """Draw the share of records that hold too little to be linked, by threshold."""
    figure, axes = new_canvas(height=2.8)
    axes.plot(unlinkable.thresholds, unlinkable.share, color=BLUE)
    _at_threshold(axes, threshold)
    axes.set_xlabel("match weight from which pairs are linked (bits)")
    axes.set_ylabel("records that hold too little")
    percent_axes(axes, "y")
    return as_svg(figure, "unlinkables", "Share of records that cannot be linked, by threshold.")


def _at_threshold(axes: Any, threshold: float) -> None:
    axes.axvline(threshold, color=GREY, linestyle="--", linewidth=1)


def _named_rows(axes: Any, levels: Sequence[LevelWeights]) -> None:
    axes.set_yticks(range(len(levels)), [level.level for level in levels])
    axes.set_ylim(len(levels) - 0.4, -0.6)


def _share(estimate: Estimate | None) -> str:
    if estimate is None:
        return "not reviewed"
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"


def _bits(weight: float | None) -> str:
    return "–" if weight is None else f"{weight:+.2f}"


def _probability(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
