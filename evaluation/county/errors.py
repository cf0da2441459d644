"""The errors in the files beside those of `synthetic/error_model.yaml`: rates by kind and system, and whom they hit.

One record of each person in each system is drawn, at random but from the seed, and compared with the true
person behind it. What is told from the values alone is *found*; where the truth's records say which errors
were put in, that is told as well (*put in*). A kind is judged on those records in which another error cannot
hide it: an initial hides a typing slip, a swapped name hides a variant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from evaluation.county.calibration import figure_of, known_names, sums_of
from evaluation.county.figures import (
    CONFIDENCE,
    ERROR_TOLERANCE,
    Estimate,
    Figure,
    Unit,
    Wanted,
    band,
    estimate,
)
from governance.contracts import FeedContract, Identifier, Table
from stores.home import Home
from synthetic.errors import error_model
from synthetic.names import read_names

GROUP, WHOM_GROUP = "errors", "correlation"
SAMPLE_OF_SYSTEM = 10_000
"""People of each system that are drawn."""
SOURCE = "error_model.yaml"

_SQL = Path(__file__).with_name("errors.sql")
_WHOM_SQL = Path(__file__).with_name("whom.sql")
_SAMPLED = {
    "forename": Identifier.FORENAME,
    "surname": Identifier.SURNAME,
    "born": Identifier.DATE_OF_BIRTH,
    "nino": Identifier.NINO,
}


@dataclass(frozen=True)
class Kind:
    """One kind of error: how it is told, among which records, its rate in the model, and its bits in the truth."""

    name: str
    title: str
    told: str
    among: str
    model: tuple[str, ...]
    bits: tuple[str, ...]
    about: str = ""

    @property
    def base(self) -> str:
        """Among which records a rate of what was put in is taken: those that hold the identifier at all."""
        if self.name.startswith("birth"):
            return "has_born"
        return "has_nino" if self.name.startswith("nino") else "true"

    @property
    def needs(self) -> frozenset[str]:
        """What the truth must hold: to tell a wrong number from a right one takes the right one."""
        is_compared = self.name in ("nino_transposed", "nino_of_partner")
        return frozenset({"truth.persons.nino"} if is_compared else ())


_CLEAR_FORENAME = "has_forename and has_surname"
KINDS = (
    Kind(
        "forename_variant", "Forename in another form", "variant",
        f"{_CLEAR_FORENAME} and not (initial or middle or swapped or slip)",
        ("forename.variant",), ("forename_variant",),
    ),
    Kind(
        "forename_initial", "Initial only", "initial", f"{_CLEAR_FORENAME} and not (middle or swapped)",
        ("forename.initial_only",), ("forename_initial",),
    ),
    Kind(
        "middle_as_first", "Middle name as first", "middle", f"{_CLEAR_FORENAME} and not swapped",
        ("forename.middle_as_first",), ("middle_as_first",),
    ),
    Kind(
        "names_swapped", "Forename and surname swapped", "swapped",
        f"{_CLEAR_FORENAME} and not (initial or middle or variant)",
        ("forename.swapped_with_surname",), ("names_swapped",),
    ),
    Kind(
        "text_slip", "Slip in a name: typing, OCR or by ear", "slip",
        f"{_CLEAR_FORENAME} and not (initial or middle or variant or swapped)",
        ("text.typing_slip", "text.ocr", "text.phonetic"), ("typing_slip", "ocr", "phonetic"),
    ),
    Kind(
        "hyphen_to_space", "Hyphen lost, of double surnames", "hyphen_to_space",
        "has_hyphen and has_surname and not slip",
        ("punctuation.hyphen_to_space",), (),
    ),
    Kind(
        "half_of_a_double_name", "Half of a double surname", "half_name", "has_hyphen and has_surname and not slip",
        ("punctuation.half_of_a_double_name",), (),
    ),
    Kind(
        "apostrophe_lost", "Apostrophe lost, of surnames with one", "apostrophe_lost",
        "has_apostrophe and has_surname and not slip", ("punctuation.apostrophe_lost",), (),
    ),
    Kind(
        "diacritics_lost", "Accents lost, of surnames with one", "marks_lost",
        "has_mark and has_surname and not slip and is_unicode", ("punctuation.diacritics_lost",), (),
    ),
    Kind(
        "birth_day_month_swapped", "Day and month of birth swapped", "born_swapped", "has_born",
        ("date_of_birth.day_month_swapped",), ("birth_day_month_swapped",),
    ),
    Kind(
        "birth_first_of_january", "Born on 1 January", "born_january", "has_born",
        ("date_of_birth.first_of_january",), ("birth_first_of_january",),
    ),
    Kind(
        "birth_year_off_by_one", "Year of birth off by one", "born_year", "has_born",
        ("date_of_birth.year_off_by_one",), ("birth_year_off_by_one",),
    ),
    Kind(
        "birth_decade_off", "Year of birth off by ten", "born_decade", "has_born",
        ("date_of_birth.decade_off",), ("birth_decade_off",),
    ),
    Kind(
        "nino_temporary", "Temporary number (TN…)", "nino_temporary", "has_nino",
        ("nino.temporary",), ("nino_temporary",),
    ),
    Kind(
        "nino_transposed", "Two digits of the NINO transposed", "nino_transposed", "has_nino and not nino_temporary",
        ("nino.transposed",), ("nino_transposed",),
    ),
    Kind(
        "nino_of_partner", "Another person's NINO", "nino_of_other", "has_nino and not nino_temporary",
        ("nino.partners_number",), ("nino_of_partner",),
    ),
)  # fmt: skip
_ANYBODYS = (
    "forename_initial", "names_swapped", "typing_slip", "ocr", "phonetic", "birth_first_of_january",
    "birth_year_off_by_one", "birth_decade_off",
)  # fmt: skip
"""Errors that can befall anybody's record: not every name has a variant, a middle name or a hyphen."""
_FOUND = "initial or swapped or slip or born_january or born_year or born_decade"
WHOM = {
    "private_rent": "Private renters",
    "moved_within_a_year": "Moved within a year",
    "under_30": "Under 30",
    "name_not_british": "Name from elsewhere",
}


