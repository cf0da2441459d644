"""Link-key encoding: records a second on one core, beside OpenSSL's HMAC and the peer `clkhash`, in one run.

The records are as partners hold them: names by their frequency in the county's sources, a date of birth, a home for
every two or three people, and numbers that are one person's own. `clkhash` pins an old `cryptography`, so it runs in
an environment of its own, made here; where it cannot be installed the result says so.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bridge.link_keys.columns import keyed_digests
from bridge.link_keys.encoding import HASHED_NUMBERS, encode_link_keys
from bridge.pseudonymise.identities import IDENTITY_COLUMNS
from bridge.standardise.identities import standard_columns
from exchange.link_key_schema import FIRST_EPOCH
from synthetic.names import draw_forenames, draw_surnames, read_names

RECORDS = 1_000_000
HMAC_BYTES = 24
HMAC_CALLS = 500_000
SEED = 1

PEER = "clkhash==0.18.3"
PEER_RECORDS = 5_000
PEER_MINUTES = 3
PEER_PROGRAM = f"""
import json, os
from clkhash import clk
from clkhash.randomnames import NameList
people = NameList({PEER_RECORDS})
before = sum(os.times()[:4])
clk.generate_clks(people.names, NameList.SCHEMA, b"k" * 32, max_workers=1)
print(json.dumps({PEER_RECORDS} / (sum(os.times()[:4]) - before)))
"""
"""The peer's own random people under its own example schema (name, date of birth, sex): no worse for it than ours."""

SHARE_HELD = {"middle_name": 0.2, "nino": 0.3, "phone": 0.5, "email": 0.15, "forwarding_uprn": 0.05}
"""Share of records that hold what not every partner asks for: between a council tax roll and a benefits system."""

PEOPLE_IN_HOME = 2.3
HOMES_IN_POSTCODE = 15


class _FixedKeys:
    """Root keys for measuring only."""

    def root(self, name: str, version: int | None = None) -> bytes:  # noqa: ARG002
        return name.encode().ljust(32, b".")


def measure() -> dict[str, Any]:
    """Encode a million made-up identities in this one process, then time the limit and the peer in the same run."""
    table = made_up_identities(np.random.default_rng(SEED), RECORDS)
    encode_link_keys(table.slice(0, 1000), _FixedKeys(), FIRST_EPOCH)
    standardising = _seconds(lambda: standard_columns(table, HASHED_NUMBERS))
    started = time.perf_counter()
    encoding = _seconds(lambda: encode_link_keys(table, _FixedKeys(), FIRST_EPOCH))
    elapsed = time.perf_counter() - started
    rate = RECORDS / encoding
    openssl, python = _openssl_hmac_per_second(), _python_hmac_per_second()
    peer = _peer_per_second()
    return {
        "records": RECORDS,
        "link_keys_per_second_and_core": round(rate),
        "link_keys_per_second_by_the_clock": round(RECORDS / elapsed),
        "load_average": round(os.getloadavg()[0], 1),
        "share_of_time_standardising": round(standardising / encoding, 3),
        "openssl_hmac_per_second": openssl and round(openssl),
        "hmac_from_python_per_second": round(python),
        "ratio_to_openssl_hmac": openssl and round(rate / openssl, 4),
        "clkhash_per_second": round(peer) if isinstance(peer, float) else peer,
        "ratio_to_clkhash": round(rate / peer, 1) if isinstance(peer, float) else None,
    }


def made_up_identities(random: np.random.Generator, count: int) -> pa.Table:
    """Return `count` records as partners write them: `record_ref` and the identity columns."""
    material = read_names()
    shares = np.array([material.shares[origin] for origin in material.origins])
    origin = random.choice(len(shares), count, p=shares / shares.sum())
    born = random.integers(-14_000, 18_000, count)
    years = born // 365 + 1970
    female = random.random(count) < 0.5
    homes = int(count / PEOPLE_IN_HOME)
    home, next_home = random.integers(0, homes, count), random.integers(0, homes, count)
    texts: dict[str, np.ndarray] = {
        "forename": draw_forenames(origin, female, years, random),
        "middle_name": draw_forenames(origin, female, years, random),
        "surname": draw_surnames(origin, random),
        "nino": _numbered("AB", random.integers(100_000, 999_999, count), "C"),
        "phone": _numbered("07700 ", random.integers(100_000, 999_999, count), ""),
        "email": _numbered("person", random.integers(0, count * 10, count), "@example.org"),
        "partner_person_reference": _numbered("P", random.permutation(count), ""),
        "uprn": (100_000_000_000 + home).astype(str),
        "postcode": _postcodes(home // HOMES_IN_POSTCODE),
        "forwarding_uprn": (100_000_000_000 + next_home).astype(str),
    }
    columns: dict[str, pa.Array] = {"record_ref": pa.array([f"{number:032x}" for number in range(count)])}
    for name in IDENTITY_COLUMNS:
        if name == "date_of_birth":
            columns[name] = pa.array(born.astype(np.int32), pa.int32()).cast(pa.date32())
        elif name in texts:
            missing = random.random(count) > SHARE_HELD.get(name, 1.0)
            columns[name] = pa.array(texts[name].astype(object), pa.string(), mask=missing)
        else:
            columns[name] = pa.nulls(count, pa.string())
    return pa.table(columns)


def _numbered(before: str, numbers: np.ndarray, after: str) -> np.ndarray:
    return np.strings.add(np.strings.add(before, numbers.astype(str)), after)


def _postcodes(number: np.ndarray) -> np.ndarray:
    letters = np.array(list("ABDEFGHJLNPQRSTUWXYZ"))
    inward = np.strings.add(letters[number // 20 % 20], letters[number % 20])
    sector = np.strings.add((number // 4000 % 80 + 1).astype(str), " ")
    return np.strings.add(
        np.strings.add(np.strings.add("TQ", sector), (number // 400 % 10).astype(str)), inward
    )


def _seconds(work: Any) -> float:
    """Processor time: other work on the machine does not count as ours."""
    started = time.process_time()
    work()
    return time.process_time() - started


def _python_hmac_per_second() -> float:
    messages = [number.to_bytes(HMAC_BYTES, "big") for number in range(HMAC_CALLS)]
    return HMAC_CALLS / _seconds(lambda: keyed_digests(b"k" * 32, messages))


def _openssl_hmac_per_second() -> float | None:
    """What OpenSSL's own speed test reaches on one core, or None where there is no `openssl` command."""
    command = ["openssl", "speed", "-seconds", "1", "-bytes", str(HMAC_BYTES), "-hmac", "sha256"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"hmac\(sha256\)\s+([\d.]+)k", done.stdout)
    return float(found[1]) * 1000 / HMAC_BYTES if found else None


def _peer_per_second() -> float | str:
    """Encode with `clkhash` in a new virtual environment; a sentence instead where that is not possible."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "bin" / "python"
        quiet = {"capture_output": True, "text": True, "check": True, "timeout": 60 * PEER_MINUTES}
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], **quiet)
            subprocess.run([python, "-m", "pip", "install", "-q", PEER], **quiet)
            done = subprocess.run([python, "-c", PEER_PROGRAM], **quiet, env={**os.environ, "PYTHONPATH": ""})
        except (OSError, subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            return f"not measured: {PEER} could not be installed or run ({type(error).__name__})"
        return float(json.loads(done.stdout))
