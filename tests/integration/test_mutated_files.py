"""Damaged files of every kind that is read without TensorFlow: a reason each, no fault of ours.

`test_mutated_models.py` beside this has those that a network is in.
"""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer.cli.options import read_labels
from tfxfer.data.sources import read_source
from tfxfer.data.table import SplitRow, read_split_table, write_split_table
from tfxfer.errors import ImageError, TfxferError
from tfxfer.images.audit import inspect_image
from tfxfer.images.decode import open_image
from tfxfer.images.modality import ImageModality
from tfxfer.inference.stored_answers import read_answer_table
from tfxfer.run.directory import RunDirectory
from tfxfer.run.manifest import DataSummary, Manifest, PhaseRecord, WeightsUsed
from tfxfer.standard_schedules import two_phase
from tfxfer.trust.gate_rules import read_gate

from ..mutation import mutate_bytes, mutate_many
from .exif import EXIF

PICTURES = {
    "JPEG": (450, "x.jpg", {"quality": 80, "exif": EXIF}),
    "progressive JPEG": (150, "x.jpg", {"format": "JPEG", "progressive": True}),
    "PNG": (450, "x.png", {}),
    "GIF": (350, "x.gif", {}),
    "WEBP": (350, "x.webp", {"lossless": True}),
    "BMP": (250, "x.bmp", {}),
    "TIFF": (250, "x.tif", {}),
    "packed TIFF": (250, "x.tif", {"format": "TIFF", "compression": "tiff_lzw"}),
}


def picture(form: str, **options: Any) -> bytes:
    rng = np.random.default_rng(1)
    pixels = np.linspace(0, 255, 40 * 30 * 3).reshape(30, 40, 3) + rng.normal(0, 9, (30, 40, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
        buffer, **{"format": form, **options}
    )
    return buffer.getvalue()


@pytest.mark.parametrize("kind", PICTURES)
def test_a_damaged_photo_is_read_or_left_out_with_a_reason(kind: str, tmp_path: Path) -> None:
    count, name, options = PICTURES[kind]
    whole, path = picture(kind, **options), tmp_path / name
    path.write_bytes(whole)
    assert inspect_image(path).fault is None
    found: Counter[str] = Counter()
    for content in mutate_many(whole, count, kind=kind):
        path.write_bytes(content)
        fault = inspect_image(path).fault
        found["read" if fault is None else fault[0]] += 1
        assert fault is None or fault[1]
        try:
            open_image(content)
        except ImageError:
            assert fault is not None
    assert found["read"], found
    assert len(found) > 1, found
    assert found.total() == count


def is_taken(read: Callable[[Path], Any], path: Path) -> bool:
    """Whether a file is read; any error but ours, and one of ours that blames us, is raised."""
    try:
        read(path)
    except TfxferError as error:
        if error.exit_code not in (1, 2):
            raise
        return False
    return True


TABLE = "path,label,split,group,weather\n" + "".join(
    f'"a/{n}.jpg",{"cat" if n % 2 else "dög"},{("train", "val", "test")[n % 3]},g{n // 2},"a, b"\n'
    for n in range(12)
)
LINES = "".join(json.dumps({"path": f"a/{n}.jpg", "label": f"é{n % 2}"}) + "\n" for n in range(9))
RULES = """
bound = "low"
least = 30
rules = ["accuracy >= 0.9", "worst-slice recall >= 0.8"]
"""


def write_photos(folder: Path) -> None:
    (folder / "a").mkdir()
    for n in range(12):
        (folder / "a" / f"{n}.jpg").write_bytes(b"x")


def make_split(folder: Path) -> bytes:
    rows = [SplitRow(f"a/{n}.jpg", "cat", "train", "a/0.jpg", f"{n:016x}") for n in range(9)]
    write_split_table(folder / "whole.csv", rows)
    return (folder / "whole.csv").read_bytes()


def read_samples(path: Path) -> Any:
    return read_source(path, ImageModality())


def read_given_labels(path: Path) -> Any:
    return read_labels(str(path))


def read_run_labels(path: Path) -> Any:
    return RunDirectory(path.parent).read_labels()


ANSWERS = b"""path,split,truth,label,score,right
a.png,val,cat,cat,0.5,true
b.png,test,a,b,1,false
"""
TEXTS: dict[str, tuple[int, str, bytes | Callable[[Path], bytes], Callable[[Path], Any]]] = {
    "CSV": (450, "x.csv", TABLE.encode(), read_samples),
    "JSON lines": (200, "x.jsonl", LINES.encode(), read_samples),
    "split": (150, "split.csv", make_split, read_split_table),
    "answers": (150, "predictions.csv", ANSWERS, read_answer_table),
    "TOML": (450, "gate.toml", RULES.encode(), read_gate),
    "labels": (150, "labels.txt", "cat\ndög\nbig cat\n".encode(), read_given_labels),
    "labels of a run": (100, "labels.txt", "cat\ndög\n".encode(), read_run_labels),
}  # fmt: skip


@pytest.mark.parametrize("kind", TEXTS)
def test_a_damaged_text_is_read_or_refused(kind: str, tmp_path: Path) -> None:
    count, name, made, read = TEXTS[kind]
    write_photos(tmp_path)
    path = tmp_path / name
    whole = made(tmp_path) if callable(made) else made
    path.write_bytes(whole)
    assert read(path)
    refused = 0
    for content in mutate_many(whole, count, kind=kind):
        path.write_bytes(content)
        refused += not is_taken(read, path)
    assert 0 < refused < count


def make_manifest() -> dict[str, Any]:
    manifest = Manifest(
        backbone="mobilenet_v2",
        head="classification",
        status="done",
        labels=("cat", "dog"),
        size=32,
        preprocessing={"scale": [1.0] * 3, "offset": [0.0] * 3},
        versions={"keras": "3.15.0"},
        weights=WeightsUsed("imagenet", "ab" * 32),
        data=DataSummary(9, 5, 2, 2, "ab" * 8, skipped=({"path": "x", "reason": "y"},)),
        plan=tuple(
            {"phase": phase, "views": 1, "trainable_parameters": 9, "cached": True}
            for phase in map(asdict, two_phase())
        ),
        phases=(PhaseRecord("head", None, 3, 0.001, 9, True, 1.5),),
        metrics={"test": {"accuracy": {"value": 0.5, "low": 0.1, "high": 0.9}}},
    )
    return manifest.to_dict()


def read_run(folder: Path) -> None:
    manifest = RunDirectory.open(folder).read_manifest()
    manifest.planned_phases()


def test_a_damaged_run_is_read_or_refused(tmp_path: Path) -> None:
    document = make_manifest()
    whole = json.dumps(document, indent=1).encode()
    path = tmp_path / "run.json"
    path.write_bytes(whole)
    (tmp_path / ".tfxfer").touch()
    read_run(tmp_path)
    refused = 0
    for content in mutate_many(whole, 500, kind="run.json"):
        path.write_bytes(content)
        refused += not is_taken(read_run, tmp_path)
    assert refused > 100


def test_the_same_file_is_damaged_alike_on_every_machine() -> None:
    whole = bytes(range(256)) * 4
    first, second = (mutate_bytes(whole, random.Random(7)) for _ in range(2))
    assert first == second != whole
    assert len(set(mutate_many(whole, 200, kind="a"))) > 190
