"""Clusters to people: fragments that the second look links become one person, unless that brings strangers together.

A link speaks of two clusters. Joined along two links, a third comes in of whom nobody has said that it fits the first:
if what is known of those two contradicts, the weaker link is not followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from linkage.clustering import second_look
from linkage.clustering.clusters import Facts, facts_of
from linkage.clustering.second_look import QUERIES

DIGEST_DIGITS = 16

Numbers = npt.NDArray[np.int64]
LinkKeysOf = Callable[[Numbers], tuple[Numbers, pa.Table]]
"""Returns, for some clusters, the cluster of each of their records, and what clustering reads of their link keys."""


@dataclass(frozen=True)
class ClusterLinks:
    """Links of the second look by cluster: `left`, `right`, strongest first, and `kin`, each linked cluster's connected
    group of clusters, named by its least one.
    """

    left: Numbers
    right: Numbers
    kin: Mapping[int, int]

    def kin_table(self) -> pa.Table:
        """Return cluster, kin."""
        return pa.table(
            {"cluster": pa.array(self.kin.keys(), pa.int64()), "kin": pa.array(self.kin.values(), pa.int64())}
        )


@cache
def second_look_digest() -> str:
    """Return 16 hexadecimal digits that change whenever the second look does."""
    texts = (QUERIES.read_bytes(), repr(sorted(second_look.EVIDENCE_WEIGHTS.items())).encode())
    limits = repr((second_look.LARGEST_HOME, second_look.MOST_HOMES, second_look.NEAR_NAME)).encode()
    return sha256(b"".join((*texts, limits))).hexdigest()[:DIGEST_DIGITS]


def links_between(links: pa.Table, record_refs: pa.ChunkedArray, cluster: Numbers) -> ClusterLinks:
    """Return `links` (record_ref_l, record_ref_r) as links between the clusters of the records."""
    left, right = (
        cluster[pc.index_in(links[side], value_set=record_refs).to_numpy()]
        for side in ("record_ref_l", "record_ref_r")
    )
    return links_of_clusters(left, right)


def links_of_clusters(left: Numbers, right: Numbers) -> ClusterLinks:
    """Return links of the second look between the clusters `left` and `right`, strongest first, with their kin."""
    named, places = np.unique(np.concatenate([left, right]), return_inverse=True)
    pairs = (np.ones(len(left), dtype=np.bool_), (places[: len(left)], places[len(left) :]))
    _, group = connected_components(coo_matrix(pairs, shape=(len(named), len(named))), directed=False)
    # Clusters are sorted, and groups are numbered by their least cluster.
    _, first = np.unique(group, return_index=True)
    return ClusterLinks(left, right, dict(zip(named.tolist(), named[first][group].tolist(), strict=True)))


def joined_clusters(
    links: ClusterLinks, link_keys_of: LinkKeysOf
) -> tuple[dict[int, int], npt.NDArray[np.bool_]]:
    """Return the person of each linked cluster, named by one of their clusters, and which links were followed.

    `links` are all those of some whole groups of kin.
    """
    sizes: dict[int, set[int]] = {}
    for one, other in zip(links.left.tolist(), links.right.tolist(), strict=True):
        sizes.setdefault(links.kin[one], set()).update((one, other))
    several = [cluster for members in sizes.values() if len(members) > 2 for cluster in sorted(members)]
    facts = _facts(link_keys_of(np.array(several, dtype=np.int64))) if several else {}
    spoken_of = set(zip(links.left.tolist(), links.right.tolist(), strict=True))
    members = {cluster: [cluster] for group in sizes.values() for cluster in group}
    person = {cluster: cluster for cluster in members}
    followed = np.zeros(len(links.left), dtype=np.bool_)
    for place, (one, other) in enumerate(zip(links.left.tolist(), links.right.tolist(), strict=True)):
        first, second = sorted((person[one], person[other]))
        if first == second:
            followed[place] = True
            continue
        if any(
            facts[mine].contradicts(facts[theirs])
            for mine in members[first]
            for theirs in members[second]
            if (mine, theirs) not in spoken_of and (theirs, mine) not in spoken_of
        ):
            continue
        followed[place] = True
        for cluster in members.pop(second):
            person[cluster] = first
            members[first].append(cluster)
    return person, followed


def _facts(found: tuple[Numbers, pa.Table]) -> dict[int, Facts]:
    """Return what all records of each cluster say together."""
    clusters, link_keys = found
    of_record = facts_of(link_keys, np.arange(link_keys.num_rows))
    said: dict[int, list[Facts]] = {}
    for place, cluster in enumerate(clusters.tolist()):
        said.setdefault(cluster, []).append(of_record[place])
    return {cluster: reduce(Facts.joined, facts) for cluster, facts in said.items()}
