"""Threads that decode: nobody who wants to leave waits for one.

A decoder is C code that cannot be stopped. Python hands a signal to the main thread alone, and
only between two of its own instructions; so decoders work elsewhere, and are left to themselves
when a command ends early.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["call_beside", "open_pool"]

_T = TypeVar("_T")


@contextmanager
def open_pool(workers: int, name: str = "tfxfer-read") -> Iterator[ThreadPoolExecutor]:
    """Yields threads; where the block ends with an exception, they are not waited for.

    Args:
        workers: how many.
        name: what they are called, for debuggers.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
    try:
        yield pool
    except BaseException:
        # Ctrl-C waits neither for the files that are queued, nor for those at work.
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def call_beside(work: Callable[[], _T]) -> _T:
    """Returns what work returns, done in a thread where this is the main one.

    Args:
        work: whose C code may take seconds. Left behind by an exception of a signal, it goes on,
            and does not keep the process.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    done: Future[_T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
            done.set_exception(error)

    threading.Thread(target=run, name="tfxfer-decode", daemon=True).start()
    return done.result()
