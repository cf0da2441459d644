"""Tables that the bridge makes from another table's rows before they are sealed (`derivedFrom` in a contract).

A derivation takes the checked rows of a table and returns the rows that it makes of them, with the position of the row
that each is made from. What it reads is imported when there is a row to read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from governance.contracts import LOGICAL_TYPES, ContractError, Table

Derivation = Callable[[pa.Table], tuple[pa.Table, npt.NDArray[np.int64]]]

DERIVATIONS: Mapping[str, tuple[str, str]] = {"note_concepts": ("bridge.notes.concept_rows", "note_concepts")}
"""Name in a contract (`derivedBy`) → module and function."""


def derived_rows(table: Table, rows: pa.Table) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """Return the rows of a derived `table`, in the order of the `rows` that they are made from, and those rows'
    positions. The columns are the table's own, and the `delivery_id` of the row it was made from.

    Raises `ContractError` for a derivation that the bridge does not have, or one that makes other columns.
    """
    derivation = DERIVATIONS.get(table.derived_by or "")
    if derivation is None:
        raise ContractError(
            f"{table.qualified_name}: derivedBy: the bridge has no derivation {table.derived_by!r}; it has "
            f"{', '.join(DERIVATIONS)}"
        )
    schema = pa.schema([(column.name, LOGICAL_TYPES[column.type]) for column in table.columns])
    if not rows.num_rows:
        made, parents = schema.empty_table(), np.zeros(0, dtype=np.int64)
    else:
        module, function = derivation
        derive: Derivation = getattr(import_module(module), function)
        made, parents = derive(rows)
    if made.schema.names != schema.names:
        raise ContractError(
            f"{table.qualified_name}: {table.derived_by} makes the columns {', '.join(made.schema.names)}; give the "
            "contract the same"
        )
    made = made.cast(schema)
    return made.append_column("delivery_id", rows["delivery_id"].take(pa.array(parents))), parents
