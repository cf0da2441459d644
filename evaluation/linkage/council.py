"""What councils do by hand: records are one person's where identifiers are equal, without weights or likenesses.

Three habits, each in the clear and on standard forms, which is kinder than a spreadsheet:

- `strict`: National Insurance number, surname and date of birth are equal. Nearly no stranger gets in.
- `usual`: the number is equal, or forename, surname and date of birth are.
- `with_homes`: the usual one, or forename, surname and property are equal: the only way to reach council tax and the
  register of electors, which hold no date of birth.

Chains count: if one record equals a second and that a third, the three are one person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

NAMES = ("clear_forename", "clear_surname")

STRICT: Sequence[Sequence[str]] = (("clear_nino", "clear_surname", "clear_date_of_birth"),)
USUAL: Sequence[Sequence[str]] = (("clear_nino",), (*NAMES, "clear_date_of_birth"))
WITH_HOMES: Sequence[Sequence[str]] = (*USUAL, (*NAMES, "clear_uprn"))

HABITS: Mapping[str, Sequence[Sequence[str]]] = {"strict": STRICT, "usual": USUAL, "with_homes": WITH_HOMES}


def council_matches(columns: pa.Table) -> dict[str, npt.NDArray[np.int64]]:
    """Return a label per row of `columns` (as `linkage_two_sides.clear_columns`) for each of `HABITS`."""
    return {name: equal_records(columns, rules) for name, rules in HABITS.items()}


def equal_records(columns: pa.Table, rules: Sequence[Sequence[str]]) -> npt.NDArray[np.int64]:
    """Return a label per row: rows that hold all columns of a rule, and the same values in them, are one."""
    rows = np.arange(columns.num_rows)
    ends: list[npt.NDArray[np.int64]] = []
    starts: list[npt.NDArray[np.int64]] = []
    for rule in rules:
        whole = pc.binary_join_element_wise(*(columns[name].cast(pa.string()) for name in rule), "|")
        codes = whole.combine_chunks().dictionary_encode().indices
        known = pc.is_valid(codes).to_numpy(zero_copy_only=False)
        values = codes.drop_null().to_numpy().astype(np.int64)
        _, first = np.unique(values, return_index=True)
        ends.append(rows[known])
        starts.append(rows[known][first][values])
    left, right = np.concatenate(starts), np.concatenate(ends)
    links = (np.ones(len(left), dtype=np.bool_), (left, right))
    graph = coo_matrix(links, shape=(len(rows), len(rows)))
    return connected_components(graph, directed=False)[1].astype(np.int64)
