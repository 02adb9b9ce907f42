"""What a backbone makes of samples: one vector each, for whatever is learnt or drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from tfxfer.backbone import BACKBONE_END
from tfxfer.data.arrays import Arrays, count_rows
from tfxfer.depth import resolve_stage
from tfxfer.errors import DataError, ModelError, ScheduleError
from tfxfer.frontier.cut import ACTIVATIONS, find_trimming, list_prefix_inputs
from tfxfer.frontier.fill import Conversion
from tfxfer.inference.keras_model import load_model
from tfxfer.inference.reading import Samples, open_stream
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.stages import get_info
from tfxfer.system.keras_settings import check_keras_settings

if TYPE_CHECKING:
    import keras

__all__ = ["embed", "embed_stages"]

_BATCH_SAMPLES = 128
# MobileNetV2 on 2 cores: 79 images a second through Keras, 247 through LiteRT, so that an image
# saves 8.6 ms; converting takes a few seconds, which fewer samples than these do not earn back.
_WORTH_CONVERTING = 512


@overload
def embed(
    model: keras.Model | str | Path | RunDirectory,
    data: Samples,
    *,
    stage: str | float = ...,
    return_paths: Literal[False] = ...,
    use_litert: bool | None = ...,
    progress: Progress | None = ...,
) -> np.ndarray: ...


@overload
def embed(
    model: keras.Model | str | Path | RunDirectory,
    data: Samples,
    *,
    stage: str | float = ...,
    return_paths: Literal[True],
    use_litert: bool | None = ...,
    progress: Progress | None = ...,
) -> tuple[np.ndarray, tuple[str, ...]]: ...


def embed(
    model: keras.Model | str | Path | RunDirectory,
    data: Samples,
    *,
    stage: str | float = BACKBONE_END,
    return_paths: bool = False,
    use_litert: bool | None = None,
    progress: Progress | None = None,
) -> np.ndarray | tuple[np.ndarray, tuple[str, ...]]:
    """Returns what the backbone makes of each sample, averaged over its positions.

    The head is not asked, and labels are not needed. Enough samples are computed as activations at
    the freeze frontier are: through LiteRT, where that gives what Keras gives.

    Args:
        model: from `build_model` or `load_model`, or the path of a run.
        data: a folder, whose samples may lie at any depth; a file, a pattern such as
            `photos/*.jpg`, or a list of them; what `load_images` returns (its parts follow one
            another: train, val, test), or one part of it; an array (samples, …), or a dict of
            arrays by input name; or a batched `tf.data.Dataset` of inputs, or of tuples that begin
            with them. Images are pixels 0..255.
        stage: where the features are taken: a stage's name, or the fraction of the stages that
            come before; `backbone` is the end of it all.
        return_paths: also return what each row was made of.
        use_litert: False computes through Keras; None chooses by the number of samples.
        progress: told of samples done.

    Shapes: float32 (samples, features): rows in the order of the data, of a folder sorted by path.

    Returns:
        The features; with `return_paths` the features and the paths, of which arrays and a
        `tf.data.Dataset` have none.

    Raises:
        ModelError: a model whose stages are not known, or features that are not finite.
        ScheduleError: the model has no such stage.
        DataError: samples that cannot be read, that are none, or of another size.
    """
    check_keras_settings()
    if isinstance(model, RunDirectory):
        model = model.path
    if isinstance(model, (str, Path)):
        model = load_model(model)
    info = get_info(model)
    where = f"model {model.name!r}"
    name = resolve_stage(
        stage, [item.name for item in info.stages], where=where, backbone=info.backbone
    )
    if name is None:
        raise ScheduleError(
            f"{where}: expected a stage, or a fraction that reaches the first one. "
            f"Received: stage={stage!r}."
        )
    found, names = embed_stages(model, data, [name], use_litert=use_litert, progress=progress)
    return (found[name], names) if return_paths else found[name]


def embed_stages(
    model: keras.Model,
    data: Samples,
    stages: Sequence[str],
    *,
    use_litert: bool | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Returns what a backbone makes of each sample at several of its stages, in one pass.

    Args:
        model: from `build_model` or `load_model`.
        data: see `embed`.
        stages: names, in any order.
        use_litert: see `embed`.
        progress: told of samples done.

    Shapes: float32 (samples, features) by stage, averaged over positions.

    Returns:
        The features, and what each row was made of; see `embed`.

    Raises:
        ModelError: features that are not finite.
        DataError: samples that cannot be read, that are none, or of another size.
    """
    info = get_info(model)
    stream = open_stream(data, modality=info.modality, size=info.size, contract=info.preprocessing)
    if use_litert is None:
        use_litert = stream.count is None or stream.count >= _WORTH_CONVERTING
    order = [item.name for item in info.stages if item.name in set(stages)]
    runner = Conversion().open_runner(model, order, use_litert=use_litert)
    needed = [model.inputs[position].name for position in list_prefix_inputs(model, order)]
    parts: dict[str, list[np.ndarray]] = {name: [] for name in order}
    whole = {name: _is_padded(model, name) for name in order}
    done = 0
    try:
        for batch in stream.iter_batches(_BATCH_SAMPLES):
            used = info.modality.count_used(batch) if isinstance(batch, dict) else None
            for name, values in zip(order, runner(_choose_inputs(batch, needed)), strict=True):
                parts[name].append(_average(values, used if whole[name] else None))
            done += count_rows(batch)
            if progress is not None:
                progress(f"embedding {info.modality.plural}", done, stream.count or done)
    finally:
        runner.close()
    if not done:
        raise DataError(f"embed: expected at least one {info.modality.noun}. Received: none.")
    features = {name: np.concatenate(found) for name, found in parts.items()}
    for name, values in features.items():
        if not np.isfinite(values).all():
            raise ModelError(
                f"model {model.name!r}: expected finite features at stage {name!r}. "
                "Received: NaN or infinity. Are the weights whole?"
            )
    return features, stream.names


def _is_padded(model: keras.Model, stage: str) -> bool:
    """Returns whether positions at a stage are those of the padded inputs."""
    trimming = find_trimming(model, stage, is_cached=True)
    return trimming is not None and ACTIVATIONS in trimming.padded


def _choose_inputs(batch: Arrays, needed: list[str]) -> list[np.ndarray]:
    return [batch[name] for name in needed] if isinstance(batch, dict) else [batch]


def _average(values: Any, used: np.ndarray | None) -> np.ndarray:
    """Returns (samples, features) of a map, of tokens, or of vectors as they are.

    Args:
        values: of a stage.
        used: how many positions of each sample are its own, the first ones; None is all.
    """
    if used is not None:
        values = np.asarray(values, np.float32)
        is_own = np.arange(values.shape[1]) < used[:, None]
        total = np.where(is_own[..., None], values, 0).sum(axis=1)
        return total / np.maximum(used, 1)[:, None].astype(np.float32)
    positions = tuple(range(1, np.ndim(values) - 1))
    found = np.asarray(values, np.float32)
    return found.mean(axis=positions) if positions else found
