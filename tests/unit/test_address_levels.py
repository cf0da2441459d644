"""What an address text means: its home, only its building, one of several, or nothing."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from bridge import addresses
from bridge.addresses import CANDIDATE_SCHEMA, MatchedAddresses, address_texts, match_texts, matched_in

# Holly House, 30 Fir Lane, has flats 1 and 2; 7 and 9 Fir Lane are houses.
GAZETTEER = pa.table(
    {
        "uprn": ["30", "301", "302", "7", "9"],
        "address": [
            "HOLLY HOUSE, 30 FIR LANE",
            "FLAT 1, HOLLY HOUSE, 30 FIR LANE",
            "FLAT 2, HOLLY HOUSE, 30 FIR LANE",
            "7 FIR LANE",
            "9 FIR LANE",
        ],
        "postcode": ["ZZ1 1AA"] * 5,
        "parent_uprn": pa.array([None, "30", "30", None, None], pa.string()),
    }
)
TEXT = "FIR LANE\nZZ1 1AA"


def found(monkeypatch: pytest.MonkeyPatch, candidates: dict[str, float]) -> addresses.Match:
    """Return what is found for a text that the matcher finds alike to `candidates`, by UPRN."""
    rows = [{"text": TEXT, "uprn": uprn, "match_weight": weight} for uprn, weight in candidates.items()]
    alike = pa.Table.from_pylist(rows, schema=CANDIDATE_SCHEMA)
    monkeypatch.setattr(addresses, "_candidates_by_likeness", lambda *_: alike)
    return match_texts(GAZETTEER, [TEXT])[TEXT]


@pytest.mark.parametrize(
    ("candidates", "level", "uprn", "parent_uprn"),
    [
        pytest.param({"7": 12.0, "9": 3.0}, "sure", "7", None, id="one house, far ahead"),
        pytest.param({"7": 4.0, "9": 3.0}, "likely", "7", None, id="one house, ahead by just enough"),
        pytest.param({"7": 12.0, "9": 11.5}, "ambiguous", None, None, id="two houses"),
        pytest.param({"301": 12.0, "302": 9.0}, "sure", "301", None, id="one flat, ahead of its neighbour"),
        pytest.param(
            {"301": 12.0, "302": 11.5, "7": 2.0}, "parent", None, "30", id="two flats of one building"
        ),
        pytest.param({"30": 12.0, "301": 2.0}, "parent", None, "30", id="the building itself"),
        pytest.param({"301": 12.0, "7": 11.5}, "ambiguous", None, None, id="a flat and a house"),
        pytest.param({"7": -1.0, "9": -9.0}, "unmatched", None, None, id="near nothing"),
        pytest.param({}, "unmatched", None, None, id="no candidate"),
    ],
)
def test_what_a_text_means_follows_from_what_is_near_it(
    monkeypatch: pytest.MonkeyPatch,
    candidates: dict[str, float],
    level: str,
    uprn: str | None,
    parent_uprn: str | None,
) -> None:
    match = found(monkeypatch, candidates)
    assert (match.level, match.uprn, match.parent_uprn) == (level, uprn, parent_uprn)


def test_a_building_that_is_written_out_is_nobodys_home() -> None:
    written = pa.array(["Flat 1, Holly House, 30 Fir Lane", "Holly House 30 Fir  Lane", "7 fir lane", None])
    postcodes = pa.array(["ZZ1 1AA", "zz11aa", "ZZ1 1AA", "ZZ1 1AA"])
    matched = matched_in(GAZETTEER, address_texts(written, postcodes), b"key")
    assert matched.matches(written, postcodes, 4).to_pylist() == [
        {"level": "as_written", "uprn": "301", "parent_uprn": None},
        {"level": "parent", "uprn": None, "parent_uprn": "30"},
        {"level": "as_written", "uprn": "7", "parent_uprn": None},
        {"level": None, "uprn": None, "parent_uprn": None},
    ]
    assert matched.uprns(written, postcodes, 4).to_pylist() == ["301", None, "7", None]


def test_a_text_that_was_never_asked_is_unmatched() -> None:
    matched = MatchedAddresses(b"key", {}).matches(pa.array(["7 Fir Lane"]), None, 1)
    assert matched.to_pylist() == [{"level": "unmatched", "uprn": None, "parent_uprn": None}]


def test_what_an_earlier_version_remembered_is_read_and_its_buildings_are_no_homes(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "deliveries.duckdb")) as ledger:
        ledger.execute(
            "create table address_matches "
            "(text_mac varchar primary key, uprn varchar, match_weight double, gazetteer_size bigint)"
        )
        ledger.execute(
            "insert into address_matches values "
            "('a', '7', null, 5), ('b', '9', 12, 5), ('c', '301', 2, 5), ('d', '30', 12, 5), ('e', null, null, 5)"
        )
        ledger.execute(addresses.GAZETTEER_TABLES)
        ledger.execute("insert into gazetteer (uprn, parent_uprn) values ('301', '30')")
        ledger.execute(addresses.BUILDINGS_ARE_NO_HOMES)
        assert sorted(ledger.execute(addresses.MATCHED).fetchall()) == [
            ("a", "as_written", "7", None),
            ("b", "sure", "9", None),
            ("c", "likely", "301", None),
            ("d", "parent", None, "30"),
            ("e", "unmatched", None, None),
        ]
