"""Everything that we take of LiteRT Quantizer, whose modules promise nothing; imported here alone.

Made for 0.11. What it raises comes through; `require_quantizer` says in one line what has moved.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from packaging.requirements import Requirement

from tfxfer_edge.conversion.internals import Names, find_moved
from tfxfer_edge.conversion.quantized import ConversionError
from tfxfer_edge.conversion.recipes import Recipe

__all__ = [
    "RELIED_ON",
    "WANTED",
    "Ranges",
    "Words",
    "find_ranges",
    "find_useless",
    "list_rules",
    "list_words",
    "load_rules",
    "quantize_file",
    "require_quantizer",
]

Ranges = dict[str, Any]
"""Smallest and largest value of every tensor, by name, as LiteRT Quantizer keeps them."""

WANTED = "litert-quantizer>=0.11,<0.12"
"""The versions that have what is named below, as pip reads it."""

_ROOT = "litert_quantizer"
_MANAGER = f"{_ROOT}.recipe_manager:RecipeManager"
_OPERATIONS = (
    "ALL_SUPPORTED",
    "INPUT",
    "OUTPUT",
    "FULLY_CONNECTED",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "CONV_2D_TRANSPOSE",
)

RELIED_ON: Names = {
    f"{_ROOT}.calibrator:Calibrator": ("num_threads", "mode", "qsv_update_func"),
    f"{_ROOT}.calibrator:Calibrator.calibrate": (),
    f"{_ROOT}.calibrator:Calibrator.get_model_qsvs": (),
    f"{_ROOT}.calibrator:CalibrationMode.CALIBRATION_PROFILER_BASED": (),
    f"{_ROOT}.utils.qsv_utils:min_max_update": (),
    f"{_ROOT}.quantizer:Quantizer": (),
    f"{_ROOT}.quantizer:Quantizer.quantize": ("enable_progress_bar", "enable_progress_report"),
    f"{_ROOT}.quantizer:QuantizationResult": ("quantized_model",),
    _MANAGER: (),
    f"{_MANAGER}.add_static_config": (
        "regex",
        "operation_name",
        "activation_num_bits",
        "weight_num_bits",
        "weight_granularity",
    ),
    f"{_MANAGER}.add_quantization_config": ("algorithm_key",),
    f"{_MANAGER}.add_dynamic_config": ("regex", "operation_name", "num_bits", "granularity"),
    f"{_MANAGER}.add_weight_only_config": (
        "regex",
        "operation_name",
        "num_bits",
        "granularity",
        "algorithm_key",
    ),
    f"{_MANAGER}.get_quantization_recipe": (),
    f"{_MANAGER}.load_quantization_recipe": ("quantization_recipe",),
    f"{_MANAGER}.need_calibration": (),
    f"{_ROOT}.algorithm_manager:check_op_quantization_config": (),
    f"{_ROOT}.qtyping:OpQuantizationConfig.from_dict": (),
    f"{_ROOT}.qtyping:TensorDataType": (),
    f"{_ROOT}.qtyping:ComputePrecision": (),
    f"{_ROOT}.recipe_manager:AlgorithmName.NO_QUANTIZE": (),
    f"{_ROOT}.recipe_manager:AlgorithmName.FLOAT_CASTING": (),
    f"{_ROOT}.qtyping:QuantGranularity.CHANNELWISE": (),
    f"{_ROOT}.qtyping:QuantGranularity.TENSORWISE": (),
    **{f"{_ROOT}.qtyping:TFLOperationName.{name}": () for name in _OPERATIONS},
}
"""What this module uses of LiteRT Quantizer."""


def require_quantizer() -> None:
    """Refuses a LiteRT Quantizer that is absent, or not the one that this module was made for.

    Raises:
        ConversionError: names the version or what moved in it, and the versions that serve.
    """
    wanted = Requirement(WANTED)
    try:
        number = version(wanted.name)
        found = f"{wanted.name} {number}"
    except Exception:  # noqa: BLE001 - none, or one whose metadata cannot be read
        number, found = "", f"no {wanted.name}"
    # Where all names are there, they may mean something else: nobody has tried it.
    if number and not wanted.specifier.contains(number, prereleases=True):
        raise ConversionError(
            f"engine quantizer: expected {WANTED}. Received: {found}. pip install '{WANTED}'"
        )
    moved = find_moved(RELIED_ON)
    if moved:
        raise ConversionError(
            f"engine quantizer: expected {', '.join(moved[:3])}. Received: {found}, without. "
            f"pip install '{WANTED}'"
        )


def find_ranges(content: bytes, samples: Mapping[str, Iterable[dict[str, np.ndarray]]]) -> Ranges:
    """Returns the ranges of all tensors.

    Args:
        content: the float32 file.
        samples: inputs by name, for each signature.

    Raises:
        ValueError, RuntimeError, KeyError: the file does not run.
    """
    from litert_quantizer.calibrator import CalibrationMode, Calibrator
    from litert_quantizer.recipe_manager import RecipeManager
    from litert_quantizer.utils.qsv_utils import min_max_update

    tool = Calibrator(
        content,
        num_threads=os.cpu_count() or 1,
        # Min and max inside the runtime: several times faster than reading every tensor.
        mode=CalibrationMode.CALIBRATION_PROFILER_BASED,
        # Its default, a moving average, clips what only some images reach: on flowers the error of
        # MobileNetV2's features was a fifth larger.
        qsv_update_func=min_max_update,
    )
    tool.calibrate(samples, RecipeManager())
    ranges: Ranges = tool.get_model_qsvs()
    return ranges


def quantize_file(content: bytes, rules: Any, ranges: Ranges | None) -> bytes | None:
    """Returns the quantized file, which may have its weights outside; None where it made none.

    Args:
        content: the float32 file.
        rules: from `list_rules`.
        ranges: from `find_ranges`; None where nothing is static.

    Raises:
        ValueError, RuntimeError, KeyError, TypeError, IndexError: whatever its rules raise.
    """
    from litert_quantizer.quantizer import Quantizer

    tool = Quantizer(content, rules)
    result = tool.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return None if result.quantized_model is None else bytes(result.quantized_model)


def list_rules(recipe: Recipe, keep_float: Mapping[str, bool] | None = None) -> Any:
    """Returns a recipe of ours in LiteRT Quantizer's words.

    Args:
        recipe: of fewer bits than float32; not `onnx`.
        keep_float: for a static recipe: names of tensors whose operators compute in float, and
            whether the operator holds weights, which then stay in 8 bits.
    """
    if recipe.kind == "dynamic":
        return _quantize_weights(recipe)
    if recipe.kind == "weights":
        return _round_weights(recipe)
    if recipe.kind == "file":
        return json.loads(recipe.rules)
    return _cast_weights() if recipe.kind == "float" else _quantize_all(recipe, keep_float or {})


def _cast_weights() -> Any:
    from litert_quantizer.qtyping import QuantGranularity, TFLOperationName
    from litert_quantizer.recipe_manager import AlgorithmName, RecipeManager

    manager = RecipeManager()
    for operation in (
        TFLOperationName.FULLY_CONNECTED,
        TFLOperationName.CONV_2D,
        TFLOperationName.DEPTHWISE_CONV_2D,
        TFLOperationName.CONV_2D_TRANSPOSE,
    ):
        manager.add_weight_only_config(
            regex=".*",
            operation_name=operation,
            num_bits=16,
            granularity=QuantGranularity.TENSORWISE,
            algorithm_key=AlgorithmName.FLOAT_CASTING,
        )
    return manager.get_quantization_recipe()


def _round_weights(recipe: Recipe) -> Any:
    from litert_quantizer.qtyping import TFLOperationName
    from litert_quantizer.recipe_manager import RecipeManager

    manager = RecipeManager()
    # What the last rule cannot do, such as 4 bits of a depthwise convolution, the one before does.
    # Rules of one pattern replace each other: these two are one pattern in other letters.
    for pattern, bits in ((".*", 8), ("^.*$", recipe.weight_bits)):
        manager.add_weight_only_config(
            regex=pattern,
            operation_name=TFLOperationName.ALL_SUPPORTED,
            num_bits=bits,
            granularity=_granularity(recipe),
        )
    return manager.get_quantization_recipe()


def _quantize_weights(recipe: Recipe) -> Any:
    from litert_quantizer.qtyping import TFLOperationName
    from litert_quantizer.recipe_manager import RecipeManager

    manager = RecipeManager()
    manager.add_dynamic_config(
        regex=".*",
        operation_name=TFLOperationName.ALL_SUPPORTED,
        num_bits=recipe.weight_bits,
        granularity=_granularity(recipe),
    )
    return manager.get_quantization_recipe()


def _granularity(recipe: Recipe) -> Any:
    from litert_quantizer.qtyping import QuantGranularity

    return QuantGranularity.CHANNELWISE if recipe.per_channel else QuantGranularity.TENSORWISE


def _quantize_all(recipe: Recipe, keep_float: Mapping[str, bool]) -> Any:
    from litert_quantizer.qtyping import TFLOperationName
    from litert_quantizer.recipe_manager import AlgorithmName, RecipeManager

    manager = RecipeManager()
    manager.add_static_config(
        regex=".*",
        operation_name=TFLOperationName.ALL_SUPPORTED,
        activation_num_bits=recipe.activation_bits,
        weight_num_bits=recipe.weight_bits,
        weight_granularity=_granularity(recipe),
    )
    never = AlgorithmName.NO_QUANTIZE
    if recipe.activation_bits == 16:
        # MediaPipe takes uint8 and float32 at the ends, not int16.
        for end in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
            manager.add_quantization_config("^.*$", end, algorithm_key=never)
    for name, has_weights in keep_float.items():
        # An operator's scope is the names of what it makes, each ended by a semicolon.
        scope = f"^{re.escape(name)};?$"
        if has_weights:
            manager.add_dynamic_config(
                regex=scope,
                operation_name=TFLOperationName.ALL_SUPPORTED,
                num_bits=recipe.weight_bits,
                granularity=_granularity(recipe),
            )
        else:
            manager.add_quantization_config(
                scope, TFLOperationName.ALL_SUPPORTED, algorithm_key=never
            )
    if keep_float:
        # The last rule wins: the ends stay integers, also where the operator beside them is float.
        for end in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
            manager.add_static_config(
                regex="^.*$",
                operation_name=end,
                activation_num_bits=recipe.activation_bits,
                weight_num_bits=recipe.weight_bits,
            )
    return manager.get_quantization_recipe()


@dataclass(frozen=True)
class Words:
    """What the values of a rule may be."""

    operations: tuple[str, ...]
    algorithms: tuple[str, ...]
    granularities: tuple[str, ...]
    types: tuple[str, ...]
    precisions: tuple[str, ...]


def list_words() -> Words:
    """Returns what the installed LiteRT Quantizer takes in a file of rules."""
    from litert_quantizer import qtyping
    from litert_quantizer.recipe_manager import AlgorithmName

    kinds: Sequence[Any] = (
        qtyping.TFLOperationName,
        AlgorithmName,
        qtyping.QuantGranularity,
        qtyping.TensorDataType,
        qtyping.ComputePrecision,
    )
    return Words(*(tuple(str(item.value) for item in kind) for kind in kinds))


def load_rules(rules: Sequence[Mapping[str, Any]]) -> bool:
    """Returns whether rules from a file need calibration.

    Raises:
        ValueError, KeyError, TypeError: whatever is wrong with them, in LiteRT Quantizer's words.
    """
    from litert_quantizer.recipe_manager import RecipeManager

    manager = RecipeManager()
    manager.load_quantization_recipe([dict(rule) for rule in rules])
    return bool(manager.need_calibration())


def find_useless(rule: Mapping[str, Any]) -> str | None:
    """Returns why a rule does nothing to any operator; None where it does to one.

    LiteRT Quantizer passes over a rule for all operators that none of them has a kernel for, and
    leaves everything in float32.
    """
    from litert_quantizer import algorithm_manager, qtyping

    config = qtyping.OpQuantizationConfig.from_dict(dict(rule["op_config"]))
    if config.skip_checks:
        return None
    every = qtyping.TFLOperationName.ALL_SUPPORTED
    names = [item for item in qtyping.TFLOperationName if item != every]
    if rule["operation"] != every:
        names = [qtyping.TFLOperationName(rule["operation"])]
    first = None
    for name in names:
        try:
            algorithm_manager.check_op_quantization_config(rule["algorithm_key"], name, config)
        except ValueError as error:
            first = first or " ".join(str(error).split())
        else:
            return None
    return first
