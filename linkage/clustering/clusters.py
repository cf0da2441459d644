"""Clusters of linked records, guarded against chains: no cluster may hold two people's identities.

Connected components alone would merge a father and his namesake son, or a couple who share an initial,
through one record that fits both. First, weak links that hang on one record, between groups that hold together by
themselves, are cut. Components without contradiction are then taken whole; the others are rebuilt edge by edge,
strongest first, and a merge that would bring contradicting identities together is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

EXCLUSIVE_TOKENS = ("nino_token", "nhs_number_token", "upn_token")
"""A person has one of each. Two different ones in a cluster are a contradiction."""

BIRTH_TOKENS = (
    "forename_start_birth_date_token",
    "surname_start_birth_date_token",
    "initials_birth_year_month_token",
    "initials_birth_year_day_token",
    "initials_birth_month_day_token",
    "initials_birth_swapped_token",
    "birth_date_outward_code_token",
)
"""Two dates of birth that share none of these cannot be one date with a slip. The first two share a key: where names
are swapped, one's first is the other's second."""

REFERENCE = "partner_reference_token"

CLUSTERED_COLUMNS = ("feed", "uprn_token", REFERENCE, "full_name_token", *EXCLUSIVE_TOKENS, *BIRTH_TOKENS)
"""What clustering reads of link keys."""

UNDECIDED_WEIGHT = 1.0
"""Match weights that differ by less than this many bits do not choose between two people."""

BRIDGE_WEIGHT = 5.0
BRIDGE_SIZE = 3
"""Links of less than this match weight (bits) that hang on one record do not join two groups that each have this
many records or more: were they one person, other records would fit too. Chosen on the county with sixteen feeds,
seed 1: it takes away half of the wrong pairs, and one right pair in 500.
"""

USED, BRIDGE, UNDECIDED, CONTRADICTED = range(4)
"""Why an edge did or did not join two records, see `Clusters.reasons`."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clusters:
    """`labels[i]` is the cluster of record i: the position of its first record. `refused` merges were
    undone; `bridges` are the weak links that were cut before. `reasons[e]` says what edge e came
    to: `USED`, a `BRIDGE` that was cut, `UNDECIDED` between two people, or `CONTRADICTED` by what is known of them.
    """

    labels: Numbers
    contradicted: int
    refused: int
    bridges: int
    reasons: npt.NDArray[np.int8]


@dataclass(frozen=True)
class Facts:
    """What is known of a record, or of the records merged so far.

    `exclusive`: tokens of each exclusive field. `birth`: tokens of dates of birth and of their parts.
    `names`: full name tokens. `references`: for a partner's feed and a property, that partner's person
    references there.
    """

    exclusive: tuple[frozenset[bytes], ...]
    birth: frozenset[bytes]
    names: frozenset[bytes]
    references: Mapping[tuple[str, bytes], frozenset[bytes]]

    def contradicts(self, other: Facts) -> bool:
        """True if these cannot be one person: other numbers, other dates of birth, or two people of one
        household.
        """
        numbers = list(zip(self.exclusive, other.exclusive, strict=True))
        same_number = any(mine & theirs for mine, theirs in numbers)
        same_name = bool(self.names & other.names)
        same_birth = bool(self.birth & other.birth)
        if self.birth and other.birth and not same_birth and not same_number:
            return True
        other_number = any(mine and theirs and not mine & theirs for mine, theirs in numbers)
        if other_number and not (same_name and same_birth):
            return True
        if same_name or same_number:
            # The same name or number twice in one partner's system is one person whom the partner entered
            # twice.
            return False
        shared = self.references.keys() & other.references.keys()
        return any(not self.references[place] & other.references[place] for place in shared)

    def joined(self, other: Facts) -> Facts:
        none: frozenset[bytes] = frozenset()
        places = self.references.keys() | other.references.keys()
        return Facts(
            exclusive=tuple(
                mine | theirs for mine, theirs in zip(self.exclusive, other.exclusive, strict=True)
            ),
            birth=self.birth | other.birth,
            names=self.names | other.names,
            references={
                place: self.references.get(place, none) | other.references.get(place, none)
                for place in places
            },
        )


@dataclass(frozen=True)
class Edges:
    """Links between records by row number, strongest first; `weight` is the match weight."""

    left: Numbers
    right: Numbers
    weight: npt.NDArray[np.float64]

    def taken(self, chosen: npt.NDArray[np.bool_]) -> Edges:
        """Return the chosen edges, in the same order."""
        return Edges(self.left[chosen], self.right[chosen], self.weight[chosen])


