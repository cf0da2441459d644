"""What compares pairs of records: DuckDB on this machine, or Spark on one or many. One value of configuration."""

from __future__ import annotations

import os
from typing import Literal, cast, get_args

Backend = Literal["duckdb", "spark"]
BACKEND_VARIABLE = "DOORSTEP_LINKAGE_BACKEND"


class LinkageBackendError(ValueError):
    """Pairs cannot be compared where `DOORSTEP_LINKAGE_BACKEND` says; the message says what to change."""


def linkage_backend() -> Backend:
    """Return what `DOORSTEP_LINKAGE_BACKEND` says, or DuckDB. Raises `LinkageBackendError` on anything else."""
    named = os.environ.get(BACKEND_VARIABLE) or "duckdb"
    if named not in get_args(Backend):
        raise LinkageBackendError(f"{BACKEND_VARIABLE}={named}: there are {' and '.join(get_args(Backend))}.")
    return cast(Backend, named)
