"""A first contract and staging model from a sample file: dialect, types, keys, codes, likely identifiers.

A draft says what a file looks like, not what it means: a person reads it before it is used. It holds no value of
the sample but short codes that stand in many rows, and never one of a column that may identify somebody.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from lxml import etree

from bridge.files.problems import NoSuchFileError
from governance.contracts import CSV, FIXED_WIDTH, JSONL, XML, FeedContract, Identifier, Leaves, read_contract
from stores.files import written_atomically

# Enough to see a type by; a sample need not be a year's file.
SAMPLE_BYTES = 32 << 20
SAMPLE_ROWS = 50_000
# A code stands in many rows and there are few of them. What fewer people have may point at one of them.
MOST_CODES = 12
FEWEST_ROWS_OF_A_CODE = 8
CODE = re.compile(r"[A-Z0-9][A-Z0-9_+/-]{0,19}")
DELIMITERS = ",;|\t"
# A field may be wrong now and then: this share of the filled ones decides what a column is.
NEARLY_ALL = 0.98
# A date of birth is often typed in by hand: what cannot be read goes to quarantine, and the column stays one.
MOST = 0.8
BIRTH = re.compile(r"dob|birth|born")
OPEN_ENDED_YEARS = (2099, 9999)

DATE_FORMATS = (
    *("%Y-%m-%d", "%d/%m/%Y", "%d-%b-%Y", "%d.%m.%Y", "%Y%m%d", "%d-%m-%Y", "%d %b %Y", "%Y/%m/%d"),
    *("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M", "%d %B %Y"),
)
INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,17})")
NUMBER = re.compile(r"[+-]?£?(\d{1,15}|\d{1,3}(,\d{3}){1,4})(\.\d{1,10})?")
LEADING_ZERO = re.compile(r"0\d+")
BOOLEAN = frozenset({"true", "false"})

# What a column is called when it holds an identifier, most telling first.
NAMES: Sequence[tuple[Identifier, str]] = (
    (Identifier.NINO, r"nino|ni_?no|ni_?num|national_?ins"),
    (Identifier.NHS_NUMBER, r"nhs"),
    (Identifier.UPN, r"(^|_)upn(_|$)|pupil_?number"),
    (Identifier.PARENT_UPRN, r"parent.*uprn"),
    (Identifier.UPRN, r"uprn"),
    (Identifier.DATE_OF_BIRTH, BIRTH.pattern),
    (Identifier.FORWARDING_POSTCODE, r"(forw|for_|new_).*post_?code"),
    (Identifier.POSTCODE, r"post_?code|pcode"),
    (Identifier.EMAIL, r"e_?mail"),
    (Identifier.PHONE, r"phone|mobile|(^|_)tel(_|$)"),
    (Identifier.FORWARDING_ADDRESS, r"(forw|for_|new_).*addr"),
    (Identifier.ADDRESS, r"addr|street|town|locality|house_?(no|num|name)"),
    (Identifier.MIDDLE_NAME, r"middle|other_?name"),
    (Identifier.FORENAME, r"fore_?name|first_?name|given"),
    (Identifier.SURNAME, r"sur_?name|last_?name|family_?name"),
    (
        Identifier.PARTNER_PERSON_REFERENCE,
        r"(person|party|client|customer|pupil|child|applicant)_?(ref|id|no)",
    ),
    (Identifier.FULL_NAME, r"name|tenant|applicant|claimant|pupil$|resident|elector"),
)
# Marks and codes about a person, and other dates than that of birth.
NO_IDENTIFIER = re.compile(r"_(ind|code|flag|type|role|status|count)$|(?<!birth)_date$")
# What the values look like, whatever the column is called.
SHAPES: Sequence[tuple[Identifier, re.Pattern[str]]] = (
    (Identifier.NINO, re.compile(r"[A-Za-z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-Da-d]?")),
    (Identifier.UPN, re.compile(r"[A-Z]\d{11}[A-Z0-9]")),
    (Identifier.POSTCODE, re.compile(r"[A-Za-z]{1,2}\d[A-Za-z0-9]? ?\d[A-Za-z]{2}")),
    (Identifier.EMAIL, re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")),
    (Identifier.PHONE, re.compile(r"(\+44|0)[\d ]{9,13}")),
)
# Free text, and what the law protects: such a column gets no codes, since it should not leave.
SENSITIVE = re.compile(r"note|comment|text|detail|ethnic|disab|relig|gender|sex|health|title", re.IGNORECASE)


@dataclass(frozen=True)
class SampleColumn:
    """One column of a sample: where it stands in the file, and its texts, None where it is empty."""

    physical_name: str
    texts: Sequence[str | None]
    start: int | None = None
    width: int | None = None


@dataclass(frozen=True)
class Sample:
    """A sample taken apart: how it is written, its row element if it is XML, and its columns."""

    format: str
    encoding: str
    delimiter: str
    row_element: str | None
    columns: tuple[SampleColumn, ...]


@dataclass(frozen=True)
class Draft:
    """What was written, and how many columns, codes and likely identifiers the contract names."""

    contract: FeedContract
    contract_path: Path
    model_paths: tuple[Path, ...]
    rows: int
    identifiers: tuple[str, ...]
    codes: tuple[str, ...]


def draft_feed(
    sample: Path, feed: str, folder: Path, *, table: str = "records", partner: str = "district"
) -> Draft:
    """Write a contract, a staging model and its properties for `feed` under `folder`, from the file `sample`.

    Raises `NoSuchFileError` for a file that cannot be made out or a feed that is there already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", feed):
        raise NoSuchFileError(f"{feed}: a feed's name is lower case letters, digits and _. Choose another.")
    models = folder / "dbt_project" / "models" / "staging"
    paths = {
        "contract": folder / "contracts" / "feeds" / f"{feed}.odcs.yaml",
        "model": models / f"stg_{feed}__{table}.sql",
        "properties": models / f"stg_{feed}__{table}.yml",
    }
    for path in paths.values():
        if path.exists():
            raise NoSuchFileError(f"{path.name}: is there already. Take it away, or choose another --feed.")
    read = read_sample(sample)
    described = [_Described.of(column, len(column.texts)) for column in read.columns]
    if read.format == FIXED_WIDTH:
        # Nobody said what the columns are: what looks like a code may be a name.
        for each in described:
            each.codes = ()
    _name_apart(described)
    _choose_key(described)
    _keep_zeros(described)
    _write(paths["contract"], _contract_text(feed, table, partner, read, described))
    contract = read_contract(paths["contract"])
    _write(paths["model"], _model_text(contract, table))
    _write(paths["properties"], _properties_text(contract, table))
    return Draft(
        contract=contract,
        contract_path=paths["contract"],
        model_paths=(paths["model"], paths["properties"]),
        rows=len(read.columns[0].texts),
        identifiers=tuple(each.name for each in described if each.identifier),
        codes=tuple(each.name for each in described if each.codes),
    )


