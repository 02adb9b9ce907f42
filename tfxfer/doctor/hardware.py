"""What lies outside Python's packages: GPUs, libusb, disks and caches."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tfxfer.doctor.environment import Cache, Volume
from tfxfer.system.folders import cache_folder
from tfxfer.system.keras_settings import locate_keras_home

__all__ = ["find_caches", "find_gpus", "find_temporary", "find_volumes", "measure_folder"]

_LIBUSB = "libusb-1.0.so.0"
_NVIDIA = Path("/proc/driver/nvidia/gpus")
_WALK_FILES, _WALK_S = 50_000, 1.0


def find_gpus(*, driver: Path = _NVIDIA, timeout_s: float = 10.0) -> tuple[str, ...]:
    """Returns the names of the NVIDIA GPUs that the driver shows; TensorFlow need not see them."""
    program = shutil.which("nvidia-smi")
    if program is not None:
        try:
            done = subprocess.run(  # noqa: S603 - what PATH has under that name
                [program, "--query-gpu=name", "--format=csv,noheader"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
            if done.returncode == 0:
                lines = [line.strip() for line in done.stdout.splitlines()]
                return tuple(x for x in lines if x and not x.startswith("No devices"))
        except (OSError, subprocess.TimeoutExpired):
            pass  # a driver that hangs: its own folder still tells
    return tuple(_read_driver(driver))


def _read_driver(driver: Path) -> Iterator[str]:
    for path in sorted(driver.glob("*/information")):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
        yield from models or ["NVIDIA GPU"]


def find_volumes(variables: Mapping[str, str]) -> tuple[Volume, ...]:
    """Returns how much room there is where we, Keras and TensorFlow write; each disk once."""
    places = {
        "the current folder": Path(),
        "temporary files": find_temporary(),
        "Keras's downloads": locate_keras_home(variables),
    }
    found: dict[int, Volume] = {}
    for use, folder in places.items():
        try:
            # What is not there yet will be made on the disk of its nearest parent.
            folder = folder.absolute()
            folder = next(path for path in (folder, *folder.parents) if path.exists())
            device, free_bytes = folder.stat().st_dev, shutil.disk_usage(folder).free
        except (OSError, StopIteration):
            continue
        other = found.get(device)
        both = f"{other.use}, {use}" if other else use
        found[device] = Volume(both, other.path if other else str(folder), free_bytes)
    return tuple(found.values())


def find_caches(variables: Mapping[str, str]) -> tuple[Cache, ...]:
    """Returns the folders of downloads and of activations that exist, with their sizes."""
    home, temporary = _find_home(), find_temporary()
    places = [
        ("Keras", locate_keras_home(variables)),
        ("TensorFlow Hub", Path(variables.get("TFHUB_CACHE_DIR") or temporary / "tfhub_modules")),
        ("Kaggle Hub", Path(variables.get("KAGGLEHUB_CACHE") or home / ".cache" / "kagglehub")),
        ("tfxfer", cache_folder()),
        # A training that was killed outright leaves its activations behind.
        *(("activations", folder) for folder in sorted(temporary.glob("tfxfer-cache-*"))),
    ]
    return tuple(
        Cache(name, str(folder), *measure_folder(folder))
        for name, folder in places
        if folder.is_dir()
    )


def _find_home() -> Path:
    return Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home raises where there is none


def find_temporary() -> Path:
    """Returns the system's place for temporary files."""
    try:
        return Path(tempfile.gettempdir())
    except OSError:  # it tries to write, and the disk may be full
        return Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - as tempfile itself does


def measure_folder(folder: Path) -> tuple[int, bool]:
    """Returns the bytes of a folder's files, and whether that is all.

    It gives up where there are too many to wait for.
    """
    size_bytes = files = 0
    end_s = time.monotonic() + _WALK_S
    for parent, _, names in os.walk(folder):
        for file in names:
            try:
                size_bytes += os.lstat(os.path.join(parent, file)).st_size  # noqa: PTH118 - many
            except OSError:
                continue
        files += len(names)
        if files > _WALK_FILES or time.monotonic() > end_s:
            return size_bytes, False
    return size_bytes, True
