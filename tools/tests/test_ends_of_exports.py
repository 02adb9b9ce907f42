"""Whole exports with other ends, with weights alone, and with recipes of one's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.cli.main import run as run_cli
from tfxfer.errors import ModelError, UsageError
from tfxfer.inference.loading import load_predictor
from tfxfer.inference.scoring import predict
from tfxfer_edge import Recipe, export, read_metadata, read_recipe
from tfxfer_edge.conversion import attempts
from tfxfer_edge.handover.folder import _list_strangers
from tfxfer_edge.request import check_request
from tfxfer_edge.tflite import metadata_schema as schema
from tfxfer_edge.tflite.flatbuffer import tensor_table
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.tflite.metadata_table import Table, find_metadata

from .conversion.test_recipe_file import STATIC, make_rule
from .small_files import LABELS, save_classifier, save_photos


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A model outside of a run, and what it has to be given."""
    root = tmp_path_factory.mktemp("ends")
    photos = save_photos(root / "photos")
    return {
        "model": save_classifier(root / "textures.keras", photos),
        "calibration": photos,
        "labels": LABELS,
        "preprocessing": "in_graph",
    }


def read_limits(content: bytes) -> list[tuple[float, float]]:
    """Returns what the metadata says of the values of the input and of the output."""
    buffer = find_metadata(content)
    assert buffer is not None
    (graph,) = Table.of_root(buffer, schema.SCHEMA_IDENTIFIER).tables(schema.Model.SUBGRAPHS)
    ends = (*graph.tables(schema.SubGraph.INPUTS), *graph.tables(schema.SubGraph.OUTPUTS))
    stats = [table for end in ends for table in end.table(schema.Tensor.STATS)]
    return [(x.floats(schema.Stats.MIN)[0], x.floats(schema.Stats.MAX)[0]) for x in stats]


