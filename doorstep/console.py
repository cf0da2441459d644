"""What the command line prints: tables and JSON to standard output, progress and errors to standard error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from bridge.cases.officers import OfficersError
from bridge.cases.reidentify import RefusedError
from bridge.files.problems import NoSuchFileError
from bridge.vault.keys import VaultError
from exchange.review import ReviewError
from governance.agreements import AgreementError
from governance.audit_log import AuditLogError
from governance.contracts import ContractError
from governance.retention import RetentionExpiredError
from linkage.model import LinkageModelError
from linkage.scoring.backend import LinkageBackendError
from stores.encrypted import StoreBusyError, StoreUnreadableError
from stores.key_rotation import KeyRotationError
from stores.keys import KeyUnavailableError

EXPECTED_ERRORS = (
    AgreementError,
    AuditLogError,
    ContractError,
    KeyRotationError,
    KeyUnavailableError,
    LinkageBackendError,
    LinkageModelError,
    NoSuchFileError,
    OfficersError,
    RefusedError,
    RetentionExpiredError,
    ReviewError,
    StoreBusyError,
    StoreUnreadableError,
    VaultError,
)

console = Console()
errors = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document with documented keys instead.")]


def print_json(document: Any) -> None:
    """Print `document` as JSON with sorted keys; dates as ISO text."""
    print(json.dumps(document, indent=2, sort_keys=True, default=str))


@contextmanager
def progress() -> Iterator[Progress]:
    """Show progress bars on standard error while the block runs."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors) as bars:
        yield bars
