"""`tfxfer export`: a trained model becomes a file for the phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tfxfer.cli.options import break_lock_option, read_labels
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.errors import GateError, ModelError, UsageError
from tfxfer.run.directory import RunDirectory, is_run_folder
from tfxfer.system.keras_settings import check_keras_settings
from tfxfer_edge.cli.export_tables import show_candidates, show_parity
from tfxfer_edge.cli.model_options import (
    collect_recipes,
    dynamic_batch_option,
    io_option,
    preprocessing_option,
    recipe_file_option,
    starting_tensorflow,
    trust_option,
    working,
)
from tfxfer_edge.proof.limits import parse_limit
from tfxfer_edge.proof.preference import PREFERENCES

__all__ = ["command", "run_export"]

_CHECKED = (
    "out",
    "recipes",
    "io",
    "prefer",
    "allow_float",
    "calibration",
    "labels",
    "head",
    "preprocessing",
    "overwrite",
    "force",
    "gate",
    "micro",
    "dynamic_batch",
)  # what `check_request` takes of the options


class _LimitType(click.ParamType):
    name = "limit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            parse_limit(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)
        text = str(value).strip()
        return text if text.endswith("%") else float(text)


@tfxfer_command("export")
@click.argument("model", metavar="RUN_OR_MODEL")
@click.option("--out", help="Folder to make.  [default: export/ inside the run]")
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    help="auto, int8, int8_selective, int16x8, dynamic_w8, w8, w4, float16, float32, onnx, "
    "onnx_int8; may be repeated.  [default: auto]",
)
@recipe_file_option
@io_option
@click.option(
    "--max-drop",
    type=_LimitType(),
    default="1.0",
    show_default=True,
    metavar="POINTS|SHARE%",
    help="Points of the task's metric that may be lost, or a share of what the model has: 2%.",
)
@click.option(
    "--prefer",
    type=click.Choice(PREFERENCES),
    default=PREFERENCES[0],
    show_default=True,
    help="Which of the files that pass: balanced is the fastest, or the smallest of those that are "
    "as fast.",
)
@click.option("--allow-float", is_flag=True, help="Let auto end with float16.")
@click.option("--quick", is_flag=True, help="Score no file that cannot be chosen any more.")
@click.option(
    "--calibration",
    metavar="DATA",
    help="Labelled images; needed for a model outside of a run, which they also judge. For a run "
    "a folder without labels will do.  [default: the run's training split]",
)
@click.option(
    "--calibration-images",
    type=click.IntRange(10),
    default=100,
    show_default=True,
    help="How many images find the ranges.",
)
@preprocessing_option
@click.option(
    "--labels",
    "labels_file",
    help="For a model outside of a run: one label a line, in outputs' order.",
)
@click.option(
    "--head", help="For a model outside of a run.  [default: what the installed heads declare]"
)
@dynamic_batch_option
@trust_option
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed for the choice of calibration images.",
)
@click.option(
    "--gate",
    metavar="FILE.toml",
    help="Rules that the file's own answers to the test images must keep, such as worst-slice "
    "recall >= 0.8; where none keeps them, nothing is written and the exit code is 3.",
)
@click.option(
    "--refit/--no-refit",
    default=True,
    show_default=True,
    help="Fit the head of integer files to what they compute for training images.",
)
@click.option(
    "--micro",
    is_flag=True,
    help="Also write the chosen file as C++ for microcontrollers, with the memory that it takes.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export.")
@break_lock_option
@click.option(
    "--force", is_flag=True, help="Export a run whose own result is no better than chance, too."
)
def command(
    output: Output,
    *,
    model: str,
    labels_file: str | None,
    break_lock: bool,
    recipes: tuple[str, ...],
    recipe_files: tuple[str, ...],
    **options: Any,
) -> None:
    """Quantize a model, prove on real images that it still works, and pack it.

    RUN_OR_MODEL is a run, a .keras or legacy .h5 file, or a SavedModel folder.
    """
    options["recipes"] = collect_recipes(recipes, recipe_files, default="auto")
    if break_lock and is_run_folder(Path(model)):
        RunDirectory(model).break_lock()
    try:
        output.emit(run_export(output, model, labels=read_labels(labels_file), **options))
    except (GateError, ModelError) as error:
        if hasattr(error, "document"):
            output.emit(error.document)
        raise


def run_export(output: Output, model: str, **options: Any) -> dict[str, Any]:
    """Exports, draws progress and the table, and returns the document.

    Args:
        output: of the command.
        model: a run or a model file.
        options: of `tfxfer_edge.export`.

    Raises:
        GateError: nothing passed; the table has been shown.
    """
    from tfxfer_edge.request import check_request

    # Starting TensorFlow takes long, and an option that cannot be meant is known at once.
    check_keras_settings()
    given = {key: options[key] for key in _CHECKED if key in options}
    checked = check_request(model, registry=output.registry, **given)
    with starting_tensorflow(output):
        from tfxfer_edge.exports import export
    with working(output) as tell:
        try:
            result = export(model, progress=tell, say=output.detail, checked=checked, **options)
        except (GateError, ModelError) as error:
            if hasattr(error, "document"):
                show_candidates(output, error.document)
            raise
    for remark in result.document["remarks"]:
        output.warn(remark)
    show_candidates(output, result.document)
    show_parity(output, result.document["parity"], result.document["samples"])
    if result.document["micro"] is not None:
        output.show(result.document["micro"]["words"])
    output.show(str(result.path))
    return result.document
