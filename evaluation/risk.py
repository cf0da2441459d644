"""Risk against the county's truth: how many of the coming events the top 1 % holds, for model, baselines
and oracle.

Every ranking chooses as many households as 1 % of the county's true households. A choice counts if the
household that most of its people truly belonged to at the test month came to be owed a duty within the
horizon. The oracle ranks the true households by the true hazard: nobody can do better than by luck, and a
model that does is leaking.

A small county has some 35 events in six months, too few to tell one ranking from another. So the split is
rolled: the last month with complete labels is a test month, and so is every third month before it, each
with a model that was fitted on its own past only. Counts are summed over them.

The model's parameters and features were chosen on the county of seed 1 (see
`models_ml.model.ModelParameters`): judge a change on other seeds as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bridge.pseudonymise.identities import record_references
from bridge.zone import CouncilZone
from governance.retention import add_months
from governance.use_cases import UseCase, read_use_cases
from models_ml.features import features_of, read_features
from models_ml.history import newest_training
from models_ml.judge import ranked_order, top_count
from models_ml.model import Floats, ModelParameters
from models_ml.registry import NoModelError, current_model
from models_ml.split import NotEnoughHistoryError, rolling_splits
from models_ml.training import MODEL, labelled_rows, scores_after
from stores.analytics import AnalyticsZone
from stores.home import Home

USE_CASE = "homelessness"
TOP_SHARE = 0.01
ORACLE = "oracle"
# Test months lie a quarter apart, and their models have seen at least so many months.
STEP_MONTHS = 3
LEAST_TRAIN_MONTHS = 4
RESAMPLES = 1000
INTERVAL = (2.5, 97.5)


class NoTruthError(RuntimeError):
    """The home holds no synthetic county, so nothing is known to judge against."""


@dataclass(frozen=True)
class RankingFigures:
    """How one ranking did. `caught` of `events` is `share`; `caught` of `chosen` is `precision`.

    The interval of the share (95 %) is from resampling households. `expected_caught` sums the true hazard of the
    chosen: what would be caught on average, without the luck of one draw. `by_month` gives caught and events.
    """

    ranking: str
    caught: int
    events: int
    share: float
    share_low: float
    share_high: float
    chosen: int
    precision: float
    lift: float
    expected_caught: float
    by_month: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class RiskFigures:
    """Every ranking beside the others, on the events of the horizon after each of `test_months`.

    `expected_share_of_oracle` weighs by the true hazard instead of by what chance made of it: the hazard
    in the model's choices over that in the oracle's. `unmatched` counts scored households (over all test
    months) that match no true one.
    """

    use_case: str
    model_version: str
    test_months: tuple[date, ...]
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
class JudgedMonth:
    """One test month: true households (index household_id; hazard, is_event) and each ranking's choice of them."""

    households: pd.DataFrame
    choices: Mapping[str, list[str | None]]
    scored: int
    unmatched: int

    def events(self) -> list[str]:
        return self.households.index[self.households["is_event"]].tolist()

    def caught(self, ranking: str) -> set[str]:
        return set(self.events()) & {household for household in self.choices[ranking] if household}

    def hazard_of(self, ranking: str) -> float:
        is_chosen = self.households.index.isin(self.choices[ranking])
        return float(self.households.loc[is_chosen, "hazard"].sum())


