"""Nights of a county one after the other: linking only what changed, beside linking all from nothing.

The identities that partners' files gave until each night are encoded and linked in a passing home. After each night the
same records are linked from nothing in another, and the two are compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
import pyarrow as pa

from evaluation.linkage.identities import newest_identities
from evaluation.linkage.pairs import b_cubed
from evaluation.linkage.two_sides import link_keys_of
from evaluation.passing_keys import PassingKeys
from linkage.people import resolve_people
from stores.analytics import AnalyticsZone
from stores.home import Home

LEAST_B_CUBED = 0.9995
LEAST_IDS_KEPT = 0.999
"""How alike the two must be, and what share of unchanged people must keep their id."""

LANDING = re.compile(r"received=(\d{4}-\d{2}-\d{2})")


@dataclass(frozen=True)
class NightFigures:
    """One night. `b_cubed`: F1 of people linked night by night against people linked from nothing. `unchanged_people`:
    those who hold the very records of the night before; `ids_kept`: the share of them with the same id. Seconds are of
    processor time.
    """

    night: date
    records: int
    people: int
    incremental: bool
    changed_records: int
    touched_records: int
    merged: int
    split: int
    b_cubed: float
    unchanged_people: int
    ids_kept: float
    seconds: float
    seconds_from_nothing: float


@dataclass(frozen=True)
class CampaignFigures:
    """All nights; `holds`: each was as like linking from nothing, and ids were as stable, as they must be."""

    nights: Sequence[NightFigures]
    holds: bool


def nights_of(home: Home, nights: int = 12, days: int = 7) -> CampaignFigures:
    """Link the last `nights` steps of `days` days of `home`'s deliveries, after one night with all before them."""
    return compare_nights(link_keys_by_night(home, PassingKeys(), nights, days))


def link_keys_by_night(
    home: Home, keys: PassingKeys, nights: int, days: int
) -> Iterator[tuple[date, pa.Table]]:
    """Yield the last `nights` steps of `days` days, and the night before them: its date, and the link keys of what had
    landed by then.
    """
    landed = sorted(_landings(home))
    last = date.fromisoformat(max(landing for landing, _ in landed))
    with TemporaryDirectory() as folder:
        for step in range(nights, -1, -1):
            night = last - timedelta(days=step * days)
            identities = newest_identities(_until(home, night, Path(folder) / f"files-{step}", landed))
            yield night, link_keys_of(identities, keys)


def compare_nights(nights: Iterable[tuple[date, pa.Table]]) -> CampaignFigures:
    """Link `nights` (date and all link keys) one after the other, and each of them from nothing; the first only leads
    in.
    """
    found: list[NightFigures] = []
    keys = PassingKeys()
    with TemporaryDirectory() as folder:
        zone = AnalyticsZone(Home(Path(folder) / "nights"), keys)
        before: dict[str, str] = {}
        for night, link_keys in nights:
            other = AnalyticsZone(Home(Path(folder) / f"nothing-{night}"), keys)
            figures = _night(zone, other, night, link_keys, before)
            if before:
                found.append(figures)
            before = people_of(zone)
    return CampaignFigures(
        found,
        all(each.b_cubed >= LEAST_B_CUBED and each.ids_kept >= LEAST_IDS_KEPT for each in found),
    )


def _night(
    zone: AnalyticsZone, other: AnalyticsZone, night: date, link_keys: pa.Table, before: Mapping[str, str]
) -> NightFigures:
    begun = process_time()
    _deliver(zone, link_keys)
    report = resolve_people(zone, night=night)
    middle = process_time()
    _deliver(other, link_keys)
    resolve_people(other, night=night)
    ended = process_time()
    after, from_nothing = people_of(zone), people_of(other)
    kept, unchanged = _kept(before, after)
    return NightFigures(
        night=night,
        records=report.records,
        people=report.people,
        incremental=report.incremental,
        changed_records=report.changed_records,
        touched_records=report.touched_records,
        merged=report.merged,
        split=report.split,
        b_cubed=b_cubed(_labels(after), _labels(from_nothing)).f1,
        unchanged_people=unchanged,
        ids_kept=kept / unchanged if unchanged else 1.0,
        seconds=middle - begun,
        seconds_from_nothing=ended - middle,
    )


def people_of(zone: AnalyticsZone) -> dict[str, str]:
    """Return record_ref → person_id of the linkage store, by record_ref."""
    with zone.linkage(read_only=True) as connection:
        return dict(
            connection.execute("select record_ref, person_id from people order by record_ref").fetchall()
        )


def _deliver(zone: AnalyticsZone, link_keys: pa.Table) -> None:
    with zone.linkage() as connection:
        connection.register("arrived", link_keys)
        connection.execute("create or replace table link_keys as from arrived")


def _labels(people: Mapping[str, str]) -> np.ndarray:
    return np.unique(np.array(list(people.values())), return_inverse=True)[1].astype(np.int64)


def _kept(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[int, int]:
    """Return how many people hold the same records as before, and how many of them have the same id."""
    groups = {person: frozenset(records) for person, records in _groups(before).items()}
    now = {frozenset(records): person for person, records in _groups(after).items()}
    unchanged = [person for person, records in groups.items() if records in now]
    return sum(now[groups[person]] == person for person in unchanged), len(unchanged)


def _groups(people: Mapping[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for record_ref, person in people.items():
        groups.setdefault(person, []).append(record_ref)
    return groups


def _landings(home: Home) -> list[tuple[str, Path]]:
    named = ((LANDING.fullmatch(path.parent.name), path) for path in home.council.glob("inbox/*/*/*"))
    return [(landing[1], path) for landing, path in named if landing]


def _until(home: Home, night: date, folder: Path, landed: Sequence[tuple[str, Path]]) -> Home:
    """Return a home with the files that had landed by `night`."""
    for landing, path in landed:
        if landing <= night.isoformat():
            place = folder / path.relative_to(home.root)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path)
    return Home(folder)
