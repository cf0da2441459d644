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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from exchange.link_key_schema import FILTER_COLUMNS, TOKEN_COLUMNS
from governance.identifier_quality import read_identifier_quality
from linkage.clustering.clusters import CLUSTERED_COLUMNS
from linkage.clustering.joining import second_look_digest
from linkage.clustering.second_look import columns_read
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

STORE_MEMORY = "3GB"
"""What the linkage store may keep in memory while it is linked, cached blocks and what the night notes of the records;
the rest goes to disk, encrypted. Splink and the second look work beside it."""

ROWS_OF_A_BATCH = 100_000

KEY_COLUMNS = ("feed", *FILTER_COLUMNS, *TOKEN_COLUMNS)

# 64 bits: of ten million records, two with unlike keys fall together once in 400,000 runs.
# Records go by their number from here on, in order of their references, and by their row of `link_keys`.
CURRENT_RECORDS = """
create or replace temp table current_records as
select row_number() over () - 1 as number, *
from (
    select
        record_ref,
        rowid as row_id,
        case when {identifying} then hash({keys}) else hash(record_ref, {keys}) end as identity,
    from {store}.link_keys
    order by record_ref
)
"""

FIRST_OF_ALIKE = """
create or replace temp table first_of_alike as
select identity, min(number) as number, count(*) as copies
from current_records
group by identity
"""

STEPS = """
create or replace temp table steps_{place} as
select {token} as token, count(*) as records, {step} as step
from {store}.link_keys as link_keys
inner join current_records as records on link_keys.rowid = records.row_id
semi join first_of_alike using (number)
where {column} is not null
group by token
"""

POPULATION = "select {octave} from steps_{place}"

CURRENT_COMPARED = """
create or replace temp table current_compared as
select first_of_alike.number, records.record_ref, records.row_id, records.identity, copies,
    [{steps}]::smallint[] as frequencies
from first_of_alike
inner join current_records as records using (number)
inner join {store}.link_keys as link_keys on records.row_id = link_keys.rowid
{joins}
"""

CHANGED = """
create or replace temp table changed as
select compared.number, compared.record_ref, compared.row_id
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

FREQUENCIES = """
select token as {column}, least(1.0, pow(2.0, step / {octave}::double - {population})) as tf_{column}
from steps_{place}
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


