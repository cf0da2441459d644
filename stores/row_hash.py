"""One number for all rows of a table, whatever their order, worked out by DuckDB where the rows are."""

from __future__ import annotations


def rows_hash(listed: str) -> str:
    """Return the SQL aggregate that hashes the rows of `listed` (expressions between commas): a whole number, null
    where there are no rows.

    A sum, since it does not care about order and, unlike exclusive-or, notices a row that comes twice. Of a hash of the
    row's hash, since DuckDB ends the hash of several values with an exclusive-or of the last one's: over all rows,
    two that exchange their last values would go unnoticed.
    """
    return f"sum(hash(hash({listed})))"
