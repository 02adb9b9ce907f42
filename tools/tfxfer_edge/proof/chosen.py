"""What the chosen file has to stand after the gate, and what is told of one that does not."""

from __future__ import annotations

from typing import Any

from tfxfer.errors import GateError
from tfxfer.progress import Progress
from tfxfer_edge.door import find_door
from tfxfer_edge.proof.made import Made
from tfxfer_edge.proof.parity import Parity
from tfxfer_edge.proof.run_images import choose_rows
from tfxfer_edge.proof.scoring import open_scorer
from tfxfer_edge.proof.subject import Subject

__all__ = ["choose_test_rows", "make_refusal", "try_chosen", "withdraw"]


def try_chosen(subject: Subject, item: Made, progress: Progress | None = None) -> Parity | None:
    """Returns how raw samples fare, from the disk to the answer; None for ONNX.

    Args:
        subject: what is exported.
        item: the file.
        progress: told of samples.
    """
    if item.converted is None or item.converted.suffix != ".tflite":
        return None
    # What quantization did to it the gate has judged: clients are held to what it saw.
    score = open_scorer(item.converted, item.content).score
    door, rows = find_door(subject.source.modality), choose_test_rows(subject)
    return door.check_parity(
        subject.predictor, item.content, subject.data.test, rows, reference=score, progress=progress
    )


def choose_test_rows(subject: Subject) -> list[int]:
    """Returns some test samples of all classes."""
    most = find_door(subject.source.modality).parity_samples
    return choose_rows(subject.data.test, samples=most, seed=0)


def withdraw(document: dict[str, Any], recipe: str, fault: str) -> None:
    """Takes a choice back in the document of an export: nothing is written.

    Args:
        document: what `describe_export` returned; it is changed.
        recipe: that was chosen.
        fault: why it is not good enough.
    """
    document["chosen"] = document["because"] = None
    for entry in document["candidates"]:
        entry["path"] = None
        if entry["recipe"] == recipe:
            entry["passed"], entry["reason"] = False, fault


def make_refusal(document: dict[str, Any], message: str) -> GateError:
    """Returns the error of an export that writes nothing; its `document` holds the table."""
    error = GateError(message)
    error.document = document  # type: ignore[attr-defined]
    return error
