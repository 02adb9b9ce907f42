"""`tfxfer add-class`: one more class for a file, without training."""

from __future__ import annotations

import click

from tfxfer.cli.output import Output, tfxfer_command

__all__ = ["command"]


@tfxfer_command("add-class")
@click.argument("model")
@click.argument("name")
@click.argument("samples", nargs=-1, required=True)
@click.option("--out", required=True, help="Folder that is made: the file, and how to run it.")
def command(output: Output, *, model: str, name: str, samples: tuple[str, ...], out: str) -> None:
    """Add the class NAME to MODEL, a .tflite file, from SAMPLES of it.

    MODEL is exported from a run of --head prototype; it stays as it is. SAMPLES are files or
    folders. Nothing is trained, and answers among the classes that MODEL has stay, but for a
    rounding of integers.
    """
    from tfxfer_edge.extension import add_class
    from tfxfer_edge.tflite.metadata_reader import read_metadata

    with output.starting("computing features"):
        path = add_class(model, name, list(samples), out)
    card = read_metadata(path.read_bytes())
    assert card is not None  # just written
    output.emit({"path": str(path), "bytes": path.stat().st_size, "labels": list(card.labels)})
    output.show(f"file   {path}: {', '.join(card.labels)}")