def cluster(edges: Edges, link_keys: pa.Table, copies: Numbers | None = None) -> Clusters:
    """Cluster the records of `link_keys` (rows in order of record_ref) by `edges`.

    `copies[i]`: how many records have the keys of record i, where only one of them is among the rows. What happens to
    a record hangs on nothing outside its own connected component: `linkage.incremental` counts on that.
    """
    count = link_keys.num_rows
    bridges = _weak_bridges(edges, count, np.ones(count, np.int64) if copies is None else copies)
    reasons = np.where(bridges, BRIDGE, USED).astype(np.int8)
    unbroken = np.flatnonzero(~bridges)
    edges = edges.taken(~bridges)
    component = component_of(edges, count)
    suspect = _contradicted_components(component, link_keys)
    labels = _first_record(component)
    in_suspect = suspect[component]
    refused = 0
    if in_suspect.any():
        records = np.flatnonzero(in_suspect)
        facts = facts_of(link_keys, records)
        chosen = in_suspect[edges.left]
        listed = list(
            zip(
                edges.left[chosen].tolist(),
                edges.right[chosen].tolist(),
                edges.weight[chosen].tolist(),
                strict=True,
            )
        )
        undecided = _undecided(listed, facts)
        kept = [place for place in range(len(listed)) if place not in undecided]
        parents, refused_places = _guarded_merge(
            [listed[place][:2] for place in kept], records.tolist(), facts
        )
        refused = len(refused_places) + len(undecided)
        labels[records] = parents
        in_question = unbroken[np.flatnonzero(chosen)]
        reasons[in_question[list(undecided)]] = UNDECIDED
        reasons[in_question[[kept[place] for place in refused_places]]] = CONTRADICTED
    return Clusters(labels, int(suspect.sum()), refused, int(bridges.sum()), reasons)


def component_of(edges: Edges, count: int) -> npt.NDArray[np.int32]:
    """Return the connected component of every record, numbered by their first records."""
    links = (np.ones(len(edges.left), dtype=np.bool_), (edges.left, edges.right))
    _, component = connected_components(coo_matrix(links, shape=(count, count)), directed=False)
    return component


def _weak_bridges(edges: Edges, count: int, copies: Numbers) -> npt.NDArray[np.bool_]:
    """Return which edges are weak bridges: all links between two groups, weak ones, that hang on a single record.

    Groups are made by the strong links, then by the weak ones from the strongest down, so that a record that
    belongs weakly to one group cannot carry it over to another.
    """
    group = component_of(edges.taken(edges.weight >= BRIDGE_WEIGHT), count).astype(np.int64)
    size = np.bincount(group, weights=copies, minlength=1).astype(np.int64).tolist()
    within = component_of(edges, count)
    # Too few records for two groups of that size: nothing to cut there.
    large = np.bincount(within, weights=copies, minlength=1) >= 2 * BRIDGE_SIZE
    weak = np.flatnonzero(
        (edges.weight < BRIDGE_WEIGHT) & (group[edges.left] != group[edges.right]) & large[within[edges.left]]
    )
    cut = np.zeros(len(edges.weight), dtype=np.bool_)
    parent = list(range(len(size)))

    def root(member: int) -> int:
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    for first, second, links, hangs in _weak_ties(edges, group, weak):
        one, other = sorted((root(first), root(second)))
        if one == other:
            continue
        if hangs and min(size[one], size[other]) >= BRIDGE_SIZE:
            cut[links] = True
            continue
        parent[other] = one
        size[one] += size[other]
    return cut


def _weak_ties(edges: Edges, group: Numbers, weak: Numbers) -> Iterator[tuple[int, int, Numbers, bool]]:
    """Yield, for each two groups with weak links, strongest first: the groups, their links, and whether all links
    hang on one record.
    """
    swap = group[edges.left[weak]] > group[edges.right[weak]]
    first = np.where(swap, edges.right[weak], edges.left[weak])
    second = np.where(swap, edges.left[weak], edges.right[weak])
    order = np.lexsort((-edges.weight[weak], group[second], group[first]))
    weak, first, second = weak[order], first[order], second[order]
    pairs = np.stack([group[first], group[second]])
    begins = np.flatnonzero(np.append(True, (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)))[: len(weak)]
    ends = np.append(begins[1:], len(weak))
    for place in np.argsort(-edges.weight[weak[begins]], kind="stable").tolist():
        here = slice(begins[place], ends[place])
        hangs = (first[here] == first[here][0]).all() or (second[here] == second[here][0]).all()
        yield int(pairs[0, here.start]), int(pairs[1, here.start]), weak[here], bool(hangs)


