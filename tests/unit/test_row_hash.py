"""The hash of all rows of a table: what it must notice, and what it must not."""

from __future__ import annotations

import duckdb
import pytest

from exchange.epoch_turn import link_keys_digest
from stores.row_hash import rows_hash

ROWS = [("r1", "p1"), ("r2", "p2"), ("r3", "p3")]


def hash_of(rows: list[tuple[str, str]]) -> int | None:
    with duckdb.connect() as connection:
        connection.execute("create table t (a varchar, b varchar)")
        if rows:
            connection.executemany("insert into t values (?, ?)", rows)
        ((found,),) = connection.execute(f"select {rows_hash('a, b')} from t").fetchall()
        return found


def test_the_order_of_rows_says_nothing() -> None:
    assert hash_of(ROWS) == hash_of(ROWS[::-1])


@pytest.mark.parametrize(
    "others",
    [
        [("r1", "p2"), ("r2", "p1"), ("r3", "p3")],
        [("r2", "p1"), ("r1", "p2"), ("r3", "p3")],
        [*ROWS, ROWS[0], ROWS[0]],
        [*ROWS, ROWS[0]],
        ROWS[:2],
        [],
    ],
    ids=[
        "values exchanged",
        "the first exchanged",
        "a row twice more",
        "a row twice",
        "a row less",
        "no row",
    ],
)
def test_other_rows_are_noticed(others: list[tuple[str, str]]) -> None:
    assert hash_of(others) != hash_of(ROWS)


def test_records_that_exchange_the_values_of_any_one_column_are_linked_again() -> None:
    columns = ["forename_uprn_token", "nino_token", "uprn_token"]
    with duckdb.connect() as connection:
        listed = ", ".join(f"'{column} ' || i as {column}" for column in columns)
        connection.execute(
            f"create table link_keys as select 'r' || i as record_ref, {listed} from range(2) t (i)"
        )
        digests = {link_keys_digest(connection, "memory")}
        for column in columns:
            connection.execute("begin")
            connection.execute(
                f"update link_keys set {column} = '{column} ' || (1 - right(record_ref, 1)::int)"
            )
            digests.add(link_keys_digest(connection, "memory"))
            connection.execute("rollback")
    assert len(digests) == 1 + len(columns)
