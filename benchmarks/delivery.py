"""A full council-tax delivery of 700,000 rows, from the file in the inbox to the sealed package.

The rows are those of a synthetic county of 60,000 households, repeated with other references, UPRNs, postcode
areas and surnames until there are enough: as many distinct names and addresses as a district of that size has.
The gazetteer of all those addresses has come before. Two deliveries are timed, each in a process of its own: the
first ever, whose addresses are all new, and the next full one, whose addresses have been matched before.

`DOORSTEP_BENCHMARK_COUNTY` names a county's home to take the rows from, in place of making one.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

ROWS = 700_000
HOUSEHOLDS = 60_000
NIGHT = date(2026, 10, 6)
SECONDS_LIMIT, MEMORY_LIMIT_GIB = 90, 3.0
AREAS = ("ME", "CT", "TN", "DA", "BR", "RH", "GU", "BN", "SO", "PO", "SS", "CM")


def measure() -> dict[str, Any]:
    """Write the files, then load and seal the gazetteer, the first and the second delivery, in a process each."""
    rows = int(os.environ.get("DOORSTEP_BENCHMARK_ROWS", ROWS))
    with tempfile.TemporaryDirectory() as folder:
        made = os.environ.get("DOORSTEP_BENCHMARK_COUNTY") or _county(Path(folder) / "county")
        home = Path(folder) / "home"
        environment = os.environ | {"DOORSTEP_HOME": str(home)}
        doorstep = str(Path(sys.executable).with_name("doorstep"))
        subprocess.run([doorstep, "keys", "init"], env=environment, check=True, stdout=subprocess.DEVNULL)
        write_files(Path(made) / "council" / "inbox", home / "council" / "inbox", rows)
        runs = {
            name: _run(environment, feed, night)
            for name, feed, night in (
                ("gazetteer", "address_gazetteer", "2026-09-02"),
                ("first", "council_tax", "2026-10-06"),
                ("next", "council_tax", "2026-10-13"),
            )
        }
    return {
        "limits": {"seconds": SECONDS_LIMIT, "peak_memory_gib": MEMORY_LIMIT_GIB},
        "rows": rows,
        **runs,
    }


def write_files(source: Path, target: Path, rows: int) -> None:
    """Write the gazetteer and two full council-tax deliveries (accounts and recovery stages) into an inbox."""
    accounts = _read(
        next(iter(sorted(source.glob("council_tax/*/council_tax_accounts_*_full.csv")))), "cp1252"
    )
    recovery = _read(
        next(iter(sorted(source.glob("council_tax/*/council_tax_recovery_*_full.csv")))), "cp1252"
    )
    gazetteer = _read(next(iter(sorted(source.glob("address_gazetteer/*/*_full.csv")))), "utf8")
    copies = range(-(-rows // accounts.num_rows))
    wide = pa.concat_tables([_account_copy(accounts, copy) for copy in copies]).slice(0, rows)
    stages = pa.concat_tables([_shifted(recovery, "account_ref", 10_000_000 * copy) for copy in copies])
    places = pa.concat_tables([_gazetteer_copy(gazetteer, copy) for copy in copies])
    _write(places, target / "address_gazetteer/received=2026-09-02/address_gazetteer_20260901_full.csv")
    for received, day in (("2026-10-05", "20261001"), ("2026-10-12", "20261008")):
        folder = target / f"council_tax/received={received}"
        _write(wide, folder / f"council_tax_accounts_{day}_full.csv")
        _write(stages, folder / f"council_tax_recovery_{day}_full.csv")


def _account_copy(accounts: pa.Table, copy: int) -> pa.Table:
    table = _shifted(accounts, "account_ref", 10_000_000 * copy)
    table = _shifted(table, "party_ref", 1_000_000_000 * copy)
    table = _shifted(table, "uprn", 1_000_000_000 * copy)
    table = _with(table, "lead_liab_name", _other_surnames(accounts["lead_liab_name"].combine_chunks(), copy))
    for name in ("postcode", "for_postcode"):
        table = _with(table, name, _other_area(accounts[name], copy))
    return table


def _gazetteer_copy(gazetteer: pa.Table, copy: int) -> pa.Table:
    table = _shifted(gazetteer, "uprn", 1_000_000_000 * copy)
    table = _shifted(table, "parent_uprn", 1_000_000_000 * copy)
    return _with(table, "postcode", _other_area(gazetteer["postcode"], copy))


def _shifted(table: pa.Table, column: str, by: int) -> pa.Table:
    """Add a number to a column of references written in digits; empty ones stay empty."""
    values = table[column]
    held = pc.not_equal(values, "")
    numbers = pc.add(pc.if_else(held, values, "0").cast(pa.int64()), by)
    return _with(table, column, pc.if_else(held, numbers.cast(pa.string()), ""))


def _other_area(postcodes: pa.ChunkedArray, copy: int) -> pa.ChunkedArray:
    """Put another postal area in front, so that a copy's addresses are places of their own."""
    return (
        pc.replace_substring_regex(postcodes, r"^[A-Z]{1,2}", AREAS[copy % len(AREAS)]) if copy else postcodes
    )


