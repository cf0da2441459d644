"""Address text to UPRN, by `uk-address-matcher` against the district's gazetteer.

Partners leave UPRNs out; the gazetteer knows every property's. Distinct address texts are matched once:
what was found (or not) is remembered under a keyed hash of the text, so that a replay costs nothing.

A text that leads to a building and to none of its flats has the building's UPRN remembered beside it, and no home:
a building's reference would make one household of all its flats.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from bridge.pseudonymise.identities import address_text
from bridge.zone import CouncilZone
from governance.address_levels import AMBIGUOUS, AS_WRITTEN, LIKELY, MATCH_LEVELS, PARENT, SURE, UNMATCHED
from governance.contracts import FeedContract, Identifier, Table
from stores.encrypted import attached, storage_key
from stores.keys import derive_key

MINIMUM_MATCH_WEIGHT = 0.0
"""Least Splink match weight (log2 odds) of an accepted match: as likely right as wrong before the next
test."""

MINIMUM_DISTINGUISHABILITY = 1.0
"""Least lead (in match weight) over the next best property: twice as likely as it, so that a neighbour's
flat is not taken for the home."""

SURE_MATCH_WEIGHT = 10.0
"""Match weight from which a match is told as sure: a thousand to one."""

CLEANING_CHUNKS = 1
"""The matcher's own batching: a district's gazetteer fits in one batch."""

GAZETTEER_TABLES = """
create table if not exists gazetteer (
    uprn varchar primary key, parent_uprn varchar, address varchar, postcode varchar,
    delivery_date date, received_date date, delivery_id varchar
);
create table if not exists address_matches (
    text_mac varchar primary key, uprn varchar, match_weight double, gazetteer_size bigint
);
alter table address_matches add column if not exists parent_uprn varchar;
alter table address_matches add column if not exists level varchar;
"""
"""`level` is null in what was remembered before there were levels."""

# Of a home made before there were levels, and of a house that has been made into flats since.
BUILDINGS_ARE_NO_HOMES = f"""
update address_matches set parent_uprn = uprn, uprn = null, level = '{PARENT}'
where uprn in (select parent_uprn from gazetteer)
"""

NEWEST_ADDRESSES = """
insert or replace into gazetteer
select uprn, parent_uprn, address, postcode, delivery_date, received_date, delivery_id
from arrived_addresses
qualify row_number() over (
    partition by uprn order by delivery_date desc, received_date desc, delivery_id desc
) = 1
"""

MATCHED = f"""
select
    text_mac,
    case
        when level is not null then level
        when uprn is null then '{UNMATCHED}'
        when match_weight is null then '{AS_WRITTEN}'
        when match_weight >= {SURE_MATCH_WEIGHT} then '{SURE}'
        else '{LIKELY}'
    end as level,
    uprn,
    parent_uprn
from address_matches
"""

# A text that found no property is tried again once the gazetteer has grown: new buildings appear some weeks
# late.
SETTLED = "select text_mac from address_matches where uprn is not null or gazetteer_size = ?"


@dataclass(frozen=True)
class AddressReport:
    """What one call matched: counts of distinct address texts.

    `matched` are `as_written` (as the gazetteer writes them), `sure` (a match weight of at least
    `SURE_MATCH_WEIGHT`) or `likely` (less). `parent` lead to one building and to none of its flats, `ambiguous` are
    as near to properties of two buildings, `unmatched` are near none.
    """

    feed: str
    texts: int
    known: int
    matched: int
    unmatched: int
    as_written: int
    sure: int
    likely: int
    parent: int
    ambiguous: int


class Match(NamedTuple):
    """What matching found for one address text. `parent_uprn` is the building's where `level` is `parent`."""

    level: str
    uprn: str | None = None
    parent_uprn: str | None = None
    match_weight: float | None = None


NOT_FOUND = Match(UNMATCHED)


