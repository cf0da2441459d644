"""What a case note says never leaves the council, and the council itself lets go of it once it is sealed.

The notes of a small county are delivered as files, loaded, sealed and opened. Then every sentence of every note
is looked for: in the sealed packages, in all that the analytics zone wrote, and in what the council kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from two_zones import TwoZones, make_two_zones

from bridge.deliveries.inbox import register_deliveries
from bridge.deliveries.ledger import SEALED, deliveries
from bridge.deliveries.loading import load_deliveries
from bridge.pseudonymise.deliveries import pseudonymise_deliveries
from bridge.vault.vault import open_vault
from exchange.sealed import open_sealed, read_public_key
from governance.contracts import FeedContract
from governance.scanner import scan_analytics
from stores.encrypted import attached
from synthetic.county import make_county

FEED = "case_notes"
NIGHT = date(2025, 4, 6)
SENTENCE_LETTERS = 20


@dataclass(frozen=True)
class Crossed:
    """The notes' texts, what the deliveries store held of them before sealing, and both zones after it."""

    zones: TwoZones
    texts: tuple[str, ...]
    held_before_sealing: int

    @property
    def contract(self) -> FeedContract:
        return self.zones.council.contracts[FEED]

    @property
    def sentences(self) -> set[str]:
        """Every sentence of every note that is long enough to be nobody else's."""
        parts = {part.strip() for text in self.texts for part in re.split(r"[.,]\s", text)}
        return {part for part in parts if len(part) >= SENTENCE_LETTERS}

    @property
    def words(self) -> set[str]:
        """Every word of the notes that is no word of the contract."""
        own = set(re.findall(r"\w+", self.contract.path.read_text(encoding="utf-8").casefold()))
        own |= {part for word in own for part in word.split("_")}
        return {word for text in self.texts for word in re.findall(r"[^\W\d_]{5,}", text.casefold())} - own


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Crossed:
    zones = make_two_zones(tmp_path_factory.mktemp("notes") / "home")
    make_county(zones.home, households=400, months=6)
    council = zones.council
    register_deliveries(council, NIGHT)
    ids = [delivery.delivery_id for delivery in deliveries(council, FEED)]
    report = load_deliveries(council, FEED, ids)
    assert report.rows_quarantined == report.refused == 0
    texts = zones.ledger(f"select text from checked_{FEED}__notes order by note_reference")
    held = sum(bool(text) for (text,) in texts)
    pseudonymise_deliveries(council, FEED, ids, NIGHT)
    assert zones.open(FEED).refused == ()
    return Crossed(zones, tuple(text for (text,) in texts), held)


def cells(path: Path, key: str) -> Iterator[str]:
    """Every value of every table of an encrypted store, as text."""
    with attached(path, key, read_only=True) as connection:
        for schema, table in _tables(connection):
            for row in connection.execute(f'from "{schema}"."{table}"').fetchall():
                yield from (str(value) for value in row if value is not None)


def _tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return connection.execute(
        "select schema_name, table_name from duckdb_tables() where not internal"
    ).fetchall()


def found_in(texts: Iterator[str], sentences: set[str]) -> set[str]:
    """The sentences that stand in any of `texts`."""
    everything = "\n".join(texts)
    return {sentence for sentence in sentences if sentence in everything}


def test_the_council_reads_the_notes_before_it_seals_them(crossed: Crossed) -> None:
    assert crossed.held_before_sealing == len(crossed.texts) > 100
    assert len(crossed.sentences) > 200
    assert len(crossed.words) > 300


