"""Rules as a Great Expectations suite. GX takes seconds to import, so it waits for the first suite."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from expectations.rules import Rule, row_rules
from governance.contracts import ContractError, FeedContract, Table

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

RULE = "rule"


def suite_for(contract: FeedContract, table: Table) -> ExpectationSuite:
    """Return the suite of the row rules of `table`."""
    return suite_of(contract, table, row_rules(table))


def suite_of(contract: FeedContract, table: Table, rules: Sequence[Rule]) -> ExpectationSuite:
    """Return a suite of `rules`, in order; each expectation's `meta` says which rule it is.

    Raises `ContractError` for an expectation that GX does not know or whose arguments it does not take.
    """
    gx = great_expectations()
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    suite = gx.ExpectationSuite(name=table.qualified_name)
    for rule in rules:
        configuration = ExpectationConfiguration(
            type=rule.expectation, kwargs=dict(rule.arguments), meta={RULE: rule.name}
        )
        try:
            suite.add_expectation_configuration(configuration)
        except Exception as error:
            raise ContractError(
                f"{contract.path.name}: {table.name}.quality: {rule.expectation} cannot be made "
                f"({type(error).__name__}). Check its name and arguments against the GX gallery."
            ) from error
    return suite


def judges_rows(rule: Rule) -> bool:
    """True if the rule's expectation looks at each row by itself, so that it can say which rows break it."""
    great_expectations()
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )
    from great_expectations.expectations.registry import get_expectation_impl

    return issubclass(
        get_expectation_impl(rule.expectation),
        (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation),
    )


def great_expectations() -> Any:
    """Import Great Expectations with its analytics off; the setting must be there before the import."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    return gx
