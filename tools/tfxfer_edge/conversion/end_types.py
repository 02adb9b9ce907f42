"""Which type the ends of a file have: what was asked for, and what a recipe can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from tfxfer.errors import UsageError
from tfxfer.system.arguments import check_word
from tfxfer_edge.conversion.recipes import Recipe

__all__ = [
    "END_TYPES",
    "EndType",
    "allows_ends",
    "check_ends_of",
    "check_type",
    "describe_ends",
    "keep_allowed",
]

EndType = Literal["uint8", "int8", "float32"]
END_TYPES: tuple[str, ...] = get_args(EndType)
"""What the input and the output of a `.tflite` file may be."""


def check_type(io: str | None, *, where: str) -> None:
    """Refuses another word than `END_TYPES`; None leaves the ends as a recipe makes them.

    Raises:
        UsageError: it is another.
    """
    if io is not None:
        check_word(io, END_TYPES, where=where, name="io")


def allows_ends(recipe: Recipe, io: str | None) -> bool:
    """Returns whether a recipe's file can have ends of a type.

    A network that computes in float32 has no range that integers at its ends could stand for, and
    one of 16-bit activations has none of 8 bits.

    Example:
        >>> from tfxfer_edge.conversion.recipes import get_recipe
        >>> allows_ends(get_recipe("int8"), "int8"), allows_ends(get_recipe("float16"), "int8")
        (True, False)
    """
    return io in (None, "float32") or recipe.activation_bits == 8


def check_ends_of(recipe: Recipe, io: str | None) -> None:
    """Refuses ends that a recipe cannot have.

    Raises:
        UsageError: names the recipe and what goes with it.
    """
    if not allows_ends(recipe, io):
        raise UsageError(
            f"recipe {recipe.name!r}: expected io float32, or none, since only 8-bit activations "
            f"have a range for integers at the ends. Received: io={io!r}. Use int8, or leave "
            "--io out."
        )


def keep_allowed(recipes: Sequence[Recipe], io: str | None, *, named: bool) -> tuple[Recipe, ...]:
    """Returns the recipes whose files can have ends of a type.

    Args:
        recipes: to try.
        io: the type; None keeps all.
        named: whether somebody asked for them by name, so that none may be passed over.

    Raises:
        UsageError: one that is named cannot, or none of them can.
    """
    kept = tuple(recipe for recipe in recipes if allows_ends(recipe, io))
    if named or not kept:
        for recipe in recipes:
            check_ends_of(recipe, io)
    return kept


def describe_ends(io: str | None) -> tuple[str, ...]:
    """Returns what a person must be told of ends of a type, a line each."""
    if io != "int8":
        return ()
    return (
        "io int8: MediaPipe takes uint8 and float32 alone, so these files are not compared with "
        "it, and the README runs LiteRT itself",
    )
