"""Term frequencies in steps: how common a value is, told so coarsely that one more record seldom changes it.

Were frequencies counted to the last record, every night would move every weight by a hair, and linking only what
changed could never give what linking from nothing gives. So counts are rounded to half octaves and the number of
records to octaves: at most a quarter and half a bit of match weight. A step that is crossed is seen, and the pairs
that it touches are scored again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STEPS_OF_AN_OCTAVE = 2
SMALLEST_POPULATION = 4_096
"""With fewer records than this every name would count as common."""


def frequency_columns(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns whose term frequencies the Splink `settings` use, sorted."""
    levels = (level for comparison in settings["comparisons"] for level in comparison["comparison_levels"])
    return tuple(
        sorted({level["tf_adjustment_column"] for level in levels if level.get("tf_adjustment_column")})
    )


def step_of(count: str) -> str:
    """Return the SQL for the step that the SQL expression `count` (at least 1) falls on."""
    return f"cast(round({STEPS_OF_AN_OCTAVE} * log2({count})) as integer)"


def population_octave(count: str) -> str:
    """Return the SQL for the octave of the number of records that hold a value."""
    return f"cast(round(log2(greatest({count}, {SMALLEST_POPULATION}))) as integer)"


def frequencies_query(table: str, column: str) -> str:
    """Return the query for the term frequencies of `column` in `table`, as Splink joins them."""
    return f"""
        select
            {column},
            least(1.0, pow(2.0, {step_of("count(*)")} / cast({STEPS_OF_AN_OCTAVE} as double) - (
                select {population_octave(f"count({column})")} from {table}
            ))) as tf_{column}
        from {table}
        where {column} is not null
        group by {column}
    """
