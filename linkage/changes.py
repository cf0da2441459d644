"""What one night has to link: which records changed since the last run, what they may meet, and whom that can touch.

A pair's weight hangs on its two records and on how common their names are, told in steps (`scoring.frequencies`). What
becomes of a record hangs on the connected component of links that it is in, and on nothing else
(`clustering.clusters`).
So it is enough to score the pairs that a changed record is in, and to cluster the components that a changed record or a
new link is in: people come out exactly as if all records had been linked from nothing.

`linked_records` remembers the last run. It holds no token: a record's identity is a hash of its link keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from exchange.link_key_schema import FILTER_COLUMNS, TOKEN_COLUMNS
from linkage.clustering.clusters import CLUSTERED_COLUMNS
from linkage.clustering.joining import second_look_digest
from linkage.model import LinkageModel
from linkage.scoring.frequencies import STEPS_OF_AN_OCTAVE, frequency_columns, population_octave, step_of
from linkage.scoring.pairs import IDENTIFYING_TOKENS
from stores.encrypted import STORE

STATE_VERSION = 2
"""Part of the basis: a new version links from nothing."""

LINKED_RECORDS = """
create table if not exists linked_records (
    record_ref varchar, identity ubigint, is_compared boolean, frequencies smallint[], component ubigint,
    component_size bigint, cluster bigint, kin bigint, kin_size bigint
)
"""
"""One row per record, as the last run left it. `is_compared`: it stood for all records with its keys. `component`: of
linked records, weak links counted. `kin`: of clusters that the second look links. The sizes are in records: fewer are
there when some were erased since."""

LARGEST_CHANGED_SHARE = 0.2
"""If more of the compared records changed, linking from nothing is quicker."""

KEY_COLUMNS = ("feed", *FILTER_COLUMNS, *TOKEN_COLUMNS)

# 64 bits: of ten million records, two with unlike keys fall together once in 400,000 runs.
CURRENT_RECORDS = """
create or replace temp table current_records as
select
    record_ref,
    case when {identifying} then hash({keys}) else hash(record_ref, {keys}) end as identity,
from {store}.link_keys
"""

CURRENT_COMPARED = """
create or replace temp table current_compared as
with

compared as (
    select identity, min(record_ref) as record_ref, count(*) as copies
    from current_records
    group by identity
)

select compared.record_ref, compared.identity, compared.copies, [{tokens}]::blob[] as tokens
from compared
inner join {store}.link_keys as link_keys using (record_ref)
"""

# One table for all columns that have frequencies: `place` is the column's.
STEPS = """
create or replace temp table steps as
with

listed as (
    select unnest(tokens) as token, generate_subscripts(tokens, 1) as place from current_compared
)

select place, token, {step} as step
from listed
where token is not null
group by place, token
"""

POPULATIONS = """
select {octave} from (
    select unnest(tokens) as token, generate_subscripts(tokens, 1) as place from current_compared
) group by place order by place
"""

WITH_STEPS = """
create or replace temp table current_compared as
with

listed as (
    select record_ref, unnest(tokens) as token, generate_subscripts(tokens, 1) as place from current_compared
),

stepped as (
    select record_ref, list(coalesce(step, -1)::smallint order by place) as frequencies
    from listed
    left join steps using (place, token)
    group by record_ref
)

select record_ref, identity, copies, coalesce(frequencies, []) as frequencies
from current_compared
left join stepped using (record_ref)
"""

CHANGED = """
create or replace temp table changed as
select compared.record_ref
from current_compared as compared
left join {store}.linked_records as linked using (record_ref)
where linked.record_ref is null
    or linked.identity <> compared.identity
    or not linked.is_compared
    or linked.frequencies <> compared.frequencies
"""

DROPPED = """
create or replace temp table dropped as
select record_ref
from {store}.linked_records as linked
anti join current_compared using (record_ref)
where linked.is_compared
"""

TOUCHED_COMPONENTS = """
create or replace temp table touched_components as

