"""The rules in force, as one digest: contracts, SQL and the reviewed linkage model. When it changes, results may."""

from __future__ import annotations

import hashlib

from governance.project import CODE_FOLDER, project_folder

COUNCILS_OWN = ("contracts/**/*.yaml", "dbt_project/**/*.sql", "dbt_project/*.yml")
WITH_THE_CODE = ("linkage/model.json", "models_ml/features.yaml")


def rules_digest() -> str:
    """Return the SHA-256 of every file that says how data becomes results, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for folder, patterns in ((project_folder(), COUNCILS_OWN), (CODE_FOLDER, WITH_THE_CODE)):
        for pattern in patterns:
            for path in sorted(folder.glob(pattern)):
                digest.update(f"{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
