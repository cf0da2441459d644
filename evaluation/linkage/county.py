"""Linkage of the synthetic county against its truth: how many pairs of records are rightly one person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bridge.pseudonymise.identities import record_references
from bridge.zone import CouncilZone
from evaluation.linkage.identities import newest_identities
from evaluation.linkage.origins import LARGEST_RECALL_GAP, OriginFigures, figures_by_origin, recall_gap
from evaluation.linkage.pairs import PairFigures, b_cubed, cluster_figures, pairs_within
from evaluation.linkage.two_sides import TwoSides, judge_both_sides
from governance.contracts import Table
from stores.analytics import AnalyticsZone
from stores.home import Home

KEY_SEPARATOR = "|"
LEAST_PRECISION = 0.995
LEAST_RECALL = 0.93
"""What linkage of the county must reach, over all pairs of records."""


class TruthMissingError(RuntimeError):
    """A home has no truth to measure against, as in any real council."""


@dataclass(frozen=True)
class LinkageFigures:
    """Figures over all pairs of records of tables that hold people; `b_cubed` averages over records instead.

    `holds`: precision, recall and the gap in recall between name origins are what the project promises.
    `recall_within` and `recall_across` split recall by pairs inside one feed and between two. `recall_gap` is
    between origins that have enough pairs to tell. `unknown_records` are in the store but not in the truth;
    `missing_records` are in the truth but not in the store: quarantined, or of a delivery that is still to come.
    """

    precision: float
    recall: float
    f1: float
    holds: bool
    b_cubed: PairFigures
    records: int
    people: int
    true_people: int
    true_pairs: int
    recall_within: Mapping[str, float]
    recall_across: Mapping[str, float]
    recall_gap: float
    by_origin: Mapping[str, OriginFigures]
    unknown_records: int
    missing_records: int


def evaluate_county(home: Home) -> LinkageFigures:
    """Measure `people` in the linkage store of `home` against `truth/records.parquet`.

    The council's pseudonym root turns the truth's natural keys into record references: only somebody with
    both the truth and the council's keys can do this. Raises `TruthMissingError` if the home was not made by
    the generator.
    """
    truth = truth_by_record(home)
    with AnalyticsZone.open(home).linkage(read_only=True) as connection:
        found = connection.execute(
            "select record_ref, person_id from people order by record_ref"
        ).to_arrow_table()
    place = pc.index_in(found["record_ref"], value_set=truth["record_ref"])
    known = pc.is_valid(place)
    both = found.filter(known)
    matching = truth.take(place.drop_null())
    found_labels, truth_labels = _labels(both["person_id"]), _labels(matching["person_id"])
    within, across = _recall_by_feed(found_labels, truth_labels, matching["feed"])
    pairwise = cluster_figures(found_labels, truth_labels)
    by_origin = figures_by_origin(found_labels, truth_labels, _origins(home, matching["person_id"]))
    gap = recall_gap(by_origin)
    return LinkageFigures(
        precision=pairwise.precision,
        recall=pairwise.recall,
        f1=pairwise.f1,
        holds=pairwise.precision >= LEAST_PRECISION
        and pairwise.recall >= LEAST_RECALL
        and gap <= LARGEST_RECALL_GAP,
        b_cubed=b_cubed(found_labels, truth_labels),
        records=both.num_rows,
        people=int(pc.count_distinct(both["person_id"]).as_py()),
        true_people=int(pc.count_distinct(matching["person_id"]).as_py()),
        true_pairs=pairs_within(truth_labels),
        recall_within=within,
        recall_across=across,
        recall_gap=gap,
        by_origin=by_origin,
        unknown_records=found.num_rows - both.num_rows,
        missing_records=truth.num_rows - both.num_rows,
    )


def compare_county(home: Home) -> TwoSides:
    """Link the newest identities in the partners' files of `home` in the clear and on pseudonyms, and judge both.

    No night need have run: the files and the truth are enough. Raises `TruthMissingError` if the home was not made
    by the generator.
    """
    records = _records(home)
    table = pa.table({name: records[name].cast(pa.string()) for name in ("feed", "table", "key")})
    keys = pc.binary_join_element_wise(*table.columns, KEY_SEPARATOR).combine_chunks()
    identities = newest_identities(home)
    place = pc.index_in(identities["record_ref"], value_set=keys)
    identities = identities.filter(pc.is_valid(place))
    person = records["person_id"].cast(pa.string()).take(place.drop_null())
    return judge_both_sides(identities, _labels(person), _origins(home, person))


def _records(home: Home) -> pa.Table:
    path = home.truth / "records.parquet"
    if not path.is_file():
        raise TruthMissingError(
            f"{path}: no truth here. Only a county made by `doorstep county make` has one."
        )
    return pq.read_table(path)


def _origins(home: Home, person: pa.ChunkedArray) -> np.ndarray:
    """Return the name origin of every record's person."""
    people = pq.read_table(home.truth / "persons.parquet", columns=["person_id", "origin"])
    place = pc.index_in(person.cast(pa.string()), value_set=people["person_id"].cast(pa.string()))
    return people["origin"].cast(pa.string()).take(place).to_numpy().astype(str)


def truth_by_record(home: Home) -> pa.Table:
    """Return the truth as record_ref, feed, person_id, household_id, errors, by recomputing each reference from the
    partner's own key.
    """
    records = _records(home)
    zone = CouncilZone.open(home)
    parts = [
        _with_references(zone, feed, table, records)
        for feed, contract in zone.contracts.items()
        for table in contract.tables
        if table.holds_people
    ]
    return pa.concat_tables(parts)


def _with_references(zone: CouncilZone, feed: str, table: Table, records: pa.Table) -> pa.Table:
    own = records.filter(pc.and_(pc.equal(records["feed"], feed), pc.equal(records["table"], table.name)))
    split = pc.split_pattern(own["key"], KEY_SEPARATOR, max_splits=len(table.key) - 1)
    keys = pa.table({column.name: pc.list_element(split, place) for place, column in enumerate(table.key)})
    references = record_references(table, keys, zone.keys, zone.contracts[feed].agreement)
    known = ("feed", "person_id", "household_id", "errors")
    return pa.table({"record_ref": references, **{name: own[name] for name in known}})


def _labels(column: pa.ChunkedArray) -> np.ndarray:
    return column.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)


def _recall_by_feed(
    found: np.ndarray, truth: np.ndarray, feeds: pa.ChunkedArray
) -> tuple[dict[str, float], dict[str, float]]:
    names = sorted(feeds.unique().to_pylist())
    member = {name: pc.equal(feeds, name).to_numpy(zero_copy_only=False) for name in names}
    within = {name: _recall(found[chosen], truth[chosen]) for name, chosen in member.items()}
    across = {}
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            chosen = member[one] | member[other]
            true_pairs, found_pairs = (
                pairs_within(labels[chosen])
                - pairs_within(labels[member[one]])
                - pairs_within(labels[member[other]])
                for labels in (truth, _together(found, truth))
            )
            across[f"{one} – {other}"] = found_pairs / true_pairs if true_pairs else 1.0
    return within, across


def _recall(found: np.ndarray, truth: np.ndarray) -> float:
    return cluster_figures(found, truth).recall


def _together(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return found * (int(truth.max(initial=0)) + 1) + truth
