"""Candidates: a model trained apart from the night, what tells of it beside it, and its adoption after review.

A candidate is a folder: `model.json`, `comparison.json` with the model in use, `comparison.html` for people. Adoption
puts `model.json` in place of the one in the code, which is then a change to the repository like any other.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

import pyarrow as pa

from linkage.candidates.comparison import ModelComparison, compare_models
from linkage.candidates.training import (
    CANDIDATE_FOLDER,
    TrainingPlan,
    county_plan,
    train_settings,
    write_model,
)
from linkage.model import MODEL_PATH, LinkageModel, LinkageModelError, read_model
from linkage.review.store import reviewed_samples
from linkage.review.training import with_verdicts
from linkage.scoring.link_keys import read_link_keys
from stores.analytics import AnalyticsZone
from stores.files import written_atomically

MODEL_FILE, COMPARISON_FILE, PAGE_FILE, ADOPTION_FILE = (
    "model.json",
    "comparison.json",
    "comparison.html",
    "adoption.json",
)


@dataclass(frozen=True)
class Adoption:
    """Who took which candidate, why, and against which model it was compared."""

    version: int
    digest: str
    replaces: str
    reviewer: str
    reason: str
    on: str


def candidate_folder(zone: AnalyticsZone) -> Path:
    """Return where candidates of `zone` are written unless somebody says otherwise."""
    return zone.home.models / CANDIDATE_FOLDER / "candidate"


def train_candidate(zone: AnalyticsZone, plan: TrainingPlan | None = None) -> LinkageModel:
    """Train on the link keys of `zone`, without any truth; the threshold stays that of the model in use."""
    link_keys = _link_keys(zone)
    settings = train_settings(link_keys, plan or county_plan())
    return _next(settings, f"{link_keys.num_rows:,} records of this council, by expectation maximisation")


def candidate_from_verdicts(zone: AnalyticsZone, base: LinkageModel | None = None) -> LinkageModel:
    """Return `base` (the model in use) with its m probabilities moved by the verdicts of all reviews that are held.

    Raises `ReviewError` if too few matches were found.
    """
    base = base or read_model()
    reviewed = [sample for sample in reviewed_samples(zone) if sample.pairs.num_rows]
    settings = with_verdicts(base.splink_settings, _link_keys(zone), reviewed)
    pairs = sum(sample.pairs.num_rows for sample in reviewed)
    return _next(settings, f"{base.trained_on}; then {pairs:,} pairs judged by reviewers")


def compare_candidate(zone: AnalyticsZone, folder: Path) -> ModelComparison:
    """Compare the candidate in `folder` with the model in use on the present link keys, and keep the comparison."""
    comparison = compare_models(zone, read_model(), read_model(folder / MODEL_FILE))
    with written_atomically(folder / COMPARISON_FILE, mode=0o644) as aside:
        aside.write_text(json.dumps(asdict(comparison), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return comparison


def adopt(folder: Path, reviewer: str, reason: str, on: date, into: Path = MODEL_PATH) -> Adoption:
    """Put the candidate in `folder` in place of the model at `into`, and write down who took it and why.

    Raises `LinkageModelError` unless the candidate was compared with that very model, as both are now, and has the
    version that follows.
    """
    candidate, current = read_model(folder / MODEL_FILE), read_model(into)
    compared = _compared(folder)
    if compared != (current.digest, candidate.digest):
        raise LinkageModelError(
            f"{folder}: the comparison is of other models than these two. Run `doorstep linkage compare {folder}`."
        )
    if candidate.version != current.version + 1:
        raise LinkageModelError(
            f"{folder}: the candidate has version {candidate.version}, the one after {current.version} is wanted."
        )
    adoption = Adoption(candidate.version, candidate.digest, current.digest, reviewer, reason, on.isoformat())
    with written_atomically(folder / ADOPTION_FILE, mode=0o644) as aside:
        aside.write_text(json.dumps(asdict(adoption), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    write_model(candidate, into)
    return adoption


def with_threshold(model: LinkageModel, threshold: float | None) -> LinkageModel:
    """Return `model` with another match weight from which pairs are linked; None keeps its own."""
    return model if threshold is None else replace(model, match_weight_threshold=threshold)


def _next(settings: dict[str, object], trained_on: str) -> LinkageModel:
    current = read_model()
    return LinkageModel(current.version + 1, current.match_weight_threshold, trained_on, settings)


def _link_keys(zone: AnalyticsZone) -> pa.Table:
    with zone.linkage(read_only=True) as connection:
        return read_link_keys(connection)


def _compared(folder: Path) -> tuple[str, str]:
    try:
        document = json.loads((folder / COMPARISON_FILE).read_text(encoding="utf-8"))
        return document["current"]["digest"], document["candidate"]["digest"]
    except (FileNotFoundError, ValueError, KeyError):
        raise LinkageModelError(
            f"{folder}: no comparison with the model in use. Run `doorstep linkage compare {folder}`."
        ) from None
