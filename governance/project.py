"""Where the council's own rules lie: the folder with `contracts/` and `dbt_project/`.

Beside the code, unless `DOORSTEP_PROJECT` names another: a council keeps its feeds and models in a folder of its
own and takes the code as it is.
"""

from __future__ import annotations

import os
from pathlib import Path

PROJECT_VARIABLE = "DOORSTEP_PROJECT"
CODE_FOLDER = Path(__file__).resolve().parent.parent


def project_folder() -> Path:
    """Return the folder that `DOORSTEP_PROJECT` names, or the one that the code lies in."""
    return Path(os.environ.get(PROJECT_VARIABLE) or CODE_FOLDER).resolve()
