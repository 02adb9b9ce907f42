"""A board that is a script on the PATH: it answers as `ssh` does, and runs what it is told here."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.cli.main import run as run_cli
from tfxfer.preprocessing import Preprocessing
from tfxfer_edge.onnx.metadata import write_onnx_metadata
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.timing import board_script, ssh

from ..onnx_files import LABELS, build_onnx
from .test_adb import NEW

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SSH = """#!{python}
import json, os, subprocess, sys, time
args = sys.argv[1:]
options, (host, command) = args[: args.index("--")], args[args.index("--") + 1 :]
with open({log!r}, "a") as log:
    log.write(json.dumps([options, host, command]) + "\\n")
if host != "pi@board":
    sys.stderr.write("Warning: something else\\nssh: Could not resolve hostname nowhere.\\n")
    sys.exit(255)
for word, act in {faults!r}.items():
    if word in command and act == "hang":
        time.sleep(60)
    elif word in command and act == "drop":
        sys.stderr.write("client_loop: send disconnect: Broken pipe\\n")
        sys.exit(255)
    elif word in command:
        sys.stderr.write(act + "\\n")
        sys.exit(1)
# Most boards' shell, which gives way to a command that is its last.
shell = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
code = subprocess.run([shell, "-c", command], env={env!r}).returncode
sys.exit(255 if code < 0 else code)  # ssh's own code where a signal ended the command
"""


class Wire:
    """Writes the script, and reads what it was asked."""

    def __init__(self, folder: Path, path: str) -> None:
        self.folder, self.log, self._path = folder, folder / "log", path

    def connect(self, **faults: str) -> None:
        """Makes a board: a word of a command, and what it does there instead of obeying."""
        program = self.folder / "ssh"
        program.write_text(
            SSH.format(
                python=sys.executable,
                log=str(self.log),
                faults={key.replace("_", " "): value for key, value in faults.items()},
                env={"PATH": self._path},
            )
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    @property
    def asked(self) -> list[tuple[list[str], str, str]]:
        return [tuple(json.loads(line)) for line in self.log.read_text().splitlines()]

    @property
    def board_folder(self) -> Path:
        """What was made on the board."""
        (made,) = {
            match[1] for *_, line in self.asked if (match := re.search(r"mkdir -m 700 (\S+)", line))
        }
        return Path(made)


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wire:
    folder = tmp_path / "bin"
    folder.mkdir()
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", str(folder))
    return Wire(folder, path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    zero_to_one = Preprocessing.from_mean_std(mean=0.0, std=255.0)
    card = ModelCard(name="colours", labels=LABELS, preprocessing=zero_to_one)
    path = tmp_path / "a model's.onnx"
    path.write_bytes(write_onnx_metadata(build_onnx(), card, outputs=3))
    return path


def benchmark(model: Path, *args: str, host: str = "pi@board") -> int:
    python = [] if "--benchmark-model" in args else ["--remote-python", sys.executable]
    if "--remote-python" in args:
        python = []
    rounds = ["--runs", "3", "--rounds", "1"]
    return run_cli(["benchmark", str(model), "--device", f"ssh:{host}", *rounds, *python, *args])


def test_a_board_measures_and_keeps_nothing(
    wire: Wire, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wire.connect()
    assert benchmark(model, str(model.parent / "b.onnx"), "--json") == 1  # nothing there
    other = model.with_name("b.onnx")
    other.write_bytes(build_onnx())
    capfd.readouterr()
    assert benchmark(model, str(other), "--rounds", "2", "--json") == 0
    printed = capfd.readouterr()
    document = json.loads(printed.out)
    assert document["device"] == "ssh:pi@board"
    assert [item["path"] for item in document["models"]] == [str(model), str(other)]
    for item in document["models"]:
        deciles = item["latency_ms"]["deciles"]
        assert len(deciles) == 9
        assert deciles == sorted(deciles)
        assert 0 < deciles[0] <= item["latency_ms"]["median"] == pytest.approx(deciles[4])
        assert 10e6 < item["peak_memory_bytes"] < 300e6
        assert item["load_ms"] > 0
    assert "onnxruntime" in printed.err
    assert document["inputs"][str(model)].startswith("noise like that of photos")
    assert all("BatchMode=yes" in options for options, *_ in wire.asked)
    assert not wire.board_folder.exists()
    # They take turns.
    graphs = [
        line.split("measure.py ")[1].split()[0] for *_, line in wire.asked if ".npz 1 " in line
    ]
    assert [Path(graph).name for graph in graphs] == ["0.onnx", "1.onnx"] * 2


def test_a_program_of_ones_own_measures_without_python(
    wire: Wire, model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from .test_adb import write_file

    wire.connect()
    path, program = model.with_name("m.tflite"), model.with_name("benchmark_model")
    write_file(path, "short")
    program.write_text(f"#!/bin/sh\necho \"$@\" >&2\ncat <<'END'\n{NEW}\nEND\n")
    monkeypatch.setattr("tfxfer_edge.timing.latency.measure", lambda *_, **__: [])
    assert benchmark(path, "--benchmark-model", str(program), "--json") == 0
    (found,) = json.loads(capfd.readouterr().out)["models"]
    assert found["latency_ms"] == {"median": 4.01, "p95": 4.3}
    assert not any("command -v" in line for *_, line in wire.asked)
    assert not wire.board_folder.exists()
    assert benchmark(model, "--benchmark-model", str(program)) == 1
    assert "expected a .tflite file" in capfd.readouterr().err
    assert benchmark(path, "--benchmark-model", str(program) + "x") == 1
    assert "expected a file. Received: none" in capfd.readouterr().err


@pytest.mark.parametrize("host", ["-oProxyCommand=touch x", "", "a b", "a\nb"])
def test_what_is_no_host_is_never_handed_to_ssh(
    host: str, wire: Wire, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wire.connect()
    assert benchmark(model, host=host) == 1
    error = capfd.readouterr().err
    assert "expected a host as ssh takes it" in error
    assert len(error.splitlines()) == 1
    assert not wire.log.exists()


@pytest.mark.parametrize(
    ("faults", "args", "told"),
    [
        ({}, ("--remote-python", "/no/python"), "expected /no/python there. Received: none"),
        ({"uname": "drop"}, (), "Broken pipe. Once by hand: ssh pi@board true"),
        ({"mkdir": "mkdir: Read-only file system"}, (), "make the folder"),
        ({"cat_>": "cat: No space left on device"}, (), "Received: cat: No space left on device"),
        ({".npz_1": "Killed"}, (), "expected it to run on pi@board. Received: Killed"),
        ({".npz_1": "drop"}, (), "expected a host that ssh reaches without asking"),
    ],
    ids=["no python", "dropped", "read-only", "full", "killed", "lost"],
)
def test_what_is_wrong_is_said_in_one_line(
    faults: dict[str, str],
    args: tuple[str, ...],
    told: str,
    wire: Wire,
    model: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    wire.connect(**faults)
    assert benchmark(model, *args) == 1
    error = capfd.readouterr().err
    assert told in error.splitlines()[-1]
    assert "Traceback" not in error
    if "mkdir" in " ".join(line for *_, line in wire.asked):
        assert "rm -rf" in wire.asked[-1][2]
        assert not wire.board_folder.exists()


def test_a_host_that_is_not_reached(
    wire: Wire, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wire.connect()
    assert benchmark(model, host="nowhere") == 1
    (error,) = capfd.readouterr().err.splitlines()
    assert (
        "Received: ssh: Could not resolve hostname nowhere. Once by hand: ssh nowhere true" in error
    )
    (wire.folder / "ssh").unlink()
    assert benchmark(model) == 1
    assert "no ssh here" in capfd.readouterr().err


def test_a_python_that_lacks_what_runs_the_file(
    wire: Wire, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wire.connect()
    bare = model.with_name("python")
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    assert benchmark(model, "--remote-python", str(bare)) == 1
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.endswith(f"On the board: {bare} -m pip install numpy")


def test_a_runtime_that_crashes_is_no_lost_line(
    wire: Wire, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wire.connect()
    crashing = model.with_name("python")
    crashing.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crashing.chmod(0o755)
    assert benchmark(model, "--remote-python", str(crashing)) == 1
    line = capfd.readouterr().err.splitlines()[-1]
    assert "expected it to run on pi@board. Received: " in line
    assert "ssh that reaches" not in line


def test_a_program_that_measures_nothing_is_told_with_the_board(
    wire: Wire, model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from .test_adb import write_file

    wire.connect()
    path, program = model.with_name("m.tflite"), model.with_name("benchmark_model")
    write_file(path, "short")
    program.write_text("#!/bin/sh\necho 'ERROR: unknown operator'\n")
    monkeypatch.setattr("tfxfer_edge.timing.latency.measure", lambda *_, **__: [])
    assert benchmark(path, "--benchmark-model", str(program)) == 1
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.endswith("expected it to run on pi@board. Received: ERROR: unknown operator")


@pytest.mark.parametrize(
    ("word", "limit"), [("uname", "_SHORT_S"), (".npz_1", "_RUN_S")], ids=["at once", "later"]
)
def test_a_board_that_hangs_ends_by_its_limit(
    word: str,
    limit: str,
    wire: Wire,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    wire.connect(**{word: "hang"})
    run = ssh._run
    monkeypatch.setattr(
        ssh, "_run", lambda command, host, limit_s, content: run(command, host, 2, content)
    )
    assert hasattr(ssh, limit)
    started = time.monotonic()
    assert benchmark(model) == 1
    assert time.monotonic() - started < 40
    assert "expected an answer within 2 s" in capfd.readouterr().err.splitlines()[-1]
    if limit == "_RUN_S":
        assert not wire.board_folder.exists()


def test_what_could_not_be_removed_is_a_remark_and_hides_nothing(
    wire: Wire, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wire.connect(rm="rm: busy")
    assert benchmark(model, "--json") == 0
    printed = capfd.readouterr()
    assert json.loads(printed.out)["models"][0]["latency_ms"]["median"] > 0
    left = wire.board_folder
    assert f"left on pi@board: {left}: " in printed.err
    assert "rm: busy" in printed.err
    for path in left.iterdir():
        path.unlink()
    left.rmdir()
    wire.log.unlink()
    wire.connect(rm="rm: busy", **{".npz_1": "Illegal instruction"})
    assert benchmark(model) == 1
    error = capfd.readouterr().err
    assert "Illegal instruction" in error.splitlines()[-1]
    assert "rm: busy" in error
    for path in wire.board_folder.iterdir():
        path.unlink()
    wire.board_folder.rmdir()


def test_the_script_feeds_a_tflite_file_one_image_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.stack([np.full((2, 2), number, np.uint8) for number in range(3)])
    samples = tmp_path / "samples.npz"
    samples.write_bytes(ssh._pack_samples({"imäge:0": images}))
    seen: list[int] = []

    class Interpreter:
        def __init__(self, *, model_path: str, num_threads: int) -> None:
            assert (model_path, num_threads) == ("m.tflite", 2)
            self.held: dict[int, np.ndarray] = {}

        def allocate_tensors(self) -> None:
            pass

        def get_input_details(self) -> list[dict[str, Any]]:
            one = {"name": "imäge:0", "index": 0, "shape": np.array([1, 2, 2]), "dtype": np.uint8}
            two = {"name": "mask", "index": 1, "shape": np.array([1, 4]), "dtype": np.int32}
            return [one, two]

        def set_tensor(self, index: int, values: np.ndarray) -> None:
            self.held[index] = values

        def invoke(self) -> None:
            assert self.held[0].shape == (1, 2, 2)
            assert set(self.held[1].ravel()) <= {0, 1}
            seen.append(int(self.held[0][0, 0, 0]))

    monkeypatch.setattr("ai_edge_litert.interpreter.Interpreter", Interpreter)
    found = board_script.measure("m.tflite", str(samples), 2, 4)
    assert seen == [number % 3 for number in range(9)]
    assert len(found["laps_ms"]) == 4
    assert found["runtime"] == "ai-edge-litert"


def test_a_file_that_does_not_run_there_is_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, samples = tmp_path / "m.onnx", tmp_path / "s.npz"
    path.write_bytes(build_onnx().replace(b"MatMul", b"MatPul"))
    samples.write_bytes(ssh._pack_samples({}))
    monkeypatch.setattr(sys, "argv", ["measure.py", str(path), str(samples), "1", "2", "0"])
    board_script.main()
    assert "MatPul" in json.loads(capsys.readouterr().out)["error"]
