"""A writer killed while DuckDB writes its log back leaves a store that opens, with every row that was committed.

What such a kill leaves is made here from the store before and after its checkpoint, without killing anything: every
block is written as far as the kill let it be, the header not yet or just so.
"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import duckdb
import pytest

import stores.encrypted
from stores.checkpoints import HEADER_BYTES, KEPT_SUFFIX, LOG_SUFFIX, beside, metadata_kept
from stores.encrypted import (
    NEW_SUFFIX,
    STORE,
    StoreUnreadableError,
    attached,
    borrowed_connection,
    detach,
    in_memory_connection,
    writer_lock,
)
from stores.rewriting import rewrite

KEY = "ab" * 32
BLOCK = 262144
BEFORE, AFTER = 20_000, 20_500


@pytest.fixture
def moments(tmp_path: Path) -> tuple[Path, Path]:
    """The store just before a checkpoint, with its log and what is kept, and the same store just after it."""
    path, before, after = tmp_path / "a.duckdb", tmp_path / "before", tmp_path / "after"
    with attached(path, KEY) as connection:
        connection.execute(
            f"create table t as select i as id, 'text ' || i as text from range({BEFORE}) r(i)"
        )
    with writer_lock(path), borrowed_connection() as connection:
        stores.encrypted.attach(connection, path, KEY, STORE, read_only=False)
        connection.execute("create table store.u (id bigint)")
        connection.execute("insert into store.u select i from range(10) r(i)")
        connection.execute(
            f"insert into store.t select i, 'more ' || i from range({BEFORE}, {AFTER}) r(i)",
        )
        with metadata_kept(connection, STORE, path):
            _copy(path, before)
            connection.execute(f"detach {STORE}")
            _copy(path, after)
    return before / path.name, after / path.name


def _copy(path: Path, folder: Path) -> None:
    folder.mkdir()
    for suffix in ("", KEPT_SUFFIX):
        if beside(path, suffix).exists():
            shutil.copy(beside(path, suffix), folder)
    if (log := beside(path, LOG_SUFFIX)).exists():
        # The same file by a second name: a checkpoint still writes its mark into the log before it removes it.
        (folder / log.name).hardlink_to(log)


def _torn(before: Path, after: Path, at: int) -> Path:
    """Make the store at `before` what a kill leaves when `at` bytes of each block were written, and no header."""
    old, new = before.read_bytes(), after.read_bytes()
    blocks = [
        new[start : start + at] + old[start + at : start + BLOCK]
        for start in range(HEADER_BYTES, len(new), BLOCK)
    ]
    before.write_bytes(old[:HEADER_BYTES] + b"".join(blocks))
    return before


def _rows(path: Path, *, read_only: bool = True) -> tuple[int, int]:
    with attached(path, KEY, read_only=read_only) as connection:
        return connection.execute("select (select count(text) from t), (select count(id) from u)").fetchall()[
            0
        ]


@pytest.mark.parametrize("written", [4096, BLOCK // 2, BLOCK - 4096, BLOCK])
@pytest.mark.parametrize("read_only", [True, False])
def test_a_block_half_written_is_put_back_and_the_log_replayed(
    moments: tuple[Path, Path], written: int, read_only: bool
) -> None:
    path = _torn(*moments, written)
    assert _rows(path, read_only=read_only) == (AFTER, 10)
    assert _rows(path, read_only=False) == (AFTER, 10)
    assert not beside(path, KEPT_SUFFIX).exists()


def test_without_what_was_kept_the_store_is_lost(moments: tuple[Path, Path]) -> None:
    path = _torn(*moments, BLOCK // 2)
    beside(path, KEPT_SUFFIX).unlink()
    with pytest.raises(StoreUnreadableError, match="InvalidInputException"):
        _rows(path)


@pytest.mark.parametrize("log_is_gone", [True, False])
def test_a_checkpoint_that_came_about_is_not_undone(moments: tuple[Path, Path], log_is_gone: bool) -> None:
    before, after = moments
    shutil.copy(after, before)
    if log_is_gone:
        beside(before, LOG_SUFFIX).unlink()
    assert _rows(before) == (AFTER, 10)
    with attached(before, KEY) as connection:
        connection.execute("insert into u values (11)")
    assert _rows(before) == (AFTER, 11)
    assert not beside(before, KEPT_SUFFIX).exists()


def test_what_was_kept_of_one_file_is_not_put_into_the_next(moments: tuple[Path, Path]) -> None:
    path = _torn(*moments, BLOCK // 2)
    rewrite(path, KEY)
    assert _rows(path) == (AFTER, 10)
    assert {each.name for each in path.parent.iterdir()} == {"a.duckdb", "a.duckdb.lock"}


def test_a_writer_that_ends_well_leaves_nothing_beside_the_store(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    for statement in ("create table t (id bigint)", "insert into t values (1)", "select 1"):
        with attached(path, KEY) as connection:
            connection.execute(statement)
    assert {each.name for each in tmp_path.iterdir()} == {"a.duckdb", "a.duckdb.lock"}


def test_a_writer_that_fails_writes_back_what_it_had_committed(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    with pytest.raises(ZeroDivisionError), attached(path, KEY) as connection:
        connection.execute("create table t as select 1 as id")
        connection.execute("begin")
        connection.execute("insert into t values (2)")
        raise ZeroDivisionError
    with attached(path, KEY, read_only=True) as connection:
        assert connection.execute("select count(*) from t").fetchall() == [(1,)]
    assert {each.name for each in tmp_path.iterdir()} == {"a.duckdb", "a.duckdb.lock"}


@pytest.mark.parametrize("written", [0, 4096, 8192])
def test_a_store_given_up_while_it_was_made_is_made_anew(tmp_path: Path, written: int) -> None:
    path = tmp_path / "a.duckdb"
    with attached(tmp_path / "whole.duckdb", KEY):
        pass
    whole = (tmp_path / "whole.duckdb").read_bytes()
    # So far DuckDB comes when it makes a file: nothing, the main header, one header of the database.
    beside(path, NEW_SUFFIX).write_bytes(whole[:written])
    with attached(path, KEY) as connection:
        connection.execute("create table t as select 1 as id")
    with attached(path, KEY, read_only=True) as connection:
        assert connection.execute("select count(*) from t").fetchall() == [(1,)]
    assert not beside(path, NEW_SUFFIX).exists()


def test_the_store_has_its_name_only_once_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.duckdb"
    seen: list[tuple[bool, int]] = []
    in_place = stores.encrypted.put_in_place

    def looking(aside: Path, place: Path) -> None:
        seen.append((place.exists(), aside.stat().st_size))
        in_place(aside, place)

    monkeypatch.setattr(stores.encrypted, "put_in_place", looking)
    with attached(path, KEY):
        pass
    assert seen == [(False, HEADER_BYTES)]


def test_a_store_has_one_checkpoint_however_much_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    with attached(path, KEY) as connection:
        header = path.read_bytes()[:HEADER_BYTES]
        for part in range(6):
            connection.execute(f"create table t{part} as select random() as x from range(500_000)")
            assert path.read_bytes()[:HEADER_BYTES] == header
        assert path.stat().st_size + beside(path, LOG_SUFFIX).stat().st_size > 16 << 20
    assert path.read_bytes()[:HEADER_BYTES] != header


@pytest.mark.parametrize("left", [0, 10, 50, 150])
def test_a_log_cut_at_any_byte_is_taken_up_and_written_back(tmp_path: Path, left: int) -> None:
    path = tmp_path / "a.duckdb"
    with attached(path, KEY) as connection:
        connection.execute("create table t as select 1 as id")
    with writer_lock(path), borrowed_connection() as connection:
        stores.encrypted.attach(connection, path, KEY, STORE, read_only=False)
        connection.execute("insert into store.t values (2)")
        killed = tmp_path / "killed"
        killed.mkdir()
        shutil.copy(path, killed)
        log = beside(path, LOG_SUFFIX).read_bytes()
    path = killed / path.name
    assert left < len(log)
    beside(path, LOG_SUFFIX).write_bytes(log[:left])
    for _ in range(2):
        with attached(path, KEY) as connection:
            assert connection.execute("select id in (1, 2) from t").fetchall()[0] == (True,)
            connection.execute("insert into t values (1)")
    with attached(path, KEY, read_only=True) as connection:
        assert connection.execute("select count(*) from t where id = 1").fetchall() == [(3,)]


@pytest.fixture
def instance(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    """An instance with a store attached and written, which another of its connections is still reading."""
    instance = in_memory_connection()
    stores.encrypted.attach(instance, tmp_path / "a.duckdb", KEY, STORE, read_only=False)
    instance.execute("create table store.t as select 1 as id")
    return instance


def _read_for(instance: duckdb.DuckDBPyConnection, seconds: float) -> tuple[threading.Timer, threading.Event]:
    reader, is_over = instance.cursor(), threading.Event()
    reader.execute("begin").execute("select * from store.t")

    def let_go() -> None:
        is_over.set()
        reader.close()

    timer = threading.Timer(seconds, let_go)
    timer.start()
    return timer, is_over


def test_a_writer_goes_only_when_duckdb_has_let_go_of_its_store(
    tmp_path: Path, instance: duckdb.DuckDBPyConnection
) -> None:
    _, is_over = _read_for(instance, 0.3)
    detach(instance, STORE, tmp_path / "a.duckdb")
    assert not beside(tmp_path / "a.duckdb", LOG_SUFFIX).exists()
    assert is_over.is_set()


def test_a_store_that_is_held_for_long_is_told_and_loses_nothing(
    tmp_path: Path, instance: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.duckdb"
    timer, _ = _read_for(instance, 0.3)
    monkeypatch.setattr(stores.encrypted, "LETTING_GO_SECONDS", 0.05)
    with pytest.raises(stores.encrypted.StoreBusyError, match="Nothing is lost"):
        detach(instance, STORE, path)
    timer.join()
    monkeypatch.undo()
    with attached(path, KEY) as connection:
        assert connection.execute("select count(*) from t").fetchall() == [(1,)]


def test_a_store_that_was_just_let_go_is_opened_again(
    tmp_path: Path, instance: duckdb.DuckDBPyConnection
) -> None:
    _read_for(instance, 0.3)
    instance.execute(f"detach {STORE}")
    with pytest.raises(duckdb.BinderException, match=stores.encrypted.STILL_ATTACHED):
        instance.execute(f"attach '{tmp_path / 'a.duckdb'}' as store (encryption_key '{KEY}', read_only)")
    stores.encrypted.attach(instance, tmp_path / "a.duckdb", KEY, STORE, read_only=True)
    assert instance.execute("select count(*) from store.t").fetchall() == [(1,)]
