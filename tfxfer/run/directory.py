"""The run directory: one manifest and the files it speaks of, each written in one step.

run.json      what was asked, what was used, what came out (`Manifest`)
model.keras   the best model, float32
labels.txt    one output per line
assets/       files that the samples' modality needs, such as a vocabulary
split.csv     which image went where
slices.csv    what else the data says of each image, where it does
history.csv   one row per epoch
skipped.csv   which files of the data were left out, and why
predictions.csv  what the model says of each validation and test sample
checkpoints/  what `--resume` goes on from
trust/        what was found out about the result, one record per question
explain/      pictures of where the model looks
export/       what goes to the phone
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tfxfer.errors import DataError, RunError, StorageError
from tfxfer.run.lock import break_lock, hold_lock
from tfxfer.run.manifest import (
    DataSummary,
    Manifest,
    PhaseRecord,
    RunStatus,
    WeightsUsed,
    collect_versions,
)
from tfxfer.system.arguments import check_path
from tfxfer.system.bounded import MOST_LABELS_BYTES, read_text
from tfxfer.system.files import (
    TEMPORARY,
    atomic_write,
    describe_storage_error,
    to_json,
    write_table,
)
from tfxfer.system.records import read_document
from tfxfer.system.scratch import has_owner, remove_dead

__all__ = [
    "DataSummary",
    "Manifest",
    "PhaseRecord",
    "RunDirectory",
    "RunStatus",
    "WeightsUsed",
    "atomic_write",
    "collect_versions",
    "is_run_folder",
    "load_run",
]

_MANIFEST = "run.json"
_MARKER = ".tfxfer-run"
_LOCK = ".lock"
_OLD = ".old-"
# All that a run writes: --overwrite removes these and never a file that somebody put beside them.
_OWN = (
    _MANIFEST,
    "model.keras",
    "labels.txt",
    "assets",
    "split.csv",
    "slices.csv",
    "history.csv",
    "skipped.csv",
    "predictions.csv",
    "checkpoints",
    "data",
    "export",
    "trust",
    "explain",
    "report.html",
)


class RunDirectory:
    """A folder that holds one training. Make one with `create` or `open`.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = check_path(path, where="run")

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    @classmethod
    def create(cls, path: str | Path, *, overwrite: bool = False) -> Self:
        """Returns a run directory without results.

        Args:
            path: a new or empty folder, or with `overwrite` one that holds a run.
            overwrite: remove that run first; files that are not a run's stay.

        Raises:
            RunError: the folder holds something, is no folder, or another process writes to it.
            StorageError: it cannot be written.
        """
        cls.check_free(path, overwrite=overwrite)
        run = cls(path)
        with _storage_errors(run.path):
            run.path.mkdir(parents=True, exist_ok=True)
            with run.lock():
                # Again: until the lock was ours, another process may have finished a run here.
                run._refuse_results(overwrite=overwrite)
                if run._is_run():
                    run._clear()
                if not run.read_mark():
                    run._write_text(run.path / _MARKER, f"{secrets.token_hex(8)}\n")
                run.checkpoints.mkdir(exist_ok=True)
                run.export.mkdir(exist_ok=True)
        return run

    @classmethod
    def check_free(cls, path: str | Path, *, overwrite: bool = False) -> None:
        """Refuses a folder that `create` would refuse.

        Long work asks this before it begins, and creates once it has something to write.

        Raises:
            RunError: the folder holds something, or is no folder.
        """
        run = cls(path)
        shown = str(run.path)
        if run.path.exists() and not run.path.is_dir():
            raise RunError(
                f"cannot make a run at {shown!r}: expected a folder. Received: a file. "
                "Choose another --out."
            )
        run._refuse_results(overwrite=overwrite)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Returns the run directory at `path`.

        Raises:
            RunError: there is none, or its manifest cannot be read.
        """
        run = cls(path)
        if not run.manifest_path.is_file():
            kinds = {run.path.is_dir(): "a folder without it", run.path.is_file(): "a file"}
            what = kinds.get(True, "no such folder")
            raise RunError(
                f"no run at {str(run.path)!r}: expected a folder with {_MANIFEST}, as `tfxfer "
                f"train --out` makes one. Received: {what}."
            )
        run.read_manifest()
        return run

    @property
    def manifest_path(self) -> Path:
        """`run.json`."""
        return self.path / _MANIFEST

    @property
    def model_path(self) -> Path:
        """`model.keras`."""
        return self.path / "model.keras"

    @property
    def labels_path(self) -> Path:
        """`labels.txt`."""
        return self.path / "labels.txt"

    @property
    def assets(self) -> Path:
        """`assets/`: files that the samples' modality needs, such as a vocabulary; mostly none."""
        return self.path / "assets"

    @property
    def split_path(self) -> Path:
        """`split.csv`."""
        return self.path / "split.csv"

    @property
    def slices_path(self) -> Path:
        """`slices.csv`, where the data says more of its samples than their labels."""
        return self.path / "slices.csv"

    @property
    def history_path(self) -> Path:
        """`history.csv`."""
        return self.path / "history.csv"

    @property
    def skipped_path(self) -> Path:
        """`skipped.csv`."""
        return self.path / "skipped.csv"

    @property
    def predictions_path(self) -> Path:
        """`predictions.csv`."""
        return self.path / "predictions.csv"

    @property
    def checkpoints(self) -> Path:
        """`checkpoints/`."""
        return self.path / "checkpoints"

    @property
    def export(self) -> Path:
        """`export/`."""
        return self.path / "export"

    @property
    def trust(self) -> Path:
        """`trust/`, which the first record in it makes."""
        return self.path / "trust"

    @property
    def explain(self) -> Path:
        """`explain/`, which the first picture in it makes."""
        return self.path / "explain"

    @property
    def label_errors_path(self) -> Path:
        """`trust/label_errors.csv`."""
        return self.trust / "label_errors.csv"

    @property
    def audit_path(self) -> Path:
        """`trust/audit.json`."""
        return self.trust / "audit.json"

    @property
    def report_path(self) -> Path:
        """`report.html`."""
        return self.path / "report.html"

    def read_mark(self) -> str:
        """Returns what tells this folder from one of the same path on another machine.

        Empty for a folder that an earlier version made, or that is no run's.
        """
        try:
            with (self.path / _MARKER).open("rb") as file:
                found = re.fullmatch(rb"([0-9a-f]{16})\n", file.read(32))
        except OSError:
            return ""
        return "" if found is None else found[1].decode("ascii")

    def read_manifest(self) -> Manifest:
        """Returns what `run.json` says.

        Raises:
            RunError: it is missing, not JSON, or of another version.
        """
        document = read_document(self.manifest_path, expected="the JSON of a run", error=RunError)
        try:
            return Manifest.from_dict(document)
        except RunError as error:
            raise RunError(f"cannot read {str(self.manifest_path)!r}: {error}") from error

    def is_whole(self) -> bool:
        """Returns whether the run is done and its model is there."""
        return self.read_manifest().status == "done" and self.model_path.is_file()

    def write_manifest(self, manifest: Manifest) -> None:
        """Replaces `run.json` in one step."""
        self._write_text(self.manifest_path, to_json(manifest.to_dict()))

    def read_labels(self) -> tuple[str, ...]:
        """Returns the lines of `labels.txt`."""
        try:
            text = read_text(self.labels_path, MOST_LABELS_BYTES)
        except (OSError, ValueError) as error:
            raise RunError(
                f"cannot read {str(self.labels_path)!r}: expected one label per line. "
                f"Received: {type(error).__name__}: {error}."
            ) from error
        # Not splitlines: it also breaks at characters that a label may hold, such as U+2028.
        return tuple(text.removesuffix("\n").split("\n")) if text else ()

    def write_labels(self, labels: Sequence[str]) -> None:
        """Replaces `labels.txt` in one step.

        Raises:
            DataError: a label has a line break, and could not be read back.
        """
        for label in labels:
            if not label or "\n" in label or "\r" in label:
                raise DataError(
                    "labels.txt: expected labels of one line each. "
                    f"Received: label={label!r}. Rename that class."
                )
        self._write_text(self.labels_path, "".join(f"{label}\n" for label in labels))

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replaces `history.csv` in one step; one row per epoch."""
        write_table(self.history_path, rows)

    def write_skipped(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Replaces `skipped.csv` in one step; one row, `path` and `reason`, per file left out."""
        write_table(self.skipped_path, rows, columns=("path", "reason"))

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other processes from writing to this run until the block ends.

        What a process left half-written that died goes.

        Raises:
            RunError: another process has the lock.
        """
        path = self.path / _LOCK
        with contextlib.ExitStack() as stack:
            with _storage_errors(path):
                stack.enter_context(hold_lock(path))
            self._remove_remains()
            yield

    def break_lock(self) -> None:
        """Takes the lock from a process on another machine, of which a person says that it is gone.

        Does nothing where nobody has the lock.

        Raises:
            RunError: a process on this machine has it, or one that has not said where it is.
        """
        if self.path.is_dir():
            with _storage_errors(self.path / _LOCK):
                break_lock(self.path / _LOCK)

    def list_folders(self) -> tuple[Path, ...]:
        """Returns the folders in which this run is written: itself, and those in it."""
        return (self.path, *(self.path / name for name in _OWN if (self.path / name).is_dir()))

    def _remove_remains(self) -> None:
        """Removes what dead processes left here. The lock is held."""
        for folder in self.list_folders():
            remove_dead(folder)
        # Earlier versions wrote no owner into a name, and nothing here without the lock.
        for leftover in self.path.glob(TEMPORARY):
            if not has_owner(leftover):
                with contextlib.suppress(OSError):
                    leftover.unlink()
        for aside in self.path.glob(f"{_OLD}*"):
            shutil.rmtree(aside, ignore_errors=True)

    def _write_text(self, path: Path, text: str) -> None:
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")

    def _is_run(self) -> bool:
        if (self.path / _MARKER).is_file():
            return True
        try:
            document = read_document(
                self.manifest_path, expected="the JSON of a run", error=RunError
            )
        except RunError:
            return False
        # Other tools write a run.json, too.
        return {"tfxfer", "backbone", "head"} <= set(document)

    def _refuse_results(self, *, overwrite: bool) -> None:
        """Raises RunError if there is something here that must not be lost."""
        if not self.path.is_dir():
            return
        # Hidden: the lock, the marker, and what an interrupted write or overwrite left behind.
        found = [entry for entry in self.path.iterdir() if not _is_trace(entry)]
        is_run = self._is_run()
        if is_run:
            # A run that was stopped before it wrote anything is as good as an empty folder.
            found = [entry for entry in found if not entry.is_dir() or any(entry.iterdir())]
        if not found or (is_run and overwrite):
            return
        raise RunError(
            f"cannot make a run at {str(self.path)!r}: expected a new or empty folder. Received: "
            + (
                "an earlier run. To go on with it: --resume. To replace it: --overwrite"
                if is_run
                else f"a folder with {found[0].name!r}, which is no run. --overwrite and --resume "
                "take only a run: choose another folder."
            )
        )

    def _clear(self) -> None:
        # First aside, in one rename each, then away: an interruption leaves no half-deleted run
        # that looks whole.
        old = self.path / f"{_OLD}{secrets.token_hex(4)}"
        old.mkdir()
        for name in _OWN:
            entry = self.path / name
            if entry.exists() or entry.is_symlink():
                entry.rename(old / name)
        for aside in self.path.glob(f"{_OLD}*"):
            shutil.rmtree(aside)


def is_run_folder(path: Path) -> bool:
    """Returns whether a folder holds a run, or what is left of one."""
    return (path / _MARKER).is_file() or (path / _MANIFEST).is_file()


def _is_trace(entry: Path) -> bool:
    return entry.name == _MARKER or entry.name.startswith((_LOCK, _OLD)) or entry.match(TEMPORARY)


def load_run(path: str | Path) -> RunDirectory:
    """Returns the run directory at `path`; see `RunDirectory.open`."""
    return RunDirectory.open(path)


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = describe_storage_error(error, path, also=tuple(path.parents))
        if message is None:
            raise
        raise StorageError(message) from error
