"""dbt-duckdb plugin: attach the encrypted warehouse with its key bound, and hold its writer lock.

dbt-duckdb would write the key into the text of an ATTACH statement, and its `extensions` setting would go
to the network for the writing cipher. Both happen here instead, offline and with nothing to leak.
"""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import duckdb_extensions
from dbt.adapters.duckdb.plugins import BasePlugin

from stores.encrypted import ONE_CHECKPOINT, StoreUnreadableError, attach, detach, writer_lock

PATH_VARIABLE = "DOORSTEP_WAREHOUSE"
KEY_VARIABLE = "DBT_ENV_SECRET_WAREHOUSE_KEY"
WAREHOUSE = "warehouse"


class Plugin(BasePlugin):
    """Attaches the warehouse as `warehouse` for the whole life of the process."""

    _held = ExitStack()

    def initialize(self, plugin_config: dict[str, Any]) -> None:  # noqa: ARG002 - dbt-duckdb's signature
        atexit.register(lambda: self._held.close())

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Attach the warehouse. Raises `StoreUnreadableError` if path or key is not given, or the key is
        wrong.
        """
        for variable in (PATH_VARIABLE, KEY_VARIABLE):
            if not os.environ.get(variable):
                raise StoreUnreadableError(
                    f"{variable} is not set. Run dbt through `doorstep refresh`, or set it."
                )
        path = Path(os.environ[PATH_VARIABLE])
        duckdb_extensions.import_extension("httpfs", con=conn)
        conn.execute("load httpfs")
        # What does not fit in memory is spilled to disk, in clear unless said otherwise.
        conn.execute("set temp_file_encryption = true")
        conn.execute(ONE_CHECKPOINT)
        with ExitStack() as held:
            held.enter_context(writer_lock(path))
            attach(conn, path, os.environ[KEY_VARIABLE], WAREHOUSE, read_only=False)
            held.callback(detach, conn.cursor(), WAREHOUSE, path)
            # Kept only if all went well: dbt tries again on each of its threads, and would wait for itself.
            self._held = held.pop_all()
