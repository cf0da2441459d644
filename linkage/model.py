"""The reviewed linkage model: Splink settings with their weights, and the weight from which a pair is
linked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

MODEL_PATH = Path(__file__).resolve().parent / "model.json"


class LinkageModelError(ValueError):
    """A model file cannot be used; the message names the file and what to change."""


@dataclass(frozen=True)
class LinkageModel:
    """A model as one file holds it. `version` grows with every reviewed change."""

    version: int
    match_weight_threshold: float
    trained_on: str
    splink_settings: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that change whenever anything in the model does."""
        return sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """The model as stable, reviewable JSON."""
        return json.dumps(
            {
                "version": self.version,
                "match_weight_threshold": self.match_weight_threshold,
                "trained_on": self.trained_on,
                "splink_settings": self.splink_settings,
            },
            indent=2,
        )


def read_model(path: Path = MODEL_PATH) -> LinkageModel:
    """Read a model file. Raises `LinkageModelError`."""
    try:
        return LinkageModel(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise LinkageModelError(
            f"{path}: no linkage model. Train one with `doorstep linkage train`, compare it, adopt it."
        ) from None
    except (json.JSONDecodeError, TypeError) as error:
        raise LinkageModelError(
            f"{path}: not a linkage model ({error}). Restore the reviewed file from the repository."
        ) from None
