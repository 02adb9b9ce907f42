"""The data's part of a training by itself: list, read, compare, split, and look at the labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.data.loading import load_samples
from tfxfer.data.samples import SampleData
from tfxfer.errors import StorageError
from tfxfer.head import Head
from tfxfer.progress import Progress
from tfxfer.system.files import write_table

if TYPE_CHECKING:
    from tfxfer.job.prepare import Prepared
    from tfxfer.trust.label_errors import LabelError

__all__ = ["TABLES", "DataAudit", "audit_data", "check_folder", "count_classes"]

TABLES = ("skipped.csv", "split.csv", "duplicates.csv", "label_errors.csv")
"""What `tfxfer audit --out` writes."""

_OF_COPIES = ("conflicting_label", "split_leak", "duplicate", "near_duplicate")


@dataclass(frozen=True, eq=False)
class DataAudit:
    """What is known of a data set before anything is trained on it.

    Args:
        data: the samples, audited and split as a training would.
        classes: of each part, how many samples a class has, by its name; empty for a head whose
            labels do not exclude each other.
        label_errors: labels that look wrong; None where nobody looked.
        reason: why nobody looked, where that is so.
    """

    data: SampleData
    classes: dict[str, dict[str, int]]
    label_errors: tuple[LabelError, ...] | None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        data, errors = self.data, self.label_errors
        parts = {part.name: len(part) for part in (data.train, data.val, data.test)}
        return {
            **data.audit.to_dict(),
            "doubts": list(data.doubts),
            "labels": list(data.labels),
            "split": parts,
            "classes": [
                {"label": label, **{name: self.classes[name].get(label, 0) for name in parts}}
                for label in (data.labels if self.classes else ())
            ],
            "fingerprint": data.fingerprint,
            "label_errors": None if errors is None else [asdict(error) for error in errors],
            "label_check": self.reason,
        }

    def write_tables(self, folder: Path) -> tuple[str, ...]:
        """Writes `TABLES`, of the last only where labels were looked at; returns their names.

        Where they were not, an earlier one is removed: it need not be of these samples.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        from tfxfer.trust.label_errors import write_label_errors

        folder.mkdir(parents=True, exist_ok=True)
        audit = self.data.audit
        write_table(folder / TABLES[0], audit.list_left_out(), columns=("path", "reason"))
        self.data.write_split(folder / TABLES[1])
        copies = [
            {
                "path": problem.path,
                "kind": problem.kind.replace("_", " "),
                "detail": problem.detail,
            }
            for problem in audit.problems
            if problem.kind in _OF_COPIES
        ]
        write_table(folder / TABLES[2], copies, columns=("path", "kind", "detail"))
        if self.label_errors is None:
            _remove(folder / TABLES[3])
            return TABLES[:3]
        write_label_errors(folder / TABLES[3], self.label_errors)
        return TABLES


def audit_data(
    prepared: Prepared, *, check_labels: bool = True, progress: Progress | None = None
) -> DataAudit:
    """Returns what a training would find in its data, and the labels that look wrong.

    Args:
        prepared: what would be trained, from `prepare`.
        check_labels: whether to look at the labels, which takes a pass of the backbone over all
            samples.
        progress: told how far long work is.

    Raises:
        DataError: data that cannot be trained on.
    """
    data = load_samples(
        prepared.source,
        modality=prepared.modality,
        head=prepared.head,
        size=prepared.size,
        contract=prepared.backbone.preprocessing,
        seed=prepared.request.seed,
        least_size=prepared.least_size,
        progress=progress,
    )
    prepared = prepared.at_size(data.train.size)
    classes = count_classes(data, prepared.head)
    if not check_labels:
        return DataAudit(data, classes, None, "not asked for")
    if not classes:
        return DataAudit(data, classes, None, "this head's labels do not exclude each other")
    # Keras starts here: an --out that cannot be written is told before.
    from tfxfer.job.fitting import build
    from tfxfer.trust.label_errors import list_classes
    from tfxfer.trust.label_search import find_label_errors, list_groups
    from tfxfer.trust.probe import can_judge

    parts = [part for part in (data.train, data.val, data.test) if len(part)]
    if not can_judge(list_classes(parts, prepared.head), list_groups(data)):
        return DataAudit(data, classes, None, "too few samples of two classes to judge by others")
    model = build(prepared, data)
    errors = find_label_errors(model, data, seed=prepared.request.seed, progress=progress)
    return DataAudit(data, classes, errors)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"table {str(path)!r}: expected to remove what an earlier audit wrote. "
            f"Received: {error.strerror}."
        ) from error


def count_classes(data: SampleData, head: Head) -> dict[str, dict[str, int]]:
    """Returns how many samples each class has in each part, by name; empty without classes."""
    found = {}
    for part in (data.train, data.val, data.test):
        numbers = head.find_classes(part.targets) if len(part) else ()
        if numbers is None:
            return {}
        found[part.name] = dict(Counter(data.labels[number] for number in numbers))
    return found


def check_folder(folder: str | None, *, overwrite: bool) -> None:
    """Refuses a place where the tables cannot be written, before the work that fills them.

    Args:
        folder: where they are to go; None is nowhere.
        overwrite: whether earlier ones may be replaced.

    Raises:
        StorageError: a file, or a folder that holds one of them.
    """
    if folder is None:
        return
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise StorageError(f"--out {folder!r}: expected a folder. Received: a file.")
    there = [name for name in TABLES if (path / name).exists()]
    if there and not overwrite:
        raise StorageError(
            f"--out {folder!r}: expected no earlier tables. Received: {there[0]}. "
            "To replace them: --overwrite"
        )
