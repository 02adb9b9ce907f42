"""What a head must make of labels: outputs, targets, refusals, and labels again."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxfer.errors import DataError
from tfxfer.head import Prediction
from tfxfer.testing.check import check, describe_error, fail
from tfxfer.testing.head_subject import HeadSubject

__all__ = ["label_errors", "labels", "predictions"]


@check(
    "labels become one column each, and targets one finite row per sample", requires=("options",)
)
def labels(subject: HeadSubject) -> None:
    """Fits and encodes the kit's raw labels."""
    what = f"head {subject.name!r}"
    try:
        found = subject.plugin.fit_labels(subject.raw_labels)
    except DataError as error:
        fail(
            what,
            expected=f"fit_labels to take the labels {sorted(set(subject.raw_labels))}",
            received=describe_error(error),
            fix="Give the class `example_labels` of its task.",
        )
    if (
        not isinstance(found, tuple)
        or not found
        or not all(isinstance(item, str) and item for item in found)
        or len(set(found)) < len(found)
    ):
        fail(
            what,
            expected="fit_labels to return a tuple of different names",
            received=f"labels={found!r}",
            fix="They become labels.txt, one a line.",
        )
    shuffled = subject.plugin.fit_labels(tuple(reversed(subject.raw_labels)))
    if shuffled != found:
        fail(
            what,
            expected="the same labels whatever the order of the samples",
            received=f"{found} and {shuffled}",
            fix="Sort them.",
        )
    for raw in set(subject.raw_labels):
        read = subject.plugin.read_label(raw)
        if not (
            isinstance(read, tuple)
            and all(isinstance(name, str) for name in read)
            and subject.plugin.read_label(raw) == read
        ):
            fail(
                what,
                expected=f"read_label to return a tuple of text for {raw!r}, always the same",
                received=f"read_label={read!r}",
                fix="Equal tuples are equal labels; leave it to tfxfer.Head where text says all.",
            )
    described = subject.plugin.describe_labels(subject.raw_labels)
    if not isinstance(described, str) or len(described.splitlines()) != 1:
        fail(
            what,
            expected="describe_labels to return one line of text",
            received=f"describe_labels={described!r}",
            fix="It is what a user reads of the data before training.",
        )
    targets = np.asarray(subject.plugin.encode(subject.raw_labels, found))
    shape = (len(subject.raw_labels), len(found))
    if targets.shape != shape or targets.dtype != np.float32 or not np.isfinite(targets).all():
        fail(
            what,
            expected=f"encode to return finite float32 of shape {shape}",
            received=f"shape={targets.shape}, dtype={targets.dtype.name}",
            fix="One row per sample, one column per label.",
        )


@check("labels that cannot be this task's are refused as DataError", requires=("metadata",))
def label_errors(subject: HeadSubject) -> None:
    """Fits labels that hold nothing to learn, or are no labels."""
    plugin = subject.plugin
    for raw in plugin.bad_labels:
        try:
            found: Any = plugin.fit_labels(raw)
        except DataError:
            continue
        except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything
            found = describe_error(error)
        fail(
            f"head {subject.name!r}",
            expected=f"tfxfer.DataError for the labels {list(raw)}",
            received=repr(found),
            fix="Say in fit_labels what is wrong with the data, before anything is trained.",
        )


@check("targets decode to the labels they came from, with a score for each", requires=("labels",))
def predictions(subject: HeadSubject) -> None:
    """Decodes the targets themselves, as if they were scores."""
    found = subject.plugin.decode(subject.targets, subject.labels)
    what = f"head {subject.name!r}"
    if len(found) != len(subject.targets) or not all(isinstance(x, Prediction) for x in found):
        fail(
            what,
            expected=f"decode to return {len(subject.targets)} tfxfer.Prediction, one per row",
            received=f"{len(found)} {type(found[0]).__name__ if found else 'items'}",
            fix="Return one for every row of scores.",
        )
    for raw, prediction in zip(subject.raw_labels, found, strict=True):
        if prediction.label != raw or set(prediction.scores) != set(subject.labels):
            fail(
                what,
                expected=f"the targets of {raw!r} to decode to it, with scores of "
                f"{list(subject.labels)}",
                received=f"label={prediction.label!r}, scores of {list(prediction.scores)}",
                fix="decode is the inverse of encode.",
            )
