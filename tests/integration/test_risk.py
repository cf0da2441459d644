"""Training, scoring and alerts over a real encrypted warehouse whose marts are made here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from records_scenario import analytics_zone

from governance.retention import RetentionExpiredError, RetentionRule, add_months
from governance.use_cases import Threshold, UseCase, read_use_cases
from models_ml.alerts import raise_alerts
from models_ml.artefacts import CARD_FILE, MODEL_FILE, ModelArtefactError, model_folder
from models_ml.cohort import EmptyCohortError
from models_ml.features import PurposeError, read_features
from models_ml.model import ModelParameters
from models_ml.registry import NoModelError
from models_ml.scoring import score_month
from models_ml.split import NotEnoughHistoryError
from models_ml.training import train_risk_model
from stores.analytics import AnalyticsZone

FIRST = date(2025, 1, 1)
MONTHS = [add_months(FIRST, number) for number in range(20)]
AS_OF, NIGHT = MONTHS[-1], date(2026, 8, 6)
HOUSEHOLDS = 400
QUICK = ModelParameters(tree_count=20, tree_minimum_leaf=30)
RULE = RetentionRule(name="risk_scores", months=24, counted_from="as_of_month")
# Windows that end after this have not been observed to their end.
OBSERVED_UNTIL = AS_OF


def features_and_labels(seed: int = 5) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Households of which those with a notice tend to be owed a duty some months on."""
    random = np.random.default_rng(seed)
    ids = [
        hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest() for number in range(HOUSEHOLDS)
    ]
    notice = random.random(HOUSEHOLDS) < 0.15
    due = random.random(HOUSEHOLDS) < np.where(notice, 0.6, 0.02)
    duty_month = np.where(due, random.integers(2, 26, HOUSEHOLDS), 99)
    names = [feature.name for feature in read_features()]
    dates = sorted({feature.dated_by for feature in read_features() if feature.dated_by})
    features, labels = [], []
    for number, month in enumerate(MONTHS):
        frame = pd.DataFrame({name: np.zeros(HOUSEHOLDS) for name in names})
        frame["has_notice_12m"] = (notice & (duty_month > number)).astype(float)
        frame["days_since_last_case"] = np.nan
        frame["adult_count"] = 1.0
        for name in dates:
            frame[name] = pd.Series([None] * HOUSEHOLDS, dtype="object")
        frame["notice_date"] = np.where(frame["has_notice_12m"] > 0, add_months(month, -1), None)
        frame.insert(0, "household_id", ids)
        frame.insert(1, "as_of_month", month)
        frame.insert(2, "property_ref", [f"p{place}" for place in range(HOUSEHOLDS)])
        frame.insert(3, "has_open_case", np.arange(HOUSEHOLDS) == 0)
        features.append(frame)
        owed = pd.DataFrame({"household_id": ids, "as_of_month": month})
        for horizon in (1, 3, 6, 9):
            owed[f"is_owed_{horizon}m"] = (duty_month >= number) & (duty_month < number + horizon)
            owed[f"is_complete_{horizon}m"] = add_months(month, horizon) <= OBSERVED_UNTIL
        labels.append(owed)
    return pd.concat(features, ignore_index=True), pd.concat(labels, ignore_index=True)


def make_marts(zone: AnalyticsZone, features: pd.DataFrame, labels: pd.DataFrame) -> None:
    dates = sorted({feature.dated_by for feature in read_features() if feature.dated_by})
    typed = ", ".join(f"cast({name} as date) as {name}" for name in ["as_of_month", *dates])
    with zone.warehouse() as warehouse:
        warehouse.execute("create schema if not exists marts")
        warehouse.register("features", pa.Table.from_pandas(features, preserve_index=False))
        warehouse.register("labels", pa.Table.from_pandas(labels, preserve_index=False))
        warehouse.execute(
            f"create or replace table marts.household_features as select * replace ({typed}) from features"
        )
        warehouse.execute(
            "create or replace table marts.household_labels as "
            "select * replace (cast(as_of_month as date) as as_of_month) from labels"
        )
        delivered = set(read_use_cases()["homelessness"].feeds) - {"adult_social_care"}
        feeds = " ".join(sorted(delivered))
        warehouse.execute(
            f"""
            create or replace table marts.feed_health as
            select as_of_month, feed, if(feed = 'school_census', 130, 10) as days_old
            from (select distinct as_of_month from marts.household_features)
            cross join (select unnest(string_split('{feeds}', ' ')) as feed)
            """
        )


@pytest.fixture
def use_case() -> UseCase:
    return read_use_cases()["homelessness"]


@pytest.fixture
def zone(tmp_path: Path) -> AnalyticsZone:
    zone = analytics_zone(tmp_path)
    make_marts(zone, *features_and_labels())
    return zone


