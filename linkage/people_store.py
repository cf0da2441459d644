"""What linkage writes: the tables of the linkage store, and their copies in the warehouse.

Linkage store: `edges`, `people`, `person_quality`, `person_history`, `linked_records` (see `linkage.incremental`) and
`people_state`. Warehouse: `records.people` and `records.person_quality`.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import duckdb
import pyarrow as pa

from governance.person_traces import forget_history
from linkage.clustering.stable_ids import Change
from linkage.incremental.changes import LINKED_RECORDS
from stores.analytics import LINKAGE_STORE, AnalyticsZone
from stores.encrypted import STORE, attach, storage_key
from stores.row_hash import rows_hash

PEOPLE_COLUMNS = "record_ref varchar, person_id varchar"
QUALITY_COLUMNS = (
    "person_id varchar, records bigint, identities bigint, feeds bigint, links bigint, density double, "
    "weakest_link double, confidence double, refused_links bigint"
)
PUBLISHED = {"people": PEOPLE_COLUMNS, "person_quality": QUALITY_COLUMNS}
"""Tables that the warehouse has too, in schema `records`."""

TABLES = {
    "people": PEOPLE_COLUMNS,
    "person_quality": QUALITY_COLUMNS,
    "edges": "record_ref_l varchar, record_ref_r varchar, match_weight double, match_key utinyint, reason utinyint",
    "second_links": "record_ref_l varchar, record_ref_r varchar, match_weight double, evidence varchar, "
    "is_followed boolean",
    "person_history": "night date, digest varchar, change varchar, from_person_id varchar, to_person_id varchar, "
    "record_count bigint",
    "people_state": "digest varchar, basis varchar",
}

# Stores of earlier versions lack these.
LATER_COLUMNS = (
    "alter table person_history add column if not exists night date",
    "alter table edges add column if not exists match_key utinyint",
    "alter table edges add column if not exists reason utinyint",
    "alter table people_state add column if not exists basis varchar",
)

TOUCHED_PEOPLE = """
create or replace temp table touched_people as
select person_id from people semi join gone_records using (record_ref)
union
select previous from new_records where previous is not null
union
select person_id from new_people
"""

FORGET_EVERYTHING = tuple(
    f"delete from {table}"
    for table in ("people", "linked_records", "person_quality", "edges", "second_links")
)

FORGET_TOUCHED = (
    TOUCHED_PEOPLE,
    "delete from person_quality using touched_people as t where t.person_id = person_quality.person_id",
    "delete from people using gone_records as g where g.record_ref = people.record_ref",
    """
    delete from people using new_people as n
    where n.record_ref = people.record_ref and n.person_id <> people.person_id
    """,
    """
    delete from linked_records
    where record_ref in (select record_ref from gone_records union all select record_ref from new_people)
    """,
    "delete from edges where record_ref_l in (from outdated) or record_ref_r in (from outdated)",
    "delete from second_links",
)

ADD = (
    "insert into people from new_people anti join people using (record_ref)",
    """
    insert into linked_records
    select record_ref, identity, is_compared, frequencies, component, component_size, cluster, kin, kin_size
    from new_records
    """,
    "insert into edges by name from new_edges",
    "insert into second_links by name from new_links",
    "insert into person_quality from new_quality",
    "insert into person_history by name from new_history",
    "delete from people_state",
)


class KnownState(NamedTuple):
    """What the last run left: the digest of its link keys and model, and the basis of its weights; None before it, and
    where an earlier version left less than this one needs. `has_people`: there are ids to keep.
    """

    digest: str | None
    basis: str | None
    has_people: bool


@dataclass(frozen=True)
class Resolved:
    """What one run found, of the records whose people it looked at.

    `records`: as `linkage.incremental.labels.affected_records`, with person_id. `vanished`: record_ref, person_id.
    `outdated`: references whose edges go. `edges`: those that come. `links`: all of the second look.
    `quality`: of these people.
    """

    everything: bool
    records: pa.Table
    vanished: pa.Table
    outdated: pa.Table
    edges: pa.Table
    links: pa.Table
    quality: pa.Table
    changes: Sequence[Change]


def known_state(connection: duckdb.DuckDBPyConnection) -> KnownState:
    """Return the state that the attached linkage store is in."""
    columns = {
        (table, column)
        for table, column in connection.execute(
            "select table_name, column_name from duckdb_columns() where database_name = ?", [STORE]
        ).fetchall()
    }
    if ("people_state", "digest") not in columns or ("people", "person_id") not in columns:
        return KnownState(None, None, has_people=False)
    tables = {table for table, _ in columns}
    if ("people_state", "basis") not in columns or not {"linked_records", "person_quality"} <= tables:
        return KnownState(None, None, has_people=True)
    digest, basis = connection.execute("select digest, basis from people_state").fetchone() or (None, None)
    return KnownState(digest, basis, has_people=True)


def taken_ids(connection: duckdb.DuckDBPyConnection, ids: Set[str]) -> set[str]:
    """Return which of `ids` the attached linkage store gave to somebody, now or before."""
    connection.register("asked_ids", pa.table({"person_id": pa.array(sorted(ids), pa.string())}))
    rows = connection.execute(
        f"""
        select person_id from asked_ids semi join {STORE}.people using (person_id)
        union
        select person_id from asked_ids
        semi join {STORE}.person_history as history on asked_ids.person_id = history.from_person_id
        """
    ).fetchall()
    return {person_id for (person_id,) in rows}


def write_people(zone: AnalyticsZone, digest: str, basis: str, night: date | None, found: Resolved) -> None:
    """Write what a run found to the linkage store, in one transaction."""
    history = _history(found.changes, night, digest)
    with zone.linkage() as connection:
        for name, columns in TABLES.items():
            connection.execute(f"create table if not exists {name} ({columns})")
        _make_linked_records(connection)
        for statement in LATER_COLUMNS:
            connection.execute(statement)
        connection.execute("begin")
        for name, table in (
            ("new_records", found.records),
            ("gone_records", found.vanished),
            ("outdated", found.outdated),
            ("new_edges", found.edges),
            ("new_links", found.links),
            ("new_quality", found.quality),
            ("new_history", history),
        ):
            connection.register(name, table)
        connection.execute(
            "create or replace temp table new_people as select record_ref, person_id from new_records"
        )
        for statement in (FORGET_EVERYTHING if found.everything else FORGET_TOUCHED) + ADD:
            connection.execute(statement)
        forget_history(connection)
        connection.execute("insert into people_state by name select ? as digest, ? as basis", [digest, basis])
        connection.execute("commit")


def _make_linked_records(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table that remembers the last run; one of an earlier version remembers too little, and is made anew."""
    columns = connection.execute(
        "select count(*) from duckdb_columns() where database_name = ? and table_name = 'linked_records' "
        "and column_name = 'kin_size'",
        [STORE],
    ).fetchone()
    if columns == (0,):
        connection.execute("drop table if exists linked_records")
    connection.execute(LINKED_RECORDS)


