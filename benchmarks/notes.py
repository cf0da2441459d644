"""Reading case notes: how many a second in one process and in two, what it costs to begin, and redaction."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pyarrow as pa

from bridge.notes.concept_rows import note_concepts
from bridge.notes.identifiers import IdentifierFinder, NoteSubject
from evaluation.notes.sentences import HELD_BACK
from evaluation.notes.sources import county_notes, county_world, known_people

NOTES = 10_000
BEGIN = """
import time
import pyarrow, pydantic, yaml
started = time.perf_counter()
from bridge.notes.concept_rows import NoteReader
NoteReader()
print(time.perf_counter() - started)
"""


def measure() -> dict[str, Any]:
    """Read `NOTES` notes of the sentences held back; seconds are of the clock, the first reading warms nothing up."""
    world = county_world()
    notes = county_notes(world, HELD_BACK, known_people(world))
    rows = (
        pa.concat_tables([notes.rows] * (NOTES // notes.rows.num_rows + 1)).slice(0, NOTES).combine_chunks()
    )
    began = float(
        subprocess.run([sys.executable, "-c", BEGIN], capture_output=True, check=True, text=True).stdout
    )

    started, used = time.perf_counter(), time.process_time()
    concepts, _ = note_concepts(rows)
    alone, processor = time.perf_counter() - started, time.process_time() - used

    halves = [rows.slice(0, NOTES // 2).combine_chunks(), rows.slice(NOTES // 2).combine_chunks()]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(note_concepts, [half.slice(0, 10) for half in halves]))
        started = time.perf_counter()
        made = [table for table, _ in pool.map(note_concepts, halves)]
        both = time.perf_counter() - started

    finder = IdentifierFinder(notes.known)
    started = time.perf_counter()
    for row in rows.to_pylist():
        subject = NoteSubject(
            (row["given_name"] or "", row["family_name"] or ""),
            row["date_of_birth"],
            row["address"],
            row["author_initials"],
        )
        finder.find(row["text"], row["note_date"], subject)
    redacting = time.perf_counter() - started
    return {
        "notes": NOTES,
        "concepts": concepts.num_rows,
        "two_processes_find_the_same": pa.concat_tables(made).equals(concepts),
        "seconds_to_begin": round(began, 2),
        "notes_a_processor_second": round(NOTES / processor),
        "notes_a_second_one_process": round(NOTES / alone),
        "load_average": round(os.getloadavg()[0], 1),
        "notes_a_second_two_processes": round(NOTES / both),
        "notes_redacted_a_second": round(NOTES / redacting),
    }
