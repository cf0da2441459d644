"""What a night's linkage looks like from outside, without any truth: rates between feeds, sizes, volumes, weights."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from linkage.scoring.pair_levels import blocking_conditions

SCRIPT = Path(__file__).with_name("figures.sql")
ALL_FEEDS = "all feeds"
SEPARATOR = " – "
EQUALITY = re.compile(r"l\.\"?(\w+)\"?\s*=\s*r\.\"?(\w+)\"?")


@dataclass(frozen=True)
class LinkRate:
    """`people` whom two feeds both know, and their `share` of the people of the smaller feed."""

    people: int
    share: float


@dataclass(frozen=True)
class NightFigures:
    """Counts of one night's linkage store.

    `link_rates` by "feed – feed" (a feed with itself: people of whom it holds several records). `candidates`: pairs
    that share the tokens of each blocking rule, a pair counted once for each rule. `weights`: linked pairs by match
    weight in steps of four bits, named by the lower end, of each feed and of all (`ALL_FEEDS`).
    """

    records: int
    people: int
    largest_person: int
    people_by_feed: Mapping[str, int]
    link_rates: Mapping[str, LinkRate]
    candidates: Mapping[str, int]
    weights: Mapping[str, Mapping[int, int]]

    @property
    def records_per_person(self) -> float:
        return self.records / self.people if self.people else 0.0

    @property
    def candidates_per_record(self) -> float:
        return sum(self.candidates.values()) / self.records if self.records else 0.0

    def to_json(self) -> str:
        """Return the figures as JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> NightFigures:
        """Return the figures that `to_json` wrote."""
        given: dict[str, Any] = json.loads(text)
        given["link_rates"] = {name: LinkRate(**rate) for name, rate in given["link_rates"].items()}
        given["weights"] = {
            feed: {int(weight): pairs for weight, pairs in of_feed.items()}
            for feed, of_feed in given["weights"].items()
        }
        return cls(**given)


def measure_night(connection: duckdb.DuckDBPyConnection, settings: Mapping[str, Any]) -> NightFigures:
    """Return the figures of the attached linkage store, whose people were linked with the Splink `settings`."""
    queries = _queries()
    records, people, largest = connection.execute(queries["totals"]).fetchall()[0]
    rates = connection.execute(queries["feeds"]).fetchall()
    weights: dict[str, dict[int, int]] = {ALL_FEEDS: {}}
    for feed, weight, pairs in connection.execute(queries["weights"]).fetchall():
        weights.setdefault(feed or ALL_FEEDS, {})[weight] = pairs
    return NightFigures(
        records=records,
        people=people,
        largest_person=largest,
        people_by_feed=dict(connection.execute(queries["people_by_feed"]).fetchall()),
        link_rates={
            f"{first}{SEPARATOR}{second}": LinkRate(shared, round(share, 6))
            for first, second, shared, share in rates
        },
        candidates=candidate_volume(connection, settings),
        weights=weights,
    )


def candidate_volume(
    connection: duckdb.DuckDBPyConnection, settings: Mapping[str, Any], link_keys: str = "link_keys"
) -> dict[str, int]:
    """Return how many pairs of `link_keys` share the tokens of each blocking rule. No pair is made: groups are counted.

    Of a rule that asks for more than equal tokens, the pairs are counted that its equalities bring together.
    """
    volume: dict[str, int] = {}
    for condition in blocking_conditions(settings):
        equalities = EQUALITY.findall(condition)
        if not equalities:
            continue
        left, right = zip(*equalities, strict=True)
        name = ", ".join(one if one == other else f"{one} = {other}" for one, other in equalities)
        query = _pairs_alike(link_keys, left) if left == right else _pairs_across(link_keys, left, right)
        volume[name] = connection.execute(query).fetchall()[0][0]
    return volume


def _pairs_alike(table: str, columns: Sequence[str]) -> str:
    return f"select coalesce(sum(records * (records - 1) // 2), 0)::bigint from ({_groups(table, columns)})"


def _pairs_across(table: str, left: Sequence[str], right: Sequence[str]) -> str:
    met = " and ".join(f"l.{one} = r.{other}" for one, other in zip(left, right, strict=True))
    return (
        "select coalesce(sum(l.records * r.records), 0)::bigint "
        f"from ({_groups(table, left)}) as l join ({_groups(table, right)}) as r on {met}"
    )


def _groups(table: str, columns: Sequence[str]) -> str:
    listed, known = ", ".join(columns), " and ".join(f"{column} is not null" for column in columns)
    return f"select {listed}, count(*) as records from {table} where {known} group by {listed}"


def _queries() -> dict[str, str]:
    parts = SCRIPT.read_text(encoding="utf-8").split("-- part: ")[1:]
    return {name.strip(): query for name, _, query in (part.partition("\n") for part in parts)}
