"""A spaCy component that finds concepts in a case note by the sayings of the lexicon.

Phrases of all rules go into one `PhraseMatcher` over the usual forms of words, so its cost does not grow with their
number. A saying of several parts is found where its parts stand near each other in one sentence.
"""

from __future__ import annotations

import calendar
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from spacy.attrs import ORTH
from spacy.language import Language
from spacy.matcher import PhraseMatcher
from spacy.tokens import Doc

from bridge.notes_lexicon import DENIES, NAME_PART, Lexicon, Saying
from bridge.notes_words import UsualForms

LONG_WORD = 6
"""Letters from which a capitalised word that is no known name may be a slip of another."""

NEAR = 6
"""Words that may stand between two parts of a saying."""
COMMA_APART = 4
"""A comma keeps parts apart like so many words."""

_SENTENCE_END = re.compile(r"[.!?;]+|[A-Z0-9]+\.|\s*\n\s*")
TURNS = frozenset({"but", "however", "although", "though", "yet", "whereas"})
RELATIVE_WORDS = frozenset({"who", "which", "whose"})
LIST_WORDS = frozenset({",", "or", "and", "any", "/", "no", "&"})
ENDS_SENTENCE, COMMA, TURN, LIST_WORD, TITLE, KNOWN_NAME, CORRECTED, YEAR, RELATES, SINCE = (
    1 << bit for bit in range(10)
)
"""What a word is, by itself: bits."""
_YEAR = re.compile(r"(?:19|20)\d\d")
_TITLE = re.compile(r"[A-Z][a-z]+(?:['’-][A-Z]?[a-z]+)*")
_NO_NAMES = frozenset(
    word.casefold()
    for words in (calendar.day_name, calendar.day_abbr, calendar.month_name, calendar.month_abbr)
    for word in words
) | {
    "tues",
    "thurs",
    "sept",
    "i",
    "mr",
    "mrs",
    "ms",
    "miss",
    "dr",
    "cust",
    "client",
    "appl",
    "tenant",
    "customer",
    "svc",
}
"""Capitalised words that are nobody's name: days, months, titles, and how officers call the subject."""

# Under these names a note's `user_data` holds what the components find.
OWN_NAMES, NOTE_YEAR, CUES, MENTIONS = "own_names", "note_year", "cues", "mentions"


@dataclass(slots=True)
class Mention:
    """A concept in a note: tokens from `start` to before `end`, the tokens of its parts, and how it was said."""

    concept: str
    kind: str
    start: int
    end: int
    parts: tuple[tuple[int, int], ...]
    confidence: float
    polarity: str = ""


@dataclass(slots=True)
class Cues:
    """What the words of a note are to the rules: the sentence of each token, the places of cues by their set, and of
    people's names that are not the subject's.
    """

    flags: list[int]
    sentence: list[int]
    places: dict[str, list[tuple[int, int]]]
    other_names: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class _Rule:
    concept: str
    kind: str
    parts: tuple[str, ...]
    ordered: tuple[bool, ...]


