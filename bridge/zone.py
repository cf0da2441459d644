"""The council zone: everything a council-side step needs to know about where it works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from governance.contracts import CONTRACTS_FOLDER, FeedContract, read_contracts
from stores.encrypted import storage_key
from stores.home import Home
from stores.keys import KeyProvider, zone_keys


@dataclass(frozen=True)
class CouncilZone:
    """Paths, keys and feed contracts of the council zone."""

    home: Home
    keys: KeyProvider
    contracts: Mapping[str, FeedContract]

    @classmethod
    def open(cls, home: Home, contracts_folder: Path = CONTRACTS_FOLDER) -> CouncilZone:
        """Return the council zone of `home`. Raises `ContractError`; keys are read when used."""
        return cls(home, zone_keys("council", home.council_keys), read_contracts(contracts_folder))

    def storage_key(self, store: str) -> str:
        """Return the encryption key of a council store. Raises `KeyUnavailableError`."""
        return storage_key(self.keys, store)
