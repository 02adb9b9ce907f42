"""`--from RUN`: the run that a training goes on from, its model and its samples."""

from __future__ import annotations

import functools
import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.data.earlier import Earlier
from tfxfer.data.identity import shorten_sha256
from tfxfer.data.record import Record, Source
from tfxfer.data.table import SplitRow, read_split_table
from tfxfer.errors import RunError
from tfxfer.head import Head
from tfxfer.job.demo import stored_source
from tfxfer.job.request import TrainRequest
from tfxfer.registry.lookup import get_modality
from tfxfer.run.directory import RunDirectory
from tfxfer.run.manifest import Manifest
from tfxfer.run.seals import check_sealed
from tfxfer.system.files import file_sha256

if TYPE_CHECKING:
    from tfxfer.registry.lookup import Registry

__all__ = [
    "EarlierRun",
    "add_samples",
    "complete_request",
    "draw_replay",
    "find_fisher",
    "find_root",
    "find_statistics",
    "list_split_files",
    "open_earlier",
]

_VAL_SHARE = 0.15 / 0.85
"""Of the samples kept to learn from, those that choose the epoch: as a split has them."""


@dataclass(frozen=True, eq=False)
class EarlierRun:
    """A run that is done, and what a training takes over from it.

    Args:
        run: where it lies.
        manifest: of it.
        rows: of its split.
        root: the folder that paths in these are relative to; None where its samples are no files.
        registry: where its plugins are looked up.
    """

    run: RunDirectory
    manifest: Manifest
    rows: tuple[SplitRow, ...]
    root: Path | None
    registry: Registry | None = None

    @functools.cached_property
    def model(self) -> Any:
        """Its Keras model, read when first asked for."""
        from tfxfer.inference.keras_model import load_model

        return load_model(self.run.path, registry=self.registry)

    @property
    def known(self) -> Earlier:
        """What it settles for the samples of the training."""
        return Earlier(self.manifest.labels, list_split_files(self.run, self.manifest))

    @functools.cached_property
    def tested(self) -> tuple[Record, ...]:
        """Its test samples, those that are still there as it had them."""
        return tuple(self._find(row) for row in self.rows if row.split == "test" and self._has(row))

    @property
    def fisher_path(self) -> Path:
        """Where it keeps how much each weight matters, if it was trained with `--keep ewc`."""
        return find_fisher(self.run)

    def check_fisher(self) -> None:
        """Refuses to say which weights matter where nobody can, before anything is started.

        Raises:
            RunError: it has no importances of its own, and its samples are gone.
        """
        if not self.fisher_path.is_file() and not self.find_learnt(1):
            raise RunError(
                f"--keep ewc: expected samples that run {str(self.run.path)!r} learnt from, to "
                "measure which weights matter. Received: none that are as it had them. Put them "
                "back, or hold on with --keep distill or l2sp, which need none."
            )

    def check_statistics(self) -> None:
        """Refuses to recall classes of which nothing is left, before anything is started.

        Raises:
            RunError: it has stored no statistics, and its samples are gone.
        """
        if find_statistics(self.run).is_file() or self.find_learnt(1):
            return
        raise RunError(
            f"--keep statistics: expected what run {str(self.run.path)!r} has stored of its "
            "classes, as a training with --keep statistics does, or samples that it learnt from. "
            "Received: neither. Put them back, or hold on with --keep distill or l2sp."
        )

    def count_tested(self) -> int:
        """Returns how many test samples it had."""
        return sum(row.split == "test" for row in self.rows)

    def find_learnt(self, count: int, parts: Collection[str] = ("train",)) -> tuple[Record, ...]:
        """Returns some of the samples that it learnt from and that are still as it had them.

        Args:
            count: at most.
            parts: of its split.
        """
        rows = [row for row in self.rows if row.split in parts]
        found = _take(rows, count, self.manifest.seed, self._has)
        return tuple(self._find(row) for row in found)

    def draw(self, count: int, head: Head, seed: int) -> tuple[Record, ...]:
        """Returns samples that it learnt from, to be learnt from again.

        Args:
            count: of each stratum of labels.
            head: says what strata there are.
            seed: of the draw.

        Raises:
            RunError: its samples are no files, or some label has none left.
        """
        usable = [row for row in self.rows if row.split != "test"]
        if self.root is None:
            raise RunError(
                "--replay: expected a run whose samples are files. Received: "
                f"{str(self.run.path)!r}, which learnt from the cells of a table. Leave "
                "--replay out, and add rows of the old table to the new one."
            )
        strata = head.strata([row.label for row in usable])
        rows = draw_replay(usable, strata, count, seed, is_there=self._has)
        # Of all rows at once: strata of the few that were drawn would be others.
        stratum_of = {row.path: name for row, name in zip(usable, strata, strict=True)}
        lost = sorted(set(strata) - {stratum_of[row.path] for row in rows})
        drawn = [self._find(row) for row in rows]
        if lost or not drawn:
            raise RunError(
                f"--replay: expected samples that run {str(self.run.path)!r} learnt from, in "
                f"{str(self.root)!r}. Received: none that are as it had them of "
                f"{', '.join(map(repr, lost[:5])) or 'any label'}. Put them back, or leave "
                "--replay out."
            )
        return tuple(drawn)

    def _find(self, row: SplitRow) -> Record:
        assert self.root is not None
        return Record(str((self.root / row.path).absolute()), row.label, row.split)

    def _has(self, row: SplitRow) -> bool:
        """Returns whether a sample is there, with the content that the run knew."""
        if self.root is None:
            return False
        path = self.root / row.path
        try:
            if not path.is_file():
                return False
            return not row.fingerprint or shorten_sha256(file_sha256(path)) == row.fingerprint
        except OSError:
            return False


