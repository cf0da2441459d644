"""The nights' history of linkage, and whether tonight is too unlike the good nights before it.

A collapse (a feed whose dates of birth are all wrong, link keys of another epoch, a default value in an identifier)
shows in counts alone. What is told here needs no truth, so it works in any council.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from math import log
from statistics import median

import duckdb

from governance.linkage_checks import LinkageChecks, read_linkage_checks
from linkage.model import LinkageModel, read_model
from linkage.nights.figures import SEPARATOR, NightFigures, measure_night
from stores.analytics import AnalyticsZone

NIGHTS_TABLE = """
create table if not exists linkage_nights (
    night date not null,
    state varchar not null,
    model_digest varchar not null,
    good boolean not null,
    accepted_because varchar,
    figures varchar not null,
    primary key (night, state)
)
"""

SMALLEST_SHARE = 1e-4
"""A bin of match weights that holds nothing counts as this share: the index needs a logarithm."""


class NoNightError(RuntimeError):
    """There is no night to accept."""


class Check(StrEnum):
    """What is checked each night; the sections of `contracts/linkage_checks.yaml`."""

    LINK_RATES = "feed_pair_link_rates"
    CLUSTERS = "cluster_sizes"
    CANDIDATES = "candidate_volume"
    WEIGHTS = "match_weights"


@dataclass(frozen=True)
class Finding:
    """`what` strays: `now` against `usual` (the median of good nights), beyond `limit`; `blocks`, or only warns."""

    check: Check
    what: str
    now: float
    usual: float
    limit: float
    blocks: bool

    @property
    def sentence(self) -> str:
        """The finding as one sentence."""
        return f"{self.what}: {self.now:,.4g}, usually {self.usual:,.4g}; limit {self.limit:,.4g}"


@dataclass(frozen=True)
class JudgedNight:
    """Tonight's figures, what strays, and how many good nights they were compared with."""

    night: date
    figures: NightFigures
    findings: tuple[Finding, ...]
    compared_nights: int
    enough_history: bool
    accepted_because: str | None = None

    @property
    def good(self) -> bool:
        """Nothing blocks, or somebody has accepted the night."""
        return self.accepted_because is not None or not any(finding.blocks for finding in self.findings)

    def of(self, check: Check) -> list[Finding]:
        """Return the findings of one check, those that block first."""
        return sorted((one for one in self.findings if one.check == check), key=lambda one: not one.blocks)


@dataclass(frozen=True)
class PastNight:
    """A row of the history."""

    night: date
    state: str
    model_digest: str
    good: bool
    accepted_because: str | None
    figures: NightFigures


def judge_night(
    zone: AnalyticsZone, night: date, model: LinkageModel | None = None, checks: LinkageChecks | None = None
) -> JudgedNight:
    """Measure the linkage store, judge it by the good nights before, and keep the figures in `linkage_nights`.

    Judging the same people on the same night again gives the same verdict. Raises `StoreUnreadableError` without a
    store.
    """
    model, checks = model or read_model(), checks or read_linkage_checks()
    with zone.linkage() as connection:
        connection.execute(NIGHTS_TABLE)
        figures = measure_night(connection, model.splink_settings)
        state = _state(connection)
        history = past_nights(connection)
        reference, enough = _compared_with(history, night, state, checks)
        accepted = next(
            (past.accepted_because for past in history if past.state == state and past.accepted_because), None
        )
        findings = tuple(findings_of(figures, reference, model.digest, checks)) if enough else ()
        judged = JudgedNight(night, figures, findings, len(reference), enough, accepted)
        tonight = PastNight(night, state, model.digest, judged.good, accepted, figures)
        if tonight not in history:
            connection.execute(
                "insert or replace into linkage_nights values (?, ?, ?, ?, ?, ?)",
                [night, state, model.digest, judged.good, accepted, figures.to_json()],
            )
    return judged


