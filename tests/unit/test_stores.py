"""Stores: nothing opens without its key, one writer at a time, and what is rewritten is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import duckdb
import pytest

from stores.encrypted import (
    StoreBusyError,
    StoreUnreadableError,
    attached,
    in_memory_connection,
    storage_key,
    writer_lock,
)
from stores.files import written_atomically
from stores.keys import FileKeys, create_missing_keys
from stores.rewriting import rewrite

KEY, OTHER_KEY = "ab" * 32, "cd" * 32
MARK = "mark-that-must-not-show"
PIECE = 64


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "a.duckdb"
    with attached(path, KEY) as connection:
        connection.execute("create schema s")
        connection.execute(
            f"create table s.t as select i as id, '{MARK}' || i as text from range(20000) as r(i)"
        )
        connection.execute("create view s.v as select count(*) as n from s.t")
    return path


def count(path: Path, key: str = KEY) -> int:
    with attached(path, key, read_only=True) as connection:
        row = connection.execute("select count(*) from s.t").fetchone()
        return int(row[0]) if row else -1


def pieces(path: Path) -> set[bytes]:
    content = path.read_bytes()
    return {content[start : start + PIECE] for start in range(0, len(content), PIECE)} - {bytes(PIECE)}


def test_a_store_opens_with_its_key_alone(store: Path) -> None:
    assert count(store) == 20000
    with pytest.raises(StoreUnreadableError):
        count(store, OTHER_KEY)
    with pytest.raises(duckdb.Error):
        duckdb.connect(str(store), read_only=True)


def test_no_cell_can_be_read_from_the_file(store: Path) -> None:
    assert MARK.encode() not in store.read_bytes()


def test_a_refusal_does_not_show_the_key(store: Path) -> None:
    with pytest.raises(StoreUnreadableError) as refused:
        count(store, OTHER_KEY)
    assert OTHER_KEY not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_wrong_key_changes_nothing(store: Path) -> None:
    before = store.read_bytes()
    with pytest.raises(StoreUnreadableError), attached(store, OTHER_KEY):
        pass
    assert store.read_bytes() == before


def test_a_store_that_is_missing_is_not_made_by_reading(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreUnreadableError, match="doorstep refresh"),
        attached(tmp_path / "none.duckdb", KEY, read_only=True),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_every_store_has_a_key_of_its_own(tmp_path: Path) -> None:
    create_missing_keys(tmp_path, ("storage",))
    keys = FileKeys(tmp_path)
    names = ["linkage", "warehouse", "vault/district", "vault/county", "published/analysts"]
    assert len({storage_key(keys, name) for name in names}) == len(names)


def test_a_rewritten_store_holds_its_live_rows_and_not_a_piece_of_the_old_file(store: Path) -> None:
    with attached(store, KEY) as connection:
        connection.execute("delete from s.t where id >= 10000")
    old = pieces(store)
    rewrite(store, KEY)
    with attached(store, KEY, read_only=True) as connection:
        assert connection.execute("from s.v").fetchall() == [(10000,)]
    assert not old & pieces(store)
    assert not store.with_name("a.duckdb.rewritten").exists()


def test_deleting_alone_leaves_pieces_of_the_old_file(store: Path) -> None:
    # The reason for rewriting: if this ever fails, DuckDB has learnt to forget.
    old = pieces(store)
    with attached(store, KEY) as connection:
        connection.execute("delete from s.t where id >= 10000")
        connection.execute("checkpoint")
    assert len(old & pieces(store)) > len(old) // 2


def test_a_second_writer_waits_and_then_gives_up(store: Path) -> None:
    with (
        writer_lock(store),
        pytest.raises(StoreBusyError, match="another process"),
        writer_lock(store, patience=0.2),
    ):
        pass


def test_a_second_writer_goes_on_when_the_first_is_done(store: Path) -> None:
    def hold() -> None:
        with writer_lock(store):
            held.set()
            time.sleep(0.3)

    held = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    with attached(store, KEY) as connection:
        connection.execute("delete from s.t")
    holder.join()
    assert count(store) == 0


def _hold_and_die(path: Path) -> None:
    with attached(path, KEY) as connection:
        connection.execute("begin")
        connection.execute("delete from s.t")
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_writer_leaves_no_lock_and_no_half_transaction(store: Path) -> None:
    writer = multiprocessing.get_context("spawn").Process(target=_hold_and_die, args=(store,))
    writer.start()
    writer.join()
    assert writer.exitcode == -9
    with writer_lock(store, patience=0.2):
        pass
    assert count(store) == 20000


def test_what_is_spilled_to_disk_is_encrypted(tmp_path: Path) -> None:
    connection = in_memory_connection()
    assert connection.execute("select current_setting('temp_file_encryption')").fetchall() == [(True,)]
    spill = tmp_path / "spill"
    connection.execute(f"set temp_directory = '{spill}'")
    connection.execute("set memory_limit = '60MB'")
    connection.execute("set threads = 1")
    query = f"select '{MARK}' || i as text, random() as r from range(1500000) as t(i) order by r"
    reader = connection.execute(query).to_arrow_reader(1000)
    reader.read_next_batch()
    spilled = b"".join(path.read_bytes() for path in spill.rglob("*") if path.is_file())
    assert len(spilled) > 1 << 20
    assert MARK.encode() not in spilled


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    with written_atomically(path) as aside:
        aside.write_text("first")
    with pytest.raises(ZeroDivisionError), written_atomically(path) as aside:
        aside.write_text("second")
        raise ZeroDivisionError
    assert path.read_text() == "first"
    assert [each.name for each in path.parent.iterdir()] == ["file"]
