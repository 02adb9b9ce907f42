"""A finished run becomes the smallest file that is as good, in a folder that is ready to copy."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.data import ImageSplit
from tfxfer.errors import GateError, ModelError, RunError
from tfxfer.evaluation import headline, paired_difference, score_predictions
from tfxfer.inference import Predictor, load_model
from tfxfer.progress import Progress
from tfxfer.run import RunDirectory
from tfxfer.storage import atomic_write, to_json
from tfxfer_edge.conversion import Converted, convert
from tfxfer_edge.gate import Candidate, choose, judge, ladder, relative_drop
from tfxfer_edge.graph import freeze
from tfxfer_edge.handover import write_handover
from tfxfer_edge.interpreter import TFLiteModel
from tfxfer_edge.latency import median_latencies
from tfxfer_edge.metadata import ModelCard, write_metadata
from tfxfer_edge.run_images import load_run_images, pick_calibration

__all__ = ["ExportResult", "export"]

_MANIFEST = "export.json"
_BATCH_IMAGES = 32


@dataclass(frozen=True)
class ExportResult:
    """What an export came to.

    Args:
        path: the folder; None where nothing passed.
        document: what `export.json` holds.
    """

    path: Path | None
    document: dict[str, Any]


@dataclass(frozen=True)
class _Made:
    """One recipe's file in memory, or why there is none."""

    recipe: str
    converted: Converted | None
    content: bytes | None
    reason: str


