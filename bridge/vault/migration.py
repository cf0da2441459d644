"""Vaults of layout 1 (one table `subjects`, the newest identity of each record alone) become vaults of layout 2.

Keeping is idempotent and the old table goes last, so that a stop half-way is made good by opening again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import duckdb
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.pseudonymise.identities import IDENTITY_COLUMNS
from bridge.vault.arrivals import ARRIVAL_SCHEMA
from bridge.vault.keys import VaultError

ROWS_AT_ONCE = 50_000
NONCE_BYTES = 12

IS_OLD = """
select 1 from duckdb_tables() where table_name = 'subjects' and database_name = current_database()
"""

OLD_ROWS = """
select record_ref, feed, table_name, delivery_date, received_date, delivery_id, wrapped_key, identity
from subjects where not erased order by record_ref limit ? offset ?
"""

KEEP_TOMBSTONES = """
insert into vault_keys.tombstones
select record_ref from subjects anti join vault_keys.tombstones using (record_ref) where erased
"""


def is_old(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether the current store is a vault of layout 1 whose migration is not finished."""
    return connection.execute(IS_OLD).fetchone() is not None


def migrate(
    connection: duckdb.DuckDBPyConnection,
    partner: str,
    wrapping_key: bytes,
    keep: Callable[[pa.Table], int],
) -> int:
    """Bring what `subjects` holds into the vault's tables with `keep`, and drop it; return how many came over.

    The stores are to be rewritten afterwards: the old table's data keys stay in the file until then. Raises
    `VaultError`, with the old table left, if an identity does not open.
    """
    connection.execute(KEEP_TOMBSTONES)
    moved = 0
    while rows := connection.execute(OLD_ROWS, [ROWS_AT_ONCE, moved]).fetch_arrow_table().to_pylist():
        arrivals = [_arrival(partner, wrapping_key, row) for row in rows]
        keep(pa.Table.from_pylist(arrivals, schema=ARRIVAL_SCHEMA))
        moved += len(rows)
    connection.execute("drop table subjects")
    return moved


def _arrival(partner: str, wrapping_key: bytes, row: dict[str, Any]) -> dict[str, Any]:
    scope = "\0".join(("vault", "1", partner, ""))
    record_ref = row["record_ref"]
    try:
        data_key = _decrypted(wrapping_key, row["wrapped_key"], f"{scope}key\0{record_ref}")
        known = json.loads(_decrypted(data_key, row["identity"], f"{scope}identity\0{record_ref}"))
    except (InvalidTag, ValueError):
        raise VaultError(
            f"{partner}: an identity of the vault's former layout is damaged or under another key. "
            "Restore the vault from a backup; nothing was lost from this one."
        ) from None
    delivered = {name: row[name] for name in ARRIVAL_SCHEMA.names if name in row}
    fields = {name: known[name] for name in IDENTITY_COLUMNS if name in known}
    if "date_of_birth" in fields:
        fields["date_of_birth"] = pa.scalar(fields["date_of_birth"]).cast(pa.date32()).as_py()
    return {**delivered, **fields, "partner_key": json.dumps(known["key"], separators=(",", ":"))}


def _decrypted(key: bytes, content: bytes, bound: str) -> bytes:
    return AESGCM(key).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], bound.encode())