@pytest.mark.parametrize("io", ["uint8", "int8", "float32"])
def test_all_that_reads_a_file_follows_its_ends(
    given: dict[str, Any], tmp_path: Path, io: Any
) -> None:
    told: list[str] = []
    result = export(
        **given, out=tmp_path / "edge", recipes=("int8",), io=io, max_drop=None, say=told.append
    )
    document = result.document
    assert document["io"] == io
    (candidate,) = document["candidates"]
    path = tmp_path / "edge" / "model_int8.tflite"
    model = TFLiteModel(path)
    assert (model.input.dtype, model.output.dtype) == (io, io)
    # The head is fitted to integer features whatever stands before them.
    assert any("the head was fitted" in line or "nearest to float32" in line for line in told)
    assert candidate["agreement"] >= 0.9
    assert candidate["metrics"]["test"]["accuracy"]["value"] >= 0.9
    parity = document["parity"]
    assert parity["contract"] is None
    assert parity["interpreter"]["top1"] >= 0.9
    remarks = [line for line in document["remarks"] if "MediaPipe" in line]
    if io == "int8":
        assert parity["mediapipe"] is None
        assert "expected a uint8 or float32 input" in parity["mediapipe_note"]
        assert len(remarks) == 1
    else:
        assert parity["mediapipe"]["top1"] >= 0.9
        assert remarks == []
    card = read_metadata(path.read_bytes())
    assert card is not None
    assert card.labels == LABELS
    assert (
        read_limits(path.read_bytes())
        == {
            "uint8": [(0.0, 255.0), (0.0, 255.0)],
            "int8": [(-128.0, 127.0), (-128.0, 127.0)],
            "float32": [(pytest.approx(-1, abs=0.01), pytest.approx(1, abs=0.01)), (0.0, 1.0)],
        }[io]
    )
    photo = given["calibration"] / "lying" / "3.png"
    found = predict(load_predictor(path), [photo])[0]
    assert found["label"] == "lying"
    # What an app's developer gets runs, too.
    done = subprocess.run(
        [sys.executable, tmp_path / "edge" / "run.py", photo], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    score, label = done.stdout.splitlines()[0].split()
    assert label == "lying"
    assert abs(float(score) - found["score"]) < 0.02


def test_equal_ends_aside_the_files_are_one_network(given: dict[str, Any], tmp_path: Path) -> None:
    scores = {}
    for io in ("uint8", "int8"):
        out = tmp_path / io
        export(**given, out=out, recipes=("int8",), io=io, max_drop=None)  # type: ignore[arg-type]
        model = TFLiteModel(out / "model_int8.tflite")
        pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
        scores[io] = model.score(pixels)
    np.testing.assert_array_equal(scores["uint8"], scores["int8"])


def test_auto_with_integer_ends_tries_integers_alone(given: dict[str, Any], tmp_path: Path) -> None:
    options = {"out": tmp_path / "edge", **given}
    assert check_request(**options, io="int8").recipes == ("int8", "int8_selective")
    assert "dynamic_w8" in check_request(**options).recipes
    with pytest.raises(UsageError, match=r"with allow_float.*io='int8'"):
        check_request(**options, io="int8", allow_float=True)
    with pytest.raises(UsageError, match="'w8': expected io float32"):
        check_request(**options, io="uint8", recipes=("int8", "w8"))


def test_recipes_of_weights_and_of_files_are_judged_like_others(
    given: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rules, labels = tmp_path / "mixed.json", tmp_path / "labels.txt"
    rules.write_text(json.dumps([STATIC]))
    labels.write_text("\n".join(LABELS))
    arguments = [
        "export", given["model"], "--out", tmp_path / "edge", "--calibration", given["calibration"],
        "--labels", labels, "--preprocessing", "in_graph", "--max-drop", "100",
    ]  # fmt: skip
    arguments = [*map(str, arguments), "--recipe-file", str(rules)]
    code = run_cli([*arguments, "--recipe", "w8", "--recipe", "w4", "--json"])
    out, error = capfd.readouterr()
    assert code == 0, error
    document = json.loads(out)
    assert [item["recipe"] for item in document["candidates"]] == ["w8", "w4", "mixed"]
    for item in document["candidates"]:
        assert item["metrics"]["test"]["accuracy"]["value"] > 0.8
        assert Path(item["path"]).name == f"model_{item['recipe']}.tflite"
        assert Path(item["path"]).stat().st_size == item["bytes"]
    # A second time: the file of a recipe that nobody built in is no stranger.
    assert run_cli([*arguments, "--json"]) == 1
    capfd.readouterr()
    assert run_cli([*arguments, "--overwrite", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert [item["recipe"] for item in document["candidates"]] == ["mixed"]


def test_a_runtime_without_kernels_of_4_bits_costs_that_row_alone(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = attempts.verify

    def verify(content: bytes, **options: Any) -> None:
        if any(row.dtype == "int4" for row in tensor_table(content)):
            raise ModelError("model: expected a file LiteRT runs. Received: no kernel of INT4")
        real(content, **options)

    monkeypatch.setattr(attempts, "verify", verify)
    result = export(**given, out=tmp_path / "edge", recipes=("w8", "w4"), max_drop=None)
    rows = {item["recipe"]: item for item in result.document["candidates"]}
    assert rows["w8"]["passed"]
    assert not rows["w4"]["passed"]
    assert "no kernel of INT4" in rows["w4"]["reason"]
    assert not (tmp_path / "edge" / "model_w4.tflite").exists()


def test_a_bad_recipe_file_costs_no_work(
    given: dict[str, Any],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tfxfer_edge.request.check_request", lambda *_, **__: pytest.fail("asked"))
    rules = tmp_path / "mine.json"
    rules.write_text(json.dumps([make_rule(operator="*")]))
    code = run_cli(
        [
            "export",
            str(given["model"]),
            "--out",
            str(tmp_path / "edge"),
            "--recipe-file",
            str(rules),
        ]
    )
    line = capfd.readouterr().err.strip()
    assert code == 2
    assert "rule 1: expected the keys regex" in line
    assert "\n" not in line
    assert not (tmp_path / "edge").exists()


def test_a_name_may_stand_for_one_recipe_alone(given: dict[str, Any], tmp_path: Path) -> None:
    options = {"out": tmp_path / "edge", **given}
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.json").write_text(json.dumps([make_rule()]))
    mine = [read_recipe(tmp_path / folder / "mine.json") for folder in ("one", "two")]
    with pytest.raises(UsageError, match=r"name of its own for each recipe\. Received: 'mine'"):
        check_request(**options, recipes=mine)
    with pytest.raises(UsageError, match="Received: 'int8'"):
        check_request(**options, recipes=[Recipe("int8", "static", 8, 8, per_channel=False)])
    checked = check_request(**options, recipes=["int8", mine[0]])
    assert (checked.recipes, checked.own) == (("int8", "mine"), {"mine": mine[0]})


def test_a_stranger_beside_an_earlier_export_is_still_one(
    given: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "edge"
    out.mkdir()
    (out / "export.json").write_text('{"candidates": [{"path": "model_mine.tflite"}, 3]}')
    (out / "model_mine.tflite").write_bytes(b"")
    check_request(out=out, **given, overwrite=True)
    assert _list_strangers(out) == ["model_mine.tflite"]  # which stays
    (out / "export.json").write_text('{"candidates": [{"path": "model_mine.tflite"}]}')
    assert _list_strangers(out) == []
