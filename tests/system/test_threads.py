from __future__ import annotations

import threading

import pytest

from tfxfer.system.threads import call_beside, open_pool


def test_the_main_thread_stays_free() -> None:
    assert call_beside(threading.current_thread) is not threading.main_thread()
    with open_pool(1) as pool:
        # In a thread already, another one would only cost.
        here = pool.submit(lambda: (threading.current_thread(), call_beside(threading.get_ident)))
        thread, ident = here.result()
    assert thread.ident == ident


def test_what_work_raises_is_raised() -> None:
    with pytest.raises(KeyError, match="lost"):
        call_beside(lambda: {}["lost"])


def test_a_pool_ends_its_threads() -> None:
    with open_pool(2, "quiet-pool") as pool:
        pool.submit(int).result()
    assert not any(t.name.startswith("quiet-pool") for t in threading.enumerate())


def test_nobody_waits_for_a_thread_when_something_fails() -> None:
    release = threading.Event()

    def leave() -> None:
        with open_pool(1) as pool:
            pool.submit(release.wait, 60)
            raise KeyboardInterrupt  # to wait here would take for ever

    with pytest.raises(KeyboardInterrupt):
        leave()
    release.set()