@dataclass(frozen=True)
class MatchedAddresses:
    """Matches by keyed hash of the address text: what matching has found so far."""

    key: bytes
    found: Mapping[str, Match]

    def uprns(
        self,
        addresses: pa.Array | pa.ChunkedArray | None,
        postcodes: pa.Array | pa.ChunkedArray | None,
        count: int,
    ) -> pa.Array:
        """Return the UPRN of each of `count` addresses, null where none is known."""
        return self.matches(addresses, postcodes, count)["uprn"].combine_chunks()

    def matches(
        self,
        addresses: pa.Array | pa.ChunkedArray | None,
        postcodes: pa.Array | pa.ChunkedArray | None,
        count: int,
        wanted: pa.Array | pa.ChunkedArray | None = None,
    ) -> pa.Table:
        """Return level, uprn and parent_uprn of each of `count` addresses; null where there is no text, or where
        `wanted` is false."""
        names = ("level", "uprn", "parent_uprn")
        if addresses is None:
            return pa.table({name: pa.nulls(count, pa.string()) for name in names})
        texts = _text_column(addresses, postcodes, wanted).dictionary_encode()
        found = [self.found.get(_mac(self.key, text), NOT_FOUND) for text in texts.dictionary.to_pylist()]
        columns = {
            name: pa.array([each[place] for each in found], pa.string()) for place, name in enumerate(names)
        }
        return pa.table({name: column.take(texts.indices) for name, column in columns.items()})


def match_addresses(zone: CouncilZone, feed: str, delivery_ids: Sequence[str]) -> AddressReport:
    """Find the UPRN of every address in `delivery_ids` of `feed` that has none, and of every forwarding
    address.

    Texts of other feeds whose checked rows wait are matched in the same go, since starting the matcher
    costs more than matching. What is found is kept in the council's ledger; `pseudonymise_deliveries` reads
    it. Counts are of `feed`'s distinct texts.
    """
    with attached(zone.home.deliveries_db, storage_key(zone.keys, "deliveries")) as ledger:
        refresh_gazetteer(zone, ledger)
        own = _waiting_texts(ledger, zone.contracts[feed], set(delivery_ids))
        key = _text_key(zone)
        macs = {_mac(key, text) for text in own}
        size = _gazetteer_size(ledger)
        settled = _column(ledger.execute(SETTLED, [size]))
        if macs <= settled or not size:
            return _report(ledger, feed, macs, known=len(macs & settled))
        waiting = set(own).union(*(_waiting_texts(ledger, other) for other in zone.contracts.values()))
        new = sorted(text for text in waiting if _mac(key, text) not in settled)
        gazetteer = ledger.execute("select uprn, address, postcode, parent_uprn from gazetteer order by uprn")
        _remember(ledger, key, new, match_texts(gazetteer.fetch_arrow_table(), new), size)
        return _report(ledger, feed, macs, known=len(macs & settled))


def matched_addresses(zone: CouncilZone, ledger: duckdb.DuckDBPyConnection) -> MatchedAddresses:
    """Return what matching has found so far."""
    ledger.execute(GAZETTEER_TABLES)
    known = ledger.execute(MATCHED).fetchall()
    return MatchedAddresses(_text_key(zone), {mac: Match(*match) for mac, *match in known})


def refresh_gazetteer(zone: CouncilZone, ledger: duckdb.DuckDBPyConnection) -> None:
    """Bring the council's own copy of the gazetteer up to date from checked deliveries of gazetteer tables.

    The newest delivery of a property wins. A property that is no longer delivered stays: old records still
    name it.
    """
    ledger.execute(GAZETTEER_TABLES)
    for contract in zone.contracts.values():
        for table in contract.tables:
            if is_gazetteer(table) and _exists(ledger, table):
                _take_addresses(ledger, contract, table)
    ledger.execute(BUILDINGS_ARE_NO_HOMES)


def is_gazetteer(table: Table) -> bool:
    """True for a table of properties: keyed by UPRN, with an address, naming no people."""
    return (
        [column.identifier for column in table.key] == [Identifier.UPRN]
        and bool(table.with_identifier(Identifier.ADDRESS))
        and not table.holds_people
    )


