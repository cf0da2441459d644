"""Published marts: versions that analysts read while the next is being built.

A version is built aside from the warehouse, checked, renamed into place and made current by one atomic
move of the symbolic link `current`. Readers of an older version keep their open file; the link is resolved
once when they open. Every audience has ids of its own: the same person has unrelated ids in two audiences,
and neither in the warehouse.

    analytics/published/<audience>/current -> 000007-1f0c5e0aa1b2
    analytics/published/<audience>/000007-1f0c5e0aa1b2/marts.duckdb
    analytics/published/<audience>/000007-1f0c5e0aa1b2/manifest.json
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pyarrow as pa

from stores.analytics import AnalyticsZone
from stores.encrypted import STORE, StoreUnreadableError, attach, attached, storage_key, writer_lock
from stores.files import flush_folder
from stores.keys import derive_key
from stores.row_hash import rows_hash

VERSIONS_KEPT = 3
CURRENT = "current"
MARTS_FILE = "marts.duckdb"
MANIFEST_FILE = "manifest.json"
MARTS_STORE = "published/{audience}"
PUBLISHED_ID_HEX_DIGITS = 32
DIGEST_DIGITS_IN_NAME = 12
READING_ATTEMPTS = 5

ID_COLUMN = re.compile(r"(^|_)(person_id|household_id|ref|reference)$")
"""Columns that hold a pseudonym: each audience gets its own in its place."""

RISK_RELATIONS = {"risk_scores": "risk.scores", "risk_alerts": "risk.alerts"}
MONTH_COLUMN = "as_of_month"

VERSION_NAME = re.compile(r"^(?P<number>\d{6})-[0-9a-f]{12}$")


class PublishingError(RuntimeError):
    """A version that was built aside is not what it should be; the current one stays."""


@dataclass(frozen=True)
class Manifest:
    """What a published version says of itself.

    `relations`: published name → relation of the warehouse. `oldest_month`: ISO date, None if no relation
    has months.
    """

    version: str
    relations: Mapping[str, str]
    rows: Mapping[str, int]
    oldest_month: str | None
    digest: str


@dataclass(frozen=True)
class PublishReport:
    """What one call published. `published` is false if the content was the current version's already."""

    audience: str
    version: str
    published: bool
    rows: Mapping[str, int]
    removed_versions: int


def publish(
    zone: AnalyticsZone,
    audience: str,
    relations: Mapping[str, str] | None = None,
    *,
    oldest_month: date | None = None,
    keep_versions: int = VERSIONS_KEPT,
) -> PublishReport:
    """Publish `relations` (published name → `schema.table` of the warehouse) to `audience` as a new current
    version.

    Without `relations`: every table of schema `marts`, and the scores and alerts. Rows with an
    `as_of_month` before `oldest_month` are left out. Content equal to the current version's makes no new
    version. The newest `keep_versions` versions stay. Raises `PublishingError` if the new version fails its
    checks.
    """
    folder = zone.home.published(audience)
    with writer_lock(folder / "publish"):
        _remove_unfinished(folder)
        with zone.warehouse(read_only=True) as warehouse:
            sources = dict(relations) if relations is not None else _publishable(warehouse)
            current = read_manifest(folder / CURRENT)
            digest = _source_digest(zone, warehouse, audience, sources, oldest_month)
            if current is not None and current.digest == digest:
                removed = _remove_versions(folder, keep_versions)
                return PublishReport(audience, current.version, False, current.rows, removed)
            version = f"{_next_number(folder):06d}-{digest[:DIGEST_DIGITS_IN_NAME]}"
            manifest = _build(zone, warehouse, audience, sources, oldest_month, version, digest)
        _make_current(folder, version)
        removed = _remove_versions(folder, keep_versions)
        return PublishReport(audience, version, True, manifest.rows, removed)


def current_marts(zone: AnalyticsZone, audience: str) -> Path:
    """Return the file of `audience`'s current version, with the link resolved.

    Raises `StoreUnreadableError` if nothing has been published yet.
    """
    path = (zone.home.published(audience) / CURRENT).resolve() / MARTS_FILE
    if not path.is_file():
        raise StoreUnreadableError(f"{path.parent}: nothing is published yet. Run `doorstep refresh` first.")
    return path


@contextmanager
def published_marts(zone: AnalyticsZone, audience: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a read-only connection to `audience`'s current version; it stays whole if newer ones are
    published."""
    key = marts_key(zone, audience)
    for attempt in range(READING_ATTEMPTS):
        path = current_marts(zone, audience)
        reading = attached(path, key, read_only=True)
        try:
            connection = reading.__enter__()
        except StoreUnreadableError:
            # Between resolving and opening, newer versions may have pushed this one out: then look again.
            if path.is_file() or attempt == READING_ATTEMPTS - 1:
                raise
            continue
        try:
            yield connection
        finally:
            reading.__exit__(None, None, None)
        return


def marts_key(zone: AnalyticsZone, audience: str) -> str:
    """Return the encryption key of `audience`'s published marts, hexadecimal."""
    return storage_key(zone.keys, MARTS_STORE.format(audience=audience))


def audiences(zone: AnalyticsZone) -> list[str]:
    """Return the audiences that have a current version, in alphabetical order."""
    folder = zone.home.analytics / "published"
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if (path / CURRENT / MARTS_FILE).is_file())


