"""Samples that came from the analytics zone, verdicts on them, and what goes back: references and verdicts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from bridge.cases.reidentify import RefusedError
from bridge.vault.vault import open_vault
from bridge.zone import CouncilZone
from exchange.review import (
    CANNOT_TELL,
    VERDICTS,
    RefusedReview,
    open_pairs,
    remove_pairs,
    seal_verdicts,
)
from governance.linkage_review import read_review_rules
from governance.retention import read_retention
from stores.encrypted import attached

STORE_NAME = "linkage_review"
RETENTION_RULE = "linkage_reviews"
TABLES = Path(__file__).with_name("review.sql")

SECOND_OPINIONS = 0.1
"""Share of a sample that a second reviewer is asked about when all of it has been judged: enough to see whether two
people come to the same verdict. Pairs are numbered at random, so that the first numbers are a fair choice."""

STATUS = """
select
    samples.sample_id,
    samples.drawn_on,
    samples.closed_on,
    (select count(*) from pairs where pairs.sample_id = samples.sample_id),
    (select count(distinct number) from verdicts where verdicts.sample_id = samples.sample_id),
    (select count(distinct number) from shown where shown.sample_id = samples.sample_id and refused is not null),
from samples
order by samples.sample_id
"""

# Pairs that nobody has judged; when there are none left, of the first numbers those that only somebody else has judged.
# What could not be shown to one reviewer is asked of nobody.
NEXT_PAIR = """
with
told as (
    select
        number,
        count(verdicts.officer) as verdicts,
        coalesce(bool_or(verdicts.officer = ?), false) as own,
    from pairs
    left join verdicts using (sample_id, number)
    where
        sample_id = ?
        and (sample_id, number) not in (select (sample_id, number) from shown where refused is not null)
    group by number
)
select number from told
where
    not list_contains(?::integer[], number)
    and (verdicts = 0 or (not own and verdicts = 1 and number <= ? and (select min(verdicts) from told) > 0))
order by verdicts, number
limit 1
"""

# Most say so, or nobody can tell.
CONSENSUS = """
with
counted as (
    select
        number,
        count(*) filter (verdict = 'match') as matches,
        count(*) filter (verdict = 'non-match') as others,
        count(*) filter (verdict = 'cannot tell') as unsure,
    from verdicts
    where sample_id = ?
    group by number
)
select
    record_ref_l,
    record_ref_r,
    case
        when matches > others and matches > unsure then 'match'
        when others > matches and others > unsure then 'non-match'
        else 'cannot tell'
    end as verdict,
from counted
join pairs using (number)
where sample_id = ?
order by number
"""

FIRST_TWO = """
select
    max(verdict) filter (place = 1) as first_verdict,
    max(verdict) filter (place = 2) as second_verdict,
from (
    select number, verdict, row_number() over (partition by number order by given_at, officer) as place
    from verdicts
    where sample_id = ?
)
group by number
having count(*) > 1
"""


@dataclass(frozen=True)
class SampleStatus:
    """How far one sample is. `refused`: pairs that could not be shown, such as those of somebody erased since."""

    sample_id: str
    drawn_on: date
    closed_on: date | None
    pairs: int
    judged: int
    refused: int


@dataclass(frozen=True)
class SamplesReport:
    """What one receiving did. `waiting`: samples that stay in the box until an open one is closed."""

    received: tuple[str, ...]
    waiting: tuple[str, ...]
    expired: int
    refused: tuple[RefusedReview, ...]


@dataclass(frozen=True)
class Agreement:
    """How far two reviewers of the same pairs agree. `kappa` (Cohen 1960): 1 always, 0 no more than by chance."""

    pairs: int
    agreeing: float
    kappa: float


@dataclass(frozen=True)
class ReturnedVerdicts:
    """What went back to the analytics zone for one sample."""

    sample_id: str
    verdicts: int
    cannot_tell: int
    agreement: Agreement | None


@contextmanager
def open_reviews(zone: CouncilZone) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the council's store of reviews for writing, making it where missing."""
    with attached(zone.home.linkage_review_db, zone.storage_key(STORE_NAME)) as connection:
        connection.execute(TABLES.read_text(encoding="utf-8"))
        yield connection


def receive_samples(zone: CouncilZone, on: date) -> SamplesReport:
    """Take in the samples that came, forget those past their retention and pairs of anybody erased since.

    Packages that are damaged, too large or from another sender are refused, and the others go on.
    """
    rules = read_review_rules()
    came, refused = open_pairs(zone.home, zone.keys, rules.largest_sample)
    received, waiting = [], []
    with open_reviews(zone) as reviews:
        expired = _forget_expired(reviews, on)
        held = {row[0] for row in reviews.execute("select sample_id from samples").fetchall()}
        room = rules.open_samples - _count(reviews, "select count(*) from samples where closed_on is null")
        for package in came:
            if package.sample_id in held:
                continue
            if room <= 0:
                waiting.append(package.sample_id)
                continue
            reviews.execute("begin")
            reviews.execute(
                "insert into samples values (?, ?, ?, null)",
                [package.sample_id, date.fromisoformat(package.sample_id[:10]), on],
            )
            reviews.register("asked", package.rows)
            reviews.execute(
                "insert into pairs select ?, number, record_ref_l, record_ref_r from asked",
                [package.sample_id],
            )
            reviews.unregister("asked")
            reviews.execute("commit")
            received.append(package.sample_id)
            room -= 1
        _forget_erased(zone, reviews)
    for package in came:
        if package.sample_id not in waiting:
            remove_pairs(zone.home, package.sample_id)
    return SamplesReport(tuple(received), tuple(waiting), expired, tuple(refused))


