"""What training does to a backbone: what is frozen stays, and caching changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tfxfer.backbone import BACKBONE_END
from tfxfer.data.arrays import Arrays, list_arrays
from tfxfer.data.feed import SampleSource, SplitSource
from tfxfer.keras_private import flatten_layers
from tfxfer.testing.backbone_subject import BackboneSubject
from tfxfer.testing.check import check, fail
from tfxfer.testing.probes import BATCH_SAMPLES, ProbeSplit
from tfxfer.testing.subject import Snapshot, ask, ask_one_by_one, list_outputs

__all__ = ["cached", "freezing", "no_randomness", "phase_fine_tune", "phase_head"]

_TRAINING_TOLERANCE = 1e-6  # frozen layers compute the same thing in both modes
_CACHED_STAGES = 4  # spread over the network: each costs a call of what follows it


@check(
    "nothing random before the frontier: the frozen network is the same in training",
    requires=("model",),
)
def no_randomness(subject: BackboneSubject) -> None:
    """Runs the frozen backbone twice in training mode and once in inference."""
    from tfxfer.frontier.cut import list_prefix_inputs, make_prefix
    from tfxfer.stages import freeze_to, get_info

    whole = subject.model
    what = f"backbone {subject.name!r}"
    drawing = [
        layer.name
        for layer in subject.backbone_layers()
        if any("seed_generator_state" in item.path for item in layer.variables)
    ]
    if drawing:
        fail(
            what,
            expected="no layer that draws random numbers: Dropout ignores trainable=False",
            received=f"layers={drawing[:5]}",
            fix="Replace them by Identity (tfxfer.surgery.replace_layers), or set their rate to 0.",
        )
    freeze_to(whole, BACKBONE_END)
    names = [stage.name for stage in get_info(whole).stages]
    prefix, read = make_prefix(whole, names), list_prefix_inputs(whole, names)
    values = _choose(subject.values, read)
    with subject.restored_model():
        runs = [
            [np.asarray(x) for x in list_outputs(ask(prefix, values, training=training))]
            for training in (True, True, False)
        ]
    for name, first, second, still in zip(names, *runs, strict=True):
        scale = max(float(np.abs(still).max()), 1e-6)
        if not np.array_equal(first, second):
            words, off = "two runs in training mode", np.abs(first - second).max()
        elif not np.abs(first - still).max() <= _TRAINING_TOLERANCE * scale:
            words, off = "training and inference", np.abs(first - still).max()
        else:
            continue
        fail(
            f"{what}, frozen up to stage {name!r}",
            expected=f"equal activations in {words}",
            received=f"difference={off:.3g}, of values up to {scale:.3g}",
            fix="Whatever depends on training=True must be off when the layer is not trainable.",
        )


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
    """Trains the head for one epoch, not from a cache: the backbone runs in training mode."""
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
            fix="Features that are 0 for every sample train nothing: look at the last layers.",
        )


@check(
    "a phase of fine-tuning changes the announced stages only, and no BatchNormalization",
    requires=("model",),
)
def phase_fine_tune(subject: BackboneSubject) -> None:
    """Trains what follows a late stage, and the head, for one epoch, not from a cache."""
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
    "training from cached activations sees what training from the samples themselves sees",
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
    expected = _ask_in_batches(whole, subject.values)
    names = _spread([stage.name for stage in get_info(whole).stages])
    targets = np.zeros((len(expected), 1), np.float32)
    split: Any = ProbeSplit(subject.samples, targets, subject.data.inputs)
    with CacheStore() as store:
        source: SampleSource = SplitSource(split)
        arrays = fill_frontiers(whole, {"probe": (source, 1)}, names, store, dtype="float32")
        for name in names:
            suffix = make_suffix(whole, name)
            stored = {
                tensor.name: np.asarray(values[:, 0], tensor.dtype)
                for tensor, values in zip(
                    suffix.inputs, list_arrays(arrays["probe"][name]), strict=True
                )
            }
            found = _ask_in_batches(suffix, stored)
            scale = max(float(np.abs(expected).max()), 1e-6)
            off = float(np.abs(found - expected).max())
            if not off <= subject.tolerance * scale:
                fail(
                    f"{what}, cached at stage {name!r}",
                    expected=f"outputs equal within {subject.tolerance:g} of {scale:.3g}",
                    received=f"difference={off:.3g}",
                    fix="Activations of a sample must depend on that sample alone, not on the "
                    "others of its batch.",
                )


def _ask_in_batches(network: Any, values: Arrays) -> np.ndarray:
    # As training sees them: statistics over a batch must not hide behind one large batch.
    return ask_one_by_one(network, values, step=BATCH_SAMPLES)


def _choose(values: Arrays, positions: Sequence[int]) -> Arrays:
    """Returns the values of some inputs, by position."""
    if not isinstance(values, dict):
        return values
    names = list(values)
    return {names[i]: values[names[i]] for i in positions}


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
