"""Pairs that somebody else should look at again: those whose verdict goes against linkage, hidden among as many others.

Where mistakes of linkage are rare, most verdicts against it are mistakes of reviewers. A second reviewer who does not
know which pairs are in doubt settles them; where the two differ, nobody can tell.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from exchange.review import CANNOT_TELL, MATCH, NON_MATCH, ReviewError


def against_linkage(verdict: npt.NDArray[np.str_], linked: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which verdicts say other than linkage does."""
    return np.where(linked, verdict == NON_MATCH, verdict == MATCH)


def pairs_to_ask_again(pairs: pa.Table, seed: int) -> pa.Table:
    """Return the pairs of a reviewed sample (its columns and `verdict`) to ask about again, numbered anew at random.

    Raises `ReviewError` if no verdict goes against linkage.
    """
    verdict = np.asarray(pairs["verdict"].to_pylist(), dtype=np.str_)
    against = against_linkage(verdict, pairs["linked"].to_numpy())
    if not against.any():
        raise ReviewError(
            "No verdict of this sample goes against linkage: there is nothing to look at again."
        )
    generator = np.random.default_rng(seed)
    others = np.flatnonzero(~against & (verdict != CANNOT_TELL))
    hidden_among = generator.permutation(others)[: int(against.sum())]
    chosen = generator.permutation(np.concatenate([np.flatnonzero(against), hidden_among]))
    asked = pairs.take(pa.array(chosen)).drop_columns(["number", "verdict"])
    return asked.append_column("number", pa.array(np.arange(1, len(chosen) + 1), pa.int32()))


def settled(first: npt.NDArray[np.str_], second: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
    """Return the verdicts of two reviewers as one; empty text in `second` where nobody looked again."""
    return np.where((second == "") | (first == second), first, CANNOT_TELL)
