"""`tfxfer`: finds the command, runs it, and turns whatever it raises into one line and a code.

0 done · 1 the user's input or data · 2 usage · 3 a gate was not met · 70 a fault of ours ·
130 interrupted · 143 terminated
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

import click

from tfxfer.cli.output import Session
from tfxfer.errors import TfxferError
from tfxfer.registry.lookup import Registry, default_registry
from tfxfer.registry.suggestion import suggest_distribution
from tfxfer.system.files import describe_storage_error, to_json
from tfxfer.system.logs import harmless_logs
from tfxfer.system.plain_text import escape_controls, escape_lines, escape_message
from tfxfer.system.spelling import did_you_mean
from tfxfer.version import __version__

__all__ = ["COMMANDS", "cli", "main", "run"]

COMMANDS: Mapping[str, str] = {
    "advise": "Say how to train on samples, and why.",
    "audit": "Say what is wrong with labelled samples, without training on them.",
    "compare": "Say which of two models is better, on the same samples.",
    "demo": "Train on real samples from pip, and export for a phone: the whole job in one line.",
    "doctor": "Say what is installed, what does not fit together, and the remedy.",
    "evaluate": "Measure a run or a model file on labelled samples.",
    "explain": "Show where a model looks when it answers, or the words that it goes by.",
    "gap": "Say how far samples are from what a backbone was trained on, or from other samples.",
    "help": "Say what a command does and takes.",
    "meta": "Learn weights from which a few examples of each label are enough.",
    "plugin": "Start a plugin of your own, or check one.",
    "plugins": "List installed plugins of every kind, and where they come from.",
    "predict": "Label samples, such as image files or texts.",
    "report": "Make the page of a run: what came of it, why, and what to do next.",
    "train": "Train a model on labelled samples.",
}
"""Our own commands and their help, so that `tfxfer --help` imports none of them."""

_FAULT = 70
_INTERRUPTED = 130
_TERMINATED = 143


class _Terminated(BaseException):
    """SIGTERM; no Exception, like KeyboardInterrupt: clean-up runs and nobody swallows it."""


class _LazyGroup(click.Group):
    """Commands that are imported when they run: ours by name, others by entry point."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*COMMANDS, *(c.name for c in _registry(ctx).list("command"))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            command: click.Command = importlib.import_module(f"tfxfer.cli.{cmd_name}").command
            return command
        registry = _registry(ctx)
        if any(c.name == cmd_name for c in registry.list("command")):
            return registry.load_command(cmd_name)
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name.startswith("-") or name in self.list_commands(ctx):
            return super().resolve_command(ctx, args)
        # The name of a command that is not installed is no slip of the finger.
        known = suggest_distribution("command", name)
        hint = f" Try: pip install {known}" if known else ""
        hint = hint or did_you_mean(name, self.list_commands(ctx))
        message = f"no command named {name!r}.{hint}"
        raise click.UsageError(message, ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
        others = [c for c in _registry(ctx).list("command") if c.name not in COMMANDS]
        if others:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(
                    [
                        (
                            escape_controls(c.name),
                            escape_controls(f"from {c.origin}")
                            + (f" ({c.status})" * (c.status != "ok")),
                        )
                        for c in others
                    ]
                )


def _registry(ctx: click.Context) -> Registry:
    session = ctx.find_root().obj
    return session.registry if isinstance(session, Session) else default_registry()


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"tfxfer {__version__}")
        ctx.exit()


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Every command takes --json, -v and --help.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
def cli() -> None:
    """Labelled samples in, a model for the phone out."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs `tfxfer` as a program and ends the process."""
    args = sys.argv[1:] if args is None else args
    with contextlib.suppress(OSError, ValueError):  # a stdout that is closed, or no file
        if _wants_json(args) and sys.stdout.fileno() == 1:
            # What C libraries print goes to descriptor 1, and they may flush as late as at exit:
            # the document gets a descriptor of its own, and 1 leads to stderr for good.
            # What UTF-8 cannot say, half of a pair in a file's name, is an escape of JSON's.
            stdout = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
            os.dup2(2, 1)
            _leave(run(args, stdout=stdout, owns_process=True))
    _leave(run(args, owns_process=True))


def _leave(code: int) -> NoReturn:
    # All is written and said: Ctrl-C while Python shuts down would only add a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if code in (_INTERRUPTED, _TERMINATED):
        # Python would join threads first, and a decoder at work cannot be stopped.
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def run(
    args: Sequence[str],
    *,
    stdout: TextIO | None = None,
    registry: Registry | None = None,
    owns_process: bool = False,
) -> int:
    """Runs one command line and returns the exit code.

    Args:
        args: without the program's name.
        stdout: where results go; `sys.stdout` where None.
        registry: where plugins come from; what is installed where None.
        owns_process: whether a signal may end the process at once while something is imported.
    """
    wants_json = _wants_json(args)
    for stream in (sys.stdout, sys.stderr):
        _take_any_text(stream)
    session = Session(stdout or sys.stdout, registry)
    # TensorFlow's banner is not for people who train; -v shows it.
    if not any(arg in ("-v", "-vv", "--verbose") for arg in args):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    redirect = contextlib.redirect_stdout(sys.stderr) if wants_json else contextlib.nullcontext()
    try:
        end = functools.partial(_end_start, session, wants_json) if owns_process else None
        with (
            redirect,
            harmless_logs(),
            _terminable(session, end),
            _interruptible(session, end),
        ):
            # click itself turns a broken pipe into SystemExit, and Ctrl-C into Abort.
            code = cli.main(list(args), "tfxfer", standalone_mode=False, obj=session)
            return code if isinstance(code, int) else 0
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException as raised:  # noqa: BLE001 - the last stop of everything
        session.end_patience()
        cause = raised if session.stop is None else session.stop
        kind, message, code = _explain(cause, args)
        return _report(cause, kind, message, code, session, wants_json)


