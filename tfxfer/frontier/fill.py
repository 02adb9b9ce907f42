"""Activations cached at the freeze boundary.

Everything before the boundary is a constant function of the sample, so it is computed once; each
phase then fits only what follows, on cached arrays, sharing the layers of the full model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfxfer.data.arrays import Arrays, count_rows, list_arrays, map_arrays
from tfxfer.data.feed import SampleSource
from tfxfer.errors import ModelError
from tfxfer.frontier.cut import (
    ACTIVATIONS,
    input_shapes,
    list_crossing,
    list_prefix_inputs,
    make_prefix,
)
from tfxfer.frontier.litert import InterpreterPool, KerasRunner, make_runner, prune_outputs
from tfxfer.frontier.store import CacheStore
from tfxfer.progress import Progress

__all__ = ["Conversion", "fill_frontiers"]

_FLOAT16_SAFE = 2.0**15  # half of float16's largest number

_Place = tuple[np.ndarray, np.ndarray]
"""Sample indices and view numbers, (n,) each."""


@dataclass
class Conversion:
    """The part of a model up to some stages as a TFLite file, of which later passes take less.

    Args:
        stages: whose ends are the outputs.
        content: the flatbuffer; empty where nothing has been converted.
        batch_size: that it has, in samples.
        refused: whether LiteRT could not take the network, so that nobody tries again.
    """

    stages: tuple[str, ...] = ()
    content: bytes = b""
    batch_size: int = 0
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
        prefix = make_prefix(model, stages)
        if self.refused or not use_litert:
            return make_runner(prefix, use_litert=False)
        content = None
        if {*stages} <= {*self.stages}:
            before = list_prefix_inputs(model, self.stages)
            content = prune_outputs(
                self.content,
                [self.stages.index(stage) for stage in stages],
                inputs=[before.index(x) for x in list_prefix_inputs(model, stages)],
            )
        known = None if content is None else self.batch_size
        whole = input_shapes(model)
        shapes = [whole[position] for position in list_prefix_inputs(model, stages)]
        runner = make_runner(prefix, content=content, batch_size=known, shapes=shapes)
        if not isinstance(runner, InterpreterPool):
            self.refused = True
        elif content is None:
            self.stages, self.content = tuple(stages), runner.content
            self.batch_size = runner.batch_size
        return runner


def fill_frontiers(
    model: Any,
    sources: Mapping[str, tuple[SampleSource, int | Mapping[str | None, int]]],
    stages: Sequence[str | None],
    store: CacheStore,
    *,
    wanted: Mapping[str, np.ndarray] | None = None,
    into: dict[str, dict[str | None, Arrays]] | None = None,
    dtype: str = "float16",
    use_litert: bool = True,
    conversion: Conversion | None = None,
    progress: Progress | None = None,
    on_stored: Callable[[str, tuple[np.ndarray, np.ndarray]], None] | None = None,
) -> dict[str, dict[str | None, Arrays]]:
    """Computes the activations at several stages in one pass over the samples.

    Args:
        model: from `build_model`; its layers up to the last of the stages must not change while
            the result is used.
        sources: by name, samples and how many views of each there is room for, in all or at
            each stage.
        stages: the boundaries; None caches the inputs themselves, as they come.
        store: where the arrays go.
        wanted: by source, bool (samples, views), what this pass computes; all where it names none.
        into: arrays of an earlier pass, which this one completes.
        dtype: of the cached activations; float32 where they would overflow float16.
        use_litert: False computes them through Keras.
        conversion: of an earlier pass, after which no layer up to the last stage was trained; it
            remembers what this one converts.
        progress: told of samples done.
        on_stored: told of a source, and of which sample indices and view numbers `into` now holds
            at all stages, (n,) each.

    Shapes: for each source and stage (samples, views, …).

    Returns:
        Arrays by source and stage. Where the model's inputs cross a boundary, what lies there is a
        dict: `activations`, and those inputs by name, in the order that the suffix takes.
    """
    cuts = [stage for stage in stages if stage is not None]
    crossing = {stage: list_crossing(model, stage) for stage in stages}
    names = [tensor.name for tensor in model.inputs]
    rooms = {
        name: dict.fromkeys(stages, room) if isinstance(room, int) else room
        for name, (_, room) in sources.items()
    }
    masks = {
        name: np.ones((len(source), max(rooms[name][stage] for stage in stages)), bool)
        for name, (source, _) in sources.items()
    } | dict(wanted or {})
    total = sum(int(masks[name].sum()) for name in sources)
    if progress is not None and total:
        progress("caching activations", 0, total)  # first comes a conversion, which takes seconds
    runner = None
    read_by_prefix: tuple[int, ...] = ()
    if cuts:
        runner = (conversion or Conversion()).open_runner(model, cuts, use_litert=use_litert)
        read_by_prefix = list_prefix_inputs(model, cuts)
    done, block = 0, 1 if runner is None else runner.batch_size
    result = {} if into is None else into
    try:
        for name, (source, _) in sources.items():
            arrays = result.setdefault(name, {})
            for where, found in _iter_wanted(source, masks[name], block):
                inputs = list_arrays(found)
                outputs: list[np.ndarray] = []
                if runner is not None:
                    outputs = runner([inputs[position] for position in read_by_prefix])
                at_cut = dict(zip(cuts, outputs, strict=True))
                for stage in stages:
                    parts = {names[position]: inputs[position] for position in crossing[stage]}
                    if stage is not None:
                        parts = {ACTIVATIONS: at_cut[stage], **parts}
                    dtypes = {x: dtype if x == ACTIVATIONS else v.dtype for x, v in parts.items()}
                    leading = (len(source), rooms[name][stage])
                    kept = arrays.get(stage)
                    if kept is None or not isinstance(kept, dict):
                        kept = {} if kept is None else {next(iter(parts)): kept}
                    for part, values in parts.items():
                        _store(kept, part, where, values, leading, store, dtypes[part], stage)
                    arrays[stage] = kept if len(kept) > 1 else next(iter(kept.values()))
                if on_stored is not None:
                    on_stored(name, where)
                done += len(where[0])
                if progress is not None:
                    progress("caching activations", done, total)
    finally:
        if runner is not None:
            runner.close()
    return result


def _iter_wanted(
    source: SampleSource, wanted: np.ndarray, block: int
) -> Iterator[tuple[_Place, Arrays]]:
    """Yields sample indices and view numbers (n,), and their inputs (n, …).

    n is a multiple of `block` but for the last: what compiles for each shape meets few of them.
    """
    numbers = np.flatnonzero(wanted.any(0))
    rest: tuple[np.ndarray, np.ndarray, Arrays] | None = None
    for indices, views, values in source.iter_views(numbers.tolist(), wanted=wanted[:, numbers]):
        rows, columns = np.nonzero(wanted[np.ix_(indices, views)])
        found: tuple[np.ndarray, np.ndarray, Arrays] = (
            indices[rows],
            views[columns],
            map_arrays(lambda x: x[rows, columns], values),  # noqa: B023  called at once
        )
        if rest is not None:
            found = (
                np.concatenate([rest[0], found[0]]),
                np.concatenate([rest[1], found[1]]),
                map_arrays(lambda *pair: np.concatenate(pair), rest[2], found[2]),
            )
        full = len(found[0]) // block * block
        if full:
            head = map_arrays(lambda x: x[:full], found[2])  # noqa: B023  called at once
            yield (found[0][:full], found[1][:full]), head
        rest = (
            found[0][full:],
            found[1][full:],
            map_arrays(lambda x: x[full:], found[2]),  # noqa: B023  called at once
        )
    if rest is not None and count_rows(rest[2]):
        yield (rest[0], rest[1]), rest[2]


def _store(
    kept: dict[str, np.ndarray],
    part: str,
    where: _Place,
    values: np.ndarray,
    leading: tuple[int, int],
    store: CacheStore,
    dtype: Any,
    stage: str | None,
) -> None:
    if not np.all(np.isfinite(values)):
        raise ModelError(
            f"stage {stage!r}: expected finite {part}. Received: NaN or infinity. "
            "Are the weights whole?"
        )
    if part not in kept:
        kept[part] = store.allocate((*leading, *values.shape[1:]), dtype)
    if kept[part].dtype == np.float16 and np.abs(values).max() > _FLOAT16_SAFE:
        wide = store.allocate(kept[part].shape, np.float32)
        # Where nothing has been stored yet, the bytes may read as a signalling NaN.
        with np.errstate(invalid="ignore"):
            wide[...] = kept[part]
        kept[part] = wide
    kept[part][where] = values
