"""Kill the bridge and the opening at random points, again and again, and let them finish: is all as if untouched?

Run as a program of its own, since each life is a fork of a process that has imported everything and opened nothing: a
DuckDB connection does not survive a fork. What is killed is the whole way of a few small deliveries: register, load,
check, match addresses, pseudonymise, seal, open. Great Expectations is asked only with `rules`: it judges in memory
and would take nine kills in ten, where no store is being written.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas  # noqa: F401 - DuckDB asks for it in every life, and a fork should find it there
from small_deliveries import SmallCounty, contracts_of, make_small_home, small_deliveries

import bridge.deliveries.loading
from expectations.suites import great_expectations
from expectations.validation import Findings
from governance.agreements import read_agreement
from stores.home import Home

DAYS = (date(2024, 6, 3), date(2024, 7, 1), date(2024, 8, 5))
PAIRS = (("adult_social_care", "homelessness_cases"), ("hub_interventions", "sundry_debts"))
"""Feeds of one home: CSV and XML, JSON lines and fixed width."""

LONGER = 1.1
"""Some lives may end by themselves, so that the last steps are struck as well."""

KILLS_IN_A_ROW = 4
"""Of one home before it may finish: what is recovered is killed again."""


@dataclass(frozen=True)
class Campaign:
    """One home that is killed, copied anew for each chain of kills, and what it comes to when nobody kills it."""

    folder: Path
    feeds: tuple[str, ...]

    @property
    def template(self) -> Path:
        return self.folder / "template"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def night(self) -> None:
        SmallCounty.open(self.home, contracts_of(self.template)).night()

    def prepare(self) -> None:
        """Make the home with its deliveries; no store is opened, and contracts are read before any fork."""
        make_small_home(self.template, self.feeds)
        county = SmallCounty.open(self.template)
        for contract in county.council.contracts.values():
            read_agreement(contract.agreement, contracts_of(self.template))
            for delivery in small_deliveries(contract, DAYS):
                delivery.land(Home(self.template))

    def renew(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.template, self.home)

    def uninterrupted(self) -> tuple[dict[str, Any], float]:
        """Return what a home comes to that nobody kills, and the seconds it takes."""
        self.renew()
        began = time.monotonic()
        _live(self.night)
        return self.told(), time.monotonic() - began

    def told(self) -> dict[str, Any]:
        """Return digest and row counts of the home, read by a process of its own."""
        answer = self.folder / "answer.json"

        def tell() -> None:
            county = SmallCounty.open(self.home, contracts_of(self.template))
            digest = county.digest()
            told = {"digest": digest.total, "stores": digest.stores, "rows": county.rows()}
            answer.write_text(json.dumps(told), encoding="utf-8")

        _live(tell)
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        return found


def main(folder: Path, kills: int, seed: int, pairs: int, rules: bool) -> dict[str, Any]:
    """Return what came of at least `kills` kills: how many there were, where they struck, how many homes differ."""
    if rules:
        great_expectations()
    else:
        bridge.deliveries.loading.check_rows = bridge.deliveries.loading.check_deliveries = _nothing_broken  # type: ignore[assignment]
    campaigns = [Campaign(folder / "-".join(feeds), feeds) for feeds in PAIRS[:pairs]]
    expected = {}
    for campaign in campaigns:
        campaign.prepare()
        expected[campaign] = campaign.uninterrupted()
    luck = random.Random(seed)  # noqa: S311
    struck: Counter[str] = Counter()
    homes = different = 0
    while sum(struck.values()) < kills:
        campaign = campaigns[homes % len(campaigns)]
        whole, seconds = expected[campaign]
        campaign.renew()
        for place in range(KILLS_IN_A_ROW):
            lived, was_killed = _killed(campaign.night, luck.uniform(0, LONGER * seconds))
            if was_killed:
                struck[_state(campaign.home)] += 1
            if place == 0 and (lived > seconds or not was_killed):
                # Other work comes and goes: a life takes longer or shorter than when the campaign began.
                expected[campaign] = whole, lived
        _live(campaign.night)
        homes += 1
        different += campaign.told() != whole
    return {
        "kills": sum(struck.values()),
        "struck": dict(sorted(struck.items())),
        "homes": homes,
        "different": different,
        "seconds_of_a_life": [round(seconds, 2) for _, seconds in expected.values()],
        "rows": [whole["rows"] for whole, _ in expected.values()],
    }


def _nothing_broken(*_: Any) -> Findings:
    return Findings((), ())


def _forked(life: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        life()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _live(life: Callable[[], None]) -> None:
    _, status = os.waitpid(_forked(life), 0)
    if status:
        raise SystemExit("a life that nobody killed came to a bad end")


def _killed(life: Callable[[], None], seconds: float) -> tuple[float, bool]:
    """Kill `life` after `seconds`; return how long it lived, and False if it ended by itself. A failure is an error."""
    began = time.monotonic()
    child = _forked(life)
    ended = 0
    while not ended and (left := began + seconds - time.monotonic()) > 0:
        time.sleep(min(left, 0.01))
        ended, status = os.waitpid(child, os.WNOHANG)
    if not ended:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a life after a kill came to a bad end")
    return time.monotonic() - began, os.WIFSIGNALED(status)


def _state(home: Path) -> str:
    """Say how far a killed life had come, by what lies on the disk."""
    at = Home(home)
    if at.linkage_db.exists():
        return "opening"
    if any(at.outbox.rglob("*.sealed*")):
        return "sealing"
    if (at.council / "vault").exists():
        return "keeping identities"
    return "loading" if at.deliveries_db.exists() else "before the first store"


if __name__ == "__main__":
    place, *numbers = sys.argv[1:5]
    print(json.dumps(main(Path(place), *map(int, numbers), rules=sys.argv[5] == "rules")))
