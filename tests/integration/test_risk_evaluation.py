"""Risk judged against a truth made here: who is caught, by whom, and that the oracle is the most that anybody gets."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from evaluation.risk import MODEL, ORACLE, NoTruthError, RiskFigures, evaluate_risk, figures_of, judged_month
from governance.use_cases import read_use_cases
from models_ml.judge import top_count
from stores.home import Home

HOUSEHOLDS = 200


def truth(events: tuple[int, ...], month: int = 0) -> pd.DataFrame:
    """Households H0, H1, … with falling hazard, of which those numbered in `events` are owed a duty."""
    names = [f"H{number}" for number in range(HOUSEHOLDS)]
    hazard = [0.5 / (number + 1 + month) for number in range(HOUSEHOLDS)]
    return pd.DataFrame(
        {"hazard": hazard, "is_event": [number in events for number in range(HOUSEHOLDS)]},
        index=pd.Index(names, name="household_id"),
    )


def figures(
    events: tuple[int, ...], model: tuple[int, ...], baseline: tuple[int, ...], months: int = 1
) -> RiskFigures:
    """Figures of rankings whose first choices are given; the rest follow in order."""
    use_case = read_use_cases()["homelessness"]

    def scores(first: tuple[int, ...]) -> list[float]:
        return [1000.0 - first.index(number) if number in first else -number for number in range(HOUSEHOLDS)]

    ids = [f"{number:032x}" for number in range(HOUSEHOLDS)]
    matched = {household_id: f"H{number}" for number, household_id in enumerate(ids)}
    tested = [
        judged_month(
            truth(events, month),
            ids,
            matched,
            {MODEL: pd.Series(scores(model)).to_numpy(), "base_rate": pd.Series(scores(baseline)).to_numpy()},
        )
        for month in range(months)
    ]
    days = tuple(pd.Timestamp(2025, 1 + month, 1).date() for month in range(months))
    return figures_of(use_case, "version", days, tested)


def of(figures: RiskFigures, name: str) -> tuple[int, int, int]:
    ranking = next(each for each in figures.rankings if each.ranking == name)
    return ranking.caught, ranking.events, ranking.chosen


def test_the_top_share_of_a_ranking_is_counted_household_by_household() -> None:
    result = figures(events=(0, 5, 9), model=(5, 7), baseline=(8, 7))
    assert top_count(HOUSEHOLDS, result.top_share) == 2
    assert of(result, MODEL) == (1, 3, 2)
    assert of(result, "base_rate") == (0, 3, 2)
    assert of(result, ORACLE) == (1, 3, 2)


def test_a_model_beats_its_baselines_only_if_it_catches_more_than_each() -> None:
    assert figures(events=(5, 6), model=(5, 9), baseline=(8, 9)).beats_every_baseline
    assert not figures(events=(5, 6), model=(5, 9), baseline=(6, 9)).beats_every_baseline


def test_a_model_that_catches_more_than_the_oracle_is_found_out() -> None:
    assert not figures(events=(5, 6), model=(5, 6), baseline=(8, 9)).stays_within_oracle
    assert figures(events=(0, 1), model=(0, 6), baseline=(8, 9)).stays_within_oracle


def test_no_choice_has_more_true_hazard_than_the_oracles() -> None:
    assert figures(events=(0,), model=(0, 1), baseline=(8, 9)).expected_share_of_oracle == pytest.approx(1.0)
    assert figures(events=(0,), model=(3, 4), baseline=(8, 9)).expected_share_of_oracle < 1.0


def test_counts_are_summed_over_the_test_months() -> None:
    result = figures(events=(0, 5), model=(5, 7), baseline=(8, 7), months=3)
    assert of(result, MODEL) == (3, 6, 6)
    model = next(each for each in result.rankings if each.ranking == MODEL)
    assert model.by_month == ((1, 2), (1, 2), (1, 2))
    assert model.share_low <= model.share <= model.share_high


def test_a_scored_household_that_is_nobody_true_catches_nothing() -> None:
    use_case = read_use_cases()["homelessness"]
    scores = pd.Series([2.0, 1.0]).to_numpy()
    month = judged_month(truth((0, 1)), ["a", "b"], {"b": "H1"}, {MODEL: scores, "base_rate": -scores})
    result = figures_of(use_case, "version", (pd.Timestamp(2025, 1, 1).date(),), [month])
    assert result.unmatched == 1
    assert of(result, MODEL)[0] == 1


def test_a_home_without_a_county_cannot_be_judged(tmp_path: Path) -> None:
    with pytest.raises(NoTruthError, match="no county here"):
        evaluate_risk(Home(tmp_path))
