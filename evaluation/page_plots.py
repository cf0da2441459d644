"""What the plots of all pages share: a canvas, and SVG that takes its ink from the page, for light and dark alike."""

from __future__ import annotations

import io
import re
from typing import Any

INK = "#010203"
"""Stands for the page's own text colour; `as_svg` replaces it."""
BLUE, ORANGE, GREY = "#3b82c4", "#d9822b", "#8a8f98"
WIDTH_INCHES = 7.2


def percent_axes(axes: Any, which: str) -> None:
    """Mark the axes named in `which` (x, y or both) in per cent."""
    from matplotlib.ticker import FuncFormatter

    told = FuncFormatter(lambda value, _: f"{100 * value:.3g} %")
    if "x" in which:
        axes.xaxis.set_major_formatter(told)
    if "y" in which:
        axes.yaxis.set_major_formatter(told)


def new_canvas(height: float) -> tuple[Any, Any]:
    """Return a figure of the page's width and `height` inches, and its axes."""
    # Figure without pyplot: no global state.
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(WIDTH_INCHES, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.set_facecolor("none")
    figure.patch.set_alpha(0.0)
    return figure, axes


def as_svg(figure: Any, salt: str, described: str) -> str:
    """Return the plot as an inline SVG with its description, the same for the same figures."""
    from html import escape

    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif"}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"([^>]*?) width="[^"]*"', r"\1\2", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"([^>]*?) height="[^"]*"', r"\1\2", svg, flags=re.DOTALL)
    # Identifiers must differ between the plots of one page.
    prefix = re.sub(r"\W+", "-", salt)
    svg = re.sub(r'(?<= id=")', f"{prefix}-", svg)
    svg = re.sub(r"(?<=url\(#)", f"{prefix}-", svg)
    svg = re.sub(r'(?<=xlink:href="#)', f"{prefix}-", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(described, quote=True)}"', 1)
