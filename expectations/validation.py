"""Check many deliveries of a table in one pass of Great Expectations and say which rows broke which rule.

GX costs tens of milliseconds per expectation whatever the batch, so deliveries are checked together: one
validation for the rows and one for the deliveries' profiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from expectations.rules import DELIVERY_ID, Rule, delivery_rules, row_rules, unreadable_flag
from expectations.suites import RULE, great_expectations, judges_rows, suite_of
from expectations.verdicts import MAXIMUM_PLACES, RuleVerdict
from governance.contracts import FeedContract, Table

if TYPE_CHECKING:
    import pandas as pd

# Most rules hold, and saying so is cheap. The broken ones are asked again for the places.
HOLDS = {"result_format": "BOOLEAN_ONLY"}
# Index numbers only: GX's default result carries the offending values.
PLACES = {
    "result_format": "COMPLETE",
    "exclude_unexpected_values": True,
    "return_unexpected_index_query": False,
}

PROFILE_SCHEMA = pa.schema(
    [
        (DELIVERY_ID, pa.string()),
        ("row_count", pa.int64()),
        ("repeated_keys", pa.int64()),
        ("broken_rows", pa.int64()),
        ("broken_rows_too_many", pa.int64()),
        ("nothing_left", pa.bool_()),
    ]
)


class RuleNotEvaluatedError(RuntimeError):
    """GX could not evaluate a rule: the contract asks for something that the data cannot answer."""


@dataclass(frozen=True)
class BrokenRule:
    """A rule and what broke it: positions in the batch (0-based), or delivery ids for a delivery rule."""

    rule: Rule
    positions: tuple[int, ...] = ()
    delivery_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Findings:
    """The outcome of one check: the broken rules with their places, and a verdict on each rule."""

    broken: tuple[BrokenRule, ...]
    verdicts: tuple[RuleVerdict, ...]


def check_rows(contract: FeedContract, table: Table, batch: pa.Table) -> Findings:
    """Check every row of `batch`: `delivery_id`, `row_number`, the typed columns, their flags.

    A batch without rows passes without GX being imported.
    """
    rules = row_rules(table)
    if not batch.num_rows:
        return Findings((), tuple(_verdict(rule, 0, 0, ()) for rule in rules))
    by_row = [rule for rule in rules if judges_rows(rule)]
    by_delivery = [rule for rule in rules if not judges_rows(rule)]
    frame = batch.to_pandas(date_as_object=False)
    results = _validate(contract, table, frame, by_row)
    broken = [_broken_rows(rule, result, batch) for rule, result in zip(by_row, results, strict=True)]
    broken += _broken_aggregates(contract, table, frame, by_delivery)
    verdicts = []
    for found in broken:
        places = (
            _row_places(batch, found.positions[:MAXIMUM_PLACES])
            if found.positions
            else found.delivery_ids[:MAXIMUM_PLACES]
        )
        count = len(found.positions) or len(found.delivery_ids)
        verdicts.append(_verdict(found.rule, batch.num_rows, count, places))
    return Findings(
        tuple(found for found in broken if found.positions or found.delivery_ids), tuple(verdicts)
    )


def check_deliveries(contract: FeedContract, table: Table, profiles: pa.Table) -> Findings:
    """Check the profile of every delivery (PROFILE_SCHEMA) against the table's delivery rules."""
    rules = delivery_rules(contract, table)
    if not profiles.num_rows:
        return Findings((), tuple(_verdict(rule, 0, 0, ()) for rule in rules))
    results = _validate(contract, table, profiles.to_pandas(), rules)
    broken = []
    for rule, result in zip(rules, results, strict=True):
        ids = pc.take(profiles.column(DELIVERY_ID), pa.array(_positions(result), pa.int64())).to_pylist()
        broken.append(BrokenRule(rule, delivery_ids=tuple(ids)))
    return Findings(
        tuple(found for found in broken if found.delivery_ids),
        tuple(
            _verdict(
                found.rule, profiles.num_rows, len(found.delivery_ids), found.delivery_ids[:MAXIMUM_PLACES]
            )
            for found in broken
        ),
    )


