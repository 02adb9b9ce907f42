"""Damaged files that a network is in: an error of ours each, and no process that dies of one."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError, TfxferError
from tfxfer.job.checkpoint import Checkpoints
from tfxfer.run.directory import RunDirectory
from tfxfer.system.process import ask_child

from ..mutation import mutate_bytes, mutate_many
from ..peak import PEAK_BYTES

# Libraries of C may end a process: theirs is one of its own, which says how far it came.
READ_ALL = """
import gc, os
from pathlib import Path
from tfxfer.errors import TfxferError
{imports}
for name in read_question():
    try:
        {read}
        answer([name, "read"])
    except TfxferError as error:
        answer([name, "refused" if error.exit_code in (1, 2) and str(error) else repr(error)])
    except BaseException as error:
        answer([name, repr(error)[:300]])
answer(["peak", {peak}])
"""
# What `tfxfer_edge.tflite.trial` asks of one file. Each counts as one that ends the process until
# it has not.
RUN_ALL = f"""
import numpy as np
from ai_edge_litert.interpreter import Interpreter

def tell(what):
    answer([name, what, {PEAK_BYTES}])

for name in read_question():
    tell("ended")
    try:
        interpreter = Interpreter(model_path=name, num_threads=1)
        interpreter.allocate_tensors()
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
        interpreter.invoke()
        del interpreter
        tell("ran")
    except (ValueError, RuntimeError):
        tell("told")
    except BaseException as error:
        tell(repr(error)[:300])
"""
LOADERS = {
    ".keras": (
        "from tfxfer.inference.keras_model import read_keras_file",
        "read_keras_file(Path(name))",
    ),
    ".h5": (
        "from tfxfer.inference.hdf5_model import load_hdf5_model",
        "load_hdf5_model(Path(name))",
    ),
    ".onnx": (
        "from tfxfer_edge.conversion.onnx import OnnxModel",
        "OnnxModel(name, threads=1)",
    ),
}


def make_model() -> Any:
    import keras

    image = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(2, "softmax")(x))


def repack(whole: bytes, member: str, content: bytes) -> bytes:
    """Returns an archive with another content of one member."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name == member else old.read(name))
    return stream.getvalue()


def read_apart(suffix: str, contents: Iterable[bytes], folder: Path) -> Counter[str]:
    paths = []
    for number, content in enumerate(contents):
        path = folder / f"{number:04}{suffix}"
        path.write_bytes(content)
        paths.append(str(path))
    imports, read = LOADERS[suffix]
    code = READ_ALL.format(imports=imports, read=read, peak=PEAK_BYTES)
    outcome = ask_child(code, paths, timeout_s=540)
    answers = dict(outcome.answers)
    assert "peak" in answers, (outcome.end, list(answers)[-1:])
    # A process that has loaded TensorFlow holds 0.8 GB before it reads anything.
    assert answers.pop("peak") < 2 << 30
    assert list(answers) == paths
    found = Counter(answers.values())
    assert set(found) <= {"read", "refused"}, found
    return found


def test_damaged_keras_files(tmp_path: Path) -> None:
    path = tmp_path / "whole.keras"
    make_model().save(path)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        config, weights = archive.read("config.json"), archive.read("model.weights.h5")
    contents = [whole, *mutate_many(whole, 140, kind=".keras")]
    contents += [repack(whole, "config.json", x) for x in mutate_many(config, 80, kind="config")]
    contents += [
        repack(whole, "model.weights.h5", x) for x in mutate_many(weights, 80, kind="weights")
    ]
    found = read_apart(".keras", contents, tmp_path)
    assert found["read"] > 10
    assert found["refused"] > 100


def test_damaged_hdf5_files(tmp_path: Path) -> None:
    path = tmp_path / "whole.h5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logging.Logger.warning", lambda *_: None)
        make_model().save(path)
    whole = path.read_bytes()
    found = read_apart(".h5", [whole, *mutate_many(whole, 120, kind=".h5")], tmp_path)
    assert found["read"] > 5
    assert found["refused"] > 20


def test_damaged_onnx_files(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    kernel = numpy_helper.from_array(np.ones((3, 2), np.float32), "w")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("Softmax", ["y"], ["z"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size])
        for name, size in (("x", 3), ("z", 2))
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [kernel])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    whole = model.SerializeToString()
    found = read_apart(".onnx", [whole, *mutate_many(whole, 200, kind=".onnx")], tmp_path)
    assert found["read"] > 5
    assert found["refused"] > 20


