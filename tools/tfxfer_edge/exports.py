"""A model becomes the smallest file that is as good, in a folder that is ready to copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tfxfer.errors import GateError, ModelError, UsageError
from tfxfer.head import Head
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer_edge.conversion.sources import PreprocessingArgument
from tfxfer_edge.handover.folder import check_folder, write_folder
from tfxfer_edge.proof.comparison import Comparison
from tfxfer_edge.proof.gate import Candidate, choose, ladder
from tfxfer_edge.proof.made import make_file, time_files
from tfxfer_edge.proof.parity import Parity, check_parity
from tfxfer_edge.proof.run_images import pick_calibration
from tfxfer_edge.proof.run_record import read_record
from tfxfer_edge.proof.subject import Subject, open_subject

__all__ = ["ExportResult", "export"]

_PARITY_IMAGES = 16


@dataclass(frozen=True)
class ExportResult:
    """What an export came to.

    Args:
        path: the folder; None where nothing passed.
        document: what `export.json` holds.
    """

    path: Path | None
    document: dict[str, Any]


def export(
    model: str | Path | RunDirectory,
    out: str | Path | None = None,
    *,
    recipes: Sequence[str] = ("auto",),
    max_drop: float | None = 1.0,
    prefer: str = "size",
    allow_float: bool = False,
    quick: bool = False,
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
) -> ExportResult:
    """Quantizes a model, scores every candidate on real images, and keeps the best.

    The choice is made on the validation split, the report is on the test split.

    Args:
        model: a finished training, or a `.keras` or legacy `.h5` file, or a SavedModel.
        out: the folder to make; None is `export/` inside the run.
        recipes: `auto`, or names of `tfxfer_edge.RECIPES`.
        max_drop: points of the task's metric that may be lost, see `judge`; None accepts
            everything.
        prefer: `size` or `latency`, among the candidates that pass.
        allow_float: lets `auto` end with float16.
        quick: does not score a candidate that cannot be chosen any more, since one that is
            smaller and faster has passed.
        calibration: labelled images, which a model outside of a run needs; a run calibrates on
            its own training split unless they are given.
        calibration_images: how many training images find the ranges.
        labels: of a model outside of a run: names of its outputs, in order.
        head: of the same: what they mean; None is the default head.
        preprocessing: of the same: what pixels go through before it, or `in_graph`.
        dynamic_batch: leaves the number of images free; by default it is 1.
        trust: whether code in a `.keras` file (a Lambda) may run.
        seed: of the choice of calibration images.
        overwrite: replace an earlier export.
        progress: told of images scored.
        say: gets remarks, one line each.

    Raises:
        GateError: no candidate passes; its `document` holds the table.
        RunError: `out` is taken.
        UsageError: what a model outside of a run needs is missing.
        ModelError, DataError: see `convert` and `open_subject`.
    """
    tell = say or (lambda line: None)
    names = ladder(recipes, allow_float=allow_float)
    choose([], prefer=prefer)  # refuses another word before minutes of work
    folder = _resolve_folder(model, out)
    check_folder(folder, overwrite=overwrite)
    subject = open_subject(
        model,
        calibration=calibration,
        labels=labels,
        head=head,
        preprocessing=preprocessing,
        dynamic_batch=dynamic_batch,
        trust=trust,
        seed=seed,
        needs_metadata=any(name != "onnx" for name in names),
        progress=progress,
    )
    pixels, files = pick_calibration(subject.calibration, images=calibration_images, seed=seed)
    made = time_files([make_file(subject, name, pixels, tell) for name in names])
    comparison = Comparison(subject, max_drop=max_drop, progress=progress)
    for item in made:
        comparison.add(item, quick=quick)
    candidates = comparison.candidates
    chosen = choose(candidates, prefer=prefer)
    # `auto` leaves one file to copy; who names recipes gets each of them.
    kept = {item.recipe for item in candidates if "auto" not in recipes}
    kept = (kept | {chosen.recipe}) if chosen is not None else set()
    document: dict[str, Any] = {
        ("model" if subject.run is None else "run"): str(subject.path),
        "float": {
            "path": str(subject.file),
            "bytes": subject.bytes,
            "metrics": comparison.reference,
        },
        "candidates": [
            {
                **item.to_dict(),
                "path": str(folder / item.path) if item.path and item.recipe in kept else None,
            }
            for item in candidates
        ],
        "chosen": None if chosen is None else chosen.recipe,
        "max_drop": max_drop,
        "prefer": prefer,
        "calibration": {
            "data": str(subject.calibration.root),
            "images": len(files),
            "seed": seed,
            "files": files,
        },
        # Of train and val: `evaluate` of a file leaves them out, as of the run.
        "trained_on": None if subject.provenance is None else subject.provenance.to_text(),
        "remarks": list(subject.remarks),
    }
    if all(item.path is None for item in candidates):
        failure = ModelError(candidates[0].reason)
        failure.document = document  # type: ignore[attr-defined]
        raise failure
    if chosen is None:
        raise _refuse(
            document,
            f"export of {str(subject.path)!r}: expected a recipe that loses at most {max_drop} "
            f"points. Received: none of {', '.join(names)}. Try --max-drop, "
            "--allow-float, or a backbone made for int8 such as efficientnet_lite0.",
        )
    contents = {item.recipe: item.content for item in made}
    parity = _check_parity(subject, chosen, contents[chosen.recipe])
    document["parity"] = None if parity is None else asdict(parity)
    if parity is not None and parity.fault is not None:
        # Nothing is written: the table must not say that something was chosen.
        document["chosen"] = None
        for entry in document["candidates"]:
            entry["path"] = None
            if entry["recipe"] == chosen.recipe:
                entry["passed"], entry["reason"] = False, parity.fault
        raise _refuse(
            document,
            f"export of {str(subject.path)!r}: expected photos to get Keras's answers from the "
            f"file. Received: {chosen.recipe}: {parity.fault}.",
        )
    write_folder(
        folder,
        main=str(chosen.path),
        files={
            item.path: contents[item.recipe]
            for item in candidates
            if item.path is not None and item.recipe in kept
        },
        labels=subject.predictor.labels,
        document=document,
        candidates=candidates,
    )
    if subject.run is not None:
        _record_in_run(subject.run, folder / str(chosen.path), chosen)
    return ExportResult(folder, document)


def _refuse(document: dict[str, Any], message: str) -> GateError:
    error = GateError(message)
    error.document = document  # type: ignore[attr-defined]
    return error


def _resolve_folder(model: str | Path | RunDirectory, out: str | Path | None) -> Path:
    if out is not None:
        return Path(out).resolve()
    path = model.path if isinstance(model, RunDirectory) else Path(model)
    if path.is_dir() and not (path / "saved_model.pb").is_file():
        return RunDirectory.open(path).export
    raise UsageError(
        f"export of {str(path)!r}: expected a folder to make, for a model outside of a run: "
        "--out DIR. Received: none."
    )


def _check_parity(subject: Subject, chosen: Candidate, content: bytes) -> Parity | None:
    """Returns how photos fare as files, from the disk to the answer; None for ONNX."""
    if not str(chosen.path).endswith(".tflite"):
        return None
    test = subject.data.test
    step = max(1, len(test) // _PARITY_IMAGES)
    photos = [test.root / path for path in test.paths[::step][:_PARITY_IMAGES]]
    return check_parity(subject.predictor, content, photos)


def _record_in_run(run: RunDirectory, path: Path, chosen: Candidate) -> None:
    path = path.absolute()
    entry = {"path": str(path), "recipe": chosen.recipe, "bytes": chosen.bytes}
    with run.lock():
        manifest = run.read_manifest()
        # What an earlier export left in this folder is gone.
        earlier = zip(manifest.exports, read_record(run).exports, strict=True)
        others = [item for item, file in earlier if file.parent != path.parent]
        run.write_manifest(replace(manifest, exports=(*others, entry)))
