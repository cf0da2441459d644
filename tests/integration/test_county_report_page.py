"""The county report on a county that was made for it: figures, page, exit code, and nothing personal in either."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from lxml import html
from typer.testing import CliRunner

from doorstep.cli import app
from evaluation.county.figures import FULL_SIZE, Verdict
from evaluation.county.page import page
from evaluation.county.report import CountyJudged, NoCountyError, evaluate_county
from stores.home import Home
from synthetic.county import make_county

HOUSEHOLDS, MONTHS = 600, 12
COMMAND = ["county", "report", "--county"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """600 households for a year, with an April among its months."""
    home = Home(tmp_path_factory.mktemp("county"))
    make_county(home, households=HOUSEHOLDS, months=MONTHS, seed=5)
    return home


@pytest.fixture(scope="module")
def county(home: Home) -> CountyJudged:
    return evaluate_county(home)


@pytest.fixture(scope="module")
def written(county: CountyJudged) -> str:
    return page(county)


@pytest.fixture
def copy(home: Home, tmp_path: Path) -> Home:
    """A county whose truth a test may spoil."""
    shutil.copytree(home.root, tmp_path / "copy")
    return Home(tmp_path / "copy")


def figures(county: CountyJudged) -> dict[str, float]:
    return {figure.name: figure.estimate.value for figure in county.figures if figure.estimate}


def test_figures_are_those_that_counting_by_hand_gives(home: Home, county: CountyJudged) -> None:
    hazard = pq.read_table(home.truth / "hazard.parquet").to_pandas()
    events = pq.read_table(home.truth / "events.parquet").to_pandas()
    end = max(hazard["month"])
    months = hazard[hazard["month"] < end]
    duties = events[(events["duty_date"] >= min(months["month"])) & (events["duty_date"] < end)]
    found = figures(county)
    assert found["duties_per_1000_households_a_year"] == pytest.approx(len(duties) / len(months) * 12 * 1000)
    assert found["private_rent_share"] == pytest.approx((months["tenure"] == "private").mean())
    private = months[months["tenure"] == "private"]
    assert found["duties_per_1000_private_renters_a_year"] == pytest.approx(
        (duties["tenure"] == "private").sum() / len(private) * 12 * 1000
    )
    assert found["duties_with_children_share"] == pytest.approx(duties["with_children"].mean())
    assert found["events_with_precursor_6_months_before"] == pytest.approx(
        duties["precursor_6_months"].mean()
    )


def test_missing_identifiers_are_counted_in_the_newest_full_file_and_the_changes_after_it(
    home: Home, county: CountyJudged
) -> None:
    newest: dict[tuple[str, str], dict[str, str]] = {}
    files = sorted(
        home.feed_inbox("council_tax").rglob("*accounts*"), key=lambda path: path.name.split("_")[3]
    )
    for path in files:
        if "full" in path.name:
            newest.clear()
        with path.open(encoding="cp1252", newline="") as file:
            newest |= {(row["account_ref"], row["lead_liab_pos"]): row for row in csv.DictReader(file)}
    share = sum(row["date_of_birth"] == "" for row in newest.values()) / len(newest)
    assert figures(county)["missing.council_tax.date_of_birth"] == pytest.approx(share, abs=0.002)


def test_every_feed_that_sent_a_file_is_counted_whole(home: Home, county: CountyJudged) -> None:
    made = json.loads((home.truth / "county.json").read_text(encoding="utf-8"))
    assert {feed.feed for feed in county.feeds} == set(made["deliveries"])
    assert sum(feed.bytes for feed in county.feeds) == made["bytes"]
    assert sum(feed.files for feed in county.feeds) == made["files"]
    assert sum(feed.rows for feed in county.feeds) == pytest.approx(made["rows"], rel=0.001)
    for feed in county.feeds:
        assert feed.full_deliveries >= 1


def test_a_small_county_as_it_is_made_is_not_blamed_for_chance(county: CountyJudged) -> None:
    published = [figure.name for figure in county.off if figure.wanted and figure.wanted.is_published]
    assert len(published) <= 3, published
    measured = [figure for figure in county.figures if figure.wanted and figure.estimate]
    assert len(measured) > 40


def test_a_county_without_half_of_its_duties_is_off_and_the_command_says_so(copy: Home) -> None:
    path = copy.truth / "hazard.parquet"
    hazard = pq.read_table(path)
    # Four times the households, with the same duties.
    more = [
        hazard.set_column(0, "household_id", pc.binary_join_element_wise(hazard[0], str(n), "x"))
        for n in range(4)
    ]
    households = pq.read_table(copy.truth / "households.parquet")
    others = [
        households.set_column(0, "household_id", pc.binary_join_element_wise(households[0], str(n), "x"))
        for n in range(4)
    ]
    pq.write_table(pa.concat_tables([hazard, *more]), path)
    pq.write_table(pa.concat_tables([households, *others]), copy.truth / "households.parquet")
    result = CliRunner().invoke(app, [*COMMAND, str(copy.root), "--json"])
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert "duties_per_1000_households_a_year" in document["off"]
    assert document["holds"] is False


def test_the_command_writes_one_page_and_the_same_figures_as_json(home: Home, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    result = CliRunner().invoke(app, [*COMMAND, str(home.root), "--json", "--out", str(out)])
    document = json.loads(result.stdout)
    assert result.exit_code == (0 if document["holds"] else 1)
    text = out.read_text(encoding="utf-8")
    for figure in document["figures"]:
        assert figure["name"] in text


def test_a_folder_without_a_county_is_one_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*COMMAND, str(tmp_path)])
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    with pytest.raises(NoCountyError, match="county make"):
        evaluate_county(Home(tmp_path))


def test_the_page_asks_for_nothing_from_outside(written: str) -> None:
    document = html.document_fromstring(written)
    assert not document.xpath("//script | //link | //iframe | //img[not(starts-with(@src, 'data:'))]")
    references = document.xpath("//@href | //@src")
    assert all(reference.startswith(("#", "data:")) for reference in references)
    assert "@import" not in written
    assert not re.search(r"url\((?!#)", written)


def test_the_page_can_be_read_without_seeing_it(written: str) -> None:
    document = html.document_fromstring(written)
    assert document.get("lang") == "en"
    drawings = document.xpath("//*[local-name() = 'svg']")
    assert len(drawings) >= 4
    assert all(drawing.get("role") == "img" and drawing.get("aria-label") for drawing in drawings)
    for table in document.xpath("//table"):
        assert table.xpath("./caption")
        assert table.xpath("./thead//th[@scope='col']")
        assert all(row.xpath("./th[@scope='row']") for row in table.xpath("./tbody/tr"))
    levels = [int(heading.tag[1]) for heading in document.xpath("//h1 | //h2 | //h3")]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    identifiers = document.xpath("//@id")
    assert len(set(identifiers)) == len(identifiers)


def personal_values(home: Home) -> Iterator[str]:
    """Everything in the truth and in the records' keys that points to one person or home."""
    persons = pq.read_table(home.truth / "persons.parquet").to_pydict()
    for forename, surname, nino in zip(persons["forename"], persons["surname"], persons["nino"], strict=True):
        yield f"{forename} {surname}"
        yield f"{surname}, {forename}"
        yield nino
    yield from persons["person_id"]
    yield from (day.isoformat() for day in persons["date_of_birth"])
    yield from pq.read_table(home.truth / "households.parquet")["household_id"].to_pylist()
    yield from set(pq.read_table(home.truth / "residences.parquet")["uprn"].to_pylist())
    for key in pq.read_table(home.truth / "records.parquet")["key"].to_pylist():
        yield from (part for part in key.split("|") if len(part) >= 7)


def test_no_personal_value_is_in_the_page_or_the_document(
    home: Home, county: CountyJudged, written: str
) -> None:
    from doorstep.county_report import document_of

    document = json.dumps(document_of(county), default=str)
    days_told = {county.first_day, county.end, *county.oracle.months}
    values = {value for value in personal_values(home) if value and value not in days_told}
    assert len(values) > 5000
    words = re.findall(r"[^\s<>\"=]+", f"{written} {document}")
    told = set(words) | {word.strip(".,:;()") for word in words}
    told |= {f"{one} {other}" for one, other in pairwise(words)}
    assert not values & told


def test_verdicts_know_the_size_of_the_county(county: CountyJudged) -> None:
    assert HOUSEHOLDS < FULL_SIZE
    for figure in county.figures:
        if figure.verdict is Verdict.OFF:
            assert figure.estimate and figure.wanted
            apart = figure.estimate.low > figure.wanted.high or figure.estimate.high < figure.wanted.low
            assert apart, figure.name
