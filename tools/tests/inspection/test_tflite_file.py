from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tfxfer.errors import ModelError
from tfxfer.preprocessing import Preprocessing
from tfxfer_edge.inspection.tflite_file import inspect_tflite
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.metadata_writer import write_metadata

from ..tflite.int8_files import quantize
from .built_files import BuiltFile


@pytest.fixture(scope="module")
def content(small_graph: Any) -> bytes:
    return bytes(small_graph.float_content)


def rows_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["operator"]: row for row in document["operators"]}


def test_a_network_is_what_its_layers_say(content: bytes) -> None:
    """The small model: 64 px, stride 4, 16 channels; see `build_small`."""
    document = inspect_tflite(content)
    rows = rows_of(document)
    places = 16 * 16
    assert rows["CONV_2D"]["count"] == 2
    assert rows["CONV_2D"]["multiplications"] == places * (3 * 3 * 3 * 16 + 16 * 16)
    assert rows["DEPTHWISE_CONV_2D"]["multiplications"] == places * 3 * 3 * 16
    assert rows["FULLY_CONNECTED"]["multiplications"] == 16 * 5
    # Kernels, and a bias that batch normalization was folded into.
    assert rows["CONV_2D"]["weight_bytes"] == 4 * (3 * 3 * 3 * 16 + 16 + 16 * 16 + 16)
    assert rows["DEPTHWISE_CONV_2D"]["weight_bytes"] == 4 * (3 * 3 * 16 + 16)
    assert rows["CONV_2D"]["types"] == {"float32": 2}
    total = document["total"]
    assert total["operators"] == sum(row["count"] for row in rows.values())
    assert total["multiplications"] == sum(row["multiplications"] for row in rows.values())
    assert document["operators"][0]["operator"] == "CONV_2D"  # the most first
    assert document["bytes"] == len(content)


def test_integers_take_a_quarter_of_the_bytes(content: bytes) -> None:
    exact, rounded = (rows_of(inspect_tflite(x)) for x in (content, quantize(content)))
    assert rounded["CONV_2D"]["multiplications"] == exact["CONV_2D"]["multiplications"]
    biases = 4 * (16 + 16)
    kernels = exact["CONV_2D"]["weight_bytes"] - biases
    assert rounded["CONV_2D"]["weight_bytes"] == kernels / 4 + biases
    assert rounded["CONV_2D"]["types"] == {"int8": 2}


def test_an_end_says_what_its_integers_stand_for() -> None:
    file = BuiltFile()
    source = file.add_tensor(1, 4, dtype="uint8", scale=[0.5], zero_point=[28])
    between = file.add_tensor(1, 4, dtype="int8", scale=[0.25], zero_point=[-100])
    file.add_operator("QUANTIZE", [source], [between])
    document = inspect_tflite(file.to_bytes([source], [between]))
    (first,), (last,) = document["inputs"], document["outputs"]
    assert (first["low"], first["high"]) == (-14.0, 113.5)  # (0 - 28) / 2, (255 - 28) / 2
    assert (first["dtype"], first["scale"], first["zero_point"]) == ("uint8", 0.5, 28)
    assert (last["low"], last["high"]) == (-7.0, 56.75)  # (-128 + 100) / 4, (127 + 100) / 4
    assert first["range_from"] == "quantization"
    assert rows_of(document)["QUANTIZE"]["types"] == {"uint8 to int8": 1}


def test_a_float_input_takes_what_the_metadata_makes_of_pixels(content: bytes) -> None:
    plain = inspect_tflite(content)
    assert (plain["metadata"], plain["inputs"][0]["low"]) == (None, None)
    given = Preprocessing(scale=(1 / 127.5,) * 3, offset=(-1.0,) * 3)
    card = ModelCard("small", labels=tuple("abcde"), author="us", preprocessing=given)
    document = inspect_tflite(write_metadata(content, card))
    (first,) = document["inputs"]
    assert (first["low"], first["high"]) == pytest.approx((-1, 1))
    assert first["range_from"] == "metadata"
    found = document["metadata"]
    assert (found["name"], found["labels"], found["author"]) == ("small", list("abcde"), "us")
    assert found["preprocessing"]["mean"] == pytest.approx([127.5] * 3)
    assert found["preprocessing"]["std"] == pytest.approx([127.5] * 3)
    sizes = {item["name"]: item["bytes"] for item in found["files"]}
    assert sizes["labels.txt"] == len("a\nb\nc\nd\ne\n")
    assert sizes["tfxfer.json"] > 0
    assert found["kind"] == "classifier"


def test_weights_that_two_operators_read_are_stored_once() -> None:
    file = BuiltFile()
    source, between, made = (file.add_tensor(1, 8) for _ in range(3))
    kernel = file.add_weights(8, 8)
    file.add_operator("FULLY_CONNECTED", [source, kernel], [between])
    file.add_operator("FULLY_CONNECTED", [between, kernel], [made])
    document = inspect_tflite(file.to_bytes([source], [made]))
    (row,) = document["operators"]
    assert (row["count"], row["weight_bytes"], row["multiplications"]) == (2, 4 * 64, 128)
    assert document["total"]["weight_bytes"] == 4 * 64


def test_what_is_not_counted_is_said() -> None:
    file = BuiltFile()
    source = file.add_tensor(1, 8, signature=[-1, 8])
    made = file.add_tensor(1, 8, signature=[-1, 8])
    file.add_operator("CUSTOM", [source], [made], custom="Foreign")
    document = inspect_tflite(file.to_bytes([source], [made], graphs=2))
    assert document["inputs"][0]["shape"] == [-1, 8]
    assert document["remarks"] == [
        "1 further graph, which operators call, is not counted",
        "multiplications without those of CUSTOM:Foreign, which the file does not tell",
        "sizes that are free (-1) count as 1",
    ]
    assert document["operators"][0]["multiplications"] is None
    assert document["total"]["multiplications"] == 0


@pytest.mark.parametrize("size", [0, 4, 20, 1000])
def test_a_file_that_is_cut_off_is_refused(content: bytes, size: int) -> None:
    with pytest.raises(ModelError, match="expected a"):
        inspect_tflite(content[:size])


def test_two_outputs_are_described_whatever_the_metadata(tmp_path: Path) -> None:
    """The reader of metadata knows models with one output; others are not refused for that."""
    file = BuiltFile()
    source, first, second = (file.add_tensor(1, 8) for _ in range(3))
    file.add_operator("LOGISTIC", [source], [first])
    file.add_operator("TANH", [source], [second])
    document = inspect_tflite(file.to_bytes([source], [first, second]))
    assert [end["name"] for end in document["outputs"]] == ["t1", "t2"]


def test_types_and_operators_of_the_future_are_no_fault() -> None:
    """A newer schema has more of both: LiteRT does not run such a file, and it can be looked at."""
    file = BuiltFile()
    source, made = file.add_tensor(1, 8), file.add_tensor(1, 8)
    file.add_operator("LOGISTIC", [source], [made])
    file.tensors[made].type = 99
    file.codes[0].builtinCode = 9999
    document = inspect_tflite(file.to_bytes([source], [made]))
    assert document["outputs"][0]["dtype"] == "type_99"
    (row,) = document["operators"]
    assert row["operator"] == "BUILTIN_9999"
    assert row["multiplications"] is None
    assert document["xnnpack"]["left"][0]["reason"] == "not listed"
