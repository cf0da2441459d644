"""Scoring: one partition (as_of_month × use case) of `risk.scores`, replaced whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import pandas as pd

from governance.contracts import FeedContract, read_contracts
from governance.retention import RetentionRule, refuse_if_expired
from governance.use_cases import UseCase
from models_ml.artefacts import load_model
from models_ml.cohort import read_cohort
from models_ml.features import features_of
from models_ml.judge import ranked_order
from models_ml.reasons import reasons
from models_ml.registry import current_model
from models_ml.tables import make_risk_tables
from stores.analytics import AnalyticsZone

# A feed whose newest delivery is older than this at the month tells of an earlier time; the reasons say so. Feeds that
# come less often are given their cadence, their usual latency and this grace.
STALE_DAYS = 62
GRACE_DAYS = 31


@dataclass(frozen=True)
class ScoringReport:
    """What was scored."""

    use_case: str
    as_of_month: date
    model_version: str
    households: int
    mean_score: float
    highest_score: float
    score_counts: tuple[int, ...]
    stale_feeds: tuple[str, ...]


# Upper edges of the score distribution that a report counts.
SCORE_EDGES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 1.0)


def score_month(
    zone: AnalyticsZone, use_case: UseCase, as_of_month: date, night: date, retention_rule: RetentionRule
) -> ScoringReport:
    """Score every eligible household of `as_of_month` with the current model; replace that partition of
    `risk.scores`.

    Raises `RetentionExpiredError`, `NoModelError`, `ModelArtefactError`, `PurposeError`, or
    `EmptyCohortError`; then nothing is written.
    """
    refuse_if_expired(retention_rule, as_of_month, night)
    with zone.warehouse() as warehouse:
        make_risk_tables(warehouse)
        version = current_model(warehouse, use_case.use_case, as_of_month)
        model = load_model(zone.home, use_case.use_case, version.model_version, version.sha256)
        features_of(use_case, model.features)
        cohort = read_cohort(warehouse, use_case, model.features, [as_of_month])
        stale = _stale_feeds(warehouse, use_case, as_of_month)
        scored = cohort.assign(score=model.score(cohort), reasons=reasons(model, cohort, stale))
        scored = scored.iloc[ranked_order(scored["score"].to_numpy(), scored["household_id"].tolist())]
        scored = scored.assign(rank=np.arange(1, len(scored) + 1))
        _replace_partition(warehouse, use_case.use_case, as_of_month, version.model_version, scored)
    counts = np.histogram(scored["score"], bins=[0.0, *SCORE_EDGES])[0]
    return ScoringReport(
        use_case=use_case.use_case,
        as_of_month=as_of_month,
        model_version=version.model_version,
        households=len(scored),
        mean_score=float(scored["score"].mean()),
        highest_score=float(scored["score"].max()),
        score_counts=tuple(int(count) for count in counts),
        stale_feeds=tuple(stale),
    )


def _replace_partition(
    warehouse: duckdb.DuckDBPyConnection, use_case: str, as_of_month: date, version: str, scored: pd.DataFrame
) -> None:
    warehouse.begin()
    warehouse.execute(
        "delete from risk.scores where use_case = ? and as_of_month = ?", [use_case, as_of_month]
    )
    warehouse.register("scored", scored)
    warehouse.execute(
        """
        insert into risk.scores
        select
            as_of_month,
            $use_case,
            household_id,
            property_ref,
            score,
            rank,
            100.0 * (count(*) over () - rank + 1) / count(*) over (),
            $version,
            reasons::json,
        from scored
        order by rank
        """,
        {"use_case": use_case, "version": version},
    )
    warehouse.unregister("scored")
    warehouse.commit()


def _stale_feeds(warehouse: duckdb.DuckDBPyConnection, use_case: UseCase, as_of_month: date) -> list[str]:
    days_old = dict(
        warehouse.execute(
            "select feed, days_old from marts.feed_health where as_of_month = ?", [as_of_month]
        ).fetchall()
    )
    contracts = read_contracts()
    return sorted(
        feed
        for feed in use_case.feeds
        if feed not in days_old or (feed in contracts and days_old[feed] > _allowed_days(contracts[feed]))
    )


def _allowed_days(contract: FeedContract) -> int:
    return max(STALE_DAYS, contract.cadence_days + contract.latency_days + GRACE_DAYS)
