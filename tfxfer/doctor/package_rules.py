"""What does not fit together among the installed packages. Reads metadata only."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tfxfer.doctor.environment import TENSORFLOWS, Demand, Environment
from tfxfer.doctor.problem import Problem, Rule
from tfxfer.doctor.versions import (
    FIRST_PYTHON,
    LAST_PYTHON,
    PINNED_TO_TENSORFLOW,
    find_supported,
    find_versions,
    format_specifiers,
    install_line,
    match_tensorflow,
)
from tfxfer.registry.component import normalise_name

__all__ = ["RULES", "check_requirements"]

_SOUND_PROTOBUF = "4.25.8"
_MODEL_MAKERS = ("mediapipe-model-maker", "tflite-model-maker")


def check_python(environment: Environment) -> Iterator[Problem]:
    """Python that tfxfer, or any TensorFlow it works with, is not made for."""
    if not _has_fit_python(environment):
        is_old = environment.python_minor < FIRST_PYTHON
        expected = "3.11 to 3.13" if is_old else "3.11 to 3.13, which TensorFlow has wheels for"
        yield Problem(
            f"Python: expected {expected}. Received: Python {environment.python}.",
            _new_environment(environment, "tfxfer"),
            mends=frozenset({"tensorflow"}),
        )


def _has_fit_python(environment: Environment) -> bool:
    found = environment.python_minor
    return found >= FIRST_PYTHON and (found <= LAST_PYTHON or environment.tensorflow is not None)


def check_supported(environment: Environment) -> Iterator[Problem]:
    """TensorFlow or Keras that is absent, or not one that tfxfer works with."""
    if not _has_fit_python(environment):
        return  # no line would bring them
    for name, versions in find_supported(environment).items():
        found = environment.version(name)
        if found is not None and SpecifierSet(versions).contains(found, prereleases=True):
            continue
        followers = {
            follower.replace("-", "_"): versions
            for follower in PINNED_TO_TENSORFLOW
            if name == "tensorflow"
            and (theirs := environment.version(follower)) is not None
            and not SpecifierSet(versions).contains(theirs, prereleases=True)
        }
        yield Problem(
            f"{name}: expected {versions}. Received: {found or 'none'}.",
            install_line(environment, name, **followers),
            mends=frozenset({name, *(each.replace("_", "-") for each in followers)}),
        )


def check_duplicates(environment: Environment) -> Iterator[Problem]:
    """Several distributions that install one module over one another."""
    found = [name for name in TENSORFLOWS if name in environment.packages]
    if environment.platform == "win32" and found[:1] == ["tensorflow"]:
        found = [name for name in found if name != "tensorflow-intel"]  # a part of it there
    if len(found) > 1:
        listed = ", ".join(f"{name} {environment.packages[name].version}" for name in found)
        # What is uninstalled takes the other's files along: both must go.
        yield Problem(
            f"tensorflow: expected one distribution of it. Received: {listed}.",
            f"pip uninstall -y {' '.join(found)} && {install_line(environment, 'tensorflow')}",
            mends=frozenset(found),
        )


def check_model_makers(environment: Environment) -> Iterator[Problem]:
    """The former trainers, which are held to a TensorFlow before Keras 3."""
    for name in _MODEL_MAKERS:
        if name in environment.packages:
            yield Problem(
                f"{name} {environment.packages[name].version}: expected not to be here, it is "
                "held to a TensorFlow before 2.16. Received: both in one environment.",
                f"pip uninstall -y {name}",
                mends=frozenset({name}),
            )


def check_protobuf(environment: Environment) -> Iterator[Problem]:
    """A protobuf that a message from a stranger can bring down, and what holds it there."""
    found = environment.version("protobuf")
    if found is None or found >= Version(_SOUND_PROTOBUF):
        return
    # Nothing of ours needs it any more, and it wants protobuf < 4.
    package = environment.packages.get("tflite-support")
    remedy = f"pip uninstall -y {package.name} && " if package else ""
    protobuf = find_versions(environment, "protobuf", also=f">={_SOUND_PROTOBUF}")
    if protobuf is None:
        return  # there is none for this TensorFlow; what it wants is told for itself
    yield Problem(
        f"protobuf: expected >={_SOUND_PROTOBUF}, the first without CVE-2025-4565. "
        f"Received: {found}.",
        remedy + install_line(environment, protobuf=protobuf),
        severity="note",
        mends=frozenset({"protobuf"}),
    )


def check_pinned_to_tensorflow(environment: Environment) -> Iterator[Problem]:
    """Packages that must have TensorFlow's minor version."""
    tensorflow = environment.version("tensorflow")
    supported = SpecifierSet(find_supported(environment)["tensorflow"])
    if tensorflow is None or not supported.contains(tensorflow, prereleases=True):
        return
    for name in PINNED_TO_TENSORFLOW:
        found = environment.version(name)
        if found is not None and found.release[:2] != tensorflow.release[:2]:
            yield Problem(
                f"{name}: expected {match_tensorflow(tensorflow)}, like tensorflow {tensorflow}. "
                f"Received: {found}.",
                install_line(environment, name),
                mends=frozenset({name}),
            )


