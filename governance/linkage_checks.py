"""How far a night's linkage may stray from the good nights before it: `contracts/linkage_checks.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from governance.contracts import CONTRACTS_FOLDER


class _Limits(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class History(_Limits):
    """How many good nights are compared with, and how many there must be."""

    nights: int = Field(ge=1)
    fewest: int = Field(ge=1)


class LinkRateLimits(_Limits):
    """Limits of a feed pair's link rate, as shares of the usual one."""

    warns_below: float = Field(gt=0, le=1)
    blocks_below: float = Field(gt=0, le=1)
    blocks_above: float = Field(ge=1)
    steady_below: float = Field(ge=1)
    fewest_people: int = Field(ge=1)


class ClusterLimits(_Limits):
    """Limits of the largest person (records) and of records per person, as shares of the usual ones."""

    largest_blocks_above: float = Field(ge=1)
    largest_at_least: int = Field(ge=2)
    records_per_person_blocks_below: float = Field(gt=0, le=1)
    records_per_person_blocks_above: float = Field(ge=1)


class CandidateLimits(_Limits):
    """Limits of candidate pairs per record, as shares of the usual number."""

    warns_above: float = Field(ge=1)
    blocks_above: float = Field(ge=1)
    blocks_below: float = Field(gt=0, le=1)


class WeightLimits(_Limits):
    """Limits of the population stability index of match weights, of feeds with enough linked pairs."""

    warns_above: float = Field(gt=0)
    blocks_above: float = Field(gt=0)
    fewest_pairs: int = Field(ge=1)


class LinkageChecks(_Limits):
    """All limits, as the YAML says them."""

    history: History
    feed_pair_link_rates: LinkRateLimits
    cluster_sizes: ClusterLimits
    candidate_volume: CandidateLimits
    match_weights: WeightLimits


@cache
def read_linkage_checks(path: Path = CONTRACTS_FOLDER / "linkage_checks.yaml") -> LinkageChecks:
    """Read the limits; raises `pydantic.ValidationError` where one is missing, misspelt or senseless."""
    return LinkageChecks.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
