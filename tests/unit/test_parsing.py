"""The parsers: what each makes of a file in its format, by a contract written here."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge.files.hostile_files import RefusedFileError
from bridge.files.parsed_file import ParsedFile
from bridge.files.parsing import parse_tables
from governance.contracts import FeedContract, read_contract

CONTRACT = r"""
apiVersion: v3.1.0
kind: DataContract
id: visits
name: visits
version: 1.0.0
status: active
description: {{purpose: Visits.}}
servers:
  - server: inbox
    type: local
    format: {format}
    path: visits
    customProperties: [{{property: encoding, value: {encoding}}}]
schema:
{tables}
slaProperties: [{{property: frequency, value: 31}}, {{property: latency, value: 5}}]
team: [{{username: visits@district.example, role: owner}}]
customProperties:
  - {{property: partner, value: district}}
  - {{property: agreement, value: isa_household_support}}
  - {{property: retentionRule, value: partner_records}}
"""
TABLE = r"""  - name: {name}
    physicalName: 'visits_(?P<delivery_date>\d{{8}})_(?P<kind>full|changes)\.txt'
    physicalType: {row}
    description: One row per visit.
    properties:
{columns}
"""
COLUMN = "      - {{name: {name}, physicalName: '{place}', required: {required}, primaryKey: {key}{custom}}}"

Columns = Mapping[str, Mapping[str, Any]]
Parse = Callable[..., dict[str, ParsedFile]]


def contract_of(
    folder: Path, written: str, encoding: str, tables: Mapping[str, tuple[str, Columns]]
) -> FeedContract:
    """Write a contract with `tables`: row element and columns by name; the first column is the key."""
    described = []
    for name, (row, columns) in tables.items():
        lines = []
        for column, settings in columns.items():
            own = {
                key: value for key, value in settings.items() if key in ("start", "width", "optionalColumn")
            }
            custom = [{"property": key, "value": value} for key, value in own.items()]
            lines.append(
                COLUMN.format(
                    name=column,
                    place=settings.get("place", column),
                    required=str(settings.get("required", False)).lower(),
                    key=str(column == next(iter(columns))).lower(),
                    custom=f", customProperties: {json.dumps(custom)}" if custom else "",
                )
            )
        described.append(TABLE.format(name=name, row=row, columns="\n".join(lines)))
    path = folder / "visits.odcs.yaml"
    path.write_text(
        CONTRACT.format(format=written, encoding=encoding, tables="".join(described)), encoding="utf-8"
    )
    return read_contract(path)


@pytest.fixture
def parse(tmp_path: Path) -> Parse:
    """Parse `content` by a contract of one format."""

    def parsed(
        written: str, tables: Mapping[str, tuple[str, Columns]], content: str | bytes, encoding: str = "utf-8"
    ) -> dict[str, ParsedFile]:
        contract = contract_of(tmp_path, written, encoding, tables)
        path = tmp_path / "visits_20240501_full.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return parse_tables(path, contract, contract.tables)

    return parsed


def values(parsed: ParsedFile, column: str) -> list[Any]:
    return parsed.rows[column].to_pylist()


def rules(parsed: ParsedFile) -> list[tuple[int, str]]:
    return [(row.row_number, row.rule) for row in parsed.unreadable]


LAID_OUT: Columns = {
    "ref": {"start": 1, "width": 4},
    "name": {"start": 5, "width": 6},
    "pounds": {"start": 13, "width": 5},
}


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_fixed_width_columns_are_cut_at_characters_whatever_the_encoding(parse: Parse, encoding: str) -> None:
    content = "A001Zoë     12.50\r\nA002Ann   xx 7.00\r\n"
    found = parse("fixed_width", {"visits": ("", LAID_OUT)}, content, encoding)["visits"]
    assert values(found, "row_number") == [1, 2]
    assert values(found, "ref") == ["A001", "A002"]
    assert values(found, "name") == ["Zoë   ", "Ann   "]
    assert values(found, "pounds") == ["12.50", " 7.00"]


def test_a_fixed_width_line_too_short_or_too_long_is_set_aside_and_the_rest_goes_on(parse: Parse) -> None:
    content = "A001Ann     12.50\n\nA002Bo  12.50\nA003Cy      12.500\nA004Di      12.50"
    found = parse("fixed_width", {"visits": ("", LAID_OUT)}, content)["visits"]
    assert values(found, "row_number") == [1, 5]
    assert rules(found) == [
        (3, "a line has 17 characters; this one has fewer"),
        (4, "a line has 17 characters; this one has more"),
    ]
    assert found.row_count == 4


def test_an_empty_fixed_width_file_has_no_rows_and_the_contract_judges_that(parse: Parse) -> None:
    assert parse("fixed_width", {"visits": ("", LAID_OUT)}, b"")["visits"].row_count == 0


def test_a_nul_byte_in_a_fixed_width_line_spoils_that_line_alone(parse: Parse) -> None:
    content = "A001Ann     12.50\n" * 9 + "A002B\0b     12.50\n"
    found = parse("fixed_width", {"visits": ("", LAID_OUT)}, content)["visits"]
    assert rules(found) == [(10, "no NUL bytes in a field")]
    assert found.rows.num_rows == 9


NESTED: Columns = {
    "ref": {"required": True},
    "surname": {"place": "person/family name"},
    "pounds": {},
    "met": {},
    "phone": {"optionalColumn": True},
}
LINE = (
    '{"ref": "A1", "person": {"family name": "Quick\\"fall"}, "pounds": 12.5, "met": true, "phone": null}\n'
)


def test_json_lines_are_read_by_paths_and_numbers_as_text(parse: Parse) -> None:
    content = LINE + '{"ref": 17, "pounds": "12.50"}\n'
    found = parse("jsonl", {"visits": ("", NESTED)}, content)["visits"]
    assert values(found, "ref") == ["A1", "17"]
    assert values(found, "surname") == ['Quick"fall', None]
    assert values(found, "pounds") == ["12.5", "12.50"]
    assert values(found, "met") == ["true", None]
    assert (found.unreadable, found.remarks, found.absent_columns) == ((), (), ())


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ('{"ref": "A2", "pounds": 1', "a line holds one whole JSON object"),
        ("[1, 2]", "a line holds one whole JSON object"),
        ('{"ref": "A2"} {"ref": "A3"}', "a line holds one whole JSON object"),
        ('{"ref": ["A2", "A3"]}', "a field holds one value"),
        ('{"ref": "A2", "person": {"family name": {"first": "Q"}}}', "a field holds one value"),
        ('{"ref": "A2", "ref": "A3"}', "a name stands once in an object"),
        (
            '{"ref": "A2", "person": {"family name": "Q", "family name": "R"}}',
            "a name stands once in an object",
        ),
        ('{"ref": "A\\u00002"}', "no NUL bytes in a field"),
        ('{"ref": "A\\ud800"}', "a line holds one whole JSON object"),
        (json.dumps({"ref": "x" * 20_000}), "a field holds at most 10000 characters"),
        ("[" * 500_000, "a line holds one whole JSON object"),
        ('{"ref": ' * 50_000 + "1" + "}" * 50_000, "a field holds one value"),
    ],
    ids=lambda text: str(text)[:20],
)
def test_a_broken_json_line_is_set_aside_by_its_number_and_the_rest_goes_on(
    parse: Parse, line: str, rule: str
) -> None:
    found = parse("jsonl", {"visits": ("", NESTED)}, LINE + line + "\n" + LINE)["visits"]
    assert values(found, "row_number") == [1, 3]
    assert [(number, text.startswith(rule)) for number, text in rules(found)] == [(2, True)]


def test_a_json_name_that_the_contract_does_not_have_is_told_by_its_place_alone(parse: Parse) -> None:
    content = LINE + '{"ref": "A2", "ZEBRA": 1, "person": {"family name": "Q", "CANARY": {"x": 1}}}\n'
    found = parse("jsonl", {"visits": ("", NESTED)}, content)["visits"]
    told = [str(remark) for remark in found.remarks]
    assert [text.split(": ")[1].split(" in this row")[0] for text in told] == [
        "name number 2",
        "name number 2 of person",
    ]
    assert found.new_columns == 2
    assert not [text for text in told if "ZEBRA" in text or "CANARY" in text]


def test_json_lines_without_a_required_column_are_refused_and_without_an_optional_one_taken(
    parse: Parse,
) -> None:
    with pytest.raises(RefusedFileError, match="column ref is missing: no line has ref"):
        parse("jsonl", {"visits": ("", NESTED)}, '{"pounds": 1}\n')
    assert parse("jsonl", {"visits": ("", NESTED)}, '{"ref": 1}\n')["visits"].absent_columns == ("phone",)


def test_a_json_document_that_is_no_json_lines_is_refused(parse: Parse) -> None:
    with pytest.raises(RefusedFileError, match="not JSON lines"):
        parse("jsonl", {"visits": ("", NESTED)}, json.dumps([{"ref": 1}], indent=1))


CHILDREN: tuple[str, Columns] = (
    "Child",
    {
        "id": {"place": "Ids/Id", "required": True},
        "born": {"place": "Ids/Born"},
        "needs": {"place": "Needs/Code"},
    },
)
EPISODES: tuple[str, Columns] = (
    "Episode",
    {
        "id": {"place": "../Ids/Id"},
        "kind": {"place": "@kind"},
        "began": {"place": "Began"},
        "year": {"place": "../../../Header/Year"},
        "ended": {"place": "../Closed"},
    },
)
FAMILIES = """<?xml version="1.0" encoding="utf-8"?>
<Message xmlns="urn:x"><Header><Year>2024</Year></Header><Children>
 <Child><Ids><Id>C1</Id><Born>2010-01-02</Born></Ids>
   <Needs><Code>N1</Code><Code>N3</Code></Needs>
   <Episode kind="A"><Began>2024-01-01</Began></Episode>
   <Episode kind='B &amp; C'><Began/></Episode><Closed>2025-01-01</Closed></Child>
 <Child><!-- <Child> --><Ids><Id><![CDATA[C<2>]]></Id></Ids><Note>&#x5A;&lt;</Note></Child>
