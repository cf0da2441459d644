"""`doorstep ui`: the Dagster UI with both code locations."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from stores.home import Home

WORKSPACE = Path(__file__).resolve().parent.parent / "workspace.yaml"


def ui(
    port: Annotated[int, typer.Option(help="Port to serve on.")] = 3000,
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
) -> None:
    """Start `dagster dev` over both code locations, with this home's runs."""
    from orchestration.instance import prepare_instance

    prepare_instance(Home.from_environment())
    dagster = Path(sys.executable).with_name("dagster")
    arguments = [str(dagster), "dev", "-w", str(WORKSPACE), "--port", str(port), "--host", host]
    os.chdir(WORKSPACE.parent)
    os.execv(dagster, arguments)  # noqa: S606
