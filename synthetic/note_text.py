"""Texts of case notes from the sentences of `case_notes.yaml`, with the exact place of every label.

A sentence is a template whose slots are filled for all its rows at once. Sentences are laid one after another
in one run of UTF-8 bytes; typing slips are made there, byte by byte in columns, and the same step that moves
the bytes moves the labels. So a label's offsets hold in the text as it was finally typed. Offsets count
characters (code points) from 0; `end` is the position after the last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from synthetic.dates import Days, as_text, parts

NOTES_FILE = Path(__file__).with_name("case_notes.yaml")
POLARITIES = ("affirmed", "denied", "historical", "third_party")
AFFIRMED, DENIED, HISTORICAL, THIRD_PARTY = range(4)
CONCEPT = "concept"
LONGEST_NOTE, SHORTEST_NOTE = 120, 20
"""Words (feeds.md)."""
SPAN_SCHEMA = pa.schema(
    [
        ("note", pa.int64()), ("kind", pa.string()), ("concept", pa.string()), ("polarity", pa.string()),
        ("subject", pa.string()), ("start", pa.int32()), ("end", pa.int32()),
    ]
)  # fmt: skip
"""One row per label: note (position), `concept` or the kind of identifier, concept and polarity (null for
identifiers), subject (`self` or `third_party`), offsets in characters."""

_TOKEN = re.compile(rf"\{{(\w+)\}}|(\[)(?:({'|'.join(POLARITIES)}): )?|(\])|([^\[\]{{}}]+)")
_STARTS = ("relative", "landlord", "agency")
_PHRASE, _YEAR = "phrase", "year"
_DATES = {"today": (0, 1), "day": (-45, -1), "next_day": (3, 36)}
"""Days from the note's day, first and one past the last, of the slots that hold a date."""
_FURTHEST_DAYS = 60
_DATES_WITHOUT_YEAR = 0.4
_YEARS_AGO = (2, 14)
_BLANK = 0x20


class NoteTemplateError(ValueError):
    """A template of `case_notes.yaml` cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Piece:
    """Words of a template, or one of its slots. `label` numbers the brackets that it stands between, if any."""

    text: str
    slot: str | None
    label: int | None


@dataclass(frozen=True)
class Template:
    """A sentence in pieces. `polarities` has one position per pair of brackets; -1: the polarity that the
    sentence is used for.
    """

    pieces: tuple[Piece, ...]
    polarities: tuple[int, ...]


@dataclass(frozen=True)
class Grammar:
    """`case_notes.yaml` as numbered templates. `uses` gives the templates of a use such as
    `concepts/rent_arrears/denied`; `phrases` the noun phrases of each concept.
    """

    templates: tuple[Template, ...]
    uses: Mapping[str, np.ndarray]
    concepts: tuple[str, ...]
    phrases: pa.Array
    phrase_bounds: np.ndarray
    words: Mapping[str, pa.Array]
    identifiers: Mapping[str, str]
    third_party_slots: frozenset[str]
    note_types: tuple[str, ...]

    def draw(self, use: str, count: int, generator: np.random.Generator) -> np.ndarray:
        """Draw `count` templates of a use. Raises `KeyError` for a use that has none."""
        numbers = self.uses[use]
        return numbers[generator.integers(0, len(numbers), count)]

    def draw_by(self, uses: Sequence[str], use: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw a template of `uses[number]` for every number of `use`. Raises `KeyError` as `draw` does."""
        numbers = [self.uses[name] for name in uses]
        many = np.array([len(group) for group in numbers])
        first = np.cumsum(many) - many
        drawn = np.floor(generator.random(len(use)) * many[use]).astype(np.int64)
        return np.concatenate(numbers)[first[use] + drawn]


@dataclass(frozen=True)
class Sentences:
    """What notes say, one position per sentence, in any order. `note` is the note's position, `place` orders
    its sentences, `optional` ones go first where a note grows too long. `concept` and `polarity` are -1 for
    sentences that are not about a concept.
    """

    note: np.ndarray
    place: np.ndarray
    optional: np.ndarray
    template: np.ndarray
    concept: np.ndarray
    polarity: np.ndarray


@dataclass(frozen=True)
class Composed:
    """Finished notes: their texts by position, and the labels in them (`SPAN_SCHEMA`)."""

    texts: pa.StringArray
    spans: pa.Table


