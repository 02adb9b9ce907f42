"""A bar on a true terminal, which only a process of its own has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys, time
from tfxfer.progress import ConsoleProgress
from tfxfer.system.quiet import quiet_native

end = time.monotonic() + 60  # of a machine so busy that no thread gets a turn
with ConsoleProgress(delay_s=0.2) as progress, progress.waiting("waiting"), quiet_native():
    while progress._bar is None and time.monotonic() < end:
        time.sleep(0.02)
print("said after", file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
def test_a_bar_that_appears_while_all_is_quiet_leaves_stderr_open() -> None:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # how a terminal ends whose other side is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(timeout=60) == 0, shown
    assert b"waiting" in shown
    assert shown.rstrip().endswith(b"said after")
