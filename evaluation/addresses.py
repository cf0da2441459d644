"""Address matching against a known truth: how many written addresses lead to the right property, building or neither.

Two truths: 2,088 addresses that others corrupted and labelled, in the reference data; and a county's own, where an
address is right if the record's person has lived there, for some feeds name an old address on purpose.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bridge.addresses import MatchedAddresses, address_texts, is_gazetteer, matched_in
from bridge.pseudonymise.identities import address_text
from evaluation.datasets import BENCHMARK_DATA_VARIABLE, DatasetError
from evaluation.linkage.county import TruthMissingError
from evaluation.linkage.identities import PASSING_KEY, matched_addresses, rows_of_people_and_properties
from governance.address_levels import MATCH_LEVELS
from governance.contracts import Identifier, Table, read_contracts
from stores.home import Home

LEAST_RIGHT = 0.99
"""Share of the labelled addresses whose property or building is found: 99.1 % of properties is the matcher's own."""

MOST_WRONG = 0.01
"""Share of all addresses that may lead to a property or building that is not theirs."""

LABELLED_FOLDER = "uk_addresses"
_LABELLED = Path(__file__).with_name("addresses_labelled.sql")
_JUDGED = Path(__file__).with_name("addresses_judged.sql")

Verdict = Literal["right", "right building", "wrong", "nothing", "unknown"]


@dataclass(frozen=True)
class FeedAddresses:
    """Written addresses of one feed (or all) that came without a UPRN.

    `right`: the home is found; `right_building`: only its building, which is kept apart from homes; `wrong`: another
    property or building; `ambiguous`, `unmatched`: nothing is found. `unknown` are found, but their record has no
    true home, and are in no share. `by_level`: addresses by how they were matched; `wrong_by_level`: the wrong ones.
    """

    feed: str
    addresses: int
    right: int
    right_building: int
    wrong: int
    ambiguous: int
    unmatched: int
    unknown: int
    by_level: dict[str, int]
    wrong_by_level: dict[str, int]

    @property
    def judged(self) -> int:
        return self.addresses - self.unknown

    @property
    def share_right(self) -> float:
        return self.right / self.judged if self.judged else 0.0

    @property
    def share_right_building(self) -> float:
        return self.right_building / self.judged if self.judged else 0.0

    @property
    def share_wrong(self) -> float:
        return self.wrong / self.judged if self.judged else 0.0


@dataclass(frozen=True)
class AddressFigures:
    """What `doorstep evaluate addresses` finds, in all and by feed. `least_right` only where it is promised."""

    dataset: str
    total: FeedAddresses
    feeds: tuple[FeedAddresses, ...]
    least_right: float | None

    @property
    def holds(self) -> bool:
        """True if few lead to a wrong place and, where it is promised, enough lead to the right one."""
        found = self.total.share_right + self.total.share_right_building
        return self.total.share_wrong <= MOST_WRONG and (
            self.least_right is None or found >= self.least_right
        )


def evaluate_labelled() -> AddressFigures:
    """Judge the labelled addresses of the reference data. Raises `DatasetError` where they are not at hand."""
    folder = _labelled_folder()
    with duckdb.connect(":memory:", config={"threads": 1, "temp_directory": ""}) as connection:
        for statement in _LABELLED.read_text(encoding="utf-8").split(";"):
            if statement.strip():
                connection.execute(statement, {"folder": str(folder)})
        gazetteer = connection.execute("from gazetteer").fetch_arrow_table()
        written = connection.execute("from written").fetch_arrow_table()
    matched = matched_in(gazetteer, address_texts(written["address"], written["postcode"]), PASSING_KEY)
    asked = _asked("labelled", written["record_id"], matched, written["address"], written["postcode"])
    true_homes = pa.table({"address_id": asked["address_id"], "uprn": written["source_uprn"]})
    return judged("labelled", asked, true_homes, gazetteer, least_right=LEAST_RIGHT)


def evaluate_county(home: Home) -> AddressFigures:
    """Judge the addresses that came without a UPRN in the newest row of each record of `home`'s files.

    Raises `TruthMissingError` if the home was not made by the generator.
    """
    if not (home.truth / "residences.parquet").is_file():
        raise TruthMissingError(
            "This home has no truth to judge addresses against: only a synthetic county has."
        )
    contracts = read_contracts()
    rows = rows_of_people_and_properties(home, contracts)
    matched = matched_addresses(contracts, rows)
    asked = [
        _asked_of(contracts[feed].table(name), found, matched)
        for (feed, name), found in rows.items()
        if contracts[feed].table(name).holds_people and found.num_rows
    ]
    gazetteers = [
        _places(contracts[feed].table(name), found)
        for (feed, name), found in rows.items()
        if is_gazetteer(contracts[feed].table(name))
    ]
    return judged(
        "county",
        pa.concat_tables([table for table in asked if table is not None]),
        _true_homes(home),
        pa.concat_tables(gazetteers),
        least_right=None,
    )


