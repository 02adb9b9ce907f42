from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer_edge.tflite.flatbuffer import list_operators, read_model
from tfxfer_edge.tflite.retyped_ends import retype_ends
from tfxfer_edge.tflite.rewrites import add_uint8_ends, inline_buffers
from tfxfer_edge.tflite.runtime import load_interpreter

from .int8_files import invoke, quantize


@pytest.fixture(scope="module")
def content(small_graph: Any) -> bytes:
    return bytes(small_graph.float_content)


@pytest.fixture(scope="module")
def signed(content: bytes) -> bytes:
    """What LiteRT Quantizer writes: int8 at the ends."""
    return inline_buffers(quantize(content))


def describe(content: bytes) -> list[tuple[str, str]]:
    interpreter = load_interpreter(content)
    details = (*interpreter.get_input_details(), *interpreter.get_output_details())
    return [(str(item["name"]), np.dtype(item["dtype"]).name) for item in details]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
@pytest.mark.parametrize("start", ["uint8", "int8"])
def test_ends_of_any_type_answer_alike(signed: bytes, dtype: str, start: str) -> None:
    made = retype_ends(add_uint8_ends(signed) if start == "uint8" else signed, dtype)
    assert describe(made) == [("image", dtype), ("scores", dtype)]
    body = list_operators(signed)
    ends = {"uint8": ("QUANTIZE", "QUANTIZE"), "float32": ("QUANTIZE", "DEQUANTIZE")}.get(dtype)
    assert list_operators(made) == ([ends[0], *body, ends[1]] if ends else body)
    runner = load_interpreter(made).get_signature_runner("serving_default")
    assert np.dtype(runner.get_input_details()["image"]["dtype"]).name == dtype
    detail = load_interpreter(signed).get_input_details()[0]
    target = load_interpreter(signed).get_output_details()[0]
    (scale, zero), (step, base) = detail["quantization"], target["quantization"]
    for pixel in (0, 90, 255):
        exact = invoke(signed, pixel - 128).astype(int)
        if dtype == "float32":
            # What the byte stands for, so that its QUANTIZE makes that very byte of it.
            found = invoke(made, scale * (pixel - 128 - zero))  # type: ignore[arg-type]
            np.testing.assert_allclose(found, step * (exact - base), atol=1e-7)
        else:
            shift = 128 if dtype == "int8" else 0
            np.testing.assert_array_equal(
                invoke(made, pixel - shift) + (128 - shift) * 0, exact + (128 - shift)
            )


def test_what_uint8_ends_needed_is_gone_without_them(signed: bytes) -> None:
    back = retype_ends(add_uint8_ends(signed), "int8")
    before, after = (read_model(x).subgraphs[0] for x in (signed, back))
    assert len(after.tensors) == len(before.tensors)
    assert list_operators(back) == list_operators(signed)


def test_float_ends_stay_and_become_no_integers(content: bytes) -> None:
    assert list_operators(retype_ends(content, "float32")) == list_operators(content)
    for dtype in ("int8", "uint8"):
        with pytest.raises(ModelError, match=f"to make them {dtype}. Received: 'image' is FLOAT32"):
            retype_ends(content, dtype)


def test_an_end_of_bytes_without_its_operator_is_refused(signed: bytes) -> None:
    from tfxfer_edge.tflite.flatbuffer import write_model

    model = read_model(add_uint8_ends(signed))
    graph = model.subgraphs[0]
    # Its QUANTIZE is another operator by now.
    code = next(x for x in graph.operators if 0 in map(int, x.inputs) or True)
    code.opcodeIndex = graph.operators[1].opcodeIndex
    with pytest.raises(ModelError, match="expected one QUANTIZE beside 'image'"):
        retype_ends(write_model(model), "int8")
