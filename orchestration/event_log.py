"""SQLite event storage that keeps its connections.

Dagster's own opens a new engine for every event, so each statement is compiled anew; a night's backfill writes a
thousand events, and spends longer on them than on the data (docs/adr/0006). Nothing else is changed: same files, same
schema, and Dagster's own storage reads what this one wrote.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from dagster import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SQLITE_BUSY_TIMEOUT_SECONDS,
)
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import SingletonThreadPool


class KeptSqliteEventLogStorage(SqliteEventLogStorage):
    """Keeps one engine for each shard and one connection for each thread; a batch of events is one transaction.

    A run's shard begins as a copy of the first one's empty tables: asking the migrations takes longer than a short run.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self._engines: dict[str, Engine] = {}
        self._in_batch: dict[str, Connection] = {}
        self._seen_tables: set[str] = set()
        self._seen_index_columns = False
        self._empty_shard: sqlite3.Connection | None = None
        super().__init__(*arguments, **settings)
        # Dagster's own lock cannot be taken again by the thread that has it, as a batch does.
        self._db_lock = threading.RLock()  # type: ignore[assignment]

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> KeptSqliteEventLogStorage:
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        # The lock is held for as long as a batch is written, so what is in `_in_batch` is this thread's.
        with self._db_lock:
            if shard in self._in_batch:
                yield self._in_batch[shard]
                return
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._make_tables(shard, engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _make_tables(self, shard: str, engine: Engine) -> None:
        path = Path(self.path_for_shard(shard))
        is_new = not path.exists() and shard != INDEX_SHARD_NAME
        if is_new and self._empty_shard is not None:
            with closing(sqlite3.connect(path)) as fresh:
                self._empty_shard.backup(fresh)
                fresh.execute("pragma journal_mode = wal")
            return
        self._initdb(engine)
        if is_new:
            self._empty_shard = sqlite3.connect(":memory:", check_same_thread=False)
            with closing(sqlite3.connect(path)) as made:
                made.backup(self._empty_shard)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store `events` in one transaction for each shard; one by one, committing takes longer than writing."""
        shards = [INDEX_SHARD_NAME, *dict.fromkeys(event.run_id for event in events)]
        with self._db_lock, ExitStack() as held:
            connections = {shard: held.enter_context(self._connect(shard)) for shard in shards}
            self._in_batch = connections
            held.callback(self._in_batch.clear)
            super().store_event_batch(events)

    def has_table(self, table_name: str) -> bool:
        """True if the index has the table; asked for every event, and a table that is there stays."""
        if table_name not in self._seen_tables and super().has_table(table_name):
            self._seen_tables.add(table_name)
        return table_name in self._seen_tables

    def _has_asset_key_index_cols_on_connection(self, conn: Connection) -> bool:
        self._seen_index_columns = (
            self._seen_index_columns or super()._has_asset_key_index_cols_on_connection(conn)
        )
        return self._seen_index_columns

    def _engine(self, shard: str) -> Engine:
        if shard not in self._engines:
            engine = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=SingletonThreadPool,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            event.listen(engine, "connect", _write_ahead)
            self._engines[shard] = engine
        return self._engines[shard]

    def dispose(self) -> None:
        """Close every connection, then what Dagster's own storage holds."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        if self._empty_shard is not None:
            self._empty_shard.close()
            self._empty_shard = None
        super().dispose()


def _write_ahead(connection: Any, _record: Any) -> None:
    # Safe in write-ahead mode: a power cut can lose the last events, never the file. What is left to do is
    # read from the stores, not from these events.
    connection.execute("pragma synchronous = normal")
