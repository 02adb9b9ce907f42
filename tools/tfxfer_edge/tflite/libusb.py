"""Makes `tflite-support` importable without apt: it links to libusb, which pip can carry."""

from __future__ import annotations

import ctypes
import importlib
import sys
import warnings
from importlib.util import find_spec
from types import ModuleType

from tfxfer.errors import PluginImportError

__all__ = ["LIBRARY", "REMEDY", "import_tflite_support", "load_libusb"]

LIBRARY = "libusb-1.0.so.0"

REMEDY = "pip install 'tfxfer-edge[metadata]'"
"""Brings tflite-support 0.4.4 and libusb-package."""

_LAST_PYTHON = (3, 11)  # tflite-support 0.4.4 has no wheel for a later one
_ROOT = "tensorflow_lite_support.metadata"


def load_libusb() -> None:
    """Loads libusb for every library that is imported after this, from the system or from pip.

    Raises:
        PluginImportError: it is in neither.
    """
    try:
        ctypes.CDLL(LIBRARY, ctypes.RTLD_GLOBAL)
        return
    except OSError:
        pass  # not in the system
    try:
        path = importlib.import_module("libusb_package").get_library_path()
    except ImportError as error:
        raise PluginImportError(_describe(LIBRARY, f"no module {error.name!r}")) from error
    try:
        if path is None:
            raise OSError("libusb-package without a library")
        # Its name inside is libusb-1.0.so.0: what is linked to that finds it loaded.
        ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise PluginImportError(_describe(LIBRARY, str(error))) from error


def import_tflite_support() -> tuple[ModuleType, ModuleType, ModuleType]:
    """Returns tflite-support's modules `metadata`, its schema, and what tells the parser's version.

    `import tflite_support` itself fails next to TensorFlow ("StatusCode is already defined").

    Raises:
        PluginImportError: not installed, or libusb is missing; one line with the remedy.
    """
    if find_spec("tensorflow_lite_support") is None:
        if sys.version_info[:2] > _LAST_PYTHON:
            raise PluginImportError(
                "metadata: expected Python 3.11 or older, which is what tflite-support 0.4.4 is "
                f"made for. Received: Python {sys.version_info[0]}.{sys.version_info[1]}. "
                f"Write the metadata in an environment with Python 3.11: {REMEDY}"
            )
        raise PluginImportError(_describe("tflite-support 0.4.4", "it is not installed"))
    load_libusb()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its protobuf code is older than this Python
            return (
                importlib.import_module(f"{_ROOT}.python.metadata"),
                importlib.import_module(f"{_ROOT}.metadata_schema_py_generated"),
                importlib.import_module(f"{_ROOT}.cc.python._pywrap_metadata_version"),
            )
    except ImportError as error:
        raise PluginImportError(_describe("tflite-support 0.4.4", str(error))) from error


def _describe(expected: str, received: str) -> str:
    first = received.strip().splitlines()[0]
    return f"metadata: expected {expected}. Received: {first}. {REMEDY}"
