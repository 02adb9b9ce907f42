"""What is wrong around the packages: settings, GPUs, libraries, imports, disks, plugins."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from importlib.metadata import Distribution
from typing import cast

from packaging.version import Version

from tfxfer.doctor.environment import DEVICES, PROCESS, Environment, Package, Trial
from tfxfer.doctor.problem import Problem, Rule, set_variable, unset_variable
from tfxfer.doctor.trials import MODULES
from tfxfer.errors import ContractError
from tfxfer.registry.component import Component, normalise_name
from tfxfer.registry.contract import check_requirement
from tfxfer.system.keras_settings import find_misfits, list_settings

__all__ = ["RULES", "check_imports"]

_SCARCE_BYTES, _TIGHT_BYTES = 500_000_000, 2_000_000_000

# Shared libraries that wheels link to and slim images lack, and what brings them.
_SYSTEM_PACKAGES = {
    "libEGL.so": "libegl1",
    "libGL.so": "libgl1",
    "libGLESv2.so": "libgles2",
    "libglib-2.0.so": "libglib2.0-0",
    "libgthread-2.0.so": "libglib2.0-0",
    "libgomp.so": "libgomp1",
}
# Modules whose distribution has another name.
_DISTRIBUTIONS = {"PIL": "pillow", "cv2": "opencv-contrib-python", "pkg_resources": "setuptools<81"}


def check_metadata(environment: Environment) -> Iterator[Problem]:
    """Folders of metadata that nobody can read: leftovers of an installation that broke off."""
    for folder in environment.unreadable:
        remove = "rmdir /s /q" if environment.platform == "win32" else "rm -r"
        yield Problem(
            f"metadata in {folder!r}: expected a name and a version. Received: none.",
            f'{remove} "{folder}"',
            severity="note",
        )


def check_settings(environment: Environment) -> Iterator[Problem]:
    """Variables and `keras.json` that make Keras another one than tfxfer is written for."""
    if environment.variables.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true"):
        yield Problem(
            "TF_USE_LEGACY_KERAS: expected it unset, so that tf.keras is Keras 3. "
            f"Received: {environment.variables['TF_USE_LEGACY_KERAS']}.",
            unset_variable(environment, "TF_USE_LEGACY_KERAS"),
        )
    settings = list_settings(
        environment.variables, environment.keras_settings, path=environment.keras_config
    )
    has_jax = {"jax", "jaxlib"} <= set(environment.packages)
    for misfit in find_misfits(settings, has_jax=has_jax, platform=environment.platform):
        yield Problem(misfit.what, misfit.remedy, mends=misfit.mends)


def check_gpu(environment: Environment) -> Iterator[Problem]:
    """A GPU that the driver shows and the backend does not compute on."""
    devices = environment.devices
    if not environment.gpus or devices is None or any(d.kind == "gpu" for d in devices):
        return
    shown = ", ".join(environment.gpus)
    if environment.variables.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        yield Problem(
            f"CUDA_VISIBLE_DEVICES: expected it unset, to train on the GPU ({shown}). "
            f"Received: {environment.variables['CUDA_VISIBLE_DEVICES']!r}, which hides it.",
            unset_variable(environment, "CUDA_VISIBLE_DEVICES"),
            severity="note",
        )
        return
    what = f"GPU ({shown}): expected {environment.backend} to see it. Received: the CPU only"
    tensorflow = environment.tensorflow
    if environment.platform == "win32":
        yield Problem(
            f"{what}; on Windows TensorFlow computes on GPUs inside WSL2 only.",
            "wsl --install",
            severity="note",
        )
    elif environment.backend == "jax":
        jax = environment.version("jax")
        yield Problem(f"{what}.", f'pip install "jax[cuda12]{f"=={jax}" if jax else ""}"')
    elif tensorflow is not None and tensorflow.name != "tensorflow":
        yield Problem(
            f"{what}; {tensorflow.name} has no code for it.",
            f"pip uninstall -y {tensorflow.name} && "
            f'pip install "tensorflow[and-cuda]=={tensorflow.version}"',
        )
    elif tensorflow is not None:
        wrong = _list_wrong_libraries(environment, tensorflow)
        if wrong:
            yield Problem(
                f"{what}. Expected beside tensorflow {tensorflow.version}: {', '.join(wrong)}.",
                f'pip install "tensorflow[and-cuda]=={tensorflow.version}"',
            )
        else:
            yield Problem(
                f"{what}, though every CUDA library is there.",
                'TF_CPP_MIN_LOG_LEVEL=0 python -c "import tensorflow as tf; '
                "tf.config.list_physical_devices('GPU')\"  # its log names what it cannot load",
            )


def _list_wrong_libraries(environment: Environment, tensorflow: Package) -> list[str]:
    """Returns what `tensorflow[and-cuda]` would bring and is not there in that version."""
    demands = list(environment.parse_requirements(tensorflow, extra="and-cuda"))
    if not demands:  # a TensorFlow whose metadata names none
        has_some = any(name.startswith("nvidia-cudnn") for name in environment.packages)
        return [] if has_some else ["the CUDA libraries"]
    wrong = []
    for demand in demands:
        found = environment.version(demand.dependency)
        if found is None or not demand.versions.contains(found, prereleases=True):
            wrong.append(f"{demand.dependency}{demand.versions}")
    return wrong


def check_disks(environment: Environment) -> Iterator[Problem]:
    """Disks without room for weights, checkpoints and cached activations."""
    ways_out = {
        "the current folder": "cd FOLDER",
        "temporary files": set_variable(environment, "TMPDIR", "FOLDER"),
        "Keras's downloads": set_variable(environment, "KERAS_HOME", "FOLDER"),
    }
    for volume in environment.volumes:
        if volume.free_bytes < _TIGHT_BYTES:
            lines = [line for use, line in ways_out.items() if use in volume.use]
            yield Problem(
                f"disk of {volume.path!r} ({volume.use}): expected 2 GB of room. "
                f"Received: {volume.free_bytes / 1e9:.2f} GB.",
                " && ".join(lines) + ", with a FOLDER on another disk",
                severity="problem" if volume.free_bytes < _SCARCE_BYTES else "note",
            )


def check_leftovers(environment: Environment) -> Iterator[Problem]:
    """What processes that were killed have left behind."""
    dead = [each for each in environment.leftovers if each.life == "dead"]
    if dead:
        counted = "1" if len(dead) == 1 else f"{len(dead)}, such as"
        size = sum(each.size_bytes for each in dead)
        yield Problem(
            "temporary files of processes that are gone: expected none. Received: "
            f"{counted} {dead[0].path!r}, {size / 1e6:,.1f} MB.",
            "tfxfer doctor --clean",
            severity="note",
        )
    remove = "rmdir /s /q" if environment.platform == "win32" else "rm -r"
    for each in environment.leftovers:
        if each.life == "elsewhere":
            yield Problem(
                f"temporary {each.path!r}, {each.size_bytes / 1e6:,.1f} MB: expected a process of "
                f"this machine. Received: process {each.pid} of another machine or container, of "
                "which nothing is known here.",
                f'{remove} "{each.path}"  # if that process is gone',
                severity="note",
            )


def check_plugins(environment: Environment) -> Iterator[Problem]:
    """Plugins that claim one name, have lost their module, or were made for another tfxfer."""
    rivals: dict[tuple[str, str], list[Component]] = {}
    told: set[str] = set()
    for component in environment.components:
        if component.status == "conflict":
            rivals.setdefault((component.kind, component.name), []).append(component)
        elif component.status == "missing" and component.distribution not in told:
            told.add(component.distribution)
            yield Problem(
                f"{component.kind} {component.name!r}: expected its module. "
                f"Received: {component.error}. [{component.origin}]",
                f"pip install --force-reinstall {component.distribution or component.name}",
            )
    for (kind, name), claims in rivals.items():
        origins = " and ".join(c.origin for c in claims)
        if len(claims) == 1:  # against a command of our own
            origins = f"{origins}, {claims[0].error}"
        yield Problem(
            f"{kind} {name!r}: expected one distribution to bring it. Received: {origins}.",
            " or ".join(f"pip uninstall {c.distribution or c.name}" for c in claims),
        )
    yield from _check_contracts(environment)


def _check_contracts(environment: Environment) -> Iterator[Problem]:
    checked: set[str] = set()
    for component in environment.components:
        name = normalise_name(component.distribution)
        package = environment.packages.get(name)
        if package is None or name in checked:
            continue
        checked.add(name)
        try:
            # Of a distribution it asks for `requires` only, which ours has, too.
            check_requirement(component, cast("Distribution", package))
        except ContractError as error:
            yield Problem(
                f"{error.what} [{component.origin}]",
                error.remedy,
                mends=frozenset({name, "tfxfer"}),
            )


RULES: tuple[Rule, ...] = (
    check_metadata,
    check_settings,
    check_gpu,
    check_disks,
    check_leftovers,
    check_plugins,
)
"""Each looks at one part of the machine; the order is that of the report."""


def check_imports(environment: Environment, mended: frozenset[str]) -> Iterator[Problem]:
    """Modules that do not import, although what they need seems to be there.

    Args:
        environment: what is installed.
        mended: packages that an earlier remedy settles, which nothing is said of.
    """
    names = {module: name for name, module in MODULES.items()}
    for trial in environment.trials:
        if trial.error is None or trial.missing.partition(".")[0] in mended:
            continue
        if trial.module == DEVICES:
            yield Problem(
                f"{DEVICES}: expected {environment.backend} to tell. Received: {trial.error}.",
                set_variable(environment, "CUDA_VISIBLE_DEVICES", "-1"),
            )
        elif trial.module == PROCESS:
            yield Problem(
                f"{PROCESS}: expected it to start. Received: {trial.error}.",
                set_variable(environment, "TMPDIR", "FOLDER")
                + ", with a FOLDER on a disk that has room",
            )
        elif names[trial.module] not in mended:
            yield Problem(
                f"import {trial.module}: expected it to succeed. Received: {trial.error}.",
                _remedy_import(environment, names[trial.module], trial),
            )


def _remedy_import(environment: Environment, name: str, trial: Trial) -> str:
    package = environment.tensorflow if name == "tensorflow" else environment.packages.get(name)
    if trial.hung:
        return "tfxfer doctor --timeout 5m"
    if trial.signal == getattr(signal, "SIGILL", None):
        return (
            "use a processor with AVX: this one lacks an instruction that the wheel was built for"
        )
    library = re.search(r"(lib[\w+.-]+?\.so)[\w.]*: cannot open", trial.error or "")
    if library and library[1] in _SYSTEM_PACKAGES:
        return f"apt-get install -y {_SYSTEM_PACKAGES[library[1]]}"
    top = trial.missing.partition(".")[0]
    if top and top != trial.module.partition(".")[0]:
        return f'pip install "{_DISTRIBUTIONS.get(top, top)}"'
    pin = f"{package.name}=={Version(package.version)}" if package else name
    return f'pip install --force-reinstall --no-deps "{pin}"'
