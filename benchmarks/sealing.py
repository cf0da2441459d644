"""Sealing and opening one package of 700,000 rows, beside what OpenSSL's AES-256-GCM does with the same bytes.

Counted are Arrow bytes: the buffers of payload and link keys as they stand in memory before compression (nulls'
places included). Values are random where link keys are, and drawn from few codes where a payload's are. The file
is written to disk and read back; its flush to the disk is not counted.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from exchange.chunks import CHUNK_BYTES
from exchange.link_key_schema import LINK_KEY_SCHEMA
from exchange.sealed import PackageLabel, Part, open_sealed, seal_into
from exchange.trust import public_key

ROWS = 700_000
LEAST_MEGABYTES_A_SECOND = 200
REPEATS = 3
HELD = 0.6
"""Share of records that have a token: the others' places are null, and zeros in memory."""


class _Keys:
    def __init__(self) -> None:
        self._root = os.urandom(32)

    def root(self, _name: str, _version: int | None = None) -> bytes:
        return self._root

    def current(self, _name: str) -> int:
        return 1

    def usable(self, _name: str) -> tuple[int, ...]:
        return (1,)


def measure() -> dict[str, Any]:
    """Seal and open; report the best of three, in megabytes (10^6) of Arrow buffers a second."""
    rows = int(os.environ.get("DOORSTEP_BENCHMARK_ROWS", ROWS))
    parts = [Part("payload", "accounts", _payload(rows)), Part("link_keys", "accounts", _link_keys(rows))]
    size = sum(part.rows.nbytes for part in parts)
    council, analytics = _Keys(), _Keys()
    receiver, sender = public_key(analytics), public_key(council)
    day = date(2025, 1, 6)
    label = PackageLabel("council_tax", "2025-01-06-full-0123abcd", day, day, "full", "isa", "1.0.0", 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "package.sealed"

        def sealing() -> None:
            with path.open("wb") as target:
                seal_into(target, label, parts, council, receiver)

        sealed, sealed_cpu = _best(sealing)
        opened, opened_cpu = _best(lambda: open_sealed(path, analytics, sender))
        package_size = path.stat().st_size
    gcm, _ = _best(lambda: _bare_gcm(size))
    return {
        "rows": rows,
        "arrow_megabytes": round(size / 1e6, 1),
        "package_megabytes": round(package_size / 1e6, 1),
        "seal_megabytes_a_second": round(size / sealed / 1e6),
        "seal_megabytes_a_processor_second": round(size / sealed_cpu / 1e6),
        "open_megabytes_a_second": round(size / opened / 1e6),
        "open_megabytes_a_processor_second": round(size / opened_cpu / 1e6),
        "aes_256_gcm_megabytes_a_second": round(size / gcm / 1e6),
        "seal_share_of_aes_256_gcm": round(gcm / sealed, 3),
        "least_megabytes_a_second": LEAST_MEGABYTES_A_SECOND,
    }


def _best(work: Callable[[], object]) -> tuple[float, float]:
    """Return the least time and the least processor time of three goes, in seconds."""
    times, processor = [], []
    for _ in range(REPEATS):
        started, used = time.perf_counter(), time.process_time()
        work()
        times.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
    return min(times), min(processor)


def _bare_gcm(size: int) -> None:
    cipher, chunk, target = AESGCM(bytes(32)), bytes(CHUNK_BYTES), bytearray(CHUNK_BYTES + 16)
    for _ in range(size // CHUNK_BYTES):
        cipher.encrypt_into(bytes(12), chunk, None, target)


def _references(rows: int, generator: np.random.Generator) -> pa.Array:
    written = np.frombuffer(generator.bytes(16 * rows).hex().encode(), dtype=np.uint8)
    offsets = np.arange(0, 32 * rows + 1, 32, dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(written)])


def _payload(rows: int) -> pa.Table:
    generator = np.random.default_rng(1)
    codes = pa.array(["NONE", "SPD", "STU", "DIS"]).take(pa.array(generator.integers(0, 4, rows)))
    days = pa.array(generator.integers(10_000, 20_000, rows).astype("datetime64[D]"))
    return pa.table(
        {
            "record_ref": _references(rows, generator),
            "account_ref": _references(rows, generator),
            "lead_liab_pos": pa.array(generator.integers(1, 3, rows)),
            "occupation_date": days,
            "discount_code": codes,
            "balance": pa.array(np.round(generator.normal(300, 200, rows), 2)),
        }
    )


def _link_keys(rows: int) -> pa.Table:
    generator = np.random.default_rng(2)
    columns: dict[str, pa.Array] = {}
    for column in LINK_KEY_SCHEMA:
        if column.name == "record_ref":
            columns[column.name] = _references(rows, generator)
        elif column.type == pa.uint64():
            columns[column.name] = pa.array(np.frombuffer(generator.bytes(8 * rows), dtype=np.uint64))
        elif pa.types.is_fixed_size_binary(column.type):
            held = generator.random(rows) < HELD
            tokens = np.frombuffer(generator.bytes(16 * rows), dtype=np.uint64).reshape(-1, 2) * held[:, None]
            validity = pa.py_buffer(np.packbits(held, bitorder="little"))
            columns[column.name] = pa.Array.from_buffers(
                column.type, rows, [validity, pa.py_buffer(np.ascontiguousarray(tokens))]
            )
        elif column.name == "epoch":
            columns[column.name] = pa.repeat(pa.scalar(1, column.type), rows)
        else:
            columns[column.name] = pa.repeat(pa.scalar("01234567", column.type), rows)
    return pa.table(columns, schema=LINK_KEY_SCHEMA)
