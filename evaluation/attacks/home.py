"""The frequency attack on a council's own link keys, instead of simulated residents: what an analyst there could learn.

Run by the council, which alone has both halves: the attacked tokens come from the linkage store, what is behind them
from the vaults. Only shares leave this module.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from bridge.files.problems import NoSuchFileError
from bridge.link_keys.encoding import encode_link_keys
from bridge.vault.vault import open_vault
from bridge.zone import CouncilZone
from evaluation.attacks.suite import Targets
from exchange.link_key_schema import FIRST_EPOCH
from linkage.scoring.link_keys import read_link_keys
from stores.analytics import AnalyticsZone
from stores.home import Home


@dataclass(frozen=True)
class HomeTargets(Targets):
    """What is attacked in `home`: the records with link keys in the analytics zone and an identity in a vault.

    Raises `NoSuchFileError` where no vault holds anyone, `KeyUnavailableError` and `StoreUnreadableError` where a zone
    cannot be read.
    """

    home: Home = field(default_factory=Home.from_environment)

    @cached_property
    def _held(self) -> pa.Table:
        with AnalyticsZone.open(self.home).linkage(read_only=True) as linkage:
            return read_link_keys(linkage)

    @cached_property
    def _kept(self) -> pa.Table:
        zone = CouncilZone.open(self.home)
        partners = sorted({contract.partner for contract in zone.contracts.values() if contract.holds_people})
        batches = []
        for partner in partners:
            if self.home.vault_db(partner).is_file():
                with open_vault(zone, partner) as vault:
                    batches += list(vault.identity_batches())
        if not batches:
            vaults = self.home.council / "vault"
            raise NoSuchFileError(f"{vaults}: no vault holds anyone. Run `doorstep refresh` first.")
        identities = pa.concat_tables(batches)
        # A record that was sent and not opened yet is not there to be attacked.
        here = pc.is_in(identities["record_ref"], value_set=pc.unique(self._held["record_ref"]))
        return identities.filter(here).combine_chunks()

    @cached_property
    def identities(self) -> pa.Table:
        return self._kept

    @cached_property
    def link_keys(self) -> pa.Table:
        places = pc.index_in(self._kept["record_ref"], value_set=self._held["record_ref"])
        return self._held.take(places)

    @cached_property
    def labels(self) -> pa.Table:
        return encode_link_keys(self._kept, self.attacker, FIRST_EPOCH)
