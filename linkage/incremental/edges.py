"""The links that a night clusters: new ones, and those kept between records that the changes can touch."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from linkage.clustering.clusters import CLUSTERED_COLUMNS
from linkage.incremental.changes import Changes
from linkage.incremental.columns import short_tokens
from stores.encrypted import STORE

TOUCHED_BY_NEW_LINKS = """
insert into touched_components
select distinct linked.component
from {store}.linked_records as linked
semi join (
    select record_ref_l as record_ref from new_edges union all select record_ref_r from new_edges
) as ends using (record_ref)
anti join touched_components using (component)
"""

TOUCHED_COMPARED = """
create or replace temp table touched_compared as
select number, record_ref from changed
union
select compared.number, compared.record_ref
from current_compared as compared
inner join {store}.linked_records as linked using (record_ref)
semi join touched_components using (component)
"""

KEPT_EDGES = """
select edges.record_ref_l, edges.record_ref_r, edges.match_weight, edges.match_key
from {store}.edges as edges
semi join touched_compared as touched on edges.record_ref_l = touched.record_ref
anti join changed as changed_l on edges.record_ref_l = changed_l.record_ref
anti join changed as changed_r on edges.record_ref_r = changed_r.record_ref
anti join dropped as dropped_l on edges.record_ref_l = dropped_l.record_ref
anti join dropped as dropped_r on edges.record_ref_r = dropped_r.record_ref
"""

EDGES_AMONG = """
select one.number as record_l, other.number as record_r, edges.match_weight
from (
    select record_ref_l, record_ref_r, match_weight from edges_now
    union all
    select record_ref_l, record_ref_r, match_weight
    from {store}.edges
    anti join touched_compared as touched on edges.record_ref_l = touched.record_ref
    anti join changed as changed_l on edges.record_ref_l = changed_l.record_ref
    anti join changed as changed_r on edges.record_ref_r = changed_r.record_ref
    anti join dropped as dropped_l on edges.record_ref_l = dropped_l.record_ref
    anti join dropped as dropped_r on edges.record_ref_r = dropped_r.record_ref
) as edges
inner join current_records as one on edges.record_ref_l = one.record_ref
inner join current_records as other on edges.record_ref_r = other.record_ref
where one.number in (select number from asked) or other.number in (select number from asked)
"""

NUMBERED_EDGES = """
select one.number as record_l, other.number as record_r, edges.match_weight, edges.match_key
from (from new_edges union all {kept}) as edges
inner join current_records as one on edges.record_ref_l = one.record_ref
inner join current_records as other on edges.record_ref_r = other.record_ref
order by edges.match_weight desc, record_l, record_r
"""


def touched_edges(connection: duckdb.DuckDBPyConnection, changes: Changes, scored: pa.Table) -> pa.Table:
    """Find the records that `scored` edges and the changes can touch (`touched_compared`); return all edges between
    them, strongest first: record_l and record_r (numbers), match_weight, match_key.
    """
    scored = scored.rename_columns(["record_l", "record_r", *scored.column_names[2:]])
    if changes.everything:
        connection.execute(
            "create or replace temp view touched_compared as select number, record_ref from changed"
        )
        return scored
    connection.register("new_edges", named_edges(connection, scored))
    connection.execute(TOUCHED_BY_NEW_LINKS.format(store=STORE))
    connection.execute(TOUCHED_COMPARED.format(store=STORE))
    kept = KEPT_EDGES.format(store=STORE)
    return connection.execute(NUMBERED_EDGES.format(kept=kept)).to_arrow_table()


def named_edges(connection: duckdb.DuckDBPyConnection, edges: pa.Table) -> pa.Table:
    """Return `edges` with record_ref_l and record_ref_r in place of the numbers record_l and record_r."""
    connection.register("numbered", edges)
    return connection.execute(
        """
        select
            one.record_ref as record_ref_l,
            other.record_ref as record_ref_r,
            numbered.* exclude (record_l, record_r),
        from numbered
        inner join current_records as one on numbered.record_l = one.number
        inner join current_records as other on numbered.record_r = other.number
        """
    ).to_arrow_table()


def touched_link_keys(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return what clustering reads of the touched compared records, tokens short, with `number` and `copies`; by
    number.
    """
    return connection.execute(
        f"""
        select compared.number, compared.copies, {short_tokens(CLUSTERED_COLUMNS)}
        from {STORE}.link_keys as link_keys
        inner join current_compared as compared on link_keys.rowid = compared.row_id
        semi join touched_compared using (number)
        order by compared.number
        """
    ).to_arrow_table()


def edges_among(
    connection: duckdb.DuckDBPyConnection, edges: pa.Table, records: pa.Table, changes: Changes
) -> pa.Table:
    """Return the edges between the compared ones of `records`, from the store and from the `edges` of this run:
    record_l and record_r (numbers), match_weight.
    """
    if changes.everything:
        return edges.select(["record_l", "record_r", "match_weight"])
    connection.register("edges_now", named_edges(connection, edges))
    connection.register("asked", records.filter(records["is_compared"]).select(["number"]))
    return connection.execute(EDGES_AMONG.format(store=STORE)).to_arrow_table()


def touched_references(connection: duckdb.DuckDBPyConnection, changes: Changes) -> pa.Table:
    """Return the references whose edges are to be written anew: touched, changed, and no longer compared; none where
    all are.
    """
    if changes.everything:
        return pa.table({"record_ref": pa.array([], pa.string())})
    return connection.execute(
        "select record_ref from touched_compared union select record_ref from changed union from dropped order by all"
    ).to_arrow_table()
