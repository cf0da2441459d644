"""A good delivery of every feed, made from its contract, is taken whole; one file may hold several tables."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from partner_files import ROWS, name_of, partner_files

from bridge.health.feed_health import feed_health
from governance.contracts import FeedContract, read_contracts

CONTRACTS = read_contracts()
DAY = date(2024, 5, 6)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_a_good_delivery_is_taken_whole_and_profiled(council: Any, contract: FeedContract) -> None:
    files = partner_files(contract)
    for file in files:
        council.drop(contract.feed, name_of(file.table, DAY), file.written(), "2024-05-09")
    report = council.load(contract.feed)
    (delivery,) = council.deliveries(contract.feed)
    assert report.messages == ()
    assert (delivery.state, delivery.rows_in) == ("checked", ROWS * len(contract.tables))
    assert len(delivery.paths) == len(files)
    health = feed_health(council.zone, contract.feed)
    for table in contract.tables:
        (found,) = health.tables[table.name]
        assert (found.profile.rows, found.profile.broken_rows, found.profile.unknown_codes) == (
            ROWS,
            0,
            {column.name: 0 for column in table.columns if column.codes},
        )
    assert not health.drift([delivery.delivery_id])


def test_a_file_of_several_tables_is_one_file_of_one_delivery(council: Any, tmp_path: Path) -> None:
    shared = [
        file for contract in CONTRACTS.values() for file in partner_files(contract) if len(file.tables) > 1
    ]
    assert shared
    for file in shared:
        feed = file.contract.feed
        path = council.drop(feed, name_of(file.table, DAY), file.written(), "2024-05-09")
        others = [other for other in partner_files(file.contract) if other.table != file.table]
        for other in others:
            council.drop(feed, name_of(other.table, DAY), other.written(), "2024-05-09")
        council.load(feed)
        (delivery,) = council.deliveries(feed)
        assert delivery.bytes < 2 * path.stat().st_size + sum(len(other.written()) for other in others)
        rows = {
            table.name: council.query(f"select count(*) from checked_{table.qualified_name}")[0][0]
            for table in file.tables
        }
        assert rows == {table.name: ROWS for table in file.tables}