def versions(zone: AnalyticsZone, audience: str) -> list[Manifest]:
    """Return the manifests of the versions that are kept, oldest first."""
    folders = _version_folders(zone.home.published(audience))
    return [manifest for path in folders if (manifest := read_manifest(path)) is not None]


def read_manifest(version_folder: Path) -> Manifest | None:
    """Return the manifest in `version_folder`, or None if there is none."""
    path = version_folder / MANIFEST_FILE
    if not path.is_file():
        return None
    return Manifest(**json.loads(path.read_text(encoding="utf-8")))


def published_id(audience_key: bytes, identifier: str) -> str:
    """Return the id that stands for `identifier` in the audience whose key is given."""
    return hmac.digest(audience_key, identifier.encode(), "sha256").hex()[:PUBLISHED_ID_HEX_DIGITS]


def audience_key(zone: AnalyticsZone, audience: str) -> bytes:
    """Return the key that `audience`'s ids are made with."""
    return derive_key(zone.keys.root("identifier"), "audience", audience)


def _publishable(warehouse: duckdb.DuckDBPyConnection) -> dict[str, str]:
    held = {
        f"{schema}.{table}"
        for schema, table in warehouse.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = ?", [STORE]
        ).fetchall()
    }
    risk = {name: source for name, source in RISK_RELATIONS.items() if source in held}
    marts = {source.partition(".")[2]: source for source in held if source.startswith("marts.")}
    # A mart of the same name is the reviewed form of the raw table.
    return dict(sorted({**risk, **marts}.items()))


def _columns(
    connection: duckdb.DuckDBPyConnection, source: str, database: str = STORE
) -> list[tuple[str, str]]:
    schema, _, table = source.partition(".")
    return connection.execute(
        "select column_name, data_type from duckdb_columns() "
        "where database_name = ? and schema_name = ? and table_name = ? order by column_index",
        [database, schema, table],
    ).fetchall()


def _selected(source: str, columns: Sequence[tuple[str, str]], oldest_month: date | None) -> str:
    """Return the `from` clause of what is published of `source`."""
    schema, _, table = source.partition(".")
    relation = f'from {STORE}."{schema}"."{table}" as source'
    if oldest_month is not None and any(name == MONTH_COLUMN for name, _ in columns):
        relation += f" where {MONTH_COLUMN} is null or {MONTH_COLUMN} >= date '{oldest_month.isoformat()}'"
    return relation


def _source_digest(
    zone: AnalyticsZone,
    warehouse: duckdb.DuckDBPyConnection,
    audience: str,
    sources: Mapping[str, str],
    oldest_month: date | None,
) -> str:
    """Return a digest of what would be published, and of the audience key, without building it."""
    digest = hashlib.sha256(hashlib.sha256(audience_key(zone, audience)).digest())
    for name, source in sorted(sources.items()):
        columns = _columns(warehouse, source)
        if not columns:
            raise PublishingError(f"{audience}: the warehouse has no table {source}. Run the marts first.")
        values = ", ".join(f'"{column}"' for column, _ in columns)
        hashes = ", ".join(map(rows_hash, (values, f"'again', {values}")))
        row = warehouse.execute(
            f"select count(*), {hashes} {_selected(source, columns, oldest_month)}"
        ).fetchone()
        digest.update(json.dumps([name, columns, [str(value) for value in row or ()]]).encode())
    return digest.hexdigest()


