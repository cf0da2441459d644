"""The clusters of all records after a night, and the records whose people may be others for it."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from linkage.clustering.clusters import CLUSTERED_COLUMNS
from linkage.clustering.second_look import columns_read
from linkage.incremental.changes import Changes
from linkage.incremental.columns import ROWS_OF_A_BATCH, short_tokens
from stores.encrypted import STORE

RELABELLED = """
create or replace temp table relabelled as
select
    records.number,
    records.record_ref,
    records.row_id,
    records.identity,
    records.number = clustered.number as is_compared,
    compared.frequencies,
    hash(component.record_ref) as component,
    clustered.component_size,
    (hash(label.record_ref) >> 1)::bigint as cluster,
from clustered
inner join current_compared as compared using (number)
inner join current_records as records on compared.identity = records.identity
inner join current_records as label on clustered.label = label.number
inner join current_records as component on clustered.component = component.number
"""

CLUSTERED_RECORDS = """
create or replace temp table clustered_records as
from relabelled
union all
select
    records.number,
    record_ref,
    records.row_id,
    linked.identity,
    linked.is_compared,
    linked.frequencies,
    linked.component,
    linked.component_size,
    linked.cluster,
from {store}.linked_records as linked
inner join current_records as records using (record_ref)
anti join relabelled using (record_ref)
"""

ALL_ARE_AFFECTED = """
create or replace temp view affected as
select records.*, coalesce(linked_kin.kin, records.cluster) as kin
from clustered_records as records
left join linked_kin using (cluster)
"""

AFFECTED = (
    """
    create or replace temp table changed_ends as
    with

    differing as (
        (select record_ref_l, record_ref_r, match_weight from links
        except select record_ref_l, record_ref_r, match_weight from {store}.second_links)
        union all
        (select record_ref_l, record_ref_r, match_weight from {store}.second_links
        except select record_ref_l, record_ref_r, match_weight from links)
    )

    select record_ref_l as record_ref from differing
    union
    select record_ref_r from differing
    union
    select record_ref from relabelled
    """,
    """
    create or replace temp table kin_now as
    select records.*, coalesce(linked_kin.kin, records.cluster) as kin, linked.kin as kin_before
    from clustered_records as records
    left join linked_kin using (cluster)
    left join {store}.linked_records as linked on records.record_ref = linked.record_ref
    """,
    """
    create or replace temp table affected as
    select kin_now.* exclude (kin_before)
    from kin_now
    where kin_now.kin in (select kin from kin_now semi join changed_ends using (record_ref))
        or kin_now.kin_before in (
            select kin from {store}.linked_records semi join changed_ends using (record_ref)
            union
            select kin from {store}.linked_records anti join current_records using (record_ref)
            union
            select kin from {store}.linked_records group by kin having count(*) <> any_value(kin_size)
        )
    """,
)


def relabel(connection: duckdb.DuckDBPyConnection, clustered: pa.Table, changes: Changes) -> None:
    """Make `relabelled`, all records behind the `clustered` ones, and `clustered_records`, all records with a cluster.

    `clustered`: number, label and component (the first records of its cluster and of its component), component_size.
    """
    connection.register("clustered", clustered)
    connection.execute(RELABELLED)
    if changes.everything:
        connection.execute("create or replace temp view clustered_records as from relabelled")
    else:
        connection.execute(CLUSTERED_RECORDS.format(store=STORE))


def labelled_link_keys(connection: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """Return a stream of what the second look reads of every record's link keys, tokens short, with its cluster as
    `label`; `record_ref` is the record's number. Of records with the same keys, the first stands for all.
    """
    return connection.execute(
        f"""
        select records.number as record_ref, {short_tokens(columns_read())}, records.cluster as label
        from {STORE}.link_keys as link_keys
        inner join clustered_records as records on link_keys.rowid = records.row_id
        where records.is_compared
        """
    ).to_arrow_reader(ROWS_OF_A_BATCH)


def clusters_of(connection: duckdb.DuckDBPyConnection, links: pa.Table) -> pa.Table:
    """Return `links` (of the second look, ends by number) with record_ref_l and record_ref_r in place of the numbers,
    and the clusters of both, cluster_l and cluster_r; the references of a pair in order, strongest first.
    """
    connection.register("numbered_links", links)
    return connection.execute(
        """
        with ends as (
            select
                least(record_ref_l, record_ref_r) as number_l,
                greatest(record_ref_l, record_ref_r) as number_r,
                match_weight,
                evidence,
            from numbered_links
        )
        select
            one.record_ref as record_ref_l,
            other.record_ref as record_ref_r,
            match_weight,
            evidence,
            one.cluster as cluster_l,
            other.cluster as cluster_r,
            number_l,
            number_r,
        from ends
        inner join clustered_records as one on ends.number_l = one.number
        inner join clustered_records as other on ends.number_r = other.number
        order by match_weight desc, record_ref_l, record_ref_r
        """
    ).to_arrow_table()


def affected_records(
    connection: duckdb.DuckDBPyConnection, links: pa.Table, kin: pa.Table, changes: Changes, *, known: bool
) -> pa.Table:
    """Return the records whose people may be others now, as `linked_records` wants them, with `previous` (the person
    they were, null for none), `number`, `copies` and `feed`; by number.

    `links`: of the second look, all there are. `kin`: cluster, kin, of the clusters that are linked. `known`: there are
    people of an earlier run.
    """
    connection.register("links", links)
    connection.register("linked_kin", kin)
    if changes.everything:
        connection.execute(ALL_ARE_AFFECTED)
    else:
        for statement in AFFECTED:
            connection.execute(statement.format(store=STORE))
    previous = (
        f"left join {STORE}.people as people on affected.record_ref = people.record_ref" if known else ""
    )
    return connection.execute(
        f"""
        select
            affected.* exclude (row_id),
            kin_sizes.kin_size,
            {"people.person_id" if known else "null::varchar"} as previous,
            compared.copies,
            link_keys.feed,
        from affected
        inner join (select kin, count(*) as kin_size from affected group by kin) as kin_sizes using (kin)
        inner join current_compared as compared on affected.identity = compared.identity
        inner join {STORE}.link_keys as link_keys on affected.row_id = link_keys.rowid
        {previous}
        order by affected.number
        """
    ).to_arrow_table()


def link_keys_of(connection: duckdb.DuckDBPyConnection, clusters: np.ndarray) -> pa.Table:
    """Return what clustering reads of the link keys of the records of some clusters, with their `cluster`."""
    connection.register("asked_clusters", pa.table({"cluster": clusters}))
    return connection.execute(
        f"""
        select records.cluster, {short_tokens(CLUSTERED_COLUMNS)}
        from {STORE}.link_keys as link_keys
        inner join clustered_records as records on link_keys.rowid = records.row_id
        semi join asked_clusters using (cluster)
        order by records.number
        """
    ).to_arrow_table()
