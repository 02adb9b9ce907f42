"""`tfxfer convert`: a model becomes files, and nobody judges them."""

from __future__ import annotations

from typing import Any

import click

from tfxfer.cli.options import read_labels
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.system.keras_settings import check_keras_settings
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

__all__ = ["command"]


@tfxfer_command("convert")
@click.argument("model", metavar="RUN_OR_MODEL")
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    help="int8, int8_selective, int16x8, dynamic_w8, w8, w4, float16, float32, onnx, "
    "onnx_int8; may be repeated.  [default: int8]",
)
@recipe_file_option
@io_option
@click.option(
    "--out",
    default=".",
    show_default=True,
    help="Folder of the files, MODEL_RECIPE.tflite.",
)
@click.option(
    "--calibration",
    metavar="FOLDER",
    help="Images, with or without labels, at any depth; integer recipes need them.  [default: a "
    "run's training split]",
)
@click.option(
    "--calibration-images",
    type=click.IntRange(10),
    default=100,
    show_default=True,
    help="How many images find the ranges; up to 100 others compare the files with the model.",
)
@preprocessing_option
@click.option(
    "--labels",
    "labels_file",
    help="For a model outside of a run: one label a line, in outputs' order.  [default: the file "
    "does not say what its outputs are]",
)
@click.option("--head", help="For a model outside of a run, with --labels.")
@dynamic_batch_option
@trust_option
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed for the choice of images.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
def command(
    output: Output,
    *,
    model: str,
    labels_file: str | None,
    recipes: tuple[str, ...],
    recipe_files: tuple[str, ...],
    **options: Any,
) -> None:
    """Write a model as .tflite or .onnx files, without a gate.

    RUN_OR_MODEL is a run, a .keras or legacy .h5 file, or a SavedModel folder. Nothing here says
    what the files lose on labelled images: export does.
    """
    from tfxfer_edge.request import check_conversion

    # Starting TensorFlow takes long, and an option that cannot be meant is known at once.
    check_keras_settings()
    labels = read_labels(labels_file)
    options["recipes"] = collect_recipes(recipes, recipe_files, default="int8")
    check_conversion(
        model,
        options["out"],
        labels=labels,
        **{
            name: options[name]
            for name in ("recipes", "io", "calibration", "head", "preprocessing", "overwrite")
        },
    )
    with starting_tensorflow(output):
        from tfxfer_edge.ungated import convert_files
    with working(output) as tell:
        document = convert_files(model, labels=labels, progress=tell, say=output.detail, **options)
    output.emit(document)
    _show(output, document)


def _show(output: Output, document: dict[str, Any]) -> None:
    rows = [
        (
            item["recipe"],
            "" if item["bytes"] is None else f"{item['bytes'] / 1e6:.2f}",
            "" if item["agreement"] is None else f"{100 * item['agreement']:.1f} %",
            "" if item["difference"] is None else f"{item['difference']:.4f}",
            "; ".join(item["notes"]) if item["path"] is None else item["path"],
        )
        for item in document["files"]
    ]
    output.show_table(("RECIPE", "MB", "AGREES", "DIFFERENCE", ""), rows)
    for problem in (document["calibration"] or {}).get("skipped", ())[:3]:
        output.warn(f"{problem['path']}: left out, {problem['detail']}")
    compared = document["compared"]
    if compared is not None:
        whose = "that found no ranges" if compared["unseen"] else "that found the ranges, too"
        output.show(
            f"AGREES, DIFFERENCE: first answers as the model's, and scores from it in the mean, "
            f"on {compared['images']} images {whose}"
        )
    output.warn(
        "no gate: what these files lose nobody has measured. With labelled images: tfxfer export"
    )
