"""Feed × fault × verdict: what becomes of each feed's files with each fault, whichever format they are in.

The table is `FAULTS`: a fault, and its verdict by format. A feed's files are made from its contract. All faults of
a file are checked in one pass, as on a bad night.
"""

from __future__ import annotations

import io
import json
import os
import re
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from partner_files import ROWS, PartnerFile, fixed_width_lines, json_lines, name_of, partner_files

from bridge.deliveries.ledger import Delivery, DeliveryFile
from bridge.deliveries.loading import BatchLoad, check_table
from bridge.files.hostile_files import RefusedFileError
from bridge.files.parsing import parse_tables
from governance.contracts import Column, Identifier, read_contracts

CONTRACTS = read_contracts()
GIGABYTE = 1 << 30

# Verdicts: the delivery is refused; its bad row is quarantined and the others are taken; all are taken and something
# is said of it; all are taken.
REFUSED, ONE_ROW, REMARK, TAKEN = "refused", "one row quarantined", "taken with a remark", "taken"
FORMATS = ("csv", "xml", "fixed_width", "jsonl")


class NotApplicableError(Exception):
    """The fault cannot befall such a file; the message says why."""


@dataclass(frozen=True)
class Fault:
    """A fault, and what becomes of a file with it, by format; a format that is missing cannot have it."""

    make: Callable[[PartnerFile], bytes]
    verdicts: Mapping[str, str]


def everywhere(verdict: str) -> dict[str, str]:
    return dict.fromkeys(FORMATS, verdict)


def a_column(file: PartnerFile, wanted: Callable[[Column], bool], what: str) -> Column:
    """Return a column of the file's own rows, no part of the key if that can be; else say why there is none."""
    found = [column for column in file.table.columns if wanted(column) and "../" not in column.physical_name]
    if not found:
        raise NotApplicableError(f"the contract has no {what}")
    return min(found, key=lambda column: column.key_position is not None)


def is_text(column: Column) -> bool:
    return column.type == "string" and not column.pattern and not column.codes


def is_optional(column: Column) -> bool:
    return column.optional_column and column.identifier is not Identifier.UPRN


def spoilt(file: PartnerFile, column: Column, text: str) -> bytes:
    """Write the file with one text in its second row replaced."""
    return file.with_row(1, **{column.name: text}).written()


def without(file: PartnerFile, column: Column) -> bytes:
    """Write the file without a column."""
    columns = tuple(each for each in file.table.columns if each != column)
    if file.format == "fixed_width":
        start, width = column.start or 1, column.width or 0
        lines = (line[: start - 1] + line[start - 1 + width :] for line in fixed_width_lines(file))
        return "".join(f"{line}\n" for line in lines).encode(file.table.format.encoding)
    fewer = PartnerFile(
        file.contract,
        (type(file.table)(**{**vars(file.table), "columns": columns}), *file.tables[1:]),
        file.rows,
    )
    return fewer.written()


def with_another_column(file: PartnerFile) -> bytes:
    encoding, text = file.table.format.encoding, file.text()
    match file.format:
        case "csv":
            lines = text.splitlines()
            mark = file.table.format.delimiter
            return "\n".join(
                [f"{lines[0]}{mark}canary", *(f"{line}{mark}canary" for line in lines[1:])]
            ).encode(encoding)
        case "jsonl":
            return "\n".join(line[:-1] + ', "canary": "canary"}' for line in json_lines(file)).encode(
                encoding
            )
        case "fixed_width":
            return "\n".join(f"{line} canary" for line in fixed_width_lines(file)).encode(encoding)
        case _:
            end = f"</{file.table.row_element}>"
            return text.replace(end, f"<ShoeSize>canary</ShoeSize>{end}").encode(encoding)


