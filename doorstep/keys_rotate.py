"""Which roots can be rotated and retired, and how; and why the others cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from typing import Any

from doorstep.keys_status import needs
from stores.home import Home
from stores.key_rotation import KeyRotationError, destroy_version, make_current, prepare_version
from stores.keys import FileKeys, KeyState, RegisteredKeys

CANNOT_ROTATE = {
    "pseudonym": (
        "the pseudonym root cannot be rotated: every record and property reference of the whole history is made with "
        "it, and new ones would join nothing. Where it has leaked, both zones are made anew from the inbox under a "
        "new root: see docs/keys.md."
    ),
    "identifier": (
        "the identifier root cannot be rotated: person ids are made with it and must come out the same when the zone "
        "is made anew. Without the warehouse it opens nothing: see docs/keys.md."
    ),
}
LINK_KEYS_RULE = "link_keys"

Announce = Callable[[str], None]


def rotate_root(
    home: Home, root: str, zone: str, on: date, workers: int, announce: Announce
) -> dict[str, Any]:
    """Rotate `root` of `zone`; return what was done, in counts. Raises `KeyRotationError` if it cannot be."""
    _refuse_foreign(root, zone)
    if root == "linkage":
        return _rotate_linkage(home, on, workers)
    if root == "exchange":
        return _rotate_exchange(home, zone, on)
    return _rotate_storage(home, zone, on, announce)


def retire_root(home: Home, root: str, zone: str, version: int | None) -> list[dict[str, Any]]:
    """Retire and destroy the old versions of `root` (or one of them); return which.

    Raises `KeyRotationError`, with nothing destroyed, if anything still needs one of them.
    """
    _refuse_foreign(root, zone)
    keys = _keys(home, zone)
    registered = keys.register.root(root)
    older = sorted(number for number in registered.versions if number != registered.current)
    wanted = older if version is None else [version]
    for each in wanted:
        if each in older and registered.versions[each].state != KeyState.RETIRED:
            needed = needs(home, zone, keys, root, each)
            if needed:
                listed = ", ".join(f"{count} {what}" for what, count in sorted(needed.items()))
                raise KeyRotationError(
                    f"version {each} of the {root} root is still needed: {listed}. Finish the rotation "
                    f"(`doorstep keys rotate {root} --zone {zone}`) and run `doorstep refresh`, then retire it."
                )
    for each in wanted:
        destroy_version(keys, root, each)
    return [
        {
            "version": each,
            "key_id": registered.versions[each].key_id,
            "destroyed": _destroyed(keys, root, each),
        }
        for each in wanted
    ]


def _rotate_linkage(home: Home, on: date, workers: int) -> dict[str, Any]:
    from bridge.rotation.epoch_rotation import rotate_epoch
    from bridge.zone import CouncilZone
    from governance.retention import read_retention

    return asdict(rotate_epoch(CouncilZone.open(home), on, read_retention()[LINK_KEYS_RULE], workers=workers))


def _rotate_storage(home: Home, zone: str, on: date, announce: Announce) -> dict[str, Any]:
    from bridge.rotation.storage_rotation import rotate_council_storage
    from bridge.zone import CouncilZone
    from stores.store_rotation import rotate_storage

    if zone == "council":
        return asdict(rotate_council_storage(CouncilZone.open(home), on, announce))
    return asdict(rotate_storage(zone, _keys(home, zone), home.analytics, on, announce))


def _rotate_exchange(home: Home, zone: str, on: date) -> dict[str, Any]:
    """Give a zone a new key pair for packages. What was sealed before must have been opened."""
    from exchange.trust import publish_public_key, trust_public_key

    keys = _keys(home, zone)
    current = keys.current("exchange")
    waiting = needs(home, zone, keys, "exchange", current)
    if waiting:
        listed = ", ".join(f"{count} {what}" for what, count in waiting.items())
        raise KeyRotationError(
            f"{listed}: open them first with `doorstep refresh`, then rotate the exchange root."
        )
    prepare_version(keys, "exchange", current + 1)
    make_current(keys, "exchange", current + 1, on)
    publish_public_key(keys, zone, home)
    other = "analytics" if zone == "council" else "council"
    both_here = _keys(home, other).register.root("exchange").versions[1].key_id is not None
    # Where the other zone is on another machine, its people compare the fingerprint and trust it themselves.
    fingerprint = trust_public_key(home, other, zone) if both_here else None
    return {"zone": zone, "version": current + 1, "trusted_by_the_other_zone": fingerprint}


def _refuse_foreign(root: str, zone: str) -> None:
    from stores.keys import ANALYTICS_ROOTS, COUNCIL_ROOTS

    if root not in (COUNCIL_ROOTS if zone == "council" else ANALYTICS_ROOTS):
        raise KeyRotationError(f"the {zone} zone has no {root} root.")
    if root in CANNOT_ROTATE:
        raise KeyRotationError(CANNOT_ROTATE[root])


def _keys(home: Home, zone: str) -> RegisteredKeys:
    from stores.keys import zone_keys

    return zone_keys(zone, home.council_keys if zone == "council" else home.analytics_keys)


def _destroyed(keys: RegisteredKeys, root: str, version: int) -> str:
    if isinstance(keys, FileKeys):
        return "Its file is destroyed; destroy its backups too."
    return f"Destroy it where it is kept as well: {keys.where(root, version)}."