def check_hub(environment: Environment) -> Iterator[Problem]:
    """tensorflow-hub, which imports what setuptools no longer has."""
    hub, setuptools = environment.version("tensorflow-hub"), environment.version("setuptools")
    if hub is None or hub > Version("0.16.1"):
        return
    if setuptools is None or setuptools >= Version("81.dev0"):
        yield Problem(
            f"tensorflow-hub {hub} imports pkg_resources: expected setuptools < 81. "
            f"Received: {setuptools or 'none'}.",
            'pip install "setuptools<81"',
            mends=frozenset({"setuptools", "tensorflow-hub"}),
        )


def check_quantizer(environment: Environment) -> Iterator[Problem]:
    """The quantizer under its former name."""
    packages = environment.packages
    if "tfxfer-edge" not in packages or "litert-quantizer" in packages:
        return
    if "ai-edge-quantizer" in packages:
        yield Problem(
            "quantizer: expected litert-quantizer. Received: ai-edge-quantizer "
            f"{packages['ai-edge-quantizer'].version}, its former name.",
            "pip uninstall -y ai-edge-quantizer && "
            + install_line(environment, "litert-quantizer"),
            mends=frozenset({"litert-quantizer"}),
        )


def check_mediapipe(environment: Environment) -> Iterator[Problem]:
    """A MediaPipe older than what exports are tried with."""
    found = environment.version("mediapipe")
    if found is not None and found < Version("1.2"):
        yield Problem(
            f"mediapipe: expected >=1.2, which exports are tried with. Received: {found}.",
            'pip install "mediapipe>=1.2"',
            severity="note",
        )


def check_strenum(environment: Environment) -> Iterator[Problem]:
    """A backport whose later versions say that they are not for this Python."""
    found = environment.version("backports-strenum")
    if found is not None and found > Version("1.2.8") and environment.python_minor >= (3, 11):
        yield Problem(
            f"backports.strenum: expected 1.2.8. Received: {found}, whose metadata forbids Python "
            "3.11 and later: it works, but pip will not install this environment again.",
            'pip install "backports.strenum==1.2.8"',
            severity="note",
        )


def check_distributions(environment: Environment) -> Iterator[Problem]:
    """What most people will want and is not there."""
    kinds = {component.kind for component in environment.components}
    for is_here, what, remedy in (
        ("backbone" in kinds, "backbones: expected a plugin that brings some", "efficientnet"),
        ("head" in kinds, "heads: expected a plugin that brings some", "heads"),
        ("tfxfer-edge" in environment.packages, "export: expected tfxfer-edge", "edge"),
    ):
        if not is_here:
            line = f"pip install tfxfer-{remedy}"
            yield Problem(f"{what}. Received: none.", line, severity="note")


RULES: tuple[Rule, ...] = (
    check_python,
    check_supported,
    check_duplicates,
    check_model_makers,
    check_protobuf,
    check_pinned_to_tensorflow,
    check_hub,
    check_quantizer,
    check_mediapipe,
    check_strenum,
    check_distributions,
)
"""Each looks at one bad combination; the order is that of the report."""


def check_requirements(environment: Environment, mended: frozenset[str]) -> Iterator[Problem]:
    """What the watched packages themselves declare, against what is there.

    Args:
        environment: what is installed.
        mended: packages that an earlier remedy settles, which nothing is said of.
    """
    plugins = {normalise_name(c.distribution) for c in environment.components}
    unmet: dict[str, list[Demand]] = {}
    for demand in environment.demands:
        name, asker = demand.dependency, demand.package.name
        # What a plugin needs of tfxfer has a rule of its own.
        is_told = name in mended or asker in mended or (name == "tfxfer" and asker in plugins)
        if not is_told and not _is_met(environment, demand):
            unmet.setdefault(name, []).append(demand)
    for name, demands in unmet.items():
        askers = [f"{d.package.name} {d.package.version}" for d in demands]
        wishes = {format_specifiers(d.versions) or "any version" for d in demands}
        if find_versions(environment, name) is None:
            # No version suits all: later ones of those who want it may want another.
            remedy = f"pip install --upgrade {' '.join(d.package.name for d in demands)}"
        else:
            remedy = install_line(environment, name)
        yield Problem(
            f"{name}: expected {' and '.join(sorted(wishes))}, for {' and '.join(askers)}. "
            f"Received: {environment.version(name) or 'none'}.",
            remedy,
            mends=frozenset({name}),
        )


def _is_met(environment: Environment, demand: Demand) -> bool:
    name = demand.dependency
    if name.startswith("opencv-"):  # its variants bring one module
        return any(each.startswith("opencv-") for each in environment.packages)
    found = environment.version(name)
    if found is None:
        return name in environment.packages  # of an odd version nothing can be said
    return demand.versions.contains(found, prereleases=True)


def _new_environment(environment: Environment, package: str) -> str:
    if environment.platform == "win32":
        return f"py -3.13 -m venv tfxfer-env && tfxfer-env\\Scripts\\pip install {package}"
    return f"python3.13 -m venv tfxfer-env && tfxfer-env/bin/pip install {package}"
