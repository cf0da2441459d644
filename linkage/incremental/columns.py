"""Columns of the link keys as a night reads them: tokens short, in batches, never all at once."""

from __future__ import annotations

from collections.abc import Sequence

from linkage.scoring.short_tokens import COLUMN_END

ROWS_OF_A_BATCH = 100_000


def short_token(token: str) -> str:
    """Return the SQL for a token as a whole number of 64 bits: quicker to join, half the memory, null for null.

    Two unlike tokens of ten million fall together once in 370,000 such sets.
    """
    return f"case when {token} is not null then hash({token}) end"


def short_tokens(columns: Sequence[str]) -> str:
    """Return the list of `columns` of link_keys to select, tokens short."""
    return ", ".join(
        f"{short_token(f'link_keys.{column}')} as {column}"
        if column.endswith(COLUMN_END)
        else f"link_keys.{column}"
        for column in columns
    )
