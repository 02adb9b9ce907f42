"""A recipe in LiteRT Quantizer's own format: a JSON list of rules, read before any work.

LiteRT Quantizer itself takes a key that it does not know for a parameter of its algorithm, and
passes over a rule that no operator can follow: both would be found after minutes, or never.
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfxfer.errors import DataError, TfxferError, UsageError
from tfxfer.system.arguments import check_path, check_word
from tfxfer.system.bounded import MOST_RULES_BYTES, LargeFileError, read_text
from tfxfer.system.records import read_record
from tfxfer.system.spelling import did_you_mean
from tfxfer_edge.conversion.engines.quantizer_adapter import (
    Words,
    find_useless,
    list_words,
    load_rules,
    require_quantizer,
)
from tfxfer_edge.conversion.recipes import RECIPES, Recipe

__all__ = ["read_recipe"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TAKEN = ("auto", *RECIPES)
_NEVER = "no_quantize"


@dataclass(frozen=True)
class _Tensor:
    num_bits: int
    symmetric: bool = True
    granularity: str = "TENSORWISE"
    dtype: str = "INT"
    algorithm_params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    block_size: int = 0


@dataclass(frozen=True)
class _Config:
    weight_tensor_config: _Tensor
    activation_tensor_config: _Tensor | None = None
    compute_precision: str = "FLOAT"
    explicit_dequantize: bool = False
    skip_checks: bool = False
    min_weight_elements: int = 0


@dataclass(frozen=True)
class _Rule:
    regex: str
    operation: str
    algorithm_key: str
    op_config: _Config | None = None


def read_recipe(path: str | Path) -> Recipe:
    """Returns the recipe of a JSON file, as `litert_quantizer.Quantizer` loads it.

    Args:
        path: of the file, a list of rules: `regex`, `operation`, `algorithm_key` and `op_config`.
            Its stem becomes the recipe's name.

    Raises:
        DataError: there is no such file, or it is no JSON.
        UsageError: keys or values that LiteRT Quantizer does not have, a rule that no operator can
            follow, no rule at all, or a name that is taken.
        ConversionError: LiteRT Quantizer is absent, or of another version.

    Example:
        >>> read_recipe("recipes/mixed.json").name  # doctest: +SKIP
        'mixed'
    """
    file = check_path(path, where="read_recipe")
    where = f"recipe file {str(file)!r}"
    name = file.stem
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{where}: expected a file name of letters, digits, '.', '_' and '-', which becomes "
            f"the recipe's name. Received: {file.name!r}. Rename it."
        )
    if name in _TAKEN:
        raise UsageError(
            f"{where}: expected a file name that is no built-in recipe's, such as my_{name}.json. "
            f"Received: {file.name!r}."
        )
    text = _read(file, where)
    try:
        rules = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: expected JSON. Received: {error}.") from error
    if not isinstance(rules, list) or not rules:
        raise UsageError(
            f"{where}: expected a list of rules, each with regex, operation, algorithm_key and "
            f"op_config. Received: {'none' if rules == [] else type(rules).__name__}."
        )
    require_quantizer()
    words = list_words()
    found = [_read_rule(rule, f"{where}: rule {at}", words) for at, rule in enumerate(rules, 1)]
    try:
        calibrated = load_rules(rules)
    # Its own checks raise what they like.
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = " ".join(str(error).split())
        raise UsageError(f"{where}: LiteRT Quantizer refuses it: {message}") from error
    return Recipe(
        name,
        "file",
        _fewest(found, "weight_tensor_config") or 32,
        _fewest(found, "activation_tensor_config"),
        description=f"rules of {file.name}",
        rules=json.dumps(rules, sort_keys=True),
        calibrated=calibrated,
    )


def _read(file: Path, where: str) -> str:
    try:
        return read_text(file, MOST_RULES_BYTES)
    except (OSError, LargeFileError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{where}: expected a JSON file. Received: {reason}.") from error


def _read_rule(data: Any, where: str, words: Words) -> _Rule:
    _refuse_unknown(_Rule, data, where)
    rule = read_record(_Rule, data, where=where, error=UsageError)
    check_word(rule.operation, words.operations, where=where, name="operation")
    check_word(rule.algorithm_key, words.algorithms, where=where, name="algorithm_key")
    try:
        re.compile(rule.regex)
    except re.error as error:
        raise UsageError(
            f"{where}: expected a regular expression as regex. Received: {rule.regex!r}, {error}."
        ) from error
    if rule.algorithm_key == _NEVER:
        return rule
    config = rule.op_config
    if config is None:
        raise UsageError(f"{where}: expected an op_config, which says how. Received: none.")
    check_word(config.compute_precision, words.precisions, where=where, name="compute_precision")
    for key in ("weight_tensor_config", "activation_tensor_config"):
        tensor = getattr(config, key)
        if tensor is not None:
            _check_tensor(tensor, f"{where}, {key}", words)
    try:
        useless = find_useless(data)
    except TfxferError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        useless = " ".join(str(error).split())
    if useless is not None:
        raise UsageError(
            f"{where}: expected bits and precision that an operator has a kernel for. Received: "
            f"{rule.operation}, {_describe(config)}: {useless}"
        )
    return rule


def _check_tensor(tensor: _Tensor, where: str, words: Words) -> None:
    check_word(tensor.granularity, words.granularities, where=where, name="granularity")
    check_word(tensor.dtype, words.types, where=where, name="dtype")
    if not 2 <= tensor.num_bits <= 32:
        raise UsageError(f"{where}: expected 2 to 32 num_bits. Received: {tensor.num_bits}.")


def _refuse_unknown(kind: type, data: Any, where: str) -> None:
    """Refuses a key that means nothing, however deep it lies."""
    if not isinstance(data, Mapping):
        return  # told by whoever reads it
    fields = {item.name: item.type for item in dataclasses.fields(kind)}
    unknown = next((key for key in data if key not in fields), None)
    if unknown is not None:
        raise UsageError(
            f"{where}: expected the keys {', '.join(fields)}. Received: {unknown!r}."
            f"{did_you_mean(str(unknown), list(fields))}"
        )
    hints = typing.get_type_hints(kind)
    for key, value in data.items():
        options = typing.get_args(hints[key]) or (hints[key],)
        inner = next((x for x in options if dataclasses.is_dataclass(x)), None)
        if isinstance(inner, type):
            _refuse_unknown(inner, value, f"{where}, {key}")


def _fewest(rules: list[_Rule], key: str) -> int | None:
    tensors = [
        getattr(rule.op_config, key)
        for rule in rules
        if rule.op_config is not None and rule.algorithm_key != _NEVER
    ]
    return min((item.num_bits for item in tensors if item is not None), default=None)


def _describe(config: _Config) -> str:
    activations = config.activation_tensor_config
    bits = "float activations" if activations is None else f"{activations.num_bits}-bit activations"
    return f"{config.weight_tensor_config.num_bits}-bit weights, {bits}"