def _take_addresses(ledger: duckdb.DuckDBPyConnection, contract: FeedContract, table: Table) -> None:
    rows = ledger.execute(
        f"select checked.*, delivery_date, received_date from checked_{table.qualified_name} as checked "
        "join deliveries using (delivery_id) where deliveries.feed = ?",
        [contract.feed],
    ).fetch_arrow_table()
    if not rows.num_rows:
        return
    parents = table.with_identifier(Identifier.PARENT_UPRN)
    postcodes = table.with_identifier(Identifier.POSTCODE)
    arrived = pa.table(
        {
            "uprn": rows[table.key[0].name],
            "parent_uprn": rows[parents[0].name] if parents else pa.nulls(rows.num_rows, pa.string()),
            "address": address_text(table, rows, Identifier.ADDRESS),
            "postcode": rows[postcodes[0].name] if postcodes else pa.nulls(rows.num_rows, pa.string()),
            "delivery_date": rows["delivery_date"],
            "received_date": rows["received_date"],
            "delivery_id": rows["delivery_id"],
        }
    )
    ledger.register("arriving_addresses", arrived)
    ledger.execute(
        "create or replace temp view arrived_addresses as "
        "from arriving_addresses union all by name select * from gazetteer"
    )
    ledger.execute(NEWEST_ADDRESSES)
    ledger.execute("drop view arrived_addresses")
    ledger.unregister("arriving_addresses")


def address_texts(
    addresses: pa.Array | pa.ChunkedArray, postcodes: pa.Array | pa.ChunkedArray | None
) -> set[str]:
    """Return the distinct texts to match of rows of addresses and postcodes."""
    return _distinct(_texts(addresses, postcodes))


def _waiting_texts(
    ledger: duckdb.DuckDBPyConnection, contract: FeedContract, delivery_ids: set[str] | None = None
) -> set[str]:
    """Return the distinct address texts of checked rows that need a UPRN."""
    texts: set[str] = set()
    for table in contract.tables:
        if is_gazetteer(table) or not table.with_identifier(Identifier.ADDRESS) or not _exists(ledger, table):
            continue
        rows = ledger.execute(f"from checked_{table.qualified_name}").fetch_arrow_table()
        if delivery_ids is not None:
            rows = rows.filter(pc.is_in(rows["delivery_id"], pa.array(sorted(delivery_ids), pa.string())))
        texts |= texts_without_uprn(table, rows)
    return texts


def texts_without_uprn(table: Table, rows: pa.Table) -> set[str]:
    """Return the distinct address texts of `rows` of `table` that need a UPRN: homes without, and all forwarding
    addresses.
    """
    texts: set[str] = set()
    uprns = table.with_identifier(Identifier.UPRN)
    if len(uprns) == 1:
        addresses = address_text(table, rows, Identifier.ADDRESS)
        postcodes = address_text(table, rows, Identifier.POSTCODE)
        texts |= _distinct(_texts(addresses, postcodes, pc.is_null(rows[uprns[0].name])))
    forwarding = address_text(table, rows, Identifier.FORWARDING_ADDRESS)
    if forwarding is not None:
        texts |= _distinct(_texts(forwarding, address_text(table, rows, Identifier.FORWARDING_POSTCODE)))
    return texts


def matched_in(gazetteer: pa.Table, texts: Iterable[str], key: bytes) -> MatchedAddresses:
    """Match `texts` against a gazetteer of one's own and keep nothing: for evaluation."""
    found = match_texts(gazetteer, sorted(texts))
    return MatchedAddresses(key, {_mac(key, text): each for text, each in found.items()})


# Only a text that is one property's alone: two flats of one written address are left to the matcher.
LETTERS_AND_DIGITS = """
with places as (
    select regexp_replace(upper(address), '[^A-Z0-9]', '', 'g') as line,
        replace(upper(postcode), ' ', '') as code, min(uprn) as uprn
    from gazetteer group by all having count(*) = 1
)
select texts.text, places.uprn, null::double as match_weight
from texts join places
    on regexp_replace(split_part(texts.text, chr(10), 1), '[^A-Z0-9]', '', 'g') = places.line
        and replace(split_part(texts.text, chr(10), 2), ' ', '') = places.code
"""


LEVELS_OF_CANDIDATES = Path(__file__).with_name("address_levels.sql")

