"""The pipeline that reads case notes: spaCy's English tokenizer, the concepts of the lexicon, and their context."""

from __future__ import annotations

import re
from collections.abc import Iterable

import spacy
from spacy.language import Language
from spacy.tokens import Doc

from bridge.notes.concepts import NOTE_YEAR, OWN_NAMES, ConceptFinder
from bridge.notes.context import ContextReader
from bridge.notes.lexicon import Lexicon, read_lexicon
from bridge.notes.words import UsualForms

SIGNED_WITHIN = 14
"""Characters that may follow the initials of an officer who signs a note: a bracket, a date."""

_SIX_DIGITS = re.compile(r"\d\d ?\d\d ?\d\d")
_NINO = re.compile(r"\b[A-Za-z]{2} ?\d\d ?\d\d ?\d\d ?[A-Da-d]?\b")


def _hidden(found: re.Match[str]) -> str:
    """A number that has letters of its own says nothing: MH 76 02 86 B is no note of mental health."""
    return "x" * len(found[0])


def _without_signature(text: str, initials: str) -> str:
    """Hide the officer's initials at the end of a note: some read as DV or MH."""
    place = text.casefold().rfind(initials.casefold())
    if place < 0 or len(text) - place > len(initials) + SIGNED_WITHIN:
        return text
    return text[:place] + "x" * len(initials) + text[place + len(initials) :]


class NoteReader:
    """Reads notes one by one. `names` are people's names (small letters), known from elsewhere: they tell a relative's
    trouble from the subject's own.
    """

    def __init__(self, lexicon: Lexicon | None = None, names: Iterable[str] = ()) -> None:
        lexicon = lexicon or read_lexicon()
        self.nlp: Language = spacy.blank("en")
        forms = UsualForms(lexicon.words, self._words(lexicon.phrases))
        self.concepts = ConceptFinder(self.nlp, lexicon, forms, frozenset(names))
        self.context = ContextReader(lexicon)

    def read(
        self, text: str, year: int, own_names: frozenset[str] = frozenset(), initials: str | None = None
    ) -> Doc:
        """Return the note with its mentions in `doc.user_data`. `year` is the note's own; `own_names` those of its
        subject, in small letters; `initials` the officer's.
        """
        if _SIX_DIGITS.search(text):
            text = _NINO.sub(_hidden, text)
        if initials:
            text = _without_signature(text, initials)
        doc = self.nlp.make_doc(text)
        doc.user_data[NOTE_YEAR], doc.user_data[OWN_NAMES] = year, own_names
        return self.context(self.concepts(doc))

    def _words(self, phrases: Iterable[str]) -> set[str]:
        return {token.text for phrase in phrases for token in self.nlp.make_doc(phrase)}