def _verdict(rule: Rule, checked: int, broken: int, where: Sequence[str]) -> RuleVerdict:
    return RuleVerdict(rule.name, rule.says, checked, broken, tuple(where), rule.blocking)


def _validate(contract: FeedContract, table: Table, frame: pd.DataFrame, rules: Sequence[Rule]) -> list[Any]:
    """Let GX judge `frame`; return its results in the order of `rules`, broken ones with places."""
    if not rules:
        return []
    batch = _batches().get_batch({"dataframe": frame})
    first = batch.validate(suite_of(contract, table, rules), result_format=HOLDS)
    results = {result.expectation_config.meta[RULE]: result for result in first.results}
    broken = [rule for rule in rules if not results[rule.name].success]
    if broken:
        again = batch.validate(suite_of(contract, table, broken), result_format=PLACES)
        results |= {result.expectation_config.meta[RULE]: result for result in again.results}
    for rule in broken:
        # GX keeps the exception's text, which may repeat values; only the rule is told on.
        if not results[rule.name].result:
            raise RuleNotEvaluatedError(
                f"{contract.path.name}: {table.name}: rule {rule.name} could not be evaluated. "
                "Check that its columns are in the contract and that its arguments fit their types."
            )
    return [results[rule.name] for rule in rules]


@cache
def _batches() -> Any:
    """Return the batch definition that hands data frames to GX; a context is slow to set up."""
    context = great_expectations().get_context(mode="ephemeral")
    from great_expectations.execution_engine import pandas_execution_engine

    # Each validation would hash the whole frame: a fingerprint, for data that GX reads from elsewhere. Ours is at hand.
    pandas_execution_engine.HASH_THRESHOLD = 0
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    asset = context.data_sources.add_pandas("deliveries").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("together")


def _positions(result: Any) -> list[int]:
    return [] if result.success else [int(position) for position in result.result["unexpected_index_list"]]


def _broken_rows(rule: Rule, result: Any, batch: pa.Table) -> BrokenRule:
    positions = _positions(result)
    if positions and rule.keeps_first:
        positions = _without_first(positions, batch, rule.arguments["column_list"])
    if positions and rule.name.startswith("required(") and rule.column:
        # What could not be read is empty here; one reason is enough.
        flag = unreadable_flag(rule.column)
        if flag in batch.column_names:
            unreadable = batch.column(flag).take(pa.array(positions, pa.int64())).to_pylist()
            positions = [
                position
                for position, is_unreadable in zip(positions, unreadable, strict=True)
                if not is_unreadable
            ]
    return BrokenRule(rule, positions=tuple(positions))


def _without_first(positions: Sequence[int], batch: pa.Table, columns: Sequence[str]) -> list[int]:
    """Of rows with the same key, in order, leave out the first: it is kept."""
    rows = batch.select(list(columns)).take(pa.array(positions, pa.int64()))
    seen: set[tuple[Any, ...]] = set()
    others = []
    for position, key in zip(positions, zip(*rows.to_pydict().values(), strict=True), strict=True):
        if key in seen:
            others.append(position)
        seen.add(key)
    return others


def _broken_aggregates(
    contract: FeedContract, table: Table, frame: pd.DataFrame, rules: Sequence[Rule]
) -> list[BrokenRule]:
    """Check rules on a whole delivery (a mean, a count…) for each delivery by itself."""
    if not rules:
        return []
    failed: Mapping[str, list[str]] = {rule.name: [] for rule in rules}
    for delivery_id, rows in frame.groupby(DELIVERY_ID, sort=True):
        results = _validate(contract, table, rows.reset_index(drop=True), rules)
        for rule, result in zip(rules, results, strict=True):
            if not result.success:
                failed[rule.name].append(str(delivery_id))
    return [BrokenRule(rule, delivery_ids=tuple(failed[rule.name])) for rule in rules]


def _row_places(batch: pa.Table, positions: Sequence[int]) -> list[str]:
    rows = batch.select([DELIVERY_ID, "row_number"]).take(pa.array(positions, pa.int64())).to_pylist()
    return [f"{row[DELIVERY_ID]} row {row['row_number']}" for row in rows]
