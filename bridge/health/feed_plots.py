"""Trends of a feed over its deliveries as one plot: rows, empty values, drift of code lists, days to arrive."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bridge.health.feed_health import DeliveryHealth, FeedHealth, code_shift, deliveries_before

# A year of weekly files; older ones would be too narrow to see.
DELIVERIES_DRAWN = 52
COLOURS = ("#2f6690", "#d1495b", "#66a182", "#edae49", "#8d6a9f", "#5c5c5c")


def trends(health: FeedHealth, latency_days: int) -> bytes | None:
    """Draw the trends of `health` as a PNG; None where nothing has been loaded yet."""
    tables = {name: found[-DELIVERIES_DRAWN:] for name, found in health.tables.items() if found}
    if not tables:
        return None
    # Figure without pyplot: no global state, so nothing leaks between assets that share the process.
    from matplotlib.figure import Figure

    # Places are fixed: finding them by drawing twice takes longer than all else.
    figure = Figure(figsize=(9.6, 5.2), dpi=80)
    panels = figure.subplots(2, 2)
    figure.subplots_adjust(left=0.06, right=0.98, top=0.94, bottom=0.08, hspace=0.34, wspace=0.3)
    _rows(panels[0][0], tables)
    _empty(panels[0][1], tables)
    _codes(panels[1][0], tables, health)
    _days(panels[1][1], tables, latency_days)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
    days = sorted({each.delivery.delivery_date for found in tables.values() for each in found})
    shown = days[:: -(-len(days) // 4)]
    for axes in (panels[0][0], panels[1][0], panels[1][1]):
        axes.set_xticks(shown, [f"{day:%Y-%m-%d}" for day in shown])
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return png.getvalue()


def _dates(found: Sequence[DeliveryHealth]) -> list[Any]:
    return [each.delivery.delivery_date for each in found]


def _rows(axes: Any, tables: Mapping[str, Sequence[DeliveryHealth]]) -> None:
    axes.set_title("Rows by delivery (full files as dots)", loc="left", fontsize=9)
    for colour, (name, found) in zip(_colours(len(tables)), tables.items(), strict=True):
        changes = [each for each in found if each.delivery.kind != "full"]
        axes.plot(_dates(changes), [each.profile.rows for each in changes], color=colour, linewidth=1)
        full = [each for each in found if each.delivery.kind == "full"]
        axes.plot(
            _dates(full), [each.profile.rows for each in full], "o", color=colour, markersize=4, label=name
        )
    # A full file is hundreds of times as long as a week's changes.
    axes.set_yscale("symlog", linthresh=10)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, frameon=False, loc="upper left")


def _empty(axes: Any, tables: Mapping[str, Sequence[DeliveryHealth]]) -> None:
    name, found = max(tables.items(), key=lambda item: len(item[1][0].profile.empty))
    columns = list(found[-1].profile.empty)
    shares = np.array(
        [
            [each.profile.empty.get(column, 0) / max(1, each.profile.rows) for each in found]
            for column in columns
        ]
    )
    axes.imshow(shares, aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.set_yticks(range(len(columns)), columns, fontsize=5 if len(columns) > 12 else 7)
    step = max(1, -(-len(found) // 4))
    axes.set_xticks(range(0, len(found), step), [f"{day:%Y-%m-%d}" for day in _dates(found)[::step]])
    axes.set_title(f"Share of empty values, {name}", loc="left", fontsize=9)


def _codes(axes: Any, tables: Mapping[str, Sequence[DeliveryHealth]], health: FeedHealth) -> None:
    axes.set_title("Shift of code lists against the deliveries before", loc="left", fontsize=9)
    lines = []
    for table, drawn in tables.items():
        history = health.tables[table]
        first = len(history) - len(drawn)
        for column in drawn[-1].profile.codes:
            shifts = [
                (each, code_shift(each, deliveries_before(history, first + place), column))
                for place, each in enumerate(drawn)
            ]
            known = [(each.delivery.delivery_date, shift) for each, shift in shifts if shift is not None]
            if known:
                lines.append((max(shift for _, shift in known), column, known))
    # The columns that shift most; the others lie flat beneath them.
    lines.sort(key=lambda line: (-line[0], line[1]))
    for colour, (_, column, known) in zip(COLOURS, lines, strict=False):
        axes.plot(
            [day for day, _ in known], [shift for _, shift in known], color=colour, linewidth=1, label=column
        )
    axes.set_ylim(0, max(0.1, *(line[0] * 1.1 for line in lines)) if lines else 1)
    if lines:
        axes.legend(fontsize=7, frameon=False, loc="upper left")


def _days(axes: Any, tables: Mapping[str, Sequence[DeliveryHealth]], latency_days: int) -> None:
    axes.set_title("Days from the partner's extract to the council", loc="left", fontsize=9)
    found = next(iter(tables.values()))
    axes.plot(_dates(found), [each.days_to_arrive for each in found], ".", color=COLOURS[0])
    axes.axhline(latency_days, color="#9a9a9a", linestyle="--", linewidth=1)
    axes.set_ylim(bottom=0)


def _colours(count: int) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(count)]
