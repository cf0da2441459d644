"""Case notes to dated concepts: what leaves the council in place of the text.

One row per mention of a concept in a note: the concept, its date, its polarity, how sure. No word of the text, no place
in it, no identifier.
"""

from __future__ import annotations

import multiprocessing
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from spacy.tokens import Doc

from bridge.notes.concepts import CUES, MENTIONS, Cues, Mention
from bridge.notes.dates import BY_NOTE, DateInText, dates_in
from bridge.notes.reader import NoteReader

COLUMNS_READ = ("note_reference", "note_date", "text", "given_name", "family_name", "author_initials")

NOTES_FOR_PROCESSES = 20_000
"""From so many notes on, what a second process saves is several times what it costs to begin (spaCy's import)."""
MOST_PROCESSES = 4

NOTES_PER_READER = 50_000
"""A reader remembers every word that it has met; a new one keeps memory bounded."""

CONCEPT_SCHEMA = pa.schema(
    [
        ("note_reference", pa.string()), ("note_date", pa.date32()), ("mention", pa.int64()),
        ("concept", pa.string()), ("concept_date", pa.date32()), ("date_source", pa.string()),
        ("polarity", pa.string()), ("confidence", pa.float64()),
    ]
)  # fmt: skip
"""`mention` counts the mentions of a note from 1, in the order of the text. `concept_date` is
never after `note_date`."""


@dataclass(frozen=True, slots=True)
class Found:
    """A concept found in a note: where it stands (characters; stays home), and what leaves."""

    start: int
    end: int
    concept: str
    polarity: str
    confidence: float
    concept_date: date
    date_source: str


def note_concepts(rows: pa.Table) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """Return the concepts of checked case notes (`CONCEPT_SCHEMA`), and the position of the note of each.

    Many notes are read by a process on each core; what is found is the same, since a note is read by itself.
    """
    notes = rows.select(list(COLUMNS_READ))
    workers = min(MOST_PROCESSES, os.cpu_count() or 1)
    if notes.num_rows < NOTES_FOR_PROCESSES or workers == 1:
        return _note_concepts(notes)
    size = -(-notes.num_rows // workers)
    starts = range(0, notes.num_rows, size)
    # Taken, not sliced: a slice would be sent with all the notes that it is a slice of.
    shares = [notes.take(np.arange(start, min(start + size, notes.num_rows))) for start in starts]
    # Not forked: DuckDB's threads do not survive a fork.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        read = list(pool.map(_note_concepts, shares))
    parents = [found + start for start, (_, found) in zip(starts, read, strict=True)]
    return pa.concat_tables([table for table, _ in read]).combine_chunks(), np.concatenate(parents)


def _note_concepts(rows: pa.Table) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    columns: list[list[object]] = [[] for _ in CONCEPT_SCHEMA.names]
    parents: list[int] = []
    references, days = rows["note_reference"].to_pylist(), rows["note_date"].to_pylist()
    for place, mentions in enumerate(read_notes(rows)):
        for number, found in enumerate(mentions, start=1):
            parents.append(place)
            values = (
                references[place], days[place], number, found.concept, found.concept_date, found.date_source,
                found.polarity, found.confidence,
            )  # fmt: skip
            for column, value in zip(columns, values, strict=True):
                column.append(value)
    table = pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, CONCEPT_SCHEMA, strict=True)],
        schema=CONCEPT_SCHEMA,
    )
    return table, np.array(parents, dtype=np.int64)


def read_notes(rows: pa.Table) -> Iterator[list[Found]]:
    """Yield what is found in each note, in the order of `rows` (checked rows of the feed's table `notes`).

    What is found depends on the note's own row alone, so the same note says the same in any batch.
    """
    texts = rows["text"].to_pylist()
    days = rows["note_date"].to_pylist()
    subjects = [
        frozenset(f"{given or ''} {family or ''}".casefold().split())
        for given, family in zip(rows["given_name"].to_pylist(), rows["family_name"].to_pylist(), strict=True)
    ]
    initials = rows["author_initials"].to_pylist()
    reader = _shared_reader()
    for place, text in enumerate(texts):
        if place and place % NOTES_PER_READER == 0:
            reader = NoteReader()
        doc = reader.read(text, days[place].year, subjects[place], initials[place])
        yield found_in(doc, text, days[place])


@cache
def _shared_reader() -> NoteReader:
    """One reader for all small batches of a process: making one takes half a second."""
    return NoteReader()


def found_in(doc: Doc, text: str, written: date) -> list[Found]:
    """Return the concepts of a read note in the order of the text, each with its date."""
    mentions: list[Mention] = sorted(
        doc.user_data[MENTIONS],
        key=lambda mention: (mention.start, mention.end, mention.concept, mention.polarity),
    )
    if not mentions:
        return []
    cues: Cues = doc.user_data[CUES]
    told = list(dates_in(text, written))
    found = []
    for mention in mentions:
        start, last = doc[mention.start].idx, doc[mention.end - 1]
        end = last.idx + len(last)
        nearest = (
            _nearest(told, start, end, _sentence_bounds(doc, cues.sentence, mention.start)) if told else None
        )
        found.append(
            Found(
                start=start,
                end=end,
                concept=mention.concept,
                polarity=mention.polarity,
                confidence=mention.confidence,
                concept_date=nearest.day if nearest else written,
                date_source=nearest.source if nearest else BY_NOTE,
            )
        )
    return found


def _sentence_bounds(doc: Doc, sentence: Sequence[int], place: int) -> tuple[int, int]:
    """First and last character of the sentence that the word at `place` stands in; `sentence` rises word by word."""
    number = sentence[place]
    first, last = doc[bisect_left(sentence, number)], doc[bisect_right(sentence, number) - 1]
    return first.idx, last.idx + len(last)


def _nearest(told: list[DateInText], start: int, end: int, bounds: tuple[int, int]) -> DateInText | None:
    """The date in the mention's sentence that stands nearest to it."""
    here = [each for each in told if each.start >= bounds[0] and each.end <= bounds[1]]
    return min(here, key=lambda each: (max(0, each.start - end, start - each.end), each.start), default=None)
