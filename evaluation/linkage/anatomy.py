"""Anatomy of linkage errors: at which step the records of one person were parted, and which level let strangers in.

A person whose records lie in two clusters misses many pairs, for want of one link. So each missed pair is told twice:
by how far it came itself, and by how far the best pair between its two clusters came (what *parted* them). The second
says what to mend: a better blocking rule helps only where no pair at all was compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from evaluation.linkage.pairs import Labels
from linkage.clustering.clusters import BRIDGE, CONTRADICTED, UNDECIDED, cluster
from linkage.model import LinkageModel
from linkage.people import edges_by_row
from linkage.scoring.pair_levels import Comparison, levels_of_pairs, model_comparisons
from linkage.scoring.pairs import linking_connection, load_compared_records, score_pairs

SCRIPT = Path(__file__).with_name("anatomy.sql")

CAUSES = (
    "never compared",
    "below the threshold",
    "ruled out as relatives",
    "identities contradict",
    "undecided between two",
    "weak bridge cut",
    "parted otherwise",
)
"""How far a missed pair came; the position is the stage of `anatomy.sql`. From the fourth on they
were linked, and cut in clustering; the last comes up only where people are not what the model in use gives.
"""

STAGES_OF_CUTS = {CONTRADICTED: 3, UNDECIDED: 4, BRIDGE: 5}

PATTERNS_SHOWN = 15
IDENTICAL = "identical link keys"
NO_ERROR = "no error"


@dataclass(frozen=True)
class Cause:
    """Missed pairs by cause. `own`: pairs that came this far and no further. `parted`: pairs between clusters whose
    best pair came this far; `partings`: how many such two clusters there are.
    """

    cause: str
    own: int
    parted: int
    partings: int


@dataclass(frozen=True)
class MissedIn:
    """True pairs of a group or of two feeds, and those missed by what parted them, in the order of `CAUSES`."""

    name: str
    true_pairs: int
    missed: tuple[int, ...]

    @property
    def recall(self) -> float:
        """The share of the true pairs that were found."""
        return 1 - sum(self.missed) / self.true_pairs if self.true_pairs else 1.0


@dataclass(frozen=True)
class Pattern:
    """Levels that the best pair between two clusters, or the strongest link between two people, reached together.

    `levels` are (comparison, level, bits), without comparisons of which one side holds nothing. `cases` counts the
    clusters or people, `pairs` the pairs of records behind them, `weight` is the median match weight. `example`: the
    references of one such pair, for `doorstep linkage explain`.
    """

    levels: tuple[tuple[str, str, float], ...]
    cases: int
    pairs: int
    weight: float
    example: tuple[str, str]


@dataclass(frozen=True)
class Anatomy:
    """`threshold` in bits. `margins`: how many bits the best pair of a parting below the threshold lacked (whole bits,
    rounded up) → partings. `levels_of_false`: comparison → level → false mergers whose strongest link reached it.
    """

    threshold: float
    true_pairs: int
    missed_pairs: int
    wrong_pairs: int
    causes: tuple[Cause, ...]
    by_feeds: tuple[MissedIn, ...]
    by_group: Mapping[str, tuple[MissedIn, ...]]
    by_error: tuple[MissedIn, ...]
    margins: Mapping[int, int]
    below: tuple[Pattern, ...]
    never_compared: tuple[Pattern, ...]
    mergers: int
    mergers_in_one_household: int
    mergers_without_own_link: int
    false_patterns: tuple[Pattern, ...]
    levels_of_false: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class JudgedRecords:
    """What is known of the records of `link_keys`, one entry per row, in its order.

    `errors`: a bit mask of the truth, `error_names` its bits from the lowest. `groups`: properties of the person.
    """

    found: Labels
    truth: Labels
    household: Labels
    groups: Mapping[str, npt.NDArray[np.str_]]
    errors: npt.NDArray[np.uint32]
    error_names: Sequence[str]


def anatomy_of(
    link_keys: pa.Table, judged: JudgedRecords, model: LinkageModel, edges: pa.Table | None = None
) -> Anatomy:
    """Return what parted the records of one person and what joined those of two, under `model`.

    `link_keys` as `read_link_keys` gives them, `edges` as the linkage store holds them, with what
    clustering made of each; linked anew without. People need not be what `model` gives, but causes are told of its
    weights and rules.
    """
    connection = linking_connection()
    try:
        return _anatomy(connection, link_keys, judged, model, edges)
    finally:
        connection.close()


def _anatomy(
    connection: duckdb.DuckDBPyConnection,
    link_keys: pa.Table,
    judged: JudgedRecords,
    model: LinkageModel,
    edges: pa.Table | None,
) -> Anatomy:
    load_compared_records(connection, link_keys)
    connection.register("judged", _judged_table(link_keys, judged))
    connection.execute(f"set variable threshold = {float(model.match_weight_threshold)!r}")
    pairs, causes = _parts()
    connection.execute(pairs)
    connection.register("decided", _decided(connection, link_keys, model, edges))
    for name in ("missed", "wrong"):
        asked = connection.execute(f"from asked_{name}").to_arrow_table()
        connection.register(f"levels_{name}", levels_of_pairs(connection, model.splink_settings, asked))
    connection.execute(causes)
    comparisons = model_comparisons(model.splink_settings)
    false_patterns = _patterns(connection, "mergers", "levels_wrong", "linked", comparisons)
    mergers, together, unlinked, wrong = _row(
        connection,
        "select count(*), count(*) filter (of_one_household), count(*) filter (not linked), coalesce(sum(pairs), 0) "
        "from mergers",
    )
    by_group = {name: _by_group(connection, name) for name in judged.groups}
    return Anatomy(
        threshold=model.match_weight_threshold,
        true_pairs=_row(connection, f"select coalesce(sum(true_pairs), 0) from ({TRUE_PAIRS_BY_FEEDS})")[0],
        missed_pairs=_row(connection, "select count(*) from missed")[0],
        wrong_pairs=wrong,
        causes=_causes(connection),
        by_feeds=_by_feeds(connection),
        by_group=by_group,
        by_error=_by_error(connection, judged.error_names),
        margins=_margins(connection),
        below=_patterns(connection, "partings", "levels_missed", "stage = 1", comparisons)[:PATTERNS_SHOWN],
        never_compared=_patterns(connection, "partings", "levels_missed", "stage = 0", comparisons)[
            :PATTERNS_SHOWN
        ],
        mergers=mergers,
        mergers_in_one_household=together,
        mergers_without_own_link=unlinked,
        false_patterns=false_patterns[:PATTERNS_SHOWN],
        levels_of_false=_levels_of(false_patterns),
    )


def _judged_table(link_keys: pa.Table, judged: JudgedRecords) -> pa.Table:
    return pa.table(
        {
            "record_ref": link_keys["record_ref"],
            "feed": link_keys["feed"],
            "person": judged.truth,
            "cluster": judged.found,
            "household": judged.household,
            "errors": judged.errors,
            **{f"group_{name}": pa.array(values, pa.string()) for name, values in judged.groups.items()},
        }
    )


def _decided(
    connection: duckdb.DuckDBPyConnection, link_keys: pa.Table, model: LinkageModel, edges: pa.Table | None
) -> pa.Table:
    """Return the links that clustering does not use, with the stage of the reason."""
    if edges is None or "reason" not in edges.column_names:
        edges = _clustered_anew(link_keys, model)
    stages = {"reason": list(STAGES_OF_CUTS), "stage": list(STAGES_OF_CUTS.values())}
    connection.register("held_links", edges)
    connection.register("stages_of_cuts", pa.table(stages))
    return connection.execute(
        """
        select
            least(record_ref_l, record_ref_r) as record_ref_l,
            greatest(record_ref_l, record_ref_r) as record_ref_r,
            max(stage) as stage,
        from held_links
        join stages_of_cuts using (reason)
        group by all
        """
    ).to_arrow_table()


def _clustered_anew(link_keys: pa.Table, model: LinkageModel) -> pa.Table:
    """Return the links of `link_keys` under `model` with what clustering makes of each, as on a night."""
    edges = edges_by_row(
        score_pairs(link_keys, model.splink_settings, model.match_weight_threshold), link_keys["record_ref"]
    )
    left, right = (link_keys["record_ref"].take(pa.array(side)) for side in (edges.left, edges.right))
    return pa.table(
        {"record_ref_l": left, "record_ref_r": right, "reason": cluster(edges, link_keys).reasons}
    )


def _parts() -> tuple[str, str]:
    """Return the two parts of the script: before and after the levels of its pairs are known."""
    _, pairs, causes = SCRIPT.read_text(encoding="utf-8").split("-- part: ")
    return pairs.partition("\n")[2], causes.partition("\n")[2]


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row = connection.execute(query).fetchone()
    if row is None:
        raise AssertionError("a count without a row")
    return tuple(int(value) for value in row)


def _causes(connection: duckdb.DuckDBPyConnection) -> tuple[Cause, ...]:
    own = dict(connection.execute("select stage, count(*) from missed_stages group by stage").fetchall())
    parted = {
        stage: (pairs, partings)
        for stage, pairs, partings in connection.execute(
            "select stage, sum(pairs)::bigint, count(*) from partings group by stage"
        ).fetchall()
    }
    return tuple(
        Cause(cause, own.get(stage, 0), *parted.get(stage, (0, 0))) for stage, cause in enumerate(CAUSES)
    )


TRUE_PAIRS_BY_FEEDS = """
with counted as (select person, feed, count(*) as records from members group by all)
select
    l.feed as feed_l,
    r.feed as feed_r,
    sum(case when l.feed = r.feed then l.records * (l.records - 1) // 2 else l.records * r.records end)::bigint
        as true_pairs,
from counted as l
join counted as r on l.person = r.person and l.feed <= r.feed
group by all
"""

MISSED_BY_STAGE = ", ".join(
    f"count(*) filter (stage = {stage}) as stage_{stage}" for stage in range(len(CAUSES))
)


def _by_feeds(connection: duckdb.DuckDBPyConnection) -> tuple[MissedIn, ...]:
    rows = connection.execute(
        f"""
        with
        true_pairs as ({TRUE_PAIRS_BY_FEEDS}),
        counted as (select feed_l, feed_r, {MISSED_BY_STAGE} from parted group by all)
        select feed_l || ' – ' || feed_r, true_pairs, {_stages_or_zero()}
        from true_pairs
        left join counted using (feed_l, feed_r)
        where true_pairs > 0
        order by feed_l, feed_r
        """
    ).fetchall()
    return tuple(MissedIn(name, true_pairs, tuple(missed)) for name, true_pairs, *missed in rows)


def _by_group(connection: duckdb.DuckDBPyConnection, name: str) -> tuple[MissedIn, ...]:
    rows = connection.execute(
        f"""
        with
        people as (
            select person, any_value(group_{name}) as told, count(*) * (count(*) - 1) // 2 as true_pairs
            from members group by person
        ),
        counted as (select people.told, {MISSED_BY_STAGE} from parted join people using (person) group by told),
        totals as (select told, sum(true_pairs)::bigint as true_pairs from people group by told)
        select told, true_pairs, {_stages_or_zero()}
        from totals
        left join counted using (told)
        order by true_pairs desc, told
        """
    ).fetchall()
    return tuple(MissedIn(told, true_pairs, tuple(missed)) for told, true_pairs, *missed in rows)


def _stages_or_zero() -> str:
    return ", ".join(f"coalesce(stage_{stage}, 0)" for stage in range(len(CAUSES)))


def _by_error(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> tuple[MissedIn, ...]:
    """Return, for each kind of error, the true pairs in which a record bears it; and those without any error."""
    if not names:
        return ()
    conditions = ["errors = 0", *(f"errors & {1 << place} <> 0" for place in range(len(names)))]
    bits = ", ".join(f"count(*) filter (where {condition})" for condition in conditions)
    true_pairs = connection.execute(
        f"""
        select {bits}
        from (
            select l.errors | r.errors as errors
            from members as l
            join members as r on l.person = r.person and l.record_ref < r.record_ref
        )
        """
    ).fetchone()
    missed = connection.execute(f"select stage, {bits} from parted group by stage").fetchall()
    by_stage = {stage: counts for stage, *counts in missed}
    none = [0] * len(conditions)
    return tuple(
        MissedIn(name, total, tuple(by_stage.get(stage, none)[place] for stage in range(len(CAUSES))))
        for place, (name, total) in enumerate(zip((NO_ERROR, *names), true_pairs or none, strict=True))
        if total
    )


def _margins(connection: duckdb.DuckDBPyConnection) -> dict[int, int]:
    rows = connection.execute(
        """
        select ceil(getvariable('threshold') - match_weight)::integer as lacked, count(*)
        from partings
        join levels_missed on compared_l = record_ref_l and compared_r = record_ref_r
        where stage = 1
        group by all order by all
        """
    ).fetchall()
    return dict(rows)


def _patterns(
    connection: duckdb.DuckDBPyConnection,
    cases: str,
    levels: str,
    which: str,
    comparisons: Sequence[Comparison],
) -> tuple[Pattern, ...]:
    """Return the patterns of levels of `cases` for which `which` holds, those with most pairs first."""
    columns = ", ".join(f"level_{told.name}" for told in comparisons)
    rows = connection.execute(
        f"""
        select
            {columns},
            count(*) as cases,
            sum(pairs)::bigint as pairs,
            median(match_weight) as weight,
            min((compared_l, compared_r)) as example,
        from {cases}
        left join {levels} on compared_l = record_ref_l and compared_r = record_ref_r
        where {which}
        group by {columns}
        order by pairs desc, cases desc, {columns}
        """
    ).fetchall()
    return tuple(
        Pattern(_told(comparisons, places), counted, pairs, weight or 0.0, tuple(example))
        for *places, counted, pairs, weight, example in rows
    )


def _told(comparisons: Sequence[Comparison], places: Sequence[Any]) -> tuple[tuple[str, str, float], ...]:
    if None in places:
        return ((IDENTICAL, "", 0.0),)
    reached = [(told.name, told.levels[place]) for told, place in zip(comparisons, places, strict=True)]
    return tuple((name, level.label, round(level.weight, 2)) for name, level in reached if not level.unknown)


def _levels_of(patterns: Sequence[Pattern]) -> dict[str, dict[str, int]]:
    counted: dict[str, dict[str, int]] = {}
    for pattern in patterns:
        for name, label, _ in pattern.levels:
            of_name = counted.setdefault(name, {})
            of_name[label] = of_name.get(label, 0) + pattern.cases
    return counted