def accept_newest_night(zone: AnalyticsZone, because: str) -> PastNight:
    """Take the newest night as good from here on, and compare later nights with none before it.

    Raises `NoNightError` if there is none.
    """
    with zone.linkage() as connection:
        connection.execute(NIGHTS_TABLE)
        history = past_nights(connection)
        if not history:
            raise NoNightError("No night was judged yet: run `doorstep refresh` first.")
        newest = history[-1]
        connection.execute(
            "update linkage_nights set good = true, accepted_because = ? where night = ? and state = ?",
            [because, newest.night, newest.state],
        )
    return newest


def findings_of_newest(history: Sequence[PastNight], checks: LinkageChecks) -> list[Finding]:
    """Return what strays on the newest night of `history`, as it was judged; nothing where history is short."""
    if not history:
        return []
    newest = history[-1]
    reference, enough = _compared_with(history, newest.night, newest.state, checks)
    return list(findings_of(newest.figures, reference, newest.model_digest, checks)) if enough else []


def past_nights(connection: duckdb.DuckDBPyConnection) -> list[PastNight]:
    """Return the history, the oldest night first; empty if there is none."""
    exists = connection.execute(
        "select count(*) from duckdb_tables() where database_name = current_database() "
        "and table_name = 'linkage_nights'"
    ).fetchone()
    if exists != (1,):
        return []
    rows = connection.execute(
        "select night, state, model_digest, good, accepted_because, figures from linkage_nights order by night, rowid"
    ).fetchall()
    return [
        PastNight(night, state, model_digest, good, accepted, NightFigures.from_json(figures))
        for night, state, model_digest, good, accepted, figures in rows
    ]


def findings_of(
    figures: NightFigures, reference: Sequence[PastNight], model_digest: str, checks: LinkageChecks
) -> Iterator[Finding]:
    """Yield what strays from the `reference` nights."""
    nights = [past.figures for past in reference]
    yield from _link_rates(figures, nights, checks)
    yield from _cluster_sizes(figures, nights, checks)
    yield from _candidate_volume(figures, nights, checks)
    same_model = [past.figures for past in reference if past.model_digest == model_digest]
    if same_model:
        yield from _match_weights(figures, same_model, checks)


def stability_index(now: Mapping[int, int], usual: Mapping[int, int]) -> float:
    """Return the population stability index of two histograms: the sum of (p - q) ln(p / q) over their bins."""
    bins = now.keys() | usual.keys()
    of_now, of_usual = (max(sum(counts.values()), 1) for counts in (now, usual))
    shares = [
        (max(now.get(one, 0) / of_now, SMALLEST_SHARE), max(usual.get(one, 0) / of_usual, SMALLEST_SHARE))
        for one in bins
    ]
    return sum((p - q) * log(p / q) for p, q in shares)


def _link_rates(
    figures: NightFigures, nights: Sequence[NightFigures], checks: LinkageChecks
) -> Iterator[Finding]:
    limits = checks.feed_pair_link_rates
    for name in sorted({name for past in nights for name in past.link_rates}):
        known = [past.link_rates[name] for past in nights if name in past.link_rates]
        now = figures.link_rates.get(name)
        usual, people = median(rate.share for rate in known), median(rate.people for rate in known)
        if now is None or max(people, now.people) < limits.fewest_people:
            continue
        steady = _steady(name, figures, nights, limits.steady_below)
        beyond = [
            (now.share < usual * limits.blocks_below, limits.blocks_below, True),
            (now.share > usual * limits.blocks_above and steady, limits.blocks_above, True),
            (now.share < usual * limits.warns_below, limits.warns_below, False),
        ]
        yield from _first(beyond, Check.LINK_RATES, name, now.share, usual)


def _cluster_sizes(
    figures: NightFigures, nights: Sequence[NightFigures], checks: LinkageChecks
) -> Iterator[Finding]:
    limits = checks.cluster_sizes
    largest = median(past.largest_person for past in nights)
    above = figures.largest_person > max(largest * limits.largest_blocks_above, limits.largest_at_least)
    yield from _first(
        [(above, limits.largest_blocks_above, True)],
        Check.CLUSTERS,
        "records of the largest person",
        figures.largest_person,
        largest,
    )
    usual, now = median(past.records_per_person for past in nights), figures.records_per_person
    low, high = limits.records_per_person_blocks_below, limits.records_per_person_blocks_above
    beyond = [(now < usual * low, low, True), (now > usual * high, high, True)]
    yield from _first(beyond, Check.CLUSTERS, "records per person", now, usual)