def list_samples(zone: CouncilZone) -> list[SampleStatus]:
    """Return every sample that is held, oldest first."""
    with open_reviews(zone) as reviews:
        return [SampleStatus(*row) for row in reviews.execute(STATUS).fetchall()]


def next_pair(zone: CouncilZone, sample_id: str, officer: str, besides: Collection[int] = ()) -> int | None:
    """Return the number of the pair that `officer` is to judge next, `besides` some; None if none is left for them."""
    with open_reviews(zone) as reviews:
        count = _count(reviews, "select count(*) from pairs where sample_id = ?", sample_id)
        asked = [officer, sample_id, list(besides), round(count * SECOND_OPINIONS)]
        row = reviews.execute(NEXT_PAIR, asked).fetchone()
    return row[0] if row else None


def pair_of(zone: CouncilZone, sample_id: str, number: int) -> tuple[str, str] | None:
    """Return the two references of a pair of an open sample, or None if no open sample has it."""
    with open_reviews(zone) as reviews:
        row = reviews.execute(
            "select record_ref_l, record_ref_r from pairs join samples using (sample_id) "
            "where sample_id = ? and number = ? and closed_on is null",
            [sample_id, number],
        ).fetchone()
    return (row[0], row[1]) if row else None


def note_shown(
    zone: CouncilZone, sample_id: str, number: int, officer: str, at: datetime, refused: str | None
) -> None:
    """Keep that a pair was shown to `officer`, or why it was not."""
    with open_reviews(zone) as reviews:
        reviews.execute(
            "insert or replace into shown values (?, ?, ?, ?, ?)",
            [sample_id, number, officer, at.isoformat(timespec="seconds"), refused],
        )


def keep_verdict(
    zone: CouncilZone, sample_id: str, number: int, officer: str, role: str, verdict: str, at: datetime
) -> None:
    """Keep `officer`'s verdict on a pair that was shown to them, in place of the one that they gave before.

    Raises `RefusedError` if the pair was never shown to them, `ValueError` if it is no verdict.
    """
    if verdict not in VERDICTS:
        raise ValueError(f"a verdict is one of {', '.join(VERDICTS)}")
    with open_reviews(zone) as reviews:
        shown = _count(
            reviews,
            "select count(*) from shown join samples using (sample_id) "
            "where sample_id = ? and number = ? and officer = ? and refused is null and closed_on is null",
            sample_id,
            number,
            officer,
        )
        if not shown:
            raise RefusedError("not_shown")
        reviews.execute(
            "insert or replace into verdicts values (?, ?, ?, ?, ?, ?)",
            [sample_id, number, officer, role, verdict, at.isoformat(timespec="seconds")],
        )


def return_verdicts(zone: CouncilZone, sample_id: str, on: date, *, close: bool = False) -> ReturnedVerdicts:
    """Seal what reviewers agree on to the analytics zone; with `close`, no more verdicts are taken.

    Raises `RefusedError` if no such sample is held.
    """
    with open_reviews(zone) as reviews:
        if not _count(reviews, "select count(*) from samples where sample_id = ?", sample_id):
            raise RefusedError("not_asked")
        _forget_erased(zone, reviews)
        verdicts = reviews.execute(CONSENSUS, [sample_id, sample_id]).to_arrow_table()
        twice = reviews.execute(FIRST_TWO, [sample_id]).to_arrow_table()
        if close:
            reviews.execute("update samples set closed_on = ? where sample_id = ?", [on, sample_id])
    seal_verdicts(zone.home, zone.keys, sample_id, on, verdicts)
    unsure = verdicts["verdict"].to_pylist().count(CANNOT_TELL)
    return ReturnedVerdicts(sample_id, verdicts.num_rows, unsure, _agreement(twice))


def _agreement(twice: pa.Table) -> Agreement | None:
    if not twice.num_rows:
        return None
    first, second = (twice[name].to_numpy() for name in ("first_verdict", "second_verdict"))
    agreeing = float(np.mean(first == second))
    chance = float(sum(np.mean(first == verdict) * np.mean(second == verdict) for verdict in VERDICTS))
    kappa = (agreeing - chance) / (1 - chance) if chance < 1 else 1.0
    return Agreement(twice.num_rows, agreeing, kappa)


def _forget_expired(reviews: duckdb.DuckDBPyConnection, on: date) -> int:
    rule = read_retention()[RETENTION_RULE]
    held = reviews.execute("select sample_id, drawn_on from samples").fetchall()
    expired = [sample_id for sample_id, drawn_on in held if rule.is_expired(drawn_on, on)]
    for sample_id in expired:
        for table in ("verdicts", "shown", "pairs", "samples"):
            reviews.execute(f"delete from {table} where sample_id = ?", [sample_id])
    return len(expired)


def _forget_erased(zone: CouncilZone, reviews: duckdb.DuckDBPyConnection) -> None:
    """Remove the pairs of everybody who was erased, with all that was said of them."""
    partners = {contract.partner for contract in zone.contracts.values()}
    for partner in sorted(partners):
        if not zone.home.vault_db(partner).is_file():
            continue
        with open_vault(zone, partner) as vault:
            erased = vault.connection.execute("select record_ref from vault_keys.tombstones").to_arrow_table()
        if not erased.num_rows:
            continue
        reviews.register("erased", erased)
        reviews.execute(
            "create or replace temp table gone as select sample_id, number from pairs "
            "where record_ref_l in (from erased) or record_ref_r in (from erased)"
        )
        reviews.unregister("erased")
        for table in ("verdicts", "shown", "pairs"):
            reviews.execute(f"delete from {table} where (sample_id, number) in (from gone)")


def _count(connection: duckdb.DuckDBPyConnection, sql: str, *values: object) -> int:
    row = connection.execute(sql, list(values)).fetchone()
    return int(row[0]) if row else 0
