"""Text columns become the contract's types. What cannot be read is flagged.

Dates and numbers repeat, so DuckDB reads each distinct text of a column once. Texts are trimmed by Arrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from functools import cache, partial

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from expectations.rules import DELIVERY_ID, EARLIEST_YEAR, FORMULA_FLAG, LATEST_YEAR, unreadable_flag
from governance.contracts import Column, ContractError, FeedContract, Table

# Space, tab, line breaks and the no-break space that spreadsheets leave behind.
BLANKS = " \t\r\n\u00a0"

# What a spreadsheet would run: =…, @SUM(…), +cmd|'…'!A1.
FORMULA = r"^(=|[@+-]\s*[A-Za-z_.]+\s*\(|[@+-][^|]*\|)"
FORMULA_BEGINS = b"=@+-"

COLUMNS_AT_ONCE = 2
"""Arrow and DuckDB let go of Python's lock while they work."""

DUCKDB_TYPES = {
    "string": "varchar",
    "integer": "bigint",
    "number": "double",
    "date": "date",
    "boolean": "boolean",
}


def typed_columns(contract: FeedContract, table: Table, texts: pa.Table) -> pa.Table:
    """Return `texts` with trimmed, typed columns, in the same order of rows.

    `texts` has `delivery_id`, `row_number` and one string column per contract column. Empty is null, and so
    is the contract's open-ended date. Beside each column that is no string stands a boolean flag
    (`unreadable_flag`): true where there was text that is no such date or number.
    """
    columns = {name: texts[name] for name in (DELIVERY_ID, "row_number")}
    formulas = np.zeros(texts.num_rows, dtype=np.bool_)
    wholes = [texts[column.name].combine_chunks() for column in table.columns]
    with ThreadPoolExecutor(COLUMNS_AT_ONCE) as pool:
        typing = partial(_typed, contract, table)
        for column, typed in zip(table.columns, pool.map(typing, table.columns, wholes), strict=True):
            columns[column.name] = typed[0]
            if column.type == "string":
                formulas |= _formulas(typed[0])
            else:
                columns[unreadable_flag(column.name)] = typed[1]
    columns[FORMULA_FLAG] = pa.array(formulas)
    return pa.table(columns)


@cache
def _instance() -> duckdb.DuckDBPyConnection:
    """One DuckDB for the process, since starting one takes longer than reading a small file's columns."""
    # No temporary folder: what does not fit in memory must not spill to disk in the clear.
    return duckdb.connect(":memory:", config={"temp_directory": "", "threads": 1})


def _typed(contract: FeedContract, table: Table, column: Column, texts: pa.Array) -> Sequence[pa.Array]:
    """Return the column typed, and beside it, if it is no string, where there was text that could not be read."""
    if column.type == "string":
        trimmed = pc.utf8_trim(texts, characters=BLANKS)
        empty = pc.equal(trimmed, "")
        return (pc.if_else(empty, None, trimmed) if pc.any(empty).as_py() else trimmed,)
    encoded = texts.dictionary_encode()
    with _instance().cursor() as cursor:
        cursor.register(
            "texts", pa.table({column.name: encoded.dictionary, "place": np.arange(len(encoded.dictionary))})
        )
        value, unreadable = _expressions(contract, table, column)
        distinct = cursor.execute(
            f"select {value}, {unreadable} from texts order by place"
        ).fetch_arrow_table()
    values, flags = (each.combine_chunks() for each in distinct.columns)
    return values.take(encoded.indices), pc.fill_null(flags.take(encoded.indices), False)


def _expressions(contract: FeedContract, table: Table, column: Column) -> tuple[str, str]:
    text = _trimmed(column)
    value = _read(table, column, text)
    result = value
    if column.type == "date" and table.format.open_ended_date:
        result = f"nullif({value}, date '{open_ended_date(contract, table)}')"
    return result, f"({text} is not null and {value} is null)"


def _formulas(texts: pa.Array) -> npt.NDArray[np.bool_]:
    """Return which texts a spreadsheet would run. The first character alone clears nearly every one."""
    found = np.zeros(len(texts), dtype=np.bool_)
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    held = np.flatnonzero(offsets[1:] > offsets[:-1])
    begins = np.isin(data[offsets[:-1][held]], np.frombuffer(FORMULA_BEGINS, np.uint8))
    rows = held[begins]
    if len(rows):
        matched = pc.match_substring_regex(texts.take(pa.array(rows)), FORMULA)
        found[rows] = pc.fill_null(matched, False).to_numpy(zero_copy_only=False)
    return found


def _trimmed(column: Column) -> str:
    return f"nullif(trim({_name(column.name)}, {_literal(BLANKS)}), '')"


def _read(table: Table, column: Column, text: str) -> str:
    """SQL that reads `text` as the column's type, null where it is none."""
    match column.type:
        case "integer":
            return f"case when regexp_full_match({text}, '[+-]?\\d{{1,18}}') then cast({text} as bigint) end"
        case "number":
            # Anything else that a cast would take (1e5, inf, 1_000) is no amount of money.
            pattern = "[+-]?£?(\\d{1,15}|\\d{1,3}(,\\d{3}){1,4})(\\.\\d{1,10})?"
            digits = f"replace(replace({text}, '£', ''), ',', '')"
            return f"case when regexp_full_match({text}, '{pattern}') then cast({digits} as double) end"
        case "date":
            formats = ", ".join(_literal(text_format) for text_format in table.format.date_formats)
            day = f"cast(try_strptime({text}, [{formats}]) as date)"
            return f"case when year({day}) between {EARLIEST_YEAR} and {LATEST_YEAR} then {day} end"
        case _:
            return (
                f"case when lower({text}) in ('y', 'yes', 'true', '1') then true "
                f"when lower({text}) in ('n', 'no', 'false', '0') then false end"
            )


def open_ended_date(contract: FeedContract, table: Table) -> date:
    """Read the open-ended date of the table's files, written in one of its own formats. Raises `ContractError`."""
    for text_format in (*table.format.date_formats, "%Y-%m-%d"):
        try:
            return datetime.strptime(str(table.format.open_ended_date), text_format).date()
        except ValueError:
            continue
    raise ContractError(
        f"{contract.path.name}: openEndedDate: write it in one of {', '.join(table.format.date_formats)}"
    )


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
