"""A page for each feed: every rule of its contract and how often each delivery broke it. Counts only.

Great Expectations' own Data Docs show samples of the values that broke a rule; this page cannot, since the
profiles that it is made from hold none.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from bridge.health.feed_health import DeliveryHealth, Drift, FeedHealth
from bridge.zone import CouncilZone
from expectations.rules import Rule, delivery_rules, row_rules
from governance.contracts import FeedContract
from stores.files import written_atomically

TEMPLATE = Path(__file__).with_name("feed_page.html.j2")
# Deliveries shown beside each other; the table of deliveries names all of them.
DELIVERIES_BESIDE = 12


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
        )
    )
    with written_atomically(path) as aside:
        aside.write_text(text, encoding="utf-8")
    return path


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


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=select_autoescape(["html", "j2"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
