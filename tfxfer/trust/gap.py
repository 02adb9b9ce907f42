"""The domain gap: how far samples are from what a backbone was trained on, or from others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.data.arrays import Arrays, count_rows, map_arrays
from tfxfer.data.record import Source
from tfxfer.errors import UsageError
from tfxfer.inference.reading import Samples, open_stream
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.stages import get_info
from tfxfer.system.arguments import check_number
from tfxfer.system.keras_settings import check_keras_settings
from tfxfer.trust.moments import BATCH_SAMPLES, Moments, collect_moments, explain_missing
from tfxfer.trust.profile import GapProfile, make_profile
from tfxfer.trust.set_gap import SetGap, make_set_gap
from tfxfer.trust.subject import open_run_subject, read_run_source
from tfxfer.trust.subset import Subset, draw_subset

if TYPE_CHECKING:
    import keras

    from tfxfer.registry.lookup import Registry

__all__ = [
    "IMAGES",
    "MOST_IMAGES",
    "QUICK_IMAGES",
    "compare_sets",
    "find_gap",
    "measure_gap",
    "profile_moments",
    "read_moments",
]

IMAGES = 256
"""Samples that are drawn of a set; a mean distance of flowers is then known to .01 (m)."""

MOST_IMAGES = 1024
"""More would only take longer, and some 200 kB of memory each."""

QUICK_IMAGES = 96
"""Where somebody waits: flowers then have .08 [.07, .09] at 224 px (m)."""


def measure_gap(
    model: keras.Model | str | Path | RunDirectory,
    data: Samples | Source,
    *,
    images: int = IMAGES,
    seed: int = 0,
    progress: Progress | None = None,
) -> GapProfile:
    """Returns how far samples are from what a backbone was trained on, stage by stage.

    The data that it was trained on is not needed: every BatchNormalization remembers the mean and
    variance of each channel. Those of the samples are compared with them; see `channel_distance`.

    Args:
        model: from `build_model`, before any training: fine-tuning changes what the statistics
            belong to. Or a run, of which the backbone is taken as it began.
        data: a folder, whose samples may lie at any depth; a CSV; files, or a pattern; what
            `load_images` returns, or one part of it; an array (samples, …) of pixels 0..255, or a
            dict of arrays by input name; or a batched `tf.data.Dataset` of them.
        images: how many are drawn at random where there are more; of a `tf.data.Dataset` the
            first ones.
        seed: of the draw and of the intervals.
        progress: told of samples done.

    Returns:
        The profile; one without stages, with a `reason`, where a backbone remembers nothing.

    Raises:
        DataError: samples that cannot be read, or fewer than two.
        ModelError: a model whose stages are not known, or whose weights are not finite.
        UsageError: a number that cannot be meant.

    Example:
        model = tfxfer.build_model("efficientnet_lite0", labels=["a", "b"])
        tfxfer.measure_gap(model, "photos/").mean
    """
    _check_numbers(images, seed)
    model, contract = _open_model(model)
    return _measure(model, data, contract, images, seed, progress)


def compare_sets(
    model: keras.Model | str | Path | RunDirectory,
    a: Samples | Source,
    b: Samples | Source,
    *,
    images: int = IMAGES,
    seed: int = 0,
    progress: Progress | None = None,
) -> SetGap:
    """Returns whether two sets of samples, such as of two hospitals, look alike to a backbone.

    They are compared by what the whole backbone makes of each sample, which needs no
    BatchNormalization.

    Args:
        model: as for `measure_gap`.
        a: the first set, as for `measure_gap`.
        b: the second.
        images: how many are drawn of each at random.
        seed: of the draws and of the permutations.
        progress: told of samples done.

    Raises:
        DataError: samples that cannot be read, or fewer than two.
        ModelError: a model whose stages are not known, or whose weights are not finite.
        UsageError: a number that cannot be meant.
    """
    _check_numbers(images, seed)
    model, contract = _open_model(model)
    # Another seed for the other set: halves of one folder would else be drawn alike.
    drawn = [
        _draw(model, data, contract, images, seed + number, progress)
        for number, data in enumerate((a, b))
    ]
    one, other = (read_moments(model, x, images=images, progress=progress) for x in drawn)
    backbone = get_info(model).backbone
    return make_set_gap(one.features, other.features, backbone=backbone, seed=seed)


def find_gap(
    run: RunDirectory,
    *,
    source: Source | None = None,
    images: int = QUICK_IMAGES,
    seed: int = 0,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> GapProfile:
    """Returns the domain gap of a run's samples: as it was stored, or measured and stored now.

    Args:
        run: a finished one.
        source: its data, where the run names no path, as that of the demo; None reads the path.
        images: how many are drawn where nothing is stored.
        seed: of the draw and of the intervals.
        registry: where its backbone is looked up; None is what is installed.
        progress: told of samples done.

    Raises:
        RunError: the record is another one, or the run does not say what it began with.
        DataError: its data is no longer there.
        WeightsError: the weights that it began with are no longer there.
        PluginError: its backbone is not installed.
        UsageError: a number that cannot be meant.
    """
    _check_numbers(images, seed)
    stored = GapProfile.read(run.trust)
    if stored is not None:
        return stored
    subject = open_run_subject(run, registry=registry)
    data = read_run_source(run, subject.modality, source)
    model = subject.build()
    profile = _measure(model, data, subject.contract, images, seed, progress)
    profile.write(run.trust)
    return profile


def read_moments(
    model: keras.Model, subset: Subset, *, images: int, progress: Progress | None = None
) -> Moments:
    """Returns what one pass over drawn samples leaves; see `collect_moments`."""
    total, batches = _open_batches(model, subset, images)
    return collect_moments(model, batches, total=total, progress=progress)


def profile_moments(
    model: keras.Model, moments: Moments | None, *, reason: str = "", seed: int = 0
) -> GapProfile:
    """Returns the profile of a pass, or one that says why there is none.

    Args:
        model: that the samples went through.
        moments: what that left; None where it was not worth the time.
        reason: what `explain_missing` said.
        seed: of the draw and of the intervals.
    """
    info = get_info(model)
    facts: dict[str, Any] = {"weights": info.weights.source, "size": info.size, "seed": seed}
    if reason or moments is None:
        count = 0 if moments is None else len(moments)
        return GapProfile(info.backbone, count, reason=reason, **facts)
    stages = [stage.name for stage in info.stages]
    return make_profile(moments, backbone=info.backbone, stages=stages, **facts)


def _open_model(model: Any) -> tuple[Any, Any]:
    """Returns a model, and what its weights expect of raw values."""
    check_keras_settings()
    if isinstance(model, (str, Path, RunDirectory)):
        run = model if isinstance(model, RunDirectory) else RunDirectory.open(model)
        subject = open_run_subject(run)
        return subject.build(), subject.contract
    return model, get_info(model).preprocessing


def _measure(
    model: Any, data: Any, contract: Any, images: int, seed: int, progress: Progress | None
) -> GapProfile:
    subset = _draw(model, data, contract, images, seed, progress)
    reason = explain_missing(model)
    if reason:
        # What is no sample of the backbone's is refused all the same.
        next(_open_batches(model, subset, images)[1], None)
        return profile_moments(model, None, reason=reason, seed=seed)
    moments = read_moments(model, subset, images=images, progress=progress)
    return profile_moments(model, moments, seed=seed)


def _draw(
    model: Any, data: Any, contract: Any, images: int, seed: int, progress: Progress | None
) -> Subset:
    modality = get_info(model).modality
    return draw_subset(
        data, modality=modality, contract=contract, count=images, seed=seed, progress=progress
    )


def _open_batches(model: Any, subset: Subset, images: int) -> tuple[int, Iterator[Arrays]]:
    """Returns how many samples there are at most, and their batches."""
    info = get_info(model)
    stream = open_stream(
        subset.samples, modality=info.modality, size=info.size, contract=subset.contract
    )
    total = min(images, stream.count or images)
    return total, _take(stream.iter_batches(BATCH_SAMPLES), images)


def _take(batches: Iterator[Arrays], count: int) -> Iterator[Arrays]:
    """Yields the first samples of some batches."""
    for batch in batches:
        left = count
        yield map_arrays(lambda x: x[:left], batch)  # noqa: B023  called at once
        count -= count_rows(batch)
        if count <= 0:
            return


def _check_numbers(images: int, seed: int) -> None:
    check_number(images, where="domain gap", name="images", least=2)
    if images > MOST_IMAGES:
        raise UsageError(
            f"domain gap: expected at most {MOST_IMAGES:,} images, which are drawn of any number. "
            f"Received: images={images}."
        )
    check_number(seed, where="domain gap", name="seed", least=0)
