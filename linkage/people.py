"""Records to people: the nightly step that scores, clusters, and keeps every person's id.

It uses the reviewed model and never trains one. With the same link keys and model it does nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exchange.epoch_turn import link_keys_digest
from exchange.link_key_schema import FILTER_COLUMNS, TOKEN_COLUMNS
from linkage.clusters import Edges, cluster, cluster_sizes
from linkage.model import LinkageModel, read_model
from linkage.pairs import ScoredPairs, score_pairs
from linkage.stable_ids import Assignment, assign_person_ids
from stores.analytics import AnalyticsZone

LINK_KEY_COLUMNS = ("record_ref", "feed", *FILTER_COLUMNS, *TOKEN_COLUMNS)

STATE_TABLES = """
create table if not exists people (record_ref varchar primary key, person_id varchar not null);
create table if not exists edges (record_ref_l varchar, record_ref_r varchar, match_weight double);
create table if not exists people_state (digest varchar not null);
create table if not exists person_history (
    digest varchar, change varchar, from_person_id varchar, to_person_id varchar, record_count bigint
);
"""

CERTAIN_WEIGHT = 1_000.0
"""Of records with identical keys: above any weight that a model gives."""

PEOPLE_DIGEST = "select count(*) || '-' || coalesce(bit_xor(hash(record_ref, person_id)), 0) from {table}"


@dataclass(frozen=True)
class PeopleReport:
    """Counts of one run, for metadata: nothing in it tells one person from another.

    `candidates`: compared pairs by blocking rule. `match_weights`: pairs by whole match weight, the ends
    open. `cluster_sizes`: people by number of records. `contradicted`: groups of linked records that held two
    people's identities, rebuilt with `refused_merges`. `cut_bridges`: weak links that hung on one record.
    """

    skipped: bool
    records: int
    people: int
    model_version: int
    model_digest: str
    edges: int = 0
    candidates: Mapping[str, int] = field(default_factory=dict)
    match_weights: Mapping[int, int] = field(default_factory=dict)
    cluster_sizes: Mapping[int, int] = field(default_factory=dict)
    contradicted: int = 0
    refused_merges: int = 0
    cut_bridges: int = 0
    merged: int = 0
    split: int = 0


def resolve_people(zone: AnalyticsZone, model: LinkageModel | None = None) -> PeopleReport:
    """Link the records of `link_keys`; write `edges`, `people`, `person_history`, and the warehouse's
    `records.people`.

    Raises `LinkageModelError` on an unusable model, `StoreUnreadableError` if no package was opened yet.
    """
    model = model or read_model()
    with zone.linkage(read_only=True) as connection:
        digest = f"{link_keys_digest(connection)}-{model.digest}"
        known = _known_people(connection)
        unchanged = known.digest == digest
        link_keys = None if unchanged else read_link_keys(connection)
    if link_keys is None:
        _publish_to_warehouse(zone, known.people)
        return PeopleReport(
            skipped=True,
            records=known.people.num_rows,
            people=pc.count_distinct(known.people["person_id"]).as_py(),
            model_version=model.version,
            model_digest=model.digest,
        )
    scored = score_pairs(link_keys, model.splink_settings, model.match_weight_threshold)
    clusters = cluster(edges_by_row(scored, link_keys["record_ref"]), link_keys)
    members = _members(clusters.labels, link_keys["record_ref"].to_pylist())
    previous = dict(zip(*(column.to_pylist() for column in known.people.columns), strict=True))
    assignment = assign_person_ids(members, previous, zone.keys)
    people = _people_table(members, assignment)
    _write(zone, digest, scored, people, assignment)
    _publish_to_warehouse(zone, people)
    return PeopleReport(
        skipped=False,
        records=people.num_rows,
        people=len(members),
        model_version=model.version,
        model_digest=model.digest,
        edges=scored.edges.num_rows,
        candidates=scored.candidates,
        match_weights=scored.weights,
        cluster_sizes=cluster_sizes(clusters.labels),
        contradicted=clusters.contradicted,
        refused_merges=clusters.refused,
        cut_bridges=clusters.bridges,
        merged=sum(change.change == "merged" for change in assignment.changes),
        split=sum(change.change == "split" for change in assignment.changes),
    )


@dataclass(frozen=True)
class KnownPeople:
    """What the last run left: its digest (None before the first) and record_ref, person_id."""

    digest: str | None
    people: pa.Table


def _known_people(connection: duckdb.DuckDBPyConnection) -> KnownPeople:
    exists = connection.execute(
        "select count(*) = 2 from duckdb_tables() where database_name = current_database() "
        "and table_name in ('people', 'people_state')"
    ).fetchone()
    if exists != (True,):
        return KnownPeople(
            None, pa.table({"record_ref": pa.array([], pa.string()), "person_id": pa.array([], pa.string())})
        )
    digest = connection.execute("select max(digest) from people_state").fetchone()
    people = connection.execute(
        "select record_ref, person_id from people order by record_ref"
    ).to_arrow_table()
    return KnownPeople(digest[0] if digest else None, people)


def read_link_keys(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return what linkage reads of the attached linkage store's link keys, in order of record_ref."""
    listed = ", ".join(LINK_KEY_COLUMNS)
    return connection.execute(f"select {listed} from link_keys order by record_ref").to_arrow_table()


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


