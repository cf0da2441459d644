"""The home folder: one place for every path Doorstep writes, by zone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

HOME_VARIABLE = "DOORSTEP_HOME"
DEFAULT_HOME = Path("var")


@dataclass(frozen=True)
class Home:
    """Paths under one Doorstep home. Holding a `Home` creates nothing; writers make the folders they need."""

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        """Return the home that `DOORSTEP_HOME` names, or `./var`, as an absolute path."""
        return cls(Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).resolve())

    # Council zone: identifiable.
    @property
    def council(self) -> Path:
        return self.root / "council"

    @property
    def inbox(self) -> Path:
        return self.council / "inbox"

    @property
    def council_keys(self) -> Path:
        return self.council / "keys"

    @property
    def deliveries_db(self) -> Path:
        """The ledger of deliveries, and the checked rows that wait to be pseudonymised."""
        return self.council / "deliveries.duckdb"

    def feed_inbox(self, feed: str) -> Path:
        return self.inbox / feed

    def quarantine(self, feed: str) -> Path:
        return self.council / "quarantine" / feed

    def feed_page(self, feed: str) -> Path:
        """What the rules found in a feed's deliveries, for people: counts only."""
        return self.council / "feeds" / f"{feed}.html"

    def vault_db(self, partner: str) -> Path:
        return self.council / "vault" / f"{partner}.duckdb"

    def vault_keys_db(self, partner: str) -> Path:
        """The data keys of a partner's vault, apart from what they encrypt: a backup of one opens nothing."""
        return self.council / "vault" / f"{partner}.keys.duckdb"

    @property
    def cases_db(self) -> Path:
        """Alerts that came back, by the references of the records; no identity."""
        return self.council / "cases" / "cases.duckdb"

    @property
    def openings_log(self) -> Path:
        """The audit log of re-identification."""
        return self.council / "audit" / "openings.jsonl"

    @property
    def openings_anchor(self) -> Path:
        """How far the audit log went: apart from it, best on another disk."""
        return self.council / "anchors" / "openings.json"

    @property
    def linkage_review_db(self) -> Path:
        """Samples of a clerical review of linkage, and the verdicts on them; no identity."""
        return self.council / "linkage_review.duckdb"

    @property
    def officers(self) -> Path:
        """Which officers there are, with their roles."""
        return self.council / "officers.yaml"

    # Between the zones: sealed packages and public keys only.
    @property
    def outbox(self) -> Path:
        return self.root / "exchange" / "outbox"

    @property
    def exchange_public_keys(self) -> Path:
        return self.root / "exchange" / "public_keys"

    # Analytics zone: pseudonymous.
    @property
    def analytics(self) -> Path:
        return self.root / "analytics"

    @property
    def analytics_keys(self) -> Path:
        return self.analytics / "keys"

    @property
    def linkage_db(self) -> Path:
        return self.analytics / "linkage.duckdb"

    @property
    def warehouse_db(self) -> Path:
        return self.analytics / "warehouse.duckdb"

    @property
    def models(self) -> Path:
        return self.analytics / "models"

    @property
    def dbt_target(self) -> Path:
        return self.analytics / "dbt"

    def published(self, audience: str) -> Path:
        return self.analytics / "published" / audience

    # Around both.
    @property
    def dagster(self) -> Path:
        return self.root / "dagster"

    @property
    def truth(self) -> Path:
        """The synthetic county's truth: read by `evaluation` only, never by a pipeline package."""
        return self.root / "truth"

    @property
    def refresh_state(self) -> Path:
        return self.root / "refresh.json"