class ConceptFinder:
    """The component: finds the mentions of concepts in a note, and its cues (both in `doc.user_data`)."""

    def __init__(self, nlp: Language, lexicon: Lexicon, forms: UsualForms, names: frozenset[str]) -> None:
        self.lexicon, self.forms, self.names = lexicon, forms, names
        self.strings = nlp.vocab.strings
        self.vocab = nlp.vocab
        self.flags: dict[int, int] = {}
        self.matcher = PhraseMatcher(nlp.vocab, attr="NORM")
        self.keys: dict[tuple[str, ...], str] = {}
        self.phrase_rules: dict[str, list[_Rule]] = defaultdict(list)
        self.rules: dict[str, dict[str, list[_Rule]]] = defaultdict(lambda: defaultdict(list))
        self._nlp = nlp
        for saying in lexicon.sayings:
            self._add_rule(saying)
        self.not_with = {
            concept: self._key(phrases) for concept, phrases in lexicon.not_with.items() if phrases
        }
        self.not_in = {concept: self._key(phrases) for concept, phrases in lexicon.not_in.items() if phrases}
        self.context = {self._key(phrases): name for name, phrases in lexicon.context.items()}
        self.name_keys = [key for group, key in self.keys.items() if NAME_PART in group]
        self.number: dict[int, str] = {self.strings[key]: key for key in self.keys.values()}

    def __call__(self, doc: Doc) -> Doc:
        flags = self.normalise(doc)
        sentence = _sentences(flags)
        places: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, start, end in self.matcher(doc):
            places[self.number[number]].append((start, end))
        names = self._names(flags, sentence)
        if names:
            for key in self.name_keys:
                places[key] = sorted(places[key] + names)
        own = doc.user_data.get(OWN_NAMES, frozenset())
        cues = Cues(flags, sentence, {}, [place for place in names if not _is_own(doc, place, own)])
        for key in places.keys() & self.context.keys():
            cues.places[self.context[key]] = places[key]
        doc.user_data[CUES] = cues
        doc.user_data[MENTIONS] = self._mentions(flags, sentence, places)
        return doc

    def normalise(self, doc: Doc) -> list[int]:
        """Give every word its usual form (`norm_`), once for each distinct word, and return what each word is."""
        orths = doc.to_array(ORTH).tolist()
        flags = self.flags
        for orth in set(orths).difference(flags):
            text = self.strings[orth]
            self.vocab[orth].norm_ = self.forms.of(text, corrected=self._may_be_slip(text))
            flags[orth] = self._flags(text)
        return [flags[orth] for orth in orths]

    def _may_be_slip(self, text: str) -> bool:
        """A short capitalised word is rather a name or a street than a slip of a word that rules know."""
        return not _TITLE.fullmatch(text) or (len(text) >= LONG_WORD and text.casefold() not in self.names)

    def _flags(self, text: str) -> int:
        lower = text.casefold()
        known = lower in self.forms.known
        bits = (
            (bool(_SENTENCE_END.fullmatch(text)), ENDS_SENTENCE),
            (text == ",", COMMA),
            (lower in TURNS, TURN),
            (lower in LIST_WORDS, LIST_WORD),
            (bool(_TITLE.fullmatch(text)) and lower not in _NO_NAMES and not known, TITLE),
            (lower in self.names and not known, KNOWN_NAME),
            (self.forms.is_corrected(text) and self._may_be_slip(text), CORRECTED),
            (lower in RELATIVE_WORDS, RELATES),
            (lower == "since", SINCE),
            (bool(_YEAR.fullmatch(text)), YEAR),
        )
        return sum(bit for holds, bit in bits if holds)

    def _key(self, phrases: tuple[str, ...]) -> str:
        """Return the name of a set of phrases in the matcher; the same set is added once."""
        if phrases not in self.keys:
            key = f"part {len(self.keys)}"
            self.keys[phrases] = key
            docs = [self._nlp.make_doc(phrase) for phrase in phrases if phrase != NAME_PART]
            for doc in docs:
                self.normalise(doc)
            self.strings.add(key)
            if docs:
                self.matcher.add(key, docs)
        return self.keys[phrases]

    def _add_rule(self, saying: Saying) -> None:
        parts = tuple(self._key(part) for part in saying.parts)
        rule = _Rule(saying.concept, saying.kind, parts, saying.ordered)
        if len(parts) == 1:
            self.phrase_rules[parts[0]].append(rule)
        else:
            self.rules[parts[0]][parts[1]].append(rule)

    def _names(self, flags: list[int], sentence: list[int]) -> list[tuple[int, int]]:
        """Places of people's names: known ones, and capitalised words inside a sentence that no rule knows."""
        found: list[tuple[int, int]] = []
        for place, flag in enumerate(flags):
            if not flag & (TITLE | KNOWN_NAME):
                continue
            begins = place == 0 or sentence[place - 1] != sentence[place]
            if begins and not flag & KNOWN_NAME:
                continue
            if found and found[-1][1] == place:
                found[-1] = (found[-1][0], place + 1)
            else:
                found.append((place, place + 1))
        return found

    def _mentions(
        self, flags: list[int], sentence: list[int], places: dict[str, list[tuple[int, int]]]
    ) -> list[Mention]:
        found: list[Mention] = []
        there = places.keys()
        for key in there & self.phrase_rules.keys():
            for rule in self.phrase_rules[key]:
                found += [self._mention(rule, (place,), flags) for place in places[key]]
        for key in there & self.rules.keys():
            for second in there & self.rules[key].keys():
                for rule in self.rules[key][second]:
                    if all(part in there for part in rule.parts[2:]):
                        found += [
                            self._mention(rule, parts, flags)
                            for parts in _together(rule, places, flags, sentence)
                        ]
        return self._kept(found, sentence, places)

    def _mention(self, rule: _Rule, parts: tuple[tuple[int, int], ...], flags: list[int]) -> Mention:
        start, end = min(part[0] for part in parts), max(part[1] for part in parts)
        how = DENIES if rule.kind == DENIES else "phrase" if len(parts) == 1 else "together"
        sure = self.lexicon.confidence[how]
        if any(flags[place] & CORRECTED for part in parts for place in range(*part)):
            sure = min(sure, self.lexicon.confidence["corrected"])
        return Mention(rule.concept, rule.kind, start, end, parts, sure)

    def _kept(
        self, found: list[Mention], sentence: list[int], places: dict[str, list[tuple[int, int]]]
    ) -> list[Mention]:
        """Leave out what another phrase explains, and what stands inside a longer saying of another concept."""
        kept = []
        phrases = [mention for mention in found if len(mention.parts) == 1]
        for mention in found:
            unwanted = places.get(self.not_with.get(mention.concept, ""), ())
            if any(
                sentence[start] == sentence[mention.start]
                and start < mention.end + 3
                and end > mention.start - 3
                for start, end in unwanted
            ):
                continue
            if any(
                left <= start and right >= end and right - left > end - start
                for left, right in places.get(self.not_in.get(mention.concept, ""), ())
                for start, end in mention.parts
            ):
                continue
            if any(
                other.concept != mention.concept
                and other.start <= mention.start
                and other.end >= mention.end
                and other.end - other.start > mention.end - mention.start
                for other in phrases
            ):
                continue
            kept.append(mention)
        return sorted(kept, key=lambda mention: (mention.start, mention.end, mention.concept))


