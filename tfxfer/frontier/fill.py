"""Activations cached at the freeze boundary.

Everything before the boundary is a constant function of the image, so it is computed once; each
phase then fits only what follows, on cached arrays, sharing the layers of the full model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfxfer.data.feed import PixelSource
from tfxfer.errors import ModelError
from tfxfer.frontier.litert import InterpreterPool, KerasRunner, keep_outputs, make_runner
from tfxfer.frontier.store import CacheStore
from tfxfer.progress import Progress
from tfxfer.stages import stage_tensor

__all__ = ["Conversion", "fill_frontiers"]

_FLOAT16_SAFE = 2.0**15  # half of float16's largest number


@dataclass
class Conversion:
    """The part of a model up to some stages as a TFLite file, of which later passes take less.

    Args:
        stages: whose ends are the outputs.
        content: the flatbuffer; empty where nothing has been converted.
        refused: whether LiteRT could not take the network, so that nobody tries again.
    """

    stages: tuple[str, ...] = ()
    content: bytes = b""
    refused: bool = False

    def open_runner(
        self, model: Any, stages: Sequence[str], *, use_litert: bool
    ) -> InterpreterPool | KerasRunner:
        """Returns what runs a model up to some stages, and remembers what it had to convert.

        Args:
            model: whose layers up to the last stage are as they were when it was converted.
            stages: in the order of the runner's outputs.
            use_litert: False takes Keras.
        """
        import keras

        prefix = keras.Model(model.inputs[0], [stage_tensor(model, stage) for stage in stages])
        if self.refused or not use_litert:
            return make_runner(prefix, use_litert=False)
        content = None
        if {*stages} <= {*self.stages}:
            positions = [self.stages.index(stage) for stage in stages]
            content = keep_outputs(self.content, positions)
        runner = make_runner(prefix, content=content)
        if not isinstance(runner, InterpreterPool):
            self.refused = True
        elif content is None:
            self.stages, self.content = tuple(stages), runner.content
        return runner


def fill_frontiers(
    model: Any,
    sources: Mapping[str, tuple[PixelSource, int | Mapping[str | None, int]]],
    stages: Sequence[str | None],
    store: CacheStore,
    *,
    wanted: Mapping[str, np.ndarray] | None = None,
    into: dict[str, dict[str | None, np.ndarray]] | None = None,
    dtype: str = "float16",
    use_litert: bool = True,
    conversion: Conversion | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str | None, np.ndarray]]:
    """Computes the activations at several stages in one pass over the images.

    Args:
        model: from `build_model`; its layers up to the last of the stages must not change while
            the result is used.
        sources: by name, pixels and how many views of each image there is room for, in all or at
            each stage.
        stages: the boundaries; None caches the pixels themselves, as uint8.
        store: where the arrays go.
        wanted: by source, bool (images, views), what this pass computes; all where it names none.
        into: arrays of an earlier pass, which this one completes.
        dtype: of the cached activations; float32 where they would overflow float16.
        use_litert: False computes them through Keras.
        conversion: of an earlier pass, after which no layer up to the last stage was trained; it
            remembers what this one converts.
        progress: told of images done.

    Shapes: for each source and stage (images, views, …).

    Returns:
        Arrays by source and stage.
    """
    cuts = [stage for stage in stages if stage is not None]
    runner = None
    if cuts:
        runner = (conversion or Conversion()).open_runner(model, cuts, use_litert=use_litert)
    rooms = {
        name: dict.fromkeys(stages, room) if isinstance(room, int) else room
        for name, (_, room) in sources.items()
    }
    masks = {
        name: np.ones((len(source), max(rooms[name][stage] for stage in stages)), bool)
        for name, (source, _) in sources.items()
    } | dict(wanted or {})
    total = sum(int(masks[name].sum()) for name in sources)
    done, block = 0, 1 if runner is None else runner.batch_size
    result = {} if into is None else into
    try:
        for name, (source, _) in sources.items():
            arrays = result.setdefault(name, {})
            for where, pixels in _iter_wanted(source, masks[name], block):

                def keep(stage: str | None, values: np.ndarray, dtype: Any) -> None:
                    leading = (len(source), rooms[name][stage])  # noqa: B023  called at once
                    _store(arrays, stage, where, values, leading, store, dtype)  # noqa: B023

                if None in stages:
                    keep(None, pixels, pixels.dtype)
                if runner is not None:
                    for stage, values in zip(cuts, runner(pixels), strict=True):
                        keep(stage, values, dtype)
                done += len(pixels)
                if progress is not None:
                    progress("caching activations", done, total)
    finally:
        if runner is not None:
            runner.close()
    return result


def _iter_wanted(
    source: PixelSource, wanted: np.ndarray, block: int
) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]:
    """Yields image indices and view numbers (n,), and their pixels (n, …).

    n is a multiple of `block` but for the last: what compiles for each shape meets few of them.
    """
    numbers = np.flatnonzero(wanted.any(0))
    rest: tuple[np.ndarray, ...] = ()
    for indices, views, pixels in source.iter_views(numbers.tolist(), wanted=wanted[:, numbers]):
        rows, columns = np.nonzero(wanted[np.ix_(indices, views)])
        found: tuple[np.ndarray, ...] = indices[rows], views[columns], pixels[rows, columns]
        if rest:
            found = tuple(np.concatenate(pair) for pair in zip(rest, found, strict=True))
        full = len(found[0]) // block * block
        if full:
            yield (found[0][:full], found[1][:full]), found[2][:full]
        rest = tuple(part[full:] for part in found)
    if rest and len(rest[0]):
        yield (rest[0], rest[1]), rest[2]


def _store(
    arrays: dict[str | None, np.ndarray],
    stage: str | None,
    where: Any,
    values: np.ndarray,
    leading: tuple[int, int],
    store: CacheStore,
    dtype: Any,
) -> None:
    if not np.all(np.isfinite(values)):
        raise ModelError(
            f"stage {stage!r}: expected finite activations. Received: NaN or infinity. "
            "Are the weights whole?"
        )
    if stage not in arrays:
        arrays[stage] = store.allocate((*leading, *values.shape[1:]), dtype)
    if arrays[stage].dtype == np.float16 and np.abs(values).max() > _FLOAT16_SAFE:
        wide = store.allocate(arrays[stage].shape, np.float32)
        # Where nothing has been stored yet, the bytes may read as a signalling NaN.
        with np.errstate(invalid="ignore"):
            wide[...] = arrays[stage]
        arrays[stage] = wide
    arrays[stage][where] = values
