"""Read one partner file in its contract's format into text columns. A new format is one more parser here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from bridge.hostile_files import FirstLook, RefusedFileError, look_at
from bridge.parsed_file import ParsedFile
from bridge.parsing_csv import parse_csv
from bridge.parsing_xml import parse_xml
from bridge.problems import Problem
from governance.contracts import FeedContract, Table

Parser = Callable[[Path, FeedContract, Table, FirstLook], ParsedFile]

PARSERS: Mapping[str, Parser] = {"csv": parse_csv, "xml": parse_xml}


def parse_file(path: Path, contract: FeedContract, table: Table) -> ParsedFile:
    """Read the file at `path` as `table` of `contract`. Raises `RefusedFileError`."""
    if table.format.format not in PARSERS:
        raise RefusedFileError(
            Problem(
                path.name,
                f"no parser reads the format {table.format.format!r}",
                f"Set `format` in {contract.path.name} to one of {', '.join(sorted(PARSERS))}.",
                table=table.name,
            )
        )
    return PARSERS[table.format.format](path, contract, table, look_at(path, contract, table))
