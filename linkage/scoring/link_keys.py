"""The link keys that are compared: read from the linkage store, whole."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from exchange.link_key_schema import FILTER_COLUMNS, TOKEN_COLUMNS

KEY_COLUMNS = ("feed", *FILTER_COLUMNS, *TOKEN_COLUMNS)
"""What two records are compared by."""

LINK_KEY_COLUMNS = ("record_ref", *KEY_COLUMNS)


def read_link_keys(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return what linkage reads of the attached linkage store's link keys, in order of record_ref."""
    listed = ", ".join(LINK_KEY_COLUMNS)
    return connection.execute(f"select {listed} from link_keys order by record_ref").to_arrow_table()
