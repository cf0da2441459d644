"""Scored pairs: link keys into Splink, and the pairs worth considering out of it."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import duckdb
import pyarrow as pa
from splink import DuckDBAPI, Linker
from splink.internals.pipeline import CTEPipeline
from splink.internals.vertically_concatenate import compute_df_concat_with_tf

from exchange.link_key_schema import FILTER_BITS, FILTER_COLUMNS, TOKEN_COLUMNS
from linkage.scoring.backend import BACKEND_VARIABLE, LinkageBackendError, linkage_backend
from linkage.scoring.comparisons import BIRTH_DATE_TOKENS, comparison_columns
from linkage.scoring.frequencies import frequencies_query, frequency_columns
from linkage.scoring.short_tokens import with_short_tokens

COMPARED = "compared_records"
THREADS = 2

LINKING_MEMORY = "6GB"
"""What Splink or the second look may take. With the linkage store beside it
(`linkage.incremental.changes.STORE_MEMORY`) and Python, a county of 1.6 million residents stays within 12 GiB."""

RECORDS_WITH_FREQUENCIES = "__splink__df_concat_with_tf"
"""Splink's own name for the records that it compares."""

RECORDS_OF_A_CHUNK = 4_000_000
"""Pairs are compared in chunks by their first record, this many records in each: what a chunk needs while it is worked
on (blocked pairs, both records' keys beside each other) then stays the same however large the county is. Each chunk
meets all records anew, so many chunks cost time (docs/benchmarks.md)."""
REPORTED_WEIGHTS = (-10, 30)

# Two records with the same keys are one person only where the keys identify: alike in a bare name is not
# enough.
IDENTIFYING_TOKENS = (
    "partner_reference_token",
    "nino_token",
    "nhs_number_token",
    "upn_token",
    "full_name_birth_year_month_token",
    "surname_uprn_token",
)


TWIN_NAME_DISTANCE = 0.46
"""Filters of two names further apart than this are not forms of one name; nearer ones may be."""

SAME_NUMBER = """
    coalesce(l.nino_token = r.nino_token, false)
    or coalesce(l.nhs_number_token = r.nhs_number_token, false)
    or coalesce(l.upn_token = r.upn_token, false)
    or coalesce(l.feed = r.feed and l.partner_reference_token = r.partner_reference_token, false)
"""

SAME_BIRTH_DATE = " or ".join(f"l.{token}_token = r.{token}_token" for token in BIRTH_DATE_TOKENS)

TWINS = f"""
    coalesce(
        ({SAME_BIRTH_DATE})
        and l.uprn_token = r.uprn_token
        and l.initial_uprn_token <> r.initial_uprn_token
        and bit_count(xor(l.name_filter, r.name_filter)) > {round(TWIN_NAME_DISTANCE * FILTER_BITS)},
        false
    ) and not ({SAME_NUMBER})
"""
"""Same birth date and home, another initial, another name, and no number in common."""

HOUSEMATES = f"""
    coalesce(
        l.feed = r.feed
        and l.uprn_token = r.uprn_token
        and l.partner_reference_token <> r.partner_reference_token,
        false
    ) and not coalesce({SAME_BIRTH_DATE}, false) and not ({SAME_NUMBER})
"""
"""Two references in one partner's system at one property, and neither birth date nor number says it is one
person: father and namesake son, say."""

RELATIVES = f"(({TWINS}) or ({HOUSEMATES}))"
"""Pairs that are never linked, whatever the weights say: these take surname, home and birth date for
independent."""


EDGES = """
    select
        record_ref_l, record_ref_r, round(match_weight, 6) as match_weight,
        cast(match_key as utinyint) as match_key
    from {{predicted}}
    join {{compared}} as l on l.record_ref = record_ref_l
    join {{compared}} as r on r.record_ref = record_ref_r
    where match_weight >= {threshold} and not {refused}
    order by match_weight desc, record_ref_l, record_ref_r
"""
WEIGHTS = f"""
    select
        cast(greatest(least(floor(match_weight), {REPORTED_WEIGHTS[1]}), {REPORTED_WEIGHTS[0]}) as integer) as weight,
        count(*) as pairs
    from {{predicted}} group by all order by all
"""
CANDIDATES = """
    select cast(match_key as integer) as rule, count(*) as pairs from {predicted} group by all order by all
"""


