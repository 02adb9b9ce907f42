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
from tfxfer_edge.conversion.refit import Layer, Refit, refit
from tfxfer_edge.door import find_door
from tfxfer_edge.proof.run_images import choose_rows
from tfxfer_edge.proof.scoring import Scorer, count_workers
from tfxfer_edge.tflite.last_layer import ENDS, cut_features, find_end, read_dense
from tfxfer_edge.tflite.refitted_layer import replace_dense

__all__ = ["HeadFitter", "is_refitted"]

_TRAIN_SAMPLES, _VAL_SAMPLES = 1000, 500
_BATCH_SAMPLES = 32
_REST = 0.001  # of the logits that may lie outside of the range that integers have room for


def is_refitted(recipe: Recipe) -> bool:
    """Returns whether a recipe's features are coarse enough for the head to be worth fitting."""
    return recipe.kind in ("static", "file", "onnx") and recipe.activation_bits == 8


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
            if converted.suffix == ".onnx":
                return self._fit_onnx(converted)
            layer = Layer(*read_dense(converted.content, ends=ENDS))
            end = find_end(converted.content)
            wanted = self._find_wanted()  # whose file may end otherwise
        except ModelError as error:
            return _note(converted, f"the head stays as it was trained: {error}")
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
        return _note(replace(converted, content=content), _describe(found, train, val))

    def _fit_onnx(self, converted: Converted) -> Converted:
        """Returns the same of an `.onnx` file, whose head is in float32: there are no ranges."""
        from tfxfer_edge.conversion.onnx import OnnxModel
        from tfxfer_edge.onnx.last_layer import (
            cut_onnx_features,
            read_onnx_dense,
            replace_onnx_dense,
        )

        kernel, bias, end = read_onnx_dense(converted.content)
        features = cut_onnx_features(converted.content)
        wanted = self._find_wanted()
        model = OnnxModel(features, normalization=converted.normalization)
        what = f"fitting the head of {converted.recipe.name}"
        train, val = self._read_all(model, what)
        found = refit(Layer(kernel, bias), (train, wanted[0]), (val, wanted[1]), end=end)
        if found.penalty is None:
            return _note(converted, "the head is nearest to float32 as it was trained")
        content = replace_onnx_dense(converted.content, found.layer.kernel, found.layer.bias)
        return _note(replace(converted, content=content), _describe(found, train, val))

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
        return self._read_all(model, what)

    def _read_all(self, model: Scorer, what: str) -> list[np.ndarray]:
        total, done, found = sum(len(rows) for _, rows in self._parts), 0, []
        for split, rows in self._parts:
            parts = []
            for start in range(0, len(rows), _BATCH_SAMPLES):
                parts.append(_score(model, split, rows[start : start + _BATCH_SAMPLES]))
                done += len(parts[-1])
                self._progress(what, done, total)
            found.append(np.concatenate(parts).astype(np.float64))
        return found


def _score(model: Scorer, split: SampleSplit, rows: list[int]) -> np.ndarray:
    return model.score(map_arrays(lambda x: x[:, 0], split.read_views(rows)))


def _describe(found: Refit, train: np.ndarray, val: np.ndarray) -> str:
    return (
        f"the head was fitted to the features of the integer network, on {len(train)} samples: "
        f"{found.after:.2g} bits from float32 on {len(val)} others, {found.before:.2g} before"
    )


def _note(converted: Converted, words: str) -> Converted:
    return replace(converted, notes=(*converted.notes, words))
