"""Why pairs are missed and why strangers meet, on link keys made for it and on real Splink."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from bridge.link_keys.encoding import encode_link_keys
from evaluation.linkage.anatomy import CAUSES, Anatomy, JudgedRecords, anatomy_of
from evaluation.linkage.clusters_measure import measure_clusters, measure_feed_pairs, measure_groups
from evaluation.linkage.groups import GROUPINGS
from evaluation.linkage.page import page
from evaluation.linkage.report import Evidence, Example, LinkageReport, WeightBand
from evaluation.linkage.two_sides import SideFigures, TwoSides
from evaluation.passing_keys import PassingKeys
from exchange.link_key_schema import FIRST_EPOCH
from linkage.model import read_model
from linkage.nights.drift import PastNight
from linkage.nights.figures import NightFigures
from linkage.scoring.pair_levels import levels_of_pairs
from linkage.scoring.pairs import linking_connection, load_compared_records, score_pairs
from linkage.scoring.waterfall import NoSuchRecordError, Waterfall, explain_pair, waterfalls
from stores.analytics import AnalyticsZone
from stores.home import Home
from stores.keys import ANALYTICS_ROOTS, create_missing_keys

MODEL = read_model()

# record, feed, true person, found person, forename, surname, date of birth, NINO, UPRN. Found is what linkage is said
# to have made of them: a1 and a2 share no token, nor do b1 and b2; c1 and c2 share all; d1 and e1 share home and name
# (a father and his namesake son).
RECORDS = """
a1 care A 1 Ottoline  Quickfall 1961-03-04 -         -
a2 tax  A 2 Zebedee   Marchbank -          -         7001
b1 care B 3 Thaddeus  Uglow     -          -         7002
b2 tax  B 4 Philippa  Hartnoll  -          -         7009
c1 care C 5 Frederick Nettlefold 1975-09-30 AJ678912A 7003
c2 tax  C 6 Frederick Nettlefold 1975-09-30 AJ678912A 7003
d1 care D 7 Jeremiah  Sparrow   -          -         7004
e1 tax  E 7 Jeremiah  Sparrow   -          -         7004
f1 care F 8 Poppy     Ravenscroft 2001-05-06 -       7005
f2 tax  F 8 Poppy     Ravenscroft 2001-05-06 -       7005
"""
COLUMNS = ("record_ref", "feed", "person", "found", "forename", "surname", "date_of_birth", "nino", "uprn")


def rows_of(text: str) -> list[dict[str, str | None]]:
    return [
        {name: None if value == "-" else value for name, value in zip(COLUMNS, line.split(), strict=True)}
        for line in text.strip().splitlines()
    ]


def link_keys_of(rows: list[dict[str, str | None]]) -> pa.Table:
    parts = []
    for feed in sorted({str(row["feed"]) for row in rows}):
        own = [
            {
                **row,
                "date_of_birth": date.fromisoformat(row["date_of_birth"]) if row["date_of_birth"] else None,
            }
            for row in rows
            if row["feed"] == feed
        ]
        keys = encode_link_keys(pa.Table.from_pylist(own), PassingKeys(), FIRST_EPOCH, feed=feed)
        parts.append(keys.append_column("feed", pa.array([feed] * len(own))))
    return pa.concat_tables(parts).sort_by("record_ref")


LINK_KEYS = link_keys_of(rows_of(RECORDS))


def judged() -> JudgedRecords:
    rows = sorted(rows_of(RECORDS), key=lambda row: str(row["record_ref"]))
    people = np.array([str(row["person"]) for row in rows])
    groups = {name: np.where(people < "D", "one", "other") for name in GROUPINGS}
    errors = np.array([1 if row["record_ref"] == "b1" else 0 for row in rows], dtype=np.uint32)
    return JudgedRecords(
        found=np.array([int(str(row["found"])) for row in rows]),
        truth=np.unique(people, return_inverse=True)[1],
        household=np.unique(np.where(people == "E", "D", people), return_inverse=True)[1],
        groups=groups,
        errors=errors,
        error_names=["typing_slip", "old_phone"],
    )


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return anatomy_of(LINK_KEYS, judged(), MODEL)


def test_each_missed_pair_is_told_by_how_far_it_came(anatomy: Anatomy) -> None:
    assert (anatomy.true_pairs, anatomy.missed_pairs) == (4, 3)
    told = {cause.cause: (cause.own, cause.parted, cause.partings) for cause in anatomy.causes}
    assert tuple(told) == CAUSES
    assert told["never compared"] == (2, 2, 2), "a1 and a2, and b1 and b2: no blocking token in common"
    assert told["parted otherwise"] == (1, 1, 1), "c1 and c2 are a sure link, which clustering would not cut"


def test_a_group_and_two_feeds_hold_what_was_missed_in_them(anatomy: Anatomy) -> None:
    (feeds,) = anatomy.by_feeds
    assert (feeds.name, feeds.true_pairs, sum(feeds.missed)) == ("care – tax", 4, 3)
    groups = {row.name: row for row in anatomy.by_group["origin"]}
    assert groups["one"].recall == 0.0
    assert groups["other"].recall == 1.0


def test_errors_are_counted_over_the_pairs_that_bear_them(anatomy: Anatomy) -> None:
    errors = {row.name: row for row in anatomy.by_error}
    assert (errors["typing_slip"].true_pairs, sum(errors["typing_slip"].missed)) == (1, 1)
    assert (errors["no error"].true_pairs, sum(errors["no error"].missed)) == (3, 2)
    assert "old_phone" not in errors


def test_a_false_pair_names_the_levels_that_let_it_in(anatomy: Anatomy) -> None:
    assert (anatomy.wrong_pairs, anatomy.mergers, anatomy.mergers_in_one_household) == (1, 1, 1)
    (pattern,) = anatomy.false_patterns
    assert {name: bits > 10 for name, _, bits in pattern.levels} == {"name": True, "home": True}
    assert pattern.example == ("d1", "e1")


def test_levels_of_pairs_weigh_what_splink_weighs() -> None:
    rows = rows_of(RECORDS) + [
        {**row, "record_ref": f"{row['record_ref']}{more}", "surname": f"{row['surname']}{'xyz'[more]}"}
        for row in rows_of(RECORDS)
        for more in range(3)
    ]
    link_keys = link_keys_of(rows)
    scored = score_pairs(link_keys, MODEL.splink_settings, -100.0, guarded=False).edges
    assert scored.num_rows > 20
    connection = linking_connection()
    load_compared_records(connection, link_keys)
    told = levels_of_pairs(connection, MODEL.splink_settings, scored)
    connection.close()
    assert told.num_rows == scored.num_rows
    np.testing.assert_allclose(told["match_weight"].to_numpy(), scored["match_weight"].to_numpy(), atol=1e-6)
    assert told["rule"].to_pylist() == scored["match_key"].to_pylist()


def told(left: str, right: str) -> Waterfall:
    return waterfalls(LINK_KEYS, pa.table({"record_ref_l": [left], "record_ref_r": [right]}), MODEL)[0]


def test_a_waterfall_adds_up_to_the_match_weight() -> None:
    waterfall = told("d1", "e1")
    total = waterfall.prior + sum(step.weight + step.rarity for step in waterfall.steps)
    assert waterfall.match_weight == pytest.approx(total)
    assert waterfall.linked
    assert waterfall.feeds == ("care", "tax")
    assert {step.comparison for step in waterfall.steps if step.known} == {"name", "home"}


def test_a_pair_without_a_shared_token_is_not_linked_whatever_it_weighs() -> None:
    waterfall = told("a1", "a2")
    assert waterfall.shared_rules == ()
    assert not waterfall.linked


@pytest.fixture
def zone(tmp_path: Path) -> AnalyticsZone:
    home = Home(tmp_path / "home")
    create_missing_keys(home.analytics_keys, ANALYTICS_ROOTS)
    zone = AnalyticsZone.open(home)
    with zone.linkage() as connection:
        connection.register("arrived", LINK_KEYS)
        connection.execute("create table link_keys as from arrived")
        connection.execute("create table people as select record_ref, 'one' as person_id from link_keys")
    return zone


def test_any_pair_can_be_explained_and_an_unknown_record_is_said_so(zone: AnalyticsZone) -> None:
    assert explain_pair(zone, "c1", "c2").same_person is True
    with pytest.raises(NoSuchRecordError, match="No record z9"):
        explain_pair(zone, "c1", "z9")


def test_the_command_explains_a_pair_in_token_terms(
    zone: AnalyticsZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    import typer

    from doorstep.linkage_explain import explain

    app = typer.Typer()
    app.command()(explain)
    monkeypatch.setitem(os.environ, "DOORSTEP_HOME", str(zone.home.root))
    done = CliRunner().invoke(app, ["c1", "c2", "--json"])
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert (document["linked"], document["same_person"]) == (True, True)
    told = CliRunner().invoke(app, ["c1", "c2"]).stdout
    assert "Match weight" in told
    assert not re.search("Frederick|Nettlefold|AJ678912A|1975", done.stdout + told, re.IGNORECASE)
    assert CliRunner().invoke(app, ["c1", "z9"]).exit_code == 1


def nights() -> tuple[PastNight, ...]:
    """Three good nights, and one on which everybody fell apart."""
    usual = NightFigures(1_000, 400, 9, {"care": 300}, {}, {"nino_token": 500}, {})
    broken = replace(usual, people=1_000)
    return tuple(
        PastNight(date(2026, 10, day), str(day), "model", day < 4, None, usual if day < 4 else broken)
        for day in range(1, 5)
    )


def side(f1: float) -> SideFigures:
    return SideFigures(0.999, f1, f1, f1, None, 0.02, {})


@pytest.fixture(scope="module")
def html(anatomy: Anatomy) -> str:
    records = judged()
    feed = LINK_KEYS["feed"].to_numpy().astype(str)
    report = LinkageReport(
        county={"households": 10, "seed": 1, "first_day": "2024-10-01", "end": "2026-10-01"},
        model_version=MODEL.version,
        model_digest=MODEL.digest,
        measure=measure_clusters(records.found, records.truth),
        origin_gap=None,
        unknown_records=0,
        missing_records=2,
        feed_pairs=tuple(measure_feed_pairs(records.found, records.truth, feed)),
        groups={
            name: measure_groups(records.found, records.truth, values)
            for name, values in records.groups.items()
        },
        anatomy=anatomy,
        weights=(WeightBand(0, 0, 3), WeightBand(10, 12, 1)),
        second_look=(Evidence("moved with others", 7.0, 30, 1),),
        examples=(Example("False: let in", ("d1", "e1"), told("d1", "e1")),),
        nights=nights(),
        sides=TwoSides(side(0.99), side(0.98), side(0.1), side(0.3), side(0.7), 10, 4, 0.01, holds=True),
    )
    return page(report)


class Outline(HTMLParser):
    """What somebody who does not see the page is told of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.pictures: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if tag == "a" else []
        self.pictures += [given.get("aria-label")] if tag == "svg" else []


