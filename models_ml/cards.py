"""Model cards: what a model is for, what it was made from, how well it does, and what it must not be used
for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from governance.use_cases import UseCase
from models_ml.judge import Figure


class Trained(Protocol):
    """What a card says of a training."""

    @property
    def model_version(self) -> str: ...
    @property
    def train_months(self) -> Sequence[Any]: ...
    @property
    def train_rows(self) -> int: ...
    @property
    def train_events(self) -> int: ...
    @property
    def evaluation_train_months(self) -> Sequence[Any]: ...
    @property
    def test_months(self) -> Sequence[Any]: ...
    @property
    def figures(self) -> Sequence[Figure]: ...
    @property
    def calibration_error(self) -> float: ...


def model_card(use_case: UseCase, trained: Trained, parameters: Mapping[str, Any]) -> str:
    """Return the card as Markdown."""
    lines = [
        f"# {use_case.title}",
        "",
        f"Use case `{use_case.use_case}`, model version `{trained.model_version}`.",
        "",
        "## What it predicts",
        "",
        f"- Who is scored: {use_case.cohort}",
        f"- What is predicted: {use_case.label} Horizon {use_case.horizon_months} months.",
        f"- Review: {use_case.review}",
        "- A score orders households for a conversation. It says nothing of cause, and is no ground for "
        "refusing anything.",
        "",
        "## What it was made from",
        "",
        f"- Feeds: {', '.join(use_case.feeds)}.",
        f"- Months {trained.train_months[0]:%Y-%m} to {trained.train_months[-1]:%Y-%m}: "
        f"{trained.train_rows:,} rows, {trained.train_events:,} of them with the event. A household's months "
        "overlap: these are not as many events.",
        f"- {len(parameters['features'])} features: {', '.join(parameters['features'])}.",
        "- Average of the log-odds of an L2-regularised logistic regression and of boosted trees with "
        "monotone constraints; calibrated on the later half of the months with predictions for households "
        "it had not seen.",
        "",
        "## How well it does",
        "",
        f"Fitted on {trained.evaluation_train_months[0]:%Y-%m} to "
        f"{trained.evaluation_train_months[-1]:%Y-%m}, judged on "
        f"{', '.join(f'{month:%Y-%m}' for month in trained.test_months)}. Intervals (95 %) from resampling "
        "households.",
        "",
        "| ranking | measure | top | value | of | interval |",
        "|---|---|---|---|---|---|",
        *(_row(figure) for figure in trained.figures if figure.measure in ("precision", "recall")),
        "",
        f"Expected calibration error: {trained.calibration_error:.4f}.",
        "",
    ]
    return "\n".join(lines)


def _row(figure: Figure) -> str:
    top = f"{figure.top_share:.1%}" if figure.top_share else ""
    counts = f"{figure.numerator:.0f} / {figure.denominator:.0f}"
    return (
        f"| {figure.ranking} | {figure.measure} | {top} | {figure.value:.3f} | {counts} "
        f"| {figure.low:.3f} to {figure.high:.3f} |"
    )
