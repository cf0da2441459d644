"""Identifiers in the text of case notes, for redaction inside the council: by dictionary, by pattern and by rule.

*Dictionary*: the names and addresses that the council's own vaults hold, and the record's own identity. *Pattern*:
National Insurance and NHS numbers, telephone numbers, e-mail addresses, postcodes, dates of birth, references. *Rule*:
words behind a title or a relative, capitalised words that are no ordinary ones, an address around its street,
initials that sign a note.

Where the rules doubt, they redact. What is found stays with the council: no place and no text of it is written down.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import Path

import yaml
from anyascii import anyascii

from bridge.notes.lexicon import read_lexicon
from bridge.notes.words import stem

WORDS_FILE = Path(__file__).with_name("identifiers.yaml")

NAME, ADDRESS, PHONE, NINO, NHS_NUMBER, EMAIL, POSTCODE, BORN, REFERENCE, INITIALS = (
    "name", "address", "phone", "nino", "nhs_number", "email", "postcode", "date_of_birth", "reference", "initials",
)  # fmt: skip
OLD_DAYS = 366
"""A whole date so many days before the note, or more, is taken for a date of birth."""
SIGNS_WITHIN = 24
"""Characters from the end of a note within which initials are an officer's signature."""
SHORTEST_NAME = 3

_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*\.?|\d+[A-Za-z]?\b|[,.;:!?()]|\S")
_PATTERNS = (
    (EMAIL, re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    (NINO, re.compile(r"\b[A-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-FM]\b", re.IGNORECASE)),
    (PHONE, re.compile(r"(?<!\d)(?:\+44 ?|0)\d(?:[ -]?\d){8,9}(?!\d)")),
    (NHS_NUMBER, re.compile(r"(?<!\d)\d{3}[ -]?\d{3}[ -]?\d{4}(?!\d)")),
    (ADDRESS, re.compile(r"\bc/o +[\w ]+", re.IGNORECASE)),
    (POSTCODE, re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b", re.IGNORECASE)),
    (REFERENCE, re.compile(r"\b[A-Z]{1,4}[-/]?\d{5,}\b|(?<![\d£.])\d{7,}(?!\d)", re.IGNORECASE)),
)
_TITLED = re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Rev|Cllr|mr|mrs|ms|mx)\.? +[^\s,.;:()]+")
_STREET = re.compile(
    r"\b\d+[a-z]? +(?:[\w'’]+ +){1,2}(?:road|rd|street|st|avenue|ave|lane|ln|close|drive|dr|way|gardens"
    r"|gdns|crescent|cres|terrace|grove)\b",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?<![\d/])(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4}|\d\d)(?![\d/])")
_SAID_BORN = re.compile(r"\b(?:d\.?o\.?b\.?|born)\W{0,3}$", re.IGNORECASE)
_SIGNED = re.compile(r"(?:^|[\s(\-])([A-Z]{2,3})(?=\)?(?:\s+\d[\d/]*)?\s*$)")


@dataclass(frozen=True)
class KnownPeople:
    """What the vaults know: words of people's names and of addresses, in small letters."""

    names: frozenset[str] = frozenset()
    address_words: frozenset[str] = frozenset()


@dataclass(frozen=True)
class NoteSubject:
    """The record's own identity, and the initials of the note's author."""

    names: tuple[str, ...] = ()
    date_of_birth: date | None = None
    address: str | None = None
    initials: str | None = None


