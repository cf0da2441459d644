"""Published marts: built aside, checked, made current by one move, with ids for one audience alone."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest
from two_zones import TwoZones, make_two_zones

import stores.publishing
from stores.encrypted import StoreUnreadableError
from stores.publishing import (
    VERSIONS_KEPT,
    PublishingError,
    audiences,
    current_marts,
    marts_key,
    publish,
    published_marts,
    versions,
)

RELATIONS = {"features": "marts.features", "scores": "risk.scores"}
QUICK_PUBLISHES, MANY_PUBLISHES = 20, 100

WAREHOUSE = """
create schema marts;
create schema risk;
create table marts.features as
    select md5('household' || (i % 50)) as household_id, md5('home' || (i % 40)) as property_ref,
        date '2026-08-01' + to_months((i // 50)::integer) as as_of_month, i as arrears
    from range(150) as r(i);
alter table marts.features alter as_of_month type date;
create table risk.scores as select household_id, as_of_month, arrears / 1000 as score from marts.features;
create view marts.not_published as select * from marts.features;
"""

# What an analyst's program does while versions come and go: open the current one, look twice, check, again.
READER = """
import sys, json
from pathlib import Path
from stores.analytics import AnalyticsZone
from stores.home import Home
from stores.publishing import published_marts
zone, stop = AnalyticsZone.open(Home(Path(sys.argv[1]))), Path(sys.argv[2])
seen, mixed = [], 0
print("reading", flush=True)
while not stop.exists():
    with published_marts(zone, "analysts") as marts:
        looks = [
            marts.execute("select min(edition), max(edition), count(*) from features").fetchone(),
            marts.execute("select min(edition), max(edition), count(*) from scores").fetchone(),
        ]
        mixed += looks[0] != looks[1] or looks[0][0] != looks[0][1] or looks[0][2] != 150
        seen.append(looks[0][0])
print(json.dumps({"mixed": mixed, "in_order": seen == sorted(seen), "versions": len(set(seen))}))
"""


@pytest.fixture
def zones(tmp_path: Path) -> TwoZones:
    zones = make_two_zones(tmp_path / "home")
    change(zones, WAREHOUSE)
    return zones


def change(zones: TwoZones, sql: str) -> None:
    with zones.analytics.warehouse() as warehouse:
        warehouse.execute(sql)


def read(zones: TwoZones, sql: str, audience: str = "analysts") -> list[tuple[object, ...]]:
    with published_marts(zones.analytics, audience) as marts:
        return marts.execute(sql).fetchall()


def test_a_published_relation_has_the_rows_and_columns_of_its_source(zones: TwoZones) -> None:
    report = publish(zones.analytics, "analysts", RELATIONS)
    assert report.published
    assert dict(report.rows) == {"features": 150, "scores": 150}
    assert read(zones, "select column_name from (describe features)") == [
        ("household_id",),
        ("property_ref",),
        ("as_of_month",),
        ("arrears",),
    ]
    assert read(zones, "select sum(arrears) from features") == [(sum(range(150)),)]


def test_nothing_is_published_that_was_not_asked_for(zones: TwoZones) -> None:
    publish(zones.analytics, "analysts", {"scores": "risk.scores"})
    assert read(zones, "select table_name from duckdb_tables()") == [("scores",)]
    assert read(zones, "select count(*) from duckdb_views() where not internal") == [(0,)]


def test_without_a_list_every_mart_and_the_scores_are_published(zones: TwoZones) -> None:
    assert set(publish(zones.analytics, "analysts").rows) == {"features", "risk_scores"}


def test_an_id_joins_within_an_audience_and_with_nothing_outside(zones: TwoZones) -> None:
    found = {}
    for audience in ("analysts", "researchers"):
        publish(zones.analytics, audience, RELATIONS)
        assert read(
            zones, "select count(*) from features join scores using (household_id, as_of_month)", audience
        ) == [(150,)]
        rows = read(zones, "select distinct household_id, property_ref from features", audience)
        found[audience] = {value for row in rows for value in row}
    rows = zones.warehouse("select distinct household_id, property_ref from marts.features")
    ours = {value for row in rows for value in row}
    assert len(found["analysts"]) == len(found["researchers"]) == len(ours) == 90
    assert not found["analysts"] & found["researchers"]
    assert not (found["analysts"] | found["researchers"]) & ours


def test_the_file_opens_with_its_audience_key_alone(zones: TwoZones) -> None:
    publish(zones.analytics, "analysts", RELATIONS)
    path = current_marts(zones.analytics, "analysts")
    connection = duckdb.connect(":memory:")
    attach = f"attach '{path}' as marts (encryption_key ?, read_only)"
    with pytest.raises(duckdb.Error):
        connection.execute(attach, [marts_key(zones.analytics, "researchers")])
    connection.execute(attach, [marts_key(zones.analytics, "analysts")])
    assert connection.execute("select count(*) from marts.scores").fetchall() == [(150,)]


def test_unchanged_content_makes_no_new_version(zones: TwoZones) -> None:
    first = publish(zones.analytics, "analysts", RELATIONS)
    # The same rows in another order are the same content.
    change(zones, "create or replace table risk.scores as from risk.scores order by score desc")
    second = publish(zones.analytics, "analysts", RELATIONS)
    assert not second.published
    assert second.version == first.version
    assert len(versions(zones.analytics, "analysts")) == 1


def test_a_row_that_comes_twice_makes_a_new_version(zones: TwoZones) -> None:
    first = publish(zones.analytics, "analysts", RELATIONS)
    change(zones, "insert into risk.scores from risk.scores limit 2")
    second = publish(zones.analytics, "analysts", RELATIONS)
    assert second.published
    assert second.version > first.version
    assert second.rows["scores"] == 152


def test_old_versions_go_and_the_newest_stay(zones: TwoZones) -> None:
    for edition in range(VERSIONS_KEPT + 2):
        change(zones, f"update risk.scores set score = {edition}")
        publish(zones.analytics, "analysts", RELATIONS)
    names = [manifest.version for manifest in versions(zones.analytics, "analysts")]
    assert [name[:6] for name in names] == ["000003", "000004", "000005"]
    assert current_marts(zones.analytics, "analysts").parent.name == names[-1]
    assert read(zones, "select distinct score from scores") == [(VERSIONS_KEPT + 1,)]


def test_an_open_reader_keeps_its_version_when_it_is_removed(zones: TwoZones) -> None:
    publish(zones.analytics, "analysts", RELATIONS)
    with published_marts(zones.analytics, "analysts") as marts:
        change(zones, "update risk.scores set score = 7")
        publish(zones.analytics, "analysts", RELATIONS, keep_versions=1)
        assert marts.execute("select max(score) from scores").fetchall() == [(0.149,)]
    assert read(zones, "select max(score) from scores") == [(7,)]


def test_months_past_retention_are_left_out(zones: TwoZones) -> None:
    publish(zones.analytics, "analysts", RELATIONS, oldest_month=date(2026, 9, 1))
    assert read(zones, "select min(as_of_month)::varchar, count(*) from features") == [("2026-09-01", 100)]
    assert versions(zones.analytics, "analysts")[0].oldest_month == "2026-09-01"


def test_a_version_that_fails_its_checks_is_never_current(
    zones: TwoZones, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish(zones.analytics, "analysts", RELATIONS)
    change(zones, "update risk.scores set score = 7")
    with monkeypatch.context() as patched:
        # Everyone gets the same id: rows are all there, but people have been merged.
        patched.setattr(stores.publishing, "published_id", lambda *_: "0" * 32)
        with pytest.raises(PublishingError, match="lost or merged ids"):
            publish(zones.analytics, "analysts", RELATIONS)
        patched.setattr(stores.publishing, "published_id", lambda _, identifier: identifier)
        with pytest.raises(PublishingError, match="ids of the warehouse"):
            publish(zones.analytics, "analysts", RELATIONS)
    folder = zones.home.published("analysts")
    assert current_marts(zones.analytics, "analysts").parent.name == first.version
    assert sorted(path.name for path in folder.iterdir()) == [first.version, "current", "publish.lock"]
    assert publish(zones.analytics, "analysts", RELATIONS).published


@pytest.mark.parametrize("step", ["_check", "_make_current", "_remove_versions"])
def test_a_kill_while_publishing_leaves_a_whole_current_version(
    zones: TwoZones, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    publish(zones.analytics, "analysts", RELATIONS)
    change(zones, "update risk.scores set score = 7")

    class Killed(BaseException):
        pass

    def stop(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(stores.publishing, step, stop)
        with pytest.raises(Killed):
            publish(zones.analytics, "analysts", RELATIONS)
    assert read(zones, "select count(*) from scores") == [(150,)]
    publish(zones.analytics, "analysts", RELATIONS)
    assert read(zones, "select distinct score from scores") == [(7,)]
    assert not list(zones.home.published("analysts").glob(".building-*"))


def test_a_relation_that_is_not_there_is_named(zones: TwoZones) -> None:
    with pytest.raises(PublishingError, match=r"marts\.cars"):
        publish(zones.analytics, "analysts", {"cars": "marts.cars"})


def test_reading_before_anything_is_published_says_what_to_do(zones: TwoZones) -> None:
    assert audiences(zones.analytics) == []
    with (
        pytest.raises(StoreUnreadableError, match="doorstep refresh"),
        published_marts(zones.analytics, "analysts"),
    ):
        pass


def publish_while_somebody_reads(zones: TwoZones, tmp_path: Path, times: int) -> dict[str, int]:
    """Return what the reader counted: mixed versions, versions seen, and whether they came in order."""
    change(zones, "alter table marts.features add column edition bigint default 0")
    change(zones, "alter table risk.scores add column edition bigint default 0")
    publish(zones.analytics, "analysts", RELATIONS)
    stop = tmp_path / "stop"
    command = [sys.executable, "-c", READER, str(zones.home.root), str(stop)]
    project = Path(stores.publishing.__file__).parent.parent
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=project
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        for edition in range(1, times + 1):
            change(
                zones,
                f"update marts.features set edition = {edition}; update risk.scores set edition = {edition}",
            )
            assert publish(zones.analytics, "analysts", RELATIONS).published
        stop.touch()
        output, complaints = reader.communicate(timeout=120)
    assert reader.returncode == 0, complaints
    seen: dict[str, int] = json.loads(output)
    return seen


def test_a_reader_sees_no_error_and_no_mixture_while_versions_come_and_go(
    zones: TwoZones, tmp_path: Path
) -> None:
    seen = publish_while_somebody_reads(zones, tmp_path, QUICK_PUBLISHES)
    assert seen["mixed"] == 0
    assert seen["in_order"]
    assert seen["versions"] > 1


@pytest.mark.slow
def test_a_reader_sees_no_error_and_no_mixture_during_a_hundred_publishes(
    zones: TwoZones, tmp_path: Path
) -> None:
    seen = publish_while_somebody_reads(zones, tmp_path, MANY_PUBLISHES)
    assert seen["mixed"] == 0
    assert seen["in_order"]
    assert seen["versions"] > 1
