"""How many rows a second each parser reads: first look, parsing and text columns, of one file of each format."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from lxml import etree

from bridge.files.parsing import parse_file
from governance.contracts import FORMATS, FeedContract, read_contract

ROWS = 100_000
REPEATS = 3
COLUMNS = tuple(f"column_{number:02}" for number in range(15))
VALUE = "{row:07}-{column:02}"
WIDTH = 12

CONTRACT = r"""
apiVersion: v3.1.0
kind: DataContract
id: measured
name: measured
version: 1.0.0
status: active
servers:
  - {{server: inbox, type: local, format: {format}, path: measured}}
schema:
  - name: rows
    physicalName: 'measured_(?P<delivery_date>\d{{8}})_(?P<kind>full)\.txt'
    physicalType: Row
    description: One row per row.
    properties:
{columns}
slaProperties: [{{property: frequency, value: 31}}, {{property: latency, value: 5}}]
team: [{{username: measured@district.example, role: owner}}]
customProperties:
  - {{property: partner, value: district}}
  - {{property: agreement, value: isa_household_support}}
  - {{property: retentionRule, value: partner_records}}
"""


def measure() -> dict[str, Any]:
    """Return rows a second of processor time by format (the best of three), and lxml's for the XML file beside it."""
    with tempfile.TemporaryDirectory() as folder:
        found = {written: _rows_a_second(Path(folder), written) for written in FORMATS}
        walked = _best(_walk, Path(folder) / "measured_20240101_full.xml")
    return {
        "rows": ROWS,
        "columns": len(COLUMNS),
        "rows_per_processor_second": found,
        "lxml_rows_per_processor_second": walked,
    }


def _rows_a_second(folder: Path, written: str) -> int:
    contract = _contract(folder, written)
    path = folder / f"measured_20240101_full.{written}"
    path.write_text(_content(written), encoding="utf-8")
    return _best(_parse, path, contract)


def _best(function: Any, *arguments: Any) -> int:
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        assert function(*arguments) == ROWS
        seconds.append(time.process_time() - started)
    return round(ROWS / min(seconds))


def _parse(path: Path, contract: FeedContract) -> int:
    return parse_file(path, contract, contract.tables[0]).rows.num_rows


def _walk(path: Path) -> int:
    """Read the XML file as the plain way would: lxml, row element by row element."""
    rows = 0
    for _, row in etree.iterparse(str(path), tag="Row", resolve_entities=False, no_network=True):
        rows += bool({child.tag: child.text for child in row})
        row.clear(keep_tail=False)
        while row.getprevious() is not None:
            del row.getparent()[0]
    return rows


def _contract(folder: Path, written: str) -> FeedContract:
    lines = []
    for number, name in enumerate(COLUMNS):
        place = f"[{{property: start, value: {number * WIDTH + 1}}}, {{property: width, value: {WIDTH}}}]"
        lines.append(
            f"      - {{name: {name}, primaryKey: {str(not number).lower()}, customProperties: {place}}}"
        )
    path = folder / f"measured_{written}.odcs.yaml"
    path.write_text(CONTRACT.format(format=written, columns="\n".join(lines)), encoding="utf-8")
    return read_contract(path)


def _content(written: str) -> str:
    rows = [[VALUE.format(row=row, column=column) for column in range(len(COLUMNS))] for row in range(ROWS)]
    match written:
        case "csv":
            return "\n".join(",".join(fields) for fields in [COLUMNS, *rows])
        case "fixed_width":
            return "\n".join("".join(field.ljust(WIDTH) for field in fields) for fields in rows)
        case "jsonl":
            return "\n".join(json.dumps(dict(zip(COLUMNS, fields, strict=True))) for fields in rows)
        case _:
            return "<Rows>\n" + "\n".join(map(_element, rows)) + "\n</Rows>"


def _element(fields: list[str]) -> str:
    inner = "\n".join(f"  <{name}>{field}</{name}>" for name, field in zip(COLUMNS, fields, strict=True))
    return f" <Row>\n{inner}\n </Row>"
