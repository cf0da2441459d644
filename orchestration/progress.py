"""Progress of a night on the console: a line for each run, with the time it took."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


@contextmanager
def night_progress(console: Console) -> Iterator[Callable[[str], None]]:
    """Show one line for each run of the night, with the time it took; yield the function that announces the next."""
    columns = (
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        running: list[TaskID] = []

        def finish() -> None:
            for task in running:
                bars.update(task, completed=1)
            running.clear()

        def announce(name: str) -> None:
            finish()
            running.append(bars.add_task(name, total=1))

        yield announce
        finish()
