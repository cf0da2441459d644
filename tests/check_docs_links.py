"""Check that every relative link in the Markdown files leads to a file, and every `#anchor` to a heading of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+\s+(.*)$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Return the anchors that headings of a Markdown text get when rendered."""
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for heading in HEADING.findall(text)
    }


def broken_links(path: Path) -> list[str]:
    """Return a line for every link of the file at `path` that leads nowhere."""
    broken = []
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists():
            broken.append(f"{path.relative_to(ROOT)}: {target}: no such file")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text(encoding="utf-8")):
            broken.append(f"{path.relative_to(ROOT)}: {target}: no such heading")
    return broken


def main() -> int:
    """Print what is broken; return 1 if anything is."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    broken = [line for name in listed.stdout.split() for line in broken_links(ROOT / name)]
    print("\n".join(broken) or f"links: {len(listed.stdout.split())} Markdown files, none broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
