"""Which feeds hold which identifiers loosely: `contracts/identifier_quality.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, field_validator

from governance.contracts import CONTRACTS_FOLDER

Compared = Literal["name", "birth_date", "nino", "home"]
"""What linkage compares by the quality of the feed, by the name of the comparison."""

COMPARED_BY_QUALITY: tuple[Compared, ...] = get_args(Compared)
DIGEST_DIGITS = 16


class IdentifierQuality(BaseModel):
    """`loosely_held`: for each identifier the feeds that hold it loosely. Every other feed holds it well."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loosely_held: Mapping[Compared, tuple[str, ...]]

    @field_validator("loosely_held")
    @classmethod
    def _of_every_identifier(
        cls, told: Mapping[Compared, tuple[str, ...]]
    ) -> Mapping[Compared, tuple[str, ...]]:
        return {identifier: tuple(sorted(told.get(identifier, ()))) for identifier in COMPARED_BY_QUALITY}

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that change whenever a list does."""
        return sha256(repr(sorted(self.loosely_held.items())).encode()).hexdigest()[:DIGEST_DIGITS]


@cache
def read_identifier_quality(
    path: Path = CONTRACTS_FOLDER / "identifier_quality.yaml",
) -> IdentifierQuality:
    """Read the lists; raises `pydantic.ValidationError` on an identifier that is not compared by quality."""
    return IdentifierQuality.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