-- Records that went, or whose keys changed.
select linked.component
from {store}.linked_records as linked
left join current_records as records using (record_ref)
where records.record_ref is null or records.identity <> linked.identity

union

-- Groups of like records that got a new member.
select linked.component
from current_records as records
anti join {store}.linked_records as same
    on records.record_ref = same.record_ref and records.identity = same.identity
inner join {store}.linked_records as linked on records.identity = linked.identity

union

select component from {store}.linked_records semi join changed using (record_ref)

union

select component from {store}.linked_records semi join dropped using (record_ref)

union

-- Components that lost records to an erasure.
select component from {store}.linked_records group by component having count(*) <> any_value(component_size)
"""

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
select record_ref from changed
union
select compared.record_ref
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

RELABELLED = """
create or replace temp table relabelled as
select
    records.record_ref,
    records.identity,
    records.record_ref = clustered.record_ref as is_compared,
    compared.frequencies,
    hash(clustered.component_ref) as component,
    count(*) over (partition by clustered.component_ref) as component_size,
    (hash(clustered.label_ref) >> 1)::bigint as cluster,
from clustered
inner join current_compared as compared using (record_ref)
inner join current_records as records on compared.identity = records.identity
"""

CLUSTERED_RECORDS = """
create or replace temp table clustered_records as
from relabelled
union all
select record_ref, identity, is_compared, frequencies, component, component_size, cluster
from {store}.linked_records
semi join current_records using (record_ref)
anti join relabelled using (record_ref)
"""

ALL_ARE_AFFECTED = """
create or replace temp table affected as
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

EDGES_AMONG = """
select edges.*
from (
    select record_ref_l, record_ref_r, match_weight, match_key, reason from edges_now
    union all
    select record_ref_l, record_ref_r, match_weight, match_key, reason
    from {store}.edges
    anti join touched_compared as touched on edges.record_ref_l = touched.record_ref
    anti join changed as changed_l on edges.record_ref_l = changed_l.record_ref
    anti join changed as changed_r on edges.record_ref_r = changed_r.record_ref
    anti join dropped as dropped_l on edges.record_ref_l = dropped_l.record_ref
    anti join dropped as dropped_r on edges.record_ref_r = dropped_r.record_ref
) as edges
where record_ref_l in (select record_ref from asked) or record_ref_r in (select record_ref from asked)
order by edges.match_weight desc, edges.record_ref_l, edges.record_ref_r
"""

FREQUENCIES = """
with

compared as (
    select distinct link_keys.{column}
    from {store}.link_keys as link_keys
    semi join to_score using (record_ref)
)

select compared.{column}, least(1.0, pow(2.0, steps.step / {octave}::double - {population})) as tf_{column}
from compared
inner join steps on compared.{column} = steps.token and steps.place = {place}
"""

SYMMETRIC_RULE = re.compile(r'^\(?l\.("?\w+"?)\)? = \(?r\.\1\)?$')


@dataclass(frozen=True)
class Changes:
    """What the night has to do. Its records are in temporary tables of the connection that found them.

    `basis`: what the weights stand on besides the records; with another one all records are linked anew. `compared`
    and `changed`: compared records (one of those with the same keys), in all and changed. `everything`: link all.
    """

    basis: str
    everything: bool
    records: int
    compared: int
    changed: int
    populations: tuple[int, ...]


