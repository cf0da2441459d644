"""The rules in force, as one digest: contracts, SQL and the reviewed linkage model. When it changes, results may."""

from __future__ import annotations

import hashlib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
RULES = (
    "contracts/**/*.yaml",
    "dbt_project/**/*.sql",
    "dbt_project/*.yml",
    "linkage/model.json",
    "models_ml/features.yaml",
)


def rules_digest() -> str:
    """Return the SHA-256 of every file that says how data becomes results, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for pattern in RULES:
        for path in sorted(PROJECT.glob(pattern)):
            digest.update(f"{path.relative_to(PROJECT).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