@dataclass(frozen=True)
class ErrorRate:
    """How often one kind of error was found in one system."""

    kind: str
    feed: str
    found: Estimate


def prepare_errors(
    home: Home,
    connection: duckdb.DuckDBPyConnection,
    contracts: Mapping[str, FeedContract],
    loaded: list[str],
    seed: int,
) -> tuple[str, ...]:
    """Draw the sample and tell its errors. Returns the names of the truth's error bits, lowest first, if known."""
    known = known_names(connection)
    bits = _bits(connection, home) if "truth.records.errors" in known else ()
    nino = "nino" if "truth.persons.nino" in known else "cast(null as varchar) as nino"
    connection.execute(
        f"""
        create view true_people as
        select person_id, forename, middle_name, surname, later_surname, date_of_birth, origin, {nino}
        from truth.persons
        """
    )
    connection.register("variants", _variants())
    connection.execute(
        f"""
        create view all_records as
        {" union all ".join(_records_of(contracts, loaded, has_bits=bool(bits))) or _NOBODY}
        """
    )
    connection.execute(
        f"create view drawn as select *, '{seed:d}' as seed, {SAMPLE_OF_SYSTEM} as most from all_records"
    )
    connection.execute(_SQL.read_text(encoding="utf-8"))
    return bits


_NOBODY = """
select
    null::varchar as feed, null::varchar as person_id, null::varchar as key, null::date as recorded_on,
    null::varchar as forename, null::varchar as surname, null::date as born, null::varchar as nino,
    false as is_unicode, 0::bigint as errors
where false
"""


