"""Scored pairs: link keys into Splink, and the pairs worth considering out of it."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
from splink import DuckDBAPI, Linker

from exchange.link_key_schema import FILTER_BITS, FILTER_COLUMNS, TOKEN_COLUMNS
from linkage.scoring.backend import BACKEND_VARIABLE, LinkageBackendError, linkage_backend
from linkage.scoring.comparisons import BIRTH_DATE_TOKENS, comparison_columns
from linkage.scoring.frequencies import frequencies_query, frequency_columns
from linkage.scoring.short_tokens import with_short_tokens

COMPARED = "compared_records"
THREADS = 2
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
EDGES_SCHEMA = pa.schema(
    [
        ("record_ref_l", pa.string()),
        ("record_ref_r", pa.string()),
        ("match_weight", pa.float64()),
        ("match_key", pa.uint8()),
    ]
)
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

    `alike`: record_ref → record_ref of the record with identical keys that was compared in its place.
    `candidates` counts compared pairs by blocking rule; `weights` counts them by whole match weight.
    """

    edges: pa.Table
    alike: pa.Table
    candidates: Mapping[str, int]
    weights: Mapping[int, int]


def linking_connection() -> duckdb.DuckDBPyConnection:
    """Return an in-memory connection that never spills link keys to an unencrypted temporary file."""
    connection = duckdb.connect(":memory:", config={"threads": THREADS, "temp_directory": ""})
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
    link_keys: pa.Table,
    extra_columns: Sequence[str] = (),
    *,
    collapse: bool = True,
) -> None:
    """Make the tables `alike` (record_ref, compared_as) and `compared_records`, one row per distinct
    identity.

    A partner sends the same person with the same keys in many records; comparing one of them is enough. Keys are the
    same if two hashes of 64 bits over all of them are. Without `collapse`, every record is compared.
    """
    connection.register("link_keys", with_short_tokens(link_keys))
    everything = ", ".join(("feed", *FILTER_COLUMNS, *TOKEN_COLUMNS, *extra_columns))
    identifying = " or ".join(f"{token} is not null" for token in IDENTIFYING_TOKENS) if collapse else "false"
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
    link_keys: pa.Table,
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
    are never linked (`RELATIVES`) as well: for a review of them, never for linking.
    """
    rules = [rule["blocking_rule"] for rule in settings["blocking_rules_to_generate_predictions"]]
    queries = {
        "edges": EDGES.format(threshold=threshold, refused=RELATIVES if guarded else "false"),
        "weights": WEIGHTS,
        "candidates": CANDIDATES,
    }
    connection = linking_connection()
    try:
        load_compared_records(connection, link_keys, extra_columns, collapse=collapse)
        if changed is not None:
            settings = _only_changed(connection, settings, changed)
        counted = {
            column: connection.execute(frequencies_query(COMPARED, column)).to_arrow_table()
            if frequencies is None
            else with_short_tokens(frequencies[column])
            for column in frequency_columns(settings)
        }
        predict = _predict_on_spark if linkage_backend() == "spark" else _predict_on_duckdb
        found = predict(connection, settings, counted, queries)
        return ScoredPairs(
            edges=found["edges"].cast(EDGES_SCHEMA),
            alike=connection.execute(
                "select record_ref, compared_as from alike order by record_ref"
            ).to_arrow_table(),
            candidates={rules[row["rule"]]: row["pairs"] for row in found["candidates"].to_pylist()},
            weights={row["weight"]: row["pairs"] for row in found["weights"].to_pylist()},
        )
    finally:
        connection.close()


def _predict_on_duckdb(
    connection: duckdb.DuckDBPyConnection,
    settings: Mapping[str, Any],
    frequencies: Mapping[str, pa.Table],
    queries: Mapping[str, str],
) -> dict[str, pa.Table]:
    linker = quiet_linker(COMPARED, dict(settings), connection)
    for column, counted in frequencies.items():
        linker.table_management.register_term_frequency_lookup(counted, column)
    predicted = linker.inference.predict().physical_name
    return {
        name: connection.execute(query.format(predicted=predicted, compared=COMPARED)).to_arrow_table()
        for name, query in queries.items()
    }


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
) -> Mapping[str, Any]:
    """Mark the records that changed; return `settings` that compare no pair without one of them."""
    connection.register("changed_records", pa.table({"record_ref": changed}))
    connection.execute(
        f"""
        create or replace table {COMPARED} as
        select *, record_ref in (from changed_records) as is_changed from {COMPARED} order by record_ref
        """
    )
    rules = [
        rule | {"blocking_rule": f"({rule['blocking_rule']}) and (l.is_changed or r.is_changed)"}
        for rule in settings["blocking_rules_to_generate_predictions"]
    ]
    return {**settings, "blocking_rules_to_generate_predictions": rules}
