"""The training of test_fit.py under another Keras backend, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.versions

JAX = """
import os, sys
import numpy as np
import keras
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import conftest
import tfxfer.head
from tfxfer import Control, Phase, build_model, fit, load_images
from tfxfer.adaptation.penalties import make_penalty
from tfxfer.training.companion import Companion
from tfxfer_heads import Classification
import tensorflow as tf
from PIL import Image

assert keras.backend.backend() == "jax"
tfxfer.head._FEW = 0  # so few samples would choose no epoch


def norms(model):
    return [np.array(item) for item in model.weights if "_bn/" in item.path]


def run(data, **options):
    model = build_model(
        conftest.TinyBackbone(), labels=["0", "1", "2"], head=Classification(), weights=None
    )
    conftest.spread_statistics(model)
    before, kept = norms(model), []

    class Keep(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            assert all(np.isfinite(np.array(item)).all() for item in self.model.weights)
            self.own = self.model.get_weights()

        def on_epoch_end(self, epoch, logs=None):
            kept.append(self.model.get_weights())
            same = [np.array_equal(x, y) for x, y in zip(self.own, kept[-1], strict=True)]
            assert all(same) == (epoch < 2), epoch

    phases = [
        Phase("head", "backbone", 2, 3e-2),
        Phase("up", "block_1", 2, 1e-2, stage_decay=0.5, average=True),
    ]
    options |= {"batch_size": 8, "verbose": 0, "callbacks": [Keep()]}
    history = fit(model, data, schedule=phases, **options)
    assert model.jit_compile
    losses = history.history["loss"]
    assert losses[-1] < losses[0], losses
    assert all(np.array_equal(x, y) for x, y in zip(before, norms(model), strict=True))
    best = kept[history.state.best_epoch]
    assert all(np.array_equal(x, y) for x, y in zip(best, model.get_weights(), strict=True))
    assert any(not np.array_equal(x, y) for x, y in zip(kept[0], best, strict=True))


parts = [conftest.paint_blobs(n, 3, seed=s) for s, n in enumerate((24, 12))]
pair = [tf.data.Dataset.from_tensor_slices((x.astype("float32"), y)).batch(8) for x, y in parts]
run(pair)
numbers = [part.map(lambda x, y: (x, tf.argmax(y, 1))) for part in pair]
run([part.filter(lambda x, y: True) for part in numbers], cache=False)
root = Path(sys.argv[2])
for part, (pixels, targets) in zip(("train", "val"), parts):
    for number, (image, target) in enumerate(zip(pixels, targets)):
        folder = root / part / str(target.argmax())
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}.png")
photos = load_images(root, head=Classification(), image_size=32, near_duplicates=False)
run(photos)


def accompany(method):
    model = build_model(
        conftest.TinyBackbone(), labels=["0", "1", "2"], head=Classification(), weights=None
    )
    conftest.spread_statistics(model)
    control = Control()
    if method:
        beside = Companion(photos.val, lambda count: make_penalty(method, count, strength=1.0))
        control = Control(companion=beside)
    phases = [Phase("up", "block_1", 2, 1e-2)]
    history = fit(
        model, photos, schedule=phases, augment="none", batch_size=10, control=control, verbose=0
    )
    return history.history, model.get_weights()


plain, before = accompany(None)
for method in ("mmd", "dann"):
    found, weights = accompany(method)
    assert np.isfinite(found["loss"]).all(), method
    assert any(np.abs(x - y).max() > 1e-3 for x, y in zip(weights, before, strict=True)), method
# The discriminator begins near log 2, and its loss is the network's.
assert 0.3 < found["loss"][0] - plain["loss"][0] < 1.5, (found, plain)
print("done")
"""


def test_the_same_code_trains_under_jax(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", JAX, str(Path(__file__).parent.parent), str(tmp_path / "photos")],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("done\n")