@contextmanager
def limited_memory(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let the attached store take no more than `STORE_MEMORY`."""
    connection.execute(f"set memory_limit = '{STORE_MEMORY}'")
    try:
        yield
    finally:
        connection.execute("reset memory_limit")


def find_changes(
    connection: duckdb.DuckDBPyConnection, model: LinkageModel, basis: str | None, *, everything: bool = False
) -> Changes:
    """Compare the attached linkage store's link keys with what the last run left, under the `basis` it stood on."""
    columns = frequency_columns(model.splink_settings)
    keys = ", ".join(KEY_COLUMNS)
    identifying = " or ".join(f"{token} is not null" for token in IDENTIFYING_TOKENS)
    connection.execute(CURRENT_RECORDS.format(keys=keys, identifying=identifying, store=STORE))
    connection.execute(FIRST_OF_ALIKE)
    octaves = _count_steps(connection, columns)
    joins = (
        f"left join steps_{place} on {_short('link_keys.' + column)} = steps_{place}.token"
        for place, column in enumerate(columns, start=1)
    )
    steps = (f"coalesce(steps_{place}.step, -1)" for place, _ in enumerate(columns, start=1))
    connection.execute(CURRENT_COMPARED.format(steps=", ".join(steps), joins=" ".join(joins), store=STORE))
    connection.execute("drop table first_of_alike")
    records, compared = (_count(connection, table) for table in ("current_records", "current_compared"))
    quality = read_identifier_quality().digest
    found = f"{STATE_VERSION}-{model.digest}-{quality}-{second_look_digest()}-{'-'.join(map(str, octaves))}"
    everything = everything or found != basis
    if not everything:
        connection.execute(CHANGED.format(store=STORE))
        everything = _count(connection, "changed") > LARGEST_CHANGED_SHARE * compared
        if everything:
            connection.execute("drop table changed")
    if everything:
        connection.execute(
            "create or replace temp view changed as select number, record_ref, row_id from current_compared"
        )
        connection.execute("create or replace temp table dropped (record_ref varchar)")
    else:
        connection.execute(DROPPED.format(store=STORE))
        connection.execute(TOUCHED_COMPONENTS.format(store=STORE))
    return Changes(found, everything, records, compared, _count(connection, "changed"), octaves)


def _count_steps(connection: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> tuple[int, ...]:
    """Count how common the values of `columns` are (`steps_1` and so on); return the octave of each column's number."""
    octaves = []
    for place, column in enumerate(columns, start=1):
        statement = STEPS.format(
            place=place, column=column, token=_short(column), step=step_of("count(*)"), store=STORE
        )
        connection.execute(statement)
        counted = POPULATION.format(octave=population_octave("coalesce(sum(records), 0)"), place=place)
        octaves += [row[0] for row in connection.execute(counted).fetchall()]
    return tuple(octaves)


def _short(token: str) -> str:
    """Return the SQL for a token as a whole number of 64 bits: quicker to join, half the memory, null for null.

    Two unlike tokens of ten million fall together once in 370,000 such sets.
    """
    return f"case when {token} is not null then hash({token}) end"


def _short_tokens(columns: Sequence[str]) -> str:
    """Return the list of `columns` of link_keys to select, tokens short."""
    return ", ".join(
        f"{_short(f'link_keys.{column}')} as {column}" if column.endswith("_token") else f"link_keys.{column}"
        for column in columns
    )


def records_to_score(
    connection: duckdb.DuckDBPyConnection, changes: Changes, settings: Mapping[str, Any]
) -> pa.RecordBatchReader:
    """Return the link keys of the changed records, and of those that share a block with one, tokens short.

    A stream, so that link keys are never held whole; `record_ref` is the record's number.
    """
    if changes.everything:
        connection.execute("create or replace temp view to_score as select number, row_id from changed")
    else:
        connection.execute("create or replace temp table to_score as select number, row_id from changed")
        connection.execute(
            f"create or replace temp table changed_keys as "
            f"from {STORE}.link_keys where rowid in (select row_id from changed)"
        )
        for rule in settings["blocking_rules_to_generate_predictions"]:
            for condition in _orientations(rule["blocking_rule"]):
                connection.execute(
                    f"""
                    insert into to_score
                    select compared.number, compared.row_id
                    from (
                        select r.rowid as row_id from {STORE}.link_keys as r semi join changed_keys as l on {condition}
                    )
                    inner join current_compared as compared using (row_id)
                    anti join to_score using (row_id)
                    """
                )
        connection.execute("drop table changed_keys")
    return connection.execute(
        f"""
        select to_score.number as record_ref, {_short_tokens(KEY_COLUMNS)}
        from {STORE}.link_keys as link_keys
        inner join to_score on link_keys.rowid = to_score.row_id
        """
    ).to_arrow_reader(ROWS_OF_A_BATCH)


def changed_records(connection: duckdb.DuckDBPyConnection) -> pa.Array:
    """Return the numbers of the compared records that changed."""
    return (
        connection.execute("select number from changed order by all")
        .to_arrow_table()["number"]
        .combine_chunks()
    )


def term_frequencies(
    connection: duckdb.DuckDBPyConnection, changes: Changes, settings: Mapping[str, Any]
) -> dict[str, pa.Table]:
    """Return the term frequencies by column, as counted over all records, of short tokens."""
    return {
        column: connection.execute(
            FREQUENCIES.format(
                column=column,
                place=place,
                octave=STEPS_OF_AN_OCTAVE,
                population=changes.populations[place - 1],
            )
        ).to_arrow_table()
        for place, column in enumerate(frequency_columns(settings), start=1)
        if changes.compared
    }


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
        select compared.number, compared.copies, {_short_tokens(CLUSTERED_COLUMNS)}
        from {STORE}.link_keys as link_keys
        inner join current_compared as compared on link_keys.rowid = compared.row_id
        semi join touched_compared using (number)
        order by compared.number
        """
    ).to_arrow_table()


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
        select records.number as record_ref, {_short_tokens(columns_read())}, records.cluster as label
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


def link_keys_of(connection: duckdb.DuckDBPyConnection, clusters: np.ndarray) -> pa.Table:
    """Return what clustering reads of the link keys of the records of some clusters, with their `cluster`."""
    connection.register("asked_clusters", pa.table({"cluster": clusters}))
    return connection.execute(
        f"""
        select records.cluster, {_short_tokens(CLUSTERED_COLUMNS)}
        from {STORE}.link_keys as link_keys
        inner join clustered_records as records on link_keys.rowid = records.row_id
        semi join asked_clusters using (cluster)
        order by records.number
        """
    ).to_arrow_table()


def touched_references(connection: duckdb.DuckDBPyConnection, changes: Changes) -> pa.Table:
    """Return the references whose edges are to be written anew: touched, changed, and no longer compared; none where
    all are.
    """
    if changes.everything:
        return pa.table({"record_ref": pa.array([], pa.string())})
    return connection.execute(
        "select record_ref from touched_compared union select record_ref from changed union from dropped order by all"
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