def _history(changes: Sequence[Change], night: date | None, digest: str) -> pa.Table:
    columns = {
        "night": pa.array([night] * len(changes), pa.date32()),
        "digest": pa.array([digest] * len(changes), pa.string()),
        "change": pa.array([change.change for change in changes], pa.string()),
        "from_person_id": pa.array([change.from_person_id for change in changes], pa.string()),
        "to_person_id": pa.array([change.to_person_id for change in changes], pa.string()),
        "record_count": pa.array([change.record_count for change in changes], pa.int64()),
    }
    return pa.table(columns)


def publish_people(zone: AnalyticsZone) -> None:
    """Bring the warehouse's copies up to the linkage store: a stop between the two stores heals here."""
    with zone.warehouse() as connection:
        attach(
            connection, zone.home.linkage_db, storage_key(zone.keys, LINKAGE_STORE), "linkage", read_only=True
        )
        connection.execute("create schema if not exists records")
        connection.execute("begin")
        for name, columns in PUBLISHED.items():
            connection.execute(f"create table if not exists records.{name} ({columns})")
            _bring_up(connection, f"{STORE}.records.{name}", f"linkage.{name}")
        connection.execute("commit")


def _bring_up(connection: duckdb.DuckDBPyConnection, copy: str, original: str) -> None:
    """Make the rows of `copy` those of `original`, writing only what differs."""
    columns = [name for name, *_ in connection.execute(f"describe {copy}").fetchall()]
    (held, held_hash), (new, new_hash) = (
        connection.execute(f"select count(*), {rows_hash(', '.join(columns))} from {table}").fetchall()[0]
        for table in (copy, original)
    )
    if (held, held_hash) == (new, new_hash):
        return
    if not held:
        connection.execute(f"insert into {copy} from {original}")
        return
    connection.execute(f"create or replace temp table coming as from {original} except from {copy}")
    connection.execute(f"create or replace temp table going as from {copy} except from {original}")
    key = columns[0]
    connection.execute(f"delete from {copy} as held using going where held.{key} = going.{key}")
    connection.execute(f"insert into {copy} from coming")


def counted(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return how many records, people and edges the attached linkage store holds."""
    row = connection.execute(
        f"select (select count(*) from {STORE}.people), (select count(*) from {STORE}.person_quality), "
        f"(select count(*) from {STORE}.edges)"
    ).fetchone()
    assert row is not None  # noqa: S101  an aggregate without groups always has one row
    return dict(zip(("records", "people", "edges"), row, strict=True))


def edge_weights(connection: duckdb.DuckDBPyConnection, lowest: int, highest: int) -> dict[int, int]:
    """Return how many edges the attached linkage store holds of each whole match weight, the ends open."""
    return dict(
        connection.execute(
            f"""
            select greatest(least(floor(match_weight), {highest}), {lowest})::integer as weight, count(*) as edges
            from {STORE}.edges group by all order by all
            """
        ).fetchall()
    )


def cluster_sizes(connection: duckdb.DuckDBPyConnection) -> dict[int, int]:
    """Return how many people of the attached linkage store have each number of records."""
    return dict(
        connection.execute(
            f"select records, count(*) as people from {STORE}.person_quality group by all order by all"
        ).fetchall()
    )