def _candidate_volume(
    figures: NightFigures, nights: Sequence[NightFigures], checks: LinkageChecks
) -> Iterator[Finding]:
    limits = checks.candidate_volume
    yield from _first(
        _beyond_volume(
            now := figures.candidates_per_record,
            usual := median(past.candidates_per_record for past in nights),
            checks,
        ),
        Check.CANDIDATES,
        "candidate pairs per record",
        now,
        usual,
    )
    for rule in sorted(figures.candidates):
        known = [past.candidates[rule] / max(past.records, 1) for past in nights if rule in past.candidates]
        now = figures.candidates[rule] / max(figures.records, 1)
        # A rule that is a small part of all pairs may change as it likes.
        if known and now * limits.blocks_above > usual:
            yield from _first(
                [(now > median(known) * limits.blocks_above, limits.blocks_above, True)],
                Check.CANDIDATES,
                f"candidate pairs per record by {rule}",
                now,
                median(known),
            )


def _beyond_volume(now: float, usual: float, checks: LinkageChecks) -> list[tuple[bool, float, bool]]:
    limits = checks.candidate_volume
    return [
        (now > usual * limits.blocks_above, limits.blocks_above, True),
        (now < usual * limits.blocks_below, limits.blocks_below, True),
        (now > usual * limits.warns_above, limits.warns_above, False),
    ]


def _match_weights(
    figures: NightFigures, nights: Sequence[NightFigures], checks: LinkageChecks
) -> Iterator[Finding]:
    limits = checks.match_weights
    for feed in sorted(figures.weights):
        usual: dict[int, int] = {}
        for past in nights:
            for weight, pairs in past.weights.get(feed, {}).items():
                usual[weight] = usual.get(weight, 0) + pairs
        of_feed = figures.weights[feed]
        if min(sum(of_feed.values()), sum(usual.values())) < limits.fewest_pairs:
            continue
        index = stability_index(of_feed, usual)
        for limit, blocks in ((limits.blocks_above, True), (limits.warns_above, False)):
            if index > limit:
                yield Finding(
                    Check.WEIGHTS, f"stability index of match weights, {feed}", index, 0.0, limit, blocks
                )
                break


def _steady(name: str, figures: NightFigures, nights: Sequence[NightFigures], growth: float) -> bool:
    """Whether no feed of a pair has grown so much that its rates were those of another, smaller file."""
    return all(
        figures.people_by_feed.get(feed, 0)
        <= growth * median(past.people_by_feed.get(feed, 0) for past in nights)
        for feed in name.split(SEPARATOR)
    )


def _first(
    beyond: Sequence[tuple[bool, float, bool]], check: Check, what: str, now: float, usual: float
) -> Iterator[Finding]:
    """Yield the first limit that is passed: those that block stand before those that warn."""
    for passed, share, blocks in beyond:
        if passed:
            yield Finding(check, what, now, usual, usual * share, blocks)
            return


def _compared_with(
    history: Sequence[PastNight], night: date, state: str, checks: LinkageChecks
) -> tuple[list[PastNight], bool]:
    """Return the last good nights up to `night` that held other people, and whether they are enough.

    None is from before a night that was accepted: such a night is enough by itself.
    """
    good = [past for past in history if past.good and past.state != state and past.night <= night]
    accepted = [place for place, past in enumerate(good) if past.accepted_because]
    reference = good[max([len(good) - checks.history.nights, *accepted, 0]) :]
    return reference, bool(accepted) or len(reference) >= checks.history.fewest


def _state(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the digest of the link keys and the model that the people in the store were made with."""
    row = connection.execute("select max(digest) from people_state").fetchone()
    return str(row[0]) if row and row[0] else ""
