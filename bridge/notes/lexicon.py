"""The lexicon of case notes (`lexicon.yaml`) as typed rules: concepts, and the words for and around them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import yaml

LEXICON_FILE = Path(__file__).with_name("lexicon.yaml")

SAYS, DENIES, PAST = "says", "denies", "past"
KINDS = (SAYS, DENIES, PAST)

NAME_PART = "{name}"
"""A part of a saying that any person's name fills."""

_GROUP = re.compile(r"<(\w+)>")
_PARTING = re.compile(r"\s([+>])\s")


class LexiconError(ValueError):
    """The lexicon cannot be used; the message names the place and what to change."""


@dataclass(frozen=True)
class Saying:
    """One way to say a concept: the phrases of each part, and whether a part stands behind the one before it."""

    concept: str
    kind: str
    parts: tuple[tuple[str, ...], ...]
    ordered: tuple[bool, ...]


@dataclass(frozen=True)
class Lexicon:
    """The whole lexicon. `words`: other form → usual form. `context`: set of cues → their phrases; a set is named
    as in the file, such as `denied/before`.
    """

    words: Mapping[str, str]
    concepts: tuple[str, ...]
    sayings: tuple[Saying, ...]
    not_with: Mapping[str, tuple[str, ...]]
    not_in: Mapping[str, tuple[str, ...]]
    done_by_others: frozenset[str]
    context: Mapping[str, tuple[str, ...]]
    confidence: Mapping[str, float]

    @property
    def phrases(self) -> frozenset[str]:
        """Every phrase that a rule looks for."""
        return frozenset(
            phrase
            for group in (
                *(part for saying in self.sayings for part in saying.parts),
                *self.not_with.values(),
                *self.not_in.values(),
                *self.context.values(),
            )
            for phrase in group
            if phrase != NAME_PART
        )


@cache
def read_lexicon(path: Path = LEXICON_FILE) -> Lexicon:
    """Read the lexicon. Raises `LexiconError` for a group that is not there or a saying that cannot be read."""
    with path.open(encoding="utf-8") as file:
        # Every value is text: YAML's no and off are words here.
        content: dict[str, Any] = yaml.load(file, Loader=yaml.CBaseLoader)  # noqa: S506  (builds no objects)
    groups = {name: tuple(map(str, terms)) for name, terms in content["groups"].items()}
    concepts: dict[str, dict[str, Any]] = content["concepts"]
    return Lexicon(
        words={
            str(form).casefold(): str(usual).casefold()
            for usual, forms in content["words"].items()
            for form in forms
        },
        concepts=tuple(concepts),
        sayings=tuple(
            _saying(concept, kind, text, groups)
            for concept, rules in concepts.items()
            for kind in KINDS
            for text in rules.get(kind, [])
        ),
        not_with=_unwanted("not_with", concepts, groups),
        not_in=_unwanted("not_in", concepts, groups),
        done_by_others=frozenset(
            concept for concept, rules in concepts.items() if rules.get("done_by_others") == "true"
        ),
        context=dict(_context(content["context"])),
        confidence={name: float(share) for name, share in content["confidence"].items()},
    )


def _unwanted(
    setting: str, concepts: Mapping[str, dict[str, Any]], groups: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return the phrases near which, or inside which, a saying of a concept means something else."""
    return {concept: _phrases(rules.get(setting, []), groups, concept) for concept, rules in concepts.items()}


def _saying(concept: str, kind: str, text: str, groups: Mapping[str, tuple[str, ...]]) -> Saying:
    pieces = _PARTING.split(str(text))
    parts = tuple(_phrases([piece], groups, concept) for piece in pieces[::2])
    return Saying(concept, kind, parts, (False, *(mark == ">" for mark in pieces[1::2])))


def _phrases(terms: Iterable[str], groups: Mapping[str, tuple[str, ...]], concept: str) -> tuple[str, ...]:
    """Return the phrases of some terms, each a phrase or a `<group>`."""
    found: list[str] = []
    for term in map(str, terms):
        group = _GROUP.fullmatch(term.strip())
        if group is None:
            if "<" in term or not term.strip():
                raise LexiconError(f"{concept}: {term!r}: write a phrase, or one <group>, between + and >")
            found.append(term.strip())
        elif group[1] in groups:
            found += groups[group[1]]
        else:
            raise LexiconError(f"{concept}: <{group[1]}> is not among the groups")
    return tuple(found)


def _context(content: Mapping[str, Any]) -> Iterable[tuple[str, tuple[str, ...]]]:
    for name, cues in content.items():
        if isinstance(cues, dict):
            yield from ((f"{name}/{side}", _spelt_out(terms)) for side, terms in cues.items())
        else:
            yield name, _spelt_out(cues)


def _spelt_out(terms: Iterable[str]) -> tuple[str, ...]:
    """Return every phrase of some terms, in which `one|other` stands for either word."""
    return tuple(
        " ".join(words) for term in terms for words in product(*(word.split("|") for word in term.split()))
    )