CANDIDATE_SCHEMA = pa.schema([("text", pa.string()), ("uprn", pa.string()), ("match_weight", pa.float64())])
"""One row for each property that a text may mean; no weight: as the gazetteer writes it."""


def match_texts(gazetteer: pa.Table, texts: Sequence[str]) -> dict[str, Match]:
    """Return what is found for every one of `texts` in `gazetteer`: uprn, address, postcode and, if it has it,
    parent_uprn.

    A text that is one property's address and postcode letter by letter, but for spaces, commas and case, has no
    weight. Many are, and the matcher that the others need costs a hundred times as much.
    """
    if "parent_uprn" not in gazetteer.column_names:
        gazetteer = gazetteer.append_column("parent_uprn", pa.nulls(gazetteer.num_rows, pa.string()))
    with duckdb.connect(":memory:", config={"temp_directory": ""}) as connection:
        connection.execute("set threads = 2")
        connection.register("gazetteer", gazetteer)
        connection.register("texts", pa.table({"text": pa.array(texts, pa.string())}))
        exact = connection.execute(LETTERS_AND_DIGITS).fetch_arrow_table()
        written = _distinct(exact["text"].to_pylist())
        rest = [text for text in texts if text not in written]
        alike = _candidates_by_likeness(gazetteer.drop_columns("parent_uprn"), rest) if rest else None
        candidates = [exact] if alike is None else [exact, alike]
        connection.register(
            "candidates", pa.concat_tables([rows.cast(CANDIDATE_SCHEMA) for rows in candidates])
        )
        names = {"as_written": AS_WRITTEN, "sure": SURE, "likely": LIKELY, "parent": PARENT}
        limits = {
            "minimum_match_weight": MINIMUM_MATCH_WEIGHT,
            "minimum_distinguishability": MINIMUM_DISTINGUISHABILITY,
            "sure_match_weight": SURE_MATCH_WEIGHT,
        }
        decided = connection.execute(
            LEVELS_OF_CANDIDATES.read_text(encoding="utf-8"),
            names | {"ambiguous": AMBIGUOUS, "unmatched": UNMATCHED} | limits,
        ).fetchall()
    return {text: Match(*rest_of_match) for text, *rest_of_match in decided}


def _candidates_by_likeness(gazetteer: pa.Table, texts: Sequence[str]) -> pa.Table:
    """Return the properties that each of `texts` may mean, with their match weights."""
    # Imported here: it brings Splink, and most nights have no new address.
    from uk_address_matcher import AddressMatcher, ExactMatchStage, SplinkStage

    logging.getLogger("uk_address_matcher").setLevel(logging.WARNING)
    split = [text.rpartition(SEPARATOR) for text in texts]
    messy = pa.table(
        {
            "unique_id": [str(place) for place in range(len(texts))],
            "address_concat": [address for address, _, _ in split],
            "postcode": [postcode for _, _, postcode in split],
        }
    )
    # A connection of its own, in memory: the matcher makes tables as it likes.
    connection = duckdb.connect(":memory:", config={"temp_directory": ""})
    try:
        connection.execute("set threads = 2")
        connection.register(
            "gazetteer", gazetteer.rename_columns(["unique_id", "address_concat", "postcode"])
        )
        connection.register("messy", messy)
        likeness = SplinkStage()
        matcher = AddressMatcher(
            canonical_addresses=connection.sql("from gazetteer"),
            addresses_to_match=connection.sql("from messy"),
            con=connection,
            stages=[ExactMatchStage(), likeness],
            cleaning_num_chunks=CLEANING_CHUNKS,
            show_progress="off",
        )
        exact = matcher.match().matches().filter("match_reason not ilike '%splink%'")
        parts = [
            exact.filter("resolved_canonical_id is not null").project(
                "unique_id, resolved_canonical_id as uprn, null::double as match_weight"
            )
        ]
        if likeness.best_matches_table is not None:
            # All candidates, not only the best: without them nobody can tell two flats from no match at all.
            near = connection.table(likeness.best_matches_table).filter("unique_id_l is not null")
            parts.append(near.project("unique_id_r as unique_id, unique_id_l as uprn, match_weight"))
        found = pa.concat_tables(
            [part.fetch_arrow_table().rename_columns(["place", "uprn", "match_weight"]) for part in parts],
            promote_options="permissive",
        )
        places = found["place"].cast(pa.int64()).combine_chunks()
        candidates = found.set_column(0, "text", pa.array(texts, pa.string()).take(places))
        return candidates.cast(CANDIDATE_SCHEMA)
    finally:
        connection.close()


