"""The features a model may use, read from `features.yaml`, and the purpose limitation on them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from governance.use_cases import UseCase

FEATURES_FILE = Path(__file__).with_name("features.yaml")


class PurposeError(ValueError):
    """A feature comes from a feed that the use case may not use."""


class Feature(BaseModel):
    """One feature, as `features.yaml` says it. It rests on `feed` most of all, and on those in `also`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    feed: str
    also: tuple[str, ...] = ()
    kind: Literal["flag", "count", "amount", "recency", "number"]
    sign: Literal[-1, 0, 1]
    words: str
    otherwise: str | None = None
    dated_by: str | None = None

    @property
    def encoded_sign(self) -> int:
        """Sign after encoding: recency turns days since into nearness, so its direction turns round."""
        return -self.sign if self.kind == "recency" else self.sign


@cache
def read_features(path: Path = FEATURES_FILE) -> tuple[Feature, ...]:
    """Read the feature list, in file order."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(Feature.model_validate({"name": name, **entry}) for name, entry in document.items())


def features_of(use_case: UseCase, features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Return `features` if every one comes from a feed of `use_case`; else raise `PurposeError` naming those
    that do not.
    """
    strangers = [
        f"{feature.name} ({feed})"
        for feature in features
        for feed in (feature.feed, *feature.also)
        if feed not in use_case.feeds
    ]
    if strangers:
        raise PurposeError(
            f"{use_case.use_case}: features from feeds outside its purpose: {', '.join(strangers)}. "
            "Take them out of the model, or have the use case's list of feeds widened by whoever owns it."
        )
    return tuple(features)