def _records_of(contracts: Mapping[str, FeedContract], loaded: list[str], *, has_bits: bool) -> Iterator[str]:
    """Yield, for each table that names people, a statement with their identifiers and whose they are."""
    for contract in contracts.values():
        for table in contract.tables:
            if table.qualified_name in loaded and table.holds_people:
                columns = ", ".join(f"{_column(table, one)} as {name}" for name, one in _SAMPLED.items())
                yield f"""
                select
                    record.feed, record.person_id, record.key, file._recorded_on as recorded_on, {columns},
                    {str(table.format.encoding != "cp1252").lower()} as is_unicode,
                    {"cast(record.errors as bigint)" if has_bits else "0::bigint"} as errors
                from files."{table.qualified_name}" as file
                inner join truth.records as record
                    on record.feed = '{table.feed}' and record."table" = '{table.name}' and record.key = file._key
                """


def _column(table: Table, identifier: Identifier) -> str:
    """The column that holds it, or nothing: names in one field are not taken apart."""
    found = [column for column in table.with_identifier(identifier) if not column.optional_column]
    kind = "date" if identifier is Identifier.DATE_OF_BIRTH else "varchar"
    return f'file."{found[0].name}"' if found else f"null::{kind}"


def _variants() -> pa.Table:
    pairs = [(name, other) for name, others in read_names().variants.items() for other in others]
    return pa.table({"forename": [name for name, _ in pairs], "variant": [other for _, other in pairs]})


def _bits(connection: duckdb.DuckDBPyConnection, home: Home) -> tuple[str, ...]:
    """The names of the bits; none where no record has one, as in counties made before there were any."""
    if connection.execute("select not bool_or(errors > 0) from truth.records").fetchone() in (None, (True,)):
        return ()
    metadata = pq.read_schema(home.truth / "records.parquet").metadata or {}
    names = metadata.get(b"errors", b"").decode()
    return tuple(names.split(",")) if names else ()


def error_figures(
    connection: duckdb.DuckDBPyConnection, bits: tuple[str, ...], households: int
) -> Iterator[Figure]:
    """Yield each kind's rate over all systems: found in the values, and put in where the truth says so."""
    known = known_names(connection)
    for kind in KINDS:
        model = sum(_configured(path) for path in kind.model)
        wanted = band(model, SOURCE, tolerance=ERROR_TOLERANCE, is_published=False)
        found = _rate(connection, f"({kind.told})", kind.among) if kind.needs <= known else None
        yield figure_of(
            f"error.{kind.name}", GROUP, kind.title, Unit.SHARE, found, wanted, households, kind.about
        )
        masks = [1 << bits.index(bit) for bit in kind.bits if bit in bits]
        if masks:
            put_in = _rate(connection, f"(errors & {sum(masks)}) > 0", kind.base)
            name = f"error.{kind.name}.put_in"
            yield figure_of(name, GROUP, "… put in, says the truth", Unit.SHARE, put_in, wanted, households)


def error_rates(connection: duckdb.DuckDBPyConnection) -> tuple[ErrorRate, ...]:
    """Return each kind's found rate in each system that could show it."""
    feeds = [
        feed for (feed,) in connection.execute("select distinct feed from error_kinds order by 1").fetchall()
    ]
    rates = []
    for kind in KINDS:
        for feed in feeds:
            found = _rate(connection, f"({kind.told})", f"({kind.among}) and feed = '{feed}'")
            if found is not None:
                rates.append(ErrorRate(kind.name, feed, found))
    return tuple(rates)


def _rate(connection: duckdb.DuckDBPyConnection, told: str, among: str) -> Estimate | None:
    statement = (
        f"select person_id as cluster, cast({told} as int) as y, 1 as n from error_kinds where {among}"
    )
    return estimate(sums_of(connection, statement), Unit.SHARE)


def _configured(path: str) -> float:
    value: Any = error_model()
    for step in path.split("."):
        value = value[step]
    return float(value)