def judged(
    dataset: str, asked: pa.Table, true_homes: pa.Table, gazetteer: pa.Table, *, least_right: float | None
) -> AddressFigures:
    """Judge `asked` (address_id, feed, level, uprn, parent_uprn) by `true_homes` (address_id, uprn; several may be
    right) and the buildings of `gazetteer` (uprn, parent_uprn)."""
    with duckdb.connect(":memory:", config={"threads": 1, "temp_directory": ""}) as connection:
        connection.register("asked", asked)
        connection.register("true_homes", true_homes)
        connection.register("gazetteer", gazetteer)
        counts: list[tuple[str, str, Verdict, int]] = connection.execute(
            _JUDGED.read_text(encoding="utf-8")
        ).fetchall()
    feeds = sorted({feed for feed, _, _, _ in counts})
    return AddressFigures(
        dataset,
        _figures("all", counts),
        tuple(_figures(feed, [row for row in counts if row[0] == feed]) for feed in feeds),
        least_right,
    )


def _figures(feed: str, counts: Sequence[tuple[str, str, Verdict, int]]) -> FeedAddresses:
    def verdict(name: Verdict) -> int:
        return sum(count for _, _, found, count in counts if found == name)

    def level(name: str, only: Verdict | None = None) -> int:
        return sum(count for _, held, found, count in counts if held == name and only in (None, found))

    return FeedAddresses(
        feed=feed,
        addresses=sum(count for *_, count in counts),
        right=verdict("right"),
        right_building=verdict("right building"),
        wrong=verdict("wrong"),
        ambiguous=level("ambiguous"),
        unmatched=level("unmatched"),
        unknown=verdict("unknown"),
        by_level={name: level(name) for name in MATCH_LEVELS},
        wrong_by_level={name: level(name, "wrong") for name in MATCH_LEVELS if level(name, "wrong")},
    )


def _asked_of(table: Table, rows: pa.Table, matched: MatchedAddresses) -> pa.Table | None:
    """Return what was found for the rows of `table` that have an address and no UPRN."""
    uprns = table.with_identifier(Identifier.UPRN)
    addresses = address_text(table, rows, Identifier.ADDRESS)
    if addresses is None or len(uprns) != 1:
        return None
    wanted = pc.and_(pc.is_null(rows[uprns[0].name]), pc.is_valid(addresses))
    ids = pc.binary_join_element_wise(table.feed, table.name, rows["key"], "|")
    postcodes = address_text(table, rows, Identifier.POSTCODE)
    return _asked(
        table.feed,
        ids.filter(wanted),
        matched,
        addresses.filter(wanted),
        None if postcodes is None else postcodes.filter(wanted),
    )


def _asked(
    feed: str,
    ids: pa.ChunkedArray,
    matched: MatchedAddresses,
    addresses: pa.ChunkedArray,
    postcodes: pa.ChunkedArray | None,
) -> pa.Table:
    found = matched.matches(addresses, postcodes, len(addresses))
    names = {"address_id": ids.combine_chunks(), "feed": pa.repeat(feed, len(addresses))}
    asked = pa.table(names | {name: found[name] for name in found.column_names})
    # Blank lines are no address.
    return asked.filter(pc.is_valid(asked["level"]))


def _true_homes(home: Home) -> pa.Table:
    records = pq.read_table(home.truth / "records.parquet", columns=["feed", "table", "key", "person_id"])
    ids = pc.binary_join_element_wise(records["feed"], records["table"], records["key"], "|")
    stays = pq.read_table(home.truth / "residences.parquet", columns=["person_id", "uprn"])
    return (
        records.append_column("address_id", ids)
        .join(stays, "person_id", join_type="inner")
        .select(["address_id", "uprn"])
    )


def _places(table: Table, rows: pa.Table) -> pa.Table:
    parents = table.with_identifier(Identifier.PARENT_UPRN)
    return pa.table({"uprn": rows[table.key[0].name], "parent_uprn": rows[parents[0].name]})


def _labelled_folder() -> Path:
    folder = os.environ.get(BENCHMARK_DATA_VARIABLE)
    if not folder:
        raise DatasetError(
            f"{BENCHMARK_DATA_VARIABLE} is not set: set it to the folder that holds {LABELLED_FOLDER}/."
        )
    path = Path(folder) / LABELLED_FOLDER
    if not path.is_dir():
        raise DatasetError(f"{path}: no such folder; it holds the labelled addresses.")
    return path