def _take_any_text(stream: Any) -> None:
    """Has a stream escape what its encoding lacks: no label may end a command that is done."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _wants_json(args: Sequence[str]) -> bool:
    options = list(args)[: list(args).index("--")] if "--" in args else list(args)
    return "--json" in options and not {"-h", "--help"} & set(options)


def _end_start(session: Session, wants_json: bool, error: BaseException) -> NoReturn:
    """Ends the process while something is imported, when nothing has been written yet.

    An exception out of a signal's handler would meet C++ code there, and that aborts.
    """
    if session.wipe is not None:
        session.wipe()
    kind, message, code = _explain(error, ())
    os._exit(_report(error, kind, message, code, session, wants_json))


@contextlib.contextmanager
def _terminable(session: Session, end: Callable[[BaseException], Any] | None) -> Iterator[None]:
    """Makes SIGTERM an exception inside the block, so that nothing stays half-written.

    Like `_interruptible`, which see.
    """

    def terminate(number: int, _: FrameType | None) -> None:
        if session.wipe is not None and end is not None:
            end(_Terminated())
        session.take_signal(number, _Terminated())

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def _interruptible(session: Session, end: Callable[[BaseException], Any] | None) -> Iterator[None]:
    """Notes SIGINT, beside raising it: what TensorFlow imports swallows it, or raises another."""

    def interrupt(number: int, _: FrameType | None) -> None:
        if session.wipe is not None and end is not None:
            end(KeyboardInterrupt())
        session.take_signal(number, KeyboardInterrupt())

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    before, sys.unraisablehook = sys.unraisablehook, functools.partial(_pass_over, session)
    try:
        yield
    finally:
        sys.unraisablehook = before
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _pass_over(session: Session, unraisable: Any) -> None:
    """Says nothing of a signal that came within a garbage collector's callback, and is noted."""
    if unraisable.exc_value is None or unraisable.exc_value is not session.stop:
        sys.__unraisablehook__(unraisable)


def _explain(error: BaseException, args: Sequence[str]) -> tuple[str, str, int]:
    """Returns the type, the message and the exit code of whatever ended a command."""
    kind = type(error).__name__
    if isinstance(error, TfxferError):
        return kind, str(error), error.exit_code
    if isinstance(error, click.UsageError):
        return "UsageError", error.format_message(), error.exit_code
    if isinstance(error, click.ClickException):
        return kind, error.format_message(), error.exit_code
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return "KeyboardInterrupt", "interrupted", _INTERRUPTED
    if isinstance(error, _Terminated):
        return "Terminated", "terminated", _TERMINATED
    storage = describe_storage_error(error)
    if storage is not None:
        return "StorageError", storage, 1
    log = _write_log(error, args)
    return kind, f"a fault in tfxfer, not in your data: {kind}: {error}. {log}", _FAULT


def _report(
    error: BaseException,
    kind: str,
    message: str,
    code: int,
    session: Session,
    wants_json: bool,
) -> int:
    output = session.output
    # Whoever reads stdout or stderr may be gone: that is no further failure.
    with contextlib.suppress(BrokenPipeError):
        if wants_json:
            document = output.document if output is not None else None
            beside = document if isinstance(document, Mapping) else {}
            failure = {"error": {"type": kind, "message": message}}
            session.stdout.write(to_json({**beside, **failure}))
            session.stdout.flush()
        if isinstance(error, click.UsageError) and error.ctx is not None:
            if message.strip() == error.ctx.get_help().strip():
                click.echo(message, err=True)  # nothing was asked for; it begins with the usage
                return code
            click.echo(error.ctx.get_usage(), err=True)
        click.echo(f"{click.style('error:', fg='red')} {escape_message(message)}", err=True)
    return code


def _write_log(error: BaseException, args: Sequence[str]) -> str:
    """Writes the traceback to a file and returns a sentence that names it."""
    text = "".join(
        (
            f"tfxfer {__version__}, Python {sys.version}\n",
            f"arguments: {list(args)!r}\n\n",
            *traceback.format_exception(error),
        )
    )
    import tempfile

    from tfxfer.system.folders import state_folder

    for folder in (state_folder(), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix="tfxfer-", suffix=".log", dir=folder)
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(escape_lines(text))
        except OSError:
            continue
        return f"The traceback is in {name}"
    return f"No log could be written, so here is the traceback:\n{text}"
