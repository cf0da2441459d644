"""Person ids that outlive a run: a cluster keeps the id of the person whose records it mostly holds."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stores.keys import KeyProvider, derive_key

PERSON_ID_HEX_DIGITS = 32

Numbers = npt.NDArray[np.int64]
Taken = Callable[[Set[str]], Set[str]]
"""Returns which of some ids are taken: somebody's, or somebody's before."""


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


@dataclass(frozen=True)
class _Overlaps:
    """Clusters and earlier people that share records: `cluster` and `person` by number, and how many they share."""

    cluster: Numbers
    person: Numbers
    records: Numbers


def assign_person_ids(
    clusters: Numbers,
    record_refs: Sequence[str] | pa.Array,
    previous: Sequence[str | None] | pa.Array,
    keys: KeyProvider,
    taken: Taken | None = None,
) -> Assignment:
    """Give every cluster its person id.

    One entry per record, sorted by cluster, then reference: `clusters` numbers them from 0 without gaps, `previous` is
    the id that the record had (null for none). An id goes to the cluster that holds most of its records (then the
    smaller id, then the smaller reference); a cluster without one gets an id made from its smallest reference, or one
    made from it again if that is `taken`. Raises `KeyUnavailableError` if the identifier root cannot be had.
    """
    key = derive_key(keys.root("identifier"), "person_id")
    count = int(clusters.max(initial=-1)) + 1
    first = np.searchsorted(clusters, np.arange(count))
    smallest = pa.array(record_refs, pa.string()).take(pa.array(first)).to_pylist()
    held, overlaps = _overlaps(clusters, pa.array(previous, pa.string()))
    kept = _kept(overlaps, held, count)
    person_ids = [held[person] if person >= 0 else "" for person in kept.tolist()]
    _fill_new(person_ids, smallest, key, set(held), taken)
    return Assignment(person_ids, _changes(overlaps, held, kept, person_ids))


def _overlaps(clusters: Numbers, previous: pa.Array) -> tuple[list[str], _Overlaps]:
    """Return the earlier ids, sorted, and which clusters hold how many of whose records."""
    held = pc.unique(previous.drop_null()).sort()
    person = (
        pc.index_in(previous, value_set=held).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    )
    known = person >= 0
    pairs, records = np.unique(clusters[known] * max(len(held), 1) + person[known], return_counts=True)
    return held.to_pylist(), _Overlaps(pairs // max(len(held), 1), pairs % max(len(held), 1), records)


def _kept(overlaps: _Overlaps, held: Sequence[str], count: int) -> Numbers:
    """Return for each cluster the number of the earlier person whose id it keeps, -1 for none."""
    kept = np.full(count, -1, dtype=np.int64)
    suitors = np.bincount(overlaps.cluster, minlength=count)[overlaps.cluster]
    claimed = np.bincount(overlaps.person, minlength=len(held))[overlaps.person]
    alone = (suitors == 1) & (claimed == 1)
    kept[overlaps.cluster[alone]] = overlaps.person[alone]
    # Held ids are sorted and clusters are numbered by their smallest references: numbers settle equal claims.
    place = np.flatnonzero(~alone)
    order = np.lexsort((overlaps.cluster[place], overlaps.person[place], -overlaps.records[place]))
    given: set[int] = set()
    for cluster, person in zip(
        overlaps.cluster[place[order]].tolist(), overlaps.person[place[order]].tolist(), strict=True
    ):
        if kept[cluster] < 0 and person not in given:
            kept[cluster] = person
            given.add(person)
    return kept


def _fill_new(
    person_ids: list[str], smallest: Sequence[str], key: bytes, held: set[str], taken: Taken | None
) -> None:
    """Put a new id wherever there is none yet."""
    # A record that once gave a person their id may leave them; the next id made from it must be another.
    attempt = 0
    waiting = [cluster for cluster, person_id in enumerate(person_ids) if not person_id]
    while waiting:
        made = {cluster: _made(key, smallest[cluster], attempt) for cluster in waiting}
        refused = held | (taken(set(made.values())) if taken else set())
        for cluster, person_id in made.items():
            if person_id not in refused:
                person_ids[cluster] = person_id
        waiting = [cluster for cluster, person_id in made.items() if person_id in refused]
        attempt += 1


def _made(key: bytes, record_ref: str, attempt: int) -> str:
    message = record_ref if attempt == 0 else f"{record_ref}/{attempt}"
    return hmac.digest(key, message.encode(), "sha256").hex()[:PERSON_ID_HEX_DIGITS]


def _changes(
    overlaps: _Overlaps, held: Sequence[str], kept: Numbers, person_ids: Sequence[str]
) -> list[Change]:
    given = np.isin(np.arange(len(held)), kept)
    moved = kept[overlaps.cluster] != overlaps.person
    return sorted(
        (
            Change("split" if given[person] else "merged", held[person], person_ids[cluster], records)
            for cluster, person, records in zip(
                overlaps.cluster[moved].tolist(),
                overlaps.person[moved].tolist(),
                overlaps.records[moved].tolist(),
                strict=True,
            )
        ),
        key=lambda change: (change.from_person_id, change.to_person_id),
    )
