"""A model becomes files without a gate: for whoever has photos and no labels.

What the files lose nobody can say without labels. What can be said is how often they answer as the
model did, on samples that found no ranges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.data.arrays import Arrays, count_rows, map_arrays
from tfxfer.data.samples import SampleSplit
from tfxfer.errors import ModelError
from tfxfer.head import Head
from tfxfer.images.modality import ImageModality
from tfxfer.modality import Modality
from tfxfer.preprocessing import Preprocessing
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.system.files import atomic_write
from tfxfer.system.keras_settings import check_keras_settings
from tfxfer_edge.conversion.attempts import convert
from tfxfer_edge.conversion.end_types import EndType
from tfxfer_edge.conversion.recipes import Recipe
from tfxfer_edge.conversion.sources import PreprocessingArgument
from tfxfer_edge.proof.foreign import check_square
from tfxfer_edge.proof.made import add_metadata
from tfxfer_edge.proof.opened import OpenedModel, open_float_model
from tfxfer_edge.proof.plain_samples import list_plain, read_plain
from tfxfer_edge.proof.run_images import load_run_images, pick_calibration
from tfxfer_edge.proof.scoring import open_scorer
from tfxfer_edge.request import check_conversion

__all__ = ["ConvertedFile", "convert_files"]

_MOST_COMPARED = 100


@dataclass(frozen=True)
class ConvertedFile:
    """One file that was written, or why there is none.

    Args:
        recipe: name.
        path: the file; None where the recipe failed.
        bytes: its size, metadata included.
        engine: what quantized it.
        agreement: share of samples with the float model's first answer; None without samples, and
            of outputs that are no shares of one.
        difference: mean absolute difference of the scores, in their own unit; None without samples.
        notes: what was to be noted, or why there is none.
    """

    recipe: str
    path: str | None = None
    bytes: int | None = None
    engine: str | None = None
    agreement: float | None = None
    difference: float | None = None
    notes: tuple[str, ...] = ()


def convert_files(
    model: str | Path | RunDirectory,
    out: str | Path = ".",
    *,
    recipes: Sequence[str | Recipe] = ("int8",),
    io: EndType | None = None,
    calibration: str | Path | None = None,
    calibration_images: int = 100,
    labels: Sequence[str] | None = None,
    head: str | Head | None = None,
    preprocessing: PreprocessingArgument = None,
    dynamic_batch: bool = False,
    trust: bool = False,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Writes a model as files, one per recipe, and judges none of them.

    Args:
        model: a finished training, or a `.keras` or legacy `.h5` file, or a SavedModel.
        out: folder of the files, `MODEL_RECIPE.tflite`.
        recipes: names of `tfxfer_edge.RECIPES`, and recipes of one's own.
        io: type of the ends of TFLite files, see `export`.
        calibration: a folder of samples at any depth, labelled or not; a run calibrates on its own
            training split unless it is given.
        calibration_images: how many find the ranges. Up to 100 others compare the files with the
            model.
        labels: of a model outside of a run: names of its outputs, in order. Without them the file
            does not say what its outputs are.
        head: of the same, where there are labels: what they mean; None is the default head.
        preprocessing: of the same: what pixels go through before it, or `in_graph`.
        dynamic_batch: leaves the number of samples free; by default it is 1.
        trust: whether code in a `.keras` file (a Lambda) may run.
        seed: of the choice of samples.
        overwrite: replace files that are there.
        progress: told of each step, and of how far it is.
        say: gets remarks, one line each.

    Returns:
        What `tfxfer convert --json` prints.

    Raises:
        SetupError, UsageError, RunError, DataError: see `check_conversion`.
        ModelError: no recipe could be done.
        StorageError: a file cannot be written.
    """
    check_keras_settings()
    found, targets = check_conversion(
        model,
        out,
        recipes=recipes,
        io=io,
        calibration=calibration,
        labels=labels,
        head=head,
        preprocessing=preprocessing,
        overwrite=overwrite,
    )
    told, tell = progress or (lambda *_: None), say or (lambda _: None)
    opened = open_float_model(
        model, labels=labels, head=head, preprocessing=preprocessing,
        dynamic_batch=dynamic_batch, trust=trust,
        needs_metadata=any(recipe.kind != "onnx" for recipe in found), progress=progress,
    )  # fmt: skip
    if opened.remark:
        tell(opened.remark)
    split = _read_samples(
        model, opened, calibration, samples=calibration_images + _MOST_COMPARED, seed=seed,
        is_needed=any(recipe.needs_calibration for recipe in found), progress=progress,
    )  # fmt: skip
    used, samples = None, None
    if split is not None:
        samples, used = pick_calibration(split, images=calibration_images, seed=seed)
    others, are_fresh = _pick_others(split, used or (), seed=seed)
    files = []
    for number, (recipe, target) in enumerate(zip(found, targets, strict=True)):
        what = f"converting to {recipe.name} ({number + 1} of {len(found)})"
        told(what, 0, 1)
        files.append(_write(opened, recipe, target, samples, others, io))
        told(what, 1, 1)
        for note in files[-1].notes:
            tell(f"{recipe.name}: {note}")
    if all(item.path is None for item in files):
        raise ModelError("; ".join(files[0].notes))
    return {
        "model": str(opened.path),
        "gated": False,
        "files": [asdict(item) for item in files],
        "calibration": None
        if split is None
        else {
            "data": str(split.root),
            "images": len(used or ()),
            "seed": seed,
            "skipped": [asdict(problem) for problem in split.skipped],
        },
        "compared": None if others is None else {"images": count_rows(others), "unseen": are_fresh},
    }


