"""What training does to a backbone: what is frozen stays, and caching changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tfxfer.backbone import BACKBONE_END
from tfxfer.data.arrays import list_arrays
from tfxfer.data.feed import SampleSource, SplitSource
from tfxfer.keras_private import flatten_layers
from tfxfer.testing.check import check, fail
from tfxfer.testing.probes import BATCH_IMAGES, ProbeSplit
from tfxfer.testing.subject import BackboneSubject, Snapshot

__all__ = ["cached", "freezing", "phase_fine_tune", "phase_head"]

_CACHED_STAGES = 4  # spread over the network: each costs a call of what follows it


@check(
    "at every frontier whole stages are frozen, and all that follows can train",
    requires=("model",),
)
def freezing(subject: BackboneSubject) -> None:
    """Freezes up to each stage in turn, and up to none."""
    import keras

    from tfxfer.stages import get_info, layers_up_to, set_trainable

    whole = subject.model
    inside = {layer.name for layer in subject.backbone_layers()}
    for stage in (None, *(stage.name for stage in get_info(whole).stages)):
        set_trainable(whole, stage)
        what = f"backbone {subject.name!r}, frozen up to {stage!r}"
        prefix = {layer.name for layer in layers_up_to(whole, stage)}
        leaking = [
            layer.name for layer in whole.layers if layer.name in prefix and layer.trainable_weights
        ]
        if leaking:
            fail(
                what,
                expected="no trainable weights before the frontier",
                received=f"layers={leaking[:5]}",
                fix="A layer of yours must heed trainable=False, for all it holds.",
            )
        stuck = [
            layer.name
            for layer in whole.layers
            if layer.name in inside - prefix
            and layer.weights
            and not isinstance(layer, keras.layers.BatchNormalization)
            and not layer.trainable
        ]
        if stuck:
            fail(
                what,
                expected="every layer after the frontier to be trainable",
                received=f"layers={stuck[:5]}, which stay frozen",
                fix="Leave `trainable` to the core: it freezes and unfreezes whole stages.",
            )


@check(
    "a phase of the head alone changes no weight and no statistic of the backbone",
    requires=("model",),
)
def phase_head(subject: BackboneSubject) -> None:
    """Trains the head for one epoch on pixels, so that the backbone runs in training mode."""
    training = subject.training
    moved = _moved(training.before, training.head)
    changed = _of_layers(moved, subject.backbone_layers())
    if changed:
        fail(
            f"backbone {subject.name!r}, frozen up to {BACKBONE_END!r}",
            expected="bit-equal weights after a phase of the head",
            received=f"changed={sorted(changed)[:5]}, {len(changed)} in all",
            fix="A layer of yours writes to its weights in call: only do so where it is trainable.",
        )
    if not moved:
        fail(
            f"backbone {subject.name!r}, frozen up to {BACKBONE_END!r}",
            expected="the head to learn from the features",
            received="a phase in which no weight changed",
            fix="Features that are 0 for every image train nothing: look at the last layers.",
        )


@check(
    "a phase of fine-tuning changes the announced stages only, and no BatchNormalization",
    requires=("model",),
)
def phase_fine_tune(subject: BackboneSubject) -> None:
    """Trains what follows a late stage, and the head, for one epoch on pixels."""
    import keras

    from tfxfer.stages import layers_up_to

    training, layers = subject.training, subject.backbone_layers()
    moved = _moved(training.head, training.fine_tuned)
    what = f"backbone {subject.name!r}, frozen up to {training.stage!r}"
    frozen = layers_up_to(subject.model, training.stage)
    changed = _of_layers(moved, frozen)
    if changed:
        fail(
            what,
            expected="bit-equal weights before the frontier",
            received=f"changed={sorted(changed)[:5]}, {len(changed)} in all",
            fix="A layer of yours writes to its weights in call: only do so where it is trainable.",
        )
    norms = [
        item
        for layer in layers
        for item in flatten_layers(layer)
        if isinstance(item, keras.layers.BatchNormalization)
    ]
    changed = _of_layers(moved, norms)
    if changed:
        fail(
            what,
            expected="BatchNormalization that stays bit-equal, gamma, beta and statistics",
            received=f"changed={sorted(changed)[:5]}, {len(changed)} in all",
            fix="The core freezes BatchNormalization that it can see: put it into the graph, not "
            "inside a layer of your own.",
        )
    announced = [layer for layer in layers if layer not in frozen]
    able = [layer for layer in announced if layer.weights and layer not in norms]
    if able and not _of_layers(moved, able):
        fail(
            what,
            expected=f"something of {[layer.name for layer in able][:5]} to change",
            received="a phase in which only the head changed",
            fix="No gradient reaches them: look for a rounding, an argmax or a stop_gradient.",
        )


@check(
    "training from cached activations sees what training from pixels sees",
    requires=("model", "stages"),
)
def cached(subject: BackboneSubject) -> None:
    """Caches activations at some frontiers, and goes on from there."""
    from tfxfer.frontier.cut import make_suffix
    from tfxfer.frontier.fill import fill_frontiers
    from tfxfer.frontier.store import CacheStore
    from tfxfer.stages import get_info

    whole = subject.model
    what = f"backbone {subject.name!r}"
    pixels = subject.pixels
    expected = _batched(whole, pixels)
    names = _spread([stage.name for stage in get_info(whole).stages])
    split: Any = ProbeSplit(subject.data.pixels, np.zeros((len(pixels), 1), np.float32))
    with CacheStore() as store:
        source: SampleSource = SplitSource(split)
        arrays = fill_frontiers(whole, {"probe": (source, 1)}, names, store, dtype="float32")
        for name in names:
            (stored,) = list_arrays(arrays["probe"][name])
            found = _batched(make_suffix(whole, name), stored[:, 0])
            scale = max(float(np.abs(expected).max()), 1e-6)
            off = float(np.abs(found - expected).max())
            if not off <= subject.tolerance * scale:
                fail(
                    f"{what}, cached at stage {name!r}",
                    expected=f"outputs equal within {subject.tolerance:g} of {scale:.3g}",
                    received=f"difference={off:.3g}",
                    fix="Activations of an image must depend on that image alone, not on the "
                    "others of its batch.",
                )


def _batched(network: Any, inputs: np.ndarray) -> np.ndarray:
    # As training sees them: statistics over a batch must not hide behind one large batch.
    starts = range(0, len(inputs), BATCH_IMAGES)
    return np.concatenate(
        [np.asarray(network(inputs[at : at + BATCH_IMAGES], training=False)) for at in starts]
    )


def _spread(names: list[str]) -> list[str | None]:
    """Returns the first and the last name and some between."""
    count = min(_CACHED_STAGES, len(names))
    chosen = {round(number) for number in np.linspace(0, len(names) - 1, count)}
    return [names[number] for number in sorted(chosen)]


def _moved(before: Snapshot, after: Snapshot) -> set[str]:
    return {path for path in before if not np.array_equal(before[path], after[path])}


def _of_layers(paths: set[str], layers: Iterable[Any]) -> set[str]:
    """Returns which paths are of weights that these layers hold."""
    return paths & {item.path for layer in layers for item in layer.weights}
