"""dbt sources from the contracts: what the analytics warehouse holds under `records`, told to dbt as YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from governance.address_levels import HOME_LEVELS
from governance.contracts import CONTRACTS_FOLDER, FeedContract, Table
from stores.files import written_atomically

SOURCE = "records"
DATABASE = "warehouse"
DBT_SOURCES = CONTRACTS_FOLDER.parent / "dbt_project" / "models" / "staging" / "_sources.yml"
HEADER = "# Made from contracts/feeds by governance.dbt_sources. Change the contracts, not this file.\n"

VERSION_COLUMNS: Mapping[str, str] = {
    "delivery_id": "Delivery that brought this version.",
    "delivery_date": "Date that the partner gave the delivery.",
    "received_date": "Day on which the delivery reached the council.",
    "kind": "full or changes.",
}


def write_dbt_sources(contracts: Mapping[str, FeedContract], path: Path = DBT_SOURCES) -> Path:
    """Write the dbt sources YAML of `contracts` to `path` (only if its content changes) and return `path`."""
    text = HEADER + yaml.safe_dump(dbt_sources(contracts), sort_keys=False, allow_unicode=True, width=110)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with written_atomically(path, mode=0o644) as aside:
            aside.write_text(text, encoding="utf-8")
    return path


def dbt_sources(contracts: Mapping[str, FeedContract]) -> dict[str, Any]:
    """Return the dbt properties document: one source `records`, a table per feed table, people, how
    sure they are, and deliveries.
    """
    tables = [
        _feed_table(contract, table) for contract in contracts.values() for table in contract.payload_tables
    ]
    return {
        "version": 2,
        "sources": [
            {
                "name": SOURCE,
                "database": DATABASE,
                "schema": SOURCE,
                "description": "Opened payloads: every version of every record. No identifiers.",
                "tables": [*tables, _PEOPLE, _PERSON_QUALITY, _DELIVERIES],
            }
        ],
    }


def _feed_table(contract: FeedContract, table: Table) -> dict[str, Any]:
    columns = [
        {
            "name": "record_ref",
            "description": "Keyed reference of the partner's record.",
            "data_type": "varchar",
        }
    ]
    for column in table.payload_columns:
        columns.append({"name": column.payload_name, "description": column.description})
    columns += [{"name": name, "description": text} for name, text in VERSION_COLUMNS.items()]
    return {
        "name": table.qualified_name,
        "description": f"{table.description} Every version, by delivery.",
        "config": {
            "meta": {
                "feed": contract.feed,
                "partner": contract.partner,
                "owner": contract.owner,
                "contract_version": contract.version,
                "dagster": {"asset_key": [SOURCE, table.qualified_name]},
            }
        },
        "columns": columns,
    }


_PEOPLE: dict[str, Any] = {
    "name": "people",
    "description": "One row per record that names a person: which person it is, by linkage.",
    "config": {"meta": {"dagster": {"asset_key": [SOURCE, "people"]}}},
    "columns": [
        {"name": "record_ref", "description": "Keyed reference of the partner's record."},
        {"name": "person_id", "description": "Stable pseudonymous person."},
    ],
}

_PERSON_QUALITY: dict[str, Any] = {
    "name": "person_quality",
    "description": "One row per person: how sure linkage is of them.",
    "config": {"meta": {"dagster": {"asset_key": [SOURCE, "person_quality"]}}},
    "columns": [
        {"name": "person_id", "description": "Stable pseudonymous person."},
        {"name": "records", "description": "Records of the person."},
        {"name": "identities", "description": "Of these, records with different link keys."},
        {"name": "feeds", "description": "Feeds that the records are of."},
        {"name": "links", "description": "Links between the identities."},
        {"name": "density", "description": "Their share of all possible ones."},
        {
            "name": "weakest_link",
            "description": "Match weight of the weakest link that holds the person together.",
        },
        {"name": "confidence", "description": "Probability that this link is right, by the linkage model."},
        {
            "name": "refused_links",
            "description": "Links to other people that contradictions or chains forbade.",
        },
    ],
}

_DELIVERIES: dict[str, Any] = {
    "name": "deliveries",
    "description": "One row per delivery that has been opened.",
    "config": {"meta": {"dagster": {"asset_key": [SOURCE, "deliveries"]}}},
    "columns": [
        {"name": "feed", "description": "Feed."},
        {"name": "delivery_id", "description": "Delivery."},
        {"name": "delivery_date", "description": "Date that the partner gave the delivery."},
        {"name": "received_date", "description": "Day on which it reached the council."},
        {"name": "kind", "description": "full or changes."},
        {"name": "row_count", "description": "Rows sealed."},
        {"name": "contract_version", "description": "Version of the feed's contract."},
        *(
            {"name": f"homes_{level}", "description": f"Rows whose home was found like this: {level}."}
            for level in HOME_LEVELS
        ),
    ],
}
