"""The records that a night scores: those that changed, and those that share a block with one. How common names are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from linkage.incremental.changes import Changes
from linkage.incremental.columns import ROWS_OF_A_BATCH, short_tokens
from linkage.scoring.frequencies import STEPS_OF_AN_OCTAVE, frequency_columns
from linkage.scoring.link_keys import KEY_COLUMNS
from stores.encrypted import STORE

FREQUENCIES = """
select token as {column}, least(1.0, pow(2.0, step / {octave}::double - {population})) as tf_{column}
from steps_{place}
"""

SYMMETRIC_RULE = re.compile(r'^\(?l\.("?\w+"?)\)? = \(?r\.\1\)?$')


def records_to_score(
    connection: duckdb.DuckDBPyConnection, changes: Changes, settings: Mapping[str, Any]
) -> pa.RecordBatchReader:
    """Return the link keys of the changed records, and of those that share a block with one, tokens short.

    A stream, so that link keys are never held whole; `record_ref` is the record's number.
    """
    if changes.everything:
        connection.execute("create or replace temp view to_score as select number, row_id from changed")
    else:
        connection.execute("create or replace temp table to_score as select number, row_id from changed")
        connection.execute(
            f"create or replace temp table changed_keys as "
            f"from {STORE}.link_keys where rowid in (select row_id from changed)"
        )
        for rule in settings["blocking_rules_to_generate_predictions"]:
            for condition in _orientations(rule["blocking_rule"]):
                connection.execute(
                    f"""
                    insert into to_score
                    select compared.number, compared.row_id
                    from (
                        select r.rowid as row_id from {STORE}.link_keys as r semi join changed_keys as l on {condition}
                    )
                    inner join current_compared as compared using (row_id)
                    anti join to_score using (row_id)
                    """
                )
        connection.execute("drop table changed_keys")
    return connection.execute(
        f"""
        select to_score.number as record_ref, {short_tokens(KEY_COLUMNS)}
        from {STORE}.link_keys as link_keys
        inner join to_score on link_keys.rowid = to_score.row_id
        """
    ).to_arrow_reader(ROWS_OF_A_BATCH)


def term_frequencies(
    connection: duckdb.DuckDBPyConnection, changes: Changes, settings: Mapping[str, Any]
) -> dict[str, pa.Table]:
    """Return the term frequencies by column, as counted over all records, of short tokens."""
    return {
        column: connection.execute(
            FREQUENCIES.format(
                column=column,
                place=place,
                octave=STEPS_OF_AN_OCTAVE,
                population=changes.populations[place - 1],
            )
        ).to_arrow_table()
        for place, column in enumerate(frequency_columns(settings), start=1)
        if changes.compared
    }


def _orientations(rule: str) -> Sequence[str]:
    """Return the conditions under which a record r meets a changed record l: one if the rule is symmetric."""
    parts = re.split(r"\s+and\s+", rule.strip(), flags=re.IGNORECASE)
    if all(SYMMETRIC_RULE.match(part.strip("() ")) for part in parts):
        return (rule,)
    turned = re.sub(r"\b([lr])\.", lambda side: {"l": "r", "r": "l"}[side[1]] + ".", rule)
    return (rule, turned)
