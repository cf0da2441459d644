"""How well the bridge reads case notes: concepts, their polarity, identifiers for redaction, and a peer's notes.

A label is found where a mention of its concept shares a character with it. Precision counts mentions that share none;
two mentions of one label count once. Polarity is judged on the labels found: of four, and denied or not alone. An
identifier is caught when every letter and digit of its label is redacted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from bridge.notes.concept_rows import read_notes
from bridge.notes.context import AFFIRMED
from bridge.notes.identifiers import FoundIdentifier, IdentifierFinder, NoteSubject
from evaluation.notes.sentences import HALVES, HELD_BACK, UNREAD
from evaluation.notes.sources import (
    HOUSEHOLDS,
    SEED,
    LabelledNotes,
    county_notes,
    county_world,
    known_people,
    peer_notes,
)
from synthetic.note_text import CONCEPT

LEAST_F1, LEAST_NEGATION, LEAST_IDENTIFIERS = 0.90, 0.95, 0.995
"""Promised for sentences held back: F1 of concepts, denied or not, share of identifiers caught."""

PEER_CONCEPTS: Mapping[str, frozenset[str]] = {
    "housing_crisis": frozenset({"notice_served", "rough_sleeping", "family_exclusion", "rent_arrears"}),
    "mental_health_deterioration": frozenset({"mental_ill_health"}),
}
"""Scenarios of the peer's notes, and our concepts that answer to them. Its third (services connected) is none."""

SCORES = Path(__file__).with_name("report.sql")
MENTION_SCHEMA = pa.schema(
    [
        ("note", pa.string()), ("concept", pa.string()), ("polarity", pa.string()), ("start", pa.int32()),
        ("end", pa.int32()),
    ]
)  # fmt: skip
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class ConceptScores:
    """Counts of labels and mentions, and the shares that they come to."""

    labels: int
    found: int
    unfounded: int
    same_polarity: int
    same_denial: int

    @property
    def precision(self) -> float:
        return self.found / max(self.found + self.unfounded, 1)

    @property
    def recall(self) -> float:
        return self.found / max(self.labels, 1)

    @property
    def f1(self) -> float:
        return 2 * self.found / max(self.found + self.unfounded + self.labels, 1)

    @property
    def polarity(self) -> float:
        """Share of the labels found whose polarity, of four, is right."""
        return self.same_polarity / max(self.found, 1)

    @property
    def negation(self) -> float:
        """Share of the labels found that are rightly denied, or rightly not."""
        return self.same_denial / max(self.found, 1)

    def document(self) -> dict[str, Any]:
        shares = ("precision", "recall", "f1", "polarity", "negation")
        return {**asdict(self), **{name: round(getattr(self, name), 4) for name in shares}}


@dataclass(frozen=True)
class IdentifierScores:
    """Identifiers and how many were caught whole, by kind; words outside any label, and how many were redacted."""

    labels: Mapping[str, int]
    caught: Mapping[str, int]
    other_words: int
    other_words_redacted: int

    @property
    def recall(self) -> float:
        return sum(self.caught.values()) / max(sum(self.labels.values()), 1)

    def document(self) -> dict[str, Any]:
        return {
            "labels": sum(self.labels.values()),
            "recall": round(self.recall, 4),
            "recall_by_kind": {kind: round(self.caught[kind] / self.labels[kind], 4) for kind in self.labels},
            "over_redacted_words": round(self.other_words_redacted / max(self.other_words, 1), 4),
        }


def evaluate_county_notes(households: int = HOUSEHOLDS, seed: int = SEED) -> dict[str, Any]:
    """Return the scores of both halves of the county's sentences, and whether the promises hold on the one held back.

    `unread`: the concepts whose held-back sentences the author of the rules never read.
    """
    world = county_world(households, seed)
    known = known_people(world)
    halves: dict[str, Any] = {}
    for half in HALVES:
        notes = county_notes(world, half, known)
        by_concept = judge_concepts(notes)
        halves[half] = {
            "notes": notes.rows.num_rows,
            "concepts": _total(by_concept.values()).document(),
            "unread": _total(
                scores for concept, scores in by_concept.items() if concept in UNREAD
            ).document(),
            "by_concept": {concept: scores.document() for concept, scores in by_concept.items()},
            "identifiers": judge_identifiers(notes).document(),
        }
    judged = halves[HELD_BACK]
    holds = (
        judged["concepts"]["f1"] >= LEAST_F1
        and judged["concepts"]["negation"] >= LEAST_NEGATION
        and judged["identifiers"]["recall"] >= LEAST_IDENTIFIERS
    )
    promised = {"f1": LEAST_F1, "negation": LEAST_NEGATION, "identifier_recall": LEAST_IDENTIFIERS}
    return {
        "dataset": "county", "households": households, "seed": seed, **halves, "promised": promised, "holds": holds,
    }  # fmt: skip


