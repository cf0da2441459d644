"""Promise 16: hostile files are refused with a clear message in less than 100 MB of memory, whatever the format.

Each file is read in a process of its own, whose memory the operating system measures and bounds
(tests/read_in_little_memory.py). That one poisoned row quarantines one row, for each fault, feed and format, is in
test_bad_input_by_feed.py.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from partner_files import PartnerFile, name_of, partner_files

from governance.contracts import read_contracts

ROOM_BYTES = 100 << 20
GIGABYTE = 1 << 30
SECRET = "canary"  # In every text of a partner's file.
DAY = date(2024, 5, 6)
FORMATS = ("csv", "xml", "fixed_width", "jsonl")
READER = Path(__file__).parents[1] / "read_in_little_memory.py"

FILES = {
    file.format: (contract.feed, file)
    for contract in read_contracts().values()
    for file in partner_files(contract)
}


def gigabyte_field(file: PartnerFile, path: Path) -> None:
    """A good file whose last record goes on for a gigabyte: sparse, so nothing lies on the disk."""
    path.write_bytes(file.written().rstrip() + SECRET.encode())
    os.truncate(path, GIGABYTE)


def long_field(file: PartnerFile, path: Path) -> None:
    """A field of 64 MB, below the limit for files."""
    with path.open("wb") as handle:
        handle.write(file.written().rstrip()[:-1])
        for _ in range(64):
            handle.write(b"x" * (1 << 20))


@cache
def zipped() -> bytes:
    """200 MB of zeros in 200 kB."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", bytes(200 << 20))
    return content.getvalue()


def zip_bomb(_: PartnerFile, path: Path) -> None:
    path.write_bytes(zipped())


def gzip_bomb(_: PartnerFile, path: Path) -> None:
    path.write_bytes(gzip.compress(bytes(1 << 20)) * 200)


def nul_bytes(_: PartnerFile, path: Path) -> None:
    path.write_bytes(bytes(32 << 20))


def wrong_encoding(file: PartnerFile, path: Path) -> None:
    path.write_bytes((file.text() * 400).encode("utf-16"))


def cut_off_xml(file: PartnerFile, path: Path) -> None:
    text = file.text()
    path.write_bytes(text[: len(text) * 2 // 3].encode(file.table.format.encoding))


def expanding_entities(_: PartnerFile, path: Path) -> None:
    """Nine entities, each ten times the one before: a billion words."""
    names = "abcdefghij"
    defined = "".join(f'<!ENTITY {after} "{f"&{before};" * 10}">' for before, after in pairwise(names))
    path.write_text(
        f'<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "{SECRET}">{defined}]><m>&j;</m>', encoding="ascii"
    )


def fetching_entity(_: PartnerFile, path: Path) -> None:
    path.write_text('<!DOCTYPE m [<!ENTITY a SYSTEM "file:///etc/hostname">]><m>&a;</m>', encoding="ascii")


def deep_nesting(_: PartnerFile, path: Path) -> None:
    path.write_text("<a>" * 500_000, encoding="ascii")


Make = Callable[[PartnerFile, Path], None]
REFUSED: dict[str, tuple[Make, tuple[str, ...]]] = {
    "a field of a gigabyte": (gigabyte_field, FORMATS),
    "a field of 64 MB": (long_field, FORMATS),
    "a zip bomb": (zip_bomb, FORMATS),
    "a gzip bomb": (gzip_bomb, FORMATS),
    "32 MB of NUL bytes": (nul_bytes, FORMATS),
    "another encoding": (wrong_encoding, FORMATS),
    "truncated XML": (cut_off_xml, ("xml",)),
    "entities that expand": (expanding_entities, ("xml",)),
    "an entity that fetches a file": (fetching_entity, ("xml",)),
    "tags within tags": (deep_nesting, ("xml",)),
}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """What became of every hostile file, by fault and format: its message and the bytes of memory it took."""
    folder = tmp_path_factory.mktemp("hostile")
    asked = []
    for fault, (make, formats) in REFUSED.items():
        for written in formats:
            feed, file = FILES[written]
            path = folder / fault / written / name_of(file.table, DAY)
            path.parent.mkdir(parents=True)
            make(file, path)
            tables = [table.name for table in file.tables]
            asked.append(
                {"fault": fault, "format": written, "feed": feed, "tables": tables, "path": str(path)}
            )
    done = subprocess.run(
        [sys.executable, str(READER)], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert SECRET not in done.stdout + done.stderr
    return {(each["fault"], each["format"]): each for each in json.loads(done.stdout)}


@pytest.mark.parametrize(
    ("fault", "written"), [(fault, written) for fault, (_, formats) in REFUSED.items() for written in formats]
)
def test_a_hostile_file_is_refused_with_a_clear_message_in_little_memory(
    read: dict[tuple[str, str], dict[str, Any]], fault: str, written: str
) -> None:
    found = read[fault, written]
    assert found["refused"], found
    assert name_of(FILES[written][1].table, DAY) in found["message"]
    assert found["remedy"]
    assert found["grew"] < ROOM_BYTES


def test_every_format_has_its_hostile_files() -> None:
    assert set(FILES) == set(FORMATS)