def read_sample(path: Path) -> Sample:
    """Take the beginning of a file apart in whichever format it is written. Raises `NoSuchFileError`."""
    if not path.is_file():
        raise NoSuchFileError(f"{path}: there is no such file. Check the path.")
    if path.stat().st_size > SAMPLE_BYTES:
        raise NoSuchFileError(
            f"{path.name}: a sample has at most {SAMPLE_BYTES >> 20} MiB. Cut it off at a whole row."
        )
    content = path.read_bytes()
    encoding = _encoding(content, path.name)
    text = content.decode(encoding).lstrip("\ufeff")
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise NoSuchFileError(f"{path.name}: the file is empty. Draft from one with some hundred rows.")
    if lines[0].lstrip().startswith("<"):
        return _read_xml(text, encoding, path.name)
    if all(line.lstrip().startswith("{") for line in lines[:20]):
        return _read_json(lines, encoding, path.name)
    delimiter = _delimiter(lines)
    if delimiter:
        return _read_csv(text, encoding, delimiter, path.name)
    if len(lines) > 1 and len({len(line) for line in lines}) == 1:
        return _read_fixed_width(lines, encoding)
    raise NoSuchFileError(
        f"{path.name}: neither CSV, JSON lines, XML nor lines of equal length. Export it in one of these."
    )


