"""Progress of a night on the console: a bar that counts runs, and Dagster's own log kept to a file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def night_progress(console: Console) -> Iterator[Callable[[str], None]]:
    """Show one line for each run of the night, with the time it took; yield the function that announces the next."""
    # Dagster writes each event to the console as well as to its storage; the storage is where people look.
    logging.getLogger("dagster").setLevel(logging.ERROR)
    columns = (SpinnerColumn(finished_text="[green]✓[/]"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        running = []

        def finish() -> None:
            for task in running:
                bars.update(task, completed=1)
            running.clear()

        def announce(name: str) -> None:
            finish()
            running.append(bars.add_task(name, total=1))

        yield announce
        finish()
