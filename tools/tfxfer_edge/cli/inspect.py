"""`tfxfer inspect`: what a model file holds, and where it differs from the run it was made of."""

from __future__ import annotations

from typing import Any

import click

from tfxfer.cli.output import Output, tfxfer_command
from tfxfer_edge.cli.model_options import starting_tensorflow, working

__all__ = ["command"]

_SAMPLES = 32  # as `compare_with_run` has it, which imports too much for a default


@tfxfer_command("inspect")
@click.argument("file")
@click.option(
    "--against", metavar="RUN", help="Compare a .tflite file with the run that it was made of."
)
@click.option(
    "--images",
    type=click.IntRange(2),
    help=f"Samples of the run to compare on, of all classes.  [default: {_SAMPLES}]",
)
def command(output: Output, *, file: str, against: str | None, images: int | None) -> None:
    """Show what FILE, a .tflite, .onnx or .keras file, holds.

    Its ends and what their values stand for, its metadata, its operators or layers with their
    weights and multiplications (each with the addition that follows it), the largest tensors. Of a
    .tflite file also where XNNPACK's graph is cut, and what accelerators would refuse by their
    published lists. Nothing of the file is run, and TensorFlow is not needed.

    --against runs the file and the float network of RUN on samples of RUN: the error of each
    tensor, worst first, and the operator that costs the answers most.
    """
    if images is not None and against is None:
        raise click.UsageError("--images is of a comparison: add --against RUN.")
    from tfxfer_edge.cli.comparison_tables import show_comparison
    from tfxfer_edge.cli.inspect_tables import show_document
    from tfxfer_edge.inspection.files import inspect_file

    document = inspect_file(file)
    if against is not None:
        document["against"] = _compare(output, file, against, images or _SAMPLES)
    output.emit(document)
    show_document(output, document)
    if against is not None:
        show_comparison(output, document["against"])
    explorer = document["explorer"]
    if explorer is not None:
        output.show(f"to see its graph: {explorer['command']}  ({explorer['install']})")


def _compare(output: Output, file: str, run: str, samples: int) -> dict[str, Any]:
    from tfxfer_edge.inspection.comparable import check_comparison

    with output.starting("trying the file"):
        check_comparison(file, run)
    with starting_tensorflow(output):
        from tfxfer_edge.inspection.against import compare_with_run
    with working(output) as tell:
        return compare_with_run(file, run, samples=samples, progress=tell)
