"""Labels that look wrong: samples that a probe which has not seen them takes for another class."""

from __future__ import annotations

import csv
import io
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from tfxfer.data.samples import SampleSplit
from tfxfer.errors import DataError
from tfxfer.head import Head
from tfxfer.system.arguments import check_path
from tfxfer.system.bounded import MOST_TABLE_BYTES, read_bytes
from tfxfer.system.files import write_table
from tfxfer.system.plain_text import escape_controls, pack_text, unguard_cell, unpack_text
from tfxfer.trust.probe import predict_out_of_fold

__all__ = [
    "LabelError",
    "describe_label_errors",
    "judge_labels",
    "list_classes",
    "rank_label_errors",
    "read_label_errors",
    "write_label_errors",
]

_LEAST_MARGIN = 0.5
# Ours. A probe that knows nothing reaches its own low thresholds, too: with the features of other
# images, 3,002 of 3,883 labels were candidates. Where features tell classes apart, it costs none.

_TRUTHS = ("false", "true")


@dataclass(frozen=True)
class LabelError:
    """One label that a probe does not agree with.

    Args:
        path: of the sample, relative to the data.
        split: `train`, `val` or `test`.
        label: as DATA has it.
        suggested: the class that the probe prefers.
        label_score: the probe's probability of the label, 0..1.
        suggested_score: of the class that it prefers.
        margin: by how much that is more, 0..1.
        confident: whether the probe is as sure of its class as it is of the samples that carry it
            on average, and far surer than of the label. Others are worth a look after these.
    """

    path: str
    split: str
    label: str
    suggested: str
    label_score: float
    suggested_score: float
    margin: float
    confident: bool


_COLUMNS = tuple(item.name for item in fields(LabelError))


