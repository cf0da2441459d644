"""Use cases: what is predicted, for whom, from which feeds, and when an alert is raised."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from governance.contracts import CONTRACTS_FOLDER


class Threshold(BaseModel):
    """An alert needs a score of at least `minimum_score` and a rank within `capacity_share` of the cohort."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum_score: float = Field(ge=0, le=1)
    capacity_share: float = Field(gt=0, le=1)


class UseCase(BaseModel):
    """One use case, as its YAML says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    use_case: str
    title: str
    unit: Literal["household", "person"]
    cohort: str
    label: str
    horizon_months: int
    report_horizons_months: tuple[int, ...]
    feeds: tuple[str, ...]
    threshold: Threshold
    purposes: dict[str, str]
    """What an alert may be re-identified for: a short name, and the power or duty behind it."""
    seed: int
    review: str


def read_use_cases(folder: Path = CONTRACTS_FOLDER) -> dict[str, UseCase]:
    """Read every use case under `folder/use_cases`, by name in alphabetical order."""
    paths = sorted((folder / "use_cases").glob("*.yaml"))
    cases = [UseCase.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in paths]
    return {case.use_case: case for case in cases}