def evaluate_risk(home: Home) -> RiskFigures:
    """Judge the model and its baselines against the county's truth, on rolled temporal splits.

    Raises `NoTruthError` where the home holds no county, `NoModelError` where no model has been trained,
    `NotEnoughHistoryError` where no month can be tested.
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
    rows, months = labelled_rows(zone, use_case, features, trained_as_of)
    splits = rolling_splits(months, use_case.horizon_months, STEP_MONTHS, LEAST_TRAIN_MONTHS)
    if not splits:
        raise NotEnoughHistoryError(f"{USE_CASE}: {len(months)} complete months are too few to test any.")
    person_of_record = _person_of_record(home)
    tested = []
    for split in splits:
        test, scores = scores_after(rows, split, use_case, features, ModelParameters(), is_calibrated=False)
        month, ids = split.test_months[0], test["household_id"].tolist()
        households = _true_households(home, month, use_case)
        living_in = _household_of_person(home, month)
        matched = _matched(zone, month, ids, person_of_record, living_in, households)
        tested.append(judged_month(households, ids, matched, scores))
    return figures_of(use_case, version, tuple(split.test_months[0] for split in splits), tested)


def judged_month(
    households: pd.DataFrame,
    household_ids: Sequence[str],
    true_household: Mapping[str, str],
    scores: Mapping[str, Floats],
) -> JudgedMonth:
    """Let each of `scores` (in the order of `household_ids`), and the oracle, choose the top share of `households`."""
    capacity = top_count(len(households), TOP_SHARE)
    choices: dict[str, list[str | None]] = {
        name: [
            true_household.get(household_ids[position])
            for position in ranked_order(values, household_ids)[:capacity]
        ]
        for name, values in scores.items()
    }
    by_hazard = households.reset_index().sort_values(["hazard", "household_id"], ascending=[False, True])
    choices[ORACLE] = by_hazard["household_id"].head(capacity).tolist()
    unmatched = sum(1 for household_id in household_ids if household_id not in true_household)
    return JudgedMonth(households, choices, len(household_ids), unmatched)


def figures_of(
    use_case: UseCase, version: str, months: tuple[date, ...], tested: list[JudgedMonth]
) -> RiskFigures:
    """Sum what every ranking caught over the tested months."""
    rankings = tuple(_ranking(name, tested, use_case.seed) for name in tested[0].choices)
    caught = {figures.ranking: figures.caught for figures in rankings}
    return RiskFigures(
        use_case=use_case.use_case,
        model_version=version,
        test_months=months,
        horizon_months=use_case.horizon_months,
        top_share=TOP_SHARE,
        true_households=sum(len(month.households) for month in tested),
        scored_households=sum(month.scored for month in tested),
        unmatched=sum(month.unmatched for month in tested),
        rankings=rankings,
        share_of_oracle=caught[MODEL] / caught[ORACLE] if caught[ORACLE] else float("nan"),
        expected_share_of_oracle=(
            sum(month.hazard_of(MODEL) for month in tested) / sum(month.hazard_of(ORACLE) for month in tested)
        ),
        beats_every_baseline=all(
            caught[MODEL] > count for name, count in caught.items() if name not in (MODEL, ORACLE)
        ),
        stays_within_oracle=caught[MODEL] <= caught[ORACLE],
    )


def _ranking(name: str, tested: list[JudgedMonth], seed: int) -> RankingFigures:
    # Months overlap, so an event may count in two: they are drawn together, as one household.
    counts: dict[str, list[int]] = {}
    for month in tested:
        found = month.caught(name)
        for household in month.events():
            pair = counts.setdefault(household, [0, 0])
            pair[0] += household in found
            pair[1] += 1
    caught, events = sum(pair[0] for pair in counts.values()), sum(pair[1] for pair in counts.values())
    chosen = sum(len(month.choices[name]) for month in tested)
    base_rate = events / sum(len(month.households) for month in tested)
    low, high = _interval(np.array([counts[household] for household in sorted(counts)]), seed)
    return RankingFigures(
        ranking=name,
        caught=caught,
        events=events,
        share=caught / events if events else 0.0,
        share_low=low,
        share_high=high,
        chosen=chosen,
        precision=caught / chosen,
        lift=caught / chosen / base_rate if events else 0.0,
        expected_caught=sum(month.hazard_of(name) for month in tested),
        by_month=tuple((len(month.caught(name)), len(month.events())) for month in tested),
    )


def _interval(counts: npt.NDArray[np.int64], seed: int) -> tuple[float, float]:
    """Return the 95 % interval of caught over events; households (rows of `counts`) are drawn again."""
    if not len(counts):
        return 0.0, 0.0
    drawn = np.random.default_rng(seed).multinomial(
        len(counts), np.full(len(counts), 1 / len(counts)), RESAMPLES
    )
    caught, events = (drawn @ counts).T
    low, high = np.percentile(caught / events, INTERVAL)
    return float(low), float(high)


def _true_households(home: Home, month: date, use_case: UseCase) -> pd.DataFrame:
    hazard_column = f"probability_{use_case.horizon_months}"
    hazard = _read(home, "hazard", [("month", "==", month)])
    window_end = add_months(month, use_case.horizon_months)
    events = _read(home, "events", [("duty_date", ">=", month), ("duty_date", "<", window_end)])
    households = hazard.set_index("household_id")[[hazard_column]].rename(columns={hazard_column: "hazard"})
    households["is_event"] = households.index.isin(events["household_id"])
    return households


def _household_of_person(home: Home, month: date) -> dict[str, str]:
    residences = _read(home, "residences", [("start_date", "<=", month)])
    left = pd.to_datetime(residences["end_date"])
    current = residences[left.isna() | (left >= pd.Timestamp(month))]
    return dict(zip(current["person_id"], current["household_id"], strict=True))


def _person_of_record(home: Home) -> dict[str, str]:
    """Return the true person of every `record_ref`: only the council's key can tell, so only evaluation ever
    does.
    """
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


def _matched(
    zone: AnalyticsZone,
    month: date,
    household_ids: list[str],
    person_of_record: Mapping[str, str],
    household_of_person: Mapping[str, str],
    households: pd.DataFrame,
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
    members["person"] = members["record_ref"].map(person_of_record)
    members["truth"] = members["person"].map(household_of_person)
    known = members[members["household_id"].isin(household_ids) & members["truth"].isin(households.index)]
    people = known.drop_duplicates(["household_id", "person"]).groupby(["household_id", "truth"]).size()
    most = people.reset_index(name="people").sort_values(["people", "truth"], ascending=[False, True])
    first = most.drop_duplicates("household_id")
    return dict(zip(first["household_id"], first["truth"], strict=True))


def _read(home: Home, name: str, filters: list[tuple[str, str, object]] | None) -> pd.DataFrame:
    return pq.read_table(home.truth / f"{name}.parquet", filters=filters).to_pandas()
