"""Reading case notes: concepts, whose they are, when; identifiers; and that a note says the same in any company."""

from __future__ import annotations

import os
from datetime import date
from itertools import pairwise

import pyarrow as pa
import pytest

from bridge.notes import concept_rows
from bridge.notes.concept_rows import CONCEPT_SCHEMA, Found, found_in, note_concepts
from bridge.notes.dates import dates_in
from bridge.notes.identifiers import IdentifierFinder, KnownPeople, NoteSubject, redacted
from bridge.notes.lexicon import LEXICON_FILE, LexiconError, read_lexicon
from bridge.notes.reader import NoteReader
from bridge.notes.words import slips, stem
from governance.contracts import read_contracts
from synthetic.note_text import read_grammar

WRITTEN = date(2026, 3, 20)
KNOWN = KnownPeople(frozenset({"olga", "brandt", "tariq", "hope", "may"}), frozenset({"larch", "ashby"}))


@pytest.fixture(scope="module")
def reader() -> NoteReader:
    return NoteReader()


def read(reader: NoteReader, text: str) -> list[Found]:
    return found_in(reader.read(text, WRITTEN.year), text, WRITTEN)


def said(reader: NoteReader, text: str) -> set[tuple[str, str]]:
    return {(each.concept, each.polarity) for each in read(reader, text)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He owes three months of rent.", {("rent_arrears", "affirmed")}),
        ("No rent arrears at all.", {("rent_arrears", "denied")}),
        ("Rent is not behind.", {("rent_arrears", "denied")}),
        ("Had rent arrears in 2017, all repaid.", {("rent_arrears", "historical")}),
        ("Her neighbour has rent arrears.", {("rent_arrears", "third_party")}),
        ("Denies drug use or domestic violence.", {("substance_use", "denied"), ("domestic_abuse", "denied")}),
        ("No drugs, cannabis or alcohol.", {("substance_use", "denied")}),
        ("We cannot rule out domestic abuse.", {("domestic_abuse", "affirmed")}),
        ("There is no doubt about the rent arrears.", {("rent_arrears", "affirmed")}),
        ("No answer at the door, rent arrears are growing.", {("rent_arrears", "affirmed")}),
        ("No food in the cupboards.", {("food_or_fuel_need", "affirmed")}),
        ("Her mum says he was sacked from work.", {("job_loss", "affirmed")}),
        ("Did not sleep rough but was sanctioned.", {("rough_sleeping", "denied"), ("benefit_problem", "affirmed")}),
        ("The weather was fine and the bus was late.", set()),
        ("", set()),
    ],
)  # fmt: skip
def test_a_sentence_says_what_it_says(reader: NoteReader, text: str, expected: set[tuple[str, str]]) -> None:
    assert said(reader, text) == expected


@pytest.mark.parametrize("text", ["Rnet arrears rising.", "rent areears rising.", "RENT ARREARS RISING."])
def test_slips_and_capitals_do_not_hide_a_concept(reader: NoteReader, text: str) -> None:
    assert said(reader, text) == {("rent_arrears", "affirmed")}


def test_a_word_with_a_slip_makes_a_mention_less_sure(reader: NoteReader) -> None:
    (clean,), (typed,) = read(reader, "There is arrears."), read(reader, "There is arreras.")
    assert typed.confidence < clean.confidence


def test_a_number_with_letters_of_its_own_is_no_concept(reader: NoteReader) -> None:
    assert said(reader, "NI no MH 76 02 86 B confirmed.") == set()
    text = "Seen today, all in order. DV 20/03"
    assert found_in(reader.read(text, 2026, frozenset(), "DV"), text, WRITTEN) == []


def test_two_polarities_in_one_sentence_stay_apart(reader: NoteReader) -> None:
    found = said(reader, "No DV now but her ex assaulted her in 2015.")
    assert found == {("domestic_abuse", "denied"), ("domestic_abuse", "historical")}


@pytest.mark.parametrize(
    ("text", "day", "source"),
    [
        ("Lost his job on 3/2/26.", date(2026, 2, 3), "day"),
        ("Lost his job on 03/02.", date(2026, 2, 3), "day"),
        ("Lost his job on 2nd February 2026.", date(2026, 2, 2), "day"),
        ("Lost his job on 30/12.", date(2025, 12, 30), "day"),
        ("Out of work since November.", date(2025, 11, 1), "month"),
        ("Lost his job in 2014.", date(2014, 1, 1), "year"),
        ("Lost his job two weeks ago.", date(2026, 3, 6), "ago"),
        ("Lost his job. Next visit 02/04/2026.", WRITTEN, "note"),
        ("Will lose his job on 02/04/2026.", WRITTEN, "note"),
        ("Lost his job on 31/02/2026.", WRITTEN, "note"),
        ("Lost his job, DOB 04/05/1980.", WRITTEN, "note"),
    ],
)
def test_a_concept_has_the_day_that_its_sentence_tells_or_the_notes_own(
    reader: NoteReader, text: str, day: date, source: str
) -> None:
    (found,) = read(reader, text)
    assert (found.concept_date, found.date_source) == (day, source)


def test_the_twenty_ninth_of_february_needs_its_year() -> None:
    assert [each.day for each in dates_in("on 29/02", date(2025, 3, 10))] == [date(2024, 2, 29)]


def rows(*texts: str) -> pa.Table:
    count = len(texts)
    return pa.table(
        {
            "note_reference": [f"CN{place}" for place in range(count)],
            "note_date": pa.array([WRITTEN] * count),
            "text": list(texts),
            "given_name": ["Olga"] * count,
            "family_name": ["Brandt"] * count,
            "author_initials": pa.nulls(count, pa.string()),
        }
    )


