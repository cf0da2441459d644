"""Names that both code locations use: asset keys, groups, kinds, and where the nights are counted."""

from __future__ import annotations

import dagster as dg

TIME_ZONE = "Europe/London"

# Groups, in the order in which the data flows.
PARTNER_FEEDS = "partner_feeds"
BRIDGE = "bridge"
RECORDS = "records"
LINKAGE = "linkage"
RISK = "risk"
PUBLISHED = "published"


def partner_feed_key(feed: str) -> dg.AssetKey:
    """Key of the files that a partner sends: outside Doorstep, where the lineage begins."""
    return dg.AssetKey(["partner", feed])


def loaded_key(feed: str) -> dg.AssetKey:
    return dg.AssetKey(["bridge", f"loaded_{feed}"])


def addressed_key(feed: str) -> dg.AssetKey:
    return dg.AssetKey(["bridge", f"addressed_{feed}"])


def pseudonymised_key(feed: str) -> dg.AssetKey:
    return dg.AssetKey(["bridge", f"pseudonymised_{feed}"])


def records_key(qualified_table: str) -> dg.AssetKey:
    """Key of a payload table in the warehouse; also the dbt source `records.<feed>__<table>`."""
    return dg.AssetKey(["records", qualified_table])


DELIVERIES_KEY = records_key("deliveries")
PEOPLE_KEY = records_key("people")
RETURNED_ALERTS_KEY = dg.AssetKey(["risk", "returned_alerts"])
CASES_KEY = dg.AssetKey(["bridge", "cases"])
LINK_KEYS_KEY = dg.AssetKey(["linkage", "link_keys"])


def deliveries_partition_name(feed: str) -> str:
    """Name of the dynamic partitions of a feed: one partition for each delivery."""
    return f"{feed}_deliveries"
