"""Words of case notes in their usual form: abbreviations written out, endings cut, slips of typing undone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

SHORTEST_WITH_SLIPS = 4
"""Letters: in shorter words a slip makes another word too easily."""
SHORTEST_WITH_OMISSION = 5

_WORD = re.compile(r"[a-z]+")
_DOUBLED = re.compile(r"([^aeiouls])\1$")


def stem(word: str) -> str:
    """Cut the endings -s, -ing, -ed and a last -e off a word of small letters: "owes", "owing" → "ow".

    Harsher than a dictionary and blind to irregular words; the lexicon is read through the same cut, and names the
    irregular ones.
    """
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending, least in (("ing", 6), ("ed", 5)):
        if len(word) >= least and word.endswith(ending):
            word = _DOUBLED.sub(r"\1", word.removesuffix(ending))
            break
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def slips(word: str) -> set[str]:
    """Return `word` with one slip inside it: two letters exchanged, one left out, one typed twice."""
    if len(word) < SHORTEST_WITH_SLIPS or not _WORD.fullmatch(word):
        return set()
    inside = range(1, len(word) - 1)
    typed = {word[:place] + word[place + 1] + word[place] + word[place + 2 :] for place in inside}
    typed |= {word[:place] + word[place] + word[place:] for place in range(len(word))}
    if len(word) >= SHORTEST_WITH_OMISSION:
        typed |= {word[:place] + word[place + 1 :] for place in inside}
    return typed - {word}


class UsualForms:
    """The usual form of every word. `words` maps other forms to usual ones; `known` are the words that rules look
    for, which a word with a slip is taken for.
    """

    def __init__(self, words: Mapping[str, str], known: Iterable[str]) -> None:
        self.words = words
        known = {word.casefold() for word in known}
        known |= set(words) | set(words.values())
        self.known = frozenset(known)
        self.meant: dict[str, str] = {}
        stems = {stem(word) for word in known}
        for word in sorted(known, key=lambda each: (-len(each), each)):
            for typed in slips(word):
                if typed not in known and stem(typed) not in stems:
                    self.meant[typed] = word

    def of(self, word: str, *, corrected: bool = True) -> str:
        """Return the usual form of a word as typed; with its slip undone where `corrected`."""
        word = word.casefold()
        if corrected:
            word = self.meant.get(word, word)
        return stem(self.words.get(word, word))

    def is_corrected(self, word: str) -> bool:
        """True if the word is taken for another because of a slip."""
        return word.casefold() in self.meant
