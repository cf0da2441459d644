"""What to do about an identifier, by where it was found."""

from __future__ import annotations

REMEDIES: tuple[tuple[str, str], ...] = (
    (
        "exchange/",
        "Stop the exchange. Take the column out of the feed's agreement and contract, delete the package here and at "
        "the receiver, and seal the delivery again.",
    ),
    (
        "analytics/linkage.duckdb",
        "Link keys hold tokens only: find what wrote the value, correct it, delete the rows and rewrite the store.",
    ),
    (
        "analytics/warehouse.duckdb",
        "Take the column out of the feed's agreement and contract, delete the rows and rewrite the store: DuckDB keeps "
        "deleted bytes until then.",
    ),
    (
        "analytics/published/",
        "Withdraw the published version, correct the mart that carries the column, and publish again.",
    ),
    (
        "analytics/models/",
        "Delete the model's version, drop the feature that carries the value, and train again.",
    ),
    ("analytics/dbt", "Delete the folder; correct the model or test whose SQL or log holds the value."),
    (
        "dagster/",
        "Wipe the run's events and logs in Dagster, and correct the asset that logs the value or puts it in metadata.",
    ),
    (
        "council/feeds",
        "A feed's page shows counts only: correct the page, then write it again by the next load.",
    ),
    ("council/quarantine", "Reasons name rows and rules, never values: correct the rule's message."),
    (
        "council/deliveries.duckdb",
        "Messages name rows and rules, never values: correct the message's source.",
    ),
)
ANYWHERE = "Delete the file, find what wrote it and correct that."


def remedy_of(file: str, place: str) -> str:
    """Return what to do about an identifier in `place` of `file` (a path inside the home)."""
    if place == "name":
        return "Rename or delete the file, and correct what named it."
    return next((remedy for start, remedy in REMEDIES if file.startswith(start)), ANYWHERE)
