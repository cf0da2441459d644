"""Which files a scan reads: everything under the home but what the council keeps in clear on purpose."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

NOT_ANALYTICS = frozenset({"council", "truth"})
"""Folders of a home that hold identities on purpose: the council's own, and a synthetic county's truth."""

COUNCIL_ARTEFACTS = ("council/feeds", "council/quarantine", "council/logs")
"""What the council side writes for people to look at: counts, row numbers and rules, no value."""

KEPT_IN_QUARANTINE = "reasons.json"
"""Of a refused delivery the council keeps the files as they came, which hold identities, and the reasons."""


@dataclass(frozen=True)
class Place:
    """A file to scan and what it is called in the report."""

    path: Path
    name: str


def places(root: Path, also: Sequence[Path] = ()) -> Iterator[Place]:
    """Yield every file to scan: of the home, of the council's artefacts, and of the further folders `also`.

    Links are not followed: what they point to inside the home is walked anyway.
    """
    for top in sorted(root.iterdir()) if root.is_dir() else []:
        if top.name not in NOT_ANALYTICS:
            yield from _files(top, root)
    for artefacts in COUNCIL_ARTEFACTS:
        for place in _files(root / artefacts, root):
            if "/refused/" not in place.name or place.path.name == KEPT_IN_QUARANTINE:
                yield place
    for folder in also:
        yield from _files(folder, folder.parent)


def _files(top: Path, root: Path) -> Iterator[Place]:
    if top.is_symlink():
        return
    if top.is_file():
        yield Place(top, top.relative_to(root).as_posix())
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield Place(path, path.relative_to(root).as_posix())
