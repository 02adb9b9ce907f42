"""What a training holds of its samples at each frontier, completed before each phase."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.data.draw import EpochDraw
from tfxfer.data.feed import SampleSource
from tfxfer.data.trimming import Trimming
from tfxfer.errors import TfxferError
from tfxfer.frontier.cut import ACTIVATIONS
from tfxfer.frontier.fill import Conversion, fill_frontiers
from tfxfer.frontier.shelf import digest_arrays
from tfxfer.frontier.store import CacheStore
from tfxfer.progress import Progress
from tfxfer.stages import layers_up_to
from tfxfer.training.companion import CompanionDraw
from tfxfer.training.plan import FitPlan

__all__ = ["Activations", "Reader"]

_TRAIN, _VAL, _BESIDE = "train", "val", "beside"
_KEEP_EVERY_S = 20.0  # of a pass: what a killed process loses of it

Reader = Callable[[np.ndarray, np.ndarray], Arrays]
"""Maps sample indices (n,) and view numbers (n,) to a network's inputs (n, …)."""


class Activations:
    """Cached activations of the training and the validation samples.

    Args:
        model: from `build_model`.
        plan: of the training.
        train: samples, of which the views that a phase draws are computed; all of its views of a
            `tf.data.Dataset`.
        val: samples, of which the plain view is.
        store: where they go.
        dtype: `float16` or `float32`.
        use_litert: False computes them through Keras.
        conversion: what of the network has been converted already.
        progress: told of samples done.
        beside: companions, of which the views that a phase draws are computed; None has none.
    """

    def __init__(
        self,
        model: Any,
        plan: FitPlan,
        *,
        train: SampleSource,
        val: SampleSource,
        store: CacheStore,
        dtype: str,
        use_litert: bool,
        conversion: Conversion | None = None,
        progress: Progress | None,
        beside: SampleSource | None = None,
    ) -> None:
        self._model, self._plan, self._train, self._val = model, plan, train, val
        self._beside = beside
        self._store, self._dtype, self._use_litert = store, dtype, use_litert
        self._scope = store.scope()
        self._progress = progress
        self.clear()
        if conversion is not None:
            self._conversion = conversion

    def clear(self) -> None:
        """Forgets everything, and frees what it took; what lies on a shelf stays there."""
        self._scope.close()
        self._scope = self._store.scope()
        self._arrays: dict[str, dict[str | None, Arrays]] = {}
        # By source and stage, bool (samples, views).
        self._held: dict[tuple[str, str | None], np.ndarray] = {}
        self._conversion = Conversion()

    def complete_phase(
        self,
        number: int,
        *,
        draw: EpochDraw,
        epochs: range,
        beside: CompanionDraw | None = None,
    ) -> None:
        """Computes what a phase will draw and no earlier pass has computed.

        Args:
            number: of the phase, which is cached.
            draw: its own.
            epochs: that it may run.
            beside: that of its companions; None has none.
        """
        item, rooms = self._plan.phases[number], self._plan.views_per_stage()
        if item.refill:
            self.clear()
        stages = self._plan.stages_to_fill(number)
        for stage in stages:
            self._held.setdefault((_TRAIN, stage), np.zeros((len(self._train), rooms[stage]), bool))
            self._held.setdefault((_VAL, stage), np.zeros((len(self._val), 1), bool))
            if beside is not None:
                room = np.zeros((beside.samples, rooms[stage]), bool)
                self._held.setdefault((_BESIDE, stage), room)
        keys = self._take_up(stages, is_refill=item.refill)
        missing = ~self._held[_TRAIN, item.cut][:, : item.views]
        if self._train.can_seek:  # each view of a `tf.data.Dataset` is a pass over all of it
            missing &= draw.uses(epochs)
        wanted = {_TRAIN: missing, _VAL: ~self._held[_VAL, item.cut]}
        sources: dict[str, Any] = {
            _TRAIN: (self._train, rooms),
            _VAL: (self._val, 1),
        }
        if beside is not None:
            drawn = ~self._held[_BESIDE, item.cut][:, : item.views]
            wanted[_BESIDE] = drawn & beside.uses(epochs)
            sources[_BESIDE] = (self._beside, rooms)
        sources = {name: sources[name] for name in sources if wanted[name].any()}
        if not sources:
            return
        kept_at = time.monotonic()

        def note(name: str, where: tuple[np.ndarray, np.ndarray]) -> None:
            nonlocal kept_at
            for stage in stages:
                self._held[name, stage][where] = True
            if time.monotonic() - kept_at > _KEEP_EVERY_S:
                self._put(stages, keys)
                kept_at = time.monotonic()

        fill_frontiers(
            self._model,
            sources,
            stages,
            self._scope,
            wanted=wanted,
            into=self._arrays,
            dtype=self._dtype,
            use_litert=self._use_litert,
            conversion=self._conversion,
            progress=self._progress,
            on_stored=note,
        )
        self._put(stages, keys)

    def _take_up(self, stages: Sequence[str | None], *, is_refill: bool) -> dict[str | None, str]:
        """Takes what an earlier process has cached; returns by stage what names its contents.

        Nothing is named where nobody knows whether the samples are the same.
        """
        shelf = self._store.shelf
        if shelf is None or self._contents is None:
            return {}
        keys = {stage: self._make_key(stage) for stage in stages}
        if is_refill:
            shelf.keep_only(keys.values())
        for stage, name in itertools.product(stages, (_TRAIN, _VAL, _BESIDE)):
            if stage in self._arrays.get(name, {}) or (name, stage) not in self._held:
                continue
            found = shelf.find(keys[stage], name, stage)
            if found is not None and found[1].shape == self._held[name, stage].shape:
                self._arrays.setdefault(name, {})[stage], self._held[name, stage] = found
        return keys

    def _put(self, stages: Sequence[str | None], keys: Mapping[str | None, str]) -> None:
        shelf = self._store.shelf
        if shelf is None or not keys:
            return
        for stage in stages:
            found = {
                (name, stage): (self._arrays[name][stage], self._held[name, stage])
                for name in (_TRAIN, _VAL, _BESIDE)
                if stage in self._arrays.get(name, {})
            }
            shelf.put(keys[stage], found)

    @functools.cached_property
    def _contents(self) -> tuple[str, ...] | None:
        """What stands for the samples, and their views; None where nobody knows."""
        sources = (self._train, self._val, *([] if self._beside is None else [self._beside]))
        found = [source.digest_contents() for source in sources]
        known = tuple(digest for digest in found if digest is not None)
        return known if len(known) == len(sources) else None

    def _make_key(self, stage: str | None) -> str:
        """Returns what the activations at a stage depend on, the samples among it."""
        layers = [] if stage is None else layers_up_to(self._model, stage)
        weights = (values for layer in layers for values in layer.get_weights())
        shapes = [tensor.shape for tensor in self._model.inputs]
        return digest_arrays(
            weights, shapes, self._dtype, self._use_litert, *(self._contents or ())
        )

    def average(self, stage: str | None) -> tuple[np.ndarray, np.ndarray]:
        """Returns one vector for each sample: the mean over its cached views, and over positions.

        A sample of which no view was cached, as none was drawn, has NaN.

        Args:
            stage: where they are cached.

        Shapes: float32 (training samples, features), (validation samples, features).
        """
        found: list[np.ndarray] = []
        for name in (_TRAIN, _VAL):
            part, held = self._arrays[name][stage], self._held[name, stage]
            values = part[ACTIVATIONS] if isinstance(part, dict) else part
            means = np.full((len(values), values.shape[-1]), np.nan, np.float32)
            for row, views in enumerate(held):
                if views.any():
                    kept = np.asarray(values[row, : len(views)][views], np.float32)
                    means[row] = kept.reshape(-1, values.shape[-1]).mean(axis=0)
            found.append(means)
        return found[0], found[1]

    def readers(self, stage: str | None, trimming: Trimming | None = None) -> tuple[Reader, Reader]:
        """Returns what fetches batches at a stage: of the training, and of the validation samples.

        Args:
            stage: where they are cached.
            trimming: how a batch is cut to what its samples use; None leaves it whole.

        Calling the first with a view that no pass has computed raises a `TfxferError`: what lies
        there is not even a number.
        """
        train, val = (self._arrays[name][stage] for name in (_TRAIN, _VAL))

        def fetch(arrays: Arrays, indices: np.ndarray, views: np.ndarray) -> Arrays:
            if trimming is None:
                return map_arrays(lambda x: _widen(x[indices, views]), arrays)
            # Only what is needed is read from the disk: inputs that tell how much, and that much.
            named = arrays if isinstance(arrays, dict) else {trimming.names[0]: arrays}
            small = {x: y[indices, views] for x, y in named.items() if x != ACTIVATIONS}
            span = trimming.find_span(small)

            def take(name: str, values: np.ndarray) -> np.ndarray:
                read = small.get(name)
                if name not in trimming.padded:
                    return values[indices, views] if read is None else read
                return values[indices, views, :span] if read is None else read[:, :span]

            found = {name: _widen(take(name, values)) for name, values in named.items()}
            return found if isinstance(arrays, dict) else next(iter(found.values()))

        def read(indices: np.ndarray, views: np.ndarray) -> Arrays:
            self._check_held(_TRAIN, stage, indices, views)
            return fetch(train, indices, views)

        return read, lambda indices, views: fetch(val, indices, views)

    def read_beside(self, stage: str | None) -> Reader:
        """Returns what fetches batches of companions at a stage, each sample whole."""
        arrays = self._arrays[_BESIDE][stage]

        def read(indices: np.ndarray, views: np.ndarray) -> Arrays:
            self._check_held(_BESIDE, stage, indices, views)
            return map_arrays(lambda x: _widen(x[indices, views]), arrays)

        return read

    def _check_held(
        self, name: str, stage: str | None, indices: np.ndarray, views: np.ndarray
    ) -> None:
        """Refuses views that no pass has computed: what lies there is not even a number."""
        absent = np.flatnonzero(~self._held[name, stage][indices, views])
        if len(absent):
            first = absent[0]
            raise TfxferError(
                f"cache of activations at {stage!r}: expected views that a pass has computed. "
                f"Received: sample={indices[first]}, view={views[first]}. Please report this."
            )


def _widen(values: np.ndarray) -> np.ndarray:
    # Stored narrow: activations as float16, pixels as bytes. Token ids and masks are as they came.
    return values.astype(np.float32) if values.dtype in (np.float16, np.uint8) else values
