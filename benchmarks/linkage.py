"""Linkage of a county from nothing: on pseudonyms, and of clear text with the same blocking, in one run.

Both sides compare the same pairs of the same distinct identities in DuckDB. The clear side compares names by their
letters and dates and numbers by their slips (`evaluation.linkage.two_sides`), then clusters as Splink does; ours
compares link keys with the reviewed model, then clusters with its guards. The second look, which clear text has no peer
of, is told apart. Making the county, encoding and the training of the clear model are not counted. Each side has a
process of its own, for its peak memory.

`DOORSTEP_BENCHMARK_LARGE=1` takes 104,000 households, about a million records, in place of 12,000.
`DOORSTEP_BENCHMARK_IDENTITIES` names Parquet files of identities (as `newest_identities` gives them, parted by colons)
that stand in for making a county: the files are taken for counties apart, that share nothing but names and postcodes.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from evaluation.linkage.identities import newest_identities
from evaluation.linkage.two_sides import RANDOM_PAIRS, clear_columns, clear_plan, link_keys_of
from evaluation.passing_keys import PassingKeys
from linkage.candidates.training import SEED, county_plan, train_settings
from linkage.clustering.clusters import cluster
from linkage.clustering.second_look import second_links
from linkage.model import read_model
from linkage.people import edges_by_row
from linkage.scoring.link_keys import LINK_KEY_COLUMNS
from linkage.scoring.pairs import ScoredPairs, linking_connection, score_pairs
from linkage.scoring.short_tokens import with_short_tokens
from stores.home import Home

SMALL, LARGE = 12_000, 104_000
MONTHS = 36
RECORDS_TO_TRAIN_ON = 50_000
MEMORY_LIMIT_GIB = 4.5
SIDES = ("pseudonyms", "clear")


def measure() -> dict[str, Any]:
    """Make a county, encode its identities, train the clear side, and link by both sides, twice in turns."""
    if given := os.environ.get("DOORSTEP_BENCHMARK_IDENTITIES"):
        with tempfile.TemporaryDirectory() as folder:
            return measure_identities(_put_together(given.split(":")), Path(folder), rounds=1)
    households = LARGE if os.environ.get("DOORSTEP_BENCHMARK_LARGE") else SMALL
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        doorstep = str(Path(sys.executable).with_name("doorstep"))
        made = [doorstep, "county", "make", "--households", str(households), "--months", str(MONTHS)]
        subprocess.run([*made, "--out", str(home.root)], check=True, capture_output=True)
        identities = newest_identities(home)
        return measure_identities(identities, Path(folder)) | {"households": households, "months": MONTHS}


def _put_together(paths: Sequence[str]) -> pa.Table:
    """Return the identities of several counties as one table: their references are told apart."""
    parts = []
    for place, path in enumerate(paths):
        part = pq.read_table(path)
        for column in ("record_ref", "partner_person_reference"):
            told_apart = pc.binary_join_element_wise(part[column], str(place), "/")
            part = part.set_column(part.column_names.index(column), column, told_apart)
        parts.append(part)
    return pa.concat_tables(parts).combine_chunks().sort_by("record_ref")


def measure_identities(identities: pa.Table, folder: Path, rounds: int = 2) -> dict[str, Any]:
    """Link `identities` (as `newest_identities`) by both sides, `rounds` times in turns; files on the way go to
    `folder`.
    """
    _prepare(identities, folder)
    runs = [{"side": side, **_in_own_process(side, folder)} for side in SIDES * rounds]
    best = {
        side: min((run for run in runs if run["side"] == side), key=lambda run: run["processor_seconds"])
        for side in SIDES
    }
    return {
        "records": identities.num_rows,
        "runs": runs,
        "ratio": _ratio(best, "seconds"),
        "ratio_limit": 1.0,
        "ratio_of_processor_time": _ratio(best, "processor_seconds"),
        "ratio_of_processor_time_with_second_look": _ratio(
            best, "processor_seconds", "second_look_processor_seconds"
        ),
        "peak_memory_gib": max(run["peak_memory_gib"] for run in runs if run["side"] == "pseudonyms"),
        "peak_memory_limit_gib": MEMORY_LIMIT_GIB,
        "load_average_at_the_end": round(os.getloadavg()[0], 1),
    }


def _ratio(best: Mapping[str, Mapping[str, float]], *figures: str) -> float:
    """Return what the sum of `figures` is on pseudonyms, in parts of what it is in clear text."""
    pseudonyms, clear = (sum(best[side][figure] for figure in figures) for side in SIDES)
    return round(pseudonyms / clear, 2)


def _prepare(identities: pa.Table, folder: Path) -> None:
    link_keys = link_keys_of(identities, PassingKeys())
    clear = clear_columns(identities)
    pq.write_table(link_keys, folder / "pseudonyms.parquet")
    for name in clear.column_names:
        link_keys = link_keys.append_column(name, clear[name])
    pq.write_table(link_keys, folder / "clear.parquet")
    plan = clear_plan(replace(county_plan(), random_pairs=RANDOM_PAIRS))
    settings = train_settings(link_keys.filter(pa.array(_of_some_homes(link_keys))), plan, clear.column_names)
    (folder / "clear.json").write_text(json.dumps({"settings": settings, "columns": clear.column_names}))


def _of_some_homes(link_keys: pa.Table) -> np.ndarray:
    """Return which records to train on: all of some homes, so that matches are among them."""
    homes = link_keys["uprn_token"].combine_chunks().cast(pa.binary()).dictionary_encode().indices
    home = homes.fill_null(-1).to_numpy().astype(np.int64)
    share = min(1.0, RECORDS_TO_TRAIN_ON / max(len(home), 1))
    chosen = np.random.default_rng(SEED).random(int(home.max(initial=0)) + 1) < share
    return (home >= 0) & chosen[home]


def _in_own_process(side: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.linkage", side, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def link_side(side: str, folder: Path) -> dict[str, Any]:
    """Link the records that `folder` holds for `side` and say what it cost."""
    link_keys = pq.read_table(folder / f"{side}.parquet")
    model = read_model()
    settings, extra = model.splink_settings, []
    if side == "clear":
        held = json.loads((folder / "clear.json").read_text())
        settings, extra = held["settings"], held["columns"]
    started, before = time.perf_counter(), time.process_time()
    scored = score_pairs(link_keys, settings, model.match_weight_threshold, extra)
    predicted, after = time.perf_counter(), time.process_time()
    second_look = (_by_splink if side == "clear" else _by_clusters)(link_keys, scored)
    clustered, looked = time.perf_counter(), time.process_time()
    second_look()
    ended, ended_processor = time.perf_counter(), time.process_time()
    return {
        "distinct_identities": int(np.unique(scored.alike["compared_as"].to_numpy()).size),
        "pairs_compared": sum(scored.candidates.values()),
        "links": scored.edges.num_rows,
        "predict_seconds": round(predicted - started, 1),
        "cluster_seconds": round(clustered - predicted, 1),
        "second_look_seconds": round(ended - clustered, 1),
        "seconds": round(clustered - started, 1),
        "predict_processor_seconds": round(after - before, 1),
        "cluster_processor_seconds": round(looked - after, 1),
        "second_look_processor_seconds": round(ended_processor - looked, 1),
        "processor_seconds": round(looked - before, 1),
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def _by_clusters(link_keys: pa.Table, scored: ScoredPairs) -> Callable[[], object]:
    """Cluster as a night does: of records with the same keys, the one that was compared stands for all. Return what
    takes the second look, which clear text has no peer of.
    """
    stood_for = scored.alike["compared_as"].value_counts().flatten()
    known = with_short_tokens(link_keys.select(list(LINK_KEY_COLUMNS)))
    known = known.filter(pc.is_in(known["record_ref"], value_set=stood_for[0])).sort_by("record_ref")
    copies = stood_for[1].take(pc.index_in(known["record_ref"], value_set=stood_for[0])).to_numpy()
    edges = edges_by_row(replace(scored, alike=scored.alike[:0]), known["record_ref"])
    labels = cluster(edges, known, copies).labels
    return partial(second_links, known, labels)


def _by_splink(link_keys: pa.Table, scored: Any) -> Callable[[], object]:
    from splink import DuckDBAPI
    from splink.clustering import cluster_pairwise_predictions_at_threshold

    connection = linking_connection()
    connection.register("nodes", link_keys.select(["record_ref"]))
    connection.register("edges", scored.edges)
    # The edges are those above the threshold already.
    cluster_pairwise_predictions_at_threshold(
        "nodes", "edges", DuckDBAPI(connection=connection), "record_ref"
    )
    return lambda: None


if __name__ == "__main__":
    print(json.dumps(link_side(sys.argv[1], Path(sys.argv[2]))))