@cache
def read_grammar(path: Path = NOTES_FILE) -> Grammar:
    """Read `case_notes.yaml`. Raises `NoteTemplateError` for a template that cannot be used."""
    with path.open(encoding="utf-8") as file:
        content: dict[str, Any] = yaml.load(file, Loader=yaml.CSafeLoader)
    concepts = tuple(content["concepts"])
    texts: list[tuple[str, str]] = [
        (f"openings/{kind}", text) for kind, group in content["openings"].items() for text in group
    ]
    for use in ("routine", "chatter", "actions", "endings"):
        texts += [(use, text) for text in content[use]]
    for polarity in POLARITIES:
        texts += [(f"frames/{polarity}", text) for text in content[f"{polarity}_frames"]]
        for concept in concepts:
            texts += [
                (f"concepts/{concept}/{polarity}", text) for text in content["concepts"][concept][polarity]
            ]
    words = {name: pa.array([str(word) for word in pool]) for name, pool in content["words"].items()}
    words |= {f"{name}_start": _capitalised(words[name]) for name in _STARTS}
    _check(texts)
    templates = tuple(_template(text) for _, text in texts)
    uses: dict[str, list[int]] = {}
    for number, (use, _) in enumerate(texts):
        uses.setdefault(use, []).append(number)
    phrases = [content["concepts"][concept]["phrases"] for concept in concepts]
    return Grammar(
        templates=templates,
        uses={use: np.array(numbers) for use, numbers in uses.items()},
        concepts=concepts,
        phrases=pa.array([phrase for group in phrases for phrase in group]),
        phrase_bounds=np.cumsum([0, *map(len, phrases)]),
        words=words,
        identifiers=content["identifiers"],
        third_party_slots=frozenset(content["third_party_slots"]),
        note_types=tuple(content["openings"]),
    )


def compose(
    grammar: Grammar,
    sentences: Sentences,
    slots: Mapping[str, pa.Array],
    day: Days,
    generator: np.random.Generator,
    *,
    slip_rate: float,
    lower_case: np.ndarray,
) -> Composed:
    """Write the notes of each `day`. `slots` hold the texts of slots by note; `lower_case` marks the officers who
    never press shift; `slip_rate` is the share of words with a typing slip.

    Every note needs a sentence. Raises `KeyError` for a slot that nobody fills.
    """
    notes = len(lower_case)
    if not notes:
        return Composed(pa.array([], type=pa.string()), SPAN_SCHEMA.empty_table())
    text, spans = _rendered(grammar, sentences, _Filling(grammar, slots, day, generator))
    text, order, kept = _laid_out(sentences, text)
    lengths = pc.binary_length(text).to_numpy()
    ends = np.cumsum(lengths)
    place = np.full(len(kept), -1)
    place[order] = np.arange(len(order))
    spans = spans.of(kept[spans.sentence])
    shift = (ends - lengths)[place[spans.sentence]]
    start, end = spans.start + shift, spans.end + shift
    last = np.searchsorted(sentences.note[order], np.arange(notes), side="right") - 1
    note_end = ends[last]

    data = np.frombuffer(text.buffers()[2], dtype=np.uint8, count=int(ends[-1])).copy()
    note_start = np.concatenate([[0], note_end[:-1]])
    capitals = np.flatnonzero((data >= 0x41) & (data <= 0x5A))
    capitals = capitals[lower_case[np.searchsorted(note_end, capitals, side="right")]]
    data[capitals] |= _BLANK
    copies = _typing_slips(data, slip_rate, generator)
    copies[note_end - 1] = 0  # the blank after a note's last sentence
    typed = np.repeat(data, copies)
    moved = _counted(copies)
    characters = _counted((typed & 0xC0) != 0x80)
    of_note = sentences.note[spans.sentence]
    first = characters[moved[note_start[of_note]]]
    offsets = np.append(moved[note_start], moved[note_end[-1]]).astype(np.int32)
    texts = pa.StringArray.from_buffers(notes, pa.py_buffer(offsets), pa.py_buffer(typed))
    start, end = characters[moved[start]] - first, characters[moved[end]] - first
    return Composed(texts, _labels(grammar, sentences, spans, of_note, start, end))


@dataclass(frozen=True)
class _Spans:
    """Labels by sentence: bytes in it, a kind (0: concept, else identifier slot number + 1), and the polarity
    where it is not the sentence's (-1).
    """

    sentence: np.ndarray
    start: np.ndarray
    end: np.ndarray
    kind: np.ndarray
    polarity: np.ndarray

    def of(self, kept: np.ndarray) -> _Spans:
        return _Spans(
            self.sentence[kept], self.start[kept], self.end[kept], self.kind[kept], self.polarity[kept]
        )


