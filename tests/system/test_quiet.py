from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import subprocess
import sys
import tempfile
from typing import Any

import pytest

from tfxfer.system.quiet import quiet_native


def count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are all there is


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_what_native_code_writes_is_dropped(
    capfd: pytest.CaptureFixture[str], error: type[BaseException] | None
) -> None:
    level = logging.getLogger("absl").level
    os.write(1, b"before ")
    with contextlib.suppress(KeyboardInterrupt), quiet_native():
        os.write(1, b"within ")
        os.write(2, b"within ")
        assert logging.getLogger("absl").level == logging.ERROR
        if error is not None:
            raise error
    os.write(1, b"after")
    os.write(2, b"after")
    assert capfd.readouterr() == ("before after", "after")
    assert logging.getLogger("absl").level == level


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")  # noqa: PTH112
@pytest.mark.parametrize("name", ["TemporaryFile", "dup", "dup2"])
def test_what_fails_on_the_way_in_changes_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    owner: Any = tempfile if name == "TemporaryFile" else os
    real, calls = getattr(owner, name), list[Any]()

    def fail(*arguments: Any) -> Any:
        calls.append(arguments)
        # Of the standard streams, the second one.
        if name == "TemporaryFile" or len(calls) == 2:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(*arguments)

    level, before = logging.getLogger("absl").level, count_descriptors()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        with pytest.raises(OSError, match="Too many open files"), quiet_native():
            pass
    assert logging.getLogger("absl").level == level
    assert count_descriptors() == before
    os.write(1, b"still here")
    assert capfd.readouterr().out == "still here"


def test_what_python_prints_still_arrives() -> None:
    code = (
        "import os, sys\n"
        "from tfxfer.system.quiet import quiet_native\n"
        "print('before')\n"
        "with quiet_native():\n"
        "    os.write(1, b'noise'); os.write(2, b'noise')\n"
        "    print('within'); print('a remark', file=sys.stderr)\n"
        "print('after')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "before\nwithin\nafter\n"
    assert done.stderr == "a remark\n"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_crash_leaves_its_trace() -> None:
    code = (
        "import os\n"
        "from tfxfer.system.quiet import quiet_native\n"
        "def start():\n"
        "    os.abort()\n"
        "with quiet_native():\n"
        "    start()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in done.stderr
    assert "in start" in done.stderr
