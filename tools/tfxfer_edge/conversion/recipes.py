"""Recipes: named ways to quantize, whichever engine does the work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from tfxfer.errors import UsageError
from tfxfer.system.arguments import check_number, check_word, describe_value
from tfxfer.system.spelling import did_you_mean

__all__ = ["FLOAT", "RECIPES", "Kind", "Recipe", "get_recipe", "is_onnx"]

Kind = Literal["float", "dynamic", "weights", "static", "file", "onnx"]

FLOAT = "float32"
"""The recipe that every other one is compared with."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "kind": (str,),
    "weight_bits": (int,),
    "activation_bits": (int, type(None)),
    "per_channel": (bool,),
    "selective": (bool,),
    "description": (str,),
    "rules": (str,),
    "calibrated": (bool,),
}


@dataclass(frozen=True)
class Recipe:
    """One named way to quantize.

    Args:
        name: what users type.
        kind: `float` stores weights alone in fewer bits of a float; `weights` stores them in
            integers and computes in float32; `dynamic` also computes in integers, with ranges found
            while running; `static` has its ranges from calibration; `file` does what a file of
            LiteRT Quantizer's rules says, see `read_recipe`; `onnx` is another format, with ranges
            from calibration where it has 8 bits.
        weight_bits: of convolutions and dense layers; of a file the fewest that it names.
        activation_bits: of what flows between layers; None is float32.
        per_channel: whether each output channel has a scale of its own.
        selective: whether the worst layers by error stay float.
        description: one line for people.
        rules: of a `file`, as JSON.
        calibrated: whether these need calibration.
    """

    name: str
    kind: Kind
    weight_bits: int
    activation_bits: int | None = None
    per_channel: bool = True
    selective: bool = False
    description: str = ""
    rules: str = ""
    calibrated: bool = False

    def __post_init__(self) -> None:
        where = f"recipe {self.name!r}"
        check_word(self.kind, get_args(Kind), where=where, name="kind")
        check_number(self.weight_bits, where=where, name="weight_bits", least=1)
        if self.activation_bits is not None:
            check_number(self.activation_bits, where=where, name="activation_bits", least=1)
        if (self.kind == "file") != bool(self.rules):
            raise UsageError(
                f"recipe {self.name!r}: expected rules with kind 'file', and with no other. "
                f"Received: kind={self.kind!r}. To read a file: tfxfer_edge.read_recipe"
            )
        if self.kind == "file":
            return
        bits = (self.weight_bits, self.activation_bits)
        allowed = {
            "float": ((32, None), (16, None)),
            "weights": ((8, None), (4, None)),
            "dynamic": ((8, None),),
            "static": ((8, 8), (8, 16)),
            "onnx": ((32, None), (8, 8)),
        }[self.kind]
        if bits not in allowed:
            raise UsageError(
                f"recipe {self.name!r}: expected (weight_bits, activation_bits) of a {self.kind} "
                f"recipe to be one of {allowed}. Received: {bits}."
            )
        if not self.per_channel and not self.is_integer:
            raise UsageError(
                f"recipe {self.name!r}: expected per_channel=False only where weights have scales, "
                f"in a dynamic or static recipe. Received: kind={self.kind!r}."
            )
        if self.selective and bits != (8, 8):
            raise UsageError(
                f"recipe {self.name!r}: expected selective only with 8-bit weights and "
                f"activations. Received: {bits}."
            )

    @property
    def needs_calibration(self) -> bool:
        """Whether images are needed to find the ranges of activations."""
        is_integer = self.kind in ("static", "onnx") and self.activation_bits is not None
        return is_integer or self.calibrated

    @property
    def is_integer(self) -> bool:
        """Whether convolutions are computed in integers."""
        return self.kind in ("dynamic", "static") or self.activation_bits is not None

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads `to_dict`'s data; refuses keys it does not know.

        Raises:
            UsageError: unknown or missing keys, values of another type, or bits that do not go
                together.
        """
        if not isinstance(data, Mapping):
            raise UsageError(f"recipe: expected an object of keys. Received: {data!r}.")
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(data) - set(known))
        if unknown:
            raise UsageError(
                f"recipe: expected keys among {', '.join(known)}. Received: {', '.join(unknown)}."
                f"{did_you_mean(unknown[0], known)}"
            )
        missing = sorted({"name", "kind", "weight_bits"} - set(data))
        if missing:
            raise UsageError(f"recipe: expected name, kind and weight_bits. Missing: {missing}.")
        for key, value in data.items():
            # A boolean is a number to Python, and never a number of bits.
            if type(value) not in _TYPES[key]:
                raise UsageError(
                    f"recipe: expected {key} to be {' or '.join(x.__name__ for x in _TYPES[key])}. "
                    f"Received: {key}={value!r}."
                )
        return cls(**data)


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(FLOAT, "float", 32, description="as trained"),
        Recipe("float16", "float", 16, description="weights stored in 16 bits, computed in 32"),
        Recipe("dynamic_w8", "dynamic", 8, description="8-bit weights, ranges found while running"),
        Recipe("w8", "weights", 8, description="8-bit weights, computed in float32"),
        Recipe(
            "w4",
            "weights",
            4,
            description="4-bit weights, 8 where 4 cannot be had, computed in float32",
        ),
        Recipe("int8", "static", 8, 8, description="full integer, per channel, uint8 in and out"),
        Recipe("int16x8", "static", 8, 16, description="8-bit weights, 16-bit activations"),
        Recipe(
            "int8_selective",
            "static",
            8,
            8,
            selective=True,
            description="int8, but the worst layers by error stay float",
        ),
        Recipe("onnx", "onnx", 32, description="float ONNX, through Keras's own export"),
        Recipe("onnx_int8", "onnx", 8, 8, description="8-bit ONNX, for onnxruntime"),
    )
}
"""Every recipe by name, in the order of a help text."""


def is_onnx(name: str) -> bool:
    """Returns whether a recipe of this name makes an ONNX file."""
    return name in RECIPES and RECIPES[name].kind == "onnx"


def get_recipe(name: str) -> Recipe:
    """Returns the recipe of that name.

    Raises:
        UsageError: there is none; the message has the closest names.

    Example:
        >>> get_recipe("int8").activation_bits
        8
    """
    if not isinstance(name, str) or name not in RECIPES:
        raise UsageError(
            f"no recipe named {describe_value(name)}.{did_you_mean(name, RECIPES)}\n"
            f"  Recipes: {', '.join(RECIPES)}"
        )
    return RECIPES[name]
