"""The recipes of an export: built-in ones by name, and others as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfxfer.errors import UsageError
from tfxfer.system.arguments import check_texts
from tfxfer_edge.conversion.end_types import check_type, keep_allowed
from tfxfer_edge.conversion.recipes import RECIPES, Recipe, get_recipe, is_onnx
from tfxfer_edge.door import IMAGE
from tfxfer_edge.proof.gate import ladder

__all__ = ["check_micro", "list_recipes", "split_recipes"]


def split_recipes(recipes: Sequence[str | Recipe]) -> tuple[tuple[str, ...], dict[str, Recipe]]:
    """Returns the names of recipes, and those that are not built in by theirs.

    Args:
        recipes: names, and recipes such as `read_recipe` returns.

    Raises:
        UsageError: something else, an unknown name, or one name for two recipes.
    """
    is_list = isinstance(recipes, Sequence) and not isinstance(recipes, str | bytes)
    items = list(recipes) if is_list else recipes
    names = [item.name if isinstance(item, Recipe) else item for item in items] if is_list else None
    found = check_texts(
        recipes if names is None else names,
        where="export",
        name="recipes",
        expected="a list of names, or of recipes",
    )
    own: dict[str, Recipe] = {}
    for item in items:
        if not isinstance(item, Recipe) or RECIPES.get(item.name) == item:
            continue
        if item.name in ("auto", *RECIPES) or item.name in own:
            raise UsageError(
                f"recipes: expected a name of its own for each recipe. Received: {item.name!r}, "
                "which is another one's, too. Rename it, or its file."
            )
        own[item.name] = item
    ladder(found, automatic=(), own=own)
    return found, own


def list_recipes(
    names: Sequence[str],
    own: Mapping[str, Recipe],
    *,
    automatic: Sequence[str],
    allow_float: bool,
    io: str | None,
) -> tuple[str, ...]:
    """Returns the names of the recipes to try, in order, whose files can have the ends asked for.

    Args:
        names: from `split_recipes`.
        own: the same.
        automatic: the ladder of the modality.
        allow_float: lets `auto` end with float16.
        io: type of the ends; None leaves them as a recipe makes them.

    Raises:
        UsageError: a recipe that is named, or every one, cannot have such ends.
    """
    check_type(io, where="export")
    if allow_float and io not in (None, "float32"):
        raise UsageError(
            "export: expected io float32, or none, with allow_float, since float16 computes in "
            f"float32. Received: io={io!r}."
        )
    tried = ladder(names, automatic=automatic, allow_float=allow_float, own=own)
    found = [own.get(name) or get_recipe(name) for name in tried]
    kept = keep_allowed(found, io, named=tuple(names) != ("auto",))
    return tuple(recipe.name for recipe in kept)


def check_micro(names: Sequence[str], *, modality: str, dynamic_batch: bool) -> None:
    """Refuses what no array for a microcontroller is made of.

    Args:
        names: of recipes.
        modality: what the model reads.
        dynamic_batch: whether the number of samples is to be free.

    Raises:
        UsageError: says which.
    """
    received = None
    onnx = [name for name in names if is_onnx(name)]
    if onnx:
        received = f"recipe {onnx[0]}"
    elif modality != IMAGE:
        received = f"modality {modality!r}"
    elif dynamic_batch:
        received = "--dynamic-batch, whose memory nobody knows beforehand"
    if received is not None:
        raise UsageError(
            "export --micro: expected TFLite files of one image at a time. "
            f"Received: {received}. Leave one of the two out."
        )
