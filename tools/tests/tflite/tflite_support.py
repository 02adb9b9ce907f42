"""tflite-support 0.4.4, the metadata's former reference, as far as an oracle needs it.

It has wheels for Python 3.11 at most, wants protobuf below 4, and links to a libusb that pip can
carry: `pip install tflite-support==0.4.4 libusb-package importlib_resources`.
"""

from __future__ import annotations

import ctypes
import importlib
import warnings
from types import ModuleType
from typing import Any

import pytest

__all__ = ["import_tflite_support", "populate"]

_LIBRARY = "libusb-1.0.so.0"
_ROOT = "tensorflow_lite_support.metadata"


def import_tflite_support() -> tuple[ModuleType, ModuleType]:
    """Returns the modules `metadata` and its schema; skips the test where they are not installed.

    `import tflite_support` itself fails next to TensorFlow ("StatusCode is already defined").
    """
    pytest.importorskip(
        "tensorflow_lite_support", reason="tflite-support is not installed (Python 3.11 only)"
    )
    try:
        ctypes.CDLL(_LIBRARY, ctypes.RTLD_GLOBAL)
    except OSError:
        package = pytest.importorskip("libusb_package", reason="no libusb, which it links to")
        # Its name inside is libusb-1.0.so.0: what is linked to that finds it loaded.
        ctypes.CDLL(str(package.get_library_path()), ctypes.RTLD_GLOBAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its protobuf code is older than this Python
        return (
            importlib.import_module(f"{_ROOT}.python.metadata"),
            importlib.import_module(f"{_ROOT}.metadata_schema_py_generated"),
        )


def populate(content: bytes, metadata: Any, files: dict[str, bytes]) -> bytes:
    """Returns the model with metadata and files as the former reference writes them.

    Args:
        content: with its weights inside.
        metadata: a `ModelMetadataT`.
        files: names and contents.
    """
    import flatbuffers

    support, _ = import_tflite_support()
    builder = flatbuffers.Builder(0)
    builder.Finish(metadata.Pack(builder), b"M001")
    populator = support.MetadataPopulator.with_model_buffer(bytearray(content))
    populator.load_metadata_buffer(bytes(builder.Output()))
    populator.load_associated_file_buffers(files)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of files that no table names
        populator.populate()
    return bytes(populator.get_model_buffer())
