"""What each blocking rule costs and reaches: pairs compared, true pairs among them, and those that no other reaches.

Blocking is chosen from this table (ADR 0016): a rule stays while it alone reaches true pairs that are worth its cost,
and rules that were considered and left out stand beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from linkage.scoring.blocking import MOVED_HOME_TOKENS, SHARED_TOKENS
from linkage.scoring.pairs import linking_connection

CONSIDERED: tuple[tuple[str, ...], ...] = (
    ("uprn_token",),
    ("initial_uprn_token",),
    ("full_name_token",),
    ("name_starts_token",),
    ("forename_start_birth_date_token",),
    ("surname_start_birth_date_token",),
    ("initials_birth_year_month_token",),
    ("initial_postcode_token",),
)
"""Rules that link keys would allow and that are left out."""


@dataclass(frozen=True)
class RuleFigures:
    """One rule. `compared`: pairs of records that it alone would compare. `reached`: true pairs among them.
    `only_here`: true pairs that no other rule in use reaches (for a rule left out: that no rule in use reaches).
    """

    rule: str
    in_use: bool
    compared: int
    reached: int
    only_here: int


@dataclass(frozen=True)
class BlockingFigures:
    """All rules, of `records` with `true_pairs` pairs of one person; `reached`: by any rule in use."""

    records: int
    true_pairs: int
    reached: int
    rules: Sequence[RuleFigures]


def blocking_figures(link_keys: pa.Table, person: npt.NDArray[np.int64]) -> BlockingFigures:
    """Return what rules cost and reach on `link_keys` (rows as `person`, one label each)."""
    connection = linking_connection()
    try:
        connection.register("given", link_keys.append_column("person", pa.array(person)))
        connection.execute("create table records as select row_number() over () as row, * from given")
        rules = _rules()
        reached = ", ".join(
            f"coalesce({condition}, false) as rule_{place}" for place, (_, _, condition) in enumerate(rules)
        )
        connection.execute(
            f"create table true_pairs as select {reached} from records as l "
            "inner join records as r on l.person = r.person and l.row < r.row"
        )
        used = [place for place, (_, in_use, _) in enumerate(rules) if in_use]
        figures = [
            RuleFigures(
                rule=name,
                in_use=in_use,
                compared=_compared(connection, name),
                reached=_count(connection, f"rule_{place}"),
                only_here=_count(
                    connection,
                    " and ".join(
                        (f"rule_{place}", *(f"not rule_{other}" for other in used if other != place))
                    ),
                ),
            )
            for place, (name, in_use, _) in enumerate(rules)
        ]
        return BlockingFigures(
            records=link_keys.num_rows,
            true_pairs=_count(connection, "true"),
            reached=_count(connection, " or ".join(f"rule_{place}" for place in used)),
            rules=figures,
        )
    finally:
        connection.close()


def _rules() -> list[tuple[str, bool, str]]:
    """Return the name, whether it is in use, and the condition of every rule."""
    shared = [
        (_name(tokens), in_use, " and ".join(f"l.{token} = r.{token}" for token in tokens))
        for in_use, listed in ((True, SHARED_TOKENS), (False, CONSIDERED))
        for tokens in listed
    ]
    moved = [
        (f"{left} → {right}", True, f"l.{left} = r.{right} or l.{right} = r.{left}")
        for left, right in MOVED_HOME_TOKENS
    ]
    return shared + moved


def _name(tokens: Sequence[str]) -> str:
    return ", ".join(tokens)


def _compared(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    """Return how many pairs of records the rule called `name` compares."""
    if " → " in name:
        left, right = name.split(" → ")
        query = f"""
            select coalesce(sum(leaving * arriving), 0)
            from (select {left} as token, count(*) as leaving from records group by token)
            inner join (select {right} as token, count(*) as arriving from records group by token) using (token)
        """
    else:
        known = " and ".join(f"{token} is not null" for token in name.split(", "))
        query = f"""
            select coalesce(sum(held * (held - 1) // 2), 0)
            from (select count(*) as held from records where {known} group by {name})
        """
    return _only(connection, query)


def _count(connection: duckdb.DuckDBPyConnection, condition: str) -> int:
    return _only(connection, f"select count(*) from true_pairs where {condition}")


def _only(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
