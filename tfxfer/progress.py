"""How long work says how far it is, and the one place that shows it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    import rich.progress

__all__ = ["ConsoleProgress", "Progress"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is in all, 0 if unknown.

What stands after a colon is a detail that may change from call to call, as in `training: epoch 2`.
"""


@dataclass
class _Work:
    """What is being done at the moment."""

    what: str
    since_s: float
    done: int = 0
    total: int = 0
    first: tuple[float, int] | None = None
    said_s: float | None = None

    @property
    def name(self) -> str:
        return self.what.partition(":")[0]

    def advance(self, what: str, done: int, total: int) -> None:
        """Notes how far it is."""
        self.what, self.done, self.total = what, done, total
        if self.first is None and done > 0:
            self.first = time.monotonic(), done

    def describe(self) -> str:
        """Returns one line for a log: what, how far, how long."""
        took = time.monotonic() - self.since_s
        if not self.total:
            return f"{self.what}: {_format_seconds(took)} so far"
        left = ""
        if self.first is not None and self.done > 0:
            # The first piece waits for what is done once only, such as tracing a model.
            since, pieces = self.first
            if self.done > pieces:
                speed = (time.monotonic() - since) / (self.done - pieces)
            else:
                speed = took / self.done
            left = f", about {_format_seconds(speed * (self.total - self.done))} left"
        return f"{self.what}: {100 * self.done / self.total:.0f} %{left}"


class ConsoleProgress:
    """Shows on stderr what takes longer than a person waits gladly: a bar, or a line now and then.

    A terminal gets a bar with what is left. Anywhere else, such as in a log, a line says after
    `delay_s` what is being done, and how far it is every `interval_s`. A thread of its own keeps
    both going while the work does not call. Use it as a context manager, so that the bar is gone
    when an error is printed.

    Args:
        enabled: False shows nothing.
        delay_s: work that is over by then leaves no trace.
        interval_s: between two lines, off a terminal.
        stream: where to show; stderr unless a test says otherwise.
        escape: makes what is being done harmless to print: it may name a file.

    Example:
        >>> with ConsoleProgress(enabled=False) as progress:
        ...     progress("checking images", 1, 2)
    """

    def __init__(
        self,
        *,
        enabled: bool = True,
        delay_s: float = 2.0,
        interval_s: float = 10.0,
        stream: TextIO | None = None,
        escape: Callable[[str], str] = str,
    ) -> None:
        self.enabled, self.delay_s, self.interval_s = enabled, delay_s, interval_s
        self._escape = escape
        self._given, self._stream, self._is_copy = stream, stream, False
        self._work: _Work | None = None
        self._bar: rich.progress.Progress | None = None
        self._task: tuple[str, rich.progress.TaskID] | None = None
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._ticker: threading.Thread | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Notes how far `what` is, and shows it where it is time to."""
        if not self.enabled:
            return
        with self._lock:
            what = self._escape(what)
            work = self._begin(what)
            work.advance(what, done, total)
            if total and done >= total:
                self._finish()
            else:
                self._show()

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Shows that something is being done of which nobody knows how far it is."""
        what = self._escape(what)
        if self.enabled:
            with self._lock:
                self._begin(what)
                self._show()
        try:
            yield
        finally:
            with self._lock:
                if self._work is not None and self._work.what == what:
                    self._finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def wipe(self) -> None:
        """Takes the bar off the terminal; it waits for no thread."""
        with self._lock:
            self._stop_bar()

    def close(self) -> None:
        """Wipes the bar and ends the thread; a later call may begin anew."""
        self._ended.set()
        if self._ticker is not None:
            self._ticker.join()
        with self._lock:
            self._stop_bar()
            self._work = self._ticker = None
            if self._stream is not None and self._is_copy:
                self._stream.close()
            self._stream, self._is_copy = self._given, False

    def _begin(self, what: str) -> _Work:
        """Returns the work of this name; what was being done before is over."""
        name = what.partition(":")[0]
        if self._work is None or self._work.name != name:
            self._finish()
            self._work = _Work(what, time.monotonic())
        if self._ticker is None:
            self._ended.clear()
            self._ticker = threading.Thread(target=self._tick, daemon=True, name="tfxfer-progress")
            self._ticker.start()
        return self._work

    def _finish(self) -> None:
        work, self._work = self._work, None
        if work is not None and work.said_s is not None and self._bar is None:
            took = _format_seconds(time.monotonic() - work.since_s)
            self._write(f"{work.name}: done after {took}")
        self._stop_bar()

    def _tick(self) -> None:
        while not self._ended.wait(min(0.5, self.delay_s or 0.5)):
            with self._lock:
                self._show()

    def _show(self) -> None:
        work = self._work
        if work is None or time.monotonic() - work.since_s < self.delay_s:
            return
        if self._open().isatty():
            self._draw(work)
        elif work.said_s is None or time.monotonic() - work.said_s >= self.interval_s:
            work.said_s = time.monotonic()
            self._write(work.describe())

    def _draw(self, work: _Work) -> None:
        if self._bar is None:
            self._bar = _open_bar(self._open())
        if self._task is None or self._task[0] != work.name:
            self._task = work.name, self._bar.add_task(work.what, total=work.total or None)
        self._bar.update(
            self._task[1], description=work.what, completed=work.done, total=work.total or None
        )

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None

    def _write(self, line: str) -> None:
        stream = self._open()
        # Whoever read it may be gone, as at the end of a pipe: that must not end the work.
        with contextlib.suppress(OSError, ValueError):
            stream.write(f"{line}\n")
            stream.flush()

    def _open(self) -> TextIO:
        """Returns a stream to where stderr led at first, wherever it is sent while others start."""
        if self._stream is None:
            self._stream = sys.stderr
            with contextlib.suppress(AttributeError, OSError, ValueError):  # it is no file
                copy = os.dup(sys.stderr.fileno())
                encoding = sys.stderr.encoding
                self._stream = os.fdopen(copy, "w", encoding=encoding, errors="backslashreplace")
                self._is_copy = True
        return self._stream


def _open_bar(stream: TextIO) -> rich.progress.Progress:
    # rich costs 0.1 s to import, which `tfxfer --version` must not pay.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(file=stream, force_terminal=True),
        # Opened inside `quiet_native` it would put back a stream that is closed by then, and the
        # next line to stderr would end the process.
        redirect_stdout=sys.stdout is sys.__stdout__,
        redirect_stderr=sys.stderr is sys.__stderr__,
        transient=True,
    )
    bar.start()
    return bar


def _format_seconds(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