def _encoding(content: bytes, name: str) -> str:
    if b"\0" in content:
        raise NoSuchFileError(
            f"{name}: holds NUL bytes, so a binary file or UTF-16. Export it as UTF-8 text."
        )
    if content.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    for encoding in ("utf-8", "cp1252"):
        try:
            content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    raise NoSuchFileError(f"{name}: neither UTF-8 nor cp1252. Export it as UTF-8.")


def _delimiter(lines: Sequence[str]) -> str | None:
    """Return the character that stands equally often in the first lines, and most often."""
    counts = {
        mark: [len(next(csv.reader([line], delimiter=mark), [])) for line in lines[:50]]
        for mark in DELIMITERS
    }
    steady = {mark: found[0] for mark, found in counts.items() if found[0] > 1 and len(set(found)) == 1}
    return max(steady, key=lambda mark: steady[mark]) if steady else None


def _read_csv(text: str, encoding: str, delimiter: str, name: str) -> Sample:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = next(rows)
    body = [row for row in rows if len(row) == len(header)][:SAMPLE_ROWS]
    columns = [[row[place] for row in body] for place in range(len(header))]
    # The header's words go into the draft; a record in its place must not.
    if not all(_may_be_a_heading(word, texts) for word, texts in zip(header, columns, strict=True)):
        raise NoSuchFileError(
            f"{name}: the first row is no header: a field in it is empty, twice there, or looks like a value. "
            "Export the file with its column names in the first row."
        )
    if len(set(header)) < len(header):
        raise NoSuchFileError(f"{name}: a column name stands twice in the header. Leave one of them out.")
    found = tuple(SampleColumn(word, _filled(texts)) for word, texts in zip(header, columns, strict=True))
    return Sample(CSV, encoding, delimiter, None, found)


def _may_be_a_heading(word: str, texts: Sequence[str]) -> bool:
    if not re.fullmatch(r"[^\W\d][\w .()/£%-]{0,60}", word) or word in texts:
        return False
    return not any(shape.fullmatch(word) for _, shape in SHAPES)


def _read_json(lines: Sequence[str], encoding: str, name: str) -> Sample:
    rows: list[dict[str, str | None]] = []
    for line in lines[:SAMPLE_ROWS]:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            rows.append(dict(_leaves(record, "")))
    if not rows:
        raise NoSuchFileError(f"{name}: no line holds a whole JSON object. Export one object a line.")
    return Sample(JSONL, encoding, ",", None, _columns_of(rows))


def _leaves(record: Mapping[str, Any], above: str) -> Iterator[tuple[str, str | None]]:
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}/")
        elif isinstance(value, bool):
            yield f"{above}{key}", str(value).lower()
        elif not isinstance(value, list):
            yield f"{above}{key}", None if value is None or value == "" else str(value)


def _read_xml(text: str, encoding: str, name: str) -> Sample:
    """Take as rows the element that stands most often beside its like and has children."""
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, remove_comments=True)
    if "<!DOCTYPE" in text:
        raise NoSuchFileError(f"{name}: XML with a DOCTYPE is not read. Export it without one.")
    try:
        root = etree.fromstring(
            text.encode("utf-8").split(b"?>", 1)[-1] if text.startswith("<?") else text.encode(), parser
        )
    except etree.XMLSyntaxError:
        raise NoSuchFileError(f"{name}: not well-formed XML. Export the whole file again.") from None
    parents = Counter(_local(element) for element in root.iter() if len(element) and element is not root)
    if not parents:
        raise NoSuchFileError(f"{name}: no element in it has children, so there are no rows. Export records.")
    row = parents.most_common(1)[0][0]
    rows = [dict(_elements(element, "")) for element in root.iter() if _local(element) == row]
    return Sample(XML, encoding, ",", row, _columns_of(rows[:SAMPLE_ROWS]))


def _elements(element: Any, above: str) -> Iterator[tuple[str, str | None]]:
    for child in element:
        place = f"{above}{_local(child)}"
        if len(child):
            yield from _elements(child, f"{place}/")
        else:
            yield place, (child.text or "").strip() or None


