"""What one night has to link: which records changed since the last run, what they may meet, and whom that can touch.

A pair's weight hangs on its two records and on how common their names are, told in steps (`scoring.frequencies`). What
becomes of a record hangs on the connected component of links that it is in, and on nothing else
(`clustering.clusters`).
So it is enough to score the pairs that a changed record is in, and to cluster the components that a changed record or a
new link is in: people come out exactly as if all records had been linked from nothing.

`linked_records` remembers the last run. It holds no token: a record's identity is a hash of its link keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from governance.identifier_quality import read_identifier_quality
from linkage.clustering.joining import second_look_digest
from linkage.incremental.columns import short_token
from linkage.model import LinkageModel
from linkage.scoring.frequencies import frequency_columns, population_octave, step_of
from linkage.scoring.link_keys import KEY_COLUMNS
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
        f"left join steps_{place} on {short_token('link_keys.' + column)} = steps_{place}.token"
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
            place=place, column=column, token=short_token(column), step=step_of("count(*)"), store=STORE
        )
        connection.execute(statement)
        counted = POPULATION.format(octave=population_octave("coalesce(sum(records), 0)"), place=place)
        octaves += [row[0] for row in connection.execute(counted).fetchall()]
    return tuple(octaves)


def changed_records(connection: duckdb.DuckDBPyConnection) -> pa.Array:
    """Return the numbers of the compared records that changed."""
    return (
        connection.execute("select number from changed order by all")
        .to_arrow_table()["number"]
        .combine_chunks()
    )


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


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0
