"""The head of an integer file, fitted to what that file computes for a run's own samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tfxfer.data.arrays import map_arrays
from tfxfer.data.samples import SampleSplit
from tfxfer.errors import ModelError
from tfxfer.progress import Progress
from tfxfer_edge.conversion.converted import Converted
from tfxfer_edge.conversion.graph import FrozenGraph
from tfxfer_edge.conversion.recipes import Recipe
from tfxfer_edge.conversion.refit import Layer, refit
from tfxfer_edge.door import find_door
from tfxfer_edge.proof.run_images import choose_rows
from tfxfer_edge.proof.scoring import count_workers
from tfxfer_edge.tflite.last_layer import ENDS, cut_features, find_end, read_dense
from tfxfer_edge.tflite.refitted_layer import replace_dense
from tfxfer_edge.tflite.sample_model import SampleModel

__all__ = ["HeadFitter", "is_refitted"]

_TRAIN_SAMPLES, _VAL_SAMPLES = 1000, 500
_BATCH_SAMPLES = 32
_REST = 0.001  # of the logits that may lie outside of the range that integers have room for


def is_refitted(recipe: Recipe) -> bool:
    """Returns whether a recipe's features are coarse enough for the head to be worth fitting."""
    return recipe.kind in ("static", "file") and recipe.activation_bits == 8


class HeadFitter:
    """Fits the heads of several files of one model; the float network runs once for all.

    Args:
        graph: of the conversion.
        train: samples to fit on, up to 1,000 of all classes.
        val: samples that choose, up to 500.
        seed: of which they are.
        progress: told of samples.
    """

    def __init__(
        self,
        graph: FrozenGraph,
        train: SampleSplit,
        val: SampleSplit,
        *,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self._graph, self._progress = graph, progress or (lambda *_: None)
        self._parts = [
            (split, choose_rows(split, samples=most, seed=seed))
            for split, most in ((train, _TRAIN_SAMPLES), (val, _VAL_SAMPLES))
        ]
        self._wanted: list[np.ndarray] | None = None

    def fit(self, converted: Converted) -> Converted:
        """Returns the file with the head that is nearest to the float network, and a note.

        A file that does not end in a dense layer and a softmax or sigmoid stays as it is, and so
        does one whose head is nearest as it is.

        Args:
            converted: a file in integers.
        """
        try:
            layer = Layer(*read_dense(converted.content, ends=ENDS))
            end = find_end(converted.content)
        except ModelError as error:
            return _note(converted, f"the head stays as it was trained: {error}")
        wanted = self._find_wanted()
        what = f"fitting the head of {converted.recipe.name}"
        train, val = self._read_features(cut_features(converted.content, ends=ENDS), what)
        found = refit(layer, (train, wanted[0]), (val, wanted[1]), end=end)
        if found.penalty is None:
            return _note(converted, "the head is nearest to float32 as it was trained")
        low, high = np.quantile(found.layer.answer(train), (_REST, 1 - _REST))
        content = replace_dense(
            converted.content,
            found.layer.kernel,
            found.layer.bias,
            low=float(low),
            high=float(high),
        )
        words = (
            f"the head was fitted to the features of the integer network, on {len(train)} samples: "
            f"{found.after:.2g} bits from float32 on {len(val)} others, {found.before:.2g} before"
        )
        return _note(replace(converted, content=content), words)

    def _find_wanted(self) -> list[np.ndarray]:
        """Returns the logits of the float network for the samples of each part."""
        if self._wanted is None:
            content = self._graph.float_content
            layer = Layer(*read_dense(content, ends=ENDS))
            parts = self._read_features(cut_features(content, ends=ENDS), "scoring with float32")
            self._wanted = [layer.answer(features) for features in parts]
        return self._wanted

    def _read_features(self, content: bytes, what: str) -> list[np.ndarray]:
        door = find_door(self._graph.modality)
        stated = self._graph.normalization
        model = door.open_model(content, workers=count_workers(), preprocessing=stated)
        total, done, found = sum(len(rows) for _, rows in self._parts), 0, []
        for split, rows in self._parts:
            parts = []
            for start in range(0, len(rows), _BATCH_SAMPLES):
                parts.append(_score(model, split, rows[start : start + _BATCH_SAMPLES]))
                done += len(parts[-1])
                self._progress(what, done, total)
            found.append(np.concatenate(parts).astype(np.float64))
        return found


def _score(model: SampleModel, split: SampleSplit, rows: list[int]) -> np.ndarray:
    return model.score(map_arrays(lambda x: x[:, 0], split.read_views(rows)))


def _note(converted: Converted, words: str) -> Converted:
    return replace(converted, notes=(*converted.notes, words))
