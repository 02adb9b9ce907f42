"""A phone that is a script on the PATH: it answers as adb and `benchmark_model` do."""

from __future__ import annotations

import json
import math
import stat
import sys
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema

from tfxfer.cli.main import run as run_cli
from tfxfer.errors import ModelError
from tfxfer_edge.tflite.flatbuffer import write_model
from tfxfer_edge.timing.adb import InputValues, read_report, write_values

OLD = """Loaded model /data/local/tmp/x.tflite
count=5 first=9000 curr=8000 min=8000 max=9000 avg=8500 std=3

count=50 first=4100 curr=4000 min=3900 max=4400 avg=4020.5 std=45

Inference timings in us: Init: 855, First inference: 9000, Warmup (avg): 8500, Inference (avg): 4020
Peak memory footprint (MB): init=1.5 overall=12.8672
"""
NEW = OLD.replace("avg=4020.5 std=45", "avg=4020.5 std=45 p5=3950 median=4010 p95=4300")

ADB = """#!{python}
import json, os, sys
from pathlib import Path
args = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps(args) + "\\n")
if args[0] == "devices":
    print("List of devices attached")
    print({devices!r})
    sys.exit()
assert args[:2] == ["-s", "emulator-1"], args
words = " ".join(args[2:])
if "getprop" in words:
    print("Paper 4")
elif "test -f" in words:
    print({here!r})
elif "--graph" in words:
    print({report!r})
elif "rm -rf" in words and {gone!r}:
    sys.exit("error: device 'emulator-1' not found")
elif args[2] == "push" and not Path(args[3]).exists():
    sys.exit("adb: no such file")
"""