@dataclass(frozen=True, order=True)
class FoundIdentifier:
    """Characters of a note from `start` to before `end` that identify somebody."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class _Words:
    titles: frozenset[str]
    particles: frozenset[str]
    people: frozenset[str]
    streets: frozenset[str]
    homes: frozenset[str]
    ordinary: frozenset[str]


@dataclass(slots=True)
class _Token:
    start: int
    end: int
    text: str
    lower: str
    capital: bool
    begins: bool
    kind: str = field(default="")


@cache
def _words() -> _Words:
    with WORDS_FILE.open(encoding="utf-8") as file:
        content: dict[str, list[str]] = yaml.load(file, Loader=yaml.CBaseLoader)  # noqa: S506  (builds no objects)
    return _Words(**{name: frozenset(words) for name, words in content.items()})


class IdentifierFinder:
    """Finds identifiers in notes, with what the vaults know."""

    def __init__(self, known: KnownPeople) -> None:
        self.words = _words()
        self.names = frozenset(_plain(name) for name in known.names if len(name) >= SHORTEST_NAME)
        self.address_words = known.address_words - self.words.ordinary
        self.usual = _usual_words() | self.words.ordinary
        self.slips: dict[str, str] = {}

    def find(self, text: str, written: date, subject: NoteSubject) -> list[FoundIdentifier]:
        """Return the identifiers in a note written on `written`, in order, none overlapping."""
        found = [
            FoundIdentifier(match.start(), match.end(), kind)
            for kind, pattern in _PATTERNS
            for match in pattern.finditer(text)
        ]
        found += [FoundIdentifier(match.start(), match.end(), NAME) for match in _TITLED.finditer(text)]
        found += _births(text, written, subject)
        found += _signatures(text, subject.initials)
        tokens = _tokens(text)
        streets = [match.span() for match in _STREET.finditer(text)]
        found += self._addresses(tokens, subject.address, streets)
        found += self._people(tokens, subject.names)
        return _apart(found)

    def _addresses(
        self, tokens: Sequence[_Token], own: str | None, streets: Sequence[tuple[int, int]]
    ) -> Iterator[FoundIdentifier]:
        own_words = set(re.findall(r"\w+", own.casefold())) if own else set()
        belongs = [
            self._of_address(token, own_words)
            or any(start <= token.start and token.end <= end for start, end in streets)
            for token in tokens
        ]
        for first, end in _runs(belongs, lambda place: tokens[place].text == "," and place + 1 < len(tokens)):
            yield from self._address_in(tokens[first:end], own_words)

    def _of_address(self, token: _Token, own: set[str]) -> bool:
        words, lower = self.words, token.lower.rstrip(".")
        if token.text[:1].isdigit():
            return True
        if lower in words.titles - words.streets:
            return False
        return (
            lower in words.streets
            or lower in words.homes
            or lower in self.address_words
            or lower in own
            or _postal(token.text)
            or (token.capital and lower not in words.ordinary)
            or self._slip_of(lower) == ADDRESS
        )

    def _address_in(self, run: Sequence[_Token], own: set[str]) -> Iterator[FoundIdentifier]:
        """An address is a street with a number; or several words of the record's own address."""
        while run and (run[-1].text == "," or run[-1].lower in self.words.homes):
            run = run[:-1]
        streets = [
            place
            for place, token in enumerate(run)
            if token.lower.rstrip(".") in self.words.streets
            or (token.lower in self.address_words and place and run[place - 1].text[:1].isdigit())
        ]
        numbers = [place for place, token in enumerate(run) if token.text[:1].isdigit()]
        if streets and numbers and numbers[0] < streets[-1]:
            first = numbers[0]
            while first and (
                run[first - 1].lower in self.words.homes or (run[first - 1].text == "," and first > 1)
            ):
                first -= 1
            while run[first].text == ",":
                first += 1
            yield FoundIdentifier(run[first].start, run[-1].end, ADDRESS)
        elif sum(token.lower in own and token.lower not in self.words.ordinary for token in run) >= 2:
            yield FoundIdentifier(run[0].start, run[-1].end, ADDRESS)

    def _people(self, tokens: Sequence[_Token], own_names: Sequence[str]) -> Iterator[FoundIdentifier]:
        own = {part for name in own_names for part in re.findall(r"[^\W\d_]+", name.casefold())}
        capitals = any(token.capital for token in tokens)
        is_name = [self._is_name(tokens, place, own, capitals) for place in range(len(tokens))]
        for place, token in enumerate(tokens[:-1]):
            # A single letter before a name is an initial of it; an odd word behind a relative is a name.
            if len(token.text) == 1 and is_name[place + 1] and (token.capital or token.lower not in "ai"):
                is_name[place] = token.lower.isalpha()
            after = tokens[place + 1]
            if token.lower in self.words.people and not capitals and self._odd(after.lower):
                is_name[place + 1] = True
        for run_start, end in _runs(
            is_name, lambda place: self._goes_on(tokens, place, is_name, capitals=capitals)
        ):
            first = run_start
            if first and tokens[first - 1].lower.rstrip(".") in self.words.titles:
                first -= 1
            while first and tokens[first - 1].lower in self.words.particles and tokens[first - 1].capital:
                first -= 1
            yield FoundIdentifier(tokens[first].start, tokens[end - 1].end, NAME)

    def _is_name(self, tokens: Sequence[_Token], place: int, own: set[str], capitals: bool) -> bool:
        token = tokens[place]
        lower = token.lower.rstrip(".")
        if not lower[:1].isalpha():
            return False
        parts = [_plain(part) for part in re.split(r"['’\-]", lower)]
        known = _plain(lower) in self.names or any(part in self.names for part in parts)
        if any(part in own and len(part) > 1 for part in (lower, *parts)):
            return token.capital or not capitals or lower not in self.words.ordinary
        if lower in self.words.ordinary or parts[0] in self.words.ordinary:
            beside = [tokens[other] for other in (place - 1, place + 1) if 0 <= other < len(tokens)]
            return (
                token.capital
                and known
                and any(other.capital and other.lower not in self.words.ordinary for other in beside)
            )
        if len(lower) == 1:
            return False
        if token.capital:
            # At the beginning of a sentence every word has a capital: there it takes an unusual one.
            return known or not token.begins or stem(lower) not in self.usual
        return not capitals and (known or self._slip_of(lower) == NAME or self._unusual(lower))

    def _goes_on(
        self, tokens: Sequence[_Token], place: int, is_name: Sequence[bool], *, capitals: bool
    ) -> bool:
        """A particle between two names, or a word of a name in a note without capitals."""
        lower = tokens[place].lower
        if lower in self.words.particles and any(is_name[place + 1 : place + 3]):
            return is_name[place + 1] or tokens[place + 1].lower in self.words.particles
        if capitals:
            return (
                tokens[place].capital
                and lower.isalpha()
                and not tokens[place].begins
                and lower not in self.words.ordinary
            )
        return self._odd(lower) and lower.isalpha()

    def _odd(self, lower: str) -> bool:
        """A word that is neither ordinary nor short: behind a name or a relative, a name."""
        return (
            lower[:1].isalpha()
            and len(lower) >= SHORTEST_NAME
            and lower.rstrip(".") not in self.words.ordinary
        )

    def _unusual(self, lower: str) -> bool:
        """True if neither the word nor what it may be a slip of is known to us at all."""
        return len(lower) >= SHORTEST_NAME and stem(lower) not in self.usual and self._slip_of(lower) == ""

    def _slip_of(self, lower: str) -> str:
        """What an unknown word is a slip of: a usual word (`usual`), an `address`, a `name`, or nothing known."""
        if lower not in self.slips:
            words = set(_unslipped(lower)) if len(lower) >= 4 and lower.isalpha() else set()
            self.slips[lower] = (
                "usual"
                if stem(lower) in self.usual or any(stem(word) in self.usual for word in words)
                else ADDRESS
                if words & (self.address_words | self.words.streets)
                else NAME
                if words & self.names
                else ""
            )
        return self.slips[lower]


