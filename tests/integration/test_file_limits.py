"""Each door that takes a text file, or another that is read whole, goes through the bounded reader.

`tests/system/test_bounded.py` tries the reader itself, below and above its limit.
"""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tfxfer.errors import TfxferError

ROOT = Path(__file__).resolve().parents[2]
SIZE_BYTES = 3 << 30
"""Above every limit: the largest is what offsets of 32 bits reach."""


def take(module: str, name: str) -> Any:
    """Returns what a module has, or skips where its distribution is not installed."""
    return getattr(pytest.importorskip(module), name)


def read_table(path: Path) -> Any:
    from tfxfer.data.sources import read_source
    from tfxfer.images.modality import ImageModality

    return read_source(path, ImageModality())


def add_table(path: Path) -> Any:
    from tfxfer.data.record import Record, Source
    from tfxfer.data.slice_table import add_slices

    return add_slices(Source(path.parent, (Record("a.png", "a"),), "folders"), path)


def open_run(path: Path) -> Any:
    return take("tfxfer.run.directory", "RunDirectory").open(path.parent)


def read_run_labels(path: Path) -> Any:
    return take("tfxfer.run.directory", "RunDirectory")(path.parent).read_labels()


def read_sample_weights(path: Path) -> Any:
    return take("tfxfer.job.sample_weights", "read_weights")(path, ["a.jpg"])


def load_checkpoint(path: Path) -> Any:
    run = take("tfxfer.run.directory", "RunDirectory")(path.parent.parent)
    return take("tfxfer.job.checkpoint", "Checkpoints")(run).load()


def check_description(path: Path) -> Any:
    return take("tfxfer.saved_model", "check_saved_model")(path.parent, remedy="none")


def read_text_sample(path: Path) -> Any:
    read = take("tfxfer_text.texts", "read_text")
    return read(take("tfxfer.sample", "Sample")(path.name, path=path))


def read_text_folder(path: Path) -> Any:
    folder = take("tfxfer_text.folder", "open_folder")(str(path.parent))
    return take("tfxfer_text.folder", "read_encoder")(folder)


def read_module(path: Path) -> Any:
    handle = take("tfxfer_hub.handle", "Handle")(str(path.parent))
    return take("tfxfer_hub.inspection", "read_facts")(path.parent, handle)


def read_kerashub(path: Path) -> Any:
    handle = take("tfxfer_kerashub.handle", "Handle")(str(path.parent))
    return take("tfxfer_kerashub.preset", "read_preset")(handle)


def call(module: str, name: str, convert: Callable[[Path], Any] = Path) -> Callable[[Path], Any]:
    return lambda path: take(module, name)(convert(path))


DOORS: tuple[tuple[str, str, Callable[[Path], Any]], ...] = (
    ("tfxfer.cli.options", "labels.txt", call("tfxfer.cli.options", "read_labels", str)),
    ("tfxfer.data.cells", "samples.csv", read_table),
    ("tfxfer.data.cells", "samples.tsv", read_table),
    ("tfxfer.data.cells", "samples.jsonl", read_table),
    ("tfxfer.data.slice_table", "slices.csv", add_table),
    ("tfxfer.data.table", "split.csv", call("tfxfer.data.table", "read_split_table")),
    (
        "tfxfer.inference.stored_answers",
        "predictions.csv",
        call("tfxfer.inference.stored_answers", "read_answer_table"),
    ),
    ("tfxfer.job.checkpoint", "checkpoints/state.json", load_checkpoint),
    ("tfxfer.job.sample_weights", "weights.csv", read_sample_weights),
    # The page of a run reads many files; this one is no other's.
    ("tfxfer.report.material", "history.csv", call("tfxfer.report.material", "_read_history")),
    ("tfxfer.run.directory", "labels.txt", read_run_labels),
    ("tfxfer.saved_model", "saved_model.pb", check_description),
    ("tfxfer.system.records", "run.json", open_run),
    ("tfxfer.system.records", "audit.json", call("tfxfer.data.audit_file", "read_audit")),
    (
        "tfxfer.trust.label_errors",
        "label_errors.csv",
        call("tfxfer.trust.label_errors", "read_label_errors"),
    ),
    ("tfxfer.trust.gate_rules", "rules.toml", call("tfxfer.trust.gate_rules", "read_gate")),
    ("tfxfer_edge.conversion.onnx", "x.onnx", call("tfxfer_edge.conversion.onnx", "OnnxModel")),
    (
        "tfxfer_edge.conversion.recipe_file",
        "mixed.json",
        call("tfxfer_edge.conversion.recipe_file", "read_recipe"),
    ),
    (
        "tfxfer_edge.inspection.files",
        "x.tflite",
        call("tfxfer_edge.inspection.files", "inspect_file"),
    ),
    ("tfxfer_edge.onnx.soundness", "x.onnx", call("tfxfer_edge.onnx.soundness", "read_onnx_file")),
    (
        "tfxfer_edge.tflite.sample_model",
        "x.tflite",
        call("tfxfer_edge.tflite.sample_model", "read_content"),
    ),
    (
        "tfxfer_edge.tflite.soundness",
        "x.tflite",
        call("tfxfer_edge.tflite.soundness", "check_model_file"),
    ),
    ("tfxfer_hub.inspection", "saved_model.pb", read_module),
    ("tfxfer_kerashub.preset", "config.json", read_kerashub),
    ("tfxfer_text.folder", "config.json", read_text_folder),
    ("tfxfer_text.texts", "text.txt", read_text_sample),
    ("tfxfer_text.vocabulary", "vocab.txt", call("tfxfer_text.vocabulary", "read_vocabulary")),
)


@pytest.mark.parametrize(
    ("module", "name", "read"), DOORS, ids=[f"{module}-{name}" for module, name, _ in DOORS]
)
def test_a_file_above_the_limit_is_refused_in_one_line_and_not_read(
    module: str, name: str, read: Callable[[Path], Any], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(SIZE_BYTES)  # it takes no room
    with pytest.raises(TfxferError):
        read(path)  # imports what it needs, which is no part of what is measured
    tracemalloc.start()
    try:
        with pytest.raises(TfxferError) as caught:
            read(path)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert "\n" not in message
    assert "Received" in message
    assert f"{SIZE_BYTES:,}" in message or f"{SIZE_BYTES}" in message
    assert caught.value.exit_code in (1, 2)
    assert peak_bytes < 4 << 20


def list_readers() -> Iterator[str]:
    """Yields every module that reads through the bounded reader."""
    pattern = re.compile(r"from tfxfer\.system\.bounded import .*\bread_(bytes|text)\b")
    for base in ("", "tools", *(f"plugins/{x.name}" for x in (ROOT / "plugins").iterdir())):
        for path in (ROOT / base).glob("tfxfer*/**/*.py"):
            if pattern.search(path.read_text("utf-8")):
                yield ".".join(path.relative_to(ROOT / base).with_suffix("").parts)


def test_every_module_that_reads_files_whole_has_its_door_above() -> None:
    found = set(list_readers())
    assert len(found) > 10
    assert found == {module for module, _, _ in DOORS}
