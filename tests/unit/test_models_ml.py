"""Risk models' parts: purpose limitation, the temporal split, judging, encoding, reasons."""

from __future__ import annotations

import hashlib
import json
from datetime import date

import numpy as np
import pandas as pd
import pytest

from governance.retention import add_months
from governance.use_cases import UseCase, read_use_cases
from models_ml.baselines import days_since_last_case, highest_arrears_first
from models_ml.features import Feature, PurposeError, features_of, read_features
from models_ml.judge import calibration_curve, calibration_error, judge, ranked_order, top_count
from models_ml.model import ModelParameters, RiskModel, fit_logistic, fit_model, learnt_rows
from models_ml.reasons import contributions, reasons
from models_ml.split import NotEnoughHistoryError, later_half, rolling_splits, temporal_split

MONTHS = [date(2025, month, 1) for month in range(1, 13)]
FLAG = Feature(
    name="has_notice", feed="housing_tenancies", kind="flag", sign=1, words="notice", dated_by="notice_date"
)
COUNT = Feature(name="cases", feed="homelessness_cases", kind="count", sign=1, words="{value:.0f} case(s)")
RECENCY = Feature(name="days_since_case", feed="homelessness_cases", kind="recency", sign=-1, words="a case")
AGE = Feature(
    name="age",
    feed="housing_tenancies",
    kind="number",
    sign=-1,
    words="aged {value:.0f}",
    otherwise="age unknown",
)
FEATURES = (FLAG, COUNT, RECENCY, AGE)


def homelessness() -> UseCase:
    return read_use_cases()["homelessness"]


def household(number: int) -> str:
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()


def rows(households: int = 1500, months: int = 4, seed: int = 7) -> pd.DataFrame:
    """Households whose risk rises with a notice and with earlier cases; ages unknown for half."""
    random = np.random.default_rng(seed)
    number = np.repeat(np.arange(households), months)
    notice = np.repeat(random.random(households) < 0.1, months)
    cases = np.repeat(random.poisson(0.2, households), months)
    age = np.repeat(
        np.where(random.random(households) < 0.5, random.integers(18, 90, households), np.nan), months
    )
    log_odds = -4.5 + 2.5 * notice + 1.5 * np.log1p(cases)
    label = np.repeat(random.random(households) < 1 / (1 + np.exp(-log_odds[::months])), months)
    return pd.DataFrame(
        {
            "as_of_month": np.tile(
                pd.to_datetime([add_months(date(2025, 1, 1), i) for i in range(months)]), households
            ),
            "household_id": [household(each) for each in number],
            "has_notice": notice.astype(float),
            "notice_date": np.where(notice, pd.Timestamp("2024-11-05"), pd.NaT),
            "cases": cases.astype(float),
            "days_since_case": np.where(cases > 0, 200.0, np.nan),
            "age": age,
            "label": label,
        }
    ).astype({"notice_date": "datetime64[us]"})


def fitted(frame: pd.DataFrame, parameters: ModelParameters | None = None) -> RiskModel:
    later = frame["as_of_month"].isin(sorted(frame["as_of_month"].unique())[2:]).to_numpy()
    return fit_model(frame, FEATURES, parameters or ModelParameters(tree_count=30), 1, later)


def test_a_feature_from_a_feed_outside_the_purpose_is_refused_by_name() -> None:
    use_case = homelessness().model_copy(update={"feeds": ("council_tax", "address_gazetteer")})
    with pytest.raises(PurposeError, match=r"homelessness_cases_3y \(homelessness_cases\)"):
        features_of(use_case, read_features())


def test_every_feature_of_the_homelessness_model_comes_from_a_feed_it_may_use() -> None:
    assert features_of(homelessness(), read_features()) == read_features()


def test_no_training_window_reaches_into_the_test_months() -> None:
    split = temporal_split(MONTHS, horizon_months=6, test_count=2)
    assert split.test_months == (date(2025, 11, 1), date(2025, 12, 1))
    assert split.train_months[-1] == date(2025, 5, 1)
    assert all(add_months(month, 6) <= split.test_months[0] for month in split.train_months)


def test_a_history_shorter_than_the_gap_cannot_be_split() -> None:
    with pytest.raises(NotEnoughHistoryError, match="gap of 6 months"):
        temporal_split(MONTHS[:6], horizon_months=6, test_count=1)


def test_rolled_splits_train_on_their_own_past_only() -> None:
    splits = rolling_splits(MONTHS, horizon_months=6, step_months=3, least_train=3)
    assert [split.test_months[0] for split in splits] == [date(2025, 9, 1), date(2025, 12, 1)]
    assert [len(split.train_months) for split in splits] == [3, 6]
    for split in splits:
        assert add_months(split.train_months[-1], 6) <= split.test_months[0]


def test_the_later_half_of_one_month_is_that_month() -> None:
    assert later_half(MONTHS[:1]) == MONTHS[:1]
    assert later_half(MONTHS) == MONTHS[6:]


@pytest.mark.parametrize(
    ("households", "share", "count"), [(5000, 0.01, 50), (5001, 0.01, 51), (40, 0.01, 1)]
)
def test_the_top_share_is_rounded_up_and_never_empty(households: int, share: float, count: int) -> None:
    assert top_count(households, share) == count


def test_ties_are_ordered_by_household_and_not_by_row() -> None:
    ids = [household(number) for number in range(50)]
    there = [ids[position] for position in ranked_order(np.zeros(50), ids)]
    back = [ids[::-1][position] for position in ranked_order(np.zeros(50), ids[::-1])]
    assert there == back


