"""Rotations killed with SIGKILL at any moment: each is taken up and ends where one that was left alone ends.

A child is forked for each attempt, so that nothing has to be imported again; it is killed after a random time, until
one of them comes to its end.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from two_zones import NIGHT, TwoZones, make_two_zones

import stores.encrypted
from bridge.digest import council_digest
from bridge.pseudonymise.deliveries import pseudonymise_deliveries
from bridge.rotation.epoch_rotation import rotate_epoch, rotation_state
from bridge.rotation.storage_rotation import rotate_council_storage
from stores.digest import analytics_digest
from stores.publishing import publish
from stores.store_rotation import rotate_storage, store_versions

ACCOUNTS = 120
SECOND_EPOCH_KEY, SECOND_STORAGE_KEY = "11" * 32, "22" * 32
PATIENCE_SECONDS = 120.0


def account(number: int, *, moved: bool = False) -> dict[str, object]:
    return {
        "account_ref": f"{70_000_000 + number}",
        "lead_liab_pos": 1,
        "lead_liab_name": f"EXAMPLE{number % 7}, Ada{number}",
        "date_of_birth": date(1950, 1, 1).replace(year=1950 + number % 60),
        "uprn": f"{100_000_000_000 + number + (5_000 if moved else 0)}",
        "addr1": f"{number} Acorn Road",
        "occupation_date": date(2020, 4, 1),
    }


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with link keys, a delivery that is sealed and not opened, published marts, and next keys laid ready.

    The next keys are laid ready so that every attempt rotates to the same ones and digests can be compared.
    """
    zones = make_two_zones(tmp_path_factory.mktemp("kills") / "home")
    for accounts, delivered, opened in (
        ([account(number) for number in range(ACCOUNTS)], date(2025, 1, 6), True),
        ([account(number, moved=number < 9) for number in range(ACCOUNTS + 5)], date(2025, 1, 13), False),
    ):
        delivery_id = zones.stage("council_tax", {"accounts": accounts}, delivered=delivered)
        pseudonymise_deliveries(zones.council, "council_tax", [delivery_id], NIGHT)
        if opened:
            zones.open("council_tax")
    publish(zones.analytics, "analysts", {"accounts": "records.council_tax__accounts"})
    for folder in (zones.home.council_keys, zones.home.analytics_keys):
        for name, key in (("linkage", SECOND_EPOCH_KEY), ("storage", SECOND_STORAGE_KEY)):
            path = folder / f"{name}.2.key"
            path.write_text(key, encoding="ascii")
            path.chmod(0o600)
    return zones.home.root


def rotate_linkage(zones: TwoZones) -> None:
    """What a person does after a kill: rotate again, unless it says that it is finished; then refresh."""
    state = rotation_state(zones.council)
    if state is None or not state.finished:
        rotate_epoch(zones.council, NIGHT)
    zones.open("council_tax")


def rotate_stores(zones: TwoZones) -> None:
    """Rotate each zone's stores, unless they are all under the second version."""
    if set(store_versions(zones.council.keys, zones.home.council).values()) != {2}:
        rotate_council_storage(zones.council, NIGHT)
    if set(store_versions(zones.analytics.keys, zones.home.analytics).values()) != {2}:
        rotate_storage("analytics", zones.analytics.keys, zones.home.analytics, NIGHT)


ROTATIONS: dict[str, Callable[[TwoZones], None]] = {"linkage": rotate_linkage, "storage": rotate_stores}


def digest(zones: TwoZones) -> str:
    return council_digest(zones.council).joined(analytics_digest(zones.analytics)).total


def is_finished(zones: TwoZones, kind: str) -> bool:
    if kind == "linkage":
        return zones.linkage("select distinct epoch from link_keys") == [(2,)]
    versions = [
        *store_versions(zones.council.keys, zones.home.council).values(),
        *store_versions(zones.analytics.keys, zones.home.analytics).values(),
    ]
    return set(versions) == {2}


def in_a_child(work: Callable[[], None], kill_after: float | None) -> tuple[bool, float]:
    """Run `work` in a forked child; return whether it was killed, and the seconds that it took."""
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            # The parent's DuckDB instances have no threads here. They are kept: closing one would wait for them.
            parents, stores.encrypted._idle_instances = stores.encrypted._idle_instances, []
            work()
            os._exit(0 if parents is not None else 2)
        except BaseException:
            os._exit(1)
    if kill_after is not None:
        timer = threading.Timer(kill_after, _kill, [child])
        timer.start()
    _, status = os.waitpid(child, 0)
    if kill_after is not None:
        timer.cancel()
        timer.join()
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, "the child failed, and was not killed"
        return False, time.monotonic() - started
    return True, time.monotonic() - started


def _kill(child: int) -> None:
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:
        return


def take_up_until_finished(root: Path, kind: str, chance: random.Random, usual: float) -> tuple[int, float]:
    """Rotate `root`, killing each attempt at a random moment of its usual time; return how often it was killed, and
    the seconds of the last attempt."""
    kills, deadline = 0, time.monotonic() + PATIENCE_SECONDS
    while True:
        assert time.monotonic() < deadline, "the rotation comes to no end"
        # Three kills in a home at most: then it is left alone, as it would be.
        moment = chance.uniform(0.0, usual) if kills < 3 else None
        killed, seconds = in_a_child(lambda: ROTATIONS[kind](make_two_zones(root)), moment)
        if not killed:
            return kills, seconds
        kills += 1


@dataclass(frozen=True)
class Campaign:
    """How often rotations were killed, the digests that the homes ended in, and that of a rotation left alone."""

    kills: int
    left_alone: str
    killed: frozenset[str]


def campaign(filled: Path, tmp_path: Path, kind: str, kills_wanted: int, seed: int) -> Campaign:
    """Kill rotations of copies of `filled` until `kills_wanted`; each is taken up until it is finished."""
    shutil.copytree(filled, tmp_path / "alone", symlinks=True)
    killed, usual = in_a_child(lambda: ROTATIONS[kind](make_two_zones(tmp_path / "alone")), None)
    assert not killed
    alone = make_two_zones(tmp_path / "alone")
    assert is_finished(alone, kind)
    chance, kills, number = random.Random(seed), 0, 0  # noqa: S311
    ended: set[str] = set()
    while kills < kills_wanted:
        root = tmp_path / f"killed{number}"
        number += 1
        shutil.copytree(filled, root, symlinks=True)
        killed_here, seconds = take_up_until_finished(root, kind, chance, usual)
        kills += killed_here
        # How fast the machine is changes: an attempt that nobody killed in time says it anew.
        usual = usual if killed_here else seconds
        zones = make_two_zones(root)
        assert is_finished(zones, kind)
        ended.add(digest(zones))
        shutil.rmtree(root)
    return Campaign(kills, digest(alone), frozenset(ended))


@pytest.mark.parametrize("kind", sorted(ROTATIONS))
def test_a_rotation_killed_at_a_few_points_ends_as_one_left_alone(
    filled: Path, tmp_path: Path, kind: str
) -> None:
    found = campaign(filled, tmp_path, kind, kills_wanted=2, seed=1)
    assert found.kills >= 2
    assert found.killed == {found.left_alone}


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(ROTATIONS))
def test_a_rotation_killed_at_fifty_random_points_ends_as_one_left_alone(
    filled: Path, tmp_path: Path, kind: str
) -> None:
    found = campaign(filled, tmp_path, kind, kills_wanted=50, seed=2)
    assert found.kills >= 50
    assert found.killed == {found.left_alone}
