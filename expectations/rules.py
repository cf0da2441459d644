"""The rules that a contract makes for a table: each becomes one expectation, with words for people beside it.

Row rules judge rows: one that breaks a rule goes to quarantine. Delivery rules judge the profile of a
delivery, one row per delivery: one that breaks a rule is refused whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from governance.contracts import Column, ContractError, FeedContract, QualityRule, Table

DELIVERY_ID = "delivery_id"
# Boolean batch column: true where a text of the row is a spreadsheet formula.
FORMULA_FLAG = "holds_formula"

# A date outside these years is a slip of the keyboard: nobody in a feed was born before 1850.
EARLIEST_YEAR = 1850
LATEST_YEAR = 2199

# In a file of a few rows a share says nothing: up to this many broken rows never refuse a delivery by their
# share.
FEW_BROKEN_ROWS = 10

# Library metrics of the ODCS that can be judged on a delivery, and the profile column that holds each.
PROFILE_METRICS: Mapping[str, str] = {
    "rowCount": "row_count",
    "duplicateValues": "repeated_keys",
    "invalidValues": "broken_rows",
}

_DATE_PARTS = {
    "%d": "DD",
    "%m": "MM",
    "%Y": "YYYY",
    "%y": "YY",
    "%b": "MON",
    "%B": "MONTH",
    "%H": "hh",
    "%M": "mm",
}


@dataclass(frozen=True)
class Rule:
    """One rule of a table. `expectation` is a GX expectation's name, `arguments` its keyword arguments."""

    name: str
    says: str
    remedy: str
    expectation: str
    arguments: Mapping[str, Any]
    column: str | None = None
    blocking: bool = True
    keeps_first: bool = False


def unreadable_flag(column: str) -> str:
    """Name of the boolean batch column that is true where the text of `column` could not be read."""
    return f"unreadable__{column}"


def row_rules(table: Table) -> tuple[Rule, ...]:
    """Return the rules that each row of `table` must keep. Rule names are unique within a table."""
    rules = [rule for column in table.columns for rule in _column_rules(table, column)]
    rules += [_no_formula(), _unique_key(table)]
    rules += [_own_row_rule(table, rule) for rule in table.quality if rule.expectation]
    names = [rule.name for rule in rules]
    repeated = {name for name in names if names.count(name) > 1}
    return tuple(
        rule if rule.name not in repeated else _renamed(rule, position) for position, rule in enumerate(rules)
    )


def delivery_rules(contract: FeedContract, table: Table) -> tuple[Rule, ...]:
    """Return the rules that the profile of each delivery of `table` must keep."""
    own = [_metric_rule(contract, table, rule) for rule in table.quality if not rule.expectation]
    share = contract.maximum_quarantined_share
    few_broken = Rule(
        name="broken_rows_share",
        says=f"at most {share:.0%} of the rows of a delivery break a rule (or {FEW_BROKEN_ROWS} rows)",
        remedy="Correct the cause in the partner's system and send the file again: so many have one cause.",
        expectation="expect_column_values_to_be_between",
        arguments={"column": "broken_rows_too_many", "max_value": 0},
    )
    some_left = Rule(
        name="some_row_is_good",
        says="a delivery that has rows has one that keeps every rule",
        remedy="Correct the rows and send the file again: taken as it is, it would count as empty.",
        expectation="expect_column_values_to_be_in_set",
        arguments={"column": "nothing_left", "value_set": [False]},
    )
    return (*own, few_broken, some_left)


def _renamed(rule: Rule, position: int) -> Rule:
    return Rule(**{**vars(rule), "name": f"{rule.name}#{position}"})


def _column_rules(table: Table, column: Column) -> Iterator[Rule]:
    if column.type != "string":
        says, remedy = _readable(table, column)
        yield Rule(
            name=f"{column.type}({column.name})",
            says=says,
            remedy=remedy,
            expectation="expect_column_values_to_be_in_set",
            arguments={"column": unreadable_flag(column.name), "value_set": [False]},
            column=column.name,
        )
    if column.required or column.key_position is not None:
        yield Rule(
            name=f"required({column.name})",
            says="a value is required",
            remedy="Fill it in the partner's system and send the row again.",
            expectation="expect_column_values_to_not_be_null",
            arguments={"column": column.name},
            column=column.name,
        )
    if column.pattern:
        yield Rule(
            name=f"pattern({column.name})",
            says=f"a value has the form {column.pattern}",
            remedy="Correct it in the partner's system, or leave it empty if it is not known.",
            expectation="expect_column_values_to_match_regex",
            arguments={"column": column.name, "regex": column.pattern},
            column=column.name,
        )
    if column.minimum is not None or column.maximum is not None:
        yield Rule(
            name=f"range({column.name})",
            says=f"a value lies {_between(column.minimum, column.maximum)}",
            remedy="Correct it in the partner's system, or widen the range in the contract.",
            expectation="expect_column_values_to_be_between",
            arguments={"column": column.name, "min_value": column.minimum, "max_value": column.maximum},
            column=column.name,
        )
    if column.codes:
        yield Rule(
            name=f"codes({column.name})",
            says=f"a value is one of {', '.join(column.codes)}",
            remedy="Correct the code, or add it to `codes` in the contract.",
            expectation="expect_column_values_to_be_in_set",
            arguments={"column": column.name, "value_set": _typed_codes(column)},
            column=column.name,
        )


