"""The council's rules for clerical review of linkage: purposes, and how much may be asked."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from governance.contracts import CONTRACTS_FOLDER


class ReviewRules(BaseModel):
    """`contracts/linkage_review.yaml`. `purposes` gives for each short name the power or duty behind it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    purposes: dict[str, str]
    largest_sample: int = Field(gt=0)
    open_samples: int = Field(gt=0)


def read_review_rules(folder: Path = CONTRACTS_FOLDER) -> ReviewRules:
    """Read `contracts/linkage_review.yaml`."""
    text = (folder / "linkage_review.yaml").read_text(encoding="utf-8")
    return ReviewRules.model_validate(yaml.safe_load(text))
