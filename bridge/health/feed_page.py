"""A page for each feed: every rule of its contract and how often each delivery broke it. Counts only.

Great Expectations' own Data Docs show samples of the values that broke a rule; this page cannot, since the
profiles that it is made from hold none.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from bridge.address_quality import homes_of_feed
from bridge.health.feed_health import DeliveryHealth, Drift, FeedHealth
from bridge.zone import CouncilZone
from expectations.rules import Rule, delivery_rules, row_rules
from governance.address_levels import HOME_LEVELS
from governance.contracts import FeedContract
from stores.files import written_atomically

TEMPLATE = Path(__file__).with_name("feed_page.html.j2")
# Deliveries shown beside each other; the table of deliveries names all of them.
DELIVERIES_BESIDE = 12
HOMES_TEMPLATE = "feed_homes.html.j2"
HOMES_BEGIN, HOMES_END = "<!-- homes -->", "<!-- end of homes -->"


@dataclass(frozen=True)
class _TablePart:
    """What the page shows of one table: newest delivery first."""

    name: str
    description: str
    columns: tuple[str, ...]
    rules: tuple[Rule, ...]
    history: tuple[DeliveryHealth, ...]
    drift: dict[str, list[Drift]]


def write_feed_page(
    zone: CouncilZone, contract: FeedContract, health: FeedHealth, plot: bytes | None
) -> Path:
    """Write the page of one feed into the council's zone and return its path."""
    path = zone.home.feed_page(contract.feed)
    text = (
        _environment()
        .get_template(TEMPLATE.name)
        .render(
            contract=contract,
            tables=_parts(contract, health),
            plot=base64.b64encode(plot).decode() if plot else None,
            columns=DELIVERIES_BESIDE,
            **_homes(zone, contract.feed),
        )
    )
    with written_atomically(path) as aside:
        aside.write_text(text, encoding="utf-8")
    return path


def renew_homes(zone: CouncilZone, feed: str) -> None:
    """Put how homes were found into the page of one feed, which was written before its deliveries were sealed."""
    path = zone.home.feed_page(feed)
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    before, found, rest = text.partition(HOMES_BEGIN)
    _, ended, after = rest.partition(HOMES_END)
    if not (found and ended):
        # Written by an earlier version; its next delivery writes it anew.
        return
    homes = _environment().get_template(HOMES_TEMPLATE).render(**_homes(zone, feed))
    with written_atomically(path) as aside:
        aside.write_text(f"{before}{HOMES_BEGIN}{homes}{HOMES_END}{after}", encoding="utf-8")


def _homes(zone: CouncilZone, feed: str) -> dict[str, Any]:
    """Return what the page tells of how homes were found, newest delivery first."""
    found = homes_of_feed(zone, feed)
    shown = [
        (delivery_id, found[delivery_id]) for delivery_id in sorted(found, reverse=True) if found[delivery_id]
    ]
    return {"sealed": shown[:DELIVERIES_BESIDE], "levels": HOME_LEVELS}


def _parts(contract: FeedContract, health: FeedHealth) -> list[_TablePart]:
    parts = []
    for table in contract.tables:
        history = health.tables.get(table.name, ())
        changes: dict[str, list[Drift]] = defaultdict(list)
        for drift in health.drift([each.delivery.delivery_id for each in history]):
            if drift.table == table.name:
                changes[drift.delivery_id].append(drift)
        parts.append(
            _TablePart(
                name=table.name,
                description=table.description,
                columns=tuple(column.name for column in table.columns),
                rules=(*delivery_rules(contract, table), *row_rules(table)),
                history=tuple(reversed(history)),
                drift=dict(changes),
            )
        )
    return parts


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=select_autoescape(["html", "j2"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
