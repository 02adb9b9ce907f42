"""What a command says: results on stdout, everything else on stderr.

With `--json` stdout carries exactly one JSON document, whether the command succeeds or fails.
"""

from __future__ import annotations

import _thread
import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

from tfxfer.registry.lookup import Registry, default_registry
from tfxfer.system.files import to_json
from tfxfer.system.plain_text import escape_controls, escape_lines, escape_message

if TYPE_CHECKING:
    from rich.console import Console

    from tfxfer.progress import ConsoleProgress

__all__ = ["Output", "Session", "tfxfer_command"]

_PATIENCE_S = 2.0  # that a signal waits for a step; the first one is compiled, which takes longer


class Output:
    """What a command's callback talks to.

    Args:
        as_json: whether `--json` was given.
        verbosity: how often `-v` was given.
        session: the call of `tfxfer` that this belongs to; None for a command on its own.
    """

    def __init__(
        self, *, as_json: bool = False, verbosity: int = 0, session: Session | None = None
    ) -> None:
        self.as_json = as_json
        self.verbosity = verbosity
        self.document: Any = None
        self.has_document = False
        self._session = session

    @property
    def stdout(self) -> TextIO:
        """Where results go."""
        return sys.stdout if self._session is None else self._session.stdout

    @property
    def registry(self) -> Registry:
        """Where components of every kind come from."""
        return default_registry() if self._session is None else self._session.registry

    @functools.cached_property
    def console(self) -> Console:
        """A rich console on stderr. Importing rich takes 60 ms: only for what needs it."""
        from rich.console import Console

        return Console(stderr=True, highlight=False)

    def emit(self, document: Any) -> None:
        """Keeps the document that `--json` prints when the command ends.

        It is not printed at once: should the command fail after this, stdout still gets one
        document, with `error` beside the keys of this one.
        """
        if self.has_document:
            raise RuntimeError("a command emits one document, this one emitted two")
        self.document, self.has_document = document, True

    def show(self, text: str = "") -> None:
        """Prints a line of the result for people, on stdout. Says nothing under `--json`."""
        if not self.as_json:
            click.echo(escape_lines(text), file=self.stdout)

    def show_table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Prints a table of the result for people, on stdout. Says nothing under `--json`.

        On a terminal rich draws it; in a pipe it is plain lines that are never wrapped, for grep.
        """
        if self.as_json:
            return
        rows = [tuple(map(escape_controls, row)) for row in rows]
        if not self.stdout.isatty():
            widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
            for row in (columns, *rows):
                cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                self.show("  ".join(cells).rstrip())
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*map(Text, row))  # Text: a cell such as "[x]" is no markup
        Console(file=self.stdout).print(table)

    def show_styled(self, pieces: Iterable[tuple[str, str]]) -> None:
        """Prints text whose pieces have styles of rich's; in a pipe they have none.

        Args:
            pieces: texts and their styles, one after the other.
        """
        if self.as_json:
            return
        harmless = [(escape_lines(text), style) for text, style in pieces]
        if not self.stdout.isatty():
            self.show("".join(text for text, _ in harmless))
            return
        from rich.console import Console
        from rich.text import Text

        Console(file=self.stdout, highlight=False).print(Text.assemble(*harmless))

    def print(self, *objects: Any) -> None:
        """Prints a remark on stderr; anything but text is drawn by rich."""
        if all(isinstance(item, str) for item in objects):
            click.echo(escape_lines(" ".join(objects)), err=True)
        else:
            self.console.print(*objects)

    def detail(self, *objects: Any) -> None:
        """Prints a remark on stderr with `-v` only."""
        if self.verbosity:
            self.print(*objects)

    def warn(self, message: str) -> None:
        """Prints a warning on stderr."""
        click.echo(f"{click.style('warning:', fg='yellow')} {escape_message(message)}", err=True)

    def alarm(self, message: str) -> None:
        """Prints on stderr, all of it in red, what makes a result worthless."""
        click.echo(click.style(f"warning: {escape_message(message)}", fg="red"), err=True)

    def progress(self) -> ConsoleProgress:
        """Returns a progress callback that draws on stderr; use it as a context manager."""
        from tfxfer.progress import ConsoleProgress

        return ConsoleProgress(escape=escape_controls)

    @contextlib.contextmanager
    def starting(self, what: str) -> Iterator[None]:
        """Says what is being imported while it takes long, and drops what C++ code says of it.

        Args:
            what: as in `importing TensorFlow`.
        """
        with self.progress() as progress, progress.waiting(what), self.quietly():
            if self._session is None:
                yield
                return
            self._session.wipe = progress.wipe
            try:
                yield
            finally:
                self._session.wipe = None
        self.check_interrupt()

    def quietly(self) -> contextlib.AbstractContextManager[None]:
        """Returns what drops all that C++ code says: CUDA, XLA, MLIR; with `-v` nothing is dropped.

        What Python prints still arrives; see `quiet_native`.
        """
        from tfxfer.system.quiet import quiet_native

        return contextlib.nullcontext() if self.verbosity else quiet_native()

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C was pressed, or SIGTERM sent, whatever became of the exception."""
        return self._session is not None and self._session.stop is not None

    def check_interrupt(self) -> None:
        """Raises what Ctrl-C or SIGTERM is, where somebody swallowed it or a step held it back."""
        if self._session is not None and self._session.stop is not None:
            self._session.end_patience()
            raise self._session.stop

    def hold_signals(self, hold: bool) -> None:
        """Lets a first Ctrl-C or SIGTERM wait for `check_interrupt`, or ends that.

        A second one does not wait, nor does one that nobody has obeyed after two seconds.
        """
        if self._session is not None:
            self._session.holds_signals = hold

    def close(self) -> None:
        """Prints the document, where `--json` asks for it."""
        if not self.as_json:
            return
        if not self.has_document:
            raise RuntimeError("a command emits one document, this one emitted none")
        self.stdout.write(to_json(self.document))
        self.stdout.flush()


