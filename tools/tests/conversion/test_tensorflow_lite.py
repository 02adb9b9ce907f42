"""The canary of `tf.lite`, which leaves TensorFlow after 2.21."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

import tfxfer_edge
from tfxfer_edge.conversion.internals import find_moved
from tfxfer_edge.conversion.tensorflow_lite import RELIED_ON


def test_everything_is_where_it_was() -> None:
    moved = find_moved(RELIED_ON)
    assert not moved, f"tensorflow {tf.__version__} has moved: {moved}"


def test_what_moved_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorflow.python.framework import convert_to_constants

    monkeypatch.delattr(convert_to_constants, "convert_variables_to_constants_v2")
    assert find_moved(RELIED_ON) == (
        "tensorflow.python.framework.convert_to_constants.convert_variables_to_constants_v2",
    )


def test_no_other_module_names_it() -> None:
    root = Path(tfxfer_edge.__file__).parent
    naming = [
        path.name
        for path in root.rglob("*.py")
        if any(
            word in path.read_text(encoding="utf-8")
            for word in ("tf.lite", ".lite.", "TFLiteConverter(", "tensorflow.python")
        )
    ]
    assert naming == ["tensorflow_lite.py"]