def test_damaged_checkpoints(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    run.checkpoints.mkdir(exist_ok=True)
    stream = io.BytesIO()
    np.savez(stream, np.ones((3, 2), np.float32), np.zeros(2, np.float32))
    state = json.dumps({"weights": "1-head.npz", "state": {}})
    model = SimpleNamespace(set_weights=lambda values: [np.asarray(x) for x in values])
    found: Counter[str] = Counter()
    for number, content in enumerate(mutate_many(stream.getvalue(), 150, kind=".npz")):
        (run.checkpoints / "1-head.npz").write_bytes(content)
        spoilt = mutate_bytes(state.encode(), random.Random(number))
        (run.checkpoints / "state.json").write_bytes(state.encode() if number % 3 else spoilt)
        try:
            Checkpoints(run).restore(model)
            found["read"] += 1
        except TfxferError as error:
            found["refused"] += error.exit_code == 1
    assert found.total() == 150
    assert found["refused"] > 20


def test_damaged_tflite_files(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    from tfxfer_edge.tflite.metadata_reader import read_metadata
    from tfxfer_edge.tflite.soundness import read_sound_model
    from tfxfer_edge.tflite.trial import try_file

    whole, sound = convert(make_model()), list[bytes]()

    def read(content: bytes) -> None:
        read_sound_model(content)
        sound.append(content)
        read_metadata(content)

    count_refused(read, whole, 300, kind=".tflite", error=ModelError)
    found = run_apart(sound, tmp_path)
    outcomes = Counter(found.values())
    # Undamaged, it runs; what is damaged is told, or ends a process that is not ours.
    assert found[tmp_path / "0000.tflite"] == "ran"
    assert set(outcomes) <= {"ran", "told", "ended"}, outcomes
    assert outcomes["ran"] > 10
    # What ends a process is refused by the one that the product asks.
    for path in [path for path, outcome in found.items() if outcome == "ended"][:2]:
        with pytest.raises(ModelError, match="copy or export it again"):
            try_file(path)


def run_apart(contents: Iterable[bytes], folder: Path) -> dict[Path, str]:
    """Gives files to LiteRT as `try_file` does, as many in one process as that one survives."""
    paths = []
    for number, content in enumerate(contents):
        path = folder / f"{number:04}.tflite"
        path.write_bytes(content)
        paths.append(str(path))
    found: dict[Path, str] = {}
    while left := [path for path in paths if Path(path) not in found]:
        outcome = ask_child(RUN_ALL, left, timeout_s=300)
        for name, what, peak_bytes in outcome.answers:
            found[Path(name)] = what
            assert peak_bytes < 2 << 30, name
        assert not outcome.hung, outcome.answers[-1]
        assert outcome.answers, outcome.end
    return found


def convert(model: Any) -> bytes:
    import tfxfer_edge

    return bytes(tfxfer_edge.convert(model, recipe="float32", preprocessing="in_graph").content)


def count_refused(
    read: Callable[[bytes], Any],
    whole: bytes,
    count: int,
    *,
    kind: str,
    error: type[TfxferError],
) -> None:
    read(whole)
    refused = 0
    for content in mutate_many(whole, count, kind=kind):
        try:
            read(content)
        except error:
            refused += 1
    assert refused > count // 10
    # Not all, unless a change of any byte is told, as in a header that counts itself.
    assert refused < count or kind == "header"


def test_damaged_torch_checkpoints(tmp_path: Path) -> None:
    pytest.importorskip("tfxfer_efficientnet")
    from tfxfer.errors import WeightsError
    from tfxfer_efficientnet.torch_checkpoint import read_checkpoint

    path = tmp_path / "x.pth"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        read_checkpoint(path)

    count_refused(read, write_torch(), 450, kind=".pth", error=WeightsError)


def write_torch() -> bytes:
    """Returns a state dict of one tensor in torch's archive, written by hand."""
    key = b"X\x01\0\0\0"
    state = b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n"
    state += b"((X\x07\0\0\0storagectorch\nFloatStorage\n" + key + b"0X\x03\0\0\0cpuK\x06tQK\0K\x02"
    state += b"K\x03\x86K\x03K\x01\x86\x89ccollections\nOrderedDict\n)RtRu."
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("m/data.pkl", state)
        archive.writestr("m/data/0", np.arange(6, dtype="<f4").tobytes())
        archive.writestr("m/version", b"3\n")
    return stream.getvalue()


def test_damaged_safetensors(tmp_path: Path) -> None:
    pytest.importorskip("tfxfer_text")
    from tfxfer.errors import WeightsError
    from tfxfer_text.miniature import MINIATURE, write_model
    from tfxfer_text.weights import _read, list_targets

    whole = (write_model(tmp_path / "tiny") / "model.safetensors").read_bytes()
    # Of the file, its header is what is read; half of the copies are damaged there.
    header = int.from_bytes(whole[:8], "little") + 8
    path = tmp_path / "x.safetensors"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        list(_read(path, list_targets(MINIATURE)))

    count_refused(read, whole, 100, kind=".safetensors", error=WeightsError)

    def read_header(content: bytes) -> None:
        read(content + whole[header:])

    count_refused(read_header, whole[:header], 100, kind="header", error=WeightsError)