def export(
    run: str | Path | RunDirectory,
    out: str | Path | None = None,
    *,
    recipes: Sequence[str] = ("auto",),
    max_drop: float | None = 1.0,
    prefer: str = "size",
    allow_float: bool = False,
    calibration_images: int = 100,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> ExportResult:
    """Quantizes a run's model, scores every candidate on real images, and keeps the best.

    The choice is made on the validation split, the report is on the test split.

    Args:
        run: a finished training.
        out: the folder to make; None is `export/` inside the run.
        recipes: `auto`, or names of `tfxfer_edge.RECIPES`.
        max_drop: points of the task's metric that may be lost; None accepts everything.
        prefer: `size` or `latency`, among the candidates that pass.
        allow_float: lets `auto` end with float16.
        calibration_images: how many training images find the ranges.
        seed: of their choice.
        overwrite: replace an earlier export.
        progress: told of images scored.
        say: gets remarks, one line each.

    Raises:
        GateError: no candidate passes; its `document` holds the table.
        RunError: `out` is taken.
        ModelError, DataError: see `convert` and `load_run_images`.
    """
    run = run if isinstance(run, RunDirectory) else RunDirectory.open(run)
    folder = run.export if out is None else Path(out)
    _check_folder(folder, overwrite=overwrite)
    tell = say or (lambda line: None)
    names = ladder(recipes, allow_float=allow_float)
    choose([], prefer=prefer)  # refuses another word before minutes of work
    model = load_model(run.path)
    predictor = Predictor.from_model(model)
    data = load_run_images(run, predictor, progress=progress)
    pixels, files = pick_calibration(data.train, images=calibration_images, seed=seed)
    made = _make(model, names, pixels, run, predictor, tell)
    splits = {"val": data.val, "test": data.test}
    scores = _score(predictor, made, splits, progress)
    targets = {name: split.targets for name, split in splits.items()}
    reference = {
        name: score_predictions(
            targets[name],
            scores[name]["float"],
            task=predictor.head.task,
            labels=predictor.labels,
            threshold=predictor.head.threshold,
        )
        for name in splits
    }
    candidates = _candidates(made, scores, targets, reference, predictor, max_drop)
    chosen = choose(candidates, prefer=prefer)
    # `auto` leaves one file to copy; who names recipes gets each of them.
    kept = {item.recipe for item in candidates if "auto" not in recipes}
    kept = (kept | {chosen.recipe}) if chosen is not None else set()
    document: dict[str, Any] = {
        "run": str(run.path),
        "float": {
            "path": str(run.model_path),
            "bytes": run.model_path.stat().st_size,
            "metrics": reference,
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
        "calibration": {"images": len(files), "seed": seed, "files": files},
    }
    if chosen is None:
        error = GateError(
            f"export of {str(run.path)!r}: expected a recipe that loses at most {max_drop} "
            f"points. Received: none of {', '.join(names)}. Try --max-drop, --allow-float, or a "
            "backbone made for int8 such as efficientnet_lite0."
        )
        error.document = document  # type: ignore[attr-defined]
        raise error
    contents = {item.recipe: item.content for item in made}
    files_out = {
        item.path: contents[item.recipe]
        for item in candidates
        if item.path is not None and item.recipe in kept
    }
    _write(folder, str(chosen.path), files_out, document, candidates)
    entry = {"path": str(folder / str(chosen.path)), "recipe": chosen.recipe, "bytes": chosen.bytes}
    with run.lock():
        manifest = run.read_manifest()
        others = [item for item in manifest.exports if item["path"] != entry["path"]]
        run.write_manifest(replace(manifest, exports=(*others, entry)))
    return ExportResult(folder, document)


def _check_folder(folder: Path, *, overwrite: bool) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir():
        raise RunError(f"cannot export to {str(folder)!r}: expected a folder. Received: a file.")
    known = {_MANIFEST, "README.md", "labels.txt"}
    strange = [
        path.name
        for path in folder.iterdir()
        if path.name not in known and not path.name.startswith("model_")
    ]
    if strange and (folder / _MANIFEST).is_file():
        raise RunError(
            f"cannot export to {str(folder)!r}: expected nothing but an earlier export. "
            f"Received: {strange[0]!r} beside it. Choose another --out."
        )
    if overwrite and (folder / _MANIFEST).is_file():
        return
    what = "an earlier export: --overwrite" if (folder / _MANIFEST).is_file() else "other files"
    raise RunError(
        f"cannot export to {str(folder)!r}: expected a new or empty folder. Received: {what}."
    )


def _make(
    model: Any,
    names: Sequence[str],
    pixels: np.ndarray,
    run: RunDirectory,
    predictor: Predictor,
    tell: Callable[[str], None],
) -> list[_Made]:
    manifest = run.read_manifest()
    graph = freeze(model)
    made = []
    for name in names:
        try:
            converted = convert(model if name == "onnx" else graph, recipe=name, calibration=pixels)
            content = converted.content
            if converted.suffix == ".tflite":
                content = write_metadata(content, _card(converted, manifest, predictor))
        except ModelError as error:
            tell(f"{name}: {error}")
            made.append(_Made(name, None, None, str(error)))
            continue
        for note in converted.notes:
            tell(f"{name}: {note}")
        made.append(_Made(name, converted, content, "; ".join(converted.notes)))
    return made


def _card(converted: Converted, manifest: Any, predictor: Predictor) -> ModelCard:
    licence = manifest.weights.licence if manifest.weights is not None else ""
    return ModelCard(
        name=f"{manifest.backbone} {manifest.head}",
        description=f"{predictor.head.task} into {len(predictor.labels)} outputs, trained with "
        f"tfxfer {manifest.tfxfer} from {manifest.backbone}; {converted.recipe.name}",
        licence=f"pretrained weights: {licence or 'unknown'}",
        labels=predictor.labels,
        metadata_kind=predictor.head.metadata_kind,
        preprocessing=converted.normalization,
        resize=predictor.resize,
    )


def _score(
    predictor: Predictor,
    made: Sequence[_Made],
    splits: dict[str, ImageSplit],
    progress: Progress | None,
) -> dict[str, dict[str, np.ndarray]]:
    """Returns the scores of the float model and of every file, each image read once."""
    readers = {
        item.recipe: TFLiteModel(item.content)
        for item in made
        if item.content is not None
        and item.converted is not None
        and item.converted.suffix == ".tflite"
    }
    total = sum(len(split) for split in splits.values())
    done = 0
    result: dict[str, dict[str, np.ndarray]] = {}
    for name, split in splits.items():
        parts: dict[str, list[np.ndarray]] = {key: [] for key in ("float", *readers)}
        for _, views in split.iter_views(batch_size=_BATCH_IMAGES):
            batch = views[:, 0]
            parts["float"].append(predictor.score(batch))
            for recipe, reader in readers.items():
                parts[recipe].append(reader.score(batch))
            done += len(batch)
            if progress is not None:
                progress("scoring candidates", done, total)
        result[name] = {key: np.concatenate(found) for key, found in parts.items()}
    return result


def _candidates(
    made: Sequence[_Made],
    scores: dict[str, dict[str, np.ndarray]],
    targets: dict[str, np.ndarray],
    reference: dict[str, dict[str, Any]],
    predictor: Predictor,
    max_drop: float | None,
) -> list[Candidate]:
    scored = [item for item in made if item.recipe in scores["val"] and item.content is not None]
    contents = [item.content for item in scored if item.content is not None]
    latencies = dict(zip((item.recipe for item in scored), median_latencies(contents), strict=True))
    metric, _ = headline(reference["val"])
    candidates = []
    for item in made:
        if item.content is None or item.recipe not in latencies:
            reason = item.reason or "not scored: no TFLite file"
            candidates.append(
                Candidate(
                    item.recipe, None, None, None, None, None, None, None, None, False, reason
                )
            )
            continue
        drops = {
            name: paired_difference(
                targets[name],
                scores[name]["float"],
                scores[name][item.recipe],
                task=predictor.head.task,
                metric=metric,
                threshold=predictor.head.threshold,
            )
            for name in ("val", "test")
        }
        drops = {
            name: relative_drop(drop, metric=metric, reference=reference[name][metric]["value"])
            for name, drop in drops.items()
        }
        passed, reason = judge(drops["val"]["value"], max_drop)
        assert item.converted is not None
        candidates.append(
            Candidate(
                recipe=item.recipe,
                path=f"model_{item.recipe}{item.converted.suffix}",
                bytes=len(item.content),
                engine=item.converted.engine,
                metrics={
                    name: score_predictions(
                        targets[name],
                        scores[name][item.recipe],
                        task=predictor.head.task,
                        labels=predictor.labels,
                        threshold=predictor.head.threshold,
                    )
                    for name in ("val", "test")
                },
                drop_points=drops["val"]["value"],
                test_drop_points=drops["test"],
                latency_ms=latencies[item.recipe],
                agreement=_agreement(predictor, scores["test"], item.recipe),
                passed=passed,
                reason=reason or item.reason,
            )
        )
    return candidates


def _agreement(predictor: Predictor, scores: dict[str, np.ndarray], recipe: str) -> float | None:
    if predictor.head.task == "regression":
        return None
    ours = predictor.head.decode(scores[recipe], predictor.labels)
    theirs = predictor.head.decode(scores["float"], predictor.labels)
    return float(np.mean([a.label == b.label for a, b in zip(ours, theirs, strict=True)]))


def _write(
    folder: Path,
    main: str,
    files: dict[str, bytes | None],
    document: dict[str, Any],
    candidates: Sequence[Candidate],
) -> None:
    """Makes the folder beside its place and moves it there whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.tmp-", dir=folder.parent))
    try:
        for name, content in files.items():
            if content is not None:
                with atomic_write(beside / name) as temporary:
                    temporary.write_bytes(content)
        if main.endswith(".tflite"):
            write_handover(beside / main, extra=_table(candidates))
        with atomic_write(beside / _MANIFEST) as temporary:
            temporary.write_text(to_json(document), encoding="utf-8")
        beside.chmod(0o755)
        if folder.exists():
            # Aside in one step: an interruption leaves the old folder or the new one.
            old = beside.with_name(f"{beside.name}-old")
            folder.rename(old)
            beside.rename(folder)
            shutil.rmtree(old)
        else:
            beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _table(candidates: Sequence[Candidate]) -> str:
    lines = [
        "## What was tried",
        "",
        "| recipe | size, MB | ms an image here | points lost, test [95 %] | passed |",
        "|---|---|---|---|---|",
    ]
    for item in candidates:
        if item.bytes is None or item.test_drop_points is None:
            lines.append(f"| {item.recipe} | | | | no: {item.reason} |")
            continue
        drop = item.test_drop_points
        lines.append(
            f"| {item.recipe} | {item.bytes / 1e6:.2f} | {item.latency_ms:.1f} | "
            f"{drop['value']:.1f} [{drop['low']:.1f}, {drop['high']:.1f}] | "
            f"{'yes' if item.passed else 'no'} |"
        )
    return "\n".join(lines)
