"""Partitions of derived data: `as_of_month`, and `as_of_month` × `use_case`."""

from __future__ import annotations

from datetime import date

import dagster as dg

from governance.use_cases import read_use_cases

# The first month that any council's deliveries could be scored for; months before a council's own first
# delivery stay empty.
FIRST_MONTH = "2023-01-01"

USE_CASES = read_use_cases()

# `as_of_month` is known on its first day (what had arrived before it counts), hence the end offset of one.
as_of_months = dg.MonthlyPartitionsDefinition(start_date=FIRST_MONTH, end_offset=1)

use_cases = dg.StaticPartitionsDefinition(sorted(USE_CASES))

scores_partitions = dg.MultiPartitionsDefinition({"as_of_month": as_of_months, "use_case": use_cases})


def month_of(key: str) -> date:
    return date.fromisoformat(key)


def scores_partition_key(month: date, use_case: str) -> str:
    """The key of one partition of scores: `as_of_month|use_case`."""
    return str(dg.MultiPartitionKey({"as_of_month": month.isoformat(), "use_case": use_case}))
