"""Audiences: who reads which published relations."""

from __future__ import annotations

from collections.abc import Mapping

ANALYSTS = "analysts"

# Published name → relation in the warehouse. Nothing else leaves it: no link key, no record reference, no vault token.
RELATIONS: Mapping[str, Mapping[str, str]] = {
    ANALYSTS: {
        "households": "marts.households",
        "household_features": "marts.household_features",
        "household_labels": "marts.household_labels",
        "feed_health": "marts.feed_health",
        "risk_scores": "risk.scores",
        "alerts": "risk.alerts",
        "model_evaluations": "risk.evaluations",
    }
}


def published_relations(audience: str) -> Mapping[str, str]:
    """Return the relations of `audience`: published name → relation in the warehouse. Raises `KeyError`."""
    return RELATIONS[audience]
