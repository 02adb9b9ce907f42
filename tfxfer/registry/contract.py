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
from tfxfer.demo import Demo
from tfxfer.errors import ContractError, TfxferError, UsageError
from tfxfer.fine_tuning import FineTuning
from tfxfer.head import Monitor
from tfxfer.modality import Modality
from tfxfer.registry.component import (
    Component,
    format_pairs,
    normalise_name,
    raise_contract_error,
)
from tfxfer.system.spelling import did_you_mean
from tfxfer.version import __version__

__all__ = [
    "check_backbone",
    "check_class",
    "check_demo",
    "check_head",
    "check_modality",
    "check_options",
    "check_requirement",
    "make_instance",
]

_SUFFIX = re.compile(r"(\.[^\s./A-Z]+)+")


def check_requirement(component: Component, dist: Distribution | None) -> None:
    """Raises ContractError if the distribution says that it needs another tfxfer than this.

    It also does where the distribution's metadata cannot be read.
    """
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import Version

    ours = Version(__version__)
    try:
        lines = (dist.requires if dist is not None else None) or ()
    except Exception as error:
        raise ContractError(
            f"{component.kind} {component.name!r}: expected metadata of its distribution that can "
            f"be read. Received: {type(error).__name__}: {' '.join(str(error).split())}. Install "
            f"it anew: pip install --force-reinstall {component.distribution or component.name} "
            f"[{component.origin}]"
        ) from error
    for line in lines:
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
        raise_contract_error(component, f"a subclass of tfxfer.{base.__name__}", value=found)
    version = getattr(found, "contract_version", None)
    match = re.fullmatch(r"(\d+)\.(\d+)(\.\d+)*", version) if isinstance(version, str) else None
    if match is None:
        raise_contract_error(component, "a version such as '0.1'", contract_version=version)
    major, minor = CONTRACT_VERSION.split(".")[:2]
    theirs, ours = (int(match[1]), int(match[2])), (int(major), int(minor))
    if theirs != ours:
        _mismatch(component, wants=f"=={theirs[0]}.{theirs[1]}.*", tfxfer_is_old=theirs > ours)
    if inspect.isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise_contract_error(component, f"it to implement {missing}", value=found.__name__)


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
            raise_contract_error(
                component, "a constructor whose options all have a default", value=found
            )
        accepted = ", ".join(signature.parameters) or "no options"
        unknown = [name for name in options if name not in signature.parameters]
        hint = did_you_mean(unknown[0], signature.parameters) if unknown else ""
        raise UsageError(
            f"{component.kind} {component.name!r}: expected options among: {accepted}. "
            f"Received: {format_pairs(options)}.{hint} [{component.origin}]"
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


def _check_name(component: Component, instance: Any, requested_name: str) -> None:
    name = _get(component, instance, "name")
    if name not in (component.name, requested_name):
        raise_contract_error(component, f"the entry point's name {component.name!r}", name=name)


def check_backbone(component: Component, instance: Any, *, requested_name: str) -> None:
    """Raises ContractError unless every attribute is what `Backbone` says.

    Args:
        component: what the instance was made from.
        instance: the backbone.
        requested_name: what the user typed; the instance may have it as its name.
    """
    if not isinstance(instance, Backbone):
        raise_contract_error(component, "an instance of tfxfer.Backbone", value=instance)
    _check_name(component, instance, requested_name)
    values = {
        name: _get(component, instance, name)
        for name in (
            "family",
            "modality",
            "default_image_size",
            "min_image_size",
            "default_size",
            "min_size",
            "max_size",
            "preprocessing",
            "weights",
            "stages",
            "output",
            "quantization",
            "fine_tuning",
            "random_weights",
            "licence",
        )
    }
    stages, weights = values["stages"], values["weights"]
    expected = {
        "family": ("a word", _is_word(values["family"])),
        "modality": ("a word", _is_word(values["modality"])),
        # These stand first: a class of images sets them, and the next pair follows from them.
        "default_image_size": (
            "a number of pixels, at least min_image_size",
            _is_range(values["min_image_size"], values["default_image_size"]),
        ),
        "default_size": (
            "a number in the modality's unit, at least min_size",
            _is_range(values["min_size"], values["default_size"]),
        ),
        "max_size": (
            "None, or a number in the modality's unit, at least default_size,",
            values["max_size"] is None or _is_range(values["default_size"], values["max_size"]),
        ),
        # Whether it is the modality's own contract is the modality's to say: `check_contract`.
        "preprocessing": (
            "a contract with to_dict, such as a tfxfer.Preprocessing,",
            callable(getattr(values["preprocessing"], "to_dict", None)),
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
        "fine_tuning": (
            "a tfxfer.FineTuning",
            isinstance(values["fine_tuning"], FineTuning),
        ),
        "random_weights": ("True or False", isinstance(values["random_weights"], bool)),
        "licence": ("words", _is_word(values["licence"])),
    }
    for name, (words, holds) in expected.items():
        if not holds:
            raise_contract_error(component, f"{words} as {name}", **{name: values[name]})


def check_modality(component: Component, instance: Any) -> None:
    """Raises ContractError unless every attribute is what `Modality` says."""
    if not isinstance(instance, Modality):
        raise_contract_error(component, "an instance of tfxfer.Modality", value=instance)
    _check_name(component, instance, component.name)
    names = (
        *("noun", "plural", "size_unit", "suffixes"),
        *("column", "levels", "view_options", "part_noun", "has_looks"),
    )
    values = {name: _get(component, instance, name) for name in names}
    suffixes, levels, options = (values[name] for name in ("suffixes", "levels", "view_options"))
    expected = {
        # The documents of `predict` have these keys beside the noun.
        "noun": (
            "a word other than label, place, score and scores",
            _is_word(values["noun"])
            and values["noun"] not in ("label", "place", "score", "scores"),
        ),
        "plural": ("a word", _is_word(values["plural"])),
        "size_unit": ("text", isinstance(values["size_unit"], str)),
        "has_looks": ("True or False", isinstance(values["has_looks"], bool)),
        "part_noun": ("text", isinstance(values["part_noun"], str)),
        "suffixes": (
            "a frozenset of endings in lower case, each with its dot,",
            isinstance(suffixes, frozenset)
            and all(isinstance(item, str) and _SUFFIX.fullmatch(item) for item in suffixes),
        ),
        "column": (
            "the name of a CSV's column, in lower case and other than label, split and group,",
            _is_word(values["column"])
            and values["column"] == values["column"].strip().lower()
            and values["column"] not in ("label", "split", "group"),
        ),
        "levels": (
            "a tuple of different words, the first 'none',",
            isinstance(levels, tuple)
            and all(map(_is_word, levels))
            and levels[:1] == ("none",)
            and len(set(levels)) == len(levels),
        ),
        "view_options": (
            "a mapping of names to defaults",
            isinstance(options, Mapping)
            and all(isinstance(key, str) and key.isidentifier() for key in options),
        ),
    }
    for name, (words, holds) in expected.items():
        if not holds:
            raise_contract_error(component, f"{words} as {name}", **{name: values[name]})
    if values["column"] == "path" and not suffixes:
        raise_contract_error(
            component, "endings of its files, since its samples are files", suffixes=suffixes
        )


def check_head(component: Component, instance: Any) -> None:
    """Raises ContractError unless every attribute is what `Head` says."""
    _check_name(component, instance, component.name)
    kind, monitor, figures = (
        _get(component, instance, name) for name in ("metadata_kind", "monitor", "figures")
    )
    if not _is_word(kind):
        raise_contract_error(component, "a word as metadata_kind", metadata_kind=kind)
    # Looked at and not imported: the class itself needs numpy, which a listing must not pay for.
    if not isinstance(figures, type) or not isinstance(
        getattr(figures, "catalogue", None), Mapping
    ):
        raise_contract_error(
            component, "a subclass of tfxfer.evaluation.Figures as figures", figures=figures
        )
    for name in ("complete_strata", "can_balance"):
        value = _get(component, instance, name)
        if not isinstance(value, bool):
            raise_contract_error(component, f"True or False as {name}", **{name: value})
    if not isinstance(monitor, Monitor) or monitor.mode not in ("max", "min"):
        raise_contract_error(component, "a tfxfer.Monitor as monitor", monitor=monitor)


def check_demo(component: Component, instance: Any) -> None:
    """Raises ContractError unless every attribute is what `Demo` says."""
    if not isinstance(instance, Demo):
        raise_contract_error(component, "an instance of tfxfer.Demo", value=instance)
    _check_name(component, instance, component.name)
    request = _get(component, instance, "request")
    if not isinstance(request, Mapping) or not all(map(_is_word, request)):
        raise_contract_error(component, "a mapping of names to values as request", request=request)


def _is_range(low: Any, high: Any) -> bool:
    return type(low) is int and type(high) is int and 0 < low <= high


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
