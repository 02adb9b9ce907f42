from __future__ import annotations

from typing import Any

from tfxfer_edge.inspection.activations import Step, count_bytes, describe_largest, estimate_peak
from tfxfer_edge.inspection.tflite_file import inspect_tflite

from .built_files import BuiltFile

CHAIN = (Step("A", ("in",), ("a",)), Step("B", ("a",), ("b",)), Step("C", ("b",), ("out",)))
SIZES = {"in": 1, "a": 10, "b": 20, "out": 2}


def test_a_chain_holds_two_tensors_at_a_time() -> None:
    found = estimate_peak(CHAIN, SIZES, inputs=["in"], outputs=["out"])
    assert found == {"peak_bytes": 30, "operator": "B", "index": 1}


def test_a_skip_is_held_until_it_is_read() -> None:
    """The control: the same chain, whose first tensor is read again at its end."""
    steps = (*CHAIN[:2], Step("ADD", ("b", "a"), ("out",)))
    found = estimate_peak(steps, SIZES, inputs=["in"], outputs=["out"])
    assert found == {"peak_bytes": 32, "operator": "ADD", "index": 2}


def test_an_output_lives_to_the_end_and_what_nobody_reads_one_step() -> None:
    steps = (Step("A", ("in",), ("a", "unread")), *CHAIN[1:])
    sizes = {**SIZES, "unread": 100}
    found = estimate_peak(steps, sizes, inputs=["in"], outputs=["out"])
    assert found == {"peak_bytes": 111, "operator": "A", "index": 0}
    found = estimate_peak(steps, sizes, inputs=["in"], outputs=["out", "unread"])
    assert found == {"peak_bytes": 130, "operator": "B", "index": 1}


def test_nothing_holds_nothing() -> None:
    assert estimate_peak((), {}, inputs=[], outputs=[]) is None


def test_bytes_of_types() -> None:
    cases: list[tuple[str, tuple[int, ...], Any]] = [
        ("float32", (2, 3), 24),
        ("float16", (-1, 3), 6),
        ("bfloat16", (3,), 6),
        ("int8", (), 1),
        ("int4", (3,), 2),
        ("bool", (5,), 5),
        ("int8", (0, 7), 0),
        ("string", (3,), None),
        ("resource", (), None),
        ("type_99", (3,), None),
        ("float8e4m3fn", (3,), None),
    ]
    for dtype, shape, expected in cases:
        assert count_bytes(dtype, shape) == expected, dtype


def test_the_largest_come_first_and_the_empty_ones_not_at_all() -> None:
    sizes = {f"t{number}": number for number in range(15)}
    found = describe_largest({"name": name, "bytes": size} for name, size in sizes.items())
    assert [item["bytes"] for item in found] == list(range(14, 4, -1))
    assert describe_largest([{"name": "none", "bytes": 0}]) == []


def test_a_file_tells_both() -> None:
    file = BuiltFile()
    source, wide, made = (file.add_tensor(1, size) for size in (8, 64, 4))
    file.add_operator("FULLY_CONNECTED", [source, file.add_weights(64, 8)], [wide])
    file.add_operator("FULLY_CONNECTED", [wide, file.add_weights(4, 64)], [made])
    document = inspect_tflite(file.to_bytes([source], [made]))
    assert document["activations"] == {
        "peak_bytes": 4 * (8 + 64),
        "operator": "FULLY_CONNECTED",
        "index": 0,
    }
    first, second, third = document["largest"][:3]
    assert (first["shape"], first["bytes"], first["is_constant"]) == ([64, 8], 2048, True)
    assert (second["shape"], second["bytes"]) == ([4, 64], 1024)
    assert (third["name"], third["bytes"], third["is_constant"]) == ("t1", 256, False)
