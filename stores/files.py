"""Files that are either wholly there or not there: written aside, flushed, then moved."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def written_atomically(path: Path, mode: int = 0o600) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, flush it to disk and move it into
    place.

    If the block raises, `path` is left as it was and the temporary file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        yield aside
        with aside.open("rb+") as handle:
            os.fsync(handle.fileno())
        aside.chmod(mode)
        aside.replace(path)
        flush_folder(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut (POSIX needs the directory itself flushed)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
