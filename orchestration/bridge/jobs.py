"""The bridge's job for each feed, and the requests that give it the deliveries that wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from bridge.deliveries.inbox import WAITING_STATES, deliveries, register_deliveries
from bridge.zone import CouncilZone
from governance.contracts import FeedContract
from orchestration.bridge.partitions import deliveries_of
from orchestration.names import addressed_key, deliveries_partition_name, loaded_key, pseudonymised_key
from orchestration.night import night_config
from orchestration.partition_ranges import contiguous_ranges, range_tags


def job_name(feed: str) -> str:
    return f"bridge_{feed}"


def feed_job(contract: FeedContract) -> UnresolvedAssetJobDefinition:
    """The job that takes the waiting deliveries of one feed from the inbox to sealed packages."""
    return dg.define_asset_job(
        job_name(contract.feed),
        selection=dg.AssetSelection.assets(loaded_key(contract.feed), *sealing_keys(contract)),
        partitions_def=deliveries_of(contract.feed),
        description=f"Load, check, pseudonymise and seal the {contract.feed} deliveries that wait.",
        tags={"zone": "council", "feed": contract.feed},
    )


def sealing_keys(contract: FeedContract) -> list[dg.AssetKey]:
    """The assets that take checked rows to sealed packages."""
    addressed = [addressed_key(contract.feed)] if contract.holds_people else []
    return [*addressed, pseudonymised_key(contract.feed)]


def waiting_ranges(instance: dg.DagsterInstance, zone: CouncilZone, feed: str) -> list[tuple[str, str]]:
    """Make a partition of every delivery of `feed` that waits, and return the ranges that cover them."""
    name = deliveries_partition_name(feed)
    waiting = [
        delivery.delivery_id for delivery in deliveries(zone, feed) if delivery.state in WAITING_STATES
    ]
    known = list(instance.get_dynamic_partitions(name))
    fresh = [key for key in waiting if key not in set(known)]
    if fresh:
        instance.add_dynamic_partitions(name, fresh)
    return contiguous_ranges([*known, *fresh], waiting)


def run_requests(
    instance: dg.DagsterInstance, zone: CouncilZone, night: date, feeds: Sequence[str]
) -> Iterator[dg.RunRequest]:
    """Register what is new in the inbox, and ask for one run per range of waiting deliveries of each of `feeds`."""
    register_deliveries(zone, night)
    for feed in feeds:
        for first, last in waiting_ranges(instance, zone, feed):
            yield dg.RunRequest(
                run_key=f"{feed}/{first}/{last}",
                job_name=job_name(feed),
                run_config=night_config(night),
                tags=range_tags(first, last),
            )
