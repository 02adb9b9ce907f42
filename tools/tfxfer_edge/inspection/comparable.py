"""Whether a file can be compared with a run: nothing here loads TensorFlow or Keras."""

from __future__ import annotations

from pathlib import Path

from tfxfer.errors import ModelError, UsageError
from tfxfer_edge.inspection.twins import read_graph
from tfxfer_edge.proof.arguments import is_run
from tfxfer_edge.tflite.sample_model import read_content
from tfxfer_edge.tflite.trial import try_file

__all__ = ["DEFAULT_SAMPLES", "check_comparison"]

DEFAULT_SAMPLES = 32


def check_comparison(path: str | Path, run: str | Path) -> None:
    """Refuses what cannot be compared, before TensorFlow is loaded.

    Args:
        path: a `.tflite` file, whose graph is known to be sound.
        run: a finished training.

    Raises:
        UsageError: another kind of file, or a model in place of a run.
        RunError, ModelError: no finished run, or a file that ends the process that runs it.
    """
    _, content = read_content(path)
    if content[4:8] != b"TFL3":
        raise UsageError(
            f"--against: expected a .tflite file to compare with a run. Received: {str(path)!r}."
        )
    if not is_run(run):
        raise UsageError(
            f"--against: expected a run, whose samples are at hand. Received: {str(run)!r}."
        )
    graph = read_graph(content, source=str(path))
    if len(graph.outputs) != 1:
        raise ModelError(
            f"model {str(path)!r}: expected one output, as files of a run have. "
            f"Received: {len(graph.outputs)}."
        )
    try_file(path)
