"""Two parties lay what they hold side by side: two audiences' marts, two agreements' references, two epochs' tokens.

Each party holds the same people (or homes) under its own pseudonyms. Joining them must find nothing.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from evaluation.attacks.result import AttackResult


def join_ids(
    ours: npt.NDArray,
    theirs: npt.NDArray,
    *,
    target: str,
    limit: float | None = 0.0,
    control: bool = False,
    knowledge: str = "both parties' tables",
) -> AttackResult:
    """Join the ids of the same people, `ours` and `theirs` in one order; a record is recovered if it joins itself.

    A value that both hold, even for different people, counts as well: no pseudonym may be shared.
    """
    began = time.perf_counter()
    recovered = int((np.isin(ours, theirs) | (ours == theirs)).sum())
    return AttackResult(
        attack="joining two parties",
        target=target,
        records=len(ours),
        recovered=recovered,
        limit=limit,
        control=control,
        seconds=time.perf_counter() - began,
        knowledge=knowledge,
    )