def _members(labels: np.ndarray, record_refs: list[str]) -> list[list[str]]:
    members: defaultdict[int, list[str]] = defaultdict(list)
    for label, record_ref in zip(labels.tolist(), record_refs, strict=True):
        members[label].append(record_ref)
    return [members[label] for label in sorted(members)]


def _people_table(members: Sequence[Sequence[str]], assignment: Assignment) -> pa.Table:
    sizes = [len(cluster_members) for cluster_members in members]
    unsorted = pa.table(
        {
            "record_ref": pa.array(
                [ref for cluster_members in members for ref in cluster_members], pa.string()
            ),
            "person_id": pa.array(
                np.repeat(np.array(assignment.person_ids, dtype=object), sizes), pa.string()
            ),
        }
    )
    return unsorted.sort_by("record_ref")


def _write(
    zone: AnalyticsZone, digest: str, scored: ScoredPairs, people: pa.Table, assignment: Assignment
) -> None:
    history = pa.table(
        {
            "digest": pa.array([digest] * len(assignment.changes), pa.string()),
            "change": pa.array([change.change for change in assignment.changes], pa.string()),
            "from_person_id": pa.array([change.from_person_id for change in assignment.changes], pa.string()),
            "to_person_id": pa.array([change.to_person_id for change in assignment.changes], pa.string()),
            "record_count": pa.array([change.record_count for change in assignment.changes], pa.int64()),
        }
    )
    with zone.linkage() as connection:
        connection.execute(STATE_TABLES)
        for name, table in (("new_people", people), ("new_edges", scored.edges), ("new_history", history)):
            connection.register(name, table)
        connection.execute("begin")
        for table in ("people", "edges", "people_state"):
            connection.execute(f"delete from {table}")
        connection.execute("insert into people from new_people")
        connection.execute("insert into edges select record_ref_l, record_ref_r, match_weight from new_edges")
        connection.execute("insert into person_history from new_history")
        connection.execute("insert into people_state values (?)", [digest])
        connection.execute("commit")


def _publish_to_warehouse(zone: AnalyticsZone, people: pa.Table) -> None:
    """Copy `people` to the warehouse unless it is there already: a stop between the two stores heals here."""
    with zone.warehouse() as connection:
        connection.register("new_people", people)
        connection.execute("create schema if not exists records")
        connection.execute(
            "create table if not exists records.people (record_ref varchar, person_id varchar)"
        )
        held, new = (
            connection.execute(PEOPLE_DIGEST.format(table=table)).fetchone()
            for table in ("records.people", "new_people")
        )
        if held != new:
            connection.execute("begin")
            connection.execute("delete from records.people")
            connection.execute("insert into records.people from new_people")
            connection.execute("commit")
