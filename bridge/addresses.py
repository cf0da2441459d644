"""Address text to UPRN, by `uk-address-matcher` against the district's gazetteer.

Partners leave UPRNs out; the gazetteer knows every property's. Distinct address texts are matched once:
what was found (or not) is remembered under a keyed hash of the text, so that a replay costs nothing.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from bridge.pseudonymise.identities import address_text
from bridge.zone import CouncilZone
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
"""

NEWEST_ADDRESSES = """
insert or replace into gazetteer
select uprn, parent_uprn, address, postcode, delivery_date, received_date, delivery_id
from arrived_addresses
qualify row_number() over (
    partition by uprn order by delivery_date desc, received_date desc, delivery_id desc
) = 1
"""

MATCHED = "select text_mac, uprn from address_matches where uprn is not null"

# A text that found no property is tried again once the gazetteer has grown: new buildings appear some weeks
# late.
SETTLED = "select text_mac from address_matches where uprn is not null or gazetteer_size = ?"


@dataclass(frozen=True)
class AddressReport:
    """What one call matched: counts of distinct address texts.

    `matched` are `as_written` (as the gazetteer writes them), `sure` (a match weight of at least
    `SURE_MATCH_WEIGHT`) or `likely` (less). `unmatched` are near none of the gazetteer's, or as near to two.
    """

    feed: str
    texts: int
    known: int
    matched: int
    unmatched: int
    as_written: int
    sure: int
    likely: int


@dataclass(frozen=True)
class MatchedAddresses:
    """UPRNs by keyed hash of the address text: what matching has found so far."""

    key: bytes
    uprn_of: Mapping[str, str]

    def uprns(
        self,
        addresses: pa.Array | pa.ChunkedArray | None,
        postcodes: pa.Array | pa.ChunkedArray | None,
        count: int,
        wanted: pa.Array | pa.ChunkedArray | None = None,
    ) -> pa.Array:
        """Return the UPRN of each of `count` addresses, null where none is known or where `wanted` is
        false."""
        if addresses is None or not self.uprn_of:
            return pa.nulls(count, pa.string())
        texts = _text_column(addresses, postcodes, wanted).dictionary_encode()
        found = [self.uprn_of.get(_mac(self.key, text)) for text in texts.dictionary.to_pylist()]
        return pa.array(found, pa.string()).take(texts.indices)


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
        gazetteer = ledger.execute("select uprn, address, postcode from gazetteer order by uprn")
        _remember(ledger, key, new, _match(gazetteer.fetch_arrow_table(), new), size)
        return _report(ledger, feed, macs, known=len(macs & settled))


def matched_addresses(zone: CouncilZone, ledger: duckdb.DuckDBPyConnection) -> MatchedAddresses:
    """Return what matching has found so far."""
    ledger.execute(GAZETTEER_TABLES)
    return MatchedAddresses(_text_key(zone), dict(ledger.execute(MATCHED).fetchall()))


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
    """Match `texts` against a gazetteer of one's own (uprn, address, postcode) and keep nothing: for evaluation."""
    found = _match(gazetteer, sorted(texts))
    return MatchedAddresses(key, {_mac(key, text): uprn for text, (uprn, _) in found.items()})


# Only a text that is one property's alone: two flats of one written address are left to the matcher.
LETTERS_AND_DIGITS = """
with places as (
    select regexp_replace(upper(address), '[^A-Z0-9]', '', 'g') as line,
        replace(upper(postcode), ' ', '') as code, min(uprn) as uprn
    from gazetteer group by all having count(*) = 1
)
select texts.text, places.uprn
from texts join places
    on regexp_replace(split_part(texts.text, chr(10), 1), '[^A-Z0-9]', '', 'g') = places.line
        and replace(split_part(texts.text, chr(10), 2), ' ', '') = places.code
"""


def _match(gazetteer: pa.Table, texts: Sequence[str]) -> dict[str, tuple[str, float | None]]:
    """Return the UPRN and match weight of every text that has a clear match in uprn, address, postcode.

    A text that is one property's address and postcode letter by letter, but for spaces, commas and case, has no
    weight. Many are, and the matcher that the others need costs a hundred times as much.
    """
    with duckdb.connect(":memory:", config={"temp_directory": ""}) as connection:
        connection.execute("set threads = 2")
        connection.register("gazetteer", gazetteer)
        connection.register("texts", pa.table({"text": pa.array(texts, pa.string())}))
        exact = connection.execute(LETTERS_AND_DIGITS).fetchall()
    found: dict[str, tuple[str, float | None]] = {text: (str(uprn), None) for text, uprn in exact}
    rest = [text for text in texts if text not in found]
    return found | _matched_by_likeness(gazetteer, rest) if rest else found


def _matched_by_likeness(gazetteer: pa.Table, texts: Sequence[str]) -> dict[str, tuple[str, float | None]]:
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
        matcher = AddressMatcher(
            canonical_addresses=connection.sql("from gazetteer"),
            addresses_to_match=connection.sql("from messy"),
            con=connection,
            stages=[
                ExactMatchStage(),
                SplinkStage(
                    final_match_weight_threshold=MINIMUM_MATCH_WEIGHT,
                    final_distinguishability_threshold=MINIMUM_DISTINGUISHABILITY,
                ),
            ],
            cleaning_num_chunks=CLEANING_CHUNKS,
            show_progress="off",
        )
        matches = matcher.match().matches(all_columns=True)
        weight = "match_weight" if "match_weight" in matches.columns else "null::double as match_weight"
        found = matches.filter("resolved_canonical_id is not null").project(
            f"unique_id, resolved_canonical_id, {weight}"
        )
        return {texts[int(place)]: (str(uprn), weight) for place, uprn, weight in found.fetchall()}
    finally:
        connection.close()


def _remember(
    ledger: duckdb.DuckDBPyConnection,
    key: bytes,
    texts: Sequence[str],
    found: Mapping[str, tuple[str, float | None]],
    gazetteer_size: int,
) -> None:
    nothing: tuple[str | None, float | None] = (None, None)
    results = [found.get(text, nothing) for text in texts]
    remembered = pa.table(
        {
            "text_mac": [_mac(key, text) for text in texts],
            "uprn": pa.array([uprn for uprn, _ in results], pa.string()),
            "match_weight": pa.array([weight for _, weight in results], pa.float64()),
            "gazetteer_size": pa.array([gazetteer_size] * len(texts), pa.int64()),
        }
    )
    ledger.register("remembered", remembered)
    ledger.execute("insert or replace into address_matches select * from remembered")
    ledger.unregister("remembered")


BANDS = """
select
    count(*) filter (match_weight is null),
    count(*) filter (match_weight >= ?),
    count(*) filter (match_weight < ?)
from address_matches join asked using (text_mac)
where uprn is not null
"""


def _report(ledger: duckdb.DuckDBPyConnection, feed: str, macs: set[str], known: int) -> AddressReport:
    ledger.register("asked", pa.table({"text_mac": pa.array(sorted(macs), pa.string())}))
    bands = ledger.execute(BANDS, [SURE_MATCH_WEIGHT, SURE_MATCH_WEIGHT]).fetchone() or (0, 0, 0)
    ledger.unregister("asked")
    matched = sum(bands)
    return AddressReport(feed, len(macs), known, matched, len(macs) - matched, *bands)


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
