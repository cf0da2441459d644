"""dbt sources are made from the contracts, so that a new feed needs no YAML of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from governance.contracts import read_contracts
from governance.dbt_sources import VERSION_COLUMNS, dbt_sources, write_dbt_sources


def test_every_feed_table_is_a_source_with_its_payload_columns() -> None:
    contracts = read_contracts()
    tables = {table["name"]: table for table in dbt_sources(contracts)["sources"][0]["tables"]}
    expected = {table.qualified_name for contract in contracts.values() for table in contract.payload_tables}
    assert set(tables) == expected | {"people", "person_quality", "deliveries"}
    for contract in contracts.values():
        for table in contract.payload_tables:
            columns = [column["name"] for column in tables[table.qualified_name]["columns"]]
            assert columns == [*table.payload_schema.names, *VERSION_COLUMNS]


def test_no_column_that_stays_with_the_council_is_named_in_a_source() -> None:
    contracts = read_contracts()
    named = {
        (table["name"], column["name"])
        for table in dbt_sources(contracts)["sources"][0]["tables"]
        for column in table["columns"]
    }
    staying = {
        (table.qualified_name, column.name.lower())
        for contract in contracts.values()
        for table in contract.payload_tables
        for column in table.columns
        if column.leaves is None
    }
    assert staying
    assert not named & staying


def test_sources_are_written_once_and_left_alone_while_contracts_stay_the_same(tmp_path: Path) -> None:
    path = tmp_path / "_sources.yml"
    contracts = read_contracts()
    write_dbt_sources(contracts, path)
    first = path.stat().st_mtime_ns
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["sources"][0]["schema"] == "records"
    write_dbt_sources(contracts, path)
    assert path.stat().st_mtime_ns == first


@pytest.mark.parametrize("gone", sorted(read_contracts()))
def test_a_feed_that_is_taken_out_leaves_no_source(gone: str, tmp_path: Path) -> None:
    contracts = {feed: contract for feed, contract in read_contracts().items() if feed != gone}
    path = write_dbt_sources(contracts, tmp_path / "_sources.yml")
    tables = yaml.safe_load(path.read_text(encoding="utf-8"))["sources"][0]["tables"]
    assert not [table["name"] for table in tables if table["name"].startswith(f"{gone}__")]