def test_precision_recall_and_lift_are_those_counted_by_hand() -> None:
    # 200 households, 4 events, of which the ranking puts 2 among the first 2 (1 %).
    frame = pd.DataFrame(
        {
            "as_of_month": pd.Timestamp("2025-01-01"),
            "household_id": [household(number) for number in range(200)],
            "label": [number in (0, 1, 100, 150) for number in range(200)],
        }
    )
    figures = {
        figure.measure: figure
        for figure in judge("mine", frame, -np.arange(200.0), 1)
        if figure.top_share == 0.01
    }
    assert (figures["precision"].numerator, figures["precision"].denominator) == (2, 2)
    assert (figures["recall"].numerator, figures["recall"].denominator) == (2, 4)
    assert figures["lift"].value == pytest.approx(50.0)
    assert figures["recall"].low <= 0.5 <= figures["recall"].high


def test_a_perfect_ranking_has_average_precision_one_and_a_worse_one_less() -> None:
    frame = rows(300, 1)
    scores = frame["label"].to_numpy(dtype=float)
    perfect, worst = (
        next(figure for figure in judge("any", frame, each, 1) if figure.measure == "average_precision")
        for each in (scores, -scores)
    )
    assert perfect.value == pytest.approx(1.0)
    assert worst.value < 0.2


def test_calibration_error_is_nothing_for_true_scores_and_large_for_shifted_ones() -> None:
    random = np.random.default_rng(3)
    scores = random.uniform(0, 0.5, 20000)
    labels = random.random(20000) < scores
    assert calibration_error(calibration_curve(scores, labels)) < 0.01
    assert calibration_error(calibration_curve(scores + 0.2, labels)) == pytest.approx(0.2, abs=0.01)


def test_baselines_rank_the_latest_case_and_the_highest_arrears_first() -> None:
    frame = pd.DataFrame(
        {
            "days_since_last_case": [400.0, np.nan, 20.0],
            "rent_arrears_balance": [0.0, 900.0, 100.0],
            "council_tax_balance": [50.0, 200.0, np.nan],
        }
    )
    assert np.argsort(-days_since_last_case(frame)).tolist() == [2, 0, 1]
    assert highest_arrears_first(frame).tolist() == [50.0, 1100.0, 100.0]


def test_two_fits_on_the_same_rows_score_the_same_bit_for_bit() -> None:
    frame = rows()
    assert fitted(frame).score(frame).tobytes() == fitted(frame).score(frame).tobytes()


def test_a_notice_never_lowers_a_score_and_an_older_case_never_raises_it() -> None:
    frame = rows()
    model = fitted(frame, ModelParameters(tree_count=60, tree_weight=1.0, tree_minimum_leaf=20))
    without = frame.assign(has_notice=0.0)
    assert (model.score(frame.assign(has_notice=1.0)) >= model.score(without)).all()
    long_ago = frame.assign(days_since_case=900.0)
    assert (model.score(frame.assign(days_since_case=30.0)) >= model.score(long_ago)).all()


def test_scores_are_probabilities_though_uneventful_months_were_left_out() -> None:
    frame = rows(6000)
    model = fitted(frame)
    assert model.score(frame).mean() == pytest.approx(frame["label"].mean(), rel=0.15)


def test_every_month_of_a_household_with_the_event_is_learnt_and_one_in_four_of_the_others() -> None:
    frame = rows(months=8)
    weights = learnt_rows(frame, 4)
    eventful = frame.groupby("household_id")["label"].transform("any").to_numpy()
    assert (weights[eventful] == 1.0).all()
    assert set(weights[~eventful]) == {0.0, 4.0}
    assert weights.sum() == len(frame)


def test_a_model_needs_an_event() -> None:
    frame = rows(200).assign(label=False)
    with pytest.raises(ValueError, match="with and without the event"):
        fitted(frame)


def test_the_logistic_baseline_finds_the_notice() -> None:
    frame = rows()
    scores = fit_logistic(frame, FEATURES, ModelParameters()).score(frame)
    assert scores[frame["has_notice"] == 1].mean() > 3 * scores[frame["has_notice"] == 0].mean()


def test_the_strongest_reason_of_a_household_with_notice_is_the_notice_with_its_month_and_feed() -> None:
    frame = rows()
    model = fitted(frame)
    noticed = frame[(frame["has_notice"] == 1) & (frame["cases"] == 0)].head(5)
    for text in reasons(model, noticed):
        first = json.loads(text)[0]
        assert first["text"] == "notice (November 2024)"
        assert first["feed"] == "housing_tenancies"
        assert first["fact_date"] == "2024-11-05"
        assert first["contribution"] > 0


def test_nothing_that_lowered_a_score_is_given_as_a_reason() -> None:
    frame = rows()
    model = fitted(frame)
    quiet = frame[(frame["has_notice"] == 0) & (frame["cases"] == 0)].head(20)
    told = {reason["feature"] for text in reasons(model, quiet) for reason in json.loads(text)}
    assert "has_notice" not in told
    assert "cases" not in told


def test_a_stale_feed_is_named_among_the_reasons() -> None:
    frame = rows().head(1)
    last = json.loads(reasons(fitted(rows()), frame, ["council_tax"])[0])[-1]
    assert last == {
        "text": "no recent delivery of council_tax: its facts may be out of date",
        "feed": "council_tax",
    }


def test_an_unknown_value_contributes_nothing() -> None:
    frame = rows()
    parts = contributions(fitted(frame), frame)
    unknown = frame["age"].isna().to_numpy()
    assert (parts[unknown, FEATURES.index(AGE)] == 0).all()


def test_words_of_every_feature_can_be_said() -> None:
    for feature in read_features():
        said = feature.words.format(value=3.0, stage="summons", band="C")
        assert said
        assert "{" not in said
