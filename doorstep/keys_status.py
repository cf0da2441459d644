"""What every version of every root key is still needed for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bridge.rotation.epoch_rotation import rotation_state
from bridge.zone import CouncilZone
from exchange.epoch_turn import linkage_epoch
from exchange.opening import opened_packages
from exchange.sealed import SEALED_SUFFIX
from exchange.transport import OUTBOX, Exchange
from governance.contracts import read_contracts
from stores.analytics import AnalyticsZone
from stores.encrypted import StoreUnreadableError, store_version
from stores.home import Home
from stores.keys import (
    ANALYTICS_ROOTS,
    COUNCIL_ROOTS,
    KeyState,
    KeyUnavailableError,
    RegisteredKeys,
    key_id,
    zone_keys,
)
from stores.store_rotation import STORAGE_ROOT, zone_stores


@dataclass(frozen=True)
class KeyStatus:
    """One version of a root: what still needs it, in counts by kind, and what is wrong with it, if anything is.

    `needed_by` of a current version is what is under it; of an older one what keeps it from being retired.
    """

    zone: str
    root: str
    version: int
    key_id: str | None
    state: str
    since: str | None
    needed_by: Mapping[str, int] = field(default_factory=dict)
    problem: str | None = None


def key_status(home: Home) -> list[KeyStatus]:
    """Return every version of every root of the zones whose keys are in this home."""
    return [
        *_zone_status("council", zone_keys("council", home.council_keys), home, COUNCIL_ROOTS),
        *_zone_status("analytics", zone_keys("analytics", home.analytics_keys), home, ANALYTICS_ROOTS),
    ]


def needs(home: Home, zone: str, keys: RegisteredKeys, root: str, version: int) -> Mapping[str, int]:
    """Return what keeps a version of `root` from being retired, in counts by kind; empty if nothing does.

    Raises `StoreUnreadableError` if a store cannot be told: then nothing can be said to be free of the key.
    """
    folder = home.council if zone == "council" else home.analytics
    if root == STORAGE_ROOT:
        return {
            name: count for (under, name), count in _stores_under(keys, folder).items() if under == version
        }
    if root == "linkage":
        return _linkage_needs(home, version)
    if root == "exchange":
        unopened = _unopened_packages(home)
        return {"packages that are not opened": unopened} if unopened else {}
    return {f"everything made with the {root} root": 1}


def _zone_status(zone: str, keys: RegisteredKeys, home: Home, roots: tuple[str, ...]) -> list[KeyStatus]:
    found = []
    for root in roots:
        registered = keys.register.root(root)
        for version, known in sorted(registered.versions.items()):
            needed: Mapping[str, int] = {}
            problem = None
            identifier = known.key_id
            if known.state != KeyState.RETIRED:
                try:
                    identifier = key_id(keys.root(root, version))
                    if version != registered.current or root == STORAGE_ROOT:
                        needed = needs(home, zone, keys, root, version)
                except (KeyUnavailableError, StoreUnreadableError) as error:
                    problem = str(error)
            found.append(
                KeyStatus(zone, root, version, identifier, str(known.state), known.since, needed, problem)
            )
    return found


def _stores_under(keys: RegisteredKeys, folder: Path) -> Mapping[tuple[int, str], int]:
    """Return how many files of each store are under each version of the storage root."""
    return Counter(
        (store_version(keys, store.name, store.path), f"store {store.name}") for store in zone_stores(folder)
    )


def _linkage_needs(home: Home, version: int) -> Mapping[str, int]:
    needed = {}
    state = rotation_state(CouncilZone.open(home))
    if state is None or not state.finished:
        needed["rotation that is unfinished"] = 1
    if home.linkage_db.is_file():
        with AnalyticsZone.open(home).linkage(read_only=True) as linkage:
            if linkage_epoch(linkage) <= version:
                needed[f"linkage store in epoch {linkage_epoch(linkage)}"] = 1
    return needed


def _unopened_packages(home: Home) -> int:
    """Return how many packages wait in the outbox; the other zone may still need this zone's keys for them.

    Only a home that holds the linkage store can tell; in a council's own home it is for the other zone to say.
    """
    if not home.linkage_db.is_file():
        return 0
    opened, exchange = opened_packages(AnalyticsZone.open(home)), Exchange.of(home)
    return sum(
        name.removesuffix(SEALED_SUFFIX) not in opened.get(feed, {})
        for feed in read_contracts()
        for name in exchange.names(OUTBOX, feed)
    )
