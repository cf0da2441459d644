"""Scanning a home: the council's own identities are what must not be found in the analytics zone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.vault import open_vault
from bridge.zone import CouncilZone
from governance.scanner import ScanReport, scan_analytics
from stores.analytics import AnalyticsZone
from stores.encrypted import attached
from stores.home import Home

SINGLE_IDENTIFIERS = (
    "full_name",
    "nino",
    "nhs_number",
    "upn",
    "phone",
    "email",
    "partner_person_reference",
    "uprn",
    "address",
)


def scan_home(home: Home) -> ScanReport:
    """Look for every identity of the council's vaults and every address of its gazetteer in the analytics
    zone."""
    return scan_analytics(AnalyticsZone.open(home), clear_identifiers(CouncilZone.open(home)))


def clear_identifiers(zone: CouncilZone) -> dict[str, set[str]]:
    """Return the identifiers that the council holds, in clear, by kind. They stay in memory."""
    found: dict[str, set[str]] = {}
    for partner in sorted({contract.partner for contract in zone.contracts.values()}):
        if zone.home.vault_db(partner).is_file():
            with open_vault(zone, partner) as vault:
                for identity in vault.identities():
                    _add_identity(found, identity)
    _add_gazetteer(found, zone)
    return found


def _add_identity(found: dict[str, set[str]], identity: Mapping[str, Any]) -> None:
    for kind in SINGLE_IDENTIFIERS:
        if value := identity.get(kind):
            found.setdefault(kind, set()).add(str(value))
    if value := identity.get("forwarding_address"):
        found.setdefault("address", set()).add(str(value))
    forename, surname = identity.get("forename"), identity.get("surname")
    if forename and surname:
        found.setdefault("full_name", set()).update(
            (f"{forename} {surname}", f"{surname} {forename}", f"{surname}, {forename}")
        )
    if surname and identity.get("date_of_birth"):
        born = f"{identity['date_of_birth']}"
        found.setdefault("surname_and_birth", set()).update(
            (f"{surname} {born}", f"{surname},{born}", f"{surname}|{born}")
        )
    for value in identity.get("key", {}).values():
        found.setdefault("partner_record_reference", set()).add(str(value))


def _add_gazetteer(found: dict[str, set[str]], zone: CouncilZone) -> None:
    if not zone.home.deliveries_db.is_file():
        return
    with attached(zone.home.deliveries_db, zone.storage_key("deliveries"), read_only=True) as ledger:
        known = ledger.execute("select 1 from duckdb_tables() where table_name = 'gazetteer'").fetchone()
        rows = ledger.execute("select uprn, address from gazetteer").fetchall() if known else []
    for uprn, address in rows:
        found.setdefault("uprn", set()).add(uprn)
        found.setdefault("address", set()).add(address)
