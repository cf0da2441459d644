"""How sure a person is: the weakest link that holds their records together, and what argued against it.

A person's records hang together by a tree of their strongest links (a maximum spanning tree). Its weakest link is what
would have to break for the person to fall into two, so its match weight tells how sure the whole is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree

from linkage.clusters import USED, Clusters, Edges

QUALITY_SCHEMA = pa.schema(
    [
        pa.field("label", pa.int64(), nullable=False),
        pa.field("records", pa.int64(), nullable=False),
        pa.field("identities", pa.int64(), nullable=False),
        pa.field("feeds", pa.int64(), nullable=False),
        pa.field("links", pa.int64(), nullable=False),
        pa.field("density", pa.float64()),
        pa.field("weakest_link", pa.float64()),
        pa.field("confidence", pa.float64(), nullable=False),
        pa.field("refused_links", pa.int64(), nullable=False),
    ]
)
"""One row per person, of `label`. `identities`: records with different link keys. `links`: edges between; `density`:
their share of all possible ones. `weakest_link`: match weight (bits). `confidence`: the probability that it is right.
`refused_links`: edges that would have joined the person with another. Null where there is but one identity."""

Numbers = npt.NDArray[np.int64]


def quality_of(clusters: Clusters, edges: Edges, feeds: pa.ChunkedArray, copies: Numbers) -> pa.Table:
    """Return the quality (`QUALITY_SCHEMA`) of every person of `clusters`, in order of label.

    `feeds` and `copies` (records with the same keys) are of the clustered records.
    """
    labels, person = np.unique(clusters.labels, return_inverse=True)
    count = len(labels)
    within = clusters.labels[edges.left] == clusters.labels[edges.right]
    identities = np.bincount(person, minlength=count)
    links = np.bincount(person[edges.left[within]], minlength=count)
    weakest = _weakest_links(edges.taken(within), person, count, len(clusters.labels))
    several = identities > 1
    possible = identities * (identities - 1) // 2
    refused = ~within & (clusters.reasons != USED)
    return pa.table(
        {
            "label": labels,
            "records": np.bincount(person, weights=copies, minlength=count).astype(np.int64),
            "identities": identities,
            "feeds": _distinct_feeds(person, feeds, count),
            "links": links,
            "density": pa.array(links / np.maximum(possible, 1), mask=~several),
            "weakest_link": pa.array(weakest, mask=~several),
            "confidence": np.where(several, 1.0 / (1.0 + np.exp2(-np.clip(weakest, -60, 60))), 1.0),
            "refused_links": np.bincount(person[edges.left[refused]], minlength=count)
            + np.bincount(person[edges.right[refused]], minlength=count),
        },
        schema=QUALITY_SCHEMA,
    )


def _weakest_links(edges: Edges, person: Numbers, count: int, records: int) -> npt.NDArray[np.float64]:
    """Return the least match weight in each person's maximum spanning tree; infinity without any link."""
    weakest = np.full(count, np.inf)
    if len(edges.weight):
        # The strongest links become the shortest; none may be of length zero, which would be no link.
        heaviest = edges.weight.max()
        graph = coo_matrix(
            (heaviest - edges.weight + 1.0, (edges.left, edges.right)), shape=(records, records)
        )
        tree = minimum_spanning_tree(graph).tocoo()
        np.minimum.at(weakest, person[tree.row], heaviest + 1.0 - tree.data)
    return np.round(weakest, 6)


def _distinct_feeds(person: Numbers, feeds: pa.ChunkedArray, count: int) -> Numbers:
    codes = feeds.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    of_person = np.unique(person * (int(codes.max(initial=0)) + 1) + codes)
    return np.bincount(of_person // (int(codes.max(initial=0)) + 1), minlength=count)
