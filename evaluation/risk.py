"""Risk against the county's truth: how many of the coming events the top 1 % holds, for model, baselines and oracle.

Every ranking chooses as many households as 1 % of the county's true households. A choice counts if the household that
most of its people truly belonged to at the test month came to be owed a duty within the horizon. The oracle ranks the
true households by the true hazard: nobody can do better than by luck, and a model that does is leaking.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bridge.identities import record_references
from bridge.zone import CouncilZone
from governance.retention import add_months
from governance.use_cases import UseCase, read_use_cases
from models_ml.features import features_of, read_features
from models_ml.history import newest_training
from models_ml.judge import ranked_order, top_count
from models_ml.model import ModelParameters
from models_ml.registry import NoModelError, current_model
from models_ml.training import MODEL, labelled_rows, scores_on_test_months
from stores.analytics import AnalyticsZone
from stores.home import Home

USE_CASE = "homelessness"
TOP_SHARE = 0.01
ORACLE = "oracle"
RESAMPLES = 1000
INTERVAL = (2.5, 97.5)


class NoTruthError(RuntimeError):
    """The home holds no synthetic county, so nothing is known to judge against."""


@dataclass(frozen=True)
class RankingFigures:
    """How one ranking did. `caught` of `events` is `share`; `caught` of `chosen` is `precision`; intervals are 95 %."""

    ranking: str
    caught: int
    events: int
    share: float
    share_low: float
    share_high: float
    chosen: int
    precision: float
    lift: float


@dataclass(frozen=True)
class RiskFigures:
    """Every ranking beside the others, on the events of the months after `test_month`.

    `expected_share_of_oracle` weighs by the true hazard instead of by what chance made of it: the hazard in the model's
    choice over that in the oracle's. `unmatched` counts scored households that match no true household.
    """

    use_case: str
    model_version: str
    test_month: date
    horizon_months: int
    top_share: float
    true_households: int
    scored_households: int
    unmatched: int
    rankings: tuple[RankingFigures, ...]
    share_of_oracle: float
    expected_share_of_oracle: float
    beats_every_baseline: bool
    stays_within_oracle: bool


@dataclass(frozen=True)
class _Truth:
    """True households of the test month: index household_id; columns hazard and is_event."""

    households: pd.DataFrame
    household_of_person: Mapping[str, str]
    person_of_record: Mapping[str, str]


def evaluate_risk(home: Home) -> RiskFigures:
    """Judge the current model and its baselines against the county's truth, on the temporal split of its training.

    Raises `NoTruthError` where the home holds no county, `NoModelError` where no model has been trained.
    """
    if not (home.truth / "hazard.parquet").is_file():
        raise NoTruthError(f"{home.truth}: no county here. Make one with `doorstep county make`.")
    use_case = read_use_cases()[USE_CASE]
    zone = AnalyticsZone.open(home)
    with zone.warehouse(read_only=True) as warehouse:
        trained_as_of = newest_training(warehouse, USE_CASE)
        if trained_as_of is None:
            raise NoModelError(f"{USE_CASE}: no model has been trained. Run `doorstep refresh` first.")
        version = current_model(warehouse, USE_CASE, trained_as_of).model_version
    features = features_of(use_case, read_features())
    rows, _ = labelled_rows(zone, use_case, features, trained_as_of)
    split, test, scores = scores_on_test_months(rows, use_case, features, ModelParameters())
    month = split.test_months[-1]
    is_month = (test["as_of_month"] == pd.Timestamp(month)).to_numpy()
    truth = _read_truth(home, month, use_case)
    true_household = _true_households(zone, month, truth, test.loc[is_month, "household_id"].tolist())
    return _figures(
        use_case, version, month, truth, test.loc[is_month, "household_id"].tolist(), true_household,
        {name: values[is_month] for name, values in scores.items()},
    )  # fmt: skip


def _figures(
    use_case: UseCase,
    version: str,
    month: date,
    truth: _Truth,
    household_ids: list[str],
    true_household: Mapping[str, str],
    scores: Mapping[str, np.ndarray],
) -> RiskFigures:
    capacity = top_count(len(truth.households), TOP_SHARE)
    choices = {
        name: [
            true_household.get(household_ids[position])
            for position in ranked_order(values, household_ids)[:capacity]
        ]
        for name, values in scores.items()
    }
    by_hazard = truth.households.reset_index().sort_values(
        ["hazard", "household_id"], ascending=[False, True]
    )
    choices[ORACLE] = by_hazard["household_id"].head(capacity).tolist()
    rankings = tuple(_ranking(name, chosen, truth, use_case.seed) for name, chosen in choices.items())
    caught = {figures.ranking: figures.caught for figures in rankings}
    baselines = [count for name, count in caught.items() if name not in (MODEL, ORACLE)]
    hazard = truth.households["hazard"]
    chosen_by_model = {household for household in choices[MODEL] if household in hazard.index}
    return RiskFigures(
        use_case=use_case.use_case,
        model_version=version,
        test_month=month,
        horizon_months=use_case.horizon_months,
        top_share=TOP_SHARE,
        true_households=len(truth.households),
        scored_households=len(household_ids),
        unmatched=sum(1 for household_id in household_ids if household_id not in true_household),
        rankings=rankings,
        share_of_oracle=caught[MODEL] / caught[ORACLE] if caught[ORACLE] else float("nan"),
        expected_share_of_oracle=float(
            hazard.loc[sorted(chosen_by_model)].sum() / hazard.nlargest(capacity).sum()
        ),
        beats_every_baseline=caught[MODEL] > max(baselines),
        stays_within_oracle=caught[MODEL] <= caught[ORACLE],
    )


def _ranking(name: str, chosen: list[str | None], truth: _Truth, seed: int) -> RankingFigures:
    events = truth.households.index[truth.households["is_event"]]
    found = np.isin(events.to_numpy(dtype=str), [household for household in chosen if household])
    caught, count = int(found.sum()), len(events)
    # One event is one household here, so resampling households comes to resampling the events among them.
    again = (
        np.random.default_rng(seed).binomial(count, caught / count, RESAMPLES) / count
        if count
        else np.zeros(1)
    )
    low, high = np.percentile(again, INTERVAL)
    base_rate = count / len(truth.households)
    return RankingFigures(
        ranking=name,
        caught=caught,
        events=count,
        share=caught / count if count else 0.0,
        share_low=float(low),
        share_high=float(high),
        chosen=len(chosen),
        precision=caught / len(chosen),
        lift=caught / len(chosen) / base_rate if count else 0.0,
    )


def _read_truth(home: Home, month: date, use_case: UseCase) -> _Truth:
    hazard_column = f"probability_{use_case.horizon_months}"
    hazard = _read(home, "hazard", [("month", "==", month)])
    events = _read(home, "events", [("duty_date", ">=", month), ("duty_date", "<", add_months(month, 6))])
    households = hazard.set_index("household_id")[[hazard_column]].rename(columns={hazard_column: "hazard"})
    households["is_event"] = households.index.isin(events["household_id"])
    residences = _read(home, "residences", [("start_date", "<=", month)])
    open_ended = residences["end_date"].isna()
    current = residences[open_ended | (pd.to_datetime(residences["end_date"]) >= pd.Timestamp(month))]
    return _Truth(
        households=households,
        household_of_person=dict(zip(current["person_id"], current["household_id"], strict=True)),
        person_of_record=_person_of_record(home),
    )


def _person_of_record(home: Home) -> dict[str, str]:
    """Return the true person of every `record_ref`: only the council's key can tell, so only evaluation ever does."""
    zone = CouncilZone.open(home)
    records = _read(home, "records", None)
    found: dict[str, str] = {}
    for contract in zone.contracts.values():
        for table in contract.tables:
            of_table = records[(records["feed"] == contract.feed) & (records["table"] == table.name)]
            if of_table.empty:
                continue
            parts = zip(*(key.split("|") for key in of_table["key"]), strict=True)
            keyed = pa.table(
                {column.name: pa.array(values) for column, values in zip(table.key, parts, strict=True)}
            )
            references = record_references(table, keyed, zone.keys, contract.agreement).to_pylist()
            found.update(zip(references, of_table["person_id"], strict=True))
    return found


def _true_households(
    zone: AnalyticsZone, month: date, truth: _Truth, household_ids: list[str]
) -> dict[str, str]:
    """Return, per scored household, the true household that most of its people belonged to at `month`."""
    with zone.warehouse(read_only=True) as warehouse:
        members = warehouse.execute(
            """
            select members.household_id, people.record_ref
            from intermediate.int_household_members as members
            inner join staging.stg_people as people on members.person_id = people.person_id
            where members.as_of_month = ?
            """,
            [month],
        ).df()
    members["person"] = members["record_ref"].map(truth.person_of_record)
    members["truth"] = members["person"].map(truth.household_of_person)
    known = members[
        members["household_id"].isin(household_ids) & members["truth"].isin(truth.households.index)
    ]
    people = known.drop_duplicates(["household_id", "person"]).groupby(["household_id", "truth"]).size()
    most = people.reset_index(name="people").sort_values(["people", "truth"], ascending=[False, True])
    first = most.drop_duplicates("household_id")
    return dict(zip(first["household_id"], first["truth"], strict=True))


def _read(home: Home, name: str, filters: list[tuple[str, str, object]] | None) -> pd.DataFrame:
    return pq.read_table(home.truth / f"{name}.parquet", filters=filters).to_pandas()