def _local(element: Any) -> str:
    return str(etree.QName(element).localname)


def _columns_of(rows: Sequence[Mapping[str, str | None]]) -> tuple[SampleColumn, ...]:
    places = dict.fromkeys(place for row in rows for place in row)
    return tuple(SampleColumn(place, [row.get(place) for row in rows]) for place in places)


def _read_fixed_width(lines: Sequence[str], encoding: str) -> Sample:
    """Cut lines where every one has a blank. Columns that touch each other cannot be told apart: a person must."""
    lines = lines[:SAMPLE_ROWS]
    width = len(lines[0])
    blank = [all(line[place] == " " for line in lines) for place in range(width)]
    starts = [place for place in range(width) if not blank[place] and (place == 0 or blank[place - 1])]
    columns = []
    for number, start in enumerate(starts, start=1):
        # A column's blanks belong to it, up to where the next one begins.
        end = starts[number] if number < len(starts) else width
        begin = 0 if number == 1 else start
        texts = _filled([line[begin:end] for line in lines])
        columns.append(SampleColumn(f"column_{number}", texts, begin + 1, end - begin))
    return Sample(FIXED_WIDTH, encoding, ",", None, tuple(columns))


def _filled(texts: Sequence[str]) -> list[str | None]:
    return [text.strip() or None for text in texts]


@dataclass
class _Described:
    """What a draft says of one column. No text of the sample is kept but the codes."""

    column: SampleColumn
    name: str
    type: str
    date_formats: tuple[str, ...]
    open_ended: str | None
    required: bool
    distinct: int
    identifier: Identifier | None
    codes: tuple[str, ...]
    key_position: int | None = None

    @classmethod
    def of(cls, column: SampleColumn, rows: int) -> _Described:
        filled = [text for text in column.texts if text is not None]
        name = _column_name(column.physical_name)
        kind, formats, open_ended = _type(filled, MOST if BIRTH.search(name) else NEARLY_ALL)
        identifier = _identifier(name, filled, kind)
        if identifier is not None and identifier is not Identifier.DATE_OF_BIRTH:
            kind = "string"
        return cls(
            column=column,
            name=name,
            type=kind,
            date_formats=formats if kind == "date" else (),
            open_ended=open_ended if kind == "date" else None,
            required=bool(filled) and len(filled) == rows,
            distinct=len(set(filled)),
            identifier=identifier,
            codes=_codes(name, filled) if identifier is None and kind == "string" else (),
        )

    @property
    def leaves(self) -> Leaves | None:
        """Only what surely may: a person adds the rest."""
        if self.key_position is not None and self.identifier is None:
            # A position among few may leave as it is; a number of the partner's own is somebody's.
            return Leaves.AS_IS if self.type == "date" or self.distinct <= MOST_CODES else Leaves.REFERENCE
        match self.identifier:
            case Identifier.DATE_OF_BIRTH:
                return Leaves.YEAR if self.type == "date" else None
            case Identifier.UPRN:
                return Leaves.PROPERTY
            case None:
                return Leaves.AS_IS if self.codes else None
            case _:
                return None


