"""Runs that nobody trained: what a page is made of, with names that mean harm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer.data.audit_file import write_audit
from tfxfer.data.problems import Audit, Problem
from tfxfer.data.table import SplitRow, write_split_table
from tfxfer.evaluation import score_predictions
from tfxfer.preprocessing import Preprocessing
from tfxfer.report.content import Content, make_content
from tfxfer.report.material import Origin, read_material
from tfxfer.report.page import render_page
from tfxfer.report.pictures import PictureBook
from tfxfer.report.quotes import QuoteBook
from tfxfer.run.directory import RunDirectory
from tfxfer.run.manifest import DataSummary, Manifest, PhaseRecord, WeightsUsed
from tfxfer.system.files import to_json, write_table
from tfxfer.system.plain_text import guard_row

ATTACK = "<img src=x onerror=alert(1)>"
LABELS = ("ant", f"bee \"'& {ATTACK}", "$cat$")


def make_rows(
    head: Any, labels: Sequence[str], truths: Sequence[str], scores: np.ndarray, split: str
) -> list[dict[str, Any]]:
    targets = head.encode(truths, labels)
    rights = head.make_figures(targets, scores, labels).rights()
    words = [""] * len(truths)
    if rights:
        words = ["true" if x else "false" for x in next(iter(rights.values())).tolist()]
    return [
        {
            "path": f"{split}/{number:02}{ATTACK if not number else ''}.png",
            "split": split,
            "truth": truth,
            "label": answer.label,
            "score": answer.score,
            "right": word,
        }
        for number, (truth, answer, word) in enumerate(
            zip(truths, head.decode(scores, labels), words, strict=True)
        )
    ]


def fill_run(
    path: Path,
    head: Any,
    labels: Sequence[str],
    truths: Sequence[str],
    scores: np.ndarray,
    *,
    modality: str = "image",
    **changes: Any,
) -> RunDirectory:
    """Writes a finished run whose test and validation have the same answers."""
    run = RunDirectory.create(path)
    targets = head.encode(truths, labels)
    metrics = score_predictions(targets, scores, head=head, labels=labels, resamples=9)
    rows = [
        row for part in ("val", "test") for row in make_rows(head, labels, truths, scores, part)
    ]
    write_table(run.predictions_path, map(guard_row, rows))
    run.write_history(
        [
            {
                "epoch": number,
                "phase": "head" if number < 3 else "fine_tune",
                head.monitor.name.removeprefix("val_"): 0.5 + 0.1 * number,
                "loss": 1 - 0.1 * number,
                head.monitor.name: 0.4 + 0.1 * number,
                "val_loss": 1.1 - 0.1 * number,
                "learning_rate": 0.001,
            }
            for number in range(5)
        ]
    )
    split = [
        SplitRow(row["path"], row["truth"], row["split"], row["path"], f"{number:016x}")
        for number, row in enumerate(rows)
    ]
    write_split_table(run.split_path, split)
    phases = (
        PhaseRecord("head", "backbone", 3, 1e-3, 10, cached=True, seconds=1.0, planned_epochs=3),
        PhaseRecord(
            "fine_tune", "block_1", 2, 1e-4, 99, cached=True, seconds=2.0, best_epoch=3,
            planned_epochs=4, stopped="budget",
        ),
    )  # fmt: skip
    count = len(truths)
    stated = {
        "backbone": "tiny",
        "head": head.name,
        "status": "done",
        "head_options": head.options(),
        "labels": tuple(labels),
        "modality": modality,
        "size": 32,
        "preprocessing": Preprocessing().to_dict(),
        "weights": WeightsUsed("imagenet", licence="Apache-2.0"),
        "data": DataSummary(2 * count, 0, count, count, "f" * 64, notes=("photos of insects",)),
        "phases": phases,
        "metrics": {"val": metrics, "test": metrics},
        "versions": {"python": "3.13.0"},
        **changes,
    }
    run.write_manifest(Manifest(**stated))
    return run


def paint(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((48, 36)).save(path)


@pytest.fixture(scope="session")
def fill() -> Callable[..., RunDirectory]:
    """Returns `fill_run`."""
    return fill_run


@pytest.fixture(scope="session")
def export() -> Callable[[RunDirectory], None]:
    """Returns `write_export`."""
    return write_export


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures of every answer, and of what the audit tells."""
    root = tmp_path / "photos"
    for part in ("val", "test"):
        for number in range(12):
            paint(root / part / f"{number:02}{ATTACK if not number else ''}.png", number)
    (root / "broken.png").write_bytes(b"no picture")
    paint(root / "copy.png")
    return root


@pytest.fixture
def class_run(tmp_path: Path) -> RunDirectory:
    """Twelve answers, of which three are wrong, one of them surely."""
    from tfxfer_heads import Classification

    true = np.arange(12) % 3
    scores = np.full((12, 3), 0.1)
    scores[np.arange(12), true] = 0.8
    for row, said, sure in ((0, 1, 0.9), (3, 1, 0.6), (5, 0, 0.5)):
        scores[row] = (1 - sure) / 2
        scores[row, said] = sure
    run = fill_run(tmp_path / "run", Classification(), LABELS, [LABELS[k] for k in true], scores)
    problems = (
        Problem("broken.png", "corrupt", f"damaged {ATTACK}", skipped=True),
        Problem("copy.png", "near_duplicate", "nearly the same", skipped=False, like="test/01.png"),
    )
    write_audit(run.audit_path, Audit(problems, images=24, files=25, plural="images"))
    write_export(run)
    return run


def write_export(run: RunDirectory) -> None:
    metrics = run.read_manifest().metrics
    drop = {"value": 0.5, "low": -1.0, "high": 2.0}
    candidate = {
        "recipe": "int8", "path": "edge/model_int8.tflite", "bytes": 3_600_000, "metrics": metrics,
        "val_drop_points": drop, "test_drop_points": drop, "latency_ms": 4.4, "agreement": 0.99,
        "passed": True, "reason": "",
    }  # fmt: skip
    lost = {
        **candidate, "recipe": "int16x8", "path": None, "metrics": {}, "latency_ms": None,
        "val_drop_points": None, "test_drop_points": None, "agreement": None, "passed": False,
        "reason": f"not scored {ATTACK}",
    }  # fmt: skip
    document = {
        "float": {"metrics": metrics, "tflite_bytes": 13_000_000, "latency_ms": 7.7},
        "metric": {"name": "accuracy", "title": "accuracy", "is_share": True},
        "candidates": [candidate, lost],
        "chosen": "int8",
        "because": "it is the fastest",
    }
    (run.export / "export.json").write_text(to_json(document))


@pytest.fixture
def render() -> Callable[..., str]:
    """Returns the page of a run; `root` is where its samples are."""

    def make(run: RunDirectory, root: Path | None = None, marks: Any = None, **origin: Any) -> str:
        material = read_material(run, origin=Origin(root, **origin))
        heats = {f"test/{0:02}{ATTACK}.png": np.zeros((8, 8, 3), np.uint8)}
        return render_page(
            make_content(material),
            PictureBook(material, heats),
            QuoteBook(material, marks),
            version="0",
        )

    return make


@pytest.fixture
def describe() -> Callable[..., Content]:
    """Returns what the page of a run says."""
    return lambda run, **origin: make_content(read_material(run, origin=Origin(**origin)))