def ask(zone: AnalyticsZone, sql: str) -> list[tuple[Any, ...]]:
    with zone.warehouse(read_only=True) as warehouse:
        return warehouse.execute(sql).fetchall()


def scored(zone: AnalyticsZone, use_case: UseCase) -> list[tuple[Any, ...]]:
    score_month(zone, use_case, AS_OF, NIGHT, RULE)
    return ask(zone, "select * from risk.scores order by rank")


def test_training_uses_no_month_whose_window_is_not_over(zone: AnalyticsZone, use_case: UseCase) -> None:
    report = train_risk_model(zone, use_case, AS_OF, QUICK)
    assert report.train_months == tuple(month for month in MONTHS if add_months(month, 6) <= AS_OF)
    assert add_months(report.evaluation_train_months[-1], 6) <= report.test_months[0]


def test_training_as_of_an_earlier_month_sees_only_what_was_over_by_then(
    zone: AnalyticsZone, use_case: UseCase
) -> None:
    report = train_risk_model(zone, use_case, MONTHS[14], QUICK)
    assert report.train_months[-1] == MONTHS[8]


def test_the_same_data_is_the_same_version_and_is_trained_once(
    zone: AnalyticsZone, use_case: UseCase
) -> None:
    first = train_risk_model(zone, use_case, AS_OF, QUICK)
    again = train_risk_model(zone, use_case, AS_OF, QUICK)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.model_version == first.model_version
    assert sorted(map(repr, again.figures)) == sorted(map(repr, first.figures))
    assert ask(zone, "select count(*) from risk.model_versions") == [(1,)]


