"""What is exported: a model, what its outputs mean, and the samples that judge it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tfxfer.data.loading import load_samples, load_split
from tfxfer.data.provenance import Provenance
from tfxfer.data.samples import SampleData, SampleSplit
from tfxfer.errors import DataError
from tfxfer.head import Head
from tfxfer.inference.predictor import Predictor
from tfxfer.inference.unseen import leave_out_known
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.run.seals import describe_unsealed
from tfxfer_edge.conversion.converted import Converted
from tfxfer_edge.conversion.graph import FrozenGraph
from tfxfer_edge.conversion.sources import PreprocessingArgument, Source
from tfxfer_edge.door import find_door
from tfxfer_edge.proof.arguments import check_arguments
from tfxfer_edge.proof.description import (
    choose_packed,
    draft_card,
)
from tfxfer_edge.proof.opened import open_float_model
from tfxfer_edge.proof.plain_samples import is_plain, list_plain, read_plain
from tfxfer_edge.proof.run_images import load_run_images
from tfxfer_edge.proof.run_record import read_record
from tfxfer_edge.tflite.card import ModelCard

__all__ = ["Subject", "open_subject"]

_MOST_PLAIN = 2000  # of a folder without labels, opened to choose from


@dataclass(frozen=True)
class Subject:
    """A model and its samples.

    Args:
        path: the run, or the model file.
        file: the float model itself.
        source: of the conversion; ONNX is written from it.
        graph: of the conversion; every TFLite recipe starts from it.
        predictor: the float model, which every file is compared with.
        data: samples that choose (val) and report (test).
        calibration: samples that find the ranges.
        words: of the metadata: name, what it was made from, licence.
        run: where `path` is one.
        varies: whether it was trained on varied views of its samples, so that they may be judged on
            such; another model does not say.
        view_options: of that, such as whether they may be mirrored.
        provenance: what the model was trained on; None where nothing is known.
        remarks: what a person must be told of the outputs and the samples, a line each.
    """

    path: Path
    file: Path
    source: Source
    graph: FrozenGraph
    predictor: Predictor
    data: SampleData
    calibration: SampleSplit
    words: tuple[str, str, str]
    run: RunDirectory | None = None
    varies: bool = False
    view_options: Mapping[str, Any] = field(default_factory=dict)
    provenance: Provenance | None = None
    remarks: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Size of the float model on disk."""
        if self.file.is_file():
            return self.file.stat().st_size
        return sum(path.stat().st_size for path in self.file.rglob("*") if path.is_file())

    def make_card(self, converted: Converted) -> ModelCard:
        """Returns what the file of a recipe says of itself."""
        card = draft_card(self.predictor, self.words, converted, recipe=converted.recipe.name)
        return replace(card, provenance=choose_packed(self.provenance))


def open_subject(
    model: str | Path | RunDirectory,
    *,
    calibration: str | Path | None = None,
    labels: Sequence[str] | None = None,
    head: str | Head | None = None,
    preprocessing: PreprocessingArgument = None,
    dynamic_batch: bool = False,
    trust: bool = False,
    seed: int = 0,
    needs_metadata: bool = True,
    progress: Progress | None = None,
) -> Subject:
    """Returns a run or a model file with the samples that judge it.

    Args:
        model: a run, or a file or folder that `open_source` reads.
        calibration: labelled samples. A run calibrates on its own training split unless they, or a
            folder of samples without labels, are given; another model needs them, and is judged on
            their validation and test splits.
        labels: names of a model file's outputs, in order.
        head: what they mean; None is the default head.
        preprocessing: what pixels go through before a model file, or `in_graph`.
        dynamic_batch: leaves the number of samples free.
        trust: whether code in a `.keras` file may run.
        seed: of the split of `calibration`.
        needs_metadata: whether a head whose kind of metadata nobody knows is refused.
        progress: told of files read.

    Raises:
        UsageError: what a run knows itself, or what a model file does not say, and nobody did.
        ModelError, RunError, DataError: neither, or samples that do not fit.
    """
    path = model.path if isinstance(model, RunDirectory) else Path(model)
    is_run = check_arguments(
        model, calibration=calibration, labels=labels, head=head, preprocessing=preprocessing
    )
    if is_run:
        return _open_run(
            path,
            calibration,
            dynamic_batch=dynamic_batch,
            needs_metadata=needs_metadata,
            progress=progress,
        )
    assert calibration is not None
    opened = open_float_model(
        model, labels=labels, head=head, preprocessing=preprocessing, dynamic_batch=dynamic_batch,
        trust=trust, needs_metadata=needs_metadata, needs_square=True, progress=progress,
    )  # fmt: skip
    predictor = opened.predictor
    assert predictor is not None  # since there are labels
    data = load_samples(
        calibration,
        modality=predictor.modality,
        size=predictor.size,
        contract=predictor.contract,
        head=predictor.head,
        labels=predictor.labels,
        seed=seed,
        progress=progress,
    )
    for split in (data.val, data.test):
        if not len(split):
            raise DataError(
                f"data {str(calibration)!r}: expected images to choose by and to report on. "
                f"Received: none in {split.name}."
            )
    unseen = leave_out_known(data.test, opened.provenance, path=path)
    return Subject(
        path,
        path,
        opened.source,
        opened.graph,
        predictor,
        replace(data, test=unseen.split),
        data.train,
        opened.words,
        provenance=opened.provenance,
        remarks=(*((opened.remark,) if opened.remark else ()), *unseen.remarks),
    )


def _open_run(
    path: Path,
    calibration: str | Path | None,
    *,
    dynamic_batch: bool,
    needs_metadata: bool,
    progress: Progress | None,
) -> Subject:
    run = RunDirectory.open(path)
    manifest, record = run.read_manifest(), read_record(run)
    opened = open_float_model(
        run, labels=None, head=None, preprocessing=None, dynamic_batch=dynamic_batch,
        trust=False, needs_metadata=needs_metadata, progress=progress,
    )  # fmt: skip
    predictor = opened.predictor
    assert predictor is not None  # a run says what its outputs are
    data = load_run_images(run, predictor, progress=progress)
    split = data.train
    if calibration is not None and is_plain(calibration, predictor.modality, predictor.labels):
        split = read_plain(
            list_plain(calibration, predictor.modality),
            predictor.modality,
            size=predictor.size,
            contract=predictor.contract,
            samples=_MOST_PLAIN,
            progress=progress,
        )
    elif calibration is not None:
        split = load_split(
            calibration,
            modality=predictor.modality,
            size=predictor.size,
            contract=predictor.contract,
            head=predictor.head,
            labels=predictor.labels,
            name="train",
            progress=progress,
        )
    unsealed = describe_unsealed(run, manifest)
    return Subject(
        path,
        run.model_path,
        opened.source,
        opened.graph,
        predictor,
        data,
        split,
        opened.words,
        run,
        varies=record.varies,
        view_options=record.view_options,
        provenance=Provenance.of_rows(data.rows),
        remarks=(
            *([unsealed] if unsealed else []),
            *find_door(opened.source.modality).list_remarks(predictor),
        ),
    )