class _Filling:
    """What fills slots: the note's own texts, phrases of the concept, dates near the note's, drawn words."""

    def __init__(
        self, grammar: Grammar, slots: Mapping[str, pa.Array], day: Days, generator: np.random.Generator
    ) -> None:
        self.grammar, self.slots, self.day, self.generator = grammar, slots, day, generator
        self.first_day = int(day.min()) - _FURTHEST_DAYS
        written = as_text(
            np.arange(self.first_day, int(day.max()) + _FURTHEST_DAYS, dtype=np.int32), "%d/%m/%Y"
        )
        whole = pa.array(written, type=pa.string())
        short = pc.utf8_slice_codeunits(whole, 0, 5)
        two_digits = pc.binary_join_element_wise(short, pc.utf8_slice_codeunits(whole, 8, 10), "/")
        self.dates = pa.concat_arrays([two_digits, short])

    def texts(self, slot: str, sentences: Sentences, rows: np.ndarray) -> pa.Array:
        """The texts of a slot for some sentences. Raises `KeyError` for a slot that nobody fills."""
        count, note = len(rows), sentences.note[rows]
        if slot in self.slots:
            return self.slots[slot].take(pa.array(note))
        if slot == _PHRASE:
            low, high = (self.grammar.phrase_bounds[sentences.concept[rows] + step] for step in (0, 1))
            return self.grammar.phrases.take(pa.array(self.generator.integers(low, high)))
        if slot in _DATES:
            day = self.day[note] - self.first_day + self.generator.integers(*_DATES[slot], count)
            style = (self.generator.random(count) < _DATES_WITHOUT_YEAR) * (len(self.dates) // 2)
            return self.dates.take(pa.array(day + style))
        if slot == _YEAR:
            year = parts(self.day[note])[0] - self.generator.integers(*_YEARS_AGO, count)
            return pa.array(year).cast(pa.string())
        pool = self.grammar.words[slot]
        return pool.take(pa.array(self.generator.integers(0, len(pool), count)))


def _rendered(grammar: Grammar, sentences: Sentences, filling: _Filling) -> tuple[pa.Array, _Spans]:
    """Fill every sentence's template. Texts are in the order of `sentences` and end with a blank."""
    slot_numbers = {slot: number + 1 for number, slot in enumerate(grammar.identifiers)}
    by_template = np.argsort(sentences.template, kind="stable")
    numbers, first = np.unique(sentences.template[by_template], return_index=True)
    texts: list[pa.Array] = []
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray, int, int]] = []
    for number, rows in zip(numbers.tolist(), np.split(by_template, first[1:]), strict=True):
        pieces: list[pa.Array | str] = [pa.repeat("", len(rows))]
        at = np.zeros(len(rows), dtype=np.int64)
        template = grammar.templates[number]
        bounds: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for piece in template.pieces:
            if piece.slot is None:
                text, length = piece.text, np.int64(len(piece.text.encode()))
            else:
                text = filling.texts(piece.slot, sentences, rows)
                length = pc.binary_length(text).to_numpy(zero_copy_only=False).astype(np.int64)
            pieces.append(text)
            after = at + length
            if piece.slot in slot_numbers:
                found.append((rows, at, after, slot_numbers[piece.slot], -1))
            if piece.label is not None:
                bounds[piece.label] = (bounds.get(piece.label, (at,))[0], after)
            at = after
        for label, polarity in enumerate(template.polarities):
            found.append((rows, *bounds[label], 0, polarity))
        texts.append(pc.binary_join_element_wise(*pieces, " ", ""))
    place = np.empty(len(by_template), dtype=np.int64)
    place[by_template] = np.arange(len(by_template))
    text = pa.concat_arrays(texts).take(pa.array(place))
    spans = _Spans(
        *(np.concatenate([label[column] for label in found]) for column in range(3)),
        *(np.concatenate([np.full(len(label[0]), label[column]) for label in found]) for column in (3, 4)),
    )
    return text, spans.of(spans.end > spans.start)


