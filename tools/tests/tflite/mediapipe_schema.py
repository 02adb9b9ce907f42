"""The metadata's schema as MediaPipe's wheel carries it: generated code that is not ours."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tfxfer_edge.tflite.metadata_table import find_metadata

__all__ = ["import_schema", "read_with_schema"]

_FILE = "tasks/metadata/metadata_schema_py_generated.py"


@cache
def import_schema() -> ModuleType:
    """Returns MediaPipe's classes without MediaPipe; skips the test where it is not installed."""
    found = importlib.util.find_spec("mediapipe")
    if found is None or found.origin is None:
        pytest.skip("mediapipe is not installed")
    spec = importlib.util.spec_from_file_location(
        "mediapipe_metadata_schema", Path(found.origin).parent / _FILE
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_with_schema(content: bytes) -> Any:
    """Returns the `ModelMetadataT` of a `.tflite` file."""
    schema = import_schema()
    buffer = find_metadata(content)
    assert buffer is not None
    assert schema.ModelMetadata.ModelMetadataBufferHasIdentifier(buffer, 0)
    return schema.ModelMetadataT.InitFromObj(schema.ModelMetadata.GetRootAs(buffer, 0))
