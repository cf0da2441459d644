"""Feed contracts: typed reading of the Open Data Contract Standard (ODCS v3) files in `contracts/feeds/`.

The YAML is validated by the `open-data-contract-standard` package; this module turns it into the few frozen types that
the loader, the GX suites, pseudonymisation, the dbt sources and the Dagster assets are made from. Doorstep's own
settings ride in `customProperties`, as the standard intends; `docs/contracts.md` lists them.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import yaml
from open_data_contract_standard.model import (
    CustomProperty,
    DataQuality,
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
    Server,
)

from governance.project import project_folder

Choice = TypeVar("Choice", bound=StrEnum)
Value = TypeVar("Value")

CONTRACTS_FOLDER = project_folder() / "contracts"


class ContractError(ValueError):
    """A contract file breaks the standard or Doorstep's own rules; the message names file, place and remedy."""


class Identifier(StrEnum):
    """Which personal identifier a column holds. Only these ever reach the vault and the link keys."""

    FORENAME = "forename"
    MIDDLE_NAME = "middle_name"
    SURNAME = "surname"
    FULL_NAME = "full_name"
    DATE_OF_BIRTH = "date_of_birth"
    NINO = "nino"
    NHS_NUMBER = "nhs_number"
    UPN = "upn"
    PHONE = "phone"
    EMAIL = "email"
    PARTNER_PERSON_REFERENCE = "partner_person_reference"
    UPRN = "uprn"
    PARENT_UPRN = "parent_uprn"
    ADDRESS = "address"
    POSTCODE = "postcode"
    FORWARDING_ADDRESS = "forwarding_address"
    FORWARDING_POSTCODE = "forwarding_postcode"


class Leaves(StrEnum):
    """How a column leaves the council. A column without it stays."""

    AS_IS = "as_is"
    YEAR = "year"
    PROPERTY = "property"
    REFERENCE = "reference"


LOGICAL_TYPES: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "boolean": pa.bool_(),
}

CSV, FIXED_WIDTH, JSONL, XML = "csv", "fixed_width", "jsonl", "xml"
FORMATS = (CSV, FIXED_WIDTH, JSONL, XML)

# In the path of an XML column: one element up from the row element.
PARENT_STEP = "../"

# What the bridge adds to the columns of a file, and what a payload row carries about its delivery.
TAKEN_NAMES = frozenset({"delivery_id", "row_number"})
TAKEN_PAYLOAD_NAMES = frozenset({"record_ref", "delivery_id", "delivery_date", "received_date", "kind"})

# A schema object with this setting has no file: the bridge makes its rows from the table that it names.
DERIVED_FROM = "derivedFrom"
NO_FILE = re.compile(r"(?!)")

PERSON_IDENTIFIERS = frozenset({Identifier.SURNAME, Identifier.FULL_NAME})


@dataclass(frozen=True)
class FileFormat:
    """How a partner writes a file: one server of the contract."""

    format: str
    encoding: str
    delimiter: str
    date_formats: tuple[str, ...]
    open_ended_date: str | None


@dataclass(frozen=True)
class Column:
    """One column of a feed table. `start` (from 1) and `width` count characters, in fixed width files alone."""

    name: str
    physical_name: str
    type: str
    required: bool
    key_position: int | None
    optional_column: bool
    pattern: str | None
    minimum: float | None
    maximum: float | None
    codes: tuple[str, ...]
    identifier: Identifier | None
    leaves: Leaves | None
    description: str
    start: int | None = None
    width: int | None = None

    @property
    def payload_name(self) -> str:
        """Name in the payload: lower case; `<name>_year` and `<name>_ref` where the value is coarsened or replaced."""
        base = self.name.lower()
        match self.leaves:
            case Leaves.YEAR:
                return "year_of_birth" if self.identifier is Identifier.DATE_OF_BIRTH else f"{base}_year"
            case Leaves.PROPERTY:
                return "parent_property_ref" if self.identifier is Identifier.PARENT_UPRN else "property_ref"
            case Leaves.REFERENCE:
                return base if base.endswith(("_ref", "_reference")) else f"{base}_ref"
            case _:
                return base

    @property
    def payload_type(self) -> pa.DataType:
        match self.leaves:
            case Leaves.YEAR:
                return pa.int64()
            case Leaves.PROPERTY | Leaves.REFERENCE:
                return pa.string()
            case _:
                return LOGICAL_TYPES[self.type]


