"""What a look at this machine found: plain data, so that rules are pure and tests can fake it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from tfxfer.registry.component import Component, normalise_name
from tfxfer.system.owner import Life

__all__ = [
    "DEVICES",
    "PROCESS",
    "TENSORFLOWS",
    "WATCHED",
    "Cache",
    "Demand",
    "Device",
    "Environment",
    "Leftover",
    "Package",
    "Trial",
    "Volume",
]

WATCHED: Mapping[str, str] = {
    "tfxfer": "this program",
    "tensorflow": "training, conversion",
    "keras": "training",
    "numpy": "arrays",
    "ai-edge-litert": "runs TFLite files",
    "scikit-learn": "probes, the digits of tfxfer demo",
    "pillow": "reads images",
    "psutil": "memory limits",
    "packaging": "versions",
    "click": "the command line",
    "rich": "the command line",
    "jinja2": "the report",
    "matplotlib": "the report",
    "tfxfer-edge": "tfxfer export, tfxfer benchmark",
    "litert-quantizer": "quantization",
    "mediapipe": "tries exports as a phone would",
    "tf-keras": "Keras 2, for legacy models",
    "tensorflow-hub": "hub modules as backbones",
    "keras-hub": "KerasHub presets as backbones",
    "tensorflow-text": "what keras-hub needs",
    "jax": "the other backend",
    "onnx": "ONNX models",
    "onnxruntime": "ONNX models",
    "tf2onnx": "ONNX models",
    "tflite-micro": "what a file takes on a microcontroller",
}
"""Packages that the listing shows even when they are absent, and what each is for."""

_SUPPORTING = (
    "ai-edge-quantizer",
    "backports-strenum",
    "flatbuffers",
    "h5py",
    "jaxlib",
    "jinja2",
    "kagglehub",
    "litert-lm-builder",
    "mediapipe-model-maker",
    "ml-dtypes",
    "protobuf",
    "setuptools",
    "tensorboard",
    "tflite-model-maker",
)

TENSORFLOWS = (
    "tensorflow",
    "tensorflow-cpu",
    "tensorflow-intel",
    "tensorflow-macos",
    "tensorflow-rocm",
    "tf-nightly",
    "tf-nightly-cpu",
)
"""Distributions that all install the module `tensorflow`, over one another."""

DEVICES = "list of devices"
"""The step after the imports: this is where a driver hangs."""

PROCESS = "process for imports"
"""What stands for all imports where not even a process for them could start."""

_SYSTEMS = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}


@dataclass(frozen=True)
class Package:
    """One installed distribution.

    Args:
        name: as PEP 503 compares it.
        version: as its metadata says; may be empty.
        requires: lines of `Requires-Dist`.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class Demand:
    """What one installed package wants of another.

    Args:
        package: who wants it.
        dependency: normalised name of what is wanted.
        versions: which versions will do.
    """

    package: Package
    dependency: str
    versions: SpecifierSet


@dataclass(frozen=True)
class Device:
    """What the backend computes on: `kind` is `cpu` or `gpu`."""

    kind: str
    name: str


@dataclass(frozen=True)
class Trial:
    """How the import of a module went, in a process of its own.

    Args:
        module: what was imported; `DEVICES` for asking the backend what it computes on.
        error: one line; None when it went well.
        missing: the module that was not found, where that was the error.
        signal: which ended the process; 0 for none.
        hung: whether it had to be ended.
    """

    module: str
    error: str | None = None
    missing: str = ""
    signal: int = 0
    hung: bool = False


@dataclass(frozen=True)
class Volume:
    """A disk that something is written to: `use` says what."""

    use: str
    path: str
    free_bytes: int


@dataclass(frozen=True)
class Cache:
    """A folder of downloads; `size_bytes` is a lower bound unless `is_complete`."""

    name: str
    path: str
    size_bytes: int
    is_complete: bool = True