def judge_labels(
    features: np.ndarray,
    parts: Sequence[SampleSplit],
    *,
    head: Head,
    groups: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> tuple[LabelError, ...]:
    """Returns the labels that look wrong, the likeliest first.

    Every sample is judged by a probe that has not seen it.

    Args:
        features: of each sample, by a network that was not trained on these labels.
        parts: the samples, one part after the other.
        head: what the labels mean.
        groups: of each sample; near copies share one.
        seed: of the folds.

    Shapes: features (samples, features).

    Raises:
        DataError: labels that are no classes that exclude each other, or too few samples of them.
    """
    classes, labels = list_classes(parts, head), parts[0].labels
    scores = predict_out_of_fold(
        features, classes, seed=seed, groups=groups, class_count=len(labels)
    )
    return rank_label_errors(
        scores,
        classes,
        labels=labels,
        paths=[path for part in parts for path in part.paths],
        splits=[part.name for part in parts for _ in part.paths],
        given=[label for part in parts for label in part.raw_labels],
    )


def list_classes(parts: Sequence[SampleSplit], head: Head) -> np.ndarray:
    """Returns the number of each sample's class, one part after the other.

    Shapes: returns int64 (samples,).

    Raises:
        DataError: labels that are no classes that exclude each other.
    """
    classes = head.find_classes(np.concatenate([part.targets for part in parts]))
    if classes is None:
        raise DataError(
            "labels that look wrong: expected one class for each sample, to compare with others. "
            f"Received: head={head.name!r}, whose labels do not exclude each other."
        )
    return classes


def rank_label_errors(
    scores: np.ndarray,
    classes: np.ndarray,
    *,
    labels: Sequence[str],
    paths: Sequence[str],
    splits: Sequence[str],
    given: Sequence[str],
) -> tuple[LabelError, ...]:
    """Returns the samples whose label is not what a probe prefers, the likeliest error first.

    A candidate of confident learning is a sample whose probability of another class reaches that
    class's threshold: the mean probability, over the samples labelled so, of their own label. Here
    it must be ahead of the label by 0.5, too, so that there is one such class at most. Candidates
    come first, by margin; after them all others of which the probe prefers another class.

    Args:
        scores: out-of-fold probabilities; rows of NaN are not judged.
        classes: the number of each sample's label.
        labels: names of the classes.
        paths: of each sample.
        splits: of each sample.
        given: of each sample, the label as DATA has it.

    Shapes: scores (samples, classes), classes (samples,).

    Source:
        Northcutt et al. 2021, https://arxiv.org/abs/1911.00068, eq. 1 and 2 for the thresholds and
        who is counted off the diagonal, section 3.2 for the order by margin. Theirs counts a sample
        whatever its label's probability is, where that is short of its own threshold, and ends with
        the candidates; ours asks for a margin, and goes on.
    """
    judged = np.flatnonzero(np.isfinite(scores).all(axis=1))
    own_classes, found = classes[judged], scores[judged]
    own = found[np.arange(len(judged)), own_classes]
    counts = np.bincount(own_classes, minlength=len(labels))
    sums = np.bincount(own_classes, weights=own, minlength=len(labels))
    # A class without a judged sample has no threshold, so nothing reaches it.
    thresholds = np.divide(sums, counts, out=np.full(len(labels), np.inf), where=counts > 0)
    others = found.copy()
    others[np.arange(len(judged)), own_classes] = -np.inf
    suggested, best = others.argmax(axis=1), others.max(axis=1)
    margins = best - own
    confident = (best >= thresholds[suggested]) & (margins >= _LEAST_MARGIN)
    order = np.lexsort((judged, -margins, ~confident))
    return tuple(
        LabelError(
            path=paths[judged[i]],
            split=splits[judged[i]],
            label=given[judged[i]],
            suggested=labels[suggested[i]],
            label_score=float(own[i]),
            suggested_score=float(best[i]),
            margin=float(margins[i]),
            confident=bool(confident[i]),
        )
        for i in order[margins[order] > 0].tolist()
    )


def describe_label_errors(errors: Sequence[LabelError], *, shown: int = 1) -> str | None:
    """Returns in a line how many labels look wrong, and the likeliest; None where none does.

    Args:
        errors: from `rank_label_errors`.
        shown: how many are named.

    Example:
        >>> error = LabelError("a/x.jpg", "train", "daisy", "tulip", 0.01, 0.98, 0.97, True)
        >>> describe_label_errors([error, error])
        '2 labels look wrong: a/x.jpg is labelled daisy, looks like tulip (0.98 against 0.01)'
    """
    confident = [error for error in errors if error.confident]
    if not confident:
        return None
    told = "; ".join(
        f"{error.path} is labelled {error.label}, looks like {error.suggested} "
        f"({error.suggested_score:.2f} against {error.label_score:.2f})"
        for error in confident[:shown]
    )
    words = "1 label looks" if len(confident) == 1 else f"{len(confident):,} labels look"
    return escape_controls(f"{words} wrong: {told}")


def write_label_errors(path: Path, errors: Sequence[LabelError]) -> None:
    """Writes `label_errors.csv`; the folder is made.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {**asdict(error), "path": pack_text(error.path), "confident": _TRUTHS[error.confident]}
        for error in errors
    ]
    write_table(path, rows, columns=_COLUMNS)


def read_label_errors(path: str | Path) -> tuple[LabelError, ...]:
    """Reads what `write_label_errors` wrote.

    Raises:
        DataError: no such file, or another table.
    """
    path = check_path(path, where="label errors")
    name = f"label errors {str(path)!r}"
    try:
        text = read_bytes(path, MOST_TABLE_BYTES).decode("utf-8")
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"{name}: expected the label_errors.csv of a run. Received: {error}."
        ) from error
    if not lines or tuple(lines[0]) != _COLUMNS:
        raise DataError(
            f"{name}: expected the columns {','.join(_COLUMNS)}. "
            f"Received: {','.join(lines[0])[:80] if lines else 'nothing'}."
        )
    return tuple(
        _read_row(cells, f"{name}, line {number}") for number, cells in enumerate(lines[1:], 2)
    )


def _read_row(cells: Sequence[str], where: str) -> LabelError:
    try:
        path, split, label, suggested, *numbers, confident = map(unguard_cell, cells)
        own, other, margin = map(float, numbers)
        if not (0 <= own < other <= 1 and abs(other - own - margin) < 1e-6):
            raise ValueError("scores that do not fit together")
        return LabelError(
            unpack_text(path),
            split,
            label,
            suggested,
            own,
            other,
            margin,
            bool(_TRUTHS.index(confident)),
        )
    except ValueError as error:
        raise DataError(
            f"{where}: expected a path, a split, two labels, two scores 0..1, their difference, "
            f"and true or false. Received: {','.join(cells)[:80]!r}."
        ) from error