@dataclass(frozen=True)
class QualityRule:
    """One quality rule of a table: an ODCS library metric, or a GX expectation by its own name."""

    description: str
    metric: str | None
    minimum: float | None
    maximum: float | None
    expectation: str | None
    arguments: Mapping[str, Any]
    blocking: bool


@dataclass(frozen=True)
class Table:
    """One table of a feed: the rows of one file of each delivery."""

    feed: str
    name: str
    description: str
    file_pattern: re.Pattern[str]
    row_element: str | None
    format: FileFormat
    columns: tuple[Column, ...]
    quality: tuple[QualityRule, ...]
    derived_from: str | None = None
    """The table of the same feed whose rows the bridge makes this one from; no partner sends a file of it."""
    derived_by: str | None = None
    """The bridge's derivation that makes it (`bridge/pseudonymise/derived.py` lists them)."""

    @property
    def qualified_name(self) -> str:
        """`<feed>__<table>`: the name used in every store, in dbt and in Dagster."""
        return f"{self.feed}__{self.name}"

    @property
    def key(self) -> tuple[Column, ...]:
        """The columns that identify a record in the partner's system, in order."""
        keyed = [column for column in self.columns if column.key_position is not None]
        return tuple(sorted(keyed, key=lambda column: column.key_position or 0))

    @property
    def holds_people(self) -> bool:
        """True if rows name a person, so that link keys and a vault row are made for each."""
        return any(column.identifier in PERSON_IDENTIFIERS for column in self.columns)

    @property
    def payload_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.leaves is not None)

    @property
    def payload_schema(self) -> pa.Schema:
        """Arrow schema of the minimised payload: `record_ref` (32 hexadecimal digits), then what may leave."""
        fields = [pa.field("record_ref", pa.string(), nullable=False)]
        fields += [pa.field(column.payload_name, column.payload_type) for column in self.payload_columns]
        return pa.schema(fields)

    def with_identifier(self, identifier: Identifier) -> tuple[Column, ...]:
        """The columns that hold `identifier`, in file order (address lines are several)."""
        return tuple(column for column in self.columns if column.identifier is identifier)


@dataclass(frozen=True)
class FeedContract:
    """A partner feed: format, tables, agreement, retention, cadence."""

    feed: str
    version: str
    description: str
    partner: str
    owner: str
    agreement: str
    retention_rule: str
    maximum_quarantined_share: float
    default_format: FileFormat
    cadence_days: int
    latency_days: int
    tables: tuple[Table, ...]
    path: Path
    derived_tables: tuple[Table, ...] = ()

    @property
    def payload_tables(self) -> tuple[Table, ...]:
        """What leaves the council: the tables of the files, then those that the bridge makes of them."""
        return (*self.tables, *self.derived_tables)

    @property
    def format(self) -> str:
        """Format of the first server. A table may have another: `Table.format` says."""
        return self.default_format.format

    @property
    def encoding(self) -> str:
        return self.default_format.encoding

    @property
    def delimiter(self) -> str:
        return self.default_format.delimiter

    @property
    def date_formats(self) -> tuple[str, ...]:
        return self.default_format.date_formats

    @property
    def open_ended_date(self) -> str | None:
        return self.default_format.open_ended_date

    def table(self, name: str) -> Table:
        for table in self.payload_tables:
            if table.name == name:
                return table
        raise KeyError(f"{self.feed} has no table {name}")

    @property
    def holds_people(self) -> bool:
        return any(table.holds_people for table in self.tables)


