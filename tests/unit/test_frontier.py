"""The frontier: what is chosen is what the county uses, and the plot shows every setting."""

from __future__ import annotations

from pathlib import Path

from bridge.link_keys.filters import COUNTY_RECIPE
from evaluation.frontier import CHOSEN, SETTINGS
from evaluation.frontier_plot import draw_frontier

MOST_BYTES = 200_000
FEWEST_SETTINGS = 8


def test_the_chosen_setting_is_the_recipe_of_the_county() -> None:
    chosen = {setting.name: setting for setting in SETTINGS}[CHOSEN]
    assert chosen.recipe == COUNTY_RECIPE
    assert not chosen.single_tokens
    assert len(SETTINGS) >= FEWEST_SETTINGS


def test_the_plot_is_small_enough_for_the_repository(tmp_path: Path) -> None:
    rows = [
        {
            "dataset": dataset,
            "setting": setting.name,
            "chosen": setting.name == CHOSEN,
            "f1": 0.99 - place / 1000,
            "graph_matching": 1 / 10**place,
            "pattern_mining": 0.0,
            "equal_differences": 0.0,
            "worst_token": 0.1 if setting.single_tokens else 0.001,
        }
        for dataset in ("one", "other")
        for place, setting in enumerate(SETTINGS)
    ]
    draw_frontier(rows, tmp_path / "frontier.png")
    assert 10_000 < (tmp_path / "frontier.png").stat().st_size < MOST_BYTES