def whom_errors_hit(
    connection: duckdb.DuckDBPyConnection, bits: tuple[str, ...], households: int
) -> Iterator[Figure]:
    """Yield the ratio of error rates by private renting, recent move, youth and name: as they stand, and each
    with the others held equal (Poisson regression), beside the model's.

    Where the truth has bits, an error is one that was put in; else one that is found.
    """
    mask = sum(1 << bits.index(bit) for bit in _ANYBODYS if bit in bits)
    outcome = f"(errors & {mask}) > 0" if mask else _FOUND
    connection.execute(_WHOM_SQL.read_text(encoding="utf-8").replace("is_wrong", outcome))
    rows = connection.execute(f"select {', '.join(WHOM)}, system, wrong from whom").fetchnumpy()
    groups = np.column_stack([np.asarray(rows[name], dtype=float) for name in WHOM])
    wrong = np.asarray(rows["wrong"], dtype=float)
    systems = np.asarray(rows["system"], dtype=int)
    effects = rate_ratios(groups, systems, wrong)
    for place, (name, title) in enumerate(WHOM.items()):
        configured = float(np.exp(_configured(f"correlation.{name}")))
        members = groups[:, place] == 1
        plain = crude_ratio(wrong[members], wrong[~members])
        wanted = Wanted(
            configured, 1.0 + 0.5 * (configured - 1.0), 1.0 + 1.35 * (configured - 1.0), SOURCE, False
        )
        about = "Ratio of the share of records with an error, the other three held equal."
        yield figure_of(
            f"errors_by.{name}", WHOM_GROUP, title, Unit.RATIO, effects[place], wanted, households, about
        )
        yield figure_of(
            f"errors_by.{name}.plain", WHOM_GROUP, "… as they stand", Unit.RATIO, plain, None, households
        )


def rate_ratios(groups: np.ndarray, systems: np.ndarray, wrong: np.ndarray) -> list[Estimate | None]:
    """Fit a Poisson regression with robust errors; return exp(effect) with its interval for each column of `groups`.

    Each system (0, 1, …) has a level of its own. `None` for all where hardly anything is wrong, or a group is
    empty or everyone.
    """
    sizes = groups.sum(axis=0)
    if not len(wrong) or wrong.sum() < len(WHOM) + 1 or (sizes == 0).any() or (sizes == len(wrong)).any():
        return [None] * groups.shape[1]
    # A system without any error says nothing about whom errors hit.
    kept = np.bincount(systems, weights=wrong)[systems] > 0
    groups, systems, wrong = groups[kept], np.unique(systems[kept], return_inverse=True)[1], wrong[kept]
    levels = np.eye(systems.max() + 1)[systems]
    design = np.column_stack([levels, groups])
    effects = np.concatenate([np.full(levels.shape[1], np.log(wrong.mean())), np.zeros(groups.shape[1])])
    for _ in range(30):
        mean = np.exp(design @ effects)
        information = design.T @ (design * mean[:, None])
        step = np.linalg.solve(information, design.T @ (wrong - mean))
        effects += step
        if np.abs(step).max() < 1e-9:
            break
    mean = np.exp(design @ effects)
    bread = np.linalg.inv(design.T @ (design * mean[:, None]))
    scores = design * (wrong - mean)[:, None]
    errors = np.sqrt(np.diag(bread @ (scores.T @ scores) @ bread))
    z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
    return [
        Estimate(
            float(np.exp(effect)),
            float(np.exp(effect - z * error)),
            float(np.exp(effect + z * error)),
            float(size),
            float(len(wrong)),
        )
        for effect, error, size in zip(effects[-len(sizes) :], errors[-len(sizes) :], sizes, strict=True)
    ]


def crude_ratio(inside: np.ndarray, outside: np.ndarray) -> Estimate | None:
    """Return the ratio of two shares with its log-normal interval; `None` where either is none of none."""
    if not inside.sum() or not outside.sum():
        return None
    value = float(inside.mean() / outside.mean())
    spread = float(np.sqrt((1 - inside.mean()) / inside.sum() + (1 - outside.mean()) / outside.sum()))
    half = float(stats.norm.ppf(0.5 + CONFIDENCE / 2)) * spread
    return Estimate(
        value,
        value * np.exp(-half),
        value * np.exp(half),
        float(len(inside)),
        float(len(inside) + len(outside)),
    )
