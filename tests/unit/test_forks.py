"""Work in forks: every piece comes back, and a fork that dies is told of and keeps nobody waiting."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator

import pytest

from synthetic.forks import ForkDiedError, in_forks


def test_each_piece_comes_back_once_from_a_process_of_its_own() -> None:
    came = list(in_forks(lambda piece: (piece, os.getpid()), range(7), workers=3))
    assert sorted(piece for piece, _ in came) == list(range(7))
    assert len({process for _, process in came} | {os.getpid()}) == 8


def test_a_result_larger_than_a_pipe_holds_comes_whole() -> None:
    assert list(in_forks(lambda size: b"x" * size, [3 << 20], workers=2)) == [b"x" * (3 << 20)]


def killed(piece: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_fork_that_is_killed_is_told_of_by_its_piece() -> None:
    with pytest.raises(ForkDiedError, match="benefits: its process ended with -9"):
        list(in_forks(killed, ["benefits"], workers=2))


@pytest.fixture
def termination_ignored() -> Iterator[None]:
    """As in a process started by a shell's `&`, once Dagster has set its handlers."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGTERM, before)


def test_what_a_fork_raises_is_raised_and_ends_the_others(termination_ignored: None) -> None:
    def work(seconds: int) -> None:
        time.sleep(seconds)
        raise ValueError(f"after {seconds} s")

    with pytest.raises(ValueError, match="after 0 s"):
        list(in_forks(work, [0, 3600], workers=2))
    assert multiprocessing.active_children() == []