def test_two_homes_with_the_same_data_score_the_same_bit_for_bit(
    zone: AnalyticsZone, use_case: UseCase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = analytics_zone(tmp_path_factory.mktemp("other"))
    features, labels = features_and_labels()
    shuffled = labels.sample(frac=1, random_state=2)
    make_marts(other, features.iloc[::-1].reset_index(drop=True), shuffled.reset_index(drop=True))
    for each in (zone, other):
        train_risk_model(each, use_case, AS_OF, QUICK)
    assert scored(zone, use_case) == scored(other, use_case)


def test_one_changed_value_is_another_version(zone: AnalyticsZone, use_case: UseCase) -> None:
    first = train_risk_model(zone, use_case, AS_OF, QUICK)
    features, labels = features_and_labels()
    features.loc[3, "weeks_in_rent_arrears"] = 2.0
    make_marts(zone, features, labels)
    second = train_risk_model(zone, use_case, AS_OF, QUICK)
    assert second.is_new
    assert second.model_version != first.model_version
    score_month(zone, use_case, AS_OF, NIGHT, RULE)
    assert ask(zone, "select distinct model_version from risk.scores") == [(second.model_version,)]


def test_the_model_ranks_households_with_a_notice_first(zone: AnalyticsZone, use_case: UseCase) -> None:
    report = train_risk_model(zone, use_case, AS_OF, QUICK)
    recall = {
        figure.ranking: figure.value
        for figure in report.figures
        if figure.measure == "recall" and figure.top_share == 0.02
    }
    assert recall["model"] > recall["base_rate"]
    top = json.loads(scored(zone, use_case)[0][-1])[0]
    assert top["feature"] == "has_notice_12m"
    assert top["text"] == "notice given (July 2026)"


def test_scoring_again_replaces_the_partition_and_leaves_others(
    zone: AnalyticsZone, use_case: UseCase
) -> None:
    train_risk_model(zone, use_case, MONTHS[-2], QUICK)
    score_month(zone, use_case, MONTHS[-2], NIGHT, RULE)
    before = scored(zone, use_case)
    assert scored(zone, use_case) == before
    counts = ask(zone, "select as_of_month, count(*) from risk.scores group by all order by all")
    # The household with an open case is not in the cohort.
    assert counts == [(MONTHS[-2], HOUSEHOLDS - 1), (AS_OF, HOUSEHOLDS - 1)]


def test_an_expired_partition_refuses_to_be_scored(zone: AnalyticsZone, use_case: UseCase) -> None:
    train_risk_model(zone, use_case, AS_OF, QUICK)
    with pytest.raises(RetentionExpiredError, match="keeps 24 months"):
        score_month(zone, use_case, AS_OF, add_months(AS_OF, 24), RULE)
    assert ask(zone, "select count(*) from risk.scores") == [(0,)]


def test_a_model_that_knows_the_future_may_not_score_the_past(zone: AnalyticsZone, use_case: UseCase) -> None:
    train_risk_model(zone, use_case, AS_OF, QUICK)
    with pytest.raises(NoModelError, match="would know"):
        score_month(zone, use_case, MONTHS[-3], NIGHT, RULE)


def test_a_month_without_features_is_not_scored(zone: AnalyticsZone, use_case: UseCase) -> None:
    train_risk_model(zone, use_case, AS_OF, QUICK)
    with pytest.raises(EmptyCohortError, match="2026-09"):
        score_month(zone, use_case, add_months(AS_OF, 1), NIGHT, RULE)


def test_a_history_too_short_to_judge_a_model_is_said_so(zone: AnalyticsZone, use_case: UseCase) -> None:
    with pytest.raises(NotEnoughHistoryError):
        train_risk_model(zone, use_case, MONTHS[4], QUICK)


def test_a_use_case_may_not_learn_from_a_feed_outside_its_purpose(
    zone: AnalyticsZone, use_case: UseCase
) -> None:
    narrowed = use_case.model_copy(update={"feeds": ("council_tax",)})
    with pytest.raises(PurposeError, match="housing_tenancies"):
        train_risk_model(zone, narrowed, AS_OF, QUICK)


def test_a_model_whose_purpose_was_narrowed_may_score_no_more(zone: AnalyticsZone, use_case: UseCase) -> None:
    train_risk_model(zone, use_case, AS_OF, QUICK)
    narrowed = use_case.model_copy(update={"feeds": ("council_tax",)})
    with pytest.raises(PurposeError):
        score_month(zone, narrowed, AS_OF, NIGHT, RULE)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(("harm", "said"), [(flip_a_bit, "not the file"), (Path.unlink, "no such model")])
def test_a_model_file_that_was_changed_or_lost_is_not_loaded(
    zone: AnalyticsZone, use_case: UseCase, harm: Callable[[Path], None], said: str
) -> None:
    report = train_risk_model(zone, use_case, AS_OF, QUICK)
    harm(model_folder(zone.home, use_case.use_case, report.model_version) / MODEL_FILE)
    with pytest.raises(ModelArtefactError, match=said):
        score_month(zone, use_case, AS_OF, NIGHT, RULE)


def test_a_lost_model_file_is_made_again_with_the_same_content(
    zone: AnalyticsZone, use_case: UseCase
) -> None:
    report = train_risk_model(zone, use_case, AS_OF, QUICK)
    before = scored(zone, use_case)
    (model_folder(zone.home, use_case.use_case, report.model_version) / MODEL_FILE).unlink()
    assert train_risk_model(zone, use_case, AS_OF, QUICK).is_new
    assert scored(zone, use_case) == before


def test_alerts_need_the_least_score_and_a_place_within_the_capacity(
    zone: AnalyticsZone, use_case: UseCase
) -> None:
    train_risk_model(zone, use_case, AS_OF, QUICK)
    rows = scored(zone, use_case)
    tight = use_case.model_copy(update={"threshold": Threshold(minimum_score=0.0, capacity_share=0.02)})
    assert raise_alerts(zone, tight, AS_OF).alerts == 8
    assert ask(zone, "select rank from risk.alerts order by rank") == [(rank,) for rank in range(1, 9)]
    fifth = rows[4][4]
    high = use_case.model_copy(update={"threshold": Threshold(minimum_score=fifth, capacity_share=1.0)})
    raised = raise_alerts(zone, high, AS_OF)
    assert raised.alerts == sum(row[4] >= fifth for row in rows)
    assert ask(zone, "select count(*) from risk.alerts") == [(raised.alerts,)]


def test_alerts_of_a_month_that_was_never_scored_are_refused(zone: AnalyticsZone, use_case: UseCase) -> None:
    with pytest.raises(ValueError, match="not been scored"):
        raise_alerts(zone, use_case, AS_OF)


def test_a_feed_without_a_recent_delivery_is_told_with_every_score(
    zone: AnalyticsZone, use_case: UseCase
) -> None:
    train_risk_model(zone, use_case, AS_OF, QUICK)
    report = score_month(zone, use_case, AS_OF, NIGHT, RULE)
    assert report.stale_feeds == ("adult_social_care",)
    told = ask(
        zone, "select count(*) from risk.scores where reasons::varchar like '%no recent delivery of adult%'"
    )
    assert told == [(report.households,)]


def test_the_card_gives_counts_and_intervals_and_names_no_household(
    zone: AnalyticsZone, use_case: UseCase
) -> None:
    report = train_risk_model(zone, use_case, AS_OF, QUICK)
    card = (model_folder(zone.home, use_case.use_case, report.model_version) / CARD_FILE).read_text(
        encoding="utf-8"
    )
    assert f"{report.train_rows:,} rows" in card
    assert "| model | recall | 1.0% |" in card
    assert not [
        household
        for (household,) in ask(zone, "select household_id from marts.household_labels limit 50")
        if household in card
    ]


def test_other_parameters_are_another_version(zone: AnalyticsZone, use_case: UseCase) -> None:
    first = train_risk_model(zone, use_case, AS_OF, QUICK)
    second = train_risk_model(zone, use_case, AS_OF, replace(QUICK, tree_count=21))
    assert first.model_version != second.model_version