@dataclass(frozen=True)
class ScoredPairs:
    """What Splink found. `edges`: record_ref_l, record_ref_r, match_weight, match_key (the place of the first blocking
    rule that the pair meets), sorted by weight, then references.

    `alike`: record_ref → record_ref of the record with identical keys that was compared in its place; empty where
    every record was compared.
    `candidates` counts compared pairs by blocking rule; `weights` counts them by whole match weight.
    """

    edges: pa.Table
    alike: pa.Table
    candidates: Mapping[str, int]
    weights: Mapping[int, int]


def linking_connection() -> duckdb.DuckDBPyConnection:
    """Return an in-memory connection for link keys; what does not fit into `LINKING_MEMORY` goes to disk encrypted."""
    spill = Path(gettempdir()) / f"doorstep-linking-{os.getpid()}"
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": THREADS,
            "temp_directory": str(spill),
            "temp_file_encryption": True,
            "memory_limit": LINKING_MEMORY,
        },
    )
    connection.execute("set preserve_insertion_order = true")
    return connection


@contextmanager
def one_thread(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Work on one thread: which rows a sample takes hangs on how threads share them, seed or no seed."""
    connection.execute("set threads = 1")
    yield
    connection.execute(f"set threads = {THREADS}")


def quiet_linker(table: str | list[str], settings: Any, connection: duckdb.DuckDBPyConnection) -> Linker:
    """Return a Splink linker over `table` (or several) that keeps its progress notes to itself."""
    logging.getLogger("splink").setLevel(logging.ERROR)
    return Linker(table, settings, DuckDBAPI(connection=connection), set_up_basic_logging=False)


def load_compared_records(
    connection: duckdb.DuckDBPyConnection,
    link_keys: pa.Table | pa.RecordBatchReader,
    extra_columns: Sequence[str] = (),
    *,
    collapse: bool = True,
    frequencies: Mapping[str, pa.Table] | None = None,
) -> None:
    """Make the tables `alike` (record_ref, compared_as) and `compared_records`, one row per distinct
    identity.

    A partner sends the same person with the same keys in many records; comparing one of them is enough. Keys are the
    same if two hashes of 64 bits over all of them are. Without `collapse`, every record is compared and `alike` is
    empty; link keys may then be a stream, which is read once and never held whole beside the table, and `frequencies`
    (term frequencies by column) are put beside the records.
    """
    if not collapse:
        streamed = isinstance(link_keys, pa.RecordBatchReader)
        connection.register("link_keys", link_keys if streamed else with_short_tokens(link_keys))
        columns = comparison_columns("link_keys", ["feed", *extra_columns], ordered=not streamed)
        listed, joins = "records.*", ""
        for column, counted in (frequencies or {}).items():
            connection.register(f"counted_{column}", counted)
            listed += f", counted_{column}.tf_{column}"
            joins += f" left join counted_{column} on records.{column} = counted_{column}.{column}"
        connection.execute(
            f"create or replace table {COMPARED} as select {listed} from ({columns}) as records {joins}"
        )
        connection.execute(
            f"create or replace table alike as select record_ref, record_ref as compared_as from {COMPARED} limit 0"
        )
        return
    connection.register("link_keys", with_short_tokens(link_keys))
    everything = ", ".join(("feed", *FILTER_COLUMNS, *TOKEN_COLUMNS, *extra_columns))
    identifying = " or ".join(f"{token} is not null" for token in IDENTIFYING_TOKENS)
    connection.execute(
        f"""
        create or replace table alike as
        select
            record_ref,
            min(record_ref) over (
                partition by hash({everything}), hash('again', {everything}),
                case when {identifying} then '' else record_ref end
            ) as compared_as,
        from link_keys
        """
    )
    connection.execute(
        "create or replace view distinct_link_keys as "
        "select * from link_keys where record_ref in (select compared_as from alike)"
    )
    columns = comparison_columns("distinct_link_keys", ["feed", *extra_columns])
    connection.execute(f"create or replace table {COMPARED} as {columns}")


def score_pairs(
    link_keys: pa.Table | pa.RecordBatchReader,
    settings: Mapping[str, Any],
    threshold: float,
    extra_columns: Sequence[str] = (),
    *,
    collapse: bool = True,
    changed: pa.Array | None = None,
    frequencies: Mapping[str, pa.Table] | None = None,
    guarded: bool = True,
) -> ScoredPairs:
    """Compare the records of `link_keys` (`LINK_KEY_SCHEMA`, feed, extra columns) that share a blocking
    token.

    With `changed`, only pairs that one of these record references is in. `frequencies`: term frequencies by column,
    where `link_keys` are not all records there are (see `scoring.frequencies`). Not `guarded`, edges hold pairs that
    are never linked (`RELATIVES`) as well: for a review of them, never for linking. Without `collapse`, `link_keys` may
    be a stream with short tokens and any `record_ref` that sorts; the edges speak of records by the same.
    """
    rules = [rule["blocking_rule"] for rule in settings["blocking_rules_to_generate_predictions"]]
    queries = {
        "edges": EDGES.format(threshold=threshold, refused=RELATIVES if guarded else "false"),
        "weights": WEIGHTS,
        "candidates": CANDIDATES,
    }
    on_spark = linkage_backend() == "spark"
    if on_spark and isinstance(link_keys, pa.RecordBatchReader):
        link_keys = link_keys.read_all()
    is_prepared = isinstance(link_keys, pa.RecordBatchReader)
    connection = linking_connection()
    try:
        load_compared_records(
            connection,
            link_keys,
            extra_columns,
            collapse=collapse,
            frequencies=frequencies if is_prepared else None,
        )
        if changed is not None:
            settings = _only_changed(connection, settings, changed)
        counted = {
            column: connection.execute(frequencies_query(COMPARED, column)).to_arrow_table()
            if frequencies is None
            else with_short_tokens(frequencies[column])
            for column in frequency_columns(settings)
            if not is_prepared
        }
        predict = _predict_on_spark if on_spark else _predict_on_duckdb
        found = predict(connection, settings, counted, queries)
        return ScoredPairs(
            edges=found["edges"].cast(_edges_schema(found["edges"])),
            alike=connection.execute(
                "select record_ref, compared_as from alike order by record_ref"
            ).to_arrow_table(),
            candidates={rules[row["rule"]]: row["pairs"] for row in found["candidates"].to_pylist()},
            weights={row["weight"]: row["pairs"] for row in found["weights"].to_pylist()},
        )
    finally:
        connection.close()


def _edges_schema(edges: pa.Table) -> pa.Schema:
    reference = edges.schema.field("record_ref_l").type
    return pa.schema(
        [
            ("record_ref_l", reference),
            ("record_ref_r", reference),
            ("match_weight", pa.float64()),
            ("match_key", pa.uint8()),
        ]
    )


def _predict_on_duckdb(
    connection: duckdb.DuckDBPyConnection,
    settings: Mapping[str, Any],
    frequencies: Mapping[str, pa.Table],
    queries: Mapping[str, str],
) -> dict[str, pa.Table]:
    """Predict chunk by chunk, and return the answers to `queries` over all chunks.

    `frequencies` are empty where the records hold them already.
    """
    linker = quiet_linker(COMPARED, dict(settings), connection)
    if frequencies:
        for column, counted in frequencies.items():
            linker.table_management.register_term_frequency_lookup(counted, column)
        records = compute_df_concat_with_tf(linker, CTEPipeline())
        # Splink has made a table of its own of the records: one of the two is enough.
        connection.execute(f"drop table {COMPARED}")
        connection.execute(f"create view {COMPARED} as from {records.physical_name}")
    else:
        records = linker._db_api.table_to_splink_dataframe(RECORDS_WITH_FREQUENCIES, COMPARED)
    found: list[dict[str, pa.Table]] = []
    for chunk in _chunks(connection, settings):
        linker = quiet_linker(COMPARED, chunk, connection)
        linker._intermediate_table_cache[RECORDS_WITH_FREQUENCIES] = records
        predicted = linker.inference.predict().physical_name
        found.append(
            {
                name: connection.execute(
                    query.format(predicted=predicted, compared=COMPARED)
                ).to_arrow_table()
                for name, query in queries.items()
            }
        )
        connection.execute(f"drop table {predicted}")
    return found[0] if len(found) == 1 else _together(found)


def _chunks(connection: duckdb.DuckDBPyConnection, settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield `settings` for each chunk of the compared records: pairs whose first record is in it."""
    records, reference = connection.execute(
        f"select count(*), any_value(typeof(record_ref)) from {COMPARED}"
    ).fetchone() or (0, "")
    chunks = -(-records // RECORDS_OF_A_CHUNK)
    if chunks <= 1:
        yield dict(settings)
        return
    place = "hash(l.record_ref)" if reference == "VARCHAR" else "l.record_ref"
    for chunk in range(chunks):
        yield _with_condition(settings, f"{place} % {chunks} = {chunk}")


def _together(found: Sequence[Mapping[str, pa.Table]]) -> dict[str, pa.Table]:
    """Put the answers of all chunks together: edges in their order, counts added up."""
    edges = pa.concat_tables([each["edges"] for each in found])
    order = [("match_weight", "descending"), ("record_ref_l", "ascending"), ("record_ref_r", "ascending")]
    return {"edges": edges.sort_by(order)} | {
        name: _added([each[name] for each in found]) for name in ("weights", "candidates")
    }


def _added(counts: Sequence[pa.Table]) -> pa.Table:
    """Add up tables of a key and its number of pairs."""
    key, pairs = counts[0].column_names
    total: Counter[int] = Counter()
    for table in counts:
        total.update(dict(zip(table[key].to_pylist(), table[pairs].to_pylist(), strict=True)))
    return pa.table({key: sorted(total), pairs: [total[value] for value in sorted(total)]})


def _predict_on_spark(
    connection: duckdb.DuckDBPyConnection,
    settings: Mapping[str, Any],
    frequencies: Mapping[str, pa.Table],
    queries: Mapping[str, str],
) -> dict[str, pa.Table]:
    if importlib.util.find_spec("pyspark") is None:
        raise LinkageBackendError(
            f"{BACKEND_VARIABLE}=spark needs Spark: pip install 'doorstep[spark]', or set it to duckdb."
        )
    from linkage.scoring.spark import score_on_spark

    words = ", ".join(f"link_keys.{word}" for word in FILTER_COLUMNS)
    records = connection.execute(
        f"select {COMPARED}.* exclude (name_filter), {words} from {COMPARED} join link_keys using (record_ref)"
    ).to_arrow_table()
    return score_on_spark(records, settings, frequencies, queries)


def _only_changed(
    connection: duckdb.DuckDBPyConnection, settings: Mapping[str, Any], changed: pa.Array
) -> dict[str, Any]:
    """Mark the records that changed; return `settings` that compare no pair without one of them."""
    connection.register("changed_records", pa.table({"record_ref": changed}))
    connection.execute(
        f"""
        create or replace table {COMPARED} as
        select *, record_ref in (from changed_records) as is_changed from {COMPARED} order by record_ref
        """
    )
    return _with_condition(settings, "(l.is_changed or r.is_changed)")


def _with_condition(settings: Mapping[str, Any], condition: str) -> dict[str, Any]:
    """Return `settings` whose every blocking rule asks for `condition` as well."""
    rules = [
        rule | {"blocking_rule": f"({rule['blocking_rule']}) and {condition}"}
        for rule in settings["blocking_rules_to_generate_predictions"]
    ]
    return {**settings, "blocking_rules_to_generate_predictions": rules}
