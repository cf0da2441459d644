"""Canaries: values planted in every encoding in every kind of store, which a scan must find or fail itself."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import io
import lzma
import pickle
import shutil
import sqlite3
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from governance.scanner.encodings import BYTE_ENCODINGS, DIGEST_ENCODINGS, TEXT_ENCODINGS
from governance.scanner.searching import CHUNK_BYTES
from governance.scanner.stores import PACKAGE_SUFFIX, PackageReader
from stores.encrypted import attached

REPEATED = 3000
"""Rows: enough of one text for DuckDB and Parquet to compress it, so that no byte of the file shows it."""

FILE, FILE_NAME, BORDER = "file", "file name", "chunk border"


class Canaries:
    """Values planted so far, by "store, encoding"."""

    def __init__(self) -> None:
        self.planted: dict[str, str] = {}

    def of(self, store: str, encoding: str) -> str:
        """Return a new value for `encoding` in `store`."""
        tag = "".join(chr(ord("a") + byte % 26) for byte in uuid4().bytes[:10])
        value = f"{tag[:5]}é O'{tag[5:]}"
        self.planted[f"{store}, {encoding}"] = value
        return value

    def texts(self, store: str) -> list[str]:
        """Return one cell of text for every way of writing that a text can hold."""
        encoded = [_within(encode(self.of(store, name))) for name, encode in TEXT_ENCODINGS.items()]
        return [cell.decode("utf-8") for cell in encoded] + self._digests(store)

    def blobs(self, store: str) -> list[bytes]:
        """Return one cell of bytes for every way of writing that only bytes can hold."""
        return [_within(encode(self.of(store, name))) for name, encode in BYTE_ENCODINGS.items()]

    def everything(self, store: str) -> list[bytes]:
        """Return texts and blobs, as bytes."""
        return [*(text.encode() for text in self.texts(store)), *self.blobs(store)]

    def _digests(self, store: str) -> list[str]:
        return [
            hashlib.new(algorithm, self.of(store, name).encode(), usedforsecurity=False).hexdigest()
            for name, algorithm in DIGEST_ENCODINGS.items()
        ]


def plant(folder: Path, key_of: Callable[[Path], str], packages: PackageReader | None) -> Mapping[str, str]:
    """Write canaries into `folder`, in every encoding in every kind of store; return them by "store, encoding".

    `key_of` gives the encryption key of a store by its path.
    """
    folder.mkdir(parents=True)
    canaries = Canaries()
    _plant_files(folder, canaries)
    _plant_packed(folder, canaries)
    _plant_duckdb(folder / "cells.duckdb", canaries, key_of)
    _plant_write_ahead_log(folder, canaries, key_of)
    _plant_sqlite(folder / "events.db", canaries)
    _plant_arrow(folder, canaries)
    if packages is not None:
        name = "sealed package"
        rows = pa.table({"text": canaries.texts(name)})
        packages.plant(folder / f"package{PACKAGE_SUFFIX}", rows)
    return canaries.planted


def _within(written: bytes) -> bytes:
    return b"before " + written + b" after"


def _plant_files(folder: Path, canaries: Canaries) -> None:
    for place, content in enumerate(canaries.everything(FILE)):
        (folder / f"{place}.bin").write_bytes(content)
    (folder / canaries.of(FILE_NAME, "plain")).write_bytes(b"")
    # In the middle of a large file, across the border of two chunks.
    border = canaries.of(BORDER, "plain").encode()
    (folder / "large.bin").write_bytes(
        bytes(CHUNK_BYTES - len(border) // 2) + border + bytes(CHUNK_BYTES // 8)
    )
    (folder / "model.pickle").write_bytes(pickle.dumps({"classes": canaries.of("pickle", "plain")}))
    (folder / "page.html").write_text(f"<p>{canaries.of('page', 'plain')}</p>", encoding="utf-8")


def _plant_packed(folder: Path, canaries: Canaries) -> None:
    """Plant compressed files, each with every encoding inside."""
    packers: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "bzip2": bz2.compress,
        "xz": lzma.compress,
        "zstd": lambda content: pa.compress(content, codec="zstd", asbytes=True),
        "zlib": zlib.compress,
        "zip": _zipped,
        "tar": _archived,
        "picture": _picture,
    }
    for name, pack in packers.items():
        content = b"\n".join(canaries.everything(name))
        (folder / f"packed.{name}").write_bytes(pack(content))
    text = canaries.of("gzip in base64", "plain").encode()
    (folder / "embedded.txt").write_bytes(b"data:" + base64.b64encode(gzip.compress(_within(text))))


def _zipped(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt.gz", gzip.compress(content))
    return stream.getvalue()


def _archived(content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        member = tarfile.TarInfo("inner.txt")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _picture(content: bytes) -> bytes:
    """Return the beginning of a PNG that carries `content` as a compressed text."""
    chunk = b"zTXt" + b"Comment\0\0" + zlib.compress(content)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", len(chunk) - 4)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
    )


def _plant_duckdb(path: Path, canaries: Canaries, key_of: Callable[[Path], str]) -> None:
    with attached(path, key_of(path)) as connection:
        _fill(connection, canaries, "DuckDB")
        connection.execute("create table nested (document json, names varchar[], who struct(name varchar))")
        document, names, who = (canaries.of("DuckDB", place) for place in ("JSON", "list", "struct"))
        connection.execute(
            "insert into nested values ({'a': ?}::json, [?], {'name': ?})", [document, names, who]
        )
    with duckdb.connect(path.with_name("clear.duckdb")) as connection:
        _fill(connection, canaries, "DuckDB without encryption")


def _fill(connection: duckdb.DuckDBPyConnection, canaries: Canaries, store: str) -> None:
    texts, blobs = canaries.texts(store), canaries.blobs(store)
    connection.execute("create table cells as select unnest(?::varchar[]) as text", [texts])
    connection.execute("create table blobs as select unnest(?::blob[]) as bytes", [blobs])
    connection.execute(
        "create table repeated as select ? as text from range(?)", [canaries.of(store, "repeated"), REPEATED]
    )


def _plant_write_ahead_log(folder: Path, canaries: Canaries, key_of: Callable[[Path], str]) -> None:
    """Leave a store as a killed process does: its last rows only in its write-ahead log."""
    path, aside = folder / "killed.duckdb", folder / "aside"
    aside.mkdir()
    with attached(aside / path.name, key_of(path)) as connection:
        connection.execute("create table before (text varchar)")
        connection.execute("checkpoint")
        _fill(connection, canaries, "write-ahead log")
        for file in aside.glob(f"{path.name}*"):
            if not file.name.endswith(".lock"):
                shutil.copy(file, folder / file.name)
    shutil.rmtree(aside)


def _plant_sqlite(path: Path, canaries: Canaries) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("create table events (event text, extra blob)")
        connection.executemany(
            "insert into events (event) values (?)", [(text,) for text in canaries.texts("SQLite")]
        )
        connection.executemany(
            "insert into events (extra) values (?)", [(blob,) for blob in canaries.blobs("SQLite")]
        )
        # As Dagster keeps a job's description.
        packed = zlib.compress(_within(canaries.of("SQLite", "zlib").encode()))
        connection.execute("insert into events (extra) values (?)", [packed])
    connection.close()


def _plant_arrow(folder: Path, canaries: Canaries) -> None:
    for name in ("Parquet", "Arrow"):
        texts, blobs = canaries.texts(name), canaries.blobs(name)
        rows = pa.table(
            {
                "text": pa.array([*texts, *[None] * len(blobs)], pa.string()),
                "blob": pa.array([*[None] * len(texts), *blobs], pa.binary()),
            }
        )
        if name == "Parquet":
            pq.write_table(rows, folder / "rows.parquet", compression="zstd")
        else:
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            with pa.ipc.new_file(folder / "rows.arrow", rows.schema, options=options) as writer:
                writer.write_table(rows)
