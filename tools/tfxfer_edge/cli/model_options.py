"""Options of a model that becomes files, which `export` and `convert` share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from tfxfer.cli.output import Output
from tfxfer.cli.preprocessing import PreprocessingType
from tfxfer.progress import Progress
from tfxfer_edge.conversion.end_types import END_TYPES

__all__ = [
    "collect_recipes",
    "dynamic_batch_option",
    "io_option",
    "preprocessing_option",
    "recipe_file_option",
    "starting_tensorflow",
    "trust_option",
    "working",
]

recipe_file_option = click.option(
    "--recipe-file",
    "recipe_files",
    multiple=True,
    metavar="FILE.json",
    help="A recipe in LiteRT Quantizer's own format, named after its file; may be repeated.",
)
io_option = click.option(
    "--io",
    type=click.Choice(END_TYPES),
    help="Type of the input and the output of TFLite files.  [default: uint8 where activations "
    "have 8 bits, else float32]",
)
preprocessing_option = click.option(
    "--preprocessing",
    type=PreprocessingType(),
    help="For a model outside of a run: in_graph, 0..1, -1..1, or MEAN/STD in pixel units.",
)
dynamic_batch_option = click.option(
    "--dynamic-batch", is_flag=True, help="Leave the number of images free, not 1."
)
trust_option = click.option(
    "--trust", is_flag=True, help="Let code in a .keras file (a Lambda) run."
)


def collect_recipes(
    names: tuple[str, ...], files: tuple[str, ...], *, default: str
) -> tuple[Any, ...]:
    """Returns what was asked for: names, and the recipes of files.

    Args:
        names: of `--recipe`.
        files: of `--recipe-file`.
        default: where nothing was asked for.

    Raises:
        UsageError: a file that is no recipe.
    """
    if not files:
        return names or (default,)
    from tfxfer_edge.conversion.recipe_file import read_recipe

    return (*names, *map(read_recipe, files))


@contextmanager
def starting_tensorflow(output: Output) -> Iterator[None]:
    """Says that TensorFlow starts; what needs it is imported within."""
    with output.starting("importing TensorFlow"):
        import tensorflow as tf

        tf.config.list_logical_devices()  # speaks of the processor, once
        yield


@contextmanager
def working(output: Output) -> Iterator[Progress]:
    """Draws the progress that it is told of, keeps libraries quiet, and ends at Ctrl-C."""
    with output.quietly(), output.progress() as progress:

        def tell(what: str, done: int, total: int) -> None:
            output.check_interrupt()
            progress(what, done, total)

        yield tell