</Children></Message>"""


def test_xml_rows_reach_up_down_and_to_attributes_and_repeated_elements_are_joined(parse: Parse) -> None:
    found = parse("xml", {"children": CHILDREN, "episodes": EPISODES}, FAMILIES)
    children, episodes = found["children"], found["episodes"]
    assert values(children, "id") == ["C1", "C<2>"]
    assert values(children, "born") == ["2010-01-02", None]
    assert values(children, "needs") == ["N1;N3", None]
    assert values(episodes, "id") == ["C1", "C1"]
    assert values(episodes, "kind") == ["A", "B & C"]
    assert values(episodes, "began") == ["2024-01-01", ""]
    assert values(episodes, "year") == ["2024", "2024"]
    assert values(episodes, "ended") == ["2025-01-01", "2025-01-01"]


def test_xml_that_no_table_reads_is_reported_once(parse: Parse) -> None:
    found = parse("xml", {"children": CHILDREN, "episodes": EPISODES}, FAMILIES)
    assert [str(remark).split(": ")[1] for remark in found["children"].remarks] == [
        "element Note is not in the contract and was dropped. Leave it out of the export, or describe it in "
        "visits.odcs.yaml."
    ]
    assert found["episodes"].remarks == ()


def test_a_row_element_inside_another_is_no_row_of_its_own(parse: Parse) -> None:
    content = "<M><Child><Ids><Id>1</Id></Ids><Child><Ids><Id>2</Id></Ids></Child></Child></M>"
    assert values(parse("xml", {"children": CHILDREN}, content)["children"], "id") == ["1"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<M><Child></M>", "not well-formed XML: it breaks off or goes wrong at line 1"),
        ("<M>&zebra;</M>", "not well-formed XML"),
        ('<!DOCTYPE M [<!ENTITY a "b">]><M>&a;</M>', "DOCTYPE is not read"),
        ("<a>" * 70 + "</a>" * 70, "nested more than 64 deep"),
        (
            "<M>" + "".join(f"<a{number}/>" for number in range(6000)) + "</M>",
            "more than 5000 different elements",
        ),
        ('<M><Child a=">"/></M>', "an attribute holds a >"),
    ],
    ids=["torn", "entity", "doctype", "deep", "many names", "attribute"],
)
def test_xml_that_no_honest_export_writes_is_refused(parse: Parse, content: str, reason: str) -> None:
    with pytest.raises(RefusedFileError, match=reason):
        parse("xml", {"children": CHILDREN}, content)


def test_xml_in_an_8_bit_encoding_is_read_by_the_contract_whatever_the_file_says(parse: Parse) -> None:
    content = '<?xml version="1.0" encoding="utf-16"?><M><Child><Ids><Id>Zoë</Id></Ids></Child></M>'
    found = parse("xml", {"children": CHILDREN}, content, "cp1252")
    assert values(found["children"], "id") == ["Zoë"]


def test_a_csv_without_an_optional_column_is_taken_with_a_remark(parse: Parse) -> None:
    columns: Columns = {"ref": {}, "phone": {"optionalColumn": True}}
    found = parse("csv", {"visits": ("", columns)}, "ref,shoe_size\nA1,44\n")["visits"]
    assert (found.absent_columns, found.new_columns) == (("phone",), 1)
    assert "column phone is missing; it is optional" in str(found.remarks[1])
    assert values(found, "phone") == [None]


def test_a_large_torn_xml_file_is_refused_in_little_memory(tmp_path: Path) -> None:
    contract = contract_of(tmp_path, "xml", "utf-8", {"children": CHILDREN})
    path = tmp_path / "visits_20240501_full.txt"
    child = "<Child><Ids><Id>C1</Id></Ids><Note>" + "x" * 900 + "</Note></Child>\n"
    path.write_text("<M>" + child * 60_000 + "<Child>", encoding="utf-8")
    tracemalloc.start()
    with pytest.raises(RefusedFileError, match="after 60000 whole Child elements"):
        parse_tables(path, contract, contract.tables)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 50 << 20
    assert peak < 10 << 20