def judge_concepts(notes: LabelledNotes) -> dict[str, ConceptScores]:
    """Return the scores of each concept on some labelled notes."""
    mentions: list[tuple[str, str, str, int, int]] = []
    for reference, found in zip(
        notes.rows["note_reference"].to_pylist(), read_notes(notes.rows), strict=True
    ):
        mentions += [(reference, each.concept, each.polarity, each.start, each.end) for each in found]
    columns = list(zip(*mentions, strict=True)) or [()] * len(MENTION_SCHEMA)
    found_table = pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, MENTION_SCHEMA, strict=True)],
        schema=MENTION_SCHEMA,
    )
    with duckdb.connect() as connection:
        connection.register("all_labels", notes.labels)
        connection.register("mentions", found_table)
        connection.execute(
            'create temp view labels as select key as note, concept, polarity, start, "end" from all_labels '
            f"where kind = '{CONCEPT}'"
        )
        rows = connection.execute(SCORES.read_text(encoding="utf-8")).fetchall()
    return {
        concept: ConceptScores(labels, found, unfounded, same_polarity, same_denial)
        for concept, labels, found, same_polarity, same_denial, unfounded in rows
    }


def judge_identifiers(notes: LabelledNotes) -> IdentifierScores:
    """Return how many of the labelled identifiers a redaction catches, and what it takes besides."""
    labels: dict[str, list[tuple[str, int, int]]] = {}
    wanted = notes.labels.select(["key", "kind", "start", "end"]).to_pylist()
    for label in wanted:
        if label["kind"] != CONCEPT:
            labels.setdefault(label["key"], []).append((label["kind"], label["start"], label["end"]))
    finder = IdentifierFinder(notes.known)
    total: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    others = redacted_others = 0
    for row in notes.rows.to_pylist():
        text: str = row["text"]
        subject = NoteSubject(
            names=(row["given_name"] or "", row["family_name"] or ""),
            date_of_birth=row["date_of_birth"],
            address=row["address"] or None,
            initials=row["author_initials"],
        )
        covered = _covered(text, finder.find(text, row["note_date"], subject))
        labelled = bytearray(len(text))
        for kind, start, end in labels.get(row["note_reference"], ()):
            total[kind] += 1
            caught[kind] += all(covered[at] for at in range(start, end) if text[at].isalnum())
            labelled[start:end] = b"\1" * (end - start)
        for word in _WORD.finditer(text):
            if not any(labelled[word.start() : word.end()]):
                others += 1
                redacted_others += any(covered[word.start() : word.end()])
    return IdentifierScores(dict(sorted(total.items())), caught, others, redacted_others)


def evaluate_peer_notes() -> dict[str, Any]:
    """Return how often a note of the peer's affirms a concept that its scenario stands for, and how often another does.

    The peer's labels say what was put into a note on purpose; other notes speak of the same things too, so what they
    affirm is no error. There is no promise on these notes. Raises `DatasetError` where the data are not there.
    """
    rows = peer_notes()
    affirmed = [{each.concept for each in found if each.polarity == AFFIRMED} for found in read_notes(rows)]
    scenarios = rows["scenario"].to_pylist()
    document: dict[str, Any] = {}
    for scenario, concepts in PEER_CONCEPTS.items():
        found = [bool(said & concepts) for said in affirmed]
        of_it = [place for place, each in enumerate(scenarios) if each == scenario]
        others = [place for place, each in enumerate(scenarios) if each != scenario]
        document[scenario] = {
            "concepts": sorted(concepts),
            "notes": len(of_it),
            "found": round(sum(found[place] for place in of_it) / max(len(of_it), 1), 4),
            "found_in_other_notes": round(sum(found[place] for place in others) / max(len(others), 1), 4),
        }
    texts = len(set(rows["text"].to_pylist()))
    return {
        "dataset": "peer", "notes": rows.num_rows, "different_texts": texts, "scenarios": document, "holds": True,
    }  # fmt: skip


def _total(scores: Iterable[ConceptScores]) -> ConceptScores:
    parts = [
        (each.labels, each.found, each.unfounded, each.same_polarity, each.same_denial) for each in scores
    ]
    return ConceptScores(*(sum(column) for column in zip(*parts, strict=True)))


def _covered(text: str, found: Iterable[FoundIdentifier]) -> bytearray:
    covered = bytearray(len(text))
    for each in found:
        covered[each.start : each.end] = b"\1" * (each.end - each.start)
    return covered
