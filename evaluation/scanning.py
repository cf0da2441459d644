"""Scanning a home: the council's own identities and keys are what must not be found in the analytics zone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bridge.vault.vault import open_vault
from bridge.zone import CouncilZone
from evaluation.scanning_packages import BothWays
from governance.scanner import ScanReport, scan_analytics
from governance.scanner.stores import KeyedStore
from stores.analytics import AnalyticsZone
from stores.encrypted import attached
from stores.home import Home
from stores.keys import COUNCIL_ROOTS

SINGLE_IDENTIFIERS = (
    ("full_name", "full_name"),
    ("nino", "nino"),
    ("nhs_number", "nhs_number"),
    ("upn", "upn"),
    ("phone", "phone"),
    ("email", "email"),
    ("partner_person_reference", "partner_person_reference"),
    ("uprn", "uprn"),
    ("uprn", "forwarding_uprn"),
    ("address", "address"),
    ("address", "forwarding_address"),
)
"""Kind, and the vault's column: each tells a person or a home by itself."""

DAY_FORMATS = ("%Y-%m-%d", "%d/%m/%Y")

KEPT_IN_LEDGER = ("gazetteer", "inbox_files", "deliveries.files")
"""Of the deliveries store: addresses, and partners' file names, are there on purpose."""

KEPT_IN_QUARANTINE = ("quarantined_rows.raw_row",)
"""A broken row is kept as it was sent; the reason beside it must not repeat it."""


def scan_home(home: Home, also: Sequence[Path] = ()) -> ScanReport:
    """Look for every identity of the council's vaults, every address of its gazetteer and the council's own root
    keys in the analytics zone, in what lies between the zones, and in the council's pages, reasons and messages.

    `also` names further files and folders, such as a folder of logs.
    """
    council, analytics = CouncilZone.open(home), AnalyticsZone.open(home)
    return scan_analytics(
        analytics,
        {**clear_identifiers(council), "council_key": council_keys(council)},
        packages=BothWays(council, analytics),
        council_stores=list(council_stores(council)),
        also=also,
    )


def council_stores(zone: CouncilZone) -> Iterator[KeyedStore]:
    """Yield the council's stores that hold reasons and messages, with what they hold in clear on purpose."""
    if zone.home.deliveries_db.is_file():
        key = zone.storage_key("deliveries")
        with attached(zone.home.deliveries_db, key, read_only=True) as ledger:
            tables = [row[0] for row in ledger.execute("select table_name from duckdb_tables()").fetchall()]
        # Checked rows wait there to be sealed, and addresses to be matched: personal by nature.
        personal = [name for name in tables if name.startswith("checked_") or "address" in name]
        yield KeyedStore(zone.home.deliveries_db, key, (*KEPT_IN_LEDGER, *personal))
    for feed in zone.contracts:
        path = zone.home.quarantine(feed) / "rows.duckdb"
        if path.is_file():
            yield KeyedStore(path, zone.storage_key(f"quarantine/{feed}"), KEPT_IN_QUARANTINE)


def council_keys(zone: CouncilZone) -> set[str]:
    """Return the council's root keys as hexadecimal digits: nothing outside the council may hold one."""
    return {zone.keys.root(name).hex() for name in COUNCIL_ROOTS}


def clear_identifiers(zone: CouncilZone) -> dict[str, set[str]]:
    """Return the identifiers that the council holds, in clear, by kind. They stay in memory."""
    found: dict[str, set[str]] = defaultdict(set)
    for partner in sorted({contract.partner for contract in zone.contracts.values()}):
        if zone.home.vault_db(partner).is_file():
            with open_vault(zone, partner) as vault:
                for batch in vault.identity_batches():
                    _add_identities(found, batch)
    _add_gazetteer(found, zone)
    codes = _codes(zone)
    found["address"] = {address for address in found["address"] if _as_code(address) not in codes}
    return dict(found)


def _codes(zone: CouncilZone) -> set[str]:
    """Return the codes of all contracts. "No fixed abode" in an address field is one of them, and nobody's home."""
    tables = [table for contract in zone.contracts.values() for table in contract.payload_tables]
    return {_as_code(code) for table in tables for column in table.columns for code in column.codes}


def _as_code(text: str) -> str:
    return "_".join(text.upper().split())


def _add_identities(found: dict[str, set[str]], batch: pa.Table) -> None:
    """Add what a batch of `ARRIVAL_SCHEMA` says of people, and pairs that are as good as a name."""
    for kind, column in SINGLE_IDENTIFIERS:
        found[kind].update(_texts(batch[column]))
    forename, surname, born = (batch[name] for name in ("forename", "surname", "date_of_birth"))
    for parts in ((forename, surname, " "), (surname, forename, " "), (surname, forename, ", ")):
        found["full_name"].update(_texts(pc.binary_join_element_wise(*parts)))
    for day_format in DAY_FORMATS:
        day = pc.strftime(born, format=day_format)
        for sign in (" ", ",", "|"):
            found["surname_and_birth"].update(_texts(pc.binary_join_element_wise(surname, day, sign)))
    for key in _texts(batch["partner_key"]):
        found["partner_record_reference"].update(str(value) for value in json.loads(key).values())


def _texts(column: pa.ChunkedArray) -> list[str]:
    return [text for text in pc.unique(column).to_pylist() if text]


def _add_gazetteer(found: dict[str, set[str]], zone: CouncilZone) -> None:
    if not zone.home.deliveries_db.is_file():
        return
    with attached(zone.home.deliveries_db, zone.storage_key("deliveries"), read_only=True) as ledger:
        known = ledger.execute("select 1 from duckdb_tables() where table_name = 'gazetteer'").fetchone()
        rows = ledger.execute("select uprn, address from gazetteer").fetchall() if known else []
    found["uprn"].update(uprn for uprn, _ in rows)
    found["address"].update(address for _, address in rows)
