"""A synthetic county with known truth: partners' files in the inbox, the truth beside it.

    make_county(Home(Path("var")), households=5000, months=24, seed=1)

`population`, `properties` and `life_course` make what really happened; `feeds` write what each partner's
system shows of it, with the errors of `error_model.yaml`; `truth` keeps what no partner knows. Same
parameters, same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

from governance.contracts import FeedContract, read_contracts
from stores.home import Home
from synthetic.blocks import BLOCK_HOUSEHOLDS, arrange
from synthetic.dates import add_months, day_of
from synthetic.feeds.deliveries import schedule
from synthetic.forks import can_fork
from synthetic.hazard import ROUTES
from synthetic.life_tables import BURN_IN_MONTHS, SHOCK_KINDS, Shock
from synthetic.production import LARGEST_WORKERS, FeedPlan, make_feeds
from synthetic.truth import TRUTH_FILES, write_truth
from synthetic.world import make_world

GENERATOR_VERSION = 2
"""Raised when the same parameters give other files."""

COUNTY_FILE = "county.json"
FIRST_MONTH = date(2024, 10, 1)
NIGHT_AFTER_END = timedelta(days=5)
"""The default night is the 6th of the month after the last: all month-end files but the slowest partner's are
in.
"""

_MINIMUM_HOUSEHOLDS, _MINIMUM_MONTHS = 100, 1
_MAXIMUM_HOUSEHOLDS = 2_000_000
_HOUSEHOLDS_WORTH_WORKERS = 2000


class CountyError(ValueError):
    """The county cannot be made; the message says what to change."""


@dataclass(frozen=True)
class CountyReport:
    """What a county holds, in counts."""

    made: bool
    message: str
    parameters: dict[str, Any]
    deliveries: dict[str, int] = field(default_factory=dict)
    files: int = 0
    rows: int = 0
    bytes: int = 0
    truth_rows: dict[str, int] = field(default_factory=dict)
    intercepts: dict[str, float] = field(default_factory=dict)


def make_county(
    home: Home, *, households: int = 5000, months: int = 24, seed: int = 1, first_month: date = FIRST_MONTH,
    night: date | None = None, progress: Callable[[str], None] | None = None, workers: int | None = None,
    block_households: int = BLOCK_HOUSEHOLDS, shock_month: date | None = None, shock_kind: str = SHOCK_KINDS[0],
) -> CountyReport:  # fmt: skip
    """Write the county's deliveries that were received by `night` into the inbox, and its truth.

    A county with the same parameters that is there already is left alone (`made` is False); with a later
    `night` the deliveries since are added, and the earlier ones stay byte for byte. `workers` and the machine
    change nothing in the files; `block_households` does (see `blocks`). From `shock_month` on, if given, a
    change of `shock_kind` acts (see `Shock`). Raises `CountyError` if a parameter will not do, or if `home` holds
    another county.
    """
    if not _MINIMUM_HOUSEHOLDS <= households <= _MAXIMUM_HOUSEHOLDS or months < _MINIMUM_MONTHS:
        raise CountyError(
            f"households={households}, months={months}: ask for at least {_MINIMUM_HOUSEHOLDS} households "
            f"(at most {_MAXIMUM_HOUSEHOLDS:,}: there are no more test NHS numbers and pupil numbers) and "
            f"{_MINIMUM_MONTHS} month"
        )
    if first_month.day != 1:
        raise CountyError(f"first_month={first_month}: give the first day of a month")
    if workers is not None and workers < 1:
        raise CountyError(f"workers={workers}: give 1 or more")
    shock = _shock(shock_month, shock_kind, first_month, months)
    night = night or add_months(first_month, months) + NIGHT_AFTER_END
    parameters = {
        "generator_version": GENERATOR_VERSION,
        "households": households,
        "months": months,
        "seed": seed,
        "first_month": first_month.isoformat(),
        "night": night.isoformat(),
        "shock": f"{shock_month:%Y-%m} {shock_kind}" if shock_month else None,
    }
    if _is_there(home, parameters):
        return CountyReport(
            made=False, message="this county is there already; nothing was made", parameters=parameters
        )

    say = progress or (lambda _: None)
    modules = feed_modules()
    say("homes and people")
    whole = make_world(households, months, seed, first_month, progress, shock)
    intercepts = whole.course.intercepts
    world, blocks = arrange(whole, block_households)
    del whole
    plans = {
        feed: FeedPlan(
            contract,
            module,
            schedule(
                contract, module.RHYTHM, first_month, months, night, seed, always_full=module.ALWAYS_FULL
            ),
        )
        for feed, (contract, module) in modules.items()
    }
    made = make_feeds(home, world, blocks, plans, workers or _workers(households), say)
    say("truth")
    traces = [trace for each in made.values() for trace in each.traces]
    household, known_on, until = (np.concatenate(column) for column in zip(*traces, strict=True))
    truth_rows = write_truth(home.truth, world, (household, known_on, until))
    truth_rows["records"] = sum(each.records for each in made.values())
    truth_rows |= {f"{each.feed}_labels": each.labels for each in made.values() if each.labels}
    report = CountyReport(
        made=True,
        message=f"made {sum(each.deliveries for each in made.values())} deliveries",
        parameters=parameters,
        deliveries={feed: each.deliveries for feed, each in made.items()},
        files=sum(each.files for each in made.values()),
        rows=sum(each.rows for each in made.values()),
        bytes=sum(each.bytes for each in made.values()),
        truth_rows=truth_rows,
        intercepts={route: round(float(value), 4) for route, value in zip(ROUTES, intercepts, strict=True)},
    )
    _write_county_file(home, report, world.first_day, world.last_day)
    return report


def _shock(shock_month: date | None, kind: str, first_month: date, months: int) -> Shock | None:
    if shock_month is None:
        return None
    after = (shock_month.year - first_month.year) * 12 + shock_month.month - first_month.month
    if not 0 <= after < months:
        last = add_months(first_month, months - 1)
        raise CountyError(
            f"shock={shock_month:%Y-%m}: choose a month from {first_month:%Y-%m} to {last:%Y-%m}, in which files "
            "are made"
        )
    try:
        return Shock(after, kind)
    except ValueError as error:
        raise CountyError(str(error)) from error


def _workers(households: int) -> int:
    """As many workers as there are cores; small counties are made sooner in this process alone."""
    if households < _HOUSEHOLDS_WORTH_WORKERS or not can_fork():
        return 1
    return min(os.cpu_count() or 1, LARGEST_WORKERS)


def progress_steps(months: int) -> int:
    """How often `progress` is called while a county is made."""
    return 2 + -(-(BURN_IN_MONTHS + months) // 12) + len(feed_modules())


def feed_modules() -> dict[str, tuple[FeedContract, ModuleType]]:
    """The contracts that have a writer `synthetic.feeds.<feed>`, with it, in alphabetical order."""
    return {
        feed: (contract, import_module(f"synthetic.feeds.{feed}"))
        for feed, contract in sorted(read_contracts().items())
        if find_spec(f"synthetic.feeds.{feed}") is not None
    }


def _is_there(home: Home, parameters: dict[str, Any]) -> bool:
    path = home.truth / COUNTY_FILE
    if not path.exists():
        return False
    there = json.loads(path.read_text(encoding="utf-8"))["parameters"]
    other = {name for name in parameters if name != "night" and there.get(name) != parameters[name]}
    if other:
        raise CountyError(
            f"{path}: this home holds another county ({', '.join(sorted(other))} differ); choose another "
            "home, or delete this one's inbox and truth"
        )
    whole = all((home.truth / f"{name}.parquet").exists() for name in TRUTH_FILES)
    whole &= all(home.feed_inbox(feed).exists() for feed in feed_modules())
    return whole and there["night"] >= parameters["night"]


def _write_county_file(home: Home, report: CountyReport, first_day: int, last_day: int) -> None:
    """Written last: a county without it was interrupted and is made again."""
    content = asdict(report) | {"first_day": str(day_of(first_day)), "end": str(day_of(last_day))}
    for name in ("made", "message"):
        content.pop(name)
    path = home.truth / COUNTY_FILE
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(path)