def read_contracts(folder: Path = CONTRACTS_FOLDER) -> dict[str, FeedContract]:
    """Read every `*.odcs.yaml` under `folder/feeds`, by feed name in alphabetical order.

    Raises `ContractError` naming the file and what to change.
    """
    contracts = [read_contract(path) for path in sorted((folder / "feeds").glob("*.odcs.yaml"))]
    return {contract.feed: contract for contract in contracts}


@cache
def read_contract(path: Path) -> FeedContract:
    """Read one ODCS file. Raises `ContractError`."""
    try:
        # Read with libyaml: the library's own reader takes ten times as long, at the start of every command.
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        odcs = OpenDataContractStandard(**document)
        return _feed_contract(odcs, path)
    except ContractError:
        raise
    except Exception as error:
        raise ContractError(f"{path.name}: not a valid ODCS v3 data contract: {error}") from error


def _feed_contract(odcs: OpenDataContractStandard, path: Path) -> FeedContract:
    feed = _required(odcs.name, path, "name")
    settings = _settings(odcs.customProperties)
    formats = {
        server.server or "": _file_format(server, path) for server in _required(odcs.servers, path, "servers")
    }
    sla: dict[str | None, Any] = {item.property: item.value for item in odcs.slaProperties or []}
    owners = [member.username for member in _team(odcs) if member.role == "owner"]
    if not owners:
        raise ContractError(f"{path.name}: team: name one member with `role: owner`")
    schema = _required(odcs.schema_, path, "schema")
    derived = tuple(item for item in schema if DERIVED_FROM in _settings(item.customProperties))
    tables = tuple(_table(feed, item, formats, path) for item in schema if item not in derived)
    _refuse_shared_files_of_two_formats(tables, path)
    return FeedContract(
        feed=feed,
        version=_required(odcs.version, path, "version"),
        description=(odcs.description.purpose if odcs.description else None) or feed,
        partner=_required(settings.get("partner"), path, "customProperties.partner"),
        owner=owners[0],
        agreement=_required(settings.get("agreement"), path, "customProperties.agreement"),
        retention_rule=_required(settings.get("retentionRule"), path, "customProperties.retentionRule"),
        maximum_quarantined_share=float(settings.get("maximumQuarantinedShare", 0.05)),
        default_format=next(iter(formats.values())),
        cadence_days=int(_required(sla.get("frequency"), path, "slaProperties.frequency")),
        latency_days=int(_required(sla.get("latency"), path, "slaProperties.latency")),
        tables=tables,
        path=path,
        derived_tables=tuple(_derived_table(feed, item, tables, path) for item in derived),
    )


def _team(odcs: OpenDataContractStandard) -> list[Any]:
    team = odcs.team or []
    return list(team) if isinstance(team, list) else list(team.members or [])


def _file_format(server: Server, path: Path) -> FileFormat:
    where = f"servers.{server.server}"
    settings = _settings(server.customProperties)
    name = _required(server.format, path, f"{where}.format")
    if name not in FORMATS:
        raise ContractError(f"{path.name}: {where}.format: {name!r} is not one of {', '.join(FORMATS)}")
    encoding = settings.get("encoding", "utf-8")
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ContractError(f"{path.name}: {where}.encoding: no encoding is called {encoding!r}") from None
    delimiter = settings.get("delimiter", ",")
    if len(delimiter) != 1:
        raise ContractError(f"{path.name}: {where}.delimiter: a delimiter is one character")
    return FileFormat(
        format=name,
        encoding=encoding,
        delimiter=delimiter,
        date_formats=tuple(settings.get("dateFormats", ["%Y-%m-%d"])),
        open_ended_date=settings.get("openEndedDate"),
    )


def _format_of(item: SchemaObject, formats: Mapping[str, FileFormat], path: Path, where: str) -> FileFormat:
    """Return the format of the server that the table names, or of the first."""
    server = _settings(item.customProperties).get("server")
    if server is None:
        return next(iter(formats.values()))
    if server not in formats:
        raise ContractError(
            f"{path.name}: {where}.server: {server!r} is not one of the servers {', '.join(formats)}"
        )
    return formats[server]


