"""The linkage epoch: which version of the linkage root link keys are made with now."""

from __future__ import annotations

from bridge.zone import CouncilZone


def current_epoch(zone: CouncilZone) -> int:
    """Return the epoch of the link keys that `zone` makes now: the version of its linkage root.

    Whoever seals a delivery asks while holding the ledger's lock: a rotation turns the epoch under that lock,
    so that no identity is kept in one epoch and left out of the next.
    """
    return zone.keys.current("linkage")
