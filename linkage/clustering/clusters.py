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
import pyarrow.compute as pc
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

ONE_REFERENCE_FEEDS = frozenset({"council_tax"})
"""Feeds that give nobody two references at one property: father and namesake son, both liable there, are two. Of pairs
of such references in one cluster, 15 of 15 were two people (12,000 households, seed 7); in the register of electors 32
of 337, in all other feeds 5 of 2,122, since there a person is entered twice."""

ONE_REFERENCE = "one_reference"

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

LARGEST_PAIRED = 40
"""Components with more records than this are not searched pair by pair for contradictions."""

Numbers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint64]


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
        same_number = other_number = False
        for mine, theirs in zip(self.exclusive, other.exclusive, strict=True):
            if mine and theirs:
                if mine.isdisjoint(theirs):
                    other_number = True
                else:
                    same_number = True
        same_name = not self.names.isdisjoint(other.names)
        same_birth = not self.birth.isdisjoint(other.birth)
        if self.birth and other.birth and not same_birth and not same_number:
            return True
        if other_number and not (same_name and same_birth):
            return True
        if same_number or (same_name and same_birth):
            return False
        shared = self.references.keys() & other.references.keys()
        if same_name:
            # The same name twice in one partner's system is one person whom the partner entered twice, as a rule.
            shared = {place for place in shared if place[0] in ONE_REFERENCE_FEEDS}
        return any(not self.references[place] & other.references[place] for place in shared)

    def joined(self, other: Facts) -> Facts:
        references = {**self.references, **other.references}
        for place in self.references.keys() & other.references.keys():
            references[place] = self.references[place] | other.references[place]
        return Facts(
            exclusive=tuple(
                mine | theirs for mine, theirs in zip(self.exclusive, other.exclusive, strict=True)
            ),
            birth=self.birth | other.birth,
            names=self.names | other.names,
            references=references,
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
    in_suspect = _contradicting_components(component, link_keys, suspect)[component]
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
        contradicted |= _hold_several(owners, *_codes(link_keys[column]), len(contradicted))
    references, with_reference = _codes(link_keys[REFERENCE])
    homes, at_home = _codes(link_keys["uprn_token"])
    known = with_reference & at_home
    feeds = _codes(link_keys["feed"])[0][known].astype(np.int64)
    in_feed = owners[known] * (int(feeds.max(initial=0)) + 1) + feeds
    order = np.lexsort((homes[known], in_feed))
    in_feed, homes = in_feed[order], homes[known][order]
    place = (
        np.cumsum(np.append(True, (in_feed[1:] != in_feed[:-1]) | (homes[1:] != homes[:-1]))[: len(order)])
        - 1
    )
    several = _hold_several(place, references[known][order], np.ones(len(order), np.bool_), len(order))
    contradicted[owners[known][order][several[place]]] = True
    return contradicted


def _hold_several(
    owners: Numbers, values: Codes, known: npt.NDArray[np.bool_], count: int
) -> npt.NDArray[np.bool_]:
    """Return, for owners 0 to `count`, whether they hold two or more distinct values."""
    least, most = np.full(count, np.iinfo(values.dtype).max, values.dtype), np.zeros(count, values.dtype)
    np.minimum.at(least, owners[known], values[known])
    np.maximum.at(most, owners[known], values[known])
    return least < most


def _codes(column: pa.ChunkedArray) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """Return whole numbers that are equal where values are, and which are known (0 stands for the others)."""
    whole = column.combine_chunks()
    known = whole.is_valid().to_numpy(zero_copy_only=False)
    if not pa.types.is_integer(whole.type):
        fixed = pa.types.is_fixed_size_binary(whole.type)
        whole = (whole.cast(pa.binary()) if fixed else whole).dictionary_encode().indices
    return whole.cast(pa.uint64()).fill_null(0).to_numpy(zero_copy_only=False), known


def _contradicting_components(
    component: npt.NDArray[np.int32], link_keys: pa.Table, suspect: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return which of the `suspect` components have two records that contradict each other.

    Where no two records do, no two groups of them can (`Facts.contradicts` of joined facts needs two records with
    the values that argue, and what excuses them is only more in a group): such a component is one person's, whole.
    Large components are taken to have some.
    """
    records = np.flatnonzero(suspect[component])
    records = records[np.argsort(component[records], kind="stable")]
    size = np.bincount(component[records], minlength=len(suspect))
    found = suspect & (size > LARGEST_PAIRED)
    records = records[size[component[records]] <= LARGEST_PAIRED]
    taken = link_keys.select(list(CLUSTERED_COLUMNS)).take(pa.array(records))
    said = {column: _codes(taken[column]) for column in CLUSTERED_COLUMNS if column not in BIRTH_TOKENS}
    # Tokens of dates of birth meet across columns, so that they are numbered together.
    births, known = _codes(pa.chunked_array([chunk for name in BIRTH_TOKENS for chunk in taken[name].chunks]))
    for place, name in enumerate(BIRTH_TOKENS):
        here = slice(place * len(records), (place + 1) * len(records))
        said[name] = births[here], known[here]
    one_reference = pc.is_in(taken["feed"], value_set=pa.array(sorted(ONE_REFERENCE_FEEDS)))
    said[ONE_REFERENCE] = said["feed"][0], pc.fill_null(one_reference, False).to_numpy(zero_copy_only=False)
    owner = component[records]
    for step in range(1, LARGEST_PAIRED):
        pairs = np.flatnonzero(owner[step:] == owner[:-step])
        if not len(pairs):
            break
        argue = _contradict(said, pairs, pairs + step)
        found[owner[pairs[argue]]] = True
    return found


def _contradict(
    said: Mapping[str, tuple[Codes, npt.NDArray[np.bool_]]], left: Numbers, right: Numbers
) -> npt.NDArray[np.bool_]:
    """Return `Facts.contradicts` of pairs of single records, by their places in `said`."""

    def both(one: str, other: str) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        known = said[one][1][left] & said[other][1][right]
        return known, known & (said[one][0][left] == said[other][0][right])

    none = np.zeros(len(left), dtype=np.bool_)
    same_number, other_number, same_birth = none.copy(), none.copy(), none.copy()
    for column in EXCLUSIVE_TOKENS:
        known, same = both(column, column)
        same_number |= same
        other_number |= known & ~same
    for one in BIRTH_TOKENS:
        for other in BIRTH_TOKENS:
            same_birth |= both(one, other)[1]
    born = [
        np.logical_or.reduce([said[column][1][side] for column in BIRTH_TOKENS]) for side in (left, right)
    ]
    same_name = both("full_name_token", "full_name_token")[1]
    together = both("feed", "feed")[1] & both("uprn_token", "uprn_token")[1]
    known, same_reference = both(REFERENCE, REFERENCE)
    return (
        (born[0] & born[1] & ~same_birth & ~same_number)
        | (other_number & ~(same_name & same_birth))
        | (
            (together & known & ~same_reference & ~same_number)
            & (~same_name | (both(ONE_REFERENCE, ONE_REFERENCE)[1] & ~same_birth))
        )
    )


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
