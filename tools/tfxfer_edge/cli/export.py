"""`tfxfer export`: a trained model becomes a file for the phone."""

from __future__ import annotations

import math
from typing import Any

import click

from tfxfer.cli.options import read_labels
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.errors import GateError, ModelError
from tfxfer.system.quiet import quiet_native

__all__ = ["command", "parse_preprocessing", "run_export", "show_candidates"]

_RANGES = {"0..1": (0.0, 255.0), "-1..1": (127.5, 127.5)}


class _PreprocessingType(click.ParamType):
    name = "preprocessing"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return parse_preprocessing(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def parse_preprocessing(text: str) -> Any:
    """Returns what `--preprocessing` names: `in_graph`, or a `Preprocessing`.

    Args:
        text: `in_graph`; `0..1` or `-1..1`, what pixels become; or MEAN/STD in pixel units, one
            number each or three with commas.

    Raises:
        ValueError: none of them.

    Example:
        >>> parse_preprocessing("127.5/127.5") == parse_preprocessing("-1..1")
        True
    """
    from tfxfer.preprocessing import Preprocessing

    if text == "in_graph":
        return text
    if text in _RANGES:
        mean, std = _RANGES[text]
        return Preprocessing.from_mean_std(mean=mean, std=std)
    try:
        means, stds = ([float(number) for number in part.split(",")] for part in text.split("/"))
        if {len(means), len(stds)} - {1, 3} or not all(
            math.isfinite(number) for number in (*means, *stds)
        ):
            raise ValueError
        if not all(std > 0 for std in stds):
            raise ValueError
    except ValueError:
        raise ValueError(
            f"expected in_graph, 0..1, -1..1, or MEAN/STD in pixel units such as 127.5/127.5. "
            f"Received: {text!r}"
        ) from None
    triples = [part * 3 if len(part) == 1 else part for part in (means, stds)]
    return Preprocessing.from_mean_std(mean=triples[0], std=triples[1])


@tfxfer_command("export")
@click.argument("model", metavar="RUN_OR_MODEL")
@click.option("--out", help="Folder to make.  [default: export/ inside the run]")
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    default=("auto",),
    show_default=True,
    help="auto, int8, int8_selective, int16x8, dynamic_w8, float16, float32, onnx; may be "
    "repeated.",
)
@click.option(
    "--max-drop",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Points of the task's metric that may be lost.",
)
@click.option(
    "--prefer",
    type=click.Choice(["size", "latency"]),
    default="size",
    show_default=True,
    help="Which of the files that pass.",
)
@click.option("--allow-float", is_flag=True, help="Let auto end with float16.")
@click.option("--quick", is_flag=True, help="Score no file that cannot be chosen any more.")
@click.option(
    "--calibration",
    metavar="DATA",
    help="Labelled images; needed for a model outside of a run, which they also judge.  [default: "
    "the run's training split]",
)
@click.option(
    "--calibration-images",
    type=click.IntRange(10),
    default=100,
    show_default=True,
    help="How many images find the ranges.",
)
@click.option(
    "--preprocessing",
    type=_PreprocessingType(),
    help="For a model outside of a run: in_graph, 0..1, -1..1, or MEAN/STD in pixel units.",
)
@click.option(
    "--labels",
    "labels_file",
    help="For a model outside of a run: one label a line, in outputs' order.",
)
@click.option(
    "--head", help="For a model outside of a run.  [default: what the installed heads declare]"
)
@click.option("--dynamic-batch", is_flag=True, help="Leave the number of images free, not 1.")
@click.option("--trust", is_flag=True, help="Let code in a .keras file (a Lambda) run.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed for the choice of calibration images.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export.")
def command(output: Output, *, model: str, labels_file: str | None, **options: Any) -> None:
    """Quantize a model, prove on real images that it still works, and pack it.

    RUN_OR_MODEL is a run, a .keras or legacy .h5 file, or a SavedModel folder.
    """
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
    output.print("starting TensorFlow")
    with quiet_native():
        import tensorflow as tf

        tf.config.list_logical_devices()  # speaks of the processor, once

        from tfxfer_edge.exports import export
    output.check_interrupt()
    with output.progress() as progress:

        def tell(what: str, done: int, total: int) -> None:
            output.check_interrupt()
            progress(what, done, total)

        try:
            result = export(model, progress=tell, say=output.detail, **options)
        except (GateError, ModelError) as error:
            if hasattr(error, "document"):
                show_candidates(output, error.document)
            raise
    for remark in result.document["remarks"]:
        output.warn(remark)
    show_candidates(output, result.document)
    _show_parity(output, result.document["parity"])
    output.show(str(result.path))
    return result.document


def show_candidates(output: Output, document: dict[str, Any]) -> None:
    """Prints the table of recipes."""
    rows = []
    for item in document["candidates"]:
        size = "" if item["bytes"] is None else f"{item['bytes'] / 1e6:.2f}"
        latency = "" if item["latency_ms"] is None else f"{item['latency_ms']:.1f}"
        agreement = item["agreement"]
        verdict = "chosen" if item["recipe"] == document["chosen"] else "passed"
        rows.append(
            (
                item["recipe"],
                size,
                latency,
                _show_val(item),
                _show_drop(item["test_drop_points"]),
                "" if agreement is None else f"{100 * agreement:.1f} %",
                verdict if item["passed"] else f"no: {item['reason']}",
            )
        )
    titles = ("RECIPE", "MB", "MS", "POINTS LOST (VAL)", "(TEST)", "AGREES", "")
    output.show_table(titles, rows)


def _show_val(item: dict[str, Any]) -> str:
    varied = item["val_views"]
    if varied is None:
        return _show_drop(item["val_drop_points"])
    return f"{_show_drop(varied['drop_points'])}, {varied['views']} views"


def _show_drop(drop: dict[str, float] | None) -> str:
    if drop is None:
        return ""
    return f"{drop['value']:+.1f} [{drop['low']:+.1f}, {drop['high']:+.1f}]"


def _show_parity(output: Output, parity: dict[str, Any] | None) -> None:
    if parity is None:
        return
    ways = [("LiteRT", parity["interpreter"])]
    if parity["mediapipe"] is not None:
        ways.append(("MediaPipe", parity["mediapipe"]))
    told = ", ".join(
        f"{name} differs from Keras by {way['largest']:.3f} at most" for name, way in ways
    )
    output.show(f"{parity['images']} photos from the file to the answer: {told}")