def _remember(
    ledger: duckdb.DuckDBPyConnection,
    key: bytes,
    texts: Sequence[str],
    found: Mapping[str, Match],
    gazetteer_size: int,
) -> None:
    results = [found[text] for text in texts]
    remembered = pa.table(
        {
            "text_mac": [_mac(key, text) for text in texts],
            "uprn": pa.array([each.uprn for each in results], pa.string()),
            "match_weight": pa.array([each.match_weight for each in results], pa.float64()),
            "gazetteer_size": pa.array([gazetteer_size] * len(texts), pa.int64()),
            "parent_uprn": pa.array([each.parent_uprn for each in results], pa.string()),
            "level": pa.array([each.level for each in results], pa.string()),
        }
    )
    ledger.register("remembered", remembered)
    ledger.execute("insert or replace into address_matches by name select * from remembered")
    ledger.unregister("remembered")


LEVELS_ASKED = f"select level, count(*) from ({MATCHED}) join asked using (text_mac) group by level"


def _report(ledger: duckdb.DuckDBPyConnection, feed: str, macs: set[str], known: int) -> AddressReport:
    ledger.register("asked", pa.table({"text_mac": pa.array(sorted(macs), pa.string())}))
    levels: dict[str, int] = dict(ledger.execute(LEVELS_ASKED).fetchall())
    ledger.unregister("asked")
    told = sum(levels.values())
    counts = {level: levels.get(level, 0) for level in MATCH_LEVELS}
    # Without a gazetteer nothing is remembered.
    counts[UNMATCHED] += len(macs) - told
    matched = counts[AS_WRITTEN] + counts[SURE] + counts[LIKELY]
    return AddressReport(feed, len(macs), known, matched, **counts)


SEPARATOR = "\n"
"""Between address and postcode in a text: no address line holds it."""


def _texts(
    addresses: pa.Array | pa.ChunkedArray | None,
    postcodes: pa.Array | pa.ChunkedArray | None,
    wanted: pa.Array | pa.ChunkedArray | None = None,
) -> list[str | None]:
    """Return each row's address and postcode as one text, spaces and case evened out; None without an
    address."""
    return [] if addresses is None else _text_column(addresses, postcodes, wanted).to_pylist()


def _text_column(
    addresses: pa.Array | pa.ChunkedArray,
    postcodes: pa.Array | pa.ChunkedArray | None,
    wanted: pa.Array | pa.ChunkedArray | None = None,
) -> pa.Array:
    lines = _even(addresses)
    codes = pa.nulls(len(lines), pa.string()) if postcodes is None else _even(postcodes)
    texts = pc.binary_join_element_wise(lines, pc.fill_null(codes, ""), SEPARATOR)
    if wanted is not None:
        texts = pc.if_else(wanted, texts, None)
    texts = pc.if_else(pc.starts_with(texts, SEPARATOR), None, texts)
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def _even(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    upper = pc.utf8_upper(whole.cast(pa.string()))
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(upper, r"\s+", " "))


def _distinct(texts: Iterable[str | None]) -> set[str]:
    return {text for text in texts if text is not None}


def _mac(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()[:32]


def _text_key(zone: CouncilZone) -> bytes:
    return derive_key(zone.keys.root("pseudonym"), "address_text")


def _gazetteer_size(ledger: duckdb.DuckDBPyConnection) -> int:
    return int(_column(ledger.execute("select count(*) from gazetteer")).pop())


def _exists(ledger: duckdb.DuckDBPyConnection, table: Table) -> bool:
    name = f"checked_{table.qualified_name}"
    found = ledger.execute("select 1 from duckdb_tables() where table_name = ?", [name]).fetchone()
    return found is not None


def _column(result: duckdb.DuckDBPyConnection) -> set[str]:
    return {row[0] for row in result.fetchall()}