def find_changes(
    connection: duckdb.DuckDBPyConnection, model: LinkageModel, basis: str | None, *, everything: bool = False
) -> Changes:
    """Compare the attached linkage store's link keys with what the last run left, under the `basis` it stood on."""
    columns = frequency_columns(model.splink_settings)
    keys = ", ".join(KEY_COLUMNS)
    identifying = " or ".join(f"{token} is not null" for token in IDENTIFYING_TOKENS)
    connection.execute(CURRENT_RECORDS.format(keys=keys, identifying=identifying, store=STORE))
    connection.execute(CURRENT_COMPARED.format(tokens=", ".join(columns), store=STORE))
    connection.execute(STEPS.format(step=step_of("count(*)")))
    populations = connection.execute(POPULATIONS.format(octave=population_octave("count(token)"))).fetchall()
    octaves = tuple(octave for (octave,) in populations)
    connection.execute(WITH_STEPS)
    records, compared = (_count(connection, table) for table in ("current_records", "current_compared"))
    found = f"{STATE_VERSION}-{model.digest}-{second_look_digest()}-{'-'.join(map(str, octaves))}"
    everything = everything or found != basis
    if not everything:
        connection.execute(CHANGED.format(store=STORE))
        everything = _count(connection, "changed") > LARGEST_CHANGED_SHARE * compared
    if everything:
        connection.execute("create or replace temp table changed as select record_ref from current_compared")
        connection.execute("create or replace temp table dropped (record_ref varchar)")
    else:
        connection.execute(DROPPED.format(store=STORE))
        connection.execute(TOUCHED_COMPONENTS.format(store=STORE))
    return Changes(found, everything, records, compared, _count(connection, "changed"), octaves)


def records_to_score(
    connection: duckdb.DuckDBPyConnection, changes: Changes, settings: Mapping[str, Any]
) -> pa.Table:
    """Return the link keys of the changed records, and of those that share a block with one; by record_ref."""
    connection.execute("create or replace temp table to_score as select record_ref from changed")
    if not changes.everything:
        connection.execute(
            f"create or replace temp table changed_keys as from {STORE}.link_keys semi join changed using (record_ref)"
        )
        for rule in settings["blocking_rules_to_generate_predictions"]:
            for condition in _orientations(rule["blocking_rule"]):
                connection.execute(
                    f"""
                    insert into to_score
                    select record_ref from {STORE}.link_keys as r
                    semi join changed_keys as l on {condition}
                    anti join to_score using (record_ref)
                    semi join current_compared using (record_ref)
                    """
                )
        connection.execute("drop table changed_keys")
    listed = ", ".join(("record_ref", *KEY_COLUMNS))
    return connection.execute(
        f"select {listed} from {STORE}.link_keys semi join to_score using (record_ref) order by record_ref"
    ).to_arrow_table()


def changed_records(connection: duckdb.DuckDBPyConnection) -> pa.Array:
    """Return the references of the compared records that changed."""
    return connection.execute("from changed order by all").to_arrow_table()["record_ref"].combine_chunks()


def term_frequencies(
    connection: duckdb.DuckDBPyConnection, changes: Changes, settings: Mapping[str, Any]
) -> dict[str, pa.Table]:
    """Return the term frequencies of the records to score, by column, as counted over all records."""
    return {
        column: connection.execute(
            FREQUENCIES.format(
                column=column,
                place=place,
                octave=STEPS_OF_AN_OCTAVE,
                population=changes.populations[place - 1],
                store=STORE,
            )
        ).to_arrow_table()
        for place, column in enumerate(frequency_columns(settings), start=1)
        if changes.compared
    }


def touched_edges(connection: duckdb.DuckDBPyConnection, changes: Changes, scored: pa.Table) -> pa.Table:
    """Find the records that `scored` edges and the changes can touch (`touched_compared`); return all edges between
    them, strongest first.
    """
    if changes.everything:
        connection.execute("create or replace temp table touched_compared as from changed")
        return scored
    connection.register("new_edges", scored)
    connection.execute(TOUCHED_BY_NEW_LINKS.format(store=STORE))
    connection.execute(TOUCHED_COMPARED.format(store=STORE))
    return connection.execute(
        f"""
        select * from (from new_edges union all {KEPT_EDGES.format(store=STORE)})
        order by match_weight desc, record_ref_l, record_ref_r
        """
    ).to_arrow_table()


