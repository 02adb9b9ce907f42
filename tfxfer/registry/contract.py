"""What a component must be, checked once at the door, so that nothing behind it has to.

Every failure names the component, its distribution and its version.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from importlib.metadata import Distribution
from typing import Any, NoReturn

from tfxfer.backbone import BACKBONE_END, CONTRACT_VERSION, Backbone, Stage, Weights
from tfxfer.errors import ContractError, TfxferError, UsageError
from tfxfer.head import Monitor
from tfxfer.preprocessing import Preprocessing
from tfxfer.registry.component import Component, breach, format_pairs, normalise_name
from tfxfer.version import __version__

__all__ = [
    "check_backbone",
    "check_class",
    "check_head",
    "check_options",
    "check_requirement",
    "make_instance",
]


def check_requirement(component: Component, dist: Distribution | None) -> None:
    """Raises ContractError if the distribution says that it needs another tfxfer than this."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import Version

    ours = Version(__version__)
    for line in (dist.requires if dist is not None else None) or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if normalise_name(requirement.name) != "tfxfer":
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if requirement.specifier.contains(ours, prereleases=True):
            continue
        too_old = any(
            specifier.operator in (">=", ">", "~=", "==")
            and Version(specifier.version.removesuffix(".*")) > ours
            for specifier in requirement.specifier
        )
        _mismatch(component, wants=str(requirement.specifier), tfxfer_is_old=too_old)


def check_class(component: Component, found: Any, base: type) -> None:
    """Raises ContractError unless `found` is a class of this contract version, nothing missing."""
    if not isinstance(found, type) or not issubclass(found, base):
        breach(component, f"a subclass of tfxfer.{base.__name__}", value=found)
    version = getattr(found, "contract_version", None)
    match = re.fullmatch(r"(\d+)\.(\d+)(\.\d+)*", version) if isinstance(version, str) else None
    if match is None:
        breach(component, "a version such as '0.1'", contract_version=version)
    major, minor = CONTRACT_VERSION.split(".")[:2]
    theirs, ours = (int(match[1]), int(match[2])), (int(major), int(minor))
    if theirs != ours:
        _mismatch(component, wants=f"=={theirs[0]}.{theirs[1]}.*", tfxfer_is_old=theirs > ours)
    if inspect.isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        breach(component, f"it to implement {missing}", value=found.__name__)


def _mismatch(component: Component, *, wants: str, tfxfer_is_old: bool) -> NoReturn:
    side, line = (
        ("tfxfer", f"pip install 'tfxfer{wants}'")
        if tfxfer_is_old
        else ("the plugin", f"pip install --upgrade {component.distribution or component.name}")
    )
    what = (
        f"{component.kind} {component.name!r} was made for another tfxfer: "
        f"expected contract {CONTRACT_VERSION} (tfxfer {__version__}). Received: tfxfer{wants}."
    )
    raise ContractError(
        f"{what} Upgrade {side}: {line} [{component.origin}]", what=what, remedy=line
    )


def check_options(component: Component, found: type, options: Mapping[str, Any]) -> None:
    """Raises UsageError if the constructor has no such options."""
    try:
        signature = inspect.signature(found)
    except ValueError:
        return
    try:
        signature.bind(**options)
    except TypeError as error:
        if not options:
            breach(component, "a constructor whose options all have a default", value=found)
        accepted = ", ".join(signature.parameters) or "no options"
        raise UsageError(
            f"head {component.name!r}: expected options among: {accepted}. "
            f"Received: {format_pairs(options)}. [{component.origin}]"
        ) from error


def make_instance(component: Component, make: Callable[[], Any]) -> Any:
    """Returns what `make` returns; whatever it raises becomes a ContractError."""
    try:
        return make()
    except TfxferError:
        raise
    except Exception as error:
        raise ContractError(
            f"{component.kind} {component.name!r} cannot be made: expected an instance. "
            f"Received: {type(error).__name__}: {error}. [{component.origin}]"
        ) from error


def _get(component: Component, instance: Any, name: str) -> Any:
    try:
        return getattr(instance, name)
    except TfxferError:
        raise
    except Exception as error:
        raise ContractError(
            f"{component.kind} {component.name!r}: expected an attribute {name!r}. "
            f"Received: {type(error).__name__}: {error}. [{component.origin}]"
        ) from error


def _check_name(component: Component, instance: Any, asked: str) -> None:
    name = _get(component, instance, "name")
    if name not in (component.name, asked):
        breach(component, f"the entry point's name {component.name!r}", name=name)


def check_backbone(component: Component, instance: Any, *, asked: str) -> None:
    """Raises ContractError unless every attribute is what `Backbone` says.

    Args:
        component: what the instance was made from.
        instance: the backbone.
        asked: what the user typed; the instance may have it as its name.
    """
    if not isinstance(instance, Backbone):
        breach(component, "an instance of tfxfer.Backbone", value=instance)
    _check_name(component, instance, asked)
    values = {
        name: _get(component, instance, name)
        for name in (
            "family",
            "default_image_size",
            "min_image_size",
            "preprocessing",
            "weights",
            "stages",
            "output",
            "quantization",
            "random_weights",
            "licence",
        )
    }
    stages, weights = values["stages"], values["weights"]
    sizes = values["min_image_size"], values["default_image_size"]
    expected = {
        "family": ("a word", _is_word(values["family"])),
        "default_image_size": (
            "a number of pixels, at least min_image_size",
            all(type(size) is int for size in sizes) and 0 < sizes[0] <= sizes[1],
        ),
        "preprocessing": (
            "a tfxfer.Preprocessing",
            isinstance(values["preprocessing"], Preprocessing),
        ),
        "weights": (
            "a mapping of names to tfxfer.Weights",
            isinstance(weights, Mapping)
            and all(_is_word(k) and isinstance(v, Weights) for k, v in weights.items()),
        ),
        "stages": (
            f"a tuple of tfxfer.Stage, each name once, none {BACKBONE_END!r}",
            isinstance(stages, tuple)
            and all(isinstance(stage, Stage) for stage in stages)
            and len({stage.name for stage in stages} | {BACKBONE_END}) == len(stages) + 1,
        ),
        "output": (
            "'map', 'tokens' or 'vector'",
            values["output"] in ("map", "tokens", "vector"),
        ),
        "quantization": (
            "a tuple of words",
            isinstance(values["quantization"], tuple)
            and all(map(_is_word, values["quantization"])),
        ),
        "random_weights": ("True or False", isinstance(values["random_weights"], bool)),
        "licence": ("words", _is_word(values["licence"])),
    }
    for name, (words, holds) in expected.items():
        if not holds:
            breach(component, f"{words} as {name}", **{name: values[name]})


def check_head(component: Component, instance: Any) -> None:
    """Raises ContractError unless every attribute is what `Head` says."""
    _check_name(component, instance, component.name)
    task, kind, monitor = (
        _get(component, instance, name) for name in ("task", "metadata_kind", "monitor")
    )
    if task not in ("classification", "multilabel", "regression"):
        breach(component, "'classification', 'multilabel' or 'regression' as task", task=task)
    if kind not in ("classifier", "multilabel_classifier", "regressor", "features"):
        breach(
            component,
            "'classifier', 'multilabel_classifier', 'regressor' or 'features' as metadata_kind",
            metadata_kind=kind,
        )
    if not isinstance(monitor, Monitor) or monitor.mode not in ("max", "min"):
        breach(component, "a tfxfer.Monitor as monitor", monitor=monitor)


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
