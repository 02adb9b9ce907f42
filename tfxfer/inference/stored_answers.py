"""What a model answered: read from a run, or asked of a model now."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfxfer.data.table import read_split_table
from tfxfer.errors import DataError, RunError
from tfxfer.evaluation.comparison import ModelAnswer
from tfxfer.inference.answers import list_answers
from tfxfer.inference.predictor import Predictor
from tfxfer.inference.scoring import score_split
from tfxfer.inference.unseen import load_unseen
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.run.seals import check_sealed, describe_unsealed
from tfxfer.system.bounded import MOST_TABLE_BYTES, read_bytes
from tfxfer.system.plain_text import escape_controls, unguard_cell

__all__ = [
    "SPLITS",
    "Answers",
    "ask_model",
    "read_answer_table",
    "read_answers",
    "read_run_answers",
]

SPLITS = {"test": ("test",), "val": ("val",), "all": ("val", "test")}
"""Which parts of a run's answers `tfxfer compare --split` takes; nobody answers what it learnt."""

_COLUMNS = ("path", "split", "truth", "label", "score", "right")


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of one model.

    Args:
        head: name of its task.
        labels: its outputs.
        found: answers to samples that it has not learnt from, by the fingerprint of their content.
        learnt: fingerprints of samples that it was trained on or chosen by, as far as is known.
        left_out: how many of them were not asked about.
        remarks: what a person must be told, a line each.
    """

    head: str
    labels: tuple[str, ...]
    found: Mapping[str, ModelAnswer]
    learnt: Collection[str] = frozenset()
    left_out: int = 0
    remarks: tuple[str, ...] = ()

    def without(self, learnt: Collection[str]) -> tuple[dict[str, ModelAnswer], int]:
        """Returns the answers to what another model has not learnt from, and how many are out."""
        kept = {key: value for key, value in self.found.items() if key not in learnt}
        return kept, len(self.found) - len(kept)


def read_answers(path: str | Path, *, split: str = "test") -> Answers:
    """Returns what a run answered in its own splits; imports neither Keras nor TensorFlow.

    Validation chose which epoch was kept: of `test` alone a sample of it counts as learnt from.

    Args:
        path: of the run.
        split: a key of `SPLITS`.

    Raises:
        RunError: no run, one that is not finished, or one of before answers were kept.
        DataError: a table that cannot be read, or answers that are never simply right.
    """
    run = RunDirectory.open(path)
    manifest = run.read_manifest()
    if manifest.status != "done":
        raise RunError(
            f"run {str(path)!r}: expected a finished training. Received: "
            f"status={manifest.status!r}. Go on with it: tfxfer train --resume --out {path}"
        )
    rows = read_split_table(check_sealed(run, run.split_path))
    fingerprints = {row.path: row.fingerprint for row in rows if row.fingerprint}
    if not run.predictions_path.is_file() or not fingerprints:
        raise RunError(
            f"run {str(path)!r}: expected predictions.csv, and fingerprints in split.csv. "
            "Received: a run of before they were kept. Score it anew: --data DATA"
        )
    parts = SPLITS[split]
    answers = _list_rows(read_run_answers(run), where=f"run {str(path)!r}", parts=parts)
    known = [x for x in answers if x.path in fingerprints]
    found, remarks = _index([fingerprints[x.path] for x in known], known, name=str(path))
    learning = {"train"} if "val" in parts else {"train", "val"}
    learnt = frozenset(x.fingerprint for x in rows if x.split in learning and x.fingerprint)
    unsealed = describe_unsealed(run, manifest)
    told = (*remarks, unsealed) if unsealed else remarks
    return Answers(manifest.head, manifest.labels, found, learnt, remarks=told)


def ask_model(
    model: str | Path,
    data: str | Path,
    predictor: Predictor,
    *,
    progress: Progress | None = None,
) -> Answers:
    """Returns what a model answers to those of DATA that it has not learnt from.

    Args:
        model: a run, or a model file.
        data: labelled samples.
        predictor: of the model.
        progress: told of samples done.

    Raises:
        DataError: data that cannot be used, or answers that are never simply right.
    """
    unseen = load_unseen(model, data, predictor, progress=progress)
    split = unseen.split
    rows = list_answers(predictor, split, score_split(predictor, split, progress=progress))
    answers = _list_rows(rows, where=f"model {str(model)!r}", parts=None)
    found, remarks = _index(split.fingerprints, answers, name=str(model))
    return Answers(
        predictor.head.name,
        predictor.labels,
        found,
        left_out=unseen.left_out,
        remarks=(*(f"{model}: {remark}" for remark in unseen.remarks), *remarks),
    )


def _index(
    fingerprints: Sequence[str], answers: Sequence[ModelAnswer], *, name: str
) -> tuple[dict[str, ModelAnswer], tuple[str, ...]]:
    found = dict(zip(fingerprints, answers, strict=True))
    copies = len(answers) - len(found)
    words = f"{name}: {copies} copies of other samples count once"
    return found, (words,) if copies else ()


def read_run_answers(run: RunDirectory) -> list[dict[str, str]]:
    """Returns the rows of a run's `predictions.csv`, with paths and labels as its data has them.

    In the table of a run their control characters are escapes, which name no file and no label.

    Raises:
        RunError: `run.json` cannot be read, or the answers are not those of the training.
        DataError: a table that cannot be read, or has other columns.
    """
    rows = read_answer_table(check_sealed(run, run.predictions_path))
    table = check_sealed(run, run.split_path)
    split = read_split_table(table) if table.is_file() else ()
    paths = {escape_controls(row.path): row.path for row in split}
    labels = {escape_controls(label): label for label in run.read_manifest().labels}
    known = {"path": paths, "truth": labels, "label": labels}
    return [
        {key: known[key].get(value, value) if key in known else value for key, value in row.items()}
        for row in rows
    ]


def read_answer_table(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a `predictions.csv`, all of them text, without what guards its cells.

    Raises:
        DataError: it cannot be read, or has other columns or a row of more or fewer cells.
    """
    try:
        text = read_bytes(path, MOST_TABLE_BYTES).decode()
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows, columns = list(reader), tuple(reader.fieldnames or ())
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"table {str(path)!r}: expected the answers of a run. Received: {error}."
        ) from error
    if columns != _COLUMNS:
        raise DataError(
            f"table {str(path)!r}: expected the columns {','.join(_COLUMNS)}. "
            f"Received: {','.join(columns)[:80] or 'nothing'}."
        )
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise DataError(
                f"table {str(path)!r}: expected {len(_COLUMNS)} cells in each row. "
                f"Received: more or fewer in row {number}."
            )
    return [{key: unguard_cell(value) for key, value in row.items()} for row in rows]


def _list_rows(
    rows: Iterable[Mapping[str, str]], *, where: str, parts: Sequence[str] | None
) -> list[ModelAnswer]:
    chosen = [row for row in rows if parts is None or row["split"] in parts]
    if any(row["right"] not in ("true", "false") for row in chosen):
        raise DataError(
            f"{where}: expected answers that are right or wrong. Received: a task whose answers "
            "are nearer or farther. Compare the figures of `tfxfer evaluate`."
        )
    return [
        ModelAnswer(row["path"], row["truth"], row["label"], row["right"] == "true")
        for row in chosen
    ]