class Session:
    """One call of `tfxfer`: hands the true stdout and the registry in, and the output back.

    Args:
        stdout: where results go.
        registry: where plugins come from; what is installed where None.
    """

    def __init__(self, stdout: TextIO, registry: Registry | None = None) -> None:
        self.stdout = stdout
        self.registry = registry or default_registry()
        self.output: Output | None = None
        # What Ctrl-C or SIGTERM raises, kept from when it came.
        self.stop: BaseException | None = None
        self.holds_signals = False
        self._patience: threading.Timer | None = None
        # While something is imported, what takes off the terminal what is drawn there.
        self.wipe: Callable[[], None] | None = None

    def take_signal(self, number: int, stop: BaseException) -> None:
        """Raises `stop`, or keeps it until the step is over that is under way."""
        is_first, self.stop = self.stop is None, stop
        if is_first and self.holds_signals:
            self._patience = threading.Timer(_PATIENCE_S, _thread.interrupt_main, (number,))
            self._patience.daemon = True
            self._patience.start()
            return
        self.end_patience()
        raise stop

    def end_patience(self) -> None:
        """Ends the wait for a step, since the signal is being obeyed."""
        self.holds_signals = False
        if self._patience is not None:
            self._patience.cancel()


def tfxfer_command(
    name: str | None = None, **attributes: Any
) -> Callable[[Callable[..., int | None]], click.Command]:
    """Turns a callback into a command with `--json` and `-v`, whose first argument is an `Output`.

    The callback may raise any `TfxferError`; it never catches one to print it. Where a part of its
    work failed and the rest is worth printing, it returns the exit code. Plugins use this, too. The
    module that holds the command must import nothing heavy at its top.

    Args:
        name: of the command; the callback's name where None.
        attributes: passed on to `click.command`.

    Example:
        >>> @tfxfer_command("double")
        ... @click.argument("number", type=int)
        ... def command(output: Output, *, number: int) -> None:
        ...     output.show(f"{2 * number}")
        ...     output.emit({"result": 2 * number})
        >>> command.main(["21", "--json"], standalone_mode=False)
        {
          "result": 42
        }
    """

    def decorate(callback: Callable[..., int | None]) -> click.Command:
        @functools.wraps(callback)
        def run(*, as_json: bool, verbosity: int, **options: Any) -> int | None:
            root = click.get_current_context().find_root().obj
            session = root if isinstance(root, Session) else None
            output = Output(as_json=as_json, verbosity=verbosity, session=session)
            if session is not None:
                session.output = output
            code = callback(output, **options)
            output.close()
            return code

        make: Callable[..., click.Command] = click.command(name, **attributes)
        command = make(run)
        command.params += [
            click.Option(
                ["--json", "as_json"], is_flag=True, help="Print one JSON document on stdout."
            ),
            click.Option(["-v", "--verbose", "verbosity"], count=True, help="Say more on stderr."),
        ]
        return command

    return decorate
