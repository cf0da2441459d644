"""Records to people: the nightly step that scores, clusters, and keeps every person's id.

It uses the reviewed model and never trains one. With the same link keys and model it does nothing; with some link keys
changed it links only what they touch, which gives the people that linking all of them from nothing would give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exchange.epoch_turn import link_keys_digest
from governance.identifier_quality import read_identifier_quality
from linkage import people_store
from linkage.clustering.clusters import Clusters, Edges, cluster, component_of
from linkage.clustering.confidence import quality_of
from linkage.clustering.joining import ClusterLinks, joined_clusters, links_of_clusters
from linkage.clustering.second_look import links_of_labelled
from linkage.clustering.stable_ids import Assignment, assign_person_ids
from linkage.incremental.blocks import records_to_score, term_frequencies
from linkage.incremental.changes import (
    Changes,
    changed_records,
    find_changes,
    limited_memory,
    vanished_records,
)
from linkage.incremental.edges import (
    edges_among,
    named_edges,
    touched_edges,
    touched_link_keys,
    touched_references,
)
from linkage.incremental.labels import (
    affected_records,
    clusters_of,
    labelled_link_keys,
    link_keys_of,
    relabel,
)
from linkage.model import LinkageModel, read_model
from linkage.people_store import KnownState, Resolved
from linkage.scoring.pairs import REPORTED_WEIGHTS, ScoredPairs, score_pairs
from stores.analytics import AnalyticsZone

CERTAIN_WEIGHT = 1_000.0
"""Of records with identical keys: above any weight that a model gives."""


@dataclass(frozen=True)
class PeopleReport:
    """Counts of one run, for metadata: nothing in it tells one person from another.

    Of all people: `records`, `people`, `edges`, `edge_weights` and `cluster_sizes` (people by number of records).

    Of what was linked in this run, which is all where `incremental` is false: `compared_records` of which
    `changed_records`; `candidates`: compared pairs by blocking rule; `match_weights`: pairs by whole match weight, the
    ends open; `contradicted`: groups of linked records that held two people's identities, rebuilt with
    `refused_merges`; `cut_bridges`: weak links that hung on one record; `second_links`: links of the second look, all
    there are; `merged` and `split`: events in `person_history`; `touched_records`: those whose people could be others.
    """

    skipped: bool
    records: int
    people: int
    model_version: int
    model_digest: str
    incremental: bool = False
    edges: int = 0
    compared_records: int = 0
    changed_records: int = 0
    touched_records: int = 0
    candidates: Mapping[str, int] = field(default_factory=dict)
    match_weights: Mapping[int, int] = field(default_factory=dict)
    edge_weights: Mapping[int, int] = field(default_factory=dict)
    cluster_sizes: Mapping[int, int] = field(default_factory=dict)
    contradicted: int = 0
    refused_merges: int = 0
    cut_bridges: int = 0
    second_links: int = 0
    merged: int = 0
    split: int = 0


def resolve_people(
    zone: AnalyticsZone,
    model: LinkageModel | None = None,
    *,
    night: date | None = None,
    from_nothing: bool = False,
) -> PeopleReport:
    """Link the records of `link_keys`; write `edges`, `people`, `person_quality`, `person_history`, and the
    warehouse's `records.people` and `records.person_quality`.

    `night` is written beside every merge and split. `from_nothing`: link all records, whatever has changed; ids stay.
    Raises `LinkageModelError` on an unusable model, `StoreUnreadableError` if no package was opened yet.
    """
    model = model or read_model()
    with zone.linkage(read_only=True) as connection, limited_memory(connection):
        known = people_store.known_state(connection)
        digest = f"{link_keys_digest(connection)}-{model.digest}-{read_identifier_quality().digest}"
        found = (
            None
            if known.digest == digest and not from_nothing
            else _link(connection, zone, model, known, from_nothing=from_nothing)
        )
    if found is not None:
        people_store.write_people(zone, digest, found.changes.basis, night, found.resolved)
    people_store.publish_people(zone)
    report = found.report if found is not None else None
    return _report(zone, model, report)


@dataclass(frozen=True)
class _Linked:
    """What one run found, and what it tells of itself."""

    changes: Changes
    resolved: Resolved
    report: PeopleReport


def _link(
    connection: duckdb.DuckDBPyConnection,
    zone: AnalyticsZone,
    model: LinkageModel,
    known: KnownState,
    *,
    from_nothing: bool,
) -> _Linked:
    changes = find_changes(connection, model, known.basis, everything=from_nothing)
    scored = _scored(connection, changes, model)
    edges = touched_edges(connection, changes, scored.edges)
    clusters, edges = _clustered(connection, edges, changes)
    links, cluster_links = _second_look(connection)
    records = affected_records(connection, links, cluster_links.kin_table(), changes, known=known.has_people)
    person, followed = _joined(connection, cluster_links, records)
    assignment = _with_ids(connection, zone, records, person, known)
    person_ids = pa.array(assignment.person_ids, pa.string())
    ties = _ties(edges_among(connection, edges, records, changes), links, records)
    compared = records["is_compared"]
    quality = quality_of(
        pa.table(
            {
                "record_ref": records["number"].filter(compared),
                "person": person[compared.to_numpy()],
                "feed": records["feed"].filter(compared),
                "copies": records["copies"].filter(compared),
            }
        ),
        ties,
    )
    links = links.drop_columns(["cluster_l", "cluster_r", "number_l", "number_r"])
    links = links.append_column("is_followed", pa.array(followed))
    records = records.drop_columns(["number", "copies", "feed"])
    edges = named_edges(connection, edges)
    return _Linked(
        changes,
        Resolved(
            everything=changes.everything,
            records=records.append_column("person_id", person_ids.take(pa.array(person))),
            vanished=vanished_records(connection) if known.has_people else NOBODY,
            outdated=touched_references(connection, changes),
            edges=edges,
            links=links,
            quality=quality.set_column(0, "person_id", person_ids),
            changes=assignment.changes,
        ),
        PeopleReport(
            skipped=False,
            records=changes.records,
            people=0,
            model_version=model.version,
            model_digest=model.digest,
            incremental=not changes.everything,
            compared_records=changes.compared,
            changed_records=changes.changed,
            touched_records=records.num_rows,
            candidates=scored.candidates,
            match_weights=scored.weights,
            second_links=links.num_rows,
            contradicted=clusters.contradicted,
            refused_merges=clusters.refused,
            cut_bridges=clusters.bridges,
            merged=sum(change.change == "merged" for change in assignment.changes),
            split=sum(change.change == "split" for change in assignment.changes),
        ),
    )


def _clustered(
    connection: duckdb.DuckDBPyConnection, edges: pa.Table, changes: Changes
) -> tuple[Clusters, pa.Table]:
    """Cluster the touched records by `edges` and remember their clusters; return `edges` with what each came to."""
    link_keys = touched_link_keys(connection)
    number, copies = link_keys["number"].to_numpy(), link_keys["copies"].to_numpy()
    left, right = (np.searchsorted(number, edges[side].to_numpy()) for side in ("record_l", "record_r"))
    by_row = Edges(left, right, edges["match_weight"].to_numpy())
    clusters = cluster(by_row, link_keys, copies)
    component = component_of(by_row, len(number))
    _, first = np.unique(component, return_index=True)
    size = np.bincount(component, weights=copies, minlength=1).astype(np.int64)
    relabel(
        connection,
        pa.table(
            {
                "number": number,
                "label": number[clusters.labels],
                "component": number[first[component]],
                "component_size": size[component],
            }
        ),
        changes,
    )
    return clusters, edges.append_column("reason", pa.array(clusters.reasons, pa.uint8()))


def _second_look(connection: duckdb.DuckDBPyConnection) -> tuple[pa.Table, ClusterLinks]:
    """Return the second look's links between all clusters, and the same by cluster."""
    found = links_of_labelled(labelled_link_keys(connection))
    links = clusters_of(connection, found)
    return links, links_of_clusters(links["cluster_l"].to_numpy(), links["cluster_r"].to_numpy())