def redacted(text: str, found: Iterable[FoundIdentifier]) -> str:
    """Return the text with its kind in place of each identifier: "Rang [name] on [phone]"."""
    pieces, place = [], 0
    for each in found:
        pieces += [text[place : each.start], f"[{each.kind}]"]
        place = each.end
    return "".join([*pieces, text[place:]])


@cache
def _usual_words() -> frozenset[str]:
    """Stems of the words that the lexicon of concepts knows, and of ordinary ones."""
    lexicon = read_lexicon()
    words = {word for phrase in lexicon.phrases for word in re.findall(r"[^\W\d_]+", phrase.casefold())}
    words |= set(lexicon.words) | set(lexicon.words.values()) | _words().ordinary | _words().streets
    return frozenset(stem(word) for word in words)


def _plain(name: str) -> str:
    """A name in small letters without marks."""
    return name if name.isascii() else anyascii(name).casefold()


def _unslipped(word: str) -> Iterator[str]:
    """The words that one slip makes into `word`."""
    for place in range(1, len(word) - 1):
        yield word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    for place in range(1, len(word)):
        if word[place] == word[place - 1]:
            yield word[:place] + word[place + 1 :]
        yield from (word[:place] + letter + word[place:] for letter in "abcdefghijklmnopqrstuvwxyz")


def _births(text: str, written: date, subject: NoteSubject) -> Iterator[FoundIdentifier]:
    for found in _DATE.finditer(text):
        day, month, year = (int(part) for part in found.groups())
        said = _SAID_BORN.search(text, 0, found.start()) is not None
        try:
            told = datetime(year + 2000 if year < 100 else year, month, day).date()
        except ValueError:
            told = None
        if said or told is None or told == subject.date_of_birth or (written - told).days >= OLD_DAYS:
            yield FoundIdentifier(found.start(), found.end(), BORN)


def _signatures(text: str, initials: str | None) -> Iterator[FoundIdentifier]:
    if initials:
        for found in re.finditer(rf"\b{re.escape(initials)}\b", text, re.IGNORECASE):
            if found[0].isupper() or len(text) - found.end() <= SIGNS_WITHIN:
                yield FoundIdentifier(found.start(), found.end(), INITIALS)
    signed = _SIGNED.search(text)
    if signed:
        yield FoundIdentifier(signed.start(1), signed.end(1), INITIALS)


def _tokens(text: str) -> list[_Token]:
    tokens = []
    begins = True
    for found in _WORD.finditer(text):
        word = found[0]
        end = found.end()
        stop = word.endswith(".") and len(word) > 1
        if stop:
            word, end = word[:-1], end - 1
        capital = word[:1].isupper() and (len(word) == 1 or not word.isupper())
        tokens.append(_Token(found.start(), end, word, word.casefold(), capital, begins))
        begins = stop or word in {".", "!", "?", ";", ":"}
    return tokens


def _postal(text: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z]{1,2}\d[A-Za-z\d]?|\d[A-Za-z]{2}", text))


def _apart(found: Iterable[FoundIdentifier]) -> list[FoundIdentifier]:
    """Join what overlaps; the earliest, then the longest, gives the kind."""
    joined: list[FoundIdentifier] = []
    for each in sorted(found, key=lambda one: (one.start, -one.end)):
        if joined and each.start < joined[-1].end:
            last = joined[-1]
            joined[-1] = FoundIdentifier(last.start, max(last.end, each.end), last.kind)
        else:
            joined.append(each)
    return joined


def _runs(begins: Sequence[bool], goes_on: Callable[[int], bool]) -> Iterator[tuple[int, int]]:
    """Yield start and end of each run of places that begin one, and those between or behind them that go on with it."""
    place = 0
    while place < len(begins):
        start = place
        while place < len(begins) and (begins[place] or (place > start and goes_on(place))):
            place += 1
        if place > start:
            yield start, place
        else:
            place += 1
