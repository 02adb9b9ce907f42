"""A model becomes a file that is as good, smaller and faster, in a folder that is ready to copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tfxfer.errors import ModelError
from tfxfer.head import Head
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.system.keras_settings import check_keras_settings
from tfxfer.trust.groups import choose_groupings
from tfxfer_edge.conversion.end_types import EndType, describe_ends
from tfxfer_edge.conversion.recipes import Recipe, is_onnx
from tfxfer_edge.conversion.sources import PreprocessingArgument
from tfxfer_edge.handover.folder import write_folder
from tfxfer_edge.handover.micro import make_micro
from tfxfer_edge.proof.choice import choose
from tfxfer_edge.proof.chosen import choose_test_rows, make_refusal, try_chosen, withdraw
from tfxfer_edge.proof.comparison import Comparison
from tfxfer_edge.proof.document import describe_export
from tfxfer_edge.proof.gate import Candidate
from tfxfer_edge.proof.limits import parse_limit
from tfxfer_edge.proof.made import Made, make_timed_files
from tfxfer_edge.proof.preference import PREFERENCES
from tfxfer_edge.proof.refit import HeadFitter
from tfxfer_edge.proof.run_images import pick_calibration
from tfxfer_edge.proof.run_record import read_record
from tfxfer_edge.proof.scoring import Scorer, open_scorer
from tfxfer_edge.proof.subject import open_subject
from tfxfer_edge.request import CheckedRequest, check_request

__all__ = ["ExportResult", "export"]


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
    recipes: Sequence[str | Recipe] = ("auto",),
    io: EndType | None = None,
    max_drop: float | str | None = 1.0,
    prefer: str = PREFERENCES[0],
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
    force: bool = False,
    gate: str | Path | None = None,
    refit: bool = True,
    micro: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
    checked: CheckedRequest | None = None,
) -> ExportResult:
    """Quantizes a model, scores every candidate on real samples, and keeps the best.

    The choice is made on the validation split, the report is on the test split.

    Args:
        model: a finished training, or a `.keras` or legacy `.h5` file, or a SavedModel.
        out: the folder to make; None is `export/` inside the run.
        recipes: `auto`, or names of `tfxfer_edge.RECIPES`, and recipes of one's own, such as
            `tfxfer_edge.read_recipe("mixed.json")`.
        io: type of the input and the output of TFLite files: `uint8`, `int8` or `float32`; None is
            uint8 where activations have 8 bits, else float32.
        max_drop: points of the task's metric that may be lost, see `judge`, or a share of what
            the float model has, such as `2%`; None accepts everything.
        prefer: which of the candidates that pass: `balanced`, the fastest, or the smallest of those
            that are as fast; `smallest`, `fastest` or `accurate`. All that pass are kept.
        allow_float: lets `auto` end with float16.
        quick: does not score a candidate that cannot be chosen any more, since one that is
            smaller and faster has passed.
        calibration: labelled images, which a model outside of a run needs; a run calibrates on
            its own training split unless they, or images without labels, are given.
        calibration_images: how many training images find the ranges.
        labels: of a model outside of a run: names of its outputs, in order.
        head: of the same: what they mean; None is the default head.
        preprocessing: of the same: what pixels go through before it, or `in_graph`.
        dynamic_batch: leaves the number of images free; by default it is 1.
        trust: whether code in a `.keras` file (a Lambda) may run.
        seed: of the choice of calibration images.
        overwrite: replace an earlier export.
        force: exports a run whose result was warned of: one at chance, or that never answers with
            some of its labels.
        gate: a TOML file of rules that the answers of a file to the test images must keep, such as
            `worst-slice recall >= 0.8`; see `tfxfer.trust.gate_rules`.
        refit: fits the head of integer files to what these compute for training samples, see
            `tfxfer_edge.conversion.refit`.
        micro: also writes the chosen file as C++ for TensorFlow Lite Micro, `model_data.cc` and
            `model_data.h`, with the memory for tensors that it takes there; see docs/micro.md.
        progress: told of each step, and of how far it is.
        say: gets remarks, one line each.
        checked: what `check_request` returned of the same; None asks it.

    Raises:
        SetupError: another project's settings make Keras another one.
        GateError: no candidate passes; its `document` holds the table. Or the run's own result is
            worth nothing, which `force` ignores.
        RunError: `out` is taken, or another process writes to the run.
        StorageError: `out` cannot be written. Where the run alone cannot, a remark says so.
        UsageError: what a model outside of a run needs is missing.
        ModelError, DataError: see `convert` and `open_subject`.
    """
    check_keras_settings()
    limit = parse_limit(max_drop)
    tell, told = say or (lambda line: None), progress or (lambda *_: None)
    checked = checked or check_request(
        model,
        out,
        recipes=recipes,
        io=io,
        prefer=prefer,
        allow_float=allow_float,
        calibration=calibration,
        labels=labels,
        head=head,
        preprocessing=preprocessing,
        overwrite=overwrite,
        force=force,
        gate=gate,
        micro=micro,
        dynamic_batch=dynamic_batch,
    )
    folder, rules = checked.folder, checked.rules
    names = checked.recipes
    subject = open_subject(
        model,
        calibration=calibration,
        labels=labels,
        head=head,
        preprocessing=preprocessing,
        dynamic_batch=dynamic_batch,
        trust=trust,
        seed=seed,
        needs_metadata=not all(map(is_onnx, names)),
        progress=progress,
    )
    if rules is not None:
        # What cannot be grouped is told before files are made.
        choose_groupings(subject.data.test.slices, (), rules.columns)
    samples, files = pick_calibration(subject.calibration, images=calibration_images, seed=seed)
    fitter = None
    if refit:
        data = subject.data
        fitter = HeadFitter(subject.graph, data.train, data.val, seed=seed, progress=progress)
    recipe_of = {name: checked.own.get(name, name) for name in names}
    made, baseline = make_timed_files(
        subject, recipe_of, samples, tell=tell, progress=told, fitter=fitter, io=io
    )
    comparison = Comparison(
        subject,
        limit=limit,
        named="auto" not in recipes or prefer == "accurate",
        quick=quick and prefer != "accurate",
        stand_in=_open_stand_in(baseline),
        gate=rules,
        progress=progress,
    )
    # What takes longest comes last: it may not be needed any more.
    for item in sorted(made, key=lambda item: item.latency_ms if item.laps_ms else 0.0):
        comparison.add(item)
    candidates = sorted(comparison.candidates, key=lambda item: names.index(item.recipe))
    choice = choose(candidates, prefer=prefer)
    # Whoever names recipes gets each of them.
    kept = {item.recipe for item in candidates if item.passed or "auto" not in recipes}
    document = describe_export(
        subject,
        comparison,
        candidates,
        choice,
        baseline=baseline,
        folder=folder,
        kept=kept if choice is not None else (),
        asked={"max_drop": max_drop, "prefer": prefer, "gate": None if gate is None else str(gate)},
        calibration={
            "data": str(subject.calibration.root),
            "images": len(files),
            "seed": seed,
            "files": files,
        },
    )
    known = subject.provenance
    # Of train and val: `evaluate` of a file leaves them out, as of the run.
    document["trained_on"] = None if known is None else known.to_text()
    unrecorded = () if checked.unrecorded is None else (checked.unrecorded,)
    document["io"] = io
    document["remarks"] = [*checked.warnings, *subject.remarks, *unrecorded, *describe_ends(io)]
    if all(item.path is None for item in candidates):
        failure = ModelError(candidates[0].reason)
        failure.document = document  # type: ignore[attr-defined]
        raise failure
    if choice is None and rules is not None and any(item.gate for item in candidates):
        failed = "; ".join(f"{item.recipe}: {item.reason}" for item in candidates)
        allowed = "" if limit is None else f" and loses at most {limit}"
        raise make_refusal(
            document,
            f"export of {str(subject.path)!r}: expected a file that keeps the rules of "
            f"{rules.source!r}{allowed}. Received: {failed}.",
        )
    if choice is None:
        raise make_refusal(
            document,
            f"export of {str(subject.path)!r}: expected a recipe that loses at most {limit}. "
            f"Received: none of {', '.join(names)}. Try --max-drop, "
            "--allow-float, or a backbone made for int8 such as efficientnet_lite0.",
        )
    chosen, contents = choice.candidate, {item.recipe: item.content for item in made}
    item = next(item for item in made if item.recipe == chosen.recipe)
    parity = try_chosen(subject, item, progress)
    document["parity"] = None if parity is None else asdict(parity)
    if parity is not None and parity.fault is not None:
        withdraw(document, chosen.recipe, parity.fault)
        raise make_refusal(
            document,
            f"export of {str(subject.path)!r}: expected {subject.predictor.modality.plural} to get "
            f"Keras's answers from the file. Received: {chosen.recipe}: {parity.fault}.",
        )
    arrays: dict[str, bytes] = {}
    document["micro"] = None
    if micro:
        rows = choose_test_rows(subject)
        arrays, report = make_micro(subject, item, name=str(chosen.path), rows=rows)
        document["micro"] = report.to_dict()
        if report.fault is not None:
            withdraw(document, chosen.recipe, report.fault)
            raise make_refusal(
                document,
                f"export of {str(subject.path)!r}: expected a microcontroller to answer as LiteRT "
                f"does. Received: {chosen.recipe}: {report.fault}.",
            )
    write_folder(
        folder,
        main=str(chosen.path),
        files={
            item.path: contents[item.recipe]
            for item in candidates
            if item.path is not None and item.recipe in kept
        }
        | arrays,
        labels=subject.predictor.labels,
        document=document,
        candidates=candidates,
    )
    if subject.run is not None and checked.unrecorded is None:
        _record_in_run(subject.run, folder / str(chosen.path), chosen)
    return ExportResult(folder, document)


def _open_stand_in(baseline: Made | None) -> Scorer | None:
    if baseline is None or baseline.converted is None:
        return None
    return open_scorer(baseline.converted, baseline.content)


def _record_in_run(run: RunDirectory, path: Path, chosen: Candidate) -> None:
    path = path.absolute()
    entry = {"path": str(path), "recipe": chosen.recipe, "bytes": chosen.bytes}
    with run.lock():
        manifest = run.read_manifest()
        # What an earlier export left in this folder is gone.
        earlier = zip(manifest.exports, read_record(run).exports, strict=True)
        others = [item for item, file in earlier if file.parent != path.parent]
        run.write_manifest(replace(manifest, exports=(*others, entry)))