def _is_own(doc: Doc, place: tuple[int, int], own: frozenset[str]) -> bool:
    return any(token.lower_ in own for token in doc[place[0] : place[1]])


def _sentences(flags: list[int]) -> list[int]:
    """Return the number of each word's sentence."""
    number, numbers = 0, []
    for flag in flags:
        numbers.append(number)
        number += flag & ENDS_SENTENCE
    return numbers


def _together(
    rule: _Rule, places: dict[str, list[tuple[int, int]]], flags: list[int], sentence: list[int]
) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield the places of a rule's parts wherever they stand near each other; each first part once."""
    for anchor in places[rule.parts[0]]:
        parts: list[tuple[int, int]] = [anchor]
        for key, ordered in zip(rule.parts[1:], rule.ordered[1:], strict=True):
            nearest = _nearest(places[key], parts, (flags, sentence), ordered)
            if nearest is None:
                break
            parts.append(nearest)
        else:
            yield tuple(parts)


def _nearest(
    candidates: Sequence[tuple[int, int]],
    parts: list[tuple[int, int]],
    note: tuple[list[int], list[int]],
    ordered: bool,
) -> tuple[int, int] | None:
    """The candidate nearest to the parts found so far, apart from them and in their sentence. `note`: what each word
    is, and the number of its sentence.
    """
    flags, sentence = note
    start, end = min(part[0] for part in parts), max(part[1] for part in parts)
    best, best_gap = None, NEAR + 1
    for first, last in candidates:
        if sentence[first] != sentence[start]:
            continue
        if (ordered and first < end) or any(first < right and last > left for left, right in parts):
            continue
        gap = max(0, first - end, start - last)
        if 0 < gap <= NEAR:
            between = flags[end:first] if first >= end else flags[last:start]
            gap += COMMA_APART * sum(flag & COMMA > 0 for flag in between)
        if gap < best_gap:
            best, best_gap = (first, last), gap
    return best
