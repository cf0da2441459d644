"""Clusters of linked records, guarded against chains: no cluster may hold two people's identities.

Connected components alone would merge a father and his namesake son through one record that fits both. Components
without contradiction are taken whole; the others are rebuilt edge by edge, strongest first, and a merge that would
bring contradicting identities together is refused.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

EXCLUSIVE_TOKENS = ("nino_token", "nhs_number_token")
"""A person has one of each. Two different ones in a cluster are a contradiction."""

BIRTH_TOKENS = (
    "birth_year_month_token",
    "birth_year_day_token",
    "birth_month_day_token",
    "birth_swapped_token",
)
"""Two dates of birth that share none of these cannot be one date with a slip."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clusters:
    """`labels[i]` is the cluster of record i: the position of its first record. `refused` merges were undone."""

    labels: Numbers
    contradicted: int
    refused: int


@dataclass(frozen=True)
class Facts:
    """What is known of a record, or of a group: the tokens of each exclusive field, then of its dates of birth."""

    exclusive: tuple[frozenset[bytes], ...]
    birth: frozenset[bytes]

    def contradicts(self, other: Facts) -> bool:
        """True if both know something and share nothing of it."""
        pairs = (*zip(self.exclusive, other.exclusive, strict=True), (self.birth, other.birth))
        return any(mine and theirs and not mine & theirs for mine, theirs in pairs)

    def joined(self, other: Facts) -> Facts:
        return Facts(
            tuple(mine | theirs for mine, theirs in zip(self.exclusive, other.exclusive, strict=True)),
            self.birth | other.birth,
        )


def cluster(left: Numbers, right: Numbers, link_keys: pa.Table) -> Clusters:
    """Cluster the records of `link_keys` (rows in order of record_ref) by the edges `left`–`right`, strongest first."""
    count = link_keys.num_rows
    graph = coo_matrix((np.ones(len(left), dtype=np.bool_), (left, right)), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    suspect = _contradicted_components(component, link_keys)
    labels = _first_record(component)
    in_suspect = suspect[component]
    refused = 0
    if in_suspect.any():
        records = np.flatnonzero(in_suspect)
        facts = _facts(link_keys, records)
        chosen = in_suspect[left]
        parents, refused = _guarded_merge(
            left[chosen].tolist(), right[chosen].tolist(), records.tolist(), facts
        )
        labels[records] = parents
    return Clusters(labels, int(suspect.sum()), refused)


def _first_record(component: npt.NDArray[np.int32]) -> Numbers:
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


def _contradicted_components(component: npt.NDArray[np.int32], link_keys: pa.Table) -> npt.NDArray[np.bool_]:
    """Return, for every component, whether its records hold more than one value of an exclusive field or birth date."""
    contradicted = np.zeros(int(component.max(initial=-1)) + 1, dtype=np.bool_)
    for column in (*EXCLUSIVE_TOKENS, "birth_date_token"):
        codes = _codes(link_keys[column])
        known = codes >= 0
        values = np.unique(np.stack([component[known], codes[known]]), axis=1)[0]
        owners, counts = np.unique(values, return_counts=True)
        contradicted[owners[counts > 1]] = True
    return contradicted


def _codes(column: pa.ChunkedArray) -> Numbers:
    encoded = column.combine_chunks().cast(pa.binary()).dictionary_encode()
    return encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)


def _facts(link_keys: pa.Table, records: Numbers) -> dict[int, Facts]:
    rows = link_keys.select([*EXCLUSIVE_TOKENS, *BIRTH_TOKENS]).take(pa.array(records))
    exclusive = [[_some(token) for token in rows[column].to_pylist()] for column in EXCLUSIVE_TOKENS]
    birth = [
        frozenset(token for token in tokens if token is not None)
        for tokens in zip(*(rows[column].to_pylist() for column in BIRTH_TOKENS), strict=True)
    ]
    return {
        record: Facts(tuple(column[place] for column in exclusive), birth[place])
        for place, record in enumerate(records.tolist())
    }


def _some(token: bytes | None) -> frozenset[bytes]:
    return frozenset() if token is None else frozenset((token,))


def _guarded_merge(
    left: list[int], right: list[int], records: list[int], facts: dict[int, Facts]
) -> tuple[list[int], int]:
    """Merge along edges in the given order unless identities contradict; return each record's root, and refusals."""
    parent = {record: record for record in records}

    def root(record: int) -> int:
        while parent[record] != record:
            parent[record] = parent[parent[record]]
            record = parent[record]
        return record

    refused = 0
    for one, other in zip(left, right, strict=True):
        first, second = sorted((root(one), root(other)))
        if first == second:
            continue
        if facts[first].contradicts(facts[second]):
            refused += 1
            continue
        parent[second] = first
        facts[first] = facts[first].joined(facts[second])
    return [root(record) for record in records], refused


def cluster_sizes(labels: Numbers) -> dict[int, int]:
    """Return how many clusters have each number of records."""
    sizes: defaultdict[int, int] = defaultdict(int)
    for size in np.unique(labels, return_counts=True)[1].tolist():
        sizes[size] += 1
    return dict(sorted(sizes.items()))
