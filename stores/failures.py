"""What may be told of an error that nobody foresaw: its kind and its place in the code, never its text.

Errors of DuckDB, Arrow or Python repeat what they stumbled over ("could not convert string '…'").
"""

from __future__ import annotations

import traceback


def kind_and_place(error: BaseException) -> str:
    """Return, say, `ConversionException in bridge/deliveries/loading.py, line 128`."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    return (
        f"{type(error).__name__} in {'/'.join(frames[-1].filename.split('/')[-2:])}, line {frames[-1].lineno}"
    )
