"""The council's part of the logical digest: what the ledger, the address matches and the vaults say.

Left out is what says only how the files arrived: which copy came twice, under which path, on which night it
was seen.
"""

from __future__ import annotations

from collections.abc import Mapping

from bridge.vault.vault import open_vault
from bridge.zone import CouncilZone
from stores.digest import LogicalDigest, base_tables, lines_digest, query_digest, tables_digest
from stores.encrypted import attached

LEDGER_COLUMNS = (
    ("feed", "VARCHAR"),
    ("delivery_id", "VARCHAR"),
    ("delivery_date", "DATE"),
    ("received_date", "DATE"),
    ("kind", "VARCHAR"),
    ("content_mac", "VARCHAR"),
    ("state", "VARCHAR"),
    ("rows_in", "BIGINT"),
    ("rows_quarantined", "BIGINT"),
    ("rows_sealed", "BIGINT"),
)
MATCH_COLUMNS = (("text_mac", "VARCHAR"), ("uprn", "VARCHAR"))


def council_digest(zone: CouncilZone) -> LogicalDigest:
    """Return the digest of the council's ledger, checked rows that wait, address matches and vaults.

    Raises `StoreUnreadableError` or `VaultError` on a wrong key or a damaged store.
    """
    found: dict[str, Mapping[str, str]] = {}
    if zone.home.deliveries_db.is_file():
        with attached(zone.home.deliveries_db, zone.storage_key("deliveries"), read_only=True) as ledger:
            tables = base_tables(ledger)
            names = {table for _, table in tables}
            waiting = [
                table for table in tables if table[1].startswith("checked_") or table[1] == "gazetteer"
            ]
            digests: dict[str, str | None] = dict(tables_digest(ledger, waiting))
            digests["deliveries"] = query_digest(
                ledger, "from deliveries where state <> 'duplicate'", LEDGER_COLUMNS
            )
            if "address_matches" in names:
                matched = "from address_matches where uprn is not null"
                digests["address_matches"] = query_digest(ledger, matched, MATCH_COLUMNS)
            found["deliveries"] = {name: digest for name, digest in digests.items() if digest is not None}
    for partner in sorted({contract.partner for contract in zone.contracts.values()}):
        if zone.home.vault_db(partner).is_file():
            with open_vault(zone, partner) as vault:
                digest = lines_digest(vault.history_lines())
            found[f"vault/{partner}"] = {} if digest is None else {"subjects": digest}
    return LogicalDigest(found)
