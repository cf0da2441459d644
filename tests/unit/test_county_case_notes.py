"""Case notes: what they say, how they are spelt, and that every label points at exactly its words."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from stores.home import Home
from synthetic.county import make_county
from synthetic.dates import day_number
from synthetic.feeds import case_notes
from synthetic.feeds.deliveries import TableRecords
from synthetic.note_text import (
    AFFIRMED,
    DENIED,
    NOTES_FILE,
    THIRD_PARTY,
    Composed,
    NoteTemplateError,
    Sentences,
    compose,
    read_grammar,
)
from synthetic.streams import stream
from synthetic.world import World, make_world

FIRST_MONTH, MONTHS, HOUSEHOLDS = date(2024, 10, 1), 18, 6000
GRAMMAR = read_grammar()
NINO = re.compile(r"\b(?:[A-Z]{2} ?(?:\d\d ?){3}[A-D]|TN ?(?:\d\d ?){3}[FM])\b", re.IGNORECASE)
MOBILE = re.compile(r"\b07\d{3} ?\d{3} ?\d{3}\b")
BIRTH_DATE = re.compile(r"\b\d{2}/\d{2}/(?:19|20)\d{2}\b")


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(HOUSEHOLDS, MONTHS, 2, FIRST_MONTH)


@pytest.fixture(scope="module")
def notes(world: World) -> TableRecords:
    return case_notes.make_records(world)["notes"]


@pytest.fixture(scope="module")
def labels(notes: TableRecords) -> pa.Table:
    """The labels, with the words that they point at in the note as it is sent."""
    made = notes.labels
    assert made is not None
    texts = dict(zip(notes.key.tolist(), notes.columns["note/text"].to_pylist(), strict=True))
    keys, starts, ends = (made[name].to_pylist() for name in ("key", "start", "end"))
    words = [texts[key][start:end] for key, start, end in zip(keys, starts, ends, strict=True)]
    return made.append_column("words", pa.array(words))


def of_kind(labels: pa.Table, kind: str) -> list[str]:
    return labels.filter(pc.equal(labels["kind"], kind))["words"].to_pylist()


def every_template(notes_each: int) -> tuple[Sentences, np.ndarray]:
    """Notes of all templates one after another: one template a note, `notes_each` notes of each."""
    template = np.repeat(np.arange(len(GRAMMAR.templates)), notes_each)
    concept, polarity = np.full(len(template), -1), np.full(len(template), -1)
    for use, numbers in GRAMMAR.uses.items():
        of_use = np.isin(template, numbers)
        match use.split("/"):
            case ["concepts", name, kind]:
                concept[of_use] = GRAMMAR.concepts.index(name)
                polarity[of_use] = ["affirmed", "denied", "historical", "third_party"].index(kind)
            case ["frames", kind]:
                concept[of_use] = np.arange(of_use.sum()) % len(GRAMMAR.concepts)
                polarity[of_use] = ["affirmed", "denied", "historical", "third_party"].index(kind)
    count = len(template)
    nothing = np.zeros(count, dtype=np.int64)
    sentences = Sentences(np.arange(count), nothing, nothing.astype(bool), template, concept, polarity)
    return sentences, template


def slots_of(count: int) -> dict[str, pa.Array]:
    """Slots whose texts no slip can touch: it takes four small letters in a row."""
    number = [f"{place:06d}" for place in range(count)]
    made = {slot: pa.array([f"{slot[:3].upper()}{each}Ž" for each in number]) for slot in GRAMMAR.identifiers}
    for slot in (
        "they",
        "they_start",
        "them",
        "their",
        "their_start",
        "themself",
        "relation",
        "relation_start",
    ):
        made[slot] = pa.array(["SHE"] * count)
    return made


def composed(
    slip_rate: float, *, lower_case: bool = False
) -> tuple[Composed, dict[str, pa.Array], np.ndarray]:
    sentences, template = every_template(8)
    count = len(template)
    slots = slots_of(count)
    day = np.full(count, day_number(date(2025, 3, 1)), dtype=np.int32)
    made = compose(
        GRAMMAR, sentences, slots, day, stream(5, "notes"), slip_rate=slip_rate,
        lower_case=np.full(count, lower_case),
    )  # fmt: skip
    return made, slots, template


@pytest.mark.parametrize("slip_rate", [0.0, 0.02, 0.9])
def test_an_identifiers_label_points_at_the_identifier_whatever_slips_there_are(slip_rate: float) -> None:
    made, slots, template = composed(slip_rate)
    texts = made.texts.to_pylist()
    held = {kind: [slot for slot in slots if GRAMMAR.identifiers.get(slot) == kind] for kind in
            set(GRAMMAR.identifiers.values())}  # fmt: skip
    seen = 0
    for label in made.spans.to_pylist():
        if label["kind"] == "concept":
            continue
        note = label["note"]
        words = texts[note][label["start"] : label["end"]]
        assert words in {slots[slot][note].as_py() for slot in held[label["kind"]]}
        seen += 1
    slots_used = sum(
        sum(piece.slot in GRAMMAR.identifiers for piece in GRAMMAR.templates[number].pieces)
        for number in template.tolist()
    )
    assert seen == slots_used > 700


def test_a_concepts_label_points_at_the_bracketed_words_of_its_template() -> None:
    made, _, template = composed(0.0)
    texts = made.texts.to_pylist()
    labels: dict[int, list[dict[str, Any]]] = {}
    for label in made.spans.filter(pc.equal(made.spans["kind"], "concept")).to_pylist():
        labels.setdefault(label["note"], []).append(label)
    for note, number in enumerate(template.tolist()):
        made_of = GRAMMAR.templates[number]
        found = labels.get(note, [])
        assert len(found) == len(made_of.polarities)
        for place, label in enumerate(found):
            bracketed = [piece for piece in made_of.pieces if piece.label == place]
            pattern = "".join(re.escape(piece.text) if piece.slot is None else ".+?" for piece in bracketed)
            assert re.fullmatch(pattern, texts[note][label["start"] : label["end"]])


def test_one_sentence_may_deny_a_thing_now_and_tell_of_it_earlier() -> None:
    made, _, template = composed(0.02)
    mixed = [number for number, each in enumerate(GRAMMAR.templates) if max(each.polarities, default=-1) >= 0]
    assert len(mixed) > 10
    note = int(np.flatnonzero(template == mixed[0])[0])
    told = made.spans.filter(
        pc.and_(pc.equal(made.spans["note"], note), pc.equal(made.spans["kind"], "concept"))
    )
    assert len(set(told["polarity"].to_pylist())) == 2
    assert len(set(told["concept"].to_pylist())) == 1


def test_slips_move_labels_with_their_words() -> None:
    clean, _, _ = composed(0.0)
    slipped, _, _ = composed(0.9)
    assert clean.spans.num_rows == slipped.spans.num_rows
    before, after = clean.texts.to_pylist(), slipped.texts.to_pylist()
    changed = 0
    for one, other in zip(clean.spans.to_pylist(), slipped.spans.to_pylist(), strict=True):
        assert (one["note"], one["kind"], one["concept"]) == (other["note"], other["kind"], other["concept"])
        words = before[one["note"]][one["start"] : one["end"]]
        typed = after[other["note"]][other["start"] : other["end"]]
        # A slip leaves out, doubles or exchanges letters inside a word: first and last letters stay.
        assert (words[0], words[-1], words.count(" ")) == (typed[0], typed[-1], typed.count(" "))
        assert set(typed) <= set(words)
        changed += words != typed
    assert changed > 200


def test_offsets_count_characters_and_not_bytes() -> None:
    made, _slots, _ = composed(0.5)
    texts = made.texts.to_pylist()
    late = [
        (texts[label["note"]], label["start"], label["end"])
        for label in made.spans.to_pylist()
        if "Ž" in texts[label["note"]][: label["start"]] and label["kind"] != "concept"
    ]
    assert late
    assert all(text[start:end].endswith("Ž") for text, start, end in late)


def test_an_officer_without_capitals_writes_none() -> None:
    made, _, _ = composed(0.0, lower_case=True)
    assert not any(re.search("[A-Z]", text) for text in made.texts.to_pylist())


def test_slips_are_as_frequent_as_asked() -> None:
    clean, _, _ = composed(0.0)
    slipped, _, _ = composed(0.05)
    words = changed = 0
    for before, after in zip(clean.texts.to_pylist(), slipped.texts.to_pylist(), strict=True):
        pairs = list(zip(before.split(), after.split(), strict=True))
        words += len(pairs)
        changed += sum(one != other for one, other in pairs)
    assert 0.01 < changed / words < 0.06


def test_notes_have_20_to_120_words(notes: TableRecords) -> None:
    words = np.array([len(text.split()) for text in notes.columns["note/text"].to_pylist()])
    assert words.min() >= 20
    assert words.max() <= 120
    assert 45 < np.median(words) < 90


def test_every_number_in_a_note_that_could_name_somebody_is_labelled(
    notes: TableRecords, labels: pa.Table
) -> None:
    texts = notes.columns["note/text"].to_pylist()
    for kind, pattern in (("nino", NINO), ("phone", MOBILE), ("date_of_birth", BIRTH_DATE)):
        in_texts = sorted(found for text in texts for found in pattern.findall(text))
        assert in_texts == sorted(of_kind(labels, kind)), kind
        assert len(in_texts) > 50


def test_a_name_in_a_note_is_the_name_that_the_system_holds_but_for_slips(
    world: World, notes: TableRecords, labels: pa.Table
) -> None:
    surname = dict(zip(notes.key.tolist(), notes.columns["subject/family_name"].tolist(), strict=True))
    own = labels.filter(pc.equal(labels["kind"], "name"))
    hit = [
        words.casefold().endswith(surname[key].casefold())
        for key, words in zip(own["key"].to_pylist(), own["words"].to_pylist(), strict=True)
    ]
    assert np.mean(hit) > 0.93
    others = {
        f"{forename} {name}".casefold()
        for forename, name in zip(world.course.people.forename, world.course.people.surname, strict=True)
    } | {forename.casefold() for forename in world.course.people.forename.tolist()}
    assert np.mean([words.casefold() in others for words in of_kind(labels, "other_name")]) > 0.93


def test_a_concept_is_affirmed_only_of_households_that_it_befell(
    world: World, notes: TableRecords, labels: pa.Table
) -> None:
    course = world.course
    assert notes.household is not None
    household = dict(zip(notes.key.tolist(), notes.household.tolist(), strict=True))
    happened = {
        "domestic_abuse": {*course.abuse.household.tolist(), *course.cases.household.tolist()},
        "job_loss": {*course.job_loss.household.tolist(), *course.interventions.household.tolist()},
        "mental_ill_health": set(course.mental_health.household.tolist()),
        "antisocial_behaviour": set(course.incidents.household.tolist()),
        "rent_arrears": {*course.arrears.household.tolist(), *course.interventions.household.tolist()},
        "child_concern": set(course.in_need.household.tolist()),
    }
    affirmed = labels.filter(pc.equal(labels["polarity"], "affirmed")).to_pylist()
    for concept, households in happened.items():
        of = {household[label["key"]] for label in affirmed if label["concept"] == concept}
        assert of
        assert of <= households, concept
    assert not [label for label in affirmed if label["concept"] == "substance_use"]


def test_no_household_denies_what_its_notes_affirm(notes: TableRecords, labels: pa.Table) -> None:
    assert notes.household is not None
    household = dict(zip(notes.key.tolist(), notes.household.tolist(), strict=True))
    said = {
        polarity: {
            (household[label["key"]], label["concept"])
            for label in labels.filter(pc.equal(labels["polarity"], polarity)).to_pylist()
        }
        for polarity in ("affirmed", "denied")
    }
    assert said["denied"]
    assert not said["affirmed"] & said["denied"]


def test_all_four_polarities_are_common_and_third_parties_are_not_the_subject(labels: pa.Table) -> None:
    concepts = labels.filter(pc.equal(labels["kind"], "concept"))
    shares = {
        item["values"]: item["counts"] / concepts.num_rows
        for item in concepts["polarity"].value_counts().to_pylist()
    }
    assert min(shares.values()) > 0.08
    assert len(shares) == 4
    third = pc.equal(concepts["polarity"], "third_party")
    assert pc.all(pc.equal(third, pc.equal(concepts["subject"], "third_party"))).as_py()


def test_notes_gather_at_households_in_trouble(world: World, notes: TableRecords) -> None:
    spells = world.course.spells
    lived = np.minimum(spells.end, world.last_day) - np.maximum(spells.start, world.first_day)
    in_window = (notes.known_on >= world.first_day) & (notes.known_on < world.last_day)
    a_year = in_window.sum() / (np.clip(lived, 0, None).sum() / 365.25)
    assert 0.2 <= a_year <= 0.3
    assert notes.household is not None
    here = np.unique(spells.household[(spells.end >= world.first_day) & (spells.start < world.last_day)])
    count = np.bincount(notes.household[in_window], minlength=here.max() + 1)[here]
    assert (count > 0).mean() < 0.35
    top = np.sort(count)[::-1][: len(here) // 10]
    assert top.sum() > 0.5 * count.sum()


def test_a_note_is_written_while_its_subject_lives_in_the_household(
    world: World, notes: TableRecords
) -> None:
    stays = world.residences
    day = np.array([day_number(date.fromisoformat(text)) for text in notes.columns["note/date"].tolist()])
    assert notes.person is not None
    stay = stays.at(notes.person, day.astype(np.int32))
    assert ((stays.start[stay] <= day) & (stays.end[stay] >= day)).all()
    assert (notes.known_on >= day).all()


def test_the_same_world_has_the_same_notes(world: World, notes: TableRecords) -> None:
    again = case_notes.make_records(world)["notes"]
    assert again.columns["note/text"].equals(notes.columns["note/text"])
    assert again.labels is not None
    assert again.labels.equals(notes.labels)


def test_labels_point_into_the_notes_of_the_files_and_no_others(tmp_path: Path) -> None:
    home = Home(tmp_path)
    make_county(home, households=300, months=3, block_households=150)
    sent: dict[str, str] = {}
    for path in home.feed_inbox("case_notes").rglob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            note = json.loads(line)["note"]
            sent[note["reference"]] = note["text"]
    labels = pq.read_table(home.truth / "case_notes_labels.parquet").to_pylist()
    assert {label["key"] for label in labels} <= set(sent)
    numbers = [
        sent[label["key"]][label["start"] : label["end"]]
        for label in labels
        if label["kind"] in ("phone", "nino")
    ]
    in_files = sorted(
        found for text in sent.values() for form in (NINO, MOBILE) for found in form.findall(text)
    )
    assert sorted(numbers) == in_files
    assert len(in_files) > 20


def test_a_county_without_notes_has_none() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    none = Sentences(nothing, nothing, nothing.astype(bool), nothing, nothing, nothing)
    made = compose(
        GRAMMAR, none, {}, nothing.astype(np.int32), stream(1, "none"), slip_rate=0.1, lower_case=nothing > 0
    )
    assert len(made.texts) == made.spans.num_rows == 0


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[str], Path]:
    """The sentences with one more way to deny abuse."""

    def change(sentence: str) -> Path:
        content = yaml.safe_load(NOTES_FILE.read_text(encoding="utf-8"))
        content["concepts"]["domestic_abuse"]["denied"].append(sentence)
        path = tmp_path / "case_notes.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    return change


@pytest.mark.parametrize(
    ("sentence", "why"),
    [
        ("Denies abuse.", "pairs of brackets"),
        ("Denies [abuse [twice]].", "pairs of brackets"),
        ("Denies [abuse.", "pairs of brackets"),
        ("Denies [historical:].", "edge of a word"),
        ("Un[troubled] home.", "edge of a word"),
        ("[Denies abuse ]now.", "edge of a word"),
        ("Denies  [abuse].", "none doubled"),
    ],
)
def test_a_sentence_whose_label_would_be_unclear_is_refused(
    changed: Callable[[str], Path], sentence: str, why: str
) -> None:
    with pytest.raises(NoteTemplateError, match=why):
        read_grammar(changed(sentence))


def test_every_slot_of_every_sentence_is_filled(world: World) -> None:
    used = {piece.slot for template in GRAMMAR.templates for piece in template.pieces if piece.slot}
    made, slots, _ = composed(0.0)
    assert used - set(slots) - set(GRAMMAR.words) == {"day", "next_day", "today", "year", "phrase"}
    assert "{" not in "".join(made.texts.to_pylist())


def test_openings_main_sentences_and_actions_are_long_enough_for_the_shortest_note() -> None:
    def shortest(uses: list[str]) -> int:
        return min(
            sum(
                len(piece.text.split()) if piece.slot is None else 1
                for piece in GRAMMAR.templates[number].pieces
            )
            for use in uses
            for number in GRAMMAR.uses[use]
        )

    opening = shortest([use for use in GRAMMAR.uses if use.startswith("openings/")])
    main = shortest(["routine", *(f"concepts/{concept}/affirmed" for concept in GRAMMAR.concepts)])
    assert opening + main + shortest(["actions"]) >= 20


def test_no_sentence_is_taken_from_other_peoples_notes() -> None:
    folder = os.environ.get("DOORSTEP_BENCHMARK_DATA")
    theirs = Path(folder or "") / "case_notes_peer" / "synthetic-case-notes.csv"
    if folder is None or not theirs.is_file():
        pytest.skip("DOORSTEP_BENCHMARK_DATA is unset or holds no case_notes_peer")

    def runs(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"[a-z']+", text.casefold())
        return {tuple(words[place : place + 6]) for place in range(len(words) - 5)}

    ours = runs(NOTES_FILE.read_text(encoding="utf-8"))
    assert not ours & runs(theirs.read_text(encoding="utf-8"))


def test_notes_are_numbered_in_order_of_their_day(notes: TableRecords) -> None:
    days = notes.columns["note/date"].tolist()
    assert all(one <= other for one, other in pairwise(days))
    assert all(one < other for one, other in pairwise(notes.key.tolist()))
    assert {AFFIRMED, DENIED, THIRD_PARTY} == {0, 1, 3}