def test_what_leaves_has_no_column_for_text_and_holds_only_what_the_contract_lists() -> None:
    made, notes = note_concepts(rows("Olga owes rent and drinks heavily.", "Nothing.", "Sectioned in 2014."))
    assert made.schema == CONCEPT_SCHEMA
    assert notes.tolist() == [0, 0, 2]
    table = read_contracts()["case_notes"].table("concepts")
    for column in table.columns:
        if column.codes:
            assert set(made[column.name].to_pylist()) <= set(column.codes)
    assert made["mention"].to_pylist() == [1, 2, 1]
    assert [column.name for column in table.columns] == made.column_names


def test_a_note_says_the_same_in_any_company() -> None:
    texts = ("his friend karim lost his job", "Karim has rent arrears.", "karim rang, no food in the house")
    together, notes = note_concepts(rows(*texts))
    for place, text in enumerate(texts):
        alone, _ = note_concepts(rows(text))
        of_it = together.filter(pa.array(notes == place))
        assert alone.drop_columns("note_reference").equals(of_it.drop_columns("note_reference"))


@pytest.mark.slow
def test_notes_read_by_several_processes_say_what_one_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [
        "Olga owes rent and drinks heavily.",
        "Nothing.",
        "Sectioned in 2014.",
        "No food in the house.",
    ] * 3
    together, notes = note_concepts(rows(*texts))
    monkeypatch.setattr(concept_rows, "NOTES_FOR_PROCESSES", len(texts))
    monkeypatch.setattr(concept_rows, "MOST_PROCESSES", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    apart, others = note_concepts(rows(*texts))
    assert apart.equals(together)
    assert others.tolist() == notes.tolist()


def test_no_notes_make_no_concepts() -> None:
    made, notes = note_concepts(rows())
    assert made.num_rows == len(notes) == 0


def test_contract_lexicon_and_county_name_the_same_concepts() -> None:
    (column,) = (
        each for each in read_contracts()["case_notes"].table("concepts").columns if each.name == "concept"
    )
    assert set(column.codes) == set(read_lexicon().concepts) == set(read_grammar().concepts)


def test_no_sentence_of_the_county_stands_in_the_lexicon() -> None:
    """The rules were written from the language of the work; a saying of five words or more would be a copied one."""
    grammar = read_grammar()
    sentences = " ".join(
        "".join(piece.text or " " for piece in template.pieces).casefold() for template in grammar.templates
    )
    long = [phrase for phrase in read_lexicon().phrases if len(phrase.split()) >= 5]
    assert [phrase for phrase in long if phrase.casefold() in sentences] == []


@pytest.mark.parametrize(
    ("saying", "why"), [("<nothing> + rent", "not among"), ("<rent> due", "one <group>")]
)
def test_a_saying_that_cannot_be_read_is_refused(
    tmp_path_factory: pytest.TempPathFactory, saying: str, why: str
) -> None:
    path = tmp_path_factory.mktemp("lexicon") / "lexicon.yaml"
    text = LEXICON_FILE.read_text(encoding="utf-8")
    path.write_text(text.replace("      - rent arrears\n", f"      - {saying}\n", 1), encoding="utf-8")
    with pytest.raises(LexiconError, match=why):
        read_lexicon(path)


def test_endings_are_cut_alike() -> None:
    assert stem("threats") == stem("threat")
    assert stem("evicted") == stem("evicting") == stem("evict")
    assert stem("care") != stem("car")


def test_a_slip_is_two_letters_exchanged_one_left_out_or_one_typed_twice() -> None:
    made = slips("arrears")
    assert {"arreras", "arears", "arrearss"} <= made
    assert "arrears" not in made
    assert slips("uc") == set()


SUBJECT = NoteSubject(("Olga", "Brandt"), date(1980, 5, 4), "4 Larch Rd, Ashby", "KT")


def taken_out(text: str) -> str:
    return redacted(text, IdentifierFinder(KNOWN).find(text, WRITTEN, SUBJECT))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rang Olga Brandt on 07700 900123.", "Rang [name] on [phone]."),
        ("rang olga brandt on 07700900123.", "rang [name] on [phone]."),
        ("Ms Hope came in.", "[name] came in."),
        ("We hope to hear from her in May.", "We hope to hear from her in May."),
        ("NINO QQ 12 34 56 C, born 04/05/1980.", "NINO [nino], born [date_of_birth]."),
        ("Seen on 18/03/2026 at 2pm.", "Seen on 18/03/2026 at 2pm."),
        ("Lives at 4 Larch Rd, Ashby, ZZ1 1AA now.", "Lives at [address], [postcode] now."),
        ("Mail to o.brandt@example.org please.", "Mail to [email] please."),
        ("NHS no 943 476 5919 given.", "NHS no [nhs_number] given."),
        ("Case HX123456 is open. KT 20/03", "Case [reference] is open. [initials] 20/03"),
        ("Her sister Wilhelmina Oakenshott was there.", "Her sister [name] was there."),
    ],
)
def test_identifiers_are_taken_out_and_the_rest_stays(text: str, expected: str) -> None:
    assert taken_out(text) == expected


def test_found_places_are_apart_and_in_order() -> None:
    text = "Olga Brandt, 4 Larch Rd, Ashby, tel 07700 900123, NI QQ123456C, Tariq present. KT"
    found = IdentifierFinder(KNOWN).find(text, WRITTEN, SUBJECT)
    assert all(one.end <= other.start for one, other in pairwise(found))
    assert len(found) >= 5