def _read_samples(
    model: str | Path | RunDirectory,
    opened: OpenedModel,
    calibration: str | Path | None,
    *,
    samples: int,
    seed: int,
    is_needed: bool,
    progress: Progress | None,
) -> SampleSplit | None:
    """Returns samples to calibrate with and to compare on; None where there are none to read."""
    predictor = opened.predictor
    if calibration is None:
        if not is_needed or predictor is None:
            return None
        run = model if isinstance(model, RunDirectory) else RunDirectory(model)
        return load_run_images(run, predictor, progress=progress).train
    modality: Modality
    if predictor is not None:
        modality, size, contract = predictor.modality, predictor.size, predictor.contract
    else:
        check_square(opened.source, opened.path)
        size, _, channels = opened.source.image_shape
        modality, contract = ImageModality(), Preprocessing(grey=channels == 1)
    return read_plain(
        list_plain(calibration, modality),
        modality,
        size=size,
        contract=contract,
        samples=samples,
        seed=seed,
        progress=progress,
    )


def _pick_others(
    split: SampleSplit | None, used: Sequence[str], *, seed: int
) -> tuple[Arrays | None, bool]:
    """Returns samples to compare on, and whether they found no ranges."""
    if split is None:
        return None, False
    known = set(used)
    fresh = np.array([path not in known for path in split.paths])
    part = split.select(fresh) if fresh.any() else split
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(part))[:_MOST_COMPARED])
    return map_arrays(lambda x: x[:, 0], part.read_views(rows)), bool(fresh.any())


def _write(
    opened: OpenedModel,
    recipe: Recipe,
    target: Path,
    samples: Arrays | None,
    others: Arrays | None,
    io: EndType | None,
) -> ConvertedFile:
    model = opened.source if recipe.kind == "onnx" else opened.graph
    try:
        converted = convert(model, recipe=recipe, calibration=samples, io=io)
        card, content = opened.make_card(converted), converted.content
        if card is not None:
            content = add_metadata(converted, card, outputs=opened.graph.outputs)
    except ModelError as error:
        return ConvertedFile(recipe.name, notes=(" ".join(str(error).split()),))
    agreement = difference = None
    if others is not None:
        # A file's scores are one row a sample, also where a network ends in maps.
        expected = opened.graph.run(others).reshape(count_rows(others), -1)
        scores = open_scorer(converted, content).score(others)
        difference = float(np.abs(scores - expected).mean())
        if opened.source.activation == "softmax":
            agreement = float((scores.argmax(axis=1) == expected.argmax(axis=1)).mean())
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as temporary:
        temporary.write_bytes(content)
    return replace(
        ConvertedFile(recipe.name),
        path=str(target),
        bytes=len(content),
        engine=converted.engine,
        agreement=agreement,
        difference=difference,
        notes=converted.notes,
    )
