"""Read hostile files, each in a fork of its own, and tell what became of it and how much memory it took.

Asked on standard input: a JSON list of {fault, format, feed, tables, path}. Answered on standard output: the same with
`refused`, `message`, `remedy` and `grew`, the bytes by which the resident memory rose above what it was before.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
from pathlib import Path
from typing import Any

import pandas  # noqa: F401 - DuckDB asks for it; it should not count as the file's memory

from bridge.files.hostile_files import RefusedFileError
from bridge.files.parsing import parse_tables
from governance.contracts import FeedContract, read_contracts

MOST_BYTES = 1 << 30
"""Above what the process has: whoever takes more than that is stopped, so that no test harms the machine."""


def read(asked: dict[str, Any], contract: FeedContract) -> dict[str, Any]:
    """Read one file in this process; return what became of it."""
    tables = [table for table in contract.tables if table.name in asked["tables"]]
    limit = _status("VmData") + MOST_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # The highest mark starts anew.
    before = _status("VmRSS")
    found = {"refused": False, "message": "", "remedy": ""}
    try:
        parse_tables(Path(asked["path"]), contract, tables)
    except RefusedFileError as error:
        found = {"refused": True, "message": str(error), "remedy": error.problem.remedy}
    return {**asked, **found, "grew": _status("VmHWM") - before}


def _status(name: str) -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"{name}:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) << 10


def in_a_fork(asked: dict[str, Any], contract: FeedContract) -> dict[str, Any]:
    """Return what `read` returns in a child process, which is gone with its memory afterwards."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        with os.fdopen(writing, "w", encoding="utf-8") as answer:
            json.dump(read(asked, contract), answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {**asked, "refused": False, "message": "the reader died", "grew": -1}


if __name__ == "__main__":
    contracts = read_contracts()
    print(json.dumps([in_a_fork(each, contracts[each["feed"]]) for each in json.load(sys.stdin)]))
