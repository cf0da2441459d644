"""The records of a home's linkage store with the people that linkage found and those that the truth knows."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from evaluation.linkage.anatomy import JudgedRecords
from evaluation.linkage.clusters_measure import labels_of
from evaluation.linkage.county import truth_by_record
from evaluation.linkage.groups import groups_of_people
from linkage.scoring.link_keys import read_link_keys
from stores.analytics import AnalyticsZone
from stores.home import Home


@dataclass(frozen=True)
class JudgedHome:
    """`link_keys` and `records` row by row, `edges` between them as the store holds them, links of
    the second look that were used (with `evidence`), and how many records only one of store and truth holds.
    """

    link_keys: pa.Table
    records: JudgedRecords
    edges: pa.Table
    second_links: pa.Table
    unknown_records: int
    missing_records: int

    @property
    def feed(self) -> np.ndarray:
        """The feed of every record."""
        return self.link_keys["feed"].to_numpy().astype(str)


def judged_home(home: Home) -> JudgedHome:
    """Return the records that the linkage store of `home` and its truth both hold.

    Raises `evaluation.linkage.county.TruthMissingError` if the home was not made by the generator.
    """
    truth = truth_by_record(home)
    with AnalyticsZone.open(home).linkage(read_only=True) as connection:
        found = connection.execute("select record_ref, person_id from people").to_arrow_table()
        link_keys = read_link_keys(connection)
        edges = connection.execute("from edges").to_arrow_table()
        second_links = _second_links(connection)
    own = pc.index_in(link_keys["record_ref"], value_set=found["record_ref"])
    place = pc.index_in(link_keys["record_ref"], value_set=truth["record_ref"])
    known = pc.and_(pc.is_valid(own), pc.is_valid(place))
    of_record = truth.take(place.filter(known))
    records = JudgedRecords(
        found=labels_of(found["person_id"].take(own.filter(known))),
        truth=labels_of(of_record["person_id"]),
        household=labels_of(of_record["household_id"]),
        groups=groups_of_people(home, of_record["person_id"]),
        errors=of_record["errors"].to_numpy(),
        error_names=error_names(home),
    )
    judged = link_keys.filter(known)
    return JudgedHome(
        link_keys=judged,
        records=records,
        edges=_between(edges, judged),
        second_links=_between(second_links, judged),
        unknown_records=link_keys.num_rows - len(records.found),
        missing_records=truth.num_rows - len(records.found),
    )


def _second_links(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return the links of the second look that joined people; none in a store of before it."""
    held = connection.execute(
        "select count(*) from duckdb_tables() where database_name = current_database() and table_name = 'second_links'"
    ).fetchone() == (1,)
    return connection.execute(
        "select record_ref_l, record_ref_r, match_weight, evidence from second_links where is_followed"
        if held
        else "select '' as record_ref_l, '' as record_ref_r, 0.0 as match_weight, '' as evidence limit 0"
    ).to_arrow_table()


def _between(links: pa.Table, records: pa.Table) -> pa.Table:
    """Return the links whose two ends are among `records`."""
    left, right = (
        pc.is_in(links[side], value_set=records["record_ref"]) for side in ("record_ref_l", "record_ref_r")
    )
    return links.filter(pc.and_(left, right))


def error_names(home: Home) -> list[str]:
    """Return the names of the truth's error bits, the lowest first."""
    metadata = pq.read_schema(home.truth / "records.parquet").metadata or {}
    names = metadata.get(b"errors", b"").decode("ascii")
    return names.split(",") if names else []