def _refuse_shared_files_of_two_formats(tables: Sequence[Table], path: Path) -> None:
    """Refuse tables that say they are read from the same file and do not agree on how it is written."""
    shared: dict[str, Table] = {}
    for table in tables:
        other = shared.setdefault(table.file_pattern.pattern, table)
        if other.format != table.format:
            raise ContractError(
                f"{path.name}: schema.{table.name}: reads the same file as {other.name} in another format; "
                "name the same server in both"
            )
        if other is not table and table.format.format != XML:
            raise ContractError(
                f"{path.name}: schema.{table.name}.physicalName: {other.name} reads the same file; only an "
                "XML file can hold several tables"
            )


def _table(feed: str, item: SchemaObject, formats: Mapping[str, FileFormat], path: Path) -> Table:
    name = _required(item.name, path, "schema.name")
    where = f"schema.{name}"
    file_format = _format_of(item, formats, path, where)
    pattern = re.compile(_required(item.physicalName, path, f"{where}.physicalName"))
    missing = {"delivery_date", "kind"} - set(pattern.groupindex)
    if missing:
        raise ContractError(
            f"{path.name}: {where}.physicalName: name the groups {sorted(missing)} in the file pattern"
        )
    columns = tuple(
        _column(column, path, where) for column in _required(item.properties, path, f"{where}.properties")
    )
    if not any(column.key_position for column in columns):
        raise ContractError(f"{path.name}: {where}: mark at least one property `primaryKey: true`")
    _refuse_misplaced_columns(columns, file_format, path, where)
    _refuse_taken_names(columns, path, where)
    return Table(
        feed=feed,
        name=name,
        description=_required(item.description, path, f"{where}.description"),
        file_pattern=pattern,
        row_element=item.physicalType,
        format=file_format,
        columns=columns,
        quality=tuple(_quality_rule(rule) for rule in item.quality or []),
    )


def _derived_table(feed: str, item: SchemaObject, tables: Sequence[Table], path: Path) -> Table:
    """Return a table that the bridge makes from another one's rows: it has no file, and each row keeps the
    `record_ref` of the row that it was made from.
    """
    name = _required(item.name, path, "schema.name")
    where = f"schema.{name}"
    settings = _settings(item.customProperties)
    source = next((table for table in tables if table.name == settings[DERIVED_FROM]), None)
    if source is None:
        raise ContractError(
            f"{path.name}: {where}.{DERIVED_FROM}: {settings[DERIVED_FROM]!r} is no table of this contract with a "
            "file of its own"
        )
    columns = tuple(
        _column(column, path, where) for column in _required(item.properties, path, f"{where}.properties")
    )
    staying = [column.name for column in columns if column.leaves is None or column.identifier]
    if staying:
        raise ContractError(
            f"{path.name}: {where}: {', '.join(staying)}: a derived table holds only what leaves, and no identifier; "
            "give the column `leaves`, or take it out"
        )
    _refuse_taken_names(columns, path, where)
    return Table(
        feed=feed,
        name=name,
        description=_required(item.description, path, f"{where}.description"),
        file_pattern=NO_FILE,
        row_element=None,
        format=source.format,
        columns=columns,
        quality=(),
        derived_from=source.name,
        derived_by=_required(settings.get("derivedBy"), path, f"{where}.derivedBy"),
    )


def _refuse_taken_names(columns: Sequence[Column], path: Path, where: str) -> None:
    """Refuse names that every payload row or checked row has already, and two columns that leave as one."""
    left: dict[str, str] = {}
    for column in columns:
        if column.name.lower() in TAKEN_NAMES:
            raise ContractError(
                f"{path.name}: {where}.{column.name}: every row has a {column.name} of its own; give the column "
                "another name, and the file's as physicalName"
            )
        if column.leaves is None:
            continue
        if column.payload_name in TAKEN_PAYLOAD_NAMES:
            raise ContractError(
                f"{path.name}: {where}.{column.name}: every payload row has a {column.payload_name} of its own; "
                "give the column another name, and the file's as physicalName"
            )
        if left.setdefault(column.payload_name, column.name) != column.name:
            raise ContractError(
                f"{path.name}: {where}.{column.name}: leaves as {column.payload_name}, as {left[column.payload_name]} "
                "does; let one of the two stay, or rename one"
            )


