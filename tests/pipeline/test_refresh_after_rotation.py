"""A night after the keys were rotated: it just works, and says what the night before said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import NIGHT, doorstep

from stores.analytics import AnalyticsZone
from stores.home import Home

PEOPLE = "select record_ref, person_id from records.people order by all"


def _people(home: Path) -> list[tuple[str, str]]:
    with AnalyticsZone.open(Home(home)).warehouse(read_only=True) as warehouse:
        return warehouse.execute(PEOPLE).fetchall()


def _digest_of_marts(home: Path) -> object:
    stores = json.loads(doorstep(home, "digest", "--json").stdout)["stores"]
    return {name: digest for name, digest in stores.items() if name.startswith(("published", "warehouse"))}


@pytest.mark.slow
def test_a_night_after_every_key_was_rotated_has_the_same_people_and_marts(a_copy: Path) -> None:
    people, marts = _people(a_copy), _digest_of_marts(a_copy)
    assert len(people) > 1000
    doorstep(a_copy, "keys", "rotate", "linkage", "--on", NIGHT.isoformat())
    doorstep(a_copy, "keys", "rotate", "storage", "--zone", "council")
    doorstep(a_copy, "keys", "rotate", "storage", "--zone", "analytics")
    doorstep(a_copy, "refresh", "--night", NIGHT.isoformat())
    for root, zone in (("linkage", "council"), ("storage", "council"), ("storage", "analytics")):
        doorstep(a_copy, "keys", "retire", root, "--zone", zone)
    assert _people(a_copy) == people
    assert _digest_of_marts(a_copy) == marts
    assert doorstep(a_copy, "keys", "status", check=False).returncode == 0