def _build(
    zone: AnalyticsZone,
    warehouse: duckdb.DuckDBPyConnection,
    audience: str,
    sources: Mapping[str, str],
    oldest_month: date | None,
    version: str,
    digest: str,
) -> Manifest:
    folder = zone.home.published(audience)
    aside = folder / f".building-{uuid4().hex}"
    aside.mkdir(parents=True)
    try:
        attach(warehouse, aside / MARTS_FILE, marts_key(zone, audience), "published", read_only=False)
        try:
            for name, source in sources.items():
                _copy(zone, warehouse, audience, name, source, oldest_month)
        finally:
            warehouse.execute("detach published")
        rows, oldest = _check(zone, warehouse, audience, sources, oldest_month, aside / MARTS_FILE)
        manifest = Manifest(version, dict(sources), rows, oldest, digest)
        (aside / MANIFEST_FILE).write_text(json.dumps(asdict(manifest), sort_keys=True), encoding="utf-8")
        (aside / MARTS_FILE).chmod(0o640)
        aside.rename(folder / version)
        flush_folder(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return manifest


def _copy(
    zone: AnalyticsZone,
    connection: duckdb.DuckDBPyConnection,
    audience: str,
    name: str,
    source: str,
    oldest_month: date | None,
) -> None:
    columns = _columns(connection, source)
    selected = _selected(source, columns, oldest_month)
    ids = [column for column, kind in columns if ID_COLUMN.search(column) and kind == "VARCHAR"]
    if not ids:
        connection.execute(f'create table published."{name}" as select * {selected}')
        return
    distinct = " union ".join(f'select distinct "{column}" as id {selected}' for column in ids)
    known = [
        identifier for (identifier,) in connection.execute(distinct).fetchall() if identifier is not None
    ]
    key = audience_key(zone, audience)
    connection.register(
        "published_ids",
        pa.table(
            {
                "id": pa.array(known, pa.string()),
                "published_id": pa.array(
                    [published_id(key, identifier) for identifier in known], pa.string()
                ),
            }
        ),
    )
    values = ", ".join(
        f'ids_{ids.index(column)}.published_id as "{column}"' if column in ids else f'source."{column}"'
        for column, _ in columns
    )
    joins = " ".join(
        f'left join published_ids as ids_{place} on source."{column}" = ids_{place}.id'
        for place, column in enumerate(ids)
    )
    connection.execute(
        f'create table published."{name}" as '
        f"with source as (select * {selected}) select {values} from source {joins}"
    )
    connection.unregister("published_ids")


def _check(
    zone: AnalyticsZone,
    warehouse: duckdb.DuckDBPyConnection,
    audience: str,
    sources: Mapping[str, str],
    oldest_month: date | None,
    path: Path,
) -> tuple[dict[str, int], str | None]:
    """Read the new file as an analyst would: same rows, same columns, and not one id of the warehouse."""
    rows: dict[str, int] = {}
    months: list[date] = []
    attach(warehouse, path, marts_key(zone, audience), "published", read_only=True)
    try:
        for name, source in sources.items():
            columns = _columns(warehouse, source)
            if _columns(warehouse, f"main.{name}", "published") != columns:
                raise PublishingError(f"{audience}: {name} came out with other columns than {source} has")
            selected = _selected(source, columns, oldest_month)
            rows[name] = _one(warehouse, f'select count(*) from published."{name}"')
            if rows[name] != _one(warehouse, f"select count(*) {selected}"):
                raise PublishingError(
                    f"{audience}: {name} came out with another number of rows than {source} has"
                )
            for column in (
                column for column, kind in columns if ID_COLUMN.search(column) and kind == "VARCHAR"
            ):
                ours = f'select distinct "{column}" as id {selected}'
                theirs = f'select distinct "{column}" as id from published."{name}"'
                if _one(warehouse, f"select count(*) from ({ours}) where id is not null") != _one(
                    warehouse, f"select count(*) from ({theirs}) where id is not null"
                ):
                    raise PublishingError(f"{audience}: {name}.{column} lost or merged ids")
                if _one(warehouse, f"select count(*) from ({ours}) join ({theirs}) using (id)"):
                    raise PublishingError(f"{audience}: {name}.{column} holds ids of the warehouse")
            if any(column == MONTH_COLUMN for column, _ in columns):
                months += [
                    month
                    for (month,) in warehouse.execute(
                        f'select min({MONTH_COLUMN})::date from published."{name}"'
                    ).fetchall()
                    if month is not None
                ]
    finally:
        warehouse.execute("detach published")
    return rows, min(months).isoformat() if months else None


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None


def _make_current(folder: Path, version: str) -> None:
    pointer = folder / f".{CURRENT}-{uuid4().hex}"
    pointer.symlink_to(version)
    pointer.replace(folder / CURRENT)
    flush_folder(folder)


def _version_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if VERSION_NAME.match(path.name))


def _next_number(folder: Path) -> int:
    # The current version counts even if its folder is gone: a name is never used twice.
    names = [path.name for path in _version_folders(folder)]
    if (folder / CURRENT).is_symlink():
        names.append((folder / CURRENT).readlink().name)
    return 1 + max((int(name.partition("-")[0]) for name in names), default=0)


def _remove_versions(folder: Path, keep: int) -> int:
    current = (folder / CURRENT).readlink().name if (folder / CURRENT).is_symlink() else ""
    superseded = [path for path in _version_folders(folder) if path.name != current]
    # A version that is newer than the current one was finished but never made current: nobody reads it.
    outdated = superseded[: max(len(superseded) - (keep - 1), 0)]
    for path in outdated:
        shutil.rmtree(path)
    return len(outdated)


def _remove_unfinished(folder: Path) -> None:
    for path in folder.glob(".building-*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(f".{CURRENT}-*"):
        path.unlink(missing_ok=True)