class Wire:
    """Writes the script, and reads what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"

    def connect(
        self,
        *,
        devices: str = "emulator-1 device model:P4",
        here: str = "here",
        report: str = NEW,
        gone: bool = False,
    ) -> None:
        program = self.folder / "adb"
        program.write_text(
            ADB.format(
                python=sys.executable,
                log=str(self.log),
                devices=devices,
                here=here,
                report=report,
                gone=gone,
            )
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    @property
    def asked(self) -> list[str]:
        return [" ".join(json.loads(line)) for line in self.log.read_text().splitlines()]


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wire:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    return Wire(folder)


def write_file(path: Path, description: str) -> None:
    """Writes a whole file with an empty graph: the program on the phone is a script here."""
    graph = schema.SubGraphT(tensors=[], inputs=[], outputs=[], operators=[])
    model = schema.ModelT(
        version=3, description=description, operatorCodes=[], subgraphs=[graph], buffers=[]
    )
    path.write_bytes(write_model(model))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    write_file(path, "short")
    return path


def test_files_take_turns_on_the_phone(
    wire: Wire, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wire.connect()
    other = model.with_name("other.tflite")
    write_file(other, "a longer one")
    args = ["benchmark", str(model), str(other), "--device", "adb", "--rounds", "2", "--json"]
    assert run_cli(args) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["device"] == "Paper 4"
    assert [item["path"] for item in document["models"]] == [str(model), str(other)]
    assert document["models"][0]["latency_ms"] == {"median": 4.01, "p95": 4.3}
    assert document["models"][0]["load_ms"] == 0.855
    assert document["models"][0]["peak_memory_bytes"] == round(12.8672 * 2**20 - 0.5)
    graphs = [line.split("--graph=")[1].split()[0] for line in wire.asked if "--graph" in line]
    assert [Path(graph).name for graph in graphs] == ["0.tflite", "1.tflite"] * 2
    # Nothing stays on the phone.
    assert wire.asked[-1].endswith(f"rm -rf {Path(graphs[0]).parent.as_posix()}")


def test_an_older_program_tells_means_only() -> None:
    found = read_report(OLD, path="m.tflite")
    assert found["median_ms"] == 4.0205
    assert math.isnan(found["p95_ms"])


GPU = "INFO: Explicitly applied GPU delegate, and the model graph will be {} executed by the "
PART = (
    "VERBOSE: Replacing 40 out of 64 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 3 "
    "partitions for the whole graph.\n"
    "VERBOSE: Replacing 20 out of 27 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding "
    "1 partitions for the whole graph.\n"
)


@pytest.mark.parametrize(
    ("log", "delegated", "told"),
    [
        (GPU.format("completely") + "delegate.", "all", "gpu took all of it"),
        (
            PART + GPU.format("partially") + "delegate w/ 3 delegate kernels.",
            "40 of 64 operators",
            "gpu took 40 of 64 operators of it",
        ),
        (GPU.format("partially") + "delegate w/ 3 delegate kernels.", "a part", "a part of it"),
        (
            "INFO: Though GPU delegate is explicitly applied, the model graph will not be executed "
            "by the delegate.",
            "none",
            "warning",
        ),
        ("WARN: GPU acceleration is unsupported on this platform.", "none", "the CPU's time"),
        (GPU.format("completely").replace("GPU", "XNNPACK") + "delegate.", "none", "warning"),
    ],
    ids=["all", "counted", "part", "nothing", "unsupported", "another"],
)
def test_what_the_gpu_took_is_told(
    log: str,
    delegated: str,
    told: str,
    wire: Wire,
    model: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    wire.connect(report=f"{log}\n{NEW}")
    args = ["benchmark", str(model), "--device", "adb", "--accelerator", "gpu", "--json"]
    assert run_cli(args) == 0
    printed = capfd.readouterr()
    (found,) = json.loads(printed.out)["models"]
    assert (found["delegated"], found["latency_ms"]["median"]) == (delegated, 4.01)
    assert told in printed.err
    assert all("--use_gpu=true" in line for line in wire.asked if "--graph" in line)


def test_nothing_is_asked_of_the_cpu(
    wire: Wire, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wire.connect()
    assert run_cli(["benchmark", str(model), "--device", "adb", "--rounds", "1", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["models"][0]["delegated"] is None
    assert "--use_" not in " ".join(wire.asked)
    args = ["benchmark", str(model), "--device", "adb", "--accelerator", "nnapi", "--rounds", "1"]
    assert run_cli(args) == 0
    assert sum("--use_nnapi=true" in line for line in wire.asked) == 1
    assert run_cli(["benchmark", str(model), "--accelerator", "gpu"]) == 2


def test_a_program_of_ones_own_is_copied(wire: Wire, model: Path) -> None:
    wire.connect(here="gone")
    program = model.with_name("benchmark_model")
    program.touch()
    assert (
        run_cli(["benchmark", str(model), "--device", "adb", "--benchmark-model", str(program)])
        == 0
    )
    assert any("push" in line and "benchmark_model" in line for line in wire.asked)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"devices": ""}, "Received: none"),
        ({"devices": "a device\nb device"}, "ANDROID_SERIAL=NAME"),
        ({"devices": "emulator-1 unauthorized"}, "allow this computer"),
        ({"here": "gone"}, "adb push benchmark_model"),
        ({"report": "error: cannot read the model"}, "cannot read the model"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    given: dict[str, str],
    told: str,
    wire: Wire,
    model: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    wire.connect(**given)
    assert run_cli(["benchmark", str(model), "--device", "adb"]) == 1
    error = capfd.readouterr().err
    assert told in error
    assert "Traceback" not in error
    if "report" in given:
        assert "rm -rf" in wire.asked[-1]


def test_a_clean_up_that_fails_does_not_hide_what_went_wrong(
    wire: Wire, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wire.connect(report="error: cannot read the model", gone=True)
    assert run_cli(["benchmark", str(model), "--device", "adb", "--json"]) == 1
    shown = capfd.readouterr()
    error = json.loads(shown.out)["error"]
    assert error["type"] == "ModelError"
    assert "cannot read the model" in error["message"]
    assert "rm -rf" in wire.asked[-1]
    # What stays on the phone is told beside it.
    assert "left on Paper 4: /data/local/tmp/tfxfer-" in shown.err


def test_a_clean_up_that_fails_costs_no_figures(
    wire: Wire, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wire.connect(gone=True)
    assert run_cli(["benchmark", str(model), "--device", "adb", "--json"]) == 0
    shown = capfd.readouterr()
    assert json.loads(shown.out)["models"][0]["latency_ms"]["median"] == 4.01
    assert "left on Paper 4: /data/local/tmp/tfxfer-" in shown.err


def test_no_adb(wire: Wire, model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert not (wire.folder / "adb").exists()
    assert run_cli(["benchmark", str(model), "--device", "adb"]) == 1
    assert "no adb here" in capfd.readouterr().err


def test_a_report_without_timings() -> None:
    with pytest.raises(ModelError, match="Received: nothing"):
        read_report("", path="m.tflite")


def test_a_single_image_and_the_peak_where_it_is_told() -> None:
    printed = (
        "count=1 first=9000 curr=9000 min=9000 max=9000 avg=9000 std=0\n\ncount=1 curr=4100\n"
        "Inference timings in us: Init: 855, First inference: 9000\n"
        "Peak memory footprint (MB): init=1.5 overall=12.5\n"
        "Overall peak memory footprint (MB) via periodic monitoring: 20.5\n"
    )
    found = read_report(printed, path="m.tflite")
    assert found["median_ms"] == 4.1
    assert found["memory_bytes"] == 20.5 * 2**20


@pytest.mark.parametrize(
    "line",
    [
        "count=50 ",
        "count=50 first=abc",
        "count=50 curr=. min=.",
        "count=50 median=e+ avg=.",
    ],
)
def test_a_report_without_timings_is_one_line(line: str) -> None:
    printed = f"{line}\nInference timings in us: Init: 855, First inference: 9000\n"
    with pytest.raises(ModelError, match=r"model 'x\.tflite': expected it to run on the phone"):
        read_report(printed, path="x.tflite")


def test_a_memory_figure_that_is_none_is_not_known() -> None:
    found = read_report(NEW.replace("overall=12.8672", "overall=..."), path="x.tflite")
    assert found["median_ms"] == 4.01
    assert math.isnan(found["memory_bytes"])


def test_inputs_that_are_numbers_of_tokens_are_filled_with_some(
    wire: Wire, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = (InputValues("ids", (1, 8), 0, 1), InputValues("mask", (1, 8), 1, 1))
    monkeypatch.setattr("tfxfer_edge.proof.feed.find_values", lambda _: found)
    wire.connect()
    assert run_cli(["benchmark", str(model), "--device", "adb", "--rounds", "1", "--json"]) == 0
    (call,) = [line for line in wire.asked if "--graph=" in line]
    assert "--input_layer=ids,mask --input_layer_shape=1,8:1,8 " in call
    assert "--input_layer_value_range=ids,0,1:mask,1,1 " in call
    assert write_values(()) == ""
