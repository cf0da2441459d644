"""Keys for one evaluation: made from a seed, never stored, worth nothing outside it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

FIRST_VERSION = 1


@dataclass(frozen=True)
class PassingKeys:
    """Root keys by name. The same seed gives the same keys, so that an evaluation can be repeated; another seed shows
    how far borderline pairs hang on the keys. `owner` parts a council's keys from an attacker's of the same seed.
    """

    seed: int = 1
    owner: str = ""

    def root(self, name: str, version: int | None = None) -> bytes:
        return sha256(f"{self.seed}/{self.owner}{name}/{version or FIRST_VERSION}".encode()).digest()

    def current(self, name: str) -> int:  # noqa: ARG002
        return FIRST_VERSION

    def usable(self, name: str) -> tuple[int, ...]:
        return (self.current(name),)