@dataclass(frozen=True)
class Leftover:
    """A temporary file or folder whose process is gone, or of which nothing is known.

    Args:
        path: where it lies.
        size_bytes: of all in it; a lower bound unless `is_complete`.
        is_complete: whether everything was counted.
        pid: of the process.
        life: `dead`, or `elsewhere` where it is of another machine or container.
    """

    path: str
    size_bytes: int
    is_complete: bool
    pid: int
    life: Life


@dataclass(frozen=True)
class Environment:
    """Everything the rules look at.

    Args:
        python: version of the interpreter.
        platform: as `sys.platform`.
        packages: what is installed, by normalised name.
        unreadable: folders of metadata that cannot be read.
        variables: environment variables that Keras and TensorFlow obey, where set.
        keras_config: path of `keras.json`.
        keras_settings: what it says.
        gpus: names of the NVIDIA GPUs that the driver shows.
        devices: what the backend computes on; None where it was not asked.
        trials: modules whose import was tried.
        volumes: where there must be room.
        caches: what downloads take.
        components: what plugins bring.
        leftovers: what processes that were killed have left behind.
    """

    python: str = "3.11.9"
    platform: str = "linux"
    packages: Mapping[str, Package] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    keras_config: str = ""
    keras_settings: Mapping[str, str] = field(default_factory=dict)
    gpus: tuple[str, ...] = ()
    devices: tuple[Device, ...] | None = None
    trials: tuple[Trial, ...] = ()
    volumes: tuple[Volume, ...] = ()
    caches: tuple[Cache, ...] = ()
    components: tuple[Component, ...] = ()
    leftovers: tuple[Leftover, ...] = ()

    @property
    def python_minor(self) -> tuple[int, int]:
        """Major and minor version of Python."""
        version = Version(self.python)
        return version.major, version.minor

    @property
    def backend(self) -> str:
        """What Keras will compute with: the variable wins over `keras.json`."""
        named = self.variables.get("KERAS_BACKEND") or self.keras_settings.get("backend")
        return named or "tensorflow"

    @property
    def tensorflow(self) -> Package | None:
        """What brings TensorFlow, under whichever name."""
        return next((self.packages[x] for x in TENSORFLOWS if x in self.packages), None)

    @property
    def watched(self) -> tuple[str, ...]:
        """Names of the packages that the rules speak of, whether installed or not."""
        ours = {normalise_name(c.distribution) for c in self.components if c.distribution}
        ours |= {name for name in self.packages if name.startswith("tfxfer-")}
        return tuple(dict.fromkeys([*WATCHED, *_SUPPORTING, *TENSORFLOWS, *sorted(ours)]))

    @functools.cached_property
    def demands(self) -> tuple[Demand, ...]:
        """What the watched packages that are installed want, markers applied; no extras."""
        found = (self.packages.get(name) for name in self.watched)
        return tuple(d for package in found if package for d in self.parse_requirements(package))

    def version(self, name: str) -> Version | None:
        """Returns the version of a package; None if it is absent or says no version.

        Any distribution of TensorFlow stands for `tensorflow`.
        """
        package = self.tensorflow if name == "tensorflow" else self.packages.get(name)
        try:
            return Version(package.version) if package else None
        except InvalidVersion:
            return None

    def parse_requirements(self, package: Package, extra: str = "") -> Iterator[Demand]:
        """Yields what a package wants always, or with an extra only. Skips lines it cannot read."""
        minor = ".".join(map(str, self.python_minor))
        marks = {
            "python_version": minor,
            "python_full_version": self.python,
            "sys_platform": self.platform,
            "platform_system": _SYSTEMS.get(self.platform, ""),
        }
        for line in package.requires:
            try:
                wanted = Requirement(line)
                marker = wanted.marker
                applies = marker is None or marker.evaluate({**marks, "extra": ""})
                if extra and marker is not None:
                    # What is wanted without the extra, too, is no part of it.
                    applies = not applies and marker.evaluate({**marks, "extra": extra})
                elif extra:
                    applies = False
            except (ValueError, KeyError):  # no requirement, or a marker that nobody knows
                continue
            if applies:
                yield Demand(package, normalise_name(wanted.name), wanted.specifier)
