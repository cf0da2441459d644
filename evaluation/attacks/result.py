"""What an attack came to, and whether that is within its limit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

FIELD_LIMIT = 0.01
FULL_NAME_LIMIT = 0.001
GRAPH_LIMIT = 0.005
CONTROL_LIMIT = 0.90
"""Promise 2 of the privacy design: shares of records re-identified, and what the controls must exceed."""

FREQUENCY_CONTROL_LIMIT = 0.10
"""Rank matching cannot tell rare values of equal frequency apart, so even a bare surname token keeps its rare names:
its control must come to ten times what our tokens may."""

PATTERN_CONTROL_LIMIT = 0.5
"""Share of all records: pattern mining attacks the commonest names only, and reads nearly all of those."""


@dataclass(frozen=True)
class AttackResult:
    """One attack on one target.

    `records` were attacked, `recovered` of them got their true value (or name). `limit` is a share of `records`:
    an attack must stay at or below it, a `control` must exceed it; None where nothing is promised, and the figure is
    there to be known. `knowledge` says what the attacker had.
    """

    attack: str
    target: str
    records: int
    recovered: int
    limit: float | None
    control: bool = False
    seconds: float = 0.0
    knowledge: str = ""
    chance: float = 0.0
    """The share that blind guessing would get right, where that can be said."""

    @property
    def rate(self) -> float:
        """Share of the attacked records that were re-identified; 0 if none were attacked."""
        return self.recovered / self.records if self.records else 0.0

    @property
    def holds(self) -> bool:
        """True if the attack stayed within its limit, or if the control succeeded; always where there is none."""
        if self.limit is None:
            return True
        return self.rate > self.limit if self.control else self.rate <= self.limit

    def as_document(self) -> dict[str, Any]:
        """Return fields, rate and verdict, ready for JSON."""
        return {**asdict(self), "rate": self.rate, "holds": self.holds}