def touched_link_keys(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return what clustering reads of the touched compared records, with `copies`; by record_ref."""
    listed = ", ".join(f"link_keys.{column}" for column in CLUSTERED_COLUMNS)
    return connection.execute(
        f"""
        select link_keys.record_ref, {listed}, compared.copies
        from {STORE}.link_keys as link_keys
        inner join current_compared as compared using (record_ref)
        semi join touched_compared using (record_ref)
        order by record_ref
        """
    ).to_arrow_table()


def relabel(connection: duckdb.DuckDBPyConnection, clustered: pa.Table, changes: Changes) -> None:
    """Make `relabelled`, all records behind the `clustered` ones, and `clustered_records`, all records with a cluster.

    `clustered`: record_ref, label_ref and component_ref (the first records of its cluster and of its component).
    """
    connection.register("clustered", clustered)
    connection.execute(RELABELLED)
    if changes.everything:
        connection.execute("create or replace temp view clustered_records as from relabelled")
    else:
        connection.execute(CLUSTERED_RECORDS.format(store=STORE))


def labelled_link_keys(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return the link keys of every record with its `cluster`, by record_ref."""
    listed = ", ".join(f"link_keys.{column}" for column in KEY_COLUMNS)
    return connection.execute(
        f"""
        select link_keys.record_ref, {listed}, records.cluster
        from {STORE}.link_keys as link_keys
        inner join clustered_records as records using (record_ref)
        order by record_ref
        """
    ).to_arrow_table()


def affected_records(
    connection: duckdb.DuckDBPyConnection, links: pa.Table, kin: pa.Table, changes: Changes, *, known: bool
) -> pa.Table:
    """Return the records whose people may be others now, as `linked_records` wants them, with `previous` (the person
    they were, null for none), `copies` and `feed`; by record_ref.

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
            affected.*,
            count(*) over (partition by affected.kin) as kin_size,
            {"people.person_id" if known else "null::varchar"} as previous,
            compared.copies,
            link_keys.feed,
        from affected
        inner join current_compared as compared on affected.identity = compared.identity
        inner join {STORE}.link_keys as link_keys on affected.record_ref = link_keys.record_ref
        {previous}
        order by affected.record_ref
        """
    ).to_arrow_table()


def edges_among(
    connection: duckdb.DuckDBPyConnection, edges: pa.Table, records: pa.Table, changes: Changes
) -> pa.Table:
    """Return the edges between the compared ones of `records`, from the store and from the `edges` of this run."""
    if changes.everything:
        return edges
    connection.register("edges_now", edges)
    connection.register("asked", records.filter(records["is_compared"]).select(["record_ref"]))
    return connection.execute(EDGES_AMONG.format(store=STORE)).to_arrow_table()


def link_keys_of(connection: duckdb.DuckDBPyConnection, record_refs: pa.ChunkedArray) -> pa.Table:
    """Return what clustering reads of the link keys of some records, by record_ref."""
    connection.register("asked", pa.table({"record_ref": record_refs}))
    listed = ", ".join(("record_ref", *CLUSTERED_COLUMNS))
    return connection.execute(
        f"select {listed} from {STORE}.link_keys semi join asked using (record_ref) order by record_ref"
    ).to_arrow_table()


def touched_references(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return the references whose edges are to be written anew: touched, changed, and no longer compared."""
    return connection.execute(
        "from touched_compared union from changed union from dropped order by all"
    ).to_arrow_table()


def vanished_records(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return the records of the last run that are no more: record_ref, person_id."""
    return connection.execute(
        f"""
        select people.record_ref, people.person_id
        from {STORE}.people as people
        anti join current_records using (record_ref)
        order by people.record_ref
        """
    ).to_arrow_table()


def _orientations(rule: str) -> Sequence[str]:
    """Return the conditions under which a record r meets a changed record l: one if the rule is symmetric."""
    parts = re.split(r"\s+and\s+", rule.strip(), flags=re.IGNORECASE)
    if all(SYMMETRIC_RULE.match(part.strip("() ")) for part in parts):
        return (rule,)
    turned = re.sub(r"\b([lr])\.", lambda side: {"l": "r", "r": "l"}[side[1]] + ".", rule)
    return (rule, turned)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0
