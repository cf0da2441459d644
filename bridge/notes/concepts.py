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

from bridge.notes.lexicon import DENIES, NAME_PART, Lexicon, Saying
from bridge.notes.words import UsualForms

UNWANTED_NEAR = 3
"""Words within which a phrase of `not_with` changes what a saying means."""

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
    """What the words of a note are to the rules: what each is and where those are that are something, the sentence of
    each, the places of cues by their set, and of people's names that are not the subject's.
    """

    flags: list[int]
    marked: list[tuple[int, int]]
    sentence: list[int]
    places: dict[str, list[tuple[int, int]]]
    other_names: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class _Rule:
    concept: str
    kind: str
    parts: tuple[int, ...]
    ordered: tuple[bool, ...]


class ConceptFinder:
    """The component: finds the mentions of concepts in a note, and its cues (both in `doc.user_data`)."""

    def __init__(self, nlp: Language, lexicon: Lexicon, forms: UsualForms, names: frozenset[str]) -> None:
        self.lexicon, self.forms, self.names = lexicon, forms, names
        self.strings = nlp.vocab.strings
        self.vocab = nlp.vocab
        self.flags: dict[int, int] = {}
        self.matcher = PhraseMatcher(nlp.vocab, attr="NORM")
        self.keys: dict[tuple[str, ...], int] = {}
        self.phrase_rules: dict[int, list[_Rule]] = defaultdict(list)
        self.rules: dict[int, dict[int, list[_Rule]]] = defaultdict(lambda: defaultdict(list))
        self._nlp = nlp
        for saying in lexicon.sayings:
            self._add_rule(saying)
        self.not_with = {
            concept: self._key(phrases) for concept, phrases in lexicon.not_with.items() if phrases
        }
        self.not_in = {concept: self._key(phrases) for concept, phrases in lexicon.not_in.items() if phrases}
        self.context = {self._key(phrases): name for name, phrases in lexicon.context.items()}
        self.name_keys = [key for group, key in self.keys.items() if NAME_PART in group]

    def __call__(self, doc: Doc) -> Doc:
        flags = self.normalise(doc)
        marked = [(place, flag) for place, flag in enumerate(flags) if flag]
        sentence = _sentences(marked, len(flags))
        places: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for key, start, end in self.matcher(doc):
            places[key].append((start, end))
        names = self._names(marked, sentence)
        if names:
            for key in self.name_keys:
                places[key] = sorted(places[key] + names)
        own = doc.user_data.get(OWN_NAMES, frozenset())
        others = [place for place in names if not _is_own(doc, place, own)] if own else names
        cues = Cues(flags, marked, sentence, {}, others)
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

    def _key(self, phrases: tuple[str, ...]) -> int:
        """Return the number of a set of phrases in the matcher; the same set is added once."""
        if phrases not in self.keys:
            name = f"part {len(self.keys)}"
            self.keys[phrases] = self.strings.add(name)
            docs = [self._nlp.make_doc(phrase) for phrase in phrases if phrase != NAME_PART]
            for doc in docs:
                self.normalise(doc)
            if docs:
                self.matcher.add(name, docs)
        return self.keys[phrases]

    def _add_rule(self, saying: Saying) -> None:
        parts = tuple(self._key(part) for part in saying.parts)
        rule = _Rule(saying.concept, saying.kind, parts, saying.ordered)
        if len(parts) == 1:
            self.phrase_rules[parts[0]].append(rule)
        else:
            self.rules[parts[0]][parts[1]].append(rule)

    def _names(self, marked: list[tuple[int, int]], sentence: list[int]) -> list[tuple[int, int]]:
        """Places of people's names: known ones, and capitalised words inside a sentence that no rule knows."""
        found: list[tuple[int, int]] = []
        for place, flag in marked:
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
        self, flags: list[int], sentence: list[int], places: dict[int, list[tuple[int, int]]]
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
        start, end = _span(parts)
        how = DENIES if rule.kind == DENIES else "phrase" if len(parts) == 1 else "together"
        sure = self.lexicon.confidence[how]
        if any(flag & CORRECTED for left, right in parts for flag in flags[left:right]):
            sure = min(sure, self.lexicon.confidence["corrected"])
        return Mention(rule.concept, rule.kind, start, end, parts, sure)

    def _kept(
        self, found: list[Mention], sentence: list[int], places: dict[int, list[tuple[int, int]]]
    ) -> list[Mention]:
        """Leave out what another phrase explains, and what stands inside a longer saying of another concept."""
        # One order whatever the order of the rules, and each saying once.
        found.sort(key=_order)
        once: dict[tuple[str, str, int, int], Mention] = {}
        for mention in found:
            once.setdefault((mention.concept, mention.kind, mention.start, mention.end), mention)
        phrases = [mention for mention in once.values() if len(mention.parts) == 1]
        return [
            mention
            for mention in once.values()
            if not _near_any(mention, places.get(self.not_with.get(mention.concept, 0), ()), sentence)
            and not _in_any(mention, places.get(self.not_in.get(mention.concept, 0), ()))
            and not _within_another(mention, phrases)
        ]


def _span(parts: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """From the first to behind the last of some parts."""
    start, end = parts[0]
    for left, right in parts[1:]:
        start, end = min(start, left), max(end, right)
    return start, end


def _order(mention: Mention) -> tuple[int, int, str, str, tuple[tuple[int, int], ...]]:
    return mention.start, mention.end, mention.concept, mention.kind, mention.parts


def _near_any(mention: Mention, unwanted: Sequence[tuple[int, int]], sentence: list[int]) -> bool:
    for start, end in unwanted:
        if (
            sentence[start] == sentence[mention.start]
            and start < mention.end + UNWANTED_NEAR
            and end > mention.start - UNWANTED_NEAR
        ):
            return True
    return False


def _in_any(mention: Mention, unwanted: Sequence[tuple[int, int]]) -> bool:
    """True if a part of the mention stands inside a longer phrase that means something else."""
    for left, right in unwanted:
        for start, end in mention.parts:
            if left <= start and right >= end and right - left > end - start:
                return True
    return False


def _within_another(mention: Mention, phrases: Sequence[Mention]) -> bool:
    start, end, concept = mention.start, mention.end, mention.concept
    for other in phrases:
        if (
            other.start <= start
            and other.end >= end
            and other.concept != concept
            and other.end - other.start > end - start
        ):
            return True
    return False


def _is_own(doc: Doc, place: tuple[int, int], own: frozenset[str]) -> bool:
    return any(doc[word].lower_ in own for word in range(*place))


def _sentences(marked: list[tuple[int, int]], words: int) -> list[int]:
    """Return the number of each word's sentence."""
    numbers: list[int] = []
    number = 0
    for place, flag in marked:
        if flag & ENDS_SENTENCE:
            numbers += [number] * (place + 1 - len(numbers))
            number += 1
    return numbers + [number] * (words - len(numbers))


def _together(
    rule: _Rule, places: dict[int, list[tuple[int, int]]], flags: list[int], sentence: list[int]
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
    start, end = _span(parts)
    best, best_gap = None, NEAR + 1
    here = sentence[start]
    for first, last in candidates:
        # Farther off is in no reach, whatever stands between.
        if sentence[first] != here or first - end > NEAR or start - last > NEAR:
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
