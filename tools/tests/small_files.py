"""A classifier of three kinds of texture as a `.keras` file, and the photos that judge it.

Colour does not tell them apart, so that it does as well on grey photos. Made in a second.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["LABELS", "SIDE", "read_photos", "save_classifier", "save_photos"]

LABELS = ("standing", "lying", "plain")
SIDE = 32
_EACH = 30


def _paint(label: str, rng: np.random.Generator) -> np.ndarray:
    """Returns uint8 (SIDE + 8, SIDE + 8, 3)."""
    side = SIDE + 8
    stripes = np.zeros((side, side, 1))
    if label != "plain":
        stripes += (np.arange(side) // 4 % 2)[:, None, None] * rng.uniform(80, 120)
    if label == "standing":
        stripes = stripes.transpose(1, 0, 2)
    colour = rng.uniform(30, 130, 3)
    noise = rng.normal(0, 6, (side, side, 3))
    return np.clip(colour + stripes + noise, 0, 255).astype(np.uint8)


def save_photos(folder: Path) -> Path:
    """Writes class folders of coloured PNG files."""
    rng = np.random.default_rng(0)
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        for number in range(_EACH):
            Image.fromarray(_paint(label, rng)).save(folder / label / f"{number}.png")
    return folder


def read_photos(folder: Path, *, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Returns what a model of so many channels sees, and the classes.

    Shapes: uint8 (photos, SIDE, SIDE, channels), int (photos,).
    """
    pixels, classes = [], []
    for number, label in enumerate(LABELS):
        for file in sorted((folder / label).iterdir()):
            photo = Image.open(file).convert("RGB")
            photo = photo if channels == 3 else photo.convert("L")
            square = photo.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            pixels.append(np.asarray(square).reshape(SIDE, SIDE, channels))
            classes.append(number)
    return np.stack(pixels), np.array(classes)


def save_classifier(path: Path, photos: Path, *, channels: int = 3) -> Path:
    """Writes a small network whose head is fitted to the photos; it takes pixels 0..255."""
    import keras

    keras.utils.set_random_seed(0)
    pixels, classes = read_photos(photos, channels=channels)
    layers = keras.layers
    inputs = keras.Input((SIDE, SIDE, channels), name="pixels")
    x = layers.Rescaling(1 / 127.5, -1.0)(inputs)
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="stem")(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x)
    x = layers.Conv2D(16, 1, activation="relu", name="project")(x)
    features = layers.GlobalAveragePooling2D(name="pool")(x)
    scores = layers.Dense(3, activation="softmax", name="scores")(features)
    model = keras.Model(inputs, scores, name="textures")
    found = np.asarray(keras.Model(inputs, features)(pixels.astype(np.float32)), np.float64)
    centre, spread = found.mean(axis=0), found.std(axis=0)
    spread = np.maximum(spread, 0.1 * spread.max())  # a dead feature must not weigh thousands
    known = np.hstack([(found - centre) / spread, np.ones((len(found), 1))])
    targets = 8 * np.eye(3)[classes] - 4
    solved = np.linalg.solve(known.T @ known + 0.5 * np.eye(known.shape[1]), known.T @ targets)
    kernel = solved[:-1] / spread[:, None]
    model.get_layer("scores").set_weights([kernel, solved[-1] - centre @ kernel])
    model.save(path)
    return path