def test_the_concepts_that_leave_hold_nothing_but_codes_dates_numbers_and_references(
    crossed: Crossed,
) -> None:
    zones = crossed.zones
    sender = read_public_key(zones.home, "council")
    codes = {column.name: set(column.codes) for column in crossed.contract.table("concepts").columns}
    rows = 0
    for path in zones.packages(FEED):
        opened = open_sealed(path.read_bytes(), zones.analytics.keys, sender)
        concepts, notes = opened.part("payload", "concepts"), opened.part("payload", "notes")
        assert concepts is not None
        assert notes is not None
        assert set(concepts["record_ref"].to_pylist()) <= set(notes["record_ref"].to_pylist())
        assert set(concepts["note_reference"].to_pylist()) <= set(notes["note_reference"].to_pylist())
        for column in concepts.schema:
            if codes.get(column.name):
                assert set(concepts[column.name].to_pylist()) <= codes[column.name]
            elif pa.types.is_string(column.type):
                assert column.name in {"record_ref", "note_reference"}
            else:
                assert pa.types.is_date(column.type) or pa.types.is_primitive(column.type)
        rows += concepts.num_rows
    assert rows > len(crossed.texts)


def test_the_concepts_of_a_note_are_in_the_warehouse_beside_it(crossed: Crossed) -> None:
    with crossed.zones.analytics.warehouse() as warehouse:
        (stray,) = warehouse.execute(
            "select count(*) from records.case_notes__concepts anti join records.case_notes__notes "
            "using (record_ref, delivery_id)"
        ).fetchall()[0]
        (held,) = warehouse.execute("select count(*) from records.case_notes__concepts").fetchall()[0]
    assert stray == 0
    assert held > len(crossed.texts)


def test_the_sealed_packages_hold_reference_date_type_and_team_and_no_word_of_a_note(
    crossed: Crossed,
) -> None:
    zones = crossed.zones
    sender = read_public_key(zones.home, "council")
    payload_rows = 0
    for path in zones.packages(FEED):
        opened = open_sealed(path.read_bytes(), zones.analytics.keys, sender)
        payload = opened.part("payload", "notes")
        assert payload is not None
        assert payload.column_names == ["record_ref", "note_reference", "note_date", "note_type", "team"]
        payload_rows += payload.num_rows
        for part in opened.parts:
            text = "\n".join(str(value) for column in part.rows.to_pydict().values() for value in column)
            assert not crossed.words & set(re.findall(r"[^\W\d_]{5,}", text.casefold()))
    assert payload_rows == len(crossed.texts)


def test_nothing_that_the_analytics_zone_wrote_holds_a_sentence_of_a_note(crossed: Crossed) -> None:
    report = scan_analytics(crossed.zones.analytics, {"sentence": crossed.sentences})
    assert report.hits_by_kind == {}
    assert report.canaries_missed == ()
    assert report.holds


def test_the_same_scan_finds_one_sentence_that_is_put_there(crossed: Crossed) -> None:
    sentence = max(sorted(crossed.sentences), key=len)
    stray = crossed.zones.home.analytics / "note.txt"
    stray.write_text(f"told us: {sentence}.", encoding="utf-8")
    try:
        report = scan_analytics(crossed.zones.analytics, {"sentence": crossed.sentences})
        assert report.hits_by_kind["sentence"] >= 1
    finally:
        stray.unlink()


def test_no_text_stays_in_the_deliveries_store_after_sealing(crossed: Crossed) -> None:
    zones = crossed.zones
    assert all(delivery.state == SEALED for delivery in deliveries(zones.council, FEED))
    assert zones.ledger(f"select count(*) from checked_{FEED}__notes") == [(0,)]
    held = cells(zones.home.deliveries_db, zones.council.storage_key("deliveries"))
    assert found_in(held, crossed.sentences) == set()


def test_the_vault_knows_whose_note_it_is_and_not_what_it_says(crossed: Crossed) -> None:
    council = crossed.zones.council
    with open_vault(council, crossed.contract.partner) as vault:
        identities = [str(dict(identity)) for identity in vault.identities()]
    assert len(identities) == len(crossed.texts)
    assert found_in(iter(identities), crossed.sentences) == set()


def test_the_labels_of_the_notes_lie_with_the_truth_alone(crossed: Crossed) -> None:
    home = crossed.zones.home
    labels = [path for path in home.root.rglob("*labels*") if path.is_file()]
    assert labels == [home.truth / f"{FEED}_labels.parquet"]
    assert pq.read_table(labels[0]).num_rows > len(crossed.texts)
