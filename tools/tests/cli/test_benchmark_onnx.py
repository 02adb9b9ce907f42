from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from PIL import Image

from tfxfer.cli.main import run as run_cli
from tfxfer.preprocessing import Preprocessing
from tfxfer_edge.onnx.metadata import write_onnx_metadata
from tfxfer_edge.proof.feed import find_feed, find_values
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.timing.latency import store_samples
from tfxfer_edge.timing.onnx_latency import measure_here

from ..onnx_files import LABELS, SIDE, build_onnx, paint_colours

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

Capture: TypeAlias = pytest.CaptureFixture[str]
ZERO_TO_ONE = Preprocessing.from_mean_std(mean=0.0, std=255.0)


def write_file(folder: Path, **options: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    card = ModelCard(name="colours", labels=LABELS, preprocessing=ZERO_TO_ONE)
    path = folder / "colours.onnx"
    path.write_bytes(write_onnx_metadata(build_onnx(**options), card, outputs=3))
    return path


def test_files_are_measured_side_by_side_on_noise_or_photos(tmp_path: Path, capfd: Capture) -> None:
    alone, exported = write_file(tmp_path / "alone"), write_file(tmp_path / "exported")
    for number, pixels in enumerate(paint_colours()):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    calibration = {"data": str(tmp_path), "files": ["0.png", "1.png", "2.png"]}
    manifest = json.dumps({"calibration": calibration})
    exported.with_name("export.json").write_text(manifest)
    args = [str(alone), str(exported), "--runs", "4", "--rounds", "1", "--json"]
    assert run_cli(["benchmark", *args]) == 0
    document = json.loads(capfd.readouterr().out)
    for item, path in zip(document["models"], (alone, exported), strict=True):
        assert item["bytes"] == path.stat().st_size
        assert 0 < item["latency_ms"]["median"] <= item["latency_ms"]["p95"]
        assert 10e6 < item["peak_memory_bytes"] < 300e6
    assert document["inputs"][str(alone)].startswith("noise like that of photos")
    assert document["inputs"][str(exported)] == "3 of the images that it was calibrated with"


def test_photos_are_fed_as_the_file_takes_them(tmp_path: Path) -> None:
    path = write_file(tmp_path)
    feed = find_feed(path)
    assert feed.inputs is not None
    assert feed.inputs["pixels"].shape == (8, 3, SIDE, SIDE)
    assert 0.5 < feed.inputs["pixels"].max() <= 1
    assert find_values(path) == ()


@pytest.mark.parametrize("batch", ["n", 2])
def test_the_measuring_process_runs_what_it_is_given(
    batch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    path = write_file(tmp_path, shape=(batch, 3, SIDE, SIDE))
    samples = np.stack([np.full((3, SIDE, SIDE), number, np.float32) for number in range(3)])
    (tmp_path / "samples").mkdir()
    store_samples(tmp_path / "samples", {"pixels": samples})
    seen: list[tuple[int, ...]] = []
    real = onnxruntime.InferenceSession

    class Session:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.session = real(*args, **kwargs)

        def get_inputs(self) -> Any:
            return self.session.get_inputs()

        def run(self, names: Any, feeds: dict[str, np.ndarray]) -> Any:
            seen.append(tuple(feeds["pixels"][:, 0, 0, 0].astype(int)))
            return self.session.run(names, feeds)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    found = measure_here(str(path), 1, 4, str(tmp_path / "samples"))
    assert len(found["laps_ms"]) == 4  # five to warm up
    times = 1 if batch == "n" else 2
    assert seen == [(number % 3,) * times for number in range(9)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty one, of 0 bytes"),
        (b"no model at all", "15 bytes of something else"),
        (None, "cut off or damaged"),
    ],
    ids=["empty", "text", "cut"],
)
def test_what_is_no_model_is_told_before_a_process_starts(
    content: bytes | None,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    def measure(*_: Any, **__: Any) -> None:
        raise AssertionError("started")

    monkeypatch.setattr("tfxfer_edge.timing.latency.measure", measure)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(build_onnx()[:-40] if content is None else content)
    assert run_cli(["benchmark", str(broken)]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"error: model {str(broken)!r}: expected an .onnx file")
    assert words in line


def test_a_graph_that_does_not_run_is_told(tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "strange.onnx"
    path.write_bytes(build_onnx().replace(b"MatMul", b"MatPul"))
    assert run_cli(["benchmark", str(path)]) == 1
    assert "expected a .onnx file that runs" in capfd.readouterr().err


def test_no_phone_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    monkeypatch.setattr("tfxfer_edge.timing.adb.find_phone", lambda: object())
    assert run_cli(["benchmark", str(write_file(tmp_path)), "--device", "adb"]) == 1
    assert "expected a .tflite file, which benchmark_model runs" in capfd.readouterr().err


def test_a_missing_runtime_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.setattr("tfxfer_edge.onnx.model.importlib.util.find_spec", lambda _: None)
    assert run_cli(["benchmark", str(write_file(tmp_path))]) == 1
    assert capfd.readouterr().err.splitlines()[-1].endswith("pip install onnxruntime")
