"""The county's sentences in two halves: one to write rules by, one held back to judge them.

The notes of every county are made from the same sentences, so holding back notes would hold back nothing: the
sentences themselves are parted. Within each use (say, denials of rent arrears) the templates are put in the order of
their SHA-256; those at odd places are held back. The phrases of a concept are parted in the same way. So the halves
change only where a sentence changes, and nobody chooses.

The author of the rules had read some of the sentences before they were parted, held-back ones among them: all frames,
openings and actions, and the sentences of the concepts that are not in `UNREAD`. Of the concepts in `UNREAD` only the
development half was ever read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from synthetic.note_text import Grammar, read_grammar

HELD_BACK, DEVELOPMENT = "held_back", "development"
HALVES = (DEVELOPMENT, HELD_BACK)

UNREAD = frozenset(
    {
        "council_tax_debt", "notice_served", "relationship_breakdown", "domestic_abuse", "job_loss",
        "benefit_problem",
    }
)  # fmt: skip
"""Concepts whose held-back sentences the author of the rules has not read."""


def half_grammar(half: str) -> Grammar:
    """Return the county's grammar with the sentences and phrases of one half (`HALVES`) alone."""
    if half not in HALVES:
        raise ValueError(f"{half!r} is not one of {', '.join(HALVES)}")
    whole = read_grammar()
    uses = {
        use: numbers[_of_half([_text(whole, number) for number in numbers.tolist()], half)]
        for use, numbers in whole.uses.items()
    }
    phrases, bounds = [], [0]
    for first, last in zip(whole.phrase_bounds[:-1], whole.phrase_bounds[1:], strict=True):
        group = whole.phrases[int(first) : int(last)].to_pylist()
        phrases += [group[place] for place in _of_half(group, half)]
        bounds.append(len(phrases))
    return replace(whole, uses=uses, phrases=pa.array(phrases), phrase_bounds=np.array(bounds))


def _of_half(texts: Sequence[str], half: str) -> list[int]:
    """Places of the texts that belong to a half. A text alone belongs to both."""
    if len(texts) == 1:
        return [0]
    order = sorted(range(len(texts)), key=lambda place: hashlib.sha256(texts[place].encode()).digest())
    return sorted(order[1::2] if half == HELD_BACK else order[0::2])


def _text(grammar: Grammar, number: int) -> str:
    """The words and slots of a template, as one text."""
    return "".join(piece.text or f"{{{piece.slot}}}" for piece in grammar.templates[number].pieces)
