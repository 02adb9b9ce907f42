"""An outside author's example: installed from its wheel, listed, trained, exported, checked."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import Registry, build_model, fit, two_phase
from tfxfer.stages import get_info
from tfxfer.testing import check_backbone

FOLDER = Path(__file__).parents[2] / "examples" / "tfxfer-densenet"
LABELS = ("dark", "light")


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Builds the wheel and unpacks it where this process and those it starts find it."""
    pytest.importorskip("hatchling", reason="builds the wheel: pip install hatchling")
    folder = tmp_path_factory.mktemp("densenet")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*command, "-w", str(folder), str(FOLDER)], check=True)
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    zipfile.ZipFile(wheel).extractall(site)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setenv(
            "PYTHONPATH", os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
        )
        yield site


@pytest.fixture(scope="module")
def registry(installed: Path) -> Registry:
    return Registry()  # the default one has looked before the wheel was there


@pytest.fixture(scope="module")
def model(registry: Registry) -> Any:
    return build_model("densenet169", labels=LABELS, weights=None, image_size=32, registry=registry)


def test_it_is_listed_with_its_provenance(registry: Registry) -> None:
    (component,) = [c for c in registry.list("backbone") if c.name == "densenet169"]
    assert (component.status, component.origin) == ("ok", "tfxfer-densenet 0.1.0")


def test_every_dense_layer_is_a_cut(model: Any) -> None:
    stages = [stage.name for stage in get_info(model).stages]
    assert len(stages) == 1 + 82 + 3 + 1 + 1  # stem, dense layers, transitions, top, pooled
    assert stages[-2:] == ["top", "backbone"]


def test_it_trains_for_a_step_and_runs_in_int8(model: Any) -> None:
    import tensorflow as tf

    from tfxfer_edge import TFLiteModel, convert

    rng = np.random.default_rng(0)
    targets = np.eye(2, dtype=np.float32)[np.arange(16) % 2]
    pixels = (
        rng.uniform(0, 90, (16, 32, 32, 3)).astype(np.float32) + 150 * targets[:, None, None, 1:]
    )
    data = tf.data.Dataset.from_tensor_slices((pixels, targets)).batch(8)
    before = {weight.path: np.array(weight) for weight in model.weights}
    schedule = two_phase(head_epochs=1, epochs=1, unfreeze_from="block_4_30")
    fit(model, (data, data), schedule=schedule, batch_size=8, verbose=0)
    moved = {
        path.split("/")[0] for path in before if not np.array_equal(before[path], _get(model, path))
    }
    assert "conv5_block31_1_conv" in moved
    assert "conv5_block30_1_conv" not in moved
    assert not any(name.endswith("_bn") for name in moved)

    made = convert(model, recipe="int8", calibration=pixels.astype(np.uint8))
    scores = TFLiteModel(made.content).score(pixels[:4])
    expected = np.asarray(model(pixels[:4], training=False))
    # int8 of a network that knows nothing: near, not equal.
    assert np.abs(scores - expected).max() < 0.2


def _get(model: Any, path: str) -> np.ndarray:
    return next(np.array(weight) for weight in model.weights if weight.path == path)


@pytest.mark.slow
def test_it_passes_every_check(registry: Registry) -> None:
    report = check_backbone("densenet169", registry=registry)
    assert report.ok, [result for result in report.results if result.outcome == "failed"]