def _joined(
    connection: duckdb.DuckDBPyConnection, of_clusters: ClusterLinks, records: pa.Table
) -> tuple[np.ndarray, np.ndarray]:
    """Join the clusters of `records` along the second look's links; return the number of each record's person, in order
    of the people's first records, and which links were followed.
    """
    # All links are joined, not only those of the records at hand: they are few, and each group of kin is for itself.
    person_of, followed = joined_clusters(of_clusters, partial(_link_keys_of, connection))
    joined = records["cluster"].to_numpy().copy()
    linked = np.array(sorted(person_of), dtype=np.int64)
    if len(linked):
        person = np.array([person_of[cluster] for cluster in linked.tolist()], dtype=np.int64)
        place = np.minimum(np.searchsorted(linked, joined), len(linked) - 1)
        joined = np.where(linked[place] == joined, person[place], joined)
    _, first, inverse = np.unique(joined, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse], followed


def _link_keys_of(connection: duckdb.DuckDBPyConnection, clusters: np.ndarray) -> tuple[np.ndarray, pa.Table]:
    found = link_keys_of(connection, clusters)
    return found["cluster"].to_numpy(), found


def _with_ids(
    connection: duckdb.DuckDBPyConnection,
    zone: AnalyticsZone,
    records: pa.Table,
    person: np.ndarray,
    known: KnownState,
) -> Assignment:
    order = pa.array(np.argsort(person, kind="stable"))
    return assign_person_ids(
        np.sort(person),
        records["record_ref"].take(order),
        records["previous"].take(order),
        zone.keys,
        partial(people_store.taken_ids, connection) if known.has_people else None,
    )


