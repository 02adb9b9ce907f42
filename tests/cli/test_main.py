"""The shell around every command: codes, one JSON document, and nothing imported too early."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

import tfxfer
from tfxfer.cli.main import COMMANDS, cli, run
from tfxfer.cli.options import TIME, parse_time
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.registry.lookup import RESERVED_COMMANDS, Registry

pytestmark = pytest.mark.versions

Install = Callable[..., None]
PROGRAM = (sys.executable, "-m", "tfxfer")
HEAVY = {"tensorflow", "keras", "numpy", "rich", "PIL", "sklearn", "psutil"}


@pytest.fixture(autouse=True)
def _logs_stay_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-of-this-test"))


def tfxfer_process(*args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *args],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def call(*args: str) -> tuple[int, str]:
    """Runs a command line in this process; returns its code and what it put on stdout."""
    stdout = io.StringIO()
    return run(args, stdout=stdout, registry=Registry()), stdout.getvalue()


def imported_by(*args: str) -> tuple[set[str], str]:
    code = (
        "import sys\nfrom tfxfer.cli.main import run\n"
        f"code = run({list(args)!r})\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)\nsys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stderr.splitlines()), done.stdout


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["plugins"], ["plugins", "--json"]])
def test_light_commands_import_nothing_heavy(args: list[str], install_doubles: Install) -> None:
    install_doubles("good_backbone", "commands")
    modules, stdout = imported_by(*args)
    assert stdout
    assert not HEAVY & modules
    assert not [name for name in modules if name.startswith("double_")]
    # Every command lies in a module of its own, and only the one that runs is imported.
    ours = {name for name in COMMANDS if f"tfxfer.cli.{name}" in modules}
    assert ours == ({"plugins"} & set(args))


def test_version() -> None:
    done = tfxfer_process("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"tfxfer {tfxfer.__version__}\n", "")


def test_help_lists_all_commands_with_provenance(
    install_doubles: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install_doubles("commands")
    assert call("--help")[0] == 0
    text = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in text
    assert "double-hello" in text
    assert "from tfxfer-double-commands 1.0" in text
    assert "double_commands" not in sys.modules


def test_the_table_of_commands_is_true() -> None:
    assert set(COMMANDS) == RESERVED_COMMANDS
    assert list(COMMANDS) == sorted(COMMANDS)
    ready = [name for name in COMMANDS if importlib.util.find_spec(f"tfxfer.cli.{name}")]
    for name in ready:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert command.name == name
        assert {"as_json", "verbosity"} <= {param.name for param in command.params}
        assert command.get_short_help_str(limit=200) == COMMANDS[name]
    assert "plugins" in ready


@pytest.mark.parametrize(
    ("how", "code", "kind", "message"),
    [
        ("data", 1, "DataError", "photos/: expected images. Received: none."),
        ("usage", 2, "UsageError", "--size: expected a number."),
        ("gate", 3, "GateError", "the drop is 9 points."),
        ("device", 1, "DeviceError", "no GPU."),
        ("full", 1, "StorageError", "cannot write 'cache.bin'"),
        ("fault", 70, "KeyError", "The traceback is in "),
        ("interrupt", 130, "KeyboardInterrupt", "interrupted"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_failures(
    install_doubles: Install,
    capsys: pytest.CaptureFixture[str],
    how: str,
    code: int,
    kind: str,
    message: str,
    as_json: bool,
) -> None:
    install_doubles("commands")
    received, stdout = call("double-fail", how, *["--json"] * as_json)
    captured = capsys.readouterr()
    assert received == code
    assert captured.out == ""
    assert "Traceback" not in captured.err
    line = captured.err.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert message in line
    if as_json:
        document = json.loads(stdout)
        assert document["error"]["type"] == kind
        assert message in document["error"]["message"]
        # What had been found before the gate closed stands beside the error.
        assert set(document) == ({"chosen", "error"} if how == "gate" else {"error"})
    else:
        assert stdout == ""


def test_exit_codes_of_the_real_program(install_doubles: Install) -> None:
    install_doubles("commands")
    done = tfxfer_process("double-fail", "gate", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["type"] == "GateError"
    assert tfxfer_process("double-fail", "exit").returncode == 5
    assert tfxfer_process("double-fail", "data").returncode == 1


def test_stdout_is_one_document_whatever_prints(install_doubles: Install) -> None:
    install_doubles("commands")
    done = tfxfer_process("double-hello", "moon", "--json", "-v")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"hello": "moon"}
    for noise in ("a stray print", "a stray write of a C library", "with details"):
        assert noise in done.stderr
    assert "hello moon" not in done.stderr
    plain = tfxfer_process("double-hello", "moon")
    assert "hello moon\n" in plain.stdout
    assert "with details" not in plain.stdout + plain.stderr


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["trian"], "no command named 'trian'. Did you mean 'train'?"),
        (["export"], "no command named 'export'. Try: pip install tfxfer-edge"),
        (["inspect"], "no command named 'inspect'. Try: pip install tfxfer-edge"),
        (["convert"], "no command named 'convert'. Try: pip install tfxfer-edge"),
        (["plugins", "--chekc"], "--chekc"),
        (["plugins", "--timeout", "90"], "Received: '90'. Did you mean 90s or 90m?"),
        (["--no-such"], "--no-such"),
    ],
)
def test_usage_errors(
    capsys: pytest.CaptureFixture[str], args: list[str], message: str, as_json: bool
) -> None:
    stdout = io.StringIO()
    assert run([*args, *["--json"] * as_json], stdout=stdout, registry=Registry([])) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("Usage: tfxfer")
    if as_json:
        assert json.loads(stdout.getvalue())["error"]["type"] == "UsageError"
        assert message in json.loads(stdout.getvalue())["error"]["message"]
    else:
        assert stdout.getvalue() == ""


def test_a_broken_command_costs_only_itself(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import EntryPoint

    (tmp_path / "double_bad_command.py").write_text("raise RuntimeError('no')\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry([EntryPoint("bad", "double_bad_command:x", "tfxfer.commands")])
    assert run(["bad"], registry=registry) == 1
    assert "command 'bad' cannot be imported" in capsys.readouterr().err
    assert run(["plugins"], registry=registry) == 0
    assert run(["--help"], registry=registry) == 0


def test_the_log_of_a_fault_has_the_traceback(
    install_doubles: Install,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install_doubles("commands")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert call("double-fail", "fault")[0] == 70
    (log,) = (tmp_path / "state" / "tfxfer").iterdir()
    assert str(log) in capsys.readouterr().err
    text = log.read_text()
    assert "Traceback" in text
    assert "KeyError: 'a fault of ours'" in text
    assert "'double-fail', 'fault'" in text


@pytest.mark.skipif(sys.platform != "linux", reason="every system has its own place")
def test_a_log_is_kept_where_the_system_keeps_logs(
    install_doubles: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_doubles("commands")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert call("double-fail", "fault")[0] == 70
    assert len(list((tmp_path / ".local" / "state" / "tfxfer").iterdir())) == 1


def test_a_log_that_cannot_be_written_goes_elsewhere(
    install_doubles: Install,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install_doubles("commands")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert call("double-fail", "fault")[0] == 70
    name = capsys.readouterr().err.strip().rsplit(" ", 1)[1]
    assert Path(name).is_file()
    Path(name).unlink()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "file"))
    assert call("double-fail", "fault")[0] == 70
    assert "KeyError: 'a fault of ours'" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("number", "code", "kind"),
    [(signal.SIGINT, 130, "KeyboardInterrupt"), (signal.SIGTERM, 143, "Terminated")],
)
def test_signals_leave_nothing_half_written(
    install_doubles: Install, tmp_path: Path, number: signal.Signals, code: int, kind: str
) -> None:
    install_doubles("commands")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text("old")
    with subprocess.Popen(
        [*PROGRAM, "double-fail", "hang", str(folder / "run.json"), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "writing\n"
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == code
    assert json.loads(stdout)["error"]["type"] == kind
    assert stderr.strip().startswith("error: ")
    assert "Traceback" not in stderr
    assert [file.name for file in folder.iterdir()] == ["run.json"]
    assert (folder / "run.json").read_text() == "old"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
def test_a_reader_that_goes_away_is_no_failure_of_ours(install_doubles: Install) -> None:
    install_doubles("commands")
    with subprocess.Popen(
        [*PROGRAM, "double-fail", "pipe"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        process.wait(30)
    assert process.returncode == 1


def test_version_and_plugins_start_fast() -> None:
    def processor_seconds() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    # As pip installs it, compiled: some machines tell Python to leave nothing behind.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    for args in (["--version"], ["plugins"]):
        times = []
        for _ in range(5):
            before = processor_seconds()
            assert tfxfer_process(*args, env=environment).returncode == 0
            times.append(processor_seconds() - before)
        # Of the processor, so that other work does not count; it waits for nothing else.
        assert min(times) < 0.3, (args, times)


def test_emit_is_once_and_never_forgotten() -> None:
    @tfxfer_command("twice")
    @click.option("--times", type=int, default=1)
    def command(output: Output, *, times: int) -> None:
        for _ in range(times):
            output.emit([])

    command.main(["--json"], standalone_mode=False)
    for times in ("0", "2"):
        with pytest.raises(RuntimeError, match="one document"):
            command.main(["--json", "--times", times], standalone_mode=False)


def test_output_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(verbosity=1)
    output.show_table(("NAME", "N"), [("long name", "1"), ("[x]", "2")])
    output.print("a remark")
    output.detail("a detail")
    output.warn("a warning")
    with output.progress() as progress:
        progress("work", 1, 2)
    captured = capsys.readouterr()
    assert captured.out == "NAME       N\nlong name  1\n[x]        2\n"
    assert captured.err == "a remark\na detail\nwarning: a warning\n"
    silent = Output(as_json=True)
    silent.show("x")
    silent.show_table(("A",), [("b",)])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("1h", 3600),
        ("1h30m", 5400),
        ("0.5h", 1800),
        (" 2M ", 120),
        ("10mins", 600),
        ("10 min", 600),
        ("1 hour 30 minutes", 5400),
        ("45 secs", 45),
    ],
)
def test_time(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds
    assert TIME.convert(text, None, None) == seconds
    assert TIME.convert(5, None, None) == 5.0


@pytest.mark.parametrize("text", ["", "90", "0s", "-5m", "1d", "m", "1h!", "s10", "10mi", "nan"])
def test_time_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90s, 10m or 1h"):
        parse_time(text)
    with pytest.raises(click.BadParameter):
        TIME.convert(text, None, None)


def test_environment_is_set_before_tensorflow(
    monkeypatch: pytest.MonkeyPatch, install_doubles: Install
) -> None:
    install_doubles("commands")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    call("double-hello", "-v")
    assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ
    call("double-hello")
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"


@pytest.mark.parametrize("words", [(), ("train",), ("plugin", "check")])
def test_help_is_what_the_option_says(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--help"]) == 0
    asked = capsys.readouterr().out
    assert asked.startswith(f"Usage: {' '.join(['tfxfer', *words])} ")
    assert call("help", *words) == (0, asked)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("trian",), "Did you mean 'train'?"),
        (("train", "fast"), "'train' has no commands of its own: 'fast'"),
        (("plugin", "chekc"), "chekc"),
    ],
)
def test_help_of_what_is_no_command(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("help", *words) == (2, "")
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("args", [(), ("plugin",), ("train", "--no-such"), ("train",)])
def test_the_usage_is_printed_once(
    args: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*args)[0] == 2
    assert capsys.readouterr().err.count("Usage: ") == 1


def test_a_terminal_of_ascii_only_takes_every_label(install_doubles: Install) -> None:
    install_doubles("commands")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = tfxfer_process("double-hello", "Zürich 木", env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("hello Z\\xfcrich \\u6728\n")
    # A document is UTF-8 whatever the terminal takes.
    done = tfxfer_process("double-hello", "Zürich 木", "--json", env=environment)
    assert json.loads(done.stdout) == {"hello": "Zürich 木"}


def test_a_part_that_failed_is_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    @tfxfer_command("half")
    def command(output: Output) -> int:
        output.emit([1])
        output.show("one of two")
        return 1

    assert command.main([], standalone_mode=False) == 1
    assert capsys.readouterr().out == "one of two\n"
    assert command.main(["--json"], standalone_mode=False) == 1
    assert json.loads(capsys.readouterr().out) == [1]
