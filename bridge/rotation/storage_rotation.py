"""Rotation of the council's storage root: the stores, and the data keys that the vaults' identities are under."""

from __future__ import annotations

from datetime import date

from bridge.vault.keys import partner_key
from bridge.vault.vault import open_vault
from bridge.zone import CouncilZone
from stores.store_rotation import STORAGE_ROOT, Announce, StorageRotation, begin_rotation, rewrite_stores


def rotate_council_storage(
    zone: CouncilZone, on: date | None = None, announce: Announce = lambda _: None
) -> StorageRotation:
    """Bring every store of the council zone under a new storage root; take up a rotation that was stopped.

    A vault's data keys are wrapped anew first; then its files are written anew, and the old wrapping is gone from
    them. The identities themselves stay under their data keys. Raises `VaultError`, `StoreUnreadableError` or
    `KeyUnavailableError`.
    """
    folder = zone.home.council
    version, resumed = begin_rotation(zone.keys, folder, on)
    for partner in sorted({contract.partner for contract in zone.contracts.values()}):
        if zone.home.vault_db(partner).is_file():
            announce(f"vault/{partner}: data keys")
            with open_vault(zone, partner) as vault:
                vault.rewrap(vault.wrapping_key, partner_key(zone.keys.root(STORAGE_ROOT, version), partner))
    stores, rewritten = rewrite_stores(zone.keys, folder, announce)
    return StorageRotation("council", version, resumed, stores, rewritten)
