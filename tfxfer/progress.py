"""How long work says how far it is, and the one place that draws it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    import rich.progress

__all__ = ["ConsoleProgress", "Progress"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is in all."""


class ConsoleProgress:
    """Draws progress on stderr, once the work has taken longer than a person waits gladly.

    Use it as a context manager, so that the bar is gone when an error is printed.

    Args:
        enabled: False draws nothing. None draws when stderr is a terminal.
        delay_s: work that is over by then leaves no trace.
        stream: where to draw; stderr unless a test says otherwise.

    Example:
        >>> with ConsoleProgress(enabled=False) as progress:
        ...     progress("checking images", 1, 2)
    """

    def __init__(
        self, *, enabled: bool | None = None, delay_s: float = 2.0, stream: TextIO | None = None
    ) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.enabled = self.stream.isatty() if enabled is None else enabled
        self.delay_s = delay_s
        self._started_s: float | None = None
        self._bar: rich.progress.Progress | None = None
        self._tasks: dict[str, rich.progress.TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """Notes how far `what` is, and draws it where it is time to."""
        if not self.enabled:
            return
        if self._started_s is None:
            self._started_s = time.monotonic()
        if self._bar is None:
            # Work that ends before the delay must not flash a bar.
            if time.monotonic() - self._started_s < self.delay_s or done >= total:
                return
            self._bar = self._open_bar()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[what], completed=done, total=total)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wipes the bar; a later call may draw a new one."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = None
        self._tasks = {}
        self._started_s = None

    def _open_bar(self) -> rich.progress.Progress:
        # rich costs 0.1 s to import, which `tfxfer --version` must not pay.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(file=self.stream, force_terminal=True),
            transient=True,
        )
        bar.start()
        return bar