def _ties(edges: pa.Table, links: pa.Table, records: pa.Table) -> pa.Table:
    """Return edges and links that an end is among the records of, the strongest of each pair: record_ref_l and
    record_ref_r (numbers), match_weight.
    """
    known = records["number"].to_numpy()
    ends = [links[side].to_numpy() for side in ("number_l", "number_r")]
    near = np.isin(ends[0], known) | np.isin(ends[1], known)
    left, right, weight = (
        np.concatenate([edges[of_edge].to_numpy(), links[of_link].to_numpy()[near]])
        for of_edge, of_link in (
            ("record_l", "number_l"),
            ("record_r", "number_r"),
            ("match_weight", "match_weight"),
        )
    )
    order = np.lexsort((-weight, right, left))
    left, right, weight = left[order], right[order], weight[order]
    strongest = np.append(True, (left[1:] != left[:-1]) | (right[1:] != right[:-1]))[: len(left)]
    return pa.table(
        {
            "record_ref_l": left[strongest],
            "record_ref_r": right[strongest],
            "match_weight": weight[strongest],
        }
    )


NOBODY = pa.table({"record_ref": pa.array([], pa.string()), "person_id": pa.array([], pa.string())})


def _scored(connection: duckdb.DuckDBPyConnection, changes: Changes, model: LinkageModel) -> ScoredPairs:
    settings = model.splink_settings
    changed = None if changes.everything else changed_records(connection)
    frequencies = term_frequencies(connection, changes, settings)
    # The stream comes last: another statement on its connection would end it, without a word.
    link_keys = records_to_score(connection, changes, settings)
    return score_pairs(
        link_keys,
        settings,
        model.match_weight_threshold,
        collapse=False,
        changed=changed,
        frequencies=frequencies,
    )


def _report(zone: AnalyticsZone, model: LinkageModel, report: PeopleReport | None) -> PeopleReport:
    """Add to the report of a run what the linkage store now says of all people."""
    with zone.linkage(read_only=True) as connection:
        counts = people_store.counted(connection)
        if report is None:
            return PeopleReport(
                skipped=True,
                records=counts["records"],
                people=counts["people"],
                model_version=model.version,
                model_digest=model.digest,
            )
        return replace(
            report,
            people=counts["people"],
            edges=counts["edges"],
            edge_weights=people_store.edge_weights(connection, *REPORTED_WEIGHTS),
            cluster_sizes=people_store.cluster_sizes(connection),
        )


def edges_by_row(scored: ScoredPairs, record_refs: pa.ChunkedArray) -> Edges:
    """Return the edges as row numbers: records with identical keys first, then pairs from the strongest
    down."""
    alike = scored.alike.filter(pc.not_equal(scored.alike["record_ref"], scored.alike["compared_as"]))
    left, right = (
        np.concatenate([_rows(alike[place], record_refs), _rows(scored.edges[side], record_refs)])
        for place, side in (("compared_as", "record_ref_l"), ("record_ref", "record_ref_r"))
    )
    certain = np.full(alike.num_rows, CERTAIN_WEIGHT)
    return Edges(left, right, np.concatenate([certain, scored.edges["match_weight"].to_numpy()]))


def _rows(references: pa.ChunkedArray, record_refs: pa.ChunkedArray) -> np.ndarray:
    return pc.index_in(references, value_set=record_refs).to_numpy().astype(np.int64)