def draw_replay(
    rows: Sequence[SplitRow],
    strata: Sequence[str],
    count: int,
    seed: int,
    *,
    is_there: Any = lambda row: True,
) -> list[SplitRow]:
    """Returns so many samples of each stratum, some of which choose the epoch.

    Which ones follows from the seed and their content, so that more of them are the same and
    others.

    Args:
        rows: of the train and val parts of a split.
        strata: of each.
        count: samples of each stratum, of which 0.15 / 0.85 are of val, as a split has them.
        seed: of the draw.
        is_there: whether a sample can still be read.
    """
    members: dict[tuple[str, str], list[SplitRow]] = defaultdict(list)
    for row, stratum in zip(rows, strata, strict=True):
        members[stratum, row.split].append(row)
    found: list[SplitRow] = []
    for stratum in sorted(set(strata)):
        val = _take(members[stratum, "val"], round(count * _VAL_SHARE), seed, is_there)
        found += [*_take(members[stratum, "train"], count - len(val), seed, is_there), *val]
    return found


def _take(rows: Sequence[SplitRow], count: int, seed: int, is_there: Any) -> list[SplitRow]:
    def rank(row: SplitRow) -> bytes:
        text = f"{seed}:{row.fingerprint or row.path}:{row.path}"
        return hashlib.blake2b(text.encode(), digest_size=8).digest()

    found: list[SplitRow] = []
    for row in sorted(rows, key=rank):
        if len(found) == count:
            break
        if is_there(row):
            found.append(row)
    return found


def find_fisher(run: RunDirectory) -> Path:
    """Returns where a run that is trained with `--keep ewc` keeps how much each weight matters."""
    return run.trust / "fisher.npz"


def find_statistics(run: RunDirectory) -> Path:
    """Returns where a run that is trained with `--keep statistics` keeps those of its classes."""
    return run.trust / "statistics.npz"


def open_earlier(request: TrainRequest, registry: Registry | None) -> EarlierRun | None:
    """Returns the run that a request goes on from; None where it begins anew.

    Raises:
        RunError: no run there, one that is not done, or one of another backbone, head or size.
    """
    if request.from_run is None:
        return None
    run = RunDirectory.open(request.from_run)
    manifest = run.read_manifest()
    where = f"--from {request.from_run!r}"
    if manifest.status != "done" or not run.model_path.is_file():
        what = (
            f"status={manifest.status!r}" if manifest.status != "done" else "no model.keras in it"
        )
        raise RunError(
            f"{where}: expected a run that is done. Received: {what}. "
            f"Go on with it first: tfxfer train --resume --out {request.from_run}"
        )
    asked = {
        "backbone": (request.backbone, manifest.backbone),
        "head": (request.head, manifest.head),
        "size": (request.size, manifest.size),
        "head options": (request.head_options, dict(manifest.head_options)),
    }
    for name, (wanted, had) in asked.items():
        if wanted is not None and wanted != had:
            raise RunError(
                f"{where}: expected its own {name}, {had!r}, since its weights fit no other. "
                f"Received: {wanted!r}. Leave that out, or train anew without --from."
            )
    if not run.split_path.is_file():
        raise RunError(
            f"{where}: expected a run with its split.csv. Received: a run without one. "
            "Nobody knows what it was tested with."
        )
    check_sealed(run, run.model_path)
    rows = read_split_table(check_sealed(run, run.split_path))
    return EarlierRun(run, manifest, rows, find_root(manifest, registry), registry)


def list_split_files(run: RunDirectory, manifest: Manifest) -> tuple[Path, ...]:
    """Returns the splits of a run and of those that it went on from, as far as these are there.

    Raises:
        RunError: one of them is not what its training wrote.
    """
    found = [run.split_path]
    while manifest.request.get("from_run"):
        run = RunDirectory(Path(str(manifest.request["from_run"])))
        if not run.manifest_path.is_file() or run.split_path in found:
            break
        manifest = run.read_manifest()
        if run.split_path.is_file():
            found.append(check_sealed(run, run.split_path))
    return tuple(found)


def find_root(manifest: Manifest, registry: Registry | None) -> Path | None:
    """Returns the folder of a run's samples; None where they are cells of a table."""
    data = str(manifest.request.get("data", ""))
    stored = stored_source(data, registry)
    if stored is not None:
        has_cells = any(record.content is not None for record in stored.records)
        return None if has_cells else stored.root
    path = Path(data)
    if not data:
        return None
    is_table = path.is_file() or (path.suffix != "" and not path.is_dir())
    if not is_table:
        return path
    return None if get_modality(manifest.modality, registry).reads_cells else path.parent


def complete_request(request: TrainRequest, earlier: EarlierRun) -> TrainRequest:
    """Returns a request with what the earlier run settles: head, options and size."""
    manifest = earlier.manifest
    return replace(
        request,
        head=manifest.head,
        head_options=dict(manifest.head_options),
        size=manifest.size,
    )


def add_samples(source: Source, earlier: EarlierRun, request: TrainRequest, head: Head) -> Source:
    """Returns the new samples with those of the earlier run: its test split, and what is replayed.

    Raises:
        RunError: nothing is left to be replayed.
    """
    own = {str((source.root / r.path).absolute()) for r in source.records if r.content is None}
    records = list(earlier.tested)
    if request.replay:
        records += earlier.draw(request.replay, head, request.seed)
    added = [record for record in records if record.path not in own]
    everything = sorted((*source.records, *added), key=lambda record: record.path)
    return replace(source, records=tuple(everything))
