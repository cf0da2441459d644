"""Read a partner's file in its contract's format into text columns. A new format is one more parser here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bridge.files.hostile_files import FirstLook, look_at
from bridge.files.parsed_file import ParsedFile
from bridge.files.parsing_csv import parse_csv
from bridge.files.parsing_fixed_width import parse_fixed_width
from bridge.files.parsing_jsonl import parse_jsonl
from bridge.files.parsing_xml import parse_xml
from governance.contracts import CSV, FIXED_WIDTH, JSONL, XML, FeedContract, Table

Parser = Callable[[Path, FeedContract, Sequence[Table], FirstLook], dict[str, ParsedFile]]

PARSERS: Mapping[str, Parser] = {
    CSV: parse_csv,
    FIXED_WIDTH: parse_fixed_width,
    JSONL: parse_jsonl,
    XML: parse_xml,
}


def parse_file(path: Path, contract: FeedContract, table: Table) -> ParsedFile:
    """Read the file at `path` as `table` of `contract`. Raises `RefusedFileError`."""
    return parse_tables(path, contract, [table])[table.name]


def parse_tables(path: Path, contract: FeedContract, tables: Sequence[Table]) -> dict[str, ParsedFile]:
    """Read the file at `path` once, as the `tables` that it holds, by name. Raises `RefusedFileError`."""
    parser = PARSERS[tables[0].format.format]
    return parser(path, contract, tables, look_at(path, contract, tables[0]))
