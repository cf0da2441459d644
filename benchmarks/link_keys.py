"""Link-key encoding: records a second on one core, beside the limit that OpenSSL's HMAC sets."""

from __future__ import annotations

import hmac
import time
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from bridge.identities import IDENTITY_COLUMNS
from bridge.link_keys import encode_link_keys
from exchange.link_key_schema import FIRST_EPOCH

RECORDS = 200_000
HMAC_CALLS = 200_000
SEED = 1


class _FixedKeys:
    """Root keys for measuring only."""

    def root(self, name: str, version: int | None = None) -> bytes:
        return name.encode().ljust(32, b".")


def measure() -> dict[str, Any]:
    """Encode made-up identities once, and time plain HMAC-SHA256 in the same run."""
    table = _identities(np.random.default_rng(SEED), RECORDS)
    encode_link_keys(table.slice(0, 1000), _FixedKeys(), FIRST_EPOCH)
    started = time.perf_counter()
    encode_link_keys(table, _FixedKeys(), FIRST_EPOCH)
    encoding = RECORDS / (time.perf_counter() - started)
    started = time.perf_counter()
    for _ in range(HMAC_CALLS):
        hmac.digest(b"k" * 32, b"a forename and a surname", "sha256")
    hmac_rate = HMAC_CALLS / (time.perf_counter() - started)
    return {
        "records": RECORDS,
        "link_keys_per_second": round(encoding),
        "openssl_hmac_per_second": round(hmac_rate),
        "ratio_to_hmac": round(encoding / hmac_rate, 4),
    }


def _identities(random: np.random.Generator, count: int) -> pa.Table:
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    names = ["".join(random.choice(letters, 7)) for _ in range(count // 20)]
    columns: dict[str, pa.Array] = {"record_ref": pa.array([f"{number:032x}" for number in range(count)])}
    for name in IDENTITY_COLUMNS:
        columns[name] = pa.nulls(count, pa.date32() if name == "date_of_birth" else pa.string())
    pick = pa.array(random.integers(0, len(names), count))
    columns["forename"] = pa.array(names).take(pick)
    columns["surname"] = pa.array(names).take(pa.array(random.integers(0, len(names), count)))
    days = random.integers(-10_000, 15_000, count).astype("int32")
    columns["date_of_birth"] = pa.array(days, pa.int32()).cast(pa.date32())
    columns["uprn"] = pa.array(random.integers(10**11, 10**12, count).astype(str).tolist())
    assert columns["date_of_birth"][0].as_py() > date(1900, 1, 1)
    return pa.table(columns)
