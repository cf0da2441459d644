"""What a failed bridge step may tell: its kind and its place in the code, never a value of a row.

Errors of DuckDB, Arrow or Python repeat what they stumbled over ("could not convert string '…'"), and Dagster keeps
the text in its event log, which people outside the council read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bridge.run import SAYS_WHAT_TO_DO, STOPS_THE_RUN
from stores.failures import kind_and_place


class BridgeStepError(RuntimeError):
    """A step of the bridge failed in a way that nobody foresaw; the message holds no value."""


@contextmanager
def values_kept_back(feed: str, step: str) -> Iterator[None]:
    """Let what says in a sentence of its own what to do pass; put an error without text in place of any other.

    Raises `BridgeStepError`.
    """
    try:
        yield
    except (*SAYS_WHAT_TO_DO, *STOPS_THE_RUN):
        raise
    except Exception as error:
        # Not `from error`: the cause's text would be kept with it.
        raise BridgeStepError(
            f"{feed}: {step} stopped with {kind_and_place(error)}. Its text is kept back, since it may hold "
            "a value of a row. To see it, run `doorstep bridge run` with DOORSTEP_TRACEBACK=1 on the council's side."
        ) from None
