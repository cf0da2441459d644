"""Reviews in the analytics zone: a sample is drawn, kept and sealed; verdicts come back, are kept and read again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exchange.review import (
    RefusedReview,
    ReviewError,
    ReviewPackage,
    open_verdicts,
    remove_pairs,
    remove_verdicts,
    seal_pairs,
)
from governance.retention import read_retention
from linkage.model import LinkageModel
from linkage.review.again import pairs_to_ask_again
from linkage.review.estimate import Judged, ReviewEstimate, estimate
from linkage.review.sample import Sample, Stratum, draw_sample
from linkage.review.universe import read_universe
from stores.analytics import AnalyticsZone

TABLES = Path(__file__).with_name("store.sql")
RETENTION_RULE = "linkage_reviews"
OF_SAMPLE = "where sample_id = ?"
NAMES = ("review_verdicts", "review_pairs", "review_strata", "review_samples")

VERDICTS_OF_PAIRS = """
with
again as (
    select record_ref_l, record_ref_r, any_value(verdict) as second_verdict
    from review_verdicts
    join review_samples using (sample_id)
    where again_of = $1
    group by all
)
select
    review_pairs.*,
    case
        when second_verdict is null or second_verdict = verdict then verdict
        else 'cannot tell'
    end as verdict,
from review_pairs
join review_verdicts using (sample_id, record_ref_l, record_ref_r)
left join again using (record_ref_l, record_ref_r)
where sample_id = $1
order by number
"""


@dataclass(frozen=True)
class VerdictsReport:
    """What came back: verdicts by sample, and packages that were refused."""

    taken: dict[str, int]
    refused: tuple[RefusedReview, ...]


@dataclass(frozen=True)
class ReviewedSample:
    """A sample with its verdicts. `pairs`: the sample's columns of each judged pair, and `verdict`."""

    sample_id: str
    drawn_on: date
    model_version: int
    model_digest: str
    threshold: float
    records: int
    people: int
    below_floor: int
    strata: tuple[Stratum, ...]
    pairs: pa.Table

    def judged(self) -> Judged:
        """Return the verdicts as the estimator takes them."""
        return Judged(
            self.pairs["stratum"].to_numpy().astype(np.int64),
            np.asarray(self.pairs["verdict"].to_pylist(), dtype=np.str_),
            self.pairs["linked"].to_numpy(),
            self.pairs["share"].to_numpy(),
        )

    def estimated(self) -> ReviewEstimate:
        """Return precision and recall as the verdicts tell them. Raises `ReviewError` if there is none."""
        if not self.pairs.num_rows:
            raise ReviewError(
                f"No verdict on sample {self.sample_id} came back. `doorstep linkage review return` sends them."
            )
        return estimate(self.strata, self.judged(), self.records, self.people)


def send_sample(zone: AnalyticsZone, model: LinkageModel, size: int, seed: int, on: date) -> Sample:
    """Draw a sample of what the last night linked, keep it, and seal its pairs to the council.

    The same sample drawn again is only sealed again. Samples past their retention go. Raises `ReviewError` if nobody
    was linked yet.
    """
    sample = draw_sample(read_universe(zone, model), model, size, seed, on)
    with _opened(zone) as store:
        _forget_what_is_gone(zone, store, on)
        held = store.execute(
            f"select count(*) from review_samples {OF_SAMPLE}", [sample.sample_id]
        ).fetchone()
        if held == (0,):
            _keep(store, sample)
    seal_pairs(zone.home, zone.keys, sample.sample_id, on, sample.pairs)
    return sample


def send_again(zone: AnalyticsZone, sample_id: str, seed: int, on: date) -> tuple[str, int]:
    """Ask again about the pairs of a reviewed sample whose verdict goes against linkage, hidden among as many others;
    return the new sample's name and size.

    Raises `ReviewError` if there is no such sample, or nothing to ask.
    """
    reviewed = {each.sample_id: each for each in reviewed_samples(zone)}
    if sample_id not in reviewed:
        raise ReviewError(
            f"No sample {sample_id} was drawn here. `doorstep linkage review estimate` names the newest."
        )
    pairs = pairs_to_ask_again(reviewed[sample_id].pairs, seed)
    name = f"{on}-{sha256(f'{sample_id}/{seed}/again'.encode()).hexdigest()[:8]}"
    with _opened(zone) as store:
        store.execute("begin")
        for table in NAMES:
            store.execute(f"delete from {table} {OF_SAMPLE}", [name])
        store.execute(
            "insert into review_samples select * replace (? as sample_id, ?::date as drawn_on, ? as again_of) "
            f"from review_samples {OF_SAMPLE}",
            [name, on, sample_id, sample_id],
        )
        _insert(store, "review_pairs", pairs.set_column(0, "sample_id", pa.repeat(name, pairs.num_rows)))
        store.execute("commit")
    seal_pairs(zone.home, zone.keys, name, on, pairs)
    return name, pairs.num_rows


