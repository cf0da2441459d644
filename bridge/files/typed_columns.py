"""Text columns become the contract's types, in DuckDB, all rows at once. What cannot be read is flagged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

import duckdb
import pyarrow as pa

from expectations.rules import DELIVERY_ID, EARLIEST_YEAR, FORMULA_FLAG, LATEST_YEAR, unreadable_flag
from governance.contracts import Column, ContractError, FeedContract, Table

# Space, tab, line breaks and the no-break space that spreadsheets leave behind.
BLANKS = " \t\r\n\u00a0"

# What a spreadsheet would run: =…, @SUM(…), +cmd|'…'!A1.
FORMULA = r"^(=|[@+-]\s*[A-Za-z_.]+\s*\(|[@+-][^|]*\|)"

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
    expressions = [f'"{DELIVERY_ID}"', '"row_number"']
    for column in table.columns:
        expressions += _expressions(contract, table, column)
    strings = [_trimmed(column) for column in table.columns if column.type == "string"]
    expressions.append(f"{' or '.join(map(_is_formula, strings)) or 'false'} as {FORMULA_FLAG}")
    # No temporary folder: what does not fit in memory must not spill to disk in the clear.
    connection = duckdb.connect(":memory:", config={"temp_directory": "", "threads": 2})
    try:
        connection.register("texts", texts)
        return connection.execute(f"select {', '.join(expressions)} from texts").fetch_arrow_table()
    finally:
        connection.close()


def _expressions(contract: FeedContract, table: Table, column: Column) -> Iterator[str]:
    text = _trimmed(column)
    if column.type == "string":
        yield f"{text} as {_name(column.name)}"
        return
    value = _read(table, column, text)
    result = value
    if column.type == "date" and table.format.open_ended_date:
        result = f"nullif({value}, date '{open_ended_date(contract, table)}')"
    yield f"{result} as {_name(column.name)}"
    yield f"({text} is not null and {value} is null) as {_name(unreadable_flag(column.name))}"


def _trimmed(column: Column) -> str:
    return f"nullif(trim({_name(column.name)}, {_literal(BLANKS)}), '')"


def _is_formula(text: str) -> str:
    # The first character alone clears nearly every text without the pattern.
    return (
        f"coalesce({text}[1] in ('=', '@', '+', '-') and regexp_matches({text}, {_literal(FORMULA)}), false)"
    )


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
