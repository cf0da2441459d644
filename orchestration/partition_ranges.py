"""Ranges of partitions: one run takes every partition between two keys."""

from __future__ import annotations

from collections.abc import Sequence

from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG


def contiguous_ranges(known: Sequence[str], wanted: Sequence[str]) -> list[tuple[str, str]]:
    """Cover the `wanted` partitions with ranges of neighbours in `known`, without touching any other.

    Both are partition keys; `known` is in the order of the partitions. A run takes one range, so deliveries
    that wait from an
    earlier, failed night may need a run of their own.
    """
    chosen = set(wanted)
    ranges: list[tuple[str, str]] = []
    open_range: tuple[str, str] | None = None
    for key in known:
        if key in chosen:
            open_range = (open_range[0], key) if open_range else (key, key)
        elif open_range:
            ranges.append(open_range)
            open_range = None
    if open_range:
        ranges.append(open_range)
    return ranges


def range_tags(first: str, last: str) -> dict[str, str]:
    """Run tags that make one run take every partition from `first` to `last`."""
    return {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}