def _column_name(place: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", place.split("/")[-1])
    name = re.sub(r"[^0-9a-z]+", "_", words.lower()).strip("_")
    return name if re.match(r"[a-z]", name) else f"column_{name}"


def _name_apart(described: Sequence[_Described]) -> None:
    """Give columns of the same name the name of what stands above them, then a number."""
    for repeated in [name for name, count in Counter(each.name for each in described).items() if count > 1]:
        for each in [each for each in described if each.name == repeated]:
            each.name = _column_name(each.column.physical_name.replace("/", "_"))
    taken: Counter[str] = Counter()
    for each in described:
        taken[each.name] += 1
        if taken[each.name] > 1:
            each.name = f"{each.name}_{taken[each.name]}"


def _type(filled: Sequence[str], dates_wanted: float) -> tuple[str, tuple[str, ...], str | None]:
    """Return the type of a column, the formats of its dates, and the text that means "until further notice"."""
    if not filled:
        return "string", (), None
    formats = _date_formats(filled, dates_wanted)
    if formats:
        return "date", formats, _open_ended(filled, formats)
    if _share(filled, lambda text: text.lower() in BOOLEAN) >= NEARLY_ALL:
        return "boolean", (), None
    if _share(filled, INTEGER.fullmatch) >= NEARLY_ALL:
        return "integer", (), None
    if _share(filled, NUMBER.fullmatch) >= NEARLY_ALL and not any(
        LEADING_ZERO.fullmatch(text) for text in filled
    ):
        return "number", (), None
    return "string", (), None


def _date_formats(filled: Sequence[str], wanted: float) -> tuple[str, ...]:
    """Return the fewest formats that read the `wanted` share of the texts, the commonest first; none if none do."""
    waiting, chosen = list(filled), []
    while len(waiting) > (1 - wanted) * len(filled):
        read = {form: sum(_is_date(text, form) for text in waiting) for form in DATE_FORMATS}
        best = max(read, key=lambda form: read[form])
        if not read[best]:
            return ()
        chosen.append(best)
        waiting = [text for text in waiting if not _is_date(text, best)]
    return tuple(chosen)


def _is_date(text: str, form: str) -> bool:
    try:
        read = datetime.strptime(text, form)
    except ValueError:
        return False
    return 1850 <= read.year <= 2199 or read.year in OPEN_ENDED_YEARS


def _open_ended(filled: Sequence[str], formats: Sequence[str]) -> str | None:
    last_days = {datetime(year, 12, 31).strftime(form) for year in OPEN_ENDED_YEARS for form in formats}
    counted = Counter(text for text in filled if text in last_days)
    return counted.most_common(1)[0][0] if counted else None


def _identifier(name: str, filled: Sequence[str], kind: str) -> Identifier | None:
    for identifier, pattern in NAMES:
        if re.search(pattern, name) and not NO_IDENTIFIER.search(name):
            if identifier is Identifier.DATE_OF_BIRTH and kind != "date" and filled:
                continue
            return identifier
    for identifier, shape in SHAPES:
        if filled and _share(filled, shape.fullmatch) >= 0.8:
            return identifier
    return None


def _codes(name: str, filled: Sequence[str]) -> tuple[str, ...]:
    counted = Counter(filled)
    is_code = len(counted) <= MOST_CODES and all(
        count >= FEWEST_ROWS_OF_A_CODE and CODE.fullmatch(text) for text, count in counted.items()
    )
    return tuple(sorted(counted)) if counted and is_code and not SENSITIVE.search(name) else ()


def _share(texts: Sequence[str], is_so: Any) -> float:
    return sum(1 for text in texts if is_so(text)) / len(texts)


def _choose_key(described: Sequence[_Described]) -> None:
    """Mark the first column that tells all rows apart, or the first pair that does, or for want of it the first."""
    rows = len(described[0].column.texts)
    able = [each for each in described if each.required and each.type in ("string", "integer", "date")]
    able.sort(key=lambda each: each.identifier is not None)
    for each in able:
        if each.distinct == rows:
            each.key_position = 1
            return
    for place, first in enumerate(able):
        for second in able[place + 1 :]:
            if len(set(zip(first.column.texts, second.column.texts, strict=True))) == rows:
                first.key_position, second.key_position = 1, 2
                return
    described[0].key_position = 1


def _keep_zeros(described: Sequence[_Described]) -> None:
    """A reference is text, however it looks: the zeros in front of it belong to it."""
    for each in described:
        if each.leaves is Leaves.REFERENCE:
            each.type = "string"


HEADER = """\
# A draft, made from a sample by `doorstep feeds new`. Read it before it is used:
# - partner, owner, agreement, retention rule, frequency and latency are placeholders;
# - identifiers were guessed from names and shapes: see that none is missing;
# - a column without `leaves` stays with the council; add it only where the agreement names the column;
# - codes are those of the sample: add the others that the partner's system has.
"""
EXTENSIONS = {CSV: "csv", FIXED_WIDTH: "txt", JSONL: "jsonl", XML: "xml"}


def _contract_text(feed: str, table: str, partner: str, read: Sample, described: Sequence[_Described]) -> str:
    formats = dict.fromkeys(form for each in described for form in each.date_formats)
    open_ended = next((each.open_ended for each in described if each.open_ended), None)
    server: dict[str, Any] = {"encoding": read.encoding}
    if read.format == CSV:
        server["delimiter"] = read.delimiter
    server["dateFormats"] = list(formats) or ["%Y-%m-%d"]
    if open_ended:
        server["openEndedDate"] = open_ended
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": feed,
        "name": feed,
        "version": "0.1.0",
        "status": "draft",
        "description": {"purpose": "To be written: what the council uses this feed for."},
        "servers": [
            {
                "server": "inbox",
                "type": "local",
                "format": read.format,
                "path": feed,
                "customProperties": _properties(server),
            }
        ],
        "schema": [
            {
                "name": table,
                "physicalName": rf"{feed}_{table}_(?P<delivery_date>\d{{8}})_(?P<kind>full|changes)\."
                + EXTENSIONS[read.format],
                **({"physicalType": read.row_element} if read.row_element else {}),
                "description": f"One row per row of {table}.",
                "properties": [_property(each) for each in described],
                "quality": [
                    {
                        "type": "library",
                        "metric": "rowCount",
                        "mustBeGreaterOrEqualTo": 1,
                        "severity": "error",
                        "description": "A delivery holds at least one row.",
                    }
                ],
            }
        ],
        "slaProperties": [
            {"property": "frequency", "value": 31, "unit": "d"},
            {"property": "latency", "value": 5, "unit": "d"},
        ],
        "team": [{"username": f"{feed}@{partner}.example", "role": "owner"}],
        "customProperties": _properties(
            {
                "partner": partner,
                "agreement": "isa_household_support",
                "retentionRule": "partner_records",
                "maximumQuarantinedShare": 0.05,
            }
        ),
    }
    return HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def _property(each: _Described) -> dict[str, Any]:
    custom: dict[str, Any] = {}
    if each.column.start is not None:
        custom |= {"start": each.column.start, "width": each.column.width}
    if each.identifier is not None:
        custom["identifier"] = str(each.identifier)
    if each.leaves is not None:
        custom["leaves"] = str(each.leaves)
    if each.codes:
        custom["codes"] = list(each.codes)
    return {
        "name": each.name,
        **({"physicalName": each.column.physical_name} if each.column.physical_name != each.name else {}),
        "logicalType": each.type,
        "required": each.required,
        **({"primaryKey": True, "primaryKeyPosition": each.key_position} if each.key_position else {}),
        "description": "To be written.",
        **({"customProperties": _properties(custom)} if custom else {}),
    }