def torn(file: PartnerFile) -> bytes:
    """Tear the second record in two."""
    encoding = file.table.format.encoding
    if file.format == "xml":
        return file.text().replace(f"</{file.table.row_element}>", "", 1).encode(encoding)
    lines = file.text().splitlines()
    at = 2 if file.format == "csv" else 1
    mark = file.table.format.delimiter
    lines[at] = lines[at].rpartition(mark)[0] if file.format == "csv" else lines[at][: len(lines[at]) // 2]
    return "\n".join(lines).encode(encoding)


def truncated(file: PartnerFile) -> bytes:
    """Break off within the last record, as a full disk would."""
    text = file.text().rstrip()
    if file.format == "csv":
        return text.rpartition(file.table.format.delimiter)[0].encode(file.table.format.encoding)
    return text[: -len(text.splitlines()[-1]) // 2 - 3].encode(file.table.format.encoding)


def wrong_encoding(file: PartnerFile) -> bytes:
    column = a_column(file, is_text, "free text column")
    other = "cp1252" if file.table.format.encoding.startswith("utf") else "utf-8"
    text = file.with_row(1, **{column.name: "canary é"[: column.width]})
    return text.text().encode(other)


def with_nul(file: PartnerFile) -> bytes:
    column = a_column(file, is_text, "free text column")
    marked = spoilt(file, column, "canary~~~"[: column.width])
    return marked.replace(b"~", b"\0", 1).replace(b"~", b"y")


def record_twice(file: PartnerFile) -> bytes:
    rows = file.rows[file.table.name]
    return file.with_rows([*rows, rows[1]]).written()


def header_missing(file: PartnerFile) -> bytes:
    return file.text().split("\n", 1)[1].encode(file.table.format.encoding)


def name_twice(file: PartnerFile) -> bytes:
    encoding = file.table.format.encoding
    if file.format == "jsonl":
        lines = json_lines(file)
        name = json.dumps(next(iter(json.loads(lines[1]))))
        lines[1] = lines[1][:-1] + f", {name}: 1}}"
        return "\n".join(lines).encode(encoding)
    mark = file.table.format.delimiter
    lines = file.text().splitlines()
    return "\n".join(
        [lines[0] + mark + lines[0].split(mark)[-1], *(f"{line}{mark}" for line in lines[1:])]
    ).encode(encoding)


def nested(file: PartnerFile) -> bytes:
    encoding = file.table.format.encoding
    if file.format == "jsonl":
        lines = json_lines(file)
        lines[1] = "[" * 200_000
        return "\n".join(lines).encode(encoding)
    deep = "<canary>" * 100 + "</canary>" * 100
    return file.text().replace("</Message>", f"{deep}</Message>").encode(encoding)


def zip_bomb(_: PartnerFile) -> bytes:
    """A zip archive a thousand times as large when it is opened."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("canary.csv", bytes(20 << 20))
    return content.getvalue()


def no_good_row(file: PartnerFile) -> bytes:
    column = a_column(file, lambda each: each.required or each.key_position is not None, "required column")
    return file.with_rows([row | {column.name: ""} for row in file.rows[file.table.name]]).written()


def out_of_range(file: PartnerFile) -> bytes:
    column = a_column(file, lambda each: each.maximum is not None, "range")
    return spoilt(file, column, f"{int(column.maximum or 0) + 1}")


BILLION_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "canary">'
    + "".join(
        f'<!ENTITY {after} "{f"&{before};" * 10}">'
        for before, after in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><m>&i;</m>"
).encode()

FAULTS: dict[str, Fault] = {
    "none": Fault(PartnerFile.written, everywhere(TAKEN)),
    "empty file": Fault(lambda _: b"", everywhere(REFUSED)),
    "truncated": Fault(truncated, {"csv": ONE_ROW, "xml": REFUSED, "fixed_width": ONE_ROW, "jsonl": ONE_ROW}),
    "a record torn in two": Fault(
        torn, {"csv": ONE_ROW, "xml": REFUSED, "fixed_width": ONE_ROW, "jsonl": ONE_ROW}
    ),
    "header missing": Fault(header_missing, {"csv": REFUSED}),
    "required column missing": Fault(
        lambda file: without(file, a_column(file, lambda each: each.required, "required column")),
        everywhere(REFUSED),
    ),
    "optional column missing": Fault(
        lambda file: without(file, a_column(file, is_optional, "optional column")),
        {"csv": REMARK, "xml": TAKEN, "fixed_width": REFUSED, "jsonl": TAKEN},
    ),
    "extra column": Fault(
        with_another_column, {"csv": REMARK, "xml": REMARK, "fixed_width": REFUSED, "jsonl": REMARK}
    ),
    "a name twice": Fault(name_twice, {"csv": REFUSED, "jsonl": ONE_ROW}),
    "UTF-16": Fault(lambda file: file.text().encode("utf-16"), everywhere(REFUSED)),
    "wrong encoding": Fault(wrong_encoding, everywhere(REFUSED)),
    "NUL byte in a record": Fault(
        with_nul, {"csv": ONE_ROW, "xml": REFUSED, "fixed_width": ONE_ROW, "jsonl": ONE_ROW}
    ),
    "binary file": Fault(lambda _: bytes(range(256)) * 8 + bytes(400), everywhere(REFUSED)),
    "PDF": Fault(lambda _: b"%PDF-1.7 canary", everywhere(REFUSED)),
    "zip bomb": Fault(zip_bomb, everywhere(REFUSED)),
    "entity expansion": Fault(lambda _: BILLION_LAUGHS, everywhere(REFUSED)),
    "nested deep": Fault(nested, {"xml": REFUSED, "jsonl": ONE_ROW}),
    "a field of 20,000 characters": Fault(
        lambda file: spoilt(file, a_column(file, is_text, "free text column"), "canary" + "x" * 20_000),
        everywhere(ONE_ROW),
    ),
    "a field of three megabytes": Fault(
        lambda file: spoilt(file, a_column(file, is_text, "free text column"), "canary" + "x" * (3 << 20)),
        {"csv": REFUSED, "xml": ONE_ROW, "fixed_width": REFUSED, "jsonl": REFUSED},
    ),
    "a field of a gigabyte": Fault(PartnerFile.written, everywhere(REFUSED)),
    "the same key twice": Fault(record_twice, everywhere(ONE_ROW)),
    "required value missing": Fault(
        lambda file: spoilt(file, a_column(file, lambda each: each.required, "required column"), ""),
        everywhere(ONE_ROW),
    ),
    "impossible date": Fault(
        lambda file: spoilt(file, a_column(file, lambda each: each.type == "date", "date"), "31022020"),
        everywhere(ONE_ROW),
    ),
    "number in words": Fault(
        lambda file: spoilt(
            file, a_column(file, lambda each: each.type in ("integer", "number"), "number"), "ten"
        ),
        everywhere(ONE_ROW),
    ),
    "out of range": Fault(out_of_range, everywhere(ONE_ROW)),
    "unknown code": Fault(
        lambda file: spoilt(file, a_column(file, lambda each: bool(each.codes), "code list"), "~"),
        everywhere(ONE_ROW),
    ),
    "formula cell": Fault(
        lambda file: spoilt(file, a_column(file, is_text, "free text column"), "=SUM(A1)"),
        everywhere(ONE_ROW),
    ),
    "no good row": Fault(no_good_row, everywhere(REFUSED)),
}


@dataclass(frozen=True)
class Verdict:
    """What became of one file."""

    state: str
    rows: int
    quarantined: int
    told: str


def files() -> dict[str, PartnerFile]:
    """Return a good file of every file of every feed, by feed and first table."""
    return {
        f"{contract.feed}.{file.table.name}": file
        for contract in CONTRACTS.values()
        for file in partner_files(contract)
    }


FILES = files()


@cache
def bad_night(name: str) -> dict[str, Verdict | str]:
    """Check one file with every fault in one pass. Returns verdicts, or why the fault cannot be."""
    file = FILES[name]
    contract, tables = file.contract, file.tables
    outcome: dict[str, Verdict | str] = {}
    deliveries = {}
    load = BatchLoad(contract)
    with TemporaryDirectory() as folder:
        path = Path(folder) / name_of(file.table, date(2024, 5, 6))
        for fault, described in FAULTS.items():
            if file.format not in described.verdicts:
                outcome[fault] = f"no {file.format} file can have it"
                continue
            try:
                path.write_bytes(described.make(file))
            except NotApplicableError as reason:
                outcome[fault] = str(reason)
                continue
            if fault == "a field of a gigabyte":
                # Sparse: a gigabyte to whoever reads it, and nothing on the disk.
                os.truncate(path, GIGABYTE)
            deliveries[fault] = _delivery(fault, file, path)
            try:
                parsed = parse_tables(path, contract, tables)
            except RefusedFileError as refusal:
                load.refused.add(fault)
                load.problems[fault].append(refusal.problem)
                continue
            for table in tables:
                load.parsed[fault, table.name] = parsed[table.name]
                load.problems[fault] += parsed[table.name].remarks
        load.batch = list(deliveries.values())
        for table in tables:
            check_table(load, table)
    for verdict in load.verdicts():
        state = (
            REFUSED
            if verdict.state == "refused"
            else ONE_ROW
            if verdict.rows_quarantined
            else REMARK
            if verdict.problems
            else TAKEN
        )
        told = "\n".join(map(str, verdict.problems)) + repr(verdict.problems)
        outcome[verdict.delivery_id] = Verdict(state, verdict.rows_in, verdict.rows_quarantined, told)
    return outcome


def _delivery(fault: str, file: PartnerFile, path: Path) -> Delivery:
    day = date(2024, 5, 6)
    parts = tuple(DeliveryFile(table.name, path.name, 0, "") for table in file.tables)
    return Delivery(
        file.contract.feed, fault, day, day, "full", "", parts, "registered", None, None, None, None, day
    )


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", FILES)
def test_each_fault_in_each_feed_has_its_verdict_and_no_value_is_told(name: str, fault: str) -> None:
    file, found = FILES[name], bad_night(name)[fault]
    if isinstance(found, str):
        assert found.startswith(("no ", "the contract has no "))
        return
    expected = FAULTS[fault].verdicts[file.format]
    if fault == "empty file" and file.format in ("fixed_width", "jsonl"):
        fewest = max(
            (rule.minimum or 0 for rule in file.table.quality if rule.metric == "rowCount"), default=0
        )
        expected = REFUSED if fewest >= 1 else TAKEN
    if fault == "the same key twice" and any(rule.metric == "duplicateValues" for rule in file.table.quality):
        expected = REFUSED  # This contract says that a repeated key is the delivery's fault, not the row's.
    assert (found.state, found.told) == (expected, found.told)
    assert "canary" not in found.told.casefold()
    if expected == ONE_ROW:
        # One bad record spoils one row of each table that it is in, and no other.
        assert 1 <= found.quarantined <= len(file.tables)
        assert found.rows - found.quarantined >= (ROWS - 1) * len(file.tables)
        assert re.search(r", row \d+", found.told)
    if expected in (REFUSED, ONE_ROW, REMARK):
        assert name_of(file.table, date(2024, 5, 6)) in found.told


def test_every_feed_and_every_format_is_in_the_table() -> None:
    assert {name.split(".")[0] for name in FILES} == set(CONTRACTS)
    assert {file.format for file in FILES.values()} == set(FORMATS)


@pytest.mark.parametrize("name", {file.format: name for name, file in FILES.items()}.values())
def test_a_gigabyte_is_refused_in_little_memory(name: str, tmp_path: Path) -> None:
    file = FILES[name]
    path = tmp_path / name_of(file.table, date(2024, 5, 6))
    path.write_bytes(file.written())
    os.truncate(path, GIGABYTE)
    tracemalloc.start()
    with pytest.raises(RefusedFileError, match="a file holds at most 256 MiB"):
        parse_tables(path, file.contract, file.tables)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 << 20
