"""The vault: identities written and read a second, beside what OpenSSL's AES-GCM takes for the same messages."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.pseudonymise.identities import IDENTITY_SCHEMA
from bridge.vault.arrivals import ARRIVAL_SCHEMA
from bridge.vault.identity_texts import identity_texts
from bridge.vault.vault import open_vault
from bridge.zone import CouncilZone
from stores.home import Home
from stores.keys import COUNCIL_ROOTS, create_missing_keys

SUBJECTS = 300_000
HELD_BEFORE = 50_000
SEED = 1
PARTNER = "district"
GCM_MESSAGES = 100_000


def measure() -> dict[str, Any]:
    """Write made-up identities into a new vault, again unchanged, and read them; time plain AES-GCM in the same run."""
    random = np.random.default_rng(SEED)
    arrivals = _arrivals(random, SUBJECTS, date(2025, 1, 6))
    again = _arrivals(np.random.default_rng(SEED), SUBJECTS, date(2025, 2, 3))
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        create_missing_keys(home.council_keys, COUNCIL_ROOTS)
        zone = CouncilZone.open(home)
        _keep(zone, arrivals.slice(0, HELD_BEFORE))
        written = _rate(SUBJECTS - HELD_BEFORE, lambda: _keep(zone, arrivals.slice(HELD_BEFORE)))
        unchanged = _rate(SUBJECTS, lambda: _keep(zone, again))
        read = _rate(SUBJECTS, lambda: _read(zone))
        verified = _rate(SUBJECTS, lambda: _verify(zone))
        size = sum(path.stat().st_size for path in (home.vault_db(PARTNER), home.vault_keys_db(PARTNER)))
    fresh_keys, one_key = _gcm(identity_texts(arrivals.slice(0, GCM_MESSAGES)).to_pylist())
    rates = {
        "written": written,
        "unchanged": unchanged,
        "read": read,
        "verified": verified,
        "aes_gcm_a_key_each": fresh_keys,
        "aes_gcm_one_key": one_key,
    }
    return {
        "subjects": SUBJECTS,
        "bytes_per_subject": round(size / SUBJECTS),
        "load_average": round(os.getloadavg()[0], 1),
        **{f"{name}_per_second": round(rate.clock) for name, rate in rates.items()},
        **{f"{name}_per_processor_second": round(rate.processor) for name, rate in rates.items()},
        "ratio_to_aes_gcm_a_key_each": round(written.clock / fresh_keys.clock, 3),
        "ratio_to_aes_gcm_one_key": round(written.clock / one_key.clock, 3),
    }


@dataclass(frozen=True)
class _Rate:
    """Pieces a second by the clock, and a second of processor time (all threads), which a busy machine sways less."""

    clock: float
    processor: float


def _rate(count: int, work: Callable[[], object]) -> _Rate:
    started, used = time.perf_counter(), time.process_time()
    work()
    return _Rate(count / (time.perf_counter() - started), count / (time.process_time() - used))


def _keep(zone: CouncilZone, arrivals: pa.Table) -> None:
    with open_vault(zone, PARTNER) as vault:
        vault.keep(arrivals)


def _read(zone: CouncilZone) -> None:
    with open_vault(zone, PARTNER) as vault:
        assert sum(batch.num_rows for batch in vault.identity_batches()) == SUBJECTS


def _verify(zone: CouncilZone) -> None:
    with open_vault(zone, PARTNER) as vault:
        assert vault.verify().unreadable == 0


def _gcm(texts: list[str]) -> tuple[_Rate, _Rate]:
    """Encrypt the texts one by one with a key each, then all with one key; return messages a second."""
    messages = [text.encode() for text in texts]
    keys = [os.urandom(32) for _ in messages]
    nonces = [os.urandom(12) for _ in messages]
    bound = b"vault and record reference, about so long as they are in a vault"
    fresh = _rate(
        len(messages),
        lambda: [
            AESGCM(key).encrypt(nonce, message, bound)
            for key, nonce, message in zip(keys, nonces, messages, strict=True)
        ],
    )
    cipher = AESGCM(keys[0])
    one = _rate(
        len(messages),
        lambda: [
            cipher.encrypt(nonce, message, bound) for nonce, message in zip(nonces, messages, strict=True)
        ],
    )
    return fresh, one


def _arrivals(random: np.random.Generator, count: int, day: date) -> pa.Table:
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    names = pa.array(["".join(random.choice(letters, 7)) for _ in range(5_000)])
    streets = pa.array([f"{number} {name} Road, Exampleton" for number, name in enumerate(names.to_pylist())])
    numbers = np.arange(count)
    columns: dict[str, Any] = {
        "record_ref": pa.array([f"{number:032x}" for number in numbers]),
        "feed": pa.repeat("council_tax", count),
        "table_name": pa.repeat("accounts", count),
        "delivery_date": pa.repeat(day, count),
        "received_date": pa.repeat(day, count),
        "delivery_id": pa.repeat(f"{day}-full", count),
        "partner_key": pa.array([f'{{"account_ref":"{number}"}}' for number in numbers]),
        "forename": names.take(pa.array(random.integers(0, len(names), count))),
        "surname": names.take(pa.array(random.integers(0, len(names), count))),
        "date_of_birth": pa.array(random.integers(-10_000, 15_000, count).astype("int32")).cast(pa.date32()),
        "nino": pa.array([f"ZZ{number:06d}A" for number in numbers]),
        "phone": pa.array([f"07700{number:06d}" for number in numbers]),
        "address": streets.take(pa.array(random.integers(0, len(streets), count))),
        "postcode": pa.array([f"ZZ{number % 97} {number % 9}AA" for number in numbers]),
        "uprn": pa.array((numbers + 10**11).astype(str).tolist()),
    }
    missing = {each.name: pa.nulls(count, each.type) for each in IDENTITY_SCHEMA if each.name not in columns}
    return pa.table({**missing, **columns}).select(ARRIVAL_SCHEMA.names).cast(ARRIVAL_SCHEMA)