def test_the_page_can_be_read_without_seeing_it(html: str) -> None:
    outline = Outline(html)
    assert outline.tags.count("table") == outline.tags.count("caption") > 8
    assert all(outline.pictures)
    assert len(outline.pictures) > 5
    assert len(outline.ids) == len(set(outline.ids))
    assert {link.removeprefix("#") for link in outline.links} <= set(outline.ids)


def test_the_page_asks_for_nothing_from_outside_and_names_nobody(html: str) -> None:
    fetched = re.findall(
        r"""(?:src|href|url)\s*[=(]\s*["']?(?!#)([^"')\s>]+)""", re.sub(r"xmlns(:\w+)?=\"[^\"]*\"", "", html)
    )
    assert fetched == []
    assert not re.search("Sparrow|Jeremiah|Nettlefold|Quickfall", html)


def test_the_page_shows_other_ways_of_linking_when_they_are_asked(html: str) -> None:
    assert "Splink on clear text" in html
    assert "By hand: NINO, or full name and date of birth" in html


def test_the_page_says_what_strays_on_the_last_night(html: str) -> None:
    assert "cluster sizes: records per person: 1, usually 2.5" in html
    assert "✗ stopped" in html


def test_the_page_says_what_could_not_be_measured(html: str) -> None:
    assert "not measured: too few pairs" in html
    assert "✗ off" in html