def take_verdicts(zone: AnalyticsZone, on: date) -> VerdictsReport:
    """Take in the verdicts that came, each sample's in place of its earlier ones.

    A package that tells of pairs that its sample did not ask about is refused, as is one that is damaged or from
    somebody else; the others go on.
    """
    came, refused = open_verdicts(zone.home, zone.keys)
    taken: dict[str, int] = {}
    with _opened(zone) as store:
        _forget_what_is_gone(zone, store, on)
        for package in came:
            if not _asked(store, package):
                refused.append(RefusedReview(package.sample_id, "it tells of pairs that nobody asked about"))
                continue
            store.register("judged", package.rows)
            store.execute("begin")
            store.execute(f"delete from review_verdicts {OF_SAMPLE}", [package.sample_id])
            store.execute(
                "insert into review_verdicts select ?, record_ref_l, record_ref_r, verdict, ? from judged",
                [package.sample_id, package.sealed_on],
            )
            store.execute("commit")
            store.unregister("judged")
            taken[package.sample_id] = package.rows.num_rows
    for sample_id in taken:
        remove_verdicts(zone.home, sample_id)
    return VerdictsReport(taken, tuple(refused))


def reviewed_samples(zone: AnalyticsZone) -> list[ReviewedSample]:
    """Return every sample that is held, oldest first, each with the verdicts that came back; what was asked again is
    settled in the sample that it was asked of.
    """
    with zone.linkage(read_only=True) as store:
        tables = {row[0] for row in store.execute("select table_name from duckdb_tables()").fetchall()}
        if not tables.issuperset(NAMES):
            return []
        drawn = store.execute(
            "select * exclude (seed, again_of) from review_samples where again_of is null "
            "order by drawn_on, sample_id"
        ).fetchall()
        return [_reviewed(store, *row) for row in drawn]


def _reviewed(
    store: duckdb.DuckDBPyConnection,
    sample_id: str,
    drawn_on: date,
    model_version: int,
    model_digest: str,
    threshold: float,
    records: int,
    people: int,
    below_floor: int,
) -> ReviewedSample:
    strata = store.execute(
        f"select * exclude (sample_id, stratum) from review_strata {OF_SAMPLE} order by stratum", [sample_id]
    ).fetchall()
    pairs = store.execute(VERDICTS_OF_PAIRS, [sample_id]).to_arrow_table()
    return ReviewedSample(
        sample_id,
        drawn_on,
        model_version,
        model_digest,
        threshold,
        records,
        people,
        below_floor,
        tuple(Stratum(*row) for row in strata),
        pairs,
    )


@contextmanager
def _opened(zone: AnalyticsZone) -> Iterator[duckdb.DuckDBPyConnection]:
    with zone.linkage() as store:
        store.execute(TABLES.read_text(encoding="utf-8"))
        yield store


def _keep(store: duckdb.DuckDBPyConnection, sample: Sample) -> None:
    store.execute("begin")
    store.execute(
        "insert into review_samples values (?, ?, ?, ?, ?, ?, ?, ?, ?, null)",
        [
            sample.sample_id,
            sample.drawn_on,
            sample.seed,
            sample.model_version,
            sample.model_digest,
            sample.threshold,
            sample.records,
            sample.people,
            sample.below_floor,
        ],
    )
    strata = [{"stratum": place, **asdict(stratum)} for place, stratum in enumerate(sample.strata)]
    for table, rows in (("review_strata", pa.Table.from_pylist(strata)), ("review_pairs", sample.pairs)):
        _insert(store, table, rows.append_column("sample_id", pa.repeat(sample.sample_id, rows.num_rows)))
    store.execute("commit")


def _insert(store: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    store.register("drawn_rows", rows)
    store.execute(f"insert into {table} by name from drawn_rows")
    store.unregister("drawn_rows")


def _asked(store: duckdb.DuckDBPyConnection, package: ReviewPackage) -> bool:
    """Return whether every pair of `package` is one of its sample's, each told of once."""
    asked = store.execute(
        f"select record_ref_l || record_ref_r as pair from review_pairs {OF_SAMPLE}", [package.sample_id]
    ).to_arrow_table()
    told = pc.binary_join_element_wise(package.rows["record_ref_l"], package.rows["record_ref_r"], "")
    once = pc.count_distinct(told).as_py() == len(told)
    return once and bool(pc.all(pc.is_in(told, value_set=asked["pair"]), min_count=0).as_py())


def _forget_what_is_gone(zone: AnalyticsZone, store: duckdb.DuckDBPyConnection, on: date) -> None:
    """Remove samples past their retention, and pairs of records whose link keys are gone: erased, or past due."""
    rule = read_retention()[RETENTION_RULE]
    held = store.execute("select sample_id, drawn_on from review_samples").fetchall()
    for sample_id in (sample_id for sample_id, drawn_on in held if rule.is_expired(drawn_on, on)):
        for table in NAMES:
            store.execute(f"delete from {table} {OF_SAMPLE}", [sample_id])
        remove_pairs(zone.home, sample_id)
    for table in ("review_verdicts", "review_pairs"):
        store.execute(
            f"delete from {table} where record_ref_l not in (select record_ref from link_keys) "
            "or record_ref_r not in (select record_ref from link_keys)"
        )
