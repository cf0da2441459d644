"""A warehouse that holds only what packages brought: payload versions by delivery, told as rows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from exchange.opening import PERSON_QUALITY
from governance.contracts import read_contracts
from governance.dbt_sources import DBT_SOURCES, write_dbt_sources
from stores.analytics import AnalyticsZone
from stores.encrypted import storage_key
from stores.home import Home
from stores.keys import ANALYTICS_ROOTS, create_missing_keys

VERSION_FIELDS = [
    pa.field("delivery_id", pa.string()),
    pa.field("delivery_date", pa.date32()),
    pa.field("received_date", pa.date32()),
    pa.field("kind", pa.string()),
]
DELIVERY_SCHEMA = pa.schema(
    [
        pa.field("feed", pa.string()),
        *VERSION_FIELDS,
        pa.field("row_count", pa.int64()),
        pa.field("contract_version", pa.string()),
    ]
)
PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"


@dataclass
class Records:
    """Deliveries to come; `write` puts them into a zone's warehouse."""

    deliveries: list[dict[str, Any]] = field(default_factory=list)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)

    def deliver(
        self,
        feed: str,
        delivered: date,
        tables: Mapping[str, Sequence[Mapping[str, Any]]],
        *,
        kind: str = "full",
        received: date | None = None,
    ) -> None:
        """Add a delivery. A row's `person`, if it has one, says whose record it is."""
        version = {
            "delivery_id": f"{delivered}-{kind}-{len(self.deliveries):08x}",
            "delivery_date": delivered,
            "received_date": received or delivered + timedelta(days=2),
            "kind": kind,
        }
        count = sum(map(len, tables.values()))
        self.deliveries.append({"feed": feed, **version, "row_count": count, "contract_version": "1.0.0"})
        for table, rows in tables.items():
            for row in rows:
                values = dict(row)
                if person := values.pop("person", None):
                    self.people[values["record_ref"]] = person
                self.rows.setdefault(f"{feed}__{table}", []).append({**values, **version})

    def write(self, zone: AnalyticsZone) -> None:
        """Make the `records` schema anew."""
        people = pa.table(
            {"record_ref": list(self.people), "person_id": list(self.people.values())},
            schema=pa.schema([("record_ref", pa.string()), ("person_id", pa.string())]),
        )
        tables = {
            "people": people,
            "deliveries": pa.Table.from_pylist(self.deliveries, schema=DELIVERY_SCHEMA),
        }
        for contract in read_contracts().values():
            for table in contract.payload_tables:
                schema = pa.schema([*table.payload_schema, *VERSION_FIELDS])
                rows = self.rows.get(table.qualified_name, [])
                tables[table.qualified_name] = pa.Table.from_pylist(rows, schema=schema)
        with zone.warehouse() as warehouse:
            warehouse.execute("create schema if not exists records")
            warehouse.execute(PERSON_QUALITY)
            for name, content in tables.items():
                warehouse.register("content", content)
                warehouse.execute(f"create or replace table records.{name} as from content")
                warehouse.unregister("content")


def analytics_zone(root: Path) -> AnalyticsZone:
    """Return an analytics zone with keys and nothing else."""
    home = Home(root)
    create_missing_keys(home.analytics_keys, ANALYTICS_ROOTS)
    return AnalyticsZone.open(home)


def dbt(
    zone: AnalyticsZone, *arguments: str, first_month: str, last_month: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run dbt over the zone's warehouse for a range of months, in a process of its own as a refresh does."""
    write_dbt_sources(read_contracts(), DBT_SOURCES)
    command = [
        str(Path(sys.executable).with_name("dbt")),
        *arguments,
        "--project-dir",
        str(PROJECT),
        "--profiles-dir",
        str(PROJECT),
    ]
    given = {
        "DOORSTEP_WAREHOUSE": str(zone.home.warehouse_db),
        "DBT_ENV_SECRET_WAREHOUSE_KEY": storage_key(zone.keys, "warehouse"),
        "DOORSTEP_FIRST_MONTH": first_month,
        "DOORSTEP_LAST_MONTH": last_month,
        "DBT_TARGET_PATH": str(zone.home.dbt_target),
        "DBT_LOG_PATH": str(zone.home.dbt_target / "logs"),
        "PYTHONPATH": str(PROJECT.parent),
    }
    return subprocess.run(
        command,
        cwd=PROJECT,
        env=os.environ | given | environment,
        capture_output=True,
        text=True,
        check=False,
    )