def _properties(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in settings.items()]


VERSIONED = ("delivery_id", "delivery_date", "received_date", "superseded_on")


def _model_text(contract: FeedContract, table: str) -> str:
    names = [*contract.table(table).payload_schema.names, *VERSIONED]
    selected = "".join(f"    {name},\n" for name in names)
    return f"""\
with

versions as (
    select * from {{{{ source('records', '{contract.feed}__{table}') }}}}
),

deliveries as (
    select * from {{{{ source('records', 'deliveries') }}}}
),

known as (
    {{{{ known_versions('versions', 'deliveries', '{contract.feed}') | indent(4) }}}}
)

select
{selected}from known
"""


def _properties_text(contract: FeedContract, table: str) -> str:
    names = [*contract.table(table).payload_schema.names, *VERSIONED]
    model = {
        "name": f"stg_{contract.feed}__{table}",
        "description": f"One row per version of a record of {contract.feed} {table}.",
        "data_tests": [{"primary_key": {"arguments": {"columns": ["record_ref", "delivery_id"]}}}],
        "columns": [{"name": name, "description": "To be written."} for name in names],
    }
    return yaml.safe_dump({"models": [model]}, sort_keys=False, width=110)


def _write(path: Path, text: str) -> None:
    with written_atomically(path, mode=0o644) as aside:
        aside.write_text(text, encoding="utf-8")
