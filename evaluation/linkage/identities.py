"""The identities of a county's people, read from its partners' files without a night: the newest of each record.

What the bridge would encode, but for rows that it would quarantine. Only evaluation needs it: a measurement of linkage
at full size would else load, seal and open three years of deliveries first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bridge.addresses import MatchedAddresses, is_gazetteer, matched_in, texts_without_uprn
from bridge.files.parsing import parse_tables
from bridge.files.typed_columns import typed_columns
from bridge.pseudonymise.deliveries import ADULT_DAYS
from bridge.pseudonymise.identities import IDENTITY_COLUMNS, address_text, identities
from expectations.rules import DELIVERY_ID
from governance.contracts import FeedContract, Identifier, Table, delivery_date_of, read_contracts
from stores.home import Home

KEY_SEPARATOR = "|"
"""Between the parts of a key in the county's truth."""

LANDING = re.compile(r"received=(\d{4}-\d{2}-\d{2})")
PASSING_KEY = b"addresses of one evaluation"


@dataclass(frozen=True)
class _File:
    path: Path
    delivery_date: date
    received: str


def newest_identities(home: Home) -> pa.Table:
    """Return the newest identity of every record of a person: record_ref, feed, table, key, is_minor, then the
    columns that `bridge.link_keys.encoding` encodes, as partners wrote them; sorted by record_ref.

    `key` is written as in the county's truth; `record_ref` is made of feed, table and key.
    """
    contracts = read_contracts()
    rows = rows_of_people_and_properties(home, contracts)
    matched = matched_addresses(contracts, rows)
    parts = [
        _identities(contracts[feed].table(name), found, matched)
        for (feed, name), found in rows.items()
        if contracts[feed].table(name).holds_people and found.num_rows
    ]
    return pa.concat_tables(parts).combine_chunks().sort_by("record_ref")


def rows_of_people_and_properties(
    home: Home, contracts: Mapping[str, FeedContract]
) -> dict[tuple[str, str], pa.Table]:
    """Return the newest rows of every table of people and of the gazetteer, by feed and table, with their `key`."""
    return {
        (feed, table.name): _newest_rows(home, contract, table)
        for feed, contract in contracts.items()
        for table in contract.tables
        if table.holds_people or is_gazetteer(table)
    }


def _newest_rows(home: Home, contract: FeedContract, table: Table) -> pa.Table:
    """Read the files of `table` from the newest back and keep of each key what was not seen yet."""
    seen = pa.array([], pa.string())
    parts = []
    for file in sorted(_files(home, contract, table), key=lambda file: (file.delivery_date, file.received))[
        ::-1
    ]:
        texts = parse_tables(file.path, contract, [table])[table.name].rows
        ids = pa.array(np.full(texts.num_rows, file.delivery_date.isoformat()), pa.string())
        typed = typed_columns(contract, table, texts.add_column(0, DELIVERY_ID, ids))
        typed = typed.append_column("key", _keys(table, texts)).filter(pc.is_valid(typed[table.key[0].name]))
        fresh = typed.filter(pc.invert(pc.is_in(typed["key"], value_set=seen)))
        fresh = fresh.take(_last_of_each(fresh["key"]))
        if fresh.num_rows:
            parts.append(fresh)
            seen = pa.concat_arrays([seen, fresh["key"].combine_chunks()])
    return pa.concat_tables(parts).combine_chunks() if parts else pa.table({})


def _files(home: Home, contract: FeedContract, table: Table) -> Iterator[_File]:
    for path in sorted(home.feed_inbox(contract.feed).rglob("*")):
        named = table.file_pattern.fullmatch(path.name)
        if named is not None and path.is_file():
            landing = LANDING.fullmatch(path.parent.name)
            yield _File(path, delivery_date_of(named["delivery_date"]), landing[1] if landing else "")


def _keys(table: Table, texts: pa.Table) -> pa.Array | pa.ChunkedArray:
    parts = [pc.fill_null(pc.utf8_trim_whitespace(texts[column.name]), "") for column in table.key]
    return pc.binary_join_element_wise(*parts, KEY_SEPARATOR)


def _last_of_each(keys: pa.ChunkedArray) -> pa.Array:
    places = pa.table({"key": keys, "place": np.arange(len(keys))})
    return places.group_by("key").aggregate([("place", "max")])["place_max"].combine_chunks().sort()


def matched_addresses(
    contracts: Mapping[str, FeedContract], rows: Mapping[tuple[str, str], pa.Table]
) -> MatchedAddresses:
    """Match the addresses that came without a UPRN against the gazetteer that came with the other files."""
    texts: set[str] = set()
    gazetteers = []
    for (feed, name), found in rows.items():
        table = contracts[feed].table(name)
        if is_gazetteer(table):
            gazetteers.append(
                pa.table(
                    {
                        "uprn": found[table.key[0].name],
                        "address": address_text(table, found, Identifier.ADDRESS),
                        "postcode": address_text(table, found, Identifier.POSTCODE),
                        "parent_uprn": _parents(table, found),
                    }
                )
            )
        elif found.num_rows and table.with_identifier(Identifier.ADDRESS):
            texts |= texts_without_uprn(table, found)
    if not gazetteers or not texts:
        return MatchedAddresses(PASSING_KEY, {})
    return matched_in(pa.concat_tables(gazetteers).sort_by("uprn"), texts, PASSING_KEY)


def _parents(table: Table, rows: pa.Table) -> pa.Array | pa.ChunkedArray:
    parents = table.with_identifier(Identifier.PARENT_UPRN)
    return rows[parents[0].name] if parents else pa.nulls(rows.num_rows, pa.string())


def _identities(table: Table, rows: pa.Table, matched: MatchedAddresses) -> pa.Table:
    uprns = table.with_identifier(Identifier.UPRN)
    if len(uprns) == 1 and table.with_identifier(Identifier.ADDRESS):
        name = uprns[0].name
        found = _uprns(table, rows, matched, Identifier.ADDRESS, Identifier.POSTCODE)
        rows = rows.set_column(rows.column_names.index(name), name, pc.coalesce(rows[name], found))
    forwarding = _uprns(table, rows, matched, Identifier.FORWARDING_ADDRESS, Identifier.FORWARDING_POSTCODE)
    count = rows.num_rows
    feed, name = (pa.array(np.full(count, text), pa.string()) for text in (table.feed, table.name))
    references = pc.binary_join_element_wise(feed, name, rows["key"].combine_chunks(), KEY_SEPARATOR)
    people = identities(table, rows, references, forwarding)
    born = pc.fill_null(people["date_of_birth"].cast(pa.int32()), -(2**31)).to_numpy()
    delivered = rows[DELIVERY_ID].to_numpy().astype("datetime64[D]").astype(np.int64)
    columns = {"record_ref": references, "feed": feed, "table": name, "key": rows["key"]}
    columns["is_minor"] = pa.array(delivered - born < ADULT_DAYS)
    return pa.table(columns | {column: people[column] for column in IDENTITY_COLUMNS})


def _uprns(
    table: Table, rows: pa.Table, matched: MatchedAddresses, address: Identifier, postcode: Identifier
) -> pa.Array:
    return matched.uprns(
        address_text(table, rows, address), address_text(table, rows, postcode), rows.num_rows
    )
