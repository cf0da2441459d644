"""SQLite event storage that keeps its connections.

Dagster's own opens a new engine for every event, so each statement is compiled anew; a night's backfill writes a
thousand events, and spends longer on them than on the data (docs/adr/0006). Nothing else is changed: same files, same
schema, and Dagster's own storage reads what this one wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import SingletonThreadPool


class KeptSqliteEventLogStorage(SqliteEventLogStorage):
    """Keeps one engine for each shard and one connection for each thread."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self._engines: dict[str, Engine] = {}
        super().__init__(*arguments, **settings)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> KeptSqliteEventLogStorage:
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

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
        super().dispose()


def _write_ahead(connection: Any, _record: Any) -> None:
    # Safe in write-ahead mode: a power cut can lose the last events, never the file. What is left to do is
    # read from the
    # stores, not from these events.
    connection.execute("pragma synchronous = normal")
