"""Case notes with known labels to judge the reader of notes by: the county's two halves, and a peer's notes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from bridge.notes.identifiers import KnownPeople
from evaluation.datasets import BENCHMARK_DATA_VARIABLE, DatasetError
from evaluation.notes.sentences import half_grammar
from governance.contracts import Identifier
from synthetic.county import feed_modules
from synthetic.feeds import case_notes
from synthetic.world import World, make_world

HOUSEHOLDS, MONTHS, SEED, FIRST_MONTH = 6_000, 18, 2, date(2024, 10, 1)
"""The county that is judged unless another is asked for: about 4,000 notes."""
PEER_FILE = Path("case_notes_peer") / "synthetic-case-notes.csv"
PEER_WRITTEN = date(2024, 1, 1)
"""The peer's notes bear no date."""
FEED = "case_notes"
NAME_WORDS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class LabelledNotes:
    """Notes as the bridge holds them once checked (columns of the feed's table), their labels by note reference, and
    what the council's vaults would know of people.
    """

    rows: pa.Table
    labels: pa.Table
    known: KnownPeople


def county_world(households: int = HOUSEHOLDS, seed: int = SEED) -> World:
    """Return the county whose notes are judged."""
    return make_world(households, MONTHS, seed, FIRST_MONTH)


def county_notes(world: World, half: str, known: KnownPeople) -> LabelledNotes:
    """Return the county's notes in the sentences of one half (`notes_sentences.HALVES`)."""
    records = case_notes.make_records(world, half_grammar(half))["notes"]
    columns, labels = records.columns, records.labels
    if labels is None:
        raise DatasetError("The county's case notes have no labels.")

    def text(name: str) -> pa.Array:
        return pa.array(columns[name], pa.string())

    def day(name: str) -> pa.Array:
        values = text(name)
        return pc.if_else(pc.equal(values, ""), None, values).cast(pa.date32())

    rows = pa.table(
        {
            "note_reference": pa.array(records.key, pa.string()),
            "note_date": day("note/date"),
            "given_name": text("subject/given_name"),
            "family_name": text("subject/family_name"),
            "date_of_birth": day("subject/date_of_birth"),
            "address": text("subject/address"),
            "author_initials": text("author/initials"),
            "text": columns["note/text"],
        }
    )
    return LabelledNotes(rows, labels, known)


def known_people(world: World) -> KnownPeople:
    """Return the words of names and addresses in the records of all other feeds: what the vaults would hold."""
    names: set[str] = set()
    addresses: set[str] = set()
    for identifier, values in _identities(world):
        words = {word for value in values for word in NAME_WORDS.findall(value.casefold() if value else "")}
        (addresses if identifier is Identifier.ADDRESS else names).update(words)
    return KnownPeople(frozenset(names), frozenset(addresses))


def _identities(world: World) -> Iterator[tuple[Identifier, list[str | None]]]:
    kinds = (
        Identifier.FORENAME, Identifier.MIDDLE_NAME, Identifier.SURNAME, Identifier.FULL_NAME, Identifier.ADDRESS,
    )  # fmt: skip
    for feed, (contract, module) in feed_modules().items():
        if feed == FEED:
            continue
        made = module.make_records(world)
        for table in contract.tables:
            if table.name not in made:
                continue
            for column in table.columns:
                values = made[table.name].columns.get(column.physical_name)
                if column.identifier in kinds and values is not None:
                    yield column.identifier, pc.unique(pa.array(values, pa.string())).to_pylist()


def peer_notes() -> pa.Table:
    """Return the peer's notes: the bridge's columns, and `scenario`, what was put into the note on purpose.

    Raises `DatasetError` where the reference data are not there.
    """
    folder = os.environ.get(BENCHMARK_DATA_VARIABLE)
    if not folder:
        raise DatasetError(
            f"{BENCHMARK_DATA_VARIABLE} is not set: set it to the folder that holds {PEER_FILE.parent}/."
        )
    path = Path(folder) / PEER_FILE
    if not path.is_file():
        raise DatasetError(
            f"{path}: no such file. Fetch the notes of case-note-simulator and put them there."
        )
    options = pa_csv.ParseOptions(newlines_in_values=True)
    table = pa_csv.read_csv(path, parse_options=options)
    count = table.num_rows
    return pa.table(
        {
            "note_reference": table["person_oid"].cast(pa.string()),
            "note_date": pa.array(np.full(count, np.datetime64(PEER_WRITTEN))),
            "given_name": table["first_name"],
            "family_name": table["last_name"],
            "author_initials": pa.nulls(count, pa.string()),
            "text": table["case_note"],
            "scenario": table["embedded_scenarios"],
        }
    )
