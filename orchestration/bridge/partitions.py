"""Deliveries as dynamic partitions: one partition for each delivery of a feed, many in one run."""

from __future__ import annotations

import dagster as dg

from orchestration.names import deliveries_partition_name


def deliveries_of(feed: str) -> dg.DynamicPartitionsDefinition:
    return dg.DynamicPartitionsDefinition(name=deliveries_partition_name(feed))
