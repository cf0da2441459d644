"""How sure a person is: the weakest link that holds their records together, and what argued against it.

A person's records hang together by a tree of their strongest links (a maximum spanning tree). Its weakest link is what
would have to break for the person to fall into two, so its match weight tells how sure the whole is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree

from linkage.clustering.clusters import Edges

QUALITY_SCHEMA = pa.schema(
    [
        pa.field("person", pa.int64(), nullable=False),
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
"""One row per person. `identities`: records with different link keys. `links`: edges between; `density`:
their share of all possible ones. `weakest_link`: match weight (bits). `confidence`: the probability that it is right.
`refused_links`: edges that would have joined the person with another. Null where there is but one identity."""

Numbers = npt.NDArray[np.int64]


def quality_of(records: pa.Table, edges: pa.Table) -> pa.Table:
    """Return the quality (`QUALITY_SCHEMA`) of every person, in order of their numbers.

    `records`: record_ref, person (numbers from 0 without gaps), feed, copies (records with the same keys). `edges`:
    record_ref_l, record_ref_r, match_weight; all that an end is among the records.
    """
    person = records["person"].to_numpy()
    count = int(person.max(initial=-1)) + 1
    left, right = (
        pc.fill_null(pc.index_in(edges[side], value_set=records["record_ref"]), -1).to_numpy()
        for side in ("record_ref_l", "record_ref_r")
    )
    # The last place stands for people elsewhere.
    owner = np.append(person, -1)
    within = (left >= 0) & (owner[left] == owner[right])
    identities = np.bincount(person, minlength=count)
    links = np.bincount(person[left[within]], minlength=count)
    weight = edges["match_weight"].to_numpy()
    weakest = _weakest_links(Edges(left[within], right[within], weight[within]), person, count)
    several = identities > 1
    possible = identities * (identities - 1) // 2
    refused = [owner[side[~within]] for side in (left, right)]
    return pa.table(
        {
            "person": np.arange(count),
            "records": np.bincount(person, weights=records["copies"].to_numpy(), minlength=count).astype(
                np.int64
            ),
            "identities": identities,
            "feeds": _distinct_feeds(person, records["feed"], count),
            "links": links,
            "density": pa.array(links / np.maximum(possible, 1), mask=~several),
            "weakest_link": pa.array(weakest, mask=~several),
            "confidence": np.where(several, 1.0 / (1.0 + np.exp2(-np.clip(weakest, -60, 60))), 1.0),
            "refused_links": sum(np.bincount(side[side >= 0], minlength=count) for side in refused),
        },
        schema=QUALITY_SCHEMA,
    )


def _weakest_links(edges: Edges, person: Numbers, count: int) -> npt.NDArray[np.float64]:
    """Return the least match weight in each person's maximum spanning tree; infinity without any link."""
    weakest = np.full(count, np.inf)
    if len(edges.weight):
        # The strongest links become the shortest; none may be of length zero, which would be no link.
        heaviest = edges.weight.max()
        graph = coo_matrix(
            (heaviest - edges.weight + 1.0, (edges.left, edges.right)), shape=(len(person), len(person))
        )
        tree = minimum_spanning_tree(graph).tocoo()
        np.minimum.at(weakest, person[tree.row], heaviest + 1.0 - tree.data)
    return np.round(weakest, 6)


def _distinct_feeds(person: Numbers, feeds: pa.ChunkedArray, count: int) -> Numbers:
    codes = feeds.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    of_person = np.unique(person * (int(codes.max(initial=0)) + 1) + codes)
    return np.bincount(of_person // (int(codes.max(initial=0)) + 1), minlength=count)