def _first_record(component: npt.NDArray[np.int32]) -> Numbers:
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


def _contradicted_components(component: npt.NDArray[np.int32], link_keys: pa.Table) -> npt.NDArray[np.bool_]:
    """Return, for every component, whether its records hold two values of something that a person has one
    of.
    """
    contradicted = np.zeros(int(component.max(initial=-1)) + 1, dtype=np.bool_)
    owners = component.astype(np.int64)
    for column in (*EXCLUSIVE_TOKENS, *BIRTH_TOKENS[:2]):
        contradicted[_owners_of_several(owners, _codes(link_keys[column]))] = True
    homes = _pair_codes(_pair_codes(owners, _codes(link_keys["feed"])), _codes(link_keys["uprn_token"]))
    several = _owners_of_several(homes, _codes(link_keys[REFERENCE]))
    contradicted[owners[np.isin(homes, several)]] = True
    return contradicted


def _owners_of_several(owners: Numbers, values: Numbers) -> Numbers:
    """Return the owners that have two or more distinct values; a negative owner or value is none."""
    known = (values >= 0) & (owners >= 0)
    pairs = np.unique(np.stack([owners[known], values[known]]), axis=1)[0]
    found, counts = np.unique(pairs, return_counts=True)
    return found[counts > 1]


def _pair_codes(first: Numbers, second: Numbers) -> Numbers:
    combined = first * (int(second.max(initial=0)) + 1) + second
    return np.where((first < 0) | (second < 0), -1, combined)


def _codes(column: pa.ChunkedArray) -> Numbers:
    whole = column.combine_chunks()
    encoded = (
        whole.cast(pa.binary()) if pa.types.is_fixed_size_binary(whole.type) else whole
    ).dictionary_encode()
    return encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)


def facts_of(link_keys: pa.Table, records: Numbers) -> dict[int, Facts]:
    """Return what each of `records` (row numbers of `link_keys`) says."""
    rows = link_keys.select(list(CLUSTERED_COLUMNS)).take(pa.array(records)).to_pylist()
    return {record: _row_facts(row) for record, row in zip(records.tolist(), rows, strict=True)}


def _row_facts(row: Mapping[str, Any]) -> Facts:
    at_home = row["uprn_token"] is not None and row[REFERENCE] is not None
    return Facts(
        exclusive=tuple(_some(row[column]) for column in EXCLUSIVE_TOKENS),
        birth=frozenset(row[column] for column in BIRTH_TOKENS if row[column] is not None),
        names=_some(row["full_name_token"]),
        references={(row["feed"], row["uprn_token"]): _some(row[REFERENCE])} if at_home else {},
    )


def _some(token: bytes | None) -> frozenset[bytes]:
    return frozenset() if token is None else frozenset((token,))


def _undecided(edges: Sequence[tuple[int, int, float]], facts: Mapping[int, Facts]) -> set[int]:
    """Return the places of edges that tie a record about as strongly to one person as to another.

    A father's council tax record fits his housing record and his namesake son's: a coin would decide.
    """
    of_record: defaultdict[int, list[tuple[float, int, int]]] = defaultdict(list)
    for place, (left, right, weight) in enumerate(edges):
        of_record[left].append((weight, place, right))
        of_record[right].append((weight, place, left))
    undecided: set[int] = set()
    for ends in of_record.values():
        for (weight, place, end), (other_weight, other_place, other_end) in combinations(ends, 2):
            near = abs(weight - other_weight) < UNDECIDED_WEIGHT
            if near and facts[end].contradicts(facts[other_end]):
                undecided |= {place, other_place}
    return undecided


def _guarded_merge(
    edges: Sequence[tuple[int, int]], records: list[int], facts: dict[int, Facts]
) -> tuple[list[int], list[int]]:
    """Merge along `edges` in their order unless identities contradict; return each record's root, and the places of
    the edges refused.
    """
    parent = {record: record for record in records}

    def root(record: int) -> int:
        while parent[record] != record:
            parent[record] = parent[parent[record]]
            record = parent[record]
        return record

    refused = []
    for place, (one, other) in enumerate(edges):
        first, second = sorted((root(one), root(other)))
        if first == second:
            continue
        if facts[first].contradicts(facts[second]):
            refused.append(place)
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
