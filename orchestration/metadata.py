"""Reports as Dagster metadata: counts, rates, durations, hashes and plots; never a value of a record."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import dagster as dg


def metadata_of(report: Any) -> dict[str, Any]:
    """Return the plain figures of a report dataclass as metadata; whatever is nested is left to its own plot."""
    figures: dict[str, Any] = {}
    for field in fields(report):
        value = getattr(report, field.name)
        if isinstance(value, (bool, int, float)):
            figures[field.name] = value
        elif isinstance(value, (str, Path)):
            figures[field.name] = str(value)
        elif isinstance(value, Mapping) and all(isinstance(item, (int, float)) for item in value.values()):
            figures[field.name] = dg.MetadataValue.json({str(key): item for key, item in value.items()})
    return figures


def bars(
    title: str, labels: Sequence[Any], heights: Sequence[float], x_label: str, y_label: str
) -> dg.MetadataValue:
    """Draw counts as bars."""
    figure, axes = _new_figure(title, x_label, y_label)
    positions = range(len(labels))
    axes.bar(positions, heights, color="#2f6690")
    step = max(1, len(labels) // 12)
    axes.set_xticks(
        list(positions)[::step], [str(label) for label in labels][::step], rotation=45, ha="right"
    )
    return _as_markdown(figure, title)


def picture(title: str, png: bytes) -> dg.MetadataValue:
    """Show a picture that was drawn already."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def calibration(title: str, predicted: Sequence[float], observed: Sequence[float]) -> dg.MetadataValue:
    """Draw a calibration curve beside the diagonal that a perfect model would follow."""
    figure, axes = _new_figure(title, "predicted share", "observed share")
    limit = max([*predicted, *observed, 1e-6]) * 1.05
    axes.plot([0, limit], [0, limit], color="#9a9a9a", linestyle="--", linewidth=1)
    axes.plot(predicted, observed, marker="o", color="#2f6690")
    return _as_markdown(figure, title)


def _new_figure(title: str, x_label: str, y_label: str) -> tuple[Any, Any]:
    # Figure without pyplot: no global state, so nothing leaks between assets that share the process.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _as_markdown(figure: Any, title: str) -> dg.MetadataValue:
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return picture(title, png.getvalue())
