"""What a batch of deliveries says of who each record is, in the columns that the vault keeps."""

from __future__ import annotations

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bridge.pseudonymise.identities import IDENTITY_COLUMNS, IDENTITY_SCHEMA
from governance.contracts import Table

ARRIVAL_SCHEMA = pa.schema(
    [
        ("record_ref", pa.string()),
        ("feed", pa.string()),
        ("table_name", pa.string()),
        ("delivery_date", pa.date32()),
        ("received_date", pa.date32()),
        ("delivery_id", pa.string()),
        ("partner_key", pa.string()),
        *((name, IDENTITY_SCHEMA.field(name).type) for name in IDENTITY_COLUMNS),
    ]
)
"""One row per record and delivery: the identity that the delivery gave the record, and the partner's key as JSON."""


def arrivals(
    connection: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table, people: pa.Table, batch: pa.Table
) -> pa.Table:
    """Return `ARRIVAL_SCHEMA` rows: the last row of each record in each delivery of the batch.

    `rows` are the checked rows in order, `people` their identities row by row, and `batch` says when each
    `delivery_id` was delivered and received (`delivery_date`, `received_date`). `connection` is any DuckDB; it
    writes the partner's own keys as JSON.
    """
    delivery = pc.index_in(_whole(rows["delivery_id"]), value_set=_whole(batch["delivery_id"]))
    places = pa.array(_last_of_each(_whole(people["record_ref"]), delivery))
    delivery, people = delivery.take(places), people.take(places)
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "record_ref": people["record_ref"],
        "feed": pa.repeat(table.feed, len(places)),
        "table_name": pa.repeat(table.name, len(places)),
        **{name: batch[name].take(delivery) for name in ("delivery_date", "received_date", "delivery_id")},
        "partner_key": _as_json(connection, rows.select([column.name for column in table.key]).take(places)),
        **{name: people[name] for name in IDENTITY_COLUMNS},
    }
    return pa.table(columns, schema=ARRIVAL_SCHEMA)


def _last_of_each(record_refs: pa.Array, deliveries: pa.Array) -> npt.NDArray[np.int64]:
    """Return the place of the last row of each pair of record and delivery, in order."""
    records = record_refs.dictionary_encode().indices.to_numpy().astype(np.int64)
    pairs = records * (len(deliveries) + 1) + deliveries.to_numpy()
    _, from_the_end = np.unique(pairs[::-1], return_index=True)
    return np.sort(len(pairs) - 1 - from_the_end)


def _as_json(connection: duckdb.DuckDBPyConnection, keys: pa.Table) -> pa.ChunkedArray:
    fields = ", ".join(f'"{name}": "{name}"' for name in keys.column_names)
    connection.register("partner_keys", keys)
    texts = connection.execute(f"select to_json({{{fields}}})::varchar as partner_key from partner_keys")
    found = texts.fetch_arrow_table()["partner_key"]
    connection.unregister("partner_keys")
    return found


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