def _typed_codes(column: Column) -> list[Any]:
    match column.type:
        case "integer":
            return [int(code) for code in column.codes]
        case "number":
            return [float(code) for code in column.codes]
        case _:
            return list(column.codes)


def _readable(table: Table, column: Column) -> tuple[str, str]:
    match column.type:
        case "date":
            formats = " or ".join(spoken_date_format(text) for text in table.format.date_formats)
            return (
                f"a date is a real day written {formats}, from {EARLIEST_YEAR} to {LATEST_YEAR}",
                "Correct the date, or add its format to `dateFormats` in the contract.",
            )
        case "integer":
            return "a whole number is written in digits", "Correct it in the partner's system."
        case "number":
            return (
                "a number is written in digits, as 1234.50, 1,234.50 or £1,234.50",
                "Correct it in the partner's system.",
            )
        case _:
            return "yes or no is written Y, N, true, false, 1 or 0", "Correct it in the partner's system."


def spoken_date_format(text: str) -> str:
    """Write a strptime format for people: `%d/%m/%Y` → `DD/MM/YYYY`."""
    for part, spoken in _DATE_PARTS.items():
        text = text.replace(part, spoken)
    return text


def _between(minimum: float | None, maximum: float | None) -> str:
    if maximum is None:
        return f"at {minimum:g} or above"
    if minimum is None:
        return f"at {maximum:g} or below"
    return f"between {minimum:g} and {maximum:g}"


def _unique_key(table: Table) -> Rule:
    key = [column.name for column in table.key]
    return Rule(
        name=f"unique({', '.join(key)})",
        says=f"no two rows of a delivery have the same {', '.join(key)}",
        remedy="Send each record once: the first was kept, the others are in quarantine.",
        expectation="expect_compound_columns_to_be_unique",
        arguments={"column_list": [DELIVERY_ID, *key], "ignore_row_if": "any_value_is_missing"},
        column=key[0] if len(key) == 1 else None,
        keeps_first=True,
    )


def _no_formula() -> Rule:
    return Rule(
        name="no_formula",
        says="no field is a spreadsheet formula (begins with =, or with @, + or - and a function)",
        remedy="Take the formula out of the record: opened in a spreadsheet it would run.",
        expectation="expect_column_values_to_be_in_set",
        arguments={"column": FORMULA_FLAG, "value_set": [False]},
    )


def _own_row_rule(table: Table, rule: QualityRule) -> Rule:
    columns = [
        value
        for name, value in rule.arguments.items()
        if name.startswith("column") and isinstance(value, str)
    ]
    return Rule(
        name=f"{rule.expectation}({', '.join(columns)})",
        says=_sentence_start(rule.description or str(rule.expectation)),
        remedy="Correct the row in the partner's system and send it again.",
        expectation=str(rule.expectation),
        arguments=_with_dates(table, columns, rule.arguments),
        column=" and ".join(columns) or None,
        blocking=rule.blocking,
    )


def _with_dates(table: Table, columns: Sequence[str], arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments with bounds on a date column as times, which is what GX compares dates with."""
    types = {column.name: column.type for column in table.columns}
    if not columns or any(types.get(name) != "date" for name in columns):
        return arguments
    bounds = {name: arguments[name] for name in ("min_value", "max_value") if arguments.get(name) is not None}
    return {**arguments, **{name: datetime.fromisoformat(str(bound)) for name, bound in bounds.items()}}


def _metric_rule(contract: FeedContract, table: Table, rule: QualityRule) -> Rule:
    if rule.metric not in PROFILE_METRICS:
        raise ContractError(
            f"{contract.path.name}: {table.name}.quality: metric {rule.metric!r} is not one of "
            f"{', '.join(PROFILE_METRICS)}; use an `engine: greatExpectations` rule instead"
        )
    if rule.minimum is None and rule.maximum is None:
        raise ContractError(
            f"{contract.path.name}: {table.name}.quality: {rule.metric} needs mustBeGreaterOrEqualTo "
            "or mustBeLessOrEqualTo"
        )
    said = _sentence_start(rule.description or str(rule.metric))
    return Rule(
        name=str(rule.metric),
        says=f"{said} ({rule.metric} {_between(rule.minimum, rule.maximum)})",
        remedy="Check the export and send the whole delivery again.",
        expectation="expect_column_values_to_be_between",
        arguments={
            "column": PROFILE_METRICS[str(rule.metric)],
            "min_value": rule.minimum,
            "max_value": rule.maximum,
        },
        blocking=rule.blocking,
    )


def _sentence_start(text: str) -> str:
    text = text.strip().removesuffix(".")
    return text[:1].lower() + text[1:]