def _laid_out(sentences: Sentences, text: pa.Array) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Put the sentences of each note in order, and leave out optional ones that would make it too long.

    Returns the texts in order, the sentences' positions in that order, and which are kept.
    """
    words = pc.count_substring(text, " ").to_numpy().astype(np.int64)
    order = np.lexsort((sentences.place, sentences.optional, sentences.note))
    running = np.cumsum(words[order])
    note = sentences.note[order]
    first = np.searchsorted(note, note, side="left")
    in_note = running - running[first] + words[order][first]
    kept = np.ones(len(text), dtype=bool)
    kept[order] = ~sentences.optional[order] | (in_note <= LONGEST_NOTE)
    order = np.lexsort((sentences.place, sentences.note))
    order = order[kept[order]]
    return text.take(pa.array(order)), order, kept


def _typing_slips(data: np.ndarray, rate: float, generator: np.random.Generator) -> np.ndarray:
    """Make slips between two small letters of a word, in place, and return how often each byte is typed.

    Half the slips exchange the two letters; a quarter each leave the second out or type it twice. Words of
    fewer than four letters stay as they are.
    """
    copies = np.ones(len(data), dtype=np.uint8)
    small = (data >= 0x61) & (data <= 0x7A)
    inside = small[:-3] & small[1:-2] & small[2:-1] & small[3:]
    candidates = np.flatnonzero(inside) + 1
    # A word of n letters has n - 3 such places; the mean word of those has about six letters.
    count = generator.binomial(len(candidates), min(rate / 3, 1.0))
    chosen = (
        candidates[np.sort(generator.integers(0, max(len(candidates), 1), count))]
        if count
        else candidates[:0]
    )
    chosen = chosen[np.append(True, np.diff(chosen) > 2)[: len(chosen)]]
    kind = generator.random(len(chosen))
    swapped = chosen[kind < 0.5]
    data[swapped], data[swapped + 1] = data[swapped + 1], data[swapped].copy()
    copies[chosen[(kind >= 0.5) & (kind < 0.75)] + 1] = 0
    copies[chosen[kind >= 0.75] + 1] = 2
    return copies


def _counted(values: np.ndarray) -> np.ndarray:
    """How much lies before each position, and in all. Blocks of notes stay far below 2 GiB."""
    before = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(values, dtype=np.int32, out=before[1:])
    return before


def _labels(
    grammar: Grammar,
    sentences: Sentences,
    spans: _Spans,
    note: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
) -> pa.Table:
    """Labels as `SPAN_SCHEMA`, in order of note and place."""
    order = np.lexsort((-end, start, note))
    kind, sentence = spans.kind[order], spans.sentence[order]
    is_concept = kind == 0
    kinds = pa.array([CONCEPT, *grammar.identifiers.values()])
    others = np.array([False, *(slot in grammar.third_party_slots for slot in grammar.identifiers)])
    own, concept = spans.polarity[order], sentences.concept[sentence]
    polarity = np.where(own >= 0, own, sentences.polarity[sentence])
    third = np.where(is_concept, polarity == THIRD_PARTY, others[kind])
    columns = [
        pa.array(note[order]),
        kinds.take(pa.array(kind)),
        pa.array(grammar.concepts).take(pa.array(np.maximum(concept, 0), mask=~is_concept)),
        pa.array(POLARITIES).take(pa.array(np.maximum(polarity, 0), mask=~is_concept)),
        pa.array(["self", "third_party"]).take(pa.array(third.astype(np.int64))),
        pa.array(start[order].astype(np.int32)),
        pa.array(end[order].astype(np.int32)),
    ]
    return pa.table(columns, schema=SPAN_SCHEMA)


def _template(text: str) -> Template:
    pieces: list[Piece] = []
    polarities: list[int] = []
    label: int | None = None
    for slot, opening, polarity, closing, words in _TOKEN.findall(text):
        if opening:
            label = len(polarities)
            polarities.append(POLARITIES.index(polarity) if polarity else -1)
        elif closing:
            label = None
        else:
            pieces.append(Piece(words, slot or None, label))
    return Template(tuple(pieces), tuple(polarities))


def _check(texts: list[tuple[str, str]]) -> None:
    for use, text in texts:
        about = use.startswith(("concepts/", "frames/"))
        brackets = "".join(re.findall(r"[\[\]]", text))
        if brackets.replace("[]", "") or bool(brackets) != about:
            raise NoteTemplateError(f"{use}: {text!r}: pairs of brackets for a concept, none elsewhere")
        if re.search(r"\w\[|\]\w|\[\W?\s|\s\]|\[\]|:\]", text):
            raise NoteTemplateError(f"{use}: {text!r}: brackets stand at the edge of a word")
        if text != text.strip() or "  " in text or not text:
            raise NoteTemplateError(f"{use}: {text!r}: no blanks at the ends, none doubled")


def _capitalised(words: pa.Array) -> pa.Array:
    return pa.array([word[:1].upper() + word[1:] for word in words.to_pylist()])
