"""Promise 8: any order, duplication or replay of the same deliveries gives the same logical digest.

Deliveries of four feeds in four formats land in batches of a random order, some of them twice or again after they
were sealed; each batch goes over the bridge and is opened before the next comes. The rules of Great Expectations are
left out: they judge each row and delivery by itself, whatever came before.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_deliveries import SmallCounty, SmallDelivery, make_small_home, small_deliveries

import bridge.deliveries.loading
from expectations.validation import Findings

DAYS = (date(2024, 6, 3), date(2024, 7, 1), date(2024, 8, 5))
FEEDS = ("adult_social_care", "sundry_debts")
FEW, MANY = 2, 30


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with keys and contracts and no delivery."""
    root = tmp_path_factory.mktemp("any-order") / "template"
    make_small_home(root, FEEDS)
    return root


@pytest.fixture(scope="module")
def deliveries(template: Path) -> list[SmallDelivery]:
    contracts = SmallCounty.open(template).council.contracts.values()
    return [delivery for contract in contracts for delivery in small_deliveries(contract, DAYS)]


@pytest.fixture(scope="module")
def expected(template: Path, deliveries: Sequence[SmallDelivery]) -> dict[str, str]:
    """The digest of each store when every delivery comes once, in order, all in one night."""
    return arrived(template, [deliveries])


@pytest.fixture(autouse=True)
def _without_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    without_rules(monkeypatch)


def without_rules(monkeypatch: Any) -> None:
    for name in ("check_rows", "check_deliveries"):
        monkeypatch.setattr(bridge.deliveries.loading, name, lambda *_: Findings((), ()))


def arrived(template: Path, batches: Sequence[Sequence[SmallDelivery]]) -> dict[str, str]:
    """Let each batch land and go all the way, in a home of its own; return the digest of each store."""
    root = template.parent / "home"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(template, root)
    county = SmallCounty.open(root, template / "contracts")
    for batch in batches:
        seen: set[str] = set()
        for delivery in batch:
            # The same file twice in a night is another copy of it, landed a day later.
            again = delivery.day.isoformat() + delivery.feed in seen
            seen.add(delivery.day.isoformat() + delivery.feed)
            delivery.land(county.council.home, delivery.day + timedelta(days=2 + again))
        county.night()
    return county.digest().stores


ORDERS = st.permutations(range(len(FEEDS) * len(DAYS)))
CUTS = st.sets(st.integers(1, len(FEEDS) * len(DAYS) - 1), max_size=2)
REPEATS = st.lists(st.integers(0, len(FEEDS) * len(DAYS) - 1), max_size=3)


def check(template: Path, deliveries: Sequence[SmallDelivery], expected: dict[str, str], drawn: Any) -> None:
    order, cuts, repeats = drawn
    borders = [0, *sorted(cuts), len(order)]
    batches = [[deliveries[place] for place in order[start:end]] for start, end in pairwise(borders)]
    # Replayed after all were sealed, and doubled in the night of their arrival.
    batches[-1] += [deliveries[place] for place in repeats if deliveries[place] in batches[-1]]
    batches.append([deliveries[place] for place in repeats])
    assert arrived(template, batches) == expected


@settings(
    max_examples=FEW, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
@given(drawn=st.tuples(ORDERS, CUTS, REPEATS))
def test_any_order_duplication_or_replay_of_deliveries_gives_the_same_digest(
    template: Path, deliveries: list[SmallDelivery], expected: dict[str, str], drawn: Any
) -> None:
    check(template, deliveries, expected, drawn)


@pytest.mark.slow
@settings(
    max_examples=MANY, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
@given(drawn=st.tuples(ORDERS, CUTS, REPEATS))
def test_many_orders_duplications_and_replays_give_the_same_digest(
    template: Path, deliveries: list[SmallDelivery], expected: dict[str, str], drawn: Any
) -> None:
    check(template, deliveries, expected, drawn)


def test_the_same_digest_is_no_accident(
    template: Path, deliveries: list[SmallDelivery], expected: dict[str, str]
) -> None:
    without_one = arrived(template, [deliveries[:-1]])
    changed = {store for store in expected if without_one.get(store) != expected[store]}
    assert changed >= {"deliveries", "warehouse"}