def _other_surnames(names: pa.Array, copy: int) -> pa.Array:
    """Give every name another row's last word (or, before a comma, first part): other people, same styles."""
    if not copy:
        return names
    generator = np.random.default_rng(copy)
    comma = pc.fill_null(pc.match_substring(names, ", "), False).to_numpy(zero_copy_only=False)
    pattern = {True: r"^(?P<first>.*?)(?P<second>, .*)$", False: r"^(?P<first>.* )(?P<second>\S+)$"}
    result = np.array(names.to_pylist(), dtype=object)
    for style, regex in pattern.items():
        places = np.flatnonzero(comma == style)
        halves = pc.extract_regex(names.take(pa.array(places)), regex)
        whole = pc.is_valid(halves).to_numpy(zero_copy_only=False)
        first, second = (halves.field(each).to_numpy(zero_copy_only=False)[whole] for each in (0, 1))
        result[places[whole]] = first[generator.permutation(len(first))] + second
    return pa.array(result, pa.string())


def _with(table: pa.Table, column: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, values)


def _read(path: Path, encoding: str) -> pa.Table:
    header = path.open(encoding=encoding).readline().strip().split(",")
    return pa_csv.read_csv(
        path,
        read_options=pa_csv.ReadOptions(encoding=encoding),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: pa.string() for name in header}, strings_can_be_null=False
        ),
    )


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = pa.BufferOutputStream()
    pa_csv.write_csv(table, text, pa_csv.WriteOptions(quoting_style="needed"))
    encoding = "utf8" if "gazetteer" in path.name else "cp1252"
    path.write_bytes(text.getvalue().to_pybytes().decode().encode(encoding))


def _county(home: Path) -> str:
    households = os.environ.get("DOORSTEP_BENCHMARK_HOUSEHOLDS", str(HOUSEHOLDS))
    doorstep = str(Path(sys.executable).with_name("doorstep"))
    subprocess.run(
        [doorstep, "county", "make", "--households", households, "--months", "1", "--out", str(home)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return str(home)


def _run(environment: dict[str, str], feed: str, night: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.delivery", feed, night],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return document


def deliver(feed: str, night: date) -> dict[str, Any]:
    """Take what waits of one feed from file to package, step by step, in this process."""
    from bridge.deliveries.inbox import register_deliveries
    from bridge.deliveries.ledger import WAITING_STATES, deliveries
    from bridge.pseudonymise.deliveries import pseudonymise_deliveries
    from bridge.run import load_feed, match_feed
    from bridge.zone import CouncilZone
    from exchange.transport import OUTBOX, Exchange
    from stores.home import Home

    home = Home.from_environment()
    zone = CouncilZone.open(home)
    seconds: dict[str, float] = {}
    marks = [time.perf_counter()]

    def mark(step: str) -> None:
        marks.append(time.perf_counter())
        seconds[step] = round(marks[-1] - marks[-2], 1)

    register_deliveries(zone, night)
    waiting = [each.delivery_id for each in deliveries(zone, feed) if each.state in WAITING_STATES]
    mark("register")
    loaded = load_feed(zone, feed, waiting).report
    mark("load and check")
    if zone.contracts[feed].holds_people:
        match_feed(zone, feed)
    mark("match addresses")
    sealed = pseudonymise_deliveries(zone, feed, waiting, night)
    mark("pseudonymise and seal")
    exchange = Exchange.of(home)
    packages = [exchange.folder / OUTBOX / feed / name for name in sealed.packages] if exchange.folder else []
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "deliveries": len(waiting),
        "rows_in": loaded.rows_in,
        "rows_sealed": sealed.rows,
        "link_key_rows": sealed.link_key_rows,
        "seconds": round(marks[-1] - marks[0], 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "steps": seconds,
        "peak_memory_gib": round(used.ru_maxrss / 2**20, 2),
        "package_megabytes": round(sum(path.stat().st_size for path in packages) / 1e6),
    }


if __name__ == "__main__":
    print(json.dumps(deliver(sys.argv[1], date.fromisoformat(sys.argv[2]))))
