"""Options and fixtures for every test below: the core's, the tools' and the plugins'."""

from __future__ import annotations

import gc
import io
import os
import signal
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

# A shell that starts a job in the background has it ignore Ctrl-C, which programs inherit: the
# tests that send one would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")
    parser.addoption("--network", action="store_true", help="run the tests marked network, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for marker in ("slow", "network"):
        if not config.getoption(f"--{marker}"):
            skip = pytest.mark.skip(reason=f"marked {marker}: run with --{marker}")
            for item in items:
                if marker in item.keywords:
                    item.add_marker(skip)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leaves what is imported by now, half a million objects, out of each later collection."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _memory_ends_with_the_module() -> Iterator[None]:
    """Frees models, which refer to themselves, before the next module makes others."""
    before = psutil.Process().memory_info().rss
    yield
    if psutil.Process().memory_info().rss > before + 50 * 2**20:
        gc.collect()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images and weights that lies beside a developer's checkout."""
    folder = Path(os.environ.get("TFXFER_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}: set TFXFER_SHARED to real images and weights")
    return folder


@pytest.fixture(scope="session")
def forge() -> Callable[..., bytes]:
    """Returns a function that makes an archive whose only member says that it is small."""

    def make(
        name: str, *, unpacked: int = 40 << 20, said: int = 10, method: int = zipfile.ZIP_DEFLATED
    ) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as archive:
            archive.writestr(name, bytes(unpacked))
        data = bytearray(stream.getvalue())
        struct.pack_into("<L", data, 22, said)
        struct.pack_into("<L", data, data.index(b"PK\1\2") + 24, said)
        return bytes(data)

    return make


@pytest.fixture(scope="session")
def peak_of() -> Callable[[Callable[[], object]], int]:
    """Returns a function that says how many bytes Python holds at most while another one acts."""

    def measure(act: Callable[[], object]) -> int:
        tracemalloc.start()
        try:
            act()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measure


@pytest.fixture(scope="session", autouse=True)
def random_heads() -> Iterator[str]:
    """Starts heads from random weights: of zeros, every comparison of outputs would hold.

    Returns the initializer that is used outside of tests.
    """
    from tfxfer_heads import dense

    usual = dense.KERNEL_INITIALIZER
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense, "KERNEL_INITIALIZER", "glorot_uniform")
        yield usual
