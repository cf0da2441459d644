"""Person ids that outlive a run: a cluster keeps the id of the person whose records it mostly holds."""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from stores.keys import KeyProvider, derive_key

PERSON_ID_HEX_DIGITS = 32


@dataclass(frozen=True)
class Change:
    """Records that went from one person to another: the two were one (merged), or the one was two (split)."""

    change: Literal["merged", "split"]
    from_person_id: str
    to_person_id: str
    record_count: int


@dataclass(frozen=True)
class Assignment:
    """`person_ids` in the order of the clusters, and what changed since the last assignment."""

    person_ids: Sequence[str]
    changes: Sequence[Change]


def assign_person_ids(
    clusters: Sequence[Sequence[str]], previous: Mapping[str, str], keys: KeyProvider
) -> Assignment:
    """Give every cluster (sorted record references) its person id.

    `previous` maps record references to the ids they had. An id goes to the cluster that holds most of its
    records (then the smaller id, then the smaller reference); a cluster without one gets an id made from its
    smallest reference. Raises `KeyUnavailableError` if the identifier root cannot be had.
    """
    key = derive_key(keys.root("identifier"), "person_id")
    overlaps = [_overlap(cluster, previous) for cluster in clusters]
    claims = sorted(
        (-count, person_id, cluster[0], place)
        for place, (cluster, overlap) in enumerate(zip(clusters, overlaps, strict=True))
        for person_id, count in overlap.items()
    )
    kept: dict[int, str] = {}
    taken = set(previous.values())
    given: set[str] = set()
    for _, person_id, _, place in claims:
        if place not in kept and person_id not in given:
            kept[place] = person_id
            given.add(person_id)
    person_ids = []
    for place, cluster in enumerate(clusters):
        person_id = kept.get(place) or _new_person_id(key, cluster[0], taken)
        taken.add(person_id)
        person_ids.append(person_id)
    return Assignment(person_ids, _changes(overlaps, person_ids, given))


def _overlap(cluster: Sequence[str], previous: Mapping[str, str]) -> dict[str, int]:
    overlap: defaultdict[str, int] = defaultdict(int)
    for record_ref in cluster:
        if record_ref in previous:
            overlap[previous[record_ref]] += 1
    return overlap


def _new_person_id(key: bytes, record_ref: str, taken: set[str]) -> str:
    # A record that once gave a person their id may leave them; the next id made from it must be another.
    attempt = 0
    while True:
        message = record_ref if attempt == 0 else f"{record_ref}/{attempt}"
        person_id = hmac.digest(key, message.encode(), "sha256").hex()[:PERSON_ID_HEX_DIGITS]
        if person_id not in taken:
            return person_id
        attempt += 1


def _changes(
    overlaps: Sequence[Mapping[str, int]], person_ids: Sequence[str], given: set[str]
) -> list[Change]:
    return sorted(
        (
            Change("split" if old in given else "merged", old, new, count)
            for overlap, new in zip(overlaps, person_ids, strict=True)
            for old, count in overlap.items()
            if old != new
        ),
        key=lambda change: (change.from_person_id, change.to_person_id),
    )