def _refuse_misplaced_columns(
    columns: Sequence[Column], file_format: FileFormat, path: Path, where: str
) -> None:
    """Refuse what the format has no place for: `../` outside XML, fixed width columns without their own."""
    for name in (column.name for column in columns if PARENT_STEP in column.physical_name):
        if file_format.format != XML:
            raise ContractError(
                f"{path.name}: {where}.{name}.physicalName: only XML has elements above the row (../)"
            )
    if file_format.format != FIXED_WIDTH:
        return
    end, before = 0, ""
    for column in sorted(columns, key=lambda column: column.start or 0):
        if not column.start or not column.width or column.start < 1 or column.width < 1:
            raise ContractError(
                f"{path.name}: {where}.{column.name}: a fixed width column needs `start` (from 1) and `width`"
            )
        if column.start <= end:
            raise ContractError(
                f"{path.name}: {where}.{column.name}: begins at {column.start}, but {before} ends at {end}"
            )
        end, before = column.start + column.width - 1, column.name


def _column(item: SchemaProperty, path: Path, where: str) -> Column:
    name = _required(item.name, path, f"{where}.properties.name")
    logical_type = item.logicalType or "string"
    if logical_type not in LOGICAL_TYPES:
        raise ContractError(
            f"{path.name}: {where}.{name}: logicalType {logical_type!r} is not one of {sorted(LOGICAL_TYPES)}"
        )
    settings = _settings(item.customProperties)
    options = item.logicalTypeOptions or {}
    return Column(
        name=name,
        physical_name=item.physicalName or name,
        type=logical_type,
        required=bool(item.required),
        key_position=(item.primaryKeyPosition or 1) if item.primaryKey else None,
        optional_column=bool(settings.get("optionalColumn", False)),
        pattern=options.get("pattern"),
        minimum=options.get("minimum"),
        maximum=options.get("maximum"),
        codes=tuple(str(code) for code in settings.get("codes", [])),
        identifier=_choice(Identifier, settings.get("identifier"), path, f"{where}.{name}.identifier"),
        leaves=_choice(Leaves, settings.get("leaves"), path, f"{where}.{name}.leaves"),
        description=item.description or "",
        start=_whole_number(settings.get("start"), path, f"{where}.{name}.start"),
        width=_whole_number(settings.get("width"), path, f"{where}.{name}.width"),
    )


def _quality_rule(rule: DataQuality) -> QualityRule:
    implementation = rule.implementation if isinstance(rule.implementation, dict) else {}
    return QualityRule(
        description=rule.description or "",
        metric=rule.metric or rule.rule,
        minimum=rule.mustBeGreaterOrEqualTo,
        maximum=rule.mustBeLessOrEqualTo,
        expectation=implementation.get("type"),
        arguments=implementation.get("kwargs", {}),
        blocking=(rule.severity or "error") == "error",
    )


def _settings(properties: list[CustomProperty] | None) -> dict[str, Any]:
    return {item.property: item.value for item in properties or [] if item.property}


def _choice(kind: type[Choice], value: Any, path: Path, where: str) -> Choice | None:
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError:
        raise ContractError(
            f"{path.name}: {where}: {value!r} is not one of {[str(item) for item in kind]}"
        ) from None


def _whole_number(value: Any, path: Path, where: str) -> int | None:
    if value is not None and not isinstance(value, int):
        raise ContractError(f"{path.name}: {where}: {value!r} is not a whole number")
    return value


def _required(value: Value | None, path: Path, where: str) -> Value:
    if not value:
        raise ContractError(f"{path.name}: {where} is missing")
    return value


def delivery_date_of(text: str) -> date:
    """Read the `delivery_date` group of a file pattern (YYYYMMDD). Raises `ValueError`."""
    return datetime.strptime(text, "%Y%m%d").date()
