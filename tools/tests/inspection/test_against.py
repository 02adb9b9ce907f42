"""A file beside a run that was really trained, and files that are none of it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer_edge.inspection.against import compare_with_run

from ..cli.test_inspect import REGISTRY
from .built_files import BuiltFile

Capture: TypeAlias = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def found(colour_run: Any, exported: Path) -> dict[str, Any]:
    return compare_with_run(exported / "model_int8.tflite", colour_run.path, samples=9)


def test_the_integer_file_of_a_run(found: dict[str, Any]) -> None:
    assert (found["samples"], found["split"], found["noun"]) == (9, "val", "images")
    assert found["metric"]["name"] == "accuracy"
    for side in ("float", "file"):
        assert 0.5 < found[side]["value"] <= 1.0  # of three colours
        assert found[side]["low"] < found[side]["value"] <= found[side]["high"]
    assert 0 < found["scores_error"] < 0.5
    noises = [item["sqnr_db"] for item in found["tensors"]]
    assert len(noises) == found["compared"] > 50
    assert noises == sorted(noises)
    assert all(item["relative_rms"] >= 0 for item in found["tensors"])
    # Rounding alone is better than rounding upon rounding, on the whole.
    own = [item["own_sqnr_db"] for item in found["tensors"]]
    assert np.median([value for value in own if value is not None]) > np.median(noises)


def test_what_operators_cost_adds_up(found: dict[str, Any]) -> None:
    shares = [row["share"]["value"] for row in found["operators"]]
    assert sum(shares) == pytest.approx(1.0)
    assert shares == sorted(shares, reverse=True)
    assert found["costliest"] in found["operators"]


def test_a_float_file_loses_nothing(colour_run: Any, exported: Path) -> None:
    found = compare_with_run(exported / "model_float32.tflite", colour_run.path, samples=3)
    assert found["scores_error"] < 1e-5
    assert (found["operators"], found["costliest"]) == ([], None)
    assert found["agreement"] == 1.0


def test_a_file_of_something_else_is_refused(colour_run: Any, tmp_path: Path) -> None:
    file = BuiltFile()
    source, made = file.add_tensor(1, 8), file.add_tensor(1, 3)
    file.add_operator("FULLY_CONNECTED", [source, file.add_weights(3, 8)], [made])
    path = tmp_path / "other.tflite"
    path.write_bytes(file.to_bytes([source], [made]))
    with pytest.raises(ModelError, match="expected ends of the shapes"):
        compare_with_run(path, colour_run.path)


def test_the_command_shows_tables_or_one_document(
    colour_run: Any, exported: Path, capfd: Capture
) -> None:
    from tfxfer.cli.main import run

    args = ["inspect", str(exported / "model_int8.tflite"), "--against", str(colour_run.path)]
    stdout = io.StringIO()
    assert run([*args, "--images", "4", "--json"], stdout=stdout, registry=REGISTRY) == 0
    document = json.loads(stdout.getvalue())
    assert document["against"]["samples"] == 4
    assert document["kind"] == "tflite"
    capfd.readouterr()
    assert run([*args, "--images", "4"], registry=REGISTRY) == 0
    out = capfd.readouterr().out
    assert "on 4 images of" in out
    assert "WORST OF " in out
    assert "COSTS THE ANSWERS" in out
    assert "most: " in out  # costs most, or seems to
