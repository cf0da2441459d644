"""Work done side by side in forks of this process, which share its memory: one fork for each piece of work.

A pool of the standard library ends its workers by a signal, for which one waits for ever where the signal is ignored
(as below a shell's `&`, once Dagster has set its handlers), and waits for ever for a worker that was killed. Here
each fork ends by itself, and one that dies is told of.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any, TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")


class ForkDiedError(RuntimeError):
    """A fork ended without a word: something killed it, most often for want of memory."""


def can_fork() -> bool:
    return "fork" in multiprocessing.get_all_start_methods()


def in_forks(work: Callable[[Piece], Result], pieces: Iterable[Piece], workers: int) -> Iterator[Result]:
    """Yield what `work` returns for each of `pieces`, as it comes, with at most `workers` forks at a time.

    A fork is gone with its memory after its piece. What one raises is raised here, and the others are
    ended; so is `ForkDiedError`, which names the piece, for one that dies.
    """
    context = multiprocessing.get_context("fork")
    waiting = list(pieces)[::-1]
    running: dict[Connection, tuple[ForkProcess, Piece]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                piece = waiting.pop()
                receiver, sender = context.Pipe(duplex=False)
                fork = context.Process(target=_send_result, args=(work, piece, sender))
                fork.start()
                # Only the fork holds the sending end now: when it dies, the receiving end says so.
                sender.close()
                running[receiver] = fork, piece
            ready = wait(list(running))
            for receiver in [each for each in running if each in ready]:
                yield _received(receiver, *running[receiver])
                del running[receiver]
    finally:
        for fork, _ in running.values():
            fork.kill()
            fork.join()


def _received(receiver: Connection, fork: ForkProcess, piece: Any) -> Any:
    with receiver:
        try:
            result, error = receiver.recv()
        except EOFError:
            fork.join()
            raise ForkDiedError(
                f"{piece}: its process ended with {fork.exitcode} before it was done. "
                "If memory ran out, run it again with fewer workers."
            ) from None
    fork.join()
    if error is not None:
        raise error
    return result


def _send_result(work: Callable[[Piece], Result], piece: Piece, sender: Connection) -> None:
    try:
        sender.send((work(piece), None))
    except Exception as error:
        sender.send((None, error))
