"""Where sealed packages lie between the zones: a folder of the home, or any location that `fsspec` knows.

`DOORSTEP_EXCHANGE` names the location as a URL (`file:///mnt/exchange`, `s3://bucket/prefix`, `sftp://…`); without
it, it is the home's `exchange` folder. Not every location can rename a file in one step, so a package is written
under a temporary name, then moved, and a receiver overlooks temporary names. What it meets half-moved all the same
fails its digest, is refused whole, and is met whole the next time.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

from stores.files import written_atomically
from stores.home import Home

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

EXCHANGE_VARIABLE = "DOORSTEP_EXCHANGE"
OUTBOX = "outbox"
RETURNS = "returns"
PUBLIC_KEYS = "public_keys"

TEMPORARY_SUFFIX = ".part"


def is_temporary(name: str) -> bool:
    """True for the name of a file that is still being written."""
    return name.startswith(".") or name.endswith(TEMPORARY_SUFFIX)


@dataclass(frozen=True)
class Exchange:
    """One exchange: its boxes are `outbox` (to analytics), `returns` (to the council) and `public_keys`.

    Files in a box are addressed by their path in it, such as `council_tax/2025-01-06-full-0123abcd.sealed`.
    """

    url: str

    @classmethod
    def of(cls, home: Home) -> Exchange:
        """Return the exchange of `home`: where `DOORSTEP_EXCHANGE` points, or its own folder."""
        return cls(os.environ.get(EXCHANGE_VARIABLE) or str(home.outbox.parent))

    @property
    def folder(self) -> Path | None:
        """The exchange as a local folder, or None if it is elsewhere."""
        if self.url.startswith("file://"):
            return Path(self.url.removeprefix("file://"))
        return None if "://" in self.url else Path(self.url)

    def place(self, box: str, name: str = "") -> str:
        """Say where a file is, for messages."""
        return posixpath.join(self.url, box, name)

    def names(self, box: str, folder: str) -> list[str]:
        """Return the names of the finished files in a folder of a box, in order."""
        if self.folder is not None:
            here = self.folder / box / folder
            found = [entry.name for entry in here.iterdir() if entry.is_file()] if here.is_dir() else []
        else:
            self._system.invalidate_cache()
            path = self._path(box, folder)
            listed = self._system.ls(path, detail=True) if self._system.isdir(path) else []
            found = [posixpath.basename(entry["name"]) for entry in listed if entry["type"] == "file"]
        return sorted(name for name in found if not is_temporary(name))

    def folders(self, box: str) -> list[str]:
        """Return the names of the folders of a box, in order."""
        if self.folder is not None:
            here = self.folder / box
            return sorted(entry.name for entry in here.iterdir() if entry.is_dir()) if here.is_dir() else []
        self._system.invalidate_cache()
        path = self._path(box, "")
        listed = self._system.ls(path, detail=True) if self._system.isdir(path) else []
        return sorted(
            posixpath.basename(entry["name"].rstrip("/")) for entry in listed if entry["type"] == "directory"
        )

    @contextmanager
    def writing(self, box: str, name: str) -> Iterator[Path]:
        """Yield a local path to write a file to; when the block ends well, it appears in the box, whole."""
        if self.folder is not None:
            with written_atomically(self.folder / box / name) as aside:
                yield aside
            return
        with TemporaryDirectory() as scratch:
            local = Path(scratch) / "package"
            yield local
            folder, base = posixpath.split(self._path(box, name))
            aside_there = posixpath.join(folder, f".{base}.{uuid4().hex}{TEMPORARY_SUFFIX}")
            self._system.makedirs(folder, exist_ok=True)
            try:
                self._system.put_file(str(local), aside_there)
                self._system.mv(aside_there, posixpath.join(folder, base))
            finally:
                if self._system.exists(aside_there):
                    self._system.rm_file(aside_there)

    @contextmanager
    def reading(self, box: str, name: str) -> Iterator[Path]:
        """Yield a local path that holds the file while the block lasts. Raises `FileNotFoundError`."""
        if self.folder is not None:
            yield self.folder / box / name
            return
        with TemporaryDirectory() as scratch:
            local = Path(scratch) / "package"
            self._system.get_file(self._path(box, name), str(local))
            yield local

    def remove(self, box: str, name: str) -> None:
        """Take a file out of a box; it may be gone already."""
        if self.folder is not None:
            (self.folder / box / name).unlink(missing_ok=True)
        elif self._system.exists(path := self._path(box, name)):
            self._system.rm_file(path)

    def read_text(self, box: str, name: str) -> str | None:
        """Return a short file's text, or None if it is not there."""
        try:
            with self.reading(box, name) as path:
                return path.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return None

    def write_text(self, box: str, name: str, text: str) -> None:
        """Write a short file."""
        with self.writing(box, name) as path:
            path.write_text(text, encoding="ascii")

    def _path(self, box: str, name: str) -> str:
        return posixpath.join(self._located[1], box, name)

    @property
    def _system(self) -> AbstractFileSystem:
        return self._located[0]

    @cached_property
    def _located(self) -> tuple[AbstractFileSystem, str]:
        from fsspec.core import url_to_fs

        system, root = url_to_fs(self.url)
        return system, root
