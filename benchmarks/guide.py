"""The transfer-learning guide of keras.io as a plain script: what an engineer writes without us.

Nested base called with `training=False`, a head of pooling, Dropout .2 and one Dense, 20 epochs of
Adam; then everything unfrozen and 10 epochs of Adam at 1e-5. Flips and small rotations as in the
guide. Images are decoded once and kept in memory, which is fairer than the guide itself.

Source:
    https://keras.io/guides/transfer_learning/, with the 20 and 10 epochs of its earlier versions;
    today's page trains 2 and 1, to be quick. We differ: 224 px for 150 px, batches of 32 for 64 as
    ours, several classes for two (softmax and cross-entropy), antialiased resizing, our split, and
    pretrained weights that need no download. Its images are listed and checked by
    `tfxfer.load_images`, which is on its clock, too: 3 s.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["train_guide"]

HEAD_EPOCHS, FINE_EPOCHS = 20, 10
BATCH_IMAGES = 32


def train_guide(
    data: Any, *, backbone: str, seed: int, started: float, state: Path, head_only: bool
) -> dict[str, Any]:
    """Trains as the guide does.

    Its second phase compiles anew, so it goes on from the weights of the first in another process
    as well as in the same.

    Args:
        data: of `tfxfer.load_images`; only its files and its split are used.
        backbone: whose pretrained weights.
        seed: of Keras.
        started: `time.monotonic()` at the start of the process.
        state: file for the weights after the head phase; where it exists, that phase is not
            trained again.
        head_only: stop after the head phase.

    Returns:
        `epochs`, each with its phase, seconds since the start and validation accuracy; `scores` of
        the test images at the end and `head_scores` at the best epoch of the head phase.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    outputs = len(data.labels)
    size = data.train.size
    base = _nested_base(backbone, data.labels, size)
    base.trainable = False
    inputs = keras.Input((size, size, 3))
    x = base(inputs, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    model = keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))

    flip, turn = keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.1)

    def augment(image: Any, target: Any) -> Any:
        return turn(flip(image, training=True), training=True), target

    def read(path: Any, target: Any) -> Any:
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        return tf.image.resize(image, (size, size), antialias=True), target

    def make(split: Any, *, train: bool) -> Any:
        root = str(split.root)
        paths = [f"{root}/{path}" for path in split.paths]
        pairs = tf.data.Dataset.from_tensor_slices((paths, split.targets))
        pairs = pairs.map(read, num_parallel_calls=tf.data.AUTOTUNE).cache()
        if train:
            pairs = pairs.shuffle(len(paths), seed=seed)
        pairs = pairs.batch(BATCH_IMAGES)
        if train:
            pairs = pairs.map(augment, num_parallel_calls=tf.data.AUTOTUNE)
        return pairs.prefetch(tf.data.AUTOTUNE)

    train, val = make(data.train, train=True), make(data.val, train=False)
    test = make(data.test, train=False)
    epochs: list[dict[str, Any]] = []

    class Clock(keras.callbacks.Callback):
        phase = "head"
        best = -1.0
        best_weights: Any = None

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            accuracy = float(logs["val_accuracy"])
            epochs.append(
                {
                    "phase": self.phase,
                    "seconds": time.monotonic() - started,
                    "val_accuracy": accuracy,
                }
            )
            line = f"{self.phase} {epoch + 1}: val_accuracy {accuracy:.4f}"
            print(line, file=sys.stderr, flush=True)
            if accuracy > self.best:
                self.best, self.best_weights = accuracy, self.model.get_weights()

    clock = Clock()

    def fit(rate: float, count: int) -> None:
        model.compile(
            optimizer=keras.optimizers.Adam(rate),
            loss=keras.losses.CategoricalCrossentropy(),
            metrics=["accuracy"],
        )
        # The images are shuffled by the dataset.
        model.fit(
            train, validation_data=val, epochs=count, verbose=0, callbacks=[clock], shuffle=False
        )

    if state.exists():
        with np.load(state) as saved:
            head_scores = saved["head_scores"]
            model.set_weights([saved[f"w{i}"] for i in range(len(model.weights))])
            epochs.extend(json.loads(str(saved["epochs"])))
        earlier = epochs[-1]["seconds"]
        started = time.monotonic() - earlier  # what this process took until here counts once
    else:
        fit(1e-3, HEAD_EPOCHS)
        final = model.get_weights()
        model.set_weights(clock.best_weights)
        head_scores = np.asarray(model.predict(test, verbose=0))
        model.set_weights(final)
        weights = {f"w{i}": value for i, value in enumerate(final)}
        state.parent.mkdir(parents=True, exist_ok=True)
        np.savez(state, head_scores=head_scores, epochs=json.dumps(epochs), **weights)
    if head_only:
        scores = np.asarray(model.predict(test, verbose=0))
    else:
        base.trainable = True
        clock.phase = "fine_tune"
        fit(1e-5, FINE_EPOCHS)
        scores = np.asarray(model.predict(test, verbose=0))
    return {
        "epochs": epochs,
        "seconds": epochs[-1]["seconds"],
        "scores": scores,
        "head_scores": head_scores,
    }


def _nested_base(backbone: str, labels: Any, size: int) -> Any:
    """Returns the pretrained network without its top, pixels to map, as one layer."""
    import keras

    import tfxfer

    model = tfxfer.build_model(backbone, labels=labels, size=size)
    return keras.Model(model.inputs[0], model.get_layer("pool").input, name="base")
